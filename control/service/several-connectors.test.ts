/** Several connectors at one site: the oldest carries its tunnels, all of them serve functions. */
import { beforeEach, expect, test } from 'vitest'
import { converge, TestConnector } from '../testing/connector.ts'
import { joinToken, makeFunction, makeNetwork, makePair, must, type TestNetwork } from '../testing/network.ts'
import { createWorld, makeIdentity, type World } from '../testing/world.ts'

let world: World
let network: TestNetwork
let left: TestConnector
let right: TestConnector
let tunnel: string
let hq: string

beforeEach(async () => {
  world = await createWorld()
  network = await makeNetwork(world)
  ;({ left, right, tunnel } = await makePair(world, network))
  await converge(left, right)
  hq = (await get(`/connectors/${left.joined.connector}`)).site
})

const get = async (path: string) => must(await network.ask('GET', path), 200).body
const status = () => get(`/tunnels/${tunnel}/status`)
const another = async (seed: number) => TestConnector.join(world, await joinToken(network, hq), seed)
const revoke = async (connector: TestConnector) =>
  must(await network.ask('POST', `/connectors/${connector.joined.connector}/revoke`), 200)
const endsOf = async () => (await status()).ends.map(({ connector }: { connector: string }) => connector)

test('one that comes later has a document without tunnels, and nobody else gets a new one', async () => {
  const before = [left.document, right.document]
  world.hub.changed.length = 0
  const second = await another(33)
  expect(second.document).toMatchObject({ version: 1, site: { name: 'hq', prefixes: ['10.1.0.0/16'] }, tunnels: [] })
  await converge(left, right, second)
  expect([left.document, right.document]).toEqual(before)
  expect(world.hub.changed.flatMap(({ connectors }) => connectors)).toEqual([second.joined.connector])
  expect((await status()).epoch).toBe(1)
  expect(await endsOf()).toEqual([left.joined.connector, right.joined.connector])
})

test('is reached where it was found, and not where the site is', async () => {
  const second = await another(33)
  expect((await get(`/connectors/${second.joined.connector}`)).endpoint).toBeUndefined()
  expect((await get(`/connectors/${left.joined.connector}`)).endpoint).toMatchObject({ address: '192.0.2.1' })
  await revoke(left)
  expect((await get(`/connectors/${second.joined.connector}`)).endpoint).toMatchObject({ address: '192.0.2.1' })
})

test('a change of the site reaches the documents of all of them', async () => {
  const second = await another(33)
  const body = { name: 'hq', prefixes: ['10.1.0.0/16', '10.4.0.0/16'] }
  must(await network.ask('PUT', `/sites/${hq}`, { body, headers: { 'if-match': '*' } }), 200)
  for (const connector of [left, second]) {
    expect(await connector.follow()).toBe(true)
    expect(connector.document.site.prefixes).toEqual(body.prefixes)
  }
  expect(second.document.tunnels).toEqual([])
})

test('functions of all of them are in grants, the oldest first', async () => {
  const second = await another(33)
  const { token } = await makeFunction(network, 'shop', [{ site: 'hq', services: ['erp'] }])
  for (const one of [second, left]) must(await one.report({ functions: await one.serving() }), 200)
  const body = { site: 'hq', publicKey: makeIdentity(5).publicKey }
  const grant = must(await world.request('POST', `${network.path}/grants`, { token, body }), 200).body
  const ids = grant.connectors.map(({ id }: { id: string }) => id)
  expect(ids).toEqual([left.joined.connector, second.joined.connector])
  await second.follow()
  expect(second.document).toMatchObject({ tunnels: [], functions: { tokenKeys: [expect.any(String)] } })
})

