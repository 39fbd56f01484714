/** What a run that ended in the middle of changing a tunnel has left: two keys, or a tunnel that stays empty. */
import { numberOf } from './changes.ts'
import { vpnConnectionOf } from './resources.ts'
import { change, type Situation, settleMs, wait } from './situation.ts'
import { seenTunnel } from './tunnels.ts'
import type { CloudKey, Decision } from './types.ts'

/** The key that AWS has is the one that stays. Where AWS has another one, that is drift, and not decided here. */
export function keysLeft(situation: Situation): Decision | undefined {
  const { record, seen } = situation
  if (vpnConnectionOf(record, seen)?.state !== 'available') return undefined
  for (const tunnel of record.tunnels.keys()) {
    const decision = keyLeft(situation, tunnel)
    if (decision !== undefined) return decision
  }
  return undefined
}

function keyLeft(situation: Situation, tunnel: number): Decision | undefined {
  const { keys, name } = situation.record.tunnels[tunnel]!
  if (keys.length < 2) return undefined
  const { first, last } = inOrder(keys)
  const has = seenTunnel(situation, tunnel)?.keyFingerprint ?? workingKey(situation, tunnel)
  if (has === last.fingerprint) {
    if (keys[0]!.id !== last.id) return change({ type: 'use-key', tunnel }, name, `${name} uses the key that AWS has`)
    return change({ type: 'forget-key', tunnel, which: 'old' }, name, `the old key of ${name} is forgotten`)
  }
  if (has !== first.fingerprint) return undefined
  // It may have been told, and not be shown yet.
  const settled = last.since + settleMs(situation)
  if (situation.now < settled)
    return wait(`AWS to show which key ${name} has`, last.since, settleMs(situation), situation.now)
  return change({ type: 'forget-key', tunnel, which: 'new' }, name, `${name} keeps its old key`)
}

/** Where AWS does not show its key, what the tunnel is up with tells. */
function workingKey({ record, sight }: Situation, tunnel: number): string | undefined {
  const { external, keys } = record.tunnels[tunnel]!
  const said = sight.externals.find((each) => each.external === external)
  return said?.state === 'up' ? keys.find(({ id }) => id === said.key)?.fingerprint : undefined
}

export function undrainLeft(situation: Situation): Decision | undefined {
  const tunnel = situation.record.tunnels.findIndex(({ drained }) => drained)
  return tunnel < 0 ? undefined : undrain(situation, tunnel)
}

export function undrain({ record }: Situation, tunnel: number): Decision {
  const { name } = record.tunnels[tunnel]!
  return change({ type: 'drain', tunnel, on: false }, name, `traffic may use ${name} again`)
}

/** The oldest and the newest. */
export function inOrder(keys: readonly CloudKey[]): { readonly first: CloudKey; readonly last: CloudKey } {
  const sorted = [...keys].sort((left, right) => numberOf(left.id) - numberOf(right.id))
  return { first: sorted[0]!, last: sorted.at(-1)! }
}
