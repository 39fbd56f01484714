/** An intent as a plan looks at it: compiled, with routes where they get. An intent without routing is looked at alike. */
import type { Site, Tunnel } from '../../../protocol/control/intent.ts'
import type { IntentPlan, IntentView } from '../intent-index.ts'
import { type CompiledRouting, compileRouting } from './compile.ts'
import { MAX_NUMBERED_TUNNELS } from './numbers.ts'
import { after } from './routing-edit.ts'
import { applyRouting, type RoutingView, viewOf } from './routing-view.ts'

const MOST = 1_000_000

/** As it is. */
export function compiledNow(view: IntentView): CompiledRouting {
  return compiled([...view.sites()], [...view.tunnels()], view.routing)
}

/** As it is to be. */
export function compiledAfter(view: IntentView, plan: IntentPlan): CompiledRouting {
  const parts = new Map(Array.from(view.routing?.parts() ?? [], (part) => [part.id, part]))
  if (plan.routing !== undefined) applyRouting(parts, plan.routing)
  const { sites, tunnels } = after(view, plan)
  return compiled(sites, tunnels, viewOf(parts))
}

function compiled(
  sites: readonly Site[],
  tunnels: readonly Tunnel[],
  routing: RoutingView | undefined,
): CompiledRouting {
  return compileRouting({ sites: () => sites, tunnels: () => tunnels }, routing ?? withoutRouting(sites, tunnels))
}

/** Where tunnels lead to the prefixes of their sites: as if each told its direct neighbours of them. */
function withoutRouting(sites: readonly Site[], tunnels: readonly Tunnel[]): RoutingView {
  const siteNumbers = new Map(sites.map(({ id }, number) => [id, number]))
  const tunnelNumbers = new Map(tunnels.map(({ id }, number) => [id, number % MAX_NUMBERED_TUNNELS]))
  return {
    general: { maxPrefixes: MOST, bfd: 'off' },
    site: (id) => (siteNumbers.has(id) ? { site: id, number: siteNumbers.get(id)! } : undefined),
    tunnel: (id) => (tunnelNumbers.has(id) ? { tunnel: id, number: tunnelNumbers.get(id)! } : undefined),
    parts: () => [],
  }
}
