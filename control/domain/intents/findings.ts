/** What is wrong with where routes get: each in a sentence, with what it is about as data. */
import type { FindingCode, PlanFinding } from '../../../protocol/control/plan.ts'
import { type Asymmetry, asymmetriesOf } from './asymmetry.ts'
import { arrival, type Comparison, type World, wayAt } from './comparison.ts'
import { type Audience, mayKnow, type Reach } from './reach.ts'
import { NO_WAY, type WayTable } from './ways.ts'

/** Sites that are named one by one where they lose the prefixes of the same other one. */
const NAMED = 5
const ERRORS: ReadonlySet<FindingCode> = new Set(['cut-off', 'leak', 'overlap', 'limit', 'loop', 'unstable'])

/** `reach`: who may know of what after the change. */
export function findingsOf(comparison: Comparison, reach: Reach): PlanFinding[] {
  const { after, table } = comparison
  return [
    ...overlapsOf(after),
    ...unstableOf(after),
    ...lossesOf(comparison),
    ...leaksOf(after, reach),
    ...overLimits(after),
    ...loopsOf(after, table),
    ...asymmetriesOf(after, table).map((asymmetry) => asymmetryOf(after, table, asymmetry)),
  ]
}

type Told = Omit<PlanFinding, 'severity'>

function finding(told: Told): PlanFinding {
  return { ...told, severity: ERRORS.has(told.code) ? 'error' : 'warning' }
}

function overlapsOf({ sites, outcome }: World): PlanFinding[] {
  return outcome.fabric.classes.overlaps.map(({ inner, outer }) => {
    const [site, other] = [sites[inner.owner]!.name, sites[outer.owner]!.name]
    const detail = `${site} announces ${inner.prefix}, and ${other} ${outer.prefix}: they share addresses.`
    return finding({ code: 'overlap', site, other, prefix: inner.prefix, count: 1, detail })
  })
}

function unstableOf({ sites, outcome }: World): PlanFinding[] {
  return outcome.unstable.map((id) => {
    const { owner, prefixes } = outcome.fabric.classes.all[id]!
    const site = sites[owner]!.name
    const detail = `Hubs never agree on the way to ${some(prefixes)} of ${site}: each prefers the way of another.`
    return finding({ code: 'unstable', site, prefix: prefixes[0]!, count: prefixes.length, detail })
  })
}

/** What one site loses of another one. */
interface Loss {
  readonly site: number
  count: number
  readonly examples: string[]
}

function lossesOf({ before, after, shifts }: Comparison): PlanFinding[] {
  const byOwner = new Map<number, Loss[]>()
  const found: PlanFinding[] = []
  before.sites.forEach(({ name }, site) => {
    if (!before.has[site] || !after.has[site]) return
    let had = 0
    let has = 0
    const losses = new Map<number, Loss>()
    for (const shift of shifts) {
      const reaches = arrivesAfter(after, site, shift, before)
      if (reaches) has += shift.count
      if (shift.before < 0 || !arrives(before, site, shift.before)) continue
      had += shift.count
      if (reaches || isOwn(after, site, shift.after)) continue
      const { owner } = before.outcome.fabric.classes.all[shift.before]!
      const loss = losses.get(owner) ?? { site, count: 0, examples: [] }
      losses.set(owner, loss)
      loss.count += shift.count
      loss.examples.push(...shift.examples.slice(0, 3))
    }
    if (had > 0 && has === 0) {
      const detail = `${name} would reach nothing any more; now it reaches ${counted(had, 'prefix')} of other sites.`
      found.push(finding({ code: 'cut-off', site: name, count: had, detail }))
      return
    }
    for (const [owner, loss] of losses) byOwner.set(owner, [...(byOwner.get(owner) ?? []), loss])
  })
  for (const [owner, losses] of byOwner) found.push(...lostOf(before, after, owner, losses))
  return found
}

function lostOf(before: World, after: World, owner: number, losses: readonly Loss[]): PlanFinding[] {
  const { name } = before.sites[owner]!
  if (!after.has[owner] || losses.length > NAMED) {
    const most = losses.reduce((one, other) => (other.count > one.count ? other : one))
    const why = after.has[owner] ? `would lose` : `would lose, as ${name} goes,`
    const sites = losses.map(({ site }) => before.sites[site]!.name)
    const detail = `${some(sites)} ${why} ${some(most.examples, most.count)} of ${name}.`
    return [finding({ code: 'unreachable', site: name, prefix: most.examples[0]!, count: most.count, detail })]
  }
  return losses.map(({ site, count, examples }) => {
    const loser = before.sites[site]!.name
    const detail = `${loser} would lose ${some(examples, count)} of ${name}.`
    return finding({ code: 'unreachable', site: loser, other: name, prefix: examples[0]!, count, detail })
  })
}

