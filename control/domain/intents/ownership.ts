/** What sites own and advertise, as their routing says it, with the defaults filled in. */
import type { Site } from '../../../protocol/control/intent.ts'
import type { RoutingSite } from '../../../protocol/control/intent-routing.ts'
import { endsBefore, holds, parsedPrefix, type SortedPrefix, sortedPrefixes } from './sorted-prefixes.ts'

/** Prefixes that a site tells of, to the same receivers. */
export interface AdvertisedSet {
  readonly prefixes: readonly string[]
  /** Identifiers of sites, sorted. */
  readonly to: 'all' | readonly string[]
}

/** The largest prefixes that the site owns; none lies within another, but for default routes, which stand by themselves. */
export function ownedBy(site: Pick<Site, 'prefixes'>, routing: Pick<RoutingSite, 'owns'> | undefined): string[] {
  return largest([...(routing?.owns ?? []), ...site.prefixes])
}

export function advertisedBy(
  site: Pick<Site, 'prefixes'>,
  routing: Pick<RoutingSite, 'owns' | 'advertises'> | undefined,
): AdvertisedSet[] {
  if (routing?.advertises === undefined) return [{ prefixes: ownedBy(site, routing), to: 'all' }]
  return routing.advertises.map(({ prefixes, to }) => ({ prefixes, to: to === 'all' ? to : [...new Set(to)].sort() }))
}

/** 0.0.0.0/0 and ::/0: not a part of anything, and nothing is a part of them. */
export function isDefault(prefix: string): boolean {
  return prefix.endsWith('/0')
}

/** Those that no other one holds, each once, in the order of their addresses. */
export function largest(prefixes: readonly string[]): string[] {
  if (prefixes.length === 1) return [...prefixes]
  const found: SortedPrefix[] = []
  for (const item of inOrder(prefixes)) {
    const last = found.findLast(({ bits }) => bits > 0)
    if (item.bits > 0 ? last !== undefined && holds(last, item) : found.some(({ prefix }) => prefix === item.prefix))
      continue
    found.push(item)
  }
  return found.map(({ prefix }) => prefix)
}

/** Finds the one of `owned`, which `largest` gave, that holds a prefix. */
export function holders(owned: readonly string[]): (prefix: string) => string | undefined {
  const ranges = inOrder(owned.filter((prefix) => !isDefault(prefix)))
  return (prefix) => {
    if (isDefault(prefix)) return owned.find((one) => one === prefix)
    const wanted = parsedPrefix(prefix, 0)
    let low = 0
    let high = ranges.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (endsBefore(ranges[middle]!, wanted)) low = middle + 1
      else high = middle
    }
    const found = ranges[low]
    return found !== undefined && holds(found, wanted) ? found.prefix : undefined
  }
}

function inOrder(prefixes: readonly string[]): SortedPrefix[] {
  return sortedPrefixes(prefixes.map((prefix) => ({ prefix, owner: 0 })))
}
