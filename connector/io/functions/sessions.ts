/** All sessions of a connector, and what they share. */
import type { WebSocket } from 'ws'
import type { StreamCrypto, StreamKeyPair } from '../../../protocol/stream-crypto.ts'
import type { MuxLimits } from '../../../protocol/stream-mux-types.ts'
import { type StreamProblem, streamProblem } from '../../../protocol/stream-problem.ts'
import { ReplayMemory, TicketStore } from '../../../protocol/stream-session.ts'
import type { ResponderOptions } from '../../../protocol/stream-session-types.ts'
import { Admission } from '../../core/functions/admission.ts'
import { type HandshakeResult, Handshakes } from '../../core/functions/handshakes.ts'
import type { ServicesPlan } from '../../core/functions/plan.ts'
import { ServicePolicy } from '../../core/functions/policy.ts'
import type { FlowRecord, FlowRecords } from '../../core/functions/records.ts'
import type { ConnectorEvent } from '../../handle.ts'
import { Dialer } from './dial.ts'
import { HttpPools } from './http-pools.ts'
import { type Lookup, Resolver } from './resolve.ts'
import { Places } from './serving.ts'
import { ServedSession, type SessionContext } from './session.ts'
import type { ServedStream } from './stream.ts'
import { TokenVerifier } from './tokens.ts'

export interface ServingOptions {
  readonly plan: ServicesPlan
  readonly network: string
  readonly connector: string
  /** Of the document that is in force: name of our site, and the keys that sign session tokens. */
  readonly site: () => string
  readonly tokenKeys: () => readonly string[]
  /** Milliseconds since 1970 by the control plane's clock. */
  readonly controlTime: () => number
  readonly crypto: StreamCrypto
  readonly streamKeys: StreamKeyPair
  readonly records: FlowRecords
  readonly ports: () => readonly number[]
  readonly onEvent: (event: ConnectorEvent) => void
  readonly lookup?: Lookup
}

/** Flights whose ephemeral keys are remembered: a minute of more than anybody opens. */
const REPLAY_CAPACITY = 100_000
const TICKETS = { capacity: 16_384, perFunction: 2048 } as const
/** Handed out with each session, and good for at most so long: never longer than the token behind them. */
const TICKETS_EACH = 2
const TICKET_MS = 600_000
/** Less is a clock that runs a little fast or slow. */
const CLOCK_STEP_MS = 1000
/** For streams that are open when the connector stops. */
const STOP_MS = 1000

/** Of one stream: as much as a path of 100 Mbit/s and 300 ms holds. */
const MAX_WINDOW = 4 << 20
/** Of all streams of a session beyond the 256 KiB that each begins with. */
const MAX_WINDOW_TOTAL = 16 << 20
const SEND_BUFFER = 256 << 10

export class Serving implements SessionContext {
  readonly admission: Admission
  readonly dialer: Dialer
  readonly pools: HttpPools
  readonly places = new Places()
  readonly records: FlowRecords
  readonly lingering = new Set<ServedStream>()
  readonly handshakes = new Handshakes()
  policy: ServicePolicy
  readonly #options: ServingOptions
  readonly #sessions = new Set<ServedSession>()
  readonly #tokens: TokenVerifier
  readonly #tickets = new TicketStore(TICKETS)
  #replays: ReplayMemory
  /** Of the control plane's clock to one that is never set. */
  #clockOffset: number
  #plan: ServicesPlan
  #next = 1
  #sweptAt = 0
  /** Records of which nobody has heard. */
  readonly #untold: FlowRecord[] = []
  #stopped = false
  #shedding = false

  constructor(options: ServingOptions) {
    const { plan, site, network, tokenKeys, controlTime } = options
    this.#options = options
    this.#plan = plan
    this.records = options.records
    this.admission = new Admission(plan.limits)
    this.policy = new ServicePolicy(site(), plan.services)
    this.dialer = new Dialer(new Resolver(options.lookup), options.ports)
    this.pools = new HttpPools(this.dialer)
    this.#tokens = new TokenVerifier({ network, site, keys: tokenKeys, now: controlTime })
    this.#replays = new ReplayMemory({ start: controlTime(), capacity: REPLAY_CAPACITY })
    this.#clockOffset = controlTime() - performance.now()
    this.#warmUp()
  }

  get plan(): ServicesPlan {
    return this.#plan
  }

