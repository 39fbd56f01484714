/** A `World` on real sockets of the loopback interface, for functions that run in another process. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'
import { fromBase64url } from '../../protocol/control/base64url.ts'
import type { SocketEnd } from '../sdk/platform.ts'
import { PeerSession, type PeerSocket } from './peer.ts'
import type { World } from './world.ts'

export interface Served {
  /** Of the control plane. */
  readonly url: string
  close(): Promise<void>
}

export async function serve(world: World): Promise<Served> {
  const http = createServer((request, response) => {
    const headers = new Headers(request.headers as Record<string, string>)
    world.fetch(request.url ?? '', { headers }).then(async (answer) => {
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text())
    })
  })
  const sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    handleProtocols: () => 'isthmus.stream.1',
  })
  http.on('upgrade', (request, socket, head) => {
    const connector = world.connectors.find(({ peer }) => request.url?.includes(peer.id))
    const protocols = request.headers['sec-websocket-protocol']?.split(/ *, */) ?? []
    const flight = fromBase64url(protocols.find((protocol) => protocol.startsWith('f.'))?.slice(2) ?? '')
    if (connector === undefined || flight === undefined) {
      socket.destroy()
      return
    }
    sockets.handleUpgrade(request, socket, head, (opened) => {
      const session = new PeerSession(connector.peer, new WsPeerSocket(opened))
      connector.peer.sessions.push(session)
      session.message(flight)
    })
  })
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  const { port } = http.address() as AddressInfo
  world.directUrl = (id) => `ws://127.0.0.1:${port}/direct/${id}`
  return {
    url: `http://127.0.0.1:${port}`,
    close: async () => {
      for (const socket of sockets.clients) socket.terminate()
      http.closeAllConnections()
      await new Promise((resolve) => http.close(resolve))
    },
  }
}

class WsPeerSocket implements PeerSocket {
  onMessage: ((bytes: Uint8Array) => void) | undefined
  onClose: ((code: number) => void) | undefined
  readonly #socket: WebSocket

  constructor(socket: WebSocket) {
    this.#socket = socket
    socket.on('message', (data) => this.onMessage?.(data as Buffer))
    socket.on('close', (code) => this.onClose?.(code))
    socket.on('error', () => undefined)
  }

  deliver(bytes: Uint8Array): void {
    this.#socket.send(bytes)
  }

  endByPeer({ code, reason }: SocketEnd): void {
    if (code === 1006) this.#socket.terminate()
    else this.#socket.close(code, reason)
  }
}
