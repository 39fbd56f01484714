import { once } from 'node:events'
import type { Socket } from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { prefix } from '../../../protocol/net.ts'
import { networkService, TIMEOUTS } from '../../core/functions/testing.ts'
import { TcpWorld, tcp } from './testing/tcp-world.ts'

const house = new TcpWorld()
afterEach(() => house.close())

describe('TCP', () => {
  it('carries bytes both ways, and half-closes both ways', async () => {
    const port = await house.serve((socket) => {
      const chunks: Buffer[] = []
      socket.on('data', (chunk: Buffer) => chunks.push(chunk))
      // The service answers only when the function has ended, and ends then.
      socket.on('end', () => socket.end(Buffer.concat(chunks)))
    })
    await house.open([tcp(port)])
    const { stream: it } = house.stream(port)
    it.write('hello ')
    expect(await it.answer()).toEqual({ ok: true })
    it.write('world')
    it.finish()
    expect(String(await it.all())).toBe('hello world')
    await vi.waitFor(() => expect(house.world.records.records).toHaveLength(1))
    expect(house.lastRecord()).toMatchObject({
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
    expect(house.world.serving.admission).toMatchObject({ streams: 0, held: 0 })
  })

  it('lets the service end first, and the function go on', async () => {
    let received = ''
    const done = Promise.withResolvers<void>()
    const port = await house.serve((socket) => {
      socket.end('bye')
      socket.on('data', (chunk) => {
        received += String(chunk)
      })
      socket.on('end', () => done.resolve())
    })
    await house.open([tcp(port)])
    const { stream: it } = house.stream(port)
    expect(String(await it.all())).toBe('bye')
    it.write('still ')
    it.write('here')
    it.finish()
    await done.promise
    expect(received).toBe('still here')
    await vi.waitFor(() => expect(house.lastRecord()?.outcome).toBe('ok'))
  })

  it('does not lose what a slow service has not read when both have ended', async () => {
    const size = 200_000
    const sockets: Socket[] = []
    const port = await house.serve((socket) => {
      sockets.push(socket)
      socket.pause()
      socket.end()
    })
    await house.open([tcp(port)])
    const { stream: it, client } = house.stream(port)
    await it.all()
    it.write(new Uint8Array(size).fill(7))
    it.finish()
    // The session may end now: both ends have said that there is nothing more.
    await vi.waitFor(() => expect(house.world.serving.sessions.values().next().value?.streams).toBe(0))
    client.vanish()
    let got = 0
    sockets[0]!.on('data', (chunk) => {
      got += chunk.length
    })
    sockets[0]!.resume()
    await vi.waitFor(() => expect(got).toBe(size))
    await vi.waitFor(() => expect(house.world.serving.lingering.size).toBe(0))
    expect(house.lastRecord()).toMatchObject({ outcome: 'ok', bytesIn: size })
  })

  it('passes a reset of the service on with its reason, and one of the function as a reset', async () => {
    const sockets: Socket[] = []
    const port = await house.serve((socket) => sockets.push(socket))
    await house.open([tcp(port)])
    const { client, stream: first } = house.stream(port)
    await first.answer()
    sockets[0]!.resetAndDestroy()
    expect(await first.untilReset()).toBe('connection-reset')
    await vi.waitFor(() => expect(house.lastRecord()).toMatchObject({ outcome: 'connection-reset' }))

    const second = client.open({ kind: 'tcp', host: 'db', port })
    await second.answer()
    const error = once(sockets[1]!, 'error')
    second.abort()
    expect((await error)[0]).toMatchObject({ code: 'ECONNRESET' })
    await vi.waitFor(() => expect(house.lastRecord()).toMatchObject({ outcome: 'reset' }))
  })

  it('resets the service where the function vanishes', async () => {
    const sockets: Socket[] = []
    const port = await house.serve((socket) => sockets.push(socket))
    await house.open([tcp(port)])
    const { client, stream: it } = house.stream(port)
    await it.answer()
    const error = once(sockets[0]!, 'error')
    client.vanish()
    expect((await error)[0]).toMatchObject({ code: 'ECONNRESET' })
    await vi.waitFor(() => expect(house.lastRecord()).toMatchObject({ outcome: 'session-lost' }))
    await vi.waitFor(() => expect(house.world.serving.sessions.size).toBe(0))
    expect(house.world.serving.admission).toMatchObject({ sessions: 0, handshakes: 0, streams: 0, held: 0 })
  })

  it('holds a function back whose service does not read, and loses nothing', async () => {
    const sockets: Socket[] = []
    const port = await house.serve((socket) => {
      sockets.push(socket)
      socket.pause()
    })
    await house.open([tcp(port)])
    const { stream: it } = house.stream(port)
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
      stuck = before > 0 && before === sent && house.world.serving.admission.held > 200_000
      expect(stuck).toBe(true)
    })
    expect(house.world.serving.admission.held).toBeLessThanOrEqual((4 << 20) + (1 << 18))
    expect(sent).toBeLessThan(size)
    let got = 0
    sockets[0]!.on('data', (data) => {
      got += data.length
    })
    sockets[0]!.resume()
    await writing
    await vi.waitFor(() => expect(got).toBe(size), { timeout: 30_000 })
    await vi.waitFor(() => expect(house.world.serving.admission.held).toBe(0))
  })

  it('holds a service back whose function does not read', async () => {
    const sockets: Socket[] = []
    const port = await house.serve((socket) => sockets.push(socket))
    await house.open([tcp(port)])
    const { stream: it } = house.stream(port)
    await it.answer()
    it.slow = true
    const chunk = Buffer.alloc(1 << 20, 3)
    let flushed = 0
    const size = 64
    for (let i = 0; i < size; i++) sockets[0]!.write(chunk, () => flushed++)
    await it.bytes(200 << 10)
    await vi.waitFor(() => expect(house.world.serving.admission.held).toBeGreaterThan(0))
    expect(flushed).toBeLessThan(size)
    // Window, what waits in the mux, and one read of the socket.
    expect(house.world.serving.admission.held).toBeLessThan(1 << 20)
    it.consume()
    await it.bytes(size << 20)
    expect(it.length).toBe(size << 20)
  })

  it.each([
    ['connect-refused', {}, 1],
    ['name-not-found', { host: 'nowhere.example' }, 9],
    ['address-forbidden', { host: 'loop.example' }, 9],
  ])('says %s, without an address', async (code, changes, port) => {
    await house.open([tcp(port, changes)], { lookup: async (name) => (name === 'loop.example' ? ['127.0.0.1'] : []) })
    const { stream: it } = house.stream(port)
    const answer = await it.answer()
    expect(answer).toMatchObject({ ok: false, problem: { code } })
    expect(JSON.stringify(answer)).not.toMatch(/127\.0|192\.0/)
    await it.until(() => it.isFinished)
  })

  it('waits for a connection for so long, or as long as the function wants', async () => {
    const silent = await house.serve(() => {})
    await house.open([tcp(silent, { timeouts: { ...TIMEOUTS, connect: 150 } }), tcp(silent, { name: 'slow' })])
    const { client, stream: it } = house.stream(silent, { tls: true })
    const impatient = client.open({ kind: 'tcp', host: 'slow', port: silent, tls: true, timeoutMs: 150 })
    expect([await it.code(), await impatient.code()]).toEqual(['connect-timeout', 'connect-timeout'])
  })

  it('ends a stream on which nothing passes, and one that is open for too long', async () => {
    const port = await house.serve((socket) => {
      const timer = setInterval(() => socket.write('tick'), 20)
      socket.on('close', () => clearInterval(timer))
    })
    const quiet = await house.serve(() => {})
    await house.open([
      tcp(quiet, { timeouts: { ...TIMEOUTS, idle: 100 } }),
      tcp(port, { name: 'ticker', timeouts: { ...TIMEOUTS, idle: 10_000, total: 300 } }),
    ])
    const { client, stream: idle } = house.stream(quiet)
    const busy = client.open({ kind: 'tcp', host: 'ticker', port })
    expect(await idle.untilReset()).toBe('idle-timeout')
    expect(await busy.untilReset()).toBe('timed-out')
    expect(busy.length).toBeGreaterThan(0)
  })

  it('has so many connections to a service at once', async () => {
    const port = await house.serve(() => {})
    await house.open([tcp(port, { maxConnections: 2 })])
    const { client, stream: first } = house.stream(port)
    const more = () => client.open({ kind: 'tcp', host: 'db', port })
    const [second, third] = [more(), more()]
    expect([await first.code(), await second.code(), await third.code()]).toEqual(['ok', 'ok', 'overloaded'])
    first.abort()
    await vi.waitFor(async () => expect(await more().code()).toBe('ok'))
  })

  it('reaches hosts of networks, by address and by a name that is checked once', async () => {
    const port = await house.serve((socket) => socket.end('here'))
    const lan = networkService({ networks: [prefix('127.0.0.1/32')], ports: [{ start: port, end: port }] })
    let asked = 0
    const lookup = async (name: string) => {
      asked++
      // Rebinding: a second answer leads elsewhere.
      return name === 'host.corp' && asked === 1 ? ['203.0.113.9', '127.0.0.1'] : ['203.0.113.9']
    }
    await house.open([lan], { lookup })
    const { client, stream: literal } = house.stream(port, { host: '127.0.0.1' })
    expect(await literal.answer()).toEqual({ ok: true, remote: `127.0.0.1:${port}` })
    const named = client.open({ kind: 'tcp', host: 'host.corp', port })
    expect([await named.code(), asked]).toEqual(['ok', 1])
    expect(String(await named.all())).toBe('here')
    const elsewhere = client.open({ kind: 'tcp', host: 'host.corp', port })
    expect(await elsewhere.code()).toBe('address-forbidden')
    const outside = client.open({ kind: 'tcp', host: '127.0.0.2', port })
    expect(await outside.code()).toBe('unknown-service')
    await vi.waitFor(() => expect(house.world.records.counts.get('lan')?.outcomes['address-forbidden']).toBe(1))
  })
})

it('tries the addresses of a host one after the other, and none that is not allowed', async () => {
  const port = await house.serve((socket) => socket.end('here'))
  const lan = networkService({
    networks: [prefix('127.0.0.1/32'), prefix('127.0.0.2/32')],
    ports: [{ start: port, end: port }],
  })
  await house.open([lan], { lookup: async () => ['127.0.0.3', '127.0.0.2', '127.0.0.1'] })
  const { client, stream: it } = house.stream(port, { host: 'host.corp' })
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
  await house.open([lan], { lookup: () => slow })
  const client = house.world.call()
  const streams = Array.from({ length: 70 }, (_, i) => client.open({ kind: 'tcp', host: `h${i}.corp`, port: 9 }))
  expect(await streams[69]!.code()).toBe('overloaded')
  release([])
  expect(await streams[0]!.code()).toBe('name-not-found')
})
