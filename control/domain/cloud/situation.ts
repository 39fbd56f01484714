/** What one decision is made from, and the words that decisions are made of. */
import type { CloudAction, Seen } from './provider.ts'
import type { CloudChange, CloudRecord, CloudRunRecord, ConnectorSight, Decision, LastOutcome } from './types.ts'

/** What the control plane knows beside, when the decision is made. */
export interface CloudFacts {
  readonly network: string
  /** Where the connector of the site is reached from outside. */
  readonly endpoint?: string
  /** The AS of the site, where the network routes. */
  readonly siteAs?: number
  readonly sitePrefixes: readonly string[]
  /** Of the other sites of the network. */
  readonly others: readonly { readonly site: string; readonly prefixes: readonly string[] }[]
  /** Inside CIDRs of all other connections of the network. */
  readonly usedInside: readonly string[]
  /** Identifiers at AWS that other connections of the network use too. */
  readonly shared: readonly string[]
}

export interface Situation {
  readonly record: CloudRecord
  readonly run: CloudRunRecord
  readonly seen: Seen
  readonly sight: ConnectorSight
  /** Of the action that was carried out since the last decision. */
  readonly last?: LastOutcome
  readonly facts: CloudFacts
  /** Milliseconds since 1970. */
  readonly now: number
}

/** How long AWS may take to show what was made, or that nothing was. */
export const SETTLE_MS = 60_000
/** How long it may take to make, change or remove something. */
export const PROVIDER_MS = 20 * 60_000
const LOOK_AGAIN_MS = 2_000

export function perform(action: CloudAction, resource: string, detail: string): Decision {
  return { type: 'do', action, resource, detail }
}

export function change(what: CloudChange, resource: string, detail: string): Decision {
  return { type: 'change', change: what, resource, detail }
}

/** `sinceMs`: from when the patience counts. */
export function wait(
  what: string,
  sinceMs: number,
  patienceMs: number,
  now: number,
  againMs = LOOK_AGAIN_MS,
): Decision {
  return {
    type: 'wait',
    for: what,
    untilMs: sinceMs + patienceMs,
    againMs: Math.min(now + againMs, sinceMs + patienceMs),
  }
}

export function fail(code: string, cause: string, remedy: string): Decision {
  return { type: 'fail', code, cause, remedy }
}

/** Since when the run has been waiting for this, by its memory; now, when it did not. */
export function waitingSince({ run, now }: Situation, what: string): number {
  const { waitingFor, since } = run.memory as { waitingFor?: string; since?: number }
  return waitingFor === what && since !== undefined ? since : now
}

/** Waits for as long as `patienceMs`, then says `otherwise`. */
export function patiently(situation: Situation, what: string, patienceMs: number, otherwise: () => Decision): Decision {
  const since = waitingSince(situation, what)
  if (situation.now >= since + patienceMs) return otherwise()
  return wait(what, since, patienceMs, situation.now)
}

/** The step that was begun and of which nobody knows how it ended: the process died, or the answer did not come. */
export function openStep({ run }: Situation) {
  const last = run.steps.at(-1)
  return last?.state === 'begun' ? last : undefined
}

/** When the last step of this kind ended well in this run. */
export function doneAt({ run }: Situation, action: string, resource?: string): number | undefined {
  return run.steps.findLast(
    (step) => step.state === 'done' && step.action === action && (resource === undefined || step.resource === resource),
  )?.endedAt
}
