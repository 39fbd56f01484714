import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import type { Server, Socket } from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { TargetService } from '../../core/functions/plan.ts'
import { targetService } from '../../core/functions/testing.ts'
import { IDLE_MS, PING_MS, SILENT_MS } from './session.ts'
import { closeServers, openGreeting } from './testing/greeting.ts'
import { answerOf, ask } from './testing/http-client.ts'
import { World, type WorldOptions } from './testing/world.ts'

let world: World
const servers: Server[] = []

afterEach(async () => {
  await world?.close()
  closeServers(servers)
})

let heard: string[]
let sockets: Socket[]
async function open(more: Partial<WorldOptions> = {}, changes: Partial<TargetService> = {}): Promise<number> {
  const opened = await openGreeting(servers, more, changes)
  ;({ world, heard, sockets } = opened)
  return opened.port
}

const db = (port: number) => ({ kind: 'tcp', host: 'db', port }) as const
const counts = () => world.serving.handshakes.counts
const codeOf = ({ reason }: { reason: string }) => (JSON.parse(reason) as { code: string }).code
const session = () => [...world.serving.sessions][0]!

describe('sessions', () => {
  it('end where the other end says what makes no sense', async () => {
    const port = await open()
    for (const message of ['text', new Uint8Array(50), new Uint8Array(70_000)]) {
      const client = world.call()
      await client.established
      const stream = client.open(db(port))
      await stream.answer()
      client.sendRaw(message)
      const closed = await client.closed
      expect([1009, 4400]).toContain(closed.code)
    }
    await vi.waitFor(() => expect(world.serving.sessions.size).toBe(0))
    expect(world.serving.admission).toMatchObject({ sessions: 0, streams: 0, held: 0 })
  })

  it('take no new streams once the token has expired, and end with the last one', async () => {
    const port = await open()
    const client = world.call()
    const stream = client.open(db(port))
    expect(await stream.code()).toBe('ok')
    world.clockMs += 600_000
    const late = client.open(db(port))
    expect(await late.code()).toBe('token-expired')
    late.finish()
    world.serving.look(performance.now())
    await vi.waitFor(() => expect(client.draining?.code).toBe('token-expired'))
    stream.write('goes on')
    await vi.waitFor(() => expect(heard).toContain('goes on'))
    stream.finish()
    await stream.all()
    await vi.waitFor(() => expect(session().streams).toBe(0))
    world.serving.look(performance.now())
    expect((await client.closed).code).toBe(1000)
  })

  it('give no tickets that outlive their token', async () => {
    await open()
    const client = world.call()
    await client.established
    world.clockMs += 599_000
    const closed = await world.call({ ticket: client.tickets[0]! }).established
    expect(closed).toMatchObject({ resumed: true })
    world.clockMs += 2000
    expect((await world.call({ ticket: client.tickets[1]! }).closed).code).toBe(4401)
  })

  it('end when they are not used, and when nobody answers any more', async () => {
    const port = await open()
    const idle = world.call()
    await idle.established
    await vi.waitFor(() => expect(counts()).toEqual({ established: 1 }))
    world.serving.look(performance.now() + SILENT_MS - 10_000)
    expect(world.serving.sessions.size).toBe(1)
    // It has been asked whether it lives, and has answered.
    await vi.waitFor(() => {
      world.serving.look(performance.now() + PING_MS)
      expect(world.serving.sessions.size).toBe(1)
    })
    world.serving.look(performance.now() + SILENT_MS)
    expect(world.serving.sessions.size).toBe(0)

    const unused = world.call()
    const stream = unused.open(db(port))
    await stream.answer()
    stream.abort()
    await vi.waitFor(() => expect(session()?.streams).toBe(0))
    // As if time went on step by step, with an answer to every ping.
    const begin = performance.now()
    const now = vi.spyOn(performance, 'now')
    try {
      for (let ms = 0; ms <= IDLE_MS && world.serving.sessions.size > 0; ms += PING_MS) {
        now.mockReturnValue(begin + ms)
        unused.post({ type: 'ping' })
        await new Promise((resolve) => setTimeout(resolve, 5))
        world.serving.look(begin + ms)
      }
    } finally {
      now.mockRestore()
    }
    expect((await unused.closed).code).toBe(1000)
  })

  it('have so many streams, together and one function in a second', async () => {
    const port = await open({ limits: { streamsPerSession: 3, streams: 4, streamsPerSecond: 1000 } })
    const client = world.call()
    const streams = [1, 2, 3].map(() => client.open(db(port)))
    expect(await Promise.all(streams.map((stream) => stream.code()))).toEqual(['ok', 'ok', 'ok'])
    // One more than a session has is reset by the mux.
    expect(await client.open(db(port)).untilReset()).toBe('none')
    const other = world.call()
    expect([await other.open(db(port)).code(), await other.open(db(port)).code()]).toEqual(['ok', 'overloaded'])
    expect(world.serving.admission.shed).toEqual({ streams: 1 })
  })

  it('say on a stream without a proper opening what is wrong with it', async () => {
    await open()
    const client = world.call()
    const nonsense = client.openRaw()
    nonsense.write(Uint8Array.of(0, 0, 0, 2, 0x7b, 0x7d))
    expect(await nonsense.code()).toBe('bad-request')
    const endless = client.openRaw()
    endless.write(Uint8Array.of(0xff, 0xff, 0xff, 0xff))
    expect(await endless.code()).toBe('bad-request')
    const empty = client.openRaw()
    empty.finish()
    expect(await empty.code()).toBe('bad-request')
    expect(world.records.counts.get('-')?.outcomes).toEqual({ 'bad-request': 3 })
  })

  it('end the stream that holds most when the memory is full, and refuse new ones before', async () => {
    const port = await open({ limits: { memory: 300_000 } })
    const client = world.call()
    const streams = [1, 2, 3].map(() => client.open(db(port)))
    await Promise.all(streams.map((stream) => stream.bytes(5)))
    for (const socket of sockets) socket.pause()
    const chunk = new Uint8Array(1 << 16)
    const wrote = streams.map(async (stream) => {
      for (let i = 0; i < 400 && stream.reset === undefined; i++) {
        await stream.room()
        stream.write(chunk)
      }
    })
    await vi.waitFor(() => expect(world.serving.admission.shed.memory).toBeGreaterThan(0), { timeout: 20_000 })
    expect(world.serving.admission.held).toBeLessThanOrEqual(300_000 + 65_536)
    await vi.waitFor(() => expect(streams.map(({ reset }) => reset?.code)).toContain('connection-reset'))
    for (const stream of streams) stream.abort()
    client.vanish()
    await Promise.all(wrote)
    await vi.waitFor(() => expect(world.serving.admission.held).toBe(0))
  })

  it('end where a function takes nothing of what would fill the memory', async () => {
    const port = await open({ limits: { memory: 2_000_000 } }, { maxConnections: 100 })
    const client = world.call()
    const streams = Array.from({ length: 40 }, () => client.open(db(port)))
    await Promise.all(streams.map((stream) => stream.bytes(5)))
    client.pause()
    const big = Buffer.alloc(1 << 20)
    for (const socket of sockets) socket.write(big)
    await vi.waitFor(() => expect(world.serving.sessions.size).toBe(0), { timeout: 20_000 })
    expect(world.serving.admission).toMatchObject({ held: 0, streams: 0, sessions: 0 })
    expect(world.serving.admission.shed.memory).toBeGreaterThan(0)
    client.vanish()
  })

  it('keep what a function has open apart from another one', async () => {
    const port = await open()
    const one = world.call()
    const stream = one.open(db(port))
    await stream.answer()
    const other = world.call({ claims: { function: 'fn_11111111111111111111', name: 'invoices' } })
    expect(await other.open(db(port)).code()).toBe('service-not-allowed')
    // Nor by the number of a stream that is not of its session.
    expect(await other.open({ kind: 'start-tls', of: stream.id, after: 0 }).code()).toBe('bad-request')
    stream.write('still mine')
    await vi.waitFor(() => expect(heard).toContain('still mine'))
  })
})

