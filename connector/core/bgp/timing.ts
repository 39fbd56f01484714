/** Waits of a session that no configuration changes, in milliseconds, each with its reason. */
import type { RandomBytes } from '../../../protocol/machine.ts'

/** RFC 4271 section 8.2.2: while the neighbour's OPEN is awaited, the hold timer is "large". */
export const OPEN_HOLD_MS = 240_000

/** A neighbour that is there sends its OPEN within so long; a silent connection does not win a collision after it. */
export const OPEN_SOON_MS = 5_000

/** A session that lasted so long was no failure: the next wait is the first one again. */
export const SETTLED_MS = 60_000

/** RFC 9687 section 4.4: the send hold timer is eight minutes, or twice the hold time where that is more. */
export const SEND_HOLD_MS = 480_000

/** Octets that may be on their way to the kernel before more routes are packed. */
export const IN_FLIGHT = 256 * 1024

/** RFC 4271 section 10: three quarters of the wait to the whole of it, so that speakers do not fall into step. */
export function jittered(ms: number, random: RandomBytes): number {
  const [high = 0, low = 0] = random(2)
  return ms * (0.75 + (0.25 * (high * 256 + low)) / 0xffff)
}

/** Doubles with each failure. */
export function backOff({ first, most }: { readonly first: number; readonly most: number }, failures: number): number {
  return Math.min(first * 2 ** Math.min(Math.max(failures - 1, 0), 30), most)
}
