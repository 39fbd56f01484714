/** The scheduled rotation as a Lambda function that EventBridge calls. */
import { type RotationOptions, type RotationOutcome, rotate } from './rotate.ts'

export { RotationFailure, type RotationOptions, type RotationOutcome } from './rotate.ts'

/** What of an EventBridge event is used. */
export interface ScheduledEvent {
  /** Both are the same when the event is delivered again. */
  readonly id?: string
  /** When it was scheduled for. */
  readonly time?: string
}

export interface LambdaContext {
  /** The same when Lambda repeats an event that failed. */
  readonly awsRequestId?: string
}

/**
 * A handler: `export const handler = rotationSchedule()`. Token and address come from $ISTHMUS_TOKEN and $ISTHMUS_URL
 * unless the options have them. Rejects with a RotationFailure, so that Lambda counts an error and tries again.
 */
export function rotationSchedule(
  options: RotationOptions = {},
): (event: ScheduledEvent, context?: LambdaContext) => Promise<RotationOutcome> {
  return async (event, context) => {
    // A schedule of EventBridge Scheduler with a payload of its own has neither.
    const occasion = event.time ?? event.id ?? context?.awsRequestId
    const outcome = await rotate(options, `event ${occasion ?? new Date().toISOString()}`)
    console.log(JSON.stringify({ event: 'rotation', ...outcome }))
    return outcome
  }
}
