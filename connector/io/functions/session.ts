/** One session of a function: a `ResponderSession` on a WebSocket, and the streams in it. */
import type { WebSocket } from 'ws'
import { type StreamProblem, streamProblem } from '../../../protocol/stream-problem.ts'
import { ResponderSession } from '../../../protocol/stream-session.ts'
import type {
  ResponderOptions,
  SessionEffect,
  SessionIdentity,
  SessionInput,
} from '../../../protocol/stream-session-types.ts'
import type { HandshakeResult } from '../../core/functions/handshakes.ts'
import { closeReason } from './close.ts'
import type { ServingContext } from './serving.ts'
import { ServedStream, type StreamPort, type StreamSession } from './stream.ts'

/** From the first byte to a sign of life behind the handshake. */
export const HANDSHAKE_MS = 10_000
/** Without a stream. */
export const IDLE_MS = 300_000
/** Between pings while nothing is heard, and until nobody is believed to be there. */
export const PING_MS = 30_000
export const SILENT_MS = 90_000
/** Bytes that may wait in the socket before the session holds back, and from which on it goes on. */
const SOCKET_HIGH = 1 << 20
const SOCKET_LOW = 1 << 18

export interface SessionContext extends ServingContext {
  /** Of the machine, but for what each session adds itself. */
  responder(): Omit<ResponderOptions, 'now'>
  /** Some results are told once for each session, when it is known. */
  handshake(result: HandshakeResult, why?: StreamProblem): void
  /** Something that should not happen has; the session is over. */
  fault(error: unknown): void
  /** More waits in memory than may. */
  overfull(): void
  /** It is over, and all of its streams are. */
  over(session: ServedSession): void
}

export class ServedSession implements StreamSession {
  readonly name: string
  readonly via: 'direct' | 'relay'
  readonly startedAt = Date.now()
  readonly #socket: WebSocket
  readonly #context: SessionContext
  readonly #streams = new Map<number, ServedStream>()
  #machine: ResponderSession | undefined
  /** `opening`: no first flight. `answered`: keys, and no proof that the function has them. */
  #state: 'opening' | 'answered' | 'open' | 'over' = 'opening'
  /** Of a function that counts among the sessions. */
  #admitted: string | undefined
  #resumed = false
  #draining = false
  #flushing = false
  #ready = true
  /** Bytes that wait to be sent. */
  #waiting = 0
  #openedAt = performance.now()
  #heardAt = performance.now()
  #pingedAt = 0
  #busyAt = performance.now()

