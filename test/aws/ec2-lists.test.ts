/** Lists of the stand-in: identifiers, filters, pages, tags. */
import * as sdk from '@aws-sdk/client-ec2'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { buildConnection, createCustomer, createLab, errorOf, type Lab, send } from './ec2-lab.ts'
import { TRANSIT_GATEWAY } from './server.ts'

const VPCS = Array.from({ length: 12 }, (_, index) => ({
  id: `vpc-${String(index).padStart(17, '0')}`,
  blocks: [`10.${index}.0.0/16`, `172.${16 + index}.0.0/16`],
}))
let lab: Lab
beforeEach(async () => {
  lab = await createLab({ vpcs: VPCS })
})
afterEach(() => lab.close())

const filtered = (...filters: [string, ...string[]][]) => ({
  Filters: filters.map(([Name, ...Values]) => ({ Name, Values })),
})
const vpcsBy = async (...filters: [string, ...string[]][]) => {
  const { Vpcs } = await lab.client.send(new sdk.DescribeVpcsCommand(filtered(...filters)))
  return Vpcs!.map(({ VpcId }) => VPCS.findIndex(({ id }) => id === VpcId))
}
const tag = (Resources: string[], Tags: { Key: string; Value?: string }[]) =>
  send(lab.client, 'CreateTags', { Resources, Tags })

describe('filters', () => {
  test('values are alternatives, filters have to fit together', async () => {
    expect(await vpcsBy(['vpc-id', VPCS[1]!.id, VPCS[2]!.id])).toEqual([1, 2])
    expect(await vpcsBy(['vpc-id', VPCS[1]!.id, VPCS[2]!.id], ['cidr', '10.2.0.0/16'])).toEqual([2])
    expect(await vpcsBy(['state', 'pending'])).toEqual([])
  })

  test('asterisk and question mark, and what takes their meaning away', async () => {
    expect(await vpcsBy(['cidr', '10.1?.*'])).toEqual([10, 11])
    expect(await vpcsBy(['cidr', '10.1\\?.*'])).toEqual([])
    expect(await vpcsBy(['cidr', '10.1.*'])).toEqual([1])
    expect(await vpcsBy(['cidr-block-association.cidr-block', '172.16.0.0/16'])).toEqual([0])
  })

  test('tags', async () => {
    await tag([VPCS[3]!.id, VPCS[4]!.id], [{ Key: 'name', Value: 'three*' }])
    await tag([VPCS[4]!.id], [{ Key: 'name', Value: 'four' }])
    expect(await vpcsBy(['tag:name', 'four'])).toEqual([4])
    expect(await vpcsBy(['tag:name', 'three\\*'])).toEqual([3])
    expect(await vpcsBy(['tag-key', 'name'])).toEqual([3, 4])
    expect(await vpcsBy(['tag:Name', 'four'])).toEqual([])
  })

  test.each([
    ['DescribeVpcs', 'colour', 'InvalidParameterValue'],
    ['DescribeVpnConnections', 'constructor', 'InvalidParameterValue'],
    ['DescribeRouteTables', 'route.colour', 'InvalidParameterValue'],
  ])('%s has no %s', async (action, name, code) => {
    expect(await errorOf(lab.client, action, filtered([name, 'x']))).toBe(code)
  })

  test('not too many values', async () => {
    const values = Array.from({ length: 201 }, (_, index) => `vpc-${index}`)
    expect(await errorOf(lab.client, 'DescribeVpcs', filtered(['vpc-id', ...values]))).toBe('FilterLimitExceeded')
  })

  test('every resource is found by what it has', async () => {
    const { cgw, vgw, vpn } = await buildConnection(lab)
    const found = async (action: string, key: string, ...filters: [string, ...string[]][]) =>
      ((await send(lab.client, action, filtered(...filters))) as Record<string, unknown[]>)[key]!.length
    expect(await found('DescribeCustomerGateways', 'CustomerGateways', ['customer-gateway-id', cgw])).toBe(1)
    expect(
      await found(
        'DescribeCustomerGateways',
        'CustomerGateways',
        ['ip-address', '198.51.100.7'],
        ['bgp-asn', '65001'],
        ['state', 'available'],
      ),
    ).toBe(1)
    expect(await found('DescribeVpnGateways', 'VpnGateways', ['vpn-gateway-id', vgw], ['state', 'available'])).toBe(1)
    expect(await found('DescribeVpnGateways', 'VpnGateways', ['attachment.vpc-id', VPCS[0]!.id])).toBe(1)
    expect(await found('DescribeVpnGateways', 'VpnGateways', ['attachment.vpc-id', VPCS[1]!.id])).toBe(0)
    expect(await found('DescribeVpnConnections', 'VpnConnections', ['vpn-connection-id', vpn])).toBe(1)
    expect(
      await found(
        'DescribeVpnConnections',
        'VpnConnections',
        ['vpn-gateway-id', vgw],
        ['customer-gateway-id', cgw],
        ['state', 'available', 'pending'],
      ),
    ).toBe(1)
    expect(await found('DescribeVpnConnections', 'VpnConnections', ['transit-gateway-id', '*'])).toBe(0)
    expect(await found('DescribeTransitGateways', 'TransitGateways', ['transit-gateway-id', TRANSIT_GATEWAY.id])).toBe(
      1,
    )
    expect(await found('DescribeRouteTables', 'RouteTables', ['association.main', 'true'])).toBe(VPCS.length)
    expect(await found('DescribeSubnets', 'Subnets', ['vpc-id', VPCS[0]!.id])).toBe(2)
    expect(await found('DescribeRegions', 'Regions', ['region-name', 'eu-*'])).toBe(2)
  })
})

