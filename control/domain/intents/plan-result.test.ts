import { describe, expect, test } from 'vitest'
import type { DocumentRouting } from '../../../protocol/control/routing.ts'
import { assess, planResult } from './plan-result.ts'
import { compiledNow } from './routed-state.ts'
import { draftOf, type NetworkWords, RoutedNetwork } from './testing/routed.ts'

/** What `to` comes to where the network is as `from` says. */
function planned(from: NetworkWords, to: NetworkWords) {
  const network = new RoutedNetwork(from)
  return planResult(network.index, network.plan(draftOf(to)))
}

/** Findings of what is there: code, site and sentence. */
function findings(words: NetworkWords) {
  const network = new RoutedNetwork(words)
  return planResult(network.index, undefined).findings.map(({ code, severity, detail }) => [code, severity, detail])
}

const STAR: NetworkWords = { sites: { hub: { hub: true }, a: {}, b: {} }, tunnels: ['hub-a', 'hub-b'] }
const TWO_HUBS: NetworkWords = {
  sites: { h1: { hub: true }, h2: { hub: true }, a: {}, b: {} },
  tunnels: ['h1-h2', 'h1-a', 'h2-a', 'h1-b', 'h2-b'],
}

describe('routes', () => {
  test('a site that comes is told of by all, and changes nothing else', () => {
    const to = { sites: { ...STAR.sites, c: {} }, tunnels: ['hub-a', 'hub-b', 'hub-c'] }
    const result = planned(STAR, to)
    expect(result).toMatchObject({ base: 1, changes: true, blocked: false, findings: [], more: 0 })
    expect(result.totals).toEqual({ sites: 4, prefixes: 4, routes: 12 })
    const added = { prefix: '10.4.0.0/16', change: 'added' }
    expect(result.sites).toEqual([
      { ...row('hub', 'changed', 2, 3, 1), routes: [{ ...added, after: [['c']] }] },
      { ...row('a', 'changed', 2, 3, 1), routes: [{ ...added, after: [['hub', 'c']] }] },
      { ...row('b', 'changed', 2, 3, 1), routes: [{ ...added, after: [['hub', 'c']] }] },
      {
        ...row('c', 'new', 0, 3, 3),
        routes: [
          { prefix: '10.1.0.0/16', change: 'added', after: [['hub']] },
          { prefix: '10.2.0.0/16', change: 'added', after: [['hub', 'a']] },
          { prefix: '10.3.0.0/16', change: 'added', after: [['hub', 'b']] },
        ],
      },
    ])
  })

  test('a direct tunnel moves them, and as a backup it does not', () => {
    const direct = planned(STAR, { ...STAR, tunnels: ['hub-a', 'hub-b', 'a-b'] })
    const moved = { prefix: '10.3.0.0/16', change: 'moved', before: [['hub', 'b']], after: [['b']] }
    expect(direct.sites.map(({ site, moved: count }) => [site, count])).toEqual([
      ['a', 1],
      ['b', 1],
    ])
    expect(direct.sites[0]!.routes).toEqual([moved])
    const tunnels = { 'hub-a': {}, 'hub-b': {}, 'a-b': { preference: 'backup' as const } }
    expect(planned(STAR, { ...STAR, tunnels }).sites).toEqual([])
  })

  test('two hubs are used at once, or in the order that both ends say', () => {
    const network = new RoutedNetwork({ ...STAR, sites: { h1: {}, h2: {}, a: {}, b: {} }, tunnels: [] })
    const both = planResult(network.index, network.plan(draftOf(TWO_HUBS)))
    const toB = (result: typeof both) => result.sites.find(({ site }) => site === 'a')?.routes.at(-1)?.after
    expect(toB(both)).toEqual([
      ['h1', 'b'],
      ['h2', 'b'],
    ])
    const ordered = { ...TWO_HUBS.sites, a: { through: ['h2', 'h1'] } }
    expect(toB(planned(TWO_HUBS, { ...TWO_HUBS, sites: ordered }))).toEqual([['h2', 'b']])
  })

  test('without routing tunnels lead to the prefixes of their sites, and the switch to it is told', () => {
    const before = { ...STAR, isStatic: true }
    const result = planned(before, STAR)
    expect(result.sites.map(({ site, before, after }) => [site, before, after])).toEqual([
      ['a', 1, 2],
      ['b', 1, 2],
    ])
    expect(planned(before, { ...before, tunnels: ['hub-a'] })).toMatchObject({ blocked: true })
  })
})

