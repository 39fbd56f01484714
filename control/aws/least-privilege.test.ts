/** The whole life of a connection against the stand-in, which enforces the IAM policy that we publish. */
import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { CREDENTIALS, type Ec2, startEc2, TRANSIT_GATEWAY, VPC } from '../../test/aws/server.ts'
import { until } from '../../test/system/until.ts'
import type { ActionResult, CloudAction, CloudFailure, CloudProvider, Subject, Tags } from '../domain/cloud/provider.ts'
import { createAwsProvider } from './provider.ts'
import { ACTIONS, OPTIONS, SECRETS } from './testing/actions.ts'

const REGION = 'eu-central-1'
const POLICY = JSON.parse(readFileSync(new URL('../../infra/aws/control-policy.json', import.meta.url), 'utf8'))
const OWNER = { id: 'AKIAISTHMUSOWNER0001', secret: 'of-the-account' }
const SUBJECT: Subject = {
  cloud: 'cld_00000000000000000001',
  network: 'net_00000000000000000001',
  region: REGION,
  target: { kind: 'vpc', vpc: VPC.id, as: 64_512 },
  known: [],
}
const TAGS = { 'isthmus:network': SUBJECT.network, 'isthmus:cloud': SUBJECT.cloud }

let ec2: Ec2
/** By our policy, and as somebody who may do everything. */
let ours: CloudProvider
let owner: CloudProvider

beforeEach(async () => {
  ec2 = await startEc2({ credentials: [{ ...CREDENTIALS, policy: POLICY }, OWNER] })
  const of = ({ id, secret }: { readonly id: string; readonly secret: string }) =>
    createAwsProvider({
      credentials: { accessKeyId: id, secretAccessKey: secret },
      endpoint: ec2.url,
      sleep: async () => undefined,
    })
  ours = of(CREDENTIALS)
  owner = of(OWNER)
})
afterEach(() => ec2.close())

const look = async (subject = SUBJECT) => (await ours.look([subject]))[0]!
const perform = (action: CloudAction, as = ours): Promise<ActionResult> => as.perform(REGION, action, SECRETS)
const refused = (action: CloudAction): Promise<CloudFailure> =>
  perform(action).then(
    () => expect.unreachable(`${action.type} should have been forbidden`),
    (failure: CloudFailure) => failure,
  )

async function build(tags: Tags, as = ours): Promise<{ cgw: string; vgw: string; vpn: string }> {
  const make = async (action: CloudAction) => (await perform(action, as)).id!
  const subject = { ...SUBJECT, known: [] as string[] }
  const cgw = await make({ type: 'create-customer-gateway', address: '198.51.100.7', as: 65_000, tags })
  const vgw = await make({ type: 'create-vpn-gateway', as: 64_512, tags })
  subject.known = [vgw]
  const gateway = async () => (await look(subject)).vpnGateways.find(({ id }) => id === vgw)
  await until('the gateway', async () => (await gateway())?.state === 'available')
  await perform({ type: 'attach-vpn-gateway', vpnGateway: vgw, vpc: VPC.id }, as)
  await until('the attachment', async () => (await gateway())?.attachments[0]?.state === 'attached')
  const vpn = await make({ ...ACTIONS['create-vpn-connection'], customerGateway: cgw, vpnGateway: vgw, tags })
  subject.known = [vpn]
  await until('the connection', async () => (await look(subject)).vpnConnections[0]?.state === 'available')
  return { cgw, vgw, vpn }
}

