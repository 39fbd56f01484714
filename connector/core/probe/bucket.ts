/** So many at once, and then one in a while: what bounds the answers that somebody else can make us send. */
import type { Instant } from '../../../protocol/machine.ts'

export class Bucket {
  readonly #size: number
  #left: number
  #at: Instant | undefined

  constructor(size: number) {
    this.#size = size
    this.#left = size
  }

  /** Takes one where there is one; `everyMs` is the time in which one comes back. */
  take(now: Instant, everyMs: number): boolean {
    const passed = Math.max(0, now - (this.#at ?? now))
    this.#at = now
    this.#left = Math.min(this.#size, this.#left + passed / everyMs)
    if (this.#left < 1) return false
    this.#left--
    return true
  }
}
