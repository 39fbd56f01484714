/** Connections to clouds: as they are described, for whom they are open, and what is seen of them later. */
import { beforeEach, describe, expect, test } from 'vitest'
import { cloudDraft, cloudFailure, TestSealing, VPC } from '../testing/cloud.ts'
import { CloudSite } from '../testing/cloud-site.ts'
import { TestConnector } from '../testing/connector.ts'
import { joinToken, makeNetwork, makeSite, must } from '../testing/network.ts'
import { createWorld } from '../testing/world.ts'
import { nextWork } from './next-work.ts'

let at: CloudSite

beforeEach(async () => {
  at = await CloudSite.create()
})

describe('where the operator has enabled nothing', () => {
  test('nothing asks AWS, and the refusal says what to do', async () => {
    const world = await createWorld()
    const network = await makeNetwork(world)
    await makeSite(network, 'hq', '10.1.0.0/16')
    for (const [method, path, body] of [
      ['POST', '/clouds', cloudDraft()],
      ['POST', '/cloud-plan', { draft: cloudDraft() }],
    ] as const) {
      const answer = await network.ask(method, path, { body })
      expect(answer).toMatchObject({ status: 403, body: { code: 'cloud-not-enabled' } })
      expect(answer.body.remedy).toContain('isthmus control --aws')
    }
    await world.services.cloudRunner.tick()
  })

  test('nor for another network than the one that is named; what was under way there stands still', async () => {
    let allowed = true
    at = await CloudSite.create({ allows: ({ name }) => allowed && name === 'acme' })
    const id = await at.make()
    const run = await at.start(id, 'apply')
    const other = await makeNetwork(at.world, 'theirs')
    await makeSite(other, 'hq', '10.1.0.0/16')
    expect((await other.ask('POST', '/clouds', { body: cloudDraft() })).body.code).toBe('cloud-not-enabled')
    allowed = false
    await at.turn()
    for (const [method, path, body] of [
      ['GET', `/clouds/${id}/drift`, undefined],
      ['PUT', `/clouds/${id}`, cloudDraft()],
      ['POST', `/clouds/${id}/runs`, { kind: 'rotate' }],
    ] as const) {
      const answer = await at.network.ask(method, path, { body, headers: { 'if-match': '*' } })
      expect(answer.body.code).toBe('cloud-not-enabled')
    }
    expect([at.cloud.looks, at.cloud.performed]).toEqual([[], []])
    expect(await at.get(`/cloud-runs/${run}`)).toMatchObject({ state: 'running', steps: [] })
    expect(await at.get(`/clouds/${id}`)).toMatchObject({ name: 'aws' })
  })
})

