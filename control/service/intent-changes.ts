/** A change of the intent, written into the batch of a decision, and what follows from it for what hangs on the parts. */
import type { Site, Tunnel } from '../../protocol/control/intent.ts'
import type { IntentFacts } from '../domain/intent.ts'
import type { IntentPlan, IntentView } from '../domain/intent-index.ts'
import type { Kind } from '../store/repo.ts'
import type { Documents } from './documents.ts'
import { forgetSites } from './functions.ts'
import type { Rotating } from './rotating.ts'
import { freshId } from './support.ts'
import type { Context } from './types.ts'
import type { Work } from './work.ts'

/** What planning needs to know of the world. `removed`: sites that may go. */
export async function factsFor(
  context: Context,
  documents: Documents,
  work: Work,
  removed: Iterable<string>,
): Promise<IntentFacts> {
  const occupied = new Set<string>()
  for (const site of removed) {
    const connected = (await documents.connectorOf(work, site)) !== undefined
    if (connected || (await context.repo.count(work.network, 'cloud', site)) > 0) occupied.add(site)
  }
  return { hasConnector: (site) => occupied.has(site), makeId: (kind) => freshId(context, kind) }
}

/** The new version with its parts. */
export async function storePlan(
  work: Work,
  view: Pick<IntentView, 'site' | 'tunnel' | 'routing'>,
  plan: IntentPlan,
  by: { readonly at: number; readonly actor: string },
): Promise<void> {
  work.setIntent({ version: plan.version, ...by })
  const put = async (kind: 'site' | 'tunnel', value: Site | Tunnel, there: boolean) => {
    if (there) await work.put(kind, value as Site & Tunnel)
    else work.create(kind, value as Site & Tunnel)
  }
  for (const site of plan.sites) await put('site', site, view.site(site.id) !== undefined)
  for (const tunnel of plan.tunnels) await put('tunnel', tunnel, view.tunnel(tunnel.id) !== undefined)
  for (const id of plan.removedSites) await work.remove('site' satisfies Kind, id)
  for (const id of plan.removedTunnels) await work.remove('tunnel' satisfies Kind, id)
  const known = new Set(Array.from(view.routing?.parts() ?? [], ({ id }) => id))
  for (const part of plan.routing?.put ?? []) {
    if (known.has(part.id)) await work.put('routing', part)
    else work.create('routing', part)
  }
  for (const id of plan.routing?.removed ?? []) await work.remove('routing' satisfies Kind, id)
  if (plan.preferences === undefined) return
  await work.put('network', { ...(await work.mustGet('network', work.network)), preferences: plan.preferences })
}

/** Keys, join tokens and permissions of what is gone. */
export async function forgetParts(
  context: Context,
  rotating: Rotating,
  work: Work,
  gone: { readonly sites: readonly string[]; readonly tunnels: readonly string[] },
): Promise<void> {
  for (const id of gone.tunnels) await rotating.forget(work, id, 'the tunnel was removed')
  for (const id of gone.sites) await revokeJoins(context, work, id)
  await forgetSites(context, work, new Set(gone.sites))
}

/** A token for a site that is gone would only fail later, in front of whoever joins. */
async function revokeJoins({ repo, clock }: Context, work: Work, site: string): Promise<void> {
  for (const { value } of await repo.list(work.network, 'join', { ref: site, limit: 1000 })) {
    if (value.usedAt === undefined && value.revokedAt === undefined)
      await work.put('join', { ...value, revokedAt: clock() })
  }
}

/** Which parts of the whole have changed; the versions themselves are kept. */
export function summaryOf(plan: IntentPlan): object {
  return {
    version: plan.version,
    sites: plan.sites.map(({ id }) => id),
    tunnels: plan.tunnels.map(({ id }) => id),
    removedSites: plan.removedSites,
    removedTunnels: plan.removedTunnels,
    ...(plan.preferences === undefined ? {} : { preferences: plan.preferences }),
    ...(plan.routing === undefined ? {} : { routing: routingSummary(plan.routing) }),
  }
}

/** Which entries have changed, as far as one event of the log has room. */
function routingSummary({ put, removed }: NonNullable<IntentPlan['routing']>): object {
  return { changed: put.map(({ id }) => id).slice(0, 1000), removed: removed.slice(0, 1000) }
}
