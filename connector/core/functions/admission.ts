/** How much is going on, and whether there is room for more. Pure: it counts what it is told. */
import type { Instant } from '../../../protocol/machine.ts'
import { type StreamProblem, streamProblem } from '../../../protocol/stream-problem.ts'
import type { FunctionLimits } from './plan.ts'

export type ShedReason = 'handshakes' | 'sessions' | 'streams' | 'rate' | 'memory'

/** New streams and sessions are refused from this share of the memory on. */
const FULL_SHARE = 0.8
/** Functions whose rate is remembered; one that opens nothing for a second needs no memory. */
const MAX_RATES = 4096

interface Rate {
  tokens: number
  at: Instant
}

export class Admission {
  #limits: FunctionLimits
  #handshakes = 0
  #sessions = 0
  #streams = 0
  #held = 0
  readonly #sessionsOf = new Map<string, number>()
  readonly #rates = new Map<string, Rate>()
  readonly #shed: Partial<Record<ShedReason, number>> = {}

  constructor(limits: FunctionLimits) {
    this.#limits = limits
  }

  get limits(): FunctionLimits {
    return this.#limits
  }

  /** For what comes from here on. */
  set limits(limits: FunctionLimits) {
    this.#limits = limits
  }

  get handshakes(): number {
    return this.#handshakes
  }

  get sessions(): number {
    return this.#sessions
  }

  get streams(): number {
    return this.#streams
  }

  /** Bytes that wait. */
  get held(): number {
    return this.#held
  }

  get shed(): Readonly<Partial<Record<ShedReason, number>>> {
    return this.#shed
  }

  /** Whether the bytes that wait are more than may. */
  get overfull(): boolean {
    return this.#held > this.#limits.memory
  }

  hold(bytes: number): void {
    this.#held += bytes
  }

  /** A connection of which nothing is known. False where there are too many. */
  beginHandshake(): boolean {
    if (this.#handshakes >= this.#limits.handshakes) return this.refuse('handshakes')
    this.#handshakes++
    return true
  }

  endHandshake(): void {
    this.#handshakes--
  }

  /** A session of a function that has proved itself, or why there is no room for it. */
  beginSession(functionId: string): StreamProblem | undefined {
    const own = this.#sessionsOf.get(functionId) ?? 0
    const { sessions, sessionsPerFunction } = this.#limits
    if (this.#sessions >= sessions) return this.#overloaded('sessions', `The connector has ${sessions} sessions.`)
    if (own >= sessionsPerFunction) {
      return this.#overloaded('sessions', `The function has ${sessionsPerFunction} sessions with this connector.`)
    }
    if (this.#isFull()) return this.#memory()
    this.#sessions++
    this.#sessionsOf.set(functionId, own + 1)
    return undefined
  }

  endSession(functionId: string): void {
    const left = (this.#sessionsOf.get(functionId) ?? 1) - 1
    this.#sessions--
    if (left > 0) this.#sessionsOf.set(functionId, left)
    else this.#sessionsOf.delete(functionId)
  }

  /** Whatever the answer, the stream counts until `endStream`. */
  beginStream(functionId: string, now: Instant): StreamProblem | undefined {
    const { streams, streamsPerSecond } = this.#limits
    const isAmong = this.#streams++ < streams
    if (!isAmong) return this.#overloaded('streams', `The connector has ${streams} streams.`)
    if (!this.#spend(functionId, now)) {
      return this.#overloaded('rate', `The function opens more than ${streamsPerSecond} streams a second.`)
    }
    return this.#isFull() ? this.#memory() : undefined
  }

  endStream(): void {
    this.#streams--
  }

  /** Counts something that was refused for `reason`. */
  refuse(reason: ShedReason): false {
    this.#shed[reason] = (this.#shed[reason] ?? 0) + 1
    return false
  }

  #isFull(): boolean {
    return this.#held > FULL_SHARE * this.#limits.memory
  }

  #memory(): StreamProblem {
    return this.#overloaded('memory', 'Too much waits in the memory of the connector.')
  }

  #overloaded(reason: ShedReason, cause: string): StreamProblem {
    this.refuse(reason)
    const remedy = 'Try again in a moment; limits in services.yaml of the connector says how much it takes.'
    return streamProblem('overloaded', cause, remedy)
  }

  #spend(functionId: string, now: Instant): boolean {
    const perSecond = this.#limits.streamsPerSecond
    const rate = this.#rates.get(functionId) ?? { tokens: perSecond, at: now }
    rate.tokens = Math.min(perSecond, rate.tokens + (Math.max(0, now - rate.at) * perSecond) / 1000)
    rate.at = now
    // The one that was heard of last stands last.
    this.#rates.delete(functionId)
    this.#rates.set(functionId, rate)
    if (this.#rates.size > MAX_RATES) this.#rates.delete(this.#rates.keys().next().value!)
    if (rate.tokens < 1) return false
    rate.tokens--
    return true
  }
}
