/** Customer gateways and virtual private gateways. */
import { carry } from './ec2-carried.ts'
import { Ec2Error, invalid, missing } from './ec2-error.ts'
import { chosen, matching } from './ec2-lists.ts'
import {
  type Account,
  type CustomerGateway,
  connectionState,
  found,
  freshId,
  isShownDeleted,
  type VpnGateway,
} from './ec2-state.ts'
import { newTags } from './ec2-tags.ts'
import type { Fields, Value } from './sdk-model.ts'

/** BgpAsn goes so far; beyond it there is BgpAsnExtended. */
const MOST_AS = 2_147_483_647
const MOST_EXTENDED_AS = 4_294_967_295
const DEFAULT_AS = 65_000
const AMAZON_AS = 64_512
/** RFC 1918, RFC 6598, loopback, link-local, multicast and beyond. */
const NOT_PUBLIC =
  /^(?:0|10|127|22[4-9]|2[3-5]\d)\.|^192\.168\.|^169\.254\.|^172\.(?:1[6-9]|2\d|3[01])\.|^100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])\./
const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/

export function createCustomerGateway(account: Account, input: Fields): Fields {
  // PublicIp is what it was called before.
  const { Type, PublicIp, IpAddress = PublicIp, DeviceName, CertificateArn } = input
  if (Type !== 'ipsec.1') throw invalid('Type', Type, 'Valid Values: ipsec.1')
  if (CertificateArn !== undefined) throw new Ec2Error('UnsupportedOperation', 'Certificates are not supported.')
  if (IpAddress === undefined) throw missing('IpAddress')
  const address = String(IpAddress)
  if (!IPV4.test(address) || NOT_PUBLIC.test(address)) throw invalid('ipAddress', address, 'Invalid IPv4 address.')
  const as = customerAs(input)
  const living = account.customerGateways.filter(({ deletedAt }) => deletedAt === undefined)
  const same = living.find((each) => each.address === address && each.as === as)
  if (same !== undefined) return { CustomerGateway: customerShown(account, same) }
  if (living.length >= account.quotas.customerGateways) {
    throw new Ec2Error('CustomerGatewayLimitExceeded', 'The maximum number of customer gateways has been reached.')
  }
  const made: CustomerGateway = {
    id: freshId(account, 'cgw'),
    tags: newTags(input, 'customer-gateway'),
    visibleAt: account.clock.now() + account.consistencyMs,
    address,
    as,
    ...(DeviceName === undefined ? {} : { device: String(DeviceName) }),
  }
  account.customerGateways.push(made)
  return { CustomerGateway: customerShown(account, made) }
}

function customerAs({ BgpAsn, BgpAsnExtended }: Fields): number {
  if (BgpAsn !== undefined && BgpAsnExtended !== undefined) {
    throw new Ec2Error('InvalidParameterCombination', 'BgpAsn and BgpAsnExtended exclude each other')
  }
  const short = BgpAsn as number | undefined
  if (short !== undefined && (short < 1 || short > MOST_AS)) throw invalid('BgpAsn', short, `Valid: 1 to ${MOST_AS}`)
  const long = BgpAsnExtended as number | undefined
  if (long !== undefined && (long <= MOST_AS || long > MOST_EXTENDED_AS)) {
    throw invalid('BgpAsnExtended', long, `Valid: ${MOST_AS + 1} to ${MOST_EXTENDED_AS}`)
  }
  return long ?? short ?? DEFAULT_AS
}

export function describeCustomerGateways(account: Account, input: Fields): Fields {
  const all = chosen(account, account.customerGateways, input.CustomerGatewayIds, 'InvalidCustomerGatewayID')
  const found = matching(input, all, {
    'customer-gateway-id': ({ id }) => [id],
    'ip-address': ({ address }) => [address],
    'bgp-asn': ({ as }) => [String(as)],
    type: () => ['ipsec.1'],
    state: (each) => [customerState(account, each)],
  })
  return { CustomerGateways: found.map((each) => customerShown(account, each)) }
}

function customerState(account: Account, each: CustomerGateway): string {
  return isShownDeleted(account, each) ? 'deleted' : 'available'
}

function customerShown(account: Account, each: CustomerGateway): Fields {
  const { id, address, as, tags, device } = each
  return {
    CustomerGatewayId: id,
    IpAddress: address,
    ...(as > MOST_AS ? { BgpAsnExtended: String(as) } : { BgpAsn: String(as) }),
    ...(device === undefined ? {} : { DeviceName: device }),
    State: customerState(account, each),
    Type: 'ipsec.1',
    Tags: tags,
  }
}

export function deleteCustomerGateway(account: Account, { CustomerGatewayId }: Fields): Fields {
  const gateway = found(account, account.customerGateways, CustomerGatewayId, 'InvalidCustomerGatewayID')
  if (isUsed(account, ({ customerGateway }) => customerGateway === gateway.id)) {
    throw new Ec2Error('IncorrectState', 'The customer gateway is in use.')
  }
  gateway.deletedAt = account.clock.now()
  return {}
}

function isUsed(account: Account, by: (connection: Account['vpnConnections'][number]) => boolean): boolean {
  return account.vpnConnections.some((each) => by(each) && connectionState(account, each) !== 'deleted')
}

export function createVpnGateway(account: Account, input: Fields): Fields {
  if (input.Type !== 'ipsec.1') throw invalid('Type', input.Type, 'Valid Values: ipsec.1')
  const as = amazonAs(input.AmazonSideAsn)
  const living = account.vpnGateways.filter(({ deletedAt }) => deletedAt === undefined)
  if (living.length >= account.quotas.vpnGateways) {
    throw new Ec2Error('VpnGatewayLimitExceeded', 'The maximum number of virtual private gateways has been reached.')
  }
  const now = account.clock.now()
  const made: VpnGateway = {
    id: freshId(account, 'vgw'),
    tags: newTags(input, 'vpn-gateway'),
    visibleAt: now + account.consistencyMs,
    as,
    availableAt: now + account.delays.gateway,
  }
  account.vpnGateways.push(made)
  return { VpnGateway: gatewayShown(account, made) }
}

