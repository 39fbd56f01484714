/** One action as one EC2 call. */
import * as ec2 from '@aws-sdk/client-ec2'
import type { AwsOptions } from '../../protocol/control/cloud.ts'
import { type ActionResult, type CloudAction, CloudFailure, type Tags } from '../domain/cloud/provider.ts'
import { isPsk } from '../domain/cloud/rules.ts'
import type { Calls } from './calls.ts'

/** BgpAsn takes no more; beyond it there is BgpAsnExtended. */
const MOST_AS = 2_147_483_647

type Secrets = ReadonlyMap<string, string>

/** Throws a CloudFailure, also for a key that AWS would not take: then nothing was sent. */
export async function performAction(calls: Calls, action: CloudAction, secrets: Secrets): Promise<ActionResult> {
  const answer = await calls.write<Record<string, Record<string, string> | undefined>>(
    commandOf(action, secrets) as never,
    [...secrets.values()],
  )
  switch (action.type) {
    case 'create-customer-gateway':
      return idOf(answer.CustomerGateway?.CustomerGatewayId)
    case 'create-vpn-gateway':
      return idOf(answer.VpnGateway?.VpnGatewayId)
    case 'create-vpn-connection':
      return idOf(answer.VpnConnection?.VpnConnectionId)
    default:
      return {}
  }
}

/** The SDK's command. Throws a CloudFailure for a key that is not there, or that AWS would not take. */
export function commandOf(action: CloudAction, secrets: Secrets) {
  switch (action.type) {
    case 'create-vpn-connection':
      return createConnection(action, secrets)
    case 'modify-tunnel':
      return new ec2.ModifyVpnTunnelOptionsCommand({
        VpnConnectionId: action.vpnConnection,
        VpnTunnelOutsideIpAddress: action.outside,
        TunnelOptions: {
          ...optionsOf(action.options),
          ...pskOf(action.secret, secrets),
          IKEVersions: [{ Value: 'ikev2' }],
        },
        SkipTunnelReplacement: false,
      })
    case 'tag':
      return new ec2.CreateTagsCommand({ Resources: [action.resource], Tags: tagList(action.tags) })
    case 'delete-vpn-connection':
      return new ec2.DeleteVpnConnectionCommand({ VpnConnectionId: action.vpnConnection })
    case 'create-customer-gateway':
      return new ec2.CreateCustomerGatewayCommand({
        Type: 'ipsec.1',
        IpAddress: action.address,
        ...(action.as > MOST_AS ? { BgpAsnExtended: action.as } : { BgpAsn: action.as }),
        TagSpecifications: specification('customer-gateway', action.tags),
      })
    case 'delete-customer-gateway':
      return new ec2.DeleteCustomerGatewayCommand({ CustomerGatewayId: action.customerGateway })
    case 'create-vpn-gateway':
    case 'attach-vpn-gateway':
    case 'detach-vpn-gateway':
    case 'delete-vpn-gateway':
      return gatewayCommand(action)
    default:
      return routeCommand(action)
  }
}

type Of<Type extends CloudAction['type']> = Extract<CloudAction, { type: Type }>

function gatewayCommand(
  action: Of<'create-vpn-gateway' | 'attach-vpn-gateway' | 'detach-vpn-gateway' | 'delete-vpn-gateway'>,
) {
  switch (action.type) {
    case 'create-vpn-gateway':
      return new ec2.CreateVpnGatewayCommand({
        Type: 'ipsec.1',
        AmazonSideAsn: action.as,
        TagSpecifications: specification('vpn-gateway', action.tags),
      })
    case 'attach-vpn-gateway':
      return new ec2.AttachVpnGatewayCommand({ VpnGatewayId: action.vpnGateway, VpcId: action.vpc })
    case 'detach-vpn-gateway':
      return new ec2.DetachVpnGatewayCommand({ VpnGatewayId: action.vpnGateway, VpcId: action.vpc })
    case 'delete-vpn-gateway':
      return new ec2.DeleteVpnGatewayCommand({ VpnGatewayId: action.vpnGateway })
  }
}

