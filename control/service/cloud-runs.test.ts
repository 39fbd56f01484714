/** Connections to clouds by the API, with a model of AWS and a connector that has the tunnels. */
import { beforeEach, describe, expect, test } from 'vitest'
import { cloudEvidenceSchema } from '../../protocol/control/cloud.ts'
import { cloudDraft, cloudFailure, type TestCloud, TestSealing, withCloud } from '../testing/cloud.ts'
import { converge, type TestConnector } from '../testing/connector.ts'
import { makeNetwork, makePair, must, type TestNetwork } from '../testing/network.ts'
import { createWorld, type World } from '../testing/world.ts'
import { Verifier } from './signatures.ts'

let world: World
let network: TestNetwork
let left: TestConnector
let sealing: TestSealing
let cloud: TestCloud
let model: ReturnType<typeof withCloud>

beforeEach(async () => {
  model = withCloud()
  world = await createWorld({ clouds: model.clouds })
  cloud = model.cloud()
  network = await makeNetwork(world)
  const pair = await makePair(world, network)
  left = pair.left
  await converge(pair.left, pair.right)
  sealing = await TestSealing.of(left, model.cloud)
  await sealing.round()
})

async function make(more: object = {}): Promise<string> {
  return must(await network.ask('POST', '/clouds', { body: cloudDraft(more) }), 201).body.id
}

async function get(path: string) {
  return must(await network.ask('GET', path), 200).body
}

async function start(id: string, kind: string, more: object = {}): Promise<string> {
  return must(await network.ask('POST', `/clouds/${id}/runs`, { body: { kind, ...more } }), 201).body.id
}

async function turn(ms = 2_000): Promise<void> {
  await world.services.cloudRunner.tick()
  await sealing.round()
  world.clock.now += ms
}

async function finish(run: string, turns = 600) {
  for (let at = 0; at < turns; at++) {
    const now = await get(`/cloud-runs/${run}`)
    if (now.state !== 'running' && now.state !== 'aborting') return now
    await turn()
  }
  throw new Error(`never ended: ${JSON.stringify(await get(`/cloud-runs/${run}`))}`)
}

async function applied(more: object = {}): Promise<string> {
  const id = await make(more)
  expect((await finish(await start(id, 'apply'))).state).toBe('done')
  return id
}

async function actions(): Promise<string[]> {
  return (await get('/audit?limit=500')).items.map(({ action }: { action: string }) => action)
}

