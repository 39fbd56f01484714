/** A connector in memory: real sessions, streams and messages, and whatever a test wants its services to be. */
import { type FieldLine, RequestDecoder, type RequestHead, ResponseEncoder } from '../../protocol/binary-http.ts'
import { fromBase64url } from '../../protocol/control/base64url.ts'
import type { StreamCrypto, StreamKeyPair } from '../../protocol/stream-crypto.ts'
import { encodeAnswer, OpeningReader, type StreamOpening } from '../../protocol/stream-exchange.ts'
import type { MuxLimits } from '../../protocol/stream-mux-types.ts'
import { type StreamProblem, streamProblem } from '../../protocol/stream-problem.ts'
import { ResponderSession, TicketStore } from '../../protocol/stream-session.ts'
import type { SessionEffect, SessionInput } from '../../protocol/stream-session-types.ts'
import type { DialCall, SessionSocket, SocketEnd, SocketEvents } from '../sdk/platform.ts'
import { SessionStream } from '../sdk/stream.ts'

const LIMITS: MuxLimits = { maxPeerStreams: 2048, maxWindow: 1 << 20, maxWindowTotal: 16 << 20, sendBuffer: 256 << 10 }

/** One exchange as a service sees it. */
export interface PeerExchange {
  readonly head: RequestHead
  /** Chunks of the request's body. */
  readonly body: AsyncGenerator<Uint8Array>
  readonly stream: SessionStream
  informational(status: number, fields: readonly FieldLine[]): void
  head200(fields?: readonly FieldLine[]): void
  respond(status: number, fields?: readonly FieldLine[], body?: string | Uint8Array): void
  write(bytes: Uint8Array | string): void
  end(trailers?: readonly FieldLine[]): void
}

export interface PeerServices {
  http?(exchange: PeerExchange): void | Promise<void>
  /** `after`: octets that it says went before a change to TLS. */
  tcp?(stream: PeerTcp): void | Promise<void>
  /** Instead of an answer of success. */
  refuse?(opening: StreamOpening): StreamProblem | undefined
}

export interface PeerTcp {
  readonly opening: StreamOpening
  readonly stream: SessionStream
  /** The next bytes; undefined at the end. */
  read(): Promise<Uint8Array | undefined>
}

/** What becomes of a dial: a session, nothing at all, or this end of it. */
export type Dialled = 'serve' | 'hang' | SocketEnd

export class Peer {
  readonly id: string
  readonly keys: StreamKeyPair
  services: PeerServices = {}
  /** What it makes of a dial: by default a session. */
  onDial: Dialled | ((call: DialCall) => Dialled) = 'serve'
  /** Whether it takes early data of full handshakes. */
  admit = true
  refusal: StreamProblem | undefined
  readonly sessions: PeerSession[] = []
  readonly dials: DialCall[] = []
  /** Openings, in the order in which they came. */
  readonly openings: StreamOpening[] = []
  readonly tickets = new TicketStore({ capacity: 100, perFunction: 50 })
  readonly crypto: StreamCrypto

  constructor(id: string, crypto: StreamCrypto) {
    this.id = id
    this.crypto = crypto
    this.keys = crypto.generateKeyPair()
  }

  /** The platform's `dial`. */
  dial(call: DialCall, events: SocketEvents): SessionSocket {
    this.dials.push(call)
    const pair = new SocketPair(events)
    const dialled = typeof this.onDial === 'function' ? this.onDial(call) : this.onDial
    if (dialled === 'hang') return pair
    if (dialled !== 'serve') {
      queueMicrotask(() => pair.endByPeer(dialled))
      return pair
    }
    const session = new PeerSession(this, pair)
    this.sessions.push(session)
    const flight = call.protocols.find((protocol) => protocol.startsWith('f.'))!
    queueMicrotask(() => {
      pair.open()
      session.message(fromBase64url(flight.slice(2))!)
    })
    return pair
  }

  /** How often its sessions began with a ticket. */
  get resumed(): number {
    return this.sessions.filter((session) => session.resumed).length
  }
}

/** The connector's end of a WebSocket. */
export interface PeerSocket {
  onMessage: ((bytes: Uint8Array) => void) | undefined
  onClose: ((code: number) => void) | undefined
  /** Whether the other end holds its process for this, where that can be seen. */
  readonly held?: boolean
  deliver(bytes: Uint8Array): void
  endByPeer(end: SocketEnd): void
}

