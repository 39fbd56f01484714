/** The status document, made from what IKE and the packet worker know. */
import { type Address, addressBytes, familyOf, formatSocketAddress } from '../../protocol/net.ts'
import type {
  ChildSaStatus,
  ConnectorStatus,
  PathStatus,
  Traffic,
  TunnelStatus,
  WorkerStatus,
} from '../../protocol/status.ts'
import { STATUS_VERSION } from '../../protocol/status.ts'
import type { BfdStatus } from '../core/bfd/machine.ts'
import type { ChildStatus, ConnectionStatus, IkeCounters, TrafficSelector } from '../core/ike/types.ts'
import type { PathReport } from '../core/probe/report.ts'
import type { Counters, WorkerLoad } from '../data/commands.ts'
import type { ConnectorPlan, PlannedConnection } from '../plan.ts'
import type { Carried } from './carried.ts'
import type { Children, InstalledChild } from './children.ts'
import { formatSpi } from './key-log.ts'
import type { EngineInfo } from './packet-worker.ts'
import type { Routing } from './routing.ts'

export interface StatusParts {
  readonly plan: ConnectorPlan
  /** By worker, as are the loads. */
  readonly engines: readonly EngineInfo[]
  readonly loads: readonly WorkerLoad[]
  readonly offloads: NonNullable<ConnectorStatus['offloads']>
  readonly children: Children
  readonly connections: readonly ConnectionStatus[]
  readonly ike: IkeCounters
  readonly sendFailures: number
  readonly drops: Counters['drops']
  readonly failure: { readonly code: string; readonly message: string; readonly remedy: string } | undefined
  /** Monotonic, and the time of day at that instant; both in milliseconds. */
  readonly now: number
  readonly wallClock: number
  readonly startedAt: number
  readonly routing: Pick<Routing, 'bgp' | 'bfd' | 'paths' | 'probes'> | undefined
}

export function buildStatus(parts: StatusParts): ConnectorStatus {
  const { plan, failure } = parts
  const time = (instant: number): string => new Date(parts.wallClock - (parts.now - instant)).toISOString()
  const tun = { name: plan.tun.name, mtu: plan.tun.mtu }
  const ikeOf = new Map(parts.connections.map((connection) => [connection.connection, connection]))
  return {
    version: STATUS_VERSION,
    site: plan.site,
    pid: process.pid,
    startedAt: time(parts.startedAt),
    now: time(parts.now),
    engine: parts.engines[0]!,
    workers: parts.children.totals().map((carried, index) => workerStatus(parts, carried, index)),
    offloads: parts.offloads,
    tun:
      failure === undefined
        ? { ...tun, state: 'up' }
        : { ...tun, state: 'failed', error: { code: failure.code, cause: failure.message, remedy: failure.remedy } },
    ...defined('bgp', parts.routing?.bgp?.status()),
    ...defined('paths', parts.routing?.paths?.status()),
    tunnels: plan.connections.map((planned) => tunnelStatus(parts, planned, ikeOf.get(planned.ike.name), time)),
    drops: parts.drops,
    ike: { ...parts.ike, sendFailures: parts.sendFailures },
  }
}

function workerStatus({ engines, loads }: StatusParts, carried: Carried, index: number): WorkerStatus {
  const { drops: _, ...packets } = traffic(carried)
  const { handedOver, busy } = loads[index]!
  const share = busy === undefined ? undefined : Math.round(busy * 1000) / 1000
  return { index, engine: engines[index]!, ...packets, handedOver, ...defined('busy', share) }
}