describe('a draft', () => {
  test('has all its faults told at once, by pointer', async () => {
    const body = cloudDraft({
      site: 'nowhere',
      policy: 'never',
      gateway: { address: '10.0.0.1' },
      insideCidrs: ['169.254.0.0/30', '10.0.0.0/30'],
      options: { ikeLifetimeS: 900, childLifetimeS: 3600 },
    })
    const answer = await at.network.ask('POST', '/clouds', { body })
    expect(answer.status).toBe(400)
    expect(answer.body.errors.map(({ pointer }: { pointer: string }) => pointer).sort()).toEqual([
      '/gateway/address',
      '/insideCidrs/0',
      '/insideCidrs/1',
      '/options/childLifetimeS',
      '/policy',
      '/site',
    ])
  })

  test('names its site and policy by name or identifier; its own name is taken once', async () => {
    const policy = must(await at.network.ask('POST', '/policies', { body: { name: 'weekly', maxAgeHours: 168 } }), 201)
    const made = must(await at.network.ask('POST', '/clouds', { body: cloudDraft({ policy: 'weekly' }) }), 201).body
    expect(made).toMatchObject({ policy: policy.body.id, site: expect.stringMatching(/^site_/) })
    expect((await at.network.ask('POST', '/clouds', { body: cloudDraft() })).body.code).toBe('duplicate-name')
    const same = cloudDraft({ policy: policy.body.id, site: made.site })
    const headers = { 'if-match': '"1"' }
    const again = await at.network.ask('PUT', `/clouds/${made.id}`, { body: same, headers })
    expect([again.status, again.headers.get('etag')]).toEqual([200, '"1"'])
  })

  test('may change but for what AWS cannot change, and not under a run', async () => {
    const id = await at.applied()
    const put = (more: object) =>
      at.network.ask('PUT', `/clouds/${id}`, { body: cloudDraft(more), headers: { 'if-match': '*' } })
    const moved = await put({ region: 'eu-west-1', routing: 'static' })
    expect(moved).toMatchObject({ status: 409, body: { code: 'cloud-built' } })
    expect(moved.body.errors.map(({ pointer }: { pointer: string }) => pointer)).toEqual(['/region', '/routing'])
    const changed = must(await put({ options: { encryption: ['AES128-GCM-16'] }, remote: ['172.31.5.0/24'] }), 200)
    expect(changed.body).toMatchObject({ options: { encryption: ['AES128-GCM-16'] } })
    // Until AWS has what is wanted, the connector offers what it had too.
    await at.sealing.round()
    const [weak, strong] = ['aes128gcm16-prfsha384-ecp384', 'aes256gcm16-prfsha384-ecp384']
    expect(at.sealing.externals.map(({ ike }) => ike)).toEqual([
      [weak, strong],
      [weak, strong],
    ])
    expect(await at.finish(await at.start(id, 'fix'))).toMatchObject({ state: 'done' })
    await at.sealing.round()
    expect(at.sealing.externals.map(({ ike }) => ike)).toEqual([[weak], [weak]])
    expect(at.sealing.externals[0]?.routing).toMatchObject({ accept: ['172.31.5.0/24'] })
    expect((await at.get(`/clouds/${id}`)).drift).toEqual([])
    await at.start(id, 'rotate')
    expect((await put({ options: { dpdS: 90 } })).body.code).toBe('cloud-run-under-way')
  })

  test('is removed while nothing is there; what is there is destroyed first', async () => {
    const id = await at.make()
    const remove = () => at.network.ask('DELETE', `/clouds/${id}`, { headers: { 'if-match': '*' } })
    const run = await at.start(id, 'apply')
    expect((await remove()).body.code).toBe('cloud-run-under-way')
    await at.finish(run)
    expect((await remove()).body).toMatchObject({ code: 'cloud-in-use' })
    await at.finish(await at.start(id, 'destroy'))
    const other = await at.make()
    expect((await at.network.ask('DELETE', `/clouds/${other}`, { headers: { 'if-match': '*' } })).status).toBe(204)
    expect(await at.actions()).toContain('clouds.remove')
  })

  test('keeps its site and its network', async () => {
    const { network } = at
    const lone = await makeSite(network, 'lone', '10.7.0.0/16')
    await at.make({ site: 'lone' })
    await network.ask('PUT', '/preferences', { body: { topology: 'none' }, headers: { 'if-match': '*' } })
    for (const { id } of (await at.get('/tunnels')).items) {
      must(await network.ask('DELETE', `/tunnels/${id}`, { headers: { 'if-match': '*' } }), 204)
    }
    const removed = await network.ask('DELETE', `/sites/${lone}`, { headers: { 'if-match': '*' } })
    expect(removed.body.code).toBe('site-in-use')
    const gone = await network.ask('DELETE', '', { headers: { 'if-match': '*' } })
    expect(gone.body.code).toBe('network-in-use')
  })
})

describe('a plan', () => {
  const plan = (more: object = {}) => at.network.ask('POST', '/cloud-plan', { body: { draft: cloudDraft(more) } })

  test('tells the steps that apply would take, and changes nothing', async () => {
    const head = await at.world.repo.auditHead(at.network.id)
    const { body } = must(await plan(), 200)
    const steps = body.steps.map(({ action }: { action: string }) => action)
    expect(body.cost.perMonth).toBeGreaterThan(30)
    expect(await at.world.repo.auditHead(at.network.id)).toEqual(head)
    expect(at.cloud.performed).toEqual([])
    expect((await at.get('/clouds')).items).toEqual([])
    await at.applied()
    expect(at.cloud.performed.map(({ action }) => action.type)).toEqual(steps)
    expect(must(await plan(), 200).body).toMatchObject({ steps: [], drift: [] })
  })

  test.each([
    ['forbidden', 409, 'cloud-forbidden'],
    ['credentials', 409, 'cloud-credentials'],
    ['later', 503, 'cloud-unavailable'],
    ['invalid', 409, 'cloud-refused'],
  ] as const)('is a problem document where AWS says %s', async (kind, status, code) => {
    at.cloud.refuse = () => {
      throw cloudFailure(kind, 'ec2:DescribeVpcs')
    }
    const answer = await plan()
    expect(answer).toMatchObject({ status, body: { code, detail: expect.stringContaining('ec2:DescribeVpcs') } })
    if (status === 503) expect(answer.headers.get('retry-after')).toBe('10')
    else expect(answer.body.remedy).toBe(`Do something about ${kind}.`)
  })

  test('of another target is refused while it is there', async () => {
    await at.applied()
    const other = await plan({ target: { kind: 'vpc', vpc: VPC.replace('0', '1') } })
    expect(other.body).toMatchObject({ code: 'cloud-built', errors: [{ pointer: '/target' }] })
  })
})

