/**
 * Wire to LAN (RFC 4303 section 3.4): demultiplex, SA by SPI, window check, verify and decrypt,
 * window commit, trailer, inner packet, selectors, ECN. The AEAD comes first for the whole batch; all else goes
 * packet by packet. No plaintext leaves before its tag verified.
 */
import {
  DROP_AUTH_FAILED,
  DROP_BAD_INNER,
  DROP_BAD_NEXT_HEADER,
  DROP_ECN,
  DROP_OUTBOX_FULL,
  DROP_OVERSIZED,
  DROP_REVERSE_PATH,
  DROP_SELECTOR_IN,
  DROP_TRUNCATED,
  DROP_TTL_EXCEEDED,
  DROP_UNKNOWN_SPI,
  EVENT_FIRST_PACKET,
  EVENT_PEER_MOVED,
  MAX_OUTER,
  NAME_STRIDE,
  OUTBOX,
  REVERSE_PATH_OFF,
  SLOT_BYTES,
  VERDICT_CONSUMED,
  VERDICT_DELIVERED,
  VERDICT_DROPPED,
  VERDICT_ELSEWHERE,
  VERDICT_IKE,
  VERDICT_KEEPALIVE,
  VERDICT_TRANSIT,
  DROP_BAD_HEADER,
} from '../abi'
import { aeadOpenBatch } from './aead-batch'
import { clearJobs, jobAt, jobCount } from './aead-jobs'
import {
  FRAGMENT_SCRATCH,
  WIRE_RX,
  WIRE_RX_ELSEWHERE,
  WIRE_RX_LENGTH,
  WIRE_RX_NAMES,
  WIRE_RX_TOS,
  WIRE_RX_VERDICT,
} from './arena'
import { closeFlow, deliverLan, emptyCoalescer, finishCoalescing } from './coalesce'
import { countDrop, countSaDrop } from './counters'
import { decapsulateEcn } from './ecn'
import {
  ESP_MIN,
  ESP_OK,
  NEXT_IPV4,
  NEXT_IPV6,
  NEXT_NONE,
  openedLength,
  openedNextHeader,
  openedText,
  queueOpen,
  stripTrailer,
} from './esp'
import { addressHigh, addressLow, familyOf, raise, raiseFrom, raiseUnknownSpi } from './events'
import { fetchRoute, isFarTable } from './fib'
import { IP_OK, PACKET, parsePacket } from './ip'
import { clampMss } from './mss'
import { cutIpv4, cutIpv6 } from './fragment'
import { emptyOutboxes, lanRoom, lanSlot, pushLan } from './outbox'
import { takesInbound } from './policy'
import { forgetProbes, isProbe, listProbe } from './probe'
import {
  FRAGMENT_COMPLETES,
  FRAGMENT_KEPT,
  current,
  expireReassembly,
  takeFragment,
  wholeLength,
  wholeStart,
} from './reassembly'
import { SEQUENCE_OK, checkWindow, commitWindow, inferSequence } from './replay'
import { layOutStream } from './key-stream'
import { Sa, saAt } from './sa'
import { isElsewhere, spiLookup, workerOf } from './spi-table'
import { comesBack } from './reverse-path'
import { emptyTransit, goesOn, pushTransit, takeHop, transitRoom, transitSlot } from './transit'
import { ESP_OVERHEAD, innerMtuOf, looksUp, tunnelAt, tunnelSa } from './tunnel'

const KEEPALIVE: u32 = 0xff
const NON_ESP_MARKER: u32 = 4
const IKE_HEADER: u32 = 28

/** For each slot of the batch the number of its job plus 1, or 0. */
const JOB_OF: usize = memory.data(OUTBOX, 16)

let now: f64 = 0
let udp: bool = false
/** Of the batch call under way: its datagrams, and whether they wait for their key stream. */
let datagrams: u32 = 0
let opening: bool = false