/** Both ends of a WebSocket. Messages arrive in a later turn, in order. */
class SocketPair implements SessionSocket, PeerSocket {
  readonly #events: SocketEvents
  #closed = false
  onMessage: ((bytes: Uint8Array) => void) | undefined
  onClose: ((code: number) => void) | undefined
  buffered = 0
  held = false

  constructor(events: SocketEvents) {
    this.#events = events
  }

  open(): void {
    if (!this.#closed) this.#events.opened()
  }

  send(bytes: Uint8Array): void {
    setImmediate(() => {
      if (!this.#closed) this.onMessage?.(bytes)
    })
  }

  close(code: number): void {
    this.#closed = true
    this.onClose?.(code)
  }

  hold(held: boolean): void {
    this.held = held
  }

  deliver(bytes: Uint8Array): void {
    setImmediate(() => {
      if (!this.#closed) this.#events.message(bytes)
    })
  }

  endByPeer(end: SocketEnd): void {
    setImmediate(() => {
      if (this.#closed) return
      this.#closed = true
      this.#events.closed(end)
    })
  }
}

export class PeerSession {
  readonly #peer: Peer
  readonly #pair: PeerSocket
  readonly #machine: ResponderSession
  readonly #streams = new Map<number, SessionStream>()
  readonly tcp = new Map<number, PeerTcp>()
  closeCode: number | undefined
  early: boolean | undefined
  /** What the first flight says of the time; only of a full handshake with early data. */
  time: number | undefined
  resumed = false
  /** Streams that came with the first flight. */
  earlyStreams = 0
  earlyBytes = 0
  /** What it was told to say of the end has gone out. */
  drained = false
  /** It hears nothing any more. */
  deaf = false
  #messages = 0
  #flushing = false

  constructor(peer: Peer, pair: PeerSocket) {
    this.#peer = peer
    this.#pair = pair
    pair.onMessage = (bytes) => this.message(bytes)
    pair.onClose = (code) => {
      this.closeCode = code
      this.#give({ type: 'close' })
    }
    const identity = { function: 'fn_1', name: 'orders', services: ['erp'], expiresAt: Date.now() + 600_000 }
    this.#machine = new ResponderSession({
      crypto: peer.crypto,
      connector: peer.id,
      staticKeys: peer.keys,
      authorize: () => (peer.refusal === undefined ? { identity } : { refused: peer.refusal }),
      admitEarly: (_, time) => {
        this.time = time
        return peer.admit
      },
      takeTicket: (id) => peer.tickets.take(id, performance.now()),
      keepTicket: (id, secret, who, goodMs) => peer.tickets.keep(id, secret, who, goodMs, performance.now()),
      tickets: 2,
      ticketMs: 60_000,
      limits: LIMITS,
      now: performance.now(),
    })
  }

  get openStreams(): number {
    return this.#machine.streams
  }

  get held(): boolean | undefined {
    return this.#pair.held
  }

  message(bytes: Uint8Array): void {
    if (this.deaf) return
    this.#messages++
    this.#machine.handle({ type: 'message', bytes }, performance.now())
    this.#drain()
  }

  /** The session is gone from one moment to the next. */
  vanish(end: SocketEnd = { code: 1006, reason: '' }): void {
    this.#pair.endByPeer(end)
  }

  drain(problem = streamProblem('draining', 'The connector is shutting down.', 'Try again.')): void {
    this.#give({ type: 'drain', problem })
    // Two turns of the loop, in the second of which it has arrived.
    setImmediate(() =>
      setImmediate(() => {
        this.drained = true
      }),
    )
  }

  refuse(stream: number, problem: StreamProblem): void {
    this.#give({ type: 'refuse', stream, problem })
  }

  #give(input: SessionInput): void {
    this.#machine.handle(input, performance.now())
    if (this.#flushing) return
    this.#flushing = true
    queueMicrotask(() => {
      this.#flushing = false
      this.#drain()
    })
  }

  #drain(): void {
    for (let effect = this.#machine.poll(); effect !== undefined; effect = this.#machine.poll()) this.#perform(effect)
  }

  #perform(effect: SessionEffect): void {
    switch (effect.type) {
      case 'send':
        this.#pair.deliver(effect.message)
        return
      case 'established':
        this.early = effect.early
        this.resumed = effect.resumed
        return
      case 'opened':
        if (this.#messages === 1) this.earlyStreams++
        this.#opened(effect.stream)
        return
      case 'data':
        if (this.#messages === 1) this.earlyBytes += effect.bytes.length
        this.#streams.get(effect.stream)?.takeData(effect.bytes)
        return
      case 'finished':
        this.#streams.get(effect.stream)?.takeEnd()
        return
      case 'reset':
        this.#streams.get(effect.stream)?.takeReset(effect.problem)
        this.#streams.delete(effect.stream)
        return
      case 'writable':
        this.#streams.get(effect.stream)?.takeRoom()
        return
      case 'closed':
        this.#streams.delete(effect.stream)
        return
      case 'ended':
        this.#pair.endByPeer({
          code: effect.closeCode ?? 1000,
          reason: JSON.stringify({ code: effect.problem.code, cause: effect.problem.cause }),
        })
        return
      default:
        return
    }
  }

  #opened(id: number): void {
    const stream = new SessionStream(id, {
      write: (stream, bytes) => this.#give({ type: 'write', stream, bytes }),
      finish: (stream) => this.#give({ type: 'finish', stream }),
      reset: (stream, problem) =>
        this.#give(problem === undefined ? { type: 'reset', stream } : { type: 'refuse', stream, problem }),
      consumed: (stream, length) => this.#give({ type: 'consumed', stream, length }),
      writable: (stream) => this.#machine.writable(stream),
    })
    this.#streams.set(id, stream)
    this.#serve(stream).catch(() => undefined)
  }

