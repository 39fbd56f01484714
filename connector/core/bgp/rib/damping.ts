/** Route flap damping (RFC 2439) with the parameters of RFC 7196. Off unless a neighbour asks for it. */
import type { Instant } from '../../../../protocol/machine.ts'

export interface DampingOptions {
  readonly halfLifeMs: number
  /** Above this a route is held back: RFC 7196 section 4 says no less than 6,000. */
  readonly suppress: number
  /** Below this it is used again. */
  readonly reuse: number
  /** What the penalty never exceeds: RFC 7196 section 4 asks for 50,000, so that a threshold of 12,000 works. */
  readonly ceiling: number
  /** However it flaps, a route that is there is held back no longer than this in one go. */
  readonly maxSuppressMs: number
}

export const DEFAULT_DAMPING: DampingOptions = {
  halfLifeMs: 15 * 60_000,
  suppress: 6_000,
  reuse: 750,
  ceiling: 50_000,
  maxSuppressMs: 60 * 60_000,
}

/** RFC 2439 section 4.8.2, with what routers use: an announcement after a withdrawal costs nothing more. */
export const PENALTY = { withdrawal: 1_000, 'attribute-change': 500 } as const

/** How exactly the time of reuse is kept. */
const TICK_MS = 5_000
/** Routes remembered, of all neighbours together. */
const MOST_ENTRIES = 100_000

interface Entry {
  penalty: number
  at: Instant
  suppressedAt: Instant | undefined
}

/** Penalties by key, a number that the caller makes of neighbour and prefix. */
export class Damping {
  /** Flaps that were not remembered because there were too many routes. */
  overflow = 0
  readonly #options: DampingOptions
  readonly #entries = new Map<number, Entry>()
  #tickAt: Instant | undefined

  constructor(options: DampingOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#entries.size
  }

  /** The route flapped. Returns whether it is new here, and whether it is held back from now on and was not before. */
  flap(key: number, kind: keyof typeof PENALTY, now: Instant): { isNew: boolean; suppressed: boolean } {
    const known = this.#entries.get(key)
    if (known === undefined && this.#entries.size >= MOST_ENTRIES) {
      this.overflow++
      return { isNew: false, suppressed: false }
    }
    const entry = known ?? { penalty: 0, at: now, suppressedAt: undefined }
    entry.penalty = Math.min(this.#penalty(entry, now) + PENALTY[kind], this.#options.ceiling)
    entry.at = now
    this.#entries.set(key, entry)
    this.#tickAt ??= now + TICK_MS
    const suppressed = entry.suppressedAt === undefined && entry.penalty > this.#options.suppress
    if (suppressed) entry.suppressedAt = now
    return { isNew: known === undefined, suppressed }
  }

  isSuppressed(key: number): boolean {
    return this.#entries.get(key)?.suppressedAt !== undefined
  }

  /** Zero where nothing is remembered. */
  penalty(key: number, now: Instant): number {
    const entry = this.#entries.get(key)
    return entry === undefined ? 0 : Math.round(this.#penalty(entry, now))
  }

  deadline(): Instant | undefined {
    return this.#tickAt
  }

  /** Tells of each route that may be used again, and of each that is forgotten. */
  tick(now: Instant, reused: (key: number) => void, forgotten: (key: number) => void): void {
    if (this.#tickAt === undefined || now < this.#tickAt) return
    for (const [key, entry] of this.#entries) {
      const penalty = this.#penalty(entry, now)
      const isOver = entry.suppressedAt !== undefined && now - entry.suppressedAt >= this.#options.maxSuppressMs
      if (entry.suppressedAt !== undefined && (penalty < this.#options.reuse || isOver)) {
        entry.suppressedAt = undefined
        reused(key)
      }
      // RFC 2439 section 4.2: half of the reuse threshold is not worth remembering.
      if (entry.suppressedAt !== undefined || penalty >= this.#options.reuse / 2) continue
      this.#entries.delete(key)
      forgotten(key)
    }
    this.#tickAt = this.#entries.size === 0 ? undefined : now + TICK_MS
  }

  #penalty(entry: Entry, now: Instant): number {
    return entry.penalty * 0.5 ** ((now - entry.at) / this.#options.halfLifeMs)
  }
}