  /** The socket is open, and its listeners are ours. The caller has counted the handshake. */
  constructor(name: string, socket: WebSocket, via: 'direct' | 'relay', context: SessionContext) {
    this.name = name
    this.via = via
    this.#socket = socket
    this.#context = context
    socket.on('message', (data: Buffer, isBinary: boolean) => this.#message(data, isBinary))
    socket.on('close', () => this.#lost('The function is gone.'))
    socket.on('error', () => this.#lost('The connection to the function failed.'))
  }

  /** Once there are keys. */
  get identity(): SessionIdentity {
    return this.#machine!.identity!
  }

  get known(): SessionIdentity | undefined {
    return this.#machine?.identity
  }

  get streams(): number {
    return this.#streams.size
  }

  /** Bytes that wait to be sent to the function. */
  get waiting(): number {
    return this.#waiting
  }

  stream(id: number): ServedStream | undefined {
    return this.#streams.get(id)
  }

  eachStream(look: (stream: ServedStream) => void): void {
    for (const stream of [...this.#streams.values()]) look(stream)
  }

  /** The first flight, of the upgrade or the first message. */
  begin(flight: Uint8Array): void {
    this.#guarded(() => this.#begin(flight))
  }

  #begin(flight: Uint8Array): void {
    this.#heardAt = performance.now()
    const options = this.#context.responder()
    this.#machine = new ResponderSession({
      ...options,
      authorize: (token, key) => this.#admit(options.authorize(token, key)),
      takeTicket: (id) => this.#resume(options, id),
      now: performance.now(),
    })
    this.#give({ type: 'message', bytes: flight })
    this.#drain()
  }

  /** To be called about once a second. */
  look(now: number): void {
    if (this.#state === 'over') return
    if (this.#state !== 'open') {
      if (now - this.#openedAt >= HANDSHAKE_MS) this.#late()
      return
    }
    if (now - this.#heardAt >= SILENT_MS) {
      this.#lost('The function has gone silent.')
      return
    }
    if (now - this.#heardAt >= PING_MS && now - this.#pingedAt >= PING_MS) {
      this.#pingedAt = now
      this.#post({ type: 'ping' })
    }
    if (!this.#draining && this.identity.expiresAt <= this.#context.controlTime()) {
      this.drain(streamProblem('token-expired', 'The session token has expired.', 'Open a session with a new grant.'))
    }
    if (this.#streams.size > 0) this.#busyAt = now
    else if (this.#draining || now - this.#busyAt >= IDLE_MS) this.end(DONE, 1000)
  }

  /** No new streams; when the last one is over, so is the session. */
  drain(why: StreamProblem): void {
    if (this.#draining || this.#machine === undefined) return
    this.#draining = true
    this.#post({ type: 'drain', problem: why })
  }

  /** Ends it now. */
  end(why: StreamProblem, closeCode: number): void {
    if (this.#state === 'over') return
    const wasOpen = this.#state === 'open'
    this.#state = 'over'
    this.#machine?.handle({ type: 'close' }, performance.now())
    for (const stream of this.#streams.values()) stream.gone(why.code, why)
    this.#streams.clear()
    this.#measure()
    if (!wasOpen) this.#context.admission.endHandshake()
    if (this.#admitted !== undefined) this.#context.admission.endSession(this.#admitted)
    close(this.#socket, closeCode, closeReason(why))
    this.#context.over(this)
  }

  #admit(verdict: ReturnType<ResponderOptions['authorize']>): ReturnType<ResponderOptions['authorize']> {
    if ('refused' in verdict) return verdict
    const full = this.#context.admission.beginSession(verdict.identity.function)
    if (full !== undefined) return { refused: full }
    this.#admitted = verdict.identity.function
    return verdict
  }

  /** Where there is no room, the function comes again with its token, and is told so. */
  #resume(options: Omit<ResponderOptions, 'now'>, id: Uint8Array): ReturnType<ResponderOptions['takeTicket']> {
    const taken = options.takeTicket(id)
    if (taken === undefined) return undefined
    const expired = taken.identity.expiresAt <= this.#context.controlTime()
    if (expired || this.#context.admission.beginSession(taken.identity.function) !== undefined) {
      taken.secret.fill(0)
      return undefined
    }
    this.#admitted = taken.identity.function
    return taken
  }

  #message(data: Buffer, isBinary: boolean): void {
    if (this.#state === 'over') return
    if (!isBinary) {
      this.#failed(NOT_BINARY, 4400)
      return
    }
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.length)
    if (this.#machine === undefined) {
      this.begin(bytes)
      return
    }
    this.#heardAt = performance.now()
    this.#guarded(() => {
      this.#give({ type: 'message', bytes })
      this.#drain()
    })
    // It has answered with the keys of this handshake: no recording does.
    if ((this.#state as string) === 'answered') this.#confirmed()
  }

  /** A mistake of ours ends one session, and not the process. */
  #guarded(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#context.fault(error)
      this.#failed(streamProblem('session-lost', 'The connector made a mistake.', 'Open another session.'), 1011)
    }
  }

  #confirmed(): void {
    this.#state = 'open'
    this.#context.admission.endHandshake()
    this.#context.handshake(this.#resumed ? 'resumed' : 'established')
  }

  /** Hands over an input; its effects are carried out together with those of the same turn. */
  #post(input: SessionInput): void {
    if (this.#state === 'over') return
    this.#give(input)
    if (this.#flushing) return
    this.#flushing = true
    setImmediate(() => {
      this.#flushing = false
      this.#guarded(() => this.#drain())
    })
  }

  #give(input: SessionInput): void {
    this.#machine!.handle(input, performance.now())
  }

  #drain(): void {
    const machine = this.#machine!
    while (this.#state !== 'over') {
      const effect = machine.poll()
      if (effect === undefined) break
      this.#perform(effect)
    }
    if (this.#state !== 'over') this.#measure()
  }

  #perform(effect: SessionEffect): void {
    switch (effect.type) {
      case 'send':
        this.#send(effect.message)
        return
      case 'opened':
        this.#streams.set(effect.stream, new ServedStream(this.#port(effect.stream), this, this.#context))
        return
      case 'data':
        this.#data(effect.stream, effect.bytes)
        return
      case 'finished':
        this.#streams.get(effect.stream)?.ended()
        return
      case 'writable':
        this.#streams.get(effect.stream)?.drained()
        return
      case 'closed':
        this.#take(effect.stream)?.closed()
        return
      case 'reset':
        this.#take(effect.stream)?.gone('reset')
        return
      case 'established':
        this.#state = 'answered'
        this.#resumed = effect.resumed
        // The answer to it is the sign of life.
        this.#give({ type: 'ping' })
        return
      case 'ended':
        this.#failed(effect.problem, effect.closeCode ?? 1000)
        return
      default:
        return
    }
  }

  #data(id: number, bytes: Uint8Array): void {
    const stream = this.#streams.get(id)
    if (stream === undefined) this.#give({ type: 'consumed', stream: id, length: bytes.length })
    else stream.data(bytes)
    if (this.#context.admission.overfull) this.#context.overfull()
  }

  #take(id: number): ServedStream | undefined {
    const stream = this.#streams.get(id)
    this.#streams.delete(id)
    return stream
  }

  #port(id: number): StreamPort {
    return {
      id,
      writable: () => this.#state !== 'over' && this.#machine!.writable(id),
      write: (bytes) => this.#post({ type: 'write', stream: id, bytes }),
      finish: () => this.#post({ type: 'finish', stream: id }),
      consumed: (length) => this.#post({ type: 'consumed', stream: id, length }),
      reset: (problem) => {
        this.#streams.delete(id)
        this.#post(problem === undefined ? { type: 'reset', stream: id } : { type: 'refuse', stream: id, problem })
      },
    }
  }

  #send(message: Uint8Array): void {
    this.#socket.send(message, () => {
      if (this.#state === 'over') return
      this.#measure()
      if (!this.#ready && this.#socket.bufferedAmount <= SOCKET_LOW) this.#transport(true)
    })
    if (this.#ready && this.#socket.bufferedAmount > SOCKET_HIGH) this.#transport(false)
  }

  #transport(ready: boolean): void {
    this.#ready = ready
    this.#post({ type: 'transport', ready })
  }

  /** How much waits to be sent, among all that waits. */
  #measure(): void {
    const now = this.#state === 'over' ? 0 : this.#machine!.backlog + this.#socket.bufferedAmount
    this.#context.admission.hold(now - this.#waiting)
    this.#waiting = now
    if (now > 0 && this.#context.admission.overfull) this.#context.overfull()
  }

  #late(): void {
    const cause = this.#machine === undefined ? 'No first flight came.' : 'Nothing came behind the first flight.'
    this.#failed(streamProblem('session-lost', cause, 'Open another session.'), 4408, 'timeout')
  }

