/** Rollouts over the whole of store, services and API, with connectors that follow their documents. */
import { beforeEach, describe, expect, test } from 'vitest'
import type { ConnectorDocument } from '../../protocol/control/document.ts'
import type { Intent } from '../../protocol/control/intent.ts'
import type { PathHealth } from '../../protocol/control/routing.ts'
import { TestConnector } from '../testing/connector.ts'
import { joinToken, makeNetwork, makeStar, must, type TestNetwork } from '../testing/network.ts'
import { createWorld, type World } from '../testing/world.ts'

const SITES = ['hub', 'a', 'b', 'c', 'd'] as const
type Name = (typeof SITES)[number]

let world: World
let network: TestNetwork
let all: Record<Name, TestConnector>
/** By tunnel name: what its ends say of it besides that it passes. */
let paths: Record<string, Partial<PathHealth>>
let silent: Set<Name>
/** Sites that do not carry out what they are told. */
let stuck: Set<Name>
let refused: Partial<Record<Name, string[]>>
/** Sites that have ever had a path MTU of 1400. */
let reached: Set<Name>

/** A hub, and four sites with one tunnel to it each. */
beforeEach(async () => {
  world = await createWorld()
  network = await makeNetwork(world)
  all = await makeStar(world, network, SITES)
  paths = {}
  silent = new Set()
  stuck = new Set()
  refused = {}
  reached = new Set()
})

const get = async (path: string) => must(await network.ask('GET', path), 200).body
const intent = (): Promise<Intent> => get('/intent')
const start = async (body: object, status = 201) => must(await network.ask('POST', '/rollouts', { body }), status).body

/** The path MTU of every tunnel, which is each end's own. */
async function withMtu(pathMtu: number, only?: string): Promise<object> {
  const { version, ...rest } = await intent()
  const tunnels = rest.tunnels.map((tunnel) =>
    only === undefined || tunnel.name === only ? { ...tunnel, pathMtu } : tunnel,
  )
  return { ...rest, version, tunnels }
}

function pathsOf({ document }: TestConnector): PathHealth[] {
  return document.tunnels.map(({ id, name }) => ({ tunnel: id, passing: true, ...paths[name] }))
}

/** Everybody reports and follows, then the scheduled job runs; ten seconds pass. */
async function round(): Promise<void> {
  for (const name of SITES) {
    const connector = all[name]
    if (silent.has(name)) continue
    connector.authenticate()
    if (!stuck.has(name)) await connector.follow()
    if (mtuOf(name).includes(1400)) reached.add(name)
    connector.sent += 1000
    const routing = { paths: pathsOf(connector), refused: refused[name] ?? [], everyMs: 10_000 }
    must(await connector.report({ routing }), 200)
  }
  await world.services.scheduler.tick()
  world.clock.now += 10_000
}

async function until(states: readonly string[], id: string, rounds = 100): Promise<{ state: string; reason?: string }> {
  for (let at = 0; at < rounds; at++) {
    const rollout = await get(`/rollouts/${id}`)
    if (states.includes(rollout.state)) return rollout
    await round()
  }
  throw new Error(`never ${states.join(' or ')}: ${JSON.stringify(await get(`/rollouts/${id}`))}`)
}

const ENDS = ['done', 'rolled-back', 'aborted', 'failed']
const mtuOf = (name: Name) => all[name].document.tunnels.map(({ pathMtu }) => pathMtu)
const contentOf = ({ version: _, ...content }: ConnectorDocument) => content
const contents = () => Object.fromEntries(SITES.map((name) => [name, contentOf(all[name].document)]))
const audited = async (prefix: string): Promise<string[]> => {
  const { items } = await get('/audit?limit=500')
  return items.map(({ action }: { action: string }) => action).filter((action: string) => action.startsWith(prefix))
}

test('the canary goes first, then batches that double; then the intent may change again', async () => {
  const rollout = await start({ intent: await withMtu(1400), batchPercent: 50 })
  expect(rollout).toMatchObject({ state: 'planned', canary: 'a', counts: { sites: 5, in: 0 }, step: 0 })
  expect((await intent()).version).toBe(rollout.target)
  const seen = new Set<number>()
  for (let at = 0; at < 60; at++) {
    const { state, counts } = await get(`/rollouts/${rollout.id}`)
    seen.add(counts.in)
    if (state === 'done') break
    await round()
  }
  expect([...seen]).toEqual([0, 1, 3, 5])
  await round()
  expect(mtuOf('hub')).toEqual([1400, 1400, 1400, 1400])
  expect(await audited('rollouts.')).toEqual([
    'rollouts.create',
    ...['rollouts.canary', 'rollouts.watching', 'rollouts.batch', 'rollouts.watching', 'rollouts.batch'],
    ...['rollouts.watching', 'rollouts.done'],
  ])
  expect(await get('/audit/verify')).toMatchObject({ intact: true })
  must(await network.ask('PUT', '/preferences', { body: { topology: 'mesh' }, headers: { 'if-match': '*' } }), 200)
})

