/**
 * Everything that there is of some connections in one region, in as few calls as it takes: the answers are shared by all
 * subjects, and each gets only what is tagged as its own, what it knows by name, and what its target consists of.
 */
import * as ec2 from '@aws-sdk/client-ec2'
import { type Seen, type Subject, TAG_CLOUD, TAG_NETWORK } from '../domain/cloud/provider.ts'
import type { Calls } from './calls.ts'
import { customerGatewayOf, routeTableOf, transitGatewayOf, vpcOf, vpnConnectionOf, vpnGatewayOf } from './shapes.ts'

/** Pages of one list; beyond it something is wrong. */
const MOST_PAGES = 200
/** Values of one filter. */
const MOST_VALUES = 200

/** In the order of the subjects, which are all of the calls' region. Throws a CloudFailure. */
export async function lookAt(calls: Calls, subjects: readonly Subject[]): Promise<Seen[]> {
  const vpcIds = unique(subjects.flatMap(({ target }) => (target.kind === 'vpc' ? [target.vpc] : target.vpcs)))
  const transitIds = unique(subjects.flatMap(({ target }) => (target.kind === 'vpc' ? [] : [target.transitGateway])))
  const [connections, customers, gateways, vpcs, tables, transits, attachments] = await Promise.all([
    calls.read<ec2.DescribeVpnConnectionsResult>(new ec2.DescribeVpnConnectionsCommand({})),
    calls.read<ec2.DescribeCustomerGatewaysResult>(new ec2.DescribeCustomerGatewaysCommand({})),
    calls.read<ec2.DescribeVpnGatewaysResult>(new ec2.DescribeVpnGatewaysCommand({})),
    filtered(vpcIds, (values) => allVpcs(calls, values)),
    filtered(vpcIds, (values) => allTables(calls, values)),
    filtered(transitIds, (values) => allTransits(calls, values)),
    filtered(transitIds, (values) => allAttachments(calls, values)),
  ])
  const all: Everything = {
    connections: present(connections.VpnConnections, vpnConnectionOf),
    customers: present(customers.CustomerGateways, customerGatewayOf),
    gateways: present(gateways.VpnGateways, vpnGatewayOf),
    vpcs: present(vpcs, vpcOf),
    tables: present(tables, routeTableOf),
    transits: present(transits, (each) =>
      transitGatewayOf(
        each,
        attachments.flatMap(({ TransitGatewayId, ResourceId }) =>
          TransitGatewayId === each.TransitGatewayId && ResourceId !== undefined ? [ResourceId] : [],
        ),
      ),
    ),
  }
  return subjects.map((subject) => seenBy(subject, all))
}

interface Everything {
  readonly connections: Seen['vpnConnections']
  readonly customers: Seen['customerGateways']
  readonly gateways: Seen['vpnGateways']
  readonly vpcs: Seen['vpcs']
  readonly tables: Seen['routeTables']
  readonly transits: readonly NonNullable<Seen['transitGateway']>[]
}

function seenBy({ cloud, network, target, known }: Subject, all: Everything): Seen {
  const isOwn = ({ id, tags }: { readonly id: string; readonly tags: Readonly<Record<string, string>> }) =>
    (tags[TAG_CLOUD] === cloud && tags[TAG_NETWORK] === network) || known.includes(id)
  const vpcs = target.kind === 'vpc' ? [target.vpc] : target.vpcs
  const named = target.kind === 'vpc' ? target.vpnGateway : undefined
  const transit = target.kind === 'vpc' ? undefined : all.transits.find(({ id }) => id === target.transitGateway)
  const others = all.connections.filter((each) => !isOwn(each) && each.state !== 'deleted')
  return {
    vpcs: all.vpcs.filter(({ id }) => vpcs.includes(id)),
    // AWS has one for each address and AS, whoever made it: whether it fits, the domain sees.
    customerGateways: all.customers.filter(
      (each) => isOwn(each) || each.tags[TAG_NETWORK] === undefined || each.tags[TAG_NETWORK] === network,
    ),
    vpnGateways: all.gateways.filter((each) => isOwn(each) || each.id === named),
    ...(transit === undefined ? {} : { transitGateway: transit }),
    vpnConnections: all.connections.filter(isOwn),
    routeTables: all.tables.filter(({ vpc }) => vpcs.includes(vpc)),
    takenInside: others.flatMap(({ tunnels }) => tunnels.flatMap(({ insideCidr }) => insideCidr ?? [])),
  }
}

async function filtered<T>(values: readonly string[], list: (values: string[]) => Promise<T[]>): Promise<T[]> {
  const parts: T[] = []
  for (let at = 0; at < values.length; at += MOST_VALUES)
    parts.push(...(await list(values.slice(at, at + MOST_VALUES))))
  return parts
}

function allVpcs(calls: Calls, values: string[]): Promise<ec2.Vpc[]> {
  const Filters = [{ Name: 'vpc-id', Values: values }]
  return paged<ec2.DescribeVpcsResult, ec2.Vpc>(
    calls,
    (NextToken) => new ec2.DescribeVpcsCommand({ Filters, ...NextToken }),
    ({ Vpcs }) => Vpcs,
  )
}

function allTables(calls: Calls, values: string[]): Promise<ec2.RouteTable[]> {
  const Filters = [{ Name: 'vpc-id', Values: values }]
  return paged<ec2.DescribeRouteTablesResult, ec2.RouteTable>(
    calls,
    (NextToken) => new ec2.DescribeRouteTablesCommand({ Filters, ...NextToken }),
    ({ RouteTables }) => RouteTables,
  )
}

function allTransits(calls: Calls, values: string[]): Promise<ec2.TransitGateway[]> {
  const Filters = [{ Name: 'transit-gateway-id', Values: values }]
  return paged<ec2.DescribeTransitGatewaysResult, ec2.TransitGateway>(
    calls,
    (NextToken) => new ec2.DescribeTransitGatewaysCommand({ Filters, ...NextToken }),
    ({ TransitGateways }) => TransitGateways,
  )
}

function allAttachments(calls: Calls, values: string[]): Promise<ec2.TransitGatewayAttachment[]> {
  const Filters = [
    { Name: 'transit-gateway-id', Values: values },
    { Name: 'resource-type', Values: ['vpc'] },
  ]
  return paged<ec2.DescribeTransitGatewayAttachmentsResult, ec2.TransitGatewayAttachment>(
    calls,
    (NextToken) => new ec2.DescribeTransitGatewayAttachmentsCommand({ Filters, ...NextToken }),
    ({ TransitGatewayAttachments }) => TransitGatewayAttachments,
  )
}

async function paged<Answer extends { NextToken?: string | undefined }, Item>(
  calls: Calls,
  command: (token: { NextToken?: string }) => Parameters<Calls['read']>[0],
  itemsOf: (answer: Answer) => Item[] | undefined,
): Promise<Item[]> {
  const items: Item[] = []
  let token: { NextToken?: string } = {}
  for (let page = 0; page < MOST_PAGES; page++) {
    const answer = await calls.read<Answer>(command(token))
    items.push(...(itemsOf(answer) ?? []))
    if (answer.NextToken === undefined || answer.NextToken === '') break
    token = { NextToken: answer.NextToken }
  }
  return items
}

function present<In, Out>(list: readonly In[] | undefined, read: (item: In) => Out | undefined): Out[] {
  return (list ?? []).flatMap((item) => read(item) ?? [])
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)]
}
