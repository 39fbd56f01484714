/** The large probes that are under way, and what becomes of them; `mtu.ts` says which ones there are to be. */
import type { Instant } from '../../../protocol/machine.ts'
import type { Liveness } from './liveness.ts'
import { MtuSearch, type MtuSettings } from './mtu.ts'

interface LargeProbe {
  readonly size: number
  readonly sentAt: Instant
  /** Of the last small message before it: when a later one has arrived, this one should have, too. */
  readonly number: number
}

/** Probes given up whose answers may still come. */
const REMEMBERED = 64

export class LargeProbes {
  readonly search: MtuSearch
  readonly #underWay = new Map<number, LargeProbe>()
  /** Sizes by sequence number, of those given up too. */
  readonly #sizes = new Map<number, number>()
  #restUntil: Instant = Number.NEGATIVE_INFINITY

  constructor(settings: MtuSettings) {
    this.search = new MtuSearch(settings)
  }

  /** Sizes to be sent now; call `sent` for each. Counts what is overdue first. */
  due(now: Instant, liveness: Liveness): number[] {
    for (const [sequence, { size, sentAt, number }] of this.#underWay) {
      if (now < sentAt + liveness.roundTrip.timeoutMs) continue
      this.#underWay.delete(sequence)
      if (liveness.covered > number) this.search.lost(size, now)
      else this.search.unclear(size)
    }
    // A path of which nothing comes at the moment tells nothing of sizes.
    return liveness.missed > 0 || now < this.#restUntil ? [] : this.search.due(now)
  }

  deadline(liveness: Liveness): Instant | undefined {
    const times = [...this.#underWay.values()].map(({ sentAt }) => sentAt + liveness.roundTrip.timeoutMs)
    const next = liveness.missed > 0 ? undefined : this.search.deadline()
    if (next !== undefined) times.push(Math.max(next, this.#restUntil))
    return times.length === 0 ? undefined : Math.min(...times)
  }

  sent(sequence: number, size: number, number: number, now: Instant): void {
    this.#underWay.set(sequence, { size, sentAt: now, number })
    this.#sizes.set(sequence, size)
    for (const oldest of this.#sizes.keys()) {
      if (this.#sizes.size <= REMEMBERED) break
      this.#sizes.delete(oldest)
    }
  }

  answered(sequence: number, now: Instant): void {
    const size = this.#sizes.get(sequence)
    if (size === undefined) return
    this.#sizes.delete(sequence)
    this.#underWay.delete(sequence)
    this.search.answered(size, now)
  }

  unsent(sequence: number, isTooLarge: boolean, restMs: number, now: Instant): void {
    const probe = this.#underWay.get(sequence)
    if (probe === undefined) return
    this.#underWay.delete(sequence)
    this.#sizes.delete(sequence)
    if (isTooLarge) {
      this.search.tooLarge(probe.size, now)
      return
    }
    this.search.unclear(probe.size)
    this.#restUntil = now + restMs
  }

  /** Sequence numbers begin anew; what was under way is nobody's. */
  renumber(): void {
    for (const { size } of this.#underWay.values()) this.search.unclear(size)
    this.#underWay.clear()
    this.#sizes.clear()
  }
}