test('sites are asked how they are where the rollout waits for no more than their word', async () => {
  await round()
  const { id } = await start({ intent: await withMtu(1400), watch: { canarySeconds: 20, batchSeconds: 0 } })
  const asked = async () => {
    world.hub.asked.length = 0
    await world.services.scheduler.tick()
    return [...world.hub.asked]
  }
  const ids = Object.fromEntries(SITES.map((name) => [name, all[name].document.connector]))
  expect((await asked()).sort()).toEqual(Object.values(ids).sort())
  // Not again in the same second.
  expect(await asked()).toEqual([])
  await until(['watching'], id)
  expect(await asked()).toEqual([])
  world.clock.now += 20_000
  expect(await asked()).toEqual([ids.a])
  await until(['done'], id)
  expect(await asked()).toEqual([])
})

test('only sites that have the target get it: the others keep their documents', async () => {
  const before = contents()
  const { id } = await start({ intent: await withMtu(1400), canary: 'c' })
  await until(['watching'], id)
  expect(mtuOf('c')).toEqual([1400])
  expect(contents()).toEqual({ ...before, c: contentOf(all.c.document) })
  const detail = await get(`/rollouts/${id}`)
  expect(detail.sites.map(({ name }: { name: string }) => name)).toEqual(['c', 'a', 'b', 'd', 'hub'])
})

describe('what is wrong with the canary takes it back, and nobody else has had it', () => {
  const cases: Record<string, [trouble: () => void, reason: RegExp]> = {
    'its tunnel does not pass': [() => (paths['hub-a'] = { passing: false }), /^a: tunnel hub-a does not pass/],
    'it loses packets': [() => (paths['hub-a'] = { lossIn: 0.04 }), /^a: tunnel hub-a loses 4 % .* 1 % is the limit/],
    'it refuses': [() => (refused.a = ['10.9.0.0/16 is not ours']), /^a has refused: 10\.9\.0\.0/],
    'it is silent': [() => void silent.add('a'), /^a has been silent for \d+ s, and 30 s/],
    'it does not carry it out': [() => void stuck.add('a'), /^a carries out version \d+ .*, not \d+/],
  }
  test.each(Object.entries(cases))('%s', async (_, [trouble, reason]) => {
    await round()
    const before = contents()
    const base = await intent()
    const { id } = await start({ intent: await withMtu(1400) })
    await until(['canary'], id)
    trouble()
    const ended = await until(ENDS, id)
    expect([...reached]).toEqual(stuck.has('a') || silent.has('a') ? [] : ['a'])
    expect(ended.state).toBe('rolled-back')
    expect(ended.reason).toMatch(reason)
    stuck.clear()
    silent.clear()
    await round()
    expect(contents()).toEqual(before)
    const { version, ...restored } = await intent()
    expect({ ...restored, version: base.version }).toEqual(base)
    expect(version).toBe(base.version + 2)
  })
})

describe('BGP sessions', () => {
  const bgp = (established: boolean, flaps: number) => ({
    bgp: { established, flaps, received: 1, accepted: 1, advertised: 1 },
  })

  test('that were established must be so again', async () => {
    paths['hub-a'] = bgp(true, 3)
    await round()
    const { id } = await start({ intent: await withMtu(1400) })
    await until(['canary'], id)
    paths['hub-a'] = bgp(false, 4)
    expect((await until(ENDS, id)).reason).toBe('a: tunnel hub-a has no BGP session any more')
  })

  test('that flap while they are watched take it back; a reset by the change itself does not', async () => {
    paths['hub-a'] = bgp(true, 3)
    await round()
    const { id } = await start({ intent: await withMtu(1400) })
    await until(['canary'], id)
    paths['hub-a'] = bgp(true, 4)
    await until(['watching'], id)
    await round()
    expect((await get(`/rollouts/${id}`)).state).toBe('watching')
    paths['hub-a'] = bgp(true, 5)
    expect((await until(ENDS, id)).reason).toBe('a: tunnel hub-a has lost its BGP session 1 times since watching began')
  })
})

