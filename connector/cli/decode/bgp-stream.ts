/** Messages out of the octets of a BGP connection, with what its OPENs said. */
import { decodeHeader, HEADER_LENGTH, isBgpFault } from '../../core/bgp/wire/codec.ts'
import { bgpFaultJson, bgpJson, NOTHING_KNOWN, type Peering, peeringOf } from './bgp-json.ts'
import type { Json } from './payload-json.ts'
import { TcpOrder, type TcpSegment } from './tcp.ts'

export const BGP_PORT = 179

/** A capture is not to be trusted: beyond these the connection that was quiet longest is forgotten. */
const MAX_DIRECTIONS = 256
const MARKER = 16

interface Direction {
  readonly order: TcpOrder
  /** What is not a whole message yet: at most one of 65,535 octets and a segment. */
  pending: Uint8Array
  /** Looking for a marker: after a gap, or where the capture begins within a connection. */
  lost: boolean
  readonly head: Json
}

/** All BGP connections of one capture. */
export class BgpStreams {
  private readonly directions = new Map<string, Direction>()
  private readonly peerings = new Map<string, Peering>()

  /** The records of the messages that this segment ends. `head` begins each of them and has `src` and `dst`. */
  segment(segment: TcpSegment, head: Json): readonly Json[] {
    const [from, to] = [String(head.src), String(head.dst)]
    const direction = this.direction(`${from} > ${to}`, head)
    if (segment.syn) {
      direction.pending = EMPTY
      direction.lost = false
      this.peerings.delete(pairOf(from, to))
    }
    return direction.order.add(segment).flatMap((part) => this.take(direction, part.missing, part.bytes, head))
  }

  /** A message that stands alone in a line of hex. Without ends nothing is known of its connection. */
  message(bytes: Uint8Array, head: Json): Json {
    return this.record(bytes, head)
  }

  /** At the end of the capture: what was never whole. */
  finish(): readonly Json[] {
    const records: Json[] = []
    for (const direction of this.directions.values()) {
      const { head } = direction
      records.push(...direction.order.finish().flatMap((part) => this.take(direction, part.missing, part.bytes, head)))
      const length = direction.pending.length
      if (length === 0 || direction.lost) continue
      records.push({ kind: 'bgp', ...head, length, malformed: `The capture ends after ${length} bytes of a message.` })
    }
    this.directions.clear()
    return records
  }

  private direction(key: string, head: Json): Direction {
    const known = this.directions.get(key)
    this.directions.delete(key)
    const direction = known ?? { order: new TcpOrder(), pending: EMPTY, lost: true, head: {} }
    if (known === undefined && this.directions.size === MAX_DIRECTIONS) {
      this.directions.delete(this.directions.keys().next().value!)
    }
    const latest = { ...direction, head }
    this.directions.set(key, latest)
    return latest
  }

  private take(direction: Direction, missing: number, bytes: Uint8Array, head: Json): readonly Json[] {
    const records: Json[] = []
    if (missing > 0) {
      records.push({
        kind: 'bgp',
        ...head,
        malformed: `The capture lacks ${missing} bytes of the stream before these.`,
      })
      direction.pending = EMPTY
      direction.lost = true
    }
    const all = Buffer.concat([direction.pending, bytes])
    let at = 0
    while (at < all.length) {
      if (direction.lost) {
        at = markerFrom(all, at)
        if (all.length - at < MARKER) break
        direction.lost = false
      }
      const header = decodeHeader(all.subarray(at), true)
      if (header === undefined || (!isBgpFault(header) && header.length > all.length - at)) break
      if (isBgpFault(header)) {
        records.push({ kind: 'bgp', ...head, ...bgpFaultJson(header) })
        direction.lost = true
        at += Math.min(HEADER_LENGTH, all.length - at)
        continue
      }
      records.push(this.record(all.subarray(at, at + header.length), head))
      at += header.length
    }
    // A copy: the rest is short, and a view would keep the whole alive.
    direction.pending = Uint8Array.from(all.subarray(at))
    return records
  }

  private record(bytes: Uint8Array, head: Json): Json {
    const pair = head.src === undefined ? undefined : pairOf(String(head.src), String(head.dst))
    const peering = (pair === undefined ? undefined : this.peerings.get(pair)) ?? NOTHING_KNOWN
    const { json, open } = bgpJson(bytes, peering, String(head.src))
    if (open !== undefined && pair !== undefined) {
      if (this.peerings.size >= MAX_DIRECTIONS) this.peerings.delete(this.peerings.keys().next().value!)
      this.peerings.set(pair, peeringOf(peering, String(head.src), open))
    }
    return { kind: 'bgp', ...head, length: bytes.length, ...json }
  }
}

const EMPTY = new Uint8Array(0)

/** The same for both directions. */
function pairOf(left: string, right: string): string {
  return left < right ? `${left} ${right}` : `${right} ${left}`
}

/** Offset of the next marker from `from` on, or of what may be the beginning of one at the end. */
function markerFrom(bytes: Uint8Array, from: number): number {
  let run = 0
  for (let at = from; at < bytes.length; at++) {
    run = bytes[at] === 0xff ? run + 1 : 0
    if (run === MARKER) return at + 1 - MARKER
  }
  return bytes.length - run
}
