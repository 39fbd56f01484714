/** What goes into a BGP session and what comes out of it. One session is one neighbour (RFC 4271 section 8). */
import type { Address, Family } from '../../../protocol/net.ts'
import type {
  BgpFault,
  NextHop,
  NotificationMessage,
  PathAttributes,
  PrefixBlock,
  Role,
  UpdateMessage,
} from './wire/codec.ts'

export const SESSION_STATES = ['idle', 'connect', 'active', 'open-sent', 'open-confirm', 'established'] as const
export type SessionState = (typeof SESSION_STATES)[number]

/** A TCP connection. The session names those it asks for, `out-1` and so on; the caller names incoming ones otherwise. */
export type ConnectionId = string

/** What the socket needs; handed through as it is. */
export interface Transport {
  readonly remote: Address
  readonly port: number
  readonly local?: Address
  /** Which TCP MD5 key (RFC 2385) to set; the key itself never passes through here. */
  readonly md5Key?: string
  /** RFC 5082: send with TTL 255 and accept nothing that came over more than so many hops; 1 is a direct neighbour. */
  readonly gtsmHops?: number
}

export interface SessionConfig {
  readonly localAs: number
  readonly peerAs: number
  /** Our BGP identifier, not 0. */
  readonly identifier: number
  /** At least one; the first need not be IPv4. */
  readonly families: readonly Family[]
  readonly transport: Transport
  /** Never connect, wait for the neighbour. */
  readonly passive: boolean
  /** Seconds: 0, or 3 to 65535. Of both ends' the smaller is used. */
  readonly holdTimeS: number
  /** Less than this is refused, 0 included. */
  readonly leastHoldTimeS: number
  readonly connectRetryMs: number
  /** First wait after a failure; it doubles up to the most. */
  readonly idleHoldMs: { readonly first: number; readonly most: number }
  readonly extendedMessages: boolean
  /** External peers only: the first AS of a path must be the peer's. A route server's is not. */
  readonly enforceFirstAs: boolean
  /** What we are to the neighbour (RFC 9234). Ignored within our AS. */
  readonly role?: Role
  /** A neighbour that tells no role is refused. */
  readonly strictRole: boolean
  readonly gracefulRestart?: {
    /** Seconds, 0 to 4095: how long the neighbour is to wait for us. */
    readonly restartTimeS: number
    /** RFC 8538: also over NOTIFICATIONs that are no hard reset. */
    readonly notification: boolean
    /** Our forwarding goes on while the session's process restarts. */
    readonly forwarding: boolean
    /** We wait for the neighbour, which is not to wait for us (RFC 4724 section 4: no family is named). */
    readonly helperOnly?: boolean
  }
}

export const SESSION_DEFAULTS = {
  passive: false,
  holdTimeS: 90,
  leastHoldTimeS: 3,
  connectRetryMs: 30_000,
  idleHoldMs: { first: 1_000, most: 120_000 },
  extendedMessages: true,
  enforceFirstAs: true,
  strictRole: false,
} as const

/** What both OPENs together mean. */
export interface Negotiated {
  readonly peerAs: number
  readonly peerIdentifier: number
  readonly internal: boolean
  /** Seconds; 0: no keepalives. */
  readonly holdTimeS: number
  readonly families: readonly Family[]
  readonly fourOctetAs: boolean
  /** What we accept, and what we may send (RFC 8654 section 4). */
  readonly extendedIn: boolean
  readonly extendedOut: boolean
  readonly routeRefresh: boolean
  readonly enhancedRefresh: boolean
  /** What the peer is to us. */
  readonly peerRole?: Role
  readonly gracefulRestart?: PeerRestart
}

/** The peer's graceful restart, where both ends announced it (RFC 4724). */
export interface PeerRestart {
  /** It has restarted. */
  readonly restarting: boolean
  /** Both ends do RFC 8538. */
  readonly notification: boolean
  readonly restartTimeS: number
  /** Whose routes are kept while it restarts. */
  readonly families: readonly Family[]
  /** Of those: it kept forwarding while it restarted. What is stale of others must go at once (section 4.2). */
  readonly preserved: readonly Family[]
}