describe('a connection', () => {
  test('is applied, both tunnels are up at the connector, and applying again does nothing', async () => {
    const id = await make()
    expect(await get(`/clouds/${id}`)).toMatchObject({ state: 'new', tunnels: [], resources: [] })
    const run = await finish(await start(id, 'apply'))
    expect(run).toMatchObject({ state: 'done', progress: 1 })
    const present = await get(`/clouds/${id}`)
    expect(present).toMatchObject({ state: 'up', drift: [] })
    expect(present.tunnels).toMatchObject([
      { name: 'aws-1', connector: { state: 'up', passing: true, bgp: true }, key: { id: 'k1' } },
      { name: 'aws-2', connector: { state: 'up', passing: true, bgp: true }, key: { id: 'k1' } },
    ])
    expect(present.resources.every(({ made }: { made: boolean }) => made)).toBe(true)
    const calls = cloud.performed.length
    expect(await finish(await start(id, 'apply'))).toMatchObject({ state: 'done', steps: [] })
    expect(cloud.performed.length).toBe(calls)
  })

  test('is in the document of the connector that has the tunnels of the site, its keys sealed for it, and the same each time', async () => {
    await applied()
    const [one, two] = sealing.externals
    expect([one?.name, two?.name]).toEqual(['aws-1', 'aws-2'])
    expect(one?.routing).toMatchObject({ kind: 'bgp', advertise: ['10.1.0.0/16'], accept: ['172.31.0.0/16'] })
    const [text] = await sealing.keysOf(one!)
    expect(text).toMatch(/^[A-Za-z0-9._]{48}$/)
    const { version } = left.document
    for (let at = 0; at < 5; at++) await turn(70_000)
    expect(left.document.version).toBe(version)
  })

  test('keys are nowhere in what is told, stored, audited or logged', async () => {
    const id = await applied()
    await finish(await start(id, 'rotate'))
    const texts = (await Promise.all(sealing.externals.map((each) => sealing.keysOf(each)))).flat()
    const told = [
      await get(`/clouds/${id}`),
      await get(`/clouds/${id}/runs`),
      (await network.ask('GET', '/audit?format=ndjson')).body,
      await world.repo.get(network.id, 'cloud', id),
      await world.repo.get(network.id, 'cloudView', id),
      await world.repo.list(network.id, 'cloudRun', { limit: 10 }),
      await world.repo.list(network.id, 'secret', { limit: 10 }),
      world.log,
    ].map((each) => JSON.stringify(each))
    expect(texts).toHaveLength(2)
    for (const text of texts) for (const each of told) expect(each).not.toContain(text)
    // The old ones are gone with the rotation.
    expect((await world.repo.list(network.id, 'secret', { limit: 10 })).map(({ value }) => value.id.slice(-3))).toEqual(
      ['/k2', '/k2'],
    )
  })

  test('rotates both keys, one tunnel after the other, with signed evidence that nothing was lost', async () => {
    const id = await applied()
    const run = await finish(await start(id, 'rotate'))
    expect(run).toMatchObject({ state: 'done' })
    const { evidenceKey } = await get('')
    const evidence = await new Verifier().open(run.evidence, evidenceKey, cloudEvidenceSchema)
    expect(evidence).toMatchObject({ outcome: 'done', complete: true, run: run.id, cloud: id })
    expect(evidence?.traffic).toMatchObject({ missing: 0, dropped: 0 })
    expect(evidence?.traffic.outPackets).toBeGreaterThan(0)
    for (const tunnel of evidence?.tunnels ?? []) {
      expect(tunnel.oldKey).not.toBe(tunnel.newKey)
      expect(tunnel.idleMs).toBeGreaterThanOrEqual(3_000)
      expect(tunnel.backAt).toBeGreaterThan(tunnel.drainedAt!)
    }
    expect((await get(`/clouds/${id}`)).tunnels.map(({ key }: { key: { id: string } }) => key.id)).toEqual(['k2', 'k2'])
    expect(await actions()).toEqual(expect.arrayContaining(['cloudRuns.create', 'cloudRuns.step', 'cloudRuns.done']))
  })

  test('destroyed, it is gone, with its secrets, and its run tells how', async () => {
    const id = await applied()
    const run = await start(id, 'destroy')
    expect((await get(`/clouds/${id}`)).state).toBe('destroying')
    expect(await finish(run)).toMatchObject({ state: 'done', kind: 'destroy' })
    expect((await network.ask('GET', `/clouds/${id}`)).status).toBe(404)
    expect(cloud.aws.leftovers(id)).toEqual([])
    expect(await world.repo.list(network.id, 'secret', { limit: 10 })).toEqual([])
    await sealing.round()
    expect(left.document.externals).toBeUndefined()
  })
})

