/**
 * Requests and responses of one IKE SA: message IDs, a window of one, retransmission of requests, and responses kept
 * for requests that come again (RFC 7296 sections 2.1 to 2.3).
 */
import type { Instant } from '../../../protocol/machine.ts'
import { familyOf, type SocketAddress } from '../../../protocol/net.ts'
import type { ChildSa } from './child.ts'
import { notify } from './messages.ts'
import { maxMessageSize, openMessage, sealMessage } from './protect.ts'
import { answerRequest } from './respond.ts'
import { Ladder } from './retransmit.ts'
import type { IkeSa } from './sa.ts'
import type { Task } from './task.ts'
import { EXCHANGE } from './wire/constants.ts'
import { encodeMessage, IKE_MAJOR_VERSION } from './wire/message.ts'
import { NOTIFY } from './wire/notify.ts'
import type { IkeHeader, IkeMessage, Payload } from './wire/types.ts'

export interface Received {
  readonly bytes: Uint8Array
  readonly message: IkeMessage
  readonly local: SocketAddress
  readonly remote: SocketAddress
}

/** Payloads of a response, and what has to wait until it is sent. */
export interface Answer {
  readonly payloads: readonly Payload[]
  readonly after?: () => void
  /** That the exchange makes: the peer's next request shows that it has the answer, and so the SA. */
  readonly child?: ChildSa
}

/** Builds and sends the task's request. False when the task has nothing to do; the window must be open. */
export function startTask(sa: IkeSa, task: Task, now: Instant): boolean {
  const request = task.build(sa, now)
  if (request === undefined) return false
  const id = request.exchange === EXCHANGE.IKE_SA_INIT ? 0 : sa.nextRequestId++
  const header = headerOf(sa, request.exchange, id, false)
  const datagrams = encode(sa, header, request.payloads, sa.path.local, sa.path.remote)
  const ladder = new Ladder(sa.context.limits, now)
  sa.outstanding = { task, id, exchange: request.exchange, datagrams, ladder, sentAt: now }
  if (request.exchange === EXCHANGE.IKE_SA_INIT) sa.initMessage = datagrams[0]
  sa.session?.connection.traffic.requestSent()
  send(sa, datagrams, sa.path.local, sa.path.remote)
  return true
}

/** To be called when the ladder's deadline has come. False: the peer does not answer. */
export function retransmit(sa: IkeSa, now: Instant): boolean {
  const { outstanding } = sa
  if (outstanding === undefined) return true
  if (outstanding.ladder.step(now) === 'exhausted') return false
  sa.context.counters.retransmits++
  if (outstanding.ladder.resent === 1) sa.session?.connection.traffic.requestResent()
  send(sa, outstanding.datagrams, sa.path.local, sa.path.remote)
  return true
}

export function receive(sa: IkeSa, received: Received, now: Instant): void {
  if (received.message.header.flags.response) receiveResponse(sa, received, now)
  else receiveRequest(sa, received, now)
}

function receiveResponse(sa: IkeSa, received: Received, now: Instant): void {
  const { header, payloads } = received.message
  const { outstanding } = sa
  if (outstanding === undefined || header.messageId !== outstanding.id) {
    sa.context.counters.replayed++
    return
  }
  if (header.exchangeType !== outstanding.exchange) {
    sa.context.counters.malformed++
    return
  }
  const plain = outstanding.exchange === EXCHANGE.IKE_SA_INIT
  const opened = plain ? payloads : open(sa, received)
  if (opened === undefined) return
  sa.outstanding = undefined
  const outcome = outstanding.task.process(sa, opened, now, received)
  if (outcome === 'ignored') {
    sa.outstanding = outstanding
    return
  }
  if (outstanding.exchange === EXCHANGE.INFORMATIONAL && outstanding.ladder.resent === 0)
    sa.session?.connection.traffic.roundTrip(now - outstanding.sentAt)
  if (!plain) heard(sa, received, now)
  if (outcome === 'again' && sa.state !== 'closed') startTask(sa, outstanding.task, now)
  sa.session?.pump(now)
}

function receiveRequest(sa: IkeSa, received: Received, now: Instant): void {
  const { header } = received.message
  const { counters } = sa.context
  if (sa.answered !== undefined && header.messageId === sa.answered.id) {
    repeatAnswer(sa, received, now)
    return
  }
  if (header.messageId !== sa.expectedId || sa.state === 'closed') {
    counters.replayed++
    return
  }
  if (!isExpected(sa, header.exchangeType)) {
    counters.malformed++
    return
  }
  const result = openMessage(sa.context.crypto, openInput(sa, received))
  if (result.type === 'fragment') return
  if (result.type === 'failed') {
    refuse(sa, received, result, now)
    return
  }
  heard(sa, received, now)
  const made = sa.answered?.child
  if (made?.promoteAt !== undefined) made.promoteAt = now
  const answer = answerRequest(sa, received, result.payloads, now)
  respond(sa, received, answer, now)
}

type Failure = Exclude<ReturnType<typeof openMessage>, { type: 'opened' | 'fragment' }>

