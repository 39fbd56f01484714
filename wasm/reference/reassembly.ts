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
import { concat, getU16, setU16 } from './bytes.ts'
import { ecnOf, reassembledEcn } from './ecn.ts'
import type { Ipv6FragmentPlace } from './fragment.ts'
import { IPV4_RESERVED, IPV6_HEADER, type IpPacket, writeTos } from './ip.ts'

export interface Datagram {
  readonly bytes: Uint8Array
  /** IPv6: where the fragment header stood, to put it back. */
  readonly place: Ipv6FragmentPlace | undefined
  /** Bytes of the longest fragment, were it with the headers of the first. */
  readonly longest: number
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

/** Immutable: a fragment makes a new one, so that a step can be tried and not taken. */
interface Collecting {
  readonly startedAt: number
  readonly pieces: readonly Piece[]
  /** Length of all the data, once the last fragment is here. */
  readonly total: number | undefined
  /** The fragment with offset 0: its headers become the datagram's. */
  readonly first: IpPacket | undefined
}

/** A datagram given up; what still comes of it is refused until its time is over. */
interface Refused {
  readonly startedAt: number
  readonly refused: true
}

/** What a fragment would do to the table; nothing has happened until `apply`. */
export interface ReassemblyStep {
  readonly result: ReassemblyResult
  /** Other datagrams that are given up for this one. */
  readonly evicted: number
  apply(): void
}

/** Headers in front of the data that are kept at most, in bytes. */
const MAX_HEADERS = 512

export class Reassembly {
  /** In order of arrival of each datagram's first seen fragment. */
  readonly #datagrams = new Map<string, Collecting | Refused>()

  /** Forgets what is older than REASSEMBLY_TIMEOUT_MS; returns how many incomplete datagrams that were. */
  expire(now: number): number {
    let expired = 0
    for (const [key, datagram] of this.#datagrams) {
      if (now - datagram.startedAt < REASSEMBLY_TIMEOUT_MS) continue
      this.#datagrams.delete(key)
      if (!('refused' in datagram)) expired++
    }
    return expired
  }

  /** Takes a copy of the fragment. `scope` keeps tunnels and directions apart. */
  offer(fragment: IpPacket, scope: string, now: number): ReassemblyStep {
    if (!validSize(fragment)) return this.#step({ type: 'dropped', reason: DROP_BAD_HEADER }, () => {})
    const key = `${scope} ${fragmentKey(fragment)}`
    const known = this.#datagrams.get(key)
    if (known !== undefined && 'refused' in known) return this.#step(overlap, () => {})
    const outcome = addFragment(known ?? nothingYet(now), fragment)
    const keep = (datagram: Collecting | Refused) => () => this.#datagrams.set(key, datagram)
    if (outcome.type === 'dropped') {
      return this.#step(outcome, keep({ startedAt: known?.startedAt ?? now, refused: true }), known === undefined)
    }
    if (outcome.type === 'complete') return this.#step(outcome, () => this.#datagrams.delete(key))
    return this.#step({ type: 'kept' }, keep(outcome.datagram), known === undefined)
  }

  /** Where the table is full, the oldest makes room for a new entry. */
  #step(result: ReassemblyResult, change: () => void, grows = false): ReassemblyStep {
    const full = grows && this.#datagrams.size >= REASSEMBLY_SLOTS
    const oldest = full ? this.#datagrams.entries().next().value : undefined
    const apply = () => {
      if (oldest !== undefined) this.#datagrams.delete(oldest[0])
      change()
    }
    return { result, evicted: oldest !== undefined && !('refused' in oldest[1]) ? 1 : 0, apply }
  }
}

/** Every fragment carries something, and all but the last a multiple of 8 bytes. */
function validSize(packet: IpPacket): boolean {
  const length = packet.bytes.length - packet.fragment!.dataAt
  return length > 0 && (!packet.fragment!.more || length % 8 === 0)
}

