/** CREATE_CHILD_SA as responder, for a new Child SA or to rekey one (RFC 7296 sections 1.3.1, 1.3.3 and 2.25.1). */
import type { Instant } from '../../../../protocol/machine.ts'
import { childEstablished, childRekeyed, promoteWhenSafe } from '../child.ts'
import { answerChild } from '../child-exchange.ts'
import { childByOutboundSpi, replaceChild } from '../children.ts'
import type { Answer } from '../exchange.ts'
import { childNotify, find, notify, spiNumber } from '../messages.ts'
import type { IkeSa } from '../sa.ts'
import { PROMOTE_MS } from '../timing.ts'
import { PROTOCOL } from '../wire/constants.ts'
import { NOTIFY } from '../wire/notify.ts'
import type { NotifyPayload, Payload } from '../wire/types.ts'

export function answerNewChild(sa: IkeSa, payloads: readonly Payload[], now: Instant): Answer {
  const session = sa.session!
  const initiatorNonce = find(payloads, 'NONCE')!.data
  const outcome = answerChild(sa, { exchange: 'CREATE_CHILD_SA', payloads, initiatorNonce }, now)
  if (!('child' in outcome)) {
    if (outcome.failure !== undefined) session.connection.fail(outcome.failure, now)
    return { payloads: [outcome.notify] }
  }
  const { child } = outcome
  const after = () => {
    promoteWhenSafe(session, child, now)
    childEstablished(session, child, now)
  }
  return { payloads: outcome.payloads, after, child }
}

export function answerRekeyChild(sa: IkeSa, payloads: readonly Payload[], rekey: NotifyPayload, now: Instant): Answer {
  const session = sa.session!
  const spi = rekey.protocol === PROTOCOL.ESP ? spiNumber(rekey.spi) : undefined
  const old = spi === undefined ? undefined : childByOutboundSpi(session, spi)
  if (old === undefined) return { payloads: [childNotify(NOTIFY.CHILD_SA_NOT_FOUND, rekey.spi)] }
  if (old.state !== 'installed' || old.incoming !== undefined) return { payloads: [notify(NOTIFY.TEMPORARY_FAILURE)] }
  const initiatorNonce = find(payloads, 'NONCE')!.data
  const outcome = answerChild(sa, { exchange: 'CREATE_CHILD_SA', payloads, initiatorNonce, replaces: old }, now)
  if (!('child' in outcome)) {
    if (outcome.failure !== undefined) session.connection.fail(outcome.failure, now)
    return { payloads: [outcome.notify] }
  }
  const { child } = outcome
  old.incoming = child
  // Where our own rekey crosses this one, the nonces decide when it is answered.
  if (old.rekeying === 'sent') return { payloads: outcome.payloads, child }
  replaceChild(old, child, now)
  child.promoteAt = now + PROMOTE_MS
  return { payloads: outcome.payloads, after: () => childRekeyed(session, child, old, now), child }
}
