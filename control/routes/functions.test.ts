/** Functions and their grants over the whole of store, services and API. */
import { compactVerify, importJWK } from 'jose'
import { beforeEach, describe, expect, test } from 'vitest'
import {
  type Grant,
  grantSchema,
  SESSION_TOKEN_MS,
  type SessionClaims,
  sessionClaimsSchema,
} from '../../protocol/control/grant.ts'
import { jwsSchema } from '../../protocol/control/values.ts'
import { Refusal } from '../domain/refusal.ts'
import { RateLimiter } from '../middleware/rate-limit.ts'
import { sign } from '../service/signatures.ts'
import { TestConnector } from '../testing/connector.ts'
import { joinToken, makeFunction, makeNetwork, makeSite, must, type TestNetwork } from '../testing/network.ts'
import { type Answer, createWorld, makeIdentity, type World } from '../testing/world.ts'

const MATCH = { headers: { 'if-match': '*' } }
const KEY = makeIdentity(5).publicKey

let world: World
let network: TestNetwork
let hq: string
let connector: TestConnector

beforeEach(async () => {
  world = await createWorld()
  network = await makeNetwork(world)
  hq = await makeSite(network, 'hq', '10.1.0.0/16')
  connector = await TestConnector.join(world, await joinToken(network, hq), 1)
})

const coded = (answer: Answer) => [answer.status, answer.body.code]
const ask = (token: string, site = 'hq') =>
  world.request('POST', `${network.path}/grants`, { token, body: { site, publicKey: KEY } })
const granted = async (token: string): Promise<Grant> => grantSchema.parse(must(await ask(token), 200).body)
const events = async () => (await network.ask('GET', '/audit?limit=500')).body.items
const shop = (more: object = {}) => makeFunction(network, 'shop', [{ site: 'hq', services: ['erp', 'db'] }], more)

async function opened(jws: string): Promise<SessionClaims> {
  const { functionKey } = (await world.repo.get(network.id, 'network', network.id))!.value
  const key = await importJWK({ kty: 'OKP', crv: 'Ed25519', x: functionKey! }, 'EdDSA')
  return sessionClaimsSchema.parse(JSON.parse(new TextDecoder().decode((await compactVerify(jws, key)).payload)))
}

