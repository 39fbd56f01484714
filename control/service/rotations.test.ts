/** Rotations and runs over the whole of store, services and API, with connectors that follow their documents. */
import { compactVerify, importJWK } from 'jose'
import { beforeEach, describe, expect, test } from 'vitest'
import { evidenceSchema } from '../../protocol/control/rotation.ts'
import { converge, TestConnector } from '../testing/connector.ts'
import { joinToken, makeNetwork, makePair, makeSite, must, type TestNetwork } from '../testing/network.ts'
import { createWorld, type World } from '../testing/world.ts'

const HOUR = 3_600_000

let world: World
let network: TestNetwork
let left: TestConnector
let right: TestConnector
let tunnel: string

beforeEach(async () => {
  world = await createWorld()
  network = await makeNetwork(world)
  ;({ left, right, tunnel } = await makePair(world, network))
  await converge(left, right)
})

const get = async (path: string) => must(await network.ask('GET', path), 200).body
const epoch = async () => (await get(`/tunnels/${tunnel}/status`)).epoch
const start = async (body: object = {}) => must(await network.ask('POST', '/runs', { body }), 201).body

async function opened(jws: string) {
  const { evidenceKey } = await get('')
  const key = await importJWK({ kty: 'OKP', crv: 'Ed25519', x: evidenceKey }, 'EdDSA')
  return evidenceSchema.parse(JSON.parse(new TextDecoder().decode((await compactVerify(jws, key)).payload)))
}

test('the first key begins by itself when both connectors are there', async () => {
  expect(await epoch()).toBe(1)
  expect((await get('/rotations')).items).toMatchObject([{ trigger: 'establish', state: 'done', to: 1 }])
})

test('twenty rotations in a row end well, each with evidence that the network has signed', async () => {
  for (let i = 0; i < 20; i++) {
    world.clock.now += HOUR
    const { run } = await start()
    await converge(left, right)
    expect(await get(`/runs/${run.id}`)).toMatchObject({ state: 'done', counts: { done: 1, aborted: 0 } })
    const [rotation] = (await get(`/rotations?run=${run.id}`)).items
    const evidence = await opened(rotation.evidence)
    expect(evidence).toMatchObject({
      rotation: rotation.id,
      outcome: 'done',
      startedBy: run.startedBy,
      packetsLost: 0,
      complete: true,
      oldKey: { epoch: i + 1, fingerprint: rotation.oldFingerprint },
      newKey: { epoch: i + 2, fingerprint: rotation.newFingerprint },
    })
    expect(evidence.packetsSent).toBeGreaterThan(0)
  }
  expect(await epoch()).toBe(21)
  expect(await get('/audit/verify')).toMatchObject({ intact: true })
})

test('a dry run says what would be, and changes nothing', async () => {
  const head = await world.repo.auditHead(network.id)
  const answer = await start({ dryRun: true })
  expect(answer).toEqual({ planned: [{ tunnel, name: 'hq-branch', from: 1, why: 'asked for' }], skipped: [] })
  expect(await world.repo.auditHead(network.id)).toEqual(head)
})

test('aborting a rotation leaves the old key, and says so in its evidence', async () => {
  await start()
  const [rotation] = (await get('/rotations?state=active')).items
  must(await network.ask('POST', `/rotations/${rotation.id}/abort`), 200)
  await converge(left, right)
  const after = await get(`/rotations/${rotation.id}`)
  expect(after).toMatchObject({ state: 'aborted' })
  expect(await opened(after.evidence)).toMatchObject({ outcome: 'aborted', oldKey: { epoch: 1 }, newKey: { epoch: 2 } })
  expect(await epoch()).toBe(1)
  expect(left.document.tunnels[0]!.epochs).toMatchObject([{ epoch: 1, phase: 'use' }])
  expect((await network.ask('POST', `/rotations/${rotation.id}/abort`)).body.code).toBe('rotation-finished')
  await start()
  await converge(left, right)
  expect(await epoch()).toBe(3)
})

test('a rotation whose ends do not answer is given up by the scheduled job', async () => {
  await start()
  world.clock.now += HOUR
  expect(await world.services.scheduler.tick()).toMatchObject({ rotationsLate: 1 })
  await converge(left, right)
  expect((await get('/rotations?state=aborted')).items).toHaveLength(1)
  expect(await epoch()).toBe(1)
})

