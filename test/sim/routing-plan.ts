/** Twenty sites: three hubs that are joined with one another, and spokes with tunnels to two of them. */

import { SESSION_DEFAULTS } from '../../connector/core/bgp/session-types.ts'
import type { SpeakerConfig, SpeakerNeighbour } from '../../connector/core/bgp/speaker-types.ts'
import { type Address, address, type Prefix, prefix } from '../../protocol/net.ts'

export const HUBS = 3
export const SITES = 20
/** Prefixes that each site owns. */
export const PREFIXES = 2
const FIRST_AS = 4_200_000_000
const BFD = { desiredMinTxMs: 300, requiredMinRxMs: 300, detectMult: 3, adaptMaxMs: 300 }

export interface PlannedTunnel {
  readonly name: string
  readonly ends: readonly [number, number]
  readonly addresses: readonly [Address, Address]
}

export function isHub(site: number): boolean {
  return site < HUBS
}

const OWNED = Array.from({ length: SITES }, (_, site) =>
  Array.from({ length: PREFIXES }, (_, i) => prefix(`10.${site}.${i}.0/24`)),
)

export function prefixesOf(site: number): readonly Prefix[] {
  return OWNED[site]!
}

export function planTunnels(): PlannedTunnel[] {
  const ends: [number, number][] = [
    [0, 1],
    [1, 2],
    [0, 2],
  ]
  for (let spoke = HUBS; spoke < SITES; spoke++) {
    ends.push([spoke % HUBS, spoke], [(spoke + 1) % HUBS, spoke])
  }
  return ends.map(([left, right], i) => {
    const net = `169.254.${i >> 6}.${(i & 63) * 4}`.split('.')
    const host = (n: number) => address([...net.slice(0, 3), Number(net[3]) + n].join('.'))
    return { name: `${left}-${right}`, ends: [left, right], addresses: [host(1), host(2)] }
  })
}

/**
 * Hubs give to spokes what they know, and to one another what their spokes told them. Every spoke is misconfigured: it
 * would give each hub what the other one told it. Only the roles (RFC 9234) keep it from carrying other people's packets.
 */
export function configOf(site: number, tunnels: readonly PlannedTunnel[]): SpeakerConfig {
  const neighbours = tunnels.filter(({ ends }) => ends.includes(site)).map((tunnel) => neighbourOf(site, tunnel))
  return {
    localAs: FIRST_AS + site,
    routerId: site + 1,
    ownAddresses: neighbours.map(({ local }) => local),
    networks: prefixesOf(site),
    tunnels: neighbours.map(({ tunnel, rib }) => ({ name: tunnel, prefixes: [prefix(`${rib.address}/32`)] })),
    neighbours,
    policies: {
      policies: { all: { rules: [], otherwise: 'accept' } },
    },
    decision: { maxPaths: 4, multipathRelax: true },
  }
}

function neighbourOf(site: number, { name, ends, addresses }: PlannedTunnel): SpeakerNeighbour {
  const [ours, theirs] = ends[0] === site ? [0, 1] : ([1, 0] as const)
  const other = ends[theirs]!
  const role = isHub(site) ? (isHub(other) ? 'peer' : 'provider') : 'customer'
  return {
    name,
    tunnel: name,
    local: addresses[ours]!,
    session: {
      ...SESSION_DEFAULTS,
      families: [4],
      connectRetryMs: 2_000,
      idleHoldMs: { first: 500, most: 4_000 },
      role,
    },
    transport: { port: 179 },
    rib: { peerAs: FIRST_AS + other, address: addresses[theirs]!, role, importPolicy: 'all', exportPolicy: 'all' },
    nextHops: { 4: { address: addresses[ours]! } },
    bfd: BFD,
  }
}
