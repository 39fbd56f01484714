/** Random histories against a model: what is there, what every old intent was, and that pages show everything once. */
import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import type { Site } from '../../../protocol/control/intent.ts'
import { type Change, Conflict, type Repo } from '../repo.ts'
import { openRepo } from '../repo-sql.ts'
import type { Sql } from '../sql.ts'
import * as samples from './samples.ts'

const NETWORKS = ['net_a', 'net_b'] as const
const SITES = ['site_1', 'site_2', 'site_3', 'site_4'] as const

/** One change of a batch: on which revision it says that it is based. */
interface Move {
  readonly site: (typeof SITES)[number]
  readonly name: string
  readonly remove: boolean
  readonly basis: 'none' | 'right' | 'stale'
}

interface Model {
  readonly sites: Map<string, { readonly value: Site; readonly revision: number }>
  /** By version; the first is 0. */
  readonly intents: Site[][]
}

const move: fc.Arbitrary<Move> = fc.record({
  site: fc.constantFrom(...SITES),
  name: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
  remove: fc.boolean(),
  basis: fc.oneof({ weight: 6, arbitrary: fc.constantFrom('none', 'right') }, fc.constant('stale')) as fc.Arbitrary<
    Move['basis']
  >,
})
const step = fc.record({
  network: fc.constantFrom(...NETWORKS),
  moves: fc.uniqueArray(move, { minLength: 1, maxLength: 4, selector: ({ site }) => site }),
})

export function historyCompliance(home: string, fresh: () => Promise<Sql>, runs: number): void {
  describe(`random histories in ${home}`, () => {
    let repo: Repo | undefined
    afterEach(() => repo?.close())
    const reopen = async () => {
      await repo?.close()
      repo = await openRepo(await fresh())
      await samples.found(repo, ...NETWORKS)
      return repo
    }

    test('the store is what a model of it is, and each batch stands or falls whole', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
          const store = await reopen()
          const models = new Map<string, Model>(NETWORKS.map((id) => [id, { sites: new Map(), intents: [[]] }]))
          for (const { network, moves } of steps) await play(store, network, models.get(network)!, moves)
          for (const [network, model] of models) await compare(store, network, model)
        }),
        { numRuns: runs },
      )
    })

    test('pages show everything once, in order, whatever their size', async () => {
      const ids = fc.uniqueArray(fc.stringMatching(/^[A-Za-z0-9_-]{1,8}$/), { maxLength: 40 })
      await fc.assert(
        fc.asyncProperty(ids, fc.integer({ min: 1, max: 9 }), fc.boolean(), async (all, limit, byRef) => {
          const store = await reopen()
          await store.commit('net_a', {
            changes: all.map((id) => ({ type: 'put', kind: 'join', value: samples.join(id, 'site_1'), revision: 0 })),
          })
          const seen: string[] = []
          for (let after: string | undefined; ; after = seen.at(-1)) {
            const behind = after === undefined ? {} : { after }
            const page = await store.list('net_a', 'join', { limit, ...behind, ...(byRef ? { ref: 'site_1' } : {}) })
            seen.push(...page.map(({ value }) => value.id))
            if (page.length < limit || seen.length > all.length) break
          }
          expect(seen).toEqual(all.toSorted((a, b) => (a < b ? -1 : 1)))
        }),
        { numRuns: runs },
      )
    })
  })
}

async function play(store: Repo, network: string, model: Model, moves: readonly Move[]): Promise<void> {
  const expected = apply(model, moves)
  const changes = moves.map((each): Change => {
    const present = model.sites.get(each.site)?.revision ?? 0
    const revision = each.basis === 'none' ? {} : { revision: each.basis === 'right' ? present : present + 1 }
    return each.remove
      ? { type: 'remove', kind: 'site', id: each.site, ...revision }
      : { type: 'put', kind: 'site', value: samples.site(each.site, each.name), ...revision }
  })
  const version = model.intents.length
  const audit = await samples.eventsFor(store, network, `version ${version}`)
  const committed = await store
    .commit(network, { changes, audit, intent: { version, at: version, actor: 'system' } })
    .then(() => true)
    .catch((error) => {
      if (error instanceof Conflict) return false
      throw error
    })
  expect(committed).toBe(expected !== undefined)
  if (expected === undefined) return
  model.sites.clear()
  for (const [id, entry] of expected) model.sites.set(id, entry)
  model.intents.push(sorted(expected))
}

/** What the sites are after the moves, or undefined when they conflict. */
function apply(model: Model, moves: readonly Move[]): Model['sites'] | undefined {
  const after = new Map(model.sites)
  for (const { site, name, remove, basis } of moves) {
    const present = model.sites.get(site)?.revision ?? 0
    if (basis === 'stale' || (remove && basis === 'right' && present === 0)) return undefined
    if (remove) after.delete(site)
    else after.set(site, { value: samples.site(site, name), revision: present + 1 })
  }
  const names = [...after.values()].map(({ value }) => value.name)
  return new Set(names).size === names.length ? after : undefined
}

async function compare(store: Repo, network: string, model: Model): Promise<void> {
  const listed = await store.list(network, 'site', { limit: 1000 })
  expect(listed).toEqual([...model.sites.values()].toSorted((a, b) => (a.value.id < b.value.id ? -1 : 1)))
  expect(await store.count(network, 'site')).toBe(model.sites.size)
  for (const [version, sites] of model.intents.entries()) {
    expect((await store.intentAt(network, version))?.sites).toEqual(sites)
  }
  expect(await store.intentAt(network, model.intents.length)).toBeUndefined()
  expect((await store.auditHead(network)).seq).toBe(model.intents.length - 1)
}

function sorted(sites: Model['sites']): Site[] {
  return [...sites.values()].map(({ value }) => value).toSorted((a, b) => (a.id < b.id ? -1 : 1))
}