test('a later batch that fails takes all back', async () => {
  const before = contents()
  const { id } = await start({ intent: await withMtu(1400), watch: { canarySeconds: 10, batchSeconds: 10 } })
  for (let at = 0; at < 40 && (await get(`/rollouts/${id}`)).counts.in < 3; at++) await round()
  paths['hub-b'] = { passing: false }
  expect(await until(ENDS, id)).toMatchObject({ state: 'rolled-back', counts: { in: 3 } })
  paths = {}
  await round()
  expect(contents()).toEqual(before)
})

test('a tunnel that did not pass before is not held against it, nor a site that is away', async () => {
  paths['hub-a'] = { passing: false }
  silent.add('b')
  const { id } = await start({ intent: await withMtu(1400) })
  expect(await until(ENDS, id)).toMatchObject({ state: 'done', counts: { in: 5, away: 1 } })
})

test('a canary that is away changes nothing anywhere', async () => {
  const before = contents()
  silent.add('a')
  world.clock.now += 60_000
  const { id, base } = await start({ intent: await withMtu(1400), canary: 'a' })
  expect(await until(ENDS, id)).toMatchObject({ state: 'failed', counts: { in: 0 }, restored: base + 2 })
  silent.clear()
  await round()
  expect(contents()).toEqual(before)
})

describe('tunnels that come and go', () => {
  test('are there at both ends once one of them has the target', async () => {
    const { tunnels, version, ...rest } = await intent()
    const name = (id: string) => rest.sites.find((site) => site.id === id)!.name
    const id = (of: string) => rest.sites.find((site) => site.name === of)!.id
    const kept = tunnels.filter(({ sites }) => !sites.map(name).includes('d'))
    const wanted = { ...rest, version, tunnels: [...kept, { name: 'c-d', sites: [id('c'), id('d')] }] }
    const before = contents()
    const rollout = await start({ intent: wanted, canary: 'd' })
    await until(['watching'], rollout.id)
    const names = (of: Name) => all[of].document.tunnels.map((tunnel) => tunnel.name).sort()
    expect({ d: names('d'), c: names('c'), hub: names('hub') }).toEqual({
      d: ['c-d'],
      c: ['c-d', 'hub-c'],
      hub: ['hub-a', 'hub-b', 'hub-c'],
    })
    const fresh = all.d.document.tunnels[0]!
    expect(fresh.epochs).toMatchObject([{ epoch: 1 }])
    must(await network.ask('POST', `/rollouts/${rollout.id}/abort`), 200)
    await until(ENDS, rollout.id)
    await round()
    // With the keys that they had.
    expect(contents()).toEqual(before)
    const again = await start({ intent: { ...wanted, version: (await intent()).version } })
    expect(await until(ENDS, again.id)).toMatchObject({ state: 'done' })
    expect(await get(`/tunnels/${tunnels.find(({ name: own }) => own === 'hub-a')!.id}/status`)).toMatchObject({
      epoch: 1,
    })
  })
})

describe('prefixes that move from one site to another', () => {
  test('belong to one of them at any time, and a swap happens at once', async () => {
    const { sites, version, ...rest } = await intent()
    const swapped: Record<string, string> = { a: '10.2.0.0/16', b: '10.1.0.0/16' }
    const wanted = {
      ...rest,
      version,
      sites: sites.map((site) => ({ ...site, prefixes: [swapped[site.name] ?? site.prefixes[0]!] })),
    }
    const { id } = await start({ intent: wanted })
    const seen = new Set<string>()
    for (let at = 0; at < 60 && (await get(`/rollouts/${id}`)).state !== 'done'; at++) {
      await round()
      const { tunnels } = all.hub.document
      const of = (name: string) => tunnels.find((tunnel) => tunnel.peer.site === name)!.peer.prefixes.join()
      seen.add(`${of('a')} ${of('b')}`)
    }
    expect([...seen]).toEqual(['10.1.0.0/16 10.2.0.0/16', '10.2.0.0/16 10.1.0.0/16'])
    expect(all.a.document.site.prefixes).toEqual(['10.2.0.0/16'])
  })
})

