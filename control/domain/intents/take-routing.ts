/** From the routing section of a draft to its parts, with a number for every site and tunnel; or all that is wrong. */

import { sameJson } from '../../../protocol/control/canonical.ts'
import type { Site, Tunnel } from '../../../protocol/control/intent.ts'
import type { RoutingDraft, RoutingSite, RoutingTunnel } from '../../../protocol/control/intent-routing.ts'
import { MAX_SITE_NUMBER } from '../../../protocol/control/intent-routing.ts'
import { type CodedFault, pointer } from '../refusal.ts'
import { MAX_NUMBERED_TUNNELS, numbered } from './numbers.ts'
import { routingFaults } from './routing-faults.ts'
import { GENERAL, type RoutingChange, type RoutingPart, type RoutingView } from './routing-view.ts'

/** The intent that the section belongs to, as it is to be. */
export interface RoutingFrame {
  readonly sites: readonly Site[]
  readonly tunnels: readonly Tunnel[]
  /** By name or identifier. */
  readonly site: (ref: string) => Site | undefined
  readonly tunnel: (ref: string) => Tunnel | undefined
  readonly before: RoutingView | undefined
}

export interface TakenRouting {
  readonly change: RoutingChange
  readonly faults: readonly CodedFault[]
}

/** `at`: where the section is in the body; its entries, and those of `sites`, are in the draft's order. */
export function takeRouting(draft: RoutingDraft, frame: RoutingFrame): TakenRouting {
  const faults: CodedFault[] = []
  const names = namesOf(draft, frame, faults)
  const siteNumbers = numbered(
    frame.sites.map(({ id }) => id),
    numbersOf(frame.before, ({ site }) => site),
    MAX_SITE_NUMBER + 1,
  )
  const tunnelNumbers = numbered(
    frame.tunnels.map(({ id }) => id),
    numbersOf(frame.before, ({ tunnel }) => tunnel),
    MAX_NUMBERED_TUNNELS,
  )
  if (tunnelNumbers.size < frame.tunnels.length) {
    const detail = `routing has addresses for ${MAX_NUMBERED_TUNNELS} tunnels, and these are ${frame.tunnels.length}`
    faults.push({ pointer: '/tunnels', detail, code: 'limit-reached' })
  }
  const sites = frame.sites.map((site): RoutingSite => {
    const { site: _, number: __, ...rest } = names.sites.get(site.id) ?? { site: '' }
    return { site: site.id, ...rest, number: siteNumbers.get(site.id)! }
  })
  const tunnels = frame.tunnels.map((tunnel): RoutingTunnel => {
    const { tunnel: _, number: __, ...rest } = names.tunnels.get(tunnel.id) ?? { tunnel: '' }
    return { tunnel: tunnel.id, ...rest, number: tunnelNumbers.get(tunnel.id) ?? 0 }
  })
  faults.push(...routingFaults(frame, new Map(sites.map((site) => [site.site, site])), names.at))
  const { maxPrefixes, bfd } = draft
  const parts: RoutingPart[] = [
    { id: GENERAL, general: { maxPrefixes, bfd } },
    ...sites.map((site) => ({ id: site.site, site })),
    ...tunnels.map((tunnel) => ({ id: tunnel.tunnel, tunnel })),
  ]
  return { change: changeTo(parts, frame.before), faults }
}

/** What leads from the parts that there are to `parts`. */
export function changeTo(parts: readonly RoutingPart[], before: RoutingView | undefined): RoutingChange {
  const present = new Map(Array.from(before?.parts() ?? [], (part) => [part.id, part]))
  const kept = new Set(parts.map(({ id }) => id))
  return {
    put: parts.filter((part) => !sameJson(part, present.get(part.id))),
    removed: [...present.keys()].filter((id) => !kept.has(id)),
  }
}

interface Names {
  readonly sites: Map<string, RoutingDraft['sites'][number]>
  readonly tunnels: Map<string, RoutingDraft['tunnels'][number]>
  /** Where the entry of a site is in the list. */
  readonly at: Map<string, number>
}

/** The entries by identifier, with all references made identifiers. */
function namesOf(draft: RoutingDraft, frame: RoutingFrame, faults: CodedFault[]): Names {
  const names: Names = { sites: new Map(), tunnels: new Map(), at: new Map() }
  const known = (ref: string, ...at: (string | number)[]): string[] => {
    const site = frame.site(ref)
    if (site === undefined)
      faults.push({ pointer: pointer('routing', 'sites', ...at), detail: `there is no site ${ref}` })
    return site === undefined ? [] : [site.id]
  }
  draft.sites.forEach((entry, index) => {
    const [id] = known(entry.site, index, 'site')
    const through = entry.through?.flatMap((ref, i) => known(ref, index, 'through', i))
    const advertises = entry.advertises?.map(({ prefixes, to }, i) => ({
      prefixes,
      to: to === 'all' ? to : to.flatMap((ref, j) => known(ref, index, 'advertises', i, 'to', j)),
    }))
    if (id === undefined || twice(names.sites, id, entry.site, ['sites', index, 'site'], faults)) return
    names.at.set(id, index)
    names.sites.set(id, { ...entry, ...(through && { through }), ...(advertises && { advertises }) })
  })
  draft.tunnels.forEach((entry, index) => {
    const at = ['tunnels', index, 'tunnel'] as const
    const tunnel = frame.tunnel(entry.tunnel)
    if (tunnel === undefined) {
      faults.push({ pointer: pointer('routing', ...at), detail: `there is no tunnel ${entry.tunnel}` })
    } else if (!twice(names.tunnels, tunnel.id, entry.tunnel, at, faults)) names.tunnels.set(tunnel.id, entry)
  })
  return names
}

function twice(
  seen: ReadonlyMap<string, unknown>,
  id: string,
  ref: string,
  at: readonly (string | number)[],
  faults: CodedFault[],
): boolean {
  if (!seen.has(id)) return false
  faults.push({ pointer: pointer('routing', ...at), detail: `${ref} has an entry already` })
  return true
}

function numbersOf(
  before: RoutingView | undefined,
  pick: (part: RoutingPart) => { readonly number: number } | undefined,
): ReadonlyMap<string, number> {
  const numbers = new Map<string, number>()
  for (const part of before?.parts() ?? []) {
    const picked = pick(part)
    if (picked !== undefined) numbers.set(part.id, picked.number)
  }
  return numbers
}
