/** How one tunnel is held against the limits of one class. */
import type { Instant } from '../../../protocol/machine.ts'
import type { PathReport } from '../probe/report.ts'
import { LevelWatch } from './level-watch.ts'
import { LossWatch } from './loss-watch.ts'
import type { PathClass } from './types.ts'

export type Measure = 'loss' | 'rtt' | 'jitter'

type Watch = LossWatch | LevelWatch

/** Times of a hold that grows when a tunnel is beyond its limits again and again; forgotten after as many holds. */
const MOST_HOLDS = 16

export class Quality {
  readonly #watches: readonly { readonly measure: Measure; readonly watch: Watch }[]
  /** Of either way, and of both: where both lose too much, it shows sooner. */
  readonly #losses: readonly LossWatch[] = []
  readonly #rtt: LevelWatch | undefined
  readonly #jitter: LevelWatch | undefined
  readonly #holdMs: number
  #holds = 1
  #wellFrom: Instant | undefined

  constructor({ limits, holdMs }: Pick<PathClass, 'limits' | 'holdMs'>) {
    this.#holdMs = holdMs
    if (limits.loss !== undefined) {
      this.#losses = [new LossWatch(limits.loss), new LossWatch(limits.loss), new LossWatch(limits.loss)]
    }
    if (limits.rttMs !== undefined) this.#rtt = new LevelWatch(limits.rttMs)
    if (limits.jitterMs !== undefined) this.#jitter = new LevelWatch(limits.jitterMs)
    const watches: readonly (readonly [Measure, Watch | undefined])[] = [
      ...this.#losses.map((watch) => ['loss', watch] as const),
      ['rtt', this.#rtt],
      ['jitter', this.#jitter],
    ]
    this.#watches = watches.flatMap(([measure, watch]) => (watch === undefined ? [] : [{ measure, watch }]))
  }

  /** The limits that it is beyond. */
  get beyond(): readonly Measure[] {
    return [...new Set(this.#watches.filter(({ watch }) => watch.isBeyond).map(({ measure }) => measure))]
  }

  get isBeyond(): boolean {
    return this.#watches.some(({ watch }) => watch.isBeyond)
  }

  /** There are signs of too much loss: more probes would tell. */
  get isSuspect(): boolean {
    return this.#losses.some((watch) => watch.isSuspect)
  }

  /** The worst measure, as a multiple of its limit. */
  get ratio(): number {
    return Math.max(0, ...this.#watches.map(({ watch }) => watch.ratio))
  }

  /** How long it has to be well again, by now. */
  get holdMs(): number {
    return this.#holdMs * this.#holds
  }

  take({ counts, rttMs, jitterMs }: PathReport, now: Instant): void {
    const before = this.isBeyond
    if (counts !== undefined) {
      const both = { sent: counts.out.sent + counts.in.sent, lost: counts.out.lost + counts.in.lost }
      for (const [i, count] of [counts.out, counts.in, both].entries()) this.#losses[i]?.take(count, now)
    }
    if (rttMs !== undefined) this.#rtt?.take(rttMs, now)
    if (jitterMs !== undefined) this.#jitter?.take(jitterMs, now)
    if (!before && this.isBeyond) this.#left(now)
    this.settle(now)
  }

  /** What has been well for the hold is no longer beyond. */
  settle(now: Instant): void {
    if (!this.isBeyond) return
    for (const { watch } of this.#watches) {
      if (!watch.isBeyond) continue
      if (watch.wellSince === undefined || now - watch.wellSince < this.holdMs || !watch.hasRecovered) continue
      watch.recover()
    }
    if (!this.isBeyond) this.#wellFrom = now
  }

  /** When `settle` is worth a call without a report before it. */
  deadline(): Instant | undefined {
    const ends = this.#watches.flatMap(({ watch: { isBeyond, wellSince, hasRecovered } }) =>
      isBeyond && hasRecovered && wellSince !== undefined ? [wellSince + this.holdMs] : [],
    )
    return ends.length === 0 ? undefined : Math.min(...ends)
  }

  #left(now: Instant): void {
    const wellFor = this.#wellFrom === undefined ? Number.POSITIVE_INFINITY : now - this.#wellFrom
    this.#holds = wellFor < MOST_HOLDS * this.#holdMs ? Math.min(2 * this.#holds, MOST_HOLDS) : 1
  }
}