test('the first is revoked: the second gets the tunnels, with a key of its own', async () => {
  const second = await another(33)
  await converge(left, right, second)
  const version = second.document.version
  await revoke(left)
  await second.follow()
  await right.follow()
  expect(second.document.version).toBeGreaterThan(version)
  expect(second.document.tunnels.map(({ id }) => id)).toEqual([tunnel])
  expect(right.document.tunnels[0]!.peer.identityKey).toBe(second.joined.publicKey)
  await converge(second, right)
  expect(await status()).toMatchObject({ epoch: 2 })
  expect(await endsOf()).toEqual([second.joined.connector, right.joined.connector])
  const { run } = must(await network.ask('POST', '/runs', { body: {} }), 201).body
  await converge(second, right)
  expect(await get(`/runs/${run.id}`)).toMatchObject({ state: 'done', counts: { done: 1, aborted: 0 } })
  expect(await get('/audit/verify')).toMatchObject({ intact: true })
})

test('the first is revoked while a rotation is under way: it is given up, and the second begins anew', async () => {
  const second = await another(33)
  await converge(left, right, second)
  must(await network.ask('POST', '/runs', { body: {} }), 201)
  await left.report()
  await left.follow()
  await revoke(left)
  await converge(second, right)
  const states = (await get('/rotations')).items.map(({ state }: { state: string }) => state)
  expect(states.toSorted()).toEqual(['aborted', 'done', 'done'])
  expect((await status()).rotation).toBeUndefined()
})

test('another than the first is revoked: the tunnels stay as they are', async () => {
  const second = await another(33)
  await converge(left, right, second)
  const before = [left.document, right.document]
  await revoke(second)
  await converge(left, right)
  expect([left.document, right.document]).toEqual(before)
  expect(world.hub.revoked).toEqual([second.joined.connector])
})

test('all are revoked, one after the other: each in its turn, then the peer has no tunnel', async () => {
  const more = [await another(33), await another(44), await another(55)]
  await converge(left, right, ...more)
  for (const [index, one] of [left, ...more].entries()) {
    await revoke(one)
    await right.follow()
    const next = more[index]?.joined.publicKey
    expect(right.document.tunnels.map(({ peer }) => peer.identityKey)).toEqual(next === undefined ? [] : [next])
  }
})

test('what another one says of the tunnels is not heard', async () => {
  const second = await another(33)
  await converge(left, right, second)
  const before = await status()
  const traffic = { outPackets: 9, inPackets: 9, outBytes: 9, inBytes: 9, dropped: 9 }
  must(await second.report({ tunnels: [{ tunnel, state: 'refused', epochs: [], traffic }] }), 200)
  expect(await status()).toEqual(before)
  expect(await world.repo.get(network.id, 'end', `${tunnel}/${second.joined.connector}`)).toBeUndefined()
})

test('one that moves changes no document of others', async () => {
  const second = await another(33)
  await converge(left, right, second)
  const before = [left.document, right.document]
  must(await second.report({ addresses: ['198.51.100.7'] }), 200)
  for (const one of [left, right]) expect(await one.follow()).toBe(false)
  expect([left.document, right.document]).toEqual(before)
})

test('one that joins in the same moment, or while the clock is set back, is the younger one', async () => {
  world.clock.now -= 3_600_000
  const later = [await another(33), await another(44)]
  const joinedAt = async (one: TestConnector) => (await get(`/connectors/${one.joined.connector}`)).joinedAt
  const times = [await joinedAt(left), await joinedAt(later[0]!), await joinedAt(later[1]!)]
  expect(times).toEqual(times.toSorted((a, b) => a - b))
  expect(new Set(times).size).toBe(3)
  for (const one of later) expect(one.document.tunnels).toEqual([])
  await left.follow()
  expect(left.document.tunnels).toHaveLength(1)
})

test('a site with any connector stays', async () => {
  const second = await another(33)
  await revoke(left)
  must(await network.ask('DELETE', `/tunnels/${tunnel}`, { headers: { 'if-match': '*' } }), 204)
  const remove = () => network.ask('DELETE', `/sites/${hq}`, { headers: { 'if-match': '*' } })
  expect((await remove()).body.code).toBe('site-in-use')
  await revoke(second)
  must(await remove(), 204)
})
