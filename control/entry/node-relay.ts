/** The relay on Node: the app admits the upgrade, `ws` takes the socket, and reading stops where the other end is slow. */
import type { Context as Hono } from 'hono'
import { type WebSocket, WebSocketServer } from 'ws'
import { Admission } from '../relay/admission.ts'
import { STREAM_PROTOCOL } from '../relay/offer.ts'
import { type HeldSocket, Relay, type RelaySocket } from '../relay/relay.ts'
import type { ConnectorNames } from '../relay/types.ts'
import type { OpenRelay } from '../routes/operation.ts'
import type { Services } from '../service/services.ts'
import type { Log } from '../service/types.ts'
import type { UpgradeEnv } from './node-link.ts'

/** Relay sockets that a connector keeps open unused: a first flight then needs no call over the link. */
export const NODE_SPARES = 2
/** Bytes of one message: a Noise message has no more. */
const MAX_MESSAGE = 65_535
/** Bytes that wait to be sent on a socket before the other one is not read any more, and until it is read again. */
const HIGH_WATER = 128 << 10
const LOW_WATER = 32 << 10
/** A socket that says and takes nothing for so long, not even a ping, is dead. */
const SILENT_MS = 75_000
/** One that says nothing for so long is pinged. */
const PING_MS = 25_000
const SWEEP_MS = 1000
/** Closing is asked for; after so long it is done, and later where something is left to be sent. */
const CLOSE_MS = 2000
const FLUSH_MS = 10_000

export interface NodeRelayOptions {
  readonly log: Log
  readonly services: () => Services
  readonly seenAddress: (incoming: UpgradeEnv['incoming']) => string | undefined
  /** Has a connector open sockets; false where it has no link here. */
  readonly call: (names: ConnectorNames, count: number) => boolean
}

export class NodeRelay implements OpenRelay {
  readonly relay: Relay
  readonly #options: NodeRelayOptions
  readonly #admission: Admission
  readonly #server = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE,
    handleProtocols: (offered) => (offered.has(STREAM_PROTOCOL) ? STREAM_PROTOCOL : false),
  })
  readonly #sockets = new Set<NodeSocket>()
  readonly #sweep: NodeJS.Timeout

  constructor(options: NodeRelayOptions) {
    this.#options = options
    this.#admission = new Admission(options.services)
    this.relay = new Relay({ log: options.log, call: options.call })
    this.#sweep = setInterval(() => this.#look(), SWEEP_MS)
    this.#sweep.unref()
  }

  async call(c: Hono, names: ConnectorNames): Promise<Response> {
    const { incoming } = c.env as UpgradeEnv
    const verdict = await this.#admission.admit({
      ...names,
      protocols: incoming.headers['sec-websocket-protocol'],
      seenAddress: this.#options.seenAddress(incoming),
    })
    return this.#upgrade(c, (socket) => {
      if ('caller' in verdict) return this.relay.call(socket, verdict.caller)
      socket.close(verdict.refused.code, verdict.refused.reason)
      return undefined
    })
  }

  async serve(c: Hono, names: ConnectorNames): Promise<Response> {
    return this.#upgrade(c, (socket) => this.relay.serve(socket, names))
  }

  /** Ends everything. Resolves when the sockets are closed, or were ended. */
  async close(): Promise<void> {
    this.relay.stop()
    if (this.#sockets.size > 0) await new Promise((resolve) => setTimeout(resolve, 50))
    clearInterval(this.#sweep)
    for (const socket of this.#sockets) socket.terminate()
    this.#server.close()
  }

  #upgrade(c: Hono, hold: (socket: NodeSocket) => HeldSocket | undefined): Response {
    const { incoming, upgrade } = c.env as UpgradeEnv
    if (upgrade === undefined) throw new Error('an upgrade without its socket')
    upgrade.taken = true
    this.#server.handleUpgrade(incoming, upgrade.socket, upgrade.head, (ws) => {
      const socket = new NodeSocket(ws, () => this.#sockets.delete(socket))
      this.#sockets.add(socket)
      socket.held = hold(socket)
    })
    return new Response(null)
  }

  #look(): void {
    const now = Date.now()
    for (const socket of this.#sockets) socket.look(now)
  }
}

class NodeSocket implements RelaySocket {
  held: HeldSocket | undefined
  readonly #ws: WebSocket
  #heardAt = Date.now()
  /** Of the last sweep: a clock that costs nothing for each message. */
  #now = this.#heardAt
  #pinged = false
  #full = false
  /** Of what waits, something went out. */
  #wroteAt = this.#heardAt
  #closingAt: number | undefined

  constructor(ws: WebSocket, onGone: () => void) {
    this.#ws = ws
    ws.on('message', (data, binary) => {
      this.#alive()
      if (binary) this.held?.message(data as Buffer)
      else this.held?.misfit()
    })
    ws.on('ping', () => this.#alive())
    ws.on('pong', () => this.#alive())
    // What breaks the rules of RFC 6455, or is too long, has had its close frame.
    ws.on('error', () => ws.terminate())
    ws.on('close', (code, reason) => {
      onGone()
      this.held?.closed(code, String(reason))
    })
  }

  send(data: Uint8Array | string): void {
    if (this.#ws.readyState !== this.#ws.OPEN) return
    this.#ws.send(data, { binary: typeof data !== 'string' }, this.#written)
    if (this.#full || this.#ws.bufferedAmount <= HIGH_WATER) return
    this.#full = true
    this.#wroteAt = this.#now
    this.held?.full()
  }

  close(code: number, reason: string): void {
    this.#closingAt = Date.now()
    this.resume()
    this.#ws.close(code, reason)
  }

  pause(): void {
    this.#ws.pause()
  }

  resume(): void {
    // Time that it was not read is not time that it was silent.
    if (this.#ws.isPaused) this.#alive()
    this.#ws.resume()
  }

  terminate(): void {
    this.#ws.terminate()
  }

  look(now: number): void {
    this.#now = now
    if (this.#closingAt !== undefined) {
      if (now - this.#closingAt > (this.#ws.bufferedAmount > 0 ? FLUSH_MS : CLOSE_MS)) this.#ws.terminate()
    } else if (this.#full && now - this.#wroteAt > SILENT_MS) this.#ws.terminate()
    else if (this.#ws.isPaused) return
    else if (now - this.#heardAt > SILENT_MS) this.#ws.terminate()
    else if (now - this.#heardAt > PING_MS && !this.#pinged) {
      this.#pinged = true
      this.#ws.ping()
    }
  }

  readonly #written = (): void => {
    if (!this.#full) return
    // It takes what is sent: it is there.
    this.#wroteAt = this.#now
    this.#alive()
    if (this.#ws.bufferedAmount > LOW_WATER) return
    this.#full = false
    this.held?.drained()
  }

  #alive(): void {
    this.#heardAt = this.#now
    this.#pinged = false
  }
}