/** What an authentic but unreadable request gets (RFC 7296 sections 2.5 and 2.21). */
function refuse(sa: IkeSa, received: Received, result: Failure, now: Instant): void {
  const { counters } = sa.context
  if (result.failure === 'unsupported-critical') {
    const data = Uint8Array.of(result.payloadType)
    respond(sa, received, { payloads: [notify(NOTIFY.UNSUPPORTED_CRITICAL_PAYLOAD, data)] }, now)
    return
  }
  if (result.failure === 'integrity-failed') counters.integrityFailed++
  else counters.malformed++
  if (result.failure !== 'malformed') return
  respond(sa, received, { payloads: [notify(NOTIFY.INVALID_SYNTAX)] }, now)
  sa.session?.endSa(sa, now, `the peer sent a malformed request: ${result.reason}`)
}

/** Sends the answer to where the request came from, keeps it, and then does what had to wait for it. */
function respond(sa: IkeSa, received: Received, answer: Answer, now: Instant): void {
  const { header } = received.message
  if (sa.secrets === undefined) return
  const reply = headerOf(sa, header.exchangeType, header.messageId, true)
  const datagrams = encode(sa, reply, answer.payloads, received.local, received.remote)
  sa.expectedId = header.messageId + 1
  const { child } = answer
  sa.answered = { id: header.messageId, datagrams, ...(child === undefined ? {} : { child }) }
  send(sa, datagrams, received.local, received.remote)
  answer.after?.()
  sa.session?.pump(now)
}

/** A request that comes again gets the same bytes; of a fragmented one, only the first fragment asks (RFC 7383 section 2.6.1). */
function repeatAnswer(sa: IkeSa, received: Received, now: Instant): void {
  const last = received.message.payloads.at(-1)
  if (sa.secrets === undefined || (last?.type === 'SKF' && last.fragmentNumber !== 1)) return
  const result = openMessage(sa.context.crypto, { ...openInput(sa, received), fragments: undefined })
  const { counters } = sa.context
  if (result.type === 'failed' && (result.failure === 'integrity-failed' || result.failure === 'not-encrypted')) {
    if (result.failure === 'integrity-failed') counters.integrityFailed++
    else counters.malformed++
    return
  }
  counters.replayed++
  sa.session?.answerMissed(now)
  send(sa, sa.answered!.datagrams, received.local, received.remote)
}

/** Exchanges that may come on an SA in its state. */
function isExpected(sa: IkeSa, exchange: number): boolean {
  if (sa.state === 'half-open') return exchange === EXCHANGE.IKE_AUTH
  if (sa.state === 'init' || sa.state === 'auth' || sa.secrets === undefined) return false
  return exchange === EXCHANGE.CREATE_CHILD_SA || exchange === EXCHANGE.INFORMATIONAL
}

/** The payloads of an authentic response, or undefined: what is wrong with it has been counted. */
function open(sa: IkeSa, received: Received): readonly Payload[] | undefined {
  if (sa.secrets === undefined) return undefined
  const result = openMessage(sa.context.crypto, openInput(sa, received))
  if (result.type === 'opened') return result.payloads
  if (result.type === 'fragment') return undefined
  if (result.failure === 'integrity-failed') sa.context.counters.integrityFailed++
  else sa.context.counters.malformed++
  return undefined
}

function openInput(sa: IkeSa, { bytes, message }: Received) {
  const { cipher, inbound } = sa.secrets!
  return { cipher, keys: inbound, bytes, message, fragments: sa.fragmentation ? sa.reassembler : undefined }
}

/** The peer is alive; it may have moved; and it uses this SA, so that we may as well. */
function heard(sa: IkeSa, { local, remote, message }: Received, now: Instant): void {
  sa.usableAt = Math.min(sa.usableAt, now)
  if (sa.session === undefined) {
    sa.path.local = local
    sa.path.remote = remote
    return
  }
  sa.session.heard(now)
  if (sa.session.state === 'established') sa.session.confirmed = true
  if (!message.header.flags.response && sa.path.mayFollow(local, remote)) sa.session.move(remote, local.port)
}

function headerOf(sa: IkeSa, exchangeType: number, messageId: number, response: boolean): IkeHeader {
  return {
    initiatorSpi: sa.initiatorSpi,
    responderSpi: sa.responderSpi,
    majorVersion: IKE_MAJOR_VERSION,
    minorVersion: 0,
    exchangeType,
    flags: { initiator: sa.role === 'initiator', response, version: false },
    messageId,
  }
}

function encode(
  sa: IkeSa,
  header: IkeHeader,
  payloads: readonly Payload[],
  local: SocketAddress,
  remote: SocketAddress,
): Uint8Array[] {
  if (header.exchangeType === EXCHANGE.IKE_SA_INIT || sa.secrets === undefined)
    return [encodeMessage({ header, payloads })]
  const { cipher, outbound, ivs } = sa.secrets
  const marker = local.port === sa.context.ports.natPort
  const size = sa.fragmentation ? maxMessageSize(sa.fragmentSize, familyOf(remote.address), marker) : Infinity
  return sealMessage(sa.context.crypto, { cipher, keys: outbound, ivs, header, payloads, maxSize: size })
}

function send(sa: IkeSa, datagrams: readonly Uint8Array[], local: SocketAddress, remote: SocketAddress): void {
  for (const bytes of datagrams) sa.context.emit({ type: 'send', local, remote, bytes })
}
