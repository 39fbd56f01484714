/** A function's end of a session, with streams that tests read and write: for tests. */
import type { WebSocket } from 'ws'
import {
  AnswerReader,
  encodeOpening,
  type StreamAnswer,
  type StreamOpening,
} from '../../../../protocol/stream-exchange.ts'
import type { StreamProblem } from '../../../../protocol/stream-problem.ts'
import type { InitiatorSession } from '../../../../protocol/stream-session.ts'
import type { ResumptionTicket, SessionEffect, SessionInput } from '../../../../protocol/stream-session-types.ts'

export interface ClosedWith {
  readonly code: number
  readonly reason: string
}

export class FunctionClient {
  readonly tickets: ResumptionTicket[] = []
  readonly established: Promise<{ early: boolean; resumed: boolean }>
  /** How the WebSocket was closed. */
  readonly closed: Promise<ClosedWith>
  /** What ended the session from the connector's side or ours. */
  ended: StreamProblem | undefined
  draining: StreamProblem | undefined
  readonly flights: Uint8Array[] = []
  readonly #session: InitiatorSession
  readonly #mute: boolean
  readonly #streams = new Map<number, ClientStream>()
  #socket: WebSocket | undefined
  #dial: ((flight: Uint8Array) => WebSocket) | undefined
  #queue: Uint8Array[] = []
  #establish: (how: { early: boolean; resumed: boolean }) => void = () => {}
  #close: (how: ClosedWith) => void = () => {}
  /** Reads nothing while it is paused. */
  paused = false

  constructor(session: InitiatorSession, mute: boolean) {
    this.#session = session
    this.#mute = mute
    this.established = new Promise((resolve) => {
      this.#establish = resolve
    })
    this.closed = new Promise((resolve) => {
      this.#close = resolve
    })
  }

  start(dial: (flight: Uint8Array) => WebSocket): void {
    this.#dial = dial
    this.post({ type: 'start' })
  }

  /** Opens a stream and says what for. */
  open(opening: StreamOpening): ClientStream {
    const stream = this.openRaw()
    stream.write(encodeOpening(opening))
    return stream
  }

  openRaw(): ClientStream {
    const id = this.#session.nextStream
    const stream = new ClientStream(id, this)
    this.#streams.set(id, stream)
    this.post({ type: 'open', stream: id })
    return stream
  }

  post(input: SessionInput): void {
    this.#session.handle(input, performance.now())
    for (let effect = this.#session.poll(); effect !== undefined; effect = this.#session.poll()) this.#perform(effect)
  }

  /** Octets as they are, on the WebSocket. */
  sendRaw(message: Uint8Array | string): void {
    this.#socket!.send(message)
  }

  pause(): void {
    this.#socket!.pause()
  }

  resume(): void {
    this.#socket!.resume()
  }

  /** Gone without a word. */
  vanish(): void {
    this.#socket?.terminate()
  }

  close(): void {
    this.#socket?.close()
  }

  #perform(effect: SessionEffect): void {
    switch (effect.type) {
      case 'send':
        if (effect.first === true) this.#connect(effect.message)
        else this.#send(effect.message)
        return
      case 'established':
        this.#establish(effect)
        return
      case 'ticket':
        this.tickets.push(effect.ticket)
        return
      case 'data':
        this.#streams.get(effect.stream)?.took(effect.bytes)
        return
      case 'finished':
        this.#streams.get(effect.stream)?.finished()
        return
      case 'reset':
        this.#streams.get(effect.stream)?.wasReset(effect.problem)
        return
      case 'writable':
        this.#streams.get(effect.stream)?.drained()
        return
      case 'draining':
        this.draining = effect.problem
        return
      case 'ended':
        this.ended = effect.problem
        this.#lose()
        return
      default:
        return
    }
  }

