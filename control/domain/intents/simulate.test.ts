import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fabricOf } from './fabric.ts'
import { planResult } from './plan-result.ts'
import { simulate } from './simulate.ts'
import { type NetworkWords, RoutedNetwork, ribTables } from './testing/routed.ts'

/** As `ribTables`, by the simulation. */
function tables({ index }: RoutedNetwork) {
  const sites = Array.from(index.sites(), ({ id, name }) => ({ id, name, routing: index.routingOf(id)! }))
  const outcome = simulate(fabricOf(sites))
  expect(outcome.unstable).toEqual([])
  return new Map(
    sites.map(({ name }, site) => {
      const table = new Map<string, readonly string[]>()
      for (const { id, prefixes } of outcome.fabric.classes.all) {
        const next = outcome.next(site, id).map((index) => sites[index]!.name)
        if (next.length > 0) for (const prefix of prefixes) table.set(prefix, next.sort())
      }
      return [name, table]
    }),
  )
}

const MAX_SITES = 8
const SITES = Array.from({ length: MAX_SITES }, (_, site) => String.fromCharCode(97 + site))

/** Networks of up to eight sites, any of which may be hubs, with any audiences, orders and preferences. */
const networks: fc.Arbitrary<NetworkWords> = fc
  .integer({ min: 2, max: MAX_SITES })
  .chain((count) => {
    const names = SITES.slice(0, count)
    const pairs = names.flatMap((one, i) => names.slice(i + 1).map((other) => `${one}-${other}`))
    const audience = fc.option(fc.subarray(names, { minLength: 1 }), { nil: 'all' as const })
    const preference = fc.option(fc.constantFrom('primary' as const, 'backup' as const), { nil: undefined })
    const site = fc.record({
      hub: fc.boolean(),
      preference,
      order: fc.shuffledSubarray(names, { maxLength: Math.min(4, count) }),
      advertises: fc.option(fc.array(audience, { maxLength: 3 }), { nil: undefined }),
      many: fc.boolean(),
      isDefault: fc.boolean(),
    })
    return fc.record({
      names: fc.constant(names),
      sites: fc.array(site, { minLength: count, maxLength: count }),
      tunnels: fc.uniqueArray(fc.record({ name: fc.constantFrom(...pairs), preference }), {
        selector: ({ name }) => name,
        maxLength: 14,
      }),
    })
  })
  .map(({ names, sites, tunnels }) => {
    const linked = (one: string, other: string) =>
      tunnels.some(({ name }) => name === `${one}-${other}` || name === `${other}-${one}`)
    const isHub = names.map((name, i) => sites[i]!.hub && names.some((other) => linked(name, other)))
    const exit = sites.findIndex(({ isDefault }) => isDefault)
    return {
      sites: Object.fromEntries(
        names.map((name, i) => {
          const { preference, order, advertises, many } = sites[i]!
          const through = order.filter((hub) => isHub[names.indexOf(hub)] && linked(name, hub))
          const isExit = i === exit && (advertises?.length ?? 0) > 0
          return [
            name,
            {
              hub: isHub[i]!,
              ...(preference === undefined ? {} : { preference }),
              ...(isHub[i] || through.length === 0 ? {} : { through }),
              ...(isExit ? { owns: ['0.0.0.0/0'] } : {}),
              ...(advertises === undefined
                ? {}
                : { advertises: advertises.map((to, at) => ({ to, prefixes: prefixesAt(i + 1, at, many, isExit) })) }),
            },
          ]
        }),
      ),
      tunnels: Object.fromEntries(
        tunnels.map(({ name, preference }) => [name, preference === undefined ? {} : { preference }]),
      ),
    }
  })

/** The n-th list of what a site advertises: one prefix or a dozen, all apart from other lists. */
function prefixesAt(site: number, list: number, many: boolean, isExit: boolean): string[] {
  const exit = isExit && list === 0 ? ['0.0.0.0/0'] : []
  if (!many) return [...exit, list === 0 ? `10.${site}.0.0/16` : `10.${site}.${list}.0/24`]
  return [...exit, ...Array.from({ length: 12 }, (_, at) => `10.${site}.${list * 16 + at}.0/24`)]
}

describe('the simulation comes to what a RIB at each site comes to', () => {
  test('in networks by chance', () => {
    fc.assert(
      fc.property(networks, (words) => {
        const network = new RoutedNetwork(words)
        expect(tables(network)).toEqual(ribTables(network.index))
      }),
      { numRuns: 300 },
    )
  })

  test('with IPv6 beside IPv4', () => {
    const network = new RoutedNetwork({
      sites: { hub: { hub: true }, a: { prefixes: ['10.9.0.0/16', 'fd00:9::/32'] }, b: {} },
      tunnels: ['hub-a', 'hub-b'],
    })
    expect(tables(network).get('b')).toEqual(
      new Map([
        ['10.1.0.0/16', ['hub']],
        ['10.9.0.0/16', ['hub']],
        ['fd00:9::/32', ['hub']],
      ]),
    )
    expect(tables(network)).toEqual(ribTables(network.index))
  })
})

test('what is for all comes back the way it went, whatever sites prefer', () => {
  fc.assert(
    fc.property(networks, (words) => {
      const sites = Object.entries(words.sites).map(([name, { advertises: _, owns: __, ...site }]) => [name, site])
      const { index } = new RoutedNetwork({ ...words, sites: Object.fromEntries(sites) })
      expect(planResult(index, undefined).findings).toEqual([])
    }),
    { numRuns: 200 },
  )
})

test('routes that never settle are told, and end nothing', () => {
  const { index } = new RoutedNetwork({ sites: { hub: { hub: true }, a: {}, b: {} }, tunnels: ['hub-a', 'hub-b'] })
  const sites = Array.from(index.sites(), ({ id, name }) => ({ id, name, routing: index.routingOf(id)! }))
  const fabric = fabricOf(sites)
  expect(simulate(fabric).unstable).toEqual([])
  // Not one change is allowed; the hub's own prefix needs none.
  const owners = simulate(fabric, 0).unstable.map((id) => sites[fabric.classes.all[id]!.owner]!.name)
  expect(owners).toEqual(['a', 'b'])
})