describe('changes of the plan', () => {
  it('end the streams that would not be let in any more, and no others', async () => {
    const port = await open()
    const { plan } = world.serving
    const more = { ...plan.services[0]!, name: 'db2' }
    world.serving.plan = { ...plan, services: [plan.services[0]!, more] }
    const client = world.call({ services: ['db', 'db2'] })
    const kept = client.open(db(port))
    const gone = client.open({ kind: 'tcp', host: 'db2', port })
    expect([await kept.code(), await gone.code()]).toEqual(['ok', 'ok'])
    world.serving.plan = { ...plan, services: [{ ...plan.services[0]! }, { ...more, allow: [] }] }
    expect(await gone.untilReset()).toBe('service-not-allowed')
    kept.write('on')
    await vi.waitFor(() => expect(heard).toContain('on'))
  })

  it('at the end tell functions, and give them a moment', async () => {
    const port = await open()
    const client = world.call()
    const stream = client.open(db(port))
    await stream.answer()
    const stopping = world.serving.stop({ code: 'draining', cause: 'Over.', remedy: 'None.', retry: 'elsewhere' })
    await vi.waitFor(() => expect(client.draining?.code).toBe('draining'))
    stream.write('last words')
    stream.finish()
    await stream.all()
    await stopping
    expect(heard.join('')).toBe('last words')
    const closed = await client.closed
    expect([closed.code, codeOf(closed)]).toEqual([4503, 'draining'])
    expect(world.serving.admit()).toBe(false)
  })
})

it('carries a hundred requests at once over one session', async () => {
  const server = createHttpServer((request, response) => response.end(request.url))
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  world = await World.open({ services: [targetService({ host: '127.0.0.1', port, maxConnections: 100 })] })
  const client = world.call()
  const answers = Array.from({ length: 100 }, (_, i) => answerOf(ask(client, { path: `/${i}` })))
  const bodies = (await Promise.all(answers)).map(({ body }) => String(body))
  expect(bodies).toEqual(Array.from({ length: 100 }, (_, i) => `/${i}`))
  expect(world.serving.sessions.size).toBe(1)
})
