/** Hysteresis for sessions that flap (RFC 5882 section 3.1). */
import type { Instant } from '../../../protocol/machine.ts'

/** Milliseconds. */
export interface Dampening {
  /** How long a session is held down after its second loss in a row; each further loss doubles it. */
  readonly holdMs: number
  readonly holdMaxMs: number
  /** A session that was up for this long has its losses forgotten. */
  readonly forgetMs: number
}

export const DEFAULT_DAMPENING: Dampening = { holdMs: 2_000, holdMaxMs: 60_000, forgetMs: 60_000 }

/** Counts losses of one session and says how long it is held down. The first loss costs nothing. */
export class FlapMemory {
  readonly #dampening: Dampening
  #losses = 0
  #upSince: Instant | undefined
  #heldUntil: Instant = Number.NEGATIVE_INFINITY

  constructor(dampening: Dampening) {
    this.#dampening = dampening
  }

  /** The session came up. */
  up(now: Instant): void {
    this.#upSince = now
  }

  /** The session was up and is down, for another reason than an operator's wish. */
  lost(now: Instant): void {
    if (this.#upSince !== undefined && now - this.#upSince >= this.#dampening.forgetMs) this.#losses = 0
    this.#upSince = undefined
    this.#losses++
    if (this.#losses < 2) return
    const { holdMs, holdMaxMs } = this.#dampening
    this.#heldUntil = now + Math.min(holdMs * 2 ** (this.#losses - 2), holdMaxMs)
  }

  /** An operator's wish ends the hold. */
  forgive(): void {
    this.#losses = 0
    this.#upSince = undefined
    this.#heldUntil = Number.NEGATIVE_INFINITY
  }

  isHeld(now: Instant): boolean {
    return now < this.#heldUntil
  }

  /** The end of the hold; long past where there is none. */
  get heldUntil(): Instant {
    return this.#heldUntil
  }
}
