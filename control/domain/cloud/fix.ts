/** Repairs drift: makes what is missing, and changes tunnels back one at a time, like a rotation. */
import type { AwsOptions } from '../../../protocol/control/cloud.ts'
import { nextToMake, tunnelsInOrder } from './apply.ts'
import { changeCarefully, type Job, troubled } from './careful.ts'
import { changedOptions } from './drift.ts'
import { TAG_CLOUD } from './provider.ts'
import { tagsOf, vpnConnectionOf } from './resources.ts'
import { perform, type Situation } from './situation.ts'
import type { Decision } from './types.ts'

export function decideFix(situation: Situation): Decision {
  return nextToMake(situation) ?? tags(situation) ?? tunnels(situation) ?? { type: 'done', outcome: 'done' }
}

function tags({ record, seen, facts }: Situation): Decision | undefined {
  const connection = vpnConnectionOf(record, seen)!
  if (connection.tags[TAG_CLOUD] === record.id) return undefined
  const action = { type: 'tag', resource: connection.id, tags: tagsOf(record, facts.network) } as const
  return perform(action, connection.id, `${connection.id} has our tags again`)
}

function tunnels(situation: Situation): Decision | undefined {
  for (const index of situation.record.tunnels.keys()) {
    // Nothing of this tunnel has to be changed: it need not be drained for that.
    if (isAsWanted(situation, index) && !situation.record.tunnels[index]!.drained) continue
    const step = changeCarefully(situation, index, asWanted(situation, index))
    if ('finished' in step) continue
    return 'decision' in step ? step.decision : troubled(step.trouble)
  }
  return undefined
}

function isAsWanted(situation: Situation, tunnel: number): boolean {
  return Object.keys(differing(situation, tunnel)).length === 0 && !hasOtherKey(situation, tunnel)
}

function asWanted(situation: Situation, tunnel: number): Job {
  const { record, seen } = situation
  const { name, external, keys, outside } = record.tunnels[tunnel]!
  return {
    before: () => undefined,
    isThere: () => isAsWanted(situation, tunnel),
    action: {
      type: 'modify-tunnel',
      vpnConnection: vpnConnectionOf(record, seen)!.id,
      outside: outside ?? '',
      options: differing(situation, tunnel),
      ...(hasOtherKey(situation, tunnel) ? { secret: `${external}/${keys[0]!.id}` } : {}),
    },
    detail: `AWS gives ${name} back what was changed`,
    use: () => undefined,
    after: () => undefined,
  }
}

function differing({ record, seen }: Situation, tunnel: number): Partial<AwsOptions> {
  const there = tunnelsInOrder(record, vpnConnectionOf(record, seen)!)[tunnel]
  return there === undefined ? {} : changedOptions(record.options, there.options)
}

function hasOtherKey({ record, seen }: Situation, tunnel: number): boolean {
  const there = tunnelsInOrder(record, vpnConnectionOf(record, seen)!)[tunnel]?.keyFingerprint
  return there !== undefined && !record.tunnels[tunnel]!.keys.some(({ fingerprint }) => fingerprint === there)
}