  /** Services that did not change keep their connections; streams that would not be let in now end. */
  set plan(plan: ServicesPlan) {
    const kept = new Map(this.#plan.services.map((service) => [JSON.stringify(service), service]))
    const services = plan.services.map((service) => kept.get(JSON.stringify(service)) ?? service)
    this.#plan = { ...plan, services }
    this.admission.limits = plan.limits
    this.policy = new ServicePolicy(this.#options.site(), services)
    this.pools.retain(new Set(services))
    this.#warmUp()
    for (const session of this.#sessions) session.eachStream((stream) => stream.recheck())
  }

  get sessions(): ReadonlySet<ServedSession> {
    return this.#sessions
  }

  controlTime(): number {
    return this.#options.controlTime()
  }

  /** Room for one more handshake; if so it counts as begun. */
  admit(): boolean {
    if (this.#stopped) return false
    const room = this.admission.beginHandshake()
    if (!room) this.handshake('shed')
    return room
  }

  /** After `admit`. */
  serve(socket: WebSocket, via: 'direct' | 'relay', firstFlight: Uint8Array | undefined): void {
    const session = new ServedSession(`s${this.#next++}`, socket, via, this)
    this.#sessions.add(session)
    if (this.#stopped) session.end(STOPPING, 4503)
    else if (firstFlight !== undefined) session.begin(firstFlight)
  }

  responder(): Omit<ResponderOptions, 'now'> {
    const { crypto, connector, streamKeys } = this.#options
    const limits: MuxLimits = {
      maxPeerStreams: this.#plan.limits.streamsPerSession,
      maxWindow: MAX_WINDOW,
      maxWindowTotal: Math.min(MAX_WINDOW_TOTAL, this.#plan.limits.memory),
      sendBuffer: SEND_BUFFER,
    }
    return {
      crypto,
      connector,
      staticKeys: streamKeys,
      authorize: (token, key) => this.#tokens.authorize(token, key),
      admitEarly: (ephemeral, time) => this.#replays.admit(ephemeral, time, this.controlTime()),
      takeTicket: (id) => this.#tickets.take(id, performance.now()),
      keepTicket: (id, secret, identity, goodMs) => {
        // Not beyond the token: whoever has lost a right has no way round that by what it got before.
        const left = Math.max(0, Math.min(goodMs, identity.expiresAt - this.controlTime()))
        this.#tickets.keep(id, secret, identity, left, performance.now())
      },
      tickets: TICKETS_EACH,
      ticketMs: TICKET_MS,
      limits,
    }
  }

  handshake(result: HandshakeResult, why?: StreamProblem): void {
    const count = this.handshakes.count(result, performance.now())
    if (count === 0) return
    const times = count === 1 ? '' : ` (${count} since the last such line)`
    const message = `a handshake of a function failed: ${why?.cause ?? 'there are too many at once.'}${times}`
    this.#options.onEvent({ type: 'warning', code: `handshake-${result}`, message })
  }

  record(record: FlowRecord, wasOpen: boolean): void {
    this.records.closed(record, wasOpen)
    this.#untold.push(record)
    // Behind what is sent in this turn: the function does not wait for a line of the log.
    if (this.#untold.length === 1) setImmediate(() => this.#tell())
  }

  #tell(): void {
    for (const record of this.#untold.splice(0)) this.#options.onEvent({ type: 'stream', record })
  }

  /** Ends what holds most, until it is no more than may. */
  overfull(): void {
    if (this.#shedding) return
    this.#shedding = true
    while (this.admission.overfull && this.#shed()) this.admission.refuse('memory')
    this.#shedding = false
  }

  fault(error: unknown): void {
    const reason = error instanceof Error ? `${error.message}\n${error.stack ?? ''}` : String(error)
    this.#options.onEvent({ type: 'warning', code: 'session-fault', message: `this should not happen: ${reason}` })
  }

  over(session: ServedSession): void {
    this.#sessions.delete(session)
  }

  /** To be called about once a second. */
  look(now: number): void {
    for (const session of this.#sessions) session.look(now)
    this.#watchClock()
    if (this.policy.site !== this.#options.site()) {
      this.policy = new ServicePolicy(this.#options.site(), this.#plan.services)
    }
    if (now - this.#sweptAt < 10_000) return
    this.#sweptAt = now
    this.pools.sweep()
  }

  /** Times before the clock was set mean nothing any more: what they would admit is forgotten with them. */
  #watchClock(): void {
    const offset = this.controlTime() - performance.now()
    if (Math.abs(offset - this.#clockOffset) < CLOCK_STEP_MS) return
    this.#clockOffset = offset
    this.#replays = new ReplayMemory({ start: this.controlTime(), capacity: REPLAY_CAPACITY })
  }

  /** Open streams are told why, and have a moment. */
  async stop(why: StreamProblem): Promise<void> {
    this.#stopped = true
    for (const session of this.#sessions) session.drain(why)
    const until = performance.now() + STOP_MS
    while (this.#busy() && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 20))
    for (const session of [...this.#sessions]) session.end(why, 4503)
    for (const stream of [...this.lingering]) stream.abandon(why)
    this.pools.stop()
    this.#tickets.clear()
    this.#tell()
  }

  #busy(): boolean {
    return [...this.#sessions].some(({ streams }) => streams > 0) || this.lingering.size > 0
  }

  #warmUp(): void {
    for (const service of this.#plan.services) this.pools.warmUp(service)
  }

  /** False where nothing holds anything. */
  #shed(): boolean {
    let stream: ServedStream | undefined
    let session: ServedSession | undefined
    const look = (one: ServedStream) => {
      if (one.held > (stream?.held ?? 0)) stream = one
    }
    for (const one of this.#sessions) {
      if (one.waiting > (session?.waiting ?? 0)) session = one
      one.eachStream(look)
    }
    for (const one of this.lingering) look(one)
    if (session !== undefined && session.waiting > (stream?.held ?? 0)) session.end(TOO_MUCH, 1001)
    else stream?.abandon(TOO_MUCH)
    return stream !== undefined || session !== undefined
  }
}

const STOPPING = streamProblem('draining', 'The connector stops.', 'Ask another connector, or again.')
/** Not `overloaded`, which promises that nothing was done. */
const TOO_MUCH = streamProblem(
  'connection-reset',
  'Too much waited in the memory of the connector, most of it here.',
  'Read faster, or raise limits.memory in services.yaml of the connector.',
)
