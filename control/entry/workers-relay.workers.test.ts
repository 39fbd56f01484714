import { env, exports } from 'cloudflare:workers'
import { beforeAll, describe, expect, test } from 'vitest'
import { proofOf } from '../testing/caller.ts'
import { must } from '../testing/network.ts'
import { type Closed, grantOf, makeRelayWorld, protocolsOf, type RelayWorld, servingHello } from '../testing/relay.ts'
import { hibernate, ORIGIN, TestLink, workerCaller } from './testing/workers-world.ts'
import type { ClientSocket } from './workers-types.ts'

const caller = workerCaller()
const FLIGHT = Uint8Array.from({ length: 600 }, (_, n) => n)
const CALL = '{"type":"call"}'

/** One end of a relayed WebSocket. */
class RelayEnd {
  readonly socket: ClientSocket
  readonly protocol: string | null
  readonly closed: Promise<Closed>
  readonly #heard: unknown[] = []
  readonly #waiting: ((message: unknown) => void)[] = []

  static async open(path: string, headers: Record<string, string>): Promise<RelayEnd> {
    const answer = await exports.default.fetch(ORIGIN + path, { headers: { upgrade: 'websocket', ...headers } })
    if (answer.webSocket == null) throw new Error(`no socket: ${answer.status} ${await answer.text()}`)
    return new RelayEnd(answer.webSocket, answer.headers.get('sec-websocket-protocol'))
  }

  private constructor(socket: ClientSocket, protocol: string | null) {
    this.socket = socket
    this.protocol = protocol
    socket.binaryType = 'arraybuffer'
    socket.addEventListener('message', (event) => {
      const { data } = event as unknown as { data: unknown }
      const message = data instanceof ArrayBuffer ? new Uint8Array(data) : data
      const waiting = this.#waiting.shift()
      if (waiting === undefined) this.#heard.push(message)
      else waiting(message)
    })
    this.closed = new Promise((resolve) => {
      socket.addEventListener('close', (event) => {
        const { code, reason } = event as unknown as Closed
        resolve({ code, reason })
      })
    })
    socket.accept()
  }

