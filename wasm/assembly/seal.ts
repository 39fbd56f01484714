/** LAN to wire: route, choose the SA, make the packet fit, seal. A packet is consumed whole or not at all. */
import {
  BATCH,
  DROP_HARD_LIMIT,
  DROP_OUTBOX_FULL,
  DROP_OVERSIZED,
  DROP_TOO_BIG,
  EVENT_HARD_LIMIT,
  EVENT_SOFT_LIMIT,
  MAX_INNER,
  MAX_TUNNELS,
  OUTBOX,
  SLOT_BYTES,
} from '../abi'
import { clearJobs } from './aead-jobs'
import { FRAGMENT_SCRATCH, LAN_RX, LAN_RX_HAND_OVER, LAN_RX_LENGTH, LAN_RX_VIA } from './arena'
import { beginChoice, choose, chosen, clearHandedTo, handedTo, isInbox, refuseUnrouted } from './choose'
import { countDrop, countSaDrop } from './counters'
import { outerTos } from './ecn'
import { finishSeal, NEXT_IPV4, NEXT_IPV6, sealEsp } from './esp'
import { raise } from './events'
import { fetchRoute, isFarTable, lookup } from './fib'
import { cutIpv4, cutIpv6, pieceCapacity } from './fragment'
import { answerTooBig } from './icmp'
import { IP_OK, PACKET, load16, parsePacket, readTos } from './ip'
import { clampMss } from './mss'
import { emptyOutboxes, lanRoom, wireRoom } from './outbox'
import {
  FRAGMENT_COMPLETES,
  FRAGMENT_KEPT,
  current,
  expireReassembly,
  giveBackFragment,
  release,
  takeFragment,
  wholeLength,
  wholeStart,
} from './reassembly'
import { Sa } from './sa'
import { sealOnward } from './transit'
import { innerMtuOf } from './tunnel'

const DONT_FRAGMENT: u32 = 0x4000
const IPV6_MIN_MTU: u32 = 1280
/** Of fragments from the LAN; other scopes are tunnel numbers. */
const OUTBOUND_SCOPE: u32 = 0x80000000
const LAST_SEQUENCE: u64 = 0xffffffff

let now: f64 = 0

/** At the start of every batch call of this direction. */
export function beginSeal(time: f64, handedOver: bool): void {
  now = time
  beginChoice(time, handedOver)
  emptyOutboxes()
  expireReassembly(time)
}

/** Returns how many packets were consumed. */
export function sealSlots(first: u32, count: u32, time: f64, handedOver: bool): u32 {
  beginSeal(time, handedOver)
  if (first >= <u32>BATCH) return 0
  const todo = min<u32>(count, BATCH - first)
  if (isFarTable()) for (let i = first; i < first + todo; i++) fetchRoute(LAN_RX + i * SLOT_BYTES)
  clearJobs()
  let done: u32 = 0
  for (; done < todo; done++) {
    const slot = first + done
    clearHandedTo()
    if (!sealSlot(LAN_RX + slot * SLOT_BYTES, LAN_RX_LENGTH + (slot << 2), LAN_RX_VIA + (slot << 2))) break
    store<u8>(LAN_RX_HAND_OVER + slot, <u8>handedTo)
  }
  finishSeal()
  return done
}

/** `via` counts for what another worker has handed over. */
function sealSlot(start: usize, length: usize, via: usize): bool {
  if (isInbox() && load<u32>(via) - 1 < <u32>MAX_TUNNELS) return sealOnward(start, length, via, false, now)
  return sealPacket(start, load<u32>(length), true)
}

/**
 * Returns false when the packet has to wait for an emptier outbox; so do all of these. With `mayHandOver` it lies in a
 * slot as it came.
 */
export function sealPacket(start: usize, captured: u32, mayHandOver: bool): bool {
  if (captured > <u32>MAX_INNER) return drop(DROP_OVERSIZED)
  const fault = parsePacket(start, captured)
  if (fault != IP_OK) return drop(fault)
  const group = lookup(PACKET.version, PACKET.destinationHigh, PACKET.destinationLow)
  if (group < 0) {
    refuseUnrouted()
    return true
  }
  const sa = choose(group, PACKET.fragment, mayHandOver)
  if (sa == null) return true
  return PACKET.fragment && sa.readsPorts ? collect(sa, group) : send(sa, false)
}

function drop(reason: i32): bool {
  countDrop(reason)
  return true
}

function dropOf(sa: Sa, reason: i32): bool {
  countSaDrop(sa, reason)
  return true
}

