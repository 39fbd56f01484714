/** What the stand-in refuses, by the names that the SDK gives its errors. */
import * as sdk from '@aws-sdk/client-ec2'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  buildConnection,
  clientOf,
  createConnection,
  createCustomer,
  createGateway,
  createLab,
  errorOf,
  type Lab,
} from './ec2-lab.ts'
import { type Ec2Options, TRANSIT_GATEWAY, VPC } from './server.ts'

let lab: Lab
const start = async (options?: Ec2Options) => {
  lab = await createLab(options)
}
beforeEach(() => start())
afterEach(() => lab.close())

const NONE = '0123456789abcdef1'
const again = async (options: Ec2Options) => {
  await lab.close()
  await start(options)
}
const error = (action: string, input: object = {}) => errorOf(lab.client, action, input)

describe('what is not there, or is no identifier', () => {
  const created = { CustomerGatewayId: `cgw-${NONE}`, Type: 'ipsec.1' }
  test.each([
    ['DescribeVpcs', { VpcIds: [`vpc-${NONE}`] }, 'InvalidVpcID.NotFound'],
    ['DescribeVpcs', { VpcIds: ['vpc-1'] }, 'InvalidVpcID.Malformed'],
    ['DescribeSubnets', { SubnetIds: [`subnet-${NONE}`] }, 'InvalidSubnetID.NotFound'],
    ['DescribeRouteTables', { RouteTableIds: [`rtb-${NONE}`] }, 'InvalidRouteTableID.NotFound'],
    ['DescribeCustomerGateways', { CustomerGatewayIds: [`cgw-${NONE}`] }, 'InvalidCustomerGatewayID.NotFound'],
    ['DescribeVpnGateways', { VpnGatewayIds: ['cgw-12345678'] }, 'InvalidVpnGatewayID.Malformed'],
    ['DescribeTransitGateways', { TransitGatewayIds: [`tgw-${NONE}`] }, 'InvalidTransitGatewayID.NotFound'],
    [
      'DescribeTransitGatewayAttachments',
      { TransitGatewayAttachmentIds: [`tgw-attach-${NONE}`] },
      'InvalidTransitGatewayAttachmentID.NotFound',
    ],
    ['DescribeVpnConnections', { VpnConnectionIds: [`vpn-${NONE}`] }, 'InvalidVpnConnectionID.NotFound'],
    ['DescribeRegions', { RegionNames: ['xx-west-1'] }, 'InvalidParameterValue'],
    ['DeleteCustomerGateway', { CustomerGatewayId: `cgw-${NONE}` }, 'InvalidCustomerGatewayID.NotFound'],
    ['DeleteVpnGateway', { VpnGatewayId: `vgw-${NONE}` }, 'InvalidVpnGatewayID.NotFound'],
    ['DeleteVpnConnection', { VpnConnectionId: `vpn-${NONE}` }, 'InvalidVpnConnectionID.NotFound'],
    ['AttachVpnGateway', { VpnGatewayId: `vgw-${NONE}`, VpcId: VPC.id }, 'InvalidVpnGatewayID.NotFound'],
    ['CreateTags', { Resources: [`cgw-${NONE}`], Tags: [{ Key: 'a', Value: 'b' }] }, 'InvalidID'],
    ['CreateVpnConnection', { ...created, VpnGatewayId: `vgw-${NONE}` }, 'InvalidCustomerGatewayID.NotFound'],
    [
      'DeleteRoute',
      { RouteTableId: 'rtb-00000000000000001', DestinationCidrBlock: '10.1.0.0/16' },
      'InvalidRoute.NotFound',
    ],
  ])('%s %j: %s', async (action, input, name) => {
    expect(await error(action, input)).toBe(name)
  })
})

