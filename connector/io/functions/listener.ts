/** Where functions come straight to the connector: WebSockets on HTTP or HTTPS. */
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import { fromBase64url } from '../../../protocol/control/base64url.ts'
import type { ListenPlan } from '../../core/functions/plan.ts'

/** Bytes of one message: a Noise message has no more. */
export const MAX_MESSAGE = 65_535
export const STREAM_PROTOCOL = 'isthmus.stream.1'
const MAX_FIRST_FLIGHT = 6000

export interface ListenerOptions {
  readonly plan: ListenPlan
  /** Connections at once, of whatever kind. */
  readonly maxConnections: number
  /** Whether there is room for one more handshake; if so it counts as begun. */
  readonly admit: () => boolean
  readonly onSocket: (socket: WebSocket, firstFlight: Uint8Array | undefined) => void
}

export class Listener {
  readonly #server: Server
  readonly #sockets: WebSocketServer

  private constructor(options: ListenerOptions) {
    const { plan, maxConnections } = options
    const limits = { headersTimeout: 5000, requestTimeout: 10_000, keepAliveTimeout: 1000, maxHeaderSize: 16_384 }
    const answer = (_: IncomingMessage, response: import('node:http').ServerResponse) => {
      response.writeHead(426, { 'content-type': 'text/plain', connection: 'close', upgrade: 'websocket' })
      response.end('Functions connect here, by WebSocket.\n')
    }
    const tls = plan.tls && { cert: plan.tls.certificate, key: plan.tls.key, minVersion: 'TLSv1.2' as const }
    this.#server =
      tls === undefined
        ? createServer(limits, answer)
        : createTlsServer({ ...limits, ...tls, handshakeTimeout: 10_000, ALPNProtocols: ['http/1.1'] }, answer)
    this.#server.maxConnections = maxConnections
    this.#sockets = new WebSocketServer({
      noServer: true,
      perMessageDeflate: false,
      maxPayload: MAX_MESSAGE,
      clientTracking: false,
      handleProtocols: () => STREAM_PROTOCOL,
    })
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head, options))
    this.#server.on('clientError', (_error, socket) => socket.destroy())
  }

  /** Rejects with the system's error. */
  static async open(options: ListenerOptions): Promise<Listener> {
    const listener = new Listener(options)
    const server = listener.#server
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host: options.plan.address, port: options.plan.port }, () => {
        server.off('error', reject)
        resolve()
      })
    })
    server.on('error', () => {})
    return listener
  }

  /** As bound. */
  get port(): number {
    const bound = this.#server.address()
    return typeof bound === 'object' && bound !== null ? bound.port : 0
  }

  /** Takes nobody any more. Sessions that stand are not touched. */
  close(): void {
    this.#server.close()
    this.#server.closeIdleConnections()
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, options: ListenerOptions): void {
    // What fails here is for `ws` to tell, or nobody.
    socket.on('error', () => {})
    const offer = readOffer(request.headers['sec-websocket-protocol'])
    if (offer === undefined) {
      refuse(socket, '400 Bad Request')
      return
    }
    this.#sockets.handleUpgrade(request, socket, head, (websocket) => {
      websocket.on('error', () => {})
      if (options.admit()) options.onSocket(websocket, offer.firstFlight)
      else websocket.close(4429, '{"code":"overloaded","cause":"Too many handshakes at once."}')
    })
  }
}

/** The subprotocols that a function offers; undefined where they are not those of one. */
export function readOffer(header: string | undefined): { readonly firstFlight: Uint8Array | undefined } | undefined {
  const offered = (header ?? '').split(',').map((protocol) => protocol.trim())
  if (!offered.includes(STREAM_PROTOCOL)) return undefined
  const flights = offered.filter((protocol) => protocol.startsWith('f.'))
  if (flights.length === 0) return { firstFlight: undefined }
  const firstFlight = flights.length > 1 ? undefined : fromBase64url(flights[0]!.slice(2))
  if (firstFlight === undefined || firstFlight.length === 0 || firstFlight.length > MAX_FIRST_FLIGHT) return undefined
  return { firstFlight }
}

function refuse(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
  // Whoever does not read that is not waited for.
  setTimeout(() => socket.destroy(), 1000).unref()
}
