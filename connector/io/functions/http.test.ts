import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { createServer as createTcpServer, type Socket, type Server as TcpServer } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it, test, vi } from 'vitest'
import { prefix } from '../../../protocol/net.ts'
import type { ServicePlan, TargetService } from '../../core/functions/plan.ts'
import { networkService, TIMEOUTS, targetService } from '../../core/functions/testing.ts'
import { type Authority, type Issued, makeAuthority } from './testing/certificates.ts'
import type { FunctionClient } from './testing/function-client.ts'
import { type Asking, answerOf, ask, decode } from './testing/http-client.ts'
import { World, type WorldOptions } from './testing/world.ts'

let world: World | undefined
const servers: (Server | TcpServer)[] = []
let authority: Authority
let issued: Issued

beforeAll(() => {
  authority = makeAuthority()
  issued = authority.issue('DNS:erp.corp,IP:127.0.0.1')
})
afterAll(() => authority.remove())

afterEach(async () => {
  await world?.close()
  world = undefined
  for (const server of servers.splice(0)) {
    server.close()
    if ('closeAllConnections' in server) server.closeAllConnections()
  }
})

type Handler = (request: IncomingMessage, response: ServerResponse) => void

async function listen(server: Server | TcpServer): Promise<number> {
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as { port: number }).port
}

const serve = (handler: Handler) => listen(createServer(handler))

/** A service that says these octets to whatever it is asked. */
const say = (text: string, then: (socket: Socket) => void = (socket) => socket.end()) =>
  listen(
    createTcpServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', () => socket.write(text, 'latin1', () => then(socket)))
    }),
  )

async function open(services: readonly ServicePlan[], more: Partial<WorldOptions> = {}): Promise<FunctionClient> {
  world = await World.open({ services, ...more })
  return world.call()
}

const http = (port: number, changes: Partial<TargetService> = {}) =>
  targetService({ host: '127.0.0.1', port, ...changes })

async function get(client: FunctionClient, asking: Asking = {}) {
  return answerOf(ask(client, asking), asking.method === 'HEAD')
}

async function codeOf(client: FunctionClient, asking: Asking = {}): Promise<string> {
  return get(client, asking).then(
    () => 'ok',
    (error: Error) => error.message,
  )
}

const lastRecord = () => world!.records.records.at(-1)!

/** Tells what it was asked. */
const mirror: Handler = (request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const { method, url, rawHeaders } = request
    response.end(JSON.stringify({ method, url, rawHeaders, body: String(Buffer.concat(chunks)) }))
  })
}

async function mirrored(client: FunctionClient, asking: Asking = {}) {
  const got = JSON.parse(String((await get(client, asking)).body)) as {
    method: string
    url: string
    rawHeaders: string[]
    body: string
  }
  const headers = new Map<string, string[]>()
  for (let i = 0; i < got.rawHeaders.length; i += 2) {
    const name = got.rawHeaders[i]!.toLowerCase()
    headers.set(name, [...(headers.get(name) ?? []), got.rawHeaders[i + 1]!])
  }
  return { ...got, headers }
}

