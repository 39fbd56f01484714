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
  readonly now: () => number
  readonly sleep: (ms: number) => Promise<void>
  /** One random octet. */
  readonly random: (length: number) => Uint8Array
}

class Bucket {
  readonly #rate: { readonly perSecond: number; readonly burst: number }
  readonly #parts: PacingParts
  #tokens: number
  #at: number

  constructor(rate: { readonly perSecond: number; readonly burst: number }, parts: PacingParts) {
    this.#rate = rate
    this.#parts = parts
    this.#tokens = rate.burst
    this.#at = parts.now()
  }

  /** Each caller takes its token at once, also one that is not there yet, and waits for as long as it takes. */
  async take(): Promise<void> {
    const now = this.#parts.now()
    const { perSecond, burst } = this.#rate
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#at) / 1000) * perSecond) - 1
    this.#at = now
    if (this.#tokens < 0) await this.#parts.sleep((-this.#tokens / perSecond) * 1000)
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
    this.#buckets = { read: new Bucket(rates.read, parts), write: new Bucket(rates.write, parts) }
  }

  turn(kind: keyof Rates): Promise<void> {
    return this.#buckets[kind].take()
  }

  /** After the `attempt`-th time that AWS has said that it is too much; the first is 1. */
  async backOff(kind: keyof Rates, attempt: number): Promise<void> {
    this.#buckets[kind].empty()
    const most = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (attempt - 1))
    const [octet] = this.#parts.random(1)
    await this.#parts.sleep(most * (0.5 + octet! / 510))
  }
}
