import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MAX_LINK_MESSAGE } from '../../../protocol/control/link.ts'
import { documentRoutingSchema } from '../../../protocol/control/routing.ts'
import { rerouted } from './compare.ts'
import { insideOf, MAX_NUMBERED_TUNNELS, numbered, routerIdOf } from './numbers.ts'
import { type NetworkWords, RoutedNetwork } from './testing/routed.ts'

const STAR: NetworkWords = { sites: { hub: { hub: true }, a: {}, b: {} }, tunnels: ['hub-a', 'hub-b'] }

describe('documents', () => {
  test('of a hub and of a site at it', () => {
    const network = new RoutedNetwork(STAR)
    const hub = network.routing('hub')
    const all = hub.groups.find(({ name }) => name.startsWith('all-'))!
    expect(all.origins).toEqual([
      { as: 4_200_000_000, ranges: [{ prefix: '10.1.0.0/16' }] },
      { as: 4_200_000_001, ranges: [{ prefix: '10.2.0.0/16' }] },
      { as: 4_200_000_002, ranges: [{ prefix: '10.3.0.0/16' }] },
    ])
    expect(hub).toEqual({
      as: 4_200_000_000,
      routerId: '0.0.0.1',
      advertise: ['10.1.0.0/16'],
      transit: true,
      groups: [all, own(1, '10.2.0.0/16'), own(2, '10.3.0.0/16')],
      neighbours: [
        {
          tunnel: network.index.tunnelByName('hub-a')!.id,
          site: 'a',
          as: 4_200_000_001,
          local: '169.254.1.1',
          address: '169.254.1.2',
          receive: [{ group: 'of-1', preference: 100 }],
          send: [{ group: all.name, prepend: 0 }],
          maxPrefixes: 10_000,
          bfd: { intervalMs: 300, multiplier: 3 },
        },
        expect.objectContaining({ site: 'b', local: '169.254.1.5', address: '169.254.1.6' }),
      ],
    })
    const a = network.routing('a')
    expect(a).toMatchObject({ transit: false, groups: [{ name: all.name }, { name: 'of-1' }] })
    expect(a.neighbours).toMatchObject([
      {
        local: '169.254.1.2',
        address: '169.254.1.1',
        receive: [{ group: all.name, preference: 100 }],
        send: [{ group: 'of-1', prepend: 0 }],
      },
    ])

    function own(number: number, prefix: string) {
      return { name: `of-${number}`, origins: [{ as: 4_200_000_000 + number, ranges: [{ prefix }] }] }
    }
  })

  test('places among hubs and backups are longer paths, the same from both ends', () => {
    const network = new RoutedNetwork({
      sites: {
        x: { hub: true },
        y: { hub: true },
        z: { hub: true, preference: 'backup' },
        a: { through: ['y'] },
        b: {},
      },
      tunnels: {
        'x-a': {},
        'y-a': {},
        'z-a': {},
        'x-y': { preference: 'backup' },
        'y-z': { preference: 'primary' },
        'a-b': { preference: 'backup' },
      },
    })
    const of = (site: string) =>
      Object.fromEntries(
        network.routing(site).neighbours.map(({ site: far, send }) => [far, send.map(({ prepend }) => prepend)[0]]),
      )
    expect(of('a')).toEqual({ x: 2, y: 0, z: 22, b: 20 })
    expect(of('x')).toEqual({ a: 2, y: 20 })
    expect(of('y')).toEqual({ a: 0, x: 20, z: 0 })
    expect(of('z')).toEqual({ a: 22, y: 0 })
    expect(of('b')).toEqual({ a: 20 })
  })

  test('limits and BFD are as the tunnel says, else the site, else the network', () => {
    const network = new RoutedNetwork({
      sites: { hub: { hub: true, maxPrefixes: 500 }, a: {}, b: {} },
      tunnels: { 'hub-a': {}, 'hub-b': { maxPrefixes: 7, bfd: 'off' } },
      general: { maxPrefixes: 90, bfd: { intervalMs: 100, multiplier: 5 } },
    })
    const bfd = { intervalMs: 100, multiplier: 5 }
    expect(network.routing('hub').neighbours).toMatchObject([{ maxPrefixes: 500, bfd }, { maxPrefixes: 7 }])
    expect(network.routing('hub').neighbours[1]).not.toHaveProperty('bfd')
    expect(network.routing('a').neighbours).toMatchObject([{ maxPrefixes: 90, bfd }])
  })

  test('a range stands for many prefixes only where all are for the same sites', () => {
    const prefixes = Array.from({ length: 20 }, (_, i) => `10.2.${i}.0/24`)
    const ranges = (a: NetworkWords['sites'][string]) =>
      new RoutedNetwork({ ...STAR, sites: { ...STAR.sites, a } }).routing('a').groups.find(({ name }) => {
        return name.startsWith('of-1')
      })!.origins[0]!.ranges
    expect(ranges({ advertises: [{ prefixes }] })).toEqual([{ prefix: '10.2.0.0/16', le: 24 }])
    expect(ranges({ advertises: [{ prefixes: prefixes.slice(0, 8) }] })).toHaveLength(8)
    const split = [{ prefixes: prefixes.slice(0, 15) }, { prefixes: prefixes.slice(15), to: ['b'] }]
    expect(ranges({ advertises: split })).toEqual(prefixes.map((prefix) => ({ prefix })))
  })

  test('of a hub of a thousand sites with fifty prefixes each fit into one message', () => {
    const names = Array.from({ length: 1_000 }, (_, i) => `s${i}`)
    const sites = names.map((name, i) => {
      const prefixes = Array.from({ length: 50 }, (_, n) => `10.${i >> 2}.${(i & 3) * 64 + n}.0/24`)
      return [name, { prefixes: [`10.${i >> 2}.${(i & 3) * 64}.0/18`], advertises: [{ prefixes }] }]
    })
    const network = new RoutedNetwork({
      sites: { hub: { hub: true, prefixes: ['172.16.0.0/16'] }, ...Object.fromEntries(sites) },
      tunnels: names.map((name) => `hub-${name}`),
    })
    const size = JSON.stringify(network.routing('hub')).length
    expect(size).toBeLessThan(MAX_LINK_MESSAGE / 4)
    expect(documentRoutingSchema.safeParse(network.routing('hub')).success).toBe(true)
  })
})