describe('pages', () => {
  test('as the SDK goes through them, each item once, whatever appears between', async () => {
    const seen: string[] = []
    for await (const { Vpcs } of sdk.paginateDescribeVpcs({ client: lab.client, pageSize: 5 }, {})) {
      expect(Vpcs!.length).toBeLessThanOrEqual(5)
      seen.push(...Vpcs!.map(({ VpcId }) => VpcId!))
    }
    expect(seen).toEqual(VPCS.map(({ id }) => id))
  })

  test('also unasked for, where there is too much for one', async () => {
    await lab.close()
    lab = await createLab({ vpcs: VPCS, pageSize: 7 })
    const sizes: number[] = []
    for await (const { RouteTables } of sdk.paginateDescribeRouteTables({ client: lab.client }, {})) {
      sizes.push(RouteTables!.length)
    }
    expect(sizes).toEqual([7, 7, 7, 3])
  })

  test.each([
    ['DescribeVpcs', { MaxResults: 4 }, 'InvalidParameterValue'],
    ['DescribeVpcs', { MaxResults: 1_001 }, 'InvalidParameterValue'],
    ['DescribeRouteTables', { MaxResults: 101 }, 'InvalidParameterValue'],
    ['DescribeVpcs', { NextToken: 'x' }, 'InvalidNextToken'],
  ])('%s %j: %s', async (action, input, name) => {
    expect(await errorOf(lab.client, action, input)).toBe(name)
  })
})

describe('tags', () => {
  test('are given with what is made, changed, listed and taken away', async () => {
    const specification = (type: string) => ({
      TagSpecifications: [{ ResourceType: type, Tags: [{ Key: 'a', Value: '1' }, { Key: 'b' }] }],
    })
    const input = { Type: 'ipsec.1', IpAddress: '198.51.100.7' }
    expect(await errorOf(lab.client, 'CreateCustomerGateway', { ...input, ...specification('vpn-gateway') })).toBe(
      'InvalidParameterValue',
    )
    await send(lab.client, 'CreateCustomerGateway', { ...input, ...specification('customer-gateway') })
    const [cgw] = lab.ec2.living()
    const listed = async () =>
      (await lab.client.send(new sdk.DescribeTagsCommand(filtered(['resource-id', cgw!])))).Tags!
    const shown = async () => (await listed()).map(({ Key, Value }) => `${Key}=${Value}`)
    expect(await shown()).toEqual(['a=1', 'b='])
    expect(await listed()).toMatchObject([{ ResourceId: cgw, ResourceType: 'customer-gateway' }, {}])
    await tag(
      [cgw!],
      [
        { Key: 'a', Value: '2' },
        { Key: 'c', Value: '3' },
      ],
    )
    expect(await shown()).toEqual(['b=', 'a=2', 'c=3'])
    const remove = (Tags?: object[]) => send(lab.client, 'DeleteTags', { Resources: [cgw], Tags })
    await remove([{ Key: 'a', Value: '1' }, { Key: 'b' }])
    expect(await shown()).toEqual(['a=2', 'c=3'])
    await remove()
    expect(await shown()).toEqual([])
  })

  test.each([
    [[{ Key: 'aws:x', Value: 'y' }], 'InvalidParameterValue'],
    [[{ Key: 'k'.repeat(129), Value: 'y' }], 'InvalidParameterValue'],
    [[{ Key: 'k', Value: 'v'.repeat(257) }], 'InvalidParameterValue'],
    [
      [
        { Key: 'k', Value: '1' },
        { Key: 'k', Value: '2' },
      ],
      'InvalidParameterValue',
    ],
    [Array.from({ length: 51 }, (_, index) => ({ Key: `k${index}`, Value: '' })), 'TagLimitExceeded'],
  ])('that AWS does not take: %#', async (Tags, name) => {
    const cgw = await createCustomer(lab.client)
    expect(await errorOf(lab.client, 'CreateTags', { Resources: [cgw], Tags })).toBe(name)
  })
})

test('VPCs have subnets and two route tables, the main one for what has none of its own', async () => {
  const own = filtered(['vpc-id', VPCS[0]!.id])
  const { Subnets } = await lab.client.send(new sdk.DescribeSubnetsCommand(own))
  expect(Subnets!.map(({ CidrBlock, AvailableIpAddressCount }) => [CidrBlock, AvailableIpAddressCount])).toEqual([
    ['10.0.0.0/17', 32_763],
    ['10.0.128.0/17', 32_763],
  ])
  const { RouteTables } = await lab.client.send(new sdk.DescribeRouteTablesCommand(own))
  expect(RouteTables!.map(({ Associations }) => Associations!.map(({ Main, SubnetId }) => SubnetId ?? Main))).toEqual([
    [true],
    [Subnets![1]!.SubnetId],
  ])
  expect(RouteTables![0]!.Routes).toEqual(
    VPCS[0]!.blocks.map((DestinationCidrBlock) => ({
      DestinationCidrBlock,
      GatewayId: 'local',
      Origin: 'CreateRouteTable',
      State: 'active',
    })),
  )
})
