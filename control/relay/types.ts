/** What goes into the relay's machine and comes out of it. */

/** A number that the driver gives each WebSocket, once. */
export type Socket = number

export interface ConnectorNames {
  readonly network: string
  readonly connector: string
}

export interface Caller extends ConnectorNames {
  /** Id of the function. */
  readonly function: string
  /** When its session token was made, milliseconds since 1970. */
  readonly issuedAt: number
  /** Its first flight, where it came with the upgrade; the relay's to keep. */
  readonly first?: Uint8Array
}

export type ExchangeInput =
  /** A function has come that may. */
  | ({ readonly type: 'call'; readonly socket: Socket } & Caller)
  /** A socket of a connector has come, for a function. */
  | ({ readonly type: 'serve'; readonly socket: Socket } & ConnectorNames)
  /** Binary, on a socket that is not joined; ours to keep. What comes on one that is joined the driver passes itself. */
  | { readonly type: 'message'; readonly socket: Socket; readonly data: Uint8Array }
  /** The connector's socket of a pair has said something for the first time. */
  | { readonly type: 'answered'; readonly socket: Socket }
  /** Something came on it that is no binary message. */
  | { readonly type: 'misfit'; readonly socket: Socket }
  /** It is closed; 1005 where no code came along, 1006 where there was no close frame (RFC 6455 section 7.4.1). */
  | { readonly type: 'closed'; readonly socket: Socket; readonly code: number; readonly reason: string }
  /** The connector has no link: nobody could be called. */
  | ({ readonly type: 'unlinked' } & ConnectorNames)
  | ({ readonly type: 'connector-revoked' } & ConnectorNames)
  /** What session tokens of `at` and before allow is withdrawn. */
  | { readonly type: 'function-revoked'; readonly network: string; readonly function: string; readonly at: number }
  /** Everything ends, and nothing is taken any more. */
  | { readonly type: 'stop' }
  | { readonly type: 'time' }

export type ExchangeEffect =
  /** Tell the connector that a function waits for a socket of it. */
  | ({ readonly type: 'call-connector' } & ConnectorNames)
  /** From here on the driver passes each message of one to the other. */
  | { readonly type: 'join'; readonly function: Socket; readonly connector: Socket }
  | { readonly type: 'send'; readonly socket: Socket; readonly data: Uint8Array | string }
  /** The socket is forgotten. `reason` has at most 123 bytes. */
  | { readonly type: 'close'; readonly socket: Socket; readonly code: number; readonly reason: string }
  /** Comes before its sockets are closed. */
  | { readonly type: 'ended'; readonly pair: EndedPair }
  /** A function that was to be joined was not. */
  | ({ readonly type: 'refused'; readonly function: string; readonly why: string } & ConnectorNames)

export interface EndedPair extends ConnectorNames {
  /** Its id. */
  readonly function: string
  readonly sockets: { readonly function: Socket; readonly connector: Socket }
  /** How long it was joined. */
  readonly ms: number
  readonly why: EndReason
}

export type EndReason =
  | 'function-closed'
  | 'function-lost'
  | 'connector-closed'
  | 'connector-lost'
  | 'no-answer'
  | 'misfit'
  | 'connector-revoked'
  | 'function-revoked'
  | 'stopped'

export interface ExchangeCounts {
  /** At which anybody is. */
  readonly connectors: number
  readonly waiting: number
  readonly heldBytes: number
  readonly spares: number
  readonly pairs: number
}

/** Who is there, of one network. */
export interface Present {
  readonly connectors: ReadonlySet<string>
  readonly functions: ReadonlySet<string>
}

export interface ExchangeLimits {
  /** Functions that wait for sockets of one connector. */
  readonly waitingPerConnector: number
  /** And of all. */
  readonly waiting: number
  /** Bytes of first flights that wait, of all functions. */
  readonly heldBytes: number
  readonly sparesPerConnector: number
  /** Functions of one connector, joined or waiting. */
  readonly perConnector: number
  /** Sockets of one function at one connector, joined or waiting. */
  readonly perFunction: number
  /** Functions in all, joined or waiting. */
  readonly total: number
  /** How long a socket of a connector may wait for a function; without end where absent. */
  readonly spareMs?: number
}

export const EXCHANGE_LIMITS: ExchangeLimits = {
  waitingPerConnector: 64,
  waiting: 1024,
  heldBytes: 16 << 20,
  sparesPerConnector: 16,
  perConnector: 1024,
  perFunction: 512,
  total: 4096,
}