describe('what AWS’s rules forbid', () => {
  const CUSTOMERS: readonly [object, string][] = [
    [{ Type: 'ipsec.2', IpAddress: '198.51.100.7' }, 'InvalidParameterValue'],
    [{ IpAddress: '198.51.100.7' }, 'MissingParameter'],
    [{ Type: 'ipsec.1' }, 'MissingParameter'],
    [{ Type: 'ipsec.1', IpAddress: '198.51.100.300' }, 'InvalidParameterValue'],
    [{ Type: 'ipsec.1', IpAddress: '198.51.100.7.1' }, 'InvalidParameterValue'],
    ...[
      '10.0.0.1',
      '172.31.0.1',
      '192.168.1.1',
      '100.64.0.1',
      '169.254.1.1',
      '127.0.0.1',
      '224.0.0.1',
      '255.1.1.1',
    ].map((IpAddress): [object, string] => [{ Type: 'ipsec.1', IpAddress }, 'InvalidParameterValue']),
    [{ Type: 'ipsec.1', IpAddress: '198.51.100.7', BgpAsn: 0 }, 'InvalidParameterValue'],
    [{ Type: 'ipsec.1', IpAddress: '198.51.100.7', BgpAsn: 2_147_483_648 }, 'InvalidParameterValue'],
    [{ Type: 'ipsec.1', IpAddress: '198.51.100.7', BgpAsnExtended: 65_000 }, 'InvalidParameterValue'],
    [
      { Type: 'ipsec.1', IpAddress: '198.51.100.7', BgpAsn: 1, BgpAsnExtended: 4_200_000_000 },
      'InvalidParameterCombination',
    ],
    [{ Type: 'ipsec.1', IpAddress: '172.32.0.1', BgpAsnExtended: 4_200_000_000 }, 'none'],
  ]
  test.each(CUSTOMERS)('of a customer gateway: %j: %s', async (input, name) => {
    expect(await error('CreateCustomerGateway', input)).toBe(name)
  })

  test.each([64_511, 65_535, 4_199_999_999, 4_294_967_295])('of its own AS: %i', async (AmazonSideAsn) => {
    expect(await error('CreateVpnGateway', { Type: 'ipsec.1', AmazonSideAsn })).toBe('InvalidParameterValue')
  })

  const values = (...list: (string | number)[]) => list.map((Value) => ({ Value }))
  type Rule = [sdk.VpnTunnelOptionsSpecification, boolean]
  const TUNNELS: readonly Rule[] = [
    [{ PreSharedKey: 'a.good_K3y' }, true],
    [{ PreSharedKey: 'short12' }, false],
    [{ PreSharedKey: 'a'.repeat(64) }, true],
    [{ PreSharedKey: 'a'.repeat(65) }, false],
    [{ PreSharedKey: '0begins.with.zero' }, false],
    [{ PreSharedKey: 'with-a-hyphen' }, false],
    [{ TunnelInsideCidr: '169.254.6.0/30' }, true],
    ...[0, 1, 2, 3, 4, 5].map((third): Rule => [{ TunnelInsideCidr: `169.254.${third}.0/30` }, false]),
    [{ TunnelInsideCidr: '169.254.169.252/30' }, false],
    [{ TunnelInsideCidr: '169.254.169.248/30' }, true],
    [{ TunnelInsideCidr: '169.254.10.2/30' }, false],
    [{ TunnelInsideCidr: '169.254.256.0/30' }, false],
    [{ TunnelInsideCidr: '169.254.10.0/29' }, false],
    [{ TunnelInsideCidr: '10.0.0.0/30' }, false],
    [{ Phase1LifetimeSeconds: 899 }, false],
    [{ Phase1LifetimeSeconds: 28_801 }, false],
    [{ Phase1LifetimeSeconds: 3_600 }, false],
    [{ Phase1LifetimeSeconds: 3_601 }, true],
    [{ Phase2LifetimeSeconds: 899 }, false],
    [{ Phase2LifetimeSeconds: 3_601 }, false],
    [{ RekeyMarginTimeSeconds: 59 }, false],
    [{ RekeyMarginTimeSeconds: 1_800 }, true],
    [{ RekeyMarginTimeSeconds: 1_801 }, false],
    [{ RekeyFuzzPercentage: 101 }, false],
    [{ ReplayWindowSize: 63 }, false],
    [{ ReplayWindowSize: 2_049 }, false],
    [{ DPDTimeoutSeconds: 29 }, false],
    [{ DPDTimeoutSeconds: 30 }, true],
    [{ DPDTimeoutAction: 'hold' }, false],
    [{ StartupAction: 'route' }, false],
    [{ IKEVersions: values('ikev3') as never }, false],
    [{ Phase1EncryptionAlgorithms: values('AES192') as never }, false],
    [{ Phase2IntegrityAlgorithms: values('MD5') as never }, false],
    [{ Phase1DHGroupNumbers: values(5) as never }, false],
    [{ Phase2DHGroupNumbers: values(5) as never }, true],
    [{ Phase1DHGroupNumbers: values(25) as never }, false],
  ]

  test.each(TUNNELS)('of a tunnel: %j: %s', async (options, good) => {
    const { vpn, cgw, vgw } = await buildConnection(lab)
    const input = { CustomerGatewayId: cgw, VpnGatewayId: vgw, Type: 'ipsec.1' }
    const made = await error('CreateVpnConnection', {
      ...input,
      Options: { TunnelOptions: [{ StartupAction: 'add' }, options] },
    })
    expect(made).toBe(good ? 'none' : 'InvalidParameterValue')
    if (options.TunnelInsideCidr !== undefined) return
    const which = { VpnConnectionId: vpn, VpnTunnelOutsideIpAddress: '203.0.113.2' }
    const changed = await error('ModifyVpnTunnelOptions', { ...which, TunnelOptions: options })
    expect(changed).toBe(good ? 'none' : 'InvalidParameterValue')
  })

  test('of inside CIDRs: each once at a gateway, also when it is changed to', async () => {
    const { cgw, vgw, vpn } = await buildConnection(lab, { TunnelOptions: [{ TunnelInsideCidr: '169.254.171.0/30' }] })
    const inside = (TunnelInsideCidr: string) => ({ TunnelOptions: [{ TunnelInsideCidr }] })
    const input = { CustomerGatewayId: cgw, VpnGatewayId: vgw, Type: 'ipsec.1' }
    const create = (Options: object, more: object = {}) => error('CreateVpnConnection', { ...input, ...more, Options })
    expect(await create(inside('169.254.171.0/30'))).toBe('InvalidParameterValue')
    const twice = {
      TunnelOptions: [...inside('169.254.171.8/30').TunnelOptions, ...inside('169.254.171.8/30').TunnelOptions],
    }
    expect(await create(twice)).toBe('InvalidParameterValue')
    const transit = { VpnGatewayId: undefined, TransitGatewayId: TRANSIT_GATEWAY.id }
    expect(await create(inside('169.254.171.0/30'), transit)).toBe('none')
    const which = { VpnConnectionId: vpn, VpnTunnelOutsideIpAddress: '203.0.113.3' }
    const change = (TunnelInsideCidr: string) =>
      error('ModifyVpnTunnelOptions', { ...which, TunnelOptions: { TunnelInsideCidr } })
    expect(await change('169.254.171.0/30')).toBe('InvalidParameterValue')
    expect(await change('169.254.171.4/30')).toBe('none')
  })

  test('of a connection: one gateway, two tunnels', async () => {
    const { cgw, vgw } = await buildConnection(lab)
    const input = { CustomerGatewayId: cgw, VpnGatewayId: vgw, Type: 'ipsec.1' }
    const create = (more: object) => error('CreateVpnConnection', { ...input, ...more })
    expect(await create({ TransitGatewayId: TRANSIT_GATEWAY.id })).toBe('InvalidParameterCombination')
    expect(await create({ VpnGatewayId: undefined })).toBe('InvalidParameterCombination')
    expect(await create({ Options: { TunnelOptions: [{}, {}, {}].map(() => ({ StartupAction: 'add' })) } })).toBe(
      'InvalidParameterValue',
    )
    expect(await create({ Options: { EnableAcceleration: true } })).toBe('InvalidParameterCombination')
    expect(await create({ Type: 'ipsec.2' })).toBe('InvalidParameterValue')
  })

  test('of routes', async () => {
    const { vpn, vgw } = await buildConnection(lab)
    const RouteTableId = 'rtb-00000000000000001'
    const create = (DestinationCidrBlock: string, target: object) =>
      error('CreateRoute', { RouteTableId, DestinationCidrBlock, ...target })
    expect(await create('10.8.1.0', { GatewayId: vgw })).toBe('InvalidParameterValue')
    expect(await create('10.8.1.0/33', { GatewayId: vgw })).toBe('InvalidParameterValue')
    expect(await create('10.8.1.0/24', {})).toBe('MissingParameter')
    expect(await create('10.8.1.0/24', { GatewayId: vgw, TransitGatewayId: TRANSIT_GATEWAY.id })).toBe(
      'InvalidParameterCombination',
    )
    expect(await create(VPC.blocks[0]!, { GatewayId: vgw })).toBe('RouteAlreadyExists')
    expect(await error('DeleteRoute', { RouteTableId, DestinationCidrBlock: VPC.blocks[0] })).toBe(
      'InvalidParameterValue',
    )
    const route = { VpnConnectionId: vpn, DestinationCidrBlock: '10.8.1.0/24' }
    expect(await error('CreateVpnConnectionRoute', route)).toBe('InvalidParameterCombination')
    const other = await createGateway(lab.client)
    await lab.pass()
    expect(await error('EnableVgwRoutePropagation', { RouteTableId, GatewayId: other })).toBe('Gateway.NotAttached')
    expect(await create('10.8.1.0/24', { GatewayId: other })).toBe('InvalidParameterValue')
  })
})

