/** Replacing the whole intent: what is listed is what there is, compared with what was there. */
import type { IntentDraft, Site, Tunnel } from '../../protocol/control/intent.ts'
import { prefixFault } from '../../protocol/control/values.ts'
import {
  endsFault,
  type IntentFacts,
  ownPrefixFaults,
  planOf,
  sameEnds,
  sameValue,
  siteOf,
  tunnelOf,
} from './intent.ts'
import { type IntentPlan, type IntentView, pairOf } from './intent-index.ts'
import { replacedRouting } from './intents/routing-edit.ts'
import type { RoutingChange } from './intents/routing-view.ts'
import { joinMesh, MAX_MESH_SITES, mustFitMesh } from './mesh.ts'
import { overlaps } from './prefix-index.ts'
import { type CodedFault, pointer, refusalOf, refuse } from './refusal.ts'

/** One replacement under way: what its draft names, and what is wrong with it. */
interface Draft {
  readonly view: IntentView
  readonly facts: IntentFacts
  readonly faults: CodedFault[]
  readonly sites: Site[]
  /** By name and by identifier. */
  readonly refs: Map<string, Site>
  readonly fresh: Site[]
}

export function planReplacement(view: IntentView, intent: IntentDraft, facts: IntentFacts): IntentPlan | undefined {
  if (intent.version !== undefined && intent.version !== view.version) {
    const detail = `it was made from version ${intent.version}, and the newest is ${view.version}`
    throw refuse('stale', { detail, errors: [{ pointer: '/version', detail }] })
  }
  const draft: Draft = { view, facts, faults: [], sites: [], refs: new Map(), fresh: [] }
  takeSites(draft, intent)
  const tunnels = takeTunnels(draft, intent)
  const isGood = draft.faults.length === 0
  // Also of a faulty draft, whose routing may name them.
  if (intent.preferences.topology === 'mesh' && (isGood || draft.sites.length <= MAX_MESH_SITES)) {
    const wasMesh = view.preferences.topology === 'mesh'
    if (!wasMesh || draft.fresh.length > 0) mustFitMesh(draft.sites.length)
    tunnels.push(...meshTunnels(draft, tunnels))
  }
  const { change, faults } = replacedRouting(view, intent.routing, { sites: draft.sites, tunnels })
  const refusal = refusalOf([...draft.faults, ...faults])
  if (refusal !== undefined) throw refusal
  return differences(draft, intent, tunnels, goneSites(draft), change)
}

function takeSites(draft: Draft, intent: IntentDraft): void {
  const { view, faults, refs } = draft
  const claimed = new Set(intent.sites.map(({ id }) => id))
  const names = new Map<string, number>()
  const ids = new Map<string, number>()
  const placed: { prefix: string; site: string; at: readonly [number, number] }[] = []
  intent.sites.forEach((given, index) => {
    const { id } = given
    if (id !== undefined && view.site(id) === undefined) {
      const detail = `there is no site ${id}: leave the id out to make a new one`
      faults.push({ pointer: pointer('sites', index, 'id'), detail })
    }
    const known = id === undefined ? unclaimed(view.siteByName(given.name), claimed) : view.site(id)
    const site = siteOf(known?.id ?? draft.facts.makeId('site'), given)
    if (twice(draft, names, site.name, index, ['sites', index, 'name'], 'site')) return
    if (twice(draft, ids, site.id, index, ['sites', index, 'id'], 'site')) return
    if (known === undefined) draft.fresh.push(site)
    draft.sites.push(site)
    refs.set(site.name, site).set(site.id, site)
    const own = ownPrefixFaults(site.prefixes, ['sites', index, 'prefixes'])
    faults.push(...own)
    if (own.length > 0) return
    site.prefixes.forEach((prefix, at) => {
      if (prefixFault(prefix) === undefined) placed.push({ prefix, site: site.name, at: [index, at] })
    })
  })
  for (const { later, earlier } of overlaps(placed)) {
    const detail = `${later.prefix} overlaps ${earlier.prefix} of ${earlier.site}`
    faults.push({ pointer: pointer('sites', later.at[0], 'prefixes', later.at[1]), detail, code: 'prefix-overlap' })
  }
}

function takeTunnels(draft: Draft, intent: IntentDraft): Tunnel[] {
  const { view, faults } = draft
  const claimed = new Set(intent.tunnels.map(({ id }) => id))
  const names = new Map<string, number>()
  const ids = new Map<string, number>()
  const pairs = new Map<string, string>()
  const tunnels: Tunnel[] = []
  intent.tunnels.forEach((given, index) => {
    const sites = endsOf(draft, given.sites, index)
    const known = given.id === undefined ? unclaimed(view.tunnelByName(given.name), claimed) : view.tunnel(given.id)
    if (given.id !== undefined && known === undefined) {
      const detail = `there is no tunnel ${given.id}: leave the id out to make a new one`
      faults.push({ pointer: pointer('tunnels', index, 'id'), detail })
    }
    const id = known?.id ?? draft.facts.makeId('tunnel')
    const repeated =
      twice(draft, names, given.name, index, ['tunnels', index, 'name'], 'tunnel') ||
      twice(draft, ids, id, index, ['tunnels', index, 'id'], 'tunnel')
    if (sites === undefined || repeated) return
    if (known !== undefined && !sameEnds(sites, known.sites)) faults.push(endsFault(pointer('tunnels', index, 'sites')))
    const pair = pairOf(...sites)
    const other = pairs.get(pair)
    if (other !== undefined) {
      const detail = `there is a tunnel between these sites: ${other}`
      faults.push({ pointer: pointer('tunnels', index, 'sites'), detail })
    }
    pairs.set(pair, given.name)
    tunnels.push(tunnelOf(id, { ...given, sites }))
  })
  return tunnels
}

