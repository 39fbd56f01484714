/** What the adapter sends and reads, against the SDK's own model of the API: every name, every type. */
import { describe, expect, test } from 'vitest'
import { type Fields, operationOf, parseInput, renderOutput } from '../../test/aws/sdk-model.ts'
import type { CloudAction } from '../domain/cloud/provider.ts'
import { pskFingerprint } from '../domain/cloud/rules.ts'
import { commandOf } from './perform.ts'
import { createAwsProvider } from './provider.ts'
import { ACTIONS, OPTIONS, SECRETS, SUBJECTS } from './testing/actions.ts'
import { type Answer, emptyAnswer, KEYS, type Sent, wire } from './testing/wire.ts'

const REGION = 'eu-central-1'

async function sentBy(action: CloudAction): Promise<Sent> {
  const { sent, requestHandler } = wire(emptyAnswer)
  await createAwsProvider({ credentials: KEYS, requestHandler }).perform(REGION, action, SECRETS)
  expect(sent).toHaveLength(1)
  return sent[0]!
}

describe('what is sent', () => {
  test.each(Object.values(ACTIONS))(
    '$type has only names that the operation has, and arrives whole',
    async (action) => {
      const sent = await sentBy(action)
      const operation = operationOf(sent.action)
      expect(operation).toBeDefined()
      const { input, unknown, malformed } = parseInput(operation!, sent.params)
      expect({ unknown, malformed }).toEqual({ unknown: [], malformed: [] })
      expect(input).toEqual(commandOf(action, SECRETS).input)
      expect(sent.headers.authorization).toMatch(/\/eu-central-1\/ec2\/aws4_request/)
    },
  )

  test('so do reads', async () => {
    const { sent, requestHandler } = wire(emptyAnswer)
    await createAwsProvider({ credentials: KEYS, requestHandler }).look(SUBJECTS)
    expect(sent.map(({ action }) => action).sort()).toEqual([
      'DescribeCustomerGateways',
      'DescribeRouteTables',
      'DescribeTransitGatewayAttachments',
      'DescribeTransitGateways',
      'DescribeVpcs',
      'DescribeVpnConnections',
      'DescribeVpnGateways',
    ])
    for (const { action, params } of sent) {
      const { unknown, malformed } = parseInput(operationOf(action)!, params)
      expect({ action, unknown, malformed }).toEqual({ action, unknown: [], malformed: [] })
    }
  })

  test('a connection is asked for as the API reference spells it', async () => {
    const { params } = await sentBy(ACTIONS['create-vpn-connection'])
    const first = Object.fromEntries(
      [...params]
        .filter(([name]) => name.startsWith('Options.TunnelOptions.1.'))
        .map(([name, value]) => [name.slice(24), value]),
    )
    expect(first).toEqual({
      TunnelInsideCidr: '169.254.171.0/30',
      PreSharedKey: 'a.secret_of_the_first_tunnel',
      'Phase1EncryptionAlgorithm.1.Value': 'AES256-GCM-16',
      'Phase2EncryptionAlgorithm.1.Value': 'AES256-GCM-16',
      'Phase1IntegrityAlgorithm.1.Value': 'SHA2-384',
      'Phase2IntegrityAlgorithm.1.Value': 'SHA2-384',
      'Phase1DHGroupNumber.1.Value': '20',
      'Phase2DHGroupNumber.1.Value': '20',
      Phase1LifetimeSeconds: '28800',
      Phase2LifetimeSeconds: '3600',
      RekeyMarginTimeSeconds: '270',
      RekeyFuzzPercentage: '100',
      ReplayWindowSize: '1024',
      DPDTimeoutSeconds: '30',
      DPDTimeoutAction: 'restart',
      StartupAction: 'start',
      'IKEVersion.1.Value': 'ikev2',
    })
    expect(params.get('TagSpecification.1.Tag.1.Key')).toBe('isthmus:network')
  })

  test.each([
    [2_147_483_647, { BgpAsn: '2147483647' }],
    [2_147_483_648, { BgpAsnExtended: '2147483648' }],
    [4_294_967_294, { BgpAsnExtended: '4294967294' }],
  ])('AS %d', async (as, expected) => {
    const { params } = await sentBy({ ...ACTIONS['create-customer-gateway'], as })
    expect(Object.fromEntries([...params].filter(([name]) => name.startsWith('Bgp')))).toEqual(expected)
  })

  test('only what changes is sent of a tunnel, and always that it is IKEv2', async () => {
    const { params } = await sentBy({ ...ACTIONS['modify-tunnel'], options: { dpdS: 45 } })
    expect(Object.fromEntries(params)).toEqual({
      VpnConnectionId: 'vpn-0123456789abcdef0',
      VpnTunnelOutsideIpAddress: '203.0.113.9',
      'TunnelOptions.DPDTimeoutSeconds': '45',
      'TunnelOptions.PreSharedKey': 'a.secret_of_the_second_tunnel',
      'TunnelOptions.IKEVersion.1.Value': 'ikev2',
      SkipTunnelReplacement: 'false',
    })
  })
})

