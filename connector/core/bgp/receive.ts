/** What the neighbour's messages make of a session (RFC 4271 section 8.2.2, Events 19 and 21 to 28). */
import type { Instant } from '../../../protocol/machine.ts'
import { loserOf } from './collision.ts'
import { type Connection, type ConnectionState, decodeOptions, encodeOptions, hasOpened } from './connection.ts'
import { negotiate } from './negotiate.ts'
import { SendQueue } from './send-queue.ts'
import type { SessionCore } from './session-core.ts'
import {
  type BgpFault,
  type BgpMessage,
  CEASE,
  decodeMessage,
  ERROR,
  FSM_ERROR,
  familyOfAfi,
  isBgpFault,
  MESSAGE,
  type NotificationMessage,
  type OpenMessage,
  REFRESH,
  type RouteRefreshMessage,
} from './wire/codec.ts'
import type { UpdateMessage } from './wire/types.ts'

/** Takes octets of a connection on which our OPEN is sent. Stops where a message ends it. */
export function receive(session: SessionCore, connection: Connection, bytes: Uint8Array, now: Instant): void {
  const { reader } = connection
  reader.push(bytes)
  while (session.has(connection)) {
    const options = decodeOptions(connection.negotiated, session.config.enforceFirstAs)
    const message = reader.next(options.extendedMessages)
    if (message === undefined) return
    if (isBgpFault(message)) refuse(session, connection, message, now)
    else if (!awaits(connection, message[TYPE]!)) surprise(session, connection, message[TYPE]!, now)
    else take(session, connection, decodeMessage(message, options), message, now)
  }
}

/** Offset of the type in a message. */
const TYPE = 18

const { OPEN, UPDATE, NOTIFICATION, KEEPALIVE } = MESSAGE
const AWAITED: Readonly<Record<ConnectionState, readonly number[]>> = {
  connect: [],
  'open-sent': [OPEN, NOTIFICATION],
  'open-confirm': [KEEPALIVE, NOTIFICATION],
  established: [UPDATE, KEEPALIVE, NOTIFICATION, MESSAGE['ROUTE-REFRESH']],
}

function awaits({ state }: Connection, type: number): boolean {
  return AWAITED[state].includes(type)
}

/** Whatever is in it: the state does not await such a message. Data is its type (RFC 6608 section 4). */
function surprise(session: SessionCore, connection: Connection, type: number, now: Instant): void {
  const { openSent, openConfirm, established } = FSM_ERROR
  const subcode = { connect: FSM_ERROR.unspecified, 'open-sent': openSent, 'open-confirm': openConfirm, established }
  session.fail(connection, ERROR.fsm, subcode[connection.state], Uint8Array.of(type), now)
}

/** A message that the state awaits. */
function take(
  session: SessionCore,
  connection: Connection,
  message: BgpMessage | BgpFault,
  bytes: Uint8Array,
  now: Instant,
): void {
  if (isBgpFault(message)) {
    refuse(session, connection, message, now, bytes[TYPE] === UPDATE ? bytes : undefined)
    return
  }
  switch (message.type) {
    case 'OPEN':
      takeOpen(session, connection, message, now)
      break
    case 'NOTIFICATION':
      takeNotification(session, connection, message, now)
      break
    case 'KEEPALIVE':
      if (connection.state === 'open-confirm') establish(session, connection, now)
      else hold(connection, now)
      break
    case 'UPDATE':
      hold(connection, now)
      takeUpdate(session, message, bytes)
      break
    case 'ROUTE-REFRESH':
      hold(connection, now)
      takeRefresh(session, connection, message)
      break
    default:
      message satisfies never
  }
}

/** Events 21, 22 and 28. */
function refuse(
  session: SessionCore,
  connection: Connection,
  fault: BgpFault,
  now: Instant,
  update?: Uint8Array,
): void {
  session.emit({ type: 'fault', fault, ...(update === undefined ? {} : { update: update.slice() }) })
  session.fail(connection, fault.code, fault.subcode, fault.data, now)
}

/** Events 24 and 25. It is never answered with another one. */
function takeNotification(
  session: SessionCore,
  connection: Connection,
  message: NotificationMessage,
  now: Instant,
): void {
  session.emit({ type: 'notification', direction: 'received', message })
  const { code, subcode } = message
  const hard = code === ERROR.cease && subcode === CEASE.hardReset
  const keep = !hard && (connection.negotiated?.gracefulRestart?.notification ?? false)
  session.notified(connection, code, subcode, keep, now)
}

/** Event 19, and the collision that it may show. */
function takeOpen(session: SessionCore, connection: Connection, open: OpenMessage, now: Instant): void {
  const negotiated = negotiate(session.config, open)
  if (isBgpFault(negotiated)) {
    refuse(session, connection, negotiated, now)
    return
  }
  connection.negotiated = negotiated
  const rival = session.others(connection).find(hasOpened)
  if (rival !== undefined) {
    const loser = loserOf(connection, rival, negotiated, session.config, now)
    if (loser !== undefined) session.dump(loser, now)
    if (loser === connection) return
  }
  connection.state = 'open-confirm'
  session.sendKeepalive(connection, now)
  hold(connection, now)
}

/** The hold timer begins anew; a negotiated hold time of 0 has none. */
function hold(connection: Connection, now: Instant): void {
  const holdTimeS = connection.negotiated?.holdTimeS ?? 0
  connection.holdAt = holdTimeS === 0 ? undefined : now + holdTimeS * 1000
}

/** Event 26 in OpenConfirm. */
function establish(session: SessionCore, connection: Connection, now: Instant): void {
  for (const other of session.others(connection)) session.dump(other, now)
  const negotiated = connection.negotiated!
  connection.state = 'established'
  connection.establishedAt = now
  connection.queue = new SendQueue(encodeOptions(negotiated))
  hold(connection, now)
  session.emit({ type: 'established', negotiated })
}

function takeUpdate(session: SessionCore, update: UpdateMessage, bytes: Uint8Array): void {
  for (const fault of update.faults) session.emit({ type: 'fault', fault, update: bytes.slice() })
  const family = update.endOfRib === undefined ? undefined : familyOfAfi(update.endOfRib)
  if (family !== undefined) session.emit({ type: 'end-of-rib', family })
  else if (update.withdrawn.length + update.reach.length > 0) session.emit({ type: 'update', update })
}

/** RFC 2918 section 4 and RFC 7313 section 4: families and subtypes that are not ours are ignored. */
function takeRefresh(session: SessionCore, { negotiated }: Connection, message: RouteRefreshMessage): void {
  const family = familyOfAfi(message)
  if (negotiated === undefined || family === undefined || !negotiated.families.includes(family)) return
  if (message.subtype === REFRESH.request) session.emit({ type: 'refresh-request', family })
  else if (!negotiated.enhancedRefresh) return
  else if (message.subtype === REFRESH.begin) session.emit({ type: 'refresh-begin', family })
  else if (message.subtype === REFRESH.end) session.emit({ type: 'refresh-end', family })
}
