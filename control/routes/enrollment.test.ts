/** Joining, proofs, documents and reports, by the API as connectors use it. */
import { beforeEach, describe, expect, test } from 'vitest'
import { sign } from '../service/signatures.ts'
import { converge, joinRequest, TestConnector } from '../testing/connector.ts'
import { joinToken, makeNetwork, makePair, makeSite, must, type TestNetwork } from '../testing/network.ts'
import { type Answer, createWorld, makeIdentity, signed, type World } from '../testing/world.ts'

let world: World
let network: TestNetwork
let site: string

beforeEach(async () => {
  world = await createWorld()
  network = await makeNetwork(world)
  site = await makeSite(network, 'first', '10.20.0.0/16')
})

async function join(token: string, seed: number, more: object = {}): Promise<Answer> {
  return world.request('POST', '/v1/join', { body: await joinRequest(world, token, makeIdentity(seed), more) })
}

const coded = ({ status, body }: Answer) => [status, body.code]

describe('a join token', () => {
  test('lets one of two join who come at once', async () => {
    const token = await joinToken(network, site)
    const answers = await Promise.all([1, 2, 3, 4].map((seed) => join(token, seed)))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409])
    expect((await network.ask('GET', '/connectors')).body.items).toHaveLength(1)
  })

  test('gives the same place again to the same key, and to no other', async () => {
    const token = await joinToken(network, site)
    const first = must(await join(token, 1), 200)
    expect((await join(token, 1)).body).toEqual(first.body)
    expect(coded(await join(token, 2))).toEqual([409, 'join-token-used'])
    must(await network.ask('POST', `/connectors/${first.body.connector}/revoke`), 200)
    expect(coded(await join(token, 1))).toEqual([409, 'join-token-used'])
  })

  test('that is expired, revoked, changed, unknown, or of another installation', async () => {
    const expired = await joinToken(network, site)
    world.clock.now += 24 * 3_600_000
    expect(coded(await join(expired, 1))).toEqual([410, 'join-token-expired'])
    const { id, token } = must(await network.ask('POST', '/join-tokens', { body: { site } }), 201).body
    must(await network.ask('DELETE', `/join-tokens/${id}`, { headers: { 'if-match': '*' } }), 204)
    expect(coded(await join(token, 1))).toEqual([410, 'join-token-revoked'])
    const good = await joinToken(network, site)
    expect(coded(await join(good.slice(0, -1) + (good.endsWith('A') ? 'B' : 'A'), 1))).toEqual([
      401,
      'join-token-unknown',
    ])
    const other = await createWorld({ seed: 9 })
    const theirs = await makeNetwork(other)
    const foreign = await joinToken(theirs, await makeSite(theirs, 'x', '10.0.0.0/24'))
    expect(coded(await join(foreign, 1))).toEqual([401, 'join-token-unknown'])
    expect((await network.ask('GET', '/connectors')).body.items).toEqual([])
  })

  test('goes with its site', async () => {
    const token = await joinToken(network, site)
    must(await network.ask('DELETE', `/sites/${site}`, { headers: { 'if-match': '*' } }), 204)
    expect(coded(await join(token, 1))).toEqual([410, 'join-token-revoked'])
  })

  test('for a site that has as many connectors as it may have: revoke one first', async () => {
    const there: string[] = []
    for (const seed of [1, 2, 3, 4])
      there.push(must(await join(await joinToken(network, site), seed), 200).body.connector)
    const one = await joinToken(network, site)
    expect(coded(await join(one, 5))).toEqual([409, 'site-has-connector'])
    must(await network.ask('POST', `/connectors/${there[2]}/revoke`), 200)
    expect(there).not.toContain(must(await join(one, 5), 200).body.connector)
  })

  test('by a key that another connector has, or had', async () => {
    const other = await makeSite(network, 'second', '10.21.0.0/16')
    const { connector } = must(await join(await joinToken(network, site), 1), 200).body
    expect(coded(await join(await joinToken(network, other), 1))).toEqual([409, 'identity-in-use'])
    must(await network.ask('POST', `/connectors/${connector}/revoke`), 200)
    expect(coded(await join(await joinToken(network, other), 1))).toEqual([409, 'identity-in-use'])
  })

  test('with the proof of another key, for another token, or of another time', async () => {
    const token = await joinToken(network, site)
    const other = await joinRequest(world, await joinToken(network, site), makeIdentity(1))
    const proof = (other as { proof: string }).proof
    expect(coded(await join(token, 1, { proof }))).toEqual([422, 'bad-signature'])
    const stolen = (await joinRequest(world, token, makeIdentity(2))) as { proof: string }
    expect(coded(await join(token, 1, { proof: stolen.proof }))).toEqual([422, 'bad-signature'])
    const request = await joinRequest(world, token, makeIdentity(1))
    world.clock.now += 61_000
    const late = await world.request('POST', '/v1/join', { body: request })
    expect(coded(late)).toEqual([401, 'clock-skew'])
    expect(late.headers.get('date')).toBe(new Date(world.clock.now).toUTCString())
  })

  test('takes the name that is wanted, or makes one of the site', async () => {
    const named = must(await join(await joinToken(network, site), 1, { name: 'edge' }), 200).body
    const second = await makeSite(network, 'edge', '10.21.0.0/16')
    const made = must(await join(await joinToken(network, second), 2), 200).body
    const name = async (id: string) => (await network.ask('GET', `/connectors/${id}`)).body.name
    expect([await name(named.connector), await name(made.connector)]).toEqual(['edge', 'edge-2'])
    const third = await makeSite(network, 'third', '10.22.0.0/16')
    expect(coded(await join(await joinToken(network, third), 3, { name: 'edge' }))).toEqual([409, 'duplicate-name'])
  })
})

