/** CREATE_CHILD_SA to rekey the IKE SA, as responder (RFC 7296 sections 1.3.2, 2.18 and 2.25.2). */
import type { Instant } from '../../../../protocol/machine.ts'
import { NONCE_LENGTH } from '../context.ts'
import type { Answer } from '../exchange.ts'
import { deriveRekeyedIkeKeys } from '../keymat.ts'
import { find, isZero, lowest, notify } from '../messages.ts'
import { groupId } from '../names.ts'
import { chooseIke, groupBytes, groupToRequest } from '../negotiate.ts'
import { unacceptableOffer } from '../report.ts'
import { IkeSa } from '../sa.ts'
import { MAX_IKE_SAS, PROMOTE_MS } from '../timing.ts'
import { NOTIFY } from '../wire/notify.ts'
import type { Payload } from '../wire/types.ts'

export function answerRekeyIke(old: IkeSa, payloads: readonly Payload[], now: Instant): Answer {
  const session = old.session!
  const { context, connection } = session
  const busy = old.state !== 'established' || old.incoming !== undefined || session.childExchangeOn(old)
  if (busy) return { payloads: [notify(NOTIFY.TEMPORARY_FAILURE)] }
  if (session.sas.length >= MAX_IKE_SAS) return { payloads: [notify(NOTIFY.NO_ADDITIONAL_SAS)] }
  const offered = find(payloads, 'SA')!.proposals
  const { proposals } = connection.config
  const localSpi = context.newIkeSpi()
  const choice = chooseIke(offered, proposals, localSpi)
  if (choice === undefined || isZero(choice.peerSpi)) {
    connection.fail(unacceptableOffer('IKE', offered, proposals), now)
    return { payloads: [notify(NOTIFY.NO_PROPOSAL_CHOSEN)] }
  }
  const { suite, peerSpi: remoteSpi } = choice
  const ke = find(payloads, 'KE')!
  const wanted = groupToRequest(suite, ke.group)
  if (wanted !== undefined) return { payloads: [notify(NOTIFY.INVALID_KE_PAYLOAD, groupBytes(wanted))] }
  const exchange = context.crypto.generate(groupId(suite.group))
  const sharedSecret = exchange.complete(ke.data)
  if (sharedSecret === undefined) return { payloads: [notify(NOTIFY.INVALID_SYNTAX)] }
  const nonces = { initiatorNonce: find(payloads, 'NONCE')!.data, responderNonce: context.random(NONCE_LENGTH) }
  const { path } = old
  const sa = new IkeSa(context, { role: 'responder', state: 'established', path, localSpi, remoteSpi }, now)
  sa.fragmentation = old.fragmentation
  sa.usableAt = now + PROMOTE_MS
  const spis = { initiatorSpi: sa.initiatorSpi, responderSpi: sa.responderSpi }
  const input = { proposal: suite, sharedSecret, ...nonces, ...spis }
  sa.setKeys(suite, deriveRekeyedIkeKeys(context.crypto, old.secrets!.keys, input))
  sharedSecret.fill(0)
  session.addSa(sa)
  old.incoming = { sa, low: lowest(nonces.initiatorNonce, nonces.responderNonce) }
  const after = () => {
    // Where our own rekey crosses this one, the nonces decide when it is answered.
    if (old.outstanding?.task.kind !== 'rekey-ike') session.succeed(old, sa, now)
  }
  const answer: Payload[] = [
    { type: 'SA', proposals: [choice.answer] },
    { type: 'NONCE', data: nonces.responderNonce },
    { type: 'KE', group: ke.group, data: exchange.publicValue },
  ]
  return { payloads: answer, after }
}
