/**
 * Whether a drained tunnel carries nothing any more, by its ESP counters: a bucket of packets for each way, which fills
 * as fast as probes and BGP need. What is beyond it is traffic.
 */

/** What may be between two looks beside the rate: a session's UPDATE with its acknowledgement, a probe on its way. */
const BURST = 4
/** A keepalive and the acknowledgement of the other end's, each third of the hold time (RFC 4271 section 4.4). */
const PER_KEEPALIVE = 2
const KEEPALIVES_PER_HOLD = 3

export interface IdleNeeds {
  /** Between probes; each is a packet either way. */
  readonly probeMs: number
  /** Of BGP; absent: none. */
  readonly holdTimeS?: number
}

/** ESP packets since the start of the connector. */
export interface PassedPackets {
  readonly out: number
  readonly in: number
}

export class IdleWatch {
  readonly #perMs: number
  #last: { readonly at: number; readonly passed: PassedPackets } | undefined
  #since: number | undefined
  #level = { out: 0, in: 0 }

  constructor({ probeMs, holdTimeS }: IdleNeeds) {
    const keepalives = holdTimeS === undefined ? 0 : (PER_KEEPALIVE * KEEPALIVES_PER_HOLD) / (holdTimeS * 1000)
    this.#perMs = 1 / probeMs + keepalives
  }

  /** A look; `now` in milliseconds of any clock that only grows, `passed` as it is at that moment. */
  look(passed: PassedPackets, now: number): void {
    const last = this.#last
    this.#last = { at: now, passed }
    if (last === undefined) {
      this.#since = now
      return
    }
    const room = Math.max(0, now - last.at) * this.#perMs
    const level = (way: 'out' | 'in') => Math.max(0, this.#level[way] + passed[way] - last.passed[way] - room)
    this.#level = { out: level('out'), in: level('in') }
    if (this.#level.out <= BURST && this.#level.in <= BURST) return
    this.#level = { out: 0, in: 0 }
    this.#since = now
  }

  /** For how long nothing else has passed, as of the last look; undefined before the first one. */
  get idleMs(): number | undefined {
    return this.#since === undefined || this.#last === undefined ? undefined : this.#last.at - this.#since
  }
}
