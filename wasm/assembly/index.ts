/**
 * Every export of the engine. `wasm/engine.ts` is the only caller: it validates arguments, and reads
 * raw returns as what they are. Offsets and handles are u32, counters and times f64.
 */
import { MAX_TUNNELS } from '../abi'
import {
  AEAD_AAD,
  AEAD_SOURCE,
  AEAD_TARGET,
  CONTROL_ADDRESSES,
  CONTROL_HANDLES,
  CONTROL_KEY,
  CONTROL_NONCE,
  CONTROL_PROBE,
  LAN_RX,
  LAN_RX_HAND_OVER,
  LAN_RX_LENGTH,
  LAN_RX_VIA,
  LAN_TX_COUNT,
  LAN_TX_LENGTH,
  LAN_TX_OFFSET,
  PROBES_COUNT,
  PROBES_LENGTH,
  PROBES_OFFSET,
  PROBES_TOS,
  PROBES_TUNNEL,
  TRANSIT_COUNT,
  TRANSIT_HAND_OVER,
  TRANSIT_LENGTH,
  TRANSIT_OFFSET,
  TRANSIT_VIA,
  WIRE_RX,
  WIRE_RX_ELSEWHERE,
  WIRE_RX_LENGTH,
  WIRE_RX_NAMES,
  WIRE_RX_TOS,
  WIRE_RX_VERDICT,
  WIRE_TX_COUNT,
  WIRE_TX_ENDPOINT,
  WIRE_TX_LENGTH,
  WIRE_TX_OFFSET,
  WIRE_TX_TOS,
} from './arena'
import { aeadOpen, aeadSeal } from './aead'
import { setCoalescing } from './coalesce'
import { contextOf } from './contexts'
import { dropMaskOf, dropsOf } from './counters'
import { deleteRoute, initFib, insertRoute, lookup, maskHigh, maskLow } from './fib'
import { seedHash } from './hash'
import { jobCount } from './aead-jobs'
import { takeOutcomes } from './host-packets'
import { completeStreamSeal } from './esp'
import { forgetStream } from './key-stream'
import { completeOpen, openSlots } from './open'
import { openRunSlots } from './open-runs'
import { setLanHeader } from './outbox'
import { outerLengthOf, sealProbeOf } from './probe'
import { reserve } from './reserve'
import { missingOf } from './replay'
import { SA_INBOUND, SA_OUTBOUND, nonceOf, saByHandle } from './sa'
import { sealSlots } from './seal'
import { sealLargeSlots } from './seal-large'
import { initSpread } from './spread'
import { sealTransitPackets } from './transit'
import { innerMtuOf, tunnelAt } from './tunnel'

export {
  AEAD_AAD,
  AEAD_SOURCE,
  AEAD_TARGET,
  CONTROL_ADDRESSES,
  CONTROL_HANDLES,
  CONTROL_KEY,
  CONTROL_NONCE,
  CONTROL_PROBE,
  LAN_RX,
  LAN_RX_HAND_OVER,
  LAN_RX_LENGTH,
  LAN_RX_VIA,
  LAN_TX_COUNT,
  LAN_TX_LENGTH,
  LAN_TX_OFFSET,
  PROBES_COUNT,
  PROBES_LENGTH,
  PROBES_OFFSET,
  PROBES_TOS,
  PROBES_TUNNEL,
  TRANSIT_COUNT,
  TRANSIT_HAND_OVER,
  TRANSIT_LENGTH,
  TRANSIT_OFFSET,
  TRANSIT_VIA,
  WIRE_RX,
  WIRE_RX_ELSEWHERE,
  WIRE_RX_LENGTH,
  WIRE_RX_NAMES,
  WIRE_RX_TOS,
  WIRE_RX_VERDICT,
  WIRE_TX_COUNT,
  WIRE_TX_ENDPOINT,
  WIRE_TX_LENGTH,
  WIRE_TX_OFFSET,
  WIRE_TX_TOS,
}

export {
  LARGE_LAN_RX_HAND_OVER,
  LARGE_LAN_RX_LENGTH,
  LARGE_LAN_RX_VIA,
  LARGE_WIRE_RX,
  LARGE_WIRE_RX_LENGTH,
  LARGE_WIRE_RX_NAMES,
  LARGE_WIRE_RX_SEGMENT,
  LARGE_WIRE_RX_TOS,
} from './arena'
export { runDatagrams } from './open-runs'
export { LARGE_LAN_START } from './seal-large'
export { globalDrops } from './counters'
export { setShare } from './spi-table'
export { takeEvent, takenAddress, takenFamily, takenPort, takenSubject } from './events'
export { HOST_PACKETS, setHostPackets } from './host-packets'
export { clearOwnAddresses, setOwnAddress } from './icmp'
export { setOffload, STREAM_KEYS } from './key-stream'
export { addMatch, clearClasses, setPreference } from './classes'
export { contextCount } from './contexts'
export { nodeCount, routeCount } from './fib'
export {
  addSelector,
  installAeadKey,
  installInboundSa as installInbound,
  installOutboundSa as installOutbound,
  releaseSa as removeSa,
  setLimits,
} from './sa'
export { setFlowSeed } from './spread'
export {
  dropTunnel as removeTunnel,
  putEndpoint as setEndpoint,
  putGroup as setGroup,
  putRefusal as setRefusal,
  putTunnel as setTunnel,
} from './tunnel'

/**
 * Once, before any other call: the size of the tables, and 64 random bits that nobody else knows. Returns false when the
 * host does not have the memory.
 */
export function configure(sas: u32, routes: u32, seedHigh: u32, seedLow: u32): bool {
  if (!reserve(sas, routes)) return false
  seedHash(seedHigh, seedLow)
  initFib()
  initSpread()
  return true
}