function tunnelStatus(
  parts: StatusParts,
  planned: PlannedConnection,
  ike: ConnectionStatus | undefined,
  time: (instant: number) => string,
): TunnelStatus {
  const name = planned.ike.name
  const installed = parts.children.of(name)
  const encapsulation = installed.at(-1)?.encapsulation
  const { now } = parts
  return {
    name,
    state: tunnelState(ike, planned),
    since: time(ike?.since ?? parts.startedAt),
    ...defined('role', ike?.role),
    ...defined('local', ike?.local && formatSocketAddress(ike.local)),
    ...defined('remote', ike?.remote && formatSocketAddress(ike.remote)),
    ...defined('encapsulation', encapsulation),
    ...defined('suite', ike?.suite),
    ...defined('initiatorSpi', ike?.initiatorSpi),
    ...defined('responderSpi', ike?.responderSpi),
    ...defined('ageMs', ike?.establishedAt === undefined ? undefined : Math.round(now - ike.establishedAt)),
    ...defined('rekeyInMs', ike?.rekeyAt === undefined ? undefined : Math.round(ike.rekeyAt - now)),
    ...keyStatus(ike),
    ikeRekeys: ike?.ikeRekeys ?? 0,
    children: (ike?.children ?? []).map((child) => childStatus(child, parts.children.get(child.id), now)),
    traffic: traffic(parts.children.total(name)),
    routes: routesOf(parts.children, name),
    ...defined('rtt', ike?.rtt && { ...ike.rtt, lastMs: micros(ike.rtt.lastMs), medianMs: micros(ike.rtt.medianMs) }),
    ...defined('loss', ike === undefined || ike.requestsSent === 0 ? undefined : lossOf(ike)),
    ...countsOf(planned, parts.children),
    ...defined('bfd', bfdStatus(parts.routing?.bfd.status(name))),
    ...defined('path', pathStatus(parts.routing?.probes.of(name), planned)),
    mtu: mtuStatus(
      parts.children.pathMtu(name) ?? planned.pathMtu,
      planned,
      ike?.remote?.address ?? planned.ike.remoteAddress,
      installed.at(-1),
    ),
    ...defined('lastError', ike?.lastError && { ...ike.lastError, at: time(ike.lastError.at) }),
  }
}

function routesOf(children: Children, name: string): number {
  let routes = 0
  for (const { tunnels, prefixes } of children.groups()) if (tunnels[0] === name) routes += prefixes
  return routes
}

function countsOf({ ike, transit, reversePath }: PlannedConnection, children: Children) {
  const counts = children.counts(ike.name)
  return {
    ...defined('transit', transit ? counts?.transit : undefined),
    ...defined('asymmetric', reversePath === undefined ? undefined : counts?.asymmetric),
  }
}

function bfdStatus(bfd: BfdStatus | undefined): TunnelStatus['bfd'] {
  return bfd && { state: bfd.state, flaps: bfd.flaps, detectionMs: Math.round(bfd.detectionMs) }
}

/** The only key of a connection has no name, and nothing to be told of. */
function keyStatus(ike: ConnectionStatus | undefined): Pick<TunnelStatus, 'keyId' | 'keyConfirmed'> {
  if (ike?.keyId === undefined || ike.keyId === '') return {}
  return { keyId: ike.keyId, ...defined('keyConfirmed', ike.keyConfirmed) }
}

function tunnelState(ike: ConnectionStatus | undefined, planned: PlannedConnection): TunnelStatus['state'] {
  if (ike === undefined) return 'idle'
  if (ike.state !== 'established') return ike.state
  const whole = planned.ike.children.every(({ name }) =>
    ike.children.some((child) => child.child === name && child.active),
  )
  return whole ? 'up' : 'degraded'
}

function childStatus(child: ChildStatus, installed: InstalledChild | undefined, now: number): ChildSaStatus {
  return {
    name: child.child,
    worker: child.resource,
    suite: child.suite,
    inboundSpi: formatSpi(child.inboundSpi),
    outboundSpi: formatSpi(child.outboundSpi),
    active: child.active,
    ageMs: Math.round(now - child.establishedAt),
    rekeyInMs: Math.round(child.rekeyAt - now),
    rekeys: child.rekeys,
    local: child.local.map(formatSelector),
    remote: child.remote.map(formatSelector),
    traffic: installed === undefined ? NO_TRAFFIC : traffic(installed.counters),
  }
}

/** To the microsecond. */
function micros(ms: number): number {
  return Math.round(ms * 1000) / 1000
}

