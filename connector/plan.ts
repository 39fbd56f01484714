/**
 * What one connector is to do, resolved from its configuration: the boundary between `config.ts`, which reads
 * YAML, and `main.ts`, which runs things.
 */
import type { Address, Prefix } from '../protocol/net.ts'
import type { BfdTimers } from './core/bfd/config.ts'
import type { SpeakerConfig } from './core/bgp/speaker-types.ts'
import type { ConnectionConfig, EndpointLimits, LocalPorts } from './core/ike/types.ts'

export interface ConnectorPlan {
  readonly site: string
  readonly tun: {
    /** At most 15 bytes. */
    readonly name: string
    readonly mtu: number
    /** Addresses of our own on the TUN device, for example the gateway's address in the site's network. */
    readonly addresses: readonly Address[]
  }
  /** Packet workers, 1 to 16. A connection's `resource` is one of them. */
  readonly workers: number
  readonly ports: LocalPorts
  readonly connections: readonly PlannedConnection[]
  /** Addresses whose sockets are opened also while no connection needs them: of these, `apply` may use any later. */
  readonly listen?: readonly Address[]
  readonly limits: EndpointLimits
  /** Where what must survive a crash is noted (routes to clean up); a directory. */
  readonly stateDirectory: string
  /** Unix socket of the local API; `status` and the other verbs talk to it. */
  readonly controlSocket: string
  /** Metrics and health over HTTP, or undefined for none. */
  readonly metrics?: { readonly address: Address; readonly port: number }
  /** Debug file for IKE and ESP keys, or undefined. */
  readonly keyLog?: string
  /** Routing by BGP through the tunnels, or undefined for none. */
  readonly bgp?: BgpPlan
  /** Tunnels whose flows are spread wherever a prefix leads to several of them. */
  readonly spreads?: readonly SpreadPlan[]
  /** Which traffic prefers which tunnels; the first class that a packet matches counts. */
  readonly classes?: readonly ClassPlan[]
  /** Prefixes without a better route: what goes there is answered, or dropped, and never leaves in the clear. */
  readonly refusals?: readonly RefusalPlan[]
  /** Of our own site: they lead to no tunnel, whatever else is said of them. */
  readonly networks?: readonly Prefix[]
}

export interface SpreadPlan {
  readonly name: string
  /** Connections, with their shares of the flows: 1 to 255. */
  readonly weights: ReadonlyMap<string, number>
}

/** All that is there has to match. Port ranges are inclusive and only of TCP, UDP and SCTP. */
export interface ClassMatch {
  readonly source?: Prefix
  readonly destination?: Prefix
  readonly protocol?: number
  readonly sourcePorts?: { readonly start: number; readonly end: number }
  readonly destinationPorts?: { readonly start: number; readonly end: number }
  /** 0 to 63. */
  readonly dscp?: number
}

export interface ClassPlan {
  readonly name: string
  /** Any of them. */
  readonly matches: readonly ClassMatch[]
  /** Connections in order of preference; of a prefix's tunnels those that are not named come last. */
  readonly prefer: readonly string[]
  /** A tunnel beyond one of these gives way to the next; shares 0 to 1. */
  readonly limits: { readonly loss?: number; readonly rttMs?: number; readonly jitterMs?: number }
  /** Milliseconds that a tunnel has to be well again before traffic returns. */
  readonly holdMs: number
}

export interface RefusalPlan {
  readonly prefix: Prefix
  /** `blackhole` is silent; the others answer by ICMP. */
  readonly answer: 'unreachable' | 'prohibited' | 'blackhole'
}

/** How the path of a tunnel is watched beside IKE. */
export type ProbePlan =
  /** By padded probes within ESP. `auto`: where the peer turns out to understand them. */
  | { readonly kind: 'esp' | 'auto'; readonly intervalMs: number; readonly multiplier: number; readonly mtu: boolean }
  /** ICMP echo, or TCP connections, to an address behind the peer. */
  | ({ readonly kind: 'icmp' } & TargetPlan)
  | ({ readonly kind: 'tcp'; readonly port: number } & TargetPlan)

export interface TargetPlan {
  readonly target: Address
  /** Address of the device that it is asked from, so that answers come by the same tunnel. Default: the first */
  readonly source?: Address
  readonly intervalMs: number
  readonly multiplier: number
}

export interface BgpPlan extends SpeakerConfig {
  /** Keys of TCP MD5 signatures (RFC 2385), by the name that `transport.md5Key` of a neighbour says. */
  readonly md5Keys: ReadonlyMap<string, Uint8Array>
}

export interface PlannedConnection {
  readonly ike: ConnectionConfig
  /** Prefixes that lead to this peer: kernel routes to the TUN device, and the engine's routes. */
  readonly routes: readonly Prefix[]
  readonly pathMtu: number
  readonly clampMss: boolean
  readonly copyDscp: boolean
  /** Absent: IKE alone tells. */
  readonly probe?: ProbePlan
  /** Packets that come by this tunnel may leave by another one that has this too, without the kernel. Default: false */
  readonly transit?: boolean
  /**
   * RFC 3704: `strict` takes only what our routes would send back by this tunnel, `loose` what they lead into any tunnel.
   * Default: `off`
   */
  readonly reversePath?: 'off' | 'loose' | 'strict'
  /** Its traffic was led elsewhere on purpose, for it will go down. Default: false */
  readonly yields?: boolean
  /** BFD with the other end of the tunnel, for its static routes: between two addresses inside the tunnel. */
  readonly bfd?: BfdPlan
}

export interface BfdPlan {
  readonly local: Address
  readonly remote: Address
  readonly timers: BfdTimers
}
