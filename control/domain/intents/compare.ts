/** Whether the routing of a site has changed. Documents share groups, so each pair of these is compared once. */
import { sameJson } from '../../../protocol/control/canonical.ts'
import type { DocumentRouting, RouteGroup } from '../../../protocol/control/routing.ts'

export interface RoutingTopology {
  /** Undefined where the site has none. */
  routingOf(site: string): DocumentRouting | undefined
}

/** Of `sites`, those whose routing differs. */
export function rerouted(sites: Iterable<string>, before: RoutingTopology, after: RoutingTopology): string[] {
  const compared = new Map<RouteGroup, Map<RouteGroup, boolean>>()
  const sameGroup = (one: RouteGroup, other: RouteGroup): boolean => {
    const known = compared.get(one) ?? new Map<RouteGroup, boolean>()
    compared.set(one, known)
    const same = known.get(other) ?? sameJson(one, other)
    known.set(other, same)
    return same
  }
  return [...sites].filter((site) => {
    const [one, other] = [before.routingOf(site), after.routingOf(site)]
    if (one === undefined || other === undefined) return one !== other
    const { groups, ...rest } = one
    const { groups: otherGroups, ...otherRest } = other
    if (groups.length !== otherGroups.length || !sameJson(rest, otherRest)) return true
    return !groups.every((group, index) => sameGroup(group, otherGroups[index]!))
  })
}