/** Keeps a fragment until its datagram is whole, and then starts over with that. */
function collect(candidate: Sa, group: u32): bool {
  const outcome = takeFragment(OUTBOUND_SCOPE, now)
  if (outcome == FRAGMENT_KEPT) return true
  if (outcome != FRAGMENT_COMPLETES) return dropOf(candidate, outcome)
  const record = current
  const fault = parsePacket(wholeStart(record), wholeLength(record))
  let consumed = true
  if (fault != IP_OK) countDrop(fault)
  else {
    const sa = choose(group, false, false)
    if (sa != null) consumed = send(sa, true)
  }
  if (consumed) release(record)
  else giveBackFragment()
  return consumed
}

/** Seals the parsed packet. Of IPv6 only a `reassembled` one may be cut. */
function send(sa: Sa, reassembled: bool): bool {
  const tunnel = chosen
  const mtu = innerMtuOf(sa, tunnel)
  if (tunnel.clampMss) clampMss(mtu)
  const length = PACKET.length
  const v4 = PACKET.version == 4
  const tos = outerTos(readTos(PACKET.start), tunnel.copyDscp)
  // An IPv6 path carries 1280 bytes (RFC 8200 section 5): on a narrower one the outer packet is fragmented instead.
  const limit = v4 ? mtu : max<u32>(mtu, IPV6_MIN_MTU)
  if (length <= limit) {
    const admitted = admit(sa, 1)
    if (admitted > 0) emit(sa, PACKET.start, length, tos)
    return admitted != 0
  }
  if (v4 ? (load16(PACKET.start + 6) & DONT_FRAGMENT) != 0 : !reassembled) {
    if (lanRoom() == 0) return false
    answerTooBig(limit, now)
    return dropOf(sa, DROP_TOO_BIG)
  }
  return v4 ? sendIpv4Pieces(sa, limit, tos) : sendIpv6Pieces(sa, limit, tos)
}

function sendIpv4Pieces(sa: Sa, mtu: u32, tos: u32): bool {
  const start = PACKET.start
  const header = PACKET.headerLength
  const data = PACKET.length - header
  const capacity = pieceCapacity(mtu, header)
  const admitted = admit(sa, (data + capacity - 1) / capacity)
  if (admitted <= 0) return admitted != 0
  for (let from: u32 = 0; from < data; from += capacity) {
    const size = min<u32>(capacity, data - from)
    emit(sa, FRAGMENT_SCRATCH, cutIpv4(start, header, from, size, from + size == data), tos)
  }
  return true
}

function sendIpv6Pieces(sa: Sa, mtu: u32, tos: u32): bool {
  const record = current
  const start = PACKET.start
  const header = record.headerLength
  const data = PACKET.length - header
  const capacity = pieceCapacity(mtu, header + 8)
  const admitted = admit(sa, (data + capacity - 1) / capacity)
  if (admitted <= 0) return admitted != 0
  for (let from: u32 = 0; from < data; from += capacity) {
    const size = min<u32>(capacity, data - from)
    const last = from + size == data
    emit(sa, FRAGMENT_SCRATCH, cutIpv6(start, header, record.pointer, record.identification, from, size, last), tos)
  }
  return true
}

/** 1 when `packets` may go, 0 when they have to wait for room, -1 when they are dropped and counted. */
export function admit(sa: Sa, packets: u32): i32 {
  if (packets > <u32>OUTBOX) {
    countSaDrop(sa, DROP_OUTBOX_FULL)
    return -1
  }
  if (packets > wireRoom()) return 0
  const lastSequence = sa.esn ? u64.MAX_VALUE : LAST_SEQUENCE
  if (lastSequence - sa.sequence < <u64>packets || <f64>sa.packets + <f64>packets > sa.hardPackets) {
    stop(sa)
    countSaDrop(sa, DROP_HARD_LIMIT)
    return -1
  }
  return 1
}

export function emit(sa: Sa, inner: usize, length: u32, tos: u32): void {
  sealEsp(sa, inner, length, PACKET.version == 4 ? NEXT_IPV4 : NEXT_IPV6, tos)
  countSealed(sa, length)
}

/** Counts a packet that was sealed, and raises and does what its limits ask for. */
export function countSealed(sa: Sa, length: u32): void {
  sa.packets++
  sa.bytes += length
  sa.lastAt = now
  const packets = <f64>sa.packets
  const bytes = <f64>sa.bytes
  if (!sa.softRaised && (packets >= sa.softPackets || bytes >= sa.softBytes)) {
    sa.softRaised = true
    raise(EVENT_SOFT_LIMIT, sa.handle)
  }
  if (packets >= sa.hardPackets || bytes >= sa.hardBytes) stop(sa)
  else if (sa.sequence == (sa.esn ? u64.MAX_VALUE : LAST_SEQUENCE)) stop(sa)
}

function stop(sa: Sa): void {
  if (sa.stopped) return
  sa.stopped = true
  raise(EVENT_HARD_LIMIT, sa.handle)
}
