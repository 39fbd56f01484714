/** What both ends of a session do alike once there are keys: records, the mux inside, rekeying, the end. */
import type { Instant, Machine } from './machine.ts'
import { encodeControl, readControl } from './stream-control.ts'
import type { StreamCrypto } from './stream-crypto.ts'
import { Mux } from './stream-mux.ts'
import type { MuxEffect, MuxLimits, MuxView } from './stream-mux-types.ts'
import { MAX_NOISE_MESSAGE, type NoiseHandshake, type NoiseTransport, TAGLEN } from './stream-noise.ts'
import { type StreamProblem, streamProblem } from './stream-problem.ts'
import { Outbox, RECORD_MUX, readRecords } from './stream-session-records.ts'
import type { SessionEffect, SessionInput, StreamControl } from './stream-session-types.ts'

/** Noise messages in one direction after which its key changes. */
export const REKEY_MESSAGES = 16_384
/** Close codes of the WebSocket: see docs/functions-protocol.md, "Opening". */
export const CLOSE_DONE = 1000
export const CLOSE_NONSENSE = 4400
export const CLOSE_OTHER_KEY = 4401

const MAX_RECORDS = MAX_NOISE_MESSAGE - TAGLEN
/** Frames of the mux are gathered until a message has so many bytes, or there are no more: one turn more still fits. */
const FULL_MESSAGE = 48_000
/** Reasons for resets that came and whose RST did not; the oldest gives way. */
const MAX_REASONS = 256

/**
 * `new`: nothing goes. `waiting`: for the peer's part of the handshake. `answering`: message 2 is to be sent. `open`:
 * there are keys. `over`: `ended` was said.
 */
export type SessionState = 'new' | 'waiting' | 'answering' | 'open' | 'over'

/** What the peer did wrong: a sentence, by which the session ends. */
export type Fault = string | undefined

export abstract class SessionCore implements Machine<SessionInput, SessionEffect>, MuxView {
  protected state: SessionState
  protected handshake: NoiseHandshake | undefined
  protected readonly crypto: StreamCrypto
  protected readonly mux: Mux
  protected readonly outbox = new Outbox()
  protected readonly effects: SessionEffect[] = []
  #transport: NoiseTransport | undefined
  #sent = 0
  #received = 0
  readonly #reasons = new Map<number, StreamProblem>()

  protected constructor(
    side: 'initiator' | 'responder',
    crypto: StreamCrypto,
    limits: MuxLimits,
    state: SessionState,
    now: Instant,
  ) {
    this.crypto = crypto
    this.state = state
    this.mux = new Mux({ side, limits, now })
  }

  get nextStream(): number {
    return this.mux.nextStream
  }

  get streams(): number {
    return this.mux.streams
  }

  get backlog(): number {
    return this.mux.backlog + this.outbox.length
  }

  get rttMs(): number | undefined {
    return this.mux.rttMs
  }

  writable(stream: number): boolean {
    return this.mux.writable(stream)
  }

  handle(input: SessionInput, now: Instant): void {
    if (this.state === 'over') return
    switch (input.type) {
      case 'start':
        this.start()
        break
      case 'message':
        this.#message(input.bytes, now)
        break
      case 'refuse':
        this.outbox.addControl(encodeControl({ type: 'reset', stream: input.stream, problem: input.problem }))
        this.mux.handle({ type: 'reset', stream: input.stream }, now)
        break
      case 'drain':
        this.outbox.addControl(encodeControl({ type: 'drain', problem: input.problem }))
        this.mux.handle({ type: 'go-away', code: 'normal' }, now)
        break
      case 'close':
        this.#close()
        break
      default:
        this.mux.handle(input, now)
    }
  }

  poll(): SessionEffect | undefined {
    for (;;) {
      const own = this.effects.shift()
      if (own !== undefined) return own
      if (this.state !== 'open' && this.state !== 'answering') return undefined
      if (this.outbox.length < FULL_MESSAGE) {
        const effect = this.mux.poll()
        if (effect !== undefined) {
          const outward = this.#fromMux(effect)
          if (outward !== undefined) return outward
          continue
        }
      }
      const message = this.#nextMessage()
      if (message !== undefined) return { type: 'send', message }
      if (this.effects.length === 0) return undefined
    }
  }

  deadline(): Instant | undefined {
    return this.state === 'open' ? this.mux.deadline() : undefined
  }

  /** The input `start`. */
  protected abstract start(): void
  /** A message before there are keys. What is wrong with it, where the session has not ended otherwise. */
  protected abstract handshakeMessage(bytes: Uint8Array, now: Instant): Fault
  /** Responder: message 2 with these records. Undefined where that failed and the session is over. */
  protected abstract answer(): Uint8Array | undefined
  /** A ticket came. */
  protected abstract ticket(control: StreamControl & { type: 'ticket' }): Fault

