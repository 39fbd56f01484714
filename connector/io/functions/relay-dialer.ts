/** Runs `RelaySockets` on WebSockets to the relay of the control plane. */
import { randomBytes } from 'node:crypto'
import WebSocket from 'ws'
import { type RelayEffect, type RelayInput, RelaySockets } from '../../core/functions/relay.ts'
import { type Driver, drive } from '../driver.ts'
import { MAX_MESSAGE, STREAM_PROTOCOL } from './listener.ts'

/** What the relay says when a function has the socket. */
const CALL = '{"type":"call"}'
const OPEN_MS = 15_000
/** A spare socket on which nothing was heard: middle boxes forget those that are silent. */
const PING_MS = 25_000
const SILENT_MS = 60_000

export interface RelayOptions {
  /** Of the relay: `wss:` or `ws:`. */
  readonly url: URL
  /** The value of Authorization for one upgrade. */
  readonly authorize: () => Promise<string>
  /** Whether there is room for one more handshake; if so it counts as begun. */
  readonly admit: () => boolean
  readonly onSocket: (socket: WebSocket) => void
  /** Why the relay cannot be had; told once until it can. */
  readonly onTrouble: (reason: string) => void
}

export class RelayDialer {
  readonly #options: RelayOptions
  readonly #machine = new RelaySockets((length) => new Uint8Array(randomBytes(length)))
  readonly #driver: Driver<RelayInput>
  readonly #sockets = new Map<number, WebSocket>()
  #troubled = false
  #stopped = false

  constructor(options: RelayOptions) {
    this.#options = options
    this.#driver = drive<RelayInput, RelayEffect>(this.#machine, {
      perform: (effect) => this.#perform(effect),
      onError: (error) => this.#trouble(String(error)),
      onFault: (error) => this.#trouble(String(error)),
    })
  }

  /** Sockets that wait at the relay, or are on their way there. */
  get waiting(): number {
    return this.#machine.waiting
  }

  linked(spare: number): void {
    this.#driver.post({ type: 'linked', spare })
  }

  unlinked(): void {
    this.#driver.post({ type: 'unlinked' })
  }

  called(count: number): void {
    this.#driver.post({ type: 'call', count })
  }

  stop(): void {
    this.#stopped = true
    this.#driver.stop()
    for (const socket of this.#sockets.values()) drop(socket)
    this.#sockets.clear()
  }

  #perform({ type, socket }: RelayEffect): undefined {
    if (type === 'dial') void this.#dial(socket)
    else drop(this.#sockets.get(socket))
  }

  async #dial(id: number): Promise<void> {
    let authorization: string
    try {
      authorization = await this.#options.authorize()
    } catch (error) {
      this.#trouble(String(error))
      this.#driver.post({ type: 'closed', socket: id })
      return
    }
    if (this.#stopped) return
    const socket = new WebSocket(this.#options.url, [STREAM_PROTOCOL], {
      headers: { Authorization: authorization },
      perMessageDeflate: false,
      maxPayload: MAX_MESSAGE,
      handshakeTimeout: OPEN_MS,
      followRedirects: false,
      // What is sent is ciphertext, which nobody has chosen: no masking is needed.
      generateMask: (mask) => mask.fill(0),
    })
    this.#sockets.set(id, socket)
    this.#hold(id, socket)
  }

  #hold(id: number, socket: WebSocket): void {
    let heardAt = performance.now()
    const pings = setInterval(() => {
      if (performance.now() - heardAt >= SILENT_MS) socket.terminate()
      else if (socket.readyState === WebSocket.OPEN) socket.ping()
    }, PING_MS)
    pings.unref()
    const leave = (): boolean => {
      clearInterval(pings)
      return this.#sockets.delete(id)
    }
    const closed = (reason: string, refused: boolean): void => {
      if (!leave() || this.#stopped) return
      if (reason !== '') this.#trouble(reason)
      this.#driver.post({ type: 'closed', socket: id, refused })
    }
    socket.on('open', () => {
      this.#troubled = false
      this.#driver.post({ type: 'opened', socket: id })
    })
    socket.on('pong', () => {
      heardAt = performance.now()
    })
    socket.on('unexpected-response', (_request, response) => {
      response.resume()
      closed(`the relay refused a socket with HTTP status ${response.statusCode}`, (response.statusCode ?? 500) < 500)
      socket.terminate()
    })
    socket.on('error', (error) => closed(`the relay cannot be reached: ${error.message}`, false))
    socket.on('close', (code) => closed('', code === 4429 || code === 1008))
    socket.on('message', (data, isBinary) => {
      if (isBinary || String(data) !== CALL) {
        socket.terminate()
        return
      }
      leave()
      socket.removeAllListeners()
      socket.on('error', () => {})
      this.#driver.post({ type: 'used', socket: id })
      this.#use(socket)
    })
  }

  #use(socket: WebSocket): void {
    if (this.#options.admit()) this.#options.onSocket(socket)
    else socket.close(4429, '{"code":"overloaded","cause":"Too many handshakes at once."}')
  }

  #trouble(reason: string): void {
    if (!this.#troubled) this.#options.onTrouble(reason)
    this.#troubled = true
  }
}

function drop(socket: WebSocket | undefined): void {
  socket?.removeAllListeners().on('error', () => {})
  socket?.terminate()
}