describe('runs', () => {
  test('are one at a time, and the second is told which one is under way', async () => {
    const id = await make()
    const run = await start(id, 'apply')
    const second = await network.ask('POST', `/clouds/${id}/runs`, { body: { kind: 'apply' } })
    expect(second).toMatchObject({ status: 409, body: { code: 'cloud-run-under-way' } })
    expect(second.body.detail).toContain(run)
    expect((await get(`/clouds/${id}/runs`)).items).toMatchObject([{ id: run, state: 'running' }])
  })

  test('that are aborted leave what is there, and the next one goes on from it', async () => {
    const id = await make()
    const run = await start(id, 'apply')
    for (let at = 0; at < 3; at++) await turn()
    must(await network.ask('POST', `/cloud-runs/${run}/abort`), 200)
    expect((await finish(run)).state).toBe('aborted')
    expect((await network.ask('POST', `/cloud-runs/${run}/abort`)).body.code).toBe('run-finished')
    expect((await finish(await start(id, 'apply'))).state).toBe('done')
    expect(cloud.aws.customerGateways).toHaveLength(1)
    expect(cloud.aws.vpnGateways).toHaveLength(1)
  })

  test('of a token that may only rotate', async () => {
    const id = await applied()
    const token = network.tokens.rotation
    const asked = (kind: string) => network.ask('POST', `/clouds/${id}/runs`, { token, body: { kind } })
    for (const kind of ['apply', 'fix', 'destroy']) expect((await asked(kind)).body.code).toBe('forbidden')
    const { id: run } = must(await asked('rotate'), 201).body
    expect((await network.ask('POST', `/cloud-runs/${run}/abort`, { token })).status).toBe(200)
    const apply = (await get(`/clouds/${id}/runs`)).items.find(({ kind }: { kind: string }) => kind === 'apply').id
    expect((await network.ask('POST', `/cloud-runs/${apply}/abort`, { token })).body.code).toBe('forbidden')
  })

  test.each(['credentials', 'forbidden', 'quota', 'invalid', 'unsupported'] as const)(
    'end with the reason where AWS says %s',
    async (kind) => {
      cloud.refuse = (call) => {
        if (call === 'create-vpn-gateway') throw cloudFailure(kind)
      }
      const run = await finish(await start(await make(), 'apply'))
      expect(run).toMatchObject({
        state: 'failed',
        error: { code: `cloud-${kind}`, remedy: `Do something about ${kind}.` },
      })
      expect(run.steps.at(-1)).toMatchObject({ action: 'create-vpn-gateway', state: 'failed' })
    },
  )

  test('go on through throttling and answers that are lost', async () => {
    let calls = 0
    cloud.refuse = (call) => {
      if (call !== 'look' && ++calls % 2 === 1) throw cloudFailure(calls % 4 === 1 ? 'later' : 'unknown')
    }
    const run = await finish(await start(await make(), 'apply'))
    expect(run.state).toBe('done')
    expect(Math.max(...run.steps.map(({ attempts }: { attempts: number }) => attempts))).toBeGreaterThan(1)
    expect([cloud.aws.customerGateways.length, cloud.aws.vpnGateways.length]).toEqual([1, 1])
  })

  test('wait for an AWS that does not answer, and say so', async () => {
    const id = await make()
    const run = await start(id, 'apply')
    cloud.refuse = () => {
      throw cloudFailure('later')
    }
    await turn()
    expect(await get(`/cloud-runs/${run}`)).toMatchObject({ state: 'running', waitingFor: 'AWS to answer' })
    cloud.refuse = () => {}
    expect((await finish(run)).state).toBe('done')
  })

  test('give an AWS that never answers ten minutes', async () => {
    const run = await start(await make(), 'apply')
    cloud.refuse = () => {
      throw cloudFailure('later')
    }
    for (let at = 0; at < 61; at++) await turn(10_000)
    expect(await get(`/cloud-runs/${run}`)).toMatchObject({ state: 'failed', error: { code: 'cloud-later' } })
  })

  test('end at once where nobody has given credentials', async () => {
    const run = await start(await make(), 'apply')
    cloud.refuse = () => {
      throw cloudFailure('credentials')
    }
    await turn()
    expect(await get(`/cloud-runs/${run}`)).toMatchObject({ state: 'failed', error: { code: 'cloud-credentials' } })
  })

  test('two processes over one store do nothing twice', async () => {
    const second = await createWorld({ repo: world.repo, seed: 99, clouds: model.clouds })
    const run = await start(await make(), 'apply')
    for (let at = 0; at < 400 && (await get(`/cloud-runs/${run}`)).state === 'running'; at++) {
      second.clock.now = world.clock.now
      const ticks = [world, second].map(({ services }) => services.cloudRunner.tick())
      await Promise.all(at % 2 === 0 ? ticks : ticks.reverse())
      await sealing.round()
      world.clock.now += 500
    }
    expect((await get(`/cloud-runs/${run}`)).state).toBe('done')
    const calls = cloud.performed.map(({ action }) => JSON.stringify(action))
    expect(new Set(calls).size).toBe(calls.length)
    expect(world.log.concat(second.log).filter(({ level }) => level === 'error')).toEqual([])
  })
})
