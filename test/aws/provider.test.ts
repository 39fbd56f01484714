/** The EC2 adapter against the stand-in, over HTTP, signed: every action, every error, what is seen afterwards. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createAwsProvider } from '../../control/aws/provider.ts'
import {
  type CloudAction,
  CloudFailure,
  type CloudProvider,
  type Subject,
} from '../../control/domain/cloud/provider.ts'
import { pskFingerprint } from '../../control/domain/cloud/rules.ts'
import { awsOptionsSchema } from '../../protocol/control/cloud.ts'
import { until } from '../system/until.ts'
import { CONTROL_POLICY } from './ec2-iam.ts'
import { CREDENTIALS, type Ec2, type Ec2Options, startEc2, TRANSIT_GATEWAY, VPC } from './server.ts'

const REGION = 'eu-central-1'
const SUBJECT: Subject = {
  cloud: 'cld_00000000000000000001',
  network: 'net_00000000000000000001',
  region: REGION,
  target: { kind: 'vpc', vpc: VPC.id, as: 64_512 },
  known: [],
}
const TAGS = { 'isthmus:cloud': SUBJECT.cloud, 'isthmus:network': SUBJECT.network }
const OPTIONS = awsOptionsSchema.parse({})
const SECRETS = new Map([
  ['one', 'a.secret_of_the_first_tunnel'],
  ['two', 'a.secret_of_the_second_tunnel'],
])

let ec2: Ec2
let provider: CloudProvider

async function start(options: Ec2Options = {}, credentials = CREDENTIALS): Promise<void> {
  ec2 = await startEc2({ credentials: [{ ...CREDENTIALS, policy: CONTROL_POLICY }], ...options })
  const keys = { accessKeyId: credentials.id, secretAccessKey: credentials.secret }
  provider = createAwsProvider({ credentials: keys, endpoint: ec2.url, sleep: async () => undefined })
}

beforeEach(() => start())
afterEach(() => ec2.close())

const look = async (subject = SUBJECT) => (await provider.look([subject]))[0]!
const perform = async (action: CloudAction) => (await provider.perform(REGION, action, SECRETS)).id!
const failing = async (action: CloudAction): Promise<CloudFailure> =>
  provider.perform(REGION, action, SECRETS).then(
    () => expect.unreachable('it should have failed'),
    (error: unknown) => {
      expect(error).toBeInstanceOf(CloudFailure)
      return error as CloudFailure
    },
  )
const customer: CloudAction = {
  type: 'create-customer-gateway',
  address: '198.51.100.7',
  as: 4_200_000_001,
  tags: TAGS,
}

async function build(): Promise<{ cgw: string; vgw: string; vpn: string }> {
  const cgw = await perform(customer)
  const vgw = await perform({ type: 'create-vpn-gateway', as: 64_512, tags: TAGS })
  await until('the gateway', async () => (await look()).vpnGateways[0]?.state === 'available')
  await perform({ type: 'attach-vpn-gateway', vpnGateway: vgw, vpc: VPC.id })
  const attached = async () => (await look()).vpnGateways[0]!.attachments[0]?.state === 'attached'
  await until('the attachment', attached)
  const vpn = await perform({
    type: 'create-vpn-connection',
    customerGateway: cgw,
    vpnGateway: vgw,
    staticRoutesOnly: false,
    tunnels: [
      { insideCidr: '169.254.171.0/30', options: OPTIONS, secret: 'one' },
      { insideCidr: '169.254.171.4/30', options: OPTIONS, secret: 'two' },
    ],
    tags: TAGS,
  })
  await until('the connection', async () => (await look()).vpnConnections[0]?.state === 'available')
  return { cgw, vgw, vpn }
}

describe('the adapter', () => {
  test('makes a connection, and sees it as it asked for it', async () => {
    const { cgw, vgw, vpn } = await build()
    const seen = await look()
    expect(seen.vpcs).toEqual([{ id: VPC.id, state: 'available', blocks: VPC.blocks }])
    expect(seen.customerGateways).toEqual([
      { id: cgw, state: 'available', address: '198.51.100.7', as: 4_200_000_001, tags: TAGS },
    ])
    expect(seen.vpnGateways).toMatchObject([{ id: vgw, as: 64_512, attachments: [{ vpc: VPC.id, state: 'attached' }] }])
    const [connection] = seen.vpnConnections
    expect(connection).toMatchObject({
      id: vpn,
      customerGateway: cgw,
      vpnGateway: vgw,
      staticRoutesOnly: false,
      tags: TAGS,
    })
    expect(connection!.tunnels.map(({ options }) => options)).toEqual([OPTIONS, OPTIONS])
    expect(connection!.tunnels.map(({ ikeVersions }) => ikeVersions)).toEqual([['ikev2'], ['ikev2']])
    expect(connection!.tunnels.map(({ keyFingerprint }) => keyFingerprint)).toEqual(
      [...SECRETS.values()].map(pskFingerprint),
    )
    expect(connection!.tunnels.map(({ insideCidr }) => insideCidr)).toEqual(['169.254.171.0/30', '169.254.171.4/30'])
    expect(JSON.stringify(seen)).not.toContain('a.secret_of')
  })

  test('changes one tunnel, and only what it is told', async () => {
    const { vpn } = await build()
    const { outside } = (await look()).vpnConnections[0]!.tunnels[0]!
    await perform({
      type: 'modify-tunnel',
      vpnConnection: vpn,
      outside: outside!,
      options: { dpdS: 30 },
      secret: 'two',
    })
    expect((await look()).vpnConnections[0]!.state).toBe('modifying')
    const busy = await failing({
      type: 'modify-tunnel',
      vpnConnection: vpn,
      outside: outside!,
      options: {},
      secret: 'one',
    })
    expect(busy).toMatchObject({ kind: 'later', code: 'IncorrectState' })
    await until('the change', async () => (await look()).vpnConnections[0]!.state === 'available')
    const [changed, other] = (await look()).vpnConnections[0]!.tunnels
    expect(changed!.keyFingerprint).toBe(pskFingerprint(SECRETS.get('two')!))
    expect(changed!.options).toEqual(OPTIONS)
    expect(other!.keyFingerprint).toBe(pskFingerprint(SECRETS.get('two')!))
  })

  test('turns propagation on and off, and removes everything in order', async () => {
    const { cgw, vgw, vpn } = await build()
    const table = (await look()).routeTables[0]!.id
    await perform({ type: 'enable-propagation', routeTable: table, vpnGateway: vgw })
    expect((await look()).routeTables[0]!.propagating).toEqual([vgw])
    expect(await failing({ type: 'delete-vpn-gateway', vpnGateway: vgw })).toMatchObject({ kind: 'in-use' })
    await perform({ type: 'disable-propagation', routeTable: table, vpnGateway: vgw })
    await perform({ type: 'delete-vpn-connection', vpnConnection: vpn })
    await until('it to be gone', async () => (await look()).vpnConnections[0]!.state === 'deleted')
    await perform({ type: 'detach-vpn-gateway', vpnGateway: vgw, vpc: VPC.id })
    await until('it to be detached', async () => (await look()).vpnGateways[0]!.attachments[0]!.state === 'detached')
    await perform({ type: 'delete-vpn-gateway', vpnGateway: vgw })
    await perform({ type: 'delete-customer-gateway', customerGateway: cgw })
    expect(ec2.living()).toEqual([])
    expect(await failing({ type: 'delete-vpn-gateway', vpnGateway: vgw })).toMatchObject({ kind: 'gone' })
  })

  test('with a transit gateway, static routes and route table entries', async () => {
    const target = { kind: 'transit-gateway' as const, transitGateway: TRANSIT_GATEWAY.id, vpcs: [VPC.id] }
    const subject: Subject = { ...SUBJECT, target }
    const cgw = await perform(customer)
    const vpn = await perform({
      type: 'create-vpn-connection',
      customerGateway: cgw,
      transitGateway: TRANSIT_GATEWAY.id,
      staticRoutesOnly: true,
      tunnels: [
        { insideCidr: '169.254.171.0/30', options: OPTIONS, secret: 'one' },
        { insideCidr: '169.254.171.4/30', options: OPTIONS, secret: 'two' },
      ],
      tags: TAGS,
    })
    await until('the connection', async () => (await look(subject)).vpnConnections[0]?.state === 'available')
    await perform({ type: 'create-vpn-route', vpnConnection: vpn, prefix: '10.8.1.0/24' })
    const table = (await look(subject)).routeTables[0]!.id
    await perform({ type: 'create-route', routeTable: table, prefix: '10.8.1.0/24', target: TRANSIT_GATEWAY.id })
    const seen = await look(subject)
    expect(seen.transitGateway).toMatchObject({ id: TRANSIT_GATEWAY.id, as: TRANSIT_GATEWAY.as, vpcs: [VPC.id] })
    expect(seen.vpnConnections[0]).toMatchObject({
      transitGateway: TRANSIT_GATEWAY.id,
      routes: [{ prefix: '10.8.1.0/24' }],
    })
    expect(seen.routeTables[0]!.routes).toContainEqual({
      prefix: '10.8.1.0/24',
      target: TRANSIT_GATEWAY.id,
      origin: 'created',
      state: 'active',
    })
    await perform({ type: 'delete-route', routeTable: table, prefix: '10.8.1.0/24' })
    await perform({ type: 'delete-vpn-route', vpnConnection: vpn, prefix: '10.8.1.0/24' })
    expect(await failing({ type: 'delete-route', routeTable: table, prefix: '10.8.1.0/24' })).toMatchObject({
      kind: 'gone',
    })
  })

  test('shows nobody what is another network’s', async () => {
    await build()
    const stranger = { ...SUBJECT, cloud: 'cld_00000000000000000002', network: 'net_00000000000000000002' }
    const seen = await look(stranger)
    expect([seen.vpnConnections, seen.vpnGateways, seen.customerGateways]).toEqual([[], [], []])
    expect(seen.takenInside).toEqual(['169.254.171.0/30', '169.254.171.4/30'])
  })

  test('looks at many in a handful of calls', async () => {
    const before = ec2.calls.length
    const many = Array.from({ length: 100 }, (_, index) => ({
      ...SUBJECT,
      cloud: `cld_${String(index).padStart(20, '0')}`,
    }))
    expect(await provider.look(many)).toHaveLength(100)
    expect(ec2.calls.length - before).toBe(5)
  })

  test('goes through all pages', async () => {
    await ec2.close()
    await start({
      vpcs: Array.from({ length: 150 }, (_, index) => ({
        id: `vpc-${String(index).padStart(17, '0')}`,
        blocks: ['10.0.0.0/16'],
      })),
    })
    const vpcs = Array.from({ length: 150 }, (_, index) => `vpc-${String(index).padStart(17, '0')}`)
    const target = { kind: 'transit-gateway' as const, transitGateway: TRANSIT_GATEWAY.id, vpcs }
    const seen = await look({ ...SUBJECT, target })
    expect(seen.vpcs).toHaveLength(150)
    expect(seen.routeTables).toHaveLength(300)
  })
})

describe('errors', () => {
  test.each([
    ['RequestLimitExceeded', 'later'],
    ['VpnConnectionLimitExceeded', 'quota'],
    ['CustomerGatewayLimitExceeded', 'quota'],
    ['InvalidParameterValue', 'invalid'],
    ['DependencyViolation', 'in-use'],
    ['InvalidCustomerGatewayID.NotFound', 'gone'],
    ['InternalError', 'unknown'],
    ['SomethingNew', 'unknown'],
  ])('%s is %s', async (code, kind) => {
    ec2.fail('CreateCustomerGateway', code, 100)
    const failure = await failing(customer)
    expect(failure).toMatchObject({ kind, code })
    expect(failure.message).toContain('CreateCustomerGateway')
  })

  test('what AWS throttles is tried again, and what may have been done is not', async () => {
    ec2.fail('CreateCustomerGateway', 'RequestLimitExceeded', 3, 503)
    expect(await perform(customer)).toMatch(/^cgw-/)
    ec2.fail('CreateVpnGateway', 'InternalError', 1, 500)
    await failing({ type: 'create-vpn-gateway', as: 64_512, tags: TAGS })
    expect(ec2.calls.filter(({ action }) => action === 'CreateVpnGateway')).toHaveLength(1)
  })

  test('an answer that is lost leaves open whether it was done', async () => {
    const off = ec2.on('*', 'after-effect', () => 'drop')
    expect(await failing(customer)).toMatchObject({ kind: 'unknown' })
    off()
    expect((await look()).customerGateways).toHaveLength(1)
  })

  test('the policy lets nobody touch what has no tag of ours', async () => {
    const { cgw, vgw, vpn } = await build()
    const outside = (await look()).vpnConnections[0]!.tunnels[0]!.outside!
    for (const id of [cgw, vgw, vpn]) ec2.setTags(id, { owner: 'somebody' })
    const forbidden: CloudAction[] = [
      { type: 'modify-tunnel', vpnConnection: vpn, outside, options: { startup: 'add' } },
      { type: 'delete-vpn-connection', vpnConnection: vpn },
      { type: 'detach-vpn-gateway', vpnGateway: vgw, vpc: VPC.id },
      { type: 'delete-vpn-gateway', vpnGateway: vgw },
      { type: 'delete-customer-gateway', customerGateway: cgw },
      { type: 'create-vpn-gateway', as: 64_512, tags: {} },
    ]
    for (const action of forbidden) expect(await failing(action)).toMatchObject({ kind: 'forbidden' })
    expect(ec2.living()).toHaveLength(3)
  })

  test('a missing permission is named', async () => {
    ec2.forbid('CreateCustomerGateway')
    const failure = await failing(customer)
    expect(failure).toMatchObject({ kind: 'forbidden', iamAction: 'ec2:CreateCustomerGateway' })
    expect(failure.remedy).toContain('ec2:CreateCustomerGateway')
  })

  test.each([
    ['another secret', { ...CREDENTIALS, secret: 'not that one' }],
    ['another access key', { ...CREDENTIALS, id: 'AKIANOBODY0000000000' }],
  ])('credentials that are wrong: %s', async (_, credentials) => {
    await ec2.close()
    await start({}, credentials)
    await expect(look()).rejects.toMatchObject({ kind: 'credentials' })
    expect((await look().catch((error: CloudFailure) => error.message)) as string).not.toContain(credentials.secret)
  })

  test('nobody there', async () => {
    await ec2.close()
    const failure = await failing(customer)
    expect(failure.kind).toBe('unknown')
    await expect(look()).rejects.toMatchObject({ kind: 'later' })
    await start()
  })
})