test('a tunnel that is removed ends its rotation; one that is made again begins anew', async () => {
  await start()
  must(await network.ask('DELETE', `/tunnels/${tunnel}`, { headers: { 'if-match': '*' } }), 204)
  expect((await get('/rotations?state=active')).items).toEqual([])
  expect((await get('/runs')).items[0]).toMatchObject({ state: 'done', counts: { active: 0, aborted: 1 } })
  await converge(left, right)
  expect(left.document.tunnels).toEqual([])
  const sites = (await get('/sites')).items.map(({ id }: { id: string }) => id)
  tunnel = must(await network.ask('POST', '/tunnels', { body: { name: 'again', sites } }), 201).body.id
  await converge(left, right)
  expect(await epoch()).toBe(1)
})

describe('by policy', () => {
  const policy = (body: object) => network.ask('POST', '/policies', { body: { name: 'p', ...body } })

  test('by age: once when due, not again while its run goes on', async () => {
    must(await policy({ maxAgeHours: 24 }), 201)
    expect((await world.services.scheduler.tick()).runsBegun).toBe(0)
    world.clock.now += 25 * HOUR
    const ticks = await Promise.all([1, 2, 3].map(() => world.services.scheduler.tick()))
    expect(ticks.map(({ runsBegun }) => runsBegun).sort()).toEqual([0, 0, 1])
    await converge(left, right)
    expect((await get('/runs')).items).toMatchObject([{ state: 'done', startedBy: 'schedule' }])
    expect(await epoch()).toBe(2)
    expect((await world.services.scheduler.tick()).runsBegun).toBe(0)
  })

  test('by cron, within its windows', async () => {
    must(await policy({ cron: '0 0 * * *', windows: [{ cron: '0 3 * * *', minutes: 60 }] }), 201)
    world.clock.now = Date.UTC(2026, 0, 6, 0, 1)
    expect((await world.services.scheduler.tick()).runsBegun).toBe(0)
    world.clock.now = Date.UTC(2026, 0, 6, 3, 1)
    expect((await world.services.scheduler.tick()).runsBegun).toBe(1)
  })

  test('with a cron expression that is none, or no time at all: refused', async () => {
    expect((await policy({ cron: 'daily' })).body.errors).toMatchObject([{ pointer: '/cron' }])
    expect((await policy({ maxAgeHours: 1, windows: [{ cron: '61 * * * *', minutes: 1 }] })).body.errors).toMatchObject(
      [{ pointer: '/windows/0/cron' }],
    )
    expect((await policy({})).status).toBe(400)
  })
})

describe('a run over many tunnels', () => {
  let all: TestConnector[]

  beforeEach(async () => {
    const more: TestConnector[] = []
    for (const seed of [3, 4]) {
      const site = await makeSite(network, `s${seed}`, `10.${seed}0.0.0/16`, {
        endpoint: { address: `192.0.2.${seed}` },
      })
      more.push(await TestConnector.join(world, await joinToken(network, site), seed * 100))
    }
    all = [left, right, ...more]
    await converge(...all)
  })

  test('begins with the canary, then a few at once, and ends', async () => {
    const { run } = await start({ maxConcurrent: 2 })
    expect(run.counts).toEqual({ queued: 5, active: 1, done: 0, aborted: 0 })
    let most = 0
    for (let round = 0; round < 60; round++) {
      const { state, counts } = await get(`/runs/${run.id}`)
      most = Math.max(most, counts.active)
      if (state === 'done') break
      for (const connector of all) {
        connector.authenticate()
        must(await connector.report(), 200)
        await connector.follow()
      }
    }
    expect(await get(`/runs/${run.id}`)).toMatchObject({
      state: 'done',
      counts: { queued: 0, active: 0, done: 6, aborted: 0 },
    })
    expect(most).toBe(2)
  })

  test('stops when the canary fails, and leaves the others as they were', async () => {
    const { run } = await start()
    world.clock.now += HOUR
    await world.services.scheduler.tick()
    expect(await get(`/runs/${run.id}`)).toMatchObject({ state: 'stopped', reason: expect.stringContaining('canary') })
    await converge(...all)
    expect((await get(`/rotations?run=${run.id}&state=aborted`)).items).toHaveLength(6)
    expect(await epoch()).toBe(1)
  })

  test('aborted: what waits is dropped, what is under way goes back', async () => {
    const { run } = await start({ canary: false, maxConcurrent: 3 })
    const after = must(await network.ask('POST', `/runs/${run.id}/abort`), 200).body
    expect(after).toMatchObject({ state: 'aborted', counts: { queued: 0, active: 0, done: 0, aborted: 6 } })
    await converge(...all)
    expect((await get('/rotations?state=active')).items).toEqual([])
    expect((await network.ask('POST', `/runs/${run.id}/abort`)).body.code).toBe('run-finished')
    expect((await get('/intent')).tunnels).toHaveLength(6)
  })
})
