/** One stream of a function, from its opening to its record: what it asks for, whether it gets it, how it went. */
import { encodeAnswer, OpeningReader, type StreamOpening } from '../../../protocol/stream-exchange.ts'
import type { StreamProblem } from '../../../protocol/stream-problem.ts'
import type { SessionIdentity } from '../../../protocol/stream-session-types.ts'
import type { ServicePlan, ServiceTimeouts } from '../../core/functions/plan.ts'
import type { Asked } from '../../core/functions/policy.ts'
import type { StreamOutcome } from '../../core/functions/records.ts'
import type { CarriedStream, Carrier } from './carrier.ts'
import type { Destination } from './dial.ts'
import { problem } from './failure.ts'
import { HttpCarrier } from './http-carrier.ts'
import type { ServingContext } from './serving.ts'
import { TcpCarrier } from './tcp-carrier.ts'

/** For an opening to come, and for the function to end a stream on which there is nothing more for it. */
const PATIENCE_MS = 10_000

/** What a stream may do in its session. */
export interface StreamPort {
  readonly id: number
  writable(): boolean
  write(bytes: Uint8Array): void
  finish(): void
  consumed(length: number): void
  /** Gives it up, with a reason where there is one. The session forgets it, and does not say `gone`. */
  reset(problem?: StreamProblem): void
}

/** The session, as its streams see it. */
export interface StreamSession {
  /** For records. */
  readonly name: string
  readonly via: 'direct' | 'relay'
  readonly identity: SessionIdentity
  /** Another stream of the same session. */
  stream(id: number): ServedStream | undefined
}

