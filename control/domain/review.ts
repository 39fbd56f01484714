/** What is to be done about the keys of one tunnel when something was heard of it, or time has passed. */
import type { Rotation } from '../../protocol/control/rotation.ts'
import { shownEpochs, type TunnelKeys } from './keys.ts'
import { isEnded, ROTATION_DEADLINES, type RotationDeadlines, stepRotation } from './rotation.ts'
import { differ, type Ends, needsKey, settleKeys } from './rotation-ends.ts'

export interface TunnelSituation {
  /** The one that is under way, if any. */
  readonly rotation: Rotation | undefined
  readonly keys: TunnelKeys
  readonly ends: Ends
  readonly now: number
}

export interface TunnelReview {
  readonly rotation: Rotation | undefined
  readonly keys: TunnelKeys
  /** Something is to be stored. */
  readonly changed: boolean
  /** The documents of both ends have changed. */
  readonly documents: boolean
  /** Why a rotation of trigger `establish` is to begin; undefined when none is. */
  readonly establish: 'none' | 'lost' | undefined
}

/**
 * The one thing to call after a report of an end, a connector that came or went, or time that has passed. Store what it
 * says in the batch that also stores the report, before any document is made: a document from keys that are behind
 * what the ends do would make them forget what they use.
 */
export function reviewTunnel(
  { rotation, keys, ends, now }: TunnelSituation,
  deadlines: RotationDeadlines = ROTATION_DEADLINES,
): TunnelReview {
  if (rotation !== undefined && rotation.state !== 'queued' && !isEnded(rotation.state)) {
    const step = stepRotation({ rotation, keys, ends, now }, undefined, deadlines)
    return { ...step, establish: needsKey(step.keys, ends) }
  }
  const settled = settleKeys(keys, ends, now).keys
  return {
    rotation,
    keys: settled,
    changed: differ(settled, keys),
    documents: differ(shownEpochs(settled), shownEpochs(keys)),
    establish: needsKey(settled, ends),
  }
}