describe('a function', () => {
  test('is made with sites by name or identifier, and tells its token once', async () => {
    const made = must(
      await network.ask('POST', '/functions', {
        body: { name: 'shop', allow: [{ site: hq, services: ['erp'] }], expiresInDays: 30 },
      }),
      201,
    ).body
    expect(made.token).toMatch(/^ist_function_[0-9a-z]{20}_[0-9a-z]{20}_[\w-]{43}$/)
    const { token: _, ...info } = made
    expect((await network.ask('GET', `/functions/${made.id}`)).body).toEqual(info)
    expect((await network.ask('GET', '/functions')).body.items).toEqual([info])
    expect(info).toEqual({
      id: made.id,
      name: 'shop',
      allow: [{ site: hq, services: ['erp'] }],
      createdAt: world.clock.now,
      expiresAt: world.clock.now + 30 * 86_400_000,
    })
  })

  test('of a name that another one has is refused, and every fault of a draft is told', async () => {
    const own = await shop()
    const faulty = { name: 'shop', allow: [{ site: 'nowhere', services: ['erp'] }] }
    const answer = await network.ask('POST', '/functions', { body: faulty })
    expect(answer.body).toMatchObject({ code: 'invalid-request', errors: [{ pointer: '/allow/0/site' }] })
    const again = await network.ask('POST', '/functions', { body: { name: 'shop', allow: [] } })
    expect(coded(again)).toEqual([409, 'duplicate-name'])
    must(await network.ask('DELETE', `/functions/${own.id}`, MATCH), 204)
    must(await network.ask('POST', '/functions', { body: { name: 'shop', allow: [] } }), 201)
  })

  test('is changed on the revision that was read', async () => {
    const { id } = await shop()
    const etag = (await network.ask('GET', `/functions/${id}`)).headers.get('etag')!
    const body = { name: 'store', allow: [] }
    const put = (match: string) => network.ask('PUT', `/functions/${id}`, { body, headers: { 'if-match': match } })
    expect(must(await put(etag), 200).body).toMatchObject({ name: 'store', allow: [] })
    expect(coded(await put(etag))).toEqual([412, 'stale'])
    const again = must(await put('"2"'), 200)
    expect(again.headers.get('etag')).toBe('"2"')
    expect((await events()).filter(({ action }: { action: string }) => action === 'functions.replace')).toHaveLength(1)
    expect(coded(await network.ask('PUT', `/functions/${id}`, { body }))).toEqual([428, 'precondition-required'])
  })

  test('that is revoked gets no grant, and stays so', async () => {
    const { id, token } = await shop()
    await granted(token)
    must(await network.ask('DELETE', `/functions/${id}`, MATCH), 204)
    must(await network.ask('DELETE', `/functions/${id}`, MATCH), 204)
    expect(coded(await ask(token))).toEqual([401, 'token-revoked'])
    expect(world.hub.functionsRevoked).toEqual([id])
    expect(coded(await network.ask('POST', `/functions/${id}/token`))).toEqual([409, 'function-revoked'])
    const body = { name: 'shop', allow: [] }
    expect(coded(await network.ask('PUT', `/functions/${id}`, { ...MATCH, body }))).toEqual([409, 'function-revoked'])
    expect((await events()).filter(({ action }: { action: string }) => action === 'functions.revoke')).toHaveLength(1)
  })

  test('that is renewed has another token for as long again, and the one before ends at once', async () => {
    const { id, token } = await shop({ expiresInDays: 10 })
    world.clock.now += 5 * 86_400_000
    const renewed = must(await network.ask('POST', `/functions/${id}/token`), 200).body
    expect(renewed.expiresAt).toBe(world.clock.now + 10 * 86_400_000)
    expect(coded(await ask(token))).toEqual([401, 'bad-credentials'])
    await granted(renewed.token)
    expect(world.hub.functionsRevoked).toEqual([id])
    world.clock.now += 10 * 86_400_000
    expect(coded(await ask(renewed.token))).toEqual([401, 'token-expired'])
  })

  test('that may reach less is cut off where it was; one that may reach more is not', async () => {
    const { id } = await shop()
    const put = async (services: string[]) =>
      must(
        await network.ask('PUT', `/functions/${id}`, {
          ...MATCH,
          body: { name: 'shop', allow: [{ site: 'hq', services }] },
        }),
        200,
      )
    await put(['erp', 'db', 'files'])
    expect(world.hub.functionsRevoked).toEqual([])
    await put(['erp', 'files'])
    expect(world.hub.functionsRevoked).toEqual([id])
  })

  test('keeps what else it may reach when a site goes', async () => {
    const branch = await makeSite(network, 'branch', '10.2.0.0/16')
    const allow = [
      { site: 'branch', services: ['erp'] },
      { site: 'hq', services: ['erp'] },
    ]
    const { id } = await makeFunction(network, 'both', allow)
    const other = await shop()
    const [tunnel] = (await network.ask('GET', '/tunnels')).body.items
    must(await network.ask('DELETE', `/tunnels/${tunnel.id}`, MATCH), 204)
    must(await network.ask('DELETE', `/sites/${branch}`, MATCH), 204)
    expect((await network.ask('GET', `/functions/${id}`)).body.allow).toEqual([{ site: hq, services: ['erp'] }])
    expect((await network.ask('GET', `/functions/${other.id}`)).headers.get('etag')).toBe('"1"')
    const told = (await events()).filter(({ action }: { action: string }) => action === 'functions.replace')
    expect(told).toMatchObject([{ target: id, after: { allow: [{ site: hq }] } }])
    expect((await network.ask('GET', '/audit/verify')).body).toMatchObject({ intact: true })
  })
})