function pathStatus(report: PathReport | undefined, planned: PlannedConnection): PathStatus | undefined {
  if (report === undefined) return undefined
  const { state, rttMs, jitterMs, lossOut, lossIn, mtu } = report
  return {
    state,
    ...defined('rttMs', rttMs && micros(rttMs)),
    ...defined('jitterMs', jitterMs && micros(jitterMs)),
    ...defined('lossOut', lossOut),
    ...defined('lossIn', lossIn),
    ...defined('mtu', mtu && { ...mtu, configured: planned.pathMtu }),
  }
}

function lossOf({ requestsSent: sent, requestsRetransmitted: lost }: ConnectionStatus): TunnelStatus['loss'] & {} {
  return { ratio: Math.min(1, lost / sent), sent, lost }
}

const NO_TRAFFIC: Traffic = { inPackets: 0, inBytes: 0, outPackets: 0, outBytes: 0, drops: {} }

function traffic({ inbound, outbound }: Carried): Traffic {
  const drops: Record<string, number> = { ...inbound.drops }
  for (const [name, count] of Object.entries(outbound.drops)) drops[name] = (drops[name] ?? 0) + count
  return {
    inPackets: inbound.packets,
    inBytes: inbound.bytes,
    ...defined('inMissing', inbound.missing),
    outPackets: outbound.packets,
    outBytes: outbound.bytes,
    drops,
  }
}

const IPV4_HEADER = 20
const IPV6_HEADER = 40
const UDP_HEADER = 8
/** SPI, sequence number, 8-byte IV, 16-byte tag, pad length and next header. */
const ESP_OVERHEAD = 8 + 8 + 16 + 2
/** IPv4 and TCP headers without options. */
const TCP4_HEADERS = 40

/** What fits, and why. Without a Child SA it is worked out from the configuration: UDP encapsulation is assumed. */
function mtuStatus(
  path: number,
  planned: PlannedConnection,
  remote: Address | undefined,
  installed: InstalledChild | undefined,
): TunnelStatus['mtu'] {
  const family = familyOf(remote ?? planned.ike.localAddress)
  const header = family === 6 ? IPV6_HEADER : IPV4_HEADER
  const udp = installed?.encapsulation === 'esp' ? 0 : UDP_HEADER
  // The trailer is aligned to four bytes (RFC 4303 section 2.4), so what is sealed ends two bytes before a multiple.
  const room = path - header - udp - (ESP_OVERHEAD - 2)
  const inner = installed?.innerMtu ? installed.innerMtu : room - (room % 4) - 2
  const less = [`${header} IPv${family}`, ...(udp > 0 ? [`${udp} UDP`] : []), '8 ESP', '8 IV', '16 tag', '2 trailer']
  const padding = path - header - udp - ESP_OVERHEAD - inner
  if (padding > 0) less.push(`${padding} alignment`)
  return { path, inner, mss4: inner - TCP4_HEADERS, why: `path MTU ${path} less ${less.join(', ')}` }
}

/** A prefix where the range is one, otherwise the range; then protocol and ports where they are narrowed. */
export function formatSelector(selector: TrafficSelector): string {
  const addresses = formatRange(selector.startAddress, selector.endAddress)
  const protocol = selector.protocol === 0 ? '' : ` proto ${selector.protocol}`
  const whole = selector.startPort === 0 && selector.endPort === 65535
  const one = selector.startPort === selector.endPort
  const ports = whole ? '' : ` port ${selector.startPort}${one ? '' : `-${selector.endPort}`}`
  return `${addresses}${protocol}${ports}`
}

function formatRange(start: Address, end: Address): string {
  const length = familyOf(start) === 4 ? 32 : 128
  const first = bitsOf(start)
  const last = bitsOf(end)
  const host = (first ^ last).toString(2).length - (first === last ? 1 : 0)
  const mask = (1n << BigInt(host)) - 1n
  if ((first & mask) === 0n && (last & mask) === mask) return `${start}/${length - host}`
  return `${start}-${end}`
}

function bitsOf(address: Address): bigint {
  let value = 0n
  for (const byte of addressBytes(address)) value = (value << 8n) | BigInt(byte)
  return value
}

function defined<Key extends string, Value>(key: Key, value: Value | undefined): { [K in Key]?: Value } {
  return (value === undefined ? {} : { [key]: value }) as { [K in Key]?: Value }
}
