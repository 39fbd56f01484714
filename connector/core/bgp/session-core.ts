/** What a session does: its connections, its timers, and what ends them. `session.ts` and `receive.ts` say when. */
import type { Instant, RandomBytes } from '../../../protocol/machine.ts'
import { type Connection, furthest, hasOpened, newConnection } from './connection.ts'
import { openOf } from './negotiate.ts'
import type {
  CeaseReason,
  ConnectionId,
  DownCause,
  RouteInput,
  SessionConfig,
  SessionEffect,
  SessionState,
} from './session-types.ts'
import { backOff, IN_FLIGHT, jittered, OPEN_HOLD_MS, SEND_HOLD_MS, SETTLED_MS } from './timing.ts'
import {
  CEASE,
  ERROR,
  encodeKeepalive,
  encodeNotification,
  encodeOpen,
  hardResetData,
  notification,
  shutdownData,
} from './wire/codec.ts'

export class SessionCore {
  readonly config: SessionConfig
  private readonly random: RandomBytes
  private readonly connections = new Map<ConnectionId, Connection>()
  private effects: SessionEffect[] = []
  private taken = 0
  private started = false
  /** Refuses and does nothing until then: the IdleHoldTimer. */
  private idleUntil: Instant | undefined
  private retryAt: Instant | undefined
  private restartingUntil = Number.NEGATIVE_INFINITY
  /** A session of ours ended, and we went on forwarding. */
  private hasLived = false
  /** Connections of ours so far: their names come from it. */
  attempts: number
  /** ConnectRetryCounter. */
  private failures = 0

  constructor(config: SessionConfig, random: RandomBytes, attempts: number) {
    this.config = config
    this.random = random
    this.attempts = attempts
  }

  get state(): SessionState {
    if (!this.started || this.idleUntil !== undefined) return 'idle'
    return furthest(this.connections.values()) ?? 'active'
  }

  poll(): SessionEffect | undefined {
    const effect = this.effects[this.taken]
    if (effect === undefined) {
      this.effects = []
      this.taken = 0
    } else this.taken++
    return effect
  }

  deadline(): Instant | undefined {
    let earliest = Math.min(this.idleUntil ?? Number.POSITIVE_INFINITY, this.retryAt ?? Number.POSITIVE_INFINITY)
    for (const { holdAt, keepaliveAt, sendHoldAt } of this.connections.values()) {
      for (const at of [holdAt, keepaliveAt, sendHoldAt]) if (at !== undefined) earliest = Math.min(earliest, at)
    }
    return earliest === Number.POSITIVE_INFINITY ? undefined : earliest
  }

  find(id: ConnectionId): Connection | undefined {
    return this.connections.get(id)
  }

  established(): Connection | undefined {
    for (const connection of this.connections.values()) if (connection.state === 'established') return connection
    return undefined
  }

  /** Event 1 and 3. */
  start(restarting: boolean, now: Instant): void {
    if (this.started) return
    this.started = true
    this.failures = 0
    const { gracefulRestart } = this.config
    if (restarting && gracefulRestart !== undefined) this.restartingUntil = now + gracefulRestart.restartTimeS * 1000
    this.begin(now)
  }

  private begin(now: Instant): void {
    this.idleUntil = undefined
    this.emit({ type: 'listen', accept: true, transport: this.config.transport })
    if (!this.config.passive) this.connect(now)
  }

  private connect(now: Instant): void {
    const connection = newConnection(`out-${++this.attempts}`, 'outgoing')
    this.connections.set(connection.id, connection)
    this.retryAt = now + jittered(this.config.connectRetryMs, this.random)
    this.emit({ type: 'connect', connection: connection.id, transport: this.config.transport })
  }

  /** TCP is there: our OPEN goes first (Event 16 and 17). */
  open(connection: Connection, now: Instant): void {
    this.retryAt = undefined
    connection.state = 'open-sent'
    connection.openedAt = now
    connection.holdAt = now + OPEN_HOLD_MS
    this.send(connection, encodeOpen(openOf(this.config, now < this.restartingUntil, this.hasLived)), now)
  }

  /** Event 17, or 15 where the neighbour is not welcome. */
  incoming(id: ConnectionId, now: Instant): void {
    const connection = newConnection(id, 'incoming')
    if (this.state === 'idle' || this.connections.has(id)) {
      this.emit({ type: 'close', connection: id })
      return
    }
    const established = this.established()
    if (established !== undefined && established.negotiated?.gracefulRestart === undefined) {
      // RFC 4271 section 6.8: an established connection wins, and nothing of the new one need be read.
      this.connections.set(id, connection)
      connection.state = 'open-sent'
      this.notify(connection, ERROR.cease, CEASE.collisionResolution, NO_DATA, now)
      this.drop(connection)
      return
    }
    if (established !== undefined) this.replace(established)
    // The neighbour began anew: what it began before is dead.
    for (const other of [...this.connections.values()]) if (other.origin === 'incoming') this.drop(other)
    this.connections.set(id, connection)
    this.open(connection, now)
  }

