/** What one account has in one region: records with states that follow the time. */
import { createHash } from 'node:crypto'
import type { Carrier } from './carrier.ts'
import type { Ec2Clock } from './ec2-clock.ts'
import { Ec2Error } from './ec2-error.ts'
import type { Fields } from './sdk-model.ts'

/** Milliseconds that AWS takes. */
export interface Delays {
  readonly gateway: number
  readonly attach: number
  readonly connection: number
  readonly modify: number
  readonly delete: number
  /** So long something is shown as deleted. */
  readonly listed: number
}

/** The most that there may be. */
export interface Quotas {
  readonly customerGateways: number
  readonly vpnGateways: number
  readonly vpnConnections: number
  readonly vpnConnectionsPerGateway: number
  readonly staticRoutes: number
  readonly routesPerTable: number
}

export type Tag = { readonly Key: string; readonly Value: string }
export interface Tagged {
  readonly id: string
  tags: Tag[]
  /** Before then it may not be shown yet. */
  visibleAt: number
  deletedAt?: number
}
export interface Vpc extends Tagged {
  readonly blocks: readonly string[]
}
export interface Subnet extends Tagged {
  readonly vpc: string
  readonly block: string
}
export interface Route {
  readonly prefix: string
  readonly target: string
  readonly origin: 'CreateRouteTable' | 'CreateRoute' | 'EnableVgwRoutePropagation'
}
export interface RouteTable extends Tagged {
  readonly vpc: string
  readonly main: boolean
  readonly subnets: readonly string[]
  readonly propagating: Set<string>
  readonly routes: Route[]
}
export interface CustomerGateway extends Tagged {
  readonly address: string
  readonly as: number
  readonly device?: string
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
  /** All that hold. */
  options: Fields
  /** Names of those that somebody has set: only these are shown. */
  given: ReadonlySet<string>
  maintainedAt?: number
}
export interface VpnConnection extends Tagged {
  customerGateway: string
  vpnGateway?: string | undefined
  transitGateway?: string | undefined
  readonly isStatic: boolean
  readonly availableAt: number
  /** Not: its daemons are not there yet, though they should be. */
  isReady: boolean
  /** Its daemons run, or are about to. */
  isCarried: boolean
  /** What is being done to it. */
  modifying: number
  readonly tunnels: [Tunnel, Tunnel]
  readonly routes: Set<string>
  /** Of the whole connection. */
  options: Fields
  goneAt?: number
}

export interface Account {
  readonly region: string
  readonly number: string
  readonly clock: Ec2Clock
  readonly delays: Delays
  readonly consistencyMs: number
  /** Items of one page, at most. */
  readonly pageSize: number
  quotas: Quotas
  readonly carrier: Carrier | undefined
  readonly vpcs: Vpc[]
  readonly subnets: Subnet[]
  readonly tables: RouteTable[]
  readonly customerGateways: CustomerGateway[]
  readonly vpnGateways: VpnGateway[]
  readonly transitGateways: TransitGateway[]
  readonly vpnConnections: VpnConnection[]
  /** What goes on behind the answers; the stand-in waits for it when it closes. */
  readonly work: Set<Promise<unknown>>
  readonly seed: number
  nextId: number
  isClosed: boolean
}

export function allResources(account: Account): Tagged[] {
  const { vpcs, subnets, tables, customerGateways, vpnGateways, transitGateways, vpnConnections } = account
  return [...vpcs, ...subnets, ...tables, ...customerGateways, ...vpnGateways, ...transitGateways, ...vpnConnections]
}

/** 17 hexadecimal digits, as AWS's. */
export function freshId(account: Account, kind: string): string {
  const digest = createHash('sha256')
    .update(`${account.seed}/${account.nextId++}`)
    .digest('hex')
  return `${kind}-0${digest.slice(0, 16)}`
}

export function isVisible(account: Account, { visibleAt }: Tagged): boolean {
  return account.clock.now() >= visibleAt
}

/** It is deleted; that may not be shown yet. */
export function isShownDeleted(account: Account, { deletedAt }: Tagged): boolean {
  return deletedAt !== undefined && account.clock.now() >= deletedAt + account.consistencyMs
}

/** By the first part of its errors' codes: what an identifier begins with, and what AWS calls the thing. */
export const NOUNS = {
  InvalidVpcID: ['vpc', 'vpc'],
  InvalidSubnetID: ['subnet', 'subnet'],
  InvalidRouteTableID: ['rtb', 'routeTable'],
  InvalidCustomerGatewayID: ['cgw', 'customerGateway'],
  InvalidVpnGatewayID: ['vgw', 'vpnGateway'],
  InvalidTransitGatewayID: ['tgw', 'transitGateway'],
  InvalidTransitGatewayAttachmentID: ['tgw-attach', 'transitGatewayAttachment'],
  InvalidVpnConnectionID: ['vpn', 'vpnConnection'],
} as const

export function notFound(id: string, code: keyof typeof NOUNS): Ec2Error {
  const [start, noun] = NOUNS[code]
  if (!new RegExp(`^${start}-(?:[0-9a-f]{8}|[0-9a-f]{17})$`).test(id)) {
    return new Ec2Error(`${code}.Malformed`, `Invalid id: "${id}" (expecting "${start}-...")`)
  }
  return new Ec2Error(`${code}.NotFound`, `The ${noun} ID '${id}' does not exist`)
}

/** The one that is there. Throws what AWS answers where it is not, or is not shown yet. */
export function found<T extends Tagged>(account: Account, all: readonly T[], id: unknown, code: keyof typeof NOUNS): T {
  const one = all.find((each) => each.id === id)
  if (one === undefined || !isVisible(account, one) || one.deletedAt !== undefined) throw notFound(String(id), code)
  return one
}

export function connectionState(account: Account, each: VpnConnection): string {
  if (each.goneAt !== undefined && account.clock.now() >= each.goneAt) return 'deleted'
  if (each.deletedAt !== undefined) return 'deleting'
  if (account.clock.now() < each.availableAt || !each.isReady) return 'pending'
  return each.modifying > 0 ? 'modifying' : 'available'
}

/** Goes on behind the answer. */
export function behind(account: Account, work: Promise<unknown>): void {
  const kept = work.catch((error: unknown) => process.stderr.write(`EC2 stand-in: ${String(error)}\n`))
  account.work.add(kept)
  void kept.finally(() => account.work.delete(kept))
}
