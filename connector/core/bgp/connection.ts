/** One TCP connection of a neighbour, from the attempt to its end. A session has at most one each way. */
import type { Instant } from '../../../protocol/machine.ts'
import { MessageReader } from './reader.ts'
import type { SendQueue } from './send-queue.ts'
import type { ConnectionId, Negotiated, SessionState } from './session-types.ts'
import type { DecodeOptions, EncodeOptions } from './wire/codec.ts'

/** As the states of RFC 4271 section 8.2.2; `connect` until TCP is there. */
export type ConnectionState = Exclude<SessionState, 'idle' | 'active'>

export interface Connection {
  readonly id: ConnectionId
  readonly origin: 'outgoing' | 'incoming'
  state: ConnectionState
  readonly reader: MessageReader
  negotiated?: Negotiated
  queue?: SendQueue
  /** Octets of `send` that have not left yet. */
  inFlight: number
  /** `refused` was told and `room` was not. */
  full: boolean
  /** When TCP was there. */
  openedAt: Instant
  establishedAt?: Instant
  holdAt?: Instant | undefined
  keepaliveAt?: Instant | undefined
  sendHoldAt?: Instant | undefined
}

export function newConnection(id: ConnectionId, origin: Connection['origin']): Connection {
  return {
    id,
    origin,
    state: 'connect',
    reader: new MessageReader(),
    inFlight: 0,
    full: false,
    openedAt: Number.NEGATIVE_INFINITY,
  }
}

/** Before both OPENs are there nothing but OPEN and NOTIFICATION is awaited, for which none of this matters. */
const UNKNOWN: DecodeOptions = { fourOctetAs: true, extendedMessages: false, internal: false, families: [] }

export function decodeOptions(negotiated: Negotiated | undefined, enforceFirstAs: boolean): DecodeOptions {
  if (negotiated === undefined) return UNKNOWN
  const { fourOctetAs, extendedIn, internal, families, peerAs } = negotiated
  const firstAs = enforceFirstAs && !internal ? { firstAs: peerAs } : {}
  return { fourOctetAs, extendedMessages: extendedIn, internal, families, ...firstAs }
}

export function encodeOptions({ fourOctetAs, extendedOut, internal }: Negotiated): EncodeOptions {
  return { fourOctetAs, extendedMessages: extendedOut, internal }
}

const ORDER: readonly ConnectionState[] = ['connect', 'open-sent', 'open-confirm', 'established']

/** The state of a session is that of its most advanced connection. */
export function furthest(connections: Iterable<Connection>): ConnectionState | undefined {
  let rank = -1
  for (const { state } of connections) rank = Math.max(rank, ORDER.indexOf(state))
  return ORDER[rank]
}

/** Whether the neighbour awaits messages on it: then it is told before it is closed. */
export function hasOpened({ state }: Connection): boolean {
  return state !== 'connect'
}
