/** The actions that the stand-in has. */
import * as changes from './ec2-changes.ts'
import * as connections from './ec2-connections.ts'
import * as gateways from './ec2-gateways.ts'
import * as routes from './ec2-routes.ts'
import type { Account } from './ec2-state.ts'
import * as tags from './ec2-tags.ts'
import * as transit from './ec2-transit.ts'
import * as vpcs from './ec2-vpcs.ts'
import type { Fields } from './sdk-model.ts'

/** Takes and gives what the SDK names so. Throws Ec2Error. */
export type Handler = (account: Account, input: Fields) => Fields | Promise<Fields>

export const HANDLERS: Readonly<Record<string, Handler>> = {
  DescribeRegions: vpcs.describeRegions,
  DescribeVpcs: vpcs.describeVpcs,
  DescribeSubnets: vpcs.describeSubnets,
  DescribeRouteTables: routes.describeRouteTables,
  CreateRoute: routes.createRoute,
  ReplaceRoute: routes.replaceRoute,
  DeleteRoute: routes.deleteRoute,
  EnableVgwRoutePropagation: (account, input) => routes.propagation(account, input, true),
  DisableVgwRoutePropagation: (account, input) => routes.propagation(account, input, false),
  CreateCustomerGateway: gateways.createCustomerGateway,
  DescribeCustomerGateways: gateways.describeCustomerGateways,
  DeleteCustomerGateway: gateways.deleteCustomerGateway,
  CreateVpnGateway: gateways.createVpnGateway,
  DescribeVpnGateways: gateways.describeVpnGateways,
  AttachVpnGateway: gateways.attachVpnGateway,
  DetachVpnGateway: gateways.detachVpnGateway,
  DeleteVpnGateway: gateways.deleteVpnGateway,
  DescribeTransitGateways: transit.describeTransitGateways,
  DescribeTransitGatewayAttachments: transit.describeTransitGatewayAttachments,
  CreateVpnConnection: connections.createVpnConnection,
  DescribeVpnConnections: connections.describeVpnConnections,
  DeleteVpnConnection: connections.deleteVpnConnection,
  CreateVpnConnectionRoute: (account, input) => connections.vpnRoute(account, input, true),
  DeleteVpnConnectionRoute: (account, input) => connections.vpnRoute(account, input, false),
  ModifyVpnConnection: changes.modifyVpnConnection,
  ModifyVpnConnectionOptions: changes.modifyVpnConnectionOptions,
  ModifyVpnTunnelOptions: changes.modifyTunnelOptions,
  ReplaceVpnTunnel: changes.replaceTunnel,
  GetVpnTunnelReplacementStatus: changes.tunnelReplacementStatus,
  CreateTags: tags.createTags,
  DeleteTags: tags.deleteTags,
  DescribeTags: tags.describeTags,
}
