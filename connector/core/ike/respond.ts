/** Which answer a request gets, by exchange type and contents. */
import type { Instant } from '../../../protocol/machine.ts'
import type { Answer, Received } from './exchange.ts'
import { find, findNotify, notify } from './messages.ts'
import { brokenRule } from './rules.ts'
import type { IkeSa } from './sa.ts'
import { answerAuth } from './tasks/answer-auth.ts'
import { answerNewChild, answerRekeyChild } from './tasks/answer-child.ts'
import { answerInformational } from './tasks/answer-informational.ts'
import { answerRekeyIke } from './tasks/answer-rekey-ike.ts'
import { EXCHANGE, PROTOCOL } from './wire/constants.ts'
import { NOTIFY } from './wire/notify.ts'
import type { Payload } from './wire/types.ts'

/** The request is authentic, in order and readable. */
export function answerRequest(sa: IkeSa, received: Received, payloads: readonly Payload[], now: Instant): Answer {
  switch (received.message.header.exchangeType) {
    case EXCHANGE.IKE_AUTH:
      return answerAuth(sa, payloads, now)
    case EXCHANGE.CREATE_CHILD_SA:
      return answerCreateChild(sa, payloads, now)
    case EXCHANGE.INFORMATIONAL:
      return answerInformational(sa, payloads, now)
    default:
      return { payloads: [notify(NOTIFY.INVALID_SYNTAX)] }
  }
}

function answerCreateChild(sa: IkeSa, payloads: readonly Payload[], now: Instant): Answer {
  const proposals = find(payloads, 'SA')?.proposals ?? []
  const forIke = proposals.length > 0 && proposals.every((proposal) => proposal.protocol === PROTOCOL.IKE)
  const broken = brokenRule(forIke ? 'rekey-ike-request' : 'child-request', payloads)
  if (broken !== undefined) return { payloads: [notify(NOTIFY.INVALID_SYNTAX)] }
  if (forIke) return answerRekeyIke(sa, payloads, now)
  const rekey = findNotify(payloads, NOTIFY.REKEY_SA)
  // An SA on its way out makes no Child SAs (RFC 7296 section 2.25.2).
  if (sa.state !== 'established' || sa.outstanding?.task.kind === 'rekey-ike')
    return { payloads: [notify(NOTIFY.TEMPORARY_FAILURE)] }
  return rekey === undefined ? answerNewChild(sa, payloads, now) : answerRekeyChild(sa, payloads, rekey, now)
}