export function openSlots(count: u32, encapsulatedInUdp: bool, time: f64): void {
  now = time
  udp = encapsulatedInUdp
  emptyOutboxes()
  emptyCoalescer()
  forgetProbes()
  emptyTransit()
  expireReassembly(time)
  const todo = min<u32>(count, OUTBOX)
  clearJobs()
  for (let i: u32 = 0; i < todo; i++) store<u8>(JOB_OF + i, queueDatagram(i))
  datagrams = todo
  opening = true
  if (!layOutStream(jobCount())) completeOpen()
}

/** There is anything where a packet did not verify. */
function fetchRoutes(): void {
  for (let i: u32 = 0; i < datagrams; i++) if (load<u8>(JOB_OF + i) != 0) fetchRoute(openedText(WIRE_RX + i * SLOT_BYTES))
}

/** The rest of `openSlots`, when the host has made the key stream. Does nothing where that is done. */
export function completeOpen(): void {
  if (!opening) return
  opening = false
  aeadOpenBatch(0, jobCount())
  if (looksUp && isFarTable()) fetchRoutes()
  for (let i: u32 = 0; i < datagrams; i++) store<u8>(WIRE_RX_VERDICT + i, <u8>openDatagram(i))
  finishCoalescing()
}

/**
 * Queues an ESP packet that looks as if it would pass the window. Counts nothing: packets are judged one after the
 * other in `openDatagram`, where those before it have moved the window. Returns the job's number plus 1, or 0.
 */
function queueDatagram(slot: u32): u8 {
  const start = WIRE_RX + slot * SLOT_BYTES
  const length = load<u32>(WIRE_RX_LENGTH + (slot << 2))
  if (length > <u32>MAX_OUTER || length < ESP_MIN) return 0
  const spi = bswap<u32>(load<u32>(start))
  if (udp && spi == 0) return 0
  const index = spiLookup(spi)
  if (index < 0) return 0
  const sa = saAt(index)
  const sequence = inferSequence(sa, bswap<u32>(load<u32>(start, 4)))
  if (checkWindow(sa, sequence) != SEQUENCE_OK) return 0
  queueOpen(sa, start, length, sequence)
  return <u8>jobCount()
}

/** Whether the packet is authentic as number `sequence`; if so, it has been decrypted. */
function isAuthentic(sa: Sa, slot: u32, start: usize, length: u32, sequence: u64): bool {
  const number: u32 = load<u8>(JOB_OF + slot)
  if (number != 0) {
    const job = jobAt(number - 1)
    // What is authentic under one number is not under another.
    if (job.verified || job.sequence == sequence) return job.verified && job.sequence == sequence
  }
  // A packet before it has moved the window so far that its number reads differently.
  const spare = jobCount()
  queueOpen(sa, start, length, sequence)
  aeadOpenBatch(spare, spare + 1)
  return jobAt(spare).verified
}

function openDatagram(slot: u32): u32 {
  const start = WIRE_RX + slot * SLOT_BYTES
  const length = load<u32>(WIRE_RX_LENGTH + (slot << 2))
  if (length > <u32>MAX_OUTER) return drop(DROP_OVERSIZED)
  if (udp) {
    if (length == 1 && load<u8>(start) == KEEPALIVE) return VERDICT_KEEPALIVE
    if (length < NON_ESP_MARKER) return drop(DROP_TRUNCATED)
    if (load<u32>(start) == 0) return length < NON_ESP_MARKER + IKE_HEADER ? drop(DROP_TRUNCATED) : VERDICT_IKE
  }
  if (length < ESP_MIN) return drop(DROP_TRUNCATED)
  const spi = bswap<u32>(load<u32>(start))
  const index = spiLookup(spi)
  const name = WIRE_RX_NAMES + slot * NAME_STRIDE
  if (index < 0) {
    if (isElsewhere(spi)) {
      store<u8>(WIRE_RX_ELSEWHERE + slot, <u8>workerOf(spi))
      return VERDICT_ELSEWHERE
    }
    raiseUnknownSpi(spi, name, now)
    return drop(DROP_UNKNOWN_SPI)
  }
  return openPacket(saAt(index), slot, start, length)
}

function drop(reason: i32): u32 {
  countDrop(reason)
  return VERDICT_DROPPED
}

