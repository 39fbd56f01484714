/** CREATE_CHILD_SA as initiator, for a new Child SA or to rekey one (RFC 7296 sections 1.3.1, 1.3.3 and 2.8). */
import type { Instant } from '../../../../protocol/machine.ts'
import { type ChildSa, childEstablished, childRekeyed, promoteChild } from '../child.ts'
import { completeChild } from '../child-exchange.ts'
import { carrier, closeChild, replaceChild } from '../children.ts'
import { fraction, NONCE_LENGTH } from '../context.ts'
import type { KeyExchange } from '../crypto.ts'
import { childNotify, compareBytes, errorNotify, find, NOTHING, spiBytes } from '../messages.ts'
import { groupId } from '../names.ts'
import { offerEsp, requestedGroup } from '../negotiate.ts'
import { childRefused, type Failure, invalidKe, protocolError } from '../report.ts'
import { resourceInfo } from '../resources.ts'
import { brokenRule } from '../rules.ts'
import type { IkeSa } from '../sa.ts'
import { selectorPayloads } from '../selectors.ts'
import type { Session } from '../session.ts'
import { type Slot, slotOf } from '../slot.ts'
import type { Task, TaskRequest } from '../task.ts'
import { PROMOTE_MS, TEMPORARY_MS } from '../timing.ts'
import type { ChildConfig, GroupName } from '../types.ts'
import { EXCHANGE } from '../wire/constants.ts'
import { NOTIFY } from '../wire/notify.ts'
import type { Payload } from '../wire/types.ts'
import { DeleteSpiTask, deleteChild } from './delete.ts'

/** INVALID_KE_PAYLOAD answers in a row. */
const MAX_RESTARTS = 3

/** Nothing stands against a rekey: none is under way, and the peer is known to have the SA. */
export function mayRekey(child: ChildSa): boolean {
  if (child.state !== 'installed' || child.rekeying !== 'no' || child.expireAt !== undefined) return false
  if (child.incoming !== undefined || child.promoteAt !== undefined) return false
  const { predecessor } = child
  return predecessor?.incoming !== child || predecessor.state === 'closed'
}

/** Queues a rekey where one may begin. */
export function rekeyChild(session: Session, child: ChildSa): void {
  if (!mayRekey(child)) return
  child.rekeying = 'queued'
  session.enqueue(new ChildTask(child.config, child.resource, child))
}

/** A Child SA could not be made: said, and tried again after a pause that doubles. */
export function childFailed(
  session: Session,
  { name, resource }: { readonly name: string; readonly resource: number },
  failure: Failure,
  now: Instant,
): void {
  const { limits } = session.context
  const slot = slotOf(name, resource)
  const pause = session.childRetries.get(slot)?.pause ?? limits.retryMs
  const at = now + pause
  session.childRetries.set(slot, { at, pause: Math.min(pause * 2, limits.retryMaxMs) })
  session.connection.fail(failure, now, session.remakesChildren ? at : undefined)
}

export class ChildTask implements Task {
  readonly kind: 'create-child' | 'rekey-child'
  readonly config: ChildConfig
  readonly resource: number
  readonly slot?: Slot
  readonly #old: ChildSa | undefined
  /** The SA that the new one is additional to. */
  #sibling: ChildSa | undefined
  #session: Session | undefined
  #inboundSpi: number | undefined
  #nonce = NOTHING
  #group: GroupName | undefined
  #keyExchange: KeyExchange | undefined
  #restarts = 0

  constructor(config: ChildConfig, resource: number, old?: ChildSa) {
    this.kind = old === undefined ? 'create-child' : 'rekey-child'
    this.config = config
    this.resource = resource
    if (old === undefined) this.slot = slotOf(config.name, resource)
    this.#old = old
  }

