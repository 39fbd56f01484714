import { describe, expect, test } from 'vitest'
import { streamProblem } from '../../protocol/stream-problem.ts'
import type { PeerTcp } from '../testing/peer.ts'
import { until } from '../testing/until.ts'
import { World } from '../testing/world.ts'
import type { SocketOptions } from './api.ts'
import { IsthmusError } from './error.ts'

const DB = { hostname: 'db.internal', port: 5432 }
const bytes = (text: string) => new TextEncoder().encode(text)
const text = (chunk: Uint8Array | undefined) => new TextDecoder().decode(chunk)

async function worldOf(tcp: (stream: PeerTcp) => void | Promise<void>, more: object = {}): Promise<World> {
  return World.create({ connectors: [{ relay: false }], services: { tcp }, timing: { backoff: 1 }, ...more })
}

/** Sends everything back, and ends when the other end does. */
async function echo(tcp: PeerTcp): Promise<void> {
  for (let chunk = await tcp.read(); chunk !== undefined; chunk = await tcp.read()) {
    await tcp.stream.drained()
    tcp.stream.write(chunk.slice())
  }
  tcp.stream.finish()
}

async function all(readable: ReadableStream<Uint8Array>): Promise<string> {
  return new Response(readable).text()
}

describe('connect', () => {
  test('what is written at once goes with the first flight where nothing else is tried', async () => {
    const world = await worldOf(echo)
    const site = world.site()
    const socket = site.connect(DB)
    const writer = socket.writable.getWriter()
    void writer.write(bytes('hello'))
    expect(await socket.opened).toEqual({ remoteAddress: '10.1.0.20:8000' })
    const reader = socket.readable.getReader()
    expect(text((await reader.read()).value)).toBe('hello')
    expect(world.peer.openings).toEqual([{ kind: 'tcp', host: 'db.internal', port: 5432 }])
    expect(world.peer.sessions[0]!.earlyBytes).toBeGreaterThan(5)
    await writer.close()
    expect((await reader.read()).done).toBe(true)
    await socket.closed
    await site.close()
  })

  test('several ways: the opening may go with each first flight, the data with none', async () => {
    const world = await worldOf(echo, { connectors: [{}], timing: { stagger: 5 } })
    world.peer.onDial = (call) => (call.url.includes('/v1/') ? 'serve' : 'hang')
    const site = world.site()
    const socket = site.connect('db.internal:5432')
    const writer = socket.writable.getWriter()
    void writer.write(bytes('once'))
    void writer.close()
    expect(await all(socket.readable)).toBe('once')
    expect(world.peer.openings.length).toBe(1)
    await site.close()
  })

  test.each([
    ['off', {}],
    ['starttls', {}],
    ['on', { tls: true }],
  ] as const)('secureTransport %s', async (secureTransport, expected) => {
    const world = await worldOf(echo)
    const site = world.site()
    const socket = site.connect(DB, { secureTransport })
    await socket.opened
    expect(socket.secureTransport).toBe(secureTransport)
    expect(world.peer.openings).toEqual([{ kind: 'tcp', host: 'db.internal', port: 5432, ...expected }])
    await site.close()
  })

  test.each(['db.internal', 'db.internal:x', ':5432', 'a:b:1', ''])('%j is no address', async (address) => {
    const world = await worldOf(echo)
    expect(() => world.site().connect(address)).toThrow(TypeError)
  })

  test('1 MB goes and comes whole, with a reader that is slow', async () => {
    const world = await worldOf(echo)
    const site = world.site()
    const socket = site.connect('[2001:db8::1]:5432')
    const sent = new Uint8Array(1 << 20).map((_, index) => index % 251)
    const writer = socket.writable.getWriter()
    const writing = (async () => {
      for (let at = 0; at < sent.length; at += 10_000) await writer.write(sent.subarray(at, at + 10_000))
      await writer.close()
    })()
    const got: Uint8Array[] = []
    for await (const chunk of socket.readable) {
      got.push(chunk)
      if (got.length % 16 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    await writing
    expect(Buffer.compare(Buffer.concat(got), sent)).toBe(0)
    expect(world.peer.openings[0]).toMatchObject({ host: '2001:db8::1' })
    await site.close()
  })

  test('a service that does not read holds the writer back', async () => {
    const world = await worldOf(async ({ stream }) => {
      await new Promise<void>((resolve) => {
        stream.onFailure = () => resolve()
      })
    })
    const site = world.site()
    const socket = site.connect(DB)
    const writer = socket.writable.getWriter()
    let written = 0
    let waiting = false
    const writing = (async () => {
      for (;;) {
        const done = writer.write(new Uint8Array(65_536))
        waiting = true
        await done
        waiting = false
        written += 65_536
      }
    })().catch(() => undefined)
    await until(() => written >= 262_144)
    let before = -1
    await until(() => {
      const still = waiting && written === before
      before = written
      return still
    })
    // The window, and what is kept here.
    expect(written).toBeLessThan(2 << 20)
    await socket.close()
    await writing
    await site.close()
  })

  test('the chunk that was written may be used again', async () => {
    const world = await worldOf(echo)
    const site = world.site()
    const socket = site.connect(DB)
    await socket.opened
    const chunk = bytes('first')
    const writer = socket.writable.getWriter()
    const written = writer.write(chunk)
    await Promise.resolve()
    chunk.fill(0)
    await written
    await writer.close()
    expect(await all(socket.readable)).toBe('first')
    await site.close()
  })
})

describe('the end of a connection', () => {
  const OPTIONS: readonly [SocketOptions, boolean][] = [
    [{}, false],
    [{ allowHalfOpen: true }, true],
  ]
  test.each(OPTIONS)('the service finishes first, with %j: still writable: %s', async (options, writable) => {
    let rest: string | undefined
    const world = await worldOf(async (tcp) => {
      tcp.stream.write(bytes('bye'))
      tcp.stream.finish()
      let had = ''
      for (let chunk = await tcp.read(); chunk !== undefined; chunk = await tcp.read()) had += text(chunk)
      rest = had
    })
    const site = world.site()
    const socket = site.connect(DB, options)
    expect(await all(socket.readable)).toBe('bye')
    const writer = socket.writable.getWriter()
    if (writable) {
      await writer.write(bytes('after'))
      await writer.close()
    } else await expect(writer.write(bytes('after'))).rejects.toMatchObject({ code: 'connection-reset' })
    await socket.closed
    await until(() => rest !== undefined)
    expect(rest).toBe(writable ? 'after' : '')
    await site.close()
  })

  test('a reset rejects both directions and closed, with what the connector says', async () => {
    const why = streamProblem('idle-timeout', 'Nothing came for 5 minutes.', 'Raise timeouts.idle.')
    let tcp: PeerTcp | undefined
    const world = await worldOf((given) => {
      tcp = given
    })
    const site = world.site()
    const socket = site.connect(DB)
    const reading = socket.readable.getReader().read()
    await socket.opened
    tcp!.stream.abort(undefined, why)
    await expect(reading).rejects.toMatchObject(why)
    await expect(socket.closed).rejects.toMatchObject(why)
    await expect(socket.writable.getWriter().write(bytes('x'))).rejects.toMatchObject(why)
    await site.close()
  })

  test('close ends it at once, and closed resolves', async () => {
    const world = await worldOf(echo)
    const site = world.site()
    const socket = site.connect(DB)
    const reading = socket.readable.getReader().read()
    await socket.opened
    await socket.close()
    expect((await reading).done).toBe(true)
    await expect(socket.writable.getWriter().write(bytes('x'))).rejects.toBeInstanceOf(IsthmusError)
    await until(() => world.peer.sessions[0]!.openStreams === 0)
    await site.close()
  })

  test('close before it is open', async () => {
    const world = await worldOf(echo)
    world.peer.onDial = 'hang'
    const site = world.site()
    const socket = site.connect(DB)
    await socket.close()
    await expect(socket.opened).rejects.toBeInstanceOf(IsthmusError)
    await site.close()
  })

  test('the session is lost', async () => {
    const world = await worldOf(echo)
    const site = world.site()
    const socket = site.connect(DB)
    await socket.opened
    world.peer.sessions[0]!.vanish()
    await expect(socket.closed).rejects.toMatchObject({ code: 'session-lost' })
    await expect(socket.readable.getReader().read()).rejects.toMatchObject({ code: 'session-lost' })
    await site.close()
  })
})

describe('a connection that is not made', () => {
  test('a refusal is told in opened, closed and both streams', async () => {
    const world = await worldOf(echo)
    world.peer.services.refuse = () => streamProblem('connect-refused', 'The service refuses.', 'Start it.')
    const site = world.site()
    const socket = site.connect(DB)
    const failure = { name: 'IsthmusError', code: 'connect-refused' }
    await expect(socket.opened).rejects.toMatchObject(failure)
    await expect(socket.closed).rejects.toMatchObject(failure)
    await expect(socket.readable.getReader().read()).rejects.toMatchObject(failure)
    await expect(socket.writable.getWriter().write(bytes('x'))).rejects.toMatchObject(failure)
    await site.close()
  })

  test('at a connector that sheds load it is made at the other one, with all that was written', async () => {
    const world = await worldOf(echo, { connectors: [{ relay: false }, { relay: false }] })
    const [first, second] = world.connectors.map(({ peer }) => peer)
    second!.onDial = 'hang'
    first!.services.refuse = () => {
      second!.onDial = 'serve'
      return streamProblem('overloaded', 'Too much.', 'Wait.')
    }
    const site = world.site()
    const socket = site.connect(DB)
    const writer = socket.writable.getWriter()
    void writer.write(bytes('one '))
    await until(() => first!.openings.length === 1)
    void writer.write(bytes('two'))
    void writer.close()
    expect(await all(socket.readable)).toBe('one two')
    await site.close()
  })

  test('a bad token rejects opened, and nothing is thrown', async () => {
    const world = await worldOf(echo)
    const socket = world.site({ token: 'nonsense' }).connect(DB)
    await expect(socket.opened).rejects.toMatchObject({ code: 'control-refused' })
    await expect(socket.closed).rejects.toMatchObject({ code: 'control-refused' })
  })
})

describe('startTls', () => {
  test('takes the connection over after what was written, and the old socket ends', async () => {
    const heard: string[] = []
    const world = await worldOf(async (tcp) => {
      for (let chunk = await tcp.read(); chunk !== undefined; chunk = await tcp.read()) {
        heard.push(text(chunk))
        tcp.stream.write(bytes(tcp.opening.kind === 'tcp' ? 'ready' : 'secret'))
      }
    })
    const site = world.site()
    const socket = site.connect(DB, { secureTransport: 'starttls' })
    const writer = socket.writable.getWriter()
    await writer.write(bytes('STARTTLS'))
    const reader = socket.readable.getReader()
    expect(text((await reader.read()).value)).toBe('ready')
    writer.releaseLock()
    reader.releaseLock()
    const secure = socket.startTls({ expectedServerHostname: 'db.corp.example' })
    expect({ upgraded: socket.upgraded, transport: secure.secureTransport }).toEqual({
      upgraded: true,
      transport: 'on',
    })
    const secureWriter = secure.writable.getWriter()
    await secureWriter.write(bytes('query'))
    expect(text((await secure.readable.getReader().read()).value)).toBe('secret')
    expect(heard).toEqual(['STARTTLS', 'query'])
    expect(world.peer.openings[1]).toEqual({ kind: 'start-tls', of: 1, after: 8, serverName: 'db.corp.example' })
    await socket.closed
    await until(() => world.peer.sessions[0]!.openStreams === 1)
    await secure.close()
    await site.close()
  })

  test('is refused where it makes no sense', async () => {
    const world = await worldOf(echo)
    const site = world.site()
    const plain = site.connect(DB)
    expect(() => plain.startTls()).toThrow(TypeError)
    const socket = site.connect(DB, { secureTransport: 'starttls' })
    const writer = socket.writable.getWriter()
    expect(() => socket.startTls()).toThrow(/release/)
    writer.releaseLock()
    const secure = socket.startTls()
    expect(() => socket.startTls()).toThrow(TypeError)
    await secure.opened
    expect(world.peer.openings.at(-1)).toMatchObject({ serverName: 'db.internal' })
    await site.close()
  })

  test('a handshake that fails ends both', async () => {
    const world = await worldOf(echo)
    world.peer.services.refuse = ({ kind }) =>
      kind === 'start-tls' ? streamProblem('tls-failed', 'The certificate is of another.', 'Set tls.ca.') : undefined
    const site = world.site()
    const socket = site.connect(DB, { secureTransport: 'starttls' })
    const secure = socket.startTls()
    await expect(secure.opened).rejects.toMatchObject({ code: 'tls-failed' })
    await expect(socket.closed).rejects.toMatchObject({ code: 'tls-failed' })
    await site.close()
  })
})