  /** To be called once the handshake is complete. */
  protected open(transport: NoiseTransport): void {
    this.#transport = transport
    this.state = 'open'
  }

  /** Hands records to the mux and the rest. False where they are none; the session may be over then or afterwards. */
  protected takeRecords(bytes: Uint8Array, now: Instant): boolean {
    return readRecords(bytes, (kind, content) => {
      if (this.state === 'over') return
      if (kind === RECORD_MUX) this.mux.handle({ type: 'received', bytes: content }, now)
      else {
        const fault = this.#control(content)
        if (fault !== undefined) this.breach(fault)
      }
    })
  }

  /** Records that have been made before, as a message of their own. */
  protected sealMessage(parts: readonly Uint8Array[]): Uint8Array {
    const { send } = this.#transport!
    const message = send.seal(parts)
    if (++this.#sent % REKEY_MESSAGES === 0) send.rekey()
    return message
  }

  /** The session is over: what was said before comes out, then this, then nothing. */
  protected end(problem: StreamProblem, closeCode: number): void {
    if (this.state === 'over') return
    this.effects.push({ type: 'ended', problem, closeCode })
    this.#wipe()
  }

  protected breach(what: string): void {
    this.end(streamProblem('protocol-error', what, 'Check that both ends run current versions.'), CLOSE_NONSENSE)
  }

  /** Erases what a subclass holds. */
  protected abstract wipeOwn(): void

  #message(bytes: Uint8Array, now: Instant): void {
    const fault = this.state === 'open' ? this.#receive(bytes, now) : this.handshakeMessage(bytes, now)
    if (fault !== undefined) this.breach(fault)
  }

  #receive(bytes: Uint8Array, now: Instant): Fault {
    const { receive } = this.#transport!
    const records = bytes.length > MAX_NOISE_MESSAGE ? undefined : receive.open(bytes)
    if (records === undefined) return 'A message of the session is not authentic, or not the next one.'
    if (++this.#received % REKEY_MESSAGES === 0) receive.rekey()
    return records.length > 0 && this.takeRecords(records, now) ? undefined : 'A message holds no proper records.'
  }

  #nextMessage(): Uint8Array | undefined {
    if (this.state === 'answering') return this.answer()
    return this.outbox.length > 0 ? this.sealMessage(this.outbox.take(MAX_RECORDS)) : undefined
  }

  /** The effect as the session's own, or undefined where there is none to be told. */
  #fromMux(effect: MuxEffect): SessionEffect | undefined {
    switch (effect.type) {
      case 'send':
        this.outbox.addMux(effect.parts, effect.length)
        return undefined
      case 'failed':
        this.breach(effect.cause)
        return undefined
      case 'reset': {
        const problem = this.#takeReason(effect.stream)
        return problem === undefined ? effect : { ...effect, problem }
      }
      case 'closed':
        this.#takeReason(effect.stream)
        return effect
      default:
        return effect
    }
  }

  #takeReason(stream: number): StreamProblem | undefined {
    const problem = this.#reasons.get(stream)
    this.#reasons.delete(stream)
    return problem
  }

  #control(content: Uint8Array): Fault {
    const control = readControl(content)
    if (control === undefined) return 'A control message makes no sense.'
    if (control.type === 'ticket') return this.ticket(control)
    if (control.type === 'drain') this.effects.push({ type: 'draining', problem: control.problem })
    else this.#keepReason(control.stream, control.problem)
    return undefined
  }

  #keepReason(stream: number, problem: StreamProblem): void {
    if (this.#reasons.size >= MAX_REASONS) this.#reasons.delete(this.#reasons.keys().next().value!)
    this.#reasons.set(stream, problem)
  }

  #close(): void {
    for (const effect of this.effects) if (effect.type === 'ticket') effect.ticket.secret.fill(0)
    this.effects.length = 0
    this.#wipe()
  }

  #wipe(): void {
    this.state = 'over'
    this.handshake?.wipe()
    this.handshake = undefined
    this.#transport?.send.wipe()
    this.#transport?.receive.wipe()
    this.#transport = undefined
    this.outbox.clear()
    this.#reasons.clear()
    this.wipeOwn()
  }
}

/** What the handshake is bound to. */
export function prologue(connector: string): Uint8Array {
  return new TextEncoder().encode(`isthmus stream 1\0${connector}\0`)
}

/** The secret of ticket number `ordinal`; the caller wipes it. */
export function resumptionSecret(handshake: NoiseHandshake, ordinal: number): Uint8Array {
  const label = new TextEncoder().encode('isthmus resumption')
  const input = new Uint8Array(label.length + 1)
  input.set(label)
  input[label.length] = ordinal
  return handshake.derive(input)
}
