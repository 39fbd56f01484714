/**
 * Routing of a managed connector: what it carries out of its document, and when BGP takes over from static routes. These
 * stay until the session through their tunnel has been up once since the start, so that going over to BGP loses nothing.
 */
import type { ConnectorDocument } from '../../../protocol/control/document.ts'
import type { DocumentRouting, PathHealth, RoutingReport } from '../../../protocol/control/routing.ts'
import type { Prefix } from '../../../protocol/net.ts'
import type { BgpNeighbourStatus, ConnectorStatus, TunnelStatus } from '../../../protocol/status.ts'
import type { ManagedRouting } from '../../config/managed-plan.ts'
import { neighbourName } from '../../core/managed/routing.ts'
import { type AcceptedRouting, acceptRouting } from '../../core/managed/routing-acceptance.ts'
import { bgpOf } from './report.ts'

/** A neighbour that has nothing for us may be a leaf of another kind: after so long its silence is its word. */
const EMPTY_MS = 5_000
/**
 * So long after a document came are its prefixes guarded that others were not before: one within another that is in use
 * would take its packets before BGP has its route.
 */
const GUARD_MS = 5_000
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
  #guarded: readonly string[] = []
  #toGuard: { readonly prefixes: readonly string[]; readonly at: number } | undefined

  constructor(owns: readonly Prefix[]) {
    this.#owns = owns
  }

  /** What of it is carried out; to be called with every document. `now` is the time of day. */
  take(document: ConnectorDocument, now: number): void {
    this.#accepted = acceptRouting(document, this.#owns)
    const prefixes = this.#accepted === undefined ? [] : othersOf(this.#accepted.routing)
    if (prefixes.join() === this.#guarded.join()) this.#toGuard = undefined
    else if (prefixes.join() !== this.#toGuard?.prefixes.join()) this.#toGuard = { prefixes, at: now + GUARD_MS }
    const routed = new Set(this.#accepted?.routing.neighbours.map(({ tunnel }) => tunnel))
    for (const tunnel of this.#learned) if (!routed.has(tunnel)) this.#learned.delete(tunnel)
  }

  get plan(): ManagedRouting | undefined {
    const accepted = this.#accepted
    const [owns, learned, guarded] = [this.#owns, new Set(this.#learned), this.#guarded]
    return accepted && { routing: accepted.routing, owns, learned, guarded }
  }

  get isRouted(): boolean {
    return this.#accepted !== undefined
  }

  get refused(): readonly string[] {
    return this.#accepted?.refused ?? []
  }

  /** Looks for sessions that have come up, and for what is to be guarded. Returns whether the plan is another one now. */
  look({ bgp }: ConnectorStatus, tunnels: readonly NamedTunnel[], now: number): boolean {
    const isGuarding = this.#toGuard !== undefined && now >= this.#toGuard.at
    if (isGuarding) {
      this.#guarded = this.#toGuard!.prefixes
      this.#toGuard = undefined
    }
    return this.#lookAtSessions(bgp, tunnels, now) || isGuarding
  }

  #lookAtSessions(bgp: ConnectorStatus['bgp'], tunnels: readonly NamedTunnel[], now: number): boolean {
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

function othersOf({ as, groups }: DocumentRouting): string[] {
  const others = groups.flatMap(({ origins }) => origins).filter((origin) => origin.as !== as)
  return [...new Set(others.flatMap(({ ranges }) => ranges.map(({ prefix }) => prefix)))].sort()
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
