/** VPN connections: made, shown, removed, with the network behind. */
import type { CarriedStatus } from './carrier.ts'
import { carriedOf, carry } from './ec2-carried.ts'
import { configurationOf } from './ec2-configuration.ts'
import { Ec2Error, invalid } from './ec2-error.ts'
import { gatewayState } from './ec2-gateways.ts'
import { chosen, matching } from './ec2-lists.ts'
import { prefixOf } from './ec2-routes.ts'
import { type Account, behind, connectionState, found, freshId, type Tunnel, type VpnConnection } from './ec2-state.ts'
import { newTags } from './ec2-tags.ts'
import { DEFAULTS, givenNames, insideOf, keyOf, merged } from './ec2-tunnel-options.ts'
import type { Fields, Value } from './sdk-model.ts'

const TUNNELS = 2

export function createVpnConnection(account: Account, input: Fields): Fields {
  if (input.Type !== 'ipsec.1') throw invalid('Type', input.Type, 'Valid Values: ipsec.1')
  const customer = found(account, account.customerGateways, input.CustomerGatewayId, 'InvalidCustomerGatewayID')
  const target = targetOf(account, input)
  const gateway = Object.values(target)[0]!
  refuseTooMany(account, gateway)
  const options = (input.Options ?? {}) as Fields
  refuseOptions(options, target)
  const tags = newTags(input, 'vpn-connection')
  const number = account.nextId
  const id = freshId(account, 'vpn')
  const connection: VpnConnection = {
    id,
    tags,
    visibleAt: account.clock.now() + account.consistencyMs,
    customerGateway: customer.id,
    ...target,
    isStatic: options.StaticRoutesOnly === true,
    availableAt: account.clock.now() + account.delays.connection,
    isReady: true,
    isCarried: false,
    modifying: 0,
    tunnels: newTunnels(account, gateway, options, account.carrier?.allocate(id) ?? outsideOf(number)),
    routes: new Set(),
    options: pathsOf(options),
  }
  account.vpnConnections.push(connection)
  carry(account, connection)
  return { VpnConnection: shown(account, connection, undefined) }
}

type Target = { readonly vpnGateway: string } | { readonly transitGateway: string }

function targetOf(account: Account, { VpnGatewayId, TransitGatewayId, VpnConcentratorId }: Fields): Target {
  if (VpnConcentratorId !== undefined) throw new Ec2Error('UnsupportedOperation', 'Concentrators are not supported.')
  if ((VpnGatewayId === undefined) === (TransitGatewayId === undefined)) {
    const why = 'You must specify either a VpnGatewayId or a TransitGatewayId, and not both.'
    throw new Ec2Error('InvalidParameterCombination', why)
  }
  if (TransitGatewayId !== undefined) {
    const transit = found(account, account.transitGateways, TransitGatewayId, 'InvalidTransitGatewayID')
    return { transitGateway: transit.id }
  }
  const gateway = found(account, account.vpnGateways, VpnGatewayId, 'InvalidVpnGatewayID')
  if (gatewayState(account, gateway) !== 'available') {
    throw new Ec2Error('IncorrectState', `The vpnGateway '${gateway.id}' is not in a valid state.`)
  }
  return { vpnGateway: gateway.id }
}

function refuseTooMany(account: Account, gateway: string): void {
  const living = account.vpnConnections.filter((each) => connectionState(account, each) !== 'deleted')
  const { vpnConnections, vpnConnectionsPerGateway } = account.quotas
  if (living.length >= vpnConnections) {
    throw new Ec2Error('VpnConnectionLimitExceeded', 'The maximum number of VPN connections has been reached.')
  }
  if (living.filter(({ vpnGateway }) => vpnGateway === gateway).length >= vpnConnectionsPerGateway) {
    const why = 'The maximum number of VPN connections of the virtual private gateway has been reached.'
    throw new Ec2Error('VpnConnectionLimitExceeded', why)
  }
}

