/** Transit gateways, which are there, and what is attached to them. */
import { chosen, matching, page } from './ec2-lists.ts'
import { type Account, connectionState, type Tagged } from './ec2-state.ts'
import type { Fields } from './sdk-model.ts'

const PAGING = { least: 5, most: 1_000 }

export function describeTransitGateways(account: Account, input: Fields): Fields {
  const all = chosen(account, account.transitGateways, input.TransitGatewayIds, 'InvalidTransitGatewayID')
  const found = matching(input, all, {
    'transit-gateway-id': ({ id }) => [id],
    'options.amazon-side-asn': ({ as }) => [String(as)],
    'owner-id': () => [account.number],
    state: (each) => [stateOf(each)],
  })
  const { items, rest } = page(account, input, found, PAGING)
  const TransitGateways = items.map((each) => ({
    TransitGatewayId: each.id,
    TransitGatewayArn: `arn:aws:ec2:${account.region}:${account.number}:transit-gateway/${each.id}`,
    State: stateOf(each),
    OwnerId: account.number,
    Options: { AmazonSideAsn: each.as, DnsSupport: 'enable', VpnEcmpSupport: 'enable' },
    Tags: each.tags,
  }))
  return { TransitGateways, ...rest }
}

function stateOf({ deletedAt }: Tagged): string {
  return deletedAt === undefined ? 'available' : 'deleted'
}

interface Attachment extends Tagged {
  readonly transitGateway: string
  readonly type: 'vpc' | 'vpn'
  readonly resource: string
  readonly state: string
}

/** VPCs that were there from the beginning, and VPN connections. */
function attachmentsOf(account: Account): Attachment[] {
  const made = { tags: [], visibleAt: 0 }
  const id = (gateway: string, resource: string) => `tgw-attach-${digits(gateway, 9)}${digits(resource, 8)}`
  const vpcs = account.transitGateways.flatMap((gateway) =>
    gateway.vpcs.map((vpc): Attachment => {
      const which = { transitGateway: gateway.id, type: 'vpc', resource: vpc } as const
      return { ...made, ...which, id: id(gateway.id, vpc), state: stateOf(gateway) }
    }),
  )
  const connections = account.vpnConnections.flatMap((each): Attachment[] => {
    const { transitGateway, id: resource, visibleAt } = each
    if (transitGateway === undefined) return []
    const shown = connectionState(account, each)
    const state = shown === 'modifying' ? 'available' : shown
    return [{ ...made, visibleAt, transitGateway, type: 'vpn', resource, id: id(transitGateway, resource), state }]
  })
  return [...vpcs, ...connections]
}

function digits(id: string, count: number): string {
  return id.slice(-count)
}

export function describeTransitGatewayAttachments(account: Account, input: Fields): Fields {
  const ids = input.TransitGatewayAttachmentIds
  const all = chosen(account, attachmentsOf(account), ids, 'InvalidTransitGatewayAttachmentID')
  const found = matching(input, all, {
    'transit-gateway-attachment-id': ({ id }) => [id],
    'transit-gateway-id': ({ transitGateway }) => [transitGateway],
    'resource-type': ({ type }) => [type],
    'resource-id': ({ resource }) => [resource],
    state: ({ state }) => [state],
  })
  const { items, rest } = page(account, input, found, PAGING)
  const TransitGatewayAttachments = items.map(({ id, transitGateway, type, resource, state, tags }) => ({
    TransitGatewayAttachmentId: id,
    TransitGatewayId: transitGateway,
    TransitGatewayOwnerId: account.number,
    ResourceType: type,
    ResourceId: resource,
    ResourceOwnerId: account.number,
    State: state,
    Tags: tags,
  }))
  return { TransitGatewayAttachments, ...rest }
}
