/** Rollouts of routing: BGP comes up tunnel by tunnel as both ends have it, and goes the same way. */
import { beforeEach, expect, test } from 'vitest'
import type { PathHealth } from '../../protocol/control/routing.ts'
import type { TestConnector } from '../testing/connector.ts'
import { makeNetwork, makeStar, must, type TestNetwork } from '../testing/network.ts'
import { createWorld, type World } from '../testing/world.ts'

const SITES = ['hub', 'a', 'b'] as const
type Name = (typeof SITES)[number]

let world: World
let network: TestNetwork
let all: Record<Name, TestConnector>
/** BFD interval with which no session comes up. */
let deafAt: number | undefined

beforeEach(async () => {
  world = await createWorld()
  network = await makeNetwork(world)
  all = await makeStar(world, network, SITES)
  deafAt = undefined
})

const get = async (path: string) => must(await network.ask('GET', path), 200).body
const neighbours = (name: Name): string[] | undefined => {
  const { routing, tunnels } = all[name].document
  return routing?.neighbours.map((one) => tunnels.find(({ id }) => id === one.tunnel)!.name).sort()
}

/** A session is established where both ends have it, and nothing keeps it down. */
function pathsOf(name: Name): PathHealth[] {
  return all[name].document.tunnels.map(({ id, name: tunnel, peer }) => {
    if (neighbours(name)?.includes(tunnel) !== true) return { tunnel: id, passing: true }
    const deaf = all[name].document.routing?.neighbours.some(({ bfd }) => bfd?.intervalMs === deafAt)
    const established = neighbours(peer.site as Name)?.includes(tunnel) === true && !(deafAt !== undefined && deaf)
    return { tunnel: id, passing: true, bgp: { established, flaps: 0, received: 1, accepted: 1, advertised: 1 } }
  })
}

async function round(): Promise<void> {
  for (const name of SITES) {
    all[name].authenticate()
    await all[name].follow()
  }
  for (const name of SITES) {
    must(await all[name].report({ routing: { paths: pathsOf(name), refused: [], everyMs: 10_000 } }), 200)
  }
  await world.services.scheduler.tick()
  world.clock.now += 10_000
}

async function rollOut(intent: object, canary?: string) {
  const { version } = await get('/intent')
  const body = { intent: { ...intent, version }, ...(canary === undefined ? {} : { canary }), batchPercent: 33 }
  const { id } = must(await network.ask('POST', '/rollouts', { body }), 201).body
  const seen: string[] = []
  for (let at = 0; at < 80; at++) {
    const rollout = await get(`/rollouts/${id}`)
    const told = `${rollout.counts.in}: ${SITES.map((name) => `${name} ${neighbours(name)?.join('+') ?? '-'}`).join(', ')}`
    if (seen.at(-1) !== told) seen.push(told)
    if (['done', 'rolled-back', 'failed'].includes(rollout.state)) return { rollout, seen }
    await round()
  }
  throw new Error('it never ends')
}

test('comes in a tunnel when both of its ends have it, and is taken back the same way', async () => {
  await round()
  const before = await get('/intent')
  const routing = { sites: [{ site: 'hub', hub: true }] }
  const { rollout, seen } = await rollOut({ ...before, routing }, 'a')
  expect(rollout).toMatchObject({ state: 'done', counts: { sites: 3, away: 0 } })
  await round()
  expect([...new Set(seen.map((line) => line.slice(3)))]).toEqual([
    'hub -, a -, b -',
    'hub -, a , b -',
    'hub -, a , b ',
    'hub hub-a+hub-b, a hub-a, b hub-b',
  ])
  const [one, other] = [all.a.document.routing!.neighbours[0]!, all.hub.document.routing!]
  const back = other.neighbours.find(({ tunnel }) => tunnel === one.tunnel)!
  expect([one.local, one.address, one.as]).toEqual([back.address, back.local, other.as])

  const undone = must(await network.ask('POST', `/rollouts/${rollout.id}/rollback`), 200).body
  for (let at = 0; at < 40 && (await get(`/rollouts/${undone.id}`)).state !== 'done'; at++) await round()
  expect((await get(`/rollouts/${undone.id}`)).state).toBe('done')
  await round()
  expect(SITES.map(neighbours)).toEqual([undefined, undefined, undefined])
  const { version: _, ...restored } = await get('/intent')
  const { version: __, ...was } = before
  expect(restored).toEqual(was)
})

