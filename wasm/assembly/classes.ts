/** Traffic classes: what the parsed packet has to look like, and which tunnels it then prefers. */
import { MAX_CLASS_MATCHES, MAX_CLASSES, MAX_TUNNELS } from '../abi'
import { CONTROL_ADDRESSES } from './arena'
import { PACKET, readTos } from './ip'
import { maskHigh, maskLow } from './prefix-trie'
import { hasFlowPorts } from './spread'

/** 96 bytes; addresses as in `Packet`. */
@unmanaged
class Match {
  sourceHigh: u64
  sourceLow: u64
  sourceMaskHigh: u64
  sourceMaskLow: u64
  destinationHigh: u64
  destinationLow: u64
  destinationMaskHigh: u64
  destinationMaskLow: u64
  /** 0, ANY_PROTOCOL and ANY_DSCP take all. */
  version: u32
  protocol: u32
  dscp: u32
  readsPorts: bool
  class: u8
  sourceStart: u16
  sourceEnd: u16
  destinationStart: u16
  destinationEnd: u16
}

const MATCH_BYTES: u32 = 96
const ANY_PROTOCOL: u32 = 256
const ANY_DSCP: u32 = 64

if (offsetof<Match>() > MATCH_BYTES) ERROR('match too long')

const MATCHES: usize = memory.data(MAX_CLASS_MATCHES * 96, 64)
/** For each class, and in it for each tunnel: 16 bits, its place among the preferred from 1 on, or 0. */
const RANKS: usize = memory.data(MAX_CLASSES * MAX_TUNNELS * 2, 64)
/** For each class: one more than the highest tunnel that it prefers. */
const RANKS_END: usize = memory.data(MAX_CLASSES * 4, 16)
const CLASS_RANKS: u32 = MAX_TUNNELS * 2

/** Of all classes; 0 where there is nothing to look for. */
export let matchCount: u32 = 0

// @ts-ignore: decorator
@inline
function matchAt(index: u32): Match {
  return changetype<Match>(MATCHES + index * MATCH_BYTES)
}

export function clearClasses(): void {
  matchCount = 0
  for (let i: u32 = 0; i < <u32>MAX_CLASSES; i++) {
    memory.fill(RANKS + i * CLASS_RANKS, 0, load<u32>(RANKS_END + (i << 2)) << 1)
    store<u32>(RANKS_END + (i << 2), 0)
  }
}

/** `place` counts from 1. */
export function setPreference(index: u32, tunnel: u32, place: u32): void {
  if (index >= <u32>MAX_CLASSES || tunnel >= <u32>MAX_TUNNELS) return
  store<u16>(RANKS + index * CLASS_RANKS + (tunnel << 1), <u16>place)
  const end = RANKS_END + (index << 2)
  store<u32>(end, max<u32>(load<u32>(end), tunnel + 1))
}

/** Behind those that there are. Source and destination are in the control area, with zeros where there is no prefix. */
export function addMatch(
  index: u32,
  version: u32,
  sourceBits: u32,
  destinationBits: u32,
  protocol: u32,
  dscp: u32,
  readsPorts: bool,
  sourcePorts: u32,
  destinationPorts: u32,
): void {
  if (matchCount == <u32>MAX_CLASS_MATCHES) return
  const match = matchAt(matchCount++)
  match.class = <u8>index
  match.version = version
  match.sourceMaskHigh = maskHigh(sourceBits)
  match.sourceMaskLow = maskLow(sourceBits)
  match.sourceHigh = bswap<u64>(load<u64>(CONTROL_ADDRESSES)) & match.sourceMaskHigh
  match.sourceLow = bswap<u64>(load<u64>(CONTROL_ADDRESSES, 8)) & match.sourceMaskLow
  match.destinationMaskHigh = maskHigh(destinationBits)
  match.destinationMaskLow = maskLow(destinationBits)
  match.destinationHigh = bswap<u64>(load<u64>(CONTROL_ADDRESSES, 16)) & match.destinationMaskHigh
  match.destinationLow = bswap<u64>(load<u64>(CONTROL_ADDRESSES, 24)) & match.destinationMaskLow
  match.protocol = protocol
  match.dscp = dscp
  match.readsPorts = readsPorts
  match.sourceStart = <u16>(sourcePorts >> 16)
  match.sourceEnd = <u16>sourcePorts
  match.destinationStart = <u16>(destinationPorts >> 16)
  match.destinationEnd = <u16>destinationPorts
}

/** Number of the first class that the parsed packet is of, or -1. */
export function classOf(): i32 {
  for (let i: u32 = 0; i < matchCount; i++) if (takes(matchAt(i))) return matchAt(i).class
  return -1
}

/** Place of a tunnel among those that a class prefers, from 1 on, or 0. */
// @ts-ignore: decorator
@inline
export function placeIn(index: u32, tunnel: u32): u32 {
  return load<u16>(RANKS + index * CLASS_RANKS + (tunnel << 1))
}

function takes(match: Match): bool {
  if (match.version != 0 && match.version != PACKET.version) return false
  if (match.protocol != ANY_PROTOCOL && match.protocol != PACKET.protocol) return false
  if (match.dscp != ANY_DSCP && match.dscp != readTos(PACKET.start) >> 2) return false
  const source =
    ((PACKET.sourceHigh & match.sourceMaskHigh) ^ match.sourceHigh) |
    ((PACKET.sourceLow & match.sourceMaskLow) ^ match.sourceLow)
  const destination =
    ((PACKET.destinationHigh & match.destinationMaskHigh) ^ match.destinationHigh) |
    ((PACKET.destinationLow & match.destinationMaskLow) ^ match.destinationLow)
  if ((source | destination) != 0) return false
  return !match.readsPorts || (hasFlowPorts() && portsTake(match))
}

function portsTake(match: Match): bool {
  const source = PACKET.sourcePort
  const destination = PACKET.destinationPort
  if (source < <u32>match.sourceStart || source > <u32>match.sourceEnd) return false
  return destination >= <u32>match.destinationStart && destination <= <u32>match.destinationEnd
}