export type SessionInput =
  /** `restarting`: our process has restarted within its restart time (RFC 4724 section 4.1). */
  | { readonly type: 'start'; readonly restarting?: boolean }
  | ({ readonly type: 'stop' } & CeaseReason)
  /** As stop, but it starts again: after `holdMs`, or the usual wait. */
  | ({
      readonly type: 'reset'
      readonly holdMs?: number
      /** The neighbour's routes may stay where it restarts gracefully: BFD went down with it (RFC 5882 section 4.3). */
      readonly keepRoutes?: boolean
    } & CeaseReason)
  /** What kept TCP from the neighbour may be over: it is tried at once unless a connection stands. No wait is reset. */
  | { readonly type: 'path-up' }
  | { readonly type: 'connected'; readonly connection: ConnectionId }
  /** From the neighbour's address; accepted by TCP. The session closes what it does not want. */
  | { readonly type: 'incoming'; readonly connection: ConnectionId }
  /** Refused, reset, or ended by the neighbour. */
  | { readonly type: 'closed'; readonly connection: ConnectionId }
  /** At most some tens of kilobytes at once. They are copied where they must be kept. */
  | { readonly type: 'bytes'; readonly connection: ConnectionId; readonly bytes: Uint8Array }
  /** So many octets of `send` have left for the kernel. Every octet is to be told. */
  | { readonly type: 'sent'; readonly connection: ConnectionId; readonly octets: number }
  | { readonly type: 'time' }
  | RouteInput

/** Ignored unless established, and for families that were not negotiated. */
export type RouteInput =
  | {
      readonly type: 'announce'
      readonly attributes: PathAttributes
      readonly nextHop: NextHop
      readonly prefixes: PrefixBlock
    }
  | { readonly type: 'withdraw'; readonly prefixes: PrefixBlock }
  | { readonly type: 'end-of-rib'; readonly family: Family }
  /** Asks the neighbour for all its routes again (RFC 2918). */
  | { readonly type: 'request-refresh'; readonly family: Family }
  /** Before and after routes that are sent on the neighbour's request (RFC 7313); nothing where it knows it not. */
  | { readonly type: 'refresh-begin' | 'refresh-end'; readonly family: Family }

export interface CeaseReason {
  /** A subcode of `CEASE`. */
  readonly subcode: number
  /** For operators; sent with an administrative shutdown or reset (RFC 9003). */
  readonly communication?: string
  /** Of other subcodes. */
  readonly data?: Uint8Array
}

export type SessionEffect =
  | { readonly type: 'connect'; readonly connection: ConnectionId; readonly transport: Transport }
  /** Whether connections of the neighbour are welcome; while not, they may be refused without asking. */
  | { readonly type: 'listen'; readonly accept: boolean; readonly transport: Transport }
  /** `bytes` belong to the receiver. */
  | { readonly type: 'send'; readonly connection: ConnectionId; readonly bytes: Uint8Array }
  /** After what was sent before. Nothing more of this connection is heard. */
  | { readonly type: 'close'; readonly connection: ConnectionId }
  | { readonly type: 'state'; readonly from: SessionState; readonly to: SessionState }
  | { readonly type: 'established'; readonly negotiated: Negotiated }
  /** Was established. Routes of `keep` stay, stale, for `restartTimeS`; all others go. */
  | {
      readonly type: 'down'
      readonly cause: DownCause
      readonly keep: readonly Family[]
      readonly restartTimeS: number
    }
  | { readonly type: 'notification'; readonly direction: 'sent' | 'received'; readonly message: NotificationMessage }
  /** Withdrawals, then announcements. Its faults come before it, as `fault`. */
  | { readonly type: 'update'; readonly update: UpdateMessage }
  | { readonly type: 'end-of-rib'; readonly family: Family }
  /**
   * A fault with its consequence carried out; one that ends the session comes with its `notification`. `update`: a copy
   * of the whole message.
   */
  | { readonly type: 'fault'; readonly fault: BgpFault; readonly update?: Uint8Array }
  /** The neighbour wants all routes again; or begins or ends to send all its own (RFC 7313). */
  | { readonly type: 'refresh-request' | 'refresh-begin' | 'refresh-end'; readonly family: Family }
  /** Their attributes fit into no message: they were withdrawn instead. */
  | { readonly type: 'unsendable'; readonly prefixes: PrefixBlock }
  /** The queue is full: this was not taken. Hand it in again after `room`. */
  | { readonly type: 'refused'; readonly input: RouteInput }
  | { readonly type: 'room' }

export type DownCause =
  | { readonly kind: 'closed' }
  /** The neighbour connected anew while we believed the old connection alive (RFC 4724 section 5). */
  | { readonly kind: 'replaced' }
  | { readonly kind: 'notified' | 'failed' | 'stopped'; readonly code: number; readonly subcode: number }
