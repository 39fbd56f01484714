/** A relay as functions and connectors see it, over sockets. For tests only. */
import { once } from 'node:events'
import WebSocket from 'ws'
import { toBase64url } from '../../../protocol/control/base64url.ts'
import type { Grant } from '../../../protocol/control/grant.ts'
import { type Caller, emptyReport, makeIdentity, proofOf } from '../../testing/caller.ts'
import type { TestConnector } from '../../testing/connector.ts'
import { makeFunction, makeNetwork, makePair, must, type TestNetwork } from '../../testing/network.ts'
import { NodeLink } from './node-world.ts'

export interface RelayWorld {
  readonly network: TestNetwork
  readonly left: TestConnector
  readonly right: TestConnector
  readonly function: { readonly id: string; readonly token: string }
}

/** Two connectors, and a function that may reach `erp` at `hq`, where the left one is. */
export async function makeRelayWorld(caller: Caller, name = 'acme'): Promise<RelayWorld> {
  const network = await makeNetwork(caller, name)
  const { left, right } = await makePair(caller, network)
  while ((await left.follow()) || (await right.follow()));
  const made = await makeFunction(network, 'orders', [{ site: 'hq', services: ['erp'] }])
  return { network, left, right, function: made }
}

/** What a connector says first that serves functions. */
export async function servingHello(caller: Caller, connector: TestConnector): Promise<object> {
  const report = { ...emptyReport(caller, connector.document.version), functions: await connector.serving() }
  return { type: 'hello', protocol: 1, report }
}

export async function grantOf(world: RelayWorld, site = 'hq'): Promise<Grant> {
  const body = { site, publicKey: makeIdentity(3).publicKey }
  return must(await world.network.ask('POST', '/grants', { token: world.function.token, body }), 200).body
}

/** Links a connector that serves functions. */
export async function linkServing(url: string, caller: Caller, connector: TestConnector): Promise<NodeLink> {
  const link = await NodeLink.open(url, caller, connector.joined)
  link.send(await servingHello(caller, connector))
  return link
}

export interface Closed {
  readonly code: number
  readonly reason: string
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

export function protocolsOf(token: string, first?: Uint8Array): string[] {
  const flight = first === undefined ? [] : [`f.${toBase64url(first)}`]
  return ['isthmus.stream.1', ...flight, `t.${token}`]
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
