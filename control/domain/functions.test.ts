import fc from 'fast-check'
import { expect, test } from 'vitest'
import { MAX_SERVICE_NAMES, mayReachLess, resolvedAllow, withoutSites } from './functions.ts'
import { Refusal } from './refusal.ts'

const SITES = new Map([
  ['hq', 'site_a'],
  ['site_a', 'site_a'],
  ['branch', 'site_b'],
])
const siteOf = (reference: string) => {
  const id = SITES.get(reference)
  return id === undefined ? undefined : { id }
}
const services = fc.uniqueArray(fc.constantFrom('erp', 'db', 'files'), { minLength: 1 })
const allowed = fc.uniqueArray(fc.record({ site: fc.constantFrom('site_a', 'site_b', 'site_c'), services }), {
  selector: ({ site }) => site,
})

function faultsOf(allow: Parameters<typeof resolvedAllow>[0]) {
  try {
    resolvedAllow(allow, siteOf)
  } catch (error) {
    if (error instanceof Refusal) return error.errors?.map(({ pointer }) => pointer)
    throw error
  }
  return []
}

test('sites are kept by their identifiers', () => {
  expect(
    resolvedAllow(
      [
        { site: 'hq', services: ['erp', 'db'] },
        { site: 'branch', services: ['erp'] },
      ],
      siteOf,
    ),
  ).toEqual([
    { site: 'site_a', services: ['erp', 'db'] },
    { site: 'site_b', services: ['erp'] },
  ])
})

test('every fault is named by its place, all at once', () => {
  expect(
    faultsOf([
      { site: 'nowhere', services: ['erp', 'erp'] },
      { site: 'hq', services: ['erp'] },
      { site: 'site_a', services: ['db'] },
    ]),
  ).toEqual(['/allow/0/services/1', '/allow/0/site', '/allow/2/site'])
})

test('a session token holds all the names of a site, or they are refused when they are written', () => {
  const names = (count: number) => Array.from({ length: count }, (_, i) => `${'s'.repeat(55)}${i + 10}`)
  expect(faultsOf([{ site: 'hq', services: names(MAX_SERVICE_NAMES / 60) }])).toEqual([])
  expect(faultsOf([{ site: 'hq', services: names(MAX_SERVICE_NAMES / 60 + 1) }])).toEqual(['/allow/0/services'])
})

test('whoever may reach less is noticed, in whatever order it is written', () => {
  fc.assert(
    fc.property(allowed, allowed, (before, after) => {
      const pairs = (list: typeof before) =>
        list.flatMap(({ site, services: all }) => all.map((one) => `${site}/${one}`))
      const lost = pairs(before).some((pair) => !pairs(after).includes(pair))
      expect(mayReachLess(before, after)).toBe(lost)
      expect(mayReachLess(before, before.toReversed())).toBe(false)
    }),
  )
})

test('a site that goes takes its entries with it, and leaves the others as they are', () => {
  fc.assert(
    fc.property(allowed, fc.subarray(['site_a', 'site_b', 'site_c']), (list, removed) => {
      const left = withoutSites(list, new Set(removed))
      expect(left).toEqual(list.filter(({ site }) => !removed.includes(site)))
      if (left.length === list.length) expect(left).toBe(list)
    }),
  )
})