function arrives(world: World, site: number, classId: number): boolean {
  if (isOwn(world, site, classId)) return false
  if (wayAt(world, site, classId) !== NO_WAY) return true
  return world.outcome.fabric.classes.all[classId]!.cover >= 0 && arrival(world, site, classId) === 'arrives'
}

function isOwn({ outcome }: World, site: number, classId: number): boolean {
  return classId >= 0 && outcome.fabric.classes.all[classId]!.owner === site
}

/** Prefixes that are not announced any more may be within one that is, of the same site. */
function arrivesAfter(after: World, site: number, shift: Comparison['shifts'][number], before: World): boolean {
  if (shift.after >= 0) return arrives(after, site, shift.after)
  if (shift.cover < 0) return false
  const { all } = after.outcome.fabric.classes
  const isSame = all[shift.cover]!.owner === before.outcome.fabric.classes.all[shift.before]!.owner
  return isSame && arrives(after, site, shift.cover)
}

function leaksOf(world: World, reach: Reach): PlanFinding[] {
  if (reach.audiences.every(({ to }) => to === 'all')) return []
  const audienceOf = new Map<string, Audience>()
  for (const audience of reach.audiences) {
    for (const { prefixes } of audience.announcements) for (const prefix of prefixes) audienceOf.set(prefix, audience)
  }
  const { sites, outcome } = world
  return outcome.fabric.classes.all.flatMap(({ id, owner, prefixes }) => {
    const audience = audienceOf.get(prefixes[0]!)
    if (audience === undefined || audience.to === 'all') return []
    return sites.flatMap(({ id: siteId, name: site }, index) => {
      if (wayAt(world, index, id) === NO_WAY || mayKnow(audience, siteId)) return []
      const other = sites[owner]!.name
      const detail = `${site} would get ${some(prefixes)} of ${other}, which does not send it there.`
      return finding({ code: 'leak', site, other, prefix: prefixes[0]!, count: prefixes.length, detail })
    })
  })
}

function overLimits({ sites, outcome }: World): PlanFinding[] {
  return sites.flatMap(({ name: site }, to) =>
    [...outcome.fabric.limits[to]!].flatMap(([from, limit]) => {
      const { four, six } = outcome.told(from, to)
      const count = Math.max(four, six)
      if (count <= limit) return []
      const other = sites[from]!.name
      const family = four >= six ? 'IPv4' : 'IPv6'
      const detail = `${other} would send ${site} ${count} prefixes of ${family}; ${site} ends the session beyond ${limit}.`
      return finding({ code: 'limit', site, other, count, detail })
    }),
  )
}

/** Loops of a table, and those that packets make where a site has only a route to what holds their destination. */
function loopsOf(world: World, table: WayTable): PlanFinding[] {
  const { sites, outcome } = world
  return outcome.fabric.classes.all.flatMap(({ id, owner, prefixes, cover }) => {
    const inLoop = sites.flatMap(({ name }, site) => {
      if (site === owner || !world.has[site]) return []
      const way = wayAt(world, site, id)
      const circles = way === NO_WAY ? cover >= 0 && arrival(world, site, id) === 'circles' : table.isLoop(way)
      return circles ? name : []
    })
    if (inLoop.length === 0) return []
    const other = sites[owner]!.name
    const detail = `Packets from ${some(inLoop)} to ${some(prefixes)} of ${other} would go in a circle.`
    return finding({ code: 'loop', site: inLoop[0]!, other, prefix: prefixes[0]!, count: prefixes.length, detail })
  })
}

function asymmetryOf({ sites }: World, table: WayTable, { site, other, there, back, count }: Asymmetry): PlanFinding {
  const [near, far] = [sites[site]!.name, sites[other]!.name]
  const by = (id: number) => {
    const texts = table.ways(id).map((way) => {
      return way.length === 0 ? 'straight' : `by ${way.map((index) => sites[index]?.name ?? '?').join(' and ')}`
    })
    return texts.slice(0, 3).join(' or ')
  }
  const what =
    there === NO_WAY
      ? `${far} has a way to ${near}, which has none back`
      : back === NO_WAY
        ? `${near} has a way to ${far}, which has none back`
        : `Packets from ${near} to ${far} go ${by(there)}, and come back ${by(back)}`
  const more = count === 1 ? '' : `; ${count - 1} more pairs are like this one`
  return finding({ code: 'asymmetry', site: near, other: far, count, detail: `${what}${more}.` })
}

function some(items: readonly string[], count = items.length): string {
  const named = items.slice(0, 3)
  const more = count - named.length
  return more <= 0 ? named.join(', ') : `${named.join(', ')} and ${more} more`
}

function counted(count: number, what: 'prefix'): string {
  return `${count} ${what}${count === 1 ? '' : 'es'}`
}
