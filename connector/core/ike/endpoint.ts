/**
 * IKEv2 of one host (RFC 7296), initiator and responder, as one machine without I/O: datagrams, commands and time go
 * in; datagrams, Child SAs and reports come out. Each datagram goes by its SPI to an IKE SA, or to `accept.ts`.
 */
import { type Instant, type Machine, type RandomBytes, unreachable } from '../../../protocol/machine.ts'
import { sameSocketAddress } from '../../../protocol/net.ts'
import { acceptInit, sendPlain } from './accept.ts'
import { command } from './commands.ts'
import { Connection } from './connection.ts'
import type { Context } from './context.ts'
import { CookieMint } from './cookie.ts'
import type { IkeCrypto } from './crypto.ts'
import { type Received, receive } from './exchange.ts'
import { compareBytes, hex, isZero, notify } from './messages.ts'
import { DEFAULT_LIMITS } from './retransmit.ts'
import type { IkeSa } from './sa.ts'
import { ChildSpis, MAX_SPI_TRIES } from './spis.ts'
import { connectionStatus, type IkeSaStatus, ikeSaStatus } from './status.ts'
import { COOKIE_MS } from './timing.ts'
import type {
  ConnectionConfig,
  ConnectionStatus,
  EndpointLimits,
  IkeCounters,
  IkeEffect,
  IkeInput,
  LocalPorts,
} from './types.ts'
import { deadlineOf, tick } from './upkeep.ts'
import { EXCHANGE } from './wire/constants.ts'
import { isDecodeError } from './wire/decode-error.ts'
import { decodeHeader } from './wire/header.ts'
import { decodeMessage } from './wire/message.ts'
import { NOTIFY } from './wire/notify.ts'
import type { IkeMessage } from './wire/types.ts'

export type { IkeSaStatus }
export { DEFAULT_LIMITS }

export interface EndpointOptions {
  readonly ports: LocalPorts
  /** Names are unique. */
  readonly connections: readonly ConnectionConfig[]
  readonly limits: EndpointLimits
  readonly crypto: IkeCrypto
  readonly random: RandomBytes
  /** True: keys come out as `key-log` effects. */
  readonly keyLog?: boolean
  /** Packet workers, 1 to 16, each of which gets Child SAs of its own where the peer agrees (RFC 9611). Absent: 1. */
  readonly resources?: number
}

/** Answers to messages of unknown SAs or versions: this many at once, and as many per second. */
const UNPROTECTED_PER_SECOND = 10

export class IkeEndpoint implements Machine<IkeInput, IkeEffect> {
  readonly #context: Context
  readonly #connections = new Map<string, Connection>()
  readonly #deadlines = new Map<Connection, Instant | undefined>()
  /** By our SPI in hex. */
  readonly #sas = new Map<string, IkeSa>()
  /** SAs without session: half-open ones, and finished ones that linger. */
  readonly #orphans = new Set<IkeSa>()
  readonly #effects: IkeEffect[] = []
  readonly #cookies: CookieMint
  #cookiesRotatedAt: Instant
  #polled = 0
  #lastChildId = 0
  #answers = { left: UNPROTECTED_PER_SECOND, since: 0 }
  #stopping: 'no' | 'yes' | 'done' = 'no'

