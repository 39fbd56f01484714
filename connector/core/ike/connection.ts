/** One configured connection: whether it should be up, its sessions, and what went wrong last. */
import type { Instant } from '../../../protocol/machine.ts'
import type { ChildSa } from './child.ts'
import { type Context, fraction } from './context.ts'
import { startTask } from './exchange.ts'
import { isStale, keysOf, supersede } from './keys.ts'
import { compareBytes } from './messages.ts'
import { Path } from './path.ts'
import type { Failure } from './report.ts'
import { IkeSa } from './sa.ts'
import { Session } from './session.ts'
import type { Slot } from './slot.ts'
import { InitTask } from './tasks/init.ts'
import { MAX_SESSIONS, SURPLUS_MS, SURPLUS_PEER_MS } from './timing.ts'
import { Traffic } from './traffic.ts'
import type { ConnectionConfig, ConnectionStatus, GroupName, IkeEvent, IkeKey } from './types.ts'

export class Connection {
  /** Its children may become others of the same names. */
  config: ConnectionConfig
  readonly context: Context
  readonly traffic = new Traffic()
  /** To be brought up, and again whenever it is lost. */
  wanted: boolean
  /** In order of creation; never an ended one. */
  readonly sessions: Session[] = []
  /** The resource of each child's first Child SA. */
  readonly home: number
  /** All resources, home first. */
  readonly resources: readonly number[]
  /** The Child SA that carries each slot's traffic. */
  readonly active = new Map<Slot, ChildSa>()
  /** The group that each child's last exchange settled on, so that the next one need not guess. */
  readonly groups = new Map<string, GroupName | undefined>()
  /** The first is the one to use; all are accepted. */
  keys: readonly IkeKey[]
  retryAt: Instant | undefined
  lastError: ConnectionStatus['lastError']
  /** What an unauthenticated answer said: it explains a failure but never causes one. */
  hint: Failure | undefined
  state: ConnectionStatus['state'] = 'idle'
  since: Instant
  stopping = false
  /** To be forgotten when its last session is over. */
  removed = false
  #pause: number

  constructor(context: Context, config: ConnectionConfig, now: Instant) {
    this.context = context
    this.config = config
    this.home = config.resource ?? 0
    if (!(this.home < context.resources)) throw new RangeError(`no resource ${this.home} for ${config.name}`)
    this.keys = keysOf(config)
    const others = Array.from({ length: context.resources }, (_, resource) => resource)
    this.resources = [this.home, ...others.filter((resource) => resource !== this.home)]
    this.wanted = config.initiate && config.remoteAddress !== undefined
    this.#pause = context.limits.retryMs
    this.since = now
    if (this.wanted) this.retryAt = now
  }

  get name(): string {
    return this.config.name
  }

  /** The session that status tells of: the newest that is up, else the newest. */
  get session(): Session | undefined {
    return this.sessions.findLast((session) => session.state === 'established') ?? this.sessions.at(-1)
  }

  /** True when some resource can send what belongs to the child. */
  carries(child: string): boolean {
    for (const sa of this.active.values()) if (sa.name === child) return true
    return false
  }

  report(event: IkeEvent): void {
    this.context.emit({ type: 'report', connection: this.name, event })
  }

  /** Says what failed, in one sentence of cause and one of remedy. */
  fail(failure: Failure, now: Instant, retryAt?: Instant): void {
    this.lastError = { ...failure, at: now }
    this.report({ type: 'failed', ...failure, ...(retryAt === undefined ? {} : { retryAt }) })
  }

