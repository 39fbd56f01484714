/**
 * The one vocabulary for every protocol machine.
 *
 * A machine is pure and synchronous: time, randomness and crypto are arguments, effects come out
 * of `poll`. After each `handle`, drain `poll` to undefined, then re-arm one timer from `deadline`.
 * No other method may mutate a machine; getters and snapshots are free.
 */

/** Monotonic milliseconds. Only differences mean anything; may be fractional. */
export type Instant = number

export interface Machine<Input, Effect> {
  /** Takes one datagram, command or event, or the passage of time. Never throws for outside input. */
  handle(input: Input, now: Instant): void
  /** The next effect in order, or undefined when drained. */
  poll(): Effect | undefined
  /** The earliest instant at which the machine wants to be woken with the passage of time. */
  deadline(): Instant | undefined
}

/** Fills a fresh array with `length` bytes: a CSPRNG in production, a seeded generator in the simulated world. */
export type RandomBytes = (length: number) => Uint8Array

/** Proof that a union is handled whole. Reaching it is a programming error. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`)
}
