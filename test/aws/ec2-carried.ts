/** VPN connections as the network behind is told of them. */
import type { CarriedConnection, CarriedTunnel } from './carrier.ts'
import { type Account, behind, type Tunnel, type VpnConnection, type VpnGateway } from './ec2-state.ts'

/** As the network behind is told of it. */
export function carriedOf(account: Account, connection: VpnConnection): CarriedConnection {
  const customer = account.customerGateways.find(({ id }) => id === connection.customerGateway)!
  const gateway = account.vpnGateways.find(({ id }) => id === connection.vpnGateway)
  const transit = account.transitGateways.find(({ id }) => id === connection.transitGateway)
  const vpcs = transit?.vpcs ?? [attachedVpc(gateway)]
  return {
    id: connection.id,
    customer: { address: customer.address, as: customer.as },
    amazonAs: gateway?.as ?? transit?.as ?? 64_512,
    announces: account.vpcs.filter(({ id }) => vpcs.includes(id)).flatMap(({ blocks }) => blocks),
    tunnels: connection.tunnels.map(carriedTunnel) as [CarriedTunnel, CarriedTunnel],
    ...(connection.isStatic ? { staticRoutes: [...connection.routes] } : {}),
  }
}

/** Of a gateway that is attached, or about to be. */
function attachedVpc(gateway: VpnGateway | undefined): string | undefined {
  return gateway?.attachment?.detachedAt === undefined ? gateway?.attachment?.vpc : undefined
}

function carriedTunnel({ outside, insideCidr, psk, options }: Tunnel): CarriedTunnel {
  const listed = (name: string) => (options[name] as readonly { readonly Value: never }[]).map(({ Value }) => Value)
  const phase = (number: 1 | 2) => ({
    encryption: listed(`Phase${number}EncryptionAlgorithms`),
    integrity: listed(`Phase${number}IntegrityAlgorithms`),
    groups: listed(`Phase${number}DHGroupNumbers`),
    lifetimeS: options[`Phase${number}LifetimeSeconds`] as number,
  })
  return {
    outside,
    insideCidr,
    psk,
    phase1: phase(1),
    phase2: phase(2),
    dpd: { action: options.DPDTimeoutAction as 'restart', timeoutS: options.DPDTimeoutSeconds as number },
    startup: options.StartupAction as 'start',
  }
}

/** Starts its daemons where there is a VPC behind; otherwise that comes with the gateway's attachment. */
export function carry(account: Account, connection: VpnConnection): void {
  const { carrier } = account
  if (carrier === undefined || connection.isCarried || connection.deletedAt !== undefined) return
  const carried = carriedOf(account, connection)
  if (carried.announces.length === 0) return
  connection.isCarried = true
  connection.isReady = account.clock.now() >= connection.availableAt
  behind(
    account,
    carrier.start(carried).then(() => {
      connection.isReady = true
    }),
  )
}

/** After something that the daemons have to be made anew for. */
export function carryAnew(account: Account, connection: VpnConnection): Promise<void> {
  const { carrier } = account
  if (carrier === undefined || !connection.isCarried || connection.deletedAt !== undefined) return Promise.resolve()
  return carrier.stop(connection.id).then(() => carrier.start(carriedOf(account, connection)))
}
