/**
 * Everything that there is of some connections in one region, in as few calls as it takes: the answers are shared by all
 * subjects, and each gets only what is tagged as its own, what it knows by name, and what its target consists of.
 */
import * as ec2 from '@aws-sdk/client-ec2'
import {
  CloudFailure,
  type Seen,
  type SeenVpnGateway,
  type Subject,
  TAG_CLOUD,
  TAG_NETWORK,
  type Tags,
} from '../domain/cloud/provider.ts'
import type { Calls } from './calls.ts'
import {
  customerGatewayOf,
  routeTableOf,
  tagsOf,
  transitGatewayOf,
  vpcOf,
  vpnConnectionOf,
  vpnGatewayOf,
} from './shapes.ts'

/** Pages of one list; beyond it something is wrong. */
const MOST_PAGES = 200
/** Values of one filter. */
const MOST_VALUES = 200

/** In the order of the subjects, which are all of the calls' region. Throws a CloudFailure. */
export async function lookAt(calls: Calls, subjects: readonly Subject[]): Promise<Seen[]> {
  const vpcIds = unique(subjects.flatMap(({ target }) => vpcsOf(target)))
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
  const owners: Owners = new Map([
    ...ownersOf(vpcs, ({ VpcId }) => VpcId),
    ...ownersOf(tables, ({ RouteTableId }) => RouteTableId),
    ...ownersOf(transits, ({ TransitGatewayId }) => TransitGatewayId),
  ])
  const all: Everything = {
    connections: present(connections.VpnConnections, vpnConnectionOf),
    customers: present(customers.CustomerGateways, customerGatewayOf),
    gateways: present(gateways.VpnGateways, vpnGatewayOf),
    vpcs: present(vpcs, vpcOf),
    tables: present(tables, routeTableOf),
    transits: present(transits, (each) => transitGatewayOf(each, attachedTo(each, attachments))),
  }
  return subjects.map((subject) => seenBy(subject, all, owners))
}

/** By identifier, the network that something is tagged with. */
type Owners = ReadonlyMap<string, string>

interface Everything {
  readonly connections: Seen['vpnConnections']
  readonly customers: Seen['customerGateways']
  readonly gateways: Seen['vpnGateways']
  readonly vpcs: Seen['vpcs']
  readonly tables: Seen['routeTables']
  readonly transits: readonly NonNullable<Seen['transitGateway']>[]
}

interface Tagged {
  readonly id: string
  readonly tags: Tags
}

/** What has the tag of another network is not there for this one, by whichever name it may be asked for. */
function seenBy({ cloud, network, target, known }: Subject, all: Everything, owners: Owners): Seen {
  const isOpen = ({ id }: { readonly id: string }) => (owners.get(id) ?? network) === network
  const isOpenTagged = ({ tags }: Tagged) => (tags[TAG_NETWORK] ?? network) === network
  const isOwn = (each: Tagged) =>
    isOpenTagged(each) &&
    ((each.tags[TAG_CLOUD] === cloud && each.tags[TAG_NETWORK] === network) || known.includes(each.id))
  const vpcs = vpcsOf(target)
  const named = target.kind === 'vpc' ? target.vpnGateway : undefined
  // A VPC has one gateway only: that of another connection of the network, or one without tags, is used too.
  const isMeant = ({ id, attachments }: SeenVpnGateway) =>
    target.kind === 'vpc' && (named === undefined ? attachments.some(({ vpc }) => vpc === target.vpc) : id === named)
  const transit = target.kind === 'vpc' ? undefined : all.transits.find(({ id }) => id === target.transitGateway)
  const others = all.connections.filter((each) => !isOwn(each) && each.state !== 'deleted')
  return {
    vpcs: all.vpcs.filter((each) => vpcs.includes(each.id) && isOpen(each)),
    // AWS has one for each address and AS, whoever made it: whether it fits, the domain sees.
    customerGateways: all.customers.filter(isOpenTagged),
    vpnGateways: all.gateways.filter((each) => isOwn(each) || (isOpenTagged(each) && isMeant(each))),
    ...(transit === undefined || !isOpen(transit) ? {} : { transitGateway: transit }),
    vpnConnections: all.connections.filter(isOwn),
    routeTables: all.tables.filter((each) => vpcs.includes(each.vpc) && isOpen(each)),
    takenInside: others.flatMap(({ tunnels }) => tunnels.flatMap(({ insideCidr }) => insideCidr ?? [])),
  }
}

function vpcsOf(target: Subject['target']): readonly string[] {
  return target.kind === 'vpc' ? [target.vpc] : target.vpcs
}

function ownersOf<T extends { Tags?: ec2.Tag[] | undefined }>(
  list: readonly T[],
  idOf: (item: T) => string | undefined,
): [string, string][] {
  return list.flatMap((item): [string, string][] => {
    const [id, owner] = [idOf(item), tagsOf(item.Tags)[TAG_NETWORK]]
    return id === undefined || owner === undefined ? [] : [[id, owner]]
  })
}

/** VPCs whose attachment carries packets. */
function attachedTo(transit: ec2.TransitGateway, attachments: readonly ec2.TransitGatewayAttachment[]): string[] {
  return attachments.flatMap(({ TransitGatewayId, ResourceId, State }) =>
    TransitGatewayId === transit.TransitGatewayId && (State === 'available' || State === 'modifying')
      ? (ResourceId ?? [])
      : [],
  )
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
    if (answer.NextToken === undefined || answer.NextToken === '') return items
    token = { NextToken: answer.NextToken }
  }
  // Half a list would pass for what is not there having gone.
  const cause = `A list of AWS has no end after ${MOST_PAGES} pages.`
  throw new CloudFailure('later', 'EndlessList', cause, 'See what stands between the control plane and AWS.')
}

function present<In, Out>(list: readonly In[] | undefined, read: (item: In) => Out | undefined): Out[] {
  return (list ?? []).flatMap((item) => read(item) ?? [])
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)]
}
