/** A relay on Node as functions and connectors see it, over sockets. For tests only. */
import { once } from 'node:events'
import WebSocket from 'ws'
import { type Caller, proofOf } from '../../testing/caller.ts'
import type { TestConnector } from '../../testing/connector.ts'
import { type Closed, grantOf, protocolsOf, type RelayWorld, servingHello } from '../../testing/relay.ts'
import { NodeLink } from './node-world.ts'

/** Links a connector that serves functions. */
export async function linkServing(url: string, caller: Caller, connector: TestConnector): Promise<NodeLink> {
  const link = await NodeLink.open(url, caller, connector.joined)
  link.send(await servingHello(caller, connector))
  return link
}

/** One end of a relayed WebSocket. */
export class RelayEnd {
  readonly socket: WebSocket
  readonly closed: Promise<Closed>
  readonly #heard: (Buffer | string)[] = []
  readonly #waiting: ((message: Buffer | string) => void)[] = []

  /** Resolves when it is open. */
  static async open(url: string, protocols: string[], headers: Record<string, string> = {}): Promise<RelayEnd> {
    const socket = new WebSocket(url.replace('http', 'ws'), protocols, { headers, perMessageDeflate: false })
    const end = new RelayEnd(socket)
    await once(socket, 'open')
    return end
  }

  private constructor(socket: WebSocket) {
    this.socket = socket
    socket.on('message', (data: Buffer, binary) => {
      const message = binary ? data : String(data)
      const waiting = this.#waiting.shift()
      if (waiting === undefined) this.#heard.push(message)
      else waiting(message)
    })
    this.closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => resolve({ code, reason: String(reason) }))
    })
  }

  /** The next message that has not been taken yet: text, or bytes. */
  next(): Promise<Buffer | string> {
    const heard = this.#heard.shift()
    if (heard !== undefined) return Promise.resolve(heard)
    return new Promise((resolve) => this.#waiting.push(resolve))
  }
}

/** A function's socket; the grant may be one of before. */
export async function callRelay(
  url: string,
  world: RelayWorld,
  more: { readonly first?: Uint8Array; readonly token?: string; readonly connector?: string } = {},
): Promise<RelayEnd> {
  const token = more.token ?? (await grantOf(world)).token
  const connector = more.connector ?? world.left.joined.connector
  const path = `${world.network.path}/connectors/${connector}/stream`
  return RelayEnd.open(url + path, protocolsOf(token, more.first))
}

/** A socket of the left connector. */
export async function serveRelay(url: string, caller: Caller, { joined }: TestConnector): Promise<RelayEnd> {
  const path = `/v1/networks/${joined.network}/relay`
  const authorization = await proofOf(caller, joined, 'GET', path)
  return RelayEnd.open(url + path, ['isthmus.stream.1'], { authorization })
}
