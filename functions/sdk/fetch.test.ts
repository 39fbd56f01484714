import { describe, expect, test } from 'vitest'
import type { FieldLine } from '../../protocol/binary-http.ts'
import { streamProblem } from '../../protocol/stream-problem.ts'
import type { PeerExchange } from '../testing/peer.ts'
import { until } from '../testing/until.ts'
import { World } from '../testing/world.ts'
import { IsthmusError } from './error.ts'

const URL_42 = 'http://erp.internal:8000/orders/42'

async function textOf(body: AsyncGenerator<Uint8Array>): Promise<string> {
  let text = ''
  for await (const chunk of body) text += new TextDecoder().decode(chunk)
  return text
}

describe('a request', () => {
  test('a GET goes with the first flight, and its response is a standard one', async () => {
    const world = await World.create({
      services: { http: (exchange) => exchange.respond(200, [['content-type', 'application/json']], '{"order":42}') },
    })
    const erp = world.site()
    const response = await erp.fetch(`${URL_42}?x=1#top`)
    expect(response).toBeInstanceOf(Response)
    expect(response.status).toBe(200)
    expect(response.url).toBe(`${URL_42}?x=1`)
    expect(response.redirected).toBe(false)
    expect(response.clone().url).toBe(response.url)
    expect(await response.json()).toEqual({ order: 42 })
    expect(world.peer.openings).toEqual([{ kind: 'http', host: 'erp.internal', port: 8000 }])
    expect(world.peer.sessions[0]?.early).toBe(true)
    await erp.close()
  })

  const HEADS: readonly [string, [string | URL | Request, RequestInit?], object][] = [
    ['a URL object', [new URL(URL_42)], { method: 'GET', scheme: 'http', authority: 'erp.internal:8000' }],
    ['a Request', [new Request(URL_42, { method: 'DELETE' })], { method: 'DELETE', path: '/orders/42' }],
    ['init over a Request', [new Request(URL_42), { method: 'PUT', body: 'x' }], { method: 'PUT' }],
    [
      'a Request as init, as Workers pass theirs on',
      [URL_42, new Request('http://other/', { method: 'POST', body: 'x' })],
      { method: 'POST', authority: 'erp.internal:8000' },
    ],
    ['the port of http', ['http://erp.internal/'], { authority: 'erp.internal', path: '/' }],
    ['https', ['https://erp.internal/a?b=c d'], { scheme: 'https', path: '/a?b=c%20d' }],
    ['a lower-case method', [URL_42, { method: 'post', body: 'x' }], { method: 'POST' }],
    ['PATCH', [URL_42, { method: 'PATCH', body: 'x' }], { method: 'PATCH' }],
    ['IPv6', ['http://[2001:db8::1]:81/'], { authority: '[2001:db8::1]:81' }],
  ]
  test.each(HEADS)('with %s', async (_, [input, init], expected) => {
    const world = await World.create({ services: { http: (exchange) => echoHead(exchange) } })
    const erp = world.site()
    const { head } = (await (await erp.fetch(input, init)).json()) as { head: object }
    expect(head).toMatchObject(expected)
    await erp.close()
  })

  const FIELDS: readonly [string, RequestInit, FieldLine[], string[]][] = [
    [
      'defaults',
      {},
      [
        ['accept', '*/*'],
        ['accept-encoding', 'identity'],
        ['user-agent', 'isthmus'],
      ],
      ['content-length'],
    ],
    [
      'of its own',
      { headers: { 'X-A': 'b', accept: 'text/html' } },
      [
        ['x-a', 'b'],
        ['accept', 'text/html'],
      ],
      [],
    ],
    [
      'of one connection, which are dropped',
      {
        headers: { connection: 'x-gone', 'x-gone': '1', host: 'evil', 'keep-alive': '1', te: 'trailers', expect: 'x' },
      },
      [],
      ['connection', 'x-gone', 'host', 'keep-alive', 'te', 'expect'],
    ],
    [
      'of a text',
      { method: 'POST', body: 'äb' },
      [
        ['content-type', 'text/plain;charset=UTF-8'],
        ['content-length', '3'],
      ],
      [],
    ],
    ['of bytes', { method: 'POST', body: new Uint8Array(5) }, [['content-length', '5']], ['content-type']],
    ['of a form', { method: 'POST', body: new URLSearchParams({ a: 'b' }) }, [['content-length', '3']], []],
    ['of no body', { method: 'POST' }, [['content-length', '0']], []],
    [
      'a length that lies',
      { method: 'POST', body: 'abc', headers: { 'content-length': '99' } },
      [['content-length', '3']],
      [],
    ],
    ['of a blob', { method: 'POST', body: new Blob([new Uint8Array(2 << 20)]) }, [['content-length', '2097152']], []],
  ]
  test.each(FIELDS)('with fields: %s', async (_, init, present, absent) => {
    const world = await World.create({ services: { http: (exchange) => echoHead(exchange) } })
    const erp = world.site()
    const { head } = (await (await erp.fetch(URL_42, init)).json()) as { head: { fields: FieldLine[] } }
    for (const field of present) expect(head.fields).toContainEqual(field)
    for (const name of absent) expect(head.fields.map(([name]) => name)).not.toContain(name)
    await erp.close()
  })

  const NONE: readonly [string, [string, RequestInit?]][] = [
    ['no URL', ['orders/42']],
    ['another scheme', ['ftp://erp.internal/']],
    ['credentials', ['http://a:b@erp.internal/']],
    ['a body with GET', [URL_42, { body: 'x' }]],
    ['a host with an underscore', ['http://erp_1.internal/']],
  ]
  test.each(NONE)('that is none: %s', async (_, [input, init]) => {
    const world = await World.create()
    await expect(world.site().fetch(input, init)).rejects.toThrow(TypeError)
    expect(world.peer.openings).toEqual([])
  })

  test('a Request that was made of a text goes with its length, and may be tried again', async () => {
    const world = await World.create({ services: { http: (exchange) => echoHead(exchange) } })
    const erp = world.site()
    const answer = await (await erp.fetch(new Request(URL_42, { method: 'PUT', body: 'abc' }))).json()
    expect(answer).toMatchObject({ body: 'abc' })
    expect((answer as { head: { fields: FieldLine[] } }).head.fields).toContainEqual(['content-length', '3'])
    await erp.close()
  })
})

