/** pcapng (draft-ietf-opsawg-pcapng): sections of either byte order, several interfaces, their own time resolutions. */
import { type Frame, type FrameFault, type FrameSource, timestamp } from './frame.ts'
import { dataView } from './pcap.ts'

const BLOCK = { section: 0x0a0d0d0a, interface: 1, packet: 2, simplePacket: 3, enhancedPacket: 6 } as const
const BYTE_ORDER_MAGIC = 0x1a2b3c4d
const OPTION = { end: 0, timeResolution: 9, timeOffset: 14 } as const

/** Byte ranges, from the start of the block; every block ends with its length once more. */
const block = { type: 0, length: 4, body: 8, overhead: 12 } as const
const sectionHeader = { byteOrder: 8, minimum: 28 } as const
const interfaceBlock = { linkType: 8, snapLength: 12, options: 16, minimum: 20 } as const
const enhanced = { interface: 8, timeHigh: 12, timeLow: 16, captured: 20, original: 24, data: 28, minimum: 32 } as const
const simple = { original: 8, data: 12, minimum: 16 } as const

const MAX_BLOCK = 16 << 20
const MAX_INTERFACES = 4096

interface Interface {
  readonly link: number
  readonly snapLength: number
  /** Ticks per second, and the decimal digits that show one tick. */
  readonly ticks: bigint
  readonly digits: number
  /** Seconds to add. */
  readonly offset: bigint
}

interface Section {
  little: boolean
  interfaces: Interface[]
}

export function isPcapng(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && dataView(bytes).getUint32(0, false) === BLOCK.section
}

/** The caller has asked `isPcapng`. Frames are views on `bytes`; blocks of other types are passed over. */
export function* readPcapng(bytes: Uint8Array): FrameSource {
  const view = dataView(bytes)
  const section: Section = { little: true, interfaces: [] }
  let number = 1
  let offset = 0
  while (offset < bytes.length) {
    const length = blockLength(view, offset, section)
    if (typeof length === 'string') {
      yield { number, fault: length }
      return
    }
    const body = dataView(bytes.subarray(offset, offset + length))
    const read = readBlock(body, section, number)
    if (read !== undefined) {
      yield read
      number++
    }
    offset += length
  }
}

/** The length of the block at `offset`, or why there is none. Learns the byte order from a section header. */
function blockLength(view: DataView, offset: number, section: Section): number | string {
  if (view.byteLength - offset < block.overhead)
    return `The block at offset ${offset} is cut off by the end of the file.`
  if (view.getUint32(offset, false) === BLOCK.section) {
    const order = offset + sectionHeader.byteOrder
    if (view.getUint32(order, true) === BYTE_ORDER_MAGIC) section.little = true
    else if (view.getUint32(order, false) === BYTE_ORDER_MAGIC) section.little = false
    else return `The section header at offset ${offset} has no byte-order magic.`
  }
  const length = view.getUint32(offset + block.length, section.little)
  if (length < block.overhead || length % 4 !== 0 || length > MAX_BLOCK) {
    return `The block at offset ${offset} claims ${length} bytes; what follows cannot be read.`
  }
  if (offset + length > view.byteLength) return `The block at offset ${offset} is cut off by the end of the file.`
  if (view.getUint32(offset + length - 4, section.little) !== length) {
    return `The two lengths of the block at offset ${offset} differ; what follows cannot be read.`
  }
  return length
}

function readBlock(body: DataView, section: Section, number: number): Frame | FrameFault | undefined {
  const type = body.getUint32(block.type, section.little)
  switch (type) {
    case BLOCK.section:
      section.interfaces = []
      return body.byteLength < sectionHeader.minimum
        ? { number, fault: 'A section header block is too short.' }
        : undefined
    case BLOCK.interface:
      return readInterface(body, section, number)
    case BLOCK.enhancedPacket:
    case BLOCK.packet:
      return readEnhanced(body, section, number, type === BLOCK.packet)
    case BLOCK.simplePacket:
      return readSimple(body, section, number)
    default:
      return undefined
  }
}

