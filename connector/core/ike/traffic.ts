/** What one connection's requests tell about the way to the peer. */

/** Round trips kept for the median. */
const RING = 16

export class Traffic {
  sent = 0
  resent = 0
  #count = 0
  readonly #ring: number[] = []

  requestSent(): void {
    this.sent++
  }

  requestResent(): void {
    this.resent++
  }

  /**
   * Only for INFORMATIONAL requests that went out once: other exchanges contain the peer's arithmetic, and with a second
   * try nobody knows which one was answered.
   */
  roundTrip(ms: number): void {
    this.#ring[this.#count++ % RING] = ms
  }

  get rtt(): { lastMs: number; medianMs: number; samples: number } | undefined {
    if (this.#count === 0) return undefined
    const sorted = [...this.#ring].sort((left, right) => left - right)
    const lastMs = this.#ring[(this.#count - 1) % RING]!
    return { lastMs, medianMs: sorted[sorted.length >> 1]!, samples: this.#count }
  }
}
