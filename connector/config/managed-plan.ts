/** The plan of a managed connector: what its document asks for, with the defaults of `isthmus.yaml`. */
import { availableParallelism } from 'node:os'
import type { ConnectorDocument } from '../../protocol/control/document.ts'
import type { DocumentRouting, RoutingNeighbour } from '../../protocol/control/routing.ts'
import {
  type Address,
  familyOf,
  type Prefix,
  parseAddress,
  parsePrefix,
  prefix,
  prefixRange,
} from '../../protocol/net.ts'
import { selectorOfPrefix } from '../core/ike/selectors.ts'
import type { TunnelPlan } from '../core/managed/keeper.ts'
import { everythingIn, insideNetwork, isIn, speakerOf } from '../core/managed/routing.ts'
import type { ConnectorPlan, PlannedConnection, RefusalPlan } from '../plan.ts'
import {
  externalPeer,
  inUsualOrder,
  type ManagedExternalsPlan,
  withExternalBgp,
  withExternalKeys,
} from './external-plan.ts'
import { planOf } from './plan-of.ts'
import { type Config, configSchema } from './schema.ts'

const EVERYTHING = (['0.0.0.0/0', '::/0'] as Prefix[]).map(selectorOfPrefix)
/** Each is a route in the kernel and in the engines. */
const MOST_REFUSALS = 10_000

/** What only this site knows. */
export interface LocalSettings {
  /** Our outer address. */
  readonly address: string
  readonly stateDirectory: string
  readonly controlSocket: string
  /** Further keys of `isthmus.yaml`, for example `tun` and `ports`; not `site`, `networks`, `peers`. */
  readonly more?: Readonly<Record<string, unknown>>
}

/** What the site carries out of the routing section, and what it still keeps beside. */
export interface ManagedRouting {
  readonly routing: DocumentRouting
  /** What the site owns. */
  readonly owns: readonly Prefix[]
  /** Tunnels, by identifier, whose BGP session has been up: their peers' prefixes are no static routes any more. */
  readonly learned: ReadonlySet<string>
  /** What else than the peers' prefixes is never to leave in the clear. */
  readonly guarded: readonly string[]
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
  routed?: ManagedRouting,
  externals?: ManagedExternalsPlan,
): ConnectorPlan {
  const others = inUsualOrder(externals?.plans ?? [])
  const transit = routed?.routing.transit === true
  const config = configSchema.parse({
    ...settings.more,
    site: site.name,
    address: settings.address,
    id: keyIdentity(self),
    networks: site.prefixes,
    peers: Object.fromEntries([
      ...tunnels.map((plan) => [plan.tunnel.name, peerOf(plan, settings.address)]),
      ...others.map((plan) => [plan.external.name, externalPeer(plan, settings.address, transit)]),
    ]),
    state_directory: settings.stateDirectory,
    control_socket: settings.controlSocket,
  })
  const tunnelOf = new Map(tunnels.map((plan) => [plan.tunnel.name, plan]))
  const externalOf = new Map(others.map((plan) => [plan.external.name, plan]))
  const secrets = new Map([...tunnelOf, ...externalOf].map(([name, { keys }]) => [name, keys[0]!.psk]))
  const plan = planOf(config satisfies Config, secrets, (path) => path, availableParallelism())
  const connections = plan.connections.map((connection) => {
    const { name } = connection.ike
    const external = externalOf.get(name)
    return external === undefined ? withKeys(connection, tunnelOf.get(name)!) : withExternalKeys(connection, external)
  })
  const all = { ...plan, connections, listen: [config.address] }
  const sites = routed === undefined ? all : withRouting(all, tunnels, routed)
  if (routed === undefined && externals === undefined) return sites
  const whole = externals === undefined ? sites : withExternalBgp(sites, externals)
  return { ...whole, refusals: refusalsOf(whole.connections, tunnels, routed, externals) }
}

/** A tunnel without a neighbour stays as it is: its other end cannot route. */
function withRouting(plan: ConnectorPlan, tunnels: readonly TunnelPlan[], routed: ManagedRouting): ConnectorPlan {
  const names = new Map(tunnels.map(({ tunnel }) => [tunnel.id, tunnel.name]))
  const neighbours = routed.routing.neighbours.filter(({ tunnel }) => names.has(tunnel))
  const routing = { ...routed.routing, neighbours }
  const byName = new Map(neighbours.map((neighbour) => [names.get(neighbour.tunnel)!, neighbour]))
  const connections = plan.connections.map((connection) => {
    const neighbour = byName.get(connection.ike.name)
    return neighbour === undefined ? connection : routedConnection(connection, neighbour, routed)
  })
  const inside = neighbours.map(({ local }) => local as Address)
  const speaker = speakerOf(routing, routed.owns, (tunnel) => names.get(tunnel)!)
  return {
    ...plan,
    tun: { ...plan.tun, addresses: [...plan.tun.addresses, ...inside] },
    connections,
    bgp: { ...speaker, md5Keys: new Map() },
  }
}

function routedConnection(
  connection: PlannedConnection,
  { tunnel, local }: RoutingNeighbour,
  { routing, learned }: ManagedRouting,
): PlannedConnection {
  const { ike, routes } = connection
  const children = ike.children.map((child) => ({ ...child, local: EVERYTHING, remote: EVERYTHING }))
  return {
    ...connection,
    ike: { ...ike, children },
    routes: [insideNetwork(local), ...(learned.has(tunnel) ? [] : routes)],
    reversePath: 'loose',
    ...(routing.transit ? { transit: true } : {}),
  }
}

/**
 * What other sites own, and what lies behind other gateways, is answered while no route leads there, and never leaves in
 * the clear. Not what covers our own networks, or an outer address: that would take packets that have another way. Of
 * nested ones the widest does for all.
 */
function refusalsOf(
  connections: readonly PlannedConnection[],
  tunnels: readonly TunnelPlan[],
  routed: ManagedRouting | undefined,
  externals: ManagedExternalsPlan | undefined,
): readonly RefusalPlan[] {
  const owns = routed?.owns ?? externals?.owns ?? []
  const ours = everythingIn(owns.filter((each) => !each.endsWith('/0')))
  const ofSites =
    routed === undefined ? [] : [...tunnels.flatMap(({ tunnel }) => tunnel.peer.prefixes), ...routed.guarded]
  const refused = new Set([...ofSites, ...(externals?.guarded ?? [])])
  const outer = connections.flatMap(({ ike }) => [ike.localAddress, ike.remoteAddress])
  const endpoints = tunnels.map(({ tunnel }) => tunnel.peer.endpoint?.address)
  const kept = [...owns, ...new Set([...outer, ...endpoints].flatMap((address) => hostOf(address) ?? []))]
  for (const each of kept) for (const wider of coversOf(each)) refused.delete(wider)
  const widest = [...refused].filter((each) => coversOf(each as Prefix).every((it) => it === each || !refused.has(it)))
  const some = widest.filter((each) => !isIn(ours, each)).slice(0, MOST_REFUSALS)
  return some.map((each) => ({ prefix: each as Prefix, answer: 'unreachable' }))
}

/** The prefix itself, and all that it lies in. */
function coversOf(inner: Prefix): Prefix[] {
  const { first, bits } = prefixRange(inner)
  return Array.from({ length: bits + 1 }, (_, length) => prefix(`${first}/${length}`))
}

function hostOf(address: string | undefined): Prefix | undefined {
  return address === undefined ? undefined : parsePrefix(address)
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