describe('bodies', () => {
  test('stream both ways at once', async () => {
    const world = await World.create({
      services: {
        async http(exchange) {
          exchange.head200()
          for await (const chunk of exchange.body) exchange.write(`<${new TextDecoder().decode(chunk)}>`)
          exchange.end([['x-trailer', 'dropped']])
        },
      },
    })
    const erp = world.site()
    let put!: ReadableStreamDefaultController<Uint8Array>
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        put = controller
      },
    })
    const response = await erp.fetch(URL_42, { method: 'POST', body })
    const reader = response.body!.getReader()
    for (const word of ['one', 'two', 'three']) {
      put.enqueue(new TextEncoder().encode(word))
      expect(new TextDecoder().decode((await reader.read()).value)).toMatch(/</)
    }
    put.close()
    while (!(await reader.read()).done);
    expect(response.headers.get('x-trailer')).toBeNull()
    await erp.close()
  })

  test('of 8 MB arrive whole both ways, and a reader that is slow holds the sender back', async () => {
    const size = 8 << 20
    let written = 0
    const world = await World.create({
      services: {
        async http(exchange) {
          let had = 0
          for await (const chunk of exchange.body) had += chunk.length
          exchange.head200([['x-had', String(had)]])
          for (; written < size; written += 65_536) {
            await exchange.stream.drained()
            exchange.write(new Uint8Array(65_536).fill(written >> 16))
          }
          exchange.end()
        },
      },
    })
    const erp = world.site()
    const response = await erp.fetch(URL_42, { method: 'POST', body: new Uint8Array(size) })
    expect(response.headers.get('x-had')).toBe(String(size))
    const reader = response.body!.getReader()
    let read = 0
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      expect(value[0]).toBe((read >> 16) & 255)
      read += value.length
      // What the sender may be ahead: a window, and what it keeps itself.
      expect(written - read).toBeLessThan(7 << 20)
    }
    expect(read).toBe(size)
    await erp.close()
  })

  test('a reader with its own buffer is served', async () => {
    const world = await World.create({ services: { http: (exchange) => exchange.respond(200, [], 'abcdef') } })
    const erp = world.site()
    const reader = (await erp.fetch(URL_42)).body!.getReader({ mode: 'byob' })
    const { value } = await reader.read(new Uint8Array(4))
    expect(new TextDecoder().decode(value)).toBe('abcd')
    await erp.close()
  })

  test.each([
    ['HEAD', 200],
    ['GET', 204],
    ['GET', 205],
    ['GET', 304],
  ])('%s with status %d has none', async (method, status) => {
    const length: FieldLine[] = status === 205 ? [] : [['content-length', status === 204 ? '0' : '5']]
    const world = await World.create({
      services: {
        http: (exchange) => exchange.respond(status, length),
      },
    })
    const erp = world.site()
    const response = await erp.fetch(URL_42, { method })
    expect(response.status).toBe(status)
    expect(response.body).toBeNull()
    await until(() => world.peer.sessions[0]!.openStreams === 0)
    await erp.close()
  })

  test('that are shorter than their content-length end with an error', async () => {
    const world = await World.create({
      services: {
        http(exchange) {
          exchange.head200([['content-length', '10']])
          exchange.write('abc')
          exchange.stream.finish()
        },
      },
    })
    const erp = world.site()
    const response = await erp.fetch(URL_42)
    await expect(response.text()).rejects.toMatchObject({ code: 'bad-response' })
    await erp.close()
  })

  test('a chunk that is no bytes breaks the request off', async () => {
    const world = await World.create({ services: { http: async (exchange) => void (await textOf(exchange.body)) } })
    const erp = world.site()
    const body = new ReadableStream({ start: (controller) => controller.enqueue('text') })
    await expect(erp.fetch(URL_42, { method: 'POST', body })).rejects.toThrow(TypeError)
    await erp.close()
  })
})

