import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Caller } from '../testing/caller.ts'
import { must } from '../testing/network.ts'
import { grantOf, makeRelayWorld, protocolsOf, type RelayWorld } from '../testing/relay.ts'
import { type ControlPlane, startControl } from './node.ts'
import { nodeCaller } from './testing/node-world.ts'
import { callRelay, linkServing, RelayEnd, serveRelay } from './testing/relay-world.ts'

const FLIGHT = Uint8Array.from({ length: 600 }, (_, n) => n)
const CALL = '{"type":"call"}'

interface Line {
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

let directory: string
let plane: ControlPlane
let caller: Caller
let world: RelayWorld
const log: Line[] = []
const note = (fields: Line['fields'], message: string) => void log.push({ fields, message })

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'isthmus-relay-'))
  log.length = 0
  const options = { directory, host: '127.0.0.1', port: 0, version: '1.2.3' }
  plane = await startControl({ ...options, log: { info: note, warn: note, error: note } })
  caller = nodeCaller(() => plane.url, plane.adminToken!)
  world = await makeRelayWorld(caller)
})
afterEach(async () => {
  await plane.close()
  rmSync(directory, { recursive: true, force: true })
})

const spares = (count: number) => expect.poll(() => plane.relayed().spares).toBe(count)
const pairs = (count: number) => expect.poll(() => plane.relayed().pairs).toBe(count)
const said = (message: string) => log.filter((line) => line.message === message).map(({ fields }) => fields)

/** A function and a socket of its connector, joined. */
async function joined(first?: Uint8Array): Promise<{ fn: RelayEnd; served: RelayEnd }> {
  const served = await serveRelay(plane.url, caller, world.left)
  await spares(1)
  const fn = await callRelay(plane.url, world, first === undefined ? {} : { first })
  expect(await served.next()).toBe(CALL)
  if (first !== undefined) expect(await served.next()).toEqual(Buffer.from(first))
  return { fn, served }
}

describe('a function', () => {
  test('gets a socket that waits, which first hears of the call, then the first flight, then what follows', async () => {
    const { fn, served } = await joined(FLIGHT)
    expect(fn.socket.protocol).toBe('isthmus.stream.1')
    served.socket.send(Buffer.from('answer'))
    expect(String(await fn.next())).toBe('answer')
    for (let n = 0; n < 100; n++) {
      fn.socket.send(Buffer.alloc(n * 10, n))
      served.socket.send(Buffer.alloc(n * 7, n))
    }
    for (let n = 0; n < 100; n++) {
      expect(await served.next()).toEqual(Buffer.alloc(n * 10, n))
      expect(await fn.next()).toEqual(Buffer.alloc(n * 7, n))
    }
    fn.socket.close(1000)
    expect((await served.closed).code).toBe(1000)
    await pairs(0)
    expect(said('a relayed session ended')).toEqual([
      {
        network: world.network.id,
        connector: world.left.joined.connector,
        function: world.function.id,
        ms: expect.any(Number),
        why: 'function-closed',
        fromFunction: 49_500 + FLIGHT.length,
        fromConnector: 34_650 + 6,
      },
    ])
  })

  test('that finds none waits: the connector is called over its link, dials, and gets what was said meanwhile', async () => {
    const link = await linkServing(plane.url, caller, world.left)
    expect((await link.next('welcome')).relay).toEqual({ spare: 2 })
    await expect.poll(async () => (await grantOf(world)).connectors[0]?.relay).toMatch(/\/stream$/)
    const fn = await callRelay(plane.url, world)
    fn.socket.send(FLIGHT)
    expect(await link.next('call')).toEqual({ type: 'call', count: 1 })
    await expect.poll(() => plane.relayed().heldBytes).toBe(FLIGHT.length)
    const served = await serveRelay(plane.url, caller, world.left)
    expect(await served.next()).toBe(CALL)
    expect(await served.next()).toEqual(Buffer.from(FLIGHT))
    served.socket.send(Buffer.from('late'))
    expect(String(await fn.next())).toBe('late')
  })

  test('of which several come at once is called for together', async () => {
    const link = await linkServing(plane.url, caller, world.left)
    await link.next('welcome')
    const { token } = await grantOf(world)
    await Promise.all([1, 2, 3].map(() => callRelay(plane.url, world, { token })))
    let called = 0
    while (called < 3) called += (await link.next('call')).count
    expect(called).toBe(3)
    expect(plane.relayed().waiting).toBe(3)
  })

  test('gets a socket each, also where a hundred come and none waits', async () => {
    const link = await linkServing(plane.url, caller, world.left)
    await link.next('welcome')
    const { token } = await grantOf(world)
    const serveAll = (async () => {
      for (let served = 0; served < 100; ) {
        const { count } = await link.next('call')
        await Promise.all(Array.from({ length: count }, () => serveRelay(plane.url, caller, world.left)))
        served += count
      }
    })()
    // As many may wait at once as the relay lets wait.
    for (let begun = 0; begun < 100; begun += 50) {
      await Promise.all(Array.from({ length: 50 }, () => callRelay(plane.url, world, { token, first: FLIGHT })))
      await pairs(begun + 50)
    }
    await serveAll
  })

  test('is told at once where the connector is not linked', async () => {
    const fn = await callRelay(plane.url, world)
    const { code, reason } = await fn.closed
    expect([code, JSON.parse(reason)]).toEqual([4404, expect.objectContaining({ code: 'site-offline' })])
  })

  test('is told what the connector says of its first flight', async () => {
    const { fn, served } = await joined(FLIGHT)
    served.socket.close(4401, '{"code":"key-changed"}')
    expect(await fn.closed).toEqual({ code: 4401, reason: '{"code":"key-changed"}' })
  })
})

