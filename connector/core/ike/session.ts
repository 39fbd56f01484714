/**
 * One authenticated relationship with a peer: the IKE SAs that followed one another by rekeys, and the Child SAs, which
 * belong to the session and not to one IKE SA, so that a rekey of the IKE SA inherits them by itself.
 */
import type { Instant } from '../../../protocol/machine.ts'
import { type SocketAddress, sameSocketAddress } from '../../../protocol/net.ts'
import type { ChildSa } from './child.ts'
import { closeChild, handOver, openChildren, planReplacement, removeChild } from './children.ts'
import type { Connection } from './connection.ts'
import { type Context, fraction } from './context.ts'
import { startTask } from './exchange.ts'
import { isStale } from './keys.ts'
import { expiryOf } from './lifetime.ts'
import type { Path } from './path.ts'
import type { Failure } from './report.ts'
import type { IkeSa } from './sa.ts'
import type { Slot } from './slot.ts'
import { concernsChild, type Task, type TaskKind } from './task.ts'
import { DeleteIkeTask } from './tasks/delete.ts'
import { CLOSE_MS, FIRST_MEASURE_MS, LINGER_MS, MAX_QUEUE, PROMOTE_MS, REPLACED_MS } from './timing.ts'

export type SessionState = 'connecting' | 'established' | 'closing' | 'ended'

export class Session {
  readonly connection: Connection
  readonly context: Context
  readonly path: Path
  /** We sent the first message. */
  readonly byUs: boolean
  readonly createdAt: Instant
  state: SessionState = 'connecting'
  establishedAt: Instant | undefined
  /** The lower nonce of IKE_SA_INIT. */
  low: Uint8Array | undefined
  /** In order of creation; never a closed one. */
  readonly sas: IkeSa[] = []
  /** The SA that our requests go out on. */
  current: IkeSa | undefined
  /** In order of creation; closed ones until their grace ends. */
  readonly children: ChildSa[] = []
  readonly queue: Task[] = []
  rekeys = 0
  rekeyAt: Instant = Number.POSITIVE_INFINITY
  hardAt: Instant = Number.POSITIVE_INFINITY
  lastHeard: Instant
  /** When the round trip is to be measured again. */
  measureAt: Instant = Number.POSITIVE_INFINITY
  keepaliveAt: Instant = Number.POSITIVE_INFINITY
  /** When the session is closed for being surplus, or is done with waiting for the answer to our DELETE. */
  closeAt: Instant | undefined
  /** Of the key that authenticated it. */
  keyId = ''
  /** Another key became the one to use since. */
  isOutdated = false
  /** The peer has shown that it is in this session too. */
  confirmed = false
  /** When it ends because its key is no longer accepted. */
  keyMissingAt: Instant | undefined
  /** The session that this one, made with another key, takes the place of. */
  supersedes: { readonly session: Session; readonly until: Instant } | undefined
  readonly childRetries = new Map<Slot, { at: Instant; pause: number }>()
  /** The peer refused a rekey with NO_ADDITIONAL_SAS: only a new IKE SA brings a new Child SA. */
  noAdditionalSas = false
  /** Children for which the peer announced SA_RESOURCE_INFO: they may have additional SAs (RFC 9611). */
  readonly shared = new Set<string>()
  /** Of these, the ones for which the peer refused another one. */
  readonly enough = new Set<string>()
  /** SPIs that the peer deleted before our exchange that makes them was answered. */
  readonly deletedEarly: number[] = []

  constructor(connection: Connection, sa: IkeSa, byUs: boolean, now: Instant) {
    this.connection = connection
    this.context = sa.context
    this.path = sa.path
    this.byUs = byUs
    this.createdAt = sa.createdAt
    this.lastHeard = now
    this.addSa(sa)
    this.current = sa
  }

  addSa(sa: IkeSa): void {
    sa.session = this
    sa.fragmentSize = this.connection.config.fragmentSize
    this.sas.push(sa)
  }

  heard(now: Instant): void {
    this.lastHeard = now
  }

  establish(now: Instant): void {
    this.state = 'established'
    this.establishedAt = now
    this.lastHeard = now
    this.measureAt = now + FIRST_MEASURE_MS
    this.startLifetime(now)
    if (this.path.encapsulation === 'udp' && (this.path.nat.localBehindNat || this.path.forced)) this.armKeepalive(now)
  }

