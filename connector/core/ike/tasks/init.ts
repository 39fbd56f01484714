/** IKE_SA_INIT as initiator (RFC 7296 section 1.2), with COOKIE (2.6) and INVALID_KE_PAYLOAD (2.7). */
import type { Instant } from '../../../../protocol/machine.ts'
import { NONCE_LENGTH } from '../context.ts'
import type { KeyExchange } from '../crypto.ts'
import { type Received, startTask } from '../exchange.ts'
import { deriveIkeKeys } from '../keymat.ts'
import { errorNotify, find, findNotify, isZero, lowest, NOTHING, notify } from '../messages.ts'
import { groupId } from '../names.ts'
import { detectNat, natDetectionNotifies } from '../nat.ts'
import { acceptIke, offerIke, requestedGroup } from '../negotiate.ts'
import { invalidKe, protocolError, refused, refusedIkeProposal } from '../report.ts'
import { brokenRule } from '../rules.ts'
import type { IkeSa } from '../sa.ts'
import type { Task, TaskRequest } from '../task.ts'
import type { ConnectionConfig, GroupName } from '../types.ts'
import { EXCHANGE } from '../wire/constants.ts'
import { NOTIFY } from '../wire/notify.ts'
import type { Payload } from '../wire/types.ts'
import { AuthTask } from './auth.ts'

/** COOKIE and INVALID_KE_PAYLOAD together; anyone on the way can forge them. */
const MAX_RESTARTS = 6

export class InitTask implements Task {
  readonly kind = 'init'
  readonly #config: ConnectionConfig
  #group: GroupName
  #exchange: KeyExchange | undefined
  #nonce: Uint8Array | undefined
  #cookie: Uint8Array | undefined
  #restarts = 0

  constructor(config: ConnectionConfig) {
    this.#config = config
    this.#group = config.proposals[0]!.group
  }

  build(sa: IkeSa): TaskRequest {
    const { crypto, random } = sa.context
    this.#exchange ??= crypto.generate(groupId(this.#group))
    this.#nonce ??= random(NONCE_LENGTH)
    const { local, remote, forced } = sa.path
    const view = { initiatorSpi: sa.localSpi, responderSpi: new Uint8Array(8), local, remote }
    const payloads: Payload[] = [
      ...(this.#cookie === undefined ? [] : [notify(NOTIFY.COOKIE, this.#cookie)]),
      { type: 'SA', proposals: offerIke(this.#config.proposals, NOTHING) },
      { type: 'KE', group: groupId(this.#group), data: this.#exchange.publicValue },
      { type: 'NONCE', data: this.#nonce },
      ...natDetectionNotifies(crypto, view, forced),
      ...(this.#config.fragmentSize === 0 ? [] : [notify(NOTIFY.IKEV2_FRAGMENTATION_SUPPORTED)]),
    ]
    return { exchange: EXCHANGE.IKE_SA_INIT, payloads }
  }

  process(sa: IkeSa, payloads: readonly Payload[], now: Instant, received: Received) {
    const cookie = findNotify(payloads, NOTIFY.COOKIE)
    if (cookie !== undefined) return this.#restart(() => this.#useCookie(cookie.data))
    const error = errorNotify(payloads)
    if (error?.notify === NOTIFY.INVALID_KE_PAYLOAD) return this.#useGroup(sa, error.data, now)
    if (error !== undefined) {
      const failure =
        error.notify === NOTIFY.NO_PROPOSAL_CHOSEN ? refusedIkeProposal(this.#config.proposals) : refused(error.notify)
      return this.#hint(sa, failure, now)
    }
    const broken = brokenRule('init-response', payloads)
    if (broken !== undefined) return this.#hint(sa, protocolError(broken), now)
    if (isZero(received.message.header.responderSpi))
      return this.#hint(sa, protocolError('its IKE_SA_INIT response has no SPI'), now)
    return this.#accept(sa, payloads, now, received)
  }

  abandon(): void {
    // Completing with nothing wipes the private value.
    this.#exchange?.complete(NOTHING)
    this.#exchange = undefined
  }

  #accept(sa: IkeSa, payloads: readonly Payload[], now: Instant, received: Received) {
    const { crypto } = sa.context
    if (this.#exchange === undefined) return 'ignored' as const
    const agreement = acceptIke(find(payloads, 'SA')!.proposals, this.#config.proposals, 0)
    const ke = find(payloads, 'KE')!
    if (agreement === undefined || groupId(agreement.suite.group) !== ke.group || agreement.suite.group !== this.#group)
      return this.#hint(sa, protocolError('it chose a suite that we did not offer'), now)
    const sharedSecret = this.#exchange.complete(ke.data)
    this.#exchange = undefined
    const responderNonce = find(payloads, 'NONCE')!.data
    const initiatorNonce = this.#nonce!
    if (sharedSecret === undefined) {
      this.#nonce = undefined
      this.#hint(sa, protocolError('its public value is invalid'), now)
      return this.#restart(() => {})
    }
    sa.remoteSpi = received.message.header.responderSpi
    const { suite } = agreement
    const nonces = { initiatorNonce, responderNonce }
    const spis = { initiatorSpi: sa.initiatorSpi, responderSpi: sa.responderSpi }
    sa.setKeys(suite, deriveIkeKeys(crypto, { proposal: suite, sharedSecret, ...nonces, ...spis }))
    sharedSecret.fill(0)
    sa.state = 'auth'
    sa.session!.low = lowest(initiatorNonce, responderNonce)
    sa.fragmentation =
      this.#config.fragmentSize > 0 && findNotify(payloads, NOTIFY.IKEV2_FRAGMENTATION_SUPPORTED) !== undefined
    this.#findPath(sa, payloads, received)
    const messages = { ours: sa.initMessage!, theirs: received.bytes.slice() }
    startTask(sa, new AuthTask(this.#config, messages, nonces), now)
    return 'done' as const
  }

  /** With a NAT on the way everything goes to the NAT-traversal port from here on (RFC 7296 section 2.23). */
  #findPath(sa: IkeSa, payloads: readonly Payload[], { local, remote }: Received): void {
    const { path, context } = sa
    const view = { initiatorSpi: sa.initiatorSpi, responderSpi: sa.responderSpi, local, remote }
    path.nat = detectNat(context.crypto, view, payloads)
    path.local = local
    path.remote = remote
    if (path.encapsulation !== 'udp') return
    path.local = { address: local.address, port: context.ports.natPort }
    path.remote = { address: remote.address, port: this.#config.remoteNatPort }
  }

  #useCookie(cookie: Uint8Array): void {
    this.#cookie = cookie
  }

  #useGroup(sa: IkeSa, data: Uint8Array, now: Instant) {
    const group = requestedGroup(data, this.#config.proposals)
    if (group === undefined || group === this.#group)
      return this.#hint(sa, invalidKe(this.#config.proposals.map((proposal) => proposal.group).join(', ')), now)
    return this.#restart(() => {
      this.abandon()
      this.#group = group
    })
  }

  #restart(change: () => void) {
    if (++this.#restarts > MAX_RESTARTS) return 'ignored' as const
    change()
    return 'again' as const
  }

  /** Nobody has proved who sent this: it is told, and may explain a failure, but we go on trying. */
  #hint(sa: IkeSa, failure: ReturnType<typeof protocolError>, now: Instant) {
    const connection = sa.session!.connection
    if (connection.hint?.cause !== failure.cause) connection.fail(failure, now)
    connection.hint = failure
    return 'ignored' as const
  }
}
