/** Which keys are rotated when: what a policy or a person asks for, in which order, and how a run goes on. */
import type { Policy, PolicyDraft, RotationState, Run } from '../../protocol/control/rotation.ts'
import { type CodedFault, pointer } from './refusal.ts'
import { cronFault, isOpen, lastTime, type MaintenanceWindow, opensAt } from './schedule.ts'

const HOUR_MS = 3_600_000
/** After a run by age, the next one of the same policy waits: what failed now is likely to fail a minute later. */
const RETRY_MS = HOUR_MS

/** A tunnel as planning sees it. */
export interface Candidate {
  readonly tunnel: string
  readonly name: string
  /** Epoch of its key; 0: none. */
  readonly current: number
  readonly currentSince?: number | undefined
  /** Both ends have a connector that is not revoked. */
  readonly connected: boolean
  /** A rotation of it is queued or under way. */
  readonly rotating: boolean
  /** Up at both ends as far as is known. */
  readonly up: boolean
}

export interface PlannedRotation {
  readonly tunnel: string
  readonly name: string
  readonly from: number
  /** For people. */
  readonly why: string
}

export interface SkippedTunnel {
  readonly tunnel: string
  readonly name: string
  readonly why: string
}

export interface RunPlan {
  /** In the order in which they begin; the first is the canary. */
  readonly rotations: readonly PlannedRotation[]
  readonly skipped: readonly SkippedTunnel[]
}

/**
 * What a run over `candidates` would rotate: the canary is the tunnel that is up and has the oldest key, then the
 * oldest keys first. `why` says for each why it is in the run, or nothing when it is not.
 */
export function planRun(candidates: Iterable<Candidate>, why: (candidate: Candidate) => string | undefined): RunPlan {
  const chosen: (PlannedRotation & { readonly up: boolean; readonly since: number })[] = []
  const skipped: SkippedTunnel[] = []
  for (const candidate of candidates) {
    const { tunnel, name, current: from, currentSince: since = 0, up } = candidate
    const reason = why(candidate)
    if (reason === undefined) continue
    const obstacle = obstacleOf(candidate)
    if (obstacle === undefined) chosen.push({ tunnel, name, from, why: reason, up, since })
    else skipped.push({ tunnel, name, why: obstacle })
  }
  chosen.sort(
    (left, right) =>
      Number(right.up) - Number(left.up) || left.since - right.since || (left.tunnel < right.tunnel ? -1 : 1),
  )
  return { rotations: chosen.map(({ up: _, since: __, ...planned }) => planned), skipped }
}

/** What a person asks for: these tunnels, or all. */
export function planManual(candidates: Iterable<Candidate>, tunnels?: readonly string[]): RunPlan {
  const wanted = tunnels === undefined ? undefined : new Set(tunnels)
  return planRun(candidates, ({ tunnel }) => (wanted?.has(tunnel) === false ? undefined : 'asked for'))
}

/**
 * What a policy is due to rotate now; undefined when nothing. `running`: a run of this policy has not ended. A time
 * that was missed, because nobody asked or no window was open, is made up for once.
 */
export function planPolicy(
  policy: Policy,
  candidates: Iterable<Candidate>,
  running: boolean,
  now: number,
): RunPlan | undefined {
  if (!mayBeDue(policy, running, now)) return undefined
  const at = dueTime(policy, now)
  const limit = ageLimit(policy, now)
  const chosen = policy.tunnels.length === 0 ? undefined : new Set(policy.tunnels)
  const plan = planRun(candidates, ({ tunnel, currentSince }) => {
    if (chosen?.has(tunnel) === false) return undefined
    if (at !== undefined) return `due at ${new Date(at).toISOString()} by ${policy.cron}`
    if (limit === undefined || currentSince === undefined || now - currentSince < limit) return undefined
    return `its key is ${hours(now - currentSince)} h old, and ${hours(limit)} h is the limit`
  })
  // A time that has come is used up also where there is nothing to rotate.
  return plan.rotations.length === 0 && at === undefined ? undefined : plan
}

/** Whether it is worth looking at the tunnels: cheap, for every tick of a scheduler. */
export function mayBeDue(policy: Policy, running: boolean, now: number): boolean {
  if (!policy.enabled || running || !isOpen(policy.windows, now)) return false
  return dueTime(policy, now) !== undefined || ageLimit(policy, now) !== undefined
}