function refuseOptions(options: Fields, target: Target): void {
  const { TunnelOptions = [], EnableAcceleration, TunnelInsideIpVersion } = options
  if ((TunnelOptions as readonly Fields[]).length > TUNNELS) {
    throw new Ec2Error('InvalidParameterValue', `A VPN connection has ${TUNNELS} tunnels.`)
  }
  if (EnableAcceleration === true && 'vpnGateway' in target) {
    throw new Ec2Error('InvalidParameterCombination', 'Acceleration needs a transit gateway.')
  }
  if (TunnelInsideIpVersion !== undefined && TunnelInsideIpVersion !== 'ipv4') {
    throw new Ec2Error('UnsupportedOperation', 'Only ipv4 is supported within the tunnels.')
  }
}

/** What is told of the connection as a whole. */
function pathsOf({ LocalIpv4NetworkCidr, RemoteIpv4NetworkCidr, EnableAcceleration }: Fields): Fields {
  return {
    EnableAcceleration: EnableAcceleration === true,
    LocalIpv4NetworkCidr: networkOf('LocalIpv4NetworkCidr', LocalIpv4NetworkCidr),
    RemoteIpv4NetworkCidr: networkOf('RemoteIpv4NetworkCidr', RemoteIpv4NetworkCidr),
    TunnelInsideIpVersion: 'ipv4',
  }
}

export function networkOf(name: string, given: Value): string {
  return given === undefined ? '0.0.0.0/0' : prefixOf(name, String(given))
}

function newTunnels(account: Account, gateway: string, options: Fields, outside: readonly [string, string]) {
  const taken: string[] = []
  const tunnels = outside.map((address, index): Tunnel => {
    const given = (options.TunnelOptions as readonly Fields[] | undefined)?.[index] ?? {}
    const insideCidr = insideOf(account, gateway, given.TunnelInsideCidr, taken)
    taken.push(insideCidr)
    const psk = keyOf(given.PreSharedKey, `${account.seed}/${account.nextId}/${index}`)
    return { outside: address, insideCidr, psk, options: merged(DEFAULTS, given), given: givenNames(given) }
  })
  return tunnels as [Tunnel, Tunnel]
}

/** Where no network is behind that has its own: of the block for benchmarks (RFC 2544). */
function outsideOf(number: number): readonly [string, string] {
  const third = (number >> 7) & 255
  const fourth = (number & 127) << 1
  return [`198.18.${third}.${fourth}`, `198.18.${third}.${fourth + 1}`]
}

export async function describeVpnConnections(account: Account, input: Fields): Promise<Fields> {
  const all = chosen(account, account.vpnConnections, input.VpnConnectionIds, 'InvalidVpnConnectionID')
  const found = matching(input, all, {
    'vpn-connection-id': ({ id }) => [id],
    'customer-gateway-id': ({ customerGateway }) => [customerGateway],
    'vpn-gateway-id': ({ vpnGateway }) => (vpnGateway === undefined ? [] : [vpnGateway]),
    'transit-gateway-id': ({ transitGateway }) => (transitGateway === undefined ? [] : [transitGateway]),
    'option.static-routes-only': ({ isStatic }) => [String(isStatic)],
    'route.destination-cidr-block': ({ routes }) => [...routes],
    'bgp-asn': (each) => [String(carriedOf(account, each).customer.as)],
    type: () => ['ipsec.1'],
    state: (each) => [connectionState(account, each)],
  })
  const VpnConnections = await Promise.all(
    found.map(async (each) => shown(account, each, await statusOf(account, each))),
  )
  return { VpnConnections }
}

type Status = readonly CarriedStatus[] | undefined

async function statusOf(account: Account, each: VpnConnection): Promise<Status> {
  const { carrier } = account
  if (carrier === undefined || !each.isCarried || !each.isReady || each.deletedAt !== undefined) return undefined
  return carrier.status(each.id).catch(() => undefined)
}