  #connect(flight: Uint8Array): void {
    this.flights.push(flight)
    const socket = this.#dial!(flight)
    this.#socket = socket
    socket.on('open', () => {
      for (const message of this.#queue.splice(0)) socket.send(message)
    })
    socket.on('message', (data: Buffer) => {
      if (!this.#mute) this.post({ type: 'message', bytes: new Uint8Array(data) })
    })
    socket.on('error', () => {})
    socket.on('close', (code, reason) => {
      this.#close({ code, reason: String(reason) })
      this.#lose()
    })
  }

  #send(message: Uint8Array): void {
    const socket = this.#socket!
    if (socket.readyState === socket.CONNECTING) this.#queue.push(message)
    else socket.send(message)
  }

  #lose(): void {
    for (const stream of this.#streams.values()) stream.wasReset(this.ended)
  }

  writable(id: number): boolean {
    return this.#session.writable(id)
  }
}

export class ClientStream {
  readonly id: number
  /** How many bytes came behind the answer. */
  length = 0
  isFinished = false
  /** Set when it was reset: with the reason, or null where there was none. */
  reset: StreamProblem | null | undefined
  /** Consumes nothing by itself. */
  slow = false
  readonly #client: FunctionClient
  readonly #reader = new AnswerReader()
  #answer: StreamAnswer | undefined
  #unconsumed = 0
  #chunks: Uint8Array[] = []
  #waiters: (() => void)[] = []

  constructor(id: number, client: FunctionClient) {
    this.id = id
    this.#client = client
  }

  /** What came behind the answer. */
  get received(): Buffer {
    const all = Buffer.concat(this.#chunks)
    this.#chunks = [all]
    return all
  }

  write(bytes: Uint8Array | string): void {
    const octets = typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes
    this.#client.post({ type: 'write', stream: this.id, bytes: octets })
  }

  finish(): void {
    this.#client.post({ type: 'finish', stream: this.id })
  }

  abort(): void {
    this.#client.post({ type: 'reset', stream: this.id })
  }

  consume(): void {
    this.slow = false
    this.#client.post({ type: 'consumed', stream: this.id, length: this.#unconsumed })
    this.#unconsumed = 0
  }

  /** The answer to the opening. */
  async answer(): Promise<StreamAnswer> {
    await this.until(() => this.#answer !== undefined || this.reset !== undefined)
    return this.#answer ?? { ok: false, problem: this.reset! }
  }

  async code(): Promise<string> {
    const answer = await this.answer()
    return answer.ok ? 'ok' : answer.problem.code
  }

  /** Resolves when so many bytes have come. */
  async bytes(length: number): Promise<Buffer> {
    await this.until(() => this.length >= length || this.reset !== undefined)
    return this.received
  }

  /** Everything up to FIN, or the reason of a reset as an error. */
  async all(): Promise<Buffer> {
    await this.until(() => this.isFinished || this.reset !== undefined)
    if (this.reset !== undefined && !this.isFinished) throw new Error(this.reset?.code ?? 'reset')
    return this.received
  }

  async untilReset(): Promise<string> {
    await this.until(() => this.reset !== undefined)
    return this.reset?.code ?? 'none'
  }

  /** Waits until there is room to write. */
  async room(): Promise<void> {
    await this.until(() => this.#client.writable(this.id) || this.reset !== undefined)
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiters.push(resolve))
  }

  took(bytes: Uint8Array): void {
    let rest = bytes
    if (this.#answer === undefined) {
      const read = this.#reader.push(bytes)
      if (read.type === 'done') {
        this.#answer = read.value
        rest = read.rest
      } else rest = new Uint8Array(0)
    }
    if (rest.length > 0) this.#chunks.push(rest)
    this.length += rest.length
    if (this.slow) this.#unconsumed += bytes.length
    else this.#client.post({ type: 'consumed', stream: this.id, length: bytes.length })
    this.#wake()
  }

  finished(): void {
    this.isFinished = true
    this.#wake()
  }

  wasReset(problem: StreamProblem | undefined): void {
    this.reset ??= problem ?? null
    this.#wake()
  }

  drained(): void {
    this.#wake()
  }

  #wake(): void {
    for (const resolve of this.#waiters.splice(0)) resolve()
  }
}
