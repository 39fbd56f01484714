/** Customer gateways, virtual private gateways, transit gateways. */
import { Ec2Error, missing } from './ec2-error.ts'
import { type Account, connectionState, found, freshId, isVisible, type VpnGateway } from './ec2-state.ts'
import { matching, newTags } from './ec2-tags.ts'
import type { Fields } from './sdk-model.ts'

export function createCustomerGateway(account: Account, input: Fields): Fields {
  const { Type, IpAddress, BgpAsn, BgpAsnExtended } = input
  if (Type !== 'ipsec.1')
    throw new Ec2Error('InvalidParameterValue', `Value (${String(Type)}) for parameter Type is invalid.`)
  if (IpAddress === undefined) throw missing('IpAddress')
  if (BgpAsn !== undefined && BgpAsnExtended !== undefined) {
    throw new Ec2Error('InvalidParameterCombination', 'BgpAsn and BgpAsnExtended exclude each other')
  }
  const as = Number(BgpAsnExtended ?? BgpAsn ?? 65_000)
  if ((BgpAsn !== undefined && as > 2_147_483_647) || (BgpAsnExtended !== undefined && as < 2_147_483_648)) {
    throw new Ec2Error('InvalidParameterValue', `Value (${as}) for parameter BgpAsn is invalid.`)
  }
  if (/^(10\.|192\.168\.|127\.|169\.254\.)/.test(String(IpAddress))) {
    throw new Ec2Error(
      'InvalidParameterValue',
      `Value (${String(IpAddress)}) for parameter ipAddress is invalid. The address must not be private.`,
    )
  }
  const living = account.customerGateways.filter(({ deletedAt }) => deletedAt === undefined)
  const same = living.find((each) => each.address === IpAddress && each.as === as)
  if (same !== undefined) return { CustomerGateway: customerShown(same) }
  if (living.length >= account.quotas.customerGateways) {
    throw new Ec2Error('CustomerGatewayLimitExceeded', 'The maximum number of customer gateways has been reached.')
  }
  const made = {
    id: freshId(account, 'cgw'),
    tags: newTags(input, 'customer-gateway'),
    visibleAt: account.now() + account.consistencyMs,
    address: String(IpAddress),
    as,
  }
  account.customerGateways.push(made)
  return { CustomerGateway: customerShown(made) }
}

export function describeCustomerGateways(account: Account, input: Fields): Fields {
  const all = account.customerGateways.filter((each) => isVisible(account, each))
  const ids = input.CustomerGatewayIds as readonly string[] | undefined
  const chosen = all.filter(({ id }) => ids === undefined || ids.includes(id))
  const fields = (each: (typeof all)[number]) => ({
    'customer-gateway-id': [each.id],
    'ip-address': [each.address],
    'bgp-asn': [String(each.as)],
    state: [each.deletedAt === undefined ? 'available' : 'deleted'],
  })
  return { CustomerGateways: matching(input, chosen, fields).map(customerShown) }
}

function customerShown({ id, address, as, tags, deletedAt }: Account['customerGateways'][number]): Fields {
  const number = as > 2_147_483_647 ? { BgpAsnExtended: String(as) } : { BgpAsn: String(as) }
  const State = deletedAt === undefined ? 'available' : 'deleted'
  return { CustomerGatewayId: id, IpAddress: address, ...number, State, Type: 'ipsec.1', Tags: tags }
}

export function deleteCustomerGateway(account: Account, { CustomerGatewayId }: Fields): Fields {
  const gateway = found(account, account.customerGateways, String(CustomerGatewayId), 'InvalidCustomerGatewayID')
  const used = account.vpnConnections.find(
    (each) => each.customerGateway === gateway.id && connectionState(account, each) !== 'deleted',
  )
  if (used !== undefined) throw new Ec2Error('IncorrectState', `The customer gateway is in use by ${used.id}`)
  gateway.deletedAt = account.now()
  return {}
}

export function createVpnGateway(account: Account, input: Fields): Fields {
  const living = account.vpnGateways.filter(({ deletedAt }) => deletedAt === undefined)
  if (living.length >= account.quotas.vpnGateways) {
    throw new Ec2Error('VpnGatewayLimitExceeded', 'The maximum number of virtual private gateways has been reached.')
  }
  const made: VpnGateway = {
    id: freshId(account, 'vgw'),
    tags: newTags(input, 'vpn-gateway'),
    visibleAt: account.now() + account.consistencyMs,
    as: Number(input.AmazonSideAsn ?? 64_512),
    availableAt: account.now() + account.delays.gateway,
  }
  account.vpnGateways.push(made)
  return { VpnGateway: gatewayShown(account, made) }
}

export function describeVpnGateways(account: Account, input: Fields): Fields {
  const all = account.vpnGateways.filter((each) => isVisible(account, each))
  const ids = input.VpnGatewayIds as readonly string[] | undefined
  const chosen = all.filter(({ id }) => ids === undefined || ids.includes(id))
  const fields = (each: VpnGateway) => ({
    'vpn-gateway-id': [each.id],
    'attachment.vpc-id': [each.attachment?.vpc ?? ''],
    state: [gatewayState(account, each)],
  })
  return { VpnGateways: matching(input, chosen, fields).map((each) => gatewayShown(account, each)) }
}

