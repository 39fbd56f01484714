/** Every kind of caller against every operation: only what the table of roles allows, and nothing across networks. */
import { describe, expect, test } from 'vitest'
import { allowed, OPERATION_IDS, OPERATIONS, type OperationId, type Principal } from './domain/roles.ts'
import { ALL_OPERATIONS } from './routes/all.ts'
import { cloudDraft, withCloud } from './testing/cloud.ts'
import { TestConnector } from './testing/connector.ts'
import { joinToken, makeFunction, makeNetwork, makePair, makeSite, must, type TestNetwork } from './testing/network.ts'
import { type Answer, createWorld, signed, type World } from './testing/world.ts'

type Caller = (method: string, path: string) => Promise<Answer>

const META: readonly OperationId[] = ['meta.openapi', 'meta.docs', 'meta.health']

const world = await createWorld({ clouds: withCloud().clouds })
const network = await makeNetwork(world, 'mine')
const other = await makeNetwork(world, 'theirs')
const { left, right, tunnel } = await makePair(world, network)
const stranger = await TestConnector.join(world, await joinToken(other, await makeSite(other, 'x', '10.9.0.0/16')), 33)
/** To be revoked by whoever may. */
const victim = await TestConnector.join(
  world,
  await joinToken(network, await makeSite(network, 'third', '10.3.0.0/16')),
  44,
)
const ids = await idsOf(network)
const callers = await callersOf(world)

describe('each operation, by each caller', () => {
  for (const id of OPERATION_IDS.filter((one) => !META.includes(one))) {
    for (const principal of Object.keys(callers.known) as Principal[]) {
      const may = allowed(id, principal)
      test(`${id} by ${principal}: ${may ? 'allowed' : 'refused'}`, async () => {
        const before = await world.repo.auditHead(network.id)
        const answer = await callers.known[principal](...requestOf(id))
        if (may) expect([401, 403]).not.toContain(answer.status)
        else {
          expect(answer.status).toBe(403)
          expect(answer.body.code).toBe('forbidden')
          expect(await world.repo.auditHead(network.id)).toEqual(before)
        }
      })
    }
  }
})

describe('each operation, by those who may nothing here', () => {
  for (const id of OPERATION_IDS.filter((one) => !allowed(one, 'anybody'))) {
    for (const [name, { call, code, status }] of Object.entries(callers.strangers)) {
      // Without a network in the path, a token is not foreign, but its role does not reach that far.
      const expected = code === 'foreign-network' && !OPERATIONS[id].path.includes('{network}') ? 'forbidden' : code
      test(`${id} by ${name}: ${expected}`, async () => {
        const heads = await Promise.all([network, other].map((one) => world.repo.auditHead(one.id)))
        const answer = await call(...requestOf(id))
        expect([answer.status, answer.body.code]).toEqual([status, expected])
        expect(await Promise.all([network, other].map((one) => world.repo.auditHead(one.id)))).toEqual(heads)
      })
    }
  }
})

describe('within a network, a connector reaches only itself', () => {
  test.each(['connector.document', 'connector.report'] as const)('%s of another one', async (id) => {
    const answer = await signed(world, right.joined, ...requestOf(id))
    expect([answer.status, answer.body.code]).toEqual([403, 'forbidden'])
  })
})