function routeCommand(
  action: Of<
    | 'create-vpn-route'
    | 'delete-vpn-route'
    | 'enable-propagation'
    | 'disable-propagation'
    | 'create-route'
    | 'delete-route'
  >,
) {
  switch (action.type) {
    case 'create-vpn-route':
    case 'delete-vpn-route': {
      const route = { VpnConnectionId: action.vpnConnection, DestinationCidrBlock: action.prefix }
      return action.type === 'create-vpn-route'
        ? new ec2.CreateVpnConnectionRouteCommand(route)
        : new ec2.DeleteVpnConnectionRouteCommand(route)
    }
    case 'enable-propagation':
    case 'disable-propagation': {
      const both = { RouteTableId: action.routeTable, GatewayId: action.vpnGateway }
      return action.type === 'enable-propagation'
        ? new ec2.EnableVgwRoutePropagationCommand(both)
        : new ec2.DisableVgwRoutePropagationCommand(both)
    }
    case 'create-route':
      return new ec2.CreateRouteCommand({
        RouteTableId: action.routeTable,
        DestinationCidrBlock: action.prefix,
        ...(action.target.startsWith('tgw-') ? { TransitGatewayId: action.target } : { GatewayId: action.target }),
      })
    case 'delete-route':
      return new ec2.DeleteRouteCommand({ RouteTableId: action.routeTable, DestinationCidrBlock: action.prefix })
  }
}

function createConnection(action: Of<'create-vpn-connection'>, secrets: Secrets) {
  return new ec2.CreateVpnConnectionCommand({
    Type: 'ipsec.1',
    CustomerGatewayId: action.customerGateway,
    ...(action.vpnGateway === undefined ? {} : { VpnGatewayId: action.vpnGateway }),
    ...(action.transitGateway === undefined ? {} : { TransitGatewayId: action.transitGateway }),
    Options: {
      StaticRoutesOnly: action.staticRoutesOnly,
      TunnelInsideIpVersion: 'ipv4',
      TunnelOptions: action.tunnels.map(({ insideCidr, options, secret }) => ({
        TunnelInsideCidr: insideCidr,
        ...optionsOf(options),
        ...pskOf(secret, secrets),
        IKEVersions: [{ Value: 'ikev2' }],
      })),
    },
    TagSpecifications: specification('vpn-connection', action.tags),
  })
}

/** Both phases the same: our ESP and IKE have the same ciphers. */
function optionsOf(options: Partial<AwsOptions>): ec2.ModifyVpnTunnelOptionsSpecification {
  const { encryption, integrity, groups } = options
  const listed = <T>(list: readonly T[]) => list.map((Value) => ({ Value }))
  return {
    ...(encryption === undefined
      ? {}
      : { Phase1EncryptionAlgorithms: listed(encryption), Phase2EncryptionAlgorithms: listed(encryption) }),
    ...(integrity === undefined
      ? {}
      : { Phase1IntegrityAlgorithms: listed(integrity), Phase2IntegrityAlgorithms: listed(integrity) }),
    ...(groups === undefined ? {} : { Phase1DHGroupNumbers: listed(groups), Phase2DHGroupNumbers: listed(groups) }),
    ...(options.ikeLifetimeS === undefined ? {} : { Phase1LifetimeSeconds: options.ikeLifetimeS }),
    ...(options.childLifetimeS === undefined ? {} : { Phase2LifetimeSeconds: options.childLifetimeS }),
    ...(options.rekeyMarginS === undefined ? {} : { RekeyMarginTimeSeconds: options.rekeyMarginS }),
    ...(options.rekeyFuzzPercent === undefined ? {} : { RekeyFuzzPercentage: options.rekeyFuzzPercent }),
    ...(options.replayWindow === undefined ? {} : { ReplayWindowSize: options.replayWindow }),
    ...(options.dpdS === undefined ? {} : { DPDTimeoutSeconds: options.dpdS }),
    ...(options.dpdAction === undefined ? {} : { DPDTimeoutAction: options.dpdAction }),
    ...(options.startup === undefined ? {} : { StartupAction: options.startup }),
  }
}

function pskOf(name: string | undefined, secrets: Secrets): { readonly PreSharedKey?: string } {
  if (name === undefined) return {}
  const psk = secrets.get(name)
  if (psk !== undefined && isPsk(psk)) return { PreSharedKey: psk }
  const cause = `There is no pre-shared key ${name} that AWS would take.`
  const remedy = 'AWS: 8 to 64 letters, digits, periods and underscores, not beginning with zero.'
  throw new CloudFailure('invalid', 'InvalidPreSharedKey', cause, remedy)
}

function specification(type: ec2.ResourceType, tags: Tags): ec2.TagSpecification[] {
  return [{ ResourceType: type, Tags: tagList(tags) }]
}

function tagList(tags: Tags): ec2.Tag[] {
  return Object.entries(tags).map(([Key, Value]) => ({ Key, Value }))
}

function idOf(id: string | undefined): ActionResult {
  return id === undefined ? {} : { id }
}
