/**
 * Prefixes that nobody in the network tells apart: of one owner, in the same groups of all documents, within the same
 * other prefixes. What becomes of one of them becomes of all, so that a plan works on classes, not on prefixes.
 */
import type { RouteGroup } from '../../../protocol/control/routing.ts'
import { holds, type SortedPrefix, sortedPrefixes } from './sorted-prefixes.ts'

export interface ClassSite {
  readonly as: number
  readonly advertise: readonly string[]
}

export interface PrefixClass {
  readonly id: number
  /** Index of the site. */
  readonly owner: number
  readonly prefixes: string[]
  /** Of IPv4; the others are of IPv6. */
  four: number
  /** The class of the prefixes that hold these and are of another class; -1: none. */
  readonly cover: number
}

export interface Classes {
  readonly all: readonly PrefixClass[]
  /** Of a prefix that is advertised. */
  readonly of: ReadonlyMap<string, PrefixClass>
  /** By group, the classes that it has. */
  readonly inGroup: ReadonlyMap<RouteGroup, ReadonlySet<number>>
  readonly sorted: readonly SortedPrefix[]
  /** Prefixes of two owners that share addresses, but for default routes. */
  readonly overlaps: readonly { readonly inner: SortedPrefix; readonly outer: SortedPrefix }[]
}

/** Matches prefixes of one origin. */
interface Matcher {
  readonly group: RouteGroup
  readonly number: number
  readonly exact: ReadonlySet<string>
  readonly wide: readonly { readonly range: SortedPrefix; readonly le: number }[]
}

export function classesOf(sites: readonly ClassSite[], groups: Iterable<RouteGroup>): Classes {
  const matchers = matchersOf(groups)
  const sorted = sortedPrefixes(sites.flatMap(({ advertise }, owner) => advertise.map((prefix) => ({ prefix, owner }))))
  const all: PrefixClass[] = []
  const byKey = new Map<string, PrefixClass>()
  const of = new Map<string, PrefixClass>()
  const inGroup = new Map<RouteGroup, Set<number>>()
  const overlaps: { inner: SortedPrefix; outer: SortedPrefix }[] = []
  const open: { readonly item: SortedPrefix; readonly signature: string; readonly class: PrefixClass }[] = []
  for (const item of sorted) {
    while (open.length > 0 && !holds(open.at(-1)!.item, item)) open.pop()
    const outer = open.at(-1)
    if (outer !== undefined && outer.item.owner !== item.owner && outer.item.bits > 0) {
      overlaps.push({ inner: item, outer: outer.item })
    }
    const matched = item.isMartian
      ? []
      : (matchers.get(sites[item.owner]!.as) ?? []).filter((one) => matches(one, item))
    const signature = `${item.owner}:${matched.map(({ number }) => number).join()}`
    const cover = outer === undefined ? -1 : outer.signature === signature ? outer.class.cover : outer.class.id
    const key = `${signature}:${cover}`
    let found = byKey.get(key)
    if (found === undefined) {
      found = { id: all.length, owner: item.owner, prefixes: [], four: 0, cover }
      all.push(found)
      byKey.set(key, found)
      for (const { group } of matched) inGroup.set(group, (inGroup.get(group) ?? new Set()).add(found.id))
    }
    found.prefixes.push(item.prefix)
    if (typeof item.first === 'number') found.four++
    of.set(item.prefix, found)
    open.push({ item, signature, class: found })
  }
  return { all, of, inGroup, sorted, overlaps }
}

/** By AS. */
function matchersOf(groups: Iterable<RouteGroup>): ReadonlyMap<number, readonly Matcher[]> {
  const matchers = new Map<number, Matcher[]>()
  let number = 0
  for (const group of groups) {
    for (const { as, ranges } of group.origins) {
      const exact = new Set<string>()
      const wide: { range: SortedPrefix; le: number }[] = []
      for (const { prefix, le } of ranges) {
        if (le === undefined) exact.add(prefix)
        else wide.push({ range: sortedPrefixes([{ prefix, owner: 0 }])[0]!, le })
      }
      const list = matchers.get(as) ?? []
      matchers.set(as, list)
      list.push({ group, number, exact, wide })
    }
    number++
  }
  return matchers
}

function matches({ exact, wide }: Matcher, item: SortedPrefix): boolean {
  return exact.has(item.prefix) || wide.some(({ range, le }) => item.bits <= le && holds(range, item))
}
