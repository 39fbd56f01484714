/** How each kind of record is found: by its unique name, and by the refs that it is filed under. */
import type { Rotation } from '../../protocol/control/rotation.ts'
import { isRunning } from '../domain/cloud/records.ts'
import { isOver } from '../domain/intents/rollout.ts'
import type { Kind, Records } from './repo.ts'

interface Traits<K extends Kind> {
  /** Undefined: it has none, or gave it up. */
  readonly name?: (value: Records[K]) => string | undefined
  /** What `Page.ref` finds it by. */
  readonly refs?: (value: Records[K]) => readonly string[]
}

/** What a rotation is filed under besides its tunnel and its run; `<run>/<group>` too. */
export type RotationGroup = 'queued' | 'active' | 'done' | 'aborted'

export function rotationGroup(state: Rotation['state']): RotationGroup {
  return state === 'queued' || state === 'done' || state === 'aborted' ? state : 'active'
}

const TRAITS: { readonly [K in Kind]: Traits<K> } = {
  network: {},
  // A revoked token, connector or function makes room for another one of its name.
  token: { name: (token) => (token.revokedAt === undefined ? token.name : undefined) },
  join: { refs: (join) => [join.site] },
  site: { name: (site) => site.name },
  tunnel: { name: (tunnel) => tunnel.name, refs: (tunnel) => tunnel.sites },
  routing: {},
  connector: {
    name: (connector) => (connector.revokedAt === undefined ? connector.name : undefined),
    refs: (connector) => [connector.site, connector.identityKey],
  },
  keys: {},
  end: { refs: (end) => [end.tunnel, end.connector] },
  policy: { name: (policy) => policy.name },
  run: { refs: (run) => [run.state, ...(run.policy === undefined ? [] : [run.policy])] },
  rotation: {
    refs: (rotation) => {
      const group = rotationGroup(rotation.state)
      const run = rotation.run === undefined ? [] : [rotation.run, `${rotation.run}/${group}`]
      return [rotation.tunnel, group, ...run]
    },
  },
  rollout: { refs: (rollout) => [isOver(rollout.state) ? 'ended' : 'active'] },
  health: {},
  function: { name: (own) => (own.revokedAt === undefined ? own.name : undefined) },
  secret: {},
  cloud: { name: (cloud) => cloud.name, refs: (cloud) => [cloud.site] },
  cloudRun: { refs: (run) => [run.cloud, isRunning(run.state) ? 'active' : 'ended'] },
  cloudView: { refs: (view) => [view.site] },
}

export const KINDS = Object.keys(TRAITS) as readonly Kind[]

export function nameOf<K extends Kind>(kind: K, value: Records[K]): string | null {
  return TRAITS[kind].name?.(value) ?? null
}

/**
 * What a record is filed under. join: its site. tunnel: its two sites. connector: its site, its identity key.
 * end: its tunnel, its connector. run: its state, its policy. rotation: its tunnel, its run, its group
 * (`rotationGroup`), and `<run>/<group>`. rollout: `active` or `ended`. cloud: its site. cloudRun: its connection, and
 * `active` or `ended`. cloudView: the site of its connection.
 */
export function refsOf<K extends Kind>(kind: K, value: Records[K]): readonly string[] {
  return [...new Set(TRAITS[kind].refs?.(value) ?? [])]
}

/** Whether it is part of the intent, and so kept by version. */
export function isPart(kind: Kind): kind is 'site' | 'tunnel' | 'routing' {
  return kind === 'site' || kind === 'tunnel' || kind === 'routing'
}
