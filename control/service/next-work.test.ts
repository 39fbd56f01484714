import { beforeEach, expect, test } from 'vitest'
import { converge } from '../testing/connector.ts'
import { makeNetwork, makePair, must, type TestNetwork } from '../testing/network.ts'
import { createWorld, START, type World } from '../testing/world.ts'
import { nextWork } from './next-work.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

let world: World
let network: TestNetwork
beforeEach(async () => {
  world = await createWorld()
  network = await makeNetwork(world)
})

const next = () => nextWork(world.services.context, network.id)
const policy = (more: object) => network.ask('POST', '/policies', { body: { name: 'p', ...more } })

test('where nothing is planned, nothing is due', async () => {
  expect(await next()).toBeUndefined()
  must(await policy({ cron: '0 3 * * *', enabled: false }), 201)
  expect(await next()).toBeUndefined()
})

test.each([
  ['a cron expression has its next time', { cron: '30 12 * * *' }, START + 30 * MINUTE],
  ['ages are looked at now and then', { maxAgeHours: 24 }, START + 10 * MINUTE],
  [
    'outside of its windows, when the next one opens',
    { maxAgeHours: 24, windows: [{ cron: '0 14 * * *', minutes: 60 }] },
    START + 2 * HOUR,
  ],
  [
    'a time that comes outside of all windows, when one opens',
    { cron: '0 13 * * *', windows: [{ cron: '0 14 * * *', minutes: 60 }] },
    START + 2 * HOUR,
  ],
])('%s', async (_, draft, at) => {
  must(await policy(draft), 201)
  expect(await next()).toBe(at)
})

test('a rotation under way is due at its deadline', async () => {
  const { left, right } = await makePair(world, network)
  await converge(left, right)
  const { run } = must(await network.ask('POST', '/runs', { body: {} }), 201).body
  const { items } = must(await network.ask('GET', '/rotations'), 200).body
  const rotation = items.find((one: { run?: string }) => one.run === run.id)
  expect(await next()).toBe(rotation.deadline)
})

test('a job that runs when it is due leaves nothing due at that time: no alarm goes off in a circle', async () => {
  const { left, right } = await makePair(world, network)
  await converge(left, right)
  must(await policy({ cron: '30 12 * * *' }), 201)
  world.clock.now = (await next())!
  expect((await world.services.scheduler.tick()).runsBegun).toBe(1)
  expect(await next()).toBeGreaterThan(world.clock.now)
})

test('the sites of a rollout are looked at every few seconds, and when its state ends', async () => {
  const { left, right } = await makePair(world, network)
  await converge(left, right)
  const { version, ...intent } = must(await network.ask('GET', '/intent'), 200).body
  const tunnels = intent.tunnels.map((tunnel: object) => ({ ...tunnel, pathMtu: 1400 }))
  must(await network.ask('POST', '/rollouts', { body: { intent: { ...intent, version, tunnels } } }), 201)
  expect(await next()).toBe(world.clock.now + 5000)
  world.clock.now += 43_000
  expect(await next()).toBe(world.clock.now + 2000)
  world.clock.now += 2000
  expect(await next()).toBe(world.clock.now)
  // Both were there before, and have been silent since.
  await world.services.scheduler.tick()
  expect(must(await network.ask('GET', '/rollouts'), 200).body.items).toMatchObject([{ state: 'failed' }])
  expect(await next()).toBeUndefined()
})