describe('requests', () => {
  it('are made as the function wrote them', async () => {
    const client = await open([http(await serve(mirror))])
    const fields = [
      ['accept', 'application/json'],
      ['x-two', 'a'],
      ['x-two', 'b'],
    ] as const
    const got = await mirrored(client, { path: '/orders/42?full=1', fields, authority: 'ERP:80' })
    expect(got).toMatchObject({ method: 'GET', url: '/orders/42?full=1', body: '' })
    expect(got.headers.get('host')).toEqual(['ERP:80'])
    expect(got.headers.get('x-two')).toEqual(['a', 'b'])
    expect(got.headers.has('content-length')).toBe(false)
    expect(got.headers.has('transfer-encoding')).toBe(false)
    await vi.waitFor(() =>
      expect(lastRecord()).toMatchObject({
        kind: 'http',
        service: 'erp',
        request: 'GET /orders/42',
        status: 200,
        outcome: 'ok',
      }),
    )
    expect(JSON.stringify(lastRecord())).not.toContain('full=1')
  })

  it('have a length where it is known, chunks where it is not, and one of the two in any case', async () => {
    const client = await open([http(await serve(mirror))])
    const whole = await mirrored(client, { body: 'all of it' })
    expect(whole).toMatchObject({ method: 'POST', body: 'all of it' })
    expect(whole.headers.get('content-length')).toEqual(['9'])
    expect(whole.headers.has('transfer-encoding')).toBe(false)

    const said = await mirrored(client, { method: 'PUT', body: 'nine char', fields: [['content-length', '9']] })
    expect(said.headers.get('content-length')).toEqual(['9'])

    const none = await mirrored(client, { method: 'POST' })
    expect(none.headers.get('content-length')).toEqual(['0'])

    const streamed = ask(client, { body: 'open' })
    streamed.write(Buffer.from('first '))
    await vi.waitFor(() => expect(world!.serving.admission.streams).toBe(1))
    await new Promise((resolve) => setImmediate(resolve))
    streamed.write(Buffer.from('second'))
    streamed.end()
    const got = JSON.parse(String((await answerOf(streamed)).body))
    expect(got.body).toBe('first second')
  })

  it('never pass on what belongs to a connection, or what the site sets itself', async () => {
    const service = http(await serve(mirror), {
      headers: [
        ['x-api-key', 'of the site'],
        ['x-more', 'too'],
      ],
      hostHeader: 'erp.corp:8443',
    })
    const client = await open([service])
    const got = await mirrored(client, {
      fields: [
        ['x-api-key', 'of the function'],
        ['te', 'trailers'],
        ['expect', '100-continue'],
        ['proxy-authorization', 'Basic eDp5'],
        ['authorization', 'Bearer function'],
        ['x-keep', 'this'],
      ],
    })
    expect(got.headers.get('x-api-key')).toEqual(['of the site'])
    expect(got.headers.get('x-more')).toEqual(['too'])
    expect(got.headers.get('host')).toEqual(['erp.corp:8443'])
    expect(got.headers.get('authorization')).toEqual(['Bearer function'])
    expect(got.headers.get('x-keep')).toEqual(['this'])
    for (const name of ['te', 'expect', 'proxy-authorization']) expect(got.headers.has(name)).toBe(false)
  })

  test.each([
    ['another host in the URL than in the stream', { authority: 'hr.internal' }],
    ['another port', { authority: 'erp:8001' }],
    ['a host field that differs', { authority: '', fields: [['host', 'hr.internal']] as const }],
    ['another scheme', { scheme: 'ftp' }],
    ['TRACE', { method: 'TRACE' }],
    ['OPTIONS of the server', { method: 'OPTIONS', path: '*' }],
  ])('with %s are refused, and nobody is asked', async (_, asking) => {
    let asked = 0
    const port = await serve((request, response) => {
      asked++
      mirror(request, response)
    })
    const client = await open([http(port)])
    expect(await codeOf(client, asking)).toBe('bad-request')
    expect(asked).toBe(0)
  })

  it('that are malformed are refused, in every piece of them', async () => {
    let asked = 0
    const port = await serve((_request, response) => {
      asked++
      response.end()
    })
    const client = await open([http(port)])
    for (const octets of [[0x07], [0x02, 0x00], [0x02, 0x03, 0x47, 0x45, 0x0a], [0x01], [0xff, 0xff]]) {
      const stream = client.open({ kind: 'http', host: 'erp', port: 80 })
      stream.write(Uint8Array.from(octets))
      stream.finish()
      expect(await stream.code()).toBe('bad-request')
    }
    expect(asked).toBe(0)
  })

  it('whose content breaks off or differs from its length reach no orderly end', async () => {
    const ends: string[] = []
    const port = await serve((request, response) => {
      request.resume()
      request.on('end', () => {
        ends.push('end')
        response.end()
      })
      request.on('error', () => ends.push('error'))
    })
    const client = await open([http(port)])
    const broken = ask(client, { body: 'open' })
    broken.write(Buffer.from('half'))
    broken.stream.finish()
    expect(await broken.stream.code()).toBe('bad-request')
    const short = ask(client, { body: 'open', fields: [['content-length', '10']] })
    short.write(Buffer.from('half'))
    await vi.waitFor(() => expect(ends.length).toBeGreaterThanOrEqual(0))
    short.stream.finish()
    expect(await short.stream.code()).toBe('bad-request')
    expect(ends).not.toContain('end')
  })

  it('end when the function gives up, and the service notices', async () => {
    const [asked, closed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const port = await serve((request, response) => {
      asked.resolve()
      response.on('close', () => closed.resolve())
      request.resume()
    })
    const client = await open([http(port)])
    const request = ask(client, {})
    await asked.promise
    request.stream.abort()
    await closed.promise
    await vi.waitFor(() => expect(lastRecord()?.outcome).toBe('reset'))
    expect(world!.serving.admission).toMatchObject({ streams: 0, held: 0 })
  })
})

describe('answers', () => {
  it('come as the service sent them: status, fields, content as it is encoded, trailers', async () => {
    const port = await serve((_request, response) => {
      response.writeHead(203, [
        ['Set-Cookie', 'a=1'],
        ['Set-Cookie', 'b=2'],
        ['Content-Encoding', 'gzip'],
        ['Trailer', 'X-Sum'],
        ['Connection', 'x-hop'],
        ['X-Hop', 'dropped'],
      ] as unknown as string[])
      response.write('not really gzip')
      response.addTrailers({ 'X-Sum': '15' })
      response.end()
    })
    const client = await open([http(port)])
    const got = await get(client)
    expect(got.status).toBe(203)
    expect(got.fields.filter(([name]) => name === 'set-cookie').map(([, value]) => value)).toEqual(['a=1', 'b=2'])
    expect(got.field('content-encoding')).toBe('gzip')
    expect(String(got.body)).toBe('not really gzip')
    expect(got.trailers).toEqual([['x-sum', '15']])
    for (const name of ['connection', 'x-hop', 'transfer-encoding', 'keep-alive']) {
      expect(got.field(name)).toBeUndefined()
    }
  })

  it('follow no redirect', async () => {
    const port = await serve((_request, response) => response.writeHead(302, { location: 'http://hr/' }).end())
    const got = await get(await open([http(port)]))
    expect([got.status, got.field('location')]).toEqual([302, 'http://hr/'])
  })

  it('pass informational ones on', async () => {
    const port = await serve((_request, response) => {
      response.writeEarlyHints({ link: '</a.css>; rel=preload' })
      response.writeProcessing()
      response.end('ok')
    })
    const got = await get(await open([http(port)]))
    expect(got.informational.map(({ status }) => status)).toEqual([103, 102])
    expect([got.status, String(got.body)]).toEqual([200, 'ok'])
  })

  test.each([
    ['HEAD', 200, '11'],
    ['GET', 304, '11'],
    ['GET', 204, undefined],
  ])('%s with %i has no content, whatever its length says', async (method, status, length) => {
    const port = await serve((_request, response) => {
      response.writeHead(status, length === undefined ? {} : { 'content-length': length }).end()
    })
    const got = await get(await open([http(port)]), { method })
    expect([got.status, got.body.length, got.field('content-length')]).toEqual([status, 0, length])
  })

  it('stream: the first bytes are there before the last are made', async () => {
    let finish = () => {}
    const port = await serve((_request, response) => {
      response.write('first')
      finish = () => response.end(' last')
    })
    const client = await open([http(port)])
    const { stream } = ask(client, {})
    await stream.until(() => stream.length > 0 && String(stream.received).includes('first'))
    finish()
    expect(String(decode(await stream.all()).body)).toBe('first last')
  })

  it('may come before the request is whole', async () => {
    const port = await serve((_request, response) => response.writeHead(413).end('too much'))
    const client = await open([http(port)])
    const request = ask(client, { body: 'open' })
    request.write(new Uint8Array(100_000))
    const got = await answerOf(request)
    expect([got.status, String(got.body)]).toEqual([413, 'too much'])
    await vi.waitFor(() => expect(world!.serving.admission.held).toBe(0))
  })

  it('hold the service back where the function does not read', async () => {
    let written = 0
    const size = 64 << 20
    const port = await serve((_request, response) => {
      const chunk = Buffer.alloc(1 << 16)
      const more = () => {
        while (written < size) {
          written += chunk.length
          if (!response.write(chunk)) return
        }
        response.end()
      }
      response.on('drain', more)
      more()
    })
    const client = await open([http(port)])
    const { stream } = ask(client, {})
    stream.slow = true
    await stream.bytes(200 << 10)
    let before = -1
    await vi.waitFor(
      () => {
        const stuck = before === written
        before = written
        expect(stuck).toBe(true)
      },
      { interval: 200 },
    )
    expect(written).toBeLessThan(size)
    expect(world!.serving.admission.held).toBeLessThan(1 << 20)
    stream.consume()
    expect(decode(await stream.all()).body.length).toBe(size)
  })

  it('hold the function back where the service does not read', async () => {
    const size = 16 << 20
    let got = 0
    let release = () => {}
    const port = await serve((request, response) => {
      release = () => {
        request.on('data', (chunk: Buffer) => {
          got += chunk.length
        })
        request.on('end', () => response.end(String(got)))
      }
    })
    const client = await open([http(port)])
    const request = ask(client, { body: 'open' })
    let sent = 0
    const chunk = new Uint8Array(1 << 16)
    const writing = (async () => {
      while (sent < size) {
        await request.stream.room()
        request.write(chunk)
        sent += chunk.length
      }
      request.end()
    })()
    let before = -1
    await vi.waitFor(
      () => {
        const stuck = before === sent && sent > 0
        before = sent
        expect(stuck).toBe(true)
      },
      { interval: 200 },
    )
    expect(world!.serving.admission.held).toBeLessThanOrEqual((4 << 20) + (1 << 18))
    release()
    await writing
    expect(String((await answerOf(request)).body)).toBe(String(size))
    await vi.waitFor(() => expect(world!.serving.admission.held).toBe(0))
  })
})

describe('services that misbehave', () => {
  test.each([
    ['is no HTTP', 'SSH-2.0-OpenSSH\r\n', 'bad-response'],
    ['has two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab', 'bad-response'],
    [
      'has a length and chunks',
      'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      'bad-response',
    ],
    [
      'changes the protocol',
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
      'connection-reset',
    ],
    ['has a head without end', `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(100_000)}`, 'bad-response'],
    ['has a line break in a field', 'HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n', 'bad-response'],
    ['says nothing', '', 'connection-reset'],
  ])('an answer that %s is refused', async (_, text, code) => {
    const client = await open([http(await say(text))])
    const got = await codeOf(client, { method: 'POST' })
    // The parser may give such a connection up by itself.
    expect([code, 'connection-reset']).toContain(got)
  })

  test.each([
    ['breaks off', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf', 'connection-reset'],
    [
      'breaks off between chunks',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n',
      'connection-reset',
    ],
    [
      'has a chunk that is none',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nxyz\r\n',
      'bad-response',
    ],
  ])('an answer that %s in the middle says why', async (_, text, code) => {
    const client = await open([http(await say(text))])
    const { stream } = ask(client, {})
    expect(await stream.code()).toBe('ok')
    expect(await stream.untilReset(), JSON.stringify(stream.reset)).toBe(code)
    await vi.waitFor(() => expect(lastRecord()).toMatchObject({ outcome: code, status: 200 }))
  })

  it('are waited for as long as they, or the function, are given', async () => {
    const port = await serve(() => {})
    const client = await open([
      http(port, { timeouts: { ...TIMEOUTS, response: 150 } }),
      http(port, { name: 'slow', hosts: [] }),
    ])
    expect(await codeOf(client)).toBe('timed-out')
    expect(await codeOf(client, { host: 'slow', timeoutMs: 150 })).toBe('timed-out')
  })

  it('may be silent in the middle for so long', async () => {
    const port = await serve((_request, response) => void response.write('first'))
    const client = await open([http(port, { timeouts: { ...TIMEOUTS, idle: 150 } })])
    const { stream } = ask(client, {})
    expect(await stream.code()).toBe('ok')
    expect(await stream.untilReset()).toBe('idle-timeout')
  })

  it('refuse connections: that is told, and nothing was done', async () => {
    const client = await open([http(1)])
    expect(await codeOf(client)).toBe('connect-refused')
    expect(lastRecord()).toMatchObject({ outcome: 'connect-refused', service: 'erp' })
  })

  it('close a connection just when it is used again: a safe request is made once more, another is not', async () => {
    const methods: string[] = []
    // Closes each connection at its second request.
    const port = await listen(
      createTcpServer((socket) => {
        let requests = 0
        socket.on('error', () => {})
        socket.on('data', (chunk) => {
          methods.push(String(chunk).split(' ')[0]!)
          if (++requests > 1) socket.resetAndDestroy()
          else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
        })
      }),
    )
    const client = await open([http(port, { maxConnections: 1 })])
    expect(await codeOf(client)).toBe('ok')
    expect(await codeOf(client)).toBe('ok')
    expect(methods).toEqual(['GET', 'GET', 'GET'])
    expect(await codeOf(client, { method: 'POST' })).toBe('connection-reset')
    expect(methods.filter((method) => method === 'POST')).toHaveLength(1)
  })

  it('are not asked for more at once than they take', async () => {
    let most = 0
    let open_ = 0
    const pending: ServerResponse[] = []
    const port = await serve((_request, response) => {
      most = Math.max(most, ++open_)
      response.on('close', () => open_--)
      pending.push(response)
    })
    const client = await open([http(port, { maxConnections: 2 })])
    const requests = Array.from({ length: 5 }, () => codeOf(client))
    await vi.waitFor(() => expect(pending).toHaveLength(2))
    const last = await requests[4]
    expect(last).toBe('overloaded')
    const timer = setInterval(() => pending.splice(0).forEach((response) => void response.end('x')), 5)
    expect(await Promise.all(requests.slice(0, 4))).toEqual(['ok', 'ok', 'ok', 'ok'])
    clearInterval(timer)
    expect(most).toBe(2)
  })
})

describe('connections', () => {
  it('are kept, and shared by functions and names of the service', async () => {
    const sockets = new Set<Socket>()
    const port = await serve((request, response) => {
      sockets.add(request.socket)
      response.end()
    })
    const client = await open([http(port)])
    for (const host of ['erp', 'erp.internal', 'erp.corp.example', 'erp'])
      expect(await codeOf(client, { host })).toBe('ok')
    expect(await codeOf(world!.call({}))).toBe('ok')
    expect(sockets.size).toBe(1)
  })

  it('stand ready before anybody asks, TLS done, and are replaced when they are used or closed', async () => {
    const secured: Socket[] = []
    const server = createTlsServer({ cert: issued.certificate, key: issued.key }, (_request, response) =>
      response.end('x'),
    )
    server.on('secureConnection', (socket: Socket) => secured.push(socket))
    const port = await listen(server)
    const service = http(port, { kind: 'https', warm: 1, tls: { ca: authority.ca } })
    const client = await open([service])
    await vi.waitFor(() => expect(world!.serving.pools.ready('erp')).toBe(1))
    expect(secured).toHaveLength(1)
    expect(await codeOf(client)).toBe('ok')
    // The one that was ready was used, another one stands ready.
    await vi.waitFor(() => expect(secured).toHaveLength(2))
    await vi.waitFor(() => expect(world!.serving.pools.ready('erp')).toBe(1))
    secured[1]!.destroy()
    await vi.waitFor(() => expect(world!.serving.pools.ready('erp')).toBe(0))
    await vi.waitFor(() => expect(world!.serving.pools.ready('erp')).toBe(1), { timeout: 5000 })
  })

  it('present our certificate where the service asks for one, and refuse its own where it does not fit', async () => {
    const names: string[] = []
    const options = {
      cert: issued.certificate,
      key: issued.key,
      ca: authority.ca,
      requestCert: true,
      rejectUnauthorized: true,
    }
    const server = createTlsServer(options, (request, response) => {
      names.push((request.socket as import('node:tls').TLSSocket).getPeerCertificate().subject.CN as string)
      response.end()
    })
    const port = await listen(server)
    const own = authority.issue('DNS:connector')
    const tls = { ca: authority.ca, certificate: own.certificate, key: own.key }
    const client = await open([
      http(port, { kind: 'https', tls }),
      http(port, { name: 'nobody', kind: 'https', hosts: [], tls: { ca: authority.ca } }),
      http(port, { name: 'stranger', kind: 'https', hosts: [], tls: {} }),
      http(port, { name: 'other', kind: 'https', hosts: [], tls: { ...tls, serverName: 'else.corp' } }),
    ])
    expect(await codeOf(client, { scheme: 'https', port: 443 })).toBe('ok')
    expect(names).toHaveLength(1)
    expect(await codeOf(client, { host: 'stranger' })).toBe('tls-failed')
    expect(await codeOf(client, { host: 'other' })).toBe('tls-failed')
    expect(['tls-failed', 'connection-reset']).toContain(await codeOf(client, { host: 'nobody' }))
  })

  it('reach hosts of networks, those with https too, and belong to those who may', async () => {
    const server = createTlsServer({ cert: issued.certificate, key: issued.key }, mirror)
    const securePort = await listen(server)
    const port = await serve(mirror)
    const lan = networkService({
      networks: [prefix('127.0.0.1/32')],
      ports: [{ start: Math.min(port, securePort), end: Math.max(port, securePort) }],
      tls: { ca: authority.ca },
    })
    const client = await open([lan], { lookup: async () => ['127.0.0.1'] })
    const plain = await mirrored(client, { host: '127.0.0.1', port, authority: `127.0.0.1:${port}` })
    expect(plain.headers.get('host')).toEqual([`127.0.0.1:${port}`])
    const secure = await mirrored(client, {
      host: 'erp.corp',
      port: securePort,
      scheme: 'https',
      authority: `erp.corp:${securePort}`,
    })
    expect(secure.headers.get('host')).toEqual([`erp.corp:${securePort}`])
    const stranger = world!.call({ claims: { name: 'stranger' } })
    expect(await codeOf(stranger, { host: '127.0.0.1', port, authority: `127.0.0.1:${port}` })).toBe(
      'service-not-allowed',
    )
  })
})
