/** CREATE_CHILD_SA to rekey the IKE SA, as initiator (RFC 7296 sections 1.3.2, 2.8 and 2.18). */
import type { Instant } from '../../../../protocol/machine.ts'
import { fraction, NONCE_LENGTH } from '../context.ts'
import type { KeyExchange } from '../crypto.ts'
import { deriveRekeyedIkeKeys } from '../keymat.ts'
import { compareBytes, errorNotify, find, isZero, lowest, NOTHING } from '../messages.ts'
import { groupId } from '../names.ts'
import { acceptIke, offerIke, requestedGroup } from '../negotiate.ts'
import { protocolError, refused } from '../report.ts'
import { brokenRule } from '../rules.ts'
import { IkeSa } from '../sa.ts'
import type { Task, TaskRequest } from '../task.ts'
import { REPLACED_MS, TEMPORARY_MS } from '../timing.ts'
import type { GroupName } from '../types.ts'
import { EXCHANGE } from '../wire/constants.ts'
import { NOTIFY } from '../wire/notify.ts'
import type { Payload } from '../wire/types.ts'

const MAX_RESTARTS = 3
/** Wait after a refusal that will hardly go away soon. */
const REFUSED_MS = 60_000

export class RekeyIkeTask implements Task {
  readonly kind = 'rekey-ike'
  #localSpi = NOTHING
  #nonce = NOTHING
  #group: GroupName | undefined
  #keyExchange: KeyExchange | undefined
  #restarts = 0

  build(sa: IkeSa): TaskRequest | undefined {
    if (sa.state !== 'established' || sa.incoming !== undefined) return undefined
    const { crypto, random, newIkeSpi } = sa.context
    const { proposals } = sa.session!.connection.config
    this.#group ??= sa.suite!.group
    this.#localSpi = newIkeSpi()
    this.#nonce = random(NONCE_LENGTH)
    this.#keyExchange = crypto.generate(groupId(this.#group))
    const payloads: Payload[] = [
      { type: 'SA', proposals: offerIke(proposals, this.#localSpi) },
      { type: 'NONCE', data: this.#nonce },
      { type: 'KE', group: groupId(this.#group), data: this.#keyExchange.publicValue },
    ]
    return { exchange: EXCHANGE.CREATE_CHILD_SA, payloads }
  }

  process(sa: IkeSa, payloads: readonly Payload[], now: Instant) {
    const session = sa.session!
    const error = errorNotify(payloads)
    if (error?.notify === NOTIFY.INVALID_KE_PAYLOAD && this.#useGroup(sa, error.data)) return 'again' as const
    if (error !== undefined) {
      this.abandon()
      this.#refused(sa, error.notify, now)
      return 'done' as const
    }
    const broken = brokenRule('rekey-ike-response', payloads)
    const mine = broken ?? this.#complete(sa, payloads, now)
    if (typeof mine === 'string') {
      this.abandon()
      session.rekeyAt = now + REFUSED_MS
      session.connection.fail(protocolError(mine), now, session.rekeyAt)
      return 'done' as const
    }
    conclude(sa, mine.sa, mine.low, now)
    // What was closed meanwhile takes its successor along, which the peer has made already.
    if (session.state === 'closing') session.closeSa(mine.sa, sa.closeReason ?? 'closed')
    return 'done' as const
  }

  abandon(): void {
    this.#keyExchange?.complete(NOTHING)
    this.#keyExchange = undefined
  }

  #complete(old: IkeSa, payloads: readonly Payload[], now: Instant): { sa: IkeSa; low: Uint8Array } | string {
    const { context } = old
    const session = old.session!
    const agreement = acceptIke(find(payloads, 'SA')!.proposals, session.connection.config.proposals, 8)
    const ke = find(payloads, 'KE')!
    if (agreement === undefined || isZero(agreement.peerSpi)) return 'it chose a suite that we did not offer'
    if (ke.group !== groupId(agreement.suite.group) || agreement.suite.group !== this.#group)
      return 'its key exchange does not fit the suite that it chose'
    const sharedSecret = this.#keyExchange!.complete(ke.data)
    this.#keyExchange = undefined
    if (sharedSecret === undefined) return 'its public value is invalid'
    const nonces = { initiatorNonce: this.#nonce, responderNonce: find(payloads, 'NONCE')!.data }
    const { path } = old
    const spis = { localSpi: this.#localSpi, remoteSpi: agreement.peerSpi }
    const sa = new IkeSa(context, { role: 'initiator', state: 'established', path, ...spis }, now)
    sa.fragmentation = old.fragmentation
    const keys = deriveRekeyedIkeKeys(context.crypto, old.secrets!.keys, {
      proposal: agreement.suite,
      sharedSecret,
      ...nonces,
      initiatorSpi: sa.initiatorSpi,
      responderSpi: sa.responderSpi,
    })
    sharedSecret.fill(0)
    sa.setKeys(agreement.suite, keys)
    session.addSa(sa)
    return { sa, low: lowest(nonces.initiatorNonce, nonces.responderNonce) }
  }

  #useGroup(sa: IkeSa, data: Uint8Array): boolean {
    const group = requestedGroup(data, sa.session!.connection.config.proposals)
    if (group === undefined || group === this.#group || ++this.#restarts > MAX_RESTARTS) return false
    this.abandon()
    this.#group = group
    return true
  }

  #refused(sa: IkeSa, error: number, now: Instant): void {
    const session = sa.session!
    const theirs = sa.incoming?.sa
    if (theirs !== undefined) {
      session.succeed(sa, theirs, now)
      return
    }
    if (error === NOTIFY.TEMPORARY_FAILURE) {
      session.rekeyAt = now + TEMPORARY_MS * (1 + fraction(sa.context.random))
      return
    }
    session.rekeyAt = now + REFUSED_MS
    session.connection.fail(refused(error), now, session.rekeyAt)
  }
}

/**
 * Our rekey was answered with `mine`. Where the peer's rekey crossed it, the SA made with the lowest of the four nonces
 * is closed by its creator (RFC 7296 section 2.8.2); the other's creator deletes the old one.
 */
function conclude(old: IkeSa, mine: IkeSa, low: Uint8Array, now: Instant): void {
  const session = old.session!
  const theirs = old.incoming
  if (theirs !== undefined && compareBytes(low, theirs.low) < 0) {
    session.closeSa(mine, 'a rekey of the peer was first')
    session.succeed(old, theirs.sa, now)
    return
  }
  if (theirs !== undefined) {
    theirs.sa.state = 'replaced'
    theirs.sa.surplus = true
    theirs.sa.expireAt = now + REPLACED_MS
    theirs.sa.successor = mine
  }
  session.succeed(old, mine, now)
  session.closeSa(old, 'rekeyed')
}
