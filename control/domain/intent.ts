/** Edits of the intent: what each comes to, or everything that is wrong with it. */

import { sameJson } from '../../protocol/control/canonical.ts'
import type { IntentDraft, Preferences, Site, SiteDraft, Tunnel, TunnelDraft } from '../../protocol/control/intent.ts'
import { prefixFault } from '../../protocol/control/values.ts'
import type { IntentPlan, IntentView } from './intent-index.ts'
import { planReplacement, unclaimed } from './intent-replace.ts'
import { withRouting } from './intents/routing-edit.ts'
import { joinMesh, mustFitMesh } from './mesh.ts'
import { overlaps } from './prefix-index.ts'
import { type CodedFault, pointer, refusalOf, refuse } from './refusal.ts'

export const MAX_SITES = 10_000
export const MAX_TUNNELS = 100_000

export type IntentEdit =
  | { readonly type: 'add-site'; readonly site: SiteDraft }
  | { readonly type: 'change-site'; readonly id: string; readonly site: SiteDraft }
  | { readonly type: 'remove-site'; readonly id: string }
  | { readonly type: 'add-tunnel'; readonly tunnel: TunnelDraft }
  | { readonly type: 'change-tunnel'; readonly id: string; readonly tunnel: TunnelDraft }
  | { readonly type: 'remove-tunnel'; readonly id: string }
  | { readonly type: 'preferences'; readonly preferences: Preferences }
  | { readonly type: 'replace'; readonly intent: IntentDraft }

export interface IntentFacts {
  /** Whether the site has a connector that is not revoked. Asked for each of `sitesRemovedBy`. */
  readonly hasConnector: (site: string) => boolean
  readonly makeId: (kind: 'site' | 'tunnel') => string
}

/**
 * What `edit` comes to, or undefined when it changes nothing. Throws a Refusal that names every fault by a pointer
 * into the draft.
 */
export function planEdit(view: IntentView, edit: IntentEdit, facts: IntentFacts): IntentPlan | undefined {
  if (edit.type === 'replace') return planReplacement(view, edit.intent, facts)
  const plan = planPart(view, edit, facts)
  return plan === undefined ? undefined : withRouting(view, plan)
}

function planPart(view: IntentView, edit: Exclude<IntentEdit, { type: 'replace' }>, facts: IntentFacts) {
  switch (edit.type) {
    case 'add-site':
      return addSite(view, edit.site, facts)
    case 'change-site':
      return changeSite(view, edit.id, edit.site)
    case 'remove-site':
      return removeSite(view, edit.id, facts)
    case 'add-tunnel':
      return addTunnel(view, edit.tunnel, facts)
    case 'change-tunnel':
      return changeTunnel(view, edit.id, edit.tunnel)
    case 'remove-tunnel':
      if (view.tunnel(edit.id) === undefined) throw refuse('not-found', { detail: `there is no tunnel ${edit.id}` })
      return planOf(view, { removedTunnels: [edit.id] })
    case 'preferences':
      return changePreferences(view, edit.preferences)
  }
}

/** The sites that `edit` would remove: whoever calls `planEdit` must know which of them have a connector. */
export function sitesRemovedBy(view: IntentView, edit: IntentEdit): string[] {
  if (edit.type === 'remove-site') return view.site(edit.id) === undefined ? [] : [edit.id]
  if (edit.type !== 'replace') return []
  const claimed = new Set(edit.intent.sites.map(({ id }) => id))
  const kept = new Set(edit.intent.sites.map(({ id, name }) => id ?? unclaimed(view.siteByName(name), claimed)?.id))
  return Array.from(view.sites(), ({ id }) => id).filter((id) => !kept.has(id))
}

/** A plan on `view` that changes what is given. */
export function planOf(view: IntentView, changes: Partial<Omit<IntentPlan, 'version'>>): IntentPlan {
  return { version: view.version + 1, sites: [], tunnels: [], removedSites: [], removedTunnels: [], ...changes }
}

/** Faults of the prefixes of one site by themselves. `at`: where its list of prefixes is. */
export function ownPrefixFaults(prefixes: readonly string[], at: readonly (string | number)[]): CodedFault[] {
  const faults: CodedFault[] = []
  const good = prefixes.flatMap((prefix, index) => {
    const detail = prefixFault(prefix)
    if (detail === undefined) return [{ prefix, site: '', index }]
    faults.push({ pointer: pointer(...at, index), detail: `${prefix}: ${detail}` })
    return []
  })
  for (const { later, earlier } of overlaps(good)) {
    const detail = `${later.prefix} overlaps ${earlier.prefix} of the same site`
    faults.push({ pointer: pointer(...at, later.index), detail, code: 'prefix-overlap' })
  }
  return faults
}

function addSite(view: IntentView, draft: SiteDraft, facts: IntentFacts): IntentPlan {
  throwIf(siteFaults(view, draft, undefined))
  if (view.siteCount >= MAX_SITES) throw refuse('limit-reached', { detail: `a network holds ${MAX_SITES} sites` })
  const site = siteOf(facts.makeId('site'), draft)
  if (view.preferences.topology !== 'mesh') return planOf(view, { sites: [site] })
  mustFitMesh(view.siteCount + 1)
  const taken = (name: string) => view.tunnelByName(name) !== undefined
  return planOf(view, { sites: [site], tunnels: joinMesh(site, view.sites(), taken, facts.makeId) })
}

