/** What a draft would come to, and whether it may be carried out just so. */
import type { PlanResult } from '../../protocol/control/plan.ts'
import type { IntentPlan, IntentView } from '../domain/intent-index.ts'
import { blocks, planResult } from '../domain/intents/plan-result.ts'
import { refusal } from './refusals.ts'

/** Reasons that one refusal names. */
const MOST_REASONS = 100

/** Refuses a change that the plan has errors about: a site would be cut off, and the like. */
export function mustNotCutOff(view: IntentView, plan: IntentPlan): PlanResult {
  const result = planResult(view, plan)
  if (!blocks(result)) return result
  const reasons = result.findings.filter(({ severity }) => severity === 'error')
  const [first] = reasons
  const more = reasons.length > 1 ? ` (and ${reasons.length - 1} more)` : ''
  const errors = reasons.slice(0, MOST_REASONS).map(({ detail }) => ({ pointer: '', detail }))
  throw refusal('plan-blocked', `${first!.detail}${more}`, { errors })
}
