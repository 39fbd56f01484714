/** Tunnels to gateways of other makes, as a managed connector plans them: peers of `isthmus.yaml` with what clouds need. */
import type { DocumentExternal } from '../../protocol/control/external.ts'
import type { Address, Prefix } from '../../protocol/net.ts'
import { withExternals } from '../core/managed/external-routing.ts'
import type { ExternalPlan } from '../core/managed/externals.ts'
import type { ConnectorPlan, PlannedConnection } from '../plan.ts'

/** What the connector carries out of the externals of its document, and what it keeps beside. */
export interface ManagedExternalsPlan {
  readonly plans: readonly ExternalPlan[]
  /** What the site owns. */
  readonly owns: readonly Prefix[]
  /** What is never to leave in the clear, whether or not a tunnel leads there. */
  readonly guarded: readonly Prefix[]
  /** BGP identifier where there is no routing between sites. */
  readonly routerId: Address
}

/** Echo requests to the peer's inside address: an endpoint that is silent is left within a second. */
export const EXTERNAL_PROBE = { intervalMs: 250, multiplier: 3 } as const
/** Share of a lifetime after which we rekey: before the peer does, which then need not. */
const REKEY_AT = 0.8
const EVERYTHING = ['0.0.0.0/0']

/** Of routes of one prefix the first connection is preferred: drained ones come last. */
export function inUsualOrder(plans: readonly ExternalPlan[]): readonly ExternalPlan[] {
  return [...plans].sort((left, right) => Number(left.external.drained) - Number(right.external.drained))
}

/** An entry of `peers`; `address`: our own. */
export function externalPeer({ external, routing }: ExternalPlan, address: string, transit: boolean): unknown {
  const { peer, identity, inside, initiate, pathMtu } = external
  const prefixes = routing?.kind === 'static' ? routing.prefixes : []
  return {
    address: peer.address,
    ...(peer.identity === undefined ? {} : { id: peer.identity }),
    local_id: identity ?? address,
    inside: [`${inside.local}/30`],
    // Nothing but its inside network, where nothing is routed, or BGP does.
    routes: prefixes.length === 0 ? 'bgp' : prefixes,
    children: { net: { local: EVERYTHING, remote: EVERYTHING } },
    initiate,
    encapsulation: 'auto',
    dpd: `${external.dpdS}s`,
    probe: { kind: 'icmp', target: inside.peer, interval: `${EXTERNAL_PROBE.intervalMs}ms`, multiplier: 3 },
    reverse_path: 'loose',
    transit,
    ...lifetimes(external),
    ...(pathMtu === undefined ? {} : { path_mtu: pathMtu }),
    secret: { env: 'MANAGED' },
  }
}

/** The connection with the keys that its configuration does not have. */
export function withExternalKeys(connection: PlannedConnection, { keys, external }: ExternalPlan): PlannedConnection {
  const yields = external.drained ? { yields: true } : {}
  return { ...connection, ...yields, ike: { ...connection.ike, keys, renews: true } }
}

/** The plan's BGP with that of the externals. */
export function withExternalBgp(plan: ConnectorPlan, externals: ManagedExternalsPlan): ConnectorPlan {
  const { plans, owns, routerId } = externals
  const ends = plan.connections.flatMap(({ ike }) => ike.remoteAddress ?? [])
  const { md5Keys = new Map(), ...base } = plan.bgp ?? {}
  const speaker = withExternals('localAs' in base ? base : undefined, plans, { owns, routerId, ends })
  return speaker === undefined ? plan : { ...plan, bgp: { ...speaker, md5Keys } }
}

function lifetimes({ ike, esp, ikeLifetimeS, childLifetimeS, replayWindow }: DocumentExternal): object {
  const rekeying = (seconds: number) => ({ rekey: `${Math.floor(seconds * REKEY_AT)}s`, expire: `${seconds}s` })
  return {
    ike: { proposals: ike, ...rekeying(ikeLifetimeS) },
    esp: { proposals: esp, ...rekeying(childLifetimeS), replay_window: replayWindow },
  }
}
