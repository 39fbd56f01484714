/** Token buckets: so many per second, and as many at once. Time is monotonic milliseconds. */
@unmanaged
export class TokenBucket {
  tokens: f64
  filledAt: f64
  started: bool
}

/** Takes one token from a bucket of `perSecond`. Returns false when it is empty. */
export function takeToken(bucket: TokenBucket, perSecond: f64, now: f64): bool {
  const gained = bucket.started ? max<f64>(now - bucket.filledAt, 0) * perSecond * 0.001 : perSecond
  bucket.started = true
  bucket.filledAt = now
  bucket.tokens = min<f64>(bucket.tokens + gained, perSecond)
  if (bucket.tokens < 1) return false
  bucket.tokens -= 1
  return true
}
