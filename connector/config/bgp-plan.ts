/** The part of the plan that is about BGP, of a valid configuration. */
import { type Address, addressBytes, type Family, familyOf, type Prefix } from '../../protocol/net.ts'
import type { SpeakerNeighbour } from '../core/bgp/speaker-types.ts'
import type { NextHop, Role } from '../core/bgp/wire/codec.ts'
import type { BgpPlan } from '../plan.ts'
import { policyDocument } from './bgp-policies.ts'
import type { Config, PeerConfig } from './schema.ts'
import type { BgpConfig, BgpNeighbourConfig } from './schema-bgp.ts'

const BGP_PORT = 179
const IDLE_HOLD_MS = { first: 1_000, most: 30_000 }

const ROLES: Readonly<Record<NonNullable<BgpNeighbourConfig['role']>, Role>> = {
  provider: 'provider',
  customer: 'customer',
  peer: 'peer',
  'route-server': 'routeServer',
  'route-server-client': 'routeServerClient',
}

/** `passwords`: by neighbour. */
export function bgpPlanOf(config: Config, bgp: BgpConfig, passwords: ReadonlyMap<string, Uint8Array>): BgpPlan {
  const insides = Object.values(config.peers).flatMap((peer) => peer.inside ?? [])
  return {
    localAs: bgp.as,
    routerId: numberOf(bgp.router_id ?? config.address),
    ownAddresses: [...new Set([...insides.map(({ address }) => address), ...(config.tun.addresses ?? [])])],
    networks: bgp.networks ?? config.networks,
    tunnels: Object.entries(config.peers).map(([name, peer]) => ({ name, prefixes: prefixesOf(peer) })),
    neighbours: Object.entries(bgp.neighbours).map(([name, neighbour]) => {
      return neighbourOf(name, neighbour, config.peers[neighbour.peer]!, passwords.has(name))
    }),
    policies: policyDocument({ bgp }),
    decision: { maxPaths: bgp.max_paths, multipathRelax: true },
    md5Keys: passwords,
  }
}

/** What leads into the tunnel whatever BGP says, as far as it is stated for this very peer. */
function prefixesOf({ inside = [], routes, networks }: PeerConfig): readonly Prefix[] {
  const stated = routes === 'bgp' ? [] : (routes ?? networks ?? [])
  return [...inside.map(({ network }) => network), ...stated]
}

function neighbourOf(name: string, config: BgpNeighbourConfig, peer: PeerConfig, signed: boolean): SpeakerNeighbour {
  const inside = peer.inside ?? []
  const local = inside.find(({ address }) => familyOf(address) === familyOf(config.address))!.address
  const hops = nextHopsOf(inside.map(({ address }) => address))
  const families = (config.families?.map((family) => (family === 'ipv4' ? 4 : 6)) ?? [4, 6]) as Family[]
  return {
    name,
    tunnel: config.peer,
    local,
    session: {
      families: families.filter((family) => hops[family] !== undefined),
      passive: config.passive,
      holdTimeS: Math.round(config.hold / 1000),
      leastHoldTimeS: 3,
      connectRetryMs: config.connect_retry,
      idleHoldMs: IDLE_HOLD_MS,
      extendedMessages: true,
      enforceFirstAs: true,
      strictRole: config.strict_role,
      ...(config.role === undefined ? {} : { role: ROLES[config.role] }),
      ...(config.graceful_restart
        ? { gracefulRestart: { restartTimeS: 0, notification: true, forwarding: false, helperOnly: true } }
        : {}),
    },
    transport: {
      port: BGP_PORT,
      ...(signed ? { md5Key: name } : {}),
      ...(config.ttl_security ? { gtsmHops: 1 } : {}),
    },
    rib: ribOf(config, peer),
    nextHops: hops,
    ...(config.bfd === undefined ? {} : { bfd: bfdOf(config.bfd) }),
  }
}

function ribOf(config: BgpNeighbourConfig, peer: PeerConfig): SpeakerNeighbour['rib'] {
  const { max_prefixes: most } = config
  return {
    peerAs: config.as,
    address: config.address,
    ...(config.role === undefined ? {} : { role: ROLES[config.role] }),
    ...(config.import === undefined ? {} : { importPolicy: config.import }),
    ...(config.export === undefined ? {} : { exportPolicy: config.export }),
    ...(most === undefined
      ? {}
      : { maxPrefixes: { limit: most.limit, ...(most.restart === 0 ? {} : { restartMs: most.restart }) } }),
    allowAsIn: config.allow_as_in,
    acceptDefault: config.accept_default,
    nextHopSelf: config.next_hop_self,
    damping: config.damping,
    ...(peer.address === undefined ? {} : { tunnelEnds: [peer.address] }),
  }
}

function bfdOf({ interval, multiplier, adapt_max }: NonNullable<BgpNeighbourConfig['bfd']>) {
  return {
    desiredMinTxMs: interval,
    requiredMinRxMs: interval,
    detectMult: multiplier,
    adaptMaxMs: Math.max(interval, adapt_max),
  }
}

function nextHopsOf(addresses: readonly Address[]): Partial<Record<Family, NextHop>> {
  const of = (family: Family) => addresses.find((address) => familyOf(address) === family)
  const [four, six] = [of(4), of(6)]
  return {
    ...(four === undefined ? {} : { 4: { address: four } }),
    ...(six === undefined ? {} : { 6: { address: six } }),
  }
}

/** Of an identifier that is written as an IPv4 address. */
function numberOf(text: string): number {
  return new DataView(addressBytes(text as Address).buffer).getUint32(0)
}