describe('responses', () => {
  test('have several cookies, no fields of the connection, and informational ones before them', async () => {
    const world = await World.create({
      services: {
        http(exchange) {
          exchange.informational(103, [['link', '</a>']])
          exchange.respond(200, [
            ['set-cookie', 'a=1'],
            ['set-cookie', 'b=2'],
            ['x-a', '1'],
            ['x-a', '2'],
          ])
        },
      },
    })
    const erp = world.site()
    const { headers } = await erp.fetch(URL_42)
    expect(headers.getSetCookie()).toEqual(['a=1', 'b=2'])
    expect(headers.get('x-a')).toBe('1, 2')
    expect(headers.get('link')).toBeNull()
    await erp.close()
  })

  test('that are encoded although nobody asked are decoded, and handed over as they come to who asked', async () => {
    const zipped = new Uint8Array(
      await new Response(new Blob(['plain']).stream().pipeThrough(new CompressionStream('gzip'))).arrayBuffer(),
    )
    const world = await World.create({
      services: { http: (exchange) => exchange.respond(200, [['content-encoding', 'gzip']], zipped) },
    })
    const erp = world.site()
    expect(await (await erp.fetch(URL_42)).text()).toBe('plain')
    const raw = await erp.fetch(URL_42, { headers: { 'accept-encoding': 'gzip' } })
    expect(new Uint8Array(await raw.arrayBuffer())).toEqual(zipped)
    await erp.close()
  })

  test('that are no HTTP at all are refused', async () => {
    const world = await World.create({
      services: {
        http(exchange) {
          exchange.stream.write(Uint8Array.of(9, 9, 9))
          exchange.stream.finish()
        },
      },
    })
    const erp = world.site()
    const error = await erp.fetch(URL_42).catch((error) => error)
    expect(error).toBeInstanceOf(IsthmusError)
    expect(error).toMatchObject({ code: 'bad-response', retry: 'never' })
    await erp.close()
  })
})

describe('aborts', () => {
  test('before anything begins', async () => {
    const world = await World.create()
    await expect(world.site().fetch(URL_42, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      name: 'AbortError',
    })
    expect(world.asked).toEqual([])
  })

  test('while the grant is asked for', async () => {
    const world = await World.create()
    const abort = new AbortController()
    world.answer = () => new Promise(() => undefined)
    const asked = world.site().fetch(URL_42, { signal: abort.signal })
    await until(() => world.asked.length === 1)
    abort.abort('enough')
    await expect(asked).rejects.toBe('enough')
  })

  test('before the head, which resets the stream', async () => {
    let broken: unknown
    const world = await World.create({
      services: {
        async http({ stream }) {
          await stream.read().catch((error) => (broken = error))
          if (broken === undefined) await stream.read().catch((error) => (broken = error))
        },
      },
    })
    const erp = world.site()
    const abort = new AbortController()
    const asked = erp.fetch(URL_42, { method: 'POST', body: new ReadableStream(), signal: abort.signal })
    await until(() => world.peer.openings.length === 1)
    abort.abort()
    await expect(asked).rejects.toMatchObject({ name: 'AbortError' })
    await until(() => broken !== undefined)
    await erp.close()
  })

  test('within the body, by the signal or by who reads it', async () => {
    const world = await World.create({
      services: {
        async http(exchange) {
          exchange.head200()
          exchange.write('first')
          await exchange.stream.read()
        },
      },
    })
    const erp = world.site()
    const abort = new AbortController()
    const response = await erp.fetch(URL_42, { signal: abort.signal })
    const reader = response.body!.getReader()
    await reader.read()
    const next = reader.read()
    abort.abort(new Error('enough'))
    await expect(next).rejects.toThrow('enough')
    const other = await erp.fetch(URL_42)
    await other.body!.cancel()
    await until(() => world.peer.sessions[0]!.openStreams === 0)
    expect(world.peer.sessions.length).toBe(1)
    await erp.close()
  })
})

test('the connector says why: every problem of a stream becomes an error with cause and remedy', async () => {
  const problem = streamProblem(
    'service-not-allowed',
    'The function may not reach erp.',
    'isthmus function allow orders hq/erp.',
  )
  const world = await World.create({ services: { refuse: () => problem } })
  const erp = world.site()
  const error = await erp.fetch(URL_42).catch((error) => error)
  expect(error).toBeInstanceOf(IsthmusError)
  expect({ ...error, message: error.message }).toMatchObject({
    ...problem,
    message: `${problem.cause} ${problem.remedy}`,
  })
  await erp.close()
})

async function echoHead(exchange: PeerExchange): Promise<void> {
  const body = await textOf(exchange.body)
  exchange.respond(200, [], JSON.stringify({ head: exchange.head, body: body.length > 100 ? '' : body }))
}
