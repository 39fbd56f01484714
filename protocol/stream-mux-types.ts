/** What goes into a mux and comes out of it: many streams over one ordered, reliable sequence of bytes, by yamux. */
import type { Instant } from './machine.ts'

export interface MuxLimits {
  /** Streams that the peer may have open at once; a further one is reset. */
  readonly maxPeerStreams: number
  /** Bytes that a stream's receive window grows to at the most; at least 256 KiB, with which it begins. */
  readonly maxWindow: number
  /** Bytes of all receive windows together beyond their first 256 KiB each. */
  readonly maxWindowTotal: number
  /**
   * Bytes of one stream that wait to be sent before it stops being `writable`; 16 KiB while 64 times as much waits on
   * all of them.
   */
  readonly sendBuffer: number
}

export type MuxInput =
  /** What the peer sent, cut anywhere. Borrowed until `handle` returns, except that `data` effects hold parts of it. */
  | { readonly type: 'received'; readonly bytes: Uint8Array }
  /** Opens `stream`, which is `nextStream`, or throws RangeError. It is `reset` where the peer is going away. */
  | { readonly type: 'open'; readonly stream: number }
  /** Bytes are borrowed until they were sent: they must not change. Ignored on a stream that cannot send any more. */
  | { readonly type: 'write'; readonly stream: number; readonly bytes: Uint8Array }
  /** Half-close, behind what was written. */
  | { readonly type: 'finish'; readonly stream: number }
  /** Gives the stream up: what waits is dropped, what still comes is too. It is forgotten; no effect tells so. */
  | { readonly type: 'reset'; readonly stream: number }
  /** The application has taken so many bytes of `data`: the window may open again. */
  | { readonly type: 'consumed'; readonly stream: number; readonly length: number }
  | { readonly type: 'ping' }
  /** No new streams from the peer. */
  | { readonly type: 'go-away'; readonly code: 'normal' | 'protocol-error' | 'internal-error' }
  /** Whether the transport takes more; while it does not, no frames come out. Ready at first. */
  | { readonly type: 'transport'; readonly ready: boolean }
  | { readonly type: 'time' }

export type MuxEffect =
  /**
   * One whole frame, as parts to be joined: at most 16 KiB of data of one stream, then the next one's turn, and at most
   * 64,000 bytes where no other waits.
   */
  | { readonly type: 'send'; readonly parts: readonly Uint8Array[]; readonly length: number }
  /** The peer opened a stream. */
  | { readonly type: 'opened'; readonly stream: number }
  /** A part of the bytes that were `received`, not a copy: who keeps it keeps all of them. */
  | { readonly type: 'data'; readonly stream: number; readonly bytes: Uint8Array }
  /** The peer sends no more on it; `data` before it came out before. */
  | { readonly type: 'finished'; readonly stream: number }
  /** The peer gave it up, or refused it. The stream is forgotten. */
  | { readonly type: 'reset'; readonly stream: number }
  /** What waits to be sent fell below half of what may, after `writable` was false. */
  | { readonly type: 'writable'; readonly stream: number }
  /** Both ends have finished, everything was sent: the stream is forgotten. */
  | { readonly type: 'closed'; readonly stream: number }
  /** The peer answered a ping of ours. */
  | { readonly type: 'pong'; readonly rttMs: number }
  | { readonly type: 'gone-away'; readonly code: number }
  /** The peer broke the protocol, or says that we did: the session ends. Nothing comes out any more. */
  | { readonly type: 'failed'; readonly cause: string }

/** The getters of a mux besides `handle`, `poll`, `deadline`. */
export interface MuxView {
  /** The id that the next `open` must name. Above 2^32 - 1 there are no more. */
  readonly nextStream: number
  /** Open streams of both ends. */
  readonly streams: number
  /** Bytes that were written and not sent. */
  readonly backlog: number
  /** Whether less than `sendBuffer` waits. What is written all the same waits too. */
  writable(stream: number): boolean
  /** Round-trip time by the last ping, in milliseconds. */
  readonly rttMs: number | undefined
}

export interface MuxOptions {
  /** The one that opens odd streams is the one that opened the WebSocket. */
  readonly side: 'initiator' | 'responder'
  readonly limits: MuxLimits
  readonly now: Instant
}
