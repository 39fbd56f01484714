/** What is changed about a VPN connection that is there: it, or one of its tunnels, is away for a while. */
import { carriedOf, carryAnew } from './ec2-carried.ts'
import { networkOf, shown } from './ec2-connections.ts'
import { Ec2Error, invalid } from './ec2-error.ts'
import { type Account, behind, connectionState, found, type Tunnel, type VpnConnection } from './ec2-state.ts'
import { givenNames, insideOf, keyOf, MODIFY_DEFAULTS, merged } from './ec2-tunnel-options.ts'
import type { Fields } from './sdk-model.ts'

export function modifyTunnelOptions(account: Account, input: Fields): Fields {
  const { connection, index } = tunnelOf(account, input)
  refuseBusy(account, connection)
  const options = input.TunnelOptions as Fields
  const tunnel = connection.tunnels[index]
  const next: Tunnel = {
    ...tunnel,
    insideCidr: changedInside(account, connection, index, options),
    options: merged({ ...tunnel.options, ...MODIFY_DEFAULTS }, options),
    given: new Set([...tunnel.given, ...givenNames(MODIFY_DEFAULTS), ...givenNames(options)]),
    ...(options.PreSharedKey === undefined ? {} : { psk: keyOf(options.PreSharedKey, '') }),
  }
  changeTunnel(account, connection, index, next)
  return { VpnConnection: shown(account, connection, undefined) }
}

function tunnelOf(account: Account, { VpnConnectionId, VpnTunnelOutsideIpAddress }: Fields) {
  const connection = found(account, account.vpnConnections, VpnConnectionId, 'InvalidVpnConnectionID')
  const index = connection.tunnels.findIndex(({ outside }) => outside === VpnTunnelOutsideIpAddress)
  if (index < 0) throw invalid('VpnTunnelOutsideIpAddress', VpnTunnelOutsideIpAddress, 'No tunnel has it.')
  return { connection, index: index as 0 | 1 }
}

function refuseBusy(account: Account, connection: VpnConnection): void {
  const state = connectionState(account, connection)
  if (state === 'available') return
  throw new Ec2Error('IncorrectState', `The vpnConnection '${connection.id}' is ${state}.`)
}

function changedInside(account: Account, connection: VpnConnection, index: 0 | 1, { TunnelInsideCidr }: Fields) {
  const { insideCidr } = connection.tunnels[index]
  if (TunnelInsideCidr === undefined || TunnelInsideCidr === insideCidr) return insideCidr
  return insideOf(account, (connection.vpnGateway ?? connection.transitGateway)!, TunnelInsideCidr, [])
}

/** Takes it down, and after a while up again as it is then. */
export function changeTunnel(account: Account, connection: VpnConnection, index: 0 | 1, next: Tunnel): void {
  const { carrier, clock, delays } = account
  modified(account, connection, async () => {
    if (connection.isCarried) await carrier?.takeDown(connection.id, index)
    connection.tunnels[index] = next
    await clock.sleep(delays.modify)
    if (!connection.isCarried || account.isClosed || connection.deletedAt !== undefined) return
    await carrier?.bringUp(carriedOf(account, connection), index)
  })
}

function modified(account: Account, connection: VpnConnection, work: () => Promise<void>): void {
  connection.modifying++
  behind(
    account,
    work().finally(() => {
      connection.modifying--
    }),
  )
}

/** AWS's maintenance, now: the tunnel has another endpoint afterwards, and the same options. */
export function replaceTunnel(account: Account, input: Fields): Fields {
  const { connection, index } = tunnelOf(account, input)
  refuseBusy(account, connection)
  changeTunnel(account, connection, index, { ...connection.tunnels[index], maintainedAt: account.clock.now() })
  return { Return: true }
}

export function tunnelReplacementStatus(account: Account, input: Fields): Fields {
  const { connection, index } = tunnelOf(account, input)
  const { outside, maintainedAt } = connection.tunnels[index]
  const { vpnGateway, transitGateway } = connection
  return {
    VpnConnectionId: connection.id,
    CustomerGatewayId: connection.customerGateway,
    ...(vpnGateway === undefined ? {} : { VpnGatewayId: vpnGateway }),
    ...(transitGateway === undefined ? {} : { TransitGatewayId: transitGateway }),
    VpnTunnelOutsideIpAddress: outside,
    MaintenanceDetails: {
      PendingMaintenance: 'false',
      ...(maintainedAt === undefined ? {} : { LastMaintenanceApplied: new Date(maintainedAt) }),
    },
  }
}

/** Another customer gateway, or another gateway at AWS. */
export function modifyVpnConnection(account: Account, input: Fields): Fields {
  const connection = found(account, account.vpnConnections, input.VpnConnectionId, 'InvalidVpnConnectionID')
  refuseBusy(account, connection)
  const { CustomerGatewayId, VpnGatewayId, TransitGatewayId } = input
  const given = [CustomerGatewayId, VpnGatewayId, TransitGatewayId].filter((each) => each !== undefined)
  if (given.length !== 1) throw new Ec2Error('InvalidParameterCombination', 'You must specify exactly one gateway.')
  if (CustomerGatewayId !== undefined) {
    const customer = found(account, account.customerGateways, CustomerGatewayId, 'InvalidCustomerGatewayID')
    connection.customerGateway = customer.id
  } else if (TransitGatewayId !== undefined) {
    connection.transitGateway = found(account, account.transitGateways, TransitGatewayId, 'InvalidTransitGatewayID').id
    connection.vpnGateway = undefined
  } else {
    connection.vpnGateway = found(account, account.vpnGateways, VpnGatewayId, 'InvalidVpnGatewayID').id
    connection.transitGateway = undefined
  }
  modified(account, connection, async () => {
    await carryAnew(account, connection)
    await account.clock.sleep(account.delays.modify)
  })
  return { VpnConnection: shown(account, connection, undefined) }
}

export function modifyVpnConnectionOptions(account: Account, input: Fields): Fields {
  const connection = found(account, account.vpnConnections, input.VpnConnectionId, 'InvalidVpnConnectionID')
  refuseBusy(account, connection)
  const { LocalIpv4NetworkCidr, RemoteIpv4NetworkCidr } = input
  connection.options = {
    ...connection.options,
    ...(LocalIpv4NetworkCidr === undefined ? {} : network('LocalIpv4NetworkCidr', LocalIpv4NetworkCidr)),
    ...(RemoteIpv4NetworkCidr === undefined ? {} : network('RemoteIpv4NetworkCidr', RemoteIpv4NetworkCidr)),
  }
  modified(account, connection, () => account.clock.sleep(account.delays.modify))
  return { VpnConnection: shown(account, connection, undefined) }
}

function network(name: string, given: Fields[string]): Fields {
  return { [name]: networkOf(name, given) }
}
