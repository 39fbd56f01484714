/** The walk of docs/map.md: from a function's fetch to a service that only the site can reach. To be read. */
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { fakeConnector } from '../../connector/cli/testing.ts'
import type { ConnectorEvent, ConnectorHandle } from '../../connector/handle.ts'
import { joinNetwork } from '../../connector/io/managed/join.ts'
import { startManaged } from '../../connector/io/managed/managed.ts'
import { freePort } from '../../connector/io/testing/free-port.ts'
import { type ControlPlane, startControl } from '../../control/entry/node.ts'
import { nodeCaller } from '../../control/entry/testing/node-world.ts'
import { joinToken, makeFunction, makeNetwork, makeSite, type TestNetwork } from '../../control/testing/network.ts'
import { site } from '../../functions/entry-node.ts'

let directory: string
let control: ControlPlane
let network: TestNetwork
let connector: ConnectorHandle | undefined
let events: ConnectorEvent[]
const servers: Server[] = []

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'isthmus-walk-'))
  events = []
  const log = { info: () => {}, warn: () => {}, error: () => {} }
  control = await startControl({
    directory: join(directory, 'control'),
    host: '127.0.0.1',
    port: 0,
    version: '1.0.0',
    log,
  })
  network = await makeNetwork(nodeCaller(() => control.url, control.adminToken!))
  await makeSite(network, 'hq', '10.1.0.0/16')
})

afterEach(async () => {
  await connector?.stop()
  connector = undefined
  await control.close()
  for (const server of servers.splice(0)) server.close()
  rmSync(directory, { recursive: true, force: true })
})

async function listen(server: Server): Promise<number> {
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as { port: number }).port
}

/** A connector that has joined and serves what `services.yaml` says; its tunnels are another walk. */
async function serve(services: string): Promise<void> {
  const own = join(directory, 'hq')
  mkdirSync(own)
  writeFileSync(join(own, 'services.yaml'), services)
  const { items } = (await network.ask('GET', '/sites')).body as { items: { id: string }[] }
  const token = await joinToken(network, items[0]!.id)
  const enrollment = await joinNetwork({ url: control.url, token, directory: own, software: '1.0.0', addresses: [] })
  connector = await startManaged({
    enrollment,
    settings: { address: '192.0.2.1', stateDirectory: own, controlSocket: join(own, 'socket') },
    software: '1.0.0',
    services: { path: join(own, 'services.yaml'), named: false },
    onEvent: (event) => events.push(event),
    start: async () => fakeConnector(),
  })
}

/** Until the control plane knows what the connector serves, and the connector who signs for functions. */
async function known(services: number): Promise<void> {
  await expect
    .poll(async () => {
      const { items } = (await network.ask('GET', '/connectors')).body as { items: { functions?: { services: [] } }[] }
      return items[0]?.functions?.services.length
    })
    .toBe(services)
  await expect.poll(() => connector!.status().control?.version).toBeGreaterThan(1)
}

async function tokenOf(name: string, services: string[]): Promise<string> {
  return `${(await makeFunction(network, name, [{ site: 'hq', services }])).token}@${control.url}`
}

const erp = (seen: string[] = []) =>
  createServer((request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers.host}`)
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ order: 42 }))
  })

test('a function fetches an order over the relay, and the site sees who it was', async () => {
  const seen: string[] = []
  const port = await listen(erp(seen))
  await serve(`services: { erp: { target: 'http://127.0.0.1:${port}', allow: [orders] } }\n`)
  await known(1)
  await expect.poll(() => connector!.status().functions?.relaySockets).toBe(2)

  const hq = site('hq', { token: await tokenOf('orders', ['erp']) })
  const response = await hq.fetch(`http://erp.internal:${port}/orders/42`)
  expect([response.status, await response.json()]).toEqual([200, { order: 42 }])
  expect(seen).toEqual([`GET /orders/42 erp.internal:${port}`])

  await expect.poll(() => connector!.streams?.().length).toBe(1)
  expect(connector!.streams!()[0]).toMatchObject({
    functionName: 'orders',
    service: 'erp',
    outcome: 'ok',
    via: 'relay',
  })
  expect(events).toContainEqual(expect.objectContaining({ type: 'stream' }))
  await hq.close()
})

test('where the connector listens, a function comes straight; what is not allowed is refused by the side that does not', async () => {
  const port = await listen(erp())
  const direct = await freePort()
  await serve(
    `services:
  erp: { target: 'http://127.0.0.1:${port}', allow: [orders] }
  hr: { target: 'http://127.0.0.1:${port}', allow: [] }
listen: { address: 127.0.0.1, port: ${direct}, url: 'ws://127.0.0.1:${direct}/' }
`.replace('allow: []', 'allow: [payroll]'),
  )
  await known(2)

  const hq = site('hq', { token: await tokenOf('orders', ['erp', 'hr']) })
  const responses = await Promise.all(
    [1, 2, 3].map((i) => hq.fetch(`http://erp/orders/${i}`, { method: 'POST', body: 'x' })),
  )
  expect(responses.map(({ status }) => status)).toEqual([200, 200, 200])
  await Promise.all(responses.map((response) => response.text()))
  await expect(hq.fetch('http://hr/salaries')).rejects.toMatchObject({
    code: 'service-not-allowed',
    remedy: expect.stringContaining('services.hr.allow'),
  })
  await expect(hq.fetch('http://nowhere/')).rejects.toMatchObject({ code: 'unknown-service' })
  expect(connector!.status().functions).toMatchObject({
    sessions: { direct: 1, relay: 0 },
    other: { 'unknown-service': 1 },
  })

  const stranger = site('hq', { token: await tokenOf('invoices', ['erp']) })
  await expect(stranger.fetch('http://erp/')).rejects.toMatchObject({ code: 'service-not-allowed' })
  await Promise.all([hq.close(), stranger.close()])
})

test('a stream of bytes, half-closed, and the connector that stops while it is open', async () => {
  const port = await listen(
    createTcpServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => {}).on('data', (chunk) => socket.write(chunk))
      socket.on('end', () => socket.end('bye'))
    }) as unknown as Server,
  )
  await serve(`services: { db: { target: 'tcp://127.0.0.1:${port}', allow: [orders] } }\n`)
  await known(1)
  const hq = site('hq', { token: await tokenOf('orders', ['db']) })

  const first = hq.connect({ hostname: 'db', port }, { allowHalfOpen: true })
  const writer = first.writable.getWriter()
  await writer.write(new TextEncoder().encode('hello '))
  await writer.close()
  expect(await new Response(first.readable).text()).toBe('hello bye')

  const second = hq.connect({ hostname: 'db', port })
  await second.opened
  second.closed.catch(() => {})
  const reading = new Response(second.readable).text()
  reading.catch(() => {})
  await connector!.stop()
  connector = undefined
  await expect(reading).rejects.toMatchObject({ code: expect.any(String) })
  await hq.close()
})
