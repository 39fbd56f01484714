/** How often each function gets grants: too often for the audit log and the store, so it is counted here, and logged. */
import type { Context } from './types.ts'

const LOG_EVERY_MS = 60_000
const MAX_KEPT = 100_000

interface Count {
  lastAt: number
  loggedAt: number
  /** Since then. */
  grants: number
}

export class GrantCounts {
  readonly #context: Pick<Context, 'clock' | 'log'>
  readonly #counts = new Map<string, Count>()

  constructor(context: Pick<Context, 'clock' | 'log'>) {
    this.#context = context
  }

  /** Logs a line for the first one, and then at most one in a minute that says how many there were since. */
  note(network: string, own: string, site: string): void {
    const now = this.#context.clock()
    const key = `${network}/${own}`
    if (this.#counts.size >= MAX_KEPT && !this.#counts.has(key)) this.#counts.clear()
    const count = this.#counts.get(key) ?? { lastAt: now, loggedAt: Number.NEGATIVE_INFINITY, grants: 0 }
    this.#counts.set(key, count)
    count.lastAt = now
    count.grants++
    if (now - count.loggedAt < LOG_EVERY_MS) return
    this.#context.log.info({ network, function: own, site, grants: count.grants }, 'grants')
    count.loggedAt = now
    count.grants = 0
  }

  /** When this process last gave the function a grant; milliseconds since 1970. */
  lastGrant(network: string, own: string): number | undefined {
    return this.#counts.get(`${network}/${own}`)?.lastAt
  }
}
