/** The control plane over a real PostgreSQL: as Lambda, and as two processes side by side. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type ControlPlane, startControl } from '../../control/entry/node.ts'
import { lambdaCases } from '../../control/entry/testing/lambda-cases.ts'
import { NodeLink, nodeCaller } from '../../control/entry/testing/node-world.ts'
import { openPostgres } from '../../control/store/postgres.ts'
import { type Cluster, missingPostgres, startCluster } from '../../control/store/testing/cluster.ts'
import { type Caller, emptyReport, type Joined, signed } from '../../control/testing/caller.ts'
import { converge, TestConnector } from '../../control/testing/connector.ts'
import { joinToken, makeNetwork, makePair, makeSite, must, type TestNetwork } from '../../control/testing/network.ts'

const missing = missingPostgres()
if (missing !== undefined) {
  if (process.env.CI === 'true') throw new Error(missing)
  process.stderr.write(`skipped: the control plane over PostgreSQL: ${missing}\n`)
}

describe.skipIf(missing !== undefined)('with a server', () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await startCluster()
  })
  afterAll(() => cluster?.stop())

  lambdaCases('PostgreSQL', async () => openPostgres(await cluster.database(), { sessions: 1 }))

  describe('two replicas', () => {
    const planes: ControlPlane[] = []
    let directory: string
    beforeEach(() => {
      directory = mkdtempSync(join(tmpdir(), 'isthmus-replicas-'))
    })
    afterEach(async () => {
      await Promise.all(planes.splice(0).map((plane) => plane.close()))
      rmSync(directory, { recursive: true, force: true })
    })

    async function replicas() {
      const postgres = await cluster.database()
      const log = { info() {}, warn() {}, error() {} }
      const options = { directory, postgres, host: '127.0.0.1', port: 0, log, version: '1.2.3' }
      const first = await startControl(options)
      planes.push(first)
      const second = await startControl(options)
      planes.push(second)
      expect(second.adminToken).toBeUndefined()
      const callers = [first, second].map((plane) => nodeCaller(() => plane.url, first.adminToken!))
      return { first, second, one: callers[0]!, other: callers[1]! }
    }

    /** The same network, asked elsewhere. */
    function at(caller: Caller, network: TestNetwork): TestNetwork {
      const ask: TestNetwork['ask'] = (method, below, options) =>
        caller.request(method, network.path + below, { token: network.tokens.owner, ...options })
      return { ...network, ask }
    }

    async function linked(url: string, caller: Caller, joined: Joined, version: number): Promise<NodeLink> {
      const link = await NodeLink.open(url, caller, joined)
      link.send({ type: 'hello', protocol: 1, report: emptyReport(caller, version) })
      await link.next('welcome')
      return link
    }

    test('a change that is made at one reaches a connector that is linked to the other', async () => {
      const { first, one, other } = await replicas()
      const network = await makeNetwork(one)
      const { left, right } = await makePair(one, network)
      while ((await left.follow()) || (await right.follow()));
      const link = await linked(first.url, one, left.joined, left.document.version)
      const begun = performance.now()
      await makeSite(at(other, network), 'third', '10.3.0.0/16')
      const third = await TestConnector.join(other, await joinToken(at(other, network), await siteOf(network)), 7)
      const { document } = await link.next('document')
      expect(document.tunnels.map(({ peer }) => peer.connector)).toContain(third.joined.connector)
      expect(performance.now() - begun).toBeLessThan(10_000)
    })

    async function siteOf(network: TestNetwork): Promise<string> {
      const { items } = must(await network.ask('GET', '/sites'), 200).body
      return items.find(({ name }: { name: string }) => name === 'third').id
    }

    test('a connector that is revoked at one is cut off at the other', async () => {
      const { first, one, other } = await replicas()
      const network = await makeNetwork(one)
      const { left } = await makePair(one, network)
      const link = await linked(first.url, one, left.joined, left.document.version)
      must(await at(other, network).ask('POST', `/connectors/${left.joined.connector}/revoke`), 200)
      expect((await link.next('bye')).code).toBe('revoked')
    })

    test('a rotation goes on whichever of the two its ends report to, and a proof is good at one of them', async () => {
      const { one, other } = await replicas()
      const network = await makeNetwork(one)
      const { left, right, tunnel } = await makePair(one, network)
      Object.assign(right, { world: other })
      await converge(left, right)
      must(await at(other, network).ask('POST', '/runs', { body: {} }), 201)
      await converge(left, right)
      const { items } = must(await network.ask('GET', `/rotations?tunnel=${tunnel}`), 200).body
      expect(items.map(({ state }: { state: string }) => state)).toEqual(['done', 'done'])
      const request = { proof: { nonce: 'B'.repeat(22) } }
      const path = `${left.path}/document`
      must(await signed(one, left.joined, 'GET', path, request), 200)
      const again = await signed(other, left.joined, 'GET', path, request)
      expect([again.status, again.body.code]).toEqual([401, 'proof-replayed'])
    })
  })
})