  #lost(cause: string): void {
    this.#failed(streamProblem('session-lost', cause, 'Open another session.'), 1001, 'lost')
  }

  #failed(why: StreamProblem, closeCode: number, result: HandshakeResult = resultOf(why)): void {
    if (this.#state === 'over') return
    if (this.#state !== 'open') this.#context.handshake(result, why)
    this.end(why, closeCode)
  }
}

const DONE = streamProblem('session-lost', 'The session was not used any more.', 'Open another session.')
const NOT_BINARY = streamProblem('protocol-error', 'Only binary messages pass.', 'Check that both ends are current.')
/** A peer that does not close its end must not keep the descriptor. */
const CLOSE_MS = 2000

function resultOf({ code }: StreamProblem): HandshakeResult {
  if (code === 'key-changed') return 'other-key'
  if (code === 'overloaded') return 'shed'
  return code === 'protocol-error' ? 'malformed' : 'refused'
}

function close(socket: WebSocket, code: number, reason: string): void {
  socket.removeAllListeners('message').removeAllListeners('close').removeAllListeners('error')
  socket.on('error', () => {})
  if (socket.readyState === socket.OPEN) socket.close(code, reason)
  else if (socket.readyState !== socket.CLOSED) socket.terminate()
  if (socket.readyState !== socket.CLOSED) setTimeout(() => socket.terminate(), CLOSE_MS).unref()
}
