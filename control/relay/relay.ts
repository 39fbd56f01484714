/**
 * A relay on sockets, whatever kind of socket the platform has: runs the machine, and passes what comes on joined
 * sockets from one to the other, one message for one.
 */
import type { Instant } from '../../protocol/machine.ts'
import type { Log } from '../service/types.ts'
import { Exchange } from './exchange.ts'
import type {
  Caller,
  ConnectorNames,
  EndedPair,
  ExchangeCounts,
  ExchangeEffect,
  ExchangeInput,
  ExchangeLimits,
  Present,
  Socket,
} from './types.ts'

/** A WebSocket of the platform. */
export interface RelaySocket {
  /** Text or one binary message, which is the socket's from here on. */
  send(data: Uint8Array | string): void
  /** Sends what waits and a close frame. Nothing but `closed` is told of it afterwards. */
  close(code: number, reason: string): void
  /** Stops reading, where the platform can, and goes on. */
  pause(): void
  resume(): void
}

/** What whoever holds a socket tells of it. */
export interface HeldSocket {
  /** A binary message; the relay's to keep. */
  message(data: Uint8Array): void
  /** Something else than a binary message. */
  misfit(): void
  closed(code: number, reason: string): void
  /** Too much waits to be sent on it, and not too much any more. */
  full(): void
  drained(): void
}

export interface RelayOptions {
  readonly log: Log
  readonly limits?: ExchangeLimits
  /** Has the connector open so many sockets. False where it has no link. */
  readonly call: (names: ConnectorNames, count: number) => boolean | Promise<boolean>
  readonly clock?: () => Instant
}

/** Longest timer that all platforms have. */
const MAX_SLEEP_MS = 60_000

export class Relay {
  readonly #options: RelayOptions
  readonly #exchange: Exchange
  readonly #clock: () => Instant
  readonly #held = new Map<Socket, Held>()
  readonly #calls: Calls
  readonly #gone: Socket[] = []
  #ids = 0
  #draining = false
  #timer: ReturnType<typeof setTimeout> | undefined
  #armedFor: Instant | undefined

  constructor(options: RelayOptions) {
    this.#options = options
    this.#exchange = new Exchange(options.limits)
    this.#clock = options.clock ?? (() => performance.now())
    this.#calls = new Calls(options, (names) => this.#handle({ type: 'unlinked', ...names }))
  }

  get counts(): ExchangeCounts {
    return this.#exchange.counts
  }

  /** Who is here, by network. */
  present(): ReadonlyMap<string, Present> {
    return this.#exchange.present()
  }

  /** Takes the socket of a function that may reach the connector. */
  call(socket: RelaySocket, caller: Caller): HeldSocket {
    const held = this.#hold(socket)
    this.#handle({ type: 'call', socket: held.id, ...caller })
    return held
  }

  /** Takes a socket of a connector. */
  serve(socket: RelaySocket, { network, connector }: ConnectorNames): HeldSocket {
    const held = this.#hold(socket)
    this.#handle({ type: 'serve', socket: held.id, network, connector })
    return held
  }

  revoked(network: string, connector: string): void {
    this.#handle({ type: 'connector-revoked', network, connector })
  }

  /** `at`: tokens of later are good, milliseconds since 1970. */
  functionRevoked(network: string, id: string, at: number): void {
    this.#handle({ type: 'function-revoked', network, function: id, at })
  }

  /** Ends everything, and takes nothing any more. */
  stop(): void {
    this.#handle({ type: 'stop' })
  }

  #hold(socket: RelaySocket): Held {
    const held = new Held(this.#ids++, socket, (input) => this.#handle(input))
    this.#held.set(held.id, held)
    return held
  }

