/** Rollouts in a simulated world on virtual time, where random sites misbehave in random ways once they have the target. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { isOver, ROLLOUT_DEADLINES, type RolloutRecord, type RolloutStep, stepRollout } from './rollout.ts'
import { rolloutRecord, START } from './testing/rollout-record.ts'
import type { Health, SiteView, TunnelHealth } from './watch.ts'

const TROUBLES = ['stuck', 'silent', 'refuses', 'breaks', 'session', 'flaps', 'loses'] as const
type Trouble = (typeof TROUBLES)[number]

interface SiteModel {
  readonly away: boolean
  /** How often it reports, and when it does so first. */
  readonly everyMs: number
  readonly phaseMs: number
  /** Between a document and its being carried out. */
  readonly delayMs: number
  /** What is wrong with it once it has the target, and how long after. */
  readonly trouble: { readonly kind: Trouble; readonly afterMs: number } | undefined
}

interface Settings {
  readonly sites: readonly SiteModel[]
  readonly batchPercent: number
  readonly canarySeconds: number
  readonly batchSeconds: number
  readonly stepEveryMs: number
}

const BASE = 1

class Site {
  readonly model: SiteModel
  version = BASE
  document = BASE
  documentAt = 0
  /** Since when it carries out the target. */
  targetSince: number | undefined
  everTarget = false
  health: Health | undefined
  before: Health | undefined
  mark: Health | undefined
  due = 0

  constructor(model: SiteModel) {
    this.model = model
  }

  give(version: number, now: number): void {
    this.document = version
    this.documentAt = now
    this.due = version
  }

  pass(now: number, isTarget: boolean): void {
    const { away, delayMs, everyMs, phaseMs } = this.model
    if (away) return
    if (this.version !== this.document && now - this.documentAt >= delayMs && !this.#has('stuck', now)) {
      this.version = this.document
      this.targetSince = isTarget ? now : undefined
      this.everTarget ||= isTarget
    }
    if ((now + phaseMs) % everyMs < 1000 && !this.#has('silent', now)) this.health = this.#report(now)
  }

  #has(kind: Trouble, now: number): boolean {
    const { trouble } = this.model
    if (trouble?.kind !== kind) return false
    // It is stuck or silent from the document on; the others begin when it is carried out.
    const since = kind === 'stuck' || kind === 'silent' ? this.#givenAt : this.targetSince
    return since !== undefined && now - since >= (kind === 'stuck' ? 0 : trouble.afterMs)
  }

  get #givenAt(): number | undefined {
    return this.document === BASE + 1 ? this.documentAt : undefined
  }

  #report(now: number): Health {
    const tunnel: TunnelHealth = {
      tunnel: 'tun_1',
      passing: !this.#has('breaks', now),
      established: !this.#has('session', now),
      flaps: this.#has('flaps', now) ? 1 + Math.floor(now / 5000) : 0,
      loss: this.#has('loses', now) ? 0.2 : 0,
    }
    const refused = this.#has('refuses', now) ? ['not ours'] : []
    return { at: now, version: this.version, startedAt: 0, everyMs: this.model.everyMs, refused, tunnels: [tunnel] }
  }
}

class RolloutWorld {
  readonly sites: readonly Site[]
  readonly settings: Settings
  now = START
  rollout: RolloutRecord
  /** Sites in after each step. */
  readonly history: { readonly state: string; readonly in: number }[] = []

  constructor(settings: Settings) {
    this.settings = settings
    this.sites = settings.sites.map((model) => new Site(model))
    const order = this.sites.map((_, at) => ({ site: `site_${at}`, name: `s${at}` }))
    this.rollout = rolloutRecord({
      batchPercent: settings.batchPercent,
      watch: { canarySeconds: settings.canarySeconds, batchSeconds: settings.batchSeconds, lossPercent: 1 },
      order,
    })
  }

  /** To the end. Throws when that does not come. */
  run(): void {
    const { canarySeconds, batchSeconds, sites } = this.settings
    const perStep = ROLLOUT_DEADLINES.entering + (canarySeconds + batchSeconds) * 1000 + 100_000
    const bound = START + ROLLOUT_DEADLINES.planned + perStep * (sites.length + 1) + 300_000
    for (; !isOver(this.rollout.state); this.now += 1000) {
      if (this.now > bound) throw new Error(`still ${this.rollout.state} after ${(this.now - START) / 1000} s`)
      for (const site of this.sites) site.pass(this.now, site.document === BASE + 1)
      if (this.now % this.settings.stepEveryMs < 1000) this.#step()
    }
  }

