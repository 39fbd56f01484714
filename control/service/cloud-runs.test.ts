/** Connections to clouds by the API, with a model of AWS and a connector that has the tunnels. */
import { beforeEach, describe, expect, test } from 'vitest'
import { cloudEvidenceSchema } from '../../protocol/control/cloud.ts'
import { cloudFailure } from '../testing/cloud.ts'
import { CloudSite } from '../testing/cloud-site.ts'
import { must } from '../testing/network.ts'
import { createWorld } from '../testing/world.ts'
import { Verifier } from './signatures.ts'

let at: CloudSite

beforeEach(async () => {
  at = await CloudSite.create()
})

describe('a connection', () => {
  test('is applied, both tunnels are up at the connector, and applying again does nothing', async () => {
    const id = await at.make()
    expect(await at.get(`/clouds/${id}`)).toMatchObject({ state: 'new', tunnels: [], resources: [] })
    const run = await at.finish(await at.start(id, 'apply'))
    expect(run).toMatchObject({ state: 'done', progress: 1 })
    const present = await at.get(`/clouds/${id}`)
    expect(present).toMatchObject({ state: 'up', drift: [] })
    expect(present.tunnels).toMatchObject([
      { name: 'aws-1', connector: { state: 'up', passing: true, bgp: true }, key: { id: 'k1' } },
      { name: 'aws-2', connector: { state: 'up', passing: true, bgp: true }, key: { id: 'k1' } },
    ])
    expect(present.resources.every(({ made }: { made: boolean }) => made)).toBe(true)
    const calls = at.cloud.performed.length
    expect(await at.finish(await at.start(id, 'apply'))).toMatchObject({ state: 'done', steps: [] })
    expect(at.cloud.performed.length).toBe(calls)
  })

  test('is in the document of the connector that has the tunnels of the site, its keys sealed for it, and the same each time', async () => {
    await at.applied()
    const [one, two] = at.sealing.externals
    expect([one?.name, two?.name]).toEqual(['aws-1', 'aws-2'])
    expect(one?.routing).toMatchObject({ kind: 'bgp', advertise: ['10.1.0.0/16'], accept: ['172.31.0.0/16'] })
    const [text] = await at.sealing.keysOf(one!)
    expect(text).toMatch(/^[A-Za-z0-9._]{48}$/)
    const { version } = at.left.document
    for (let round = 0; round < 5; round++) await at.turn(70_000)
    expect(at.left.document.version).toBe(version)
  })

  test('keys are nowhere in what is told, stored, audited or logged', async () => {
    const id = await at.applied()
    await at.finish(await at.start(id, 'rotate'))
    const texts = (await Promise.all(at.sealing.externals.map((each) => at.sealing.keysOf(each)))).flat()
    const told = [
      await at.get(`/clouds/${id}`),
      await at.get(`/clouds/${id}/runs`),
      (await at.network.ask('GET', '/audit?format=ndjson')).body,
      await at.world.repo.get(at.network.id, 'cloud', id),
      await at.world.repo.get(at.network.id, 'cloudView', id),
      await at.world.repo.list(at.network.id, 'cloudRun', { limit: 10 }),
      await at.world.repo.list(at.network.id, 'secret', { limit: 10 }),
      at.world.log,
    ].map((each) => JSON.stringify(each))
    expect(texts).toHaveLength(2)
    for (const text of texts) for (const each of told) expect(each).not.toContain(text)
    // The old ones are gone with the rotation.
    expect(
      (await at.world.repo.list(at.network.id, 'secret', { limit: 10 })).map(({ value }) => value.id.slice(-3)),
    ).toEqual(['/k2', '/k2'])
  })

  test('rotates both keys, one tunnel after the other, with signed evidence that nothing was lost', async () => {
    const id = await at.applied()
    const run = await at.finish(await at.start(id, 'rotate'))
    expect(run).toMatchObject({ state: 'done' })
    const { evidenceKey } = await at.get('')
    const evidence = await new Verifier().open(run.evidence!, evidenceKey, cloudEvidenceSchema)
    expect(evidence).toMatchObject({ outcome: 'done', complete: true, run: run.id, cloud: id })
    expect(evidence?.traffic).toMatchObject({ missing: 0, dropped: 0 })
    expect(evidence?.traffic.outPackets).toBeGreaterThan(0)
    for (const tunnel of evidence?.tunnels ?? []) {
      expect(tunnel.oldKey).not.toBe(tunnel.newKey)
      expect(tunnel.idleMs).toBeGreaterThanOrEqual(3_000)
      expect(tunnel.backAt).toBeGreaterThan(tunnel.drainedAt!)
    }
    expect((await at.get(`/clouds/${id}`)).tunnels.map(({ key }: { key: { id: string } }) => key.id)).toEqual([
      'k2',
      'k2',
    ])
    expect(await at.actions()).toEqual(expect.arrayContaining(['cloudRuns.create', 'cloudRuns.step', 'cloudRuns.done']))
  })

  test('destroyed, it is gone, with its secrets, and its run tells how', async () => {
    const id = await at.applied()
    const run = await at.start(id, 'destroy')
    expect((await at.get(`/clouds/${id}`)).state).toBe('destroying')
    expect(await at.finish(run)).toMatchObject({ state: 'done', kind: 'destroy' })
    expect((await at.network.ask('GET', `/clouds/${id}`)).status).toBe(404)
    expect(at.cloud.aws.leftovers(id)).toEqual([])
    expect(await at.world.repo.list(at.network.id, 'secret', { limit: 10 })).toEqual([])
    await at.sealing.round()
    expect(at.left.document.externals).toBeUndefined()
  })
})