function amazonAs(given: Value): number {
  const as = (given as number | undefined) ?? AMAZON_AS
  const isPrivate = (as >= 64_512 && as <= 65_534) || (as >= 4_200_000_000 && as <= 4_294_967_294)
  if (!isPrivate) throw invalid('AmazonSideAsn', as, 'Valid: 64512 to 65534, 4200000000 to 4294967294')
  return as
}

export function describeVpnGateways(account: Account, input: Fields): Fields {
  const all = chosen(account, account.vpnGateways, input.VpnGatewayIds, 'InvalidVpnGatewayID')
  const found = matching(input, all, {
    'vpn-gateway-id': ({ id }) => [id],
    'amazon-side-asn': ({ as }) => [String(as)],
    'attachment.vpc-id': ({ attachment }) => (attachment === undefined ? [] : [attachment.vpc]),
    'attachment.state': (each) => (each.attachment === undefined ? [] : [attachmentState(account, each)]),
    type: () => ['ipsec.1'],
    state: (each) => [gatewayState(account, each)],
  })
  return { VpnGateways: found.map((each) => gatewayShown(account, each)) }
}

export function gatewayState(account: Account, each: VpnGateway): 'pending' | 'available' | 'deleted' {
  if (isShownDeleted(account, each)) return 'deleted'
  return account.clock.now() < each.availableAt ? 'pending' : 'available'
}

export function attachmentState(account: Account, { attachment }: VpnGateway): string {
  if (attachment === undefined) return 'detached'
  const { attachedAt, detachedAt } = attachment
  const now = account.clock.now()
  if (detachedAt !== undefined) return now < detachedAt ? 'detaching' : 'detached'
  return now < attachedAt ? 'attaching' : 'attached'
}

function gatewayShown(account: Account, each: VpnGateway): Fields {
  const { attachment } = each
  return {
    VpnGatewayId: each.id,
    State: gatewayState(account, each),
    Type: 'ipsec.1',
    AmazonSideAsn: each.as,
    VpcAttachments: attachment === undefined ? [] : [{ VpcId: attachment.vpc, State: attachmentState(account, each) }],
    Tags: each.tags,
  }
}

export function attachVpnGateway(account: Account, { VpnGatewayId, VpcId }: Fields): Fields {
  const gateway = found(account, account.vpnGateways, VpnGatewayId, 'InvalidVpnGatewayID')
  const vpc = found(account, account.vpcs, VpcId, 'InvalidVpcID')
  if (gatewayState(account, gateway) !== 'available') {
    throw new Ec2Error('IncorrectState', `The vpnGateway '${gateway.id}' is not in a valid state.`)
  }
  if (attachmentState(account, gateway) !== 'detached') return attachedAlready(account, gateway, vpc.id)
  const other = account.vpnGateways.find(
    (each) => each.attachment?.vpc === vpc.id && attachmentState(account, each) !== 'detached',
  )
  if (other !== undefined) {
    throw new Ec2Error('VpnGatewayAttachmentLimitExceeded', `The VPC ${vpc.id} has the gateway ${other.id} already`)
  }
  gateway.attachment = { vpc: vpc.id, attachedAt: account.clock.now() + account.delays.attach }
  for (const each of account.vpnConnections) if (each.vpnGateway === gateway.id) carry(account, each)
  return { VpcAttachment: { VpcId: vpc.id, State: attachmentState(account, gateway) } }
}

function attachedAlready(account: Account, gateway: VpnGateway, vpc: string): Fields {
  if (gateway.attachment!.vpc !== vpc) {
    throw new Ec2Error('IncorrectState', `The vpnGateway '${gateway.id}' is attached to another VPC.`)
  }
  const State = attachmentState(account, gateway)
  if (State === 'detaching') throw new Ec2Error('IncorrectState', `The vpnGateway '${gateway.id}' is being detached.`)
  return { VpcAttachment: { VpcId: vpc, State } }
}

export function detachVpnGateway(account: Account, { VpnGatewayId, VpcId }: Fields): Fields {
  const gateway = found(account, account.vpnGateways, VpnGatewayId, 'InvalidVpnGatewayID')
  found(account, account.vpcs, VpcId, 'InvalidVpcID')
  const { attachment } = gateway
  if (attachment === undefined || attachment.vpc !== VpcId || attachmentState(account, gateway) === 'detached') {
    const why = `The attachment with vpn gateway ID '${gateway.id}' and vpc ID '${String(VpcId)}' does not exist`
    throw new Ec2Error('InvalidVpnGatewayAttachment.NotFound', why)
  }
  attachment.detachedAt ??= account.clock.now() + account.delays.attach
  return {}
}

export function deleteVpnGateway(account: Account, { VpnGatewayId }: Fields): Fields {
  const gateway = found(account, account.vpnGateways, VpnGatewayId, 'InvalidVpnGatewayID')
  const isBound = isUsed(account, ({ vpnGateway }) => vpnGateway === gateway.id)
  if (isBound || attachmentState(account, gateway) !== 'detached') {
    throw new Ec2Error('DependencyViolation', `The vpnGateway '${gateway.id}' has dependencies and cannot be deleted.`)
  }
  gateway.deletedAt = account.clock.now()
  for (const table of account.tables) table.propagating.delete(gateway.id)
  return {}
}
