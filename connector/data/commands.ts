/** What the main thread and the packet worker say to each other. Everything here survives structured cloning. */
import type { Address, SocketAddress } from '../../protocol/net.ts'
import type { PrefixBlock } from '../../protocol/prefix-block.ts'
import type { DropName } from '../../wasm/drop-reasons.ts'
import type { AesChoice } from '../../wasm/load.ts'
import type {
  Encapsulation,
  InboundSa,
  LanFormat,
  OutboundSa,
  RefusalAnswer,
  TrafficClass,
} from '../../wasm/packet-engine.ts'
import type { ProbeSettings } from '../core/probe/machine.ts'
import type { PathReport } from '../core/probe/report.ts'

/** `ike`: the IKE port. `udp`: the NAT-traversal port, IKE behind a marker, ESP and keepalives. `esp`: raw protocol 50. */
export interface WireSocket {
  readonly fd: number
  readonly kind: 'ike' | 'udp' | 'esp'
  readonly local: SocketAddress
  /** The kernel cuts messages into packets of one length (UDP_SEGMENT). */
  readonly segments?: boolean
  /** The kernel may lay datagrams of one length end to end (UDP_GRO). */
  readonly runs?: boolean
}

export type EngineChoice = 'wasm' | 'wasm-strict' | 'node'

/**
 * Of a worker among several: which one it is, and the queues between them, SOCK_SEQPACKET and not blocking. One message
 * is one packet as the TUN device gives it, or one datagram with where it came from (`hand-over.ts`).
 */
export interface WorkerShare {
  readonly worker: number
  /** Descriptors to write to, by worker. */
  readonly lan: readonly number[]
  readonly wire: readonly number[]
  /** Its own, to be read. */
  readonly lanInbox: number
  readonly wireInbox: number
}

export interface WorkerStart {
  /** Its own queue of the device. */
  readonly tunFd: number
  readonly lanFormat: LanFormat
  /** Commands refer to these by index. */
  readonly sockets: readonly WireSocket[]
  /** Written by the main thread after each command, to end a `poll`. */
  readonly eventFd: number
  /** Int32 words by SIGNAL_*. */
  readonly signals: SharedArrayBuffer
  readonly engine: EngineChoice
  /** What the first worker measured; absent for that one itself. */
  readonly aes?: AesChoice
  /** Absent where there is only one worker. */
  readonly share?: WorkerShare
}

/** Commands posted so far. */
export const SIGNAL_COMMANDS = 0
/** IKE datagrams handed to the main thread that it has not taken yet. */
export const SIGNAL_IKE_BACKLOG = 1
/** Not 0: end as soon as may be, whatever else waits. */
export const SIGNAL_STOP = 2
export const SIGNAL_BYTES = 16
/** Beyond this, IKE datagrams are dropped and counted: a flood must not grow the main thread's queue. */
export const MAX_IKE_BACKLOG = 1024

/** So that one command holds the packet path up for about a millisecond. */
export const ROUTES_PER_COMMAND = 2048

export interface InstallChild {
  readonly id: number
  /** Key arrays are transferred; the worker wipes them. */
  readonly inbound: InboundSa
  readonly outbound: OutboundSa
  readonly remote: SocketAddress
  readonly encapsulation: Encapsulation
  /** Index of the socket that its packets leave by. */
  readonly socket: number
}

export interface TunnelSetting {
  readonly handle: number
  readonly pathMtu: number
  readonly clampMss: boolean
  readonly copyDscp: boolean
  /** Ids of children on this worker, in order of preference. */
  readonly children: readonly number[]
  /** The worker that carries what none of them takes. */
  readonly handOver?: number
  /** As in `Tunnel` of the engine, as are the two others. */
  readonly down?: boolean
  readonly transit?: boolean
  readonly reversePath?: 'off' | 'loose' | 'strict'
}

