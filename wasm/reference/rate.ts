/** A token bucket: so many per second, and as many at once. */
export class RateLimit {
  readonly #perSecond: number
  #tokens: number
  #filledAt: number | undefined

  constructor(perSecond: number) {
    this.#perSecond = perSecond
    this.#tokens = perSecond
  }

  /** True if one more is allowed at `now` (monotonic milliseconds), and counts it. */
  take(now: number): boolean {
    const gained = Math.max(now - (this.#filledAt ?? now), 0) * this.#perSecond * 0.001
    this.#filledAt = now
    this.#tokens = Math.min(this.#tokens + gained, this.#perSecond)
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }
}
