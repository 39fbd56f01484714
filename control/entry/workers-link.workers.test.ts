import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { afterEach, expect, test, vi } from 'vitest'
import { emptyReport, proofOf } from '../testing/caller.ts'
import { converge, type TestConnector } from '../testing/connector.ts'
import { joinToken, makeNetwork, makePair, makeSite, must, type TestNetwork } from '../testing/network.ts'
import { hibernate, objectOf, TestLink, workerCaller } from './testing/workers-world.ts'
import worker from './workers.ts'

const caller = workerCaller()
afterEach(() => {
  vi.restoreAllMocks()
})

async function linked(connector: TestConnector): Promise<TestLink> {
  const link = await TestLink.open(caller, connector.joined)
  link.send({ type: 'hello', protocol: 1, report: emptyReport(caller, connector.document.version) })
  expect(await link.next()).toMatchObject({ type: 'welcome', protocol: 1 })
  return link
}

async function linkedPair(name: string) {
  const network = await makeNetwork(caller, name)
  const { left, right, tunnel } = await makePair(caller, network)
  while ((await left.follow()) || (await right.follow()));
  return { network, left, right, tunnel }
}

async function changeSite(network: TestNetwork, name: string, prefix: string): Promise<void> {
  const { items } = must(await network.ask('GET', '/sites'), 200).body
  const site = items.find((one: { name: string }) => one.name === name)
  const path = `/sites/${site.id}`
  const before = must(await network.ask('GET', path), 200)
  const { id: _, ...body } = { ...before.body, prefixes: [prefix] }
  must(await network.ask('PUT', path, { body, headers: { 'if-match': before.headers.get('etag')! } }), 200)
}

test('a change reaches the link, also of an object that was taken out of memory', async () => {
  const { network, left } = await linkedPair('push')
  const link = await linked(left)
  await changeSite(network, 'branch', '10.3.0.0/16')
  expect(await link.next()).toMatchObject({
    type: 'document',
    document: { tunnels: [{ peer: { prefixes: ['10.3.0.0/16'] } }] },
  })
  await hibernate(network.id)
  await changeSite(network, 'branch', '10.4.0.0/16')
  expect(await link.next()).toMatchObject({
    type: 'document',
    document: { tunnels: [{ peer: { prefixes: ['10.4.0.0/16'] } }] },
  })
})

test('after hibernation the session goes on where it was: no second hello is needed, and none is taken', async () => {
  const { network, left } = await linkedPair('session')
  const link = await linked(left)
  await hibernate(network.id)
  const shown = must(await network.ask('GET', `/connectors/${left.joined.connector}`), 200).body
  expect(shown.linked).toBe(true)
  link.send({ type: 'report', report: emptyReport(caller, left.document.version) })
  await changeSite(network, 'branch', '10.5.0.0/16')
  expect((await link.next()).type).toBe('document')
  await hibernate(network.id)
  link.send({ type: 'hello', protocol: 1, report: emptyReport(caller, left.document.version) })
  expect(await link.next()).toMatchObject({ type: 'bye', code: 'protocol', detail: 'a second hello' })
  await link.closed
})

test('a connector that is revoked is cut off at once, also one that hibernates', async () => {
  const { network, left } = await linkedPair('revoked')
  const link = await linked(left)
  await hibernate(network.id)
  must(await network.ask('POST', `/connectors/${left.joined.connector}/revoke`), 200)
  expect(await link.next()).toMatchObject({ type: 'bye', code: 'revoked' })
  await link.closed
  await expect(TestLink.open(caller, left.joined)).rejects.toThrow(/connector-revoked/)
})

test('a second link of one connector takes the place of the first, across hibernation', async () => {
  const { network, left } = await linkedPair('replaced')
  const first = await linked(left)
  await hibernate(network.id)
  const second = await linked(left)
  expect(await first.next()).toMatchObject({ type: 'bye', code: 'replaced' })
  await first.closed
  await hibernate(network.id)
  await changeSite(network, 'branch', '10.6.0.0/16')
  expect((await second.next()).type).toBe('document')
  second.close()
  await second.closed
  const path = `/connectors/${left.joined.connector}`
  await expect.poll(async () => (await network.ask('GET', path)).body.linked, { timeout: 10_000 }).toBe(false)
})

