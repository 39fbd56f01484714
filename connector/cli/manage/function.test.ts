/** `isthmus function` against the real API over a store in memory. */
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { TestConnector } from '../../../control/testing/connector.ts'
import { joinToken, type TestNetwork } from '../../../control/testing/network.ts'
import { makeIdentity } from '../../../control/testing/world.ts'
import { ManagedWorld, URL_OF_CONTROL } from '../../../test/cli/managed-world.ts'
import { EXIT } from '../../handle.ts'
import { merged, type Reach, reachOf, textsOf, without } from './function-reach.ts'

let managed: ManagedWorld
let network: TestNetwork
let left: TestConnector

beforeEach(async () => {
  managed = await ManagedWorld.create()
  ;({ network, left } = await managed.pair())
})
afterEach(async () => {
  expect((await network.ask('GET', '/audit/verify')).body).toMatchObject({ intact: true })
  managed.close()
})

const run = (...words: string[]) => managed.run(...words)
const text = (...words: string[]) => managed.text(...words)
const json = (...words: string[]) => managed.json(...words)
const refused = (code: number, message: string, ...words: string[]) => managed.refused(code, message, ...words)
const lines = (out: string) => out.trimEnd().split('\n')

/** What the SDK does with the word that was printed. */
async function grant(word: string, site = 'hq') {
  const [token, url] = word.split('@')
  expect(url).toBe(URL_OF_CONTROL)
  const body = { site, publicKey: makeIdentity(5).publicKey }
  return managed.world.request('POST', `${network.path}/grants`, { token, body })
}

describe('add', () => {
  test('prints one word that gets a grant, and what to do with it', async () => {
    const out = await text('function', 'add', 'shop', '--allow', 'hq/erp', '--allow', 'hq/db', '--expires', '30d')
    expect(out).toContain('The token of function shop, good until 2026-02-04 12:00:00 UTC:\n')
    expect(out).toContain(
      "  import { site } from 'isthmus/functions'\n  const hq = site('hq', { token: env.ISTHMUS_TOKEN })\n",
    )
    expect(out).toContain('The connector at hq must allow it too: in services.yaml, erp: { allow: [shop], ... }.')
    const [, word] = /^ {2}(ist_function_\S+@\S+)$/m.exec(out)!
    expect((await grant(word!)).body).toMatchObject({ site: 'hq', services: ['erp', 'db'] })
    expect((await grant(word!, 'branch')).status).toBe(404)
  })

  test('--json has the same word, and nothing else is said', async () => {
    const made = await json('function', 'add', 'shop', '--allow', 'hq/erp')
    expect(made).toMatchObject({ name: 'shop', token: expect.stringMatching(/^ist_function_.*@https:/) })
    expect((await grant(made.token)).status).toBe(200)
  })

  test('what does not fit is told, and nothing is half done', async () => {
    await refused(EXIT.usage, '--allow: "erp" does not fit', 'function', 'add', 'shop', '--allow', 'erp')
    await refused(EXIT.usage, '--allow: "hq/" does not fit', 'function', 'add', 'shop', '--allow', 'hq/')
    await refused(EXIT.usage, '/allow/0/site: there is no site hx', 'function', 'add', 'shop', '--allow', 'hx/erp')
    await refused(EXIT.usage, '--expires "1y"', 'function', 'add', 'shop', '--expires', '1y')
    expect((await json('function', 'list')).items).toEqual([])
    await text('function', 'add', 'shop')
    await refused(EXIT.failed, 'another function has this name', 'function', 'add', 'shop')
  })

  test('warns where the token would go in the clear, and where the address leads nowhere', async () => {
    const at = async (url: string) => {
      const fetch = (asked: string, init: RequestInit) => managed.fetch(asked.replace(url, URL_OF_CONTROL), init)
      return managed.runWith({ env: { ISTHMUS_URL: url }, io: { fetch } }, 'function', 'add', `at-${url.length}`)
    }
    expect((await at('http://control.example.net')).err).toContain('Warning: over plain http')
    const local = await at('http://127.0.0.1:8787')
    expect([local.code, local.err]).toEqual([EXIT.ok, ''])
    expect(local.out).toContain('leads to this machine only')
  })

  test('a name that is no word becomes one in the code', async () => {
    await text('site', 'add', '1st-site.eu', '--prefix', '10.9.0.0/16', '--no-join-token')
    const out = await text('function', 'add', 'shop', '--allow', '1st-site.eu/erp')
    expect(out).toContain("const site1stSiteEu = site('1st-site.eu'")
  })
})