function dropOf(sa: Sa, reason: i32): u32 {
  countSaDrop(sa, reason)
  return VERDICT_DROPPED
}

function openPacket(sa: Sa, slot: u32, start: usize, length: u32): u32 {
  const sequence = inferSequence(sa, bswap<u32>(load<u32>(start, 4)))
  const refused = checkWindow(sa, sequence)
  if (refused != SEQUENCE_OK) return dropOf(sa, refused)
  if (!isAuthentic(sa, slot, start, length, sequence)) return dropOf(sa, DROP_AUTH_FAILED)
  if (commitWindow(sa, sequence) && udp) followPeer(sa, WIRE_RX_NAMES + slot * NAME_STRIDE)
  const target = openedText(start)
  const fault = stripTrailer(target, length - ESP_OVERHEAD)
  if (fault != ESP_OK) return dropOf(sa, fault)
  if (openedNextHeader == NEXT_NONE) return openDummy(sa, target, load<u8>(WIRE_RX_TOS + slot))
  if (openedNextHeader != NEXT_IPV4 && openedNextHeader != NEXT_IPV6) return dropOf(sa, DROP_BAD_NEXT_HEADER)
  return openInner(sa, target, load<u8>(WIRE_RX_TOS + slot) & 3)
}

function openDummy(sa: Sa, target: usize, tos: u32): u32 {
  if (isProbe(target, openedLength) && !listProbe(sa.tunnel, target, openedLength, tos)) return dropOf(sa, DROP_OUTBOX_FULL)
  return consume(sa, 0)
}

function openInner(sa: Sa, target: usize, outerEcn: u32): u32 {
  // What lies behind the inner packet's own length is traffic flow confidentiality padding (RFC 4303 section 2.7).
  if (parsePacket(target, openedLength) != IP_OK) return dropOf(sa, DROP_BAD_INNER)
  if (PACKET.version != (openedNextHeader == NEXT_IPV4 ? 4 : 6)) return dropOf(sa, DROP_BAD_INNER)
  if (!decapsulateEcn(target, outerEcn)) return dropOf(sa, DROP_ECN)
  const collected = PACKET.fragment && sa.readsPorts
  if (!takesInbound(sa, collected)) return dropOf(sa, DROP_SELECTOR_IN)
  const tunnel = tunnelAt(sa.tunnel)
  if (tunnel.reversePath != REVERSE_PATH_OFF && !comesBack(tunnel, sa.tunnel)) return dropOf(sa, DROP_REVERSE_PATH)
  const length = PACKET.length
  if (collected) return collect(sa, length)
  return deliver(sa, length)
}

/** Hands the parsed packet to the LAN; `received` are the bytes that count for the SA. */
function deliver(sa: Sa, received: u32): u32 {
  if (tunnelAt(sa.tunnel).transit && goesOn(sa.tunnel)) return passOn(sa, received)
  if (lanRoom() == 0) return dropOf(sa, DROP_OUTBOX_FULL)
  clampTowardsLan(sa)
  deliverLan()
  consume(sa, received)
  return VERDICT_DELIVERED
}

function clampTowardsLan(sa: Sa): void {
  const tunnel = tunnelAt(sa.tunnel)
  if (tunnel.clampMss && tunnel.saCount != 0) {
    // What the peer's host offers bounds what ours sends, through the tunnel's first outbound SA.
    const mtu = innerMtuOf(tunnelSa(tunnel, 0), tunnel)
    if (mtu != 0) clampMss(mtu)
  }
}

/**
 * No router cuts IPv6 (RFC 8200 section 5), so a reassembled datagram goes on in fragments no longer than those that
 * its source chose. IPv4 goes whole: it is cut where it has to be.
 */
