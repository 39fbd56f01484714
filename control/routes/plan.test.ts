import { beforeEach, describe, expect, test } from 'vitest'
import { planResultSchema } from '../../protocol/control/plan.ts'
import { TestConnector } from '../testing/connector.ts'
import { joinToken, makeNetwork, must, type TestNetwork } from '../testing/network.ts'
import { createWorld, type World } from '../testing/world.ts'

let world: World
let network: TestNetwork

beforeEach(async () => {
  world = await createWorld()
  network = await makeNetwork(world)
})

const SITES = [
  { name: 'hq', prefixes: ['10.1.0.0/16'] },
  { name: 'branch', prefixes: ['10.2.0.0/16'] },
  { name: 'lab', prefixes: ['10.3.0.0/16'] },
]
const TUNNELS = [
  { name: 'hq-branch', sites: ['hq', 'branch'] },
  { name: 'hq-lab', sites: ['hq', 'lab'] },
]
const ROUTING = { sites: [{ site: 'hq', hub: true }] }
const STAR = { preferences: { topology: 'none' }, sites: SITES, tunnels: TUNNELS, routing: ROUTING }
const CUT = { ...STAR, tunnels: TUNNELS.slice(0, 1) }

const plan = (body: object, token?: string) => network.ask('POST', '/plan', { body, ...(token ? { token } : {}) })
const put = async (body: object, query = '') =>
  network.ask('PUT', `/intent${query}`, { body, headers: { 'if-match': '*' } })
const intent = async () => must(await network.ask('GET', '/intent'), 200).body

describe('a plan', () => {
  test('tells what would be, to whoever may read, and changes nothing', async () => {
    const before = await intent()
    const audit = must(await network.ask('GET', '/audit'), 200).body
    const answer = must(await plan(STAR, network.tokens.viewer), 200)
    expect(planResultSchema.parse(answer.body)).toMatchObject({
      base: before.version,
      changes: true,
      blocked: false,
      totals: { sites: 3, prefixes: 3, routes: 6 },
    })
    expect((await plan(STAR, network.tokens.rotation)).status).toBe(403)
    expect(await intent()).toEqual(before)
    expect(must(await network.ask('GET', '/audit'), 200).body).toEqual(audit)
  })

  test('of a draft with faults is a problem with all of them', async () => {
    const routing = { sites: [{ site: 'nobody' }, { site: 'lab', owns: ['10.2.1.0/24'] }] }
    const answer = await plan({ ...STAR, routing })
    expect([answer.status, answer.body.errors]).toEqual([
      400,
      [
        { pointer: '/routing/sites/0/site', detail: 'there is no site nobody' },
        {
          pointer: '/routing/sites/1/owns/0',
          detail: '10.2.1.0/24 of lab overlaps 10.2.0.0/16, which branch owns',
        },
      ],
    ])
    expect((await plan({ ...STAR, version: 99 })).body).toMatchObject({ code: 'stale' })
  })
})

describe('the intent', () => {
  test('that would cut a site off is refused with the reason, unless it is meant', async () => {
    must(await put(STAR), 200)
    const refused = await put(CUT)
    expect(refused).toMatchObject({ status: 409, body: { code: 'plan-blocked' } })
    const detail = 'lab would reach nothing any more; now it reaches 2 prefixes of other sites.'
    expect(refused.body.errors).toEqual([{ pointer: '', detail }])
    expect(must(await put(CUT, '?force=true'), 200).body.tunnels).toHaveLength(1)
    const { items } = must(await network.ask('GET', '/audit'), 200).body
    expect(items.at(-1)).toMatchObject({ action: 'intent.replace', after: { force: true } })
    expect((await put(CUT, '?force=perhaps')).status).toBe(400)
  })

  test('read again is what was written, with a number for each, and comes to no change', async () => {
    must(await put(STAR), 200)
    const read = await intent()
    expect(
      read.routing.sites.map(({ number, hub }: { number: number; hub?: boolean }) => [number, hub]).sort(),
    ).toEqual([
      [0, true],
      [1, undefined],
      [2, undefined],
    ])
    expect(read.routing.tunnels.map(({ number }: { number: number }) => number).sort()).toEqual([0, 1])
    const { version } = must(await put(read), 200).body
    expect(version).toBe(read.version)
    const without = must(await put({ ...STAR, routing: undefined }), 200).body
    expect(without).not.toHaveProperty('routing')
    expect(must(await network.ask('GET', `/intent?version=${version}`), 200).body).toEqual(read)
  })
})

describe('documents', () => {
  const ROUTES = { routing: { paths: [], refused: [] } }
  const joined = async (site: string, seed: number) => {
    const { items } = must(await network.ask('GET', '/sites'), 200).body
    const { id } = items.find(({ name }: { name: string }) => name === site)
    return TestConnector.join(world, await joinToken(network, id), seed)
  }

  test('have routing where the intent has, and both ends of a tunnel can', async () => {
    must(await put(STAR), 200)
    const hq = await joined('hq', 1)
    const branch = await joined('branch', 2)
    const lab = await joined('lab', 3)
    const sites = () => hq.document.routing?.neighbours.map(({ site }) => site).sort()
    await hq.follow()
    expect(hq.document).not.toHaveProperty('routing')
    await hq.report(ROUTES)
    await branch.report(ROUTES)
    for (const connector of [hq, branch, lab]) await connector.follow()
    expect(sites()).toEqual(['branch'])
    expect(branch.document.routing).toMatchObject({ transit: false, advertise: ['10.2.0.0/16'] })
    expect(lab.document).not.toHaveProperty('routing')
    await lab.report(ROUTES)
    for (const connector of [hq, lab]) await connector.follow()
    expect(sites()).toEqual(['branch', 'lab'])

    // One that cannot any more has its tunnel back as it was.
    await branch.report()
    for (const connector of [hq, branch]) await connector.follow()
    expect(sites()).toEqual(['lab'])
    expect(branch.document).not.toHaveProperty('routing')
    const named = new Set(hq.document.routing!.groups.map(({ name }) => name))
    expect(named.has(`of-${lab.document.routing!.as - 4_200_000_000}`)).toBe(true)
    expect(named.has('of-1') && named.has('of-2')).toBe(false)

    must(await put({ ...STAR, routing: undefined }), 200)
    for (const connector of [hq, lab]) await connector.follow()
    expect(hq.document).not.toHaveProperty('routing')
  })

  test('change for those alone whom a change of routing concerns', async () => {
    must(await put(STAR), 200)
    const connectors = [await joined('hq', 1), await joined('branch', 2), await joined('lab', 3)]
    for (const connector of connectors) await connector.report(ROUTES)
    const versions = async () => {
      for (const connector of connectors) await connector.follow()
      return connectors.map(({ document }) => document.version)
    }
    const before = await versions()
    const limited = { ...ROUTING, tunnels: [{ tunnel: 'hq-lab', maxPrefixes: 10 }] }
    must(await put({ ...STAR, routing: limited }), 200)
    const after = await versions()
    expect(after.map((version, at) => version - before[at]!)).toEqual([1, 0, 1])
    const told = { ...limited, sites: [...ROUTING.sites, { site: 'branch', advertises: [] }] }
    must(await put({ ...STAR, routing: told }), 200)
    expect((await versions()).map((version, at) => version - after[at]!)).toEqual([1, 1, 1])
  })
})
