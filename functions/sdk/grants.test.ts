import { describe, expect, test } from 'vitest'
import { fromBase64url } from '../../protocol/control/base64url.ts'
import { CONTROL, NETWORK, TOKEN, World } from '../testing/world.ts'
import { IsthmusError } from './error.ts'

const ASK = 'http://erp.internal/'
const ok = { http: (exchange: { respond(status: number): void }) => exchange.respond(200) }

async function failureOf(world: World, options = {}): Promise<IsthmusError> {
  const error = await world
    .site(options)
    .fetch(ASK)
    .catch((error: unknown) => error)
  expect(error).toBeInstanceOf(IsthmusError)
  expect((error as Error).message).not.toContain('A'.repeat(43))
  return error as IsthmusError
}

describe('a grant', () => {
  test('is asked for with the token and a key, and then kept', async () => {
    const world = await World.create({ services: ok })
    const [first, second] = [world.site(), world.site()]
    await first.fetch(ASK)
    await second.fetch(ASK)
    expect(world.asked.length).toBe(1)
    const { url, init } = world.asked[0]!
    expect(url).toBe(`${CONTROL}/v1/networks/net_${NETWORK}/grants`)
    expect(new Headers(init.headers).get('authorization')).toBe(`Bearer ${TOKEN}`)
    const body = JSON.parse(String(init.body))
    expect(body.site).toBe('hq')
    expect(fromBase64url(body.publicKey)?.length).toBe(32)
    expect(world.peer.sessions.length).toBe(1)
    await first.close()
    await second.fetch(ASK)
    expect(world.peer.sessions.length).toBe(1)
    await second.close()
  })

  test('is asked for once by many requests at once, which share one session', async () => {
    const world = await World.create({ services: ok })
    const erp = world.site()
    await Promise.all(Array.from({ length: 50 }, () => erp.fetch(ASK)))
    expect(world.asked.length).toBe(1)
    expect(world.peer.sessions.length).toBe(1)
    await erp.close()
  })

  test('that ends soon is not used again', async () => {
    const world = await World.create({ services: ok })
    world.grantMs = 29_000
    const erp = world.site()
    await erp.fetch(ASK)
    await erp.fetch(ASK)
    expect(world.asked.length).toBe(2)
    await erp.close()
  })

  test('tells what our clock is behind, so that early data is taken all the same', async () => {
    const world = await World.create({ services: ok })
    world.aheadMs = 3_600_000
    const erp = world.site()
    await erp.fetch(ASK)
    await erp.fetch(ASK)
    expect(world.asked.length).toBe(1)
    expect(Math.abs(world.peer.sessions[0]!.time! - Date.now() - world.aheadMs)).toBeLessThan(5_000)
    await erp.close()
  })

  test('of another token has another key', async () => {
    const world = await World.create({ services: ok })
    const other = TOKEN.replace(/A{43}/, 'B'.repeat(43))
    const sites = [world.site(), world.site({ token: `${other}@${CONTROL}` })]
    for (const erp of sites) await erp.fetch(ASK)
    const keys = world.asked.map(({ init }) => JSON.parse(String(init.body)).publicKey)
    expect(new Set(keys).size).toBe(2)
    for (const erp of sites) await erp.close()
  })
})

describe('tokens', () => {
  test('come from the option, with the address in it or apart, or from the environment', async () => {
    const world = await World.create({ services: ok })
    world.env = `${TOKEN}@https://env.test/base/`
    const cases = [
      [{ token: `${TOKEN}@https://a.test` }, 'https://a.test/v1'],
      [{ token: TOKEN, url: 'https://b.test/' }, 'https://b.test/v1'],
      [{ token: `${TOKEN}@https://a.test`, url: new URL('https://c.test') }, 'https://c.test/v1'],
      [{ token: undefined }, 'https://env.test/base/v1'],
    ] as const
    for (const [options, start] of cases) {
      const erp = world.site(options)
      await erp.fetch(ASK)
      expect(world.asked.at(-1)?.url.startsWith(`${start}/networks`)).toBe(true)
      await erp.close()
    }
  })

  test.each([
    ['none', { token: undefined }],
    ['an API token', { token: `ist_owner_${NETWORK}_${NETWORK}_${'A'.repeat(43)}@https://a.test` }],
    ['one without an address', { token: TOKEN }],
    ['an address that is none', { token: `${TOKEN}@nowhere` }],
    ['an address with a password', { token: `${TOKEN}@https://a:b@c.test` }],
    ['another scheme', { token: TOKEN, url: 'ftp://a.test' }],
  ])('that are no good are told without being shown: %s', async (_, options) => {
    const world = await World.create()
    const error = await failureOf(world, options)
    expect(error).toMatchObject({ code: 'control-refused', retry: 'never' })
    expect(error.remedy).toContain('isthmus function add')
    expect(world.asked).toEqual([])
  })

  test('a name that no site has is told before anybody is asked', async () => {
    const world = await World.create()
    const site = world.make('Not a name', { token: `${TOKEN}@${CONTROL}` })
    await expect(site.fetch(ASK)).rejects.toMatchObject({ code: 'unknown-site' })
  })
})