describe('what is lost', () => {
  test('a hub that is away cuts off those that have no other way', () => {
    const result = planned(STAR, { sites: { ...STAR.sites, hub: {} }, tunnels: ['hub-a', 'hub-b'] })
    expect(result.blocked).toBe(false)
    expect(result.findings.map(({ code, site, other, detail }) => [code, site, other, detail])).toEqual([
      ['unreachable', 'a', 'b', 'a would lose 10.3.0.0/16 of b.'],
      ['unreachable', 'b', 'a', 'b would lose 10.2.0.0/16 of a.'],
    ])
    const cut = planned(STAR, { ...STAR, tunnels: ['hub-a'] })
    expect(cut.blocked).toBe(true)
    expect(cut.findings[0]).toEqual({
      code: 'cut-off',
      severity: 'error',
      site: 'b',
      count: 2,
      detail: 'b would reach nothing any more; now it reaches 2 prefixes of other sites.',
    })
    expect(cut.findings.slice(1).map(({ detail }) => detail)).toEqual([
      'hub would lose 10.3.0.0/16 of b.',
      'a would lose 10.3.0.0/16 of b.',
    ])
  })

  test('with a second hub nothing is', () => {
    expect(planned(TWO_HUBS, { ...TWO_HUBS, tunnels: ['h1-h2', 'h1-a', 'h2-b'] }).findings).toEqual([])
  })

  test('what a larger prefix of the same site holds is not', () => {
    const many = (prefixes: string[]) => ({ ...STAR, sites: { ...STAR.sites, a: { advertises: [{ prefixes }] } } })
    const result = planned(many(['10.2.1.0/24', '10.2.2.0/24']), many(['10.2.0.0/16']))
    expect(result.findings).toEqual([])
    expect(result.sites.map(({ site, added, removed }) => [site, added, removed])).toEqual([
      ['hub', 1, 2],
      ['b', 1, 2],
    ])
    expect(planned(many(['10.2.0.0/16']), many(['10.2.1.0/24'])).findings.map(({ code }) => code)).toEqual([
      'unreachable',
      'unreachable',
    ])
  })

  test('a site that goes is told once', () => {
    const result = planned(STAR, { sites: { hub: STAR.sites.hub!, a: {} }, tunnels: ['hub-a'] })
    expect(result.findings).toEqual([
      {
        code: 'unreachable',
        severity: 'warning',
        site: 'b',
        prefix: '10.3.0.0/16',
        count: 1,
        detail: 'hub, a would lose, as b goes, 10.3.0.0/16 of b.',
      },
    ])
    expect(result.sites.map(({ site, change }) => [site, change])).toEqual([
      ['hub', 'changed'],
      ['a', 'changed'],
      ['b', 'gone'],
    ])
  })
})

