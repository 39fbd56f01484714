/** From one version of an intent to another: what changes, and which sites have something to do for it. */
import type { Intent } from '../../../protocol/control/intent.ts'
import { planOf, sameValue } from '../intent.ts'
import type { IntentPlan, IntentView } from '../intent-index.ts'
import { refuse } from '../refusal.ts'
import { partsOf } from './routing-view.ts'
import { changeTo } from './take-routing.ts'

/**
 * What makes `wanted`, an earlier version, the newest again, with the identifiers that it has; undefined when it is
 * just that. Throws a Refusal when a site would go that has a connector.
 */
export function planBack(
  view: IntentView,
  wanted: Intent,
  hasConnector: (site: string) => boolean,
): IntentPlan | undefined {
  const sites = new Map(wanted.sites.map((site) => [site.id, site]))
  const tunnels = new Map(wanted.tunnels.map((tunnel) => [tunnel.id, tunnel]))
  const removedSites = Array.from(view.sites(), ({ id }) => id).filter((id) => !sites.has(id))
  const used = removedSites.filter(hasConnector).map((id) => view.site(id)?.name ?? id)
  if (used.length > 0) {
    const detail = `version ${wanted.version} is without sites that have a connector: ${used.join(', ')}`
    throw refuse('site-in-use', { detail, remedy: 'Revoke their connectors first.' })
  }
  const routing = changeTo(partsOf(wanted), view.routing)
  const changes = {
    sites: wanted.sites.filter((site) => !sameValue(site, view.site(site.id))),
    tunnels: wanted.tunnels.filter((tunnel) => !sameValue(tunnel, view.tunnel(tunnel.id))),
    removedSites,
    removedTunnels: Array.from(view.tunnels(), ({ id }) => id).filter((id) => !tunnels.has(id)),
    ...(sameValue(wanted.preferences, view.preferences) ? {} : { preferences: wanted.preferences }),
    ...(routing.put.length + routing.removed.length === 0 ? {} : { routing }),
  }
  const none = [changes.sites, changes.tunnels, changes.removedSites, changes.removedTunnels].every(
    (list) => list.length === 0,
  )
  return none && changes.preferences === undefined && changes.routing === undefined ? undefined : planOf(view, changes)
}

/**
 * The sites that have something of their own to change: what only their peers are told of them is not theirs.
 * `before` is the intent that the plan was made on. `connected`: the site has a connector; a new tunnel to one that
 * has none changes nothing yet.
 */
export function concernedSites(
  before: Pick<IntentView, 'tunnel'>,
  plan: IntentPlan,
  connected: (site: string) => boolean,
): Set<string> {
  const concerned = new Set(plan.sites.map(({ id }) => id))
  for (const { id, sites } of plan.tunnels) {
    if (before.tunnel(id) === undefined && !sites.every(connected)) continue
    for (const site of sites) concerned.add(site)
  }
  for (const id of plan.removedTunnels) for (const site of before.tunnel(id)?.sites ?? []) concerned.add(site)
  return new Set([...concerned].filter(connected))
}

export interface Concerned {
  readonly site: string
  readonly name: string
  readonly tunnels: number
}

/**
 * The order in which they get the target: the canary, then those with the fewest tunnels, so that a hub comes last.
 * `canary`: the name or id of one that was chosen. Throws a Refusal when it is not among them.
 */
export function rolloutOrder(concerned: readonly Concerned[], canary?: string): Pick<Concerned, 'site' | 'name'>[] {
  const sorted = [...concerned].sort((left, right) => left.tunnels - right.tunnels || (left.name < right.name ? -1 : 1))
  if (canary !== undefined) {
    const at = sorted.findIndex(({ site, name }) => site === canary || name === canary)
    if (at < 0) {
      const names = sorted.slice(0, 12).map(({ name }) => name)
      const detail = `${canary} is none of the sites that have something to do: ${names.join(', ') || 'none'}`
      throw refuse('invalid-request', { detail, errors: [{ pointer: '/canary', detail }] })
    }
    sorted.unshift(...sorted.splice(at, 1))
  }
  return sorted.map(({ site, name }) => ({ site, name }))
}