  #handle(input: ExchangeInput): void {
    this.#exchange.handle(input, this.#clock())
    if (input.type === 'closed') this.#gone.push(input.socket)
    // An effect may bring an input about: the loop that runs takes what comes of it.
    if (this.#draining) return
    this.#draining = true
    for (let effect = this.#exchange.poll(); effect !== undefined; effect = this.#exchange.poll()) this.#perform(effect)
    this.#draining = false
    // Only now: what it had passed is told when it ends.
    for (const socket of this.#gone.splice(0)) this.#held.delete(socket)
    this.#arm()
  }

  #perform(effect: ExchangeEffect): void {
    switch (effect.type) {
      case 'call-connector':
        this.#calls.add(effect)
        return
      case 'join':
        this.#held.get(effect.function)?.join(this.#held.get(effect.connector), 'function')
        this.#held.get(effect.connector)?.join(this.#held.get(effect.function), 'connector')
        return
      case 'send':
        this.#held.get(effect.socket)?.deliver(effect.data)
        return
      case 'close':
        this.#held.get(effect.socket)?.close(effect.code, effect.reason)
        // Some platforms do not tell that it is closed then.
        this.#held.delete(effect.socket)
        return
      case 'ended':
        this.#ended(effect.pair)
        return
      case 'refused': {
        const { type: _, ...fields } = effect
        this.#options.log.info(fields, 'a function was not joined')
        return
      }
    }
  }

  #ended({ sockets, ...fields }: EndedPair): void {
    const [caller, server] = [this.#held.get(sockets.function), this.#held.get(sockets.connector)]
    const bytes = { fromFunction: caller?.passed ?? 0, fromConnector: server?.passed ?? 0 }
    for (const held of [caller, server]) held?.part()
    this.#options.log.info({ ...fields, ms: Math.round(fields.ms), ...bytes }, 'a relayed session ended')
  }

  #arm(): void {
    const deadline = this.#exchange.deadline()
    if (deadline === this.#armedFor) return
    clearTimeout(this.#timer)
    this.#armedFor = deadline
    if (deadline === undefined) return
    // Rounded up: a timer that fires before its instant would only have to be armed again.
    const sleep = Math.min(MAX_SLEEP_MS, Math.max(0, Math.ceil(deadline - this.#clock())))
    this.#timer = setTimeout(() => {
      this.#armedFor = undefined
      this.#handle({ type: 'time' })
    }, sleep)
  }
}

class Held implements HeldSocket {
  readonly id: Socket
  readonly socket: RelaySocket
  /** Bytes that came on it and went to the other. */
  passed = 0
  readonly #tell: (input: ExchangeInput) => void
  #peer: Held | undefined
  #unanswered = false
  #closing = false

  constructor(id: Socket, socket: RelaySocket, tell: (input: ExchangeInput) => void) {
    this.id = id
    this.socket = socket
    this.#tell = tell
  }

  join(peer: Held | undefined, as: 'function' | 'connector'): void {
    this.#peer = peer
    this.#unanswered = as === 'connector'
  }

  /** What the machine has kept of its peer, or says itself. */
  deliver(data: Uint8Array | string): void {
    if (typeof data !== 'string' && this.#peer !== undefined) this.#peer.passed += data.length
    this.socket.send(data)
  }

  part(): void {
    this.#peer = undefined
    this.socket.resume()
  }

  message(data: Uint8Array): void {
    const peer = this.#peer
    if (peer === undefined) {
      // A copy: what it is cut from may be much larger.
      if (!this.#closing) this.#tell({ type: 'message', socket: this.id, data: new Uint8Array(data) })
      return
    }
    if (this.#unanswered) {
      this.#unanswered = false
      this.#tell({ type: 'answered', socket: this.id })
    }
    this.passed += data.length
    peer.socket.send(data)
  }

  misfit(): void {
    if (!this.#closing) this.#tell({ type: 'misfit', socket: this.id })
  }

  closed(code: number, reason: string): void {
    this.#closing = true
    this.#tell({ type: 'closed', socket: this.id, code, reason })
  }

  full(): void {
    this.#peer?.socket.pause()
  }

  drained(): void {
    this.#peer?.socket.resume()
  }

  close(code: number, reason: string): void {
    if (this.#closing) return
    this.#closing = true
    this.socket.close(code, reason)
  }
}

/** Calls to connectors: one under way for each; those that come meanwhile go together. */
class Calls {
  readonly #options: RelayOptions
  readonly #onUnlinked: (names: ConnectorNames) => void
  readonly #counts = new Map<string, number>()

  constructor(options: RelayOptions, onUnlinked: (names: ConnectorNames) => void) {
    this.#options = options
    this.#onUnlinked = onUnlinked
  }

  add({ network, connector }: ConnectorNames): void {
    const key = `${network}/${connector}`
    const waiting = this.#counts.get(key)
    this.#counts.set(key, (waiting ?? 0) + 1)
    if (waiting === undefined) void this.#run(key, { network, connector })
  }

  async #run(key: string, names: ConnectorNames): Promise<void> {
    // Those that come in the same turn go along.
    await Promise.resolve()
    for (let count = this.#counts.get(key)!; count > 0; count = this.#counts.get(key)!) {
      this.#counts.set(key, 0)
      if (!(await this.#call(names, count))) this.#onUnlinked(names)
    }
    this.#counts.delete(key)
  }

  async #call(names: ConnectorNames, count: number): Promise<boolean> {
    try {
      return await this.#options.call(names, count)
    } catch (error) {
      this.#options.log.warn({ ...names, error: String(error) }, 'a connector could not be called')
      return false
    }
  }
}
