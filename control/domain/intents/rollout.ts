/**
 * One rollout, as a machine that is driven by what is stored: `stepRollout` looks at the state, at the last that the
 * connectors have said, and at the time, and makes at most one transition. It may be called at any time and any number
 * of times; whoever missed a report, or crashed between two steps, calls it again.
 */
import type { Rollout, RolloutFault, RolloutState } from '../../../protocol/control/rollout.ts'
import { refuse } from '../refusal.ts'
import { alarmOf, faultOf, faultText, isSilent, isWatched, lateVersion, type SiteView, unready } from './watch.ts'

/** As it is kept. */
export interface RolloutRecord extends Rollout {
  /** Those that have something to do, in the order in which they get the target; the first `counts.in` have it. */
  readonly order: readonly { readonly site: string; readonly name: string }[]
  /** What going back ends in. */
  readonly goal?: 'rolled-back' | 'aborted'
  /** When the control plane last looked at it, and since when it has done so without a gap. */
  readonly looked: { readonly since: number; readonly at: number }
}

/** How long a state may last, in milliseconds. */
export const ROLLOUT_DEADLINES = {
  /** Until all have told how they are: they report every 30 s at the least. */
  planned: 45_000,
  /** Until those that have just got the target carry it out, and all passes as before. */
  entering: 60_000,
  'rolling-back': 120_000,
} as const
/** Within this time all connectors that are there have come back to a control plane that was away. */
const RETURN_MS = 60_000
/** After a stretch of watching, one that says nothing is waited for so long, whoever was away. */
const LATEST_MS = 3_600_000

export interface RolloutSituation {
  readonly rollout: RolloutRecord
  /** In the order of `order`; all while it is planned, later only those that have the target. */
  readonly sites: readonly SiteView[]
  /** Milliseconds since 1970. */
  readonly now: number
  /**
   * Since when there was somebody to take reports: a control plane that was away itself has heard nothing, and blames
   * nobody for that.
   */
  readonly upSince: number
}

export interface RolloutStep {
  readonly rollout: RolloutRecord
  /** Sites that get the target in this step. */
  readonly enter: readonly string[]
  /** Watching begins: how all of them are now is what they are held against. */
  readonly mark: boolean
  /** The base becomes the intent again, as a new version. */
  readonly restore: boolean
}

/** One transition, or undefined when none is due. */
export function stepRollout(situation: RolloutSituation): RolloutStep | undefined {
  switch (situation.rollout.state) {
    case 'planned':
      return begin(situation)
    case 'canary':
    case 'batch':
      return settle(situation)
    case 'watching':
      return watch(situation)
    case 'rolling-back':
      return goBack(situation)
    default:
      return undefined
  }
}

/** Somebody ends it: sites that have the target go back to the base. Throws a Refusal when it has ended. */
export function stopRollout(
  rollout: RolloutRecord,
  goal: 'rolled-back' | 'aborted',
  reason: string,
  now: number,
): RolloutStep {
  if (isOver(rollout.state)) throw refuse('rollout-finished', { detail: `it is ${rollout.state}` })
  if (rollout.state === 'rolling-back') throw refuse('rollout-finished', { detail: 'it is going back already' })
  return back({ ...rollout, goal, reason }, now)
}

export function isOver(state: RolloutState): boolean {
  return state === 'done' || state === 'rolled-back' || state === 'aborted' || state === 'failed'
}

/** How many sites get the target in this step: one, then double as many each time, up to the limit. */
export function batchSize({ order, counts, batchPercent, step }: RolloutRecord): number {
  const most = Math.max(1, Math.ceil((order.length * batchPercent) / 100))
  return Math.min(2 ** Math.min(step, 30), most, order.length - counts.in)
}

/**
 * Whether the rollout goes on when the site says how it is, though nothing may have happened there: before anything
 * begins, and when it has been watched for long enough.
 */
export function isWordWanted({ rollout, now }: Omit<RolloutSituation, 'sites' | 'upSince'>, view: SiteView): boolean {
  if (rollout.state === 'planned') return !hasSpoken(view, rollout)
  const { deadline = 0 } = rollout
  return rollout.state === 'watching' && now >= deadline && isWatched(view) && (view.health?.at ?? 0) < deadline
}

/** What the site is waited for, or what is wrong with it, in words; undefined when nothing is. */
export function waitedFor({ rollout, now, upSince }: Omit<RolloutSituation, 'sites'>, view: SiteView) {
  if (isOver(rollout.state)) return undefined
  if (rollout.state === 'planned') return hasSpoken(view, rollout) ? undefined : `${view.name} has not said how it is`
  if (!isWatched(view)) return undefined
  const back = rollout.state === 'rolling-back'
  const fault = back ? lateVersion(view) : (alarmOf(view, now, upSince) ?? unready(view))
  return fault && faultText(fault)
}

function begin({ rollout, sites, now, upSince }: RolloutSituation): RolloutStep | undefined {
  const [canary] = sites
  if (rollout.order.length === 0) return end(rollout, 'done', now, undefined, false)
  if (canary?.connected !== true) {
    return end(rollout, 'failed', now, 'the canary has no connector any more', true)
  }
  const late = isLate(rollout, now, upSince)
  if (!late && !sites.every((site) => hasSpoken(site, rollout))) return undefined
  if (!isSilent(canary.health, now, upSince)) return enter({ ...rollout, state: 'canary' }, now)
  return end(rollout, 'failed', now, `the canary ${canary.name} is silent: nothing was changed anywhere`, true)
}

