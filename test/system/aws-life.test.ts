/**
 * The whole life of a VPN connection against the EC2 stand-in, with real tunnels: planned, applied, used, rotated under
 * traffic, changed behind our back, hit by AWS's maintenance, removed; the control plane killed at every call that changes
 * something.
 */
import { compactVerify, importJWK } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Cloud, type CloudPlan, type CloudRun, cloudEvidenceSchema } from '../../protocol/control/cloud.ts'
import type { Network } from '../../protocol/control/resources.ts'
import { CloudWorld } from '../aws/cloud-world.ts'
import { startExchange } from '../aws/customer.ts'
import { VPC } from '../aws/server.ts'
import { skipWithoutPeers } from '../interop/peers.ts'
import { skipWithoutNamespaces } from './netns.ts'
import { until } from './until.ts'

const WHAT = 'the life of a VPN connection'
const missing = skipWithoutNamespaces(WHAT) || skipWithoutPeers(WHAT, 'strongswan', 'bird')

/** ISTHMUS_TEST_ROTATIONS=10 rotates as often. */
const ROTATIONS = Number(process.env.ISTHMUS_TEST_ROTATIONS ?? 1)
const DRAFT = { name: 'aws', site: 'hq', region: 'eu-central-1', target: { kind: 'vpc', vpc: VPC.id } }
/** AWS's maintenance may cost so much, whichever way. */
const REPLACED_MS = 3_000
const RATE = 1_000

describe.skipIf(missing)(WHAT, () => {
  let cloud: CloudWorld
  let id: string
  let connection: string

  beforeAll(async () => {
    cloud = await CloudWorld.create({ consistencyMs: 100, delays: { modify: 1_500 } })
  }, 60_000)
  afterAll(() => cloud?.close())

  const vpcHost = () => cloud.aws.host(connection)
  const upAtAws = async () => (await cloud.aws.status(connection)).every(({ up }) => up)

  it('is planned without a change', async () => {
    const plan = await cloud.ask<CloudPlan>('POST', '/cloud-plan', { draft: DRAFT })
    expect(plan).toMatchObject({ drift: [], findings: [] })
    expect(plan.steps.map(({ action }) => action)).toEqual([
      'create-customer-gateway',
      'create-vpn-gateway',
      'attach-vpn-gateway',
      'create-vpn-connection',
      'enable-propagation',
      'enable-propagation',
    ])
    expect(plan.cost.perMonth).toBeGreaterThan(30)
    expect(cloud.ec2.changes).toEqual([])
  })

  it('is applied, with the control plane killed at every call: nothing is made twice', async () => {
    ;({ id } = await cloud.ask<Cloud>('POST', '/clouds', DRAFT))
    const { killed, off } = killAtEveryChange(cloud)
    const run = await cloud.runEnded(await cloud.begin(id, { kind: 'apply' }), 180_000)
    off()
    expect(run).toMatchObject({ state: 'done' })
    expect([...killed].sort()).toEqual(CHANGES.flatMap((action) => [`after ${action}`, `before ${action}`]).sort())
    expect(cloud.ec2.living()).toHaveLength(3)
    connection = cloud.ec2.account.vpnConnections[0]!.id
    await cloud.untilBothUp()
    await until('AWS to see both', upAtAws)
    expect(await cloud.cloudOf(id)).toMatchObject({ state: 'up', drift: [] })
  }, 240_000)

  it('carries packets both ways', async () => {
    const flow = await startExchange(cloud.world, cloud.site.host, vpcHost(), RATE)
    const before = cloud.ec2.changes.length
    const again = await cloud.runEnded(await cloud.begin(id, { kind: 'apply' }))
    expect(again).toMatchObject({ state: 'done', steps: [] })
    expect(cloud.ec2.changes).toHaveLength(before)
    expectWhole(await flow.stop())
  })

  it(
    'gets new keys under traffic, and nothing is lost',
    async () => {
      const flow = await startExchange(cloud.world, cloud.site.host, vpcHost(), RATE)
      const keys = new Set((await cloud.cloudOf(id)).tunnels.map(({ key }) => key!.fingerprint))
      for (let turn = 1; turn <= ROTATIONS; turn++) {
        const run = await cloud.runEnded(await cloud.begin(id, { kind: 'rotate' }))
        expect(run).toMatchObject({ state: 'done' })
        const evidence = await evidenceOf(cloud, run)
        expect(evidence).toMatchObject({ outcome: 'done', complete: true, traffic: { missing: 0, dropped: 0 } })
        for (const { key } of (await cloud.cloudOf(id)).tunnels) keys.add(key!.fingerprint)
        expect(keys.size).toBe(2 + 2 * turn)
      }
      expectWhole(await flow.stop())
    },
    60_000 + ROTATIONS * 60_000,
  )

  it('shows what somebody changed at AWS, and puts it back', async () => {
    cloud.ec2.changeOption(connection, 0, { StartupAction: 'add' })
    cloud.ec2.account.tables[1]!.propagating.clear()
    await cloud.ec2.settled()
    const { drift } = await cloud.ask<{ drift: { code: string }[] }>('GET', `/clouds/${id}/drift`)
    expect(drift.map(({ code }) => code).sort()).toEqual(['option-changed', 'propagation-missing'])
    await cloud.untilBothUp()
    const flow = await startExchange(cloud.world, cloud.site.host, vpcHost(), RATE)
    expect(await cloud.runEnded(await cloud.begin(id, { kind: 'fix' }))).toMatchObject({ state: 'done' })
    expect(await cloud.ask('GET', `/clouds/${id}/drift`)).toMatchObject({ drift: [] })
    expectWhole(await flow.stop())
  }, 120_000)

  it('goes on by the other tunnel when AWS replaces an endpoint, and has both again by itself', async () => {
    await until('both tunnels', upAtAws)
    const flow = await startExchange(cloud.world, cloud.site.host, vpcHost(), RATE)
    const used = await cloud.usedTunnel(connection)
    await cloud.aws.replace(connection, used, { silentMs: 1_000 })
    await cloud.untilBothUp()
    await until('AWS to see both', upAtAws)
    const { there, back } = await flow.stop()
    for (const { lost } of [there, back]) expect(lost).toBeLessThan((RATE * REPLACED_MS) / 1000)
    process.stderr.write(
      `an endpoint was replaced: lost ${there.lost} of ${there.sent}, ${back.lost} of ${back.sent}\n`,
    )
  }, 120_000)

  it('is destroyed, with the control plane killed at every call: only what was made goes, and all of it', async () => {
    const { killed, off } = killAtEveryChange(cloud)
    const run = await cloud.runEnded(await cloud.begin(id, { kind: 'destroy' }), 180_000)
    off()
    expect(run).toMatchObject({ state: 'done' })
    expect(killed.size).toBeGreaterThanOrEqual(8)
    expect(cloud.ec2.living()).toEqual([])
    expect(cloud.ec2.account.tables.map(({ propagating }) => propagating.size)).toEqual([0, 0])
    await until('the connector to forget', async () => (await cloud.status())?.tunnels.length === 0)
    const secrets = cloud.ec2.account.vpnConnections.flatMap(({ tunnels }) => tunnels.map(({ psk }) => psk))
    expect(secrets).toHaveLength(2)
    for (const secret of secrets) expect(cloud.logs()).not.toContain(secret)
  }, 240_000)
})

