/**
 * What does I/O, kept for the invocation to which it belongs. On Workers a socket may be used only by the request that
 * opened it; a promise that waits for another's I/O hangs when that request ends. So each invocation has its own
 * sessions, found by a mark that is only `present` within it. Elsewhere there is one scope for the whole process.
 */
import type { InvocationMark } from './platform.ts'

/** Scopes that nobody has used for so long are taken to be over; milliseconds. */
const OVER_MS = 60_000
/** From here on those that are over are looked for. */
const MANY = 32
const MOST = 4096

interface Scope<T> {
  readonly mark: InvocationMark
  readonly value: T
  usedAt: number
}

export interface ScopeOptions<T> {
  readonly mark: (() => InvocationMark) | undefined
  make(): T
  /** When something last came in for it; milliseconds. */
  activeAt(value: T): number
  /** Must not touch I/O: the invocation is over. */
  end(value: T): void
}

export class Scopes<T> {
  readonly #options: ScopeOptions<T>
  #scopes: Scope<T>[] = []

  constructor(options: ScopeOptions<T>) {
    this.#options = options
  }

  /** Of the present invocation. `now` in milliseconds. */
  current(now: number): T {
    const found = this.#scopes.findLast(({ mark }) => mark.present)
    if (found !== undefined) {
      found.usedAt = now
      return found.value
    }
    if (this.#scopes.length >= MANY) this.#clean(now)
    const mark = this.#options.mark?.() ?? { present: true }
    const value = this.#options.make()
    this.#scopes.push({ mark, value, usedAt: now })
    return value
  }

  #clean(now: number): void {
    const usedAt = (scope: Scope<T>) => Math.max(scope.usedAt, this.#options.activeAt(scope.value))
    const kept = this.#scopes.filter((scope) => now - usedAt(scope) < OVER_MS).slice(-MOST + 1)
    const keep = new Set(kept)
    for (const scope of this.#scopes) if (!keep.has(scope)) this.#options.end(scope.value)
    this.#scopes = kept
  }
}
