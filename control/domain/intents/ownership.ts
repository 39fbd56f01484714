/** What sites own and advertise, as their routing says it, with the defaults filled in. */
import type { Site } from '../../../protocol/control/intent.ts'
import type { RoutingSite } from '../../../protocol/control/intent-routing.ts'
import { rangeOf } from '../prefix-index.ts'

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
  const found: string[] = []
  let last = ''
  for (const { prefix, range } of inOrder(prefixes)) {
    if (isDefault(prefix)) {
      if (!found.includes(prefix)) found.push(prefix)
      continue
    }
    if (range.last <= last) continue
    found.push(prefix)
    last = range.last
  }
  return found
}

/** By first address; the larger of two that begin alike comes first. Ranges are texts that sort as addresses do. */
export function inOrder(prefixes: readonly string[]) {
  return prefixes
    .map((prefix) => ({ prefix, range: rangeOf(prefix) }))
    .sort(({ range: one }, { range: other }) =>
      one.first === other.first ? compare(other.last, one.last) : compare(one.first, other.first),
    )
}

/** Finds the one of `owned`, which `largest` gave, that holds a prefix. */
export function holders(owned: readonly string[]): (prefix: string) => string | undefined {
  const ranges = inOrder(owned.filter((prefix) => !isDefault(prefix)))
  return (prefix) => {
    if (isDefault(prefix)) return owned.find((one) => one === prefix)
    const { first, last } = rangeOf(prefix)
    let low = 0
    let high = ranges.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (ranges[middle]!.range.last < first) low = middle + 1
      else high = middle
    }
    const found = ranges[low]
    return found !== undefined && found.range.first <= first && last <= found.range.last ? found.prefix : undefined
  }
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0
}