  /** RFC 4724 section 5: the neighbour restarted before we saw its old connection end. */
  private replace(established: Connection): void {
    this.goDown(established, { kind: 'replaced' }, true)
    this.drop(established)
  }

  /** Event 18. */
  lost(connection: Connection, now: Instant): void {
    const { state } = connection
    if (state === 'established') this.goDown(connection, { kind: 'closed' }, true)
    this.connections.delete(connection.id)
    // Before the neighbour's OPEN nothing has failed but TCP: it is tried again, and the neighbour may try too.
    if (state === 'connect' || state === 'open-sent') this.rest(now)
    else this.failed(connection, now)
  }

  /** With no connection left, waits for the neighbour and for the next attempt. */
  private rest(now: Instant): void {
    const opened = [...this.connections.values()].some(hasOpened)
    if (opened || this.config.passive) return
    this.retryAt ??= now + jittered(this.config.connectRetryMs, this.random)
  }

  /** Idle, with a wait that grows; unless another connection goes on. */
  private failed(connection: Connection, now: Instant, holdMs?: number): void {
    if ([...this.connections.values()].some(hasOpened)) return
    const { establishedAt } = connection
    if (establishedAt !== undefined && now - establishedAt >= SETTLED_MS) this.failures = 0
    this.failures++
    this.idle(now + (holdMs ?? jittered(backOff(this.config.idleHoldMs, this.failures), this.random)))
  }

  private idle(until: Instant | undefined): void {
    for (const connection of [...this.connections.values()]) this.drop(connection)
    this.retryAt = undefined
    if (this.idleUntil === undefined) this.emit({ type: 'listen', accept: false, transport: this.config.transport })
    this.idleUntil = until
  }

  /** Event 2 and 8. */
  stop(reason: CeaseReason, now: Instant): void {
    if (!this.started) return
    const waiting = this.idleUntil !== undefined
    this.cease(reason, false, now)
    if (!waiting) this.idle(undefined)
    this.idleUntil = undefined
    this.started = false
  }

  /** Ends everything and starts anew after `holdMs`, or the usual wait. */
  reset(reason: CeaseReason, now: Instant, holdMs: number | undefined, keepRoutes: boolean): void {
    if (!this.started) return
    if (this.idleUntil !== undefined) {
      if (holdMs !== undefined) this.idleUntil = now + holdMs
      return
    }
    this.cease(reason, keepRoutes, now)
    this.failures++
    this.idle(now + (holdMs ?? jittered(backOff(this.config.idleHoldMs, this.failures), this.random)))
  }

  private cease({ subcode, communication, data = NO_DATA }: CeaseReason, keepRoutes: boolean, now: Instant): void {
    const told = subcode === CEASE.administrativeShutdown || subcode === CEASE.administrativeReset
    const content = told && communication !== undefined ? shutdownData(communication) : data
    for (const connection of [...this.connections.values()]) {
      if (connection.state === 'established') {
        this.goDown(connection, { kind: 'stopped', code: ERROR.cease, subcode }, keepRoutes)
      }
      if (hasOpened(connection)) this.notify(connection, ERROR.cease, subcode, content, now)
      this.drop(connection)
    }
  }

  /** Ends a connection with a NOTIFICATION, for an error or a timer. */
  fail(connection: Connection, code: number, subcode: number, data: Uint8Array, now: Instant): void {
    const { state, negotiated } = connection
    if (state === 'established') {
      const keep = negotiated?.gracefulRestart?.notification ?? false
      this.goDown(connection, { kind: 'failed', code, subcode }, keep)
    }
    this.notify(connection, code, subcode, data, now)
    this.drop(connection)
    this.failed(connection, now)
  }

  /** The neighbour ended it with a NOTIFICATION. `keep`: it said that routes may stay (RFC 8538 section 4). */
  notified(connection: Connection, code: number, subcode: number, keep: boolean, now: Instant): void {
    if (connection.state === 'established') this.goDown(connection, { kind: 'notified', code, subcode }, keep)
    this.drop(connection)
    // The neighbour prefers our other connection, which it may know to be there before we do.
    const collided = code === ERROR.cease && subcode === CEASE.collisionResolution && this.connections.size > 0
    if (collided) this.rest(now)
    else this.failed(connection, now)
  }

  /** Loses a collision: the other connection goes on (Event 23). */
  dump(connection: Connection, now: Instant): void {
    if (hasOpened(connection)) this.notify(connection, ERROR.cease, CEASE.collisionResolution, NO_DATA, now)
    this.drop(connection)
  }

  others(connection: Connection): Connection[] {
    return [...this.connections.values()].filter((other) => other !== connection)
  }

  has(connection: Connection): boolean {
    return this.connections.get(connection.id) === connection
  }

  emit(effect: SessionEffect): void {
    this.effects.push(effect)
  }

  send(connection: Connection, bytes: Uint8Array, now: Instant): void {
    connection.inFlight += bytes.length
    connection.sendHoldAt ??= sendHoldAt(connection, now)
    this.emit({ type: 'send', connection: connection.id, bytes })
  }

