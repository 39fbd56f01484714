import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { converge, type TestConnector } from '../../../control/testing/connector.ts'
import type { TestNetwork } from '../../../control/testing/network.ts'
import { ManagedWorld } from '../../../test/cli/managed-world.ts'
import { EXIT } from '../../handle.ts'
import { progressText } from './rollout-view.ts'

let managed: ManagedWorld
let network: TestNetwork
let left: TestConnector
let right: TestConnector
/** Whether packets pass in the tunnel, as both ends say. */
let passing: boolean

beforeEach(async () => {
  managed = await ManagedWorld.create()
  ;({ network, left, right } = await managed.pair())
  await converge(left, right)
  passing = true
  managed.token = network.tokens.operator
  managed.onPause = live
})
afterEach(async () => {
  expect((await network.ask('GET', '/audit/verify')).body).toMatchObject({ intact: true })
  managed.close()
})

const run = (...words: string[]) => managed.run(...words)

/** The connectors go on while a verb waits, which is some seconds. */
async function live(): Promise<void> {
  for (const connector of [left, right]) {
    connector.authenticate()
    await connector.follow()
    const paths = connector.document.tunnels.map(({ id }) => ({ tunnel: id, passing }))
    await connector.report({ routing: { paths, refused: [], everyMs: 10_000 } })
  }
  await managed.world.services.scheduler.tick()
  managed.world.clock.now += 4000
}

/** The network's intent with another path MTU, as a file. */
async function fileWith(pathMtu: number, name = 'acme.yaml'): Promise<string> {
  const file = join(managed.home, name)
  const yaml = await managed.text('network', 'export')
  writeFileSync(file, yaml.replace(/^( +)name: hq-branch$/m, `$1name: hq-branch\n$1pathMtu: ${pathMtu}`))
  return file
}

const mtus = () => [left, right].map(({ document }) => document.tunnels[0]!.pathMtu)

test.each([
  [1, 'waits until 1 site has said how it is'],
  [2, 'waits until 2 sites have said how they are'],
])('of %i sites it is told in words that fit', (sites, text) => {
  const rollout = { state: 'planned', counts: { sites, in: 0, away: 0 } } as Parameters<typeof progressText>[0]
  expect(progressText(rollout, 0)).toBe(text)
})

describe('apply', () => {
  test('asks, takes it to one site and then to the other, and tells how it goes', async () => {
    const file = await fileWith(1400)
    const asked: string[] = []
    const ask = async (question: string) => asked.push(question) > 0
    const { code, out, err } = await managed.runWith({ io: { ask } }, 'apply', file, '--canary', 'branch')
    expect({ code, asked }).toEqual({ code: EXIT.ok, asked: ['Go on? '] })
    expect(out).toMatch(/^.*acme\.yaml for the network acme, which is at version \d+\.\n/)
    expect(out).toContain('No route changes.\n')
    expect(out).toMatch(/\nVersion \d+ is at 2 sites, in \w+( \w+)?\.\n$/)
    expect(err).toMatch(/^waits until 2 sites have said how they are\n/)
    expect(err).toContain('watching 1 of 2 sites\n')
    expect(err).toMatch(/watching 2 of 2 sites\n$/)
    expect(mtus()).toEqual([1400, 1400])
  })

  test('goes back by itself, says why, and the exit code says so too', async () => {
    const file = await fileWith(1400)
    managed.onPause = async () => {
      passing = !mtus().includes(1400)
      await live()
    }
    const { code, out } = await run('apply', file, '--yes', '--canary', 'hq')
    expect(code).toBe(EXIT.wentBack)
    expect(out).toMatch(/state +rolled-back\n/)
    expect(out).toMatch(/measured +passing: nothing passes; limit: passes, as before\n/)
    expect(out).toMatch(
      /It was rolled-back: 1 site had got it.*; version \d+ is version \d+ again\.\nhq: tunnel hq-branch does not pass any more\.\n$/,
    )
    expect(mtus()).toEqual([undefined, undefined])
  })

  test('without a yes nothing happens', async () => {
    const file = await fileWith(1400)
    const before = await managed.json('network', 'export')
    const unasked = await run('apply', file)
    expect(unasked).toMatchObject({ code: EXIT.usage, err: expect.stringContaining(`isthmus apply ${file} --yes`) })
    const no = await managed.runWith({ io: { ask: async () => false } }, 'apply', file)
    expect(no).toMatchObject({ code: EXIT.failed, err: expect.stringContaining('nothing was changed') })
    expect(await managed.json('network', 'export')).toEqual(before)
    expect(await managed.json('rollout', 'list')).toEqual({ items: [] })
  })

  test('what would do harm is shown, and refused unless it is forced', async () => {
    const file = join(managed.home, 'cut.yaml')
    const { tunnels: _, ...rest } = await managed.json('network', 'export')
    writeFileSync(file, JSON.stringify({ ...rest, tunnels: [], preferences: { topology: 'none' } }))
    const refused = await run('apply', file, '--yes')
    expect(refused.out).toMatch(/\nWithout the tunnels hq-branch\n/)
    expect(refused).toMatchObject({ code: EXIT.findings, err: expect.stringContaining(`apply ${file} --force`) })
    const plain = await run('apply', file, '--yes', '--json')
    expect(plain).toMatchObject({ code: EXIT.findings, err: expect.stringContaining('would reach nothing any more') })
    expect((await run('apply', file, '--yes', '--force')).code).toBe(EXIT.ok)
    expect([left.document.tunnels, right.document.tunnels]).toEqual([[], []])
  })

  test('--json is one document', async () => {
    const { code, out, err } = await run('apply', await fileWith(1400), '--yes', '--json')
    expect({ code, err }).toEqual({ code: EXIT.ok, err: '' })
    expect(JSON.parse(out)).toMatchObject({ state: 'done', counts: { sites: 2, in: 2 }, sites: [{ in: true }, {}] })
  })

  test('on a terminal it draws over itself, and tells whom it waits for', async () => {
    const io = { isTty: true, columns: 60 }
    let rounds = 0
    managed.onPause = async () => {
      // Both are told of it and take their time.
      if (rounds++ > 2) return live()
      await managed.world.services.scheduler.tick()
    }
    const { code, err } = await managed.runWith({ io }, 'apply', await fileWith(1400), '--yes')
    expect(code).toBe(EXIT.ok)
    const drawn = stripVTControlCharacters(err)
    expect(drawn).toMatch(/ {2}(hq|branch) has not said how it is\n/)
    expect(drawn).toMatch(/watching 1 of 2 sites, \w+ to go \(\w+\)\n/)
    expect(Math.max(...drawn.split('\n').map((line) => line.length))).toBeLessThan(60)
  })

  test('what does not fit is told with its place; what changes nothing, and a viewer, are refused', async () => {
    const file = await fileWith(1400)
    const bad = join(managed.home, 'bad.yaml')
    writeFileSync(bad, 'sites:\n  - name: HQ\n    prefixes: [10.1.0.0/16]\ntunels: []\n')
    const faulty = await run('apply', bad, '--yes')
    expect(faulty.code).toBe(EXIT.badConfig)
    expect(faulty.err).toMatch(/bad\.yaml:2:11: sites\[0\]\.name: /)
    expect(faulty.err).toMatch(/bad\.yaml:4:1: tunels: there is no such key; did you mean tunnels\?/)
    const same = join(managed.home, 'same.yaml')
    writeFileSync(same, await managed.text('network', 'export'))
    expect(await run('apply', same, '--yes')).toMatchObject({
      code: EXIT.failed,
      err: expect.stringContaining('There is nothing to roll out'),
    })
    expect((await run('apply', file, '--yes', '--watch', '2h')).code).toBe(EXIT.usage)
    expect((await run('apply', file, '--yes', '--batch', '0')).code).toBe(EXIT.usage)
    managed.token = network.tokens.viewer
    expect((await run('apply', file, '--yes')).code).toBe(EXIT.permission)
  })
})

