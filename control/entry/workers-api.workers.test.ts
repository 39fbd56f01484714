import { runInDurableObject } from 'cloudflare:test'
import { env, exports } from 'cloudflare:workers'
import { expect, test } from 'vitest'
import { grantOf, makeFunction, makeNetwork, makePair, makeSite, must } from '../testing/network.ts'
import { hibernate, objectOf, workerCaller } from './testing/workers-world.ts'
import worker from './workers.ts'

const caller = workerCaller()
const NOWHERE = 'net_0123456789abcdefghjk'

test('two sites join, and each learns of the other', async () => {
  const network = await makeNetwork(caller, 'two-sites')
  const { left, right } = await makePair(caller, network)
  expect(await left.follow()).toBe(true)
  expect(left.document.tunnels[0]?.peer.connector).toBe(right.joined.connector)
  expect((await right.report()).body.version).toBeGreaterThanOrEqual(right.document.version)
  const { items } = must(await network.ask('GET', '/connectors'), 200).body
  expect(items.map(({ seenAddress, linked }: Record<string, unknown>) => [seenAddress, linked])).toEqual([
    [undefined, false],
    [undefined, false],
  ])
  expect(must(await network.ask('GET', '/audit/verify'), 200).body).toMatchObject({ intact: true })
})

test('a function gets grants, by a key that only the network has, and that outlives its object in memory', async () => {
  const network = await makeNetwork(caller, 'functions')
  const { left } = await makePair(caller, network)
  must(await left.report({ functions: await left.serving() }), 200)
  await left.follow()
  const { id, token } = await makeFunction(network, 'shop', [{ site: 'hq', services: ['erp'] }])
  const first = await grantOf(caller, network, token, left)
  expect(first.claims).toMatchObject({ function: id, site: 'hq', services: ['erp'] })
  expect(first.grant.connectors).toMatchObject([{ id: left.joined.connector }])
  await hibernate(network.id)
  expect((await grantOf(caller, network, token, left)).claims).toMatchObject({ function: id })
  const other = await makeNetwork(caller, 'functions-of-others')
  const body = { site: 'hq', publicKey: left.joined.publicKey }
  const foreign = await caller.request('POST', `${other.path}/grants`, { token, body })
  expect([foreign.status, foreign.body.code]).toEqual([401, 'bad-credentials'])
})

test('the directory lists the networks that there are, by pages, and takes each name once', async () => {
  const made = await Promise.all(['one', 'two', 'three'].map((name) => makeNetwork(caller, `list-${name}`)))
  const body = { name: 'list-one' }
  const again = await caller.request('POST', '/v1/networks', { token: caller.admin, body })
  expect([again.status, again.body.code]).toEqual([409, 'duplicate-name'])
  const seen: string[] = []
  for (let query: string | undefined = '?limit=2'; query !== undefined; ) {
    const page: { items: { id: string }[]; next?: string } = must(
      await caller.request('GET', `/v1/networks${query}`, { token: caller.admin }),
      200,
    ).body
    seen.push(...page.items.map(({ id }) => id))
    query = page.next && `?limit=2&cursor=${page.next}`
  }
  expect(seen).toEqual(expect.arrayContaining(made.map(({ id }) => id)))
  expect(new Set(seen).size).toBe(seen.length)
})

test('of two requests at once for one name, one makes the network', async () => {
  const body = { name: 'raced' }
  const make = () => caller.request('POST', '/v1/networks', { token: caller.admin, body })
  const statuses = (await Promise.all([make(), make()])).map(({ status }) => status)
  expect(statuses.sort()).toEqual([201, 409])
})

test('a repeated request with its key gets the network that the first one made', async () => {
  const request = { token: caller.admin, body: { name: 'repeated' }, headers: { 'idempotency-key': 'again-1' } }
  const first = must(await caller.request('POST', '/v1/networks', request), 201)
  const second = must(await caller.request('POST', '/v1/networks', request), 201)
  expect(second.body).toEqual(first.body)
  expect(second.headers.get('idempotency-replayed')).toBe('true')
})

test('a network that is removed leaves the list, and its name is free again', async () => {
  const network = await makeNetwork(caller, 'removed')
  const etag = must(await network.ask('GET', ''), 200).headers.get('etag')!
  must(await network.ask('DELETE', '', { headers: { 'if-match': etag } }), 204)
  expect((await caller.request('GET', network.path, { token: caller.admin })).status).toBe(404)
  expect((await makeNetwork(caller, 'removed')).id).not.toBe(network.id)
})

test('whoever asks for a network that is not there finds nothing, and leaves nothing', async () => {
  const path = `/v1/networks/${NOWHERE}`
  expect((await caller.request('GET', path, { token: caller.admin })).status).toBe(404)
  const tail = `${'0'.repeat(20)}_${'A'.repeat(43)}`
  const guess = await caller.request('GET', path, { token: `ist_owner_${NOWHERE.slice(4)}_${tail}` })
  expect([guess.status, guess.body.code]).toEqual([401, 'bad-credentials'])
  const token = `ist_join_${NOWHERE.slice(4)}_${tail}`
  const claim = { token, publicKey: 'A'.repeat(43), addresses: [], software: '1', proof: 'e30.e30.AA' }
  expect((await caller.request('POST', '/v1/join', { body: claim })).status).toBeGreaterThanOrEqual(400)
  const tables = await runInDurableObject(objectOf(NOWHERE), (_, { storage }) =>
    storage.sql.exec("SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'records'").toArray(),
  )
  expect(tables).toEqual([])
})

test('tokens of one network do not reach another', async () => {
  const [mine, other] = [await makeNetwork(caller, 'mine'), await makeNetwork(caller, 'other')]
  const answer = await caller.request('GET', `${other.path}/sites`, { token: mine.tokens.owner })
  // The object of the other network has never heard of the token.
  expect([answer.status, answer.body.code]).toEqual([401, 'bad-credentials'])
  await makeSite(mine, 'hq', '10.1.0.0/16')
  expect(must(await other.ask('GET', '/sites'), 200).body.items).toEqual([])
})

test.each([
  ['GET', '/v1/openapi.json', undefined, 200],
  ['GET', '/docs', undefined, 200],
  ['GET', '/healthz', undefined, 200],
  ['GET', '/nowhere', undefined, 404],
  ['GET', '/v1/networks/acme/sites', undefined, 401],
  ['POST', '/v1/join', '{', 400],
  ['POST', '/v1/join', '{"token":7}', 400],
  ['POST', '/v1/join', `"${'x'.repeat(2 << 20)}"`, 413],
])('%s %s is answered with a status that fits', async (method, path, body, status) => {
  const answer = await caller.request(method, path, { body })
  expect(answer.status).toBe(status)
  if (status >= 400) expect(answer.body.code).toMatch(/^[a-z-]+$/)
})

test('where no object can be reached, the answer is a problem document all the same', async () => {
  const broken = { ...env, DIRECTORY: { ...env.DIRECTORY, idFromName: () => '', get: failing } }
  const answer = await worker.fetch(new Request('http://control.test/healthz'), broken)
  expect([answer.status, answer.headers.get('content-type')]).toEqual([500, 'application/problem+json'])
  expect((await exports.default.fetch('http://control.test/healthz')).status).toBe(200)
})

function failing(): never {
  throw new Error('no object can be reached')
}