  /** The current IKE SA is new. */
  startLifetime(now: Instant): void {
    const expiry = expiryOf(this.connection.config.lifetime, now, fraction(this.context.random))
    this.rekeyAt = expiry.rekeyAt
    this.hardAt = expiry.hardAt
  }

  armKeepalive(now: Instant): void {
    const { natKeepaliveMs } = this.connection.config
    if (natKeepaliveMs > 0) this.keepaliveAt = now + natKeepaliveMs
  }

  /**
   * Missing Child SAs are made anew by the end that initiated, and by the other one only where the configuration wants
   * the connection up; the pause before that differs, so that seldom both begin.
   */
  get remakesChildren(): boolean {
    return this.byUs || this.connection.wanted
  }

  /** As responder: the peer is expected to make this child, and we only if it does not. */
  expectChild(name: string, now: Instant): void {
    planReplacement(this, { name, resource: this.connection.home }, now)
  }

  /** The peer asked again: it cannot use yet what our answer made. */
  answerMissed(now: Instant): void {
    for (const child of this.children) if (child.promoteAt !== undefined) child.promoteAt = now + PROMOTE_MS
    for (const sa of this.sas) if (sa.usableAt > now) sa.usableAt = now + PROMOTE_MS
  }

  /** Queues a task unless the queue is full, which bounds what a peer can make us remember. */
  enqueue(task: Task): void {
    if (this.queue.length < MAX_QUEUE) this.queue.push(task)
    else task.abandon?.()
  }

  /** True when a task of this kind is queued or waits for its answer on any SA. */
  has(kind: TaskKind): boolean {
    return this.queue.some((task) => task.kind === kind) || this.sas.some((sa) => sa.outstanding?.task.kind === kind)
  }

  /** A request for a new Child SA of this slot waits in the queue, or for its answer. */
  isMaking(slot: Slot): boolean {
    return this.queue.some((task) => task.slot === slot) || this.sas.some((sa) => sa.outstanding?.task.slot === slot)
  }

  /** Sends what can be sent: DELETEs of SAs that are to be closed, then the next task on the current SA. */
  pump(now: Instant): void {
    for (const sa of [...this.sas]) {
      if (sa.state === 'closing' && sa.outstanding === undefined) startTask(sa, new DeleteIkeTask(), now)
    }
    for (let sa = this.current; sa !== undefined && this.mayRequest(sa, now); sa = this.current) {
      const task = this.queue.shift()
      if (task === undefined) return
      if (!startTask(sa, task, now)) task.abandon?.()
    }
  }

  mayRequest(sa: IkeSa, now: Instant): boolean {
    if (sa.outstanding !== undefined || sa.usableAt > now) return false
    return sa.state === 'established' || sa.state === 'auth' || sa.state === 'init'
  }

  /** Our exchange about a Child SA is under way on this SA: a rekey of the SA has to wait. */
  childExchangeOn(sa: IkeSa): boolean {
    return sa.outstanding !== undefined && concernsChild(sa.outstanding.task.kind)
  }

  /** `successor` is the SA to use from here on; `old` stays for the DELETE of whoever must send it. */
  succeed(old: IkeSa, successor: IkeSa, now: Instant): void {
    old.successor = successor
    if (old.state === 'established') {
      old.state = 'replaced'
      old.expireAt = now + REPLACED_MS
    }
    if (this.current === successor || successor.state !== 'established') return
    this.current = successor
    this.rekeys++
    this.enough.clear()
    this.startLifetime(now)
    this.connection.report({ type: 'ike-rekeyed', ...successor.spiTexts })
  }

  /** Deletes an IKE SA in good order. */
  closeSa(sa: IkeSa, reason: string): void {
    if (sa.state === 'closed' || sa.state === 'closing') return
    sa.state = 'closing'
    sa.expireAt = undefined
    sa.closeReason = reason
  }

