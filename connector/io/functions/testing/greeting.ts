/** A connector in front of a service that says `hello` to whoever connects, and keeps the connection: for tests. */
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import type { TargetService } from '../../../core/functions/plan.ts'
import { targetService } from '../../../core/functions/testing.ts'
import { World, type WorldOptions } from './world.ts'

export interface Greeting {
  readonly world: World
  readonly port: number
  /** What the service has heard, and its connections. */
  readonly heard: string[]
  readonly sockets: Socket[]
}

/** The service is called `db`. Its server goes into `servers`, for the caller to close. */
export async function openGreeting(
  servers: Server[],
  more: Partial<WorldOptions> = {},
  changes: Partial<TargetService> = {},
): Promise<Greeting> {
  const heard: string[] = []
  const sockets: Socket[] = []
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket)
    socket.on('error', () => {}).on('data', (chunk) => heard.push(String(chunk)))
    socket.on('end', () => socket.end())
    socket.write('hello')
  })
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const db = targetService({ name: 'db', kind: 'tcp', host: '127.0.0.1', port, hosts: [], ...changes })
  return { world: await World.open({ services: [db], ...more }), port, heard, sockets }
}

export function closeServers(servers: Server[]): void {
  for (const server of servers.splice(0)) {
    server.close()
    if ('closeAllConnections' in server) (server as import('node:http').Server).closeAllConnections()
  }
}
