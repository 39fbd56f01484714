/** The round trip, smoothed as in RFC 6298 section 2, and how long an answer is waited for. */
import type { Instant } from '../../../protocol/machine.ts'

const ALPHA = 1 / 8
const BETA = 1 / 4
/** A late answer is remembered for this long. */
const MEMORY_MS = 30_000
/**
 * Of the interval: what an answer may be later than usual, at least and at most. So a cut is told within a known time
 * whatever came before.
 */
const LEAST_MARGIN = 0.6
const MOST_MARGIN = 0.9
const RTO_LEAST_MS = 200
const RTO_MOST_MS = 3000

export class RoundTrip {
  #smoothed: number | undefined
  #deviation = 0
  /** How much later than usual an answer came, and when. */
  #late = 0
  #lateAt: Instant = Number.NEGATIVE_INFINITY

  /** Milliseconds; undefined before the first sample. */
  get smoothedMs(): number | undefined {
    return this.#smoothed
  }

  get deviationMs(): number {
    return this.#deviation
  }

  sample(ms: number, now: Instant): void {
    if (this.#smoothed === undefined) {
      this.#smoothed = ms
      this.#deviation = ms / 2
      return
    }
    const late = ms - this.#smoothed
    if (late >= this.#lateness(now)) {
      this.#late = late
      this.#lateAt = now
    }
    this.#deviation += BETA * (Math.abs(late) - this.#deviation)
    this.#smoothed += ALPHA * late
  }

  /**
   * How long after it was sent a probe counts as missed, where one is sent every `intervalMs`: the round trip and a margin
   * that grows with its variance and with how late answers were. Before the first sample, the interval is in its place.
   */
  waitMs(intervalMs: number, now: Instant): number {
    const margin = Math.max(4 * this.#deviation, this.#lateness(now))
    const bounded = Math.max(LEAST_MARGIN * intervalMs, Math.min(margin, MOST_MARGIN * intervalMs))
    return (this.#smoothed ?? intervalMs) + bounded
  }

  /** How long the answer to a single probe is waited for (RFC 6298 section 2.3, RFC 8899 section 5.1.1). */
  get timeoutMs(): number {
    if (this.#smoothed === undefined) return 1000
    return Math.min(RTO_MOST_MS, Math.max(RTO_LEAST_MS, this.#smoothed + 4 * this.#deviation))
  }

  #lateness(now: Instant): number {
    return now - this.#lateAt < MEMORY_MS ? this.#late : 0
  }
}
