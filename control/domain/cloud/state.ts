/** A connection as the API shows it: its state in a word, and both tunnels as each end tells of them. */
import type { Cloud, CloudTunnel, Drift } from '../../../protocol/control/cloud.ts'
import type { CloudRecord, CloudRunRecord, ConnectorSight } from './types.ts'

/** What provider and connector said last. */
export interface CloudView {
  /** When AWS was looked at last. */
  readonly lookedAt?: number
  readonly drift: readonly Drift[]
  /** In the order of the tunnels. */
  readonly provider: readonly (NonNullable<CloudTunnel['provider']> | undefined)[]
}

export const NO_VIEW: CloudView = { drift: [], provider: [] }

export function toCloud(
  record: CloudRecord,
  view: CloudView,
  sight: Pick<ConnectorSight, 'externals'>,
  run: Pick<CloudRunRecord, 'kind'> | undefined,
): Cloud {
  const { tunnels, destroying: _, rotatedAt: __, resolved: ___, earlierOptions: ____, ...whole } = record
  const { local, remote, insideCidrs, ...rest } = whole
  const shown = tunnels.map((tunnel, index): CloudTunnel => {
    const { external, name, insideCidr, outside, keys } = tunnel
    const said = sight.externals.find((each) => each.external === external)
    // As JSON has it, what is not there is null.
    const provider = view.provider[index] ?? undefined
    const [key] = keys
    return {
      external,
      name,
      insideCidr,
      ...(outside === undefined ? {} : { outside }),
      ...(key === undefined ? {} : { key: { id: key.id, fingerprint: key.fingerprint, since: key.since } }),
      ...(provider === undefined ? {} : { provider }),
      ...(said === undefined
        ? {}
        : {
            connector: {
              state: said.state,
              passing: said.passing,
              ...(said.bgp === undefined ? {} : { bgp: said.bgp.established }),
            },
          }),
    }
  })
  return {
    ...rest,
    ...(local === undefined ? {} : { local: [...local] }),
    ...(remote === undefined ? {} : { remote: [...remote] }),
    ...(insideCidrs === undefined ? {} : { insideCidrs }),
    state: stateOf(record, shown, run),
    // A block of addresses that was not chosen yet is none.
    tunnels: record.resolved === undefined ? [] : shown,
    ...(view.lookedAt === undefined ? {} : { lookedAt: view.lookedAt }),
    drift: [...view.drift],
  }
}

function stateOf(
  record: CloudRecord,
  tunnels: readonly CloudTunnel[],
  run: Pick<CloudRunRecord, 'kind'> | undefined,
): Cloud['state'] {
  if (record.destroying) return 'destroying'
  if (run?.kind === 'rotate') return 'rotating'
  const known = record.tunnels.some(({ outside }) => outside !== undefined)
  if (!known) return run === undefined && record.resources.length === 0 ? 'new' : 'applying'
  const up = tunnels.filter(
    ({ connector }) => connector?.state === 'up' && connector.passing && connector.bgp !== false,
  )
  if (up.length === tunnels.length) return 'up'
  if (run?.kind === 'apply') return 'applying'
  return up.length === 0 ? 'down' : 'degraded'
}