const tags = (network: string, cloud: string) => [
  { Key: 'isthmus:network', Value: network },
  { Key: 'isthmus:cloud', Value: cloud },
]
const OURS = tags('net_00000000000000000001', 'cld_00000000000000000001')
const THEIRS = tags('net_00000000000000000009', 'cld_00000000000000000009')
const listed = (...values: (string | number)[]) => values.map((Value) => ({ Value }))
const option = (OutsideIpAddress: string, TunnelInsideCidr: string): Fields => ({
  OutsideIpAddress,
  TunnelInsideCidr,
  PreSharedKey: 'a.secret_of_the_first_tunnel',
  Phase1EncryptionAlgorithms: listed('AES256-GCM-16'),
  Phase2EncryptionAlgorithms: listed('AES256-GCM-16'),
  Phase1IntegrityAlgorithms: listed('SHA2-384'),
  Phase2IntegrityAlgorithms: listed('SHA2-384'),
  Phase1DHGroupNumbers: listed(20),
  Phase2DHGroupNumbers: listed(20),
  Phase1LifetimeSeconds: 28_800,
  Phase2LifetimeSeconds: 3_600,
  RekeyMarginTimeSeconds: 270,
  RekeyFuzzPercentage: 100,
  ReplayWindowSize: 1_024,
  DpdTimeoutSeconds: 30,
  DpdTimeoutAction: 'restart',
  StartupAction: 'start',
  IkeVersions: listed('ikev2'),
})
const connection = (id: string, Tags: Fields[], options: Fields[]): Fields => ({
  VpnConnectionId: id,
  State: 'available',
  CustomerGatewayId: 'cgw-1',
  VpnGatewayId: 'vgw-1',
  Options: { StaticRoutesOnly: false, TunnelOptions: options },
  Routes: [{ DestinationCidrBlock: '10.8.1.0/24', State: 'available' }],
  VgwTelemetry: [
    {
      OutsideIpAddress: '203.0.113.1',
      Status: 'UP',
      LastStatusChange: new Date(1_790_000_000_000),
      StatusMessage: '3 BGP ROUTES',
      AcceptedRouteCount: 3,
    },
  ],
  Tags,
})

