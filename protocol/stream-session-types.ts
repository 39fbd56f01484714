/** What goes into a session and comes out of it: either end of the encrypted connection between function and connector. */
import type { Instant } from './machine.ts'
import type { StreamControl } from './stream-control.ts'
import type { StreamCrypto, StreamKeyPair } from './stream-crypto.ts'
import type { MuxEffect, MuxInput, MuxLimits } from './stream-mux-types.ts'
import type { StreamProblem } from './stream-problem.ts'

export type SessionInput =
  /**
   * Initiator, once: the first flight goes, with as much of what was opened and written before as fits. Until then
   * nothing comes out.
   */
  | { readonly type: 'start' }
  /** One WebSocket message, or the first flight of the upgrade. Borrowed until `handle` returns. */
  | { readonly type: 'message'; readonly bytes: Uint8Array }
  /** Streams: as of a mux. `received` never comes from outside. */
  | Exclude<MuxInput, { type: 'received' }>
  /** Resets a stream and tells why. */
  | { readonly type: 'refuse'; readonly stream: number; readonly problem: StreamProblem }
  /** No new streams from here on (connector). */
  | { readonly type: 'drain'; readonly problem: StreamProblem }
  /** Wipes all keys. Nothing comes out any more. */
  | { readonly type: 'close' }

export type SessionEffect =
  /** One WebSocket message. The first one of an initiator is the first flight. */
  | { readonly type: 'send'; readonly message: Uint8Array; readonly first?: true }
  | Exclude<MuxEffect, { type: 'send' | 'failed' | 'reset' }>
  /** The stream is gone; with what the peer said of it, if it said anything. */
  | { readonly type: 'reset'; readonly stream: number; readonly problem?: StreamProblem }
  /** The handshake is complete. `early`: whether what went with the first flight was taken. */
  | { readonly type: 'established'; readonly early: boolean; readonly resumed: boolean }
  /** Initiator: a later session may be resumed with it, once, until `goodMs` from now. */
  | { readonly type: 'ticket'; readonly ticket: ResumptionTicket }
  /** Initiator: the connector takes no new streams on this session. */
  | { readonly type: 'draining'; readonly problem: StreamProblem }
  /** It is over; keys are wiped. `closeCode` for the WebSocket where this end ends it. */
  | { readonly type: 'ended'; readonly problem: StreamProblem; readonly closeCode?: number }

export interface ResumptionTicket {
  /** 16 bytes. */
  readonly id: Uint8Array
  /** 32 bytes, the owner wipes them. */
  readonly secret: Uint8Array
  readonly goodMs: number
}

/** Who the connector knows the initiator to be, from its session token or the ticket that came of one. */
export interface SessionIdentity {
  readonly function: string
  readonly name: string
  readonly services: readonly string[]
  /** Milliseconds since 1970: no new streams after it. */
  readonly expiresAt: number
}

export interface InitiatorOptions {
  readonly crypto: StreamCrypto
  /** Id of the connector, for the prologue. */
  readonly connector: string
  readonly mode: InitiatorMode
  /** Milliseconds since 1970 by the control plane's clock. */
  readonly time: number
  /** Bytes of the first flight before any encoding; 6,000 where it goes with the upgrade. At most 65,000. */
  readonly maxFirstFlight: number
  readonly limits: MuxLimits
  readonly now: Instant
}

export type InitiatorMode =
  | {
      readonly type: 'ik'
      /** The function's own. Borrowed for the life of the session's handshake. */
      readonly staticKeys: StreamKeyPair
      /** X25519 key of the connector, 32 bytes. */
      readonly responderKey: Uint8Array
      /** Session token, a JWS; ASCII. */
      readonly token: string
    }
  /** The session takes the ticket's secret over and wipes it. */
  | { readonly type: 'resume'; readonly ticket: ResumptionTicket }

export interface ResponderOptions {
  readonly crypto: StreamCrypto
  /** This connector's id, for the prologue. */
  readonly connector: string
  /** Borrowed. */
  readonly staticKeys: StreamKeyPair
  /** Whether the token is good and speaks of `initiatorKey` (32 bytes), which the handshake has proved. */
  authorize(token: string, initiatorKey: Uint8Array): TokenVerdict
  /** Whether early data of this IK flight is certainly no replay: see `ReplayMemory`. Asked only where there is some. */
  admitEarly(ephemeral: Uint8Array, time: number): boolean
  /** Takes the ticket out of its store: a second call with the same id returns undefined. The session wipes the secret. */
  takeTicket(id: Uint8Array): TakenTicket | undefined
  /** The secret is the store's from here on. */
  keepTicket(id: Uint8Array, secret: Uint8Array, identity: SessionIdentity, goodMs: number): void
  /** How many to hand out, 0 to 16; `ticketMs`: how long they are good. */
  readonly tickets: number
  readonly ticketMs: number
  readonly limits: MuxLimits
  readonly now: Instant
}

export interface TakenTicket {
  readonly secret: Uint8Array
  readonly identity: SessionIdentity
}

export type TokenVerdict = { readonly identity: SessionIdentity } | { readonly refused: StreamProblem }

export type { StreamControl }
