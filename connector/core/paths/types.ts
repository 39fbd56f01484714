/** The boundary of the path selector: what it is told of tunnels, and what it has done about it. */
import type { PathReport } from '../probe/report.ts'

/** Traffic with tunnels of its own preference. As ClassPlan of the plan has it. */
export interface PathClass {
  readonly name: string
  /** Connections in order of preference. */
  readonly prefer: readonly string[]
  /** A tunnel beyond one of these gives way to the next; `loss` is a share, 0 to 1, of the worse way. */
  readonly limits: { readonly loss?: number; readonly rttMs?: number; readonly jitterMs?: number }
  /** Milliseconds that a tunnel has to be well again before traffic returns. */
  readonly holdMs: number
}

export interface PlannedPath {
  readonly name: string
  /** Has neighbours of BGP, which are told before it is drained. */
  readonly isRouted: boolean
  /** Its traffic was led elsewhere on purpose, for it will go down: that is no loss. Default: false */
  readonly yields?: boolean
}

/** Tunnels to which prefixes lead, the first one that passes taking all, or each its share. */
export interface TunnelGroup {
  readonly tunnels: readonly string[]
  readonly isSpread: boolean
  /** Prefixes; 0: its tunnels could stand in for one another, as those of BGP could. */
  readonly prefixes: number
}

/** Of a connection since the start, from its ESP. */
export interface PathCarried {
  readonly sent: number
  /** Packets of the peer that never came; absent: not known. */
  readonly missing?: number
  /** Packets that came by it though what answers them leaves by another. */
  readonly asymmetric: number
}

type OfConnection<Type extends string, Rest = unknown> = { readonly type: Type; readonly connection: string } & Rest

/** What is told of a connection that the plan does not have is ignored: it may be on its way out. */
export type PathInput =
  | { readonly type: 'time' }
  /** All connections and classes; those that were there before go on. */
  | { readonly type: 'plan'; readonly connections: readonly PlannedPath[]; readonly classes: readonly PathClass[] }
  /** Whether it has a Child SA to send on. */
  | OfConnection<'tunnel', { readonly sendable: boolean }>
  | OfConnection<'path', { readonly report: PathReport }>
  /** `up` undefined: BFD has no opinion. `silentMs`: for how long it had not heard the peer. */
  | OfConnection<'bfd', { readonly up: boolean | undefined; readonly silentMs?: number }>
  /** An operator wants it empty, or has it back. */
  | OfConnection<'drain', { readonly on: boolean }>
  | OfConnection<'carried', { readonly carried: PathCarried }>
  /** Engines have carried out the last `passing` of it. */
  | OfConnection<'moved'>

export type PathEffect =
  /** Engines pass over a tunnel that is not passing while another one is there. */
  | OfConnection<'passing', { readonly passing: boolean }>
  /** Whether BGP may lead anything there. A drained tunnel is still one for what only it can carry. */
  | OfConnection<'reach', { readonly reachable: boolean }>
  /** Neighbours of BGP are asked to use other ways, and ours lead elsewhere where they can (RFC 8326). */
  | OfConnection<'leaving', { readonly on: boolean }>
  /** Order of tunnels of every class. */
  | { readonly type: 'prefer'; readonly classes: readonly PreferredTunnels[] }
  /** Whether more probes than usual would help to tell how much it loses. */
  | OfConnection<'examine', { readonly on: boolean }>
  /** Its counters are wanted, as they are now. */
  | OfConnection<'count'>
  | { readonly type: 'event'; readonly event: PathEvent }

export interface PreferredTunnels {
  readonly name: string
  readonly prefer: readonly string[]
}

/** `sa`: no Child SA; `probe`: nothing comes back; `bfd`: BFD has lost the peer. */
export const PATH_CAUSES = ['sa', 'probe', 'bfd'] as const
export type PathCause = (typeof PATH_CAUSES)[number]

export type SteerReason = 'loss' | 'rtt' | 'jitter' | 'down' | 'drain' | 'well-again' | 'plan'

/** News for log and counters. `text` is a sentence; `remedy` is there where somebody can do something. */
export type PathEvent = { readonly level: 'info' | 'warn'; readonly text: string; readonly remedy?: string } & (
  | {
      readonly code: 'failover'
      readonly connection: string
      /** Who takes its traffic. */
      readonly to: readonly string[]
      readonly cause: PathCause
      /** From the last sign of life on the old path until engines used the new one. */
      readonly ms: number
      /** Sent into the dead path in that time, and found missing of what the peer sent. */
      readonly lostPackets: number
    }
  /** It passes no more, and carried nothing, or nothing else is there. */
  | { readonly code: 'down'; readonly connection: string; readonly cause: PathCause; readonly isLast: boolean }
  | { readonly code: 'back'; readonly connection: string; readonly downMs: number }
  | {
      readonly code: 'steered'
      readonly class: string
      readonly from: string
      readonly to: string
      readonly because: SteerReason
    }
  | { readonly code: 'draining' | 'undrained'; readonly connection: string }
  | { readonly code: 'drained'; readonly connection: string; readonly isLast: boolean }
  | { readonly code: 'asymmetric'; readonly connection: string; readonly packets: number }
)

export const PATH_EVENTS = [
  'failover',
  'down',
  'back',
  'steered',
  'draining',
  'drained',
  'undrained',
  'asymmetric',
] as const

/** How a tunnel stands, for `isthmus paths`. Instants are of the caller's clock. */
export interface PathStatus {
  readonly connection: string
  readonly state: PathState
  readonly since: number
  readonly isPassing: boolean
  readonly report: PathReport | undefined
  readonly bfd: boolean | undefined
  /** Of those that failed over from it, by cause. */
  readonly failovers: Readonly<Record<PathCause, number>>
  readonly lastFailover: LastFailover | undefined
  readonly asymmetric: number
}

/**
 * `up`: it passes packets as far as anybody knows. `down`: probes or BFD say that it does not. `returning`: well again,
 * and waiting whether it stays so. `no-sa`: there is no Child SA.
 */
export type PathState = 'up' | 'down' | 'returning' | 'no-sa' | 'draining' | 'drained'

export interface LastFailover {
  readonly at: number
  readonly to: readonly string[]
  readonly cause: PathCause
  readonly ms: number
  /** Grows when the peer's packets turn out to be missing, at the latest when the path is back. */
  readonly lostPackets: number
}

export interface ClassStatus {
  readonly name: string
  /** The tunnel that it prefers now. */
  readonly tunnel: string
  readonly since: number
  readonly because: SteerReason | undefined
  /** Where it came from, when it moved last. */
  readonly from: string | undefined
  readonly moves: number
  readonly tunnels: readonly { readonly connection: string; readonly beyond: readonly ('loss' | 'rtt' | 'jitter')[] }[]
}