describe('a control plane that gives no grant', () => {
  const problem = (status: number, code: string) => () =>
    Response.json({ type: 'x', title: 'Title', status, code, detail: 'detail', remedy: 'Do this.' }, { status })
  test.each([
    ['unknown site', problem(404, 'unknown-site'), 'unknown-site', 'never'],
    ['a token that was revoked', problem(401, 'bad-credentials'), 'control-refused', 'never'],
    ['another network', problem(403, 'foreign-network'), 'control-refused', 'never'],
    ['too many requests', problem(429, 'rate-limited'), 'control-unreachable', 'later'],
    ['out of order', problem(503, 'unavailable'), 'control-unreachable', 'later'],
    ['another server', () => new Response('<html>'), 'control-refused', 'never'],
    ['a gateway', () => new Response('<html>', { status: 502 }), 'control-unreachable', 'later'],
    ['no grant in it', () => Response.json({ token: 1 }), 'control-refused', 'never'],
    [
      'a redirect',
      () => new Response(null, { status: 302, headers: { location: 'https://x/' } }),
      'control-refused',
      'never',
    ],
    ['an endless answer', () => new Response(new Uint8Array(2 << 20)), 'control-unreachable', 'later'],
    ['nobody there', () => Promise.reject(new TypeError('fetch failed')), 'control-unreachable', 'later'],
  ])('%s', async (_, answer, code, retry) => {
    const world = await World.create({ services: ok })
    world.answer = answer
    expect(await failureOf(world)).toMatchObject({ code, retry })
    world.answer = undefined
    const erp = world.site()
    expect((await erp.fetch(ASK)).status).toBe(200)
    await erp.close()
  })

  test('the words of the problem are in the error', async () => {
    const world = await World.create()
    world.answer = problem(404, 'unknown-site')
    expect((await failureOf(world)).message).toBe('The control plane gives no way to site hq (Title: detail). Do this.')
  })

  test('a site without connectors is offline', async () => {
    const world = await World.create({ connectors: [] })
    expect(await failureOf(world)).toMatchObject({ code: 'site-offline', retry: 'later' })
  })

  test('and one whose connector neither listens nor is linked', async () => {
    const world = await World.create({ connectors: [{ direct: false, relay: false }] })
    expect(await failureOf(world)).toMatchObject({ code: 'site-offline', retry: 'later' })
  })
})

describe('stream keys', () => {
  test('that the identity has not signed, or for another network or connector, are not used', async () => {
    const world = await World.create({ services: ok })
    const [connector] = world.connectors
    const { privateKey } = (await crypto.subtle.generateKey({ name: 'Ed25519' }, true, ['sign', 'verify'])) as never
    const claims = {
      use: 'isthmus-stream-key',
      network: `net_${NETWORK}`,
      connector: connector!.peer.id,
      key: 'A'.repeat(43),
    }
    const good = connector!.streamKey
    const bad = [
      await world.sign(claims, privateKey),
      good.replace(/\..*\./, `.${btoa(JSON.stringify(claims)).replaceAll('=', '')}.`),
      await connector!.sign({ ...claims, network: 'net_other' }),
      await connector!.sign({ ...claims, connector: 'con_other' }),
      await connector!.sign({ ...claims, use: 'isthmus-session' }),
      await connector!.sign({ ...claims, key: 'short' }),
      'a.b.c',
    ]
    for (const streamKey of bad) {
      connector!.streamKey = streamKey
      expect(await failureOf(world)).toMatchObject({ code: 'protocol-error' })
    }
    expect(world.peer.dials).toEqual([])
  })

  test('of identities that are pinned are used, others not', async () => {
    const world = await World.create({ services: ok, connectors: [{ relay: false }, { relay: false }] })
    expect(await failureOf(world, { connectorKeys: ['B'.repeat(43)] })).toMatchObject({ code: 'control-refused' })
    const second = world.connectors[1]!
    const erp = world.site({ connectorKeys: [second.identityKey] })
    await erp.fetch(ASK)
    expect(world.connectors.map(({ peer }) => peer.dials.length)).toEqual([0, 1])
    await erp.close()
  })
})
