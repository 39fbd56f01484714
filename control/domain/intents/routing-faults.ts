/** What is wrong with who owns and advertises what, and with hubs. Pointers are into a draft of the whole intent. */

import { isMartian } from '../../../connector/core/bgp/rib/martians.ts'
import { blockOf } from '../../../connector/core/bgp/wire/prefixes.ts'
import type { Site } from '../../../protocol/control/intent.ts'
import type { RoutingSite } from '../../../protocol/control/intent-routing.ts'
import type { Prefix } from '../../../protocol/net.ts'
import { overlaps } from '../prefix-index.ts'
import { type CodedFault, pointer } from '../refusal.ts'
import { holders, isDefault, ownedBy } from './ownership.ts'
import type { RoutingFrame } from './take-routing.ts'

/** Of one document (`protocol/control/routing.ts`). */
const MAX_ADVERTISED = 10_000
/** Distinct lists of receivers in one network: each is a group that every hub's document has. */
const MAX_AUDIENCES = 900

type Path = readonly (string | number)[]

/** `routing`: an entry for every site. `at`: where a site's entry is in the draft, for those that have one there. */
export function routingFaults(
  frame: RoutingFrame,
  routing: ReadonlyMap<string, RoutingSite>,
  at: ReadonlyMap<string, number>,
): CodedFault[] {
  const faults: CodedFault[] = []
  const audiences = new Set<string>()
  const neighbours = neighboursOf(frame)
  for (const site of frame.sites) {
    const entry = routing.get(site.id)!
    const index = at.get(site.id)
    const path: Path = index === undefined ? ['routing', 'sites'] : ['routing', 'sites', index]
    ownFaults(site, entry, path, faults)
    advertisedFaults(site, entry, path, faults)
    hubFaults(frame, routing, entry, neighbours.get(site.id) ?? new Set(), path, faults)
    for (const { to } of entry.advertises ?? []) audiences.add(to === 'all' ? to : [...to].sort().join())
  }
  if (audiences.size > MAX_AUDIENCES) {
    const detail = `prefixes are told of to ${audiences.size} different sets of sites; ${MAX_AUDIENCES} are what fits`
    faults.push({ pointer: '/routing/sites', detail, code: 'limit-reached' })
  }
  faults.push(...ownershipOverlaps(frame.sites, routing, at))
  return faults
}

function ownFaults({ prefixes }: Site, { owns = [] }: RoutingSite, path: Path, faults: CodedFault[]): void {
  owns.forEach((prefix, i) => {
    if (martian(prefix))
      faults.push({ pointer: pointer(...path, 'owns', i), detail: `${prefix} is nobody's to announce` })
  })
  for (const prefix of prefixes) {
    if (martian(prefix))
      faults.push({ pointer: pointer(...path), detail: `${prefix} of the site is nobody's to announce` })
  }
}

function advertisedFaults(site: Site, entry: RoutingSite, path: Path, faults: CodedFault[]): void {
  if (entry.advertises === undefined) return
  const owned = ownedBy(site, entry)
  const holderOf = holders(owned)
  const seen = new Set<string>()
  entry.advertises.forEach(({ prefixes }, i) => {
    prefixes.forEach((prefix, j) => {
      const where = () => pointer(...path, 'advertises', i, 'prefixes', j)
      if (seen.has(prefix)) faults.push({ pointer: where(), detail: `${prefix} is advertised twice` })
      else if (holderOf(prefix) === undefined) {
        faults.push({ pointer: where(), detail: `${prefix} is not within what ${site.name} owns: ${some(owned)}` })
      }
      seen.add(prefix)
    })
  })
  if (seen.size <= MAX_ADVERTISED) return
  const detail = `${site.name} advertises ${seen.size} prefixes; ${MAX_ADVERTISED} are what fits`
  faults.push({ pointer: pointer(...path, 'advertises'), detail, code: 'limit-reached' })
}

function hubFaults(
  frame: RoutingFrame,
  routing: ReadonlyMap<string, RoutingSite>,
  { site: id, hub, through = [] }: RoutingSite,
  neighbours: ReadonlySet<string>,
  path: Path,
  faults: CodedFault[],
): void {
  const self = frame.site(id)!
  if (hub === true && neighbours.size === 0) {
    faults.push({ pointer: pointer(...path, 'hub'), detail: `${self.name} is a hub without tunnels` })
  }
  if (hub === true && through.length > 0) {
    const detail = 'a hub has no order of hubs: say backup of a tunnel instead'
    faults.push({ pointer: pointer(...path, 'through'), detail })
  }
  through.forEach((ref, i) => {
    const { name } = frame.site(ref)!
    const detail = routing.get(ref)?.hub !== true ? `${name} is not a hub` : `${self.name} has no tunnel with ${name}`
    const good = ref !== id && routing.get(ref)?.hub === true && neighbours.has(ref)
    if (!good) faults.push({ pointer: pointer(...path, 'through', i), detail })
    else if (through.indexOf(ref) < i) {
      faults.push({ pointer: pointer(...path, 'through', i), detail: `${name} is named twice` })
    }
  })
}

/** Prefixes that two sites own. Those of `sites` among themselves have been compared where the sites were read. */
function ownershipOverlaps(
  sites: readonly Site[],
  routing: ReadonlyMap<string, RoutingSite>,
  at: ReadonlyMap<string, number>,
): CodedFault[] {
  const placed = sites.flatMap((site, place) => {
    const entry = routing.get(site.id)!
    return ownedBy(site, entry).map((prefix) => {
      const own = site.prefixes.indexOf(prefix)
      const isExtra = own < 0
      const index = at.get(site.id)
      const where: Path = isExtra
        ? ['routing', 'sites', index ?? '', 'owns', entry.owns!.indexOf(prefix)]
        : ['sites', place, 'prefixes', own]
      return { prefix, site: site.name, isExtra, where }
    })
  })
  const defaults = placed.filter(({ prefix }) => isDefault(prefix))
  const rest = placed.filter(({ prefix }) => !isDefault(prefix))
  const pairs = [...overlaps(rest), ...overlaps(defaults)].filter(
    ({ later, earlier }) => later.isExtra || earlier.isExtra,
  )
  return pairs.map(({ later, earlier }) => ({
    pointer: pointer(...later.where),
    detail: `${later.prefix} of ${later.site} overlaps ${earlier.prefix}, which ${earlier.site} owns`,
    code: 'prefix-overlap',
  }))
}

/** The sites at the other ends of each site's tunnels. */
export function neighboursOf({ tunnels }: Pick<RoutingFrame, 'tunnels'>): ReadonlyMap<string, ReadonlySet<string>> {
  const neighbours = new Map<string, Set<string>>()
  for (const { sites } of tunnels) {
    for (const [self, other] of [sites, sites.toReversed()]) {
      neighbours.set(self!, (neighbours.get(self!) ?? new Set()).add(other!))
    }
  }
  return neighbours
}

function martian(prefix: string): boolean {
  return isMartian(blockOf(prefix.includes(':') ? 6 : 4, [prefix as Prefix]), 0)
}

function some(prefixes: readonly string[]): string {
  return prefixes.length <= 4
    ? prefixes.join(', ')
    : `${prefixes.slice(0, 4).join(', ')} and ${prefixes.length - 4} more`
}