test('made, changed, tagged again and removed', async () => {
  const { cgw, vgw, vpn } = await build(TAGS)
  const { routeTables, vpnConnections } = await look()
  const table = routeTables[0]!.id
  const { outside } = vpnConnections[0]!.tunnels[0]!
  await perform({ type: 'enable-propagation', routeTable: table, vpnGateway: vgw })
  await perform({ type: 'modify-tunnel', vpnConnection: vpn, outside: outside!, options: OPTIONS, secret: 'two' })
  await until('the change', async () => (await look()).vpnConnections[0]!.state === 'available')
  await perform({ type: 'tag', resource: vpn, tags: TAGS })
  await perform({ type: 'disable-propagation', routeTable: table, vpnGateway: vgw })
  await perform({ type: 'delete-vpn-connection', vpnConnection: vpn })
  await until('it to be gone', async () => (await look()).vpnConnections[0]!.state === 'deleted')
  await perform({ type: 'detach-vpn-gateway', vpnGateway: vgw, vpc: VPC.id })
  await until('it to be off', async () => (await look()).vpnGateways[0]!.attachments[0]!.state === 'detached')
  await perform({ type: 'delete-vpn-gateway', vpnGateway: vgw })
  await perform({ type: 'delete-customer-gateway', customerGateway: cgw })
  expect(ec2.living()).toEqual([])
})

test('with a transit gateway, static routes and entries of route tables', async () => {
  const target = { kind: 'transit-gateway' as const, transitGateway: TRANSIT_GATEWAY.id, vpcs: [VPC.id] }
  const subject: Subject = { ...SUBJECT, target }
  const cgw = (await perform({ ...ACTIONS['create-customer-gateway'], tags: TAGS })).id!
  const { vpnGateway: _, ...draft } = ACTIONS['create-vpn-connection']
  const transit = { transitGateway: TRANSIT_GATEWAY.id, staticRoutesOnly: true, tags: TAGS }
  const vpn = (await perform({ ...draft, ...transit, customerGateway: cgw })).id!
  await until('the connection', async () => (await look(subject)).vpnConnections[0]?.state === 'available')
  const { routeTables, transitGateway } = await look(subject)
  expect(transitGateway).toMatchObject({ as: TRANSIT_GATEWAY.as, vpcs: [VPC.id] })
  const table = routeTables[0]!.id
  const prefix = '10.8.1.0/24'
  await perform({ type: 'create-vpn-route', vpnConnection: vpn, prefix })
  await perform({ type: 'create-route', routeTable: table, prefix, target: TRANSIT_GATEWAY.id })
  await perform({ type: 'delete-route', routeTable: table, prefix })
  await perform({ type: 'delete-vpn-route', vpnConnection: vpn, prefix })
  expect(ec2.calls.filter(({ error }) => error !== undefined)).toEqual([])
})

test('what somebody else has made is neither changed nor removed, and nothing is made without a tag', async () => {
  const { cgw, vgw, vpn } = await build({ Name: 'ours, not theirs' }, owner)
  const seen = await look({ ...SUBJECT, known: [vpn] })
  const { outside } = seen.vpnConnections[0]!.tunnels[0]!
  const before = ec2.living()
  const actions: CloudAction[] = [
    { type: 'modify-tunnel', vpnConnection: vpn, outside: outside!, options: { dpdS: 60 } },
    { type: 'create-vpn-route', vpnConnection: vpn, prefix: '10.8.1.0/24' },
    { type: 'delete-vpn-route', vpnConnection: vpn, prefix: '10.8.1.0/24' },
    { type: 'delete-vpn-connection', vpnConnection: vpn },
    { type: 'detach-vpn-gateway', vpnGateway: vgw, vpc: VPC.id },
    { type: 'delete-vpn-gateway', vpnGateway: vgw },
    { type: 'delete-customer-gateway', customerGateway: cgw },
    { type: 'tag', resource: VPC.id, tags: TAGS },
    { type: 'tag', resource: vpn, tags: { Name: 'mine' } },
    { type: 'create-vpn-gateway', as: 64_512, tags: { Name: 'mine' } },
  ]
  for (const action of actions) expect(await refused(action)).toMatchObject({ kind: 'forbidden' })
  expect((await refused(actions[3]!)).iamAction).toBe('ec2:DeleteVpnConnection')
  expect(ec2.living()).toEqual(before)
})
