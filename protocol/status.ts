/**
 * The status document of one connector: what `isthmus status --json` prints, what the local API serves and
 * what metrics are made from. Times of day are ISO 8601; durations and ages are in milliseconds.
 */
import type { PathsStatus } from './paths.ts'

export const STATUS_VERSION = 1

export interface ConnectorStatus {
  readonly version: typeof STATUS_VERSION
  readonly site: string
  readonly pid: number
  readonly startedAt: string
  readonly now: string
  /** Of the first packet worker; `workers` has those of all. */
  readonly engine: EngineStatus
  /** The packet workers, by index. Absent from connectors that do not tell. */
  readonly workers?: readonly WorkerStatus[]
  /** How packets cross the kernel: many at once, where it can. Absent from connectors that do not tell. */
  readonly offloads?: {
    readonly tun: 'tso+uso' | 'tso' | 'none'
    readonly udpSend: 'gso' | 'single'
    readonly udpReceive: 'gro' | 'single'
    readonly why: string
  }
  readonly tun: {
    readonly name: string
    readonly mtu: number
    readonly state: 'up' | 'failed'
    readonly error?: Problem
  }
  /** Of a connector that a control plane steers. */
  readonly control?: {
    readonly url: string
    readonly network: string
    readonly connector: string
    /** Ours, Ed25519, base64url: what peers pin. */
    readonly identityKey: string
    readonly state: 'waiting' | 'connecting' | 'open' | 'polling' | 'revoked'
    readonly detail: string
    readonly since: string
    /** Of the document that is carried out. */
    readonly version: number
    /** What of it is not, in words. Absent where that is nothing. */
    readonly refused?: readonly string[]
  }
  /** Of a connector that serves functions. */
  readonly functions?: FunctionsStatus
  /** Of a connector with BGP. */
  readonly bgp?: BgpStatus
  /** Which tunnels are used, and why. Absent from connectors that do not tell. */
  readonly paths?: PathsStatus
  readonly tunnels: readonly TunnelStatus[]
  /** Packets dropped since start, by reason; zeros left out. */
  readonly drops: Readonly<Record<string, number>>
  readonly ike: Readonly<Record<string, number>>
}

export interface EngineStatus {
  readonly kind: 'wasm' | 'node'
  readonly build: string
  readonly why: string
}

/** One packet worker: what went through its Child SAs since start. */
export interface WorkerStatus extends Omit<Traffic, 'drops'> {
  readonly index: number
  readonly engine: EngineStatus
  /** Packets that it gave to the worker that has the Child SA for them. */
  readonly handedOver: number
  /** Share of the last second that its thread was on a processor, 0 to 1; absent where the host does not tell. */
  readonly busy?: number
}

/** One peer: one IKE SA and its children. */
export interface TunnelStatus {
  readonly name: string
  /** `up`: an IKE SA and every configured child. `degraded`: an IKE SA but a child is missing. */
  readonly state: 'up' | 'degraded' | 'connecting' | 'waiting' | 'idle' | 'closing'
  readonly since: string
  readonly role?: 'initiator' | 'responder'
  readonly local?: string
  readonly remote?: string
  readonly encapsulation?: 'udp' | 'esp'
  /** IKE suite, for example `aes128gcm16-prfsha256-x25519`. */
  readonly suite?: string
  readonly initiatorSpi?: string
  readonly responderSpi?: string
  readonly ageMs?: number
  readonly rekeyInMs?: number
  /** Which of the connection's keys the IKE SA was authenticated with; absent without an SA, or for the only one. */
  readonly keyId?: string
  /** Traffic, or an answer to an IKE request, has shown that the peer is under that key too. */
  readonly keyConfirmed?: boolean
  readonly ikeRekeys: number
  readonly children: readonly ChildSaStatus[]
  readonly traffic: Traffic
  /** Prefixes that lead to it before other tunnels, in the engines. Absent from connectors that do not tell. */
  readonly routes?: number
  /** Round trip to the peer, from IKE liveness and `isthmus ping`; absent until measured. */
  readonly rtt?: { readonly lastMs: number; readonly medianMs: number; readonly samples: number }
  /** Share of IKE requests that needed sending again, 0 to 1. */
  readonly loss?: { readonly ratio: number; readonly sent: number; readonly lost: number }
  /** Packets that came by it and went on by another tunnel, without the kernel; where it has `transit`. */
  readonly transit?: number
  /** Packets that came by it though what answers them goes by another tunnel; where it has `reverse_path`. */
  readonly asymmetric?: number
  /** Without BGP; `bgp` has that of neighbours. */
  readonly bfd?: BgpNeighbourStatus['bfd']
  readonly mtu: { readonly path: number; readonly inner: number; readonly mss4: number; readonly why: string }
  /** What probes tell; absent where the path is not asked about, or nothing was told yet. */
  readonly path?: PathStatus
  readonly lastError?: Problem & { readonly at: string }
}

