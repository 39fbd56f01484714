/** What would be done for a connection: the machine's own decisions, followed on paper. So plan and apply cannot differ. */
import type { CloudPlan, CloudPrices } from '../../../protocol/control/cloud.ts'
import { nextToMake } from './apply.ts'
import { changedBy } from './changes.ts'
import { costOf } from './cost.ts'
import { driftOf } from './drift.ts'
import { espProposals } from './external.ts'
import { onPaper } from './paper.ts'
import { resourcesAfter } from './resources.ts'
import { overlaps } from './rules.ts'
import type { CommonNotes, Situation } from './situation.ts'
import type { Decision } from './types.ts'

type Finding = CloudPlan['findings'][number]
/** As `CloudPlan` has room for. */
const MOST_STEPS = 1_000
const MOST_DRIFT = 200
const MOST_FINDINGS = 100

/** `situation.run` is of a run that does not exist; nothing is changed. */
export function planOf(situation: Situation, prices: CloudPrices): CloudPlan {
  const { record, seen } = situation
  const steps: CloudPlan['steps'] = []
  let now = situation
  let failure: Extract<Decision, { type: 'fail' }> | undefined
  for (let turn = 0; turn < MOST_STEPS; turn++) {
    const decision = nextToMake(now)
    if (decision === undefined || decision.type === 'done') break
    if (decision.type === 'fail') {
      if (decision.code !== 'provider-stuck') failure = decision
      break
    }
    if (decision.type === 'wait') {
      // On paper it has waited for long enough.
      const { waitingFor } = now.run.memory as CommonNotes
      if (waitingFor === decision.for) break
      now = { ...now, run: { ...now.run, memory: { waitingFor: decision.for, since: 0 } } }
      continue
    }
    now = { ...now, run: { ...now.run, memory: {} } }
    if (decision.type === 'do') {
      steps.push({ action: decision.action.type, resource: decision.resource, detail: decision.detail })
      const { seen: after, id } = onPaper(now.seen, decision.action)
      const resources = resourcesAfter(now.record.resources, decision.action, id === undefined ? {} : { id })
      now = { ...now, seen: after, record: { ...now.record, resources: [...resources] } }
    } else {
      const isNews = decision.change.type === 'resolve' && record.resolved !== undefined
      if (isNews) steps.push({ action: 'resolve', resource: decision.resource, detail: decision.detail })
      now = { ...now, record: changedBy(now.record, decision.change, PAPER_KEY, now.now) }
    }
  }
  return {
    name: record.name,
    steps,
    drift: driftOf(record, seen, situation.facts).slice(0, MOST_DRIFT),
    findings: [...(failure === undefined ? [] : [findingOf(failure)]), ...findings(now)].slice(0, MOST_FINDINGS),
    cost: costOf(record, prices),
  }
}

const PAPER_KEY = { fingerprint: '0000000000000000' }

function findingOf({ code, cause, remedy }: Extract<Decision, { type: 'fail' }>): Finding {
  return { severity: 'error', code, detail: cause, remedy }
}

function findings({ record, facts, seen }: Situation): Finding[] {
  const found: Finding[] = []
  const { resolved, options, routing, policy } = record
  for (const block of resolved?.remote ?? []) {
    const own = facts.sitePrefixes.find((prefix) => overlaps(prefix, block))
    if (own !== undefined) {
      const detail = `${block} behind AWS overlaps ${own} of the site: packets could not be told apart.`
      const remedy = 'Say in remote which part of AWS the site is to reach, or renumber one of them.'
      found.push({ severity: 'error', code: 'overlap', detail, remedy })
    }
    for (const { site, prefixes } of facts.others) {
      const other = prefixes.find((prefix) => overlaps(prefix, block))
      if (other === undefined) continue
      const detail = `${block} behind AWS overlaps ${other} of the site ${site}: this site would reach only one of them.`
      found.push({ severity: 'warning', code: 'overlap', detail, remedy: 'Say in remote what is to be reached.' })
    }
  }
  for (const prefix of resolved?.local ?? []) {
    const vpc = seen.vpcs.find(({ blocks }) => blocks.some((block) => overlaps(prefix, block)))
    if (vpc === undefined || !isTarget(record, vpc.id)) continue
    const detail = `${prefix} of the site overlaps the VPC ${vpc.id}: within it, the VPC's own addresses win.`
    found.push({ severity: 'error', code: 'overlap', detail, remedy: 'Say in local what AWS is to send here.' })
  }
  if (espProposals(options).length === 0) {
    const detail = 'Our ESP has AES-GCM only, and the options ask for CBC.'
    const remedy = 'Name AES256-GCM-16 or AES128-GCM-16 in options.encryption.'
    found.push({ severity: 'error', code: 'no-common-cipher', detail, remedy })
  }
  if (routing === 'static') {
    const detail = 'With static routing AWS cannot be steered: rotations and maintenance lose packets.'
    const severity = policy === undefined ? 'warning' : 'error'
    found.push({ severity, code: 'static-routing', detail, remedy: 'Use BGP, or rotate by hand with --accept-loss.' })
  }
  const weak = [
    ...options.encryption.filter((each) => !each.includes('GCM')),
    ...(options.groups.includes(14) ? [14] : []),
  ]
  if (weak.length > 0) {
    const detail = `The options allow ${weak.join(', ')} (CBC, or a group of 2048 bits): AWS may choose that for IKE.`
    found.push({ severity: 'warning', code: 'weak-options', detail, remedy: 'Leave them out, as the defaults do.' })
  }
  if (options.startup !== 'start' || options.dpdAction !== 'restart') {
    const detail =
      'AWS does not call after it has replaced an endpoint: the tunnel stays down until the connector calls.'
    const remedy = 'Leave startup at start and dpdAction at restart.'
    found.push({ severity: 'warning', code: 'passive', detail, remedy })
  }
  return found
}

function isTarget({ target }: Situation['record'], vpc: string): boolean {
  return target.kind === 'vpc' ? target.vpc === vpc : target.vpcs.includes(vpc)
}
