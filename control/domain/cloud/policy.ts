/** When the keys of a connection are due to be rotated by its policy: by the same rules as those of tunnels. */
import type { Policy } from '../../../protocol/control/rotation.ts'
import { planPolicy } from '../planner.ts'
import type { CloudRecord } from './types.ts'

/** The policy as it counts for this connection alone: what other rotations by it have used up, this one has not. */
export function policyFor(policy: Policy, { createdAt, rotatedAt }: CloudRecord): Policy {
  const { lastRunAt: _, ...rest } = policy
  return {
    ...rest,
    tunnels: [],
    createdAt: Math.max(policy.createdAt, createdAt),
    ...(rotatedAt === undefined ? {} : { lastRunAt: rotatedAt }),
  }
}

export function isRotationDue(policy: Policy, record: CloudRecord, now: number): boolean {
  const since = record.tunnels.flatMap(({ keys }) => keys[0]?.since ?? [])
  if (since.length === 0) return false
  const { id: tunnel, name } = record
  const candidate = {
    tunnel,
    name,
    current: 1,
    currentSince: Math.min(...since),
    connected: true,
    rotating: false,
    up: true,
  }
  return (planPolicy(policyFor(policy, record), [candidate], false, now)?.rotations.length ?? 0) > 0
}