describe('list and show', () => {
  test('tell what each may reach, and who offers it', async () => {
    expect(await text('function', 'list')).toContain('There is no function.')
    const { token } = await json('function', 'add', 'shop', '--allow', 'hq/erp', '--allow', 'hq/db')
    await text('function', 'add', 'idle', '--expires', '1d')
    await left.report({ functions: await left.serving() })
    managed.link((id) => id === left.joined.connector)
    await grant(token)
    managed.world.clock.now += 86_400_000
    expect(lines(await text('function', 'list'))).toEqual([
      'FUNCTION  MAY REACH      STATE    LAST GRANT  EXPIRES',
      'idle      nothing        expired  never       2026-01-06 12:00:00',
      'shop      hq/erp, hq/db  good     1d ago      never',
    ])
    const shown = await text('function', 'show', 'shop')
    expect(shown).toMatch(/hq\/erp +offered by hq \(linked\)\n/)
    expect(shown).toMatch(/hq\/db +no connector there offers it\n/)
    expect(await text('function', 'show', 'idle')).toContain('What next: isthmus function allow idle')
    expect(await json('function', 'show', 'shop')).toMatchObject({ name: 'shop', allow: [{ services: ['erp', 'db'] }] })
    await refused(EXIT.failed, 'there is no function "shob"', 'function', 'show', 'shob')
  })

  test('never show a secret', async () => {
    const { token } = await json('function', 'add', 'shop', '--allow', 'hq/erp')
    const secret = token.split('@')[0].slice(-43)
    for (const words of [['list', '--json'], ['show', 'shop', '--json'], ['list'], ['show', 'shop']]) {
      expect(await text('function', ...words)).not.toContain(secret)
    }
  })
})

describe('allow and deny', () => {
  beforeEach(() => text('function', 'add', 'shop', '--allow', 'hq/erp'))

  test('edit the list; what is so already is no change', async () => {
    expect(await text('function', 'allow', 'shop', 'branch/files', 'hq/db', 'hq/erp')).toBe(
      'Function shop may reach hq/erp, hq/db, branch/files.\n',
    )
    managed.requests.length = 0
    expect(await text('function', 'allow', 'shop', 'hq/db')).toBe(
      'Function shop may reach hq/erp, hq/db, branch/files, as before.\n',
    )
    expect(managed.requests.filter((request) => !request.startsWith('GET'))).toEqual([])
    expect(await text('function', 'deny', 'shop', 'hq/db')).toBe('Function shop may reach hq/erp, branch/files.\n')
    expect(await text('function', 'deny', 'shop', 'hq/db')).toMatch(/, as before\.\n$/)
    expect(await text('function', 'deny', 'shop', 'branch')).toBe('Function shop may reach hq/erp.\n')
    expect(await text('function', 'deny', 'shop', 'hq/erp')).toBe('Function shop may reach nothing.\n')
  })

  test('say what is missing', async () => {
    await refused(EXIT.usage, 'there is nothing to change', 'function', 'allow', 'shop')
    await refused(EXIT.usage, '"hq" does not fit', 'function', 'allow', 'shop', 'hq')
    await refused(EXIT.usage, '/allow/1/site: there is no site hx', 'function', 'allow', 'shop', 'hx/erp')
  })

  test('what is allowed and then denied is as before, whatever it is', () => {
    const pair = fc.tuple(fc.constantFrom('hq', 'branch', 'lab'), fc.constantFrom('erp', 'db', 'files'))
    const reach = fc.uniqueArray(pair.map((parts) => parts.join('/'))).map((texts) => reachOf(texts, 'test'))
    const set = (list: Reach) => textsOf(list).toSorted()
    fc.assert(
      fc.property(reach, reach, (before, more) => {
        const both = merged(before, more)
        expect(set(both)).toEqual([...new Set([...set(before), ...set(more)])].toSorted())
        expect(set(without(both, more))).toEqual(set(before).filter((one) => !set(more).includes(one)))
        expect(new Set(both.map(({ site }) => site)).size).toBe(both.length)
      }),
    )
  })
})

