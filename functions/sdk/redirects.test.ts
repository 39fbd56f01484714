import { describe, expect, test } from 'vitest'
import type { RequestHead } from '../../protocol/binary-http.ts'
import { streamProblem } from '../../protocol/stream-problem.ts'
import { World } from '../testing/world.ts'

const START = 'http://erp.internal:8000/start'

interface Seen {
  readonly head: RequestHead
  readonly body: string
}

/** A service that answers /start with this, and says of all other requests what it saw. */
async function redirecting(status: number, location: string | undefined): Promise<{ world: World; seen: Seen[] }> {
  const seen: Seen[] = []
  const world = await World.create({
    services: {
      async http(exchange) {
        let body = ''
        for await (const chunk of exchange.body) body += new TextDecoder().decode(chunk)
        seen.push({ head: exchange.head, body })
        const { path } = exchange.head
        if (path.startsWith('/loop')) exchange.respond(302, [['location', '/loop']], 'more')
        else if (path !== '/start') exchange.respond(200, [], 'end')
        else exchange.respond(status, location === undefined ? [] : [['location', location]], 'elsewhere')
      },
    },
  })
  return { world, seen }
}

describe('redirects that are followed', () => {
  const METHODS: readonly [number, string, string, boolean][] = [
    [301, 'POST', 'GET', false],
    [302, 'POST', 'GET', false],
    [303, 'POST', 'GET', false],
    [303, 'PUT', 'GET', false],
    [301, 'PUT', 'PUT', true],
    [307, 'POST', 'POST', true],
    [308, 'POST', 'POST', true],
    [302, 'GET', 'GET', false],
    [303, 'HEAD', 'HEAD', false],
    [307, 'GET', 'GET', false],
  ]
  test.each(METHODS)('%d of %s asks by %s, with the body: %s', async (status, method, then, kept) => {
    const { world, seen } = await redirecting(status, '/next?x=1')
    const erp = world.site()
    const body = method === 'GET' || method === 'HEAD' ? {} : { body: 'abc' }
    const response = await erp.fetch(START, { method, ...body, headers: { 'content-language': 'en', 'x-a': 'b' } })
    expect(response.redirected).toBe(true)
    expect(response.url).toBe('http://erp.internal:8000/next?x=1')
    expect(seen[1]?.head).toMatchObject({ method: then, path: '/next?x=1' })
    const names = seen[1]!.head.fields.map(([name]) => name)
    expect(names).toContain('x-a')
    if (method === 'POST' || method === 'PUT') {
      expect(names.includes('content-language')).toBe(kept)
      expect(names.includes('content-type')).toBe(kept)
      expect(seen[1]?.body).toBe(kept ? 'abc' : '')
    }
    await erp.close()
  })

  test.each([
    ['/here', true],
    ['http://erp.internal:8000/here', true],
    ['http://erp.internal/here', false],
    ['http://other.internal:8000/here', false],
    ['https://erp.internal:8000/here', false],
  ])('to %s: credentials go along: %s', async (location, kept) => {
    const { world, seen } = await redirecting(302, location)
    const erp = world.site()
    await erp.fetch(START, { headers: { authorization: 'secret', cookie: 'a=b', 'x-a': 'b' } })
    const fields = seen[1]!.head.fields
    expect(fields).toContainEqual(['x-a', 'b'])
    expect(fields.some(([name]) => name === 'authorization')).toBe(kept)
    expect(fields.some(([name]) => name === 'cookie')).toBe(kept)
    await erp.close()
  })

  test('to another host go through the same site, which may refuse them', async () => {
    const { world } = await redirecting(302, 'http://secret.internal/')
    const refused = streamProblem('service-not-allowed', 'It may not reach secret.', 'Allow it.')
    world.peer.services.refuse = (opening) =>
      opening.kind === 'http' && opening.host === 'secret.internal' ? refused : undefined
    const erp = world.site()
    await expect(erp.fetch(START)).rejects.toMatchObject({ code: 'service-not-allowed' })
    await erp.close()
  })

  test('keep the fragment, and do not show it', async () => {
    const { world } = await redirecting(302, '/next')
    const erp = world.site()
    expect((await erp.fetch(`${START}#part`)).url).toBe('http://erp.internal:8000/next')
    await erp.close()
  })
})

describe('redirects that are not followed', () => {
  const FAULTS: readonly [string, number, string | undefined, RequestInit, RegExp][] = [
    ['on and on', 302, '/loop', {}, /More than 20/],
    ['to no URL', 302, 'http://[', {}, /no URL/],
    ['to another scheme', 302, 'file:///etc/passwd', {}, /file:/],
    ['where the request says so', 302, '/next', { redirect: 'error' }, /redirect: error/],
    ['with a stream that is gone', 307, '/next', { method: 'POST', body: stream('abc') }, /stream and is gone/],
  ]
  test.each(FAULTS)('%s', async (_, status, location, init, message) => {
    const { world, seen } = await redirecting(status, location)
    const erp = world.site()
    await expect(erp.fetch(START, init)).rejects.toMatchObject({ code: 'bad-response', message })
    expect(seen.length).toBe(location === '/loop' ? 21 : 1)
    await erp.close()
  })

  const PLAIN: readonly [string, number, string | undefined, RequestInit][] = [
    ['manual', 302, '/next', { redirect: 'manual' }],
    ['without a location', 302, undefined, {}],
    ['304', 304, '/next', {}],
    ['300', 300, '/next', {}],
  ]
  test.each(PLAIN)('%s: the response is handed over', async (_, status, location, init) => {
    const { world } = await redirecting(status, location)
    const erp = world.site()
    const response = await erp.fetch(START, init)
    expect({ status: response.status, redirected: response.redirected }).toEqual({ status, redirected: false })
    expect(response.headers.get('location')).toBe(location ?? null)
    await erp.close()
  })

  test('a stream that a 303 does not ask for again is no hindrance', async () => {
    const { world, seen } = await redirecting(303, '/next')
    const erp = world.site()
    await erp.fetch(START, { method: 'POST', body: stream('abc') })
    expect(seen.map(({ head }) => head.method)).toEqual(['POST', 'GET'])
    await erp.close()
  })
})

/** A body that is not there at once. */
function stream(text: string): ReadableStream<Uint8Array> {
  let turns = 0
  return new ReadableStream({
    async pull(controller) {
      await new Promise((resolve) => setTimeout(resolve, 2))
      if (turns++ > 0) controller.close()
      else controller.enqueue(new TextEncoder().encode(text))
    },
  })
}
