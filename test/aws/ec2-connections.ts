/** VPN connections: made, changed, shown, removed, with the network behind. */
import type { CarriedStatus } from './carrier.ts'
import { configurationOf } from './ec2-configuration.ts'
import { Ec2Error, invalid, missing } from './ec2-error.ts'
import {
  type Account,
  behind,
  carriedOf,
  connectionState,
  found,
  freshId,
  isVisible,
  type Tunnel,
  type VpnConnection,
} from './ec2-state.ts'
import { matching, newTags } from './ec2-tags.ts'
import { DEFAULTS, insideOf, keyOf, MODIFY_DEFAULTS, merged } from './ec2-tunnel-options.ts'
import type { Fields } from './sdk-model.ts'

export function createVpnConnection(account: Account, input: Fields): Fields {
  const { CustomerGatewayId, VpnGatewayId, TransitGatewayId, Options = {} } = input
  if (CustomerGatewayId === undefined) throw missing('CustomerGatewayId')
  if ((VpnGatewayId === undefined) === (TransitGatewayId === undefined)) {
    throw new Ec2Error(
      'InvalidParameterCombination',
      'Exactly one of VpnGatewayId and TransitGatewayId has to be there',
    )
  }
  const customer = found(account, account.customerGateways, String(CustomerGatewayId), 'InvalidCustomerGatewayID')
  const vgw =
    VpnGatewayId === undefined
      ? undefined
      : found(account, account.vpnGateways, String(VpnGatewayId), 'InvalidVpnGatewayID')
  const tgw =
    TransitGatewayId === undefined
      ? undefined
      : found(account, account.transitGateways, String(TransitGatewayId), 'InvalidTransitGatewayID')
  if (vgw !== undefined && account.now() < vgw.availableAt)
    throw new Ec2Error('IncorrectState', `${vgw.id} is not available`)
  const living = account.vpnConnections.filter((each) => connectionState(account, each) !== 'deleted')
  if (living.length >= account.quotas.vpnConnections) {
    throw new Ec2Error('VpnConnectionLimitExceeded', `The maximum number of VPN connections has been reached.`)
  }
  const { TunnelOptions = [], StaticRoutesOnly = false } = Options as Fields
  const given = TunnelOptions as readonly Fields[]
  const gateway = (vgw ?? tgw)!.id
  const id = freshId(account, 'vpn')
  const outside =
    account.carrier?.allocate(id) ??
    ([`203.0.113.${account.nextId % 250}`, `203.0.113.${(account.nextId + 1) % 250}`] as const)
  const taken: string[] = []
  const tunnels = [0, 1].map((index): Tunnel => {
    const options = given[index] ?? {}
    const insideCidr = insideOf(account, gateway, options.TunnelInsideCidr, taken)
    taken.push(insideCidr)
    return {
      outside: outside[index]!,
      insideCidr,
      psk: keyOf(options.PreSharedKey),
      options: merged(DEFAULTS, options),
    }
  })
  const connection: VpnConnection = {
    id,
    tags: newTags(input, 'vpn-connection'),
    visibleAt: account.now() + account.consistencyMs,
    customerGateway: customer.id,
    ...(vgw === undefined ? {} : { vpnGateway: vgw.id }),
    ...(tgw === undefined ? {} : { transitGateway: tgw.id }),
    isStatic: StaticRoutesOnly === true,
    availableAt: account.now() + account.delays.connection,
    isCarried: account.carrier === undefined,
    modifying: 0,
    tunnels: tunnels as [Tunnel, Tunnel],
    routes: new Set(),
  }
  account.vpnConnections.push(connection)
  if (account.carrier !== undefined) behind(account, carry(account, connection))
  return { VpnConnection: shown(account, connection, undefined) }
}

async function carry(account: Account, connection: VpnConnection): Promise<void> {
  await account.carrier!.start(carriedOf(account, connection))
  connection.isCarried = true
}

export async function describeVpnConnections(account: Account, input: Fields): Promise<Fields> {
  const all = account.vpnConnections.filter((each) => isVisible(account, each) && !isForgotten(account, each))
  const ids = input.VpnConnectionIds as readonly string[] | undefined
  const unknown = ids?.find((id) => !all.some((each) => each.id === id))
  if (unknown !== undefined)
    throw new Ec2Error('InvalidVpnConnectionID.NotFound', `The vpnConnection ID '${unknown}' does not exist`)
  const chosen = all.filter((each) => ids === undefined || ids.includes(each.id))
  const fields = (each: VpnConnection) => ({
    'vpn-connection-id': [each.id],
    state: [connectionState(account, each)],
    'customer-gateway-id': [each.customerGateway],
    'vpn-gateway-id': [each.vpnGateway ?? ''],
    'transit-gateway-id': [each.transitGateway ?? ''],
  })
  const items = await Promise.all(
    matching(input, chosen, fields).map(async (each) => shown(account, each, await statusOf(account, each))),
  )
  return { VpnConnections: items }
}

/** AWS shows what was deleted for about an hour; here for a minute. */
function isForgotten(account: Account, { goneAt }: VpnConnection): boolean {
  return goneAt !== undefined && account.now() > goneAt + 60_000
}

async function statusOf(account: Account, each: VpnConnection): Promise<readonly CarriedStatus[] | undefined> {
  if (account.carrier === undefined || !each.isCarried || each.deletedAt !== undefined) return undefined
  return account.carrier.status(each.id).catch(() => undefined)
}