const ACCOUNT: Readonly<Record<string, Fields>> = {
  DescribeVpnConnections: {
    VpnConnections: [
      connection('vpn-1', OURS, [
        option('203.0.113.1', '169.254.171.0/30'),
        {
          ...option('203.0.113.2', '169.254.171.4/30'),
          Phase2EncryptionAlgorithms: listed('AES128'),
          Phase1IntegrityAlgorithms: listed('SHA1', 'SHA2-384'),
          Phase2IntegrityAlgorithms: listed('SHA2-384', 'SHA1'),
          IkeVersions: listed('ikev1', 'ikev2'),
        },
      ]),
      connection('vpn-9', THEIRS, [option('203.0.113.9', '169.254.10.0/30')]),
    ],
  },
  DescribeCustomerGateways: {
    CustomerGateways: [
      { CustomerGatewayId: 'cgw-1', State: 'available', IpAddress: '198.51.100.7', BgpAsn: '65000', Tags: OURS },
      { CustomerGatewayId: 'cgw-2', State: 'available', IpAddress: '198.51.100.8', BgpAsnExtended: '4200000000' },
      { CustomerGatewayId: 'cgw-9', State: 'available', IpAddress: '198.51.100.9', BgpAsn: '65000', Tags: THEIRS },
    ],
  },
  DescribeVpnGateways: {
    VpnGateways: [
      {
        VpnGatewayId: 'vgw-1',
        State: 'available',
        AmazonSideAsn: 64_512,
        VpcAttachments: [{ VpcId: 'vpc-0123456789abcdef0', State: 'attached' }],
        Tags: OURS,
      },
      { VpnGatewayId: 'vgw-7', State: 'available', VpcAttachments: [{ VpcId: 'vpc-0123456789abcdef0' }] },
      { VpnGatewayId: 'vgw-8', State: 'available' },
      { VpnGatewayId: 'vgw-9', State: 'available', Tags: THEIRS },
    ],
  },
  DescribeVpcs: {
    Vpcs: [
      {
        VpcId: 'vpc-0123456789abcdef0',
        State: 'available',
        CidrBlock: '172.31.0.0/16',
        CidrBlockAssociationSet: [
          { CidrBlock: '172.31.0.0/16', CidrBlockState: { State: 'associated' } },
          { CidrBlock: '172.30.0.0/16', CidrBlockState: { State: 'disassociated' } },
        ],
      },
    ],
  },
  DescribeRouteTables: {
    RouteTables: [
      {
        RouteTableId: 'rtb-1',
        VpcId: 'vpc-0123456789abcdef0',
        Associations: [{ Main: true }],
        PropagatingVgws: [{ GatewayId: 'vgw-1' }],
        Routes: [
          { DestinationCidrBlock: '172.31.0.0/16', GatewayId: 'local', Origin: 'CreateRouteTable', State: 'active' },
          {
            DestinationCidrBlock: '10.8.1.0/24',
            GatewayId: 'vgw-1',
            Origin: 'EnableVgwRoutePropagation',
            State: 'active',
          },
          { DestinationCidrBlock: '10.9.0.0/16', TransitGatewayId: 'tgw-1', Origin: 'CreateRoute', State: 'blackhole' },
          { DestinationIpv6CidrBlock: '::/0', GatewayId: 'igw-1', Origin: 'CreateRoute', State: 'active' },
        ],
      },
      { RouteTableId: 'rtb-9', VpcId: 'vpc-0123456789abcdef0', Tags: THEIRS },
    ],
  },
  DescribeTransitGateways: {
    TransitGateways: [
      { TransitGatewayId: 'tgw-0123456789abcdef0', State: 'available', Options: { AmazonSideAsn: 64_600 } },
    ],
  },
  DescribeTransitGatewayAttachments: {
    TransitGatewayAttachments: ['available', 'deleted', 'pendingAcceptance'].map((State, index) => ({
      TransitGatewayId: 'tgw-0123456789abcdef0',
      ResourceId: `vpc-${index}`,
      State,
    })),
  },
}

const answered = ({ action }: Sent): Answer => ({ body: renderOutput(action, ACCOUNT[action]!, 'r') })
async function seenBy(subject = SUBJECTS[0]!) {
  const { requestHandler } = wire(answered)
  const provider = createAwsProvider({ credentials: KEYS, requestHandler })
  return (await provider.look([subject]))[0]!
}

