/** Echo messages (RFC 792, RFC 4443 section 4) and the book that is kept of them. */
import type { PingSummary } from './ping.ts'

const ECHO_REQUEST_4 = 8
const ECHO_REPLY_4 = 0
const ECHO_REQUEST_6 = 128
const ECHO_REPLY_6 = 129
const HEADER_BYTES = 8
const MISSING_SHOWN = 100

export interface Echo {
  readonly family: 4 | 6
  readonly identifier: number
  /** 32 bits in the payload; the header has the lower 16. */
  readonly sequence: number
  /** 8 bytes that tell our replies from others'. */
  readonly cookie: Uint8Array
  /** At least 16. */
  readonly payloadBytes: number
}

/** An echo request. The checksum of ICMPv6 is the kernel's work. */
export function buildEcho(echo: Echo): Uint8Array {
  const out = new Uint8Array(HEADER_BYTES + echo.payloadBytes)
  const view = new DataView(out.buffer)
  out[0] = echo.family === 4 ? ECHO_REQUEST_4 : ECHO_REQUEST_6
  view.setUint16(4, echo.identifier)
  view.setUint16(6, echo.sequence & 0xffff)
  out.set(echo.cookie, HEADER_BYTES)
  view.setUint32(HEADER_BYTES + 8, echo.sequence)
  if (echo.family === 4) view.setUint16(2, checksum(out))
  return out
}

/** The sequence number of a reply to one of ours, or undefined. `withHeader`: an IPv4 header stands before it. */
export function parseEcho(
  packet: Uint8Array,
  family: 4 | 6,
  withHeader: boolean,
  cookie: Uint8Array,
): number | undefined {
  const start = withHeader ? ((packet[0] ?? 0) & 15) * 4 : 0
  if (packet.length < start + HEADER_BYTES + 12) return undefined
  if (packet[start] !== (family === 4 ? ECHO_REPLY_4 : ECHO_REPLY_6)) return undefined
  for (let i = 0; i < cookie.length; i++) if (packet[start + HEADER_BYTES + i] !== cookie[i]) return undefined
  return new DataView(packet.buffer, packet.byteOffset).getUint32(start + HEADER_BYTES + 8)
}

/** RFC 1071. */
function checksum(bytes: Uint8Array): number {
  let sum = 0
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i]! << 8) | (bytes[i + 1] ?? 0)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}

/** Who was sent when, and what came back. Instants and round trips in milliseconds. */
export class Tally {
  sent = 0
  received = 0
  #duplicates = 0
  readonly #count: number
  readonly #sentAt: number[] = []
  readonly #rtt: (number | undefined)[] = []

  constructor(count: number) {
    this.#count = count
  }

  send(now: number): void {
    if (this.sent === this.#count) return
    this.#sentAt[this.sent++] = now
  }

  /** The round trip, or undefined for a duplicate or a reply to nothing. */
  receive(sequence: number, now: number): number | undefined {
    const at = this.#sentAt[sequence]
    if (at === undefined) return undefined
    if (this.#rtt[sequence] !== undefined) {
      this.#duplicates++
      return undefined
    }
    this.received++
    this.#rtt[sequence] = now - at
    return now - at
  }

  summary(): PingSummary {
    const { sent, received } = this
    const sorted: number[] = []
    const missing: number[] = []
    for (let i = 0; i < sent; i++) {
      const rtt = this.#rtt[i]
      if (rtt !== undefined) sorted.push(rtt)
      else if (missing.length < MISSING_SHOWN) missing.push(i)
    }
    sorted.sort((left, right) => left - right)
    const rank = (share: number): number => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]!
    const rttMs = { min: rank(0), p50: rank(0.5), p99: rank(0.99), max: rank(1) }
    return {
      sent,
      received,
      duplicates: this.#duplicates,
      lossRatio: sent === 0 ? 0 : (sent - received) / sent,
      ...(sorted.length === 0 ? {} : { rttMs }),
      missing,
    }
  }
}
