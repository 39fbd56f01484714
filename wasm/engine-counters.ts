/** Counters of the module, as the host sees them. */
import { DROP_NAMES, type DropName } from './drop-reasons.ts'
import type { RawExports } from './engine-exports.ts'
import type { SaCounters, SaHandle } from './packet-engine.ts'

/** Of a live SA. */
export function countersOf(raw: RawExports, sa: SaHandle): SaCounters {
  const drops: Partial<Record<DropName, number>> = {}
  for (let left = raw.saDropMask(sa); left !== 0; left &= left - 1) {
    const reason = 31 - Math.clz32(left & -left)
    drops[DROP_NAMES[reason]!] = raw.saDrops(sa, reason)
  }
  const missing = raw.saMissing(sa)
  return {
    packets: raw.saPackets(sa),
    bytes: raw.saBytes(sa),
    lastAt: raw.saLastAt(sa),
    drops,
    ...(missing >= 0 && { missing }),
  }
}

export function dropsOf(raw: RawExports): Record<DropName, number> {
  const entries = DROP_NAMES.map((name, reason) => [name, raw.globalDrops(reason)])
  return Object.fromEntries(entries) as Record<DropName, number>
}