function settle({ rollout, sites, now, upSince }: RolloutSituation): RolloutStep | undefined {
  const watched = sites.filter(isWatched)
  const alarm = firstOf(watched, (site) => alarmOf(site, now, upSince))
  if (alarm !== undefined) return fall(rollout, alarm, now)
  const late = firstOf(watched, unready)
  if (late !== undefined) return isLate(rollout, now, upSince) ? fall(rollout, late, now) : undefined
  const length = watchLength(rollout)
  if (length === 0) return goOn(rollout, now, upSince)
  const watching = inState({ ...rollout, state: 'watching' }, now, length)
  return { rollout: watching, enter: [], mark: true, restore: false }
}

function watch({ rollout, sites, now, upSince }: RolloutSituation): RolloutStep | undefined {
  const { stateSince: since, deadline = 0, watch } = rollout
  const watched = sites.filter(isWatched)
  const watching = { since, lengthMs: watchLength(rollout), lossPercent: watch.lossPercent, upSince }
  const fault = firstOf(watched, (site) => faultOf(site, watching, now))
  if (fault !== undefined) return fall(rollout, fault, now)
  // What was said before the end does not tell how the end was.
  if (now < deadline) return undefined
  const unheard = watched.find(({ health }) => (health?.at ?? 0) < deadline)
  if (unheard === undefined) return goOn(rollout, now, upSince)
  const silence = now < deadline + LATEST_MS ? undefined : alarmOf(unheard, now)
  return silence && fall(rollout, silence, now)
}

function goBack({ rollout, sites, now, upSince }: RolloutSituation): RolloutStep | undefined {
  const goal = rollout.goal ?? 'rolled-back'
  const late = sites.filter((site) => isWatched(site) && lateVersion(site) !== undefined)
  if (late.length > 0 && !isLate(rollout, now, upSince)) return undefined
  const names = late.slice(0, 5).map(({ name }) => name)
  const more = late.length > names.length ? ` and ${late.length - names.length} more` : ''
  const missing = late.length === 0 ? '' : `; ${names.join(', ')}${more} did not say so in time`
  return end(rollout, goal, now, `${rollout.reason ?? 'it went back'}${missing}`, false)
}

/** The next batch, or the end. */
function goOn(rollout: RolloutRecord, now: number, upSince: number): RolloutStep | undefined {
  if (rollout.counts.in >= rollout.order.length) return end(rollout, 'done', now, undefined, false)
  // How those are that come next, they have to tell first.
  if (upSince > rollout.createdAt && now - upSince < RETURN_MS) return undefined
  return enter({ ...rollout, state: 'batch', step: rollout.step + 1 }, now)
}

function enter(rollout: RolloutRecord, now: number): RolloutStep {
  const { order, counts } = rollout
  const size = batchSize(rollout)
  const fresh = order.slice(counts.in, counts.in + size).map(({ site }) => site)
  const next = inState({ ...rollout, counts: { ...counts, in: counts.in + size } }, now, ROLLOUT_DEADLINES.entering)
  return { rollout: next, enter: fresh, mark: false, restore: false }
}

function fall(rollout: RolloutRecord, fault: RolloutFault, now: number): RolloutStep {
  return back({ ...rollout, goal: 'rolled-back', fault, reason: faultText(fault) }, now)
}

function back(rollout: RolloutRecord, now: number): RolloutStep {
  // Where no site has the target there is nobody to wait for.
  if (rollout.counts.in === 0) return end(rollout, rollout.goal ?? 'aborted', now, rollout.reason, true)
  const next = inState({ ...rollout, state: 'rolling-back' }, now, ROLLOUT_DEADLINES['rolling-back'])
  return { rollout: next, enter: [], mark: false, restore: true }
}

function end(
  rollout: RolloutRecord,
  state: RolloutState,
  now: number,
  reason: string | undefined,
  restore: boolean,
): RolloutStep {
  const { deadline: _, ...rest } = rollout
  const over = { ...rest, state, stateSince: now, finishedAt: now, ...(reason === undefined ? {} : { reason }) }
  return { rollout: over, enter: [], mark: false, restore }
}

function inState(rollout: RolloutRecord, now: number, length: number): RolloutRecord {
  return { ...rollout, stateSince: now, deadline: now + length }
}

/** What was to happen has had its time, while it could be heard of. */
function isLate({ deadline = 0, stateSince }: RolloutRecord, now: number, upSince: number): boolean {
  return now >= Math.max(deadline, upSince > stateSince ? upSince + RETURN_MS : 0)
}

function watchLength({ step, watch }: RolloutRecord): number {
  return (step === 0 ? watch.canarySeconds : watch.batchSeconds) * 1000
}

/** Since the rollout began, so that what it says is of before. */
function hasSpoken({ health, connected }: SiteView, { createdAt }: RolloutRecord): boolean {
  return !connected || (health !== undefined && health.at >= createdAt)
}

function firstOf(
  sites: readonly SiteView[],
  fault: (site: SiteView) => RolloutFault | undefined,
): RolloutFault | undefined {
  for (const site of sites) {
    const found = fault(site)
    if (found !== undefined) return found
  }
  return undefined
}
