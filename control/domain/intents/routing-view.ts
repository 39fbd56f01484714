/** The routing section of an intent in parts, each kept and versioned by itself: a change of one site copies no other. */
import type { Intent } from '../../../protocol/control/intent.ts'
import type { Routing, RoutingGeneral, RoutingSite, RoutingTunnel } from '../../../protocol/control/intent-routing.ts'

/** One of the three; `id` is that of the site or tunnel, or `general`. */
export interface RoutingPart {
  readonly id: string
  readonly general?: RoutingGeneral
  readonly site?: RoutingSite
  readonly tunnel?: RoutingTunnel
}

export const GENERAL = 'general'

export interface RoutingView {
  readonly general: RoutingGeneral
  /** There is one for every site and tunnel. */
  site(id: string): RoutingSite | undefined
  tunnel(id: string): RoutingTunnel | undefined
  parts(): Iterable<RoutingPart>
}

/** What becomes of the parts. */
export interface RoutingChange {
  readonly put: readonly RoutingPart[]
  readonly removed: readonly string[]
}

/** The section as the API shows it; undefined where there is none. */
export function routingOf(parts: Iterable<RoutingPart>): Routing | undefined {
  const all = [...parts].sort((left, right) => (left.id < right.id ? -1 : 1))
  const general = all.find((part) => part.general !== undefined)?.general
  if (general === undefined) return undefined
  return {
    ...general,
    sites: all.flatMap(({ site }) => site ?? []),
    tunnels: all.flatMap(({ tunnel }) => tunnel ?? []),
  }
}

export function partsOf({ routing }: Pick<Intent, 'routing'>): RoutingPart[] {
  if (routing === undefined) return []
  const { sites, tunnels, ...general } = routing
  return [
    { id: GENERAL, general },
    ...sites.map((site) => ({ id: site.site, site })),
    ...tunnels.map((tunnel) => ({ id: tunnel.tunnel, tunnel })),
  ]
}

/** Undefined where there is no section. `parts` may change under it. */
export function viewOf(parts: ReadonlyMap<string, RoutingPart>): RoutingView | undefined {
  const general = parts.get(GENERAL)?.general
  if (general === undefined) return undefined
  return {
    general,
    site: (id) => parts.get(id)?.site,
    tunnel: (id) => parts.get(id)?.tunnel,
    parts: () => parts.values(),
  }
}

/** Takes a change over. */
export function applyRouting(parts: Map<string, RoutingPart>, { put, removed }: RoutingChange): void {
  for (const id of removed) parts.delete(id)
  for (const part of put) parts.set(part.id, part)
}