  /** Sends IKE_SA_INIT, unless a session is up, under the key to use, or on its way. */
  initiate(now: Instant): void {
    const { config, context } = this
    this.retryAt = undefined
    if (this.stopping || config.remoteAddress === undefined) return
    if (this.sessions.some((session) => session.state === 'connecting')) return
    if (!isStale(this) && this.sessions.some((session) => session.state === 'established')) return
    const floated = config.remotePort === config.remoteNatPort
    const local = { address: config.localAddress, port: floated ? context.ports.natPort : context.ports.port }
    const remote = { address: config.remoteAddress, port: config.remotePort }
    const path = new Path(local, remote, config.encapsulation === 'udp')
    const spis = { localSpi: context.newIkeSpi(), remoteSpi: new Uint8Array(8) }
    const sa = new IkeSa(context, { role: 'initiator', state: 'init', path, ...spis, firstRequestId: 1 }, now)
    this.hint = undefined
    this.sessions.push(new Session(this, sa, true, now))
    this.report({ type: 'initiating', remote })
    startTask(sa, new InitTask(config), now)
  }

  /** A responder's half-open SA turned out to be this connection's. Undefined: too many already. */
  adopt(sa: IkeSa, now: Instant): Session | undefined {
    if (this.stopping) return undefined
    while (this.sessions.length >= MAX_SESSIONS) {
      this.sessions[0]!.end(now, 'the peer made too many IKE SAs')
    }
    const session = new Session(this, sa, false, now)
    this.sessions.push(session)
    return session
  }

  /** The session is up: attempts that it makes needless end, and of two that crossed one will be closed. */
  established(session: Session, now: Instant): void {
    const sa = session.current!
    this.#pause = this.context.limits.retryMs
    this.retryAt = undefined
    this.hint = undefined
    this.lastError = undefined
    this.report({
      type: 'ike-established',
      ...sa.spiTexts,
      suite: sa.suiteText ?? '',
      natDetected: session.path.natDetected,
    })
    for (const other of [...this.sessions]) {
      if (other === session) continue
      // Without AUTH from us the peer cannot have it up, so that giving it up leaves nothing behind there.
      if (other.byUs && other.current?.state === 'init') other.end(now, 'the peer was first')
      else if (other.state === 'established') this.#settle(session, other, now)
    }
    supersede(session, now)
    if (isStale(this)) this.retryAt = now
  }

  /** A session is over: begin again, after a pause where that is due. */
  sessionEnded(session: Session, now: Instant): void {
    const at = this.sessions.indexOf(session)
    if (at >= 0) this.sessions.splice(at, 1)
    if (!this.wanted || this.stopping) return
    if (this.sessions.some((other) => other.state === 'connecting' || other.state === 'established')) return
    this.retryAt ??= this.nextRetry(now)
  }

  /** When the next attempt is due: the pause doubles each time, with up to a quarter at random on top. */
  nextRetry(now: Instant): Instant {
    const pause = this.#pause
    this.#pause = Math.min(pause * 2, this.context.limits.retryMaxMs)
    return now + pause * (1 + fraction(this.context.random) / 4)
  }

  /**
   * Two sessions at once. Where they crossed, the one with the lowest of the four nonces is surplus, as RFC 7296
   * section 2.8.2 has it for rekeys: its creator closes it, and the other end does if that one knows no such rule.
   * Where the newer one was begun when the older one was up, the peer either lost the older one, which a liveness
   * check finds out, or wants both: closing one would only make it come back.
   */
  #settle(newer: Session, older: Session, now: Instant): void {
    const crossed = newer.createdAt <= (older.establishedAt ?? now) && newer.byUs !== older.byUs
    if (!crossed || newer.low === undefined || older.low === undefined) {
      older.lastHeard = Math.min(older.lastHeard, now - this.config.dpdIntervalMs)
      return
    }
    const surplus = compareBytes(newer.low, older.low) < 0 ? newer : older
    surplus.closeAt = now + (surplus.byUs ? SURPLUS_MS : SURPLUS_PEER_MS)
  }

  /** Brings `state` and `since` up to date; called after everything that can change them. */
  refresh(now: Instant): void {
    const state = this.#stateNow()
    if (state === this.state) return
    this.state = state
    this.since = now
  }

  #stateNow(): ConnectionStatus['state'] {
    if (this.sessions.some((session) => session.state === 'established')) return 'established'
    if (this.sessions.some((session) => session.state === 'connecting')) return 'connecting'
    if (this.sessions.length > 0) return 'closing'
    return this.retryAt === undefined ? 'idle' : 'waiting'
  }
}
