/** Hex lines: one UDP payload (or ESP packet) per line, `#` begins a comment, optionally `src:port > dst:port` first. */
import { parseAddress } from '../../../protocol/net.ts'
import type { Endpoint, Frame, FrameFault } from './frame.ts'

/** A UDP payload of 65,535 bytes with a blank after each, and room for addresses and a comment. */
const MAX_LINE = 65_535 * 3 + 1024
const LINE_FEED = 0x0a
const TOO_LONG = `The line is longer than ${MAX_LINE} characters.`
const NOT_HEX = 'The line is not hexadecimal.'

/** True when the first line that is neither blank nor a comment is one that `readHexLines` would try. */
export function isHexLines(bytes: Uint8Array): boolean {
  const first = readHexLines(bytes).next()
  return first.done === true || !('fault' in first.value) || ![NOT_HEX, TOO_LONG].includes(first.value.fault)
}

/** Frames own their bytes. `number` is the line, from 1. */
export function* readHexLines(bytes: Uint8Array): Generator<Frame | FrameFault, void> {
  let start = 0
  for (let number = 1; start < bytes.length; number++) {
    const found = bytes.indexOf(LINE_FEED, start)
    const end = found < 0 ? bytes.length : found
    if (end - start > MAX_LINE) yield { number, fault: TOO_LONG }
    else {
      const frame = readLine(Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('utf8'), number)
      if (frame !== undefined) yield frame
    }
    start = end + 1
  }
}

/** By searching, not by pattern: backtracking over a hostile line of this length would take minutes. */
function readLine(line: string, number: number): Frame | FrameFault | undefined {
  const comment = line.indexOf('#')
  const text = (comment < 0 ? line : line.slice(0, comment)).trim()
  if (text === '') return undefined
  const arrow = text.indexOf('>')
  const payload = readDigits(arrow < 0 ? text : behindWord(text.slice(arrow + 1).trimStart()), number)
  if (arrow < 0 || 'fault' in payload) return payload
  const source = parseEndpoint(text.slice(0, arrow).trimEnd())
  const destination = parseEndpoint(text.slice(arrow + 1).trimStart())
  if (source === undefined || destination === undefined) {
    return { number, fault: 'The line must name its ends as address:port > address:port, IPv6 in brackets.' }
  }
  return { ...payload, source, destination }
}

function behindWord(text: string): string {
  const blank = text.search(/\s/)
  return blank < 0 ? '' : text.slice(blank).trimStart()
}

function readDigits(text: string, number: number): Frame | FrameFault {
  const digits = text.replace(/^0x/i, '').replace(/[\s:]/g, '')
  if (!/^[0-9a-f]+$/i.test(digits)) return { number, fault: NOT_HEX }
  if (digits.length % 2 !== 0) return { number, fault: 'The line has an odd number of hexadecimal digits.' }
  if (digits.length > 2 * 65_535) return { number, fault: 'The line has more than 65,535 bytes.' }
  return { number, link: 'datagram', bytes: Uint8Array.from(Buffer.from(digits, 'hex')) }
}

/** The first word of `text` as an endpoint. */
function parseEndpoint(text: string): Endpoint | undefined {
  const parts = /^(?:\[([^\]\s]{1,45})\]|([^:\s]{1,45})):(\d{1,5})(?:\s|$)/.exec(text.slice(0, 64))
  if (parts === null) return undefined
  const address = parseAddress(parts[1] ?? parts[2]!)
  const port = Number(parts[3])
  return address === undefined || port > 65_535 ? undefined : { address, port }
}
