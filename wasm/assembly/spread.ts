/**
 * Weighted rendezvous hashing (Schindelhauer and Schomaker 2005): for each flow every member of a group has a cost,
 * exponentially distributed and divided by its weight, and the cheapest takes the flow. What one member costs a flow
 * depends on no other member, so that a member that leaves takes along its own flows only.
 *
 * The cost is -log2 of 32 hash bits as a fraction of 2^32, in units of 2^-20, from a table of 256 steps with straight
 * lines between them: integers, the same in every engine.
 */
import { scramble } from './hash'
import { PACKET, PROTOCOL_TCP, PROTOCOL_UDP } from './ip'

export const PROTOCOL_SCTP: u32 = 132
const MEMBER_STEP: u64 = 0x9e3779b97f4a7c15
const UNIT_BITS: u32 = 20
const STEP_BITS: u32 = 8
/** Bits of a mantissa behind its leading 1, and of these those that lie between two steps. */
const MANTISSA_BITS: u32 = 31
const REST_BITS: u32 = MANTISSA_BITS - STEP_BITS

/** log2(1 + i / 256), rounded down, for i from 0 to 256. */
const LOGS: usize = memory.data(257 * 4, 16)

let flowSeed: u64 = 0

export function setFlowSeed(seed: u32): void {
  flowSeed = <u64>seed
}

/** Once, before anything else: fills LOGS. */
export function initSpread(): void {
  for (let i: u32 = 0; i <= 256; i++) store<u32>(LOGS + (i << 2), logOf(1 + <f64>i / 256))
}

/** Bit by bit: squaring doubles the logarithm. What f64 rounds off is far below the last bit. */
function logOf(value: f64): u32 {
  let log: u32 = 0
  if (value >= 2) return 1 << UNIT_BITS
  for (let bit: u32 = 0; bit < UNIT_BITS; bit++) {
    value *= value
    log <<= 1
    if (value >= 2) {
      value *= 0.5
      log |= 1
    }
  }
  return log
}

/** Whether the parsed packet shows ports of TCP, UDP or SCTP that are those of all packets that belong to it. */
// @ts-ignore: decorator
@inline
export function hasFlowPorts(): bool {
  const protocol = PACKET.protocol
  if (PACKET.fragment || !PACKET.hasPorts) return false
  return protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP || protocol == PROTOCOL_SCTP
}

/** Of the parsed packet. */
export function flowHash(): u64 {
  let hash = flowSeed
  if (PACKET.version == 4) hash = scramble(hash ^ (PACKET.sourceHigh | (PACKET.destinationHigh >> 32)))
  else {
    hash = scramble(hash ^ PACKET.sourceHigh)
    hash = scramble(hash ^ PACKET.sourceLow)
    hash = scramble(hash ^ PACKET.destinationHigh)
    hash = scramble(hash ^ PACKET.destinationLow)
  }
  const ports = hasFlowPorts() ? (PACKET.sourcePort << 16) | PACKET.destinationPort : 0
  return scramble(hash ^ ((<u64>PACKET.protocol << 32) | <u64>ports))
}

/** What a member of weight 1 costs a flow; below 2^26. */
export function memberCost(flow: u64, tunnel: u32): u32 {
  const value = max<u32>(<u32>(scramble(flow + <u64>tunnel * MEMBER_STEP) >> 32), 1)
  const zeros: u32 = clz<u32>(value)
  const mantissa = (value << zeros) & 0x7fffffff
  const step = LOGS + ((mantissa >> REST_BITS) << 2)
  const low = load<u32>(step)
  const rest = mantissa & ((1 << REST_BITS) - 1)
  const log = low + <u32>((<u64>(load<u32>(step, 4) - low) * <u64>rest) >> REST_BITS)
  return ((zeros + 1) << UNIT_BITS) - log
}