describe('runs', () => {
  test('are one at a time, and the second is told which one is under way', async () => {
    const id = await at.make()
    const run = await at.start(id, 'apply')
    const second = await at.network.ask('POST', `/clouds/${id}/runs`, { body: { kind: 'apply' } })
    expect(second).toMatchObject({ status: 409, body: { code: 'cloud-run-under-way' } })
    expect(second.body.detail).toContain(run)
    expect((await at.get(`/clouds/${id}/runs`)).items).toMatchObject([{ id: run, state: 'running' }])
  })

  test('that are aborted leave what is there, and the next one goes on from it', async () => {
    const id = await at.make()
    const run = await at.start(id, 'apply')
    for (let round = 0; round < 3; round++) await at.turn()
    must(await at.network.ask('POST', `/cloud-runs/${run}/abort`), 200)
    expect((await at.finish(run)).state).toBe('aborted')
    expect((await at.network.ask('POST', `/cloud-runs/${run}/abort`)).body.code).toBe('run-finished')
    expect((await at.finish(await at.start(id, 'apply'))).state).toBe('done')
    expect(at.cloud.aws.customerGateways).toHaveLength(1)
    expect(at.cloud.aws.vpnGateways).toHaveLength(1)
  })

  test('of a token that may only rotate', async () => {
    const id = await at.applied()
    const token = at.network.tokens.rotation
    const asked = (kind: string) => at.network.ask('POST', `/clouds/${id}/runs`, { token, body: { kind } })
    for (const kind of ['apply', 'fix', 'destroy']) expect((await asked(kind)).body.code).toBe('forbidden')
    const { id: run } = must(await asked('rotate'), 201).body
    expect((await at.network.ask('POST', `/cloud-runs/${run}/abort`, { token })).status).toBe(200)
    const apply = (await at.get(`/clouds/${id}/runs`)).items.find(({ kind }: { kind: string }) => kind === 'apply').id
    expect((await at.network.ask('POST', `/cloud-runs/${apply}/abort`, { token })).body.code).toBe('forbidden')
  })

  test.each(['credentials', 'forbidden', 'quota', 'invalid', 'unsupported'] as const)(
    'end with the reason where AWS says %s',
    async (kind) => {
      at.cloud.refuse = (call) => {
        if (call === 'create-vpn-gateway') throw cloudFailure(kind)
      }
      const run = await at.finish(await at.start(await at.make(), 'apply'))
      expect(run).toMatchObject({
        state: 'failed',
        error: { code: `cloud-${kind}`, remedy: `Do something about ${kind}.` },
      })
      expect(run.steps.at(-1)).toMatchObject({ action: 'create-vpn-gateway', state: 'failed' })
    },
  )

  test('go on through throttling and answers that are lost', async () => {
    let calls = 0
    at.cloud.refuse = (call) => {
      if (call !== 'look' && ++calls % 2 === 1) throw cloudFailure(calls % 4 === 1 ? 'later' : 'unknown')
    }
    const run = await at.finish(await at.start(await at.make(), 'apply'))
    expect(run.state).toBe('done')
    expect(Math.max(...run.steps.map(({ attempts }: { attempts: number }) => attempts))).toBeGreaterThan(1)
    expect([at.cloud.aws.customerGateways.length, at.cloud.aws.vpnGateways.length]).toEqual([1, 1])
  })

  test('wait for an AWS that does not answer, and say so', async () => {
    const id = await at.make()
    const run = await at.start(id, 'apply')
    at.cloud.refuse = () => {
      throw cloudFailure('later')
    }
    await at.turn()
    expect(await at.get(`/cloud-runs/${run}`)).toMatchObject({ state: 'running', waitingFor: 'AWS to answer' })
    at.cloud.refuse = () => {}
    expect((await at.finish(run)).state).toBe('done')
  })

  test('give an AWS that never answers ten minutes', async () => {
    const run = await at.start(await at.make(), 'apply')
    at.cloud.refuse = () => {
      throw cloudFailure('later')
    }
    for (let round = 0; round < 61; round++) await at.turn(10_000)
    expect(await at.get(`/cloud-runs/${run}`)).toMatchObject({ state: 'failed', error: { code: 'cloud-later' } })
  })

  test('end at once where nobody has given credentials', async () => {
    const run = await at.start(await at.make(), 'apply')
    at.cloud.refuse = () => {
      throw cloudFailure('credentials')
    }
    await at.turn()
    expect(await at.get(`/cloud-runs/${run}`)).toMatchObject({ state: 'failed', error: { code: 'cloud-credentials' } })
  })

  test('two processes over one store do nothing twice', async () => {
    const second = await createWorld({ repo: at.world.repo, seed: 99, clouds: at.model.clouds })
    const run = await at.start(await at.make(), 'apply')
    for (let round = 0; round < 400 && (await at.get(`/cloud-runs/${run}`)).state === 'running'; round++) {
      second.clock.now = at.world.clock.now
      const ticks = [at.world, second].map(({ services }) => services.cloudRunner.tick())
      await Promise.all(round % 2 === 0 ? ticks : ticks.reverse())
      await at.sealing.round()
      at.world.clock.now += 500
    }
    expect((await at.get(`/cloud-runs/${run}`)).state).toBe('done')
    const calls = at.cloud.performed.map(({ action }) => JSON.stringify(action))
    expect(new Set(calls).size).toBe(calls.length)
    expect(at.world.log.concat(second.log).filter(({ level }) => level === 'error')).toEqual([])
  })
})
