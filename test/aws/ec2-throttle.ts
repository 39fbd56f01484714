/** Request rate limiting: a bucket of tokens for each API ("Request throttling for the Amazon EC2 API"). */
import { Ec2Error } from './ec2-error.ts'
import type { Fields } from './sdk-model.ts'

export interface Rate {
  /** Tokens that come back, and that a full bucket has. */
  readonly perSecond: number
  readonly burst: number
}

/** `unfiltered`: a list without filter and without pages. */
export type RateGroup = 'read' | 'unfiltered' | 'write'
export type Rates = Readonly<Record<RateGroup, Rate>>

/** AWS's own. */
export const AWS_RATES: Rates = {
  read: { perSecond: 20, burst: 100 },
  unfiltered: { perSecond: 10, burst: 50 },
  write: { perSecond: 5, burst: 50 },
}

class Bucket {
  readonly #rate: Rate
  #tokens: number
  #at: number

  constructor(rate: Rate, now: number) {
    this.#rate = rate
    this.#tokens = rate.burst
    this.#at = now
  }

  take(now: number): boolean {
    const { perSecond, burst } = this.#rate
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#at) / 1000) * perSecond)
    this.#at = now
    if (this.#tokens < 1) return false
    this.#tokens--
    return true
  }
}

export interface ThrottleOptions {
  /** One bucket for all calls. */
  readonly rate?: Rate | undefined
  /** A bucket for each action, by its group. */
  readonly rates?: Partial<Rates> | undefined
}

export class Throttle {
  readonly #options: ThrottleOptions
  readonly #now: () => number
  readonly #buckets = new Map<string, Bucket>()

  constructor(options: ThrottleOptions, now: () => number) {
    this.#options = options
    this.#now = now
  }

  /** Throws Ec2Error RequestLimitExceeded. */
  admit(action: string, input: Fields): void {
    const { rate, rates } = this.#options
    if (rate !== undefined) this.#take('', rate)
    const group = rateGroup(action, input)
    const own = rates?.[group]
    if (own !== undefined) this.#take(`${action} ${group}`, own)
  }

  #take(name: string, rate: Rate): void {
    const now = this.#now()
    const bucket = this.#buckets.get(name) ?? new Bucket(rate, now)
    this.#buckets.set(name, bucket)
    if (!bucket.take(now)) throw new Ec2Error('RequestLimitExceeded', 'Request limit exceeded.', 503)
  }
}

export function rateGroup(action: string, input: Fields): RateGroup {
  if (!isRead(action)) return 'write'
  return Object.keys(input).some((name) => name !== 'DryRun') || !action.startsWith('Describe') ? 'read' : 'unfiltered'
}

export function isRead(action: string): boolean {
  return /^(Describe|Get)/.test(action)
}