function shown(account: Account, each: VpnConnection, status: readonly CarriedStatus[] | undefined): Fields {
  const state = connectionState(account, each)
  const living = state !== 'deleted'
  return {
    VpnConnectionId: each.id,
    State: state,
    Type: 'ipsec.1',
    Category: 'VPN',
    CustomerGatewayId: each.customerGateway,
    ...(each.vpnGateway === undefined ? {} : { VpnGatewayId: each.vpnGateway }),
    ...(each.transitGateway === undefined ? {} : { TransitGatewayId: each.transitGateway }),
    Tags: each.tags,
    Options: {
      StaticRoutesOnly: each.isStatic,
      EnableAcceleration: false,
      TunnelInsideIpVersion: 'ipv4',
      TunnelOptions: each.tunnels.map(tunnelShown),
    },
    Routes: [...each.routes].map((DestinationCidrBlock) => ({
      DestinationCidrBlock,
      Source: 'Static',
      State: 'available',
    })),
    ...(living
      ? {
          CustomerGatewayConfiguration: configurationOf(each, carriedOf(account, each)),
          VgwTelemetry: each.tunnels.map(({ outside }, index) => ({
            OutsideIpAddress: outside,
            Status: status?.[index]?.up === true ? 'UP' : 'DOWN',
            LastStatusChange: new Date(status?.[index]?.since ?? each.availableAt),
            StatusMessage: status?.[index]?.message ?? '',
            AcceptedRouteCount: status?.[index]?.acceptedRoutes ?? 0,
          })),
        }
      : {}),
  }
}

function tunnelShown({ outside, insideCidr, psk, options }: Tunnel): Fields {
  const { DPDTimeoutSeconds, DPDTimeoutAction, IKEVersions, ...rest } = options
  return {
    OutsideIpAddress: outside,
    TunnelInsideCidr: insideCidr,
    PreSharedKey: psk,
    ...rest,
    DpdTimeoutSeconds: DPDTimeoutSeconds,
    DpdTimeoutAction: DPDTimeoutAction,
    IkeVersions: IKEVersions,
  }
}

export function modifyTunnel(account: Account, input: Fields): Fields {
  const { VpnConnectionId, VpnTunnelOutsideIpAddress, TunnelOptions } = input
  if (TunnelOptions === undefined) throw missing('TunnelOptions')
  const connection = found(account, account.vpnConnections, String(VpnConnectionId), 'InvalidVpnConnectionID')
  const index = connection.tunnels.findIndex(({ outside }) => outside === VpnTunnelOutsideIpAddress)
  if (index < 0) throw invalid('VpnTunnelOutsideIpAddress', VpnTunnelOutsideIpAddress, 'No tunnel has it.')
  if (connectionState(account, connection) !== 'available') {
    throw new Ec2Error(
      'IncorrectState',
      `The VPN connection ${connection.id} is ${connectionState(account, connection)}`,
    )
  }
  const tunnel = connection.tunnels[index]!
  const options = TunnelOptions as Fields
  const next = { ...tunnel, options: merged({ ...tunnel.options, ...MODIFY_DEFAULTS }, options) }
  if (options.PreSharedKey !== undefined) next.psk = keyOf(options.PreSharedKey)
  changeTunnel(account, connection, index as 0 | 1, next)
  return { VpnConnection: shown(account, connection, undefined) }
}

/** Takes it down, and after a while up again as it is then. */
export function changeTunnel(account: Account, connection: VpnConnection, index: 0 | 1, next: Tunnel): void {
  connection.modifying++
  behind(
    account,
    (async () => {
      try {
        await account.carrier?.takeDown(connection.id, index)
        connection.tunnels[index] = next
        await new Promise((resolve) => setTimeout(resolve, account.delays.modify))
        if (connection.deletedAt === undefined) await account.carrier?.bringUp(carriedOf(account, connection), index)
      } finally {
        connection.modifying--
      }
    })(),
  )
}

export function deleteVpnConnection(account: Account, { VpnConnectionId }: Fields): Fields {
  const connection = found(account, account.vpnConnections, String(VpnConnectionId), 'InvalidVpnConnectionID')
  connection.deletedAt = account.now()
  connection.goneAt = account.now() + account.delays.delete
  if (account.carrier !== undefined) behind(account, account.carrier.stop(connection.id))
  return {}
}

export function vpnRoute(account: Account, input: Fields, add: boolean): Fields {
  const { VpnConnectionId, DestinationCidrBlock } = input
  const connection = found(account, account.vpnConnections, String(VpnConnectionId), 'InvalidVpnConnectionID')
  if (!connection.isStatic) throw new Ec2Error('InvalidParameterValue', 'The connection has dynamic routing.')
  if (connectionState(account, connection) === 'pending')
    throw new Ec2Error('IncorrectState', `${connection.id} is pending`)
  if (add) connection.routes.add(String(DestinationCidrBlock))
  else if (!connection.routes.delete(String(DestinationCidrBlock)))
    throw new Ec2Error('InvalidRoute.NotFound', 'There is no such route')
  if (account.carrier !== undefined && connection.isCarried)
    behind(account, account.carrier.routes(carriedOf(account, connection)))
  return {}
}
