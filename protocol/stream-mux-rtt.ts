/** Round-trip times, by pings. */
import type { Instant } from './machine.ts'
import { MAX_UINT32 } from './stream-mux-frame.ts'

/** Pings that are waited for; an answer to an older one is ignored. */
const MAX_WAITING = 16
/** A measurement of our own, where there is data for which it matters. */
const EVERY_MS = 10_000

export class RoundTrips {
  #last: number | undefined
  #best: number | undefined
  #next = 0
  #dueAt: Instant = Number.NEGATIVE_INFINITY
  readonly #waiting = new Map<number, Instant>()

  /** Milliseconds, by the last ping that was answered. */
  get lastMs(): number | undefined {
    return this.#last
  }

  /** The shortest one, milliseconds: a ping behind much data measures the data. */
  get bestMs(): number | undefined {
    return this.#best
  }

  /** Whether it is long ago that one was measured. */
  due(now: Instant): boolean {
    return now >= this.#dueAt
  }

  /** A ping goes out: its opaque value. */
  begin(now: Instant): number {
    const value = this.#next
    this.#next = value === MAX_UINT32 ? 0 : value + 1
    this.#waiting.set(value, now)
    if (this.#waiting.size > MAX_WAITING) this.#waiting.delete(this.#waiting.keys().next().value!)
    this.#dueAt = now + EVERY_MS
    return value
  }

  /** An answer: the time it took, or undefined where nobody waits for it. */
  end(value: number, now: Instant): number | undefined {
    const at = this.#waiting.get(value)
    if (at === undefined) return undefined
    this.#waiting.delete(value)
    const rttMs = Math.max(0, now - at)
    this.#last = rttMs
    this.#best = this.#best === undefined ? rttMs : Math.min(this.#best, rttMs)
    return rttMs
  }
}