describe('a grant', () => {
  test('holds a session token that the network has signed, for the key of the function', async () => {
    const { id, token } = await shop()
    const grant = await granted(token)
    const now = world.clock.now
    expect(grant).toMatchObject({ now, expiresAt: now + SESSION_TOKEN_MS, site: 'hq', services: ['erp', 'db'] })
    expect(await opened(grant.token)).toEqual({
      use: 'isthmus-session',
      network: network.id,
      function: id,
      name: 'shop',
      site: 'hq',
      services: ['erp', 'db'],
      key: KEY,
      iat: now,
      exp: now + SESSION_TOKEN_MS,
    })
  })

  test('fits its schema also with as many names as a site may have', async () => {
    const services = Array.from({ length: 40 }, (_, i) => `${'s'.repeat(55)}${i + 10}`)
    const name = 'n'.repeat(63)
    const { token } = await makeFunction(network, name, [{ site: 'hq', services }])
    expect(jwsSchema.safeParse((await granted(token)).token).success).toBe(true)
  })

  test('names the connectors that serve functions, and their relay while they are linked', async () => {
    const { token } = await shop()
    expect((await granted(token)).connectors).toEqual([])
    const functions = await connector.serving({ direct: 'wss://hq.example.net:8443/' })
    must(await connector.report({ functions }), 200)
    const { connector: id, publicKey } = connector.joined
    const { streamKey, direct } = functions
    expect((await granted(token)).connectors).toEqual([{ id, identityKey: publicKey, streamKey, direct }])
    world.hub.linked.add(id)
    expect((await granted(token)).connectors).toMatchObject([{ relay: `${network.path}/connectors/${id}/stream` }])
    must(await network.ask('POST', `/connectors/${id}/revoke`), 200)
    expect((await granted(token)).connectors).toEqual([])
  })

  test('for a site that it may not reach is refused alike whether there is one', async () => {
    await makeSite(network, 'branch', '10.2.0.0/16')
    const { token } = await shop()
    const [there, absent] = [await ask(token, 'branch'), await ask(token, 'nowhere')]
    expect(coded(there)).toEqual([404, 'unknown-site'])
    const plain = (answer: Answer, site: string) => ({
      ...answer.body,
      requestId: '',
      detail: answer.body.detail.replace(site, '?'),
    })
    expect(plain(there, 'branch')).toEqual(plain(absent, 'nowhere'))
  })

  test('ends with the token by which it was asked for', async () => {
    const { token } = await shop({ expiresInDays: 1 })
    const { expiresAt } = (await network.ask('GET', '/functions')).body.items[0]
    world.clock.now = expiresAt - 1000
    expect(await granted(token)).toMatchObject({ expiresAt })
  })

  test('is given as often as a token may ask, to each function by itself', async () => {
    const limiter = (burst: number) => new RateLimiter({ perSecond: 1, burst })
    const limits = { token: limiter(8), connector: limiter(8), relay: limiter(8), anonymous: limiter(8) }
    world = await createWorld({ limits })
    network = await makeNetwork(world)
    await makeSite(network, 'hq', '10.1.0.0/16')
    const [busy, other] = [await shop(), await makeFunction(network, 'other', [{ site: 'hq', services: ['erp'] }])]
    for (let i = 0; i < 8; i++) await granted(busy.token)
    const refused = await ask(busy.token)
    expect(coded(refused)).toEqual([429, 'rate-limited'])
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    await granted(other.token)
  })

  test('is in no audit log, and counted in a line of the log once in a minute', async () => {
    const { id, token } = await shop()
    const before = await events()
    for (let i = 0; i < 5; i++) await granted(token)
    world.clock.now += 60_000
    await granted(token)
    expect(await events()).toEqual(before)
    const lines = world.log.filter(({ message }) => message === 'grants').map(({ fields }) => fields.grants)
    expect(lines).toEqual([1, 5])
    expect((await network.ask('GET', `/functions/${id}`)).body.lastGrantAt).toBe(world.clock.now)
  })

  test('is given in a network that is older than functions are, by a key that is made then', async () => {
    const { token } = await shop()
    const entry = (await world.repo.get(network.id, 'network', network.id))!
    const { functionKey: _, sealedFunctionKey: __, ...old } = entry.value
    await world.repo.commit(network.id, { changes: [{ type: 'put', kind: 'network', value: old }] })
    const [first, second] = await Promise.all([granted(token), granted(token)])
    expect([(await opened(first.token)).site, (await opened(second.token)).site]).toEqual(['hq', 'hq'])
    must(await connector.report({ functions: await connector.serving() }), 200)
    await connector.follow()
    const { functionKey } = (await world.repo.get(network.id, 'network', network.id))!.value
    expect(connector.document.functions).toEqual({ tokenKeys: [functionKey] })
  })
})