  constructor(options: EndpointOptions, now: Instant) {
    this.#context = this.#makeContext(options)
    this.#cookies = new CookieMint(options.crypto, options.random(32))
    this.#cookiesRotatedAt = now
    for (const config of options.connections) {
      if (!this.#add(config, now)) throw new TypeError(`two connections are called ${config.name}`)
    }
  }

  handle(input: IkeInput, now: Instant): void {
    switch (input.type) {
      case 'datagram':
        this.#datagram(input, now)
        return
      case 'time':
        this.#time(now)
        return
      case 'shutdown':
        this.#shutdown(now)
        return
      case 'add-connection':
        this.#add(input.config, now)
        return
      case 'remove-connection':
        this.#remove(input.connection, now)
        return
      case 'set-keys':
      case 'set-children':
      case 'initiate':
      case 'terminate':
      case 'rekey-ike':
      case 'rekey-child':
      case 'child-limit':
      case 'child-refused':
      case 'child-traffic':
      case 'peer-moved': {
        const connection = this.#connections.get(input.connection)
        if (connection === undefined) return
        command(connection, input, now)
        this.#touch(connection, now)
        return
      }
      default:
        unreachable(input)
    }
  }

  poll(): IkeEffect | undefined {
    const effect = this.#effects[this.#polled]
    if (effect === undefined) {
      this.#effects.length = 0
      this.#polled = 0
      return undefined
    }
    this.#polled++
    return effect
  }

  deadline(): Instant | undefined {
    let earliest = Number.POSITIVE_INFINITY
    for (const at of this.#deadlines.values()) if (at !== undefined && at < earliest) earliest = at
    for (const { expireAt } of this.#orphans) if (expireAt !== undefined && expireAt < earliest) earliest = expireAt
    return earliest === Number.POSITIVE_INFINITY ? undefined : earliest
  }

  /** One entry for each configured connection, in the order of the configuration. */
  status(_now: Instant): ConnectionStatus[] {
    return [...this.#connections.values()].map(connectionStatus)
  }

  counters(): IkeCounters {
    return { ...this.#context.counters }
  }

  /** Every IKE SA that belongs to a peer, those on their way out included. */
  ikeSas(): IkeSaStatus[] {
    return [...this.#connections.values()].flatMap(ikeSaStatus)
  }

  /** The machine's inside, to be looked at in tests. */
  connection(name: string): Connection | undefined {
    return this.#connections.get(name)
  }

  #datagram(input: Extract<IkeInput, { type: 'datagram' }>, now: Instant): void {
    const { bytes, local, remote } = input
    const message = decodeMessage(bytes)
    if (isDecodeError(message)) {
      this.#undecodable(input, message.error === 'invalid-major-version', now)
      return
    }
    const received = { bytes, message, local, remote }
    const { header } = message
    if (isFirstRequest(message)) {
      this.#firstRequest(received, now)
      return
    }
    const sa = this.#sas.get(hex(header.flags.initiator ? header.responderSpi : header.initiatorSpi))
    if (sa === undefined || !belongs(sa, message)) {
      this.#context.counters.unknownSpi++
      if (!header.flags.response && header.exchangeType !== EXCHANGE.IKE_SA_INIT)
        this.#answerUnprotected(received, NOTIFY.INVALID_IKE_SPI, now)
      return
    }
    const before = sa.session?.connection
    receive(sa, received, now)
    const after = sa.session?.connection
    if (before !== undefined) this.#touch(before, now)
    if (after !== undefined && after !== before) this.#touch(after, now)
    // A refused IKE_AUTH reports to a connection that has no session of this SA.
    if (sa.session !== undefined) this.#orphans.delete(sa)
  }

  #firstRequest(received: Received, now: Instant): void {
    const known = this.#halfOpenOf(received)
    if (known !== undefined) {
      this.#context.counters.replayed++
      const { request, response } = known.halfOpen!
      if (compareBytes(request, received.bytes) !== 0) return
      this.#context.emit({ type: 'send', local: received.local, remote: received.remote, bytes: response })
      return
    }
    if (now - this.#cookiesRotatedAt >= COOKIE_MS) {
      this.#cookies.rotate(this.#context.random(32))
      this.#cookiesRotatedAt = now
    }
    let halfOpen = 0
    for (const sa of this.#orphans) if (sa.state === 'half-open') halfOpen++
    const connections = this.#stopping === 'no' ? [...this.#connections.values()] : []
    const doorway = { context: this.#context, connections, cookies: this.#cookies, halfOpen }
    const sa = acceptInit(doorway, received, now)
    if (sa !== undefined) this.#orphans.add(sa)
  }

  #halfOpenOf({ message, remote }: Received): IkeSa | undefined {
    for (const sa of this.#orphans) {
      if (sa.halfOpen === undefined || !sameSocketAddress(sa.path.remote, remote)) continue
      if (compareBytes(sa.remoteSpi, message.header.initiatorSpi) === 0) return sa
    }
    return undefined
  }

  #undecodable(input: Extract<IkeInput, { type: 'datagram' }>, version: boolean, now: Instant): void {
    const { counters } = this.#context
    if (!version) {
      counters.malformed++
      return
    }
    counters.unknownVersion++
    const header = decodeHeader(input.bytes)
    if (isDecodeError(header) || header.flags.response || header.majorVersion < 2) return
    const received = { ...input, message: { header, payloads: [] } }
    this.#answerUnprotected(received, NOTIFY.INVALID_MAJOR_VERSION, now)
  }

  /** Nobody can know who asked, so these answers are few (RFC 7296 section 2.21.4). */
  #answerUnprotected(received: Received, type: number, now: Instant): void {
    if (now - this.#answers.since >= 1000) this.#answers = { left: UNPROTECTED_PER_SECOND, since: now }
    if (this.#answers.left === 0) return
    this.#answers.left--
    sendPlain(this.#context, received, received.message.header.responderSpi, [notify(type)])
  }

  /** Returns whether there was none of that name. */
  #add(config: ConnectionConfig, now: Instant): boolean {
    if (this.#connections.has(config.name)) return false
    const connection = new Connection(this.#context, config, now)
    connection.stopping = this.#stopping !== 'no'
    this.#connections.set(config.name, connection)
    this.#deadlines.set(connection, connection.retryAt)
    return true
  }

  #remove(name: string, now: Instant): void {
    const connection = this.#connections.get(name)
    if (connection === undefined) {
      this.#context.emit({ type: 'connection-removed', connection: name })
      return
    }
    connection.removed = true
    this.#stop(connection, now, 'its connection was removed')
  }

  #stop(connection: Connection, now: Instant, reason: string): void {
    connection.stopping = true
    connection.retryAt = undefined
    for (const session of [...connection.sessions]) session.close(now, reason)
    this.#touch(connection, now)
  }

  #time(now: Instant): void {
    for (const sa of this.#orphans) {
      if (sa.expireAt !== undefined && sa.expireAt <= now) sa.destroy()
    }
    for (const [connection, at] of this.#deadlines) {
      if (at !== undefined && at <= now) this.#touch(connection, now)
    }
  }

  #forget(connection: Connection): void {
    if (!this.#connections.delete(connection.name)) return
    this.#deadlines.delete(connection)
    for (const { psk } of connection.keys) psk.fill(0)
    this.#context.emit({ type: 'connection-removed', connection: connection.name })
  }

  #shutdown(now: Instant): void {
    if (this.#stopping !== 'no') return
    this.#stopping = 'yes'
    for (const connection of this.#connections.values()) {
      this.#stop(connection, now, 'this end is shutting down')
    }
    this.#finishStopping()
  }

  #finishStopping(): void {
    if (this.#stopping !== 'yes') return
    for (const connection of this.#connections.values()) if (connection.sessions.length > 0) return
    this.#stopping = 'done'
    for (const sa of [...this.#orphans]) if (sa.state === 'half-open') sa.destroy()
    this.#context.emit({ type: 'stopped' })
  }

  /** Does what is due for the connection and notes when it wants to be woken. */
  #touch(connection: Connection, now: Instant): void {
    for (const session of [...connection.sessions]) tick(session, now)
    if (connection.retryAt !== undefined && connection.retryAt <= now) connection.initiate(now)
    connection.refresh(now)
    let earliest = connection.retryAt
    for (const session of connection.sessions) {
      const at = deadlineOf(session)
      if (at !== undefined && (earliest === undefined || at < earliest)) earliest = at
    }
    this.#deadlines.set(connection, earliest)
    if (connection.removed && connection.sessions.length === 0) this.#forget(connection)
    this.#finishStopping()
  }

  #makeContext(options: EndpointOptions): Context {
    const { ports, limits, crypto, random, resources = 1 } = options
    const childSpis = new ChildSpis(random, resources)
    return {
      ports,
      limits,
      crypto,
      random,
      resources,
      keyLog: options.keyLog ?? false,
      counters: {
        malformed: 0,
        unknownVersion: 0,
        unknownSpi: 0,
        integrityFailed: 0,
        replayed: 0,
        cookiesDemanded: 0,
        halfOpenRefused: 0,
        retransmits: 0,
        noConnection: 0,
      },
      emit: (effect) => this.#effects.push(effect),
      newIkeSpi: () => this.#newIkeSpi(random),
      newChildSpi: (resource) => childSpis.take(resource),
      releaseChildSpi: (spi) => childSpis.release(spi),
      newChildId: () => ++this.#lastChildId,
      register: (sa) => this.#sas.set(hex(sa.localSpi), sa),
      unregister: (sa) => {
        this.#sas.delete(hex(sa.localSpi))
        this.#orphans.delete(sa)
      },
      linger: (sa) => this.#orphans.add(sa),
    }
  }

  #newIkeSpi(random: RandomBytes): Uint8Array {
    for (let tries = 0; tries < MAX_SPI_TRIES; tries++) {
      const spi = random(8)
      if (!isZero(spi) && !this.#sas.has(hex(spi))) return spi
    }
    throw new RangeError('the random source yields no fresh SPI')
  }
}

function isFirstRequest({ header }: IkeMessage): boolean {
  const { flags, exchangeType, responderSpi, messageId } = header
  return (
    exchangeType === EXCHANGE.IKE_SA_INIT &&
    flags.initiator &&
    !flags.response &&
    messageId === 0 &&
    isZero(responderSpi)
  )
}

/** The header's flag and the peer's SPI fit; before IKE_SA_INIT is answered any SPI of the peer does. */
function belongs(sa: IkeSa, { header }: IkeMessage): boolean {
  if (header.flags.initiator !== (sa.role === 'responder')) return false
  if (sa.state === 'init') return header.exchangeType === EXCHANGE.IKE_SA_INIT && header.flags.response
  return compareBytes(sa.remoteSpi, sa.role === 'initiator' ? header.responderSpi : header.initiatorSpi) === 0
}
