/**
 * Wire to LAN (RFC 4303 section 3.4): demultiplex, SA by SPI, window check, verify and decrypt,
 * window commit, trailer, inner packet, selectors, ECN. No plaintext leaves before its tag verified.
 */
import {
  BATCH,
  DROP_BAD_INNER,
  DROP_BAD_NEXT_HEADER,
  DROP_ECN,
  DROP_OUTBOX_FULL,
  DROP_OVERSIZED,
  DROP_SELECTOR_IN,
  DROP_TRUNCATED,
  DROP_UNKNOWN_SPI,
  EVENT_PEER_MOVED,
  MAX_OUTER,
  NAME_STRIDE,
  SLOT_BYTES,
  VERDICT_CONSUMED,
  VERDICT_DELIVERED,
  VERDICT_DROPPED,
  VERDICT_IKE,
  VERDICT_KEEPALIVE,
  DROP_BAD_HEADER,
} from '../abi'
import { FRAGMENT_SCRATCH, WIRE_RX, WIRE_RX_LENGTH, WIRE_RX_NAMES, WIRE_RX_TOS, WIRE_RX_VERDICT } from './arena'
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
  stripTrailer,
  verifyEsp,
} from './esp'
import { addressHigh, addressLow, familyOf, raiseFrom, raiseUnknownSpi } from './events'
import { IP_OK, PACKET, parsePacket } from './ip'
import { clampMss } from './mss'
import { cutIpv6 } from './fragment'
import { emptyOutboxes, lanRoom, lanSlot, pushLan } from './outbox'
import { takesInbound } from './policy'
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
import { Sa, saAt } from './sa'
import { spiLookup } from './spi-table'
import { innerMtuOf, tunnelAt, tunnelSa } from './tunnel'

const KEEPALIVE: u32 = 0xff
const NON_ESP_MARKER: u32 = 4
const IKE_HEADER: u32 = 28

let now: f64 = 0
let udp: bool = false

export function openSlots(count: u32, encapsulatedInUdp: bool, time: f64): void {
  now = time
  udp = encapsulatedInUdp
  emptyOutboxes()
  expireReassembly(time)
  const todo = min<u32>(count, BATCH)
  for (let i: u32 = 0; i < todo; i++) store<u8>(WIRE_RX_VERDICT + i, <u8>openDatagram(i))
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
    raiseUnknownSpi(spi, name, now)
    return drop(DROP_UNKNOWN_SPI)
  }
  return openPacket(saAt(index), start, length, name, load<u8>(WIRE_RX_TOS + slot))
}

function drop(reason: i32): u32 {
  countDrop(reason)
  return VERDICT_DROPPED
}

function dropOf(sa: Sa, reason: i32): u32 {
  countSaDrop(sa, reason)
  return VERDICT_DROPPED
}

function openPacket(sa: Sa, start: usize, length: u32, name: usize, tos: u32): u32 {
  const sequence = inferSequence(sa, bswap<u32>(load<u32>(start, 4)))
  const refused = checkWindow(sa, sequence)
  if (refused != SEQUENCE_OK) return dropOf(sa, refused)
  const target = lanSlot()
  const forged = verifyEsp(sa, start, length, sequence, target)
  if (forged != ESP_OK) return dropOf(sa, forged)
  if (commitWindow(sa, sequence) && udp) followPeer(sa, name)
  const fault = stripTrailer(target)
  if (fault != ESP_OK) return dropOf(sa, fault)
  if (openedNextHeader == NEXT_NONE) return consume(sa, 0)
  if (openedNextHeader != NEXT_IPV4 && openedNextHeader != NEXT_IPV6) return dropOf(sa, DROP_BAD_NEXT_HEADER)
  return openInner(sa, target, tos & 3)
}

function openInner(sa: Sa, target: usize, outerEcn: u32): u32 {
  // What lies behind the inner packet's own length is traffic flow confidentiality padding (RFC 4303 section 2.7).
  if (parsePacket(target, openedLength) != IP_OK) return dropOf(sa, DROP_BAD_INNER)
  if (PACKET.version != (openedNextHeader == NEXT_IPV4 ? 4 : 6)) return dropOf(sa, DROP_BAD_INNER)
  if (!decapsulateEcn(target, outerEcn)) return dropOf(sa, DROP_ECN)
  const collected = PACKET.fragment && sa.readsPorts
  if (!takesInbound(sa, collected)) return dropOf(sa, DROP_SELECTOR_IN)
  const length = PACKET.length
  if (collected) return collect(sa, length)
  return deliver(sa, length)
}

/** Hands the parsed packet to the LAN; `received` are the bytes that count for the SA. */
function deliver(sa: Sa, received: u32): u32 {
  clampTowardsLan(sa)
  pushLan(PACKET.start, PACKET.length)
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
  clampTowardsLan(sa)
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

function consume(sa: Sa, received: u32): u32 {
  sa.packets++
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
  return PACKET.version == 6 ? deliverPieces(sa, received) : deliver(sa, received)
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