describe('quotas', () => {
  test('of gateways and connections', async () => {
    await again({ quotas: { customerGateways: 2, vpnGateways: 1, vpnConnectionsPerGateway: 2, staticRoutes: 1 } })
    const { cgw, vgw, vpn } = await buildConnection(lab, { StaticRoutesOnly: true })
    await createCustomer(lab.client, '198.51.100.8')
    expect(await error('CreateCustomerGateway', { Type: 'ipsec.1', IpAddress: '198.51.100.9' })).toBe(
      'CustomerGatewayLimitExceeded',
    )
    expect(await error('CreateVpnGateway', { Type: 'ipsec.1' })).toBe('VpnGatewayLimitExceeded')
    await createConnection(lab.client, { CustomerGatewayId: cgw, VpnGatewayId: vgw })
    const third = { CustomerGatewayId: cgw, VpnGatewayId: vgw, Type: 'ipsec.1' }
    expect(await error('CreateVpnConnection', third)).toBe('VpnConnectionLimitExceeded')
    const transit = { CustomerGatewayId: cgw, TransitGatewayId: TRANSIT_GATEWAY.id, Type: 'ipsec.1' }
    lab.ec2.setQuota('vpnConnections', 2)
    expect(await error('CreateVpnConnection', transit)).toBe('VpnConnectionLimitExceeded')
    lab.ec2.setQuota('vpnConnections', 3)
    expect(await error('CreateVpnConnection', transit)).toBe('none')
    const route = (DestinationCidrBlock: string) => ({ VpnConnectionId: vpn, DestinationCidrBlock })
    expect(await error('CreateVpnConnectionRoute', route('10.8.1.0/24'))).toBe('none')
    expect(await error('CreateVpnConnectionRoute', route('10.8.2.0/24'))).toBe('VpnConnectionRouteLimitExceeded')
    lab.ec2.setQuota('routesPerTable', 1)
    const entry = { RouteTableId: 'rtb-00000000000000001', DestinationCidrBlock: '10.1.0.0/16', GatewayId: vgw }
    expect(await error('CreateRoute', entry)).toBe('RouteLimitExceeded')
  })
})

