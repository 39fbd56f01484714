/** IKE_AUTH as responder: who the peer is, whether it proves it, and the first Child SA (RFC 7296 section 1.2). */
import type { Instant } from '../../../../protocol/machine.ts'
import { AUTH_METHOD_PSK, pskAuth, verifyPskAuth } from '../auth.ts'
import { type ChildSa, childEstablished, promoteWhenSafe } from '../child.ts'
import { answerChild } from '../child-exchange.ts'
import type { Connection } from '../connection.ts'
import type { Answer } from '../exchange.ts'
import { identityFromPayload, identityPayload, sameIdentity } from '../identity.ts'
import { find, findNotify, lowest, notify } from '../messages.ts'
import { type Failure, protocolError, wrongIdentity, wrongKey } from '../report.ts'
import { brokenRule } from '../rules.ts'
import type { IkeSa } from '../sa.ts'
import type { Session } from '../session.ts'
import { LINGER_MS } from '../timing.ts'
import type { IkeKey } from '../types.ts'
import { NOTIFY } from '../wire/notify.ts'
import type { IdPayload, Payload } from '../wire/types.ts'

export function answerAuth(sa: IkeSa, payloads: readonly Payload[], now: Instant): Answer {
  const { candidates } = sa.halfOpen!
  const broken = brokenRule('auth-request', payloads)
  if (broken !== undefined) return refuse(sa, candidates[0], NOTIFY.INVALID_SYNTAX, protocolError(broken), now)
  const idi = find(payloads, 'IDi')!
  const peer = identityFromPayload(idi)
  const named = peer === undefined ? [] : candidates.filter(({ config }) => sameIdentity(config.remoteId, peer))
  const wanted = wantedIdentity(payloads)
  const connection = named.find(({ config }) => wanted === undefined || sameIdentity(config.localId, wanted))
  if (connection === undefined) {
    const stranger = wrongIdentity(peer, candidates[0]!.config.remoteId)
    const failure = named[0] === undefined ? stranger : otherName(named[0], wanted)
    return refuse(sa, named[0] ?? candidates[0], NOTIFY.AUTHENTICATION_FAILED, failure, now)
  }
  const key = provenKey(sa, connection, idi, payloads)
  if (key === undefined) return refuse(sa, connection, NOTIFY.AUTHENTICATION_FAILED, wrongKey(peer), now)
  const session = connection.adopt(sa, now)
  if (session === undefined) return { payloads: [notify(NOTIFY.TEMPORARY_FAILURE)], after: () => end(sa, now) }
  return accept(sa, session, key, payloads, now)
}

function accept(sa: IkeSa, session: Session, key: IkeKey, payloads: readonly Payload[], now: Instant): Answer {
  const { connection, context } = session
  const { config } = connection
  const { response: message, initiatorNonce, responderNonce } = sa.halfOpen!
  sa.state = 'established'
  session.keyId = key.id
  session.low = lowest(initiatorNonce, responderNonce)
  // Those that were up before this SA's first message cannot be the peer's any more; one that crossed it can.
  const forgotten =
    findNotify(payloads, NOTIFY.INITIAL_CONTACT) === undefined
      ? []
      : connection.sessions.filter((other) => other !== session && (other.establishedAt ?? now) < sa.createdAt)
  for (const other of forgotten) if (other.establishedAt !== undefined) other.state = 'closing'
  session.establish(now)
  connection.established(session, now)
  const id = identityPayload('IDr', config.localId)
  const { prf, skPr: skP } = sa.secrets!.keys
  const data = pskAuth(context.crypto, { prf, psk: key.psk, skP, message, peerNonce: initiatorNonce, id })
  const answer: Payload[] = [id, { type: 'AUTH', method: AUTH_METHOD_PSK, data }]
  for (const child of config.children) session.expectChild(child.name, now)
  let after = () => {}
  let made: ChildSa | undefined
  if (find(payloads, 'SA') !== undefined) {
    const nonces = { initiatorNonce, responderNonce }
    const outcome = answerChild(sa, { exchange: 'IKE_AUTH', payloads, ...nonces }, now)
    if ('child' in outcome) {
      answer.push(...outcome.payloads)
      made = outcome.child
      after = () => {
        promoteWhenSafe(session, outcome.child, now)
        childEstablished(session, outcome.child, now)
      }
    } else {
      answer.push(outcome.notify)
      if (outcome.failure !== undefined) connection.fail(outcome.failure, now)
    }
  }
  sa.halfOpen = undefined
  const finish = () => {
    after()
    for (const other of forgotten) other.end(now, 'the peer began anew')
  }
  return { payloads: answer, after: finish, ...(made === undefined ? {} : { child: made }) }
}

/** The key by which the peer has authenticated itself: each that is accepted is tried. */
function provenKey(
  sa: IkeSa,
  { keys, context }: Connection,
  id: IdPayload,
  payloads: readonly Payload[],
): IkeKey | undefined {
  const auth = find(payloads, 'AUTH')
  if (auth === undefined) return undefined
  const { request: message, responderNonce: peerNonce } = sa.halfOpen!
  const { prf, skPi: skP } = sa.secrets!.keys
  return keys.find(({ psk }) => verifyPskAuth(context.crypto, { prf, psk, skP, message, peerNonce, id }, auth))
}

function wantedIdentity(payloads: readonly Payload[]) {
  const idr = find(payloads, 'IDr')
  return idr === undefined ? undefined : identityFromPayload(idr)
}

function otherName({ config }: Connection, wanted: ReturnType<typeof wantedIdentity>): Failure {
  const failure = wrongIdentity(wanted, config.localId)
  return { ...failure, cause: failure.cause.replace('calls itself', 'calls us') }
}

function refuse(sa: IkeSa, to: Connection | undefined, type: number, failure: Failure, now: Instant): Answer {
  to?.fail(failure, now)
  return { payloads: [notify(type)], after: () => end(sa, now) }
}

/** Only the refusal may still have to be repeated. */
function end(sa: IkeSa, now: Instant): void {
  sa.halfOpen = undefined
  sa.linger(now + LINGER_MS)
}
