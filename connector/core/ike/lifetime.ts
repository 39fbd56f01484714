/** When an SA is to be rekeyed and when it must end. */
import type { Instant } from '../../../protocol/machine.ts'
import type { Lifetime } from './types.ts'

export interface Expiry {
  rekeyAt: Instant
  hardAt: Instant
}

/**
 * Instants for an SA made now. `fraction` in [0, 1) picks the random part of the jitter, so that the two ends
 * seldom start at once. A lifetime of 0 never ends.
 */
export function expiryOf({ softMs, hardMs, jitterMs }: Lifetime, now: Instant, fraction: number): Expiry {
  const soft = softMs === 0 ? Number.POSITIVE_INFINITY : Math.max(softMs - jitterMs * fraction, softMs / 10)
  const hard = hardMs === 0 ? Number.POSITIVE_INFINITY : hardMs
  return { rekeyAt: now + soft, hardAt: now + hard }
}