describe('throttling', () => {
  test('a bucket for each action, that fills again', async () => {
    await again({
      rates: {
        read: { perSecond: 1, burst: 3 },
        unfiltered: { perSecond: 1, burst: 1 },
        write: { perSecond: 1, burst: 1 },
      },
    })
    expect(await error('DescribeVpcs')).toBe('none')
    expect(await error('DescribeVpcs')).toBe('RequestLimitExceeded')
    for (let turn = 0; turn < 3; turn++) expect(await error('DescribeVpcs', { MaxResults: 5 })).toBe('none')
    expect(await error('DescribeVpcs', { MaxResults: 5 })).toBe('RequestLimitExceeded')
    await createCustomer(lab.client)
    const { name, $metadata } = await lab.client
      .send(new sdk.CreateCustomerGatewayCommand({ Type: 'ipsec.1', IpAddress: '198.51.100.7' }))
      .then(
        () => expect.unreachable(),
        (fault: sdk.EC2ServiceException) => fault,
      )
    expect([name, $metadata.httpStatusCode]).toEqual(['RequestLimitExceeded', 503])
    expect(await error('CreateVpnGateway', { Type: 'ipsec.1' })).toBe('none')
    await lab.pass(1_000)
    expect(await error('DescribeVpcs')).toBe('none')
    await createCustomer(lab.client)
  })

  test('one bucket for all', async () => {
    await again({ rate: { perSecond: 1, burst: 2 } })
    expect(await error('DescribeVpcs')).toBe('none')
    expect(await error('DescribeVpnGateways')).toBe('none')
    expect(await error('DescribeRegions')).toBe('RequestLimitExceeded')
  })
})

describe('requests that no SDK makes', () => {
  const raw = async (params: Record<string, string>) => {
    // Signed as the SDK does it, with a body of our own.
    const client = clientOf(lab.ec2)
    client.middlewareStack.add(
      (next) => (args) => {
        const request = args.request as { body: string; headers: Record<string, string> }
        request.body = new URLSearchParams(params).toString()
        request.headers['content-length'] = String(request.body.length)
        return next(args)
      },
      { step: 'build', priority: 'low' },
    )
    const name = await errorOf(client, 'DescribeVpcs')
    client.destroy()
    return name
  }
  const Version = '2016-11-15'

  test.each([
    [{ Action: 'DescribeVpcs', Version }, 'none'],
    [{ Action: 'DescribeVpcs', Version, Colour: 'red' }, 'UnknownParameter'],
    [{ Action: 'DescribeVpcs', Version, MaxResults: 'many' }, 'InvalidParameterValue'],
    [{ Action: 'DescribeVpcs', Version: '2014-10-01' }, 'InvalidAction'],
    [{ Action: 'constructor', Version }, 'InvalidAction'],
    [{ Action: 'TerminateInstances', Version }, 'InvalidAction'],
    [{ Action: 'DeleteVpnGateway', Version }, 'MissingParameter'],
    [
      { Action: 'ModifyVpnTunnelOptions', Version, VpnConnectionId: 'vpn-1', VpnTunnelOutsideIpAddress: 'x' },
      'MissingParameter',
    ],
    [{}, 'InvalidAction'],
  ])('%j: %s', async (params, name) => {
    expect(await raw(params as Record<string, string>)).toBe(name)
  })
})