function changeSite(view: IntentView, id: string, draft: SiteDraft): IntentPlan | undefined {
  const present = view.site(id)
  if (present === undefined) throw refuse('not-found', { detail: `there is no site ${id}` })
  throwIf(siteFaults(view, draft, id))
  const site = siteOf(id, draft)
  return sameValue(site, present) ? undefined : planOf(view, { sites: [site] })
}

function removeSite(view: IntentView, id: string, facts: IntentFacts): IntentPlan {
  const site = view.site(id)
  if (site === undefined) throw refuse('not-found', { detail: `there is no site ${id}` })
  const tunnels = view.tunnelsOf(id)
  if (tunnels.length > 0) {
    const some = tunnels.slice(0, 5).map(({ name }) => name)
    const names = tunnels.length > some.length ? [...some, `${tunnels.length - some.length} more`] : some
    throw refuse('site-in-use', { detail: `${site.name} is an end of ${names.join(', ')}` })
  }
  if (facts.hasConnector(id)) throw refuse('site-in-use', { detail: `${site.name} has a connector` })
  return planOf(view, { removedSites: [id] })
}

function siteFaults(view: IntentView, draft: SiteDraft, self: string | undefined): CodedFault[] {
  const faults: CodedFault[] = []
  const namesake = view.siteByName(draft.name)
  if (namesake !== undefined && namesake.id !== self) {
    faults.push({ pointer: '/name', detail: `another site has the name ${draft.name}`, code: 'duplicate-name' })
  }
  faults.push(...ownPrefixFaults(draft.prefixes, ['prefixes']))
  draft.prefixes.forEach((prefix, index) => {
    const other = prefixFault(prefix) === undefined ? view.overlapping(prefix, self) : undefined
    if (other === undefined) return
    const detail = `${prefix} overlaps ${other.prefix} of ${view.site(other.site)?.name ?? other.site}`
    faults.push({ pointer: pointer('prefixes', index), detail, code: 'prefix-overlap' })
  })
  return faults
}

function addTunnel(view: IntentView, draft: TunnelDraft, facts: IntentFacts): IntentPlan {
  const faults = tunnelFaults(view, draft, undefined)
  const [left, right] = draft.sites
  draft.sites.forEach((site, index) => {
    if (view.site(site) === undefined) {
      faults.push({ pointer: pointer('sites', index), detail: `there is no site ${site}` })
    }
  })
  if (left === right) faults.push({ pointer: '/sites/1', detail: 'a tunnel has two different ends' })
  const other = view.tunnelBetween(left, right)
  if (other !== undefined) {
    faults.push({ pointer: '/sites', detail: `there is a tunnel between these sites: ${other.name}` })
  }
  throwIf(faults)
  if (view.tunnelCount >= MAX_TUNNELS)
    throw refuse('limit-reached', { detail: `a network holds ${MAX_TUNNELS} tunnels` })
  return planOf(view, { tunnels: [tunnelOf(facts.makeId('tunnel'), draft)] })
}

function changeTunnel(view: IntentView, id: string, draft: TunnelDraft): IntentPlan | undefined {
  const present = view.tunnel(id)
  if (present === undefined) throw refuse('not-found', { detail: `there is no tunnel ${id}` })
  const faults = tunnelFaults(view, draft, id)
  if (!sameEnds(draft.sites, present.sites)) faults.push(endsFault('/sites'))
  throwIf(faults)
  const tunnel = tunnelOf(id, draft)
  return sameValue(tunnel, present) ? undefined : planOf(view, { tunnels: [tunnel] })
}

function tunnelFaults(view: IntentView, draft: TunnelDraft, self: string | undefined): CodedFault[] {
  const namesake = view.tunnelByName(draft.name)
  if (namesake === undefined || namesake.id === self) return []
  return [{ pointer: '/name', detail: `another tunnel has the name ${draft.name}`, code: 'duplicate-name' }]
}

/** The ends may change places, which says who initiates. A tunnel with other ends has other keys: it is another one. */
export function endsFault(at: string): CodedFault {
  return { pointer: at, detail: 'the ends of a tunnel stay: remove it, and make another one between the other sites' }
}

function changePreferences(view: IntentView, preferences: Preferences): IntentPlan | undefined {
  if (sameValue(preferences, view.preferences)) return undefined
  if (preferences.topology === 'mesh') mustFitMesh(view.siteCount)
  return planOf(view, { preferences })
}

export function siteOf(id: string, { name, prefixes, endpoint }: SiteDraft): Site {
  return { id, name, prefixes, ...(endpoint === undefined ? {} : { endpoint }) }
}

export function tunnelOf(id: string, { name, sites, pathMtu }: TunnelDraft): Tunnel {
  return { id, name, sites, ...(pathMtu === undefined ? {} : { pathMtu }) }
}

export function sameEnds(left: readonly [string, string], right: readonly [string, string]): boolean {
  return (left[0] === right[0] && left[1] === right[1]) || (left[0] === right[1] && left[1] === right[0])
}

export function sameValue(left: unknown, right: unknown): boolean {
  return sameJson(left, right)
}

function throwIf(faults: readonly CodedFault[]): void {
  const refusal = refusalOf(faults)
  if (refusal !== undefined) throw refusal
}