test('a session that was established and does not come back takes a change of routing back', async () => {
  await round()
  const routing = { sites: [{ site: 'hub', hub: true }] }
  await rollOut({ ...(await get('/intent')), routing })
  await round()
  const before = await get('/intent')
  const documents = SITES.map((name) => JSON.stringify({ ...all[name].document, version: 0 }))
  const changed = { ...before, routing: { ...before.routing, bfd: { intervalMs: 100, multiplier: 3 } } }
  deafAt = 100
  const { rollout } = await rollOut(changed, 'b')
  expect(rollout).toMatchObject({ state: 'rolled-back', counts: { in: 1 } })
  expect(rollout.reason).toMatch(/^b: tunnel hub-b has no BGP session any more/)
  await round()
  expect(SITES.map((name) => JSON.stringify({ ...all[name].document, version: 0 }))).toEqual(documents)
})

test('numbers of sites and tunnels stay over a rollout and back', async () => {
  await round()
  const routing = { sites: [{ site: 'hub', hub: true }] }
  const { rollout } = await rollOut({ ...(await get('/intent')), routing })
  const first = await get('/intent')
  must(await network.ask('POST', `/rollouts/${rollout.id}/rollback`), 200)
  for (let at = 0; at < 40 && (await get('/rollouts?state=active')).items.length > 0; at++) await round()
  must(await network.ask('POST', '/rollouts', { body: { version: first.version } }), 201)
  for (let at = 0; at < 40 && (await get('/rollouts?state=active')).items.length > 0; at++) await round()
  expect((await get('/intent')).routing).toEqual(first.routing)
})

test('what a site announces from now on, all take as soon as it has its turn, and as long as they have not had theirs', async () => {
  await round()
  const told = (prefix: string) => ({
    sites: [
      { site: 'hub', hub: true },
      { site: 'a', advertises: [{ prefixes: [prefix] }] },
    ],
  })
  await rollOut({ ...(await get('/intent')), routing: told('10.1.0.0/24') })
  await round()
  const taken = (name: Name) => {
    const { groups, neighbours: all } = documentOf(name).routing!
    const named = new Set(all.flatMap(({ receive }) => receive.map(({ group }) => group)))
    const ranges = groups.filter(({ name: group }) => named.has(group)).flatMap(({ origins }) => origins)
    return [...new Set(ranges.flatMap(({ ranges: of }) => of.map(({ prefix }) => prefix)))].sort()
  }
  const documentOf = (name: Name) => all[name].document
  expect(taken('b')).toEqual(['10.0.0.0/16', '10.1.0.0/24', '10.2.0.0/16'])
  const seen: string[][] = []
  const { version: _, ...intent } = await get('/intent')
  const { version } = await get('/intent')
  const body = { intent: { ...intent, version, routing: told('10.1.8.0/24') }, canary: 'a', batchPercent: 33 }
  const { id } = must(await network.ask('POST', '/rollouts', { body }), 201).body
  for (let at = 0; at < 80 && (await get(`/rollouts/${id}`)).state !== 'done'; at++) {
    await round()
    if (documentOf('a').routing!.advertise.join() !== seen.at(-1)?.[0] || taken('b').join() !== seen.at(-1)?.[1]) {
      seen.push([documentOf('a').routing!.advertise.join(), taken('b').join()])
    }
  }
  await round()
  expect(seen).toEqual([
    ['10.1.0.0/24', '10.0.0.0/16,10.1.0.0/24,10.2.0.0/16'],
    ['10.1.8.0/24', '10.0.0.0/16,10.1.0.0/24,10.1.8.0/24,10.2.0.0/16'],
    ['10.1.8.0/24', '10.0.0.0/16,10.1.8.0/24,10.2.0.0/16'],
  ])
  expect(SITES.flatMap((name) => documentOf(name).routing!.groups).some(({ name }) => name.startsWith('mixed'))).toBe(
    false,
  )
})
