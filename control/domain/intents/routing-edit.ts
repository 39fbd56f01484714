/** What becomes of routing with an edit of the intent. */
import type { Site, Tunnel } from '../../../protocol/control/intent.ts'
import type { RoutingDraft } from '../../../protocol/control/intent-routing.ts'
import type { DocumentRouting } from '../../../protocol/control/routing.ts'
import type { IntentPlan, IntentView } from '../intent-index.ts'
import { type CodedFault, refusalOf } from '../refusal.ts'
import { compileRouting } from './compile.ts'
import { applyRouting, type RoutingChange, type RoutingView, viewOf } from './routing-view.ts'
import { changeTo, type RoutingFrame, takeRouting } from './take-routing.ts'

interface Parts {
  readonly sites: readonly Site[]
  readonly tunnels: readonly Tunnel[]
}

/** A draft that is to replace the whole; without routing there is none from then on. `change`: undefined for none. */
export function replacedRouting(
  { routing: before }: Pick<IntentView, 'routing'>,
  draft: RoutingDraft | undefined,
  parts: Parts,
): { readonly change: RoutingChange | undefined; readonly faults: readonly CodedFault[] } {
  if (draft === undefined) {
    return { change: before === undefined ? undefined : changeTo([], before), faults: [] }
  }
  const { change, faults } = takeRouting(draft, frameOf(before, parts))
  return { change: change.put.length + change.removed.length === 0 ? undefined : change, faults }
}

/** An edit of sites or tunnels: those that come get a number, those that go give theirs back. Throws a Refusal. */
export function withRouting(view: IntentView, plan: IntentPlan): IntentPlan {
  const { routing: before } = view
  if (before === undefined) return plan
  const parts = after(view, plan)
  const frame = frameOf(before, parts)
  const { change, faults } = takeRouting(draftOf(before, frame), frame)
  // The pointers are into a section that is not in the body.
  const refusal = refusalOf(faults.map((fault) => ({ ...fault, pointer: '', detail: `routing: ${fault.detail}` })))
  if (refusal !== undefined) throw refusal
  return change.put.length + change.removed.length === 0 ? plan : { ...plan, routing: change }
}

/** Routing as it will be when the plan is committed. */
export function plannedRouting(
  view: IntentView,
  plan: IntentPlan,
): { readonly of: (site: string) => DocumentRouting | undefined } {
  const parts = new Map(Array.from(view.routing?.parts() ?? [], (part) => [part.id, part]))
  if (plan.routing !== undefined) applyRouting(parts, plan.routing)
  const routing = viewOf(parts)
  if (routing === undefined) return { of: () => undefined }
  const { sites, tunnels } = after(view, plan)
  return compileRouting({ sites: () => sites, tunnels: () => tunnels }, routing)
}

/** The sites and tunnels that there are after `plan`. */
export function after(
  view: IntentView,
  plan: Pick<IntentPlan, 'sites' | 'tunnels' | 'removedSites' | 'removedTunnels'>,
) {
  return {
    sites: merged(view.sites(), plan.sites, plan.removedSites),
    tunnels: merged(view.tunnels(), plan.tunnels, plan.removedTunnels),
  }
}

function merged<T extends { readonly id: string }>(
  before: Iterable<T>,
  put: readonly T[],
  removed: readonly string[],
): T[] {
  const all = new Map(Array.from(before, (item) => [item.id, item]))
  for (const id of removed) all.delete(id)
  for (const item of put) all.set(item.id, item)
  return [...all.values()]
}

/** The section as a draft, without entries of what is gone; names of what is gone are left to be found. */
function draftOf(before: RoutingView, frame: RoutingFrame): RoutingDraft {
  const parts = [...before.parts()]
  return {
    ...before.general,
    sites: parts.flatMap(({ site }) => (site === undefined || frame.site(site.site) === undefined ? [] : site)),
    tunnels: parts.flatMap(({ tunnel }) =>
      tunnel === undefined || frame.tunnel(tunnel.tunnel) === undefined ? [] : tunnel,
    ),
  }
}

function frameOf(before: RoutingView | undefined, { sites, tunnels }: Parts): RoutingFrame {
  const siteRefs = new Map(
    sites.flatMap(
      (site) =>
        [
          [site.id, site],
          [site.name, site],
        ] as const,
    ),
  )
  const tunnelRefs = new Map(
    tunnels.flatMap(
      (tunnel) =>
        [
          [tunnel.id, tunnel],
          [tunnel.name, tunnel],
        ] as const,
    ),
  )
  return { sites, tunnels, site: (ref) => siteRefs.get(ref), tunnel: (ref) => tunnelRefs.get(ref), before }
}
