/** Each management verb against the real API over a store in memory. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { converge, type TestConnector } from '../../../control/testing/connector.ts'
import type { TestNetwork } from '../../../control/testing/network.ts'
import { ManagedWorld, URL_OF_CONTROL } from '../../../test/cli/managed-world.ts'
import { EXIT } from '../../handle.ts'

let managed: ManagedWorld
let network: TestNetwork
let left: TestConnector
let right: TestConnector

beforeEach(async () => {
  managed = await ManagedWorld.create()
  const pair = await managed.pair()
  network = pair.network
  left = pair.left
  right = pair.right
  await converge(left, right)
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

describe('site', () => {
  test('add prints the one command for the gateway, and its token joins', async () => {
    const out = await text(
      'site',
      'add',
      'lab',
      '--prefix',
      '10.3.0.0/16',
      '--prefix',
      '2001:db8:3::/48',
      '--expires',
      '2h',
    )
    expect(out).toContain('Site lab is in network acme, with 10.3.0.0/16, 2001:db8:3::/48.\nWithin 2h, once')
    const [, url, token] = /^ {2}sudo isthmus join (\S+) (ist_join_\S+)$/m.exec(out)!
    expect(url).toBe(URL_OF_CONTROL)
    const { TestConnector } = await import('../../../control/testing/connector.ts')
    const joined = await TestConnector.join(managed.world, token!, 33)
    expect(joined.document.site).toEqual({ name: 'lab', prefixes: ['10.3.0.0/16', '2001:db8:3::/48'] })
  })

  test('add --json has what a program needs to join', async () => {
    const added = await json('site', 'add', 'lab', '--prefix', '10.3.0.0/16', '--endpoint', '[2001:db8::1]:501')
    expect(added).toMatchObject({
      network: { id: network.id, name: 'acme' },
      site: { name: 'lab', endpoint: { address: '2001:db8::1', port: 501 } },
      join: `isthmus join ${URL_OF_CONTROL} ${added.joinToken.token}`,
    })
    expect(await json('site', 'add', 'lab2', '--prefix', '10.4.0.0/16', '--no-join-token')).not.toHaveProperty('join')
  })

  test('what does not fit is told by its place, and nothing is half done', async () => {
    await refused(EXIT.usage, 'a site has at least one network', 'site', 'add', 'lab')
    await refused(EXIT.usage, '/prefixes/0: host bits are set', 'site', 'add', 'lab', '--prefix', '10.3.0.1/16')
    await refused(EXIT.usage, '--expires "1y"', 'site', 'add', 'lab', '--prefix', '10.3.0.0/16', '--expires', '1y')
    await refused(EXIT.usage, '--endpoint "hq"', 'site', 'add', 'lab', '--prefix', '10.3.0.0/16', '--endpoint', 'hq')
    const overlap = await run('site', 'add', 'hq', '--prefix', '10.1.2.0/24')
    expect(overlap.err).toContain(
      '/name: another site has the name hq; /prefixes/0: 10.1.2.0/24 overlaps 10.1.0.0/16 of hq',
    )
    expect((await json('site', 'list')).items).toHaveLength(2)
  })

  test('list and show tell who is there', async () => {
    managed.link((id) => id === left.joined.connector)
    expect(lines(await text('site', 'list'))).toEqual([
      'SITE    NETWORKS     CONNECTOR  REACHED AT',
      'branch  10.2.0.0/16  polling',
      'hq      10.1.0.0/16  linked     192.0.2.1',
    ])
    const shown = await text('site', 'show', 'branch')
    expect(shown).toMatch(/^Site branch\n/)
    expect(shown).toMatch(/connector +branch\n +state +polling\n +tunnels +hq-branch\n/)
    await refused(EXIT.failed, 'there is no site "brunch"', 'site', 'show', 'brunch')
  })

  test('set changes what is named and keeps the rest; its connector follows', async () => {
    await text('site', 'set', 'hq', '--prefix', '10.1.0.0/16', '--prefix', '10.9.0.0/24')
    expect((await json('site', 'show', 'hq')).site).toMatchObject({
      prefixes: ['10.1.0.0/16', '10.9.0.0/24'],
      endpoint: { address: '192.0.2.1' },
    })
    expect(await text('site', 'set', 'hq', '--no-endpoint', '--rename', 'main')).toBe(
      'Site main has 10.1.0.0/16, 10.9.0.0/24.\n',
    )
    await left.follow()
    expect(left.document.site).toEqual({ name: 'main', prefixes: ['10.1.0.0/16', '10.9.0.0/24'] })
    await refused(EXIT.usage, 'there is nothing to change', 'site', 'set', 'main')
  })

  test('token and remove', async () => {
    await refused(EXIT.failed, 'The site is in use', 'site', 'remove', 'hq')
    await text('network', 'set', '--topology', 'none')
    await text('site', 'add', 'lab', '--prefix', '10.3.0.0/16', '--no-join-token')
    const { joinToken } = await json('site', 'token', 'lab', '--expires', '10m')
    expect(joinToken.expiresAt - joinToken.createdAt).toBe(600_000)
    expect(await text('site', 'show', 'lab')).toContain(`join token  ${joinToken.id}, for another 10m`)
    expect(await text('site', 'remove', 'lab')).toBe('Site lab is removed.\n')
    expect((await json('site', 'list')).items).toHaveLength(2)
  })
})

describe('connector', () => {
  test('list and show; away is told with its time', async () => {
    managed.world.clock.now += 300_000
    expect(lines(await text('connector', 'list'))[1]).toMatch(/^branch +branch +away for 5m +/)
    const shown = await text('connector', 'show', left.joined.connector)
    expect(shown).toContain(left.joined.publicKey)
    expect(shown).toMatch(/last seen +5m ago/)
  })

  test('revoke needs to be meant, and ends its requests', async () => {
    await refused(EXIT.usage, 'would end the tunnels', 'connector', 'revoke', 'branch')
    expect((await right.report()).status).toBe(200)
    expect(await text('connector', 'revoke', 'branch', '--yes')).toContain('Connector branch is revoked')
    expect((await right.report()).status).toBe(401)
    expect((await json('connector', 'list')).items).toHaveLength(1)
    expect((await json('connector', 'list', '--all')).items).toHaveLength(2)
  })
})

describe('tunnel', () => {
  test('list and show: states as both ends tell, and the ages of keys', async () => {
    managed.world.clock.now += 60_000
    expect(lines(await text('tunnel', 'list'))).toEqual([
      'TUNNEL     SITES        STATE  KEY',
      'hq-branch  hq - branch  up     epoch 1, 1m old',
    ])
    const shown = await text('tunnel', 'show', 'hq-branch')
    expect(shown).toMatch(/state +up\n +key +epoch 1, 1m old\n/)
    expect(shown).toMatch(/\nhq +up +1m ago +\d+ +\d+ +0 +0\n/)
  })

  test('add, set and remove', async () => {
    await text('network', 'set', '--topology', 'none')
    await text('site', 'add', 'lab', '--prefix', '10.3.0.0/16', '--no-join-token')
    await text('tunnel', 'add', 'hq-lab', 'hq', 'lab', '--mtu', '1400')
    await refused(EXIT.usage, '--mtu "99"', 'tunnel', 'set', 'hq-lab', '--mtu', '99')
    expect(await text('tunnel', 'set', 'hq-lab', '--swap')).toBe('Tunnel hq-lab: lab - hq, path MTU 1400 bytes.\n')
    expect(await text('tunnel', 'set', 'hq-lab', '--no-mtu', '--rename', 'x')).toBe('Tunnel x: lab - hq.\n')
    await refused(EXIT.usage, 'would end the tunnel x', 'tunnel', 'remove', 'x')
    await text('tunnel', 'remove', 'x', '--yes')
    expect((await json('tunnel', 'list')).items).toMatchObject([{ name: 'hq-branch' }])
  })
})

describe('token', () => {
  test('add shows it once, and it is good for its role only', async () => {
    const out = await text('token', 'add', 'nightly', '--role', 'rotation', '--expires', '90d')
    expect(out).toContain('is good until 2026-04-05 12:00:00 UTC, as rotation')
    managed.token = /ist_rotation_\S+/.exec(out)![0]
    expect((await json('tunnel', 'list')).items).toHaveLength(1)
    await refused(EXIT.permission, 'do not allow it', 'site', 'list')
    managed.token = managed.world.admin
    expect(await text('token', 'list')).toMatch(/\nnightly +rotation +good +2026-04-05 12:00:00 +just now +just now\n/)
    expect(await text('token', 'list')).not.toContain('ist_')
    await refused(EXIT.usage, 'there is no role "king"', 'token', 'add', 'x', '--role', 'king')
  })

  test('revoke takes effect with the next request, for join tokens too', async () => {
    const { token } = await json('token', 'add', 'ada', '--role', 'operator')
    await text('token', 'revoke', 'ada')
    managed.token = token
    await refused(EXIT.permission, 'revoked', 'site', 'list')
    managed.token = managed.world.admin
    await refused(EXIT.failed, 'there is no token "ada"', 'token', 'revoke', 'ada')
    const { joinToken } = await json('site', 'token', 'hq')
    await text('token', 'revoke', joinToken.id)
    expect(await text('token', 'list', '--join')).toMatch(new RegExp(`${joinToken.id} +hq +revoked`))
  })
})

describe('policy', () => {
  test('add, set, list and remove', async () => {
    const added = await json(
      'policy',
      'add',
      'p',
      '--max-age',
      '30d',
      '--window',
      '0 3 * * 0 for 2h',
      '--tunnel',
      'hq-branch',
    )
    expect(added).toMatchObject({ maxAgeHours: 720, windows: [{ cron: '0 3 * * 0', minutes: 120 }], canary: true })
    expect(added.tunnels).toHaveLength(1)
    const changed = await json(
      'policy',
      'set',
      'p',
      '--no-canary',
      '--keep-going',
      '--max-concurrent',
      '3',
      '--all-tunnels',
    )
    expect(changed).toMatchObject({
      maxAgeHours: 720,
      canary: false,
      stopOnFailure: false,
      maxConcurrent: 3,
      tunnels: [],
    })
    const more = await json('policy', 'set', 'p', '--no-max-age', '--cron', '0 4 * * *', '--no-window', '--disable')
    expect(more).toMatchObject({ cron: '0 4 * * *', windows: [], enabled: false, canary: false })
    expect(more).not.toHaveProperty('maxAgeHours')
    expect(lines(await text('policy', 'list'))[1]).toBe('p           all  at 0 4 * * *  always  off    never')
    await text('policy', 'remove', 'p')
    expect(await text('policy', 'list')).toContain('isthmus policy add')
  })

  test('what would never rotate, or makes no sense, is refused', async () => {
    await refused(EXIT.usage, 'would never rotate anything', 'policy', 'add', 'p')
    await refused(EXIT.usage, '/cron: not a cron expression', 'policy', 'add', 'p', '--cron', 'x')
    await refused(EXIT.usage, '--window "0 3 * * 0"', 'policy', 'add', 'p', '--max-age', '1d', '--window', '0 3 * * 0')
    expect((await json('policy', 'list')).items).toEqual([])
  })
})

test('every list has a document for programs, also where it is empty', async () => {
  for (const words of ['site', 'connector', 'tunnel', 'token', 'policy', 'run', 'rotation', 'audit', 'network']) {
    expect(await json(words, 'list')).toEqual({ items: expect.any(Array) })
  }
})

test('a group without a verb lists its verbs', async () => {
  const { code, err } = await run('site')
  expect(code).toBe(EXIT.usage)
  expect(err).toMatch(/Commands:\n {2}list .*\n {2}show /)
  expect(await run('site', 'lst')).toMatchObject({
    code: EXIT.usage,
    err: expect.stringContaining('Did you mean list?'),
  })
})

test('the help of a group and of a verb, in a terminal of 80 columns', async () => {
  const io = { isTty: true, columns: 80 }
  expect((await managed.runWith({ io }, 'audit', '--help')).out).toMatchInlineSnapshot(`
    "Usage: isthmus audit [options] [command]

    The audit log of a network is a chain: a change anywhere in it breaks it from
    there on.

    Options:
      -h, --help               display help for command

    Commands:
      list [options]           who did what, the newest last
      export [options] [file]  the whole audit log, one event on each line (NDJSON)
      verify [options] [file]  whether the audit log is whole, as it was written
      help [command]           display help for command

    isthmus audit <verb> --help shows options, examples and exit codes.
    "
  `)
  expect((await managed.runWith({ io }, 'run', 'watch', '--help')).out).toMatchInlineSnapshot(`
    "Usage: isthmus run watch [options] <run>

    As isthmus rotate --wait does. Ctrl-C leaves the run running.

    Arguments:
      run                  like run_0123456789abcdefghjk; isthmus run list shows
                           them

    Options:
      --json               print one JSON document for programs
      --url <url>          the control plane; else $ISTHMUS_URL, or where isthmus
                           login went
      --token <token>      API token; better $ISTHMUS_TOKEN, which ps does not show;
                           else the one of isthmus login
      --network <network>  name or id; else $ISTHMUS_NETWORK, or the only one
      -h, --help           display help for command

    Examples:
      isthmus run watch run_0123456789abcdefghjk  the exit code tells how it ended

    Exit codes:
       0  done
       1  failed for a reason that has no code of its own
       2  the command line does not fit
       4  a right is missing, mostly root
       7  a file is missing or may not be read
      10  the control plane cannot be reached, or cannot serve now
      11  a key was not rotated
      12  what should prove itself does not: evidence or audit log
    "
  `)
})
