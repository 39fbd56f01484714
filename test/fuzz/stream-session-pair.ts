/** Two sessions back to back, over a link that loses and reorders nothing: for tests. */

import type { StreamCipher, StreamCrypto, StreamKeyPair } from '../../protocol/stream-crypto.ts'
import type { MuxLimits } from '../../protocol/stream-mux-types.ts'
import { InitiatorSession, ResponderSession, TicketStore } from '../../protocol/stream-session.ts'
import type {
  InitiatorOptions,
  ResponderOptions,
  ResumptionTicket,
  SessionEffect,
  SessionIdentity,
  SessionInput,
} from '../../protocol/stream-session-types.ts'
import { loadStreamAead } from '../../wasm/stream-aead-node.ts'
import { nodeStreamCrypto } from '../../wasm/stream-crypto-node.ts'

export const LIMITS: MuxLimits = {
  maxPeerStreams: 100,
  maxWindow: 1 << 20,
  maxWindowTotal: 8 << 20,
  sendBuffer: 256 << 10,
}
export const IDENTITY: SessionIdentity = { function: 'fn_1', name: 'orders', services: ['erp'], expiresAt: 2e12 }
export const TOKEN = 'header.claims.signature'
const CONNECTOR = 'con_1'

/** One that knows which ciphers and private keys of it are not wiped yet. */
export function watchedCrypto(): { crypto: StreamCrypto; live: Set<StreamCipher>; privateKeys: Uint8Array[] } {
  const real = nodeStreamCrypto(loadStreamAead())
  const live = new Set<StreamCipher>()
  const privateKeys: Uint8Array[] = []
  const crypto: StreamCrypto = {
    ...real,
    generateKeyPair() {
      const pair = real.generateKeyPair()
      privateKeys.push(pair.privateKey)
      return pair
    },
    cipher(key) {
      const cipher = real.cipher(key)
      const watched: StreamCipher = {
        seal: (parts, ad) => cipher.seal(parts, ad),
        open: (text, ad) => cipher.open(text, ad),
        rekey: () => cipher.rekey(),
        wipe: () => {
          live.delete(watched)
          cipher.wipe()
        },
      }
      live.add(watched)
      return watched
    },
  }
  return { crypto, live, privateKeys }
}

export interface PairOptions {
  readonly initiator?: Partial<InitiatorOptions>
  readonly responder?: Partial<ResponderOptions>
  readonly ticket?: ResumptionTicket
  readonly store?: TicketStore
  /** The responder's static keys, where several pairs share a connector. */
  readonly keys?: StreamKeyPair
}

/** One end with what came out of it. */
export class End<Session extends InitiatorSession | ResponderSession> {
  readonly session: Session
  /** What it sent and was not delivered yet. */
  readonly outgoing: Uint8Array[] = []
  readonly effects: SessionEffect[] = []
  readonly data = new Map<number, Uint8Array[]>()
  /** Whether data is consumed as it comes. */
  consumes = true

  constructor(session: Session) {
    this.session = session
  }

  handle(input: SessionInput): void {
    this.session.handle(input, 0)
  }

  drain(): void {
    for (let effect = this.session.poll(); effect !== undefined; effect = this.session.poll()) {
      if (effect.type === 'send') this.outgoing.push(effect.message)
      else if (effect.type === 'data') this.#take(effect.stream, effect.bytes)
      else this.effects.push(effect)
    }
  }

  open(): number {
    const stream = this.session.nextStream
    this.handle({ type: 'open', stream })
    return stream
  }

  write(stream: number, bytes: Uint8Array | string): void {
    this.handle({ type: 'write', stream, bytes: typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes })
  }

  /** Everything that came on a stream. */
  bytes(stream: number): Buffer {
    return Buffer.concat(this.data.get(stream) ?? [])
  }

  text(stream: number): string {
    return this.bytes(stream).toString()
  }

  types(): string[] {
    return this.effects.map(({ type }) => type)
  }

  last<Type extends SessionEffect['type']>(type: Type): Extract<SessionEffect, { type: Type }> | undefined {
    return this.effects.findLast((effect): effect is Extract<SessionEffect, { type: Type }> => effect.type === type)
  }

  #take(stream: number, bytes: Uint8Array): void {
    const parts = this.data.get(stream) ?? []
    parts.push(bytes)
    this.data.set(stream, parts)
    if (this.consumes) this.handle({ type: 'consumed', stream, length: bytes.length })
  }
}

export class Pair {
  readonly initiator: End<InitiatorSession>
  readonly responder: End<ResponderSession>
  readonly watched = watchedCrypto()
  readonly store: TicketStore
  readonly keys: StreamKeyPair
  readonly functionKeys: StreamKeyPair

  constructor(options: PairOptions = {}) {
    const { crypto } = this.watched
    const real = nodeStreamCrypto(loadStreamAead())
    this.store = options.store ?? new TicketStore({ capacity: 100, perFunction: 100 })
    this.keys = options.keys ?? real.generateKeyPair()
    this.functionKeys = real.generateKeyPair()
    const shared = { crypto, connector: CONNECTOR, limits: LIMITS, now: 0 }
    const { ticket } = options
    const ik = { type: 'ik', staticKeys: this.functionKeys, responderKey: this.keys.publicKey, token: TOKEN } as const
    this.initiator = new End(
      new InitiatorSession({
        ...shared,
        mode: ticket ? { type: 'resume', ticket } : ik,
        time: 1e12,
        maxFirstFlight: 6000,
        ...options.initiator,
      }),
    )
    this.responder = new End(
      new ResponderSession({
        ...shared,
        staticKeys: this.keys,
        authorize: () => ({ identity: IDENTITY }),
        admitEarly: () => true,
        takeTicket: (id) => this.store.take(id, 0),
        keepTicket: (id, secret, identity, goodMs) => this.store.keep(id, secret, identity, goodMs, 0),
        tickets: 2,
        ticketMs: 60_000,
        ...options.responder,
      }),
    )
  }

  start(): this {
    this.initiator.handle({ type: 'start' })
    return this
  }

  /** Delivers until both are silent. */
  run(): this {
    for (let rounds = 0; rounds < 1_000_000; rounds++) {
      this.initiator.drain()
      this.responder.drain()
      const [up, down] = [this.initiator.outgoing.splice(0), this.responder.outgoing.splice(0)]
      if (up.length + down.length === 0) return this
      for (const bytes of up) this.responder.handle({ type: 'message', bytes })
      for (const bytes of down) this.initiator.handle({ type: 'message', bytes })
    }
    throw new Error('the sessions do not come to rest')
  }

  /** The next message of one end, undelivered. */
  next(end: 'initiator' | 'responder'): Uint8Array {
    this[end].drain()
    const message = this[end].outgoing.shift()
    if (message === undefined) throw new Error(`the ${end} sends nothing`)
    return message
  }

  close(): void {
    for (const end of [this.initiator, this.responder]) {
      end.handle({ type: 'close' })
      end.drain()
    }
  }
}

/** The tickets that an initiator got. */
export function ticketsOf(pair: Pair): ResumptionTicket[] {
  return pair.initiator.effects.flatMap((effect) => (effect.type === 'ticket' ? [effect.ticket] : []))
}