  /**
   * Deletes the session in good order: the IKE SA takes its Child SAs along. The answer is waited for so long; one that
   * closes already waits no longer than that.
   */
  close(now: Instant, reason: string, waitMs = CLOSE_MS): void {
    if (this.state === 'ended') return
    if (this.state === 'closing') {
      if (this.closeAt !== undefined) this.closeAt = Math.min(this.closeAt, now + waitMs)
      return
    }
    if (this.state === 'connecting' || this.current === undefined) {
      this.end(now, reason)
      return
    }
    this.state = 'closing'
    this.closeAt = now + waitMs
    for (const task of this.queue.splice(0)) task.abandon?.()
    handOver(this)
    this.closeSa(this.current, reason)
    this.pump(now)
  }

  /** The session came to nothing, and perhaps is tried again. `tell`: the peer takes it to be up and gets a DELETE. */
  fail(failure: Failure, now: Instant, tell = false): void {
    const { connection } = this
    if ((connection.wanted || isStale(connection)) && !connection.stopping)
      connection.retryAt = connection.nextRetry(now)
    connection.fail(failure, now, connection.retryAt)
    if (!tell || this.current === undefined) {
      this.end(now, failure.cause)
      return
    }
    this.state = 'closing'
    this.closeAt = now + CLOSE_MS
    this.closeSa(this.current, failure.cause)
    this.pump(now)
  }

  /** One IKE SA is gone. The session goes on where a successor does. `linger`: it may still have to repeat its answer. */
  endSa(sa: IkeSa, now: Instant, reason: string, linger = true): void {
    const at = this.sas.indexOf(sa)
    if (at < 0) return
    this.sas.splice(at, 1)
    const reasonInWords = sa.closeReason ?? reason
    for (const other of this.sas) if (other.incoming?.sa === sa) other.incoming = undefined
    // The end of the old SA shows that the peer has the new one; a surplus one it may never have heard of.
    if (sa.successor !== undefined) sa.successor.usableAt = Math.min(sa.successor.usableAt, now)
    const surplus = sa.incoming?.sa
    if (surplus?.surplus) surplus.expireAt = now + LINGER_MS
    const heir = this.current === sa ? this.#heirOf(sa) : this.current
    this.#discard(sa, now, linger)
    const closing = this.state === 'closing' && !this.sas.some((other) => other.state === 'closing')
    if (heir === undefined || closing) this.end(now, reasonInWords)
    else if (this.current === sa) {
      this.succeed(sa, heir, now)
      heir.usableAt = Math.min(heir.usableAt, now)
    }
  }

  /** Everything of the session is gone, at once and without a word to the peer. */
  end(now: Instant, reason: string): void {
    if (this.state === 'ended') return
    const wasEstablished = this.establishedAt !== undefined
    this.state = 'ended'
    for (const sa of this.sas.splice(0)) this.#discard(sa, now, sa.answered !== undefined && sa.secrets !== undefined)
    for (const task of this.queue.splice(0)) task.abandon?.()
    this.current = undefined
    this.connection.sessionEnded(this, now)
    for (const child of openChildren(this)) closeChild(this, child, now, reason)
    this.#leaveChildren()
    if (wasEstablished) this.connection.report({ type: 'ike-closed', reason })
  }

  /** The peer's address or port changed (RFC 7296 section 2.23). */
  move(remote: SocketAddress, localPort: number): void {
    const from = this.path.remote
    if (sameSocketAddress(from, remote)) return
    this.path.remote = remote
    this.path.local = { address: this.path.local.address, port: localPort }
    for (const child of this.children) this.context.emit({ type: 'move-child', id: child.id, remoteAddress: remote })
    this.connection.report({ type: 'peer-moved', from, to: remote })
  }

  /** Closed Child SAs whose traffic another session carries see their grace out there; the others go at once. */
  #leaveChildren(): void {
    const heir = this.connection.sessions.find((session) => session.state === 'established')
    for (const child of [...this.children]) {
      if (heir === undefined || child.removeAt === undefined) removeChild(this, child)
      else heir.children.unshift(child)
    }
    this.children.length = 0
  }

  #heirOf(sa: IkeSa): IkeSa | undefined {
    const candidates = [sa.successor, sa.incoming?.sa]
    return candidates.find((candidate) => candidate !== undefined && candidate.state === 'established')
  }

  #discard(sa: IkeSa, now: Instant, linger: boolean): void {
    sa.session = undefined
    if (linger && sa.secrets !== undefined) sa.linger(now + LINGER_MS)
    else sa.destroy()
  }
}
