/** What one account has in one region: records with states that follow the time. */
import type { CarriedConnection, CarriedTunnel, Carrier } from './carrier.ts'
import { Ec2Error } from './ec2-error.ts'
import type { Fields } from './sdk-model.ts'

export interface Delays {
  readonly gateway: number
  readonly attach: number
  readonly connection: number
  readonly modify: number
  readonly delete: number
}

export interface Tagged {
  readonly id: string
  tags: { Key: string; Value: string }[]
  /** Before then a list may not have it yet. */
  visibleAt: number
  deletedAt?: number
}
export interface Vpc extends Tagged {
  readonly blocks: readonly string[]
}
export interface Route {
  readonly prefix: string
  readonly target: string
  readonly origin: 'CreateRouteTable' | 'CreateRoute' | 'EnableVgwRoutePropagation'
}
export interface RouteTable extends Tagged {
  readonly vpc: string
  readonly main: boolean
  readonly propagating: Set<string>
  readonly routes: Route[]
}
export interface CustomerGateway extends Tagged {
  readonly address: string
  readonly as: number
}
export interface VpnGateway extends Tagged {
  readonly as: number
  readonly availableAt: number
  attachment?: { readonly vpc: string; readonly attachedAt: number; detachedAt?: number }
}
export interface TransitGateway extends Tagged {
  readonly as: number
  readonly vpcs: readonly string[]
}
export interface Tunnel {
  outside: string
  insideCidr: string
  psk: string
  options: Fields
}
export interface VpnConnection extends Tagged {
  readonly customerGateway: string
  readonly vpnGateway?: string
  readonly transitGateway?: string
  readonly isStatic: boolean
  readonly availableAt: number
  /** Its daemons run. */
  isCarried: boolean
  /** What is being done to it. */
  modifying: number
  readonly tunnels: [Tunnel, Tunnel]
  readonly routes: Set<string>
  goneAt?: number
}

export interface Account {
  readonly region: string
  readonly now: () => number
  readonly delays: Delays
  readonly consistencyMs: number
  readonly quotas: Readonly<Record<'customerGateways' | 'vpnGateways' | 'vpnConnections', number>>
  readonly carrier: Carrier | undefined
  readonly vpcs: Vpc[]
  readonly tables: RouteTable[]
  readonly customerGateways: CustomerGateway[]
  readonly vpnGateways: VpnGateway[]
  readonly transitGateways: TransitGateway[]
  readonly vpnConnections: VpnConnection[]
  /** What goes on behind the answers; the stand-in waits for it when it closes. */
  readonly work: Set<Promise<unknown>>
  nextId: number
}

/** 17 hexadecimal digits, as AWS's. */
export function freshId(account: Account, kind: string): string {
  return `${kind}-0${(account.nextId++).toString(16).padStart(16, 'a')}`
}

export function isVisible(account: Account, { visibleAt }: Tagged): boolean {
  return account.now() >= visibleAt
}

/** The one that is there. Throws what AWS answers where it is not, or is not shown yet. */
export function found<T extends Tagged>(account: Account, all: readonly T[], id: string, code: string): T {
  const one = all.find((each) => each.id === id)
  if (one === undefined || !isVisible(account, one) || one.deletedAt !== undefined) {
    throw new Ec2Error(`${code}.NotFound`, `The ID '${id}' does not exist`)
  }
  return one
}

export function connectionState(account: Account, each: VpnConnection): string {
  if (each.goneAt !== undefined && account.now() >= each.goneAt) return 'deleted'
  if (each.deletedAt !== undefined) return 'deleting'
  if (account.now() < each.availableAt || !each.isCarried) return 'pending'
  return each.modifying > 0 ? 'modifying' : 'available'
}

/** Goes on behind the answer. */
export function behind(account: Account, work: Promise<unknown>): void {
  const kept = work.catch((error: unknown) => process.stderr.write(`EC2 stand-in: ${String(error)}\n`))
  account.work.add(kept)
  void kept.finally(() => account.work.delete(kept))
}

/** As the network behind is told of it. */
export function carriedOf(account: Account, connection: VpnConnection): CarriedConnection {
  const customer = account.customerGateways.find(({ id }) => id === connection.customerGateway)!
  const gateway = account.vpnGateways.find(({ id }) => id === connection.vpnGateway)
  const transit = account.transitGateways.find(({ id }) => id === connection.transitGateway)
  const vpcs = transit?.vpcs ?? (gateway?.attachment === undefined ? [] : [gateway.attachment.vpc])
  return {
    id: connection.id,
    customer: { address: customer.address, as: customer.as },
    amazonAs: gateway?.as ?? transit?.as ?? 64_512,
    announces: account.vpcs.filter(({ id }) => vpcs.includes(id)).flatMap(({ blocks }) => blocks),
    tunnels: connection.tunnels.map(carriedTunnel) as [CarriedTunnel, CarriedTunnel],
    ...(connection.isStatic ? { staticRoutes: [...connection.routes] } : {}),
  }
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
