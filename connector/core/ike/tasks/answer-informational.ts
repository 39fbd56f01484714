/** INFORMATIONAL as responder: DELETE, liveness and news (RFC 7296 sections 1.4, 1.4.1 and 2.25). */
import type { Instant } from '../../../../protocol/machine.ts'
import { closeChild } from '../children.ts'
import type { Answer } from '../exchange.ts'
import { findNotify, spiBytes, spiNumber } from '../messages.ts'
import { authenticationRefused } from '../report.ts'
import type { IkeSa } from '../sa.ts'
import type { Session } from '../session.ts'
import { PROTOCOL } from '../wire/constants.ts'
import { NOTIFY } from '../wire/notify.ts'
import type { Payload } from '../wire/types.ts'

/** DELETEs remembered of Child SAs that an exchange under way is about to make. */
const MAX_EARLY = 8

export function answerInformational(sa: IkeSa, payloads: readonly Payload[], now: Instant): Answer {
  const session = sa.session
  if (session === undefined) return { payloads: [] }
  const { connection } = session
  if (findNotify(payloads, NOTIFY.AUTHENTICATION_FAILED) !== undefined) {
    connection.fail(authenticationRefused(connection.config), now)
    return { payloads: [], after: () => session.endSa(sa, now, 'the peer refused our authentication') }
  }
  const deletes = payloads.filter((payload) => payload.type === 'D')
  if (deletes.some((payload) => payload.protocol === PROTOCOL.IKE))
    return { payloads: [], after: () => session.endSa(sa, now, 'the peer deleted it') }
  const answered: Uint8Array[] = []
  for (const payload of deletes) {
    if (payload.protocol !== PROTOCOL.ESP) continue
    for (const spi of payload.spis) {
      const inbound = deleteByPeer(session, spiNumber(spi), now)
      if (inbound !== undefined) answered.push(spiBytes(inbound))
    }
  }
  return answered.length === 0
    ? { payloads: [] }
    : { payloads: [{ type: 'D', protocol: PROTOCOL.ESP, spis: answered }] }
}

/**
 * Closes the Child SA that the peer receives on `spi`. The result is the SPI of our half for the answer; there is none
 * when the SA is unknown or our own DELETE of it has crossed this one (section 1.4.1).
 */
function deleteByPeer(session: Session, spi: number | undefined, now: Instant): number | undefined {
  if (spi === undefined) return undefined
  const child = session.children.find((it) => it.outboundSpi === spi && it.state !== 'closed')
  if (child === undefined) {
    const known = session.children.some((it) => it.outboundSpi === spi)
    const making = session.has('create-child') || session.has('rekey-child')
    if (!known && making && session.deletedEarly.length < MAX_EARLY) session.deletedEarly.push(spi)
    return undefined
  }
  const crossed = child.deleteSent
  closeChild(session, child, now, 'the peer deleted it')
  return crossed ? undefined : child.inboundSpi
}
