/** Runs at clouds in words. */
import type { CloudRun } from '../../../protocol/control/generated/api-client.ts'
import { ago, counted, since } from './view.ts'

export function hasEnded({ state }: Pick<CloudRun, 'state'>): boolean {
  return state !== 'running' && state !== 'aborting'
}

/** `apply, done 5m ago`. */
export function runText({ kind, state, createdAt, finishedAt, startedBy }: CloudRun, now: number): string {
  if (finishedAt === undefined) return `${kind}, ${state} for ${since(createdAt, now)}, by ${startedBy}`
  return `${kind}, ${state} ${ago(finishedAt, now)}, by ${startedBy}`
}

/** `6 steps, 40 %`. */
export function progressText({ state, steps, progress }: CloudRun): string {
  const done = steps.filter((step) => step.state === 'done').length
  const word = state === 'aborting' ? 'going back, ' : ''
  return `${word}${counted(done, 'step')} done, ${Math.floor(progress * 100)} %`
}

/** `waits up to 40s for AWS to show cgw-...`; undefined where it waits for nothing. Without `now`, without the time. */
export function waitingText({ waitingFor, deadline }: CloudRun, now?: number): string | undefined {
  if (waitingFor === undefined) return undefined
  const time = deadline === undefined || now === undefined || deadline <= now ? '' : ` up to ${since(now, deadline)}`
  return `waits${time} for ${waitingFor}`
}