export type Command =
  /** Inbound and outbound; nothing is sent on it before a `tunnel` command names it. */
  | { readonly type: 'install-child'; readonly child: InstallChild }
  | { readonly type: 'remove-child'; readonly id: number }
  /** Its counters at once, between two reports. */
  | { readonly type: 'read-child'; readonly id: number }
  | { readonly type: 'move-child'; readonly id: number; readonly remote: SocketAddress; readonly socket: number }
  | { readonly type: 'tunnel'; readonly tunnel: TunnelSetting }
  | {
      readonly type: 'group'
      readonly handle: number
      readonly tunnels: readonly number[]
      readonly weights?: readonly number[]
    }
  /** A group that leads to no tunnel. */
  | { readonly type: 'refusal'; readonly handle: number; readonly answer: RefusalAnswer }
  /** All of them; the first one that a packet matches counts. */
  | { readonly type: 'classes'; readonly classes: readonly TrafficClass[] }
  /** The first one of each family is the source of ICMP answers. */
  | { readonly type: 'own-addresses'; readonly addresses: readonly Address[] }
  /** The same for all workers. */
  | { readonly type: 'flow-seed'; readonly seed: number }
  /** At most ROUTES_PER_COMMAND prefixes, which lead to one group. */
  | { readonly type: 'routes'; readonly prefixes: PrefixBlock; readonly group: number }
  /** At most ROUTES_PER_COMMAND prefixes, which lead nowhere from here on. */
  | { readonly type: 'remove-routes'; readonly prefixes: PrefixBlock }
  /**
   * Its path is asked about by the worker `home`, and with `settings` only; what comes of it elsewhere is handed to that
   * one. The peer's probes are answered in any case.
   */
  | { readonly type: 'probe'; readonly tunnel: number; readonly home: number; readonly settings?: ProbeSettings }
  /** More probes of its path than are set, or no longer; for its home. */
  | { readonly type: 'examine'; readonly tunnel: number; readonly on: boolean }
  /** Its Child SAs are gone, and no route leads to it any more. */
  | { readonly type: 'remove-tunnel'; readonly handle: number }

export interface Sequenced {
  readonly seq: number
  readonly command: Command
}

export interface DirectionCounters {
  readonly packets: number
  readonly bytes: number
  readonly drops: Partial<Record<DropName, number>>
  /** As in `SaCounters`: inbound, and absent without a replay window. */
  readonly missing?: number
}

export interface ChildCounters {
  readonly id: number
  readonly inbound: DirectionCounters
  readonly outbound: DirectionCounters
}

/** Packets that the host, not the engine, had to drop. */
export const HOST_DROPS = ['send_full', 'send_refused', 'lan_write', 'ike_backlog', 'hand_over'] as const
export type HostDrop = (typeof HOST_DROPS)[number]

export interface Counters {
  /** Those that have carried or dropped something since they were last reported; what is reported is the total. */
  readonly children: readonly ChildCounters[]
  /** Zeros left out. */
  readonly drops: Partial<Record<DropName | HostDrop, number>>
  /** Messages of several packets that the kernel would not cut. */
  readonly segmentsRefused: number
  /** Those that have something to tell: how much more than at the last report. */
  readonly tunnels?: readonly TunnelCounts[]
}

/** Packets that came by a tunnel and went on by another one, and those whose answers would not go by it. */
export interface TunnelCounts {
  readonly tunnel: number
  readonly transit: number
  readonly asymmetric: number
}

/** What a worker tells of itself about once a second. */
export interface WorkerLoad {
  /** Packets handed to other workers since start. */
  readonly handedOver: number
  /** Share of the time since the last report that its thread was on a processor, 0 to 1; absent where Node cannot tell. */
  readonly busy?: number
}

/** What a command answers with: an installed child's largest inner packet, or the counters of one that is read or removed. */
export interface Answer {
  readonly innerMtu?: number
  readonly counters?: ChildCounters
}

export type Report =
  | {
      readonly type: 'ready'
      readonly kind: 'wasm' | 'node'
      readonly build: string
      readonly why: string
      readonly aes?: AesChoice
    }
  | { readonly type: 'done'; readonly seq: number; readonly answer: Answer }
  | { readonly type: 'refused'; readonly seq: number; readonly reason: string }
  /** Non-ESP marker removed. */
  | { readonly type: 'ike'; readonly socket: number; readonly remote: SocketAddress; readonly bytes: Uint8Array }
  /** The first authentic packet on the child's inbound SA. */
  | { readonly type: 'child-used'; readonly id: number }
  | { readonly type: 'child-limit'; readonly id: number; readonly hard: boolean }
  | { readonly type: 'child-moved'; readonly id: number; readonly remote: SocketAddress }
  /** At once where the state or the path MTU has changed, else now and then. */
  | { readonly type: 'path'; readonly tunnel: number; readonly report: PathReport }
  | ({ readonly type: 'counters' } & Counters)
  | ({ readonly type: 'load' } & WorkerLoad)
  | { readonly type: 'failed'; readonly cause: string }
  | { readonly type: 'stopped' }

/** The worker's end of the line. */
export interface WorkerPort {
  post(report: Report): void
  /** The next command, or undefined; never waits. */
  take(): Sequenced | undefined
}