/** Faults of a policy that its schema cannot tell. */
export function policyFaults(draft: PolicyDraft, now: number): CodedFault[] {
  const faults: CodedFault[] = []
  const check = (cron: string, at: string) => {
    const detail = cronFault(cron, now)
    if (detail !== undefined) faults.push({ pointer: at, detail })
  }
  if (draft.cron !== undefined) check(draft.cron, '/cron')
  for (const [index, { cron }] of draft.windows.entries()) check(cron, pointer('windows', index, 'cron'))
  if (draft.cron === undefined && draft.maxAgeHours === undefined) {
    faults.push({ pointer: '', detail: 'it would never rotate anything: give maxAgeHours, cron, or both' })
  }
  return faults
}

export type RunDecision =
  /** Begin as many of the queued rotations, in their order. */
  | { readonly type: 'begin'; readonly count: number }
  /** `until`: look again at that time at the latest; absent: when one of its rotations ends. */
  | { readonly type: 'wait'; readonly why: string; readonly until?: number }
  /** What is queued yet is not begun any more; what is under way goes on. */
  | { readonly type: 'finish'; readonly state: 'done' | 'stopped'; readonly reason?: string }

export type RunProgress = Pick<Run, 'canary' | 'maxConcurrent' | 'stopOnFailure' | 'counts'>

/** How a run goes on. `windows`: of its policy; none for a run that a person has started. */
export function nextOfRun(run: RunProgress, windows: readonly MaintenanceWindow[], now: number): RunDecision {
  const { queued, active, done, aborted } = run.counts
  const canaryPending = run.canary && done === 0
  if (aborted > 0 && queued > 0 && (run.stopOnFailure || canaryPending)) {
    const what = canaryPending && active === 0 && aborted === 1 ? 'the canary failed' : `${aborted} failed`
    return { type: 'finish', state: 'stopped', reason: `${what}; ${queued} were not begun` }
  }
  if (queued === 0) {
    if (active > 0) return { type: 'wait', why: `${active} under way` }
    return aborted === 0
      ? { type: 'finish', state: 'done' }
      : { type: 'finish', state: 'done', reason: `${aborted} failed` }
  }
  if (canaryPending && active > 0) return { type: 'wait', why: 'the canary is under way' }
  const room = (canaryPending ? 1 : run.maxConcurrent) - active
  if (room <= 0) return { type: 'wait', why: `${active} under way` }
  if (!isOpen(windows, now)) return outsideWindows(windows, now)
  return { type: 'begin', count: Math.min(room, queued) }
}

/** Of a run's rotations by their states. One that is aborting has failed already. */
export function countsOf(states: Iterable<RotationState>): Run['counts'] {
  const counts = { queued: 0, active: 0, done: 0, aborted: 0 }
  for (const state of states) counts[groupOf(state)] += 1
  return counts
}

/** The counts after one rotation has gone from one state to another. */
export function movedCounts(counts: Run['counts'], from: RotationState, to: RotationState): Run['counts'] {
  const moved = { ...counts }
  moved[groupOf(from)] -= 1
  moved[groupOf(to)] += 1
  return moved
}

function groupOf(state: RotationState): keyof Run['counts'] {
  if (state === 'queued' || state === 'done') return state
  return state === 'aborting' || state === 'aborted' ? 'aborted' : 'active'
}

function outsideWindows(windows: readonly MaintenanceWindow[], now: number): RunDecision {
  const until = opensAt(windows, now)
  if (until === undefined) return { type: 'finish', state: 'stopped', reason: 'no maintenance window comes any more' }
  return { type: 'wait', why: `the next maintenance window opens at ${new Date(until).toISOString()}`, until }
}

function obstacleOf({ connected, rotating, current }: Candidate): string | undefined {
  if (!connected) return 'a site has no connector'
  if (rotating) return 'a rotation is queued or under way'
  return current === 0 ? 'it has no key yet; the first one is made without a run' : undefined
}

/** The time by cron that is to be made up for. */
function dueTime({ cron, lastRunAt, createdAt }: Policy, now: number): number | undefined {
  const at = cron === undefined ? undefined : lastTime(cron, now)
  return at !== undefined && at > (lastRunAt ?? createdAt) ? at : undefined
}

function ageLimit({ maxAgeHours, lastRunAt }: Policy, now: number): number | undefined {
  if (maxAgeHours === undefined) return undefined
  const limit = maxAgeHours * HOUR_MS
  const rested = lastRunAt === undefined || now - lastRunAt >= Math.min(RETRY_MS, limit)
  return rested ? limit : undefined
}

function hours(milliseconds: number): number {
  return Math.round((milliseconds / HOUR_MS) * 10) / 10
}