describe('a session token at the relay', () => {
  const admit = async (token: string, id = connector.joined.connector) => {
    try {
      return (await world.services.grants.admit(network.id, id, token)).claims.name
    } catch (error) {
      if (error instanceof Refusal) return error.code
      throw error
    }
  }

  test('opens the way to the connectors of its site for ten minutes, and to no other', async () => {
    const { token } = await granted((await shop()).token)
    expect(await admit(token)).toBe('shop')
    const branch = await makeSite(network, 'branch', '10.2.0.0/16')
    const other = await TestConnector.join(world, await joinToken(network, branch), 2)
    expect(await admit(token, other.joined.connector)).toBe('not-found')
    expect(await admit(token, 'con_00000000000000000000')).toBe('not-found')
    world.clock.now += SESSION_TOKEN_MS - 1
    expect(await admit(token)).toBe('shop')
    world.clock.now += 1
    expect(await admit(token)).toBe('bad-credentials')
  })

  test('is worth nothing once its function or the connector is revoked, or it may reach less', async () => {
    const { id, token: own } = await shop()
    const { token } = await granted(own)
    const put = async (allow: object[]) =>
      must(await network.ask('PUT', `/functions/${id}`, { ...MATCH, body: { name: 'shop', allow } }), 200)
    await put([{ site: 'hq', services: ['erp', 'db', 'files'] }])
    expect(await admit(token)).toBe('shop')
    await put([{ site: 'hq', services: ['erp'] }])
    expect(await admit(token)).toBe('token-revoked')
    await put([])
    expect(await admit(token)).toBe('token-revoked')
    must(await network.ask('DELETE', `/functions/${id}`, MATCH), 204)
    expect(await admit(token)).toBe('token-revoked')
    const again = await granted((await shop()).token)
    must(await network.ask('POST', `/connectors/${connector.joined.connector}/revoke`), 200)
    expect(await admit(again.token)).toBe('not-found')
  })

  test('that was bought with another token of the function is worth nothing', async () => {
    const { id, token: own } = await shop()
    const { token } = await granted(own)
    world.clock.now += 1
    const renewed = must(await network.ask('POST', `/functions/${id}/token`), 200).body
    expect(await admit(token)).toBe('token-revoked')
    expect(await admit((await granted(renewed.token)).token)).toBe('shop')
  })

  test('of another network, by another key, for another use or altered is none', async () => {
    const { token } = await granted((await shop()).token)
    const claims = await opened(token)
    const other = await makeNetwork(world, 'other')
    expect(await world.services.grants.verify(other.id, token)).toBeUndefined()
    const altered = token.slice(0, -3) + (token.endsWith('AAA') ? 'BBB' : 'AAA')
    for (const forged of [await sign(claims, makeIdentity(9).jwk), altered, '', 'a.b.c', token.replace('.', '..')]) {
      expect(await world.services.grants.verify(network.id, forged)).toBeUndefined()
    }
    const { publicKey, jwk } = makeIdentity(9)
    const entry = (await world.repo.get(network.id, 'network', network.id))!
    const value = { ...entry.value, functionKey: publicKey }
    await world.repo.commit(network.id, { changes: [{ type: 'put', kind: 'network', value }] })
    const verify = async (changed: object) =>
      (await world.services.grants.verify(network.id, await sign({ ...claims, ...changed }, jwk)))?.name
    expect(await verify({})).toBe('shop')
    expect(await verify({ use: 'isthmus-request' })).toBeUndefined()
    expect(await verify({ network: other.id })).toBeUndefined()
    expect(await verify({ more: true })).toBeUndefined()
  })
})

describe('a connector that serves functions', () => {
  test('is told the keys of session tokens while it says so, each time by a new version', async () => {
    await connector.report()
    expect(await connector.follow()).toBe(false)
    const before = connector.document
    const functions = await connector.serving()
    must(await connector.report({ functions }), 200)
    expect(world.hub.changed.at(-1)).toEqual({ network: network.id, connectors: [connector.joined.connector] })
    await connector.follow()
    const { functionKey } = (await world.repo.get(network.id, 'network', network.id))!.value
    expect(connector.document).toEqual({
      ...before,
      version: before.version + 1,
      functions: { tokenKeys: [functionKey] },
    })
    must(await connector.report({ functions: { ...functions, services: [] } }), 200)
    expect(await connector.follow()).toBe(false)
    must(await connector.report(), 200)
    await connector.follow()
    expect(connector.document).toEqual({ ...before, version: before.version + 2 })
  })

  test('is stored only when it says something new', async () => {
    const functions = await connector.serving()
    const revision = async () => (await world.repo.get(network.id, 'connector', connector.joined.connector))!.revision
    must(await connector.report({ functions }), 200)
    await connector.follow()
    must(await connector.report({ functions }), 200)
    const before = await revision()
    must(await connector.report({ functions }), 200)
    expect(await revision()).toBe(before)
    must(await connector.report({ functions: { ...functions, direct: 'wss://hq.example.net/' } }), 200)
    expect(await revision()).toBe(before + 1)
  })

  test('is shown with its services, without its key', async () => {
    const direct = 'wss://hq.example.net:8443/'
    must(await connector.report({ functions: await connector.serving({ direct }) }), 200)
    const shown = (await network.ask('GET', `/connectors/${connector.joined.connector}`)).body
    expect(shown.functions).toEqual({ direct, services: [{ name: 'erp', kind: 'http' }] })
    expect((await network.ask('GET', '/connectors')).body.items).toEqual([shown])
  })

  test('with a key that it has not signed for this network as itself is refused whole', async () => {
    const { network: net, connector: con, jwk } = connector.joined
    const claims = { use: 'isthmus-stream-key', network: net, connector: con, key: KEY }
    for (const [changed, key] of [
      [{}, makeIdentity(9).jwk],
      [{ network: 'net_00000000000000000000' }, jwk],
      [{ connector: 'con_00000000000000000000' }, jwk],
      [{ use: 'isthmus-epoch-key' }, jwk],
      [{ key: 'short' }, jwk],
    ] as const) {
      const streamKey = await sign({ ...claims, ...changed }, key)
      const answer = await connector.report({ functions: { streamKey, services: [] } })
      expect(coded(answer)).toEqual([422, 'bad-signature'])
      expect(answer.body.errors[0].pointer).toBe('/report/functions/streamKey')
    }
    expect((await network.ask('GET', `/connectors/${con}`)).body.functions).toBeUndefined()
  })
})