  next(): Promise<unknown> {
    const heard = this.#heard.shift()
    if (heard !== undefined) return Promise.resolve(heard)
    return new Promise((resolve) => this.#waiting.push(resolve))
  }
}

async function linked({ left }: RelayWorld): Promise<TestLink> {
  const link = await TestLink.open(caller, left.joined)
  link.send(await servingHello(caller, left))
  expect(await link.next()).toMatchObject({ type: 'welcome', relay: { spare: 0 } })
  expect(await link.next()).toMatchObject({ type: 'document' })
  return link
}

async function callRelay(
  world: RelayWorld,
  more: { readonly first?: Uint8Array; readonly token?: string; readonly connector?: string } = {},
): Promise<RelayEnd> {
  const token = more.token ?? (await grantOf(world)).token
  const connector = more.connector ?? world.left.joined.connector
  const path = `${world.network.path}/connectors/${connector}/stream`
  return RelayEnd.open(path, { 'sec-websocket-protocol': protocolsOf(token, more.first).join(', ') })
}

async function serveRelay({ left: { joined } }: RelayWorld): Promise<RelayEnd> {
  const path = `/v1/networks/${joined.network}/relay`
  return RelayEnd.open(path, { authorization: await proofOf(caller, joined, 'GET', path) })
}

/** A function and a socket of its connector, joined. */
async function joined(world: RelayWorld, link: TestLink): Promise<{ fn: RelayEnd; served: RelayEnd }> {
  const fn = await callRelay(world, { first: FLIGHT })
  expect(await link.next()).toEqual({ type: 'call', count: 1 })
  const served = await serveRelay(world)
  expect([await served.next(), await served.next()]).toEqual([CALL, FLIGHT])
  return { fn, served }
}

describe('a function', () => {
  let world: RelayWorld
  let link: TestLink
  beforeAll(async () => {
    world = await makeRelayWorld(caller, 'calls')
    link = await linked(world)
  })

  test('is told of the relay by its grant, and gets a socket that the connector dials for it', async () => {
    expect((await grantOf(world)).connectors[0]?.relay).toMatch(/\/stream$/)
    const { fn, served } = await joined(world, link)
    expect([fn.protocol, served.protocol]).toEqual(['isthmus.stream.1', null])
    for (let n = 0; n < 50; n++) {
      fn.socket.send(new Uint8Array(n * 10).fill(n))
      served.socket.send(new Uint8Array(n * 7).fill(n))
    }
    for (let n = 0; n < 50; n++) {
      expect(await served.next()).toEqual(new Uint8Array(n * 10).fill(n))
      expect(await fn.next()).toEqual(new Uint8Array(n * 7).fill(n))
    }
    fn.socket.close(1000)
    expect((await served.closed).code).toBe(1000)
  })

  test('reaches a connector whose network was out of memory, and what it said meanwhile goes along', async () => {
    const { token } = await grantOf(world)
    await hibernate(world.network.id)
    const fn = await callRelay(world, { token })
    fn.socket.send(FLIGHT)
    expect(await link.next()).toEqual({ type: 'call', count: 1 })
    const served = await serveRelay(world)
    expect([await served.next(), await served.next()]).toEqual([CALL, FLIGHT])
    served.socket.close(4401, '{"code":"key-changed"}')
    expect(await fn.closed).toEqual({ code: 4401, reason: '{"code":"key-changed"}' })
  })

  test('that says too much before the answer, or text, or too much at once, is ended with the other end', async () => {
    const early = await callRelay(world, { first: FLIGHT })
    expect(await link.next()).toMatchObject({ type: 'call' })
    early.socket.send(FLIGHT)
    expect((await early.closed).code).toBe(4400)
    for (const spoil of ['text', new Uint8Array(65_536)]) {
      const { fn, served } = await joined(world, link)
      fn.socket.send(spoil)
      expect((await fn.closed).code).toBe(1003)
      expect((await served.closed).code).toBe(1001)
    }
  })

  test('gets a socket that came for one that had left', async () => {
    const first = await callRelay(world)
    expect(await link.next()).toMatchObject({ type: 'call' })
    first.socket.close(1000)
    await first.closed
    const served = await serveRelay(world)
    await callRelay(world, { first: FLIGHT })
    expect([await served.next(), await served.next()]).toEqual([CALL, FLIGHT])
  })
})

test('a function is told at once where the connector is not linked', async () => {
  const world = await makeRelayWorld(caller, 'unlinked')
  const { code, reason } = await (await callRelay(world)).closed
  expect([code, JSON.parse(reason).code]).toEqual([4404, 'site-offline'])
})

test('who may not is refused by a close code, also where an upgrade claims to be admitted', async () => {
  const world = await makeRelayWorld(caller, 'refused')
  const foreign = await makeRelayWorld(caller, 'refused-2')
  const { token } = await grantOf(world)
  const codeOf = async (open: Promise<RelayEnd>) => (await (await open).closed).code
  expect(await codeOf(callRelay(world, { token: 'a.b.c' }))).toBe(4401)
  expect(await codeOf(callRelay(world, { token: (await grantOf(foreign)).token }))).toBe(4401)
  expect(await codeOf(callRelay(world, { token, connector: world.right.joined.connector }))).toBe(4404)
  const path = `${world.network.path}/connectors/${world.left.joined.connector}/stream`
  const { network, connector } = world.left.joined
  const claimed = JSON.stringify({ as: 'connector', network, connector })
  expect(await codeOf(RelayEnd.open(path, { 'isthmus-admitted': claimed }))).toBe(4400)
  await expect(RelayEnd.open(`${world.network.path}/relay`, { 'isthmus-admitted': claimed })).rejects.toThrow(
    /no-credentials/,
  )
  const plain = await caller.request('GET', path)
  expect([plain.status, plain.body.code]).toEqual([426, 'websocket-required'])
})

describe('revocation', () => {
  test('of a function ends what it has at once', async () => {
    const world = await makeRelayWorld(caller, 'revoked-function')
    const { fn, served } = await joined(world, await linked(world))
    const { token } = await grantOf(world)
    must(await world.network.ask('DELETE', `/functions/${world.function.id}`, { headers: { 'if-match': '*' } }), 204)
    expect((await fn.closed).code).toBe(1008)
    expect((await served.closed).code).toBe(1001)
    expect((await (await callRelay(world, { token })).closed).code).toBe(4401)
  })

  test('of a connector ends its sockets at once', async () => {
    const world = await makeRelayWorld(caller, 'revoked-connector')
    const { fn, served } = await joined(world, await linked(world))
    must(await world.network.ask('POST', `/connectors/${world.left.joined.connector}/revoke`), 200)
    expect((await fn.closed).code).toBe(1001)
    expect((await served.closed).code).toBe(1008)
    await expect(serveRelay(world)).rejects.toThrow(/connector-revoked/)
  })
})

test('each connector has an object of its own', async () => {
  const names = ['net_a/con_a', 'net_a/con_b', 'net_b/con_a'].map((name) => String(env.RELAYS.idFromName(name)))
  expect(new Set(names).size).toBe(3)
})
