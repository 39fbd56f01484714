/** What AWS would have after an action, as far as plans need it: everything works at once. */
import type { CloudAction, Seen, SeenTunnel } from './provider.ts'

export function onPaper(seen: Seen, action: CloudAction): { readonly seen: Seen; readonly id?: string } {
  switch (action.type) {
    case 'create-customer-gateway': {
      const made = {
        id: 'the new customer gateway',
        state: 'available',
        address: action.address,
        as: action.as,
        tags: action.tags,
      } as const
      return { seen: { ...seen, customerGateways: [...seen.customerGateways, made] }, id: made.id }
    }
    case 'create-vpn-gateway': {
      const made = {
        id: 'the new gateway',
        state: 'available',
        as: action.as,
        attachments: [],
        tags: action.tags,
      } as const
      return { seen: { ...seen, vpnGateways: [...seen.vpnGateways, made] }, id: made.id }
    }
    case 'attach-vpn-gateway': {
      const attached = { vpc: action.vpc, state: 'attached' } as const
      const vpnGateways = seen.vpnGateways.map((gateway) =>
        gateway.id === action.vpnGateway ? { ...gateway, attachments: [attached] } : gateway,
      )
      return { seen: { ...seen, vpnGateways } }
    }
    case 'create-vpn-connection':
      return connectionOnPaper(seen, action, 'the new VPN connection')
    case 'create-vpn-route': {
      const vpnConnections = seen.vpnConnections.map((each) =>
        each.id === action.vpnConnection
          ? { ...each, routes: [...each.routes, { prefix: action.prefix, state: 'available' as const }] }
          : each,
      )
      return { seen: { ...seen, vpnConnections } }
    }
    case 'enable-propagation': {
      const routeTables = seen.routeTables.map((table) =>
        table.id === action.routeTable ? { ...table, propagating: [...table.propagating, action.vpnGateway] } : table,
      )
      return { seen: { ...seen, routeTables } }
    }
    case 'create-route': {
      const route = { prefix: action.prefix, target: action.target, state: 'active', origin: 'created' } as const
      const routeTables = seen.routeTables.map((table) =>
        table.id === action.routeTable ? { ...table, routes: [...table.routes, route] } : table,
      )
      return { seen: { ...seen, routeTables } }
    }
    default:
      return { seen }
  }
}

function connectionOnPaper(
  seen: Seen,
  action: Extract<CloudAction, { type: 'create-vpn-connection' }>,
  id: string,
): { readonly seen: Seen; readonly id: string } {
  const tunnels = action.tunnels.map(({ insideCidr, options }, index): SeenTunnel => {
    return { outside: `192.0.2.${index + 1}`, insideCidr, options, ikeVersions: ['ikev2'] }
  })
  const made = {
    id,
    state: 'available',
    customerGateway: action.customerGateway,
    ...(action.vpnGateway === undefined ? {} : { vpnGateway: action.vpnGateway }),
    ...(action.transitGateway === undefined ? {} : { transitGateway: action.transitGateway }),
    staticRoutesOnly: action.staticRoutesOnly,
    routes: [],
    tunnels,
    tags: action.tags,
  } as const
  return { seen: { ...seen, vpnConnections: [...seen.vpnConnections, made] }, id }
}
