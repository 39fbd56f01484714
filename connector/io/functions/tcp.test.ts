import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, TLSSocket } from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { prefix } from '../../../protocol/net.ts'
import type { ServicePlan, TargetService } from '../../core/functions/plan.ts'
import { networkService, TIMEOUTS, targetService } from '../../core/functions/testing.ts'
import { type Authority, makeAuthority } from './testing/certificates.ts'
import { type CallOptions, World, type WorldOptions } from './testing/world.ts'

let world: World | undefined
const servers: Server[] = []
let authority: Authority

beforeAll(() => {
  authority = makeAuthority()
})
afterAll(() => authority.remove())

afterEach(async () => {
  await world?.close()
  world = undefined
  for (const server of servers.splice(0)) server.close()
})

async function serve(onSocket: (socket: Socket) => void, tls?: { certificate: string; key: string }): Promise<number> {
  const handle = (socket: Socket) => {
    socket.on('error', () => {})
    onSocket(socket)
  }
  const server =
    tls === undefined
      ? createServer({ allowHalfOpen: true }, handle)
      : createTlsServer({ cert: tls.certificate, key: tls.key, allowHalfOpen: true }, handle)
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as { port: number }).port
}

const tcp = (port: number, changes: Partial<TargetService> = {}) =>
  targetService({ name: 'db', kind: 'tcp', host: '127.0.0.1', port, hosts: [], ...changes })

async function open(services: readonly ServicePlan[], more: Partial<WorldOptions> = {}): Promise<World> {
  world = await World.open({ services, ...more })
  return world
}

/** A stream to the service `db`. */
async function stream(port: number, options: CallOptions & { tls?: boolean; host?: string } = {}) {
  const client = world!.call(options)
  const { tls, host = 'db' } = options
  return { client, stream: client.open({ kind: 'tcp', host, port, ...(tls && { tls }) }) }
}

const lastRecord = () => world!.records.records.at(-1)!