describe('who may not', () => {
  async function refused(open: Promise<RelayEnd>): Promise<number> {
    const { code, reason } = await (await open).closed
    expect(JSON.parse(reason)).toEqual({ code: expect.any(String), cause: expect.any(String) })
    return code
  }
  const path = () => `${world.network.path}/connectors/${world.left.joined.connector}/stream`

  test('is refused by a close code, and takes no socket of the connector', async () => {
    await serveRelay(plane.url, caller, world.left)
    await spares(1)
    const { token } = await grantOf(world)
    const tampered = `${token.slice(0, -4)}${token.endsWith('AAAA') ? 'BBBB' : 'AAAA'}`
    const foreign = await makeRelayWorld(caller, 'foreign')
    expect(await refused(callRelay(plane.url, world, { token: tampered }))).toBe(4401)
    expect(await refused(callRelay(plane.url, world, { token: 'a.b.c' }))).toBe(4401)
    expect(await refused(callRelay(plane.url, world, { token: (await grantOf(foreign)).token }))).toBe(4401)
    expect(await refused(callRelay(plane.url, world, { token, connector: world.right.joined.connector }))).toBe(4404)
    expect(await refused(callRelay(plane.url, world, { token, connector: foreign.left.joined.connector }))).toBe(4404)
    expect(await refused(RelayEnd.open(plane.url + path(), ['isthmus.stream.1']))).toBe(4400)
    expect(await refused(RelayEnd.open(plane.url + path(), [...protocolsOf(token), 'f.A']))).toBe(4400)
    expect(plane.relayed()).toMatchObject({ spares: 1, waiting: 0, pairs: 0 })
    expect(JSON.stringify(log)).not.toContain(token.split('.')[2])
  })

  test('a request that does not upgrade is told so, and a connector needs its proof', async () => {
    const answer = await caller.request('GET', path())
    expect([answer.status, answer.body.code]).toEqual([426, 'websocket-required'])
    const anonymous = RelayEnd.open(`${plane.url}${world.network.path}/relay`, [])
    await expect(anonymous).rejects.toThrow(/401/)
  })

  test('guessing is limited by address, and a function with a good token is not charged for it', async () => {
    const codes: number[] = []
    for (let n = 0; n < 40; n++) codes.push(await refused(callRelay(plane.url, world, { token: 'a.b.c' })))
    expect([codes[0], codes.at(-1)]).toEqual([4401, 4429])
    await joined()
  })
})

describe('revocation', () => {
  test('of a function ends what it has at once, and its token is no good any more', async () => {
    const { token } = await grantOf(world)
    const { fn, served } = await joined(FLIGHT)
    must(await world.network.ask('DELETE', `/functions/${world.function.id}`, { headers: { 'if-match': '*' } }), 204)
    expect((await fn.closed).code).toBe(1008)
    expect((await served.closed).code).toBe(1001)
    expect((await (await callRelay(plane.url, world, { token })).closed).code).toBe(4401)
  })

  test('of what it may reach ends what it has, and a new grant is good again', async () => {
    const { token } = await grantOf(world)
    const { fn } = await joined(FLIGHT)
    const body = { name: 'orders', allow: [{ site: 'hq', services: ['db'] }] }
    const options = { headers: { 'if-match': '*' }, body }
    must(await world.network.ask('PUT', `/functions/${world.function.id}`, options), 200)
    expect((await fn.closed).code).toBe(1008)
    expect((await (await callRelay(plane.url, world, { token })).closed).code).toBe(4401)
    await joined()
  })

  test('of a connector ends its sockets at once, and no other may come', async () => {
    const { fn, served } = await joined(FLIGHT)
    const spare = await serveRelay(plane.url, caller, world.left)
    must(await world.network.ask('POST', `/connectors/${world.left.joined.connector}/revoke`), 200)
    expect((await fn.closed).code).toBe(1001)
    expect([(await served.closed).code, (await spare.closed).code]).toEqual([1008, 1008])
    await expect(serveRelay(plane.url, caller, world.left)).rejects.toThrow(/401/)
  })
})

