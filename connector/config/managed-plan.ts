/** The plan of a managed connector: what its document asks for, with the defaults of `isthmus.yaml`. */
import { availableParallelism } from 'node:os'
import type { ConnectorDocument } from '../../protocol/control/document.ts'
import { familyOf, parseAddress } from '../../protocol/net.ts'
import type { TunnelPlan } from '../core/managed/keeper.ts'
import type { ConnectorPlan } from '../plan.ts'
import { planOf } from './plan-of.ts'
import { type Config, configSchema } from './schema.ts'

/** What only this site knows. */
export interface LocalSettings {
  /** Our outer address. */
  readonly address: string
  readonly stateDirectory: string
  readonly controlSocket: string
  /** Further keys of `isthmus.yaml`, for example `tun` and `ports`; not `site`, `networks`, `peers`. */
  readonly more?: Readonly<Record<string, unknown>>
}

/**
 * Tunnels are called as the control plane calls them; names are unique in a network. Throws a ZodError where the
 * document and the settings make no configuration, which their own schemas should have refused.
 */
export function managedPlan(
  site: ConnectorDocument['site'],
  self: string,
  tunnels: readonly TunnelPlan[],
  settings: LocalSettings,
): ConnectorPlan {
  const config = configSchema.parse({
    ...settings.more,
    site: site.name,
    address: settings.address,
    id: keyIdentity(self),
    networks: site.prefixes,
    peers: Object.fromEntries(tunnels.map((plan) => [plan.tunnel.name, peerOf(plan, settings.address)])),
    state_directory: settings.stateDirectory,
    control_socket: settings.controlSocket,
  })
  const secrets = new Map(tunnels.map(({ tunnel, keys }) => [tunnel.name, keys[0]!.psk]))
  const plan = planOf(config satisfies Config, secrets, (path) => path, availableParallelism())
  const connections = plan.connections.map((connection, i) => withKeys(connection, tunnels[i]!))
  return { ...plan, connections, listen: [config.address] }
}

function withKeys(
  connection: ConnectorPlan['connections'][number],
  { keys }: TunnelPlan,
): ConnectorPlan['connections'][number] {
  return { ...connection, ike: { ...connection.ike, keys } }
}

function peerOf({ tunnel }: TunnelPlan, address: string): unknown {
  const { peer, pathMtu, initiate, epochs } = tunnel
  // Before its first key is in use, the other end may not know that key yet, and would refuse.
  const ready = epochs.length === 0 || epochs.some(({ phase }) => phase === 'use')
  // An endpoint of the other family is none for us.
  const usable = peer.endpoint !== undefined && sameFamily(peer.endpoint.address, address) ? peer.endpoint : undefined
  return {
    ...(usable === undefined ? {} : { address: usable.address, ports: { ike: usable.port, nat: usable.natPort } }),
    id: keyIdentity(peer.connector),
    networks: peer.prefixes,
    initiate: initiate && usable !== undefined && ready,
    ...(pathMtu === undefined ? {} : { path_mtu: pathMtu }),
    secret: { env: 'MANAGED' },
  }
}

function sameFamily(left: string, right: string): boolean {
  const [first, second] = [parseAddress(left), parseAddress(right)]
  return first !== undefined && second !== undefined && familyOf(first) === familyOf(second)
}

/** IKE identity of a connector: a key identifier (RFC 7296 section 3.5, ID_KEY_ID) that holds its id. */
function keyIdentity(connector: string): string {
  return `keyid:${Buffer.from(connector).toString('hex')}`
}