export class ServedStream implements CarriedStream {
  readonly #port: StreamPort
  readonly #session: StreamSession
  readonly #context: ServingContext
  readonly #startedAt: number
  /** There is no room for it: told when it has said what it wants. */
  readonly #refusal: StreamProblem | undefined
  #reader: OpeningReader | undefined = new OpeningReader()
  #kind: StreamOpening['kind'] = 'tcp'
  #asked: Asked | undefined
  #service: string | undefined
  #request: string | undefined
  #status: number | undefined
  #carrier: Carrier | undefined
  #release: (() => void) | undefined
  #answered = false
  /** Its purpose is over. */
  #recorded = false
  #left = false
  #counted = false
  #functionEnded = false
  /** By the session. */
  #forgotten = false
  #bytesIn = 0
  #bytesOut = 0
  /** Bytes of the function that wait here. */
  #held = 0
  #activeAt: number
  #until = 0
  #timeouts: ServiceTimeouts | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(port: StreamPort, session: StreamSession, context: ServingContext) {
    this.#port = port
    this.#session = session
    this.#context = context
    this.#startedAt = Date.now()
    this.#activeAt = performance.now()
    this.#refusal = context.admission.beginStream(session.identity.function, this.#activeAt)
    this.#timer = setTimeout(() => this.#noOpening(), PATIENCE_MS)
  }

  /** Bytes of the function that nobody has taken yet. */
  get held(): number {
    return this.#held
  }

  /** The connection of a TCP stream, for TLS to begin on. */
  get tcp(): TcpCarrier | undefined {
    return this.#carrier instanceof TcpCarrier ? this.#carrier : undefined
  }

  // What the session tells.

  data(bytes: Uint8Array): void {
    if (this.#reader === undefined) {
      this.#pass(bytes)
      return
    }
    const read = this.#reader.push(bytes)
    if (read.type === 'more') this.#port.consumed(bytes.length)
    else if (read.type === 'fault') {
      this.#port.consumed(bytes.length)
      this.#refuse(problem('bad-request', `The opening of the stream makes no sense: ${read.cause}.`, UPDATE))
    } else {
      this.#port.consumed(bytes.length - read.rest.length)
      this.#opened(read.value)
      if (read.rest.length > 0) this.#pass(read.rest)
    }
  }

  ended(): void {
    this.#functionEnded = true
    if (this.#reader !== undefined) {
      this.#refuse(problem('bad-request', 'The stream ended before it said what for.', UPDATE))
    } else this.#carrier?.end()
  }

  drained(): void {
    this.#carrier?.drained()
  }

  /** Both have finished, and the session forgets it; what the service has not taken yet goes on its way. */
  closed(): void {
    this.#forgotten = true
    if (this.#recorded) this.#leave()
    else this.#context.lingering.add(this)
  }

  /** The session forgets it: the function gave it up, or the session is lost. */
  gone(outcome: StreamOutcome, why?: StreamProblem): void {
    this.#forgotten = true
    this.#end(outcome, why)
  }

  // What its carrier tells.

  get writable(): boolean {
    return this.#forgotten || this.#port.writable()
  }

  accept(remote?: string): void {
    this.#answered = true
    this.#port.write(encodeAnswer({ ok: true, ...(remote === undefined ? {} : { remote }) }))
  }

  write(bytes: Uint8Array): void {
    this.#moved(0, bytes.length)
    this.#port.write(bytes)
  }

  finish(): void {
    if (!this.#forgotten) this.#port.finish()
  }

  took(length: number): void {
    if (length === 0) return
    this.#hold(-length)
    if (!this.#forgotten) this.#port.consumed(length)
  }

  fail(why: StreamProblem): void {
    if (this.#answered) this.#giveUp(why)
    else this.#refuse(why)
  }

  done(): void {
    this.#end('ok')
    this.#awaitEnd()
  }

  // What the host tells.

  /** Ends it from here, with a reason: the memory is full, the connector stops. */
  abandon(why: StreamProblem): void {
    if (!this.#recorded) this.fail(why)
  }

  /** Ends it where the policy that is in force now would not let it begin. */
  recheck(): void {
    if (this.#recorded || this.#carrier === undefined || this.#asked === undefined) return
    const decision = this.#context.policy.decide(this.#session.identity, this.#asked)
    if (decision.type === 'refused') this.abandon(decision.problem)
  }

  #opened(opening: StreamOpening): void {
    this.#reader = undefined
    this.#kind = opening.kind
    clearTimeout(this.#timer)
    if (opening.kind !== 'start-tls') this.#asked = { kind: opening.kind, host: opening.host, port: opening.port }
    const { identity } = this.#session
    if (this.#refusal !== undefined) this.#refuse(this.#refusal)
    else if (identity.expiresAt <= this.#context.controlTime()) {
      this.#refuse(problem('token-expired', 'The session token has expired.', 'Open a session with a new grant.'))
    } else if (opening.kind === 'start-tls') this.#startTls(opening)
    else this.#connect(opening, this.#asked!)
  }

  #connect(opening: Exclude<StreamOpening, { kind: 'start-tls' }>, asked: Asked): void {
    const decision = this.#context.policy.decide(this.#session.identity, asked)
    if (decision.type === 'refused') {
      this.#service = decision.service
      this.#refuse(decision.problem)
      return
    }
    const destination: Destination =
      decision.type === 'target'
        ? { service: decision.service }
        : { service: decision.candidates[0]!, candidates: decision.candidates }
    const { service } = destination
    this.#serve(service)
    const atMost = opening.timeoutMs ?? Number.POSITIVE_INFINITY
    if (asked.kind === 'http') {
      this.#carrier = new HttpCarrier(this, {
        pools: this.#context.pools,
        destination,
        asked,
        timeoutMs: Math.min(service.timeouts.response, atMost),
        onRequest: (request) => {
          this.#request = request
        },
        onStatus: (status) => {
          this.#status = status
        },
      })
      return
    }
    const place = this.#context.places.take(service)
    if (typeof place !== 'function') {
      this.#refuse(place)
      return
    }
    this.#release = place
    const carrier = new TcpCarrier(this)
    this.#carrier = carrier
    carrier.dial({
      dialer: this.#context.dialer,
      destination,
      asked,
      tls: opening.tls === true,
      timeoutMs: Math.min(service.timeouts.connect, atMost),
      onService: (found) => this.#serve(found),
    })
  }

  #startTls({ of, after, serverName }: Extract<StreamOpening, { kind: 'start-tls' }>): void {
    const other = this.#session.stream(of)
    const before = other?.tcp
    if (other === undefined || before === undefined) {
      const remedy = 'Begin TLS on a TCP stream of this session that is open.'
      this.#refuse(problem('bad-request', `Stream ${of} is no TCP stream of this session.`, remedy))
      return
    }
    this.#asked = other.#asked
    this.#rearm(PATIENCE_MS, () => this.#noOpening())
    const carrier = new TcpCarrier(this)
    this.#carrier = carrier
    carrier.startTls({ of: before, after, ...(serverName === undefined ? {} : { serverName }) }, (service) => {
      // The connection's place goes with it.
      this.#release = other.#release
      other.#release = undefined
      this.#serve(service)
    })
  }

  /** From here on it is a stream of this service. */
  #serve(service: ServicePlan): void {
    const { records } = this.#context
    if (this.#counted && this.#service !== service.name) records.reopened(this.#service!, service.name)
    else if (!this.#counted) records.opened(service.name)
    this.#counted = true
    this.#service = service.name
    if (this.#timeouts !== undefined) return
    this.#timeouts = service.timeouts
    this.#until = performance.now() + service.timeouts.total
    this.#watch()
  }

  #pass(bytes: Uint8Array): void {
    if (this.#carrier === undefined) {
      this.#port.consumed(bytes.length)
      return
    }
    this.#moved(bytes.length, 0)
    this.#hold(bytes.length)
    this.#carrier.data(bytes)
  }

  #moved(bytesIn: number, bytesOut: number): void {
    this.#bytesIn += bytesIn
    this.#bytesOut += bytesOut
    this.#activeAt = performance.now()
    this.#context.records.moved(this.#service!, bytesIn, bytesOut)
  }

  #hold(bytes: number): void {
    this.#held += bytes
    this.#context.admission.hold(bytes)
  }

  /** Looks again when the idle time may be over; what has moved since is seen then. */
  #watch(): void {
    const { idle } = this.#timeouts!
    const at = Math.min(this.#activeAt + idle, this.#until)
    this.#rearm(Math.max(1, at - performance.now()), () => {
      const now = performance.now()
      // Of an answer that is waited for, its carrier knows when that was too long.
      if (this.#kind === 'http' && this.#status === undefined) this.#activeAt = now
      if (now >= this.#until) {
        const cause = `The stream was open for ${this.#timeouts!.total} ms, as long as it may be.`
        this.fail(problem('timed-out', cause, 'Open a new one; timeouts.total of the service is the limit.'))
      } else if (now - this.#activeAt >= idle) {
        const cause = `Nothing passed for ${idle} ms.`
        this.fail(problem('idle-timeout', cause, 'Open a new one; timeouts.idle of the service is the limit.'))
      } else this.#watch()
    })
  }

  #rearm(ms: number, then: () => void): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(then, ms)
  }

  /** There is nothing more for the function here: it ends its side too, or is made to. */
  #awaitEnd(): void {
    if (!this.#forgotten && !this.#functionEnded) this.#rearm(PATIENCE_MS, () => this.#giveUp())
  }

  #noOpening(): void {
    this.#refuse(problem('bad-request', 'The stream did not say in time what for.', UPDATE))
  }

  /** Before the answer: nothing was done. */
  #refuse(why: StreamProblem): void {
    if (this.#answered) return
    this.#answered = true
    this.#reader = undefined
    if (!this.#forgotten) this.#port.write(encodeAnswer({ ok: false, problem: why }))
    this.finish()
    this.#end(why.code, why)
    this.#awaitEnd()
  }

  #giveUp(why?: StreamProblem): void {
    if (!this.#forgotten) this.#port.reset(why)
    this.gone(why?.code ?? 'ok', why)
  }

  /** What it was for is over: the record is made, and nobody waits for a carrier. */
  #end(outcome: StreamOutcome, why?: StreamProblem): void {
    if (!this.#recorded) {
      this.#recorded = true
      clearTimeout(this.#timer)
      this.#carrier?.destroy()
      this.#carrier = undefined
      this.#release?.()
      this.#release = undefined
      this.#record(outcome, why)
      this.took(this.#held)
    }
    if (this.#forgotten) this.#leave()
  }

  #leave(): void {
    if (this.#left) return
    this.#left = true
    clearTimeout(this.#timer)
    this.#context.lingering.delete(this)
    this.#context.admission.endStream()
  }

  #record(outcome: StreamOutcome, why?: StreamProblem): void {
    const { name: session, via, identity } = this.#session
    this.#context.record(
      {
        startedAt: this.#startedAt,
        endedAt: Date.now(),
        session,
        stream: this.#port.id,
        via,
        function: identity.function,
        functionName: identity.name,
        kind: this.#kind,
        host: this.#asked?.host ?? '',
        port: this.#asked?.port ?? 0,
        ...(this.#service === undefined ? {} : { service: this.#service }),
        ...(this.#request === undefined ? {} : { request: this.#request }),
        ...(this.#status === undefined ? {} : { status: this.#status }),
        bytesIn: this.#bytesIn,
        bytesOut: this.#bytesOut,
        outcome,
        ...(why === undefined ? {} : { cause: why.cause }),
      },
      this.#counted,
    )
  }
}

const UPDATE = 'Check that both ends run current versions.'