describe('TCP', () => {
  it('carries bytes both ways, and half-closes both ways', async () => {
    const port = await serve((socket) => {
      const chunks: Buffer[] = []
      socket.on('data', (chunk: Buffer) => chunks.push(chunk))
      // The service answers only when the function has ended, and ends then.
      socket.on('end', () => socket.end(Buffer.concat(chunks)))
    })
    await open([tcp(port)])
    const { stream: it } = await stream(port)
    it.write('hello ')
    expect(await it.answer()).toEqual({ ok: true })
    it.write('world')
    it.finish()
    expect(String(await it.all())).toBe('hello world')
    await vi.waitFor(() => expect(world!.records.records).toHaveLength(1))
    expect(lastRecord()).toMatchObject({
      via: 'direct',
      functionName: 'orders',
      kind: 'tcp',
      host: 'db',
      port,
      service: 'db',
      bytesIn: 11,
      bytesOut: 11,
      outcome: 'ok',
    })
    expect(world!.serving.admission).toMatchObject({ streams: 0, held: 0 })
  })

  it('lets the service end first, and the function go on', async () => {
    let received = ''
    const done = Promise.withResolvers<void>()
    const port = await serve((socket) => {
      socket.end('bye')
      socket.on('data', (chunk) => {
        received += String(chunk)
      })
      socket.on('end', () => done.resolve())
    })
    await open([tcp(port)])
    const { stream: it } = await stream(port)
    expect(String(await it.all())).toBe('bye')
    it.write('still ')
    it.write('here')
    it.finish()
    await done.promise
    expect(received).toBe('still here')
    await vi.waitFor(() => expect(lastRecord()?.outcome).toBe('ok'))
  })

  it('does not lose what a slow service has not read when both have ended', async () => {
    const size = 200_000
    const sockets: Socket[] = []
    const port = await serve((socket) => {
      sockets.push(socket)
      socket.pause()
      socket.end()
    })
    await open([tcp(port)])
    const { stream: it, client } = await stream(port)
    await it.all()
    it.write(new Uint8Array(size).fill(7))
    it.finish()
    // The session may end now: both ends have said that there is nothing more.
    await vi.waitFor(() => expect(world!.serving.sessions.values().next().value?.streams).toBe(0))
    client.vanish()
    let got = 0
    sockets[0]!.on('data', (chunk) => {
      got += chunk.length
    })
    sockets[0]!.resume()
    await vi.waitFor(() => expect(got).toBe(size))
    await vi.waitFor(() => expect(world!.serving.lingering.size).toBe(0))
    expect(lastRecord()).toMatchObject({ outcome: 'ok', bytesIn: size })
  })

  it('passes a reset of the service on with its reason, and one of the function as a reset', async () => {
    const sockets: Socket[] = []
    const port = await serve((socket) => sockets.push(socket))
    await open([tcp(port)])
    const { client, stream: first } = await stream(port)
    await first.answer()
    sockets[0]!.resetAndDestroy()
    expect(await first.untilReset()).toBe('connection-reset')
    await vi.waitFor(() => expect(lastRecord()).toMatchObject({ outcome: 'connection-reset' }))

    const second = client.open({ kind: 'tcp', host: 'db', port })
    await second.answer()
    const error = once(sockets[1]!, 'error')
    second.abort()
    expect((await error)[0]).toMatchObject({ code: 'ECONNRESET' })
    await vi.waitFor(() => expect(lastRecord()).toMatchObject({ outcome: 'reset' }))
  })

  it('resets the service where the function vanishes', async () => {
    const sockets: Socket[] = []
    const port = await serve((socket) => sockets.push(socket))
    await open([tcp(port)])
    const { client, stream: it } = await stream(port)
    await it.answer()
    const error = once(sockets[0]!, 'error')
    client.vanish()
    expect((await error)[0]).toMatchObject({ code: 'ECONNRESET' })
    await vi.waitFor(() => expect(lastRecord()).toMatchObject({ outcome: 'session-lost' }))
    await vi.waitFor(() => expect(world!.serving.sessions.size).toBe(0))
    expect(world!.serving.admission).toMatchObject({ sessions: 0, handshakes: 0, streams: 0, held: 0 })
  })

  it('holds a function back whose service does not read, and loses nothing', async () => {
    const sockets: Socket[] = []
    const port = await serve((socket) => {
      sockets.push(socket)
      socket.pause()
    })
    await open([tcp(port)])
    const { stream: it } = await stream(port)
    await it.answer()
    const size = 32 << 20
    const chunk = new Uint8Array(1 << 16).fill(1)
    let sent = 0
    let stuck = false
    const writing = (async () => {
      while (sent < size) {
        await it.room()
        it.write(chunk)
        sent += chunk.length
      }
      it.finish()
    })()
    // What is on its way is bounded by the window, the buffers of the kernel and those of the function itself.
    await vi.waitFor(() => {
      const before = sent
      stuck = before > 0 && before === sent && world!.serving.admission.held > 200_000
      expect(stuck).toBe(true)
    })
    expect(world!.serving.admission.held).toBeLessThanOrEqual((4 << 20) + (1 << 18))
    expect(sent).toBeLessThan(size)
    let got = 0
    sockets[0]!.on('data', (data) => {
      got += data.length
    })
    sockets[0]!.resume()
    await writing
    await vi.waitFor(() => expect(got).toBe(size), { timeout: 30_000 })
    await vi.waitFor(() => expect(world!.serving.admission.held).toBe(0))
  })

  it('holds a service back whose function does not read', async () => {
    const sockets: Socket[] = []
    const port = await serve((socket) => sockets.push(socket))
    await open([tcp(port)])
    const { stream: it } = await stream(port)
    await it.answer()
    it.slow = true
    const chunk = Buffer.alloc(1 << 20, 3)
    let flushed = 0
    const size = 64
    for (let i = 0; i < size; i++) sockets[0]!.write(chunk, () => flushed++)
    await it.bytes(200 << 10)
    await vi.waitFor(() => expect(world!.serving.admission.held).toBeGreaterThan(0))
    expect(flushed).toBeLessThan(size)
    // Window, what waits in the mux, and one read of the socket.
    expect(world!.serving.admission.held).toBeLessThan(1 << 20)
    it.consume()
    await it.bytes(size << 20)
    expect(it.length).toBe(size << 20)
  })

  it.each([
    ['connect-refused', {}, 1],
    ['name-not-found', { host: 'nowhere.example' }, 9],
    ['address-forbidden', { host: 'loop.example' }, 9],
  ])('says %s, without an address', async (code, changes, port) => {
    await open([tcp(port, changes)], { lookup: async (name) => (name === 'loop.example' ? ['127.0.0.1'] : []) })
    const { stream: it } = await stream(port)
    const answer = await it.answer()
    expect(answer).toMatchObject({ ok: false, problem: { code } })
    expect(JSON.stringify(answer)).not.toMatch(/127\.0|192\.0/)
    await it.until(() => it.isFinished)
  })

  it('waits for a connection for so long, or as long as the function wants', async () => {
    const silent = await serve(() => {})
    await open([tcp(silent, { timeouts: { ...TIMEOUTS, connect: 150 } }), tcp(silent, { name: 'slow' })])
    const { client, stream: it } = await stream(silent, { tls: true })
    const impatient = client.open({ kind: 'tcp', host: 'slow', port: silent, tls: true, timeoutMs: 150 })
    expect([await it.code(), await impatient.code()]).toEqual(['connect-timeout', 'connect-timeout'])
  })

  it('ends a stream on which nothing passes, and one that is open for too long', async () => {
    const port = await serve((socket) => {
      const timer = setInterval(() => socket.write('tick'), 20)
      socket.on('close', () => clearInterval(timer))
    })
    const quiet = await serve(() => {})
    await open([
      tcp(quiet, { timeouts: { ...TIMEOUTS, idle: 100 } }),
      tcp(port, { name: 'ticker', timeouts: { ...TIMEOUTS, idle: 10_000, total: 300 } }),
    ])
    const { client, stream: idle } = await stream(quiet)
    const busy = client.open({ kind: 'tcp', host: 'ticker', port })
    expect(await idle.untilReset()).toBe('idle-timeout')
    expect(await busy.untilReset()).toBe('timed-out')
    expect(busy.length).toBeGreaterThan(0)
  })

  it('has so many connections to a service at once', async () => {
    const port = await serve(() => {})
    await open([tcp(port, { maxConnections: 2 })])
    const { client, stream: first } = await stream(port)
    const more = () => client.open({ kind: 'tcp', host: 'db', port })
    const [second, third] = [more(), more()]
    expect([await first.code(), await second.code(), await third.code()]).toEqual(['ok', 'ok', 'overloaded'])
    first.abort()
    await vi.waitFor(async () => expect(await more().code()).toBe('ok'))
  })

  it('reaches hosts of networks, by address and by a name that is checked once', async () => {
    const port = await serve((socket) => socket.end('here'))
    const lan = networkService({ networks: [prefix('127.0.0.1/32')], ports: [{ start: port, end: port }] })
    let asked = 0
    const lookup = async (name: string) => {
      asked++
      // Rebinding: a second answer leads elsewhere.
      return name === 'host.corp' && asked === 1 ? ['203.0.113.9', '127.0.0.1'] : ['203.0.113.9']
    }
    await open([lan], { lookup })
    const { client, stream: literal } = await stream(port, { host: '127.0.0.1' })
    expect(await literal.answer()).toEqual({ ok: true, remote: `127.0.0.1:${port}` })
    const named = client.open({ kind: 'tcp', host: 'host.corp', port })
    expect([await named.code(), asked]).toEqual(['ok', 1])
    expect(String(await named.all())).toBe('here')
    const elsewhere = client.open({ kind: 'tcp', host: 'host.corp', port })
    expect(await elsewhere.code()).toBe('address-forbidden')
    const outside = client.open({ kind: 'tcp', host: '127.0.0.2', port })
    expect(await outside.code()).toBe('unknown-service')
    await vi.waitFor(() => expect(world!.records.counts.get('lan')?.outcomes['address-forbidden']).toBe(1))
  })
})

