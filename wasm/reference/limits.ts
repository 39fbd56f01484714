/** Soft and hard limits of an outbound SA (RFC 4301 section 4.4.2.1), and the end of its sequence numbers. */
import type { OutboundSa } from '../packet-engine.ts'

const LAST_32 = 0xffff_ffffn
const LAST_64 = 0xffff_ffff_ffff_ffffn

export interface Usage {
  readonly packets: number
  readonly bytes: number
  /** Of the last packet sent; 0 before the first. */
  readonly sequence: bigint
}

export function softReached(sa: OutboundSa, usage: Usage): boolean {
  return reached(usage.packets, sa.softPackets) || reached(usage.bytes, sa.softBytes)
}

/** Whether so many packets may still go: a packet and all of its fragments, or nothing. */
export function hasRoomFor(sa: OutboundSa, usage: Usage, packets: number): boolean {
  const last = sa.esn ? LAST_64 : LAST_32
  if (usage.sequence + BigInt(packets) > last) return false
  return sa.hardPackets === undefined || usage.packets + packets <= sa.hardPackets
}

/** From here the SA carries nothing more: the counter is a nonce and never cycles (RFC 4303 section 3.3.3). */
export function hardReached(sa: OutboundSa, usage: Usage): boolean {
  const last = sa.esn ? LAST_64 : LAST_32
  return usage.sequence >= last || reached(usage.packets, sa.hardPackets) || reached(usage.bytes, sa.hardBytes)
}

function reached(count: number, bound: number | undefined): boolean {
  return bound !== undefined && count >= bound
}