describe('what is seen later', () => {
  test('drift is told once, and again when it is over; fix repairs it', async () => {
    const id = await at.applied()
    at.cloud.aws.tables[0]!.propagating.clear()
    for (let round = 0; round < 4; round++) await at.turn(61_000)
    const present = await at.get(`/clouds/${id}`)
    expect(present.drift).toMatchObject([{ code: 'propagation-missing', fixable: true }])
    const drifts = async () => (await at.actions()).filter((action) => action === 'clouds.drift').length
    expect(await drifts()).toBe(1)
    expect(await at.finish(await at.start(id, 'fix'))).toMatchObject({ state: 'done' })
    expect((await at.get(`/clouds/${id}`)).drift).toEqual([])
    expect(await drifts()).toBe(2)
  })

  test('drift is looked for now, when somebody asks', async () => {
    const id = await at.applied()
    at.cloud.aws.connections[0]!.tunnels[0]!.options.dpdS = 45
    expect(await at.get(`/clouds/${id}/drift`)).toMatchObject({
      lookedAt: at.world.clock.now,
      drift: [{ code: 'option-changed', resource: 'aws-1' }],
    })
  })

  test('the connector follows an outer address that AWS has moved', async () => {
    const id = await at.applied()
    at.cloud.aws.connections[0]!.tunnels[1]!.outside = '203.0.113.99'
    for (let round = 0; round < 2; round++) await at.turn(61_000)
    await at.sealing.round()
    expect(at.sealing.externals.map(({ peer }) => peer.address)).toContain('203.0.113.99')
    expect((await at.get(`/clouds/${id}`)).drift).toEqual([])
    expect((await at.actions()).filter((action) => action === 'clouds.moved')).toHaveLength(1)
  })

  test('an AWS that cannot be looked at is asked again only when it is time, and logged', async () => {
    await at.applied()
    at.cloud.refuse = () => {
      throw cloudFailure('credentials')
    }
    const before = at.cloud.looks.length
    await at.turn(61_000)
    for (let round = 0; round < 5; round++) await at.turn(10_000)
    expect(at.cloud.looks.length).toBe(before + 1)
    expect(at.world.log.filter(({ level }) => level === 'warn').at(-1)?.fields).toMatchObject({
      code: 'Code.credentials',
    })
  })

  test('a connector that falls silent has no tunnels that are up', async () => {
    const id = await at.applied()
    at.world.clock.now += 91_000
    expect((await at.get(`/clouds/${id}`)).state).toBe('down')
    await at.sealing.round()
    expect((await at.get(`/clouds/${id}`)).state).toBe('up')
  })

  test('a hundred connections are looked at together, and applied side by side', async () => {
    const ids: string[] = []
    for (let number = 0; number < 100; number++) ids.push(await at.make({ name: `aws-${number}` }))
    const runs = await Promise.all(ids.map((id) => at.start(id, 'apply')))
    let ended = 0
    for (let round = 0; round < 200 && ended < 100; round++) {
      await at.turn(10_000)
      ended = await at.world.repo.count(at.network.id, 'cloudRun', `ended`)
    }
    for (const run of runs) expect((await at.get(`/cloud-runs/${run}`)).state).toBe('done')
    expect(at.cloud.looks.length).toBeLessThan(120)
    expect(new Set(at.sealing.externals.map(({ inside }) => inside.local)).size).toBe(200)
  })
})

