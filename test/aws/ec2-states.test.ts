/** What the stand-in's resources go through, as the SDK sees it: one after the other, by a clock that the test moves. */
import * as sdk from '@aws-sdk/client-ec2'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readConfiguration } from '../../control/aws/customer-gateway-configuration.ts'
import {
  buildConnection,
  connectionOf,
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

const again = async (options: Ec2Options) => {
  await lab.close()
  await start(options)
}
const gatewayOf = async (id: string) => {
  const { VpnGateways } = await lab.client.send(new sdk.DescribeVpnGatewaysCommand({ VpnGatewayIds: [id] }))
  return VpnGateways![0]!
}
const tablesOf = async () => (await lab.client.send(new sdk.DescribeRouteTablesCommand({}))).RouteTables!
const modify = (vpn: string, outside: string, options: sdk.ModifyVpnTunnelOptionsSpecification) =>
  lab.client.send(
    new sdk.ModifyVpnTunnelOptionsCommand({
      VpnConnectionId: vpn,
      VpnTunnelOutsideIpAddress: outside,
      TunnelOptions: options,
    }),
  )
const stateOf = async (vpn: string) => (await connectionOf(lab.client, vpn)).State as string

describe('gateways', () => {
  test('a customer gateway is there at once; the same one is never made twice', async () => {
    const first = await createCustomer(lab.client)
    expect(await createCustomer(lab.client)).toBe(first)
    expect(await createCustomer(lab.client, '198.51.100.7', 65_002)).not.toBe(first)
    await lab.client.send(new sdk.DeleteCustomerGatewayCommand({ CustomerGatewayId: first }))
    expect(await createCustomer(lab.client)).not.toBe(first)
    expect(first).toMatch(/^cgw-[0-9a-f]{17}$/)
  })

  test('a virtual private gateway: pending, available, attaching, attached, detaching, detached, deleted, forgotten', async () => {
    const id = await createGateway(lab.client)
    const both = { VpnGatewayId: id, VpcId: VPC.id }
    expect(await gatewayOf(id)).toMatchObject({ State: 'pending', AmazonSideAsn: 64_512, VpcAttachments: [] })
    expect(await errorOf(lab.client, 'AttachVpnGateway', both)).toBe('IncorrectState')
    await lab.pass()
    const attach = await lab.client.send(new sdk.AttachVpnGatewayCommand(both))
    expect(attach.VpcAttachment).toEqual({ VpcId: VPC.id, State: 'attaching' })
    await lab.pass()
    expect(await gatewayOf(id)).toMatchObject({ VpcAttachments: [{ VpcId: VPC.id, State: 'attached' }] })
    expect(await errorOf(lab.client, 'DeleteVpnGateway', { VpnGatewayId: id })).toBe('DependencyViolation')
    await lab.client.send(new sdk.DetachVpnGatewayCommand(both))
    expect(await gatewayOf(id)).toMatchObject({ VpcAttachments: [{ State: 'detaching' }] })
    expect(await errorOf(lab.client, 'AttachVpnGateway', both)).toBe('IncorrectState')
    await lab.pass()
    expect(await gatewayOf(id)).toMatchObject({ VpcAttachments: [{ State: 'detached' }] })
    expect(await errorOf(lab.client, 'DetachVpnGateway', both)).toBe('InvalidVpnGatewayAttachment.NotFound')
    await lab.client.send(new sdk.DeleteVpnGatewayCommand({ VpnGatewayId: id }))
    expect(await gatewayOf(id)).toMatchObject({ State: 'deleted' })
    await lab.pass(61_000)
    expect(await errorOf(lab.client, 'DescribeVpnGateways', { VpnGatewayIds: [id] })).toBe(
      'InvalidVpnGatewayID.NotFound',
    )
  })

  test('a VPC has one gateway, and a gateway one VPC', async () => {
    const other = { id: 'vpc-00000000000000002', blocks: ['10.2.0.0/16'] }
    await again({ vpcs: [VPC, other] })
    const [one, two] = [await createGateway(lab.client), await createGateway(lab.client)]
    await lab.pass()
    const attach = (VpnGatewayId: string, VpcId: string) =>
      errorOf(lab.client, 'AttachVpnGateway', { VpnGatewayId, VpcId })
    expect(await attach(one, VPC.id)).toBe('none')
    expect(await attach(one, VPC.id)).toBe('none')
    expect(await attach(two, VPC.id)).toBe('VpnGatewayAttachmentLimitExceeded')
    expect(await attach(one, other.id)).toBe('IncorrectState')
    expect(await attach(two, other.id)).toBe('none')
  })
})

describe('a VPN connection', () => {
  test('is pending until its daemons run, then available, and two tunnels are told of', async () => {
    const { vpn, cgw, vgw } = await buildConnection(lab)
    const connection = await connectionOf(lab.client, vpn)
    expect(connection).toMatchObject({ State: 'available', CustomerGatewayId: cgw, VpnGatewayId: vgw, Category: 'VPN' })
    expect(connection.Options).toMatchObject({ StaticRoutesOnly: false, EnableAcceleration: false })
    const tunnels = connection.Options!.TunnelOptions!
    expect(tunnels.map((tunnel) => Object.keys(tunnel).sort())).toEqual(
      Array(2).fill(['OutsideIpAddress', 'PreSharedKey', 'TunnelInsideCidr']),
    )
    expect(new Set(tunnels.map(({ PreSharedKey }) => PreSharedKey)).size).toBe(2)
    for (const { PreSharedKey } of tunnels) expect(PreSharedKey).toMatch(/^[A-Za-z1-9][A-Za-z0-9._]{7,63}$/)
    expect(connection.VgwTelemetry).toMatchObject([
      { OutsideIpAddress: '203.0.113.2', Status: 'UP', AcceptedRouteCount: 0 },
      { OutsideIpAddress: '203.0.113.3', Status: 'DOWN', StatusMessage: 'IPSEC IS DOWN' },
    ])
    expect(connection.VgwTelemetry![0]!.LastStatusChange).toBeInstanceOf(Date)
    expect(lab.carrier.log).toEqual([`allocate ${vpn}`, `start ${vpn}`])
    expect(lab.carrier.connections.get(vpn)).toMatchObject({
      customer: { address: '198.51.100.7', as: 65_001 },
      amazonAs: 64_512,
      announces: VPC.blocks,
      tunnels: tunnels.map(({ PreSharedKey }) => ({ psk: PreSharedKey, startup: 'add', dpd: { action: 'clear' } })),
    })
  })

  test('its configuration has all that the customer’s end needs', async () => {
    const { vpn } = await buildConnection(lab)
    const { CustomerGatewayConfiguration, Options } = await connectionOf(lab.client, vpn)
    expect(readConfiguration(CustomerGatewayConfiguration!)).toEqual(
      Options!.TunnelOptions!.map(({ OutsideIpAddress, TunnelInsideCidr, PreSharedKey }) => ({
        outside: OutsideIpAddress,
        customer: '198.51.100.7',
        insideCidr: TunnelInsideCidr,
        psk: PreSharedKey,
        amazonAs: 64_512,
        customerAs: 65_001,
      })),
    )
    expect(CustomerGatewayConfiguration).not.toContain('NoBGPVPNConnection')
  })

  test('what was asked for is what is told, and nothing else', async () => {
    const asked = {
      TunnelInsideCidr: '169.254.171.0/30',
      PreSharedKey: 'a.key_of_the_test',
      Phase1LifetimeSeconds: 7_200,
      Phase1EncryptionAlgorithms: [{ Value: 'AES256-GCM-16' }],
      DPDTimeoutAction: 'restart',
      IKEVersions: [{ Value: 'ikev2' }],
      StartupAction: 'start',
    }
    const { vpn } = await buildConnection(lab, { TunnelOptions: [asked] })
    const [told] = (await connectionOf(lab.client, vpn)).Options!.TunnelOptions!
    const { DPDTimeoutAction, IKEVersions, ...same } = asked
    const others = { DpdTimeoutAction: DPDTimeoutAction, IkeVersions: IKEVersions, OutsideIpAddress: '203.0.113.2' }
    expect(told).toEqual({ ...same, ...others })
  })

  test('a change of one tunnel takes it down and up, with what holds then; the other is not touched', async () => {
    const { vpn } = await buildConnection(lab)
    const before = (await connectionOf(lab.client, vpn)).Options!.TunnelOptions!
    lab.carrier.log.length = 0
    await modify(vpn, '203.0.113.3', { PreSharedKey: 'another_key', StartupAction: 'start' })
    expect(await stateOf(vpn)).toBe('modifying')
    expect(await errorOf(lab.client, 'ModifyVpnTunnelOptions', busy(vpn))).toBe('IncorrectState')
    expect(lab.carrier.log).toEqual([`down ${vpn}/1`])
    await lab.pass(99)
    expect(await stateOf(vpn)).toBe('modifying')
    await lab.pass(1)
    expect(await stateOf(vpn)).toBe('available')
    expect(lab.carrier.log).toEqual([`down ${vpn}/1`, `up ${vpn}/1`])
    const carried = lab.carrier.connections.get(vpn)!.tunnels
    expect(carried.map(({ psk, startup }) => [psk, startup])).toEqual([
      [before[0]!.PreSharedKey, 'add'],
      ['another_key', 'start'],
    ])
    const after = (await connectionOf(lab.client, vpn)).Options!.TunnelOptions!
    expect(after[0]).toEqual(before[0])
    // Where nothing else is said, a change sets it so.
    expect(after[1]).toEqual({
      ...before[1],
      PreSharedKey: 'another_key',
      StartupAction: 'start',
      DpdTimeoutSeconds: 40,
    })
  })

  const busy = (VpnConnectionId: string) => ({
    VpnConnectionId,
    VpnTunnelOutsideIpAddress: '203.0.113.2',
    TunnelOptions: { StartupAction: 'start' },
  })

  test('deleted in the middle of a change: the tunnel stays down, and it is listed as deleted for a while', async () => {
    const { vpn, cgw, vgw } = await buildConnection(lab)
    await modify(vpn, '203.0.113.2', { StartupAction: 'start' })
    await lab.client.send(new sdk.DeleteVpnConnectionCommand({ VpnConnectionId: vpn }))
    expect(await stateOf(vpn)).toBe('deleting')
    expect(await errorOf(lab.client, 'DeleteCustomerGateway', { CustomerGatewayId: cgw })).toBe('IncorrectState')
    expect(await errorOf(lab.client, 'DeleteVpnGateway', { VpnGatewayId: vgw })).toBe('DependencyViolation')
    await lab.pass()
    expect(lab.carrier.log.slice(-2)).toEqual([`down ${vpn}/0`, `stop ${vpn}`])
    const { State, CustomerGatewayConfiguration } = await connectionOf(lab.client, vpn)
    expect([State, CustomerGatewayConfiguration]).toEqual(['deleted', undefined])
    expect(await errorOf(lab.client, 'DeleteCustomerGateway', { CustomerGatewayId: cgw })).toBe('none')
    await lab.pass(61_000)
    expect(await errorOf(lab.client, 'DescribeVpnConnections', { VpnConnectionIds: [vpn] })).toBe(
      'InvalidVpnConnectionID.NotFound',
    )
  })

  test('inside CIDRs that nobody chose are free ones', async () => {
    const { cgw, vgw } = await buildConnection(lab)
    await createConnection(lab.client, { CustomerGatewayId: cgw, VpnGatewayId: vgw })
    const { VpnConnections } = await lab.client.send(new sdk.DescribeVpnConnectionsCommand({}))
    const inside = VpnConnections!.flatMap(({ Options }) =>
      Options!.TunnelOptions!.map((each) => each.TunnelInsideCidr),
    )
    expect(new Set(inside).size).toBe(4)
  })

  test('AWS replaces an endpoint on request, and says when it was', async () => {
    const { vpn } = await buildConnection(lab)
    const which = { VpnConnectionId: vpn, VpnTunnelOutsideIpAddress: '203.0.113.2' }
    const status = () => lab.client.send(new sdk.GetVpnTunnelReplacementStatusCommand(which))
    expect((await status()).MaintenanceDetails).toEqual({ PendingMaintenance: 'false' })
    await lab.client.send(new sdk.ReplaceVpnTunnelCommand(which))
    expect(await stateOf(vpn)).toBe('modifying')
    await lab.pass()
    expect(lab.carrier.log.slice(-2)).toEqual([`down ${vpn}/0`, `up ${vpn}/0`])
    expect((await status()).MaintenanceDetails?.LastMaintenanceApplied).toBeInstanceOf(Date)
  })

  test('another customer gateway: the daemons are made anew', async () => {
    const { vpn } = await buildConnection(lab)
    const other = await createCustomer(lab.client, '198.51.100.8')
    await lab.client.send(new sdk.ModifyVpnConnectionCommand({ VpnConnectionId: vpn, CustomerGatewayId: other }))
    await lab.pass()
    expect(await connectionOf(lab.client, vpn)).toMatchObject({ State: 'available', CustomerGatewayId: other })
    expect(lab.carrier.connections.get(vpn)!.customer.address).toBe('198.51.100.8')
    const paths = { VpnConnectionId: vpn, LocalIpv4NetworkCidr: '10.0.0.0/8' }
    await lab.client.send(new sdk.ModifyVpnConnectionOptionsCommand(paths))
    await lab.pass()
    const { Options } = await connectionOf(lab.client, vpn)
    expect(Options).toMatchObject({ LocalIpv4NetworkCidr: '10.0.0.0/8', RemoteIpv4NetworkCidr: '0.0.0.0/0' })
  })

  test('where its gateway has no VPC yet, daemons run when it has', async () => {
    const [cgw, vgw] = [await createCustomer(lab.client), await createGateway(lab.client)]
    await lab.pass()
    const vpn = await createConnection(lab.client, { CustomerGatewayId: cgw, VpnGatewayId: vgw })
    await lab.pass()
    expect(await connectionOf(lab.client, vpn)).toMatchObject({
      State: 'available',
      VgwTelemetry: [{ Status: 'DOWN' }, {}],
    })
    expect(lab.carrier.log).toEqual([`allocate ${vpn}`])
    await lab.client.send(new sdk.AttachVpnGatewayCommand({ VpnGatewayId: vgw, VpcId: VPC.id }))
    await lab.pass()
    expect(lab.carrier.connections.get(vpn)!.announces).toEqual(VPC.blocks)
    expect(await connectionOf(lab.client, vpn)).toMatchObject({ VgwTelemetry: [{ Status: 'UP' }, {}] })
  })

  test('at a transit gateway it is an attachment, as the VPCs are', async () => {
    const cgw = await createCustomer(lab.client)
    const vpn = await createConnection(lab.client, {
      CustomerGatewayId: cgw,
      TransitGatewayId: TRANSIT_GATEWAY.id,
      Options: { StaticRoutesOnly: true },
    })
    await lab.pass()
    expect(await connectionOf(lab.client, vpn)).toMatchObject({ TransitGatewayId: TRANSIT_GATEWAY.id })
    expect(lab.carrier.connections.get(vpn)).toMatchObject({ amazonAs: TRANSIT_GATEWAY.as, announces: VPC.blocks })
    const { TransitGatewayAttachments } = await lab.client.send(
      new sdk.DescribeTransitGatewayAttachmentsCommand({
        Filters: [{ Name: 'transit-gateway-id', Values: [TRANSIT_GATEWAY.id] }],
      }),
    )
    expect(TransitGatewayAttachments!.map((each) => [each.ResourceType, each.ResourceId, each.State])).toEqual([
      ['vpc', VPC.id, 'available'],
      ['vpn', vpn, 'available'],
    ])
  })
})

describe('routes', () => {
  test('a table that learns from a gateway has what BGP brought, while a tunnel is up', async () => {
    const { vgw } = await buildConnection(lab)
    const [main] = await tablesOf()
    const both = { RouteTableId: main!.RouteTableId!, GatewayId: vgw }
    await lab.client.send(new sdk.EnableVgwRoutePropagationCommand(both))
    lab.carrier.accepted = ['10.8.1.0/24', '10.8.2.0/24']
    const learnt = async () =>
      (await tablesOf()).map(({ Routes }) =>
        Routes!.filter(({ Origin }) => Origin === 'EnableVgwRoutePropagation').map((each) => each.DestinationCidrBlock),
      )
    expect(await learnt()).toEqual([['10.8.1.0/24', '10.8.2.0/24'], []])
    // What is there by hand comes first.
    await lab.client.send(new sdk.CreateRouteCommand({ ...both, DestinationCidrBlock: '10.8.1.0/24' }))
    expect(await learnt()).toEqual([['10.8.2.0/24'], []])
    lab.carrier.up = false
    expect(await learnt()).toEqual([[], []])
    await lab.client.send(new sdk.DisableVgwRoutePropagationCommand(both))
    lab.carrier.up = true
    expect(await learnt()).toEqual([[], []])
  })

  test('static routes of a connection', async () => {
    const { vpn, vgw } = await buildConnection(lab, { StaticRoutesOnly: true })
    const route = { VpnConnectionId: vpn, DestinationCidrBlock: '10.8.1.0/24' }
    await lab.client.send(new sdk.CreateVpnConnectionRouteCommand(route))
    expect((await connectionOf(lab.client, vpn)).Routes).toEqual([
      { DestinationCidrBlock: '10.8.1.0/24', Source: 'Static', State: 'available' },
    ])
    expect(lab.carrier.connections.get(vpn)!.staticRoutes).toEqual(['10.8.1.0/24'])
    const [main] = await tablesOf()
    const both = { RouteTableId: main!.RouteTableId!, GatewayId: vgw }
    await lab.client.send(new sdk.EnableVgwRoutePropagationCommand(both))
    const route2 = expect.objectContaining({ DestinationCidrBlock: '10.8.1.0/24', GatewayId: vgw, State: 'active' })
    expect((await tablesOf())[0]!.Routes).toContainEqual(route2)
    await lab.client.send(new sdk.DeleteVpnConnectionRouteCommand(route))
    expect(await errorOf(lab.client, 'DeleteVpnConnectionRoute', route)).toBe('InvalidRoute.NotFound')
    expect(lab.carrier.connections.get(vpn)!.staticRoutes).toEqual([])
    expect((await connectionOf(lab.client, vpn)).CustomerGatewayConfiguration).toContain('NoBGPVPNConnection')
  })

  test('of a table: made, replaced, removed; black where their target is gone', async () => {
    const { vgw } = await buildConnection(lab)
    const [main] = await tablesOf()
    const where = { RouteTableId: main!.RouteTableId!, DestinationCidrBlock: '10.8.1.0/24' }
    const target = { TransitGatewayId: TRANSIT_GATEWAY.id }
    expect(await errorOf(lab.client, 'ReplaceRoute', { ...where, ...target })).toBe('InvalidRoute.NotFound')
    await lab.client.send(new sdk.CreateRouteCommand({ ...where, ...target }))
    expect(await errorOf(lab.client, 'CreateRoute', { ...where, ...target })).toBe('none')
    expect(await errorOf(lab.client, 'CreateRoute', { ...where, GatewayId: vgw })).toBe('RouteAlreadyExists')
    await lab.client.send(new sdk.ReplaceRouteCommand({ ...where, GatewayId: vgw }))
    const shown = async () => (await tablesOf())[0]!.Routes!.find((each) => each.Origin === 'CreateRoute')
    expect(await shown()).toEqual({ ...whereOf(where), GatewayId: vgw, Origin: 'CreateRoute', State: 'active' })
    await lab.client.send(new sdk.DetachVpnGatewayCommand({ VpnGatewayId: vgw, VpcId: VPC.id }))
    expect(await shown()).toMatchObject({ State: 'blackhole' })
    await lab.client.send(new sdk.DeleteRouteCommand(where))
    expect(await shown()).toBeUndefined()
  })

  const whereOf = ({ DestinationCidrBlock }: { readonly DestinationCidrBlock: string }) => ({ DestinationCidrBlock })
})

describe('eventual consistency', () => {
  test('what was made is not shown at first, and cannot be used', async () => {
    await again({ consistencyMs: 300 })
    const cgw = await createCustomer(lab.client)
    const list = async () => (await lab.client.send(new sdk.DescribeCustomerGatewaysCommand({}))).CustomerGateways!
    const ids = { CustomerGatewayIds: [cgw] }
    expect(await list()).toEqual([])
    expect(await errorOf(lab.client, 'DescribeCustomerGateways', ids)).toBe('InvalidCustomerGatewayID.NotFound')
    expect(await errorOf(lab.client, 'CreateTags', { Resources: [cgw], Tags: [{ Key: 'a' }] })).toBe('InvalidID')
    expect(await createCustomer(lab.client)).toBe(cgw)
    await lab.pass(300)
    expect(await list()).toMatchObject([{ CustomerGatewayId: cgw, State: 'available' }])
    await lab.client.send(new sdk.DeleteCustomerGatewayCommand({ CustomerGatewayId: cgw }))
    expect(await list()).toMatchObject([{ State: 'available' }])
    expect(await errorOf(lab.client, 'DeleteCustomerGateway', { CustomerGatewayId: cgw })).toBe(
      'InvalidCustomerGatewayID.NotFound',
    )
    await lab.pass(300)
    expect(await list()).toMatchObject([{ State: 'deleted' }])
  })
})
