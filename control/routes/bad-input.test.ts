/** What bad input gets: a problem document that says what and where, and nothing half done. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { RateLimiter } from '../middleware/rate-limit.ts'
import { StoreFailure } from '../store/failure.ts'
import { makeNetwork, makeSite, must, type TestNetwork } from '../testing/network.ts'
import { type Answer, createWorld, type World } from '../testing/world.ts'

let world: World
let network: TestNetwork
let site: string

beforeEach(async () => {
  world = await createWorld()
  network = await makeNetwork(world)
  site = await makeSite(network, 'hq', '10.1.0.0/16')
})

afterEach(async () => {
  expect((await network.ask('GET', '/audit/verify')).body).toMatchObject({ intact: true })
})

function refused(answer: Answer, status: number, code: string): Answer {
  expect([answer.status, answer.body.code]).toEqual([status, code])
  expect(answer.headers.get('content-type')).toBe('application/problem+json')
  expect(answer.body.type).toBe(`/docs#problem-${code}`)
  return answer
}

const pointers = (answer: Answer) => answer.body.errors.map(({ pointer }: { pointer: string }) => pointer)

describe('a body', () => {
  const post = (body: unknown, headers = {}) => network.ask('POST', '/sites', { body, headers })

  test('with unknown fields, wrong types and host bits: every fault at once, by pointers', async () => {
    const body = { name: 7, prefixes: ['10.2.3.4/16', 'x'], colour: 'red', endpoint: { adress: '192.0.2.1' } }
    const answer = refused(await post(body), 400, 'invalid-request')
    expect(pointers(answer).sort()).toEqual(
      ['/colour', '/endpoint/address', '/endpoint/adress', '/name', '/prefixes/0', '/prefixes/1'].sort(),
    )
    expect(JSON.stringify(answer.body.errors)).toContain('the network is 10.2.0.0/16')
  })

  test('that overlaps a site, or itself', async () => {
    const other = refused(await post({ name: 'b', prefixes: ['10.1.4.0/24'] }), 409, 'prefix-overlap')
    expect(other.body.errors).toEqual([{ pointer: '/prefixes/0', detail: '10.1.4.0/24 overlaps 10.1.0.0/16 of hq' }])
    const own = refused(await post({ name: 'b', prefixes: ['10.2.0.0/16', '10.2.0.0/24'] }), 409, 'prefix-overlap')
    expect(pointers(own)).toEqual(['/prefixes/1'])
  })

  test('with a name that is taken', async () => {
    expect(pointers(refused(await post({ name: 'hq', prefixes: ['10.2.0.0/16'] }), 409, 'duplicate-name'))).toEqual([
      '/name',
    ])
  })

  test('that is no JSON, empty, not UTF-8, or nested without end', async () => {
    refused(await post('{"name":'), 400, 'malformed')
    refused(await post(''), 400, 'malformed')
    refused(await network.ask('POST', '/sites'), 415, 'unsupported-media')
    refused(await post('['.repeat(10_000)), 400, 'malformed')
    const headers = { authorization: `Bearer ${network.tokens.owner}`, 'content-type': 'application/json' }
    const bytes = await world.app.request(`${network.path}/sites`, {
      method: 'POST',
      headers,
      body: Uint8Array.of(0x22, 0xff, 0x22),
    })
    expect([bytes.status, ((await bytes.json()) as { code: string }).code]).toEqual([400, 'malformed'])
  })

  test('of another type', async () => {
    refused(await post('name: hq', { 'content-type': 'application/yaml' }), 415, 'unsupported-media')
  })

  test('over the limit, announced or not', async () => {
    refused(await post({ name: 'x'.repeat(1 << 20) }), 413, 'too-large')
    refused(await post({}, { 'content-length': String(2 << 20) }), 413, 'too-large')
    const headers = { authorization: `Bearer ${network.tokens.owner}`, 'content-type': 'application/json' }
    const endless = new ReadableStream<Uint8Array>({ pull: (controller) => controller.enqueue(new Uint8Array(65_536)) })
    const init = { method: 'POST', headers, body: endless, duplex: 'half' } as RequestInit
    expect((await world.app.request(`${network.path}/sites`, init)).status).toBe(413)
  })

  test('where none belongs', async () => {
    const answer = await network.ask('POST', '/connectors/con_00000000000000000000/revoke', { body: {} })
    refused(answer, 400, 'invalid-request')
  })

  test('as a whole intent: faults of all parts together, and no new version', async () => {
    const draft = {
      sites: [
        { name: 'a', prefixes: ['10.1.0.0/16'] },
        { name: 'a', prefixes: ['10.2.0.0/16'] },
        { name: 'b', prefixes: ['10.1.1.0/24'] },
      ],
      tunnels: [{ name: 't', sites: ['a', 'nobody'] }],
    }
    const answer = refused(
      await network.ask('PUT', '/intent', { body: draft, headers: { 'if-match': '*' } }),
      400,
      'invalid-request',
    )
    expect(pointers(answer)).toEqual(
      expect.arrayContaining(['/sites/1/name', '/sites/2/prefixes/0', '/tunnels/0/sites/1']),
    )
    expect((await network.ask('GET', '/intent')).body.version).toBe(1)
  })
})

describe('parameters', () => {
  test('that are unknown, twice there, or out of bounds', async () => {
    expect(pointers(refused(await network.ask('GET', '/sites?sort=name'), 400, 'invalid-request'))).toEqual([
      'query/sort',
    ])
    expect(pointers(refused(await network.ask('GET', '/sites?limit=1&limit=2'), 400, 'invalid-request'))).toEqual([
      'query/limit',
    ])
    expect(pointers(refused(await network.ask('GET', '/sites?limit=0'), 400, 'invalid-request'))).toEqual([
      'query/limit',
    ])
    expect(pointers(refused(await network.ask('GET', '/sites?cursor=%00'), 400, 'invalid-request'))).toEqual([
      'query/cursor',
    ])
    expect(pointers(refused(await network.ask('GET', '/audit?cursor=c2l0ZV8x'), 400, 'invalid-request'))).toEqual([
      'query/cursor',
    ])
  })

  test('of the path that name nothing', async () => {
    refused(await network.ask('GET', '/sites/hq'), 404, 'not-found')
    refused(await network.ask('GET', '/sites/site_00000000000000000000'), 404, 'not-found')
    refused(
      await world.request('GET', '/v1/networks/net_00000000000000000000/audit', { token: world.admin }),
      404,
      'not-found',
    )
    refused(await network.ask('GET', '/intent?version=9'), 404, 'not-found')
    refused(await world.request('GET', '/v2'), 404, 'not-found')
    refused(await network.ask('PATCH', '/sites'), 405, 'method-not-allowed')
  })
})

describe('If-Match', () => {
  const put = (headers: Record<string, string>, name: string) =>
    network.ask('PUT', `/sites/${site}`, { body: { name, prefixes: ['10.1.0.0/16'] }, headers })

  test('missing, stale, weak or unreadable: nothing changes', async () => {
    refused(await put({}, 'b'), 428, 'precondition-required')
    refused(await put({ 'if-match': '"7"' }, 'b'), 412, 'stale')
    refused(await put({ 'if-match': 'W/"1"' }, 'b'), 412, 'stale')
    refused(await put({ 'if-match': '1' }, 'b'), 400, 'malformed')
    expect((await network.ask('GET', `/sites/${site}`)).body.name).toBe('hq')
  })

  test('lets one of two who read the same win', async () => {
    const answers = await Promise.all(['b', 'c'].map((name) => put({ 'if-match': '"1"' }, name)))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412])
    const winner = answers.find(({ status }) => status === 200)!
    const { body, headers } = await network.ask('GET', `/sites/${site}`)
    expect([body, headers.get('etag')]).toEqual([winner.body, '"2"'])
  })

  test('guards the whole intent by its version', async () => {
    const { body } = await network.ask('GET', '/intent')
    refused(
      await network.ask('PUT', '/intent', { body: { ...body, version: 0 }, headers: { 'if-match': '"1"' } }),
      412,
      'stale',
    )
    refused(await network.ask('PUT', '/intent', { body, headers: { 'if-match': '"0"' } }), 412, 'stale')
    const same = must(await network.ask('PUT', '/intent', { body, headers: { 'if-match': '"1"' } }), 200)
    expect(same.body).toEqual(body)
  })
})

describe('Idempotency-Key', () => {
  const post = (name: string, key: string, prefix = '10.5.0.0/16') =>
    network.ask('POST', '/sites', { body: { name, prefixes: [prefix] }, headers: { 'idempotency-key': key } })

  test('repeated, also at the same time: done once, answered alike', async () => {
    const answers = await Promise.all(Array.from({ length: 5 }, () => post('b', 'k')))
    expect(
      new Set(answers.map(({ status, body, headers }) => JSON.stringify([status, body, headers.get('etag')]))).size,
    ).toBe(1)
    expect(answers[0]!.status).toBe(201)
    expect((await network.ask('GET', '/sites')).body.items).toHaveLength(2)
  })

  test('with another body is refused', async () => {
    must(await post('b', 'k'), 201)
    refused(await post('c', 'k'), 422, 'idempotency-key-reused')
    refused(await post('c', 'a key'), 400, 'malformed')
  })

  test("is each caller's own, and forgotten after a day", async () => {
    must(await post('b', 'k'), 201)
    const body = { name: 'c', prefixes: ['10.6.0.0/16'] }
    const headers = { 'idempotency-key': 'k' }
    must(await network.ask('POST', '/sites', { body, headers, token: network.tokens.operator }), 201)
    world.clock.now += 24 * 3_600_000 + 1
    must(await post('d', 'k', '10.7.0.0/16'), 201)
  })

  test('of a network gives the same network again', async () => {
    const make = (name: string) =>
      world.request('POST', '/v1/networks', { token: world.admin, body: { name }, headers: { 'idempotency-key': 'n' } })
    const first = must(await make('new'), 201)
    expect(must(await make('new'), 201).body).toEqual(first.body)
    refused(await make('newer'), 422, 'idempotency-key-reused')
  })

  test('does not keep a refusal', async () => {
    refused(await post('hq', 'k'), 409, 'duplicate-name')
    must(
      await network.ask('PUT', `/sites/${site}`, {
        body: { name: 'old', prefixes: ['10.1.0.0/16'] },
        headers: { 'if-match': '*' },
      }),
      200,
    )
    must(await post('hq', 'k'), 201)
  })
})

describe('lists', () => {
  test('show every item once, page by page', async () => {
    must(await network.ask('PUT', '/preferences', { body: { topology: 'none' }, headers: { 'if-match': '*' } }), 200)
    for (let i = 2; i < 25; i++) await makeSite(network, `s${i}`, `10.${i}.0.0/16`)
    const seen: string[] = []
    for (let next: string | undefined = ''; next !== undefined; ) {
      const { body }: Answer = must(await network.ask('GET', `/sites?limit=7${next && `&cursor=${next}`}`), 200)
      expect(body.items.length).toBeLessThanOrEqual(7)
      seen.push(...body.items.map(({ id }: { id: string }) => id))
      next = body.next
    }
    expect(new Set(seen).size).toBe(24)
    expect(seen).toHaveLength(24)
  })
})

describe('limits', () => {
  test('of a token: 429 with Retry-After, and another token goes on', async () => {
    const token = new RateLimiter({ perSecond: 0.5, burst: 3 })
    const tight = await createWorld({
      limits: { token, connector: token, relay: token, anonymous: new RateLimiter({ perSecond: 1, burst: 2 }) },
    })
    const ask = () => tight.request('GET', '/v1/networks', { token: tight.admin })
    const statuses = [await ask(), await ask(), await ask(), await ask()].map(({ status }) => status)
    expect(statuses).toEqual([200, 200, 200, 429])
    const answer = refused(await ask(), 429, 'rate-limited')
    expect(answer.headers.get('retry-after')).toBe('2')
    expect(answer.headers.get('ratelimit')).toBe('"default";r=0;t=2')
    tight.clock.now += 2000
    expect((await ask()).status).toBe(200)
    const guess = () => tight.request('GET', '/v1/networks', { token: 'ist_admin_x' })
    expect([await guess(), await guess(), await guess()].map(({ status }) => status)).toEqual([401, 401, 429])
  })
})

describe('a store that fails', () => {
  test('is told as what it is, and nothing is half done', async () => {
    const commit = world.repo.commit.bind(world.repo)
    world.repo.commit = () => Promise.reject(new StoreFailure('full', 'There is no room.', 'Free space.'))
    const full = refused(
      await network.ask('POST', '/sites', { body: { name: 'b', prefixes: ['10.2.0.0/16'] } }),
      507,
      'store-full',
    )
    expect(full.body.remedy).toBe('Free space.')
    world.repo.commit = () => Promise.reject(new StoreFailure('unavailable', 'It does not answer.', 'Look after it.'))
    const away = refused(
      await network.ask('POST', '/sites', { body: { name: 'b', prefixes: ['10.2.0.0/16'] } }),
      503,
      'unavailable',
    )
    expect(away.headers.get('retry-after')).toBe('5')
    world.repo.commit = () => Promise.reject(new TypeError('a defect'))
    const defect = refused(
      await network.ask('POST', '/sites', { body: { name: 'b', prefixes: ['10.2.0.0/16'] } }),
      500,
      'internal',
    )
    expect(JSON.stringify(defect.body)).not.toContain('a defect')
    expect(JSON.stringify(world.log.filter(({ level }) => level === 'error'))).toContain('a defect')
    world.repo.commit = commit
    must(await network.ask('POST', '/sites', { body: { name: 'b', prefixes: ['10.2.0.0/16'] } }), 201)
  })
})

describe('request ids', () => {
  test('are taken over when fit, made otherwise, and stand in the log and the audit log', async () => {
    const body = { name: 'b', prefixes: ['10.2.0.0/16'] }
    const given = await network.ask('POST', '/sites', { body, headers: { 'x-request-id': 'req-1.a' } })
    expect(given.headers.get('x-request-id')).toBe('req-1.a')
    const made = await network.ask('GET', '/sites', { headers: { 'x-request-id': 'a b' } })
    expect(made.headers.get('x-request-id')).toMatch(/^[0-9a-f]{16}$/)
    const { items } = (await network.ask('GET', '/audit?limit=500')).body
    expect(items.find(({ target }: { target: string }) => target === given.body.id)).toMatchObject({
      requestId: 'req-1.a',
    })
    expect(world.log.some(({ fields }) => fields.requestId === 'req-1.a' && fields.status === 201)).toBe(true)
  })
})
