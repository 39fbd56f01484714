/** What goes into a session and comes out of it: either end of the encrypted connection between function and connector. */
import type { StreamControl } from './stream-control.ts'
import type { MuxEffect, MuxInput } from './stream-mux-types.ts'
import type { StreamProblem } from './stream-problem.ts'

export type SessionInput =
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

export type TokenVerdict = { readonly identity: SessionIdentity } | { readonly refused: StreamProblem }

export type { StreamControl }