/** What has the name of an entry without an id is meant by it, unless another entry has its id and renames it. */
export function unclaimed<T extends { id: string }>(
  named: T | undefined,
  claimed: ReadonlySet<string | undefined>,
): T | undefined {
  return named === undefined || claimed.has(named.id) ? undefined : named
}

function endsOf(draft: Draft, refs: readonly [string, string], index: number): [string, string] | undefined {
  const [left, right] = refs.map((ref, end) => {
    const site = draft.refs.get(ref)
    if (site !== undefined) return site.id
    draft.faults.push({ pointer: pointer('tunnels', index, 'sites', end), detail: `there is no site ${ref}` })
    return undefined
  })
  if (left === undefined || right === undefined) return undefined
  if (left !== right) return [left, right]
  draft.faults.push({ pointer: pointer('tunnels', index, 'sites', 1), detail: 'a tunnel has two different ends' })
  return undefined
}

/** Whether `key` was there before; then that is a fault. */
function twice(
  draft: Draft,
  seen: Map<string, number>,
  key: string,
  index: number,
  at: readonly (string | number)[],
  kind: string,
): boolean {
  const first = seen.get(key)
  if (first === undefined) {
    seen.set(key, index)
    return false
  }
  const detail = `${key} is the ${at.at(-1)} of entry ${first} already: a ${kind} is listed once`
  draft.faults.push({ pointer: pointer(...at), detail, ...(at.at(-1) === 'name' ? { code: 'duplicate-name' } : {}) })
  return true
}

function goneSites({ view, sites, facts }: Draft): string[] {
  const kept = new Set(sites.map(({ id }) => id))
  const gone = Array.from(view.sites()).filter(({ id }) => !kept.has(id))
  const used = gone.filter(({ id }) => facts.hasConnector(id)).map(({ name }) => name)
  if (used.length > 0) {
    const errors = used.map((name) => ({ pointer: '/sites', detail: `${name} is not listed, but has a connector` }))
    const remedy = 'Revoke the connectors of the sites that are to go, or list those sites.'
    throw refuse('site-in-use', { detail: `to be removed, but with a connector: ${used.join(', ')}`, remedy, errors })
  }
  return gone.map(({ id }) => id)
}

/** For each new site, the tunnels that were not listed. */
function meshTunnels({ sites, fresh, facts, view }: Draft, listed: readonly Tunnel[]): Tunnel[] {
  const pairs = new Set(listed.map((tunnel) => pairOf(...tunnel.sites)))
  const names = new Set(listed.map((tunnel) => tunnel.name))
  const made: Tunnel[] = []
  for (const site of fresh) {
    // Of two new ones, the one listed first comes first.
    const before = sites.indexOf(site)
    const others = sites.filter(
      (other, at) => at !== before && (at < before || !fresh.includes(other)) && !pairs.has(pairOf(other.id, site.id)),
    )
    const taken = (name: string) => names.has(name) || view.tunnelByName(name) !== undefined
    for (const tunnel of joinMesh(site, others, taken, facts.makeId)) {
      pairs.add(pairOf(...tunnel.sites))
      names.add(tunnel.name)
      made.push(tunnel)
    }
  }
  return made
}

function differences(
  { view, sites }: Draft,
  { preferences }: IntentDraft,
  tunnels: readonly Tunnel[],
  removedSites: readonly string[],
  routing: RoutingChange | undefined,
): IntentPlan | undefined {
  const kept = new Set(tunnels.map(({ id }) => id))
  const changes = {
    sites: sites.filter((site) => !sameValue(site, view.site(site.id))),
    tunnels: tunnels.filter((tunnel) => !sameValue(tunnel, view.tunnel(tunnel.id))),
    removedSites,
    removedTunnels: Array.from(view.tunnels(), ({ id }) => id).filter((id) => !kept.has(id)),
    ...(sameValue(preferences, view.preferences) ? {} : { preferences }),
    ...(routing === undefined ? {} : { routing }),
  }
  const none =
    [changes.sites, changes.tunnels, changes.removedSites, changes.removedTunnels].every((list) => list.length === 0) &&
    !('preferences' in changes || 'routing' in changes)
  return none ? undefined : planOf(view, changes)
}