  sendKeepalive(connection: Connection, now: Instant): void {
    this.send(connection, encodeKeepalive(), now)
    this.armKeepalive(connection, now)
  }

  /** A third of the hold time, jittered; any message that the hold timer counts puts it off. */
  private armKeepalive(connection: Connection, now: Instant): void {
    const holdTimeS = connection.negotiated?.holdTimeS ?? 0
    connection.keepaliveAt = holdTimeS === 0 ? undefined : now + jittered((holdTimeS * 1000) / 3, this.random)
  }

  private notify(connection: Connection, code: number, subcode: number, data: Uint8Array, now: Instant): void {
    const hard = code === ERROR.cease && HARD.has(subcode) && connection.negotiated?.gracefulRestart?.notification
    const message = hard
      ? notification(ERROR.cease, CEASE.hardReset, hardResetData(code, subcode, data))
      : notification(code, subcode, data)
    this.send(connection, encodeNotification(message), now)
    this.emit({ type: 'notification', direction: 'sent', message })
  }

  private drop(connection: Connection): void {
    this.connections.delete(connection.id)
    this.emit({ type: 'close', connection: connection.id })
  }

  private goDown({ negotiated }: Connection, cause: DownCause, mayKeep: boolean): void {
    this.hasLived = true
    const restart = mayKeep ? negotiated?.gracefulRestart : undefined
    this.emit({ type: 'down', cause, keep: restart?.families ?? [], restartTimeS: restart?.restartTimeS ?? 0 })
  }

  /** The timers that are due (Events 9, 10, 11 and 13). */
  passed(now: Instant): void {
    if (isDue(this.idleUntil, now)) this.begin(now)
    if (isDue(this.retryAt, now)) this.retry(now)
    for (const connection of [...this.connections.values()]) {
      // The one before may have ended them all.
      if (!this.has(connection)) continue
      if (isDue(connection.holdAt, now)) this.fail(connection, ERROR.holdTimer, 0, NO_DATA, now)
      else if (isDue(connection.sendHoldAt, now)) this.fail(connection, ERROR.sendHoldTimer, 0, NO_DATA, now)
      else if (isDue(connection.keepaliveAt, now)) this.sendKeepalive(connection, now)
    }
  }

  /** Event 9: what did not come about until now is given up. */
  private retry(now: Instant): void {
    for (const connection of [...this.connections.values()]) if (!hasOpened(connection)) this.drop(connection)
    this.connect(now)
  }

  /** As Event 9, or 13 where it is idle; what has failed until now still counts for the next wait. */
  pathUp(now: Instant): void {
    if (!this.started || [...this.connections.values()].some(hasOpened)) return
    if (this.idleUntil !== undefined) this.begin(now)
    else if (!this.config.passive) this.retry(now)
  }

  /** Octets have left for the kernel. */
  sent(connection: Connection, octets: number, now: Instant): void {
    connection.inFlight = Math.max(0, connection.inFlight - octets)
    connection.sendHoldAt = sendHoldAt(connection, now)
  }

  /** Queues what is to be sent; without a session there is nothing to send it on. */
  route(input: RouteInput): void {
    const connection = this.established()
    const negotiated = connection?.negotiated
    if (connection === undefined || negotiated === undefined) return
    const family = 'family' in input ? input.family : input.prefixes.family
    if (!negotiated.families.includes(family)) return
    if (input.type === 'request-refresh' && !negotiated.routeRefresh) return
    if ((input.type === 'refresh-begin' || input.type === 'refresh-end') && !negotiated.enhancedRefresh) return
    if (connection.queue?.offer(input)) return
    connection.full = true
    this.emit({ type: 'refused', input })
  }

  /** Packs routes while the kernel takes them. */
  pump(now: Instant): void {
    const connection = this.established()
    const queue = connection?.queue
    if (connection === undefined || queue === undefined) return
    while (connection.inFlight < IN_FLIGHT) {
      const packed = queue.next()
      if (packed === undefined) break
      if (packed.unsendable !== undefined) this.emit({ type: 'unsendable', prefixes: packed.unsendable })
      if (packed.message === undefined) continue
      this.send(connection, packed.message, now)
      this.armKeepalive(connection, now)
    }
    if (connection.full && queue.hasRoom) {
      connection.full = false
      this.emit({ type: 'room' })
    }
  }
}

const NO_DATA = new Uint8Array(0)

/** RFC 8538 section 4: what an operator ends is over. */
const HARD: ReadonlySet<number> = new Set([
  CEASE.maximumPrefixes,
  CEASE.administrativeShutdown,
  CEASE.peerDeconfigured,
  CEASE.administrativeReset,
])

/** RFC 9687 section 4.4: runs while octets wait for the kernel; a hold time of 0 has none. */
function sendHoldAt({ inFlight, negotiated }: Connection, now: Instant): Instant | undefined {
  const holdTimeS = negotiated?.holdTimeS ?? 0
  return inFlight === 0 || holdTimeS === 0 ? undefined : now + Math.max(SEND_HOLD_MS, 2000 * holdTimeS)
}

function isDue(at: Instant | undefined, now: Instant): boolean {
  return at !== undefined && at <= now
}
