/** The next thing that a run does. Pure: whoever carries it out gives back what came of it, and asks again. */
import { decideApply, nextToMake } from './apply.ts'
import { decideDestroy } from './destroy.ts'
import { decideFix } from './fix.ts'
import { decideRotate, type RotationNotes } from './rotate.ts'
import { type CommonNotes, fail, mayBeLeft, type Situation, settleMs, wait } from './situation.ts'
import type { Decided, Decision } from './types.ts'

export function decide(given: Situation): Decided {
  const situation = remembering(given)
  const refusal = refused(situation)
  const { decision, notes = {} } = refusal === undefined ? wanted(situation) : { decision: refusal }
  const memory = { ...remembered(situation, decision), ...notes }
  return { decision, memory, progress: progressOf(situation, decision) }
}

function wanted(situation: Situation): { readonly decision: Decision; readonly notes?: RotationNotes } {
  if (situation.run.kind === 'rotate') return decideRotate(situation)
  if (situation.run.kind === 'fix') return decideFix(situation)
  if (situation.run.state === 'aborting') return { decision: stopped(situation) }
  return { decision: situation.run.kind === 'apply' ? decideApply(situation) : decideDestroy(situation) }
}

/** Whatever is there stays, is listed, and the next run goes on from it. */
function stopped(situation: Situation): Decision {
  const { run, now } = situation
  const open = run.steps.at(-1)
  const next = run.kind === 'apply' ? nextToMake(situation) : undefined
  if (next?.type === 'change' && next.change.type === 'resources') return next
  if (open?.state === 'begun' && run.kind === 'apply' && now < open.begunAt + settleMs(situation)) {
    return wait('AWS to show what was begun', open.begunAt, settleMs(situation), now)
  }
  return { type: 'done', outcome: 'aborted' }
}

/** What needs a person ends the run, with the provider's reason. */
function refused(situation: Situation): Decision | undefined {
  const { last, run, record } = situation
  if (last === undefined || last.ok) return undefined
  const { kind, cause, remedy } = last
  const passes = kind === 'later' || kind === 'unknown' || kind === 'exists' || kind === 'gone'
  // Where a tunnel is drained, traffic comes back first.
  const isBetween = run.kind === 'rotate' || (run.kind === 'fix' && record.tunnels.some(({ drained }) => drained))
  // What is in use now may not be when what uses it is gone.
  if (passes || isBetween || mayBeLeft(situation) || (kind === 'in-use' && run.kind === 'destroy')) return undefined
  return fail(`cloud-${kind}`, cause, remedy)
}

/** What AWS did not know may only be too new: the step is not taken for done. */
function remembering(situation: Situation): Situation {
  const { last, run } = situation
  const goneAt = run.steps.at(-1)?.endedAt
  if (last?.ok !== false || last.kind !== 'gone' || goneAt === undefined) return situation
  return { ...situation, run: { ...run, memory: { ...run.memory, goneAt } } }
}

/** Since when it has been waiting for the same thing; what the kinds of runs keep besides stays. */
function remembered({ run, now }: Situation, decision: Decision): Decided['memory'] {
  const { waitingFor, since, ...rest } = run.memory as CommonNotes
  if (decision.type !== 'wait') return rest
  return { ...rest, waitingFor: decision.for, since: waitingFor === decision.for && since !== undefined ? since : now }
}

/** By the steps that a run of its kind has. */
function progressOf({ run, record }: Situation, decision: Decision): number {
  if (decision.type === 'done') return 1
  const done = run.steps.filter(({ state }) => state === 'done').length
  const usual = { apply: 14, fix: 3, destroy: Math.max(1, record.resources.length + done), rotate: 16 }[run.kind]
  return Math.min(0.95, Math.max(run.progress, done / usual))
}