/** RFC 791 tells datagrams apart by protocol too, RFC 8200 does not. */
function fragmentKey(packet: IpPacket): string {
  const protocol = packet.version === 4 ? packet.protocol : ''
  return `${packet.source.join('.')} ${packet.destination.join('.')} ${packet.fragment!.id} ${protocol}`
}

function nothingYet(now: number): Collecting {
  return { startedAt: now, pieces: [], total: undefined, first: undefined }
}

type Added = { readonly type: 'kept'; readonly datagram: Collecting } | Exclude<ReassemblyResult, { type: 'kept' }>

function addFragment(before: Collecting, packet: IpPacket): Added {
  const { offset, more, dataAt } = packet.fragment!
  const data = packet.bytes.slice(dataAt)
  const piece: Piece = { start: offset, end: offset + data.length, data, tos: packet.tos }
  const total = more ? before.total : piece.end
  const first = offset === 0 ? { ...packet, bytes: packet.bytes.slice() } : before.first
  const after: Collecting = { startedAt: before.startedAt, pieces: [...before.pieces, piece], total, first }
  if (after.pieces.length > REASSEMBLY_MAX_FRAGMENTS) return limit
  if (contradicts(before, piece, more)) return overlap
  if (tooLarge(after)) return limit
  return isComplete(after) ? assemble(after) : { type: 'kept', datagram: after }
}

const overlap = { type: 'dropped', reason: DROP_FRAGMENT_OVERLAP } as const
const limit = { type: 'dropped', reason: DROP_FRAGMENT_LIMIT } as const

/** Bytes that were there before, a second end, or data behind the end. */
function contradicts(before: Collecting, piece: Piece, more: boolean): boolean {
  if (before.pieces.some((other) => other.start < piece.end && piece.start < other.end)) return true
  if (before.total !== undefined && (!more || piece.end > before.total)) return true
  return !more && before.pieces.some((other) => other.end > piece.end)
}

function tooLarge(datagram: Collecting): boolean {
  const headers = datagram.first === undefined ? 0 : headerLength(datagram.first)
  const furthest = Math.max(...datagram.pieces.map((piece) => piece.end))
  return headers > MAX_HEADERS || headers + furthest > REASSEMBLY_MAX_BYTES
}

/** Of the headers that the whole datagram has: for IPv6 those before the fragment header. */
function headerLength(first: IpPacket): number {
  return first.version === 4 ? first.fragment!.dataAt : first.fragment!.headerAt
}

/** Without overlaps, the pieces are all there when their lengths add up. */
function isComplete(datagram: Collecting): boolean {
  return datagram.pieces.reduce((sum, piece) => sum + piece.data.length, 0) === datagram.total
}

function assemble(datagram: Collecting): Exclude<ReassemblyResult, { type: 'kept' }> {
  const first = datagram.first!
  const marks = datagram.pieces.map((piece) => ecnOf(piece.tos))
  const ecn = reassembledEcn(ecnOf(first.tos), marks)
  if (ecn === undefined) return { type: 'dropped', reason: DROP_ECN }
  const data = [...datagram.pieces].sort((a, b) => a.start - b.start).map((piece) => piece.data)
  const bytes = concat(first.bytes.subarray(0, headerLength(first)), ...data)
  const place = first.version === 4 ? undefined : first.fragment!
  if (place === undefined) {
    setU16(bytes, 2, bytes.length)
    // DF goes too: the source has seen to fragments that fit, and the whole may have to be cut again.
    setU16(bytes, 6, getU16(bytes, 6) & IPV4_RESERVED)
  } else {
    setU16(bytes, 4, bytes.length - IPV6_HEADER)
    bytes[place.nextHeaderAt] = first.bytes[place.headerAt]!
  }
  writeTos(bytes, (first.tos & 0xfc) | ecn)
  const longest = Math.max(...data.map((piece) => piece.length)) + headerLength(first) + (place === undefined ? 0 : 8)
  return { type: 'complete', datagram: { bytes, place, longest } }
}
