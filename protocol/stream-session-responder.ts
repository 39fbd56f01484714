/** The connector's end of a session. */

import { toBase64url } from './control/base64url.ts'
import type { Instant } from './machine.ts'
import { encodeAnswer, encodeControl, TICKET_ID } from './stream-control.ts'
import { MAX_NOISE_MESSAGE, NOISE_OVERHEAD, NoiseHandshake } from './stream-noise.ts'
import { type StreamProblem, streamProblem } from './stream-problem.ts'
import {
  CLOSE_DONE,
  CLOSE_OTHER_KEY,
  type Fault,
  prologue,
  resumptionSecret,
  SessionCore,
} from './stream-session-core.ts'
import { FLIGHT_IK, FLIGHT_RESUME } from './stream-session-initiator.ts'
import { readRecords } from './stream-session-records.ts'
import type { ResponderOptions, SessionIdentity } from './stream-session-types.ts'

/** Message 1, taken apart. */
interface Flight {
  /** Absent with a ticket. */
  readonly token?: string
  readonly time: number
  readonly records: Uint8Array
}

export class ResponderSession extends SessionCore {
  readonly #options: ResponderOptions
  #identity: SessionIdentity | undefined
  #early = true
  /** Ids of the tickets that message 2 hands out. */
  readonly #tickets: Uint8Array[] = []

  constructor(options: ResponderOptions) {
    super('responder', options.crypto, options.limits, 'waiting', options.now)
    this.#options = options
  }

  /** Who the initiator is; from `established` on. */
  get identity(): SessionIdentity | undefined {
    return this.#identity
  }

  protected override start(): void {
    // Only an initiator starts.
  }

  protected override handshakeMessage(bytes: Uint8Array, now: Instant): Fault {
    // Message 2 has not gone yet: nobody can have an answer to it.
    if (this.state !== 'waiting') return 'A second message came before the answer to the first.'
    if (bytes.length > MAX_NOISE_MESSAGE) return 'The first flight is too long.'
    if (bytes[0] === FLIGHT_IK) return this.#full(bytes.subarray(1), now)
    if (bytes[0] === FLIGHT_RESUME) return this.#resume(bytes.subarray(1), now)
    return 'The first flight is of no known kind.'
  }

  /** Message 2 with tickets, and what the mux has to say already. */
  protected override answer(): Uint8Array | undefined {
    const head = answerHead({ early: this.#early })
    const room = MAX_NOISE_MESSAGE - NOISE_OVERHEAD.IK[1] - head.length
    const message = this.handshake!.write([head, ...this.outbox.take(room)])
    if (message === undefined) {
      this.breach("The initiator's key is of low order.")
      return undefined
    }
    for (const [ordinal, id] of this.#tickets.entries()) {
      const secret = resumptionSecret(this.handshake!, ordinal)
      this.#options.keepTicket(id, secret, this.#identity!, this.#options.ticketMs)
    }
    this.open(this.handshake!.split())
    this.handshake!.wipe()
    this.handshake = undefined
    return message
  }

  protected override ticket(): Fault {
    return 'A ticket came from the initiator.'
  }

  protected override wipeOwn(): void {
    // Nothing of its own is secret.
  }

  #full(bytes: Uint8Array, now: Instant): Fault {
    const { crypto, connector, staticKeys } = this.#options
    const options = { crypto, pattern: 'IK', initiator: false, prologue: prologue(connector), staticKeys } as const
    this.handshake = new NoiseHandshake(options)
    const payload = this.handshake.read(bytes)
    if (payload === undefined) return this.#otherKey('The first flight was not for this key of the connector.')
    const flight = readFlight(payload, true)
    if (flight === undefined) return 'The first flight makes no sense.'
    const verdict = this.#options.authorize(flight.token!, this.handshake.remoteStatic!)
    if ('refused' in verdict) return this.#refuse(verdict.refused)
    const early = flight.records.length === 0 || this.#options.admitEarly(this.handshake.remoteEphemeral!, flight.time)
    return this.#accept(verdict.identity, flight, early, false, now)
  }

  #resume(bytes: Uint8Array, now: Instant): Fault {
    const taken = bytes.length < TICKET_ID ? undefined : this.#options.takeTicket(bytes.slice(0, TICKET_ID))
    if (taken === undefined) return this.#otherKey('The ticket is unknown, spent or expired.')
    const { crypto, connector } = this.#options
    const options = { crypto, pattern: 'NNpsk0', initiator: false, prologue: prologue(connector) } as const
    this.handshake = new NoiseHandshake({ ...options, psk: taken.secret })
    const payload = this.handshake.read(bytes.subarray(TICKET_ID))
    taken.secret.fill(0)
    if (payload === undefined) return this.#otherKey('The first flight does not fit its ticket.')
    const flight = readFlight(payload, false)
    if (flight === undefined) return 'The first flight makes no sense.'
    // The ticket is spent: this flight comes only once.
    return this.#accept(taken.identity, flight, true, true, now)
  }

  #accept(identity: SessionIdentity, flight: Flight, early: boolean, resumed: boolean, now: Instant): undefined {
    this.#identity = identity
    this.#early = early
    this.state = 'answering'
    this.effects.push({ type: 'established', early, resumed })
    for (let i = 0; i < Math.min(this.#options.tickets, 16); i++) {
      const id = this.crypto.random(TICKET_ID)
      this.#tickets.push(id)
      this.outbox.addControl(encodeControl({ type: 'ticket', id: toBase64url(id), goodMs: this.#options.ticketMs }))
    }
    if (early) this.takeRecords(flight.records, now)
  }

  #refuse(problem: StreamProblem): undefined {
    const message = this.handshake!.write([answerHead({ refused: problem })])
    if (message !== undefined) this.effects.push({ type: 'send', message })
    this.end(problem, CLOSE_DONE)
  }

  #otherKey(cause: string): undefined {
    this.end(streamProblem('key-changed', cause, 'Ask for a new grant.'), CLOSE_OTHER_KEY)
  }
}

function answerHead(answer: Parameters<typeof encodeAnswer>[0]): Uint8Array {
  const json = encodeAnswer(answer)
  const head = new Uint8Array(4 + json.length)
  new DataView(head.buffer).setUint32(0, json.length)
  head.set(json, 4)
  return head
}

/** Undefined where it is not whole. Records are proper ones, their contents not looked at. */
function readFlight(payload: Uint8Array, withToken: boolean): Flight | undefined {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
  if (withToken && payload.length < 2) return undefined
  const start = withToken ? 2 : 0
  const at = start + (withToken ? view.getUint16(0) : 0)
  if (payload.length < at + 8) return undefined
  const time = view.getFloat64(at)
  const records = payload.subarray(at + 8)
  if (!Number.isFinite(time) || !readRecords(records, () => {})) return undefined
  return withToken ? { token: ascii(payload.subarray(start, at)), time, records } : { time, records }
}

/** Octets as characters: a token that is not ASCII verifies as little as any other wrong one. */
function ascii(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte)
  return text
}
