/** Regions, VPCs and their subnets, which are there. */
import { Ec2Error } from './ec2-error.ts'
import { chosen, matching, page } from './ec2-lists.ts'
import type { Account } from './ec2-state.ts'
import type { Fields } from './sdk-model.ts'

const PAGING = { least: 5, most: 1_000 }
/** "Amazon reserves the first four addresses and the last in each subnet." */
const RESERVED_ADDRESSES = 5
const OTHER_REGIONS = ['us-east-1', 'eu-west-1']

export function describeRegions(account: Account, input: Fields): Fields {
  const all = [...new Set([account.region, ...OTHER_REGIONS])].map((id) => ({ id, tags: [], visibleAt: 0 }))
  const names = input.RegionNames as readonly string[] | undefined
  const unknown = names?.find((name) => all.every(({ id }) => id !== name))
  if (unknown !== undefined) throw new Ec2Error('InvalidParameterValue', `Invalid region provided: ${unknown}`)
  const endpoint = (id: string) => `ec2.${id}.amazonaws.com`
  const found = matching(input, all, { 'region-name': ({ id }) => [id], endpoint: ({ id }) => [endpoint(id)] })
  const Regions = found
    .filter(({ id }) => names?.includes(id) ?? true)
    .map(({ id }) => ({ RegionName: id, Endpoint: endpoint(id), OptInStatus: 'opt-in-not-required' }))
  return { Regions }
}

export function describeVpcs(account: Account, input: Fields): Fields {
  const found = matching(input, chosen(account, account.vpcs, input.VpcIds, 'InvalidVpcID'), {
    'vpc-id': ({ id }) => [id],
    cidr: ({ blocks }) => [blocks[0]!],
    'cidr-block-association.cidr-block': ({ blocks }) => blocks,
    'is-default': () => ['false'],
    'owner-id': () => [account.number],
    state: () => ['available'],
  })
  const { items, rest } = page(account, input, found, PAGING)
  const Vpcs = items.map(({ id, blocks, tags }) => ({
    VpcId: id,
    State: 'available',
    OwnerId: account.number,
    IsDefault: false,
    InstanceTenancy: 'default',
    CidrBlock: blocks[0]!,
    CidrBlockAssociationSet: blocks.map((CidrBlock) => ({ CidrBlock, CidrBlockState: { State: 'associated' } })),
    Tags: tags,
  }))
  return { Vpcs, ...rest }
}

export function describeSubnets(account: Account, input: Fields): Fields {
  const found = matching(input, chosen(account, account.subnets, input.SubnetIds, 'InvalidSubnetID'), {
    'subnet-id': ({ id }) => [id],
    'vpc-id': ({ vpc }) => [vpc],
    'cidr-block': ({ block }) => [block],
    state: () => ['available'],
  })
  const { items, rest } = page(account, input, found, PAGING)
  const Subnets = items.map(({ id, vpc, block, tags }, index) => ({
    SubnetId: id,
    VpcId: vpc,
    State: 'available',
    OwnerId: account.number,
    CidrBlock: block,
    AvailableIpAddressCount: 2 ** (32 - Number(block.split('/')[1])) - RESERVED_ADDRESSES,
    AvailabilityZone: `${account.region}${'ab'[index % 2]}`,
    Tags: tags,
  }))
  return { Subnets, ...rest }
}
