/**
 * Reassembly for selectors that ask for ports (RFC 4301 section 7), in a fixed number of buffers.
 * A datagram with overlapping fragments, exact duplicates included, is given up, and so is what
 * still comes of it until its time is over (RFC 5722, RFC 8900 section 3.7).
 */
import {
  DROP_BAD_HEADER,
  DROP_ECN,
  DROP_FRAGMENT_LIMIT,
  DROP_FRAGMENT_OVERLAP,
  DROP_FRAGMENT_TIMEOUT,
  REASSEMBLY_MAX_BYTES,
  REASSEMBLY_MAX_FRAGMENTS,
  REASSEMBLY_SLOTS,
  REASSEMBLY_TIMEOUT_MS,
} from '../abi'
import { REASSEMBLY_BUFFERS, REASSEMBLY_HEADROOM, REASSEMBLY_RECORD_STRIDE, REASSEMBLY_RECORDS, REASSEMBLY_STRIDE } from './arena'
import { countDrop } from './counters'
import { setEcn } from './ecn'
import { PACKET, load16, readTos, setIpv4Checksum, store16 } from './ip'

const FREE: u32 = 0
const COLLECTING: u32 = 1
/** Given up; remembered so that later fragments of it are refused. */
const REFUSED: u32 = 2
/** Complete, and in use until the next batch call. */
const WHOLE: u32 = 3

const NO_TOTAL: u32 = 0xffffffff
const FRAGMENT_HEADER: u32 = 8

export const FRAGMENT_KEPT: i32 = -1
export const FRAGMENT_COMPLETES: i32 = -2

@unmanaged
export class Reassembly {
  state: u32
  /** Direction, and inbound the tunnel: fragments of different tunnels never meet. */
  scope: u32
  version: u32
  protocol: u32
  identification: u32
  headerLength: u32
  /** Data bytes of the whole datagram, once its last fragment came. */
  total: u32
  received: u32
  count: u32
  /** One bit for each ECN codepoint seen (RFC 3168 section 5.3). */
  ecnSeen: u32
  /** IPv6: the octet that announced the fragment header, and what was behind that. */
  pointer: u32
  nextHeader: u32
  /** Data bytes of the longest fragment. */
  longest: u32
  sourceHigh: u64
  sourceLow: u64
  destinationHigh: u64
  destinationLow: u64
  startedAt: f64
  /** Tells the older of two that started within one batch. */
  order: u64
  // Then REASSEMBLY_MAX_FRAGMENTS pairs of u32: first data byte, and the one behind the last.
}

if (offsetof<Reassembly>() + REASSEMBLY_MAX_FRAGMENTS * 8 > REASSEMBLY_RECORD_STRIDE) ERROR('record too long')

// @ts-ignore: decorator
@inline
function recordAt(index: u32): Reassembly {
  return changetype<Reassembly>(REASSEMBLY_RECORDS + index * REASSEMBLY_RECORD_STRIDE)
}

// @ts-ignore: decorator
@inline
function rangeAt(record: Reassembly, position: u32): usize {
  return changetype<usize>(record) + offsetof<Reassembly>() + (position << 3)
}

function dataOf(record: Reassembly): usize {
  const index = (changetype<usize>(record) - REASSEMBLY_RECORDS) / REASSEMBLY_RECORD_STRIDE
  return REASSEMBLY_BUFFERS + index * REASSEMBLY_STRIDE + REASSEMBLY_HEADROOM
}

let inUse: u32 = 0
let started: u64 = 0

/** The record that the last `takeFragment` put its fragment into, and how it was before. */
export let current: Reassembly = recordAt(0)
let totalBefore: u32 = 0
let headerBefore: u32 = 0
let addedBytes: u32 = 0

/** Frees what is over: at the start of every batch call. */
export function expireReassembly(now: f64): void {
  if (inUse == 0) return
  for (let i: u32 = 0; i < <u32>REASSEMBLY_SLOTS; i++) {
    const record = recordAt(i)
    if (record.state == FREE) continue
    if (record.state == WHOLE) release(record)
    else if (now - record.startedAt >= REASSEMBLY_TIMEOUT_MS) {
      if (record.state == COLLECTING) countDrop(DROP_FRAGMENT_TIMEOUT)
      release(record)
    }
  }
}

export function release(record: Reassembly): void {
  record.state = FREE
  inUse--
}

/** Undoes the last `takeFragment`, for a datagram whose output has no room at present. */
export function giveBackFragment(): void {
  current.state = COLLECTING
  current.total = totalBefore
  current.headerLength = headerBefore
  current.count--
  current.received -= addedBytes
}

/**
 * Takes the parsed packet, a fragment. Returns FRAGMENT_KEPT, FRAGMENT_COMPLETES (the datagram is at
 * `wholeStart(current)`), or a DROP_ reason.
 */
