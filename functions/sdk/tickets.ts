/** Resumption tickets that connectors gave, kept for the next session: each is used once. */
import type { ResumptionTicket } from '../../protocol/stream-session-types.ts'

export interface KeptTicket {
  readonly ticket: ResumptionTicket
  /** Milliseconds since 1970, both: until then a session can begin with it; */
  readonly goodUntil: number
  /** and until then such a session takes new streams, because the token behind it is not good for longer. */
  readonly usableUntil: number
}

/** Newest first out. Bounded for each key and in all; what is thrown away is wiped. */
export class Tickets {
  readonly #kept = new Map<string, KeptTicket[]>()
  readonly #each: number
  readonly #keys: number

  constructor(each = 8, keys = 64) {
    this.#each = each
    this.#keys = keys
  }

  /** The ticket's secret is the store's from here on. */
  put(key: string, kept: KeptTicket): void {
    const list = this.#kept.get(key) ?? []
    list.push(kept)
    if (list.length > this.#each) wipe(list.shift())
    this.#kept.delete(key)
    this.#kept.set(key, list)
    if (this.#kept.size > this.#keys) this.drop(this.#kept.keys().next().value!)
  }

  /** One whose session is good for `leastMs` yet. The taker's from here on. */
  take(key: string, now: number, leastMs = 0): KeptTicket | undefined {
    const list = this.#kept.get(key)
    for (;;) {
      const kept = list?.pop()
      if (kept === undefined) return undefined
      if (now < kept.goodUntil && now + leastMs < kept.usableUntil) return kept
      wipe(kept)
    }
  }

  drop(key: string): void {
    for (const kept of this.#kept.get(key) ?? []) wipe(kept)
    this.#kept.delete(key)
  }
}

function wipe(kept: KeptTicket | undefined): void {
  kept?.ticket.secret.fill(0)
}
