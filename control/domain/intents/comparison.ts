/** Two states of a network over the same indexes of sites, and which prefixes become what. */

import { refuse } from '../refusal.ts'
import type { CompiledRouting } from './compile.ts'
import { type Fabric, fabricOf, type SimulatedSite } from './fabric.ts'
import { type Outcome, simulate } from './simulate.ts'
import { holds, type SortedPrefix } from './sorted-prefixes.ts'
import { NO_WAY, WayTable, waysOf } from './ways.ts'

/** Decisions about routes, and routes that are looked at: each limit is some seconds. */
const MOST_CHOICES = 4_000_000
const MOST_ROUTES = 25_000_000
/** Examples of prefixes that are kept of many. */
const MOST_EXAMPLES = 20

export interface World {
  readonly sites: readonly SimulatedSite[]
  /** Whether the site is there. */
  readonly has: readonly boolean[]
  readonly outcome: Outcome
  readonly ways: Int32Array
}

/** Prefixes that are of one class before, and of one after; -1: of none. */
export interface Shift {
  readonly before: number
  readonly after: number
  /** Where there is none after: the class of what holds them then. */
  readonly cover: number
  count: number
  readonly examples: string[]
}

export interface Comparison {
  readonly before: World
  readonly after: World
  readonly table: WayTable
  readonly shifts: readonly Shift[]
}

/** Documents of a state, which need not be those that `compiled` has: a test may spoil them. */
export type Documents = (compiled: CompiledRouting, site: string) => SimulatedSite['routing']

const ASKED: Documents = (compiled, site) => compiled.of(site)

export function compare(before: CompiledRouting, after: CompiledRouting, documents: Documents = ASKED): Comparison {
  const table = new WayTable()
  const all = new Map([...before.sites, ...after.sites].map(({ id, name }) => [id, name]))
  const one = worldOf(before, all, table, ASKED)
  const other = worldOf(after, all, table, documents)
  return { before: one, after: other, table, shifts: shiftsOf(one, other) }
}

/** Of the class as the site has it in its table: -1 where it has none, or owns it. */
export function wayAt({ outcome, ways }: World, site: number, classId: number): number {
  const { all } = outcome.fabric.classes
  if (classId < 0 || all[classId]!.owner === site) return NO_WAY
  return ways[outcome.nodeOf[site]! * all.length + classId]!
}

export type Arrival = 'arrives' | 'stops' | 'circles'

/** What becomes of packets to the class: also where the site has only a route to what holds it. */
export function arrival({ outcome }: World, site: number, classId: number): Arrival {
  const { all } = outcome.fabric.classes
  const { owner } = all[classId]!
  const seen = new Set<number>()
  for (let at = site; at !== owner; ) {
    if (seen.has(at)) return 'circles'
    seen.add(at)
    let of = classId
    while (of >= 0 && all[of]!.owner !== at && outcome.next(at, of).length === 0) of = all[of]!.cover
    if (of < 0 || all[of]!.owner === at) return 'stops'
    at = outcome.next(at, of)[0]!
  }
  return 'arrives'
}

function worldOf(
  compiled: CompiledRouting,
  all: ReadonlyMap<string, string>,
  table: WayTable,
  documents: Documents,
): World {
  const there = new Set(compiled.sites.map(({ id }) => id))
  const sites = Array.from(all, ([id, name], index): SimulatedSite => {
    return { id, name, routing: there.has(id) ? documents(compiled, id) : nobody(index) }
  })
  const fabric = fabricOf(sites)
  mustBeShort(fabric)
  const outcome = simulate(fabric)
  return { sites, has: sites.map(({ id }) => there.has(id)), outcome, ways: waysOf(outcome, table) }
}

/** Whoever asks must not keep the control plane from everything else. */
function mustBeShort({ sites, kinds, transits, classes }: Fabric): void {
  const choices = (kinds.length + transits.length) * classes.all.length
  if (choices <= MOST_CHOICES && sites.length * classes.all.length <= MOST_ROUTES) return
  const detail = `${sites.length} sites with ${classes.all.length} kinds of prefixes are more than can be planned at once`
  const remedy = 'Aggregate prefixes, or have fewer direct tunnels; without a plan a change needs force.'
  throw refuse('limit-reached', { detail, remedy })
}

/** A site that is not there has nothing and speaks with nobody. */
function nobody(index: number): SimulatedSite['routing'] {
  return { as: -1 - index, routerId: '0.0.0.0', advertise: [], transit: false, groups: [], neighbours: [] }
}

function shiftsOf(before: World, after: World): Shift[] {
  const [old, fresh] = [before.outcome.fabric.classes, after.outcome.fabric.classes]
  const shifts = new Map<string, Shift>()
  const add = (prefix: string, one: number, other: number, cover: number) => {
    const key = `${one} ${other} ${cover}`
    const shift = shifts.get(key) ?? { before: one, after: other, cover, count: 0, examples: [] }
    shifts.set(key, shift)
    shift.count++
    if (shift.examples.length < MOST_EXAMPLES) shift.examples.push(prefix)
  }
  const gone = old.sorted.filter(({ prefix }) => !fresh.of.has(prefix))
  const covers = coversOf(fresh.sorted, gone)
  for (const { prefix } of old.sorted) {
    const holder = covers.get(prefix)
    const cover = holder === undefined ? -1 : fresh.of.get(holder)!.id
    add(prefix, old.of.get(prefix)!.id, fresh.of.get(prefix)?.id ?? -1, cover)
  }
  for (const { prefix } of fresh.sorted) if (!old.of.has(prefix)) add(prefix, -1, fresh.of.get(prefix)!.id, -1)
  return [...shifts.values()]
}

/** For each of `wanted`, the smallest prefix of `sorted` that holds it. Both are in order. */
function coversOf(sorted: readonly SortedPrefix[], wanted: readonly SortedPrefix[]): ReadonlyMap<string, string> {
  const covers = new Map<string, string>()
  const open: SortedPrefix[] = []
  let at = 0
  for (const item of wanted) {
    for (; at < sorted.length && comesFirst(sorted[at]!, item); at++) {
      while (open.length > 0 && !holds(open.at(-1)!, sorted[at]!)) open.pop()
      open.push(sorted[at]!)
    }
    while (open.length > 0 && !holds(open.at(-1)!, item)) open.pop()
    const cover = open.at(-1)
    if (cover !== undefined) covers.set(item.prefix, cover.prefix)
  }
  return covers
}

function comesFirst(one: SortedPrefix, other: SortedPrefix): boolean {
  if (typeof one.first !== typeof other.first) return typeof one.first === 'number'
  return one.first < other.first || (one.first === other.first && one.bits <= other.bits)
}