test('a proof is good for one link, also after the object was out of memory', async () => {
  const { network, left } = await linkedPair('replay')
  const path = `${left.path}/document`
  const headers = { authorization: await proofOf(caller, left.joined, 'GET', path) }
  must(await caller.request('GET', path, { headers }), 200)
  await hibernate(network.id)
  const again = await caller.request('GET', path, { headers })
  expect([again.status, again.body.code]).toEqual([401, 'proof-replayed'])
})

async function begunRotation(name: string) {
  const { network, left, right } = await linkedPair(name)
  await converge(left, right)
  const { run } = must(await network.ask('POST', '/runs', { body: {} }), 201).body
  const { items } = must(await network.ask('GET', '/rotations?limit=500'), 200).body
  const { id, deadline } = items.find((one: { run?: string }) => one.run === run.id)
  const state = async () => must(await network.ask('GET', `/rotations/${id}`), 200).body.state
  return { network, deadline, state }
}

function alarmOf(network: TestNetwork): Promise<number | null> {
  return runInDurableObject(objectOf(network.id), (_, { storage }) => storage.getAlarm())
}

test('a rotation whose time is up is given up by the alarm of its network', async () => {
  const { network, deadline, state } = await begunRotation('alarm')
  await runDurableObjectAlarm(objectOf(network.id))
  expect(await alarmOf(network)).toBe(deadline)
  await hibernate(network.id)
  vi.spyOn(Date, 'now').mockReturnValue(deadline + 1)
  expect(await runDurableObjectAlarm(objectOf(network.id))).toBe(true)
  expect(await state()).toBe('aborting')
})

test('the cron trigger does what the alarm would', async () => {
  const { deadline, state } = await begunRotation('cron')
  await worker.scheduled({}, env)
  expect(await state()).toBe('preparing')
  vi.spyOn(Date, 'now').mockReturnValue(deadline + 1)
  await worker.scheduled({}, env)
  expect(await state()).toBe('aborting')
})

test('a policy has the alarm set to its time, and begins its run then', async () => {
  const { network, left, right } = await linkedPair('policy')
  await converge(left, right)
  must(await network.ask('POST', '/policies', { body: { name: 'often', cron: '* * * * *' } }), 201)
  await runDurableObjectAlarm(objectOf(network.id))
  const at = (await alarmOf(network))!
  expect(at % 60_000).toBe(0)
  vi.spyOn(Date, 'now').mockReturnValue(at)
  await runDurableObjectAlarm(objectOf(network.id))
  const { items } = must(await network.ask('GET', '/runs'), 200).body
  expect(items).toMatchObject([{ startedBy: 'schedule', state: 'running' }])
})

test('a rollout is looked at by the alarm, also of an object that was taken out of memory', async () => {
  const { network, left, right } = await linkedPair('rollout')
  await converge(left, right)
  const { version, ...intent } = must(await network.ask('GET', '/intent'), 200).body
  const tunnels = intent.tunnels.map((tunnel: object) => ({ ...tunnel, pathMtu: 1400 }))
  const body = { intent: { ...intent, version, tunnels } }
  const { id, deadline } = must(await network.ask('POST', '/rollouts', { body }), 201).body
  const state = async () => must(await network.ask('GET', `/rollouts/${id}`), 200).body.state
  expect(await runDurableObjectAlarm(objectOf(network.id))).toBe(true)
  // Somebody may be silent, which no report tells of.
  expect(await alarmOf(network)).toBeLessThan(Date.now() + 10_000)
  await hibernate(network.id)
  await left.report()
  await right.report()
  expect(await state()).toBe('canary')
  // Nobody says anything any more, and the object is out of memory between any two looks.
  const now = vi.spyOn(Date, 'now')
  for (let looks = 0; looks < 10 && (await state()) === 'canary'; looks++) {
    await hibernate(network.id)
    now.mockReturnValue(Math.max(deadline, Date.now()) + 30_000)
    expect(await runDurableObjectAlarm(objectOf(network.id))).toBe(true)
  }
  expect(await state()).toBe('rolling-back')
})

test('what is no link is told so', async () => {
  const network = await makeNetwork(caller, 'no-link')
  const site = await makeSite(network, 'hq', '10.1.0.0/16')
  expect((await joinToken(network, site)).startsWith('ist_join_')).toBe(true)
  const answer = await network.ask('GET', '/link')
  expect([answer.status, answer.body.code]).toEqual([403, 'forbidden'])
})