describe('the document of the connector', () => {
  test('has no tunnels to clouds for one that cannot have them', async () => {
    const id = await at.applied()
    expect(at.sealing.externals).toHaveLength(2)
    must(await at.left.report(), 200)
    await at.left.follow()
    expect(at.left.document.externals).toBeUndefined()
    expect((await at.get(`/clouds/${id}`)).state).toBe('down')
  })

  test('has them sealed anew for another sealing key, and for the next connector of the site', async () => {
    await at.applied()
    const before = at.sealing.externals.map(({ keys }) => keys[0]!.secret)
    const fresh = await TestSealing.of(at.left, at.model.cloud)
    await fresh.round()
    await fresh.round()
    const after = fresh.externals.map(({ keys }) => keys[0]!.secret)
    expect(after).toHaveLength(2)
    expect(after).not.toEqual(before)
    expect(await fresh.keysOf(fresh.externals[0]!)).toHaveLength(1)
    const { site } = (await at.get('/connectors')).items.find(
      ({ id }: { id: string }) => id === at.left.joined.connector,
    )
    const second = await TestConnector.join(at.world, await joinToken(at.network, site), 77)
    const next = await TestSealing.of(second, at.model.cloud)
    await next.round()
    expect(next.externals).toEqual([])
    must(await at.network.ask('POST', `/connectors/${at.left.joined.connector}/revoke`), 200)
    await next.round()
    await next.round()
    expect(next.externals).toHaveLength(2)
    expect(await next.keysOf(next.externals[1]!)).toHaveLength(1)
  })

  test('takes no sealing key that another one has signed', async () => {
    const report = await at.sealing.report()
    const [head, , tail] = report.sealingKey.split('.')
    const forged = `${head}.${btoa('{}').replaceAll('=', '')}.${tail}`
    const answer = await at.left.report({ externals: { ...report, sealingKey: forged } })
    expect(answer.body).toMatchObject({ code: 'bad-signature', errors: [{ pointer: '/report/externals/sealingKey' }] })
  })

  test('gives a tunnel another name where ours has it', async () => {
    await at.applied({ name: 'hq' })
    const tunnel = (await at.get('/tunnels')).items[0]
    const body = { name: 'hq-1', sites: tunnel.sites }
    must(await at.network.ask('PUT', `/tunnels/${tunnel.id}`, { body, headers: { 'if-match': '*' } }), 200)
    await at.sealing.round()
    expect(at.sealing.externals.map(({ name }) => name).sort()).toEqual(['hq-1.2', 'hq-2'])
  })
})

describe('by policy', () => {
  test('keys that are too old are rotated by themselves, once, as many connections at a time as the policy says', async () => {
    const policy = { name: 'daily', maxAgeHours: 24, maxConcurrent: 1 }
    must(await at.network.ask('POST', '/policies', { body: policy }), 201)
    const ids = [await at.applied({ name: 'one', policy: 'daily' }), await at.applied({ name: 'two', policy: 'daily' })]
    at.world.clock.now += 25 * 3_600_000
    await at.sealing.round()
    await at.turn()
    const rotations = async () => {
      const pages = await Promise.all(ids.map((id) => at.get(`/clouds/${id}/runs`)))
      return pages.flatMap(({ items }) => items.filter(({ kind }: { kind: string }) => kind === 'rotate'))
    }
    expect(await rotations()).toMatchObject([{ startedBy: 'schedule', state: 'running' }])
    for (let round = 0; round < 300 && (await rotations()).length < 2; round++) await at.turn()
    for (const { id } of await rotations()) expect((await at.finish(id)).state).toBe('done')
    for (let round = 0; round < 5; round++) await at.turn(3_600_000)
    expect(await rotations()).toHaveLength(2)
  })
})

describe('platforms that sleep', () => {
  test('are woken for a run, for the next look, and for a policy', async () => {
    const context = at.world.services.context
    const next = () => nextWork(context, at.network.id)
    expect(await next()).toBeUndefined()
    const id = await at.make()
    const run = await at.start(id, 'apply')
    expect(await next()).toBeLessThanOrEqual(at.world.clock.now)
    await at.finish(run)
    const soon = (await next())! - at.world.clock.now
    expect(soon).toBeGreaterThan(0)
    expect(soon).toBeLessThanOrEqual(60_000)
  })
})