function deliverPieces(sa: Sa, received: u32): u32 {
  if (tunnelAt(sa.tunnel).transit && goesOn(sa.tunnel)) return passPiecesOn(sa, received)
  clampTowardsLan(sa)
  closeFlow()
  const record = current
  const header = record.headerLength
  const data = PACKET.length - header
  const capacity = record.longest & ~7
  if ((data + capacity - 1) / capacity > lanRoom()) return dropOf(sa, DROP_OUTBOX_FULL)
  for (let from: u32 = 0; from < data; from += capacity) {
    const size = min<u32>(capacity, data - from)
    const last = from + size == data
    const length = cutIpv6(PACKET.start, header, record.pointer, record.identification, from, size, last)
    const slot = lanSlot()
    memory.copy(slot, FRAGMENT_SCRATCH, length)
    pushLan(slot, length)
  }
  consume(sa, received)
  return VERDICT_DELIVERED
}

/** Has the parsed packet, which lies where it was received, go on by another tunnel. */
function passOn(sa: Sa, received: u32): u32 {
  if (transitRoom() == 0) return dropOf(sa, DROP_OUTBOX_FULL)
  clampTowardsLan(sa)
  const alive = takeHop()
  pushTransit(PACKET.start, PACKET.length, sa.tunnel, !alive)
  if (!alive) return dropOf(sa, DROP_TTL_EXCEEDED)
  consume(sa, received)
  return VERDICT_TRANSIT
}

/** A reassembled datagram goes on in fragments no longer than those that came. */
function passPiecesOn(sa: Sa, received: u32): u32 {
  const record = current
  const v4 = PACKET.version == 4
  const header = record.headerLength
  const data = PACKET.length - header
  const capacity = record.longest & ~7
  if ((data + capacity - 1) / capacity > transitRoom()) return dropOf(sa, DROP_OUTBOX_FULL)
  clampTowardsLan(sa)
  const alive = takeHop()
  for (let from: u32 = 0; from < data; from += capacity) {
    const size = min<u32>(capacity, data - from)
    const last = from + size == data
    const length = v4
      ? cutIpv4(PACKET.start, header, from, size, last)
      : cutIpv6(PACKET.start, header, record.pointer, record.identification, from, size, last)
    const slot = transitSlot()
    memory.copy(slot, FRAGMENT_SCRATCH, length)
    pushTransit(slot, length, sa.tunnel, !alive)
    // The first piece is enough to answer.
    if (!alive) return dropOf(sa, DROP_TTL_EXCEEDED)
  }
  consume(sa, received)
  return VERDICT_TRANSIT
}

function consume(sa: Sa, received: u32): u32 {
  if (sa.packets++ == 0) raise(EVENT_FIRST_PACKET, sa.handle)
  sa.bytes += received
  sa.lastAt = now
  return VERDICT_CONSUMED
}

/** Keeps a fragment; a datagram that is whole goes to the LAN from where it lies, if its ports are in order. */
function collect(sa: Sa, received: u32): u32 {
  const outcome = takeFragment(sa.tunnel, now)
  if (outcome == FRAGMENT_KEPT) return consume(sa, received)
  if (outcome != FRAGMENT_COMPLETES) return dropOf(sa, outcome == DROP_BAD_HEADER ? DROP_BAD_INNER : outcome)
  if (parsePacket(wholeStart(current), wholeLength(current)) != IP_OK) return dropOf(sa, DROP_BAD_INNER)
  if (!takesInbound(sa, false)) return dropOf(sa, DROP_SELECTOR_IN)
  if (PACKET.version == 6) return deliverPieces(sa, received)
  return tunnelAt(sa.tunnel).transit && goesOn(sa.tunnel) ? passPiecesOn(sa, received) : deliver(sa, received)
}

/** RFC 7296 section 2.23: the newest authentic packet tells where the peer is. */
function followPeer(sa: Sa, name: usize): void {
  const family = familyOf(name)
  if (family == 0) return
  const head = load<u32>(name)
  const high = addressHigh(name)
  const low = addressLow(name)
  if (head == sa.peerHead && high == sa.peerHigh && low == sa.peerLow) return
  const known = sa.peerHead != 0
  sa.peerHead = head
  sa.peerHigh = high
  sa.peerLow = low
  if (known) raiseFrom(EVENT_PEER_MOVED, sa.handle, name)
}
