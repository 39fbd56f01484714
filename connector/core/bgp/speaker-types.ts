/** The boundary of the speaker: all BGP of one connector, as the driver in `io/bgp` runs it. */
import type { Address, Family, Prefix, SocketAddress } from '../../../protocol/net.ts'
import type { PrefixBlock } from '../../../protocol/prefix-block.ts'
import type { BfdTimers } from '../bfd/config.ts'
import type { BfdDatagram, BfdEndpointEffect } from '../bfd/endpoint.ts'
import type { BfdState } from '../bfd/wire.ts'
import type { DecisionOptions } from './rib/decision.ts'
import type { PolicyDocument } from './rib/policy-types.ts'
import type { NeighbourConfig } from './rib/types.ts'
import type { ConnectionId, SessionConfig, SessionState, Transport } from './session-types.ts'
import type { NextHop } from './wire/codec.ts'

export interface SpeakerConfig {
  readonly localAs: number
  /** BGP identifier, not 0. */
  readonly routerId: number
  /** All of ours, inner ones too: no route may name one of them as next hop. */
  readonly ownAddresses: readonly Address[]
  /** What we originate. */
  readonly networks: readonly Prefix[]
  readonly tunnels: readonly SpeakerTunnel[]
  readonly neighbours: readonly SpeakerNeighbour[]
  /** Without fault: `compilePolicies` takes it. */
  readonly policies: PolicyDocument
  readonly decision?: Partial<DecisionOptions>
}

/** A tunnel, by the name of its connection, and the prefixes that lead into it whatever BGP says. */
export interface SpeakerTunnel {
  readonly name: string
  readonly prefixes: readonly Prefix[]
}

export interface SpeakerNeighbour {
  readonly name: string
  readonly tunnel: string
  /** Our address towards it. */
  readonly local: Address
  readonly session: Omit<SessionConfig, 'localAs' | 'identifier' | 'transport' | 'peerAs'>
  readonly transport: Omit<Transport, 'remote' | 'local'>
  readonly rib: Omit<NeighbourConfig, 'id'>
  /** Next hop of what we tell it. */
  readonly nextHops: Readonly<Partial<Record<Family, NextHop>>>
  /** Timers of BFD with it; absent: no BFD. */
  readonly bfd?: BfdTimers
}

type OfConnection<Type extends string, Rest = unknown> = {
  readonly type: Type
  readonly neighbour: string
  readonly connection: ConnectionId
} & Rest

export type SpeakerInput =
  | { readonly type: 'time' }
  /**
   * All neighbours, once. `restarting`: our process was away and forwarding went on (RFC 4724 section 4.1), so neighbours
   * that know graceful restart hear it, and nothing is decided before they have told all, or after `deferMs`.
   */
  | { readonly type: 'start'; readonly restarting?: { readonly deferMs: number } }
  /** From now on this holds. Sessions end only where what they agreed on changes. Tunnels that are new are down. */
  | { readonly type: 'configure'; readonly config: SpeakerConfig }
  /** Ends all sessions for good, with words for the operators of the neighbours (RFC 9003). */
  | { readonly type: 'stop'; readonly communication: string }
  /**
   * Whether traffic is to leave this tunnel: all that its neighbours are told carries GRACEFUL_SHUTDOWN, so that they
   * prefer other ways while this one still works (RFC 8326 section 4). With `avoid` we prefer other ways as well.
   */
  | { readonly type: 'leaving'; readonly tunnel: string; readonly on: boolean; readonly avoid?: boolean }
  /** Ends one session; it starts anew. */
  | { readonly type: 'reset'; readonly neighbour: string }
  /** Whether packets can go through the tunnel, and its outer ends, which no route may cover. */
  | { readonly type: 'tunnel'; readonly name: string; readonly up: boolean; readonly ends: readonly Address[] }
  | OfConnection<'incoming' | 'connected' | 'closed'>
  | OfConnection<'bytes', { readonly bytes: Uint8Array }>
  | OfConnection<'sent', { readonly octets: number }>
  | { readonly type: 'bfd'; readonly datagram: BfdDatagram }

export type SpeakerEffect =
  | OfConnection<'connect', { readonly transport: Transport }>
  | OfConnection<'send', { readonly bytes: Uint8Array }>
  | OfConnection<'close'>
  /** Whether connections of the neighbour are welcome. */
  | { readonly type: 'listen'; readonly neighbour: string; readonly accept: boolean; readonly transport: Transport }
  | { readonly type: 'bfd-send'; readonly packet: Extract<BfdEndpointEffect, { readonly kind: 'send' }> }
  /** A session of BFD is over: nothing leaves from there any more. */
  | { readonly type: 'bfd-ended'; readonly from: SocketAddress }
  /** BFD has another opinion of the path to a neighbour; undefined: none any more. */
  | {
      readonly type: 'path'
      readonly neighbour: string
      readonly tunnel: string
      readonly up: boolean | undefined
      readonly silentMs?: number
    }
  /** What leads where from now on, by names of tunnels, the first one preferred; none: BGP knows no way. */
  | ({ readonly type: 'routes' } & RouteChanges)
  | { readonly type: 'report'; readonly neighbour: string; readonly event: BgpEvent }

/** The tunnels of prefix `i` are `tunnels[i]`, mostly the same array for many; each prefix once. */
export interface RouteChanges {
  readonly prefixes: PrefixBlock
  readonly tunnels: readonly (readonly string[])[]
}

/** News of a neighbour, for log and counters. `text` is a sentence without secrets; words of the neighbour are in quotes. */
export interface BgpEvent {
  readonly code: BgpEventCode
  readonly level: 'info' | 'warn'
  readonly text: string
  /** Of a fault: the whole malformed UPDATE (RFC 7606 section 6). */
  readonly update?: Uint8Array
}

export const BGP_EVENTS = [
  'established',
  'down',
  'notification-sent',
  'notification-received',
  'fault',
  'prefix-limit',
  'prefix-warning',
  'rejected',
  'damped',
  'unsendable',
  'bfd-up',
  'bfd-down',
  'bfd-refused',
] as const
export type BgpEventCode = (typeof BGP_EVENTS)[number]

export interface SpeakerNeighbourStatus {
  readonly name: string
  readonly tunnel: string
  readonly local: Address
  readonly address: Address
  readonly peerAs: number
  readonly state: SessionState
  /** Milliseconds since the state is what it is. */
  readonly forMs: number
  /** Times that an established session was lost. */
  readonly flaps: number
  readonly holdTimeS?: number
  readonly peerIdentifier?: number
  readonly prefixes: Readonly<Partial<Record<Family, PrefixCounts>>>
  readonly bfd?: { readonly state: BfdState; readonly flaps: number; readonly detectionMs: number }
  /** The last bad news. */
  readonly lastError?: string
}

export interface PrefixCounts {
  readonly received: number
  readonly accepted: number
  readonly stale: number
  readonly advertised: number
}
