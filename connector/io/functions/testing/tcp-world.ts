/** TCP services over loopback, and functions that come to them: for tests. */
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import type { ServicePlan, TargetService } from '../../../core/functions/plan.ts'
import type { FlowRecord } from '../../../core/functions/records.ts'
import { targetService } from '../../../core/functions/testing.ts'
import type { Issued } from './certificates.ts'
import type { ClientStream, FunctionClient } from './function-client.ts'
import { type CallOptions, World, type WorldOptions } from './world.ts'

export class TcpWorld {
  #world: World | undefined
  readonly #servers: Server[] = []

  get world(): World {
    return this.#world!
  }

  /** Its port. */
  async serve(onSocket: (socket: Socket) => void, tls?: Issued): Promise<number> {
    const handle = (socket: Socket) => {
      socket.on('error', () => {})
      onSocket(socket)
    }
    const server =
      tls === undefined
        ? createServer({ allowHalfOpen: true }, handle)
        : createTlsServer({ cert: tls.certificate, key: tls.key, allowHalfOpen: true }, handle)
    this.#servers.push(server)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as { port: number }).port
  }

  async open(services: readonly ServicePlan[], more: Partial<WorldOptions> = {}): Promise<World> {
    this.#world = await World.open({ services, ...more })
    return this.#world
  }

  /** A stream to the service `db`, on a session of its own. */
  stream(
    port: number,
    options: CallOptions & { tls?: boolean; host?: string } = {},
  ): { readonly client: FunctionClient; readonly stream: ClientStream } {
    const client = this.world.call(options)
    const { tls, host = 'db' } = options
    return { client, stream: client.open({ kind: 'tcp', host, port, ...(tls && { tls }) }) }
  }

  lastRecord(): FlowRecord | undefined {
    return this.world.records.records.at(-1)
  }

  async close(): Promise<void> {
    await this.#world?.close()
    this.#world = undefined
    for (const server of this.#servers.splice(0)) server.close()
  }
}

export function tcp(port: number, changes: Partial<TargetService> = {}): TargetService {
  return targetService({ name: 'db', kind: 'tcp', host: '127.0.0.1', port, hosts: [], ...changes })
}
