/** IKE_AUTH as initiator, with the first Child SA (RFC 7296 section 1.2). */
import type { Instant } from '../../../../protocol/machine.ts'
import { AUTH_METHOD_PSK, pskAuth, verifyPskAuth } from '../auth.ts'
import { childEstablished, promoteChild } from '../child.ts'
import { completeChild } from '../child-exchange.ts'
import { identityFromPayload, identityPayload, sameIdentity } from '../identity.ts'
import { errorNotify, find, notify, spiBytes } from '../messages.ts'
import { offerEsp } from '../negotiate.ts'
import {
  authenticationRefused,
  childRefused,
  type Failure,
  protocolError,
  refused,
  wrongIdentity,
  wrongKey,
} from '../report.ts'
import { resourceInfo } from '../resources.ts'
import { brokenRule } from '../rules.ts'
import type { IkeSa } from '../sa.ts'
import { selectorPayloads } from '../selectors.ts'
import type { Task, TaskRequest } from '../task.ts'
import type { ConnectionConfig, IkeKey } from '../types.ts'
import { EXCHANGE } from '../wire/constants.ts'
import { NOTIFY } from '../wire/notify.ts'
import type { Payload } from '../wire/types.ts'
import { childFailed } from './create-child.ts'
import { DeleteSpiTask } from './delete.ts'

export interface InitMessages {
  readonly ours: Uint8Array
  readonly theirs: Uint8Array
}

export interface Nonces {
  readonly initiatorNonce: Uint8Array
  readonly responderNonce: Uint8Array
}

export class AuthTask implements Task {
  readonly kind = 'auth'
  readonly #config: ConnectionConfig
  readonly #messages: InitMessages
  readonly #nonces: Nonces
  #inboundSpi = 0
  #key: IkeKey | undefined

  constructor(config: ConnectionConfig, messages: InitMessages, nonces: Nonces) {
    this.#config = config
    this.#messages = messages
    this.#nonces = nonces
  }

  build(sa: IkeSa): TaskRequest {
    const { crypto } = sa.context
    const { localId, remoteId, children } = this.#config
    // The same for every try, also where the keys change in between.
    this.#key ??= copyOf(sa.session!.connection.keys[0]!)
    const { psk } = this.#key
    const id = identityPayload('IDi', localId)
    const keys = sa.secrets!.keys
    const { prf, skPi: skP } = keys
    const message = this.#messages.ours
    const data = pskAuth(crypto, { prf, psk, skP, message, peerNonce: this.#nonces.responderNonce, id })
    const payloads: Payload[] = [id]
    const others = sa.session!.connection.sessions.some((session) => session.state === 'established')
    if (!others) payloads.push(notify(NOTIFY.INITIAL_CONTACT))
    payloads.push(identityPayload('IDr', remoteId), { type: 'AUTH', method: AUTH_METHOD_PSK, data })
    const child = children[0]
    if (child !== undefined) {
      this.#inboundSpi = sa.context.newChildSpi(sa.session!.connection.home)
      payloads.push(
        resourceInfo(),
        { type: 'SA', proposals: offerEsp(child.proposals, spiBytes(this.#inboundSpi), 'IKE_AUTH') },
        ...selectorPayloads(child, 'initiator'),
      )
    }
    return { exchange: EXCHANGE.IKE_AUTH, payloads }
  }

  process(sa: IkeSa, payloads: readonly Payload[], now: Instant) {
    const session = sa.session!
    const failure = this.#refusal(payloads)
    if (failure !== undefined) {
      this.#giveUp(sa)
      session.fail(failure.failure, now, failure.tell)
      return 'done' as const
    }
    const unproved = this.#unproved(sa, payloads)
    if (unproved !== undefined) {
      this.#giveUp(sa)
      session.fail(unproved, now, true)
      return 'done' as const
    }
    sa.state = 'established'
    session.keyId = this.#key!.id
    this.abandon()
    session.establish(now)
    session.connection.established(session, now)
    this.#firstChild(sa, payloads, now)
    session.pump(now)
    return 'done' as const
  }

  #giveUp(sa: IkeSa): void {
    sa.context.releaseChildSpi(this.#inboundSpi)
    this.abandon()
  }

  abandon(): void {
    this.#key?.psk.fill(0)
    this.#key = undefined
  }

  /** The responder's error, where it did not authenticate itself; nothing more is known of the peer then. */
  #refusal(payloads: readonly Payload[]): { failure: Failure; tell: boolean } | undefined {
    const error = errorNotify(payloads)
    if (error !== undefined && find(payloads, 'AUTH') === undefined) {
      const failure =
        error.notify === NOTIFY.AUTHENTICATION_FAILED ? authenticationRefused(this.#config) : refused(error.notify)
      return { failure, tell: false }
    }
    const broken = brokenRule('auth-response', payloads)
    return broken === undefined ? undefined : { failure: protocolError(broken), tell: true }
  }

  #unproved(sa: IkeSa, payloads: readonly Payload[]): Failure | undefined {
    const id = find(payloads, 'IDr')!
    const { remoteId } = this.#config
    const { psk } = this.#key!
    const { prf, skPr: skP } = sa.secrets!.keys
    const input = { prf, psk, skP, message: this.#messages.theirs, peerNonce: this.#nonces.initiatorNonce, id }
    const peer = identityFromPayload(id)
    if (peer === undefined || !sameIdentity(peer, remoteId)) return wrongIdentity(peer, remoteId)
    return verifyPskAuth(sa.context.crypto, input, find(payloads, 'AUTH')!) ? undefined : wrongKey(peer)
  }

  #firstChild(sa: IkeSa, payloads: readonly Payload[], now: Instant): void {
    const session = sa.session!
    const config = this.#config.children[0]
    if (config === undefined) return
    const resource = session.connection.home
    const error = errorNotify(payloads)
    if (error !== undefined && find(payloads, 'SA') === undefined) {
      sa.context.releaseChildSpi(this.#inboundSpi)
      childFailed(session, { name: config.name, resource }, childRefused(config, error.notify), now)
      return
    }
    const { initiatorNonce, responderNonce } = this.#nonces
    const offer = { config, resource, inboundSpi: this.#inboundSpi, exchange: 'IKE_AUTH', initiatorNonce } as const
    const child = completeChild(sa, offer, responderNonce, payloads, now)
    if (typeof child === 'string') {
      if (find(payloads, 'SA') !== undefined) session.enqueue(new DeleteSpiTask(this.#inboundSpi))
      childFailed(session, { name: config.name, resource }, protocolError(child), now)
      return
    }
    promoteChild(session, child)
    childEstablished(session, child, now)
  }
}

function copyOf({ id, psk }: IkeKey): IkeKey {
  return { id, psk: psk.slice() }
}