describe('rollback', () => {
  test('undoes the last one by another one, and goes to any version', async () => {
    const before = (await managed.json('network', 'export')).version
    await run('apply', await fileWith(1400), '--yes')
    const { code, out } = await run('rollback', '--yes')
    expect(code).toBe(EXIT.ok)
    expect(out).toMatch(new RegExp(`^Version ${before + 1} goes, version ${before} comes back\\.\n`))
    await live()
    expect(mtus()).toEqual([undefined, undefined])
    expect((await run('rollback', '--to', String(before + 1), '--yes')).code).toBe(EXIT.ok)
    await live()
    expect(mtus()).toEqual([1400, 1400])
    expect((await run('rollback', '--to', 'x')).code).toBe(EXIT.usage)
    expect((await run('rollback', '--to', '99', '--yes')).err).toContain('there is no version 99')
  })

  test('takes back what is under way', async () => {
    expect((await run('apply', await fileWith(1400), '--yes', '--no-wait')).out).toContain('isthmus rollout watch')
    for (let at = 0; at < 3; at++) await live()
    const { code, out } = await run('rollback', '--yes')
    expect(code).toBe(EXIT.ok)
    expect(out).toMatch(/^It goes back\.\n.*rolled back by token:tok_\w+\.\n$/s)
    expect(mtus()).toEqual([undefined, undefined])
  })

  test('of nothing is refused', async () => {
    await managed.refused(EXIT.failed, 'nothing was ever rolled out', 'rollback', '--yes')
  })
})

test('a rollout can be looked at, watched and aborted', async () => {
  await managed.refused(EXIT.failed, 'nothing was ever rolled out', 'rollout', 'status')
  expect(await managed.text('rollout', 'list')).toContain('Nothing was ever rolled out')
  const { id } = await managed.json('apply', await fileWith(1400), '--yes', '--no-wait')
  for (let at = 0; at < 2; at++) await live()
  const status = await managed.text('rollout', 'status')
  expect(status).toMatch(new RegExp(`^Rollout ${id}\n +state +watching 1 of 2 sites, \\w+ to go\n`))
  expect(status).toMatch(/SITE +HAS +WAITS FOR\nbranch +target\nhq +base\n/)
  expect((await managed.json('rollout', 'status', id)).id).toBe(id)
  expect(await managed.text('rollout', 'list')).toMatch(new RegExp(`\n${id} +watching +\\d+ to \\d+ +1/2 +\\w+ ago`))
  expect(await managed.text('rollout', 'abort')).toContain('is aborted: 1 site goes back')
  const watched = await run('rollout', 'watch', id)
  expect(watched.code).toBe(EXIT.wentBack)
  expect(watched.out).toMatch(/It was aborted: 1 site had got it/)
  await managed.refused(EXIT.failed, 'The rollout has ended already', 'rollout', 'abort')
  expect(mtus()).toEqual([undefined, undefined])
})

test('a control plane that is away for a while is waited for', async () => {
  const { fetch } = managed
  let away = 8
  managed.onPause = async () => {
    managed.fetch = away-- > 0 ? () => Promise.reject(new TypeError('fetch failed')) : fetch
    await live()
  }
  const { code, err } = await run('apply', await fileWith(1400), '--yes')
  expect(code).toBe(EXIT.ok)
  expect(err).toContain('the control plane does not answer; sites keep what they have, waiting for it\n')
})
