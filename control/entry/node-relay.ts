/** The relay on Node: the app admits the upgrade, `ws` takes the socket, and reading stops where the other end is slow. */
import type { Context as Hono } from 'hono'
import { WebSocketServer } from 'ws'
import { Admission } from '../relay/admission.ts'
import { STREAM_PROTOCOL } from '../relay/offer.ts'
import { type HeldSocket, Relay } from '../relay/relay.ts'
import type { ConnectorNames, ExchangeCounts } from '../relay/types.ts'
import type { OpenRelay } from '../routes/operation.ts'
import type { Services } from '../service/services.ts'
import type { Log } from '../service/types.ts'
import type { UpgradeEnv } from './node-link.ts'
import { NodeSocket } from './node-relay-socket.ts'

/** Relay sockets that a connector keeps open unused: a first flight then needs no call over the link. */
export const NODE_SPARES = 2
/** Bytes of one message: a Noise message has no more. */
const MAX_MESSAGE = 65_535
/** Between two looks at all sockets. */
const SWEEP_MS = 1000
export interface NodeRelayOptions {
  readonly log: Log
  readonly services: () => Services
  readonly seenAddress: (incoming: UpgradeEnv['incoming']) => string | undefined
  /** Has a connector open sockets; false where it has no link here. */
  readonly call: (names: ConnectorNames, count: number) => boolean
}

export interface RelayCounts extends ExchangeCounts {
  /** Bytes that wait to be sent. */
  readonly backlog: number
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

  get counts(): RelayCounts {
    let backlog = 0
    for (const { backlog: bytes } of this.#sockets) backlog += bytes
    return { ...this.relay.counts, backlog }
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
