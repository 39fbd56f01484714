/** Route tables: routes that somebody has made, and those that are learnt from gateways. */
import { parsePrefix } from '../../protocol/net.ts'
import { Ec2Error, invalid, missing } from './ec2-error.ts'
import { attachmentState } from './ec2-gateways.ts'
import { chosen, matching, page } from './ec2-lists.ts'
import { type Account, connectionState, found, type Route, type RouteTable, type VpnConnection } from './ec2-state.ts'
import type { Fields } from './sdk-model.ts'

const PAGING = { least: 5, most: 100 }

export async function describeRouteTables(account: Account, input: Fields): Promise<Fields> {
  const all = chosen(account, account.tables, input.RouteTableIds, 'InvalidRouteTableID')
  const learnt = await learntRoutes(account, all)
  const found = matching(input, all, {
    'route-table-id': ({ id }) => [id],
    'vpc-id': ({ vpc }) => [vpc],
    'association.main': ({ main }) => [String(main)],
    'association.subnet-id': ({ subnets }) => subnets,
    'route.destination-cidr-block': (table) => routesOf(table, learnt).map(({ prefix }) => prefix),
    'route.gateway-id': (table) => routesOf(table, learnt).map(({ target }) => target),
    'route.transit-gateway-id': (table) => routesOf(table, learnt).map(({ target }) => target),
    'route.origin': (table) => routesOf(table, learnt).map(({ origin }) => origin),
  })
  const { items, rest } = page(account, input, found, PAGING)
  const RouteTables = items.map((table) => ({
    RouteTableId: table.id,
    VpcId: table.vpc,
    OwnerId: account.number,
    Associations: associationsOf(table),
    PropagatingVgws: [...table.propagating].map((GatewayId) => ({ GatewayId })),
    Routes: routesOf(table, learnt).map((route) => routeShown(account, table, route)),
    Tags: table.tags,
  }))
  return { RouteTables, ...rest }
}

function associationsOf({ id, main, subnets }: RouteTable): Fields[] {
  const own = { RouteTableId: id, AssociationState: { State: 'associated' } }
  const named = (number: number) => ({ ...own, RouteTableAssociationId: `rtbassoc-${number}${id.slice(5)}` })
  const explicit = subnets.map((SubnetId, index) => ({ ...named(index + 1), Main: false, SubnetId }))
  return main ? [{ ...named(0), Main: true }, ...explicit] : explicit
}

/** What is there by hand hides what is learnt: "Route priority and propagated routes". */
function routesOf(table: RouteTable, learnt: ReadonlyMap<string, readonly string[]>): readonly Route[] {
  const routes = [...table.routes]
  for (const gateway of table.propagating) {
    for (const prefix of learnt.get(gateway) ?? []) {
      if (routes.some((route) => route.prefix === prefix)) continue
      routes.push({ prefix, target: gateway, origin: 'EnableVgwRoutePropagation' })
    }
  }
  return routes
}

/** By gateway, the prefixes of the sites behind it. */
async function learntRoutes(account: Account, tables: readonly RouteTable[]): Promise<Map<string, string[]>> {
  const gateways = new Set(tables.flatMap(({ propagating }) => [...propagating]))
  const own = account.vpnConnections.filter(({ vpnGateway = '' }) => gateways.has(vpnGateway))
  const learnt = new Map<string, string[]>()
  for (const connection of own) {
    const gateway = connection.vpnGateway!
    learnt.set(gateway, [...(learnt.get(gateway) ?? []), ...(await learntFrom(account, connection))])
  }
  return learnt
}

/** Static routes too last only while a tunnel is up. */
async function learntFrom(account: Account, connection: VpnConnection): Promise<readonly string[]> {
  const { carrier } = account
  if (!['available', 'modifying'].includes(connectionState(account, connection))) return []
  if (carrier === undefined) return [...connection.routes]
  const tunnels = await carrier.status(connection.id).catch(() => [])
  const up = tunnels.filter((tunnel) => tunnel.up)
  if (connection.isStatic) return up.length > 0 ? [...connection.routes] : []
  return [...new Set(up.flatMap(({ accepted = [] }) => accepted))]
}

function routeShown(account: Account, table: RouteTable, { prefix, target, origin }: Route): Fields {
  const by = target.startsWith('tgw-') ? { TransitGatewayId: target } : { GatewayId: target }
  const State = leads(account, table, target) ? 'active' : 'blackhole'
  return { DestinationCidrBlock: prefix, ...by, Origin: origin, State }
}

