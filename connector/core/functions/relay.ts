/**
 * Sockets to the relay of the control plane: some that wait there unused, and more when functions wait for them. Pure.
 *
 *     dialling ── waiting ── used, from here on a session's
 */
import type { Instant, Machine, RandomBytes } from '../../../protocol/machine.ts'

export type RelayInput =
  /** The link stands; `spare`: how many the relay wants to have waiting. */
  | { readonly type: 'linked'; readonly spare: number }
  /** It does not: nobody can be called. Sockets that wait stay. */
  | { readonly type: 'unlinked' }
  /** Functions wait for so many. */
  | { readonly type: 'call'; readonly count: number }
  | { readonly type: 'opened'; readonly socket: number }
  /** A function has one now. */
  | { readonly type: 'used'; readonly socket: number }
  /** It could not be opened, or was closed unused. `refused`: by a relay that does not want it. */
  | { readonly type: 'closed'; readonly socket: number; readonly refused?: boolean }
  | { readonly type: 'stop' }
  | { readonly type: 'time' }

export type RelayEffect =
  | { readonly type: 'dial'; readonly socket: number }
  | { readonly type: 'drop'; readonly socket: number }

export const RELAY_TIMING = {
  retryMs: 500,
  retryMaxMs: 30_000,
  /** A function does not wait any longer at the relay. */
  callMs: 10_000,
} as const

/** Sockets that are being dialled at once. */
const MAX_DIALLING = 64

export class RelaySockets implements Machine<RelayInput, RelayEffect> {
  readonly #random: RandomBytes
  readonly #sockets = new Map<number, 'dialling' | 'waiting'>()
  #effects: RelayEffect[] = []
  #next = 1
  #linked = false
  #spare = 0
  /** Sockets that functions wait for beyond the spare ones, until when. */
  #called = 0
  #calledUntil: Instant = 0
  #pauseMs: number = RELAY_TIMING.retryMs
  #retryAt: Instant | undefined
  #stopped = false

  constructor(random: RandomBytes) {
    this.#random = random
  }

  /** Those that wait, and those that are being dialled. */
  get waiting(): number {
    return this.#sockets.size
  }

  handle(input: RelayInput, now: Instant): void {
    if (this.#stopped) return
    switch (input.type) {
      case 'linked':
        this.#linked = true
        this.#spare = input.spare
        this.#pauseMs = RELAY_TIMING.retryMs
        this.#retryAt = undefined
        break
      case 'unlinked':
        this.#linked = false
        this.#called = 0
        break
      case 'call':
        if (!this.#linked) break
        this.#called = Math.min(MAX_DIALLING, this.#called + input.count)
        this.#calledUntil = now + RELAY_TIMING.callMs
        break
      case 'opened':
        if (this.#sockets.has(input.socket)) this.#sockets.set(input.socket, 'waiting')
        break
      case 'used':
        if (!this.#sockets.delete(input.socket)) break
        this.#called = Math.max(0, this.#called - 1)
        this.#pauseMs = RELAY_TIMING.retryMs
        break
      case 'closed':
        if (this.#sockets.delete(input.socket)) this.#later(input.refused === true, now)
        break
      case 'stop':
        this.#stop()
        return
      case 'time':
        break
    }
    if (this.#retryAt !== undefined && now >= this.#retryAt) this.#retryAt = undefined
    if (now >= this.#calledUntil) this.#called = 0
    this.#fill()
  }

  poll(): RelayEffect | undefined {
    return this.#effects.shift()
  }

  deadline(): Instant | undefined {
    if (this.#stopped || !this.#linked) return undefined
    const wanted = this.#spare + this.#called > this.#sockets.size
    const times = [wanted ? this.#retryAt : undefined, this.#called > 0 ? this.#calledUntil : undefined]
    const due = times.filter((time) => time !== undefined)
    return due.length === 0 ? undefined : Math.min(...due)
  }

  #fill(): void {
    if (!this.#linked || this.#retryAt !== undefined) return
    let dialling = 0
    for (const state of this.#sockets.values()) if (state === 'dialling') dialling++
    while (this.#sockets.size < this.#spare + this.#called && dialling++ < MAX_DIALLING) {
      const socket = this.#next++
      this.#sockets.set(socket, 'dialling')
      this.#effects.push({ type: 'dial', socket })
    }
  }

  /** Each failure in a row waits longer, and one that is refused the longest. */
  #later(refused: boolean, now: Instant): void {
    if (refused) this.#pauseMs = RELAY_TIMING.retryMaxMs
    const [byte] = this.#random(1)
    this.#retryAt ??= now + this.#pauseMs * (0.5 + byte! / 510)
    this.#pauseMs = Math.min(this.#pauseMs * 2, RELAY_TIMING.retryMaxMs)
  }

  #stop(): void {
    this.#stopped = true
    for (const socket of this.#sockets.keys()) this.#effects.push({ type: 'drop', socket })
    this.#sockets.clear()
  }
}