it('tries the addresses of a host one after the other, and none that is not allowed', async () => {
  const port = await serve((socket) => socket.end('here'))
  const lan = networkService({
    networks: [prefix('127.0.0.1/32'), prefix('127.0.0.2/32')],
    ports: [{ start: port, end: port }],
  })
  await open([lan], { lookup: async () => ['127.0.0.3', '127.0.0.2', '127.0.0.1'] })
  const { client, stream: it } = await stream(port, { host: 'host.corp' })
  expect(await it.answer()).toEqual({ ok: true, remote: `127.0.0.1:${port}` })
  // The same name at once is looked up once, and all of them get there.
  const more = Array.from({ length: 20 }, () => client.open({ kind: 'tcp', host: 'host.corp', port }))
  expect(new Set(await Promise.all(more.map((one) => one.code())))).toEqual(new Set(['ok']))
})

it('looks up a bounded number of names at once', async () => {
  const lan = networkService({ networks: [prefix('127.0.0.1/32')], ports: [{ start: 9, end: 9 }] })
  let release: (addresses: readonly string[]) => void = () => {}
  const slow = new Promise<readonly string[]>((resolve) => {
    release = resolve
  })
  await open([lan], { lookup: () => slow })
  const client = world!.call()
  const streams = Array.from({ length: 70 }, (_, i) => client.open({ kind: 'tcp', host: `h${i}.corp`, port: 9 }))
  expect(await streams[69]!.code()).toBe('overloaded')
  release([])
  expect(await streams[0]!.code()).toBe('name-not-found')
})

