/** The scheduled rotation as a cron trigger of Cloudflare Workers. */
import { type RotationOptions, type RotationOutcome, rotate } from './rotate.ts'

export { RotationFailure, type RotationOptions, type RotationOutcome } from './rotate.ts'

/** What of the runtime's ScheduledController is used. */
export interface ScheduledTrigger {
  readonly cron: string
  /** Milliseconds since 1970; the same when the platform repeats the trigger. */
  readonly scheduledTime: number
}

export interface RotationEnv {
  /** Secret. */
  readonly ISTHMUS_TOKEN?: string
  readonly ISTHMUS_URL?: string
}

/**
 * A `scheduled` handler: `export default { scheduled: rotationCron() }`. Options go before the bindings. Rejects with
 * a RotationFailure, so that the platform shows the trigger as failed.
 */
export function rotationCron(
  options: RotationOptions = {},
): (trigger: ScheduledTrigger, env: RotationEnv) => Promise<RotationOutcome> {
  return async ({ cron, scheduledTime }, env) => {
    const { token = env.ISTHMUS_TOKEN, url = env.ISTHMUS_URL } = options
    const outcome = await rotate({ ...options, token, url }, `cron ${cron} ${scheduledTime}`)
    console.log(JSON.stringify({ event: 'rotation', ...outcome }))
    return outcome
  }
}
