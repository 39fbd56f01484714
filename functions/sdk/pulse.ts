/**
 * Whether a session's peer is still there: pings now and then, and before use after a long silence, such as when the
 * process was frozen between two invocations.
 */
import type { Timing } from './platform.ts'
import { unref } from './timers.ts'

export interface PulseActions {
  ping(): void
  busy(): boolean
  /** Nothing was open for `idle`. */
  idle(): void
  /** A ping was not answered. */
  dead(): void
}

export class Pulse {
  readonly #timing: Timing
  readonly #actions: PulseActions
  readonly #waits = new Set<(heard: boolean) => void>()
  #heardAt = Date.now()
  #touchedAt = Date.now()
  #tickedAt = 0
  #asked = false
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(timing: Timing, actions: PulseActions) {
    this.#timing = timing
    this.#actions = actions
  }

  get heardAt(): number {
    return this.#heardAt
  }

  start(): void {
    this.heard()
    this.#next()
  }

  stop(): void {
    clearTimeout(this.#timer)
    for (const wake of this.#waits) wake(false)
  }

  /** Something came from the peer. */
  heard(): void {
    this.#heardAt = Date.now()
    this.#asked = false
    for (const wake of this.#waits) wake(true)
  }

  /** The session was in use until now. */
  touch(): void {
    this.#touchedAt = Date.now()
  }

  /** Whether the peer is there, by what was heard lately or by asking it. */
  alive(rttMs: number | undefined): Promise<boolean> {
    if (Date.now() - this.#heardAt < this.#timing.stale) return Promise.resolve(true)
    this.#actions.ping()
    const wait = Math.min(1000, 200 + 4 * (rttMs ?? 200))
    return new Promise((resolve) => {
      const done = (heard: boolean): void => {
        clearTimeout(timer)
        this.#waits.delete(done)
        resolve(heard)
      }
      const timer = setTimeout(() => done(false), wait)
      this.#waits.add(done)
    })
  }

  #next(): void {
    this.#tickedAt = Date.now()
    this.#timer = setTimeout(() => this.#tick(), this.#timing.ping)
    unref(this.#timer)
  }

  #tick(): void {
    const now = Date.now()
    const frozen = now - this.#tickedAt > 2 * this.#timing.ping
    if (!this.#actions.busy() && now - this.#touchedAt >= this.#timing.idle) {
      this.#actions.idle()
      return
    }
    if (this.#asked && !frozen) {
      this.#actions.dead()
      return
    }
    this.#asked = true
    this.#actions.ping()
    this.#next()
  }
}
