/** Failovers under way: from the last sign of life on the old path until engines use the new one, and what was lost. */
import type { Instant } from '../../../protocol/machine.ts'
import type { TunnelPath } from './tunnel-path.ts'
import type { LastFailover, PathCause } from './types.ts'

/** For the counters after the move, before it is told without them. */
const COUNT_MS = 1_500

export interface Failover {
  readonly path: TunnelPath
  readonly to: readonly string[]
  readonly cause: PathCause
  readonly visibleAt: Instant
  /** Engines have carried it out. */
  movedAt: Instant | undefined
}

export class Failovers {
  readonly #pending = new Map<string, Failover>()

  begin(failover: Failover): void {
    this.#pending.set(failover.path.connection, failover)
  }

  forget(connection: string): void {
    this.#pending.delete(connection)
  }

  /** Returns whether its counters are wanted now. */
  moved(connection: string, now: Instant): boolean {
    const failover = this.#pending.get(connection)
    if (failover === undefined || failover.movedAt !== undefined) return false
    failover.movedAt = now
    return true
  }

  /** Those that are over: the counters of `counted` are there, or nobody waits for them any longer. */
  take(now: Instant, counted?: string): readonly Failover[] {
    const over = [...this.#pending.values()].filter(({ path, movedAt }) => {
      return movedAt !== undefined && (path.connection === counted || now >= movedAt + COUNT_MS)
    })
    for (const { path } of over) this.#pending.delete(path.connection)
    return over
  }

  deadline(): Instant | undefined {
    let earliest: Instant | undefined
    for (const { movedAt } of this.#pending.values()) {
      if (movedAt === undefined) continue
      const at = movedAt + COUNT_MS
      if (earliest === undefined || at < earliest) earliest = at
    }
    return earliest
  }
}

/** What is told of it, and kept as the last one of its path. */
export function outcomeOf({ path, to, cause, visibleAt, movedAt }: Failover, now: Instant): LastFailover {
  const end = movedAt ?? now
  return { at: end, to, cause, ms: Math.max(0, end - visibleAt), lostPackets: sentInto(path, visibleAt, end) }
}

/**
 * Packets that left between the last sign of life and the move, taken to be even between two readings of the counter.
 * Those are an upper bound: some of the first may have arrived.
 */
function sentInto({ counted }: TunnelPath, from: Instant, to: Instant): number {
  const [before, after] = counted
  if (before === undefined || after === undefined || after.at < to || before.at >= to) return 0
  const sent = Math.max(0, after.carried.sent - before.carried.sent)
  // Behind the move nothing leaves.
  return Math.round((sent * (to - Math.max(from, before.at))) / (to - before.at))
}
