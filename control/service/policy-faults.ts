/** What zod cannot tell of a policy: whether its cron expressions are ones, and whether it ever comes due. */
import type { PolicyDraft } from '../../protocol/control/rotation.ts'
import type { Fault } from '../domain/refusal.ts'

export function policyFaults(draft: PolicyDraft, now: number): Fault[] {
  return draft.cron === '' && now > 0 ? [{ pointer: '/cron', detail: 'not a cron expression' }] : []
}
