/**
 * Routing of a managed connector: what it carries out of its document, and when BGP takes over from static routes. These
 * stay until the session through their tunnel has been up once since the start, so that going over to BGP loses nothing.
 */
import type { ConnectorDocument } from '../../../protocol/control/document.ts'
import type { PathHealth, RoutingReport } from '../../../protocol/control/routing.ts'
import type { Prefix } from '../../../protocol/net.ts'
import type { BgpNeighbourStatus, ConnectorStatus, TunnelStatus } from '../../../protocol/status.ts'
import type { ManagedRouting } from '../../config/managed-plan.ts'
import { neighbourName } from '../../core/managed/routing.ts'
import { type AcceptedRouting, acceptRouting } from '../../core/managed/routing-acceptance.ts'

/** A neighbour that has nothing for us may be a leaf of another kind: after so long its silence is its word. */
const EMPTY_MS = 5_000
/** Between reports of a connector that routes: loss and round trip are looked at while a change is tried. */
export const ROUTED_REPORT_MS = 10_000

export interface NamedTunnel {
  readonly id: string
  readonly name: string
}

export class ManagedRoutes {
  readonly #owns: readonly Prefix[]
  #accepted: AcceptedRouting | undefined
  /** By identifier. */
  readonly #learned = new Set<string>()

  constructor(owns: readonly Prefix[]) {
    this.#owns = owns
  }

  /** What of it is carried out; to be called with every document. */
  take(document: ConnectorDocument): void {
    this.#accepted = acceptRouting(document, this.#owns)
    const routed = new Set(this.#accepted?.routing.neighbours.map(({ tunnel }) => tunnel))
    for (const tunnel of this.#learned) if (!routed.has(tunnel)) this.#learned.delete(tunnel)
  }

  get plan(): ManagedRouting | undefined {
    const accepted = this.#accepted
    return accepted && { routing: accepted.routing, owns: this.#owns, learned: new Set(this.#learned) }
  }

  get isRouted(): boolean {
    return this.#accepted !== undefined
  }

  get refused(): readonly string[] {
    return this.#accepted?.refused ?? []
  }

  /** Looks for sessions that have come up. Returns whether the plan is another one now. */
  look({ bgp }: ConnectorStatus, tunnels: readonly NamedTunnel[], now: number): boolean {
    if (bgp === undefined || this.#accepted === undefined) return false
    const up = new Set(bgp.neighbours.filter((neighbour) => hasSpoken(neighbour, now)).map(({ name }) => name))
    const before = this.#learned.size
    for (const { tunnel } of this.#accepted.routing.neighbours) {
      const name = tunnels.find(({ id }) => id === tunnel)?.name
      if (name !== undefined && up.has(neighbourName(name))) this.#learned.add(tunnel)
    }
    return this.#learned.size > before
  }

  report(status: ConnectorStatus, tunnels: readonly NamedTunnel[]): RoutingReport {
    const known = new Map(status.tunnels.map((tunnel) => [tunnel.name, tunnel]))
    const passing = new Map(status.paths?.paths.map((path) => [path.peer, path.passing]))
    const neighbours = new Map(status.bgp?.neighbours.map((neighbour) => [neighbour.name, neighbour]))
    return {
      paths: tunnels.map(({ id, name }) => {
        const health = healthOf(id, known.get(name), neighbours.get(neighbourName(name)))
        return passing.get(name) === false ? { ...health, passing: false } : health
      }),
      refused: [...this.refused],
      ...(this.isRouted ? { everyMs: ROUTED_REPORT_MS } : {}),
    }
  }
}

function hasSpoken({ state, since, ipv4, ipv6 }: BgpNeighbourStatus, now: number): boolean {
  if (state !== 'established') return false
  return ipv4.accepted + ipv6.accepted > 0 || now - Date.parse(since) >= EMPTY_MS
}

function healthOf(
  tunnel: string,
  status: TunnelStatus | undefined,
  neighbour: BgpNeighbourStatus | undefined,
): PathHealth {
  const { path } = status ?? {}
  const bfd = neighbour?.bfd ?? status?.bfd
  // One that never came up is no news of the path: the other end may have none.
  const isLost = bfd !== undefined && bfd.flaps > 0 && bfd.state !== 'up' && bfd.state !== 'admin-down'
  return {
    tunnel,
    passing: status?.state === 'up' && path?.state !== 'down' && !isLost,
    ...(path?.rttMs === undefined ? {} : { rttMs: path.rttMs }),
    ...(path?.lossOut === undefined ? {} : { lossOut: path.lossOut }),
    ...(path?.lossIn === undefined ? {} : { lossIn: path.lossIn }),
    ...(neighbour === undefined ? {} : { bgp: bgpOf(neighbour) }),
  }
}

function bgpOf({ state, flaps, ipv4, ipv6 }: BgpNeighbourStatus): NonNullable<PathHealth['bgp']> {
  return {
    established: state === 'established',
    flaps,
    received: ipv4.received + ipv6.received,
    accepted: ipv4.accepted + ipv6.accepted,
    advertised: ipv4.advertised + ipv6.advertised,
  }
}
