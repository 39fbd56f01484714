/**
 * Reassembly of inner fragments, for SAs whose selectors ask for ports (RFC 4301 section 7; RFC 791, RFC 8200
 * section 4.5). Overlaps cost the whole datagram, exact repetitions too (RFC 5722).
 */
import {
  DROP_BAD_HEADER,
  DROP_ECN,
  DROP_FRAGMENT_LIMIT,
  DROP_FRAGMENT_OVERLAP,
  REASSEMBLY_MAX_BYTES,
  REASSEMBLY_MAX_FRAGMENTS,
  REASSEMBLY_SLOTS,
  REASSEMBLY_TIMEOUT_MS,
} from '../abi.ts'
import { concat, setU16 } from './bytes.ts'
import { ecnOf, reassembledEcn } from './ecn.ts'
import type { Ipv6FragmentPlace } from './fragment.ts'
import { IPV6_HEADER, type IpPacket, writeIpv4Checksum, writeTos } from './ip.ts'

export interface Datagram {
  readonly bytes: Uint8Array
  /** IPv6: where the fragment header stood, to put it back. */
  readonly place: Ipv6FragmentPlace | undefined
}

export type ReassemblyResult =
  | { readonly type: 'kept' }
  | { readonly type: 'complete'; readonly datagram: Datagram }
  | { readonly type: 'dropped'; readonly reason: number }

interface Piece {
  readonly start: number
  readonly end: number
  readonly data: Uint8Array
  readonly tos: number
}

/** Immutable: offering a fragment makes a new one, so that a step can be tried and not taken. */
interface PartialDatagram {
  readonly startedAt: number
  readonly pieces: readonly Piece[]
  /** Length of all the data, once the last fragment is here. */
  readonly total: number | undefined
  /** Headers before the data, of the fragment with offset 0. */
  readonly first: IpPacket | undefined
}

/** What a fragment would do to the table; nothing has happened until `apply`. */
export interface ReassemblyStep {
  readonly result: ReassemblyResult
  /** Drop reasons of other datagrams that give way. */
  readonly evicted: number
  apply(): void
}

export class Reassembly {
  /** In order of arrival of each datagram's first seen fragment. */
  readonly #partials = new Map<string, PartialDatagram>()

  /** Forgets what is older than REASSEMBLY_TIMEOUT_MS; returns how many datagrams that were. */
  expire(now: number): number {
    let expired = 0
    for (const [key, partial] of this.#partials) {
      if (now - partial.startedAt <= REASSEMBLY_TIMEOUT_MS) continue
      this.#partials.delete(key)
      expired++
    }
    return expired
  }

  /** Takes a copy of the fragment. `context` keeps SAs and directions apart (RFC 4301 section 7.4). */
  offer(fragment: IpPacket, context: string, now: number): ReassemblyStep {
    const key = `${context} ${fragmentKey(fragment)}`
    const known = this.#partials.get(key)
    const before: PartialDatagram = known ?? { startedAt: now, pieces: [], total: undefined, first: undefined }
    const outcome = addFragment(before, fragment)
    const full = known === undefined && 'partial' in outcome && this.#partials.size >= REASSEMBLY_SLOTS
    if ('partial' in outcome) {
      const { partial } = outcome
      return {
        result: { type: 'kept' },
        evicted: full ? 1 : 0,
        apply: () => {
          if (full) this.#partials.delete(this.#partials.keys().next().value!)
          this.#partials.set(key, partial)
        },
      }
    }
    return { result: outcome, evicted: 0, apply: () => this.#partials.delete(key) }
  }
}

function fragmentKey(fragment: IpPacket): string {
  const protocol = fragment.version === 4 ? fragment.protocol : ''
  return `${fragment.source.join('.')} ${fragment.destination.join('.')} ${fragment.fragment!.id} ${protocol}`
}

function addFragment(before: PartialDatagram, packet: IpPacket): { partial: PartialDatagram } | ReassemblyResult {
  const { offset, more } = packet.fragment!
  const data = packet.bytes.slice(packet.fragment!.dataAt)
  const end = offset + data.length
  if (data.length === 0 || (more && data.length % 8 !== 0)) return { type: 'dropped', reason: DROP_BAD_HEADER }
  const piece: Piece = { start: offset, end, data, tos: packet.tos }
  if (before.pieces.some((other) => other.start < end && offset < other.end)) return overlap
  const total = more ? before.total : end
  if (contradicts(before, end, total)) return overlap
  if (before.pieces.length >= REASSEMBLY_MAX_FRAGMENTS) return limit
  const first = offset === 0 ? copyOf(packet) : before.first
  const partial: PartialDatagram = { startedAt: before.startedAt, pieces: [...before.pieces, piece], total, first }
  return isComplete(partial) ? assemble(partial) : { partial }
}

const overlap: ReassemblyResult = { type: 'dropped', reason: DROP_FRAGMENT_OVERLAP }
const limit: ReassemblyResult = { type: 'dropped', reason: DROP_FRAGMENT_LIMIT }

/** Two last fragments with different ends, or data beyond the end. */
function contradicts(before: PartialDatagram, end: number, total: number | undefined): boolean {
  if (before.total !== undefined && total !== before.total) return true
  return total !== undefined && (end > total || before.pieces.some((piece) => piece.end > total))
}

function copyOf(packet: IpPacket): IpPacket {
  return { ...packet, bytes: packet.bytes.slice() }
}

/** Without overlaps, the pieces are all there when their lengths add up. */
function isComplete(partial: PartialDatagram): boolean {
  const have = partial.pieces.reduce((sum, piece) => sum + piece.data.length, 0)
  return partial.first !== undefined && have === partial.total
}

function assemble(partial: PartialDatagram): ReassemblyResult {
  const first = partial.first!
  const ecn = reassembledEcn(
    ecnOf(first.tos),
    partial.pieces.map((piece) => ecnOf(piece.tos)),
  )
  if (ecn === undefined) return { type: 'dropped', reason: DROP_ECN }
  const sorted = [...partial.pieces].sort((a, b) => a.start - b.start).map((piece) => piece.data)
  const datagram = first.version === 4 ? assembleIpv4(first, sorted) : assembleIpv6(first, sorted)
  if (datagram === undefined) return limit
  writeTos(datagram.bytes, (first.tos & 0xfc) | ecn)
  return { type: 'complete', datagram }
}

function assembleIpv4(first: IpPacket, data: readonly Uint8Array[]): Datagram | undefined {
  const bytes = concat(first.bytes.subarray(0, first.fragment!.dataAt), ...data)
  if (bytes.length > REASSEMBLY_MAX_BYTES) return undefined
  setU16(bytes, 2, bytes.length)
  setU16(bytes, 6, 0)
  writeIpv4Checksum(bytes)
  return { bytes, place: undefined }
}

function assembleIpv6(first: IpPacket, data: readonly Uint8Array[]): Datagram | undefined {
  const { headerAt, nextHeaderAt, id } = first.fragment!
  const bytes = concat(first.bytes.subarray(0, headerAt), ...data)
  if (bytes.length > REASSEMBLY_MAX_BYTES) return undefined
  bytes[nextHeaderAt] = first.bytes[headerAt]!
  setU16(bytes, 4, bytes.length - IPV6_HEADER)
  return { bytes, place: { id, headerAt, nextHeaderAt } }
}
