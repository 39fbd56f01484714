/** TCP (RFC 9293) headers, read without trust, and the octets of one direction put in order again, with bounds. */
import { u16, u32 } from '../../core/ike/wire/bytes.ts'
import type { Malformed } from './ip.ts'

export interface TcpSegment {
  readonly sourcePort: number
  readonly destinationPort: number
  /** Of the first octet of `payload`, or of SYN where that is set. */
  readonly sequence: number
  readonly syn: boolean
  readonly payload: Uint8Array
}

const MINIMUM = 20
const field = { source: 0, destination: 2, sequence: 4, offset: 12, flags: 13 } as const
const SYN = 0x02

export function parseTcp(bytes: Uint8Array): TcpSegment | Malformed {
  if (bytes.length < MINIMUM) return { malformed: `A TCP header has ${MINIMUM} bytes; ${bytes.length} are there.` }
  const headerLength = (bytes[field.offset]! >>> 4) * 4
  if (headerLength < MINIMUM || headerLength > bytes.length) {
    return { malformed: `The TCP header claims ${headerLength} bytes; ${bytes.length} are there.` }
  }
  return {
    sourcePort: u16(bytes, field.source),
    destinationPort: u16(bytes, field.destination),
    sequence: u32(bytes, field.sequence),
    syn: (bytes[field.flags]! & SYN) !== 0,
    payload: bytes.subarray(headerLength),
  }
}

/** Beyond these the missing octets are given up: the capture does not have them. */
const MAX_WAITING = 64
const MAX_WAITING_BYTES = 256 * 1024

interface Waiting {
  readonly sequence: number
  readonly bytes: Uint8Array
}

export interface Ordered {
  /** Octets that the capture lacks in front of `bytes`. */
  readonly missing: number
  /** Views on the capture. */
  readonly bytes: Uint8Array
}

/** One direction of one connection. Octets that were sent again are left out. */
export class TcpOrder {
  private next: number | undefined
  private readonly waiting: Waiting[] = []
  private waitingBytes = 0

  /** What this segment brings in order, itself and those that waited for it. */
  add({ sequence, syn, payload }: TcpSegment): readonly Ordered[] {
    if (syn) {
      this.waiting.length = 0
      this.waitingBytes = 0
      this.next = (sequence + 1) >>> 0
      return payload.length === 0 ? [] : this.add({ sequence: this.next, syn: false, payload } as TcpSegment)
    }
    if (payload.length === 0) return []
    this.next ??= sequence
    const late = ahead(sequence, this.next)
    if (late <= 0) return [...this.take({ sequence, bytes: payload }, 0), ...this.release()]
    this.wait({ sequence, bytes: payload })
    const full = this.waiting.length > MAX_WAITING || this.waitingBytes > MAX_WAITING_BYTES
    return full ? this.skip() : []
  }

  /** At the end of the capture: what still waits, and what is missing in front of it. */
  finish(): readonly Ordered[] {
    const all: Ordered[] = []
    while (this.waiting.length > 0) all.push(...this.skip())
    return all
  }

  private wait(segment: Waiting): void {
    const at = this.waiting.findIndex((other) => ahead(other.sequence, segment.sequence) > 0)
    this.waiting.splice(at < 0 ? this.waiting.length : at, 0, segment)
    this.waitingBytes += segment.bytes.length
  }

  private skip(): readonly Ordered[] {
    const missing = ahead(this.waiting[0]!.sequence, this.next!)
    this.next = this.waiting[0]!.sequence
    const [first, ...rest] = this.release()
    return first === undefined ? [] : [{ ...first, missing }, ...rest]
  }

  private release(): Ordered[] {
    const released: Ordered[] = []
    while (this.waiting.length > 0 && ahead(this.waiting[0]!.sequence, this.next!) <= 0) {
      const segment = this.waiting.shift()!
      this.waitingBytes -= segment.bytes.length
      released.push(...this.take(segment, 0))
    }
    return released
  }

  private take({ sequence, bytes }: Waiting, missing: number): Ordered[] {
    const known = -ahead(sequence, this.next!)
    if (known >= bytes.length) return []
    const fresh = bytes.subarray(known)
    this.next = (this.next! + fresh.length) >>> 0
    return [{ missing, bytes: fresh }]
  }
}

/** How far `left` is behind `right` in the stream; negative where it comes before. Sequence numbers wrap. */
function ahead(left: number, right: number): number {
  return (left - right) | 0
}
