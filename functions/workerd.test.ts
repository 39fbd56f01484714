/** The SDK in the runtime of Workers, as wrangler bundles it, against connectors on real sockets. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { build } from '../wasm/build.ts'
import type { PeerExchange, PeerTcp } from './testing/peer.ts'
import { type Served, serve } from './testing/serve.ts'
import { until } from './testing/until.ts'
import { TOKEN, World } from './testing/world.ts'
import { startWrangler, type Wrangler } from './testing/wrangler.ts'

describe('in workerd', () => {
  let world: World
  let served: Served
  let worker: Wrangler
  let waiting: PeerExchange[] = []

  beforeAll(async () => {
    await build()
    world = await World.create({ connectors: [{ relay: false }], services: { http, tcp } })
    served = await serve(world)
    worker = await startWrangler('functions/testing/worker/wrangler.jsonc', { ISTHMUS_TOKEN: `${TOKEN}@${served.url}` })
  })
  afterAll(async () => {
    await worker?.close()
    await served?.close()
  })

  async function http(exchange: PeerExchange): Promise<void> {
    const { path } = exchange.head
    if (path === '/held') waiting.push(exchange)
    else if (path !== '/upload') exchange.respond(200, [['content-type', 'application/json']], JSON.stringify({ path }))
    else {
      exchange.head200()
      for await (const chunk of exchange.body) {
        await exchange.stream.drained()
        exchange.write(chunk.slice())
      }
      exchange.end()
    }
  }

  async function tcp({ read, stream }: PeerTcp): Promise<void> {
    for (let chunk = await read(); chunk !== undefined; chunk = await read()) {
      await stream.drained()
      stream.write(chunk.slice())
    }
    stream.finish()
  }

  const order = async (path: string) => (await fetch(worker.url + path)).json()

  test('one invocation after the other: each has its own session, the later ones resumed, under one grant', async () => {
    for (const number of [1, 2, 3]) expect(await order(`/orders/${number}`)).toEqual({ path: `/orders/${number}` })
    expect(world.asked.length).toBe(1)
    expect(world.peer.sessions.map(({ resumed }) => resumed)).toEqual([false, true, true])
    expect(world.peer.sessions.every(({ earlyStreams }) => earlyStreams === 1)).toBe(true)
  })

  test('two at once, which overlap: neither touches the other', async () => {
    waiting = []
    const both = [order('/held'), order('/held')]
    await until(() => waiting.length === 2)
    expect(await order('/orders/4')).toEqual({ path: '/orders/4' })
    for (const [number, exchange] of waiting.entries()) exchange.respond(200, [], JSON.stringify(number))
    expect((await Promise.all(both)).sort()).toEqual([0, 1])
  })

  test('twenty at once', async () => {
    const paths = Array.from({ length: 20 }, (_, number) => `/orders/${number}`)
    expect(await Promise.all(paths.map(order))).toEqual(paths.map((path) => ({ path })))
  })

  test('a body of 3 MB goes through and comes back whole, and over a socket', async () => {
    const body = new Uint8Array(3 << 20).map((_, index) => index % 253)
    for (const path of ['/upload', '/socket']) {
      const response = await fetch(worker.url + path, { method: 'POST', body })
      expect(Buffer.compare(new Uint8Array(await response.arrayBuffer()), body)).toBe(0)
    }
  })

  test('what the connector refuses is an error of this class there too', async () => {
    world.peer.services.refuse = () => ({ code: 'unknown-service', cause: 'No such.', remedy: 'Look.', retry: 'never' })
    const response = await fetch(`${worker.url}/orders/5`)
    expect(response.status).toBe(502)
    expect(await response.json()).toEqual({ name: 'IsthmusError', message: 'No such. Look.', code: 'unknown-service' })
  })

  test('and nothing of all that upset the runtime', () => {
    expect(worker.log()).not.toMatch(/different request|hung|Uncaught|unhandled/i)
  })
})
