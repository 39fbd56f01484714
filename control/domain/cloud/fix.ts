/** Repairs drift: makes what is missing, and changes tunnels back one at a time, like a rotation. */
import type { AwsOptions } from '../../../protocol/control/cloud.ts'
import { nextToMake } from './apply.ts'
import { alwaysSaid, type CarefulNotes, changeCarefully, comeBack, type Job, troubled } from './careful.ts'
import { changedOptions } from './drift.ts'
import { keysLeft } from './leftovers.ts'
import { customerGatewayOf, isTagged, madeByUs, tagsOf, vpnConnectionOf, vpnGatewayOf } from './resources.ts'
import { heldBack, perform, type Situation } from './situation.ts'
import { seenTunnel } from './tunnels.ts'
import type { Decision } from './types.ts'

export function decideFix(situation: Situation): { readonly decision: Decision; readonly notes?: CarefulNotes } {
  const { back } = situation.run.memory as CarefulNotes
  const isAborting = situation.run.state === 'aborting'
  if (isAborting || back !== undefined) {
    const end: Decision = back === undefined ? { type: 'done', outcome: 'aborted' } : troubled(back)
    return { decision: comeBack(situation) ?? end }
  }
  const decision = nextToMake(situation) ?? tags(situation) ?? keysLeft(situation)
  return decision === undefined ? tunnels(situation) : { decision }
}

function tags(situation: Situation): Decision | undefined {
  const { record, seen, facts } = situation
  const connection = vpnConnectionOf(record, seen)
  const gateway = vpnGatewayOf(record, seen)
  const isOwn = gateway !== undefined && madeByUs(record, 'vpn-gateway', gateway.id)
  const customer = customerGatewayOf(record, seen)
  const isOwnCustomer = customer !== undefined && madeByUs(record, 'customer-gateway', customer.id)
  const all = [connection, isOwn ? gateway : undefined, isOwnCustomer ? customer : undefined]
  const bare = all.find((each) => each !== undefined && !isTagged(each))
  if (bare === undefined) return undefined
  const action = { type: 'tag', resource: bare.id, tags: tagsOf(record, facts.network) } as const
  return heldBack(situation, perform(action, bare.id, `${bare.id} has our tags again`))
}

function tunnels(situation: Situation): ReturnType<typeof decideFix> {
  for (const index of situation.record.tunnels.keys()) {
    // Nothing of this tunnel has to be changed: it need not be drained for that.
    if (isAsWanted(situation, index) && !situation.record.tunnels[index]!.drained) continue
    const step = changeCarefully(situation, index, asWanted(situation, index))
    if ('finished' in step) continue
    if ('decision' in step) return step
    const notes = { back: step.trouble }
    return { decision: comeBack(situation) ?? troubled(step.trouble), notes }
  }
  return { decision: { type: 'done', outcome: 'done' } }
}

function isAsWanted(situation: Situation, tunnel: number): boolean {
  return Object.keys(differing(situation, tunnel)).length === 0 && !hasOtherKey(situation, tunnel)
}

function asWanted(situation: Situation, tunnel: number): Job {
  const { record, seen } = situation
  const { name, external, keys, outside } = record.tunnels[tunnel]!
  return {
    repairs: true,
    before: () => undefined,
    isThere: () => isAsWanted(situation, tunnel),
    action: {
      type: 'modify-tunnel',
      vpnConnection: vpnConnectionOf(record, seen)!.id,
      outside: outside ?? '',
      options: { ...alwaysSaid(record.options), ...differing(situation, tunnel) },
      ...(hasOtherKey(situation, tunnel) ? { secret: `${external}/${keys[0]!.id}` } : {}),
    },
    detail: `AWS gives ${name} back what was changed`,
    use: () => undefined,
    after: () => undefined,
  }
}

function differing(situation: Situation, tunnel: number): Partial<AwsOptions> {
  const there = seenTunnel(situation, tunnel)
  return there === undefined ? {} : changedOptions(situation.record.options, there.options)
}

function hasOtherKey(situation: Situation, tunnel: number): boolean {
  const there = seenTunnel(situation, tunnel)?.keyFingerprint
  return there !== undefined && !situation.record.tunnels[tunnel]!.keys.some(({ fingerprint }) => fingerprint === there)
}