function gatewayState(account: Account, { deletedAt, availableAt }: VpnGateway): string {
  return deletedAt !== undefined ? 'deleted' : account.now() < availableAt ? 'pending' : 'available'
}

function attachmentState(account: Account, { attachment }: VpnGateway): string {
  if (attachment === undefined) return 'detached'
  const { attachedAt, detachedAt } = attachment
  if (detachedAt !== undefined) return account.now() < detachedAt ? 'detaching' : 'detached'
  return account.now() < attachedAt ? 'attaching' : 'attached'
}

function gatewayShown(account: Account, each: VpnGateway): Fields {
  const { attachment } = each
  const State = attachmentState(account, each)
  return {
    VpnGatewayId: each.id,
    State: gatewayState(account, each),
    Type: 'ipsec.1',
    AmazonSideAsn: each.as,
    VpcAttachments: attachment === undefined ? [] : [{ VpcId: attachment.vpc, State }],
    Tags: each.tags,
  }
}

export function attachVpnGateway(account: Account, { VpnGatewayId, VpcId }: Fields): Fields {
  const gateway = found(account, account.vpnGateways, String(VpnGatewayId), 'InvalidVpnGatewayID')
  const vpc = found(account, account.vpcs, String(VpcId), 'InvalidVpcID')
  if (gatewayState(account, gateway) !== 'available')
    throw new Ec2Error('IncorrectState', `${gateway.id} is not available`)
  if (attachmentState(account, gateway) !== 'detached') {
    if (gateway.attachment!.vpc !== vpc.id)
      throw new Ec2Error('IncorrectState', `${gateway.id} is attached to another VPC`)
    return { VpcAttachment: { VpcId: vpc.id, State: attachmentState(account, gateway) } }
  }
  const other = account.vpnGateways.find(
    (each) => each.attachment?.vpc === vpc.id && attachmentState(account, each) !== 'detached',
  )
  if (other !== undefined)
    throw new Ec2Error('VpnGatewayAttachmentLimitExceeded', `The VPC ${vpc.id} has the gateway ${other.id} already`)
  gateway.attachment = { vpc: vpc.id, attachedAt: account.now() + account.delays.attach }
  return { VpcAttachment: { VpcId: vpc.id, State: 'attaching' } }
}

export function detachVpnGateway(account: Account, { VpnGatewayId, VpcId }: Fields): Fields {
  const gateway = found(account, account.vpnGateways, String(VpnGatewayId), 'InvalidVpnGatewayID')
  if (gateway.attachment?.vpc !== VpcId || attachmentState(account, gateway) === 'detached') {
    throw new Ec2Error('InvalidVpnGatewayAttachment.NotFound', 'They are not attached')
  }
  gateway.attachment!.detachedAt ??= account.now() + account.delays.attach
  return {}
}

export function deleteVpnGateway(account: Account, { VpnGatewayId }: Fields): Fields {
  const gateway = found(account, account.vpnGateways, String(VpnGatewayId), 'InvalidVpnGatewayID')
  const used = account.vpnConnections.find(
    (each) => each.vpnGateway === gateway.id && connectionState(account, each) !== 'deleted',
  )
  if (used !== undefined || attachmentState(account, gateway) !== 'detached') {
    throw new Ec2Error('DependencyViolation', `The vpnGateway '${gateway.id}' has dependencies and cannot be deleted.`)
  }
  gateway.deletedAt = account.now()
  for (const table of account.tables) table.propagating.delete(gateway.id)
  return {}
}

export function describeTransitGateways(account: Account, input: Fields): Fields {
  const fields = ({ id }: { readonly id: string }) => ({ 'transit-gateway-id': [id] })
  return {
    TransitGateways: matching(input, account.transitGateways, fields).map(({ id, as, tags }) => ({
      TransitGatewayId: id,
      State: 'available',
      Options: { AmazonSideAsn: as },
      Tags: tags,
    })),
  }
}

export function describeTransitGatewayAttachments(account: Account, input: Fields): Fields {
  const all = account.transitGateways.flatMap(({ id, vpcs }) =>
    vpcs.map((vpc) => ({ id: `tgw-attach-${id.slice(4)}`, transit: id, vpc, tags: [], visibleAt: 0 })),
  )
  const fields = (each: (typeof all)[number]) => ({ 'transit-gateway-id': [each.transit], 'resource-type': ['vpc'] })
  return {
    TransitGatewayAttachments: matching(input, all, fields).map(({ id, transit, vpc }) => ({
      TransitGatewayAttachmentId: id,
      TransitGatewayId: transit,
      ResourceType: 'vpc',
      ResourceId: vpc,
      State: 'available',
    })),
  }
}
