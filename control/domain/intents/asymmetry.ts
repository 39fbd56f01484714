/** Pairs of sites whose packets go there one way and come back another. */
import type { World } from './comparison.ts'
import { NO_WAY, type WayTable } from './ways.ts'

export interface Asymmetry {
  readonly site: number
  readonly other: number
  readonly there: number
  readonly back: number
  /** Pairs that are alike, this one among them. */
  count: number
}

/**
 * Where traffic is spread, one way that both directions have is enough. Told once for pairs whose ends choose alike. Of what a site tells only some, others have no way to it: that is wanted.
 * But where one end has any way to the other, the other one needs a way back, if it is told of anything at all.
 */
export function asymmetriesOf({ outcome, ways }: World, table: WayTable): Asymmetry[] {
  const { classes, classesOf } = outcome.fabric
  const total = classes.all.length
  const alike = new Map<string, Asymmetry>()
  for (let other = 1; other < classesOf.length; other++) {
    const [toOther, fromOther] = [classesOf[other]!, outcome.nodeOf[other]! * total]
    if (toOther.length === 0) continue
    for (let site = 0; site < other; site++) {
      const [toSite, fromSite] = [classesOf[site]!, outcome.nodeOf[site]! * total]
      if (toSite.length === 0) continue
      const [there, back] = mismatch(ways, table, { toOther, fromSite, toSite, fromOther }) ?? [NO_WAY, NO_WAY]
      if (there === back && there === NO_WAY) continue
      const key = `${outcome.nodeOf[site]} ${outcome.nodeOf[other]} ${there} ${back}`
      const known = alike.get(key) ?? { site, other, there, back, count: 0 }
      alike.set(key, known)
      known.count++
    }
  }
  return [...alike.values()]
}

interface Pair {
  readonly toOther: readonly number[]
  readonly fromSite: number
  readonly toSite: readonly number[]
  readonly fromOther: number
}

function mismatch(ways: Int32Array, table: WayTable, { toOther, fromSite, toSite, fromOther }: Pair) {
  let [anyThere, anyBack] = [NO_WAY, NO_WAY]
  for (const id of toSite) anyBack = Math.max(anyBack, ways[fromOther + id]!)
  for (const id of toOther) {
    const there = ways[fromSite + id]!
    anyThere = Math.max(anyThere, there)
    if (there === NO_WAY || anyBack === NO_WAY) continue
    const wanted = table.reversed(there)
    for (const own of toSite) {
      const back = ways[fromOther + own]!
      if (back !== NO_WAY && !table.shares(wanted, back)) return [there, back] as const
    }
  }
  return (anyThere === NO_WAY) === (anyBack === NO_WAY) ? undefined : ([anyThere, anyBack] as const)
}