function readInterface(body: DataView, section: Section, number: number): FrameFault | undefined {
  if (body.byteLength < interfaceBlock.minimum) return { number, fault: 'An interface description block is too short.' }
  if (section.interfaces.length === MAX_INTERFACES) {
    return { number, fault: `A section describes more than ${MAX_INTERFACES} interfaces.` }
  }
  const { little } = section
  let ticks = 1_000_000n
  let digits = 6
  let offset = 0n
  let at: number = interfaceBlock.options
  const end = body.byteLength - 4
  while (at + 4 <= end) {
    const code = body.getUint16(at, little)
    const length = body.getUint16(at + 2, little)
    const value = at + 4
    if (code === OPTION.end || value + length > end) break
    if (code === OPTION.timeResolution && length === 1) {
      const resolution = timeResolution(body.getUint8(value))
      if (resolution === undefined) return { number, fault: 'An interface has a time resolution that nobody can have.' }
      ticks = resolution.ticks
      digits = resolution.digits
    }
    if (code === OPTION.timeOffset && length === 8) offset = body.getBigInt64(value, little)
    at = value + Math.ceil(length / 4) * 4
  }
  const link = body.getUint16(interfaceBlock.linkType, little)
  section.interfaces.push({
    link,
    snapLength: body.getUint32(interfaceBlock.snapLength, little),
    ticks,
    digits,
    offset,
  })
  return undefined
}

/** if_tsresol: a negative power of ten, or with the top bit set of two. Powers finer than 64 bits can count are refused. */
function timeResolution(value: number): { ticks: bigint; digits: number } | undefined {
  const power = value & 0x7f
  if (power > 63) return undefined
  if ((value & 0x80) !== 0) return { ticks: 1n << BigInt(power), digits: power === 0 ? 0 : 9 }
  return power > 18 ? undefined : { ticks: 10n ** BigInt(power), digits: power }
}

/** Also the obsolete packet block, which differs in the width of the interface number only. */
function readEnhanced(body: DataView, section: Section, number: number, obsolete: boolean): Frame | FrameFault {
  if (body.byteLength < enhanced.minimum) return { number, fault: 'A packet block is too short.' }
  const { little } = section
  const id = obsolete ? body.getUint16(enhanced.interface, little) : body.getUint32(enhanced.interface, little)
  const from = section.interfaces[id]
  if (from === undefined)
    return { number, fault: `A packet names interface ${id}, which the section does not describe.` }
  const captured = body.getUint32(enhanced.captured, little)
  const original = body.getUint32(enhanced.original, little)
  if (enhanced.data + captured > body.byteLength - 4) {
    return { number, fault: `A packet claims ${captured} captured bytes, more than its block has.` }
  }
  const high = BigInt(body.getUint32(enhanced.timeHigh, little))
  const time = timeOf((high << 32n) | BigInt(body.getUint32(enhanced.timeLow, little)), from)
  return {
    number,
    link: from.link,
    bytes: bytesOf(body, enhanced.data, captured),
    ...(time === undefined ? {} : { time }),
    ...(original > captured ? { originalLength: original } : {}),
  }
}

function readSimple(body: DataView, section: Section, number: number): Frame | FrameFault {
  if (body.byteLength < simple.minimum) return { number, fault: 'A simple packet block is too short.' }
  const from = section.interfaces[0]
  if (from === undefined) return { number, fault: 'A simple packet block comes before any interface is described.' }
  const original = body.getUint32(simple.original, section.little)
  const limit = from.snapLength === 0 ? original : Math.min(original, from.snapLength)
  const room = body.byteLength - 4 - simple.data
  if (limit > room) return { number, fault: `A simple packet claims ${limit} captured bytes, more than its block has.` }
  return {
    number,
    link: from.link,
    bytes: bytesOf(body, simple.data, limit),
    ...(original > limit ? { originalLength: original } : {}),
  }
}

function timeOf(ticks: bigint, from: Interface): string | undefined {
  const fraction = ((ticks % from.ticks) * 10n ** BigInt(from.digits)) / from.ticks
  return timestamp(ticks / from.ticks + from.offset, fraction, from.digits)
}

function bytesOf(view: DataView, at: number, length: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + at, length)
}
