/** Links of connectors on Node: the app admits the upgrade, `ws` takes the socket. */
import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import { MAX_LINK_MESSAGE } from '../../protocol/control/link.ts'
import { HeldLink } from '../link/held-link.ts'
import type { Links } from '../link/links.ts'
import type { OpenLink } from '../routes/operation.ts'
import type { Services } from '../service/services.ts'

/** What an upgrade request carries along, where the app's handlers find it as `c.env`. */
export interface UpgradeEnv {
  readonly incoming: IncomingMessage
  readonly upgrade?: { readonly socket: Duplex; readonly head: Buffer; taken: boolean }
}

/** A connector that says nothing for so long, not even a pong, is gone. */
const SILENT_MS = 75_000
/** One that says nothing for so long is pinged. */
const PING_MS = 25_000
/** Often, so that those that came at different times are pinged at different times too. */
const SWEEP_MS = 250
/** Bytes that wait for a connector that does not read. */
const MAX_BACKLOG = 16 << 20
/** Closing is asked for; after so long it is done. */
const CLOSE_MS = 2000

type Fetch = (request: Request, env: UpgradeEnv) => Response | Promise<Response>

export class NodeLinks {
  readonly #links: Links
  readonly #services: () => Services
  readonly #seenAddress: (incoming: IncomingMessage) => string | undefined
  readonly #server = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: MAX_LINK_MESSAGE })
  readonly #heard = new Map<WebSocket, { at: number; pinged: boolean }>()
  readonly #sweep: NodeJS.Timeout
  readonly #spares: number | undefined

  /** `spares`: relay sockets that a connector is to keep open; absent where there is no relay. */
  constructor(
    links: Links,
    services: () => Services,
    seenAddress: (incoming: IncomingMessage) => string | undefined,
    spares?: number,
  ) {
    this.#spares = spares
    this.#links = links
    this.#services = services
    this.#seenAddress = seenAddress
    this.#sweep = setInterval(() => this.#endSilent(), SWEEP_MS)
    this.#sweep.unref()
  }

  readonly open: OpenLink = async (c, names) => {
    const { incoming, upgrade } = c.env as UpgradeEnv
    if (upgrade === undefined) throw new Error('an upgrade without its socket')
    upgrade.taken = true
    this.#server.handleUpgrade(incoming, upgrade.socket, upgrade.head, (socket) => {
      const seenAddress = this.#seenAddress(incoming)
      this.#hold(socket, { ...names, ...(seenAddress === undefined ? {} : { seenAddress }) })
    })
    return new Response(null)
  }

  /** Has the app decide on each upgrade; what it refuses is answered as any request. */
  listen(server: Server, fetch: Fetch): void {
    server.on('upgrade', (incoming, socket, head) => {
      socket.on('error', () => socket.destroy())
      void this.#upgrade(incoming, socket, head, fetch)
    })
  }

  /** Tells every connector to come back later, and ends the sockets. */
  async close(): Promise<void> {
    clearInterval(this.#sweep)
    await this.#links.close()
    for (const socket of this.#heard.keys()) socket.close(1012)
    await new Promise((resolve) => setTimeout(resolve, this.#heard.size === 0 ? 0 : 50))
    for (const socket of this.#heard.keys()) socket.terminate()
    this.#server.close()
  }

  async #upgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer, fetch: Fetch): Promise<void> {
    const upgrade = { socket, head, taken: false }
    try {
      const response = await fetch(requestOf(incoming), { incoming, upgrade })
      if (!upgrade.taken) socket.end(await rawAnswer(response))
    } catch {
      socket.destroy()
    }
  }

  #hold(socket: WebSocket, names: { network: string; connector: string; seenAddress?: string }): void {
    const ends = {
      send: (text: string) => {
        if (socket.bufferedAmount > MAX_BACKLOG) socket.terminate()
        else socket.send(text)
      },
      close: () => {
        socket.close(1000)
        setTimeout(() => socket.terminate(), CLOSE_MS).unref()
      },
    }
    const link = new HeldLink(this.#services(), names, ends, undefined, undefined, this.#spares)
    const heard = { at: Date.now(), pinged: false }
    const alive = () => {
      heard.at = Date.now()
      heard.pinged = false
    }
    this.#heard.set(socket, heard)
    socket.on('message', (data, binary) => {
      alive()
      void link.handle({ type: 'message', text: binary ? '' : String(data) })
    })
    socket.on('ping', alive)
    socket.on('pong', alive)
    socket.on('error', () => socket.terminate())
    socket.on('close', () => {
      this.#heard.delete(socket)
      this.#links.remove(link)
    })
    this.#links.add(link)
  }

  #endSilent(): void {
    const now = Date.now()
    for (const [socket, heard] of this.#heard) {
      if (now - heard.at > SILENT_MS) socket.terminate()
      else if (now - heard.at > PING_MS && !heard.pinged) {
        heard.pinged = true
        socket.ping()
      }
    }
  }
}

function requestOf(incoming: IncomingMessage): Request {
  const headers = new Headers()
  for (const [name, value] of Object.entries(incoming.headers)) {
    for (const each of Array.isArray(value) ? value : [value]) if (each !== undefined) headers.append(name, each)
  }
  const host = URL.canParse(`http://${incoming.headers.host}`) ? incoming.headers.host : 'localhost'
  return new Request(new URL(incoming.url ?? '/', `http://${host}`), { method: incoming.method ?? 'GET', headers })
}

async function rawAnswer(response: Response): Promise<string> {
  const body = await response.text()
  const lines = [`HTTP/1.1 ${response.status} ${response.statusText || 'Refused'}`]
  for (const [name, value] of response.headers) lines.push(`${name}: ${value}`)
  lines.push(`content-length: ${Buffer.byteLength(body)}`, `date: ${new Date().toUTCString()}`, 'connection: close')
  return `${lines.join('\r\n')}\r\n\r\n${body}`
}
