/** What is found at AWS goes into the list of what the connection consists of. */
import { type Kind, withResource } from './resources.ts'
import { change, type Situation } from './situation.ts'
import type { Decision } from './types.ts'

/** Undefined where it is listed. */
export function found({ record }: Situation, kind: Kind, id: string, made: boolean): Decision | undefined {
  const resources = withResource(record.resources, { kind, id, made })
  if (resources === undefined) return undefined
  const words = made ? `${id} is ours` : `${id} is there already, and is not removed with the connection`
  return change({ type: 'resources', resources }, id, words)
}

/** What has no tags is ours where this run had begun to make it, and did not hear how that ended. */
export function foundBare(situation: Situation, kind: Kind, id: string, action: string): Decision | undefined {
  const begun = situation.run.steps.some((step) => step.action === action && step.resource === id)
  return found(situation, kind, id, begun)
}

/** Of a route or the like that was ours and is not wanted any more. */
export function isListed({ record }: Situation, kind: Kind, id: string): boolean {
  return record.resources.some((each) => each.kind === kind && each.id === id && each.made)
}