describe('what is refused', () => {
  const code = async (body: object) => (await network.ask('POST', '/rollouts', { body })).body.code

  test('while one is under way: every other change, another rollout, and joining a site that is new in it', async () => {
    const whole = await withMtu(1400)
    const fresh = { name: 'new', prefixes: ['10.77.0.0/16'] }
    const sites = [...(whole as Intent).sites, fresh]
    const { id } = await start({ intent: { ...whole, sites } })
    const headers = { 'if-match': '*' }
    const body = { name: 'other', prefixes: ['10.78.0.0/16'] }
    expect((await network.ask('POST', '/sites', { body })).body).toMatchObject({
      code: 'rollout-under-way',
      detail: expect.stringContaining(id),
    })
    for (const [method, path, given] of [
      ['PUT', '/intent', await intent()],
      ['PUT', '/preferences', { topology: 'mesh' }],
      ['DELETE', `/tunnels/${(await intent()).tunnels[0]!.id}`, undefined],
    ] as const) {
      expect((await network.ask(method, path, { body: given, headers })).body.code).toBe('rollout-under-way')
    }
    expect(await code({ intent: await withMtu(1300) })).toBe('rollout-under-way')
    const site = (await intent()).sites.find(({ name }) => name === 'new')!.id
    const joining = TestConnector.join(world, await joinToken(network, site), 900)
    await expect(joining).rejects.toThrow(/rollout-under-way/)
    await until(ENDS, id)
    await TestConnector.join(world, await joinToken(network, site), 900)
  })

  test('a change that would cut a site off, unless it is forced', async () => {
    const whole = await intent()
    const cut = { ...whole, tunnels: whole.tunnels.filter(({ name }) => name !== 'hub-d') }
    const { status, body } = await network.ask('POST', '/rollouts', { body: { intent: cut } })
    expect([status, body.code]).toEqual([409, 'plan-blocked'])
    expect(body.detail).toMatch(/\bd\b/)
    expect((await intent()).version).toBe(whole.version)
    const { id } = await start({ intent: cut, force: true, canary: 'hub' })
    expect(await until(ENDS, id)).toMatchObject({ state: 'done', force: true })
    expect(all.d.document.tunnels).toEqual([])
  })

  test('nothing to do, a canary without a part, both or neither of intent and version', async () => {
    expect(await code({ intent: await intent() })).toBe('nothing-to-roll-out')
    expect(await code({ version: (await intent()).version })).toBe('nothing-to-roll-out')
    const wrong = await network.ask('POST', '/rollouts', {
      body: { intent: await withMtu(1400, 'hub-a'), canary: 'b' },
    })
    expect(wrong.body).toMatchObject({ code: 'invalid-request', errors: [{ pointer: '/canary' }] })
    expect(wrong.body.detail).toBe('b is none of the sites that have something to do: a, hub')
    expect(await code({})).toBe('invalid-request')
    expect(await code({ version: 1, intent: await intent() })).toBe('invalid-request')
    expect(await code({ version: 99 })).toBe('not-found')
    const stale = await network.ask('POST', '/rollouts', { body: { intent: { ...(await intent()), version: 1 } } })
    expect(stale.body).toMatchObject({ code: 'stale', errors: [{ pointer: '/intent/version' }] })
    expect((await get('/rollouts')).items).toEqual([])
  })
})

describe('by hand', () => {
  test('an abort takes those back that have it', async () => {
    const before = contents()
    const { id } = await start({ intent: await withMtu(1400) })
    await until(['watching'], id)
    expect(must(await network.ask('POST', `/rollouts/${id}/abort`), 200).body.state).toBe('rolling-back')
    expect((await network.ask('POST', `/rollouts/${id}/abort`)).body.code).toBe('rollout-finished')
    const ended = await until(ENDS, id)
    expect(ended).toMatchObject({ state: 'aborted', reason: expect.stringMatching(/^aborted by token:tok_/) })
    expect(contents()).toEqual(before)
  })

  test('one that is done is rolled back by another one, while nothing has changed since', async () => {
    const before = contents()
    const first = await start({ intent: await withMtu(1400) })
    await until(ENDS, first.id)
    const back = must(await network.ask('POST', `/rollouts/${first.id}/rollback`), 200).body
    expect(back).toMatchObject({ state: 'planned', base: first.target })
    expect(back.id).not.toBe(first.id)
    await until(ENDS, back.id)
    await round()
    expect(contents()).toEqual(before)
    expect((await network.ask('POST', `/rollouts/${first.id}/rollback`)).body.code).toBe('rollout-superseded')
    const third = await start({ version: first.target })
    await until(ENDS, third.id)
    await round()
    expect(mtuOf('a')).toEqual([1400])
    expect((await get('/rollouts')).items).toHaveLength(3)
    expect((await get('/rollouts?state=active')).items).toEqual([])
  })
})

test('a change that no connector has a part in is done at once', async () => {
  const whole = await intent()
  const rollout = await start({ intent: { ...whole, preferences: { topology: 'mesh' } } })
  expect(await until(ENDS, rollout.id, 3)).toMatchObject({ state: 'done', counts: { sites: 0 } })
})
