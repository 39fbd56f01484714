/** The plan that a valid configuration means. */
import { type Address, familyOf, type Prefix } from '../../protocol/net.ts'
import { selectorOfPrefix } from '../core/ike/selectors.ts'
import type {
  ChildConfig,
  ChildLifetime,
  ConnectionConfig,
  EspProposal,
  Identity,
  Lifetime,
  TrafficSelector,
} from '../core/ike/types.ts'
import type { ConnectorPlan, PlannedConnection } from '../plan.ts'
import { bgpPlanOf } from './bgp-plan.ts'
import { forwardingOf, inOrder, pathOf } from './paths-plan.ts'
import type { Config, PeerConfig } from './schema.ts'

type ChildSection = NonNullable<PeerConfig['children']>[string]

const PROTOCOLS = { any: 0, icmp: 1, tcp: 6, udp: 17, gre: 47, icmpv6: 58, ospf: 89, sctp: 132 } as const
const DEFAULT_CHILD = 'net'
/** A hard limit left open is this much beyond its soft one. */
const HARD_FACTOR = 1.2
const MAX_AUTO_WORKERS = 8

/** `secrets` holds a key for every peer, `passwords` one for each BGP neighbour that has one; `resolvePath` makes paths absolute; `cores` is how many we may run on. */
export function planOf(
  config: Config,
  secrets: ReadonlyMap<string, Uint8Array>,
  resolvePath: (path: string) => string,
  cores: number,
  passwords: ReadonlyMap<string, Uint8Array> = new Map(),
): ConnectorPlan {
  const { limits, metrics } = config
  const workers = config.workers === 'auto' ? workersFor(cores) : config.workers
  return {
    site: config.site,
    tun: { name: config.tun.name, mtu: config.tun.mtu, addresses: ownAddresses(config) },
    workers,
    ports: { port: config.ports.ike, natPort: config.ports.nat },
    connections: inOrder(
      Object.entries(config.peers).map(([name, peer], index) =>
        connectionOf(config, name, peer, secrets.get(name)!, index % workers),
      ),
      config,
    ),
    limits: {
      cookieThreshold: limits.cookie_threshold,
      maxHalfOpen: limits.max_half_open,
      retransmitMs: limits.retransmit,
      retransmitFactor: limits.retransmit_factor,
      retransmitTries: limits.retransmit_tries,
      retryMs: limits.retry,
      retryMaxMs: Math.max(limits.retry, limits.retry_max),
    },
    stateDirectory: resolvePath(config.state_directory),
    controlSocket: resolvePath(config.control_socket),
    ...(metrics.enabled ? { metrics: { address: metrics.address, port: metrics.port } } : {}),
    ...(config.key_log === undefined ? {} : { keyLog: resolvePath(config.key_log) }),
    ...(config.bgp === undefined ? {} : { bgp: bgpPlanOf(config, config.bgp, passwords) }),
    ...forwardingOf(config),
    networks: config.networks,
  }
}

/** Those inside tunnels last: what the gateway itself sends elsewhere has one of its own as source. */
export function ownAddresses({ tun, peers }: Config): readonly Address[] {
  const inside = Object.values(peers).flatMap((peer) => peer.inside ?? [])
  return [...new Set([...(tun.addresses ?? []), ...inside.map(({ address }) => address)])]
}

/** Half of the cores: the other half is for the kernel's share of each packet, and for whatever else runs there. */
function workersFor(cores: number): number {
  return Math.min(MAX_AUTO_WORKERS, Math.max(1, Math.floor(cores / 2)))
}

function connectionOf(
  config: Config,
  name: string,
  peer: PeerConfig,
  psk: Uint8Array,
  resource: number,
): PlannedConnection {
  const localAddress = peer.local_address ?? config.address
  const children = childrenOf(config, peer)
  const ike: ConnectionConfig = {
    name,
    localAddress,
    ...(peer.address === undefined ? {} : { remoteAddress: peer.address }),
    remotePort: peer.ports.ike,
    remoteNatPort: peer.ports.nat,
    localId: peer.local_id ?? config.id ?? addressIdentity(localAddress),
    remoteId: peer.id ?? addressIdentity(peer.address!),
    psk,
    initiate: peer.initiate ?? peer.address !== undefined,
    proposals: peer.ike.proposals,
    children: children.map(({ config: child }) => child),
    lifetime: lifetimeOf(peer.ike),
    dpdIntervalMs: peer.dpd,
    encapsulation: peer.encapsulation,
    natKeepaliveMs: peer.nat_keepalive,
    fragmentSize: peer.fragment_size,
    resource,
  }
  const inside = (peer.inside ?? []).map(({ network }) => network)
  return {
    ike,
    routes: [...new Set([...inside, ...staticRoutes(peer, children)])],
    pathMtu: peer.path_mtu,
    clampMss: peer.clamp_mss,
    copyDscp: peer.copy_dscp,
    ...pathOf(peer),
  }
}

