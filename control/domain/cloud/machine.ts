/** The next thing that a run does. Pure: whoever carries it out gives back what came of it, and asks again. */
import { decideApply } from './apply.ts'
import { decideDestroy } from './destroy.ts'
import { decideFix } from './fix.ts'
import { decideRotate, type RotationNotes } from './rotate.ts'
import { fail, type Situation } from './situation.ts'
import type { Decided, Decision } from './types.ts'

export function decide(situation: Situation): Decided {
  const refusal = refused(situation)
  const { decision, notes = {} } = refusal === undefined ? wanted(situation) : { decision: refusal }
  const memory = { ...remembered(situation, decision), ...notes }
  return { decision, memory, progress: progressOf(situation, decision) }
}

function wanted(situation: Situation): { readonly decision: Decision; readonly notes?: RotationNotes } {
  if (situation.run.kind === 'rotate') return decideRotate(situation)
  // Whatever is there stays, is listed, and the next run goes on from it.
  if (situation.run.state === 'aborting') return { decision: { type: 'done', outcome: 'aborted' } }
  return { decision: forward(situation, situation.run.kind) }
}

function forward(situation: Situation, kind: 'apply' | 'fix' | 'destroy'): Decision {
  switch (kind) {
    case 'apply':
      return decideApply(situation)
    case 'fix':
      return decideFix(situation)
    case 'destroy':
      return decideDestroy(situation)
  }
}

/** What needs a person ends the run, with the provider's reason. */
function refused({ last, run }: Situation): Decision | undefined {
  if (last === undefined || last.ok) return undefined
  const { kind, cause, remedy } = last
  const passes = kind === 'later' || kind === 'unknown' || kind === 'exists' || kind === 'gone'
  // What is in use now may not be when what uses it is gone.
  if (passes || (kind === 'in-use' && run.kind === 'destroy') || run.kind === 'rotate') return undefined
  return fail(`cloud-${kind}`, cause, remedy)
}

/** Since when it has been waiting for the same thing; what the kinds of runs keep besides stays. */
function remembered({ run, now }: Situation, decision: Decision): Decided['memory'] {
  const { waitingFor, since, ...rest } = run.memory as { waitingFor?: string; since?: number }
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
