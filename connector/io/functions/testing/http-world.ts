/** Services that speak HTTP over loopback, and what asks them: for tests. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTcpServer, type Socket, type Server as TcpServer } from 'node:net'
import type { ServicePlan, TargetService } from '../../../core/functions/plan.ts'
import type { FlowRecord } from '../../../core/functions/records.ts'
import { targetService } from '../../../core/functions/testing.ts'
import type { FunctionClient } from './function-client.ts'
import { type Asking, answerOf, ask, type Got } from './http-client.ts'
import { World, type WorldOptions } from './world.ts'

export type Handler = (request: IncomingMessage, response: ServerResponse) => void

export class HttpWorld {
  #world: World | undefined
  readonly #servers: (Server | TcpServer)[] = []

  get world(): World {
    return this.#world!
  }

  async open(services: readonly ServicePlan[], more: Partial<WorldOptions> = {}): Promise<FunctionClient> {
    this.#world = await World.open({ services, ...more })
    return this.#world.call()
  }

  /** Its port. */
  async listen(server: Server | TcpServer): Promise<number> {
    this.#servers.push(server)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as { port: number }).port
  }

  serve(handler: Handler): Promise<number> {
    return this.listen(createServer(handler))
  }

  /** A service that says these octets to whatever it is asked. */
  say(text: string): Promise<number> {
    const answer = (socket: Socket) => {
      socket.on('error', () => {})
      socket.once('data', () => socket.write(text, 'latin1', () => socket.end()))
    }
    return this.listen(createTcpServer(answer))
  }

  lastRecord(): FlowRecord | undefined {
    return this.world.records.records.at(-1)
  }

  async close(): Promise<void> {
    await this.#world?.close()
    this.#world = undefined
    for (const server of this.#servers.splice(0)) {
      server.close()
      if ('closeAllConnections' in server) server.closeAllConnections()
    }
  }
}

export function http(port: number, changes: Partial<TargetService> = {}): TargetService {
  return targetService({ host: '127.0.0.1', port, ...changes })
}

export function get(client: FunctionClient, asking: Asking = {}): Promise<Got> {
  return answerOf(ask(client, asking), asking.method === 'HEAD')
}

export function codeOf(client: FunctionClient, asking: Asking = {}): Promise<string> {
  return get(client, asking).then(
    () => 'ok',
    (error: Error) => error.message,
  )
}

/** Tells what it was asked. */
export const mirror: Handler = (request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const { method, url, rawHeaders } = request
    response.end(JSON.stringify({ method, url, rawHeaders, body: String(Buffer.concat(chunks)) }))
  })
}

export async function mirrored(client: FunctionClient, asking: Asking = {}) {
  const got = JSON.parse(String((await get(client, asking)).body)) as {
    method: string
    url: string
    rawHeaders: string[]
    body: string
  }
  const headers = new Map<string, string[]>()
  for (let i = 0; i < got.rawHeaders.length; i += 2) {
    const name = got.rawHeaders[i]!.toLowerCase()
    headers.set(name, [...(headers.get(name) ?? []), got.rawHeaders[i + 1]!])
  }
  return { ...got, headers }
}
