/** What is there before anybody calls. */
import { addressBytes, formatAddress, parseAddress } from '../../protocol/net.ts'
import type { Carrier } from './carrier.ts'
import { type Ec2Clock, MachineClock } from './ec2-clock.ts'
import type { Account, Delays, Quotas, RouteTable, Subnet } from './ec2-state.ts'

export const VPC = { id: 'vpc-0123456789abcdef0', blocks: ['172.31.0.0/16'] }
export const TRANSIT_GATEWAY = { id: 'tgw-0123456789abcdef0', as: 64_600 }

export interface SeedOptions {
  readonly carrier?: Carrier
  readonly region?: string
  /** Milliseconds that AWS takes. Default: next to nothing. */
  readonly delays?: Partial<Delays>
  /** So long after it was made something may not be shown, and what was deleted may be. */
  readonly consistencyMs?: number
  readonly quotas?: Partial<Quotas>
  /** Each has a main route table and another one, with a subnet each. */
  readonly vpcs?: readonly { readonly id: string; readonly blocks: readonly string[] }[]
  /** Items of a page, at most. */
  readonly pageSize?: number
  readonly clock?: Ec2Clock
  /** Identifiers and keys come from it. */
  readonly seed?: number
}

const DELAYS: Delays = { gateway: 50, attach: 50, connection: 100, modify: 100, delete: 100, listed: 60_000 }
/** "Site-to-Site VPN quotas", "Amazon VPC quotas". */
const QUOTAS: Quotas = {
  customerGateways: 50,
  vpnGateways: 5,
  vpnConnections: 50,
  vpnConnectionsPerGateway: 10,
  staticRoutes: 100,
  routesPerTable: 50,
}
const PAGE = 100

export function accountOf(options: SeedOptions): Account {
  const { carrier, region = 'eu-central-1', delays, consistencyMs = 0, quotas, vpcs = [VPC] } = options
  const made = { visibleAt: 0 }
  const places = vpcs.map((vpc, index) => placeOf(vpc, index))
  return {
    region,
    number: '123456789012',
    clock: options.clock ?? new MachineClock(),
    delays: { ...DELAYS, ...delays },
    consistencyMs,
    pageSize: options.pageSize ?? PAGE,
    quotas: { ...QUOTAS, ...quotas },
    carrier,
    vpcs: vpcs.map(({ id, blocks }) => ({ ...made, tags: [], id, blocks })),
    subnets: places.flatMap(({ subnets }) => subnets),
    tables: places.flatMap(({ tables }) => tables),
    customerGateways: [],
    vpnGateways: [],
    transitGateways: [{ ...made, tags: [], ...TRANSIT_GATEWAY, vpcs: vpcs.map(({ id }) => id) }],
    vpnConnections: [],
    work: new Set(),
    seed: options.seed ?? 1,
    nextId: 1,
    isClosed: false,
  }
}

function placeOf({ id: vpc, blocks }: { readonly id: string; readonly blocks: readonly string[] }, index: number) {
  const numbered = (kind: string, side: number) => `${kind}-${String(index * 2 + side + 1).padStart(17, '0')}`
  const subnets = halves(blocks[0]!).map(
    (block, side): Subnet => ({ id: numbered('subnet', side), vpc, block, tags: [], visibleAt: 0 }),
  )
  const tables = [true, false].map(
    (main, side): RouteTable => ({
      id: numbered('rtb', side),
      vpc,
      main,
      // A subnet without a table of its own has the main one.
      subnets: main ? [] : [subnets[1]!.id],
      propagating: new Set<string>(),
      routes: blocks.map((prefix) => ({ prefix, target: 'local', origin: 'CreateRouteTable' })),
      tags: [],
      visibleAt: 0,
    }),
  )
  return { subnets, tables }
}

/** Of an IPv4 block. */
function halves(block: string): [string, string] {
  const [address, length] = block.split('/')
  const bits = Number(length)
  const upper = addressBytes(parseAddress(address!)!)
  upper[bits >> 3]! |= 0x80 >> (bits & 7)
  return [`${address}/${bits + 1}`, `${formatAddress(upper)}/${bits + 1}`]
}
