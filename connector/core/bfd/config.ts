/** What is configured of a session, and what is wrong with it. */
import type { Dampening } from './dampening.ts'

/** Can be changed while the session runs. Milliseconds. */
export interface BfdTimers {
  readonly desiredMinTxMs: number
  readonly requiredMinRxMs: number
  /** The peer gives up after this many intervals without a packet of ours: 1 to 255. */
  readonly detectMult: number
  /** The longest interval that a noisy host may lead to; not above the two others: the intervals never change. */
  readonly adaptMaxMs: number
}

export interface BfdSessionConfig {
  readonly timers: BfdTimers
  /** A passive end sends nothing before it has heard the peer (RFC 5880 section 6.1). */
  readonly role: 'active' | 'passive'
  /** The C bit of what we send: our BFD goes on while our BGP restarts. */
  readonly controlPlaneIndependent: boolean
  /** Absent: a session that flaps comes up again each time at once. */
  readonly dampening?: Dampening
}

/** 300 ms x 3 loses nothing on shared hosts, where 100 ms x 3 flaps. */
export const DEFAULT_TIMERS: BfdTimers = { desiredMinTxMs: 300, requiredMinRxMs: 300, detectMult: 3, adaptMaxMs: 2_000 }

/** Below this a loop that also does other work cannot keep time. */
const LEAST_MS = 10
/** What 32 bits of microseconds hold. */
const MOST_MS = 4_294_967

/** One sentence for each fault; empty when all is well. */
export function timerFaults(timers: BfdTimers): string[] {
  const faults: string[] = []
  for (const key of ['desiredMinTxMs', 'requiredMinRxMs', 'adaptMaxMs'] as const) {
    const value = timers[key]
    if (!(value >= LEAST_MS && value <= MOST_MS)) faults.push(`${key} is ${value}, not ${LEAST_MS} to ${MOST_MS} ms.`)
  }
  const mult = timers.detectMult
  if (!(Number.isInteger(mult) && mult >= 1 && mult <= 255)) faults.push(`detectMult is ${mult}, not 1 to 255.`)
  return faults
}
