/** VPCs and their route tables. */
import { Ec2Error } from './ec2-error.ts'
import { type Account, connectionState, found, type Route, type RouteTable } from './ec2-state.ts'
import { matching } from './ec2-tags.ts'
import type { Fields } from './sdk-model.ts'

/** Items of one page where the request does not say. */
const PAGE = 100

export function describeVpcs(account: Account, input: Fields): Fields {
  const fields = ({ id, blocks }: Account['vpcs'][number]) => ({ 'vpc-id': [id], cidr: [blocks[0]!] })
  const { items, rest } = page(input, matching(input, account.vpcs, fields))
  return {
    Vpcs: items.map(({ id, blocks, tags }) => ({
      VpcId: id,
      State: 'available',
      CidrBlock: blocks[0]!,
      CidrBlockAssociationSet: blocks.map((CidrBlock) => ({ CidrBlock, CidrBlockState: { State: 'associated' } })),
      Tags: tags,
    })),
    ...rest,
  }
}

export async function describeRouteTables(account: Account, input: Fields): Promise<Fields> {
  const fields = ({ id, vpc, main }: RouteTable) => ({
    'route-table-id': [id],
    'vpc-id': [vpc],
    'association.main': [String(main)],
  })
  const { items, rest } = page(input, matching(input, account.tables, fields))
  const tables = await Promise.all(
    items.map(async (table) => ({
      RouteTableId: table.id,
      VpcId: table.vpc,
      Associations: [{ Main: table.main, RouteTableId: table.id }],
      PropagatingVgws: [...table.propagating].map((GatewayId) => ({ GatewayId })),
      Routes: [...table.routes, ...(await propagated(account, table))].map(routeShown),
      Tags: table.tags,
    })),
  )
  return { RouteTables: tables, ...rest }
}

function routeShown({ prefix, target, origin }: Route): Fields {
  const by = target.startsWith('tgw-') ? { TransitGatewayId: target } : { GatewayId: target }
  return { DestinationCidrBlock: prefix, ...by, Origin: origin, State: 'active' }
}

/** Prefixes of the sites behind gateways that the table learns from. */
async function propagated(account: Account, { propagating }: RouteTable): Promise<Route[]> {
  const routes: Route[] = []
  for (const gateway of propagating) {
    const own = account.vpnConnections.filter(
      (each) => each.vpnGateway === gateway && connectionState(account, each) === 'available',
    )
    for (const connection of own.filter(({ isStatic }) => isStatic)) {
      for (const prefix of connection.routes)
        routes.push({ prefix, target: gateway, origin: 'EnableVgwRoutePropagation' })
    }
  }
  return routes
}

export function propagation(account: Account, { RouteTableId, GatewayId }: Fields, on: boolean): Fields {
  const table = found(account, account.tables, String(RouteTableId), 'InvalidRouteTableID')
  const gateway = found(account, account.vpnGateways, String(GatewayId), 'InvalidVpnGatewayID')
  if (gateway.attachment?.vpc !== table.vpc)
    throw new Ec2Error('Gateway.NotAttached', `${gateway.id} is not attached to ${table.vpc}`)
  if (on) table.propagating.add(gateway.id)
  else table.propagating.delete(gateway.id)
  return {}
}

export function createRoute(account: Account, input: Fields): Fields {
  const { RouteTableId, DestinationCidrBlock, TransitGatewayId, GatewayId } = input
  const table = found(account, account.tables, String(RouteTableId), 'InvalidRouteTableID')
  const target = String(TransitGatewayId ?? GatewayId)
  const there = table.routes.find(({ prefix }) => prefix === DestinationCidrBlock)
  if (there?.target === target) return { Return: true }
  if (there !== undefined)
    throw new Ec2Error('RouteAlreadyExists', `The route identified by ${there.prefix} already exists.`)
  table.routes.push({ prefix: String(DestinationCidrBlock), target, origin: 'CreateRoute' })
  return { Return: true }
}

export function deleteRoute(account: Account, { RouteTableId, DestinationCidrBlock }: Fields): Fields {
  const table = found(account, account.tables, String(RouteTableId), 'InvalidRouteTableID')
  const at = table.routes.findIndex(({ prefix }) => prefix === DestinationCidrBlock)
  if (at < 0)
    throw new Ec2Error(
      'InvalidRoute.NotFound',
      `no route with destination-cidr-block ${String(DestinationCidrBlock)} in route table`,
    )
  table.routes.splice(at, 1)
  return {}
}

/** By MaxResults and NextToken, which is an offset. */
function page<T>({ MaxResults, NextToken }: Fields, all: readonly T[]): { items: readonly T[]; rest: Fields } {
  const from = NextToken === undefined ? 0 : Number(NextToken)
  if (!Number.isInteger(from) || from < 0) throw new Ec2Error('InvalidNextToken', 'The token is invalid')
  const most = MaxResults === undefined ? PAGE : Number(MaxResults)
  const items = all.slice(from, from + most)
  return { items, rest: from + most < all.length ? { NextToken: String(from + most) } : {} }
}
