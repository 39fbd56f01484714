/**
 * What one connector is to do, resolved from its configuration: the boundary between `config.ts`, which reads
 * YAML, and `main.ts`, which runs things.
 */
import type { Address, Prefix } from '../protocol/net.ts'
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
}