export function takeFragment(scope: u32, now: f64): i32 {
  const version6 = PACKET.version == 6
  // Behind the fragment header, not the transport header: a first fragment may have more extension headers.
  const skipped = version6 ? PACKET.fragmentHeader + FRAGMENT_HEADER : PACKET.headerLength
  const size = PACKET.length - skipped
  if (size == 0 || (PACKET.moreFragments && (size & 7) != 0)) return DROP_BAD_HEADER
  let record = find(scope)
  if (record == null) {
    record = claim(scope, now)
    if (record == null) return DROP_FRAGMENT_LIMIT
  }
  if (record.state == REFUSED) return DROP_FRAGMENT_OVERLAP
  const fault = fits(record, PACKET.fragmentOffset, size)
  if (fault >= 0) {
    record.state = REFUSED
    return fault
  }
  current = record
  totalBefore = record.total
  headerBefore = record.headerLength
  addedBytes = size
  if (PACKET.fragmentOffset == 0) takeHeader(record, version6)
  memory.copy(dataOf(record) + PACKET.fragmentOffset, PACKET.start + skipped, size)
  store<u32>(rangeAt(record, record.count), PACKET.fragmentOffset)
  store<u32>(rangeAt(record, record.count), PACKET.fragmentOffset + size, 4)
  record.count++
  record.received += size
  record.longest = max<u32>(record.longest, size)
  record.ecnSeen |= 1 << (readTos(PACKET.start) & 3)
  if (!PACKET.moreFragments) record.total = PACKET.fragmentOffset + size
  return record.received == record.total ? finish(record) : FRAGMENT_KEPT
}

function find(scope: u32): Reassembly | null {
  if (inUse == 0) return null
  for (let i: u32 = 0; i < <u32>REASSEMBLY_SLOTS; i++) {
    const record = recordAt(i)
    if (record.state != COLLECTING && record.state != REFUSED) continue
    if (record.identification != PACKET.identification || record.scope != scope) continue
    if (record.version != PACKET.version) continue
    // RFC 791 tells datagrams apart by protocol too, RFC 8200 does not.
    if (PACKET.version == 4 && record.protocol != PACKET.protocol) continue
    if (record.sourceHigh != PACKET.sourceHigh || record.sourceLow != PACKET.sourceLow) continue
    if (record.destinationHigh != PACKET.destinationHigh || record.destinationLow != PACKET.destinationLow) continue
    return record
  }
  return null
}

/** A free record, or that of the oldest datagram, which is lost. */
function claim(scope: u32, now: f64): Reassembly | null {
  let chosen: Reassembly | null = null
  for (let i: u32 = 0; i < <u32>REASSEMBLY_SLOTS; i++) {
    const record = recordAt(i)
    if (record.state == WHOLE) continue
    if (record.state == FREE) {
      chosen = record
      break
    }
    if (chosen == null || record.order < chosen.order) chosen = record
  }
  if (chosen == null) return null
  if (chosen.state == COLLECTING) countDrop(DROP_FRAGMENT_LIMIT)
  if (chosen.state == FREE) inUse++
  memory.fill(changetype<usize>(chosen), 0, REASSEMBLY_RECORD_STRIDE)
  chosen.state = COLLECTING
  chosen.scope = scope
  chosen.version = PACKET.version
  chosen.protocol = PACKET.protocol
  chosen.identification = PACKET.identification
  chosen.total = NO_TOTAL
  chosen.sourceHigh = PACKET.sourceHigh
  chosen.sourceLow = PACKET.sourceLow
  chosen.destinationHigh = PACKET.destinationHigh
  chosen.destinationLow = PACKET.destinationLow
  chosen.startedAt = now
  chosen.order = started++
  return chosen
}

/** -1, or why the datagram is given up. */
function fits(record: Reassembly, from: u32, size: u32): i32 {
  if (record.count == <u32>REASSEMBLY_MAX_FRAGMENTS) return DROP_FRAGMENT_LIMIT
  const end = from + size
  if (record.total != NO_TOTAL && (end > record.total || !PACKET.moreFragments)) return DROP_FRAGMENT_OVERLAP
  let furthest = end
  for (let i: u32 = 0; i < record.count; i++) {
    const otherEnd = load<u32>(rangeAt(record, i), 4)
    if (from < otherEnd && load<u32>(rangeAt(record, i)) < end) return DROP_FRAGMENT_OVERLAP
    furthest = max<u32>(furthest, otherEnd)
  }
  if (!PACKET.moreFragments && furthest > end) return DROP_FRAGMENT_OVERLAP
  let header = record.headerLength
  if (from == 0) {
    header = PACKET.version == 4 ? PACKET.headerLength : PACKET.fragmentHeader
    if (header > REASSEMBLY_HEADROOM) return DROP_FRAGMENT_LIMIT
  }
  return header + furthest > <u32>REASSEMBLY_MAX_BYTES ? DROP_FRAGMENT_LIMIT : -1
}

/** Keeps the header of the first fragment: for IPv6 the part before the fragment header. */
function takeHeader(record: Reassembly, version6: bool): void {
  record.headerLength = version6 ? PACKET.fragmentHeader : PACKET.headerLength
  if (version6) {
    record.pointer = PACKET.fragmentPointer
    record.nextHeader = load<u8>(PACKET.start + PACKET.fragmentHeader)
  }
  memory.copy(dataOf(record) - record.headerLength, PACKET.start, record.headerLength)
}

function finish(record: Reassembly): i32 {
  const start = wholeStart(record)
  const marked = (record.ecnSeen & 8) != 0
  if (marked && (record.ecnSeen & 1) != 0) {
    record.state = REFUSED
    return DROP_ECN
  }
  if (record.version == 4) {
    store16(start + 2, wholeLength(record))
    // DF goes too: the source saw to fragments that fit, and the whole may have to be cut again.
    store16(start + 6, load16(start + 6) & 0x8000)
    setIpv4Checksum(start, record.headerLength)
  } else {
    store16(start + 4, wholeLength(record) - 40)
    store<u8>(start + record.pointer, <u8>record.nextHeader)
  }
  if (marked) setEcn(start, 3)
  record.state = WHOLE
  return FRAGMENT_COMPLETES
}

export function wholeStart(record: Reassembly): usize {
  return dataOf(record) - record.headerLength
}

export function wholeLength(record: Reassembly): u32 {
  return record.headerLength + record.total
}
