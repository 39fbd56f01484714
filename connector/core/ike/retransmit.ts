/** The ladder of retransmission: each wait is the last one times a factor (RFC 7296 section 2.4). */
import type { Instant } from '../../../protocol/machine.ts'
import type { EndpointLimits } from './types.ts'

/** Defaults: half a second, growing by half each time; the peer is given up after about a minute. */
export const DEFAULT_LIMITS: EndpointLimits = {
  cookieThreshold: 32,
  maxHalfOpen: 256,
  retransmitMs: 500,
  retransmitFactor: 1.5,
  retransmitTries: 9,
  retryMs: 2_000,
  retryMaxMs: 60_000,
}

/** Longest wait between two tries, whatever the factor. */
const MAX_WAIT_MS = 60_000

export class Ladder {
  /** When the next try, or the end, is due. */
  deadline: Instant
  /** Tries after the first. */
  resent = 0
  readonly #limits: EndpointLimits
  #wait: number

  constructor(limits: EndpointLimits, now: Instant) {
    this.#limits = limits
    this.#wait = limits.retransmitMs
    this.deadline = now + this.#wait
  }

  /** To be called at the deadline: one more try, or the end of the ladder. */
  step(now: Instant): 'again' | 'exhausted' {
    if (this.resent >= this.#limits.retransmitTries) return 'exhausted'
    this.resent++
    this.#wait = Math.min(this.#wait * this.#limits.retransmitFactor, MAX_WAIT_MS)
    this.deadline = now + this.#wait
    return 'again'
  }
}
