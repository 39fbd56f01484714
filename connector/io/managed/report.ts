/** What a managed connector says of itself, made from its status and its keys. */
import type { ExternalsReport } from '../../../protocol/control/external.ts'
import type { FunctionsReport } from '../../../protocol/control/grant.ts'
import type { ConnectorReport, TunnelReport } from '../../../protocol/control/link.ts'
import type { PathHealth, RoutingReport } from '../../../protocol/control/routing.ts'
import type { BgpNeighbourStatus, ConnectorStatus, Problem, TunnelStatus } from '../../../protocol/status.ts'
import { type EpochView, keyId, type Refused } from '../../core/managed/keeper.ts'

export interface ReportedTunnel {
  readonly id: string
  readonly name: string
  /** As saved and carried out. */
  readonly epochs: readonly EpochView[]
  readonly refusal: Refused | undefined
}

export interface ReportParts {
  readonly version: number
  /** Milliseconds since 1970. */
  readonly startedAt: number
  readonly now: number
  readonly software: string
  readonly addresses: readonly string[]
  readonly status: ConnectorStatus
  readonly tunnels: readonly ReportedTunnel[]
  /** Where there are services for functions. */
  readonly functions?: FunctionsReport | undefined
  /** There from the beginning: by it the control plane knows that this connector can. */
  readonly routing: RoutingReport
  /** Likewise. */
  readonly externals?: ExternalsReport
}

export const NO_TRAFFIC = { outPackets: 0, inPackets: 0, outBytes: 0, inBytes: 0, dropped: 0, missing: 0 }
const MAX_TEXT = 512
/** From when on it is news that a tunnel is idle: whoever changes it waits for that. */
const IDLE_NEWS_MS = 3_000

export function buildReport(parts: ReportParts): ConnectorReport {
  const statusOf = new Map(parts.status.tunnels.map((tunnel) => [tunnel.name, tunnel]))
  return {
    version: parts.version,
    startedAt: parts.startedAt,
    at: parts.now,
    software: parts.software,
    addresses: [...parts.addresses],
    tunnels: parts.tunnels.map((tunnel) => tunnelReport(tunnel, statusOf.get(tunnel.name))),
    ...(parts.functions === undefined ? {} : { functions: parts.functions }),
    routing: parts.routing,
    ...(parts.externals === undefined ? {} : { externals: parts.externals }),
  }
}

/** What of a report others wait for; traffic, and how long packets take, alone are no news. */
export function newsOf(report: ConnectorReport): string {
  const { version, addresses, tunnels, functions, routing, externals } = report
  const paths = routing?.paths.map(({ tunnel, passing, bgp }) => [tunnel, passing, bgp?.established, bgp?.flaps])
  const lasting = tunnels.map(({ traffic: _, ...rest }) => rest)
  return JSON.stringify([version, addresses, lasting, functions, paths, routing?.refused, externalsNews(externals)])
}

/** That a tunnel has become idle is news, and not for how long it is. */
function externalsNews(report: ExternalsReport | undefined): unknown {
  const externals = report?.externals.map(({ traffic: _, idleMs, ...rest }) => [rest, (idleMs ?? 0) >= IDLE_NEWS_MS])
  return [externals, report?.refused]
}

function tunnelReport({ id, epochs, refusal }: ReportedTunnel, status: TunnelStatus | undefined): TunnelReport {
  const problem = refusal ?? (status?.state === 'up' ? undefined : status?.lastError)
  return {
    tunnel: id,
    state: refusal?.code === 'identity-changed' && status === undefined ? 'refused' : (status?.state ?? 'idle'),
    epochs: epochs.map(({ epoch, key, accepted, fingerprint }) => {
      const using = status?.keyId === keyId(epoch)
      return {
        epoch,
        key,
        accepted,
        using,
        confirmed: using && status?.keyConfirmed === true,
        ...(fingerprint === undefined ? {} : { fingerprint }),
      }
    }),
    traffic: status === undefined ? NO_TRAFFIC : trafficOf(status),
    ...boundedProblem(problem),
  }
}

export function boundedProblem(problem: Problem | undefined): { readonly problem?: Problem } {
  if (problem === undefined) return {}
  const { code, cause, remedy } = problem
  return { problem: { code, cause: cause.slice(0, MAX_TEXT), remedy: remedy.slice(0, MAX_TEXT) } }
}

export function bgpOf({ state, flaps, ipv4, ipv6 }: BgpNeighbourStatus): NonNullable<PathHealth['bgp']> {
  return {
    established: state === 'established',
    flaps,
    received: ipv4.received + ipv6.received,
    accepted: ipv4.accepted + ipv6.accepted,
    advertised: ipv4.advertised + ipv6.advertised,
  }
}

export function trafficOf({ traffic }: TunnelStatus): TunnelReport['traffic'] {
  const { outPackets, inPackets, outBytes, inBytes, inMissing: missing, drops } = traffic
  const dropped = Object.values(drops).reduce((sum, count) => sum + count, 0)
  return { outPackets, inPackets, outBytes, inBytes, dropped, ...(missing === undefined ? {} : { missing }) }
}