  async #serve(stream: SessionStream): Promise<void> {
    const reader = new OpeningReader()
    for (;;) {
      const bytes = await stream.read()
      if (bytes === undefined) return
      const read = reader.push(bytes)
      if (read.type === 'more') continue
      if (read.type === 'fault') throw new Error(read.cause)
      this.#peer.openings.push(read.value)
      const problem = this.#peer.services.refuse?.(read.value)
      if (problem !== undefined) {
        stream.write(encodeAnswer({ ok: false, problem }))
        stream.finish()
        return
      }
      stream.write(encodeAnswer({ ok: true, remote: '10.1.0.20:8000' }))
      if (read.value.kind === 'http') await this.#http(stream, read.rest)
      else await this.#tcp(stream, read.value, read.rest)
      return
    }
  }

  async #tcp(stream: SessionStream, opening: StreamOpening, rest: Uint8Array): Promise<void> {
    let first: Uint8Array | undefined = rest.length > 0 ? rest : undefined
    const tcp: PeerTcp = {
      opening,
      stream,
      read: async () => {
        const bytes = first
        first = undefined
        return bytes ?? stream.read()
      },
    }
    this.tcp.set(stream.id, tcp)
    await this.#peer.services.tcp?.(tcp)
  }

  async #http(stream: SessionStream, rest: Uint8Array): Promise<void> {
    const request = requestOf(stream, rest)
    const { value: head } = await request.next()
    const encoder = new ResponseEncoder({ toHead: (head as RequestHead).method === 'HEAD' })
    const put = (parts: readonly Uint8Array[]): void => {
      for (const part of parts) stream.write(part)
    }
    const bytesOf = (body: string | Uint8Array) => (typeof body === 'string' ? new TextEncoder().encode(body) : body)
    const exchange: PeerExchange = {
      head: head as RequestHead,
      body: request as AsyncGenerator<Uint8Array>,
      stream,
      informational: (status, fields) => put([encoder.informational({ status, fields })]),
      head200: (fields = []) => put([encoder.head({ status: 200, fields })]),
      write: (bytes) => put(encoder.data(bytesOf(bytes))),
      end: (trailers) => {
        put([encoder.end(trailers)])
        stream.finish()
      },
      respond: (status, fields = [], body = '') => {
        put([encoder.head({ status, fields })])
        exchange.write(body)
        exchange.end()
      },
    }
    await this.#peer.services.http?.(exchange)
  }
}

/** First the head, then the chunks of the body. */
async function* requestOf(stream: SessionStream, rest: Uint8Array): AsyncGenerator<RequestHead | Uint8Array> {
  const decoder = new RequestDecoder()
  let bytes: Uint8Array | undefined = rest
  for (;;) {
    for (const event of bytes === undefined ? decoder.finish() : decoder.push(bytes)) {
      if (event.type === 'head') yield event.head
      if (event.type === 'data') yield event.bytes
      if (event.type === 'end') return
      if (event.type === 'fault') throw new Error(event.cause)
    }
    if (bytes === undefined) return
    bytes = await stream.read()
  }
}
