/**
 * A thousand failures at twenty sites. No packet ever goes round, none passes through a site that may carry nobody's
 * packets but its own, and while there is a way that has been well for some time, no pair of sites is apart for longer
 * than BFD needs to notice and BGP to tell.
 */
import { describe, expect, it } from 'vitest'
import { breakSomething, type Failure } from './routing-failures.ts'
import { HUBS, isHub, prefixesOf, SITES } from './routing-plan.ts'
import { isValleyFree, type Path, RoutingWorld } from './routing-world.ts'

const SEEDS = [1, 2, 3, 4]
const FAILURES_EACH = 250
/** Between the beginnings of two failures, on average. */
const EVERY_MS = 4_000
/** 300 ms x 3, a quarter of an interval for jitter, three delays of 42 ms each for the news, and the step. */
const BOUND_MS = 1_500
/** After that a session over a path that is well is up again and has told everything. */
const SETTLED_MS = 15_000
const STEP_MS = 100

interface Watch {
  readonly world: RoutingWorld
  /** When packets of a pair of sites last arrived, or had no way that is well. */
  readonly wellAt: Float64Array
  longestMs: number
  /** Walks of pairs of sites that BFD and BGP had to bring together again. */
  apart: number
}

describe('twenty sites', () => {
  it.each(SEEDS)('have no loop, no leak and no hole that lasts: %i', { timeout: 120_000 }, (seed) => {
    const world = new RoutingWorld(seed)
    const watch: Watch = { world, wellAt: new Float64Array(SITES * SITES), longestMs: 0, apart: 0 }
    const met = new Map<Failure, number>()
    world.timeline.runUntil(SETTLED_MS)
    for (let site = 0; site < SITES; site++) expect(world.established(site)).toBe(world.pathsOf(site).length)
    watch.wellAt.fill(world.now)
    let next = world.now
    for (let begun = 0; begun < FAILURES_EACH; ) {
      for (; next <= world.now && begun < FAILURES_EACH; next += -Math.log(1 - world.random.fraction()) * EVERY_MS) {
        const kind = breakSomething(world)
        if (kind === undefined) continue
        begun++
        met.set(kind, (met.get(kind) ?? 0) + 1)
      }
      world.timeline.runUntil(world.now + STEP_MS)
      look(watch)
    }
    expect(watch.longestMs).toBeLessThanOrEqual(BOUND_MS)
    expect(Math.min(...met.values())).toBeGreaterThan(15)
    expect(watch.apart).toBeGreaterThan(100)
    world.timeline.runUntil(world.now + 60_000)
    expectWhole(world)
  })
})

function look(watch: Watch): void {
  const { world, wellAt } = watch
  const settled = world.paths.filter(({ goodSince }) => goodSince !== undefined && world.now - goodSince > SETTLED_MS)
  const reach = reachOf(settled)
  expect(world.strangeRoutes()).toEqual([])
  for (let from = 0; from < SITES; from++) {
    for (let to = 0; to < SITES; to++) {
      if (from === to) continue
      const { fate, sites } = world.walk(from, to, prefixesOf(to)[0]!)
      if (fate === 'looped' || !isValleyFree(sites)) expect.fail(`${fate} at ${world.now}: ${sites.join(' > ')}`)
      const pair = from * SITES + to
      // Up to a hub, across to another one, and down again; each of them or none.
      const isWay = (reach.across[from]! & reach.hubs[to]!) !== 0
      if (fate === 'delivered' || !isWay) wellAt[pair] = world.now
      else watch.apart++
      watch.longestMs = Math.max(watch.longestMs, world.now - wellAt[pair]!)
    }
  }
}

/** Of each site, by settled paths, a bit for each hub: `hubs` that it has a tunnel to, `across` those of one step more. */
function reachOf(settled: readonly Path[]): { readonly hubs: readonly number[]; readonly across: readonly number[] } {
  const hubs = Array.from({ length: SITES }, (_, site) => (isHub(site) ? 1 << site : 0))
  const mesh = hubs.slice(0, HUBS)
  for (const { plan } of settled) {
    const [left, right] = plan.ends
    if (isHub(right)) {
      mesh[left]! |= 1 << right
      mesh[right]! |= 1 << left
    } else hubs[right]! |= 1 << left
  }
  const across = hubs.map((bits) => mesh.reduce((all, next, hub) => ((bits >> hub) & 1 ? all | next : all), bits))
  return { hubs, across }
}

function expectWhole(world: RoutingWorld): void {
  const fates = new Set<string>()
  for (let from = 0; from < SITES; from++) {
    for (let to = 0; to < SITES; to++) for (const prefix of prefixesOf(to)) fates.add(world.walk(from, to, prefix).fate)
  }
  expect([...fates]).toEqual(['delivered'])
}
