/** The classic capture format of libpcap (draft-ietf-opsawg-pcap): either byte order, microseconds or nanoseconds. */
import { type FrameSource, timestamp } from './frame.ts'

const MAGIC_MICRO = 0xa1b2c3d4
const MAGIC_NANO = 0xa1b23c4d

/** Byte ranges of the file header and of a record header. */
const file = { magic: 0, linkType: 20, end: 24 } as const
const record = { seconds: 0, fraction: 4, captured: 8, original: 12, end: 16 } as const

/** libpcap's own ceiling is 256 KiB; a record beyond this is a broken length field. */
const MAX_RECORD = 1 << 20

export function isPcap(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && layout(bytes) !== undefined
}

function layout(bytes: Uint8Array): { little: boolean; digits: 6 | 9 } | undefined {
  const view = dataView(bytes)
  for (const little of [true, false]) {
    const magic = view.getUint32(file.magic, little)
    if (magic === MAGIC_MICRO) return { little, digits: 6 }
    if (magic === MAGIC_NANO) return { little, digits: 9 }
  }
  return undefined
}

/** The caller has asked `isPcap`. Frames are views on `bytes`. */
export function* readPcap(bytes: Uint8Array): FrameSource {
  const { little, digits } = layout(bytes)!
  if (bytes.length < file.end) {
    yield { number: 1, fault: `The pcap file header has ${file.end} bytes; the file ends after ${bytes.length}.` }
    return
  }
  const view = dataView(bytes)
  const link = view.getUint32(file.linkType, little) & 0xffff
  let offset: number = file.end
  for (let number = 1; offset < bytes.length; number++) {
    if (bytes.length - offset < record.end) {
      yield { number, fault: `The record header at offset ${offset} is cut off by the end of the file.` }
      return
    }
    const captured = view.getUint32(offset + record.captured, little)
    const original = view.getUint32(offset + record.original, little)
    if (captured > MAX_RECORD) {
      yield { number, fault: `The record at offset ${offset} claims ${captured} bytes; what follows cannot be read.` }
      return
    }
    const start = offset + record.end
    if (start + captured > bytes.length) {
      yield { number, fault: `The record at offset ${offset} is cut off by the end of the file.` }
      return
    }
    const seconds = BigInt(view.getUint32(offset + record.seconds, little))
    const fraction = BigInt(view.getUint32(offset + record.fraction, little))
    const time = timestamp(seconds, fraction, digits)
    yield {
      number,
      link,
      bytes: bytes.subarray(start, start + captured),
      ...(time === undefined ? {} : { time }),
      ...(original > captured ? { originalLength: original } : {}),
    }
    offset = start + captured
  }
}

export function dataView(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