  build(sa: IkeSa): TaskRequest | undefined {
    const session = sa.session!
    this.#session = session
    const old = this.#old
    if (old === undefined ? this.#isNeedless(session) : old.state !== 'installed' || old.incoming !== undefined) {
      this.abandon()
      return undefined
    }
    const { context, connection } = session
    if (this.#restarts === 0) this.#group = connection.groups.get(this.config.name) ?? this.config.proposals[0]?.group
    this.#inboundSpi ??= context.newChildSpi(this.resource)
    this.#nonce = context.random(NONCE_LENGTH)
    if (old !== undefined) old.rekeying = 'sent'
    const payloads: Payload[] = [
      ...(old === undefined ? [] : [childNotify(NOTIFY.REKEY_SA, spiBytes(old.inboundSpi))]),
      resourceInfo(),
      { type: 'SA', proposals: offerEsp(this.config.proposals, spiBytes(this.#inboundSpi), 'CREATE_CHILD_SA') },
      { type: 'NONCE', data: this.#nonce },
    ]
    if (this.#group !== undefined) {
      this.#keyExchange = context.crypto.generate(groupId(this.#group))
      payloads.push({ type: 'KE', group: groupId(this.#group), data: this.#keyExchange.publicValue })
    }
    payloads.push(...selectorPayloads(this.#sibling?.selectors ?? this.config, 'initiator'))
    return { exchange: EXCHANGE.CREATE_CHILD_SA, payloads }
  }

  process(sa: IkeSa, payloads: readonly Payload[], now: Instant) {
    const session = sa.session!
    const error = errorNotify(payloads)
    if (error !== undefined) {
      if (error.notify === NOTIFY.INVALID_KE_PAYLOAD && this.#useGroup(error.data)) return 'again' as const
      this.#refused(session, error.notify, now)
      return 'done' as const
    }
    const broken = brokenRule('child-response', payloads)
    const child = broken ?? this.#complete(sa, payloads, now)
    if (typeof child === 'string') {
      session.enqueue(new DeleteSpiTask(this.#inboundSpi!))
      this.#inboundSpi = undefined
      this.#giveUp(session, protocolError(child), now)
      return 'done' as const
    }
    session.connection.groups.set(this.config.name, child.suite.group)
    this.#finish(session, child, now)
    return 'done' as const
  }

  /** Somebody else made it meanwhile, or the peer wants no more, or it would be the child's only one, away from home. */
  #isNeedless(session: Session): boolean {
    const { name } = this.config
    this.#sibling = carrier(session, name)
    if (this.#sibling === undefined) return this.resource !== session.connection.home
    return session.enough.has(name) || carrier(session, name, this.resource) !== undefined
  }

  abandon(): void {
    if (this.#old !== undefined) this.#old.rekeying = 'no'
    this.#keyExchange?.complete(NOTHING)
    this.#keyExchange = undefined
    if (this.#inboundSpi !== undefined) this.#session?.context.releaseChildSpi(this.#inboundSpi)
    this.#inboundSpi = undefined
  }

  #complete(sa: IkeSa, payloads: readonly Payload[], now: Instant): ChildSa | string {
    const keyExchange =
      this.#group === undefined || this.#keyExchange === undefined
        ? {}
        : { keyExchange: { group: groupId(this.#group), exchange: this.#keyExchange } }
    const offer = {
      config: this.config,
      inboundSpi: this.#inboundSpi!,
      exchange: 'CREATE_CHILD_SA' as const,
      initiatorNonce: this.#nonce,
      ...keyExchange,
      resource: this.resource,
      ...(this.#sibling === undefined ? {} : { sibling: this.#sibling }),
      ...(this.#old === undefined ? {} : { replaces: this.#old }),
    }
    return completeChild(sa, offer, find(payloads, 'NONCE')!.data, payloads, now)
  }

  #finish(session: Session, child: ChildSa, now: Instant): void {
    const old = this.#old
    if (old !== undefined) concludeRekey(session, old, child, now)
    else {
      promoteChild(session, child)
      childEstablished(session, child, now)
    }
    const early = session.deletedEarly.splice(0)
    if (early.includes(child.outboundSpi)) closeChild(session, child, now, 'the peer deleted it at once')
  }

  #useGroup(data: Uint8Array): boolean {
    const group = requestedGroup(data, this.config.proposals)
    if (group === undefined || group === this.#group || ++this.#restarts > MAX_RESTARTS) return false
    this.#keyExchange?.complete(NOTHING)
    this.#group = group
    return true
  }

  /** What the peer's error means for the SA that was to be rekeyed, or made (RFC 7296 section 2.25). */
  #refused(session: Session, error: number, now: Instant): void {
    const old = this.#old
    this.abandon()
    session.deletedEarly.length = 0
    if (old?.incoming !== undefined && old.incoming.state !== 'closed') {
      // The peer's own rekey made this one needless.
      settleIncoming(session, old, old.incoming, now)
      return
    }
    if (error === NOTIFY.TEMPORARY_FAILURE) {
      const at = now + TEMPORARY_MS * (1 + fraction(session.context.random))
      if (old === undefined) session.childRetries.set(this.slot!, { at, pause: session.context.limits.retryMs })
      else old.expiry.rekeyAt = at
      return
    }
    if (this.#sibling !== undefined) {
      // TS_MAX_QUEUE, or whatever a peer says that has enough of them: the tunnel is up with fewer.
      session.enough.add(this.config.name)
      return
    }
    if (old !== undefined && old.state !== 'installed') return
    if (error === NOTIFY.CHILD_SA_NOT_FOUND && old !== undefined) {
      closeChild(session, old, now, 'the peer no longer has it')
      if (carrier(session, this.config.name, this.resource) === undefined)
        session.enqueue(new ChildTask(this.config, this.resource))
      return
    }
    if (error === NOTIFY.NO_ADDITIONAL_SAS && old !== undefined) session.noAdditionalSas = true
    const failure =
      error === NOTIFY.INVALID_KE_PAYLOAD
        ? invalidKe(this.config.proposals.map((proposal) => proposal.group ?? 'none').join(', '))
        : childRefused(this.config, error)
    this.#giveUp(session, failure, now)
  }

  /** Says what failed. A rekey is tried again later, as long as the old SA lives. */
  #giveUp(session: Session, failure: Failure, now: Instant): void {
    const old = this.#old
    this.abandon()
    if (this.#sibling !== undefined) {
      session.enough.add(this.config.name)
      session.connection.fail(failure, now)
      return
    }
    if (old === undefined) {
      childFailed(session, { name: this.config.name, resource: this.resource }, failure, now)
      return
    }
    const { retryMs, retryMaxMs } = session.context.limits
    old.retryPause = Math.min(Math.max(old.retryPause * 2, retryMs), retryMaxMs)
    old.expiry.rekeyAt = now + old.retryPause
    session.connection.fail(failure, now, old.expiry.rekeyAt)
  }
}

/**
 * Our rekey of `old` was answered with `mine`. Where the peer's rekey crossed ours, the SA made with the lowest of the
 * four nonces is closed by its creator (RFC 7296 section 2.8.1); the other's creator deletes the old one.
 */
function concludeRekey(session: Session, old: ChildSa, mine: ChildSa, now: Instant): void {
  old.rekeying = 'no'
  const theirs = old.incoming
  const alive = theirs !== undefined && (theirs.state !== 'closed' || theirs.successor !== undefined)
  if (alive && compareBytes(mine.low, theirs.low) < 0) {
    mine.predecessor = undefined
    deleteChild(session, mine, 'a rekey of the peer was first')
    settleIncoming(session, old, theirs, now)
    return
  }
  if (alive) {
    theirs.predecessor = undefined
    replaceChild(theirs, mine, now)
  }
  old.incoming = undefined
  replaceChild(old, mine, now)
  promoteChild(session, mine)
  childRekeyed(session, mine, old, now)
  deleteChild(session, old, 'rekeyed')
}

/** The peer's SA takes over; the peer deletes `old`. */
function settleIncoming(session: Session, old: ChildSa, theirs: ChildSa, now: Instant): void {
  old.incoming = undefined
  // The peer's DELETE of the old SA has settled it before our answer came.
  if (old.successor === theirs) return
  replaceChild(old, theirs, now)
  childRekeyed(session, theirs, old, now)
  if (session.connection.active.get(old.slot) === old) theirs.promoteAt = now + PROMOTE_MS
}