describe('what is read', () => {
  test('a connection', async () => {
    const [one, ...more] = (await seenBy()).vpnConnections
    expect(more).toEqual([])
    expect(one).toMatchObject({
      id: 'vpn-1',
      state: 'available',
      customerGateway: 'cgw-1',
      vpnGateway: 'vgw-1',
      staticRoutesOnly: false,
      routes: [{ prefix: '10.8.1.0/24', state: 'available' }],
    })
    expect(one!.tunnels[0]).toEqual({
      outside: '203.0.113.1',
      insideCidr: '169.254.171.0/30',
      status: 'UP',
      statusSince: 1_790_000_000_000,
      statusMessage: '3 BGP ROUTES',
      acceptedRoutes: 3,
      options: OPTIONS,
      ikeVersions: ['ikev2'],
      keyFingerprint: pskFingerprint('a.secret_of_the_first_tunnel'),
    })
  })

  test('phases that differ, and words that we do not have, are seen as they are', async () => {
    const { options, ikeVersions, status } = (await seenBy()).vpnConnections[0]!.tunnels[1]!
    expect(options.encryption).toEqual(['AES256-GCM-16', 'AES128'])
    expect(options.integrity).toEqual(['SHA1', 'SHA2-384'])
    expect(ikeVersions).toEqual(['ikev1', 'ikev2'])
    expect(status).toBeUndefined()
  })

  test('gateways, VPCs and route tables', async () => {
    const seen = await seenBy()
    expect(seen.customerGateways.map(({ id, as }) => [id, as])).toEqual([
      ['cgw-1', 65_000],
      ['cgw-2', 4_200_000_000],
    ])
    expect(seen.vpnGateways).toMatchObject([
      { id: 'vgw-1', as: 64_512, attachments: [{ vpc: 'vpc-0123456789abcdef0', state: 'attached' }] },
      { id: 'vgw-7', attachments: [{ vpc: 'vpc-0123456789abcdef0', state: 'attaching' }] },
    ])
    expect(seen.vpcs).toEqual([{ id: 'vpc-0123456789abcdef0', state: 'available', blocks: ['172.31.0.0/16'] }])
    expect(seen.routeTables).toEqual([
      {
        id: 'rtb-1',
        vpc: 'vpc-0123456789abcdef0',
        main: true,
        propagating: ['vgw-1'],
        routes: [
          { prefix: '172.31.0.0/16', target: 'local', origin: 'table', state: 'active' },
          { prefix: '10.8.1.0/24', target: 'vgw-1', origin: 'propagated', state: 'active' },
          { prefix: '10.9.0.0/16', target: 'tgw-1', origin: 'created', state: 'blackhole' },
        ],
      },
    ])
    expect(seen.takenInside).toEqual(['169.254.10.0/30'])
    const transit = (await seenBy(SUBJECTS[1])).transitGateway
    expect(transit).toEqual({ id: 'tgw-0123456789abcdef0', state: 'available', as: 64_600, vpcs: ['vpc-0'] })
  })

  test('nothing with the tag of another network, also where it is known or named', async () => {
    const target = { kind: 'vpc' as const, vpc: 'vpc-0123456789abcdef0', vpnGateway: 'vgw-9', as: 64_512 }
    const seen = await seenBy({ ...SUBJECTS[0]!, target, known: ['vpn-9', 'cgw-9', 'vgw-9', 'rtb-9', 'vgw-8'] })
    expect(JSON.stringify({ ...seen, takenInside: [] })).not.toMatch(/(vpn|cgw|vgw|rtb)-9/)
    // One that lost its tags is found by its name.
    expect(seen.vpnGateways.map(({ id }) => id)).toEqual(['vgw-1', 'vgw-8'])
  })

  test('an answer that says nothing of anything', async () => {
    const hollow = { VpnConnections: [{}], CustomerGateways: [{}], VpnGateways: [{}], Vpcs: [{}], RouteTables: [{}] }
    const { requestHandler } = wire(({ action }) => {
      const own = Object.entries(hollow).filter(([name]) => action === `Describe${name}`)
      return { body: renderOutput(action, Object.fromEntries(own), 'r') }
    })
    const [seen] = await createAwsProvider({ credentials: KEYS, requestHandler }).look(SUBJECTS)
    expect(seen).toMatchObject({ vpnConnections: [], customerGateways: [], vpnGateways: [], vpcs: [], routeTables: [] })
  })
})
