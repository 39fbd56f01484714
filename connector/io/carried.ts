/** What Child SAs have carried, and sums of it. */
import type { ChildCounters, DirectionCounters } from '../data/commands.ts'

/** Of one Child SA or of many. */
export type Carried = Omit<ChildCounters, 'id'>

export const NOTHING: DirectionCounters = { packets: 0, bytes: 0, drops: {} }
export const NONE_CARRIED: Carried = { inbound: { ...NOTHING, missing: 0 }, outbound: NOTHING }

/** What is missing is not known, and absent, where one of the two does not know it. */
export function plus(left: Carried, right: Carried): Carried {
  return { inbound: sum(left.inbound, right.inbound), outbound: sum(left.outbound, right.outbound) }
}

function sum(left: DirectionCounters, right: DirectionCounters): DirectionCounters {
  const drops = { ...left.drops }
  for (const [name, count] of Object.entries(right.drops) as [keyof typeof drops, number][]) {
    drops[name] = (drops[name] ?? 0) + count
  }
  const missing =
    left.missing === undefined || right.missing === undefined ? {} : { missing: left.missing + right.missing }
  return { packets: left.packets + right.packets, bytes: left.bytes + right.bytes, drops, ...missing }
}