describe('the proof of a connector', () => {
  let connector: TestConnector
  const ask = (proof: object, path = `${connector.path}/document`) =>
    signed(world, connector.joined, 'GET', path, { proof: { ...proof } })

  beforeEach(async () => {
    connector = await TestConnector.join(world, await joinToken(network, site), 1)
  })

  test('is good for one request, at its time, for its method, target and body', async () => {
    must(await ask({ nonce: 'aaaaaaaaaaaaaaaaaaaaaa' }), 200)
    expect(coded(await ask({ nonce: 'aaaaaaaaaaaaaaaaaaaaaa' }))).toEqual([401, 'proof-replayed'])
    expect(coded(await ask({ at: world.clock.now - 60_001 }))).toEqual([401, 'clock-skew'])
    expect(coded(await ask({ at: world.clock.now + 60_001 }))).toEqual([401, 'clock-skew'])
    expect(coded(await ask({ method: 'POST' }))).toEqual([401, 'bad-credentials'])
    expect(coded(await ask({ target: '/v1' }))).toEqual([401, 'bad-credentials'])
    expect(coded(await ask({ body: 'A'.repeat(43) }))).toEqual([401, 'bad-credentials'])
    expect(coded(await ask({ use: 'isthmus-join' }))).toEqual([401, 'bad-credentials'])
  })

  test('without a signature, or with a symmetric one, is none', async () => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const { jwk, network: net, connector: con } = connector.joined
    const claims = {
      use: 'isthmus-request',
      network: net,
      connector: con,
      method: 'GET',
      target: `${connector.path}/document`,
    }
    for (const alg of ['none', 'HS256']) {
      const forged = `${part({ alg })}.${part({ ...claims, body: 'A'.repeat(43), at: world.clock.now, nonce: 'b'.repeat(22) })}.AAAA`
      const answer = await world.request('GET', `${connector.path}/document`, {
        headers: { authorization: `Isthmus ${forged}` },
      })
      expect(coded(answer)).toEqual([401, 'bad-credentials'])
    }
    expect(await sign(claims, jwk)).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/)
  })

  test('is worth nothing once the connector is revoked, and the hub is told', async () => {
    must(await network.ask('POST', `/connectors/${connector.joined.connector}/revoke`), 200)
    expect(coded(await ask({}))).toEqual([401, 'connector-revoked'])
    expect(world.hub.revoked).toEqual([connector.joined.connector])
  })

  test('opens a link only as a WebSocket', async () => {
    const answer = await ask({}, `${network.path}/link`)
    expect(coded(answer)).toEqual([426, 'websocket-required'])
  })
})

