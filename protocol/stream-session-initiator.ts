/** The function's end of a session. */

import { fromBase64url } from './control/base64url.ts'
import type { Instant } from './machine.ts'
import { readAnswer, type StreamControl } from './stream-control.ts'
import { MAX_NOISE_MESSAGE, NOISE_OVERHEAD, NoiseHandshake, type NoiseOptions } from './stream-noise.ts'
import { streamProblem } from './stream-problem.ts'
import { CLOSE_DONE, type Fault, prologue, resumptionSecret, SessionCore } from './stream-session-core.ts'
import type { InitiatorOptions } from './stream-session-types.ts'

/** First octet of a first flight. */
export const FLIGHT_IK = 1
export const FLIGHT_RESUME = 2
/** Tickets that an initiator takes from one connector. */
const MAX_TICKETS = 16

export class InitiatorSession extends SessionCore {
  readonly #options: InitiatorOptions
  /** The records that went with the first flight. */
  #early = new Uint8Array(0)
  #tickets = 0

  /** Throws where a key has not 32 bytes. */
  constructor(options: InitiatorOptions) {
    super('initiator', options.crypto, options.limits, 'new', options.now)
    this.#options = options
    this.handshake = new NoiseHandshake({ ...noiseOptions(options), prologue: prologue(options.connector) })
  }

  protected override start(): void {
    if (this.state !== 'new') return
    const head = this.#flightHead()
    const fixed = this.#fixedPayload()
    const pattern = this.#options.mode.type === 'ik' ? 'IK' : 'NNpsk0'
    const longest = Math.min(this.#options.maxFirstFlight, MAX_NOISE_MESSAGE)
    const room = longest - head.length - NOISE_OVERHEAD[pattern][0] - fixed.length
    if (room < 0) {
      const cause = 'The session token is too long for a first flight.'
      this.end(streamProblem('control-refused', cause, 'Allow the function fewer services.'), CLOSE_DONE)
      return
    }
    this.state = 'waiting'
    this.#early = join(this.#earlyRecords(room))
    const message = this.handshake!.write([fixed, this.#early])
    if (message === undefined) this.#otherKey()
    else this.effects.push({ type: 'send', message: join([head, message]), first: true })
  }

  protected override handshakeMessage(bytes: Uint8Array, now: Instant): Fault {
    if (this.state !== 'waiting') return 'A message came before the first flight went.'
    const payload = bytes.length > MAX_NOISE_MESSAGE ? undefined : this.handshake!.read(bytes)
    if (payload === undefined) return 'The answer of the connector is not authentic.'
    const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
    const length = payload.length < 4 ? Number.POSITIVE_INFINITY : view.getUint32(0)
    const answer = length > payload.length - 4 ? undefined : readAnswer(payload.subarray(4, 4 + length))
    if (answer === undefined) return 'The answer of the connector makes no sense.'
    if ('refused' in answer) this.end(answer.refused, CLOSE_DONE)
    else this.#established(answer.early, payload.subarray(4 + length), now)
    return undefined
  }

  #established(early: boolean, records: Uint8Array, now: Instant): void {
    this.open(this.handshake!.split())
    this.effects.push({ type: 'established', early, resumed: this.#options.mode.type === 'resume' })
    if (!early && this.#early.length > 0) {
      this.effects.push({ type: 'send', message: this.sealMessage([this.#early]) })
    }
    if (!this.takeRecords(records, now)) this.breach('The answer holds no proper records.')
    // Tickets come with message 2 only: the chaining key, by which transport keys could be had again, goes now.
    this.handshake?.wipe()
    this.handshake = undefined
    this.wipeOwn()
  }

  protected override ticket({ id, goodMs }: StreamControl & { type: 'ticket' }): Fault {
    if (this.handshake === undefined || this.#tickets >= MAX_TICKETS) return 'A ticket came out of turn.'
    const secret = resumptionSecret(this.handshake, this.#tickets++)
    this.effects.push({ type: 'ticket', ticket: { id: fromBase64url(id)!, secret, goodMs } })
    return undefined
  }

  protected override answer(): undefined {
    // Only a responder answers.
  }

  protected override wipeOwn(): void {
    this.#early.fill(0)
    this.#early = new Uint8Array(0)
    if (this.#options.mode.type === 'resume') this.#options.mode.ticket.secret.fill(0)
  }

  /** Takes from the mux what it would send, until `room` is full. */
  #earlyRecords(room: number): Uint8Array[] {
    while (this.outbox.length < room) {
      const effect = this.mux.poll()
      if (effect === undefined) break
      if (effect.type === 'send') this.outbox.addMux(effect.parts, effect.length)
      else if (effect.type !== 'failed' && effect.type !== 'reset') this.effects.push(effect)
    }
    return this.outbox.take(room)
  }

  #flightHead(): Uint8Array {
    const { mode } = this.#options
    return mode.type === 'ik' ? Uint8Array.of(FLIGHT_IK) : join([Uint8Array.of(FLIGHT_RESUME), mode.ticket.id])
  }

  /** What message 1 says before the records. */
  #fixedPayload(): Uint8Array {
    const { mode, time } = this.#options
    const token = new TextEncoder().encode(mode.type === 'ik' ? mode.token : '')
    const at = mode.type === 'ik' ? 2 + token.length : 0
    const payload = new Uint8Array(at + 8)
    const view = new DataView(payload.buffer)
    if (mode.type === 'ik') view.setUint16(0, token.length)
    payload.set(token, mode.type === 'ik' ? 2 : 0)
    view.setFloat64(at, time)
    return payload
  }

  #otherKey(): void {
    const cause = "The connector's key is none that a session can be opened to."
    this.end(streamProblem('key-changed', cause, 'Ask for a new grant.'), CLOSE_DONE)
  }
}

function noiseOptions({ crypto, mode }: InitiatorOptions): Omit<NoiseOptions, 'prologue'> {
  return mode.type === 'ik'
    ? { crypto, pattern: 'IK', initiator: true, staticKeys: mode.staticKeys, remoteStatic: mode.responderKey }
    : { crypto, pattern: 'NNpsk0', initiator: true, psk: mode.ticket.secret }
}

function join(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    joined.set(part, at)
    at += part.length
  }
  return joined
}