describe('an end that breaks off', () => {
  test('a connector that vanishes', async () => {
    const { fn, served } = await joined(FLIGHT)
    served.socket.terminate()
    const { code, reason } = await fn.closed
    expect([code, JSON.parse(reason).code]).toEqual([1001, 'session-lost'])
    await pairs(0)
  })

  test('a function that vanishes', async () => {
    const { fn, served } = await joined(FLIGHT)
    fn.socket.terminate()
    expect((await served.closed).code).toBe(1001)
    await expect.poll(() => said('a relayed session ended')[0]?.why).toBe('function-lost')
  })

  test('a function that leaves while it waits leaves nothing', async () => {
    await linkServing(plane.url, caller, world.left)
    await expect.poll(() => plane.links()).toBe(1)
    const fn = await callRelay(plane.url, world)
    await expect.poll(() => plane.relayed().waiting).toBe(1)
    fn.socket.terminate()
    await expect.poll(() => plane.relayed()).toMatchObject({ waiting: 0, connectors: 0 })
  })

  test.each([
    ['text', (end: RelayEnd) => end.socket.send('hello'), 1003],
    ['a message beyond what Noise has', (end: RelayEnd) => end.socket.send(Buffer.alloc(65_536)), 1009],
  ])('%s from the function ends both', async (_, spoil, code) => {
    const { fn, served } = await joined(FLIGHT)
    spoil(fn)
    expect((await fn.closed).code).toBe(code)
    expect((await served.closed).code).toBe(1001)
  })

  test('text from the connector ends both', async () => {
    const { fn, served } = await joined(FLIGHT)
    served.socket.send('hello')
    expect((await served.closed).code).toBe(1003)
    expect((await fn.closed).code).toBe(1001)
  })

  test('the relay that goes tells both', async () => {
    const { fn, served } = await joined(FLIGHT)
    await plane.close()
    expect([(await fn.closed).code, (await served.closed).code]).toEqual([4503, 4503])
  })
})

describe('a slow reader', () => {
  const CHUNK = Buffer.alloc(64_000, 7)
  /** As much as kernels hold for two sockets, and far more than the relay may. */
  const CHUNKS = 1000

  test.each(['function', 'connector'] as const)(
    'the %s: the other is not read, nothing is lost, and little is held',
    async (slow) => {
      const { fn, served } = await joined(FLIGHT)
      const [reader, writer] = slow === 'function' ? [fn, served] : [served, fn]
      reader.socket.pause()
      let most = 0
      for (let n = 0; n < CHUNKS; n++) writer.socket.send(CHUNK)
      await expect
        .poll(() => {
          most = Math.max(most, plane.relayed().backlog)
          return most
        })
        .toBeGreaterThan(128 << 10)
      const before = writer.socket.bufferedAmount
      // The rest stays with the writer.
      expect(before).toBeGreaterThan(CHUNK.length * 100)
      reader.socket.resume()
      for (let n = 0; n < CHUNKS; n++) {
        expect(((await reader.next()) as Buffer).length).toBe(CHUNK.length)
        most = Math.max(most, plane.relayed().backlog)
      }
      expect(most).toBeLessThan((128 << 10) + 3 * 65_536)
      // And the other way it goes on as before.
      reader.socket.send(Buffer.from('still'))
      expect(String(await writer.next())).toBe('still')
    },
  )

  test('that never reads again is cut off with the other, when that gives up', async () => {
    const { fn, served } = await joined(FLIGHT)
    served.socket.pause()
    for (let n = 0; n < CHUNKS; n++) fn.socket.send(CHUNK)
    await expect.poll(() => plane.relayed().backlog).toBeGreaterThan(128 << 10)
    served.socket.terminate()
    const closed = once(fn.socket, 'close')
    await pairs(0)
    await closed
  })
})