describe('renew and revoke', () => {
  test('end the token that was there, and a revoked name is free again', async () => {
    const first = (await json('function', 'add', 'shop', '--allow', 'hq/erp')).token
    const out = await text('function', 'renew', 'shop')
    const [, second] = /^ {2}(ist_function_\S+)$/m.exec(out)!
    expect(out).toContain('The token before it is refused from now on.')
    expect([(await grant(first)).status, (await grant(second!)).status]).toEqual([401, 200])
    expect(await text('function', 'revoke', 'shop')).toContain('Function shop is revoked')
    expect((await grant(second!)).status).toBe(401)
    await refused(EXIT.failed, 'there is no function "shop"', 'function', 'renew', 'shop')
    expect((await json('function', 'list')).items).toEqual([])
    const [gone] = (await json('function', 'list', '--all')).items
    await refused(EXIT.failed, 'The function was revoked', 'function', 'renew', gone.id)
    await text('function', 'add', 'shop')
  })
})

test('the token of a function is not sent to manage anything', async () => {
  const { token } = await json('function', 'add', 'shop', '--allow', 'hq/erp')
  managed.requests.length = 0
  const ran = await managed.runWith({ env: { ISTHMUS_TOKEN: token } }, 'site', 'list')
  expect([ran.code, ran.err.includes('the token is one of a function')]).toEqual([EXIT.usage, true])
  expect(managed.requests).toEqual([])
})

describe('connectors', () => {
  test('show what they offer, and who stands by', async () => {
    const site = (await json('connector', 'show', 'hq')).site
    const second = await TestConnector.join(managed.world, await joinToken(network, site), 44)
    await second.report({ functions: await second.serving({ direct: 'wss://hq.example.net:8443/' }) })
    expect(lines(await text('connector', 'list'))[2]).toMatch(/^hq +hq +away +192\.0\.2\.1 +1\.0\.0 +just now$/)
    expect(lines(await text('connector', 'list'))[3]).toMatch(
      /^hq-2 +hq +polling +behind a NAT +erp +1\.0\.0 +just now$/,
    )
    const shown = await text('connector', 'show', 'hq-2')
    expect(shown).toMatch(/services +erp \(http\)\n +listens at +wss:\/\/hq\.example\.net:8443\/\n/)
    expect(await text('site', 'show', 'hq')).toMatch(/connector +hq\n +state +away\n +stands by +hq-2\n/)
    const status = (await run('network', 'status')).out
    expect(status).toContain('1 of 3 connectors there')
    expect(status).toMatch(/SERVES FUNCTIONS +SITE +STATE +SERVICES\nhq-2 +hq +polling +erp\n/)
    managed.world.clock.now += 300_000
    expect((await run('network', 'status')).out).toMatch(/connector hq-2: .*\n +Next: run isthmus status on it/)
  })

  test('are revoked: the one that stands by takes the tunnels', async () => {
    const site = (await json('connector', 'show', 'hq')).site
    for (const seed of [44, 55]) await TestConnector.join(managed.world, await joinToken(network, site), seed)
    await refused(EXIT.usage, 'put the connector hq-3 out for good', 'connector', 'revoke', 'hq-3')
    expect(await text('connector', 'revoke', 'hq-3', '--yes')).toContain('the tunnels of its site are where they were')
    await refused(EXIT.usage, 'move its tunnels to hq-2', 'connector', 'revoke', 'hq')
    expect(await text('connector', 'revoke', 'hq', '--yes')).toContain('hq-2 takes its tunnels')
    expect(await text('connector', 'revoke', 'hq-2', '--yes')).toContain('its peers end its tunnels')
  })
})