describe('TLS', () => {
  const echo = (socket: Socket) => socket.on('data', (chunk) => socket.write(chunk)).on('end', () => socket.end())

  it('is spoken by the connector where the function asks, with the CA of the service', async () => {
    const port = await serve(echo, authority.issue('DNS:db.corp'))
    await open([tcp(port, { tls: { ca: authority.ca, serverName: 'db.corp' } })])
    const { stream: it } = await stream(port, { tls: true })
    it.write('ping')
    it.finish()
    expect(String(await it.all())).toBe('ping')
  })

  it.each([
    ['an unknown CA', { serverName: 'db.corp' }],
    ['another name', { serverName: 'other.corp' }],
    ['an address that it is not for', {}],
  ])('is refused with %s', async (_, tls) => {
    const port = await serve(echo, authority.issue('DNS:db.corp'))
    const ca = _ === 'an unknown CA' ? {} : { ca: authority.ca }
    await open([tcp(port, { tls: { ...tls, ...ca } })])
    const { stream: it } = await stream(port, { tls: true })
    const answer = await it.answer()
    expect(answer).toMatchObject({ ok: false, problem: { code: 'tls-failed' } })
    expect(JSON.stringify(answer)).not.toMatch(/db\.corp|127\.0/)
  })

  it.each([
    ['has answered', 'S'],
    ['needs no answer', ''],
  ])(
    'begins on a stream that is open, when its last bytes in the clear have gone out; the service %s',
    async (_, say) => {
      const issued = authority.issue('DNS:db.corp')
      const clear: string[] = []
      const port = await serve((socket) => {
        socket.on('data', (chunk: Buffer) => {
          const missing = 8 - clear.join('').length
          clear.push(String(chunk.subarray(0, missing)))
          if (chunk.length < missing) return
          socket.removeAllListeners('data').pause()
          socket.unshift(chunk.subarray(missing))
          if (say !== '') socket.write(say)
          const secure = new TLSSocket(socket, { isServer: true, cert: issued.certificate, key: issued.key })
          echo(secure.on('error', () => {}))
        })
      })
      await open([tcp(port, { tls: { ca: authority.ca } })])
      const { client, stream: before } = await stream(port)
      before.write('REQ')
      if (say !== '') before.write('STTLS')
      await before.bytes(say.length)
      const after = client.open({ kind: 'start-tls', of: before.id, after: 8, serverName: 'db.corp' })
      if (say === '') before.write('STTLS')
      expect(await after.code()).toBe('ok')
      expect(String(await before.all())).toBe(say)
      before.finish()
      after.write('secret')
      after.finish()
      expect(String(await after.all())).toBe('secret')
      expect(clear.join('')).toBe('REQSTTLS')
      await vi.waitFor(() =>
        expect(world!.records.records.map(({ kind, outcome }) => [kind, outcome])).toEqual([
          ['tcp', 'ok'],
          ['start-tls', 'ok'],
        ]),
      )
      expect(lastRecord()).toMatchObject({ service: 'db', host: 'db', port })
      expect(world!.serving.places.taken('db')).toBe(0)
    },
  )

  it('does not begin on what is not there, twice, or behind more than was said', async () => {
    const port = await serve(() => {})
    await open([tcp(port)])
    const { client, stream: it } = await stream(port)
    const begin = (of: number, after: number) => client.open({ kind: 'start-tls', of, after })
    await it.answer()
    expect(await begin(99, 0).code()).toBe('bad-request')
    it.write('12345')
    const first = begin(it.id, 10)
    const second = begin(it.id, 10)
    expect(await second.code()).toBe('bad-request')
    it.write('6789012')
    expect(await first.code()).toBe('bad-request')
    expect(await it.untilReset()).toBe('bad-request')
  })
})
