/** What the SDK takes from the runtime it is in; each entry brings one. */
import type { StreamCrypto } from '../../protocol/stream-crypto.ts'

export interface Platform {
  /** Made when it is first needed: some runtimes give no randomness before the first request. */
  crypto(): StreamCrypto
  /** Opens a WebSocket. What becomes of it is told by `events`, and never before this has returned. */
  dial(call: DialCall, events: SocketEvents): SessionSocket
  /** $ISTHMUS_TOKEN. */
  environmentToken(): string | undefined
  /**
   * Where what does I/O belongs to the request in which it was made, as on Workers: a mark of the present one.
   * Elsewhere absent.
   */
  mark?(): InvocationMark
  readonly timing?: Partial<Timing>
}

export interface InvocationMark {
  /** Whether this is still the request that made it. Touches nothing else. */
  readonly present: boolean
}

export interface DialCall {
  /** ws: or wss: */
  readonly url: string
  readonly protocols: readonly string[]
  /** The one that the program gave to `site`, if any; for runtimes that upgrade by `fetch`. */
  readonly fetch?: ((input: string, init: RequestInit) => Promise<Response>) | undefined
}

export interface SocketEvents {
  /** The upgrade was answered, with `stream.1` selected. */
  opened(): void
  /** One binary message, borrowed until this returns. Text is not told. */
  message(bytes: Uint8Array): void
  /** Once, and nothing after it. */
  closed(end: SocketEnd): void
  /** `buffered` has become small. */
  drained(): void
}

export interface SocketEnd {
  /** Close code of the peer; 1006 where there was none. */
  readonly code: number
  readonly reason: string
  /** The upgrade certainly never reached the other end. */
  readonly unsent?: boolean
}

export interface SessionSocket {
  /** Bytes are the socket's from here on. */
  send(bytes: Uint8Array): void
  close(code: number, reason: string): void
  /** Bytes that wait to be sent; 0 where the runtime does not tell. */
  readonly buffered: number
  /** Whether it is to keep the process alive, where there is such a thing. */
  hold?(held: boolean): void
}

/** Milliseconds. */
export interface Timing {
  /** After which the next way is tried beside one that has not answered. */
  readonly stagger: number
  /** The same for a way that was good a short while ago. */
  readonly patience: number
  /** For an answered handshake, from dialling. */
  readonly handshake: number
  /** Between pings, and as long again until a session that does not answer is given up. */
  readonly ping: number
  /** A session that has heard nothing for so long is asked whether it is alive before it is used. */
  readonly stale: number
  /** A session without streams ends after it. */
  readonly idle: number
  /** Before a request is tried again at a connector that sheds load. */
  readonly backoff: number
}

export const DEFAULT_TIMING: Timing = {
  stagger: 250,
  patience: 1000,
  handshake: 10_000,
  ping: 15_000,
  stale: 20_000,
  idle: 300_000,
  backoff: 200,
}

/** Of a socket above which nothing more is put in, and below which it is again. */
export const SOCKET_HIGH = 1 << 20
export const SOCKET_LOW = 1 << 18