/** What leads to the peer without BGP, inner networks aside. */
function staticRoutes({ routes }: PeerConfig, children: readonly { remote: readonly Prefix[] }[]): readonly Prefix[] {
  if (routes === 'bgp') return []
  return routes ?? children.flatMap(({ remote }) => remote)
}

/** What BGP learns is not known beforehand: the selectors take everything of the families that the tunnel has. */
function everything({ routes, inside = [] }: PeerConfig): readonly Prefix[] | undefined {
  if (routes !== 'bgp') return undefined
  const families = new Set(inside.map(({ address }) => familyOf(address)))
  const any = [...(families.has(6) ? ['::/0'] : []), ...(families.has(4) || families.size === 0 ? ['0.0.0.0/0'] : [])]
  return any.reverse() as Prefix[]
}

function childrenOf(config: Config, peer: PeerConfig): { config: ChildConfig; remote: readonly Prefix[] }[] {
  const sections: Record<string, ChildSection> = peer.children ?? { [DEFAULT_CHILD]: { protocol: 'any' } }
  return Object.entries(sections).map(([name, section]) => {
    const protocol = PROTOCOLS[section.protocol]
    const local = section.local ?? everything(peer) ?? config.networks
    const remote = section.remote ?? peer.networks ?? everything(peer) ?? []
    return {
      remote,
      config: {
        name,
        local: local.map((prefix) => selectorOf(prefix, protocol, section.local_ports)),
        remote: remote.map((prefix) => selectorOf(prefix, protocol, section.remote_ports)),
        proposals: espProposalsOf(peer.esp),
        lifetime: childLifetimeOf(peer.esp),
        replayWindow: peer.esp.replay_window,
      },
    }
  })
}

function selectorOf(prefix: Prefix, protocol: number, ports?: { start: number; end: number }): TrafficSelector {
  const selector = { ...selectorOfPrefix(prefix), protocol }
  return ports === undefined ? selector : { ...selector, startPort: ports.start, endPort: ports.end }
}

/** Suites whose text leaves ESN open stand once for each answer, the wished one first. */
function espProposalsOf(esp: PeerConfig['esp']): EspProposal[] {
  const withEsn = esp.esn === 'off' ? [] : esp.proposals.filter(({ stated }) => !stated)
  const first = esp.proposals.flatMap(({ proposal, stated }) => {
    return stated ? [proposal] : esp.esn === 'off' ? [{ ...proposal, esn: false }] : [{ ...proposal, esn: true }]
  })
  return esp.esn === 'prefer' ? [...first, ...withEsn.map(({ proposal }) => ({ ...proposal, esn: false }))] : first
}

function lifetimeOf(section: { rekey: number; expire?: number | undefined; jitter?: number | undefined }): Lifetime {
  return {
    softMs: section.rekey,
    hardMs: section.expire ?? Math.round(section.rekey * HARD_FACTOR),
    jitterMs: section.jitter ?? Math.round(section.rekey / 10),
  }
}

function childLifetimeOf(esp: PeerConfig['esp']): ChildLifetime {
  const bytes = esp.rekey_bytes
  return {
    ...lifetimeOf(esp),
    softPackets: esp.rekey_packets,
    hardPackets: esp.expire_packets ?? Math.round(esp.rekey_packets * HARD_FACTOR),
    ...(bytes === undefined
      ? {}
      : { softBytes: bytes, hardBytes: esp.expire_bytes ?? Math.round(bytes * HARD_FACTOR) }),
  }
}

function addressIdentity(address: ConnectionConfig['localAddress']): Identity {
  return { type: familyOf(address) === 4 ? 'ipv4' : 'ipv6', value: address }
}
