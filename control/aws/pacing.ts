/**
 * Calls below AWS's rates (EC2 API request throttling: buckets by account and region, about 20 reads a second and 5
 * changes), and pauses that grow when AWS asks for them all the same.
 */
export interface Rates {
  /** Calls a second, and at once. */
  readonly read: { readonly perSecond: number; readonly burst: number }
  readonly write: { readonly perSecond: number; readonly burst: number }
}

export const RATES: Rates = { read: { perSecond: 15, burst: 40 }, write: { perSecond: 4, burst: 20 } }
const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 20_000

export interface PacingParts {
  /** Milliseconds; only differences count. */
  readonly now: () => number
  readonly sleep: (ms: number) => Promise<void>
  /** So many random octets. */
  readonly random: (length: number) => Uint8Array
}

class Bucket {
  readonly #rate: { readonly perSecond: number; readonly burst: number }
  readonly #now: () => number
  #tokens: number
  #at: number

  constructor(rate: { readonly perSecond: number; readonly burst: number }, now: () => number) {
    this.#rate = rate
    this.#now = now
    this.#tokens = rate.burst
    this.#at = now()
  }

  /** Milliseconds until the token that the caller now has is really there; undefined, and no token, beyond `mostMs`. */
  take(mostMs: number): number | undefined {
    const now = this.#now()
    const { perSecond, burst } = this.#rate
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#at) / 1000) * perSecond)
    this.#at = now
    const waitMs = Math.max(0, ((1 - this.#tokens) / perSecond) * 1000)
    if (waitMs > mostMs) return undefined
    this.#tokens--
    return waitMs
  }

  /** AWS's bucket is empty, whatever ours says. */
  empty(): void {
    this.#tokens = Math.min(this.#tokens, 0)
  }
}

/** Of one region. */
export class Pacing {
  readonly #buckets: Readonly<Record<keyof Rates, Bucket>>
  readonly #parts: PacingParts

  constructor(parts: PacingParts, rates: Rates = RATES) {
    this.#parts = parts
    this.#buckets = { read: new Bucket(rates.read, parts.now), write: new Bucket(rates.write, parts.now) }
  }

  /** Resolves when it is the caller's turn; to false, at once, where that would take longer than `mostMs`. */
  async turn(kind: keyof Rates, mostMs: number): Promise<boolean> {
    const waitMs = this.#buckets[kind].take(mostMs)
    if (waitMs === undefined) return false
    if (waitMs > 0) await this.#parts.sleep(waitMs)
    return true
  }

  /**
   * After the `attempt`-th failure; the first is 1. Between half of a span that doubles and all of it. Resolves to
   * false, at once, where that would take longer than `mostMs`.
   */
  async backOff(kind: keyof Rates, attempt: number, mostMs: number): Promise<boolean> {
    this.#buckets[kind].empty()
    const span = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (attempt - 1))
    const [octet] = this.#parts.random(1)
    const waitMs = span * (0.5 + octet! / 510)
    if (waitMs > mostMs) return false
    await this.#parts.sleep(waitMs)
    return true
  }
}
