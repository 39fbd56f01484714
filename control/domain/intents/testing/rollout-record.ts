/** For tests of rollouts only. */
import { ROLLOUT_DEADLINES, type RolloutRecord } from '../rollout.ts'

export const START = 1_000_000

/** From version 1 to version 2, planned at `START`; sites `a`, `b` and `c`, in this order. */
export function rolloutRecord(more: Partial<RolloutRecord> = {}): RolloutRecord {
  const order = more.order ?? ['a', 'b', 'c'].map((name) => ({ site: `site_${name}`, name }))
  return {
    id: 'roll_1',
    state: 'planned',
    startedBy: 'token:t',
    createdAt: START,
    stateSince: START,
    deadline: START + ROLLOUT_DEADLINES.planned,
    base: 1,
    target: 2,
    canary: order[0]?.name ?? 'a',
    batchPercent: 25,
    watch: { canarySeconds: 60, batchSeconds: 30, lossPercent: 1 },
    force: false,
    step: 0,
    counts: { sites: order.length, in: 0, away: 0 },
    order,
    looked: { since: START, at: START },
    ...more,
  }
}
