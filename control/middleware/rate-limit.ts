/** Token buckets, one for each caller. In memory: each process grants its own. */
export interface RateLimit {
  /** Requests that are granted for each second. */
  readonly perSecond: number
  /** Requests that may come at once. */
  readonly burst: number
}

export interface Grant {
  readonly granted: boolean
  /** Whole requests that are left. */
  readonly remaining: number
  /** Seconds until the next request is granted (when refused) or until the bucket is full. */
  readonly seconds: number
}

interface Bucket {
  tokens: number
  at: number
}

const MAX_BUCKETS = 50_000

export class RateLimiter {
  readonly limit: RateLimit
  readonly #buckets = new Map<string, Bucket>()

  constructor(limit: RateLimit) {
    if (!(limit.perSecond > 0 && limit.burst >= 1)) throw new RangeError('a rate limit grants at least one request')
    this.limit = limit
  }

  /** Takes `cost` requests from the bucket of `caller`. `now` in milliseconds. */
  take(caller: string, now: number, cost = 1): Grant {
    const { perSecond, burst } = this.limit
    const bucket = this.#bucketOf(caller, now)
    // A clock that was set back grants nothing, and takes nothing.
    const elapsed = Math.max(0, now - bucket.at)
    bucket.tokens = Math.min(burst, bucket.tokens + (elapsed * perSecond) / 1000)
    bucket.at = now
    if (bucket.tokens < cost)
      return { granted: false, remaining: 0, seconds: ceilTime((cost - bucket.tokens) / perSecond) }
    bucket.tokens -= cost
    return {
      granted: true,
      remaining: Math.floor(bucket.tokens),
      seconds: ceilTime((burst - bucket.tokens) / perSecond),
    }
  }

  #bucketOf(caller: string, now: number): Bucket {
    const known = this.#buckets.get(caller)
    if (known !== undefined) return known
    if (this.#buckets.size >= MAX_BUCKETS) this.#forget(now)
    const fresh = { tokens: this.limit.burst, at: now }
    this.#buckets.set(caller, fresh)
    return fresh
  }

  /** Full buckets need not be remembered; when all are in use, the oldest go. */
  #forget(now: number): void {
    const { perSecond, burst } = this.limit
    for (const [caller, { tokens, at }] of this.#buckets) {
      if (tokens + ((now - at) * perSecond) / 1000 >= burst) this.#buckets.delete(caller)
    }
    for (const caller of this.#buckets.keys()) {
      if (this.#buckets.size < MAX_BUCKETS) break
      this.#buckets.delete(caller)
    }
  }
}

function ceilTime(seconds: number): number {
  return Math.max(1, Math.ceil(seconds))
}