const CHANGES = [
  'CreateCustomerGateway',
  'CreateVpnGateway',
  'AttachVpnGateway',
  'CreateVpnConnection',
  'EnableVgwRoutePropagation',
]

/** Before the first call of each kind takes effect, and after that of the next one, before it is answered. */
function killAtEveryChange(cloud: CloudWorld): { readonly killed: ReadonlySet<string>; off(): void } {
  const killed = new Set<string>()
  const kill = (moment: 'before' | 'after') => async (action: string) => {
    if (action.startsWith('Describe') || killed.has(`${moment} ${action}`)) return undefined
    killed.add(`${moment} ${action}`)
    await cloud.control.kill()
    void cloud.control.start()
    return 'drop' as const
  }
  const hooks = [cloud.ec2.on('*', 'before', kill('before')), cloud.ec2.on('*', 'after-effect', kill('after'))]
  return {
    killed,
    off: () => {
      for (const off of hooks) off()
    },
  }
}

function expectWhole({ there, back }: Awaited<ReturnType<Awaited<ReturnType<typeof startExchange>>['stop']>>): void {
  expect(there).toEqual({ sent: there.sent, received: there.sent, lost: 0, late: 0, duplicates: 0 })
  expect(back).toEqual({ sent: back.sent, received: back.sent, lost: 0, late: 0, duplicates: 0 })
  expect(there.sent).toBeGreaterThan(100)
}

/** Throws unless the network has signed it. */
async function evidenceOf(cloud: CloudWorld, { evidence }: CloudRun) {
  const { evidenceKey } = await cloud.ask<Network>('GET', '')
  const key = await importJWK({ kty: 'OKP', crv: 'Ed25519', x: evidenceKey }, 'EdDSA')
  const { payload } = await compactVerify(evidence!, key)
  return cloudEvidenceSchema.parse(JSON.parse(new TextDecoder().decode(payload)))
}