describe('identifiers of another network', () => {
  // Whoever asks the relay brings a session token, not one of ours.
  const places = OPERATION_IDS.filter(
    (id) => /\{network\}\/\w.*\{/.test(OPERATIONS[id].path) && !/^(connector|relay)\./.test(id),
  )
  test.each(places)('%s: not there', async (id) => {
    const path = requestOf(id)[1].replace(network.id, other.id)
    const { method } = OPERATIONS[id]
    const body = method === 'PUT' || id === 'cloudRuns.create' ? bodyFor(id) : undefined
    const answer = await world.request(method, path, { token: other.tokens.owner, headers: { 'if-match': '*' }, body })
    expect([answer.status, answer.body.code]).toEqual([404, 'not-found'])
  })

  test('in a body name nothing', async () => {
    const ask = (path: string, body: object) => other.ask('POST', path, { body })
    const site = ids.site
    expect((await ask('/join-tokens', { site })).body.errors).toMatchObject([{ pointer: '/site' }])
    expect((await ask('/tunnels', { name: 't', sites: [site, site] })).status).toBe(400)
    expect((await ask('/runs', { tunnels: [tunnel] })).body.errors).toMatchObject([{ pointer: '/tunnels/0' }])
    const reach = (await ask('/functions', { name: 'f', allow: [{ site, services: ['erp'] }] })).body
    expect(reach.errors).toMatchObject([{ pointer: '/allow/0/site' }])
    expect((await ask('/policies', { name: 'p', maxAgeHours: 1, tunnels: [tunnel] })).status).toBe(400)
  })

  test('lists and the audit log show nothing of another network', async () => {
    for (const path of [
      'sites',
      'tunnels',
      'connectors',
      'tokens',
      'join-tokens',
      'functions',
      'rotations',
      'runs',
      'rollouts',
      'clouds',
      'audit?format=ndjson',
      'intent',
    ]) {
      const { body } = await other.ask('GET', `/${path}`)
      const text = typeof body === 'string' ? body : JSON.stringify(body)
      for (const id of [network.id, ids.site, ids.tunnel, ids.connector, ids.token, ids.function, ids.cloud])
        expect(text).not.toContain(id)
    }
  })
})

describe('secrets', () => {
  test('of tokens are nowhere in what is stored, logged, audited or answered later', async () => {
    const made = must(await network.ask('POST', '/tokens', { body: { name: 'fresh', role: 'viewer' } }), 201).body
    const secret = made.token.slice(-43)
    const read = await network.ask('GET', `/tokens/${made.id}`)
    const audit = await network.ask('GET', '/audit?format=ndjson')
    const entry = await world.repo.get(network.id, 'token', made.id)
    for (const text of [read.body, audit.body, entry, world.log]) expect(JSON.stringify(text)).not.toContain(secret)
    expect(JSON.stringify(read.body)).not.toContain(entry!.value.hash)
    expect(JSON.stringify(audit.body)).not.toContain(entry!.value.hash)
  })

  test('of functions are nowhere either, nor is the key that signs their session tokens', async () => {
    const made = await makeFunction(network, 'told', [{ site: 'hq', services: ['erp'] }])
    const grant = await world.request('POST', `${network.path}/grants`, {
      token: made.token,
      body: { site: 'hq', publicKey: left.joined.publicKey },
    })
    const session = must(grant, 200).body.token
    const read = await network.ask('GET', `/functions/${made.id}`)
    const audit = await network.ask('GET', '/audit?format=ndjson')
    const entry = await world.repo.get(network.id, 'function', made.id)
    for (const text of [read.body, audit.body, entry, world.log].map((one) => JSON.stringify(one))) {
      expect(text).not.toContain(made.token.slice(-43))
      expect(text).not.toContain(session)
    }
    for (const { body } of [read, audit]) expect(JSON.stringify(body)).not.toContain(entry!.value.hash)
    const sealed = (await world.repo.get(network.id, 'network', network.id))!.value.sealedFunctionKey
    expect(sealed).toMatch(/^sealed .*"kind":"function-key"/)
  })

  test('in the answer that a repetition gets are sealed in the store', async () => {
    const headers = { 'idempotency-key': 'sealed-1' }
    const first = must(await network.ask('POST', '/tokens', { body: { name: 'again', role: 'viewer' }, headers }), 201)
    const owner = (await network.ask('GET', '/tokens')).body.items.find(
      ({ name }: { name: string }) => name === 'owner',
    ).id
    const replay = await world.repo.replay(network.id, `token:${owner}`, 'sealed-1', world.clock.now)
    expect(replay!.body).toMatch(/^sealed /)
    const again = must(await network.ask('POST', '/tokens', { body: { name: 'again', role: 'viewer' }, headers }), 201)
    expect(again.body).toEqual(first.body)
  })

  test('the evidence key is never shown', async () => {
    const { body } = await network.ask('GET', '')
    expect(Object.keys(body).sort()).toEqual(['createdAt', 'evidenceKey', 'id', 'intentVersion', 'name'])
  })
})

test('the table and the routes are the same operations', () => {
  const served = [...ALL_OPERATIONS.map(({ spec }) => spec.id), ...META].sort()
  expect(served).toEqual([...OPERATION_IDS].sort())
})

function requestOf(id: OperationId): [string, string] {
  const { method, path } = OPERATIONS[id]
  const own = id === 'connectors.revoke' ? path.replace('{connector}', victim.joined.connector) : path
  return [method, own.replace(/\{(\w+)\}/g, (_, name: string) => ids[name as keyof typeof ids])]
}

function bodyFor(id: OperationId): object {
  if (id === 'sites.replace') return { name: 'n', prefixes: ['10.77.0.0/16'] }
  if (id === 'functions.replace') return { name: 'n', allow: [] }
  if (id === 'tunnels.replace') return { name: 'n', sites: [ids.site, ids.site] }
  if (id === 'clouds.replace') return cloudDraft()
  if (id === 'cloudRuns.create') return { kind: 'apply' }
  return { name: 'n', maxAgeHours: 1 }
}

async function idsOf(of: TestNetwork) {
  const first = async (path: string) => (await of.ask('GET', `/${path}`)).body.items[0].id as string
  const none = (prefix: string) => `${prefix}_00000000000000000000`
  return {
    network: of.id,
    site: await first('sites'),
    tunnel,
    connector: left.joined.connector,
    join: await first('join-tokens'),
    token: (await of.ask('GET', '/tokens')).body.items.find(({ name }: { name: string }) => name === 'viewer')
      .id as string,
    function: (await makeFunction(of, 'shop', [{ site: 'hq', services: ['erp'] }])).id,
    policy: none('pol'),
    run: none('run'),
    rollout: none('roll'),
    cloud: must(await of.ask('POST', '/clouds', { body: cloudDraft() }), 201).body.id as string,
    cloudRun: none('crun'),
    rotation: await first('rotations'),
  }
}

async function callersOf(world: World) {
  const bearer =
    (token: string): Caller =>
    (method, path) =>
      world.request(method, path, { token })
  const make = async (name: string, more: object = {}) =>
    must(await network.ask('POST', '/tokens', { body: { name, role: 'owner', ...more } }), 201).body
  const revoked = await make('revoked')
  must(await network.ask('DELETE', `/tokens/${revoked.id}`, { headers: { 'if-match': '*' } }), 204)
  const expired = await make('expired', { expiresInDays: 1 })
  world.clock.now += 25 * 3_600_000
  const owner = network.tokens.owner
  const elevated = network.tokens.viewer.replace('ist_viewer_', 'ist_owner_')
  const guessed = `${owner.slice(0, -1)}${owner.endsWith('A') ? 'B' : 'A'}`
  const moved = other.tokens.owner.replace(other.id.slice(4), network.id.slice(4))
  const caller = await makeFunction(network, 'caller', [{ site: 'hq', services: ['erp'] }])
  const ended = await makeFunction(network, 'ended', [])
  must(await network.ask('DELETE', `/functions/${ended.id}`, { headers: { 'if-match': '*' } }), 204)
  const brief = await makeFunction(network, 'brief', [], { expiresInDays: 1 })
  world.clock.now += 25 * 3_600_000
  const theirs = await makeFunction(other, 'caller', [])
  const known: Record<Principal, Caller> = {
    admin: bearer(world.admin),
    owner: bearer(owner),
    operator: bearer(network.tokens.operator),
    viewer: bearer(network.tokens.viewer),
    rotation: bearer(network.tokens.rotation),
    connector: (method, path) => signed(world, left.joined, method, path),
    function: bearer(caller.token),
  }
  const strangers: Record<string, { call: Caller; status: number; code: string }> = {
    nobody: { call: (method, path) => world.request(method, path), status: 401, code: 'no-credentials' },
    'a guesser': { call: bearer(guessed), status: 401, code: 'bad-credentials' },
    'a viewer who writes owner': { call: bearer(elevated), status: 401, code: 'bad-credentials' },
    'a foreign token with our network': { call: bearer(moved), status: 401, code: 'bad-credentials' },
    'a revoked token': { call: bearer(revoked.token), status: 401, code: 'token-revoked' },
    'an expired token': { call: bearer(expired.token), status: 401, code: 'token-expired' },
    'a revoked function': { call: bearer(ended.token), status: 401, code: 'token-revoked' },
    'an expired function': { call: bearer(brief.token), status: 401, code: 'token-expired' },
    'a function with the secret of another': {
      call: bearer(caller.token.slice(0, -43) + ended.token.slice(-43)),
      status: 401,
      code: 'bad-credentials',
    },
    'a function of another network': { call: bearer(theirs.token), status: 403, code: 'foreign-network' },
    'the owner of another network': { call: bearer(other.tokens.owner), status: 403, code: 'foreign-network' },
    'a connector of another network': {
      call: (method, path) => signed(world, stranger.joined, method, path),
      status: 403,
      code: 'foreign-network',
    },
    'a connector with a key of its own': {
      call: (method, path) => signed(world, { ...left.joined, jwk: stranger.joined.jwk }, method, path),
      status: 401,
      code: 'bad-credentials',
    },
    'a join token': {
      call: bearer(await joinToken(network, await makeSite(network, 'spare', '10.50.0.0/16'))),
      status: 401,
      code: 'bad-credentials',
    },
  }
  return { known, strangers }
}
