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
  /** How long AWS may take to show what was made, in milliseconds. Default: a minute. */
  readonly settleMs?: number
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
const SETTLE_MS = 60_000
/** How long it may take to make, change or remove something. */
export const PROVIDER_MS = 20 * 60_000
const LOOK_AGAIN_MS = 2_000
/** How often something is done that AWS never shows. */
const MOST_REPEATS = 20
/** Done twice, they leave one behind. */
const CREATES: ReadonlySet<string> = new Set([
  'create-customer-gateway',
  'create-vpn-gateway',
  'create-vpn-connection',
] satisfies CloudAction['type'][])

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
  const { waitingFor, since } = run.memory as CommonNotes
  return waitingFor === what && since !== undefined ? since : now
}

/** Waits for as long as `patienceMs`, then says `otherwise`. */
export function patiently(situation: Situation, what: string, patienceMs: number, otherwise: () => Decision): Decision {
  const since = waitingSince(situation, what)
  if (situation.now >= since + patienceMs) return otherwise()
  return wait(what, since, patienceMs, situation.now)
}

/** What the machine remembers of any run. */
export interface CommonNotes {
  readonly waitingFor?: string
  readonly since?: number
  /** When the last step ended that failed since AWS did not know what it needs. */
  readonly goneAt?: number
}

/**
 * AWS shows late what was done: it is not done again before that. An attempt of which nobody knows the end is waited
 * for where a second one would leave something behind.
 */
export function heldBack(situation: Situation, decision: Decision): Decision {
  if (decision.type !== 'do') return decision
  const { run, last, now } = situation
  const { action, resource, detail } = decision
  const same = run.steps.filter((step) => step.action === action.type && step.resource === resource)
  const step = same.at(-1)
  if (step === undefined) return decision
  if (step.state === 'failed') {
    const endedAt = step.endedAt ?? step.begunAt
    if (!CREATES.has(action.type) || !mayBeDone(step) || now >= endedAt + settleMs(situation)) return decision
    return wait(`AWS to show whether it has done this: ${detail}`, endedAt, settleMs(situation), now)
  }
  if (step.state === 'begun') {
    // `later` was surely not carried out.
    const isSafe = !CREATES.has(action.type) || (last?.ok === false && last.kind === 'later')
    const settle = settleMs(situation)
    if (isSafe || now >= step.begunAt + settle) return decision
    return wait(`AWS to show whether it has done this: ${detail}`, step.begunAt, settle, now)
  }
  if (same.length >= MOST_REPEATS) {
    const cause = `AWS does not show what was done ${same.length} times: ${detail}.`
    return fail('not-shown', cause, 'Look at it at AWS, and start again.')
  }
  const endedAt = step.endedAt ?? step.begunAt
  const hold = (run.memory as CommonNotes).goneAt === endedAt ? LOOK_AGAIN_MS : settleMs(situation)
  return now >= endedAt + hold ? decision : wait(`AWS to show this: ${detail}`, endedAt, hold, now)
}

/** One that was refused may have been carried out by an attempt before, of which nobody heard. */
export function mayBeDone({ state, attempts }: Situation['run']['steps'][number]): boolean {
  return state !== 'failed' || attempts > 1
}

/** Whether the step that was refused last may have left something behind. */
export function mayBeLeft({ run }: Situation): boolean {
  const step = run.steps.at(-1)
  return step?.state === 'failed' && mayBeDone(step) && CREATES.has(step.action)
}

/** How long AWS may take to show what was done, or that nothing was. */
export function settleMs({ facts }: Pick<Situation, 'facts'>): number {
  return facts.settleMs ?? SETTLE_MS
}

/** When the last step of this kind ended well in this run. */
export function doneAt({ run }: Situation, action: string, resource?: string): number | undefined {
  return run.steps.findLast(
    (step) => step.state === 'done' && step.action === action && (resource === undefined || step.resource === resource),
  )?.endedAt
}