export interface PathStatus {
  /** `unknown`: no probe was ever answered. */
  readonly state: 'unknown' | 'up' | 'down'
  /** Smoothed round trip and its mean deviation, in milliseconds. */
  readonly rttMs?: number
  readonly jitterMs?: number
  /** Shares of the last hundred or so probes, 0 to 1; of targets behind a peer `lossOut` is both ways. */
  readonly lossOut?: number
  readonly lossIn?: number
  /** In bytes of outer packets: what is measured, and what is configured. */
  readonly mtu?: {
    readonly pathMtu: number
    readonly searching: boolean
    readonly why: string
    readonly configured: number
  }
}

export interface ChildSaStatus {
  readonly name: string
  /** Index of the packet worker that carries it. Absent from connectors that do not tell. */
  readonly worker?: number
  readonly suite: string
  readonly inboundSpi: string
  readonly outboundSpi: string
  readonly active: boolean
  readonly ageMs: number
  readonly rekeyInMs: number
  readonly rekeys: number
  readonly local: readonly string[]
  readonly remote: readonly string[]
  readonly traffic: Traffic
}

export interface Traffic {
  readonly inPackets: number
  readonly inBytes: number
  /**
   * Sequence numbers of ESP that newer ones have passed and that have not come (RFC 4303 section 3.4.3): packets lost on
   * the way here. Falls when late ones come. Absent where it is not known, which it is not without a replay window.
   */
  readonly inMissing?: number
  readonly outPackets: number
  readonly outBytes: number
  readonly drops: Readonly<Record<string, number>>
}

/** What a connector does for functions. Counts are since its start; labels come from closed lists and the file. */
export interface FunctionsStatus {
  /** `services.yaml`. */
  readonly file: string
  /** What is wrong with the file as it is now; what was read before is in force. */
  readonly fault?: string
  /** Where functions come straight. */
  readonly listen?: { readonly url: string; readonly listening: boolean }
  /** Sockets that wait at the relay. */
  readonly relaySockets: number
  readonly sessions: { readonly direct: number; readonly relay: number }
  /** Connections of which it is not known yet who they are, or whether they live. */
  readonly halfOpen: number
  readonly streams: number
  /** Bytes that wait for a service or a function to take them. */
  readonly heldBytes: number
  /** By result. */
  readonly handshakes: Readonly<Record<string, number>>
  /** What was refused for want of room, by reason. */
  readonly shed: Readonly<Record<string, number>>
  readonly services: readonly ServiceStatus[]
  /** Streams for which there is no service, by outcome. */
  readonly other: Readonly<Record<string, number>>
  /** The one that was over last. */
  readonly lastStream?: {
    readonly at: string
    readonly via: 'direct' | 'relay'
    /** By its name. */
    readonly function: string
    readonly service?: string
    readonly outcome: string
  }
}

export interface ServiceStatus {
  readonly name: string
  readonly kind: 'http' | 'https' | 'tcp' | 'network'
  readonly target: string
  /** Names of functions. */
  readonly allow: readonly string[]
  /** Streams. */
  readonly open: number
  /** Connections that stand ready. */
  readonly warm: number
  /** From functions, and to them. */
  readonly bytesIn: number
  readonly bytesOut: number
  /** Streams that are over, by outcome: `ok`, `reset`, or the code of a problem. */
  readonly outcomes: Readonly<Record<string, number>>
  readonly lastProblem?: { readonly at: string; readonly code: string; readonly cause: string }
}

export interface BgpStatus {
  readonly as: number
  readonly routerId: string
  /** With a route in use, our own among them. */
  readonly prefixes: { readonly ipv4: number; readonly ipv6: number }
  /** Changes of routes that engines and kernel have not taken yet. */
  readonly pendingRoutes: number
  /** Prefixes that got another way, or lost theirs, since the start. Absent from connectors that do not tell. */
  readonly routeChanges?: number
  /** Datagrams of BFD that were discarded, by reason. */
  readonly bfdDrops: Readonly<Record<string, number>>
  readonly neighbours: readonly BgpNeighbourStatus[]
}

export interface BgpNeighbourStatus {
  readonly name: string
  /** The peer through whose tunnel it is reached. */
  readonly tunnel: string
  readonly local: string
  readonly address: string
  readonly as: number
  /** As RFC 4271 section 8.2.2 calls it. */
  readonly state: 'idle' | 'connect' | 'active' | 'open-sent' | 'open-confirm' | 'established'
  readonly since: string
  /** Times that an established session was lost. */
  readonly flaps: number
  /** Of the session that stands. */
  readonly holdTimeS?: number
  readonly routerId?: string
  readonly ipv4: BgpPrefixCounts
  readonly ipv6: BgpPrefixCounts
  readonly bfd?: {
    readonly state: 'admin-down' | 'down' | 'init' | 'up'
    readonly flaps: number
    readonly detectionMs: number
  }
  /** The last bad news of it, in words. */
  readonly lastError?: string
}

export interface BgpPrefixCounts {
  readonly received: number
  /** Of these, those that import policy and checks let pass. */
  readonly accepted: number
  /** Of these, those that a neighbour that restarts has not announced again yet. */
  readonly stale: number
  readonly advertised: number
}

/** A failure in words: what happened, and what to do about it. */
export interface Problem {
  readonly code: string
  readonly cause: string
  readonly remedy: string
}