export function shown(account: Account, each: VpnConnection, status: Status): Fields {
  const State = connectionState(account, each)
  const { vpnGateway, transitGateway } = each
  return {
    VpnConnectionId: each.id,
    State,
    Type: 'ipsec.1',
    Category: 'VPN',
    CustomerGatewayId: each.customerGateway,
    GatewayAssociationState: 'associated',
    ...(vpnGateway === undefined ? {} : { VpnGatewayId: vpnGateway }),
    ...(transitGateway === undefined ? {} : { TransitGatewayId: transitGateway }),
    Tags: each.tags,
    Options: { ...each.options, StaticRoutesOnly: each.isStatic, TunnelOptions: each.tunnels.map(tunnelShown) },
    Routes: [...each.routes].map((DestinationCidrBlock) => {
      return { DestinationCidrBlock, Source: 'Static', State: State === 'pending' ? 'pending' : 'available' }
    }),
    ...(State === 'deleted' ? {} : { CustomerGatewayConfiguration: configurationOf(each, carriedOf(account, each)) }),
    VgwTelemetry: each.tunnels.map(({ outside }, index) => telemetryOf(outside, status?.[index], each.availableAt)),
  }
}

function telemetryOf(outside: string, status: CarriedStatus | undefined, made: number): Fields {
  const { up = false, since = made, message = '', acceptedRoutes = 0 } = status ?? {}
  return {
    OutsideIpAddress: outside,
    Status: up ? 'UP' : 'DOWN',
    LastStatusChange: new Date(since),
    StatusMessage: message,
    AcceptedRouteCount: acceptedRoutes,
  }
}

/** Only what somebody has set; the rest are AWS's defaults, and not told. */
function tunnelShown({ outside, insideCidr, psk, options, given }: Tunnel): Fields {
  const told = Object.entries(options).filter(([name]) => given.has(name))
  return {
    OutsideIpAddress: outside,
    TunnelInsideCidr: insideCidr,
    PreSharedKey: psk,
    ...Object.fromEntries(told.map(([name, value]) => [ANSWERED[name] ?? name, value])),
  }
}

/** Where the answer has another name than the request. */
const ANSWERED: Readonly<Record<string, string>> = {
  DPDTimeoutSeconds: 'DpdTimeoutSeconds',
  DPDTimeoutAction: 'DpdTimeoutAction',
  IKEVersions: 'IkeVersions',
}

export function deleteVpnConnection(account: Account, { VpnConnectionId }: Fields): Fields {
  const connection = found(account, account.vpnConnections, VpnConnectionId, 'InvalidVpnConnectionID')
  removeConnection(account, connection, account.delays.delete)
  return {}
}

export function removeConnection(account: Account, connection: VpnConnection, delay: number): void {
  connection.deletedAt = account.clock.now()
  connection.goneAt = connection.deletedAt + delay
  if (account.carrier !== undefined) behind(account, account.carrier.stop(connection.id))
}

export function vpnRoute(account: Account, input: Fields, add: boolean): Fields {
  const connection = found(account, account.vpnConnections, input.VpnConnectionId, 'InvalidVpnConnectionID')
  const prefix = prefixOf('DestinationCidrBlock', String(input.DestinationCidrBlock))
  if (!connection.isStatic) {
    throw new Ec2Error(
      'InvalidParameterCombination',
      `${connection.id} has dynamic routing: it takes no static routes.`,
    )
  }
  if (connectionState(account, connection) === 'pending') {
    throw new Ec2Error('IncorrectState', `The vpnConnection '${connection.id}' is pending.`)
  }
  changeStaticRoute(account, connection, prefix, add)
  return {}
}

export function changeStaticRoute(account: Account, connection: VpnConnection, prefix: string, add: boolean): void {
  const { routes } = connection
  if (!add && !routes.has(prefix)) {
    throw new Ec2Error('InvalidRoute.NotFound', `no route with destination-cidr-block ${prefix} in ${connection.id}`)
  }
  if (add && !routes.has(prefix) && routes.size >= account.quotas.staticRoutes) {
    throw new Ec2Error('VpnConnectionRouteLimitExceeded', 'The maximum number of static routes has been reached.')
  }
  if (add) routes.add(prefix)
  else routes.delete(prefix)
  const { carrier } = account
  if (carrier !== undefined && connection.isCarried) behind(account, carrier.routes(carriedOf(account, connection)))
}