function leads(account: Account, table: RouteTable, target: string): boolean {
  if (target === 'local') return true
  const transit = account.transitGateways.find(({ id }) => id === target)
  if (transit !== undefined) return transit.deletedAt === undefined && transit.vpcs.includes(table.vpc)
  const gateway = account.vpnGateways.find(({ id }) => id === target)
  return gateway?.attachment?.vpc === table.vpc && attachmentState(account, gateway) === 'attached'
}

export function propagation(account: Account, { RouteTableId, GatewayId }: Fields, on: boolean): Fields {
  const table = found(account, account.tables, RouteTableId, 'InvalidRouteTableID')
  const gateway = found(account, account.vpnGateways, GatewayId, 'InvalidVpnGatewayID')
  if (!on) {
    table.propagating.delete(gateway.id)
    return {}
  }
  if (gateway.attachment?.vpc !== table.vpc || attachmentState(account, gateway) !== 'attached') {
    throw new Ec2Error('Gateway.NotAttached', `The gateway '${gateway.id}' is not attached to '${table.vpc}'`)
  }
  table.propagating.add(gateway.id)
  return {}
}

export function createRoute(account: Account, input: Fields): Fields {
  const table = found(account, account.tables, input.RouteTableId, 'InvalidRouteTableID')
  const prefix = destinationOf(input)
  const target = targetOf(account, table, input)
  const there = table.routes.find((route) => route.prefix === prefix)
  if (there?.target === target) return { Return: true }
  if (there !== undefined) {
    throw new Ec2Error('RouteAlreadyExists', `The route identified by ${prefix} already exists.`)
  }
  if (table.routes.length >= account.quotas.routesPerTable) {
    throw new Ec2Error('RouteLimitExceeded', 'The maximum number of routes has been reached.')
  }
  table.routes.push({ prefix, target, origin: 'CreateRoute' })
  return { Return: true }
}

export function replaceRoute(account: Account, input: Fields): Fields {
  const table = found(account, account.tables, input.RouteTableId, 'InvalidRouteTableID')
  const at = placeOf(table, input)
  table.routes[at] = { prefix: destinationOf(input), target: targetOf(account, table, input), origin: 'CreateRoute' }
  return {}
}

export function deleteRoute(account: Account, input: Fields): Fields {
  const table = found(account, account.tables, input.RouteTableId, 'InvalidRouteTableID')
  table.routes.splice(placeOf(table, input), 1)
  return {}
}

function placeOf(table: RouteTable, input: Fields): number {
  const prefix = destinationOf(input)
  const at = table.routes.findIndex((route) => route.prefix === prefix)
  if (at < 0) {
    const why = `no route with destination-cidr-block ${prefix} in route table ${table.id}`
    throw new Ec2Error('InvalidRoute.NotFound', why)
  }
  if (table.routes[at]!.target === 'local') throw invalid('DestinationCidrBlock', prefix, 'It is a local route.')
  return at
}

function destinationOf({ DestinationCidrBlock }: Fields): string {
  if (DestinationCidrBlock === undefined) throw missing('DestinationCidrBlock')
  return prefixOf('destinationCidrBlock', String(DestinationCidrBlock))
}

/** Throws Ec2Error where it is no IPv4 prefix. */
export function prefixOf(name: string, text: string): string {
  const prefix = /^[\d.]+\/\d+$/.test(text) ? parsePrefix(text) : undefined
  if (prefix === undefined) throw invalid(name, text, 'This is not a valid CIDR block.')
  return prefix
}

function targetOf(account: Account, table: RouteTable, { TransitGatewayId, GatewayId }: Fields): string {
  if (TransitGatewayId !== undefined && GatewayId !== undefined) {
    throw new Ec2Error('InvalidParameterCombination', 'You must specify exactly one target.')
  }
  if (TransitGatewayId !== undefined) {
    const transit = found(account, account.transitGateways, TransitGatewayId, 'InvalidTransitGatewayID')
    if (transit.vpcs.includes(table.vpc)) return transit.id
    const why = `The transit gateway ID '${transit.id}' is not attached to '${table.vpc}'`
    throw new Ec2Error('InvalidTransitGatewayID.NotFound', why)
  }
  if (GatewayId === undefined) throw missing('gatewayId')
  const gateway = found(account, account.vpnGateways, GatewayId, 'InvalidVpnGatewayID')
  if (leads(account, table, gateway.id)) return gateway.id
  const why = `route table ${table.id} and network gateway ${gateway.id} belong to different networks`
  throw new Ec2Error('InvalidParameterValue', why)
}
