/** What stands between the plan that a connector carries out and another one. Pure. */
import type { IkeKey } from '../core/ike/types.ts'
import type { ConnectorPlan, PlannedConnection } from '../plan.ts'

export interface PlanChanges {
  readonly added: readonly PlannedConnection[]
  /** Names. */
  readonly removed: readonly string[]
  /** The same children with other selectors. */
  readonly reselected: readonly PlannedConnection[]
  /** Same name, another IKE configuration: taken down, and made anew. */
  readonly replaced: readonly PlannedConnection[]
  /** The path to the peer is described anew. */
  readonly adjusted: readonly PlannedConnection[]
  /** Other keys, or another order of them. */
  readonly rekeyed: readonly { readonly connection: string; readonly keys: readonly IkeKey[] }[]
  /** Names of those that are to be initiated from now on, whatever they were before. */
  readonly woken: readonly string[]
  /** All that is to be in the end, in the order of the plan. A connection that stays keeps its packet worker. */
  readonly connections: readonly PlannedConnection[]
}

export function changesBetween(
  running: readonly PlannedConnection[],
  wanted: readonly PlannedConnection[],
): PlanChanges {
  const before = new Map(running.map((connection) => [connection.ike.name, connection]))
  const connections = wanted.map((connection) => onSameWorker(connection, before.get(connection.ike.name)))
  const pairs = connections.flatMap((after) => {
    const old = before.get(after.ike.name)
    return old === undefined ? [] : [{ old, after }]
  })
  const replaced = pairs.filter(({ old, after }) => !sameIke(old, after))
  const kept = pairs.filter((pair) => !replaced.includes(pair))
  const names = new Set(connections.map(({ ike }) => ike.name))
  return {
    added: connections.filter(({ ike }) => !before.has(ike.name)),
    removed: [...before.keys()].filter((name) => !names.has(name)),
    replaced: replaced.map(({ after }) => after),
    reselected: kept
      .filter(({ old, after }) => stable(old.ike.children) !== stable(after.ike.children))
      .map(({ after }) => after),
    adjusted: kept.filter(({ old, after }) => !samePath(old, after)).map(({ after }) => after),
    rekeyed: kept
      .filter(({ old, after }) => !sameKeys(keysOf(old), keysOf(after)))
      .map(({ after }) => ({ connection: after.ike.name, keys: keysOf(after) })),
    woken: kept.filter(({ old, after }) => after.ike.initiate && !old.ike.initiate).map(({ after }) => after.ike.name),
    connections,
  }
}

/** What of a plan only a new start can change, each thing in words. Sockets are another matter. */
export function fixedFaults(running: ConnectorPlan, wanted: ConnectorPlan): string[] {
  const faults: string[] = []
  for (const [name, of] of FIXED) {
    const [old, after] = [stable(of(running)), stable(of(wanted))]
    if (old !== after) faults.push(`${name} from ${old ?? 'none'} to ${after ?? 'none'}`)
  }
  const seen = new Set<string>()
  for (const { ike } of wanted.connections) {
    if (seen.has(ike.name)) faults.push(`two connections are called ${ike.name}`)
    seen.add(ike.name)
  }
  return faults
}

/** Of the device everything but its addresses. */
const FIXED: readonly (readonly [string, (plan: ConnectorPlan) => unknown])[] = [
  ['the TUN device', ({ tun: { name, mtu } }) => ({ name, mtu })],
  ['the number of packet workers', ({ workers }) => workers],
  ['the ports', ({ ports }) => ports],
  ['the limits', ({ limits }) => limits],
  ['the state directory', ({ stateDirectory }) => stateDirectory],
  ['the control socket', ({ controlSocket }) => controlSocket],
  ['the metrics', ({ metrics }) => metrics],
  ['the key log', ({ keyLog }) => keyLog],
]

function onSameWorker(wanted: PlannedConnection, old: PlannedConnection | undefined): PlannedConnection {
  if (old === undefined || old.ike.resource === wanted.ike.resource) return wanted
  const { resource: _, ...ike } = wanted.ike
  const { resource } = old.ike
  return { ...wanted, ike: resource === undefined ? ike : { ...ike, resource } }
}

/**
 * All of it but the keys, the selectors, and that it is to be initiated at last. A key of the same name but other bytes
 * is a change that only a new connection takes up.
 */
function sameIke({ ike: old }: PlannedConnection, { ike: after }: PlannedConnection): boolean {
  const { initiate } = after
  if (stable(initiate ? { ...lastingOf(old), initiate } : lastingOf(old)) !== stable(lastingOf(after))) return false
  const keys = keysOf({ ike: after })
  return keysOf({ ike: old }).every(({ id, psk }) => {
    const namesake = keys.find((key) => key.id === id)
    return namesake === undefined || sameBytes(psk, namesake.psk)
  })
}

function lastingOf({ psk: _, keys: __, ...rest }: PlannedConnection['ike']): object {
  return { ...rest, children: (rest.children ?? []).map(({ local: ___, remote: ____, ...child }) => child) }
}

function samePath(old: PlannedConnection, after: PlannedConnection): boolean {
  return stable(pathOf(old)) === stable(pathOf(after))
}

/** What engines know of it. */
function pathOf({ ike: _, routes: __, yields: ___, ...path }: PlannedConnection): object {
  return path
}

/** As IKE takes them: the one of a connection without names has the empty one. */
function keysOf({ ike }: Pick<PlannedConnection, 'ike'>): readonly IkeKey[] {
  return ike.keys ?? [{ id: '', psk: ike.psk }]
}

function sameKeys(left: readonly IkeKey[], right: readonly IkeKey[]): boolean {
  return left.length === right.length && left.every(({ id, psk }, i) => sameKey({ id, psk }, right[i]!))
}

function sameKey(left: IkeKey, right: IkeKey): boolean {
  return left.id === right.id && sameBytes(left.psk, right.psk)
}

/** Both are ours, and nobody measures how long this takes. */
function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, i) => byte === right[i])
}

/** The same text for equal plain data, whatever the order of its keys. */
function stable(value: unknown): string | undefined {
  return JSON.stringify(value, (_, inner: unknown) => {
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return inner
    return Object.fromEntries(Object.entries(inner).sort(([left], [right]) => (left < right ? -1 : 1)))
  })
}