export function sealBatch(first: u32, count: u32, now: f64, fromInbox: bool): u32 {
  return sealSlots(first, count, now, fromInbox)
}

export function openBatch(count: u32, udp: bool, now: f64): void {
  openSlots(count, udp, now)
}

/**
 * After a batch call that left keys in STREAM_KEYS or packets in HOST_PACKETS: when the blocks of all keys have been
 * encrypted, or else not `streamed`.
 */
export function completeBatch(streamed: bool): void {
  takeOutcomes(jobCount())
  if (!streamed) forgetStream(jobCount())
  completeStreamSeal()
  completeOpen()
}

/** How packets from and to the LAN look: `header` in front of them, `datagrams` coalesced as well as TCP. */
export function setLanFormat(header: bool, datagrams: bool): void {
  setLanHeader(header)
  setCoalescing(datagrams)
}

export function sealLarge(first: u32, count: u32, now: f64, fromInbox: bool): u32 {
  return sealLargeSlots(first, count, now, fromInbox)
}

export function openRuns(first: u32, count: u32, now: f64): u32 {
  return openRunSlots(first, count, now)
}

/** Of what the last call that opened left in TRANSIT_. */
export function sealTransit(now: f64): u32 {
  return sealTransitPackets(now)
}

/** Packets that came by the tunnel and were sent on by another. */
export function tunnelSentOn(tunnel: u32): f64 {
  return tunnel < <u32>MAX_TUNNELS ? <f64>tunnelAt(tunnel).sentOn : 0
}

/** Packets that came by the tunnel and whose source leads elsewhere. */
export function tunnelAsymmetric(tunnel: u32): f64 {
  return tunnel < <u32>MAX_TUNNELS ? <f64>tunnelAt(tunnel).asymmetric : 0
}

export function sealProbe(tunnel: u32, payload: u32, size: u32, now: f64): bool {
  return sealProbeOf(tunnel, payload, size, now)
}

export function outerLength(tunnel: u32, size: u32): u32 {
  return outerLengthOf(tunnel, size)
}

/** The address is in the control area; host bits do not matter. Returns false when the table is full. */
export function setRoute(version: u32, bits: u32, group: u32): bool {
  return insertRoute(version, controlHigh(version) & maskHigh(bits), controlLow(version) & maskLow(bits), bits, group)
}

export function removeRoute(version: u32, bits: u32): bool {
  return deleteRoute(version, controlHigh(version) & maskHigh(bits), controlLow(version) & maskLow(bits), bits)
}

export function lookupRoute(version: u32): i32 {
  return lookup(version, controlHigh(version), controlLow(version))
}

function controlHigh(version: u32): u64 {
  const high = bswap<u64>(load<u64>(CONTROL_ADDRESSES))
  return version == 4 ? high & 0xffffffff00000000 : high
}

function controlLow(version: u32): u64 {
  return version == 4 ? 0 : bswap<u64>(load<u64>(CONTROL_ADDRESSES, 8))
}

/** 0 when the handle is no outbound SA, or its tunnel or endpoint is not set. */
export function innerMtu(handle: u32): u32 {
  const sa = saByHandle(handle)
  return sa != null && sa.kind == SA_OUTBOUND ? innerMtuOf(sa, tunnelAt(sa.tunnel)) : 0
}

/** SA_ kind of a live handle, 0 otherwise. */
export function saKind(handle: u32): u32 {
  const sa = saByHandle(handle)
  return sa == null ? 0 : sa.kind
}

export function saPackets(handle: u32): f64 {
  const sa = saByHandle(handle)
  return sa == null ? 0 : <f64>sa.packets
}

export function saBytes(handle: u32): f64 {
  const sa = saByHandle(handle)
  return sa == null ? 0 : <f64>sa.bytes
}

export function saLastAt(handle: u32): f64 {
  const sa = saByHandle(handle)
  return sa == null ? 0 : sa.lastAt
}

/** Gaps in the sequence numbers received so far; -1 where none are known: no inbound SA, or one without a window. */
export function saMissing(handle: u32): f64 {
  const sa = saByHandle(handle)
  return sa == null || sa.kind != SA_INBOUND || sa.window == 0 ? -1 : <f64>missingOf(sa)
}

/** A bit for each reason for which the SA has dropped packets. */
export function saDropMask(handle: u32): u32 {
  const sa = saByHandle(handle)
  return sa == null ? 0 : dropMaskOf(sa)
}

export function saDrops(handle: u32, reason: u32): f64 {
  const sa = saByHandle(handle)
  return sa == null ? 0 : dropsOf(sa, reason)
}

/** Seals AEAD_SOURCE into AEAD_TARGET; the nonce is in the control area. */
export function sealText(handle: u32, aadLength: u32, length: u32): void {
  const sa = saByHandle(handle)
  if (sa == null) return
  takeNonce(nonceOf(sa))
  aeadSeal(sa.suite, contextOf(sa), nonceOf(sa), AEAD_AAD, aadLength, AEAD_SOURCE, AEAD_TARGET, length)
}

/** `length` is that of the plaintext. */
export function openText(handle: u32, aadLength: u32, length: u32): bool {
  const sa = saByHandle(handle)
  if (sa == null) return false
  takeNonce(nonceOf(sa))
  return aeadOpen(sa.suite, contextOf(sa), nonceOf(sa), AEAD_AAD, aadLength, AEAD_SOURCE, AEAD_TARGET, length)
}

/** Erases what the last bare AEAD call left in memory. */
export function wipeText(length: u32): void {
  memory.fill(AEAD_SOURCE, 0, length)
  memory.fill(AEAD_TARGET, 0, length)
}

function takeNonce(target: usize): void {
  memory.copy(target, CONTROL_NONCE, 12)
}
