/**
 * How late things come on a noisy host, and what interval that asks for. A session has one gauge for its own
 * sending, whose lateness the peer must bear, and one for what it receives; see docs/bfd.md.
 */
import type { Instant } from '../../../protocol/machine.ts'

/** Each step of the interval is this much longer than the one before. */
const STEP = 1.5
/** How long nothing may have been too late for the shorter interval before it is tried: slow, so as not to hunt. */
export const CALM_MS = 120_000

export class LatenessGauge {
  #least: number
  #most: number
  readonly #margin: number
  /** How many steps above the least. */
  #level = 0
  /** The last time that something came too late for the level below, or that the level changed. */
  #roughAt: Instant = Number.NEGATIVE_INFINITY
  #peak = 0

  /**
   * Milliseconds: the interval on a quiet host, and the longest one that noise may lead to. What comes next may be
   * `margin` times as late as what was seen.
   */
  constructor(leastMs: number, mostMs: number, margin: number) {
    this.#margin = margin
    this.#least = leastMs
    this.#most = Math.max(leastMs, mostMs)
  }

  /** Other bounds; the level stays, so that a noisy host does not have to flap anew. */
  setBounds(leastMs: number, mostMs: number): void {
    this.#least = leastMs
    this.#most = Math.max(leastMs, mostMs)
    while (this.#level > 0 && this.#at(this.#level - 1) >= this.#most) this.#level--
  }

  /** The interval that what was seen so far asks for, in milliseconds. */
  get intervalMs(): number {
    return this.#at(this.#level)
  }

  /** The greatest lateness seen, in milliseconds. */
  get peakMs(): number {
    return this.#peak
  }

  /**
   * Something came `lateMs` after it should have, and the one who waits gives up after `mult` intervals. The interval
   * must hold half of what the detection time leaves beside it: so noise `margin` times as great, and a lost packet
   * with it where `mult` is 3 or more, stay within the detection time.
   */
  sample(lateMs: number, mult: number, now: Instant): void {
    this.#peak = Math.max(this.#peak, lateMs)
    const wanted = (2 * this.#margin * lateMs) / Math.max(1, mult - 1)
    const before = this.#level
    while (this.intervalMs < wanted && this.intervalMs < this.#most) this.#level++
    const isRough = this.#level > 0 && wanted > this.#at(this.#level - 1)
    if (isRough || this.#level > before) this.#roughAt = now
    else if (this.#level > 0 && now - this.#roughAt >= CALM_MS) {
      this.#level--
      this.#roughAt = now
    }
  }

  #at(level: number): number {
    return Math.min(this.#least * STEP ** level, this.#most)
  }
}
