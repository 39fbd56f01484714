/** Whether a smoothed measure (round trip, jitter) is beyond a limit: beyond it for a while to enter, well below it to leave. */
import type { Instant } from '../../../protocol/machine.ts'

/** Weight of a report in the average. */
const WEIGHT = 1 / 16
/** Milliseconds for which the average is beyond the limit. */
const ENTER_MS = 1_000
/** Share of the limit below which it is well again. */
const WELL = 0.7

export class LevelWatch {
  readonly #limit: number
  #isBeyond = false
  #beyondSince: Instant | undefined
  #average: number | undefined
  /** Since when every report is well below the limit; only while `isBeyond`. */
  wellSince: Instant | undefined

  /** @param limit more than 0, in the unit of the reports */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** The average of the last reports, as a multiple of the limit. */
  get ratio(): number {
    return (this.#average ?? 0) / this.#limit
  }

  get isBeyond(): boolean {
    return this.#isBeyond
  }

  take(level: number, now: Instant): void {
    this.#average = this.#average === undefined ? level : this.#average + WEIGHT * (level - this.#average)
    if (this.#isBeyond) {
      if (this.ratio >= WELL) this.wellSince = undefined
      else this.wellSince ??= now
      return
    }
    if (this.ratio <= 1) {
      this.#beyondSince = undefined
      return
    }
    this.#beyondSince ??= now
    this.#isBeyond = now - this.#beyondSince >= ENTER_MS
  }

  get hasRecovered(): boolean {
    return this.wellSince !== undefined
  }

  recover(): void {
    this.#isBeyond = false
    this.wellSince = undefined
    this.#beyondSince = undefined
  }
}