describe('documents', () => {
  test('are given by condition, and have a new version with every change of what is to be done', async () => {
    const { left, right } = await makePair(world, network)
    await converge(left, right)
    expect(await left.follow()).toBe(false)
    const before = left.document
    world.hub.changed.length = 0
    const branch = (await network.ask('GET', '/sites')).body.items.find(
      ({ name }: { name: string }) => name === 'branch',
    )
    const body = { name: 'branch', prefixes: ['10.2.0.0/16', '10.3.0.0/16'] }
    must(await network.ask('PUT', `/sites/${branch.id}`, { body, headers: { 'if-match': '*' } }), 200)
    expect(world.hub.changed).toEqual([
      { network: network.id, connectors: expect.arrayContaining([left.joined.connector, right.joined.connector]) },
    ])
    expect(await left.follow()).toBe(true)
    expect(left.document.version).toBeGreaterThan(before.version)
    expect(left.document.tunnels[0]!.peer.prefixes).toEqual(body.prefixes)
    world.hub.changed.length = 0
    must(await network.ask('PUT', `/sites/${branch.id}`, { body, headers: { 'if-match': '*' } }), 200)
    expect(world.hub.changed).toEqual([])
  })

  test('lose the tunnels to a connector that is revoked, and its keys are of no use any more', async () => {
    const { left, right, tunnel } = await makePair(world, network)
    await converge(left, right)
    must(await network.ask('POST', `/connectors/${right.joined.connector}/revoke`), 200)
    await left.follow()
    expect(left.document.tunnels).toEqual([])
    const replacement = await TestConnector.join(
      world,
      await joinToken(network, (await network.ask('GET', `/connectors/${right.joined.connector}`)).body.site),
      77,
    )
    await converge(left, replacement)
    const status = (await network.ask('GET', `/tunnels/${tunnel}/status`)).body
    expect(status.epoch).toBe(2)
    expect(left.document.tunnels[0]!.peer.identityKey).toBe(replacement.joined.publicKey)
  })
})

describe('a report', () => {
  test("with a half that is not the connector's own is refused whole", async () => {
    const { left, right } = await makePair(world, network)
    await left.follow()
    await right.follow()
    const [tunnel] = left.document.tunnels
    const claims = {
      use: 'isthmus-epoch-key',
      network: network.id,
      tunnel: tunnel!.id,
      epoch: 1,
      connector: left.joined.connector,
      peer: right.joined.connector,
      key: 'A'.repeat(43),
    }
    const status = { epoch: 1, accepted: false, using: false, confirmed: false }
    const traffic = { outPackets: 0, inPackets: 0, outBytes: 0, inBytes: 0, dropped: 0 }
    for (const [changed, signer] of [
      [{}, right],
      [{ epoch: 2 }, left],
      [{ connector: right.joined.connector }, left],
    ] as const) {
      const key = await sign({ ...claims, ...changed }, signer.joined.jwk)
      const answer = await left.report({
        tunnels: [{ tunnel: tunnel!.id, state: 'idle', epochs: [{ ...status, key }], traffic }],
      })
      expect(coded(answer)).toEqual([422, 'bad-signature'])
      expect(answer.body.errors[0].pointer).toBe('/report/tunnels/0/epochs/0/key')
    }
  })

  test("of tunnels that are not the connector's own changes nothing", async () => {
    const { left, right, tunnel } = await makePair(world, network)
    const third = await TestConnector.join(world, await joinToken(network, site), 5)
    await converge(left, right, third)
    const status = async () => (await network.ask('GET', `/tunnels/${tunnel}/status`)).body
    const before = await status()
    const traffic = { outPackets: 9, inPackets: 9, outBytes: 9, inBytes: 9, dropped: 9 }
    must(await third.report({ tunnels: [{ tunnel, state: 'refused', epochs: [], traffic }] }), 200)
    expect(await status()).toEqual(before)
  })

  test('of a document that was never given out is answered with a newer one, and logged', async () => {
    const { left } = await makePair(world, network)
    const answer = must(await left.report({ version: 500 }), 200)
    expect(answer.body.version).toBe(501)
    expect(world.log.filter(({ level }) => level === 'warn')).toHaveLength(1)
    expect(coded(await left.report({ version: 2 ** 50 }))).toEqual([409, 'document-from-the-future'])
  })

  test('from an earlier start than the last one tells of two connectors with one identity', async () => {
    const { left } = await makePair(world, network)
    must(await left.report(), 200)
    must(await left.report({ startedAt: left.startedAt - 1 }), 200)
    expect(world.log.filter(({ level }) => level === 'warn').map(({ message }) => message)).toEqual([
      expect.stringContaining('one identity'),
    ])
  })
})