  #step(): void {
    const { rollout, now } = this
    const all = rollout.state === 'planned' ? this.sites : this.sites.slice(0, rollout.counts.in)
    // As from a store.
    const sites = JSON.parse(JSON.stringify(all.map((site, at) => this.#view(site, at)))) as SiteView[]
    const views = sites.map((view) => ({ ...view, tunnels: new Map([['tun_1', 'wan']]) }))
    const step = stepRollout({ rollout: JSON.parse(JSON.stringify(rollout)), sites: views, now, upSince: START })
    if (step !== undefined) this.#take(step)
  }

  #take({ rollout, enter, mark, restore }: RolloutStep): void {
    this.rollout = rollout
    for (const id of enter) {
      const site = this.sites[Number(id.slice(5))]!
      const silent = site.health === undefined || this.now - site.health.at > Math.max(30_000, 3 * site.health.everyMs)
      site.before = silent ? undefined : site.health
      site.give(BASE + 1, this.now)
    }
    const had = this.sites.slice(0, rollout.counts.in)
    if (mark) for (const site of had) site.mark = site.health
    if (restore) for (const site of had) site.give(BASE + 2, this.now)
    this.history.push({ state: rollout.state, in: rollout.counts.in })
  }

  #view(site: Site, at: number): Omit<SiteView, 'tunnels'> {
    const { health, before, mark, due } = site
    return { site: `site_${at}`, name: `s${at}`, connected: true, due, health, before, mark }
  }
}

const siteModel = fc.record({
  away: fc.constant(false),
  everyMs: fc.constantFrom(10_000, 30_000),
  phaseMs: fc.integer({ min: 0, max: 29 }).map((seconds) => seconds * 1000),
  delayMs: fc.constantFrom(0, 2000, 15_000),
  trouble: fc.option(fc.record({ kind: fc.constantFrom(...TROUBLES), afterMs: fc.constantFrom(0, 1000, 20_000) }), {
    freq: 8,
    nil: undefined,
  }),
})
const wellSite = siteModel.map((model) => ({ ...model, trouble: undefined }))

function settings(site: fc.Arbitrary<SiteModel>): fc.Arbitrary<Settings> {
  return fc.record({
    sites: fc.array(site, { minLength: 1, maxLength: 20 }),
    batchPercent: fc.constantFrom(1, 25, 100),
    canarySeconds: fc.constantFrom(60, 120),
    batchSeconds: fc.constantFrom(60, 90),
    stepEveryMs: fc.constantFrom(1000, 5000, 60_000),
  })
}

test('whatever sites do, it ends; and where it does not end well, everybody has the base again', () => {
  const some = fc.tuple(siteModel, fc.boolean()).map(([model, away]) => ({ ...model, away }))
  fc.assert(
    fc.property(settings(some), (given) => {
      const world = new RolloutWorld(given)
      world.run()
      const { state, counts, reason } = world.rollout
      expect(['done', 'rolled-back', 'failed']).toContain(state)
      if (state === 'done') expect(counts.in).toBe(given.sites.length)
      else {
        expect(reason).toMatch(/\w+/)
        for (const site of world.sites.slice(0, counts.in)) expect(site.document).toBe(BASE + 2)
      }
      // Those that have not been reached have never had it.
      for (const site of world.sites.slice(counts.in)) expect(site.everTarget).toBe(false)
      for (const [at, { in: now }] of world.history.entries()) {
        const before = world.history[at - 1]?.in ?? 0
        expect(now - before).toBeLessThanOrEqual(
          Math.max(1, Math.ceil((given.sites.length * given.batchPercent) / 100)),
        )
      }
    }),
    { numRuns: 300 },
  )
})

test('where nobody misbehaves, everybody gets it', () => {
  fc.assert(
    fc.property(settings(wellSite), (given) => {
      const world = new RolloutWorld(given)
      world.run()
      expect(world.rollout).toMatchObject({ state: 'done', counts: { away: 0 } })
    }),
    { numRuns: 200 },
  )
})

test('a change that the canary shows to be bad never reaches more than the canary', () => {
  const bad = siteModel.chain((model) =>
    fc.constantFrom(...TROUBLES).map((kind) => ({ ...model, trouble: { kind, afterMs: 0 } })),
  )
  fc.assert(
    fc.property(settings(siteModel), bad, (given, canary) => {
      const world = new RolloutWorld({ ...given, sites: [canary, ...given.sites.slice(1)] })
      world.run()
      expect(world.rollout).toMatchObject({ state: 'rolled-back', counts: { in: 1 }, fault: { site: 's0' } })
      expect(world.sites.filter(({ everTarget }) => everTarget).length).toBeLessThanOrEqual(1)
    }),
    { numRuns: 300 },
  )
})

test('a site that shows it later takes everybody back', () => {
  const late = fc.tuple(siteModel, fc.constantFrom(...TROUBLES.filter((kind) => kind !== 'silent')))
  fc.assert(
    fc.property(settings(wellSite), late, fc.nat(), (given, [model, kind], where) => {
      const at = where % given.sites.length
      const bad = { ...model, trouble: { kind, afterMs: 0 } }
      const world = new RolloutWorld({ ...given, sites: given.sites.with(at, bad) })
      world.run()
      expect(world.rollout).toMatchObject({ state: 'rolled-back', fault: { site: `s${at}` } })
    }),
    { numRuns: 200 },
  )
})
