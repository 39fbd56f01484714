/** Hex lines: one UDP payload (or ESP packet) per line, `#` begins a comment, optionally `src:port > dst:port` first. */
import { parseAddress } from '../../../protocol/net.ts'
import type { Endpoint, Frame, FrameFault, FrameSource } from './frame.ts'

/** A UDP payload of 65,535 bytes with a blank after each, and room for addresses and a comment. */
const MAX_LINE = 65_535 * 3 + 1024
const LINE_FEED = 0x0a

/** Frames own their bytes. `number` is the line, from 1. */
export function* readHexLines(bytes: Uint8Array): FrameSource {
  let start = 0
  for (let number = 1; start < bytes.length; number++) {
    const found = bytes.indexOf(LINE_FEED, start)
    const end = found < 0 ? bytes.length : found
    if (end - start > MAX_LINE) yield { number, fault: `The line is longer than ${MAX_LINE} characters.` }
    else {
      const frame = readLine(Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('utf8'), number)
      if (frame !== undefined) yield frame
    }
    start = end + 1
  }
}

const withEndpoints = /^(\S+)\s*>\s*(\S+)\s+(.*)$/

function readLine(line: string, number: number): Frame | FrameFault | undefined {
  const text = line.replace(/#.*$/, '').trim()
  if (text === '') return undefined
  const parts = withEndpoints.exec(text)
  const digits = (parts === null ? text : parts[3]!).replace(/^0x/i, '').replace(/[\s:]/g, '')
  if (!/^[0-9a-f]+$/i.test(digits)) return { number, fault: 'The line is not hexadecimal.' }
  if (digits.length % 2 !== 0) return { number, fault: 'The line has an odd number of hexadecimal digits.' }
  if (digits.length > 2 * 65_535) return { number, fault: 'The line has more than 65,535 bytes.' }
  const frame: Frame = { number, link: 'datagram', bytes: Uint8Array.from(Buffer.from(digits, 'hex')) }
  if (parts === null) return frame
  const source = parseEndpoint(parts[1]!)
  const destination = parseEndpoint(parts[2]!)
  if (source === undefined || destination === undefined) {
    return { number, fault: 'The line must name its ends as address:port > address:port, IPv6 in brackets.' }
  }
  return { ...frame, source, destination }
}

function parseEndpoint(text: string): Endpoint | undefined {
  const parts = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text)
  if (parts === null) return undefined
  const address = parseAddress(parts[1] ?? parts[2]!)
  const port = Number(parts[3])
  return address === undefined || port > 65_535 ? undefined : { address, port }
}