describe('numbers stay', () => {
  test('whatever comes and goes, what is there keeps its own, and no two have one', () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f']
    const pairs = names.flatMap((one, i) => names.slice(i + 1).map((other) => `${one}-${other}`))
    const state = fc.record({ sites: fc.subarray(names), tunnels: fc.subarray(pairs) })
    fc.assert(
      fc.property(fc.array(state, { maxLength: 6 }), (states) => {
        const network = new RoutedNetwork()
        let before = new Map<string, string>()
        for (const { sites, tunnels } of states) {
          network.become({
            sites: Object.fromEntries(sites.map((name) => [name, { prefixes: [`10.${names.indexOf(name)}.0.0/16`] }])),
            tunnels: tunnels.filter((name) => name.split('-').every((site) => sites.includes(site))),
          })
          const now = identities(network)
          for (const [key, value] of before) if (now.has(key)) expect(now.get(key)).toBe(value)
          expect(new Set(now.values()).size).toBe(now.size)
          before = now
        }
      }),
    )
  })

  test('a site that comes changes no neighbour of others', () => {
    const network = new RoutedNetwork(STAR)
    const before = network.routing('a')
    network.become({ sites: { ...STAR.sites, c: {} }, tunnels: ['hub-a', 'hub-b', 'hub-c'] })
    const after = network.routing('a')
    expect({ ...after, groups: [] }).toEqual({ ...before, groups: [] })
    expect(after.groups.map(({ name }) => name)).toEqual(before.groups.map(({ name }) => name))
  })

  test('only sites whose routing differs are told of it', () => {
    const network = new RoutedNetwork(STAR)
    const other = new RoutedNetwork(STAR)
    const ids = (one: RoutedNetwork) => Array.from(one.index.sites(), ({ id }) => id)
    expect(rerouted(ids(network), network.index, other.index)).toEqual([])
    other.become({ ...STAR, tunnels: { 'hub-a': { maxPrefixes: 5 }, 'hub-b': {} } })
    const names = rerouted(ids(network), network.index, other.index).map((id) => other.index.site(id)!.name)
    expect(names).toEqual(['hub', 'a'])
    const none = new RoutedNetwork({ ...STAR, isStatic: true })
    expect(rerouted(ids(network), network.index, none.index)).toHaveLength(3)
  })

  test('are given again only when there are no others', () => {
    const used = new Map([
      ['a', 0],
      ['b', 3],
    ])
    expect([...numbered(['a', 'b', 'c'], used, 100)]).toEqual([
      ['a', 0],
      ['b', 3],
      ['c', 4],
    ])
    expect([...numbered(['a', 'b', 'c', 'd', 'e'], used, 4)]).toEqual([
      ['a', 0],
      ['b', 3],
      ['c', 1],
      ['d', 2],
    ])
  })

  test('addresses inside are each used once, and none where machines of clouds find other things', () => {
    const all = Array.from({ length: MAX_NUMBERED_TUNNELS }, (_, number) => insideOf(number))
    expect(new Set(all.flat()).size).toBe(2 * MAX_NUMBERED_TUNNELS)
    expect([all[0], all.at(-1)]).toEqual([
      ['169.254.1.1', '169.254.1.2'],
      ['169.254.254.253', '169.254.254.254'],
    ])
    expect(all.some(([first]) => first.startsWith('169.254.169.'))).toBe(false)
    expect([0, 255, 0xffff_fffe].map(routerIdOf)).toEqual(['0.0.0.1', '0.0.1.0', '255.255.255.255'])
  })
})

/** AS and inside addresses by identifier. */
function identities({ index }: RoutedNetwork): Map<string, string> {
  const found = new Map<string, string>()
  for (const { id } of index.sites()) {
    const { as, neighbours } = index.routingOf(id)!
    found.set(id, String(as))
    for (const { tunnel, local } of neighbours) found.set(`${tunnel} ${id}`, local)
  }
  return found
}