describe('findings', () => {
  test('what is sent to some reaches only these and the hubs between', () => {
    const some = { a: { advertises: [{ prefixes: ['10.2.0.0/16'], to: ['b'] }] }, b: {}, c: {} }
    const words = { sites: { hub: { hub: true }, ...some }, tunnels: ['hub-a', 'hub-b', 'hub-c'] }
    const network = new RoutedNetwork(words)
    const compiled = compiledNow(network.index)
    expect(assess(compiled, compiled).findings.filter(({ code }) => code === 'leak')).toEqual([])
    // A hub that tells c what it tells b.
    const spoilt = assess(compiled, compiled, (of, site) => leaking(of.of(site), network.index.site(site)!.name))
    expect(spoilt.blocked).toBe(true)
    expect(spoilt.findings.filter(({ code }) => code === 'leak')).toEqual([
      {
        code: 'leak',
        severity: 'error',
        site: 'c',
        other: 'a',
        prefix: '10.2.0.0/16',
        count: 1,
        detail: 'c would get 10.2.0.0/16 of a, which does not send it there.',
      },
    ])

    function leaking(routing: DocumentRouting, name: string): DocumentRouting {
      if (name === 'a' || name === 'b') return routing
      const group = network.routing('hub').groups.find((one) => one.name.startsWith('some-'))!
      return {
        ...routing,
        groups: [...new Set([...routing.groups, group])],
        neighbours: routing.neighbours.map((neighbour) => {
          if (neighbour.site === 'c')
            return { ...neighbour, send: [...neighbour.send, { group: group.name, prepend: 0 }] }
          const preference = 200
          return name !== 'c'
            ? neighbour
            : { ...neighbour, receive: [...neighbour.receive, { group: group.name, preference }] }
        }),
      }
    }
  })

  test('more prefixes than a neighbour may send', () => {
    const prefixes = Array.from({ length: 20 }, (_, i) => `10.2.${i}.0/24`)
    const sites = { hub: { hub: true }, a: { advertises: [{ prefixes }] }, b: { maxPrefixes: 20 } }
    const words = { sites, tunnels: ['hub-a', 'hub-b'] }
    expect(findings(words)).toEqual([
      ['limit', 'error', 'hub would send b 21 prefixes of IPv4; b ends the session beyond 20.'],
    ])
    expect(findings({ ...words, sites: { ...sites, b: { maxPrefixes: 21 } } })).toEqual([])
    const tunnels = { 'hub-a': { maxPrefixes: 19 }, 'hub-b': {} }
    expect(findings({ sites: { ...sites, b: {} }, tunnels }).map(([, , detail]) => detail)).toEqual([
      'a would send hub 20 prefixes of IPv4; hub ends the session beyond 19.',
    ])
  })

  test('packets that come back another way', () => {
    const network = new RoutedNetwork(TWO_HUBS)
    const compiled = compiledNow(network.index)
    expect(assess(compiled, compiled).findings).toEqual([])
    // What no intent can say: each end prefers a hub, and the other end does not know.
    const wanted: Record<string, string> = { a: 'h1', b: 'h2' }
    const { findings } = assess(compiled, compiled, (of, site) => {
      const { name } = network.index.site(site)!
      const neighbours = of.of(site).neighbours.map((neighbour) => ({
        ...neighbour,
        receive: neighbour.receive.map((rule) => ({
          ...rule,
          preference: neighbour.site === wanted[name] ? 200 : 100,
        })),
      }))
      return { ...of.of(site), neighbours }
    })
    expect(findings).toContainEqual({
      code: 'asymmetry',
      severity: 'warning',
      site: 'a',
      other: 'b',
      count: 1,
      detail: 'Packets from a to b go by h1, and come back by h2.',
    })
  })

  test('what would take too long is refused', () => {
    const names = Array.from({ length: 2_100 }, (_, i) => `s${i}`)
    const sites = names.map((name, i) => [name, { prefixes: [`10.${i >> 8}.${i & 255}.0/24`] }])
    // A chain: no two sites have the same neighbours.
    const tunnels = names.slice(1).map((name, i) => `s${i}-${name}`)
    const words = { sites: Object.fromEntries(sites), tunnels }
    const network = new RoutedNetwork(words)
    expect(() => planResult(network.index, undefined)).toThrow('2100 sites with 2100 kinds of prefixes are more than')
  })

  test('a way without a way back', () => {
    const a = { advertises: [{ prefixes: ['10.2.0.0/16'], to: ['hub'] }] }
    expect(findings({ ...STAR, sites: { ...STAR.sites, a } })).toEqual([
      ['asymmetry', 'warning', 'a has a way to b, which has none back.'],
    ])
    expect(findings({ ...STAR, sites: { ...STAR.sites, a: { advertises: [] } } })).toEqual([])
  })

  test('two sites that announce the same addresses', () => {
    const network = new RoutedNetwork(STAR)
    const compiled = compiledNow(network.index)
    const b = network.index.siteByName('b')!.id
    const result = assess(compiled, compiled, (of, site) =>
      site === b ? { ...of.of(site), advertise: ['10.2.7.0/24'] } : of.of(site),
    )
    expect(result.findings.find(({ code }) => code === 'overlap')?.detail).toBe(
      'b announces 10.2.7.0/24, and a 10.2.0.0/16: they share addresses.',
    )
  })
})

function row(site: string, change: string, before: number, after: number, added: number) {
  return { site, change, before, after, added, removed: 0, moved: 0 }
}
