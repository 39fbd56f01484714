/** The routes of a running connector, to be looked at. */
import { familyOf, type Prefix, prefixContains, prefixRange } from '../../protocol/net.ts'
import type { RouteExplanation, RouteRow, RoutesAnswer } from '../../protocol/routes.ts'
import type { Bgp } from './bgp/bgp.ts'
import { explanationOf } from './bgp/explanation.ts'
import type { Children } from './children.ts'
import type { RouteEntry } from './forwarding.ts'

type Source = Pick<Children, 'routes' | 'route' | 'isSendable'>

/** Those at or below `within`, and those that cover it; all where it is absent. */
export function routesOf(children: Source, within: Prefix | undefined, limit: number): RoutesAnswer {
  const routes: RouteRow[] = []
  let total = 0
  let matching = 0
  for (const entry of children.routes()) {
    total++
    if (within !== undefined && !isRelated(entry.prefix, within)) continue
    matching++
    if (routes.length < limit) routes.push(rowOf(children, entry))
  }
  return { total, matching, routes }
}

export function explainRoute(children: Source, bgp: Bgp | undefined, prefix: Prefix): RouteExplanation {
  const found = children.route(prefix)
  const used = found && rowOf(children, found)
  return explanationOf(prefix, used, bgp?.explain(prefix))
}

function rowOf(children: Source, { prefix, tunnels, learned, local, refused }: RouteEntry): RouteRow {
  if (local) return { prefix, from: 'local', tunnels: [] }
  if (refused !== undefined) return { prefix, from: 'refused', answer: refused, tunnels: [] }
  return {
    prefix,
    from: learned ? 'bgp' : 'configured',
    tunnels: tunnels.map((peer) => ({ peer, up: children.isSendable(peer) })),
  }
}

function isRelated(one: Prefix, other: Prefix): boolean {
  if (familyOf(one) !== familyOf(other)) return false
  return prefixContains(one, prefixRange(other).first) || prefixContains(other, prefixRange(one).first)
}
