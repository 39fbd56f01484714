import { describe, expect, test } from 'vitest'
import { prefix } from '../../../../protocol/net.ts'
import { prefixesOf } from '../wire/prefixes.ts'
import type { Role } from '../wire/types.ts'
import type { PolicyRule } from './policy-types.ts'
import { LOCAL_AS, OWN_HOP, policiesOf, RibWorld, sequence } from './testing/world.ts'

const GSHUT = 0xffff0000
const NO_EXPORT = 0xffffff01
const NO_ADVERTISE = 0xffffff02

describe('what neighbours are told (RFC 4271 sections 5.1, 9.1.3)', () => {
  test('external: our AS in front, our next hop, no MED of others, no LOCAL_PREF', () => {
    const world = new RibWorld()
    world.add('a', 65001)
    world.add('b', 65002)
    world.add('i', LOCAL_AS)
    world.announce('a', ['10.1.0.0/16'], { med: 5, communities: [1] }, '192.0.2.1')
    world.announce('i', ['10.2.0.0/16'], { asPath: [], med: 6, localPref: 300, originatorId: 7, clusterList: [8] })
    world.settle()
    expect(world.told.get('b')!.get(prefix('10.1.0.0/16'))).toEqual({
      attributes: { origin: 0, asPath: sequence(LOCAL_AS, 65001), communities: [1] },
      nextHop: OWN_HOP[4],
    })
    expect(world.toldOf('b', '10.2.0.0/16')).toEqual({ origin: 0, asPath: sequence(LOCAL_AS) })
  })

  test('internal: the path, MED and next hop as they are, LOCAL_PREF always', () => {
    const world = new RibWorld()
    world.add('a', 65001)
    world.add('i', LOCAL_AS)
    world.add('j', LOCAL_AS, { nextHopSelf: true })
    world.announce('a', ['10.1.0.0/16'], { med: 5 }, '192.0.2.1')
    world.settle()
    expect(world.told.get('i')!.get(prefix('10.1.0.0/16'))).toEqual({
      attributes: { origin: 0, asPath: sequence(65001), med: 5, localPref: 100 },
      nextHop: { address: '192.0.2.1' },
    })
    expect(world.told.get('j')!.get(prefix('10.1.0.0/16'))!.nextHop).toEqual(OWN_HOP[4])
  })

  test('not back, not from internal to internal, and not against its communities', () => {
    const world = new RibWorld()
    for (const [id, asn] of [
      ['a', 65001],
      ['b', 65002],
      ['i', LOCAL_AS],
      ['j', LOCAL_AS],
    ] as const)
      world.add(id, asn)
    world.announce('a', ['10.1.0.0/16'])
    world.announce('i', ['10.2.0.0/16'], { asPath: [] })
    world.announce('a', ['10.3.0.0/16'], { communities: [NO_EXPORT] })
    world.announce('a', ['10.4.0.0/16'], { communities: [NO_ADVERTISE] })
    world.settle()
    const told = Object.fromEntries([...world.told].map(([id, table]) => [id, [...table.keys()].sort()]))
    expect(told).toEqual({
      a: ['10.2.0.0/16'],
      b: ['10.1.0.0/16', '10.2.0.0/16'],
      i: ['10.1.0.0/16', '10.3.0.0/16'],
      j: ['10.1.0.0/16', '10.3.0.0/16'],
    })
    const why = (text: string) => world.rib.explain(prefix(text))!.advertised.map(({ why }) => why)
    expect(why('10.1.0.0/16')).toEqual(['split-horizon', undefined, undefined, undefined])
    expect(why('10.2.0.0/16')).toEqual([undefined, undefined, 'split-horizon', 'internal'])
    expect(why('10.3.0.0/16')).toEqual(['split-horizon', 'no-export', undefined, undefined])
    expect(why('10.4.0.0/16')).toEqual(['split-horizon', 'no-advertise', 'no-advertise', 'no-advertise'])
  })

  test('an export policy sets MED, prepends and tags; explain names its rule', () => {
    const out: PolicyRule[] = [
      {
        if: { from: ['local'] },
        set: { med: 50, prepend: { times: 2 }, communities: { add: ['64500:1'] } },
        do: 'accept',
      },
    ]
    const world = new RibWorld({
      policies: policiesOf({ policies: { out: { rules: out }, all: { rules: [], otherwise: 'accept' } } }),
    })
    world.add('a', 65001)
    world.add('b', 65002, { exportPolicy: 'out' })
    world.announce('a', ['10.1.0.0/16'])
    world.give({ kind: 'originate', prefixes: [prefix('10.2.0.0/16')] })
    world.settle()
    expect([...world.told.get('b')!.values()].map(({ attributes }) => attributes)).toEqual([
      { origin: 0, asPath: sequence(LOCAL_AS, LOCAL_AS, LOCAL_AS), med: 50, communities: [0xfbf40001] },
    ])
    expect(world.rib.explain(prefix('10.1.0.0/16'))!.advertised[1]).toEqual({
      neighbour: 'b',
      why: 'export-policy',
      rule: 'out: otherwise',
    })
  })

  test('prefixes of equal attributes go in one batch', () => {
    const world = new RibWorld()
    world.add('a', 65001)
    world.add('b', 65002)
    world.announce('a', ['10.1.0.0/16', '10.2.0.0/16', '10.3.0.0/16'])
    world.announce('a', ['10.4.0.0/16'], { origin: 1 })
    world.announce('a', ['10.5.0.0/16'])
    world.give({ kind: 'drain', neighbour: 'b', limit: 100 })
    expect(world.take('advertise').map(({ prefixes }) => prefixesOf(prefixes).length)).toEqual([4, 1])
  })

  test('no more than there is room for, and what changed meanwhile once', () => {
    const world = new RibWorld()
    world.add('a', 65001)
    world.add('b', 65002)
    world.settle()
    world.announce(
      'a',
      Array.from({ length: 30 }, (_, i) => `10.${i}.0.0/16`),
    )
    world.give({ kind: 'drain', neighbour: 'b', limit: 10 })
    expect(world.told.get('b')!.size).toBe(10)
    for (let i = 0; i < 5; i++) world.announce('a', ['10.29.0.0/16'], { med: i, communities: [i] })
    world.announce('a', ['10.28.0.0/16'])
    world.withdraw('a', ['10.28.0.0/16'])
    world.take('advertise')
    world.settle()
    expect(world.told.get('b')!.size).toBe(29)
    expect(world.take('advertise').flatMap(({ prefixes }) => prefixesOf(prefixes))).toHaveLength(19)
    expect(world.take('withdraw')).toEqual([])
  })

  test('the initial routes end with End-of-RIB of each family (RFC 4724 section 2)', () => {
    const world = new RibWorld()
    world.give({ kind: 'originate', prefixes: [prefix('10.2.0.0/16')] })
    world.add('a', 65001)
    expect(world.rib.hasNews('a')).toBe(true)
    world.settle()
    const kinds = world.effects.filter(({ kind }) => kind !== 'routes').map((effect) => effect.kind)
    expect(kinds).toEqual(['advertise', 'end-of-rib', 'end-of-rib'])
    expect(world.take('end-of-rib').map(({ family }) => family)).toEqual([4, 6])
    expect(world.rib.hasNews('a')).toBe(false)
  })

  test('who asks for a refresh gets everything again, framed where both know how (RFC 2918, 7313)', () => {
    for (const enhancedRefresh of [false, true]) {
      const world = new RibWorld()
      world.give({ kind: 'originate', prefixes: [prefix('10.2.0.0/16')] })
      world.add('a', 65001, {}, { enhancedRefresh })
      world.settle()
      world.effects = []
      world.give({ kind: 'refresh-asked', neighbour: 'a', family: 4 })
      world.settle()
      const frame = enhancedRefresh ? ['refresh-begins', 'advertise', 'refresh-ends'] : ['advertise']
      expect(world.effects.map(({ kind }) => kind).sort()).toEqual([...frame].sort())
    }
  })

  test('a refresh that is asked for during the initial routes comes behind their end (RFC 7313 section 4)', () => {
    const world = new RibWorld()
    world.give({ kind: 'originate', prefixes: [prefix('10.2.0.0/16')] })
    world.add('a', 65001, {}, { enhancedRefresh: true })
    world.give({ kind: 'refresh-asked', neighbour: 'a', family: 4 })
    world.settle()
    const frame = world.effects.filter((effect) => 'family' in effect && effect.family === 4).map(({ kind }) => kind)
    expect(frame).toEqual(['end-of-rib', 'refresh-begins', 'refresh-ends'])
  })

  test('a family that was not negotiated is not spoken', () => {
    const world = new RibWorld()
    world.add('a', 65001, {}, { families: [4] })
    world.give({ kind: 'originate', prefixes: [prefix('fd01::/48')] })
    world.settle()
    expect(world.told.get('a')!.size).toBe(0)
    expect(world.rib.explain(prefix('fd01::/48'))!.advertised).toMatchObject([{ why: 'family-not-negotiated' }])
  })
})

describe('roles and OTC (RFC 9234 section 5)', () => {
  /** [our role, OTC of the route, taken, OTC afterwards] from AS 65001. */
  const ingress: readonly [Role, number | undefined, boolean, number | undefined][] = [
    ['provider', undefined, true, undefined],
    ['provider', 65001, false, undefined],
    ['routeServer', undefined, true, undefined],
    ['routeServer', 9, false, undefined],
    ['customer', undefined, true, 65001],
    ['customer', 9, true, 9],
    ['routeServerClient', undefined, true, 65001],
    ['routeServerClient', 9, true, 9],
    ['peer', undefined, true, 65001],
    ['peer', 65001, true, 65001],
    ['peer', 9, false, undefined],
  ]

  test.each(ingress)('in, as %s, with OTC %s: taken %s, then %s', (role, onlyToCustomer, taken, after) => {
    const world = new RibWorld()
    world.add('a', 65001, { role })
    world.announce('a', ['10.1.0.0/16'], onlyToCustomer === undefined ? {} : { onlyToCustomer })
    expect(world.forwarding.size).toBe(taken ? 1 : 0)
    const [candidate] = world.rib.explain(prefix('10.1.0.0/16'))!.candidates
    expect(candidate!.why).toBe(taken ? undefined : 'route-leak')
    expect(candidate!.accepted?.onlyToCustomer).toBe(after)
  })

  /** [our role, OTC of the route, told, OTC in what is told]. */
  const egress: readonly [Role, number | undefined, boolean, number | undefined][] = [
    ['provider', undefined, true, LOCAL_AS],
    ['provider', 9, true, 9],
    ['routeServer', undefined, true, LOCAL_AS],
    ['routeServer', 9, true, 9],
    ['peer', undefined, true, LOCAL_AS],
    ['peer', 9, false, undefined],
    ['customer', undefined, true, undefined],
    ['customer', 9, false, undefined],
    ['routeServerClient', undefined, true, undefined],
    ['routeServerClient', 9, false, undefined],
  ]

  test.each(egress)('out, as %s, with OTC %s: told %s, with %s', (role, onlyToCustomer, told, after) => {
    const world = new RibWorld()
    world.add('a', 65001)
    world.add('b', 65002, { role })
    world.announce('a', ['10.1.0.0/16'], onlyToCustomer === undefined ? {} : { onlyToCustomer })
    world.settle()
    expect(world.told.get('b')!.size).toBe(told ? 1 : 0)
    expect(world.toldOf('b', '10.1.0.0/16')?.onlyToCustomer).toBe(after)
    if (!told) expect(world.rib.explain(prefix('10.1.0.0/16'))!.advertised[1]!.why).toBe('otc')
  })
})

describe('graceful shutdown (RFC 8326)', () => {
  test('a route with the community is used last, but used', () => {
    const world = new RibWorld()
    world.add('a', 65001)
    world.add('b', 65002)
    world.announce('a', ['10.1.0.0/16'], { communities: [GSHUT] }, '192.0.2.1')
    expect(world.hops('10.1.0.0/16')).toEqual(['a 192.0.2.1'])
    world.announce('b', ['10.1.0.0/16'], { asPath: sequence(65002, 1, 2, 3) }, '192.0.2.2')
    expect(world.hops('10.1.0.0/16')).toEqual(['b 192.0.2.2'])
  })

  test('a policy does not raise what leaves above other ways', () => {
    const raise = { rules: [{ set: { localPref: 200 }, do: 'accept' as const }] }
    const policies = policiesOf({ policies: { raise, all: { rules: [], otherwise: 'accept' } } })
    const world = new RibWorld({ policies })
    world.add('a', 65001, { importPolicy: 'raise' })
    world.add('b', 65002)
    world.announce('a', ['10.1.0.0/16'], { communities: [GSHUT] }, '192.0.2.1')
    world.announce('b', ['10.1.0.0/16'], { asPath: sequence(65002, 1, 2, 3) }, '192.0.2.2')
    expect(world.hops('10.1.0.0/16')).toEqual(['b 192.0.2.2'])
  })

  test('what a neighbour announces that we leave is used last, also what it announces then', () => {
    const world = new RibWorld()
    world.add('a', 65001)
    world.add('b', 65002)
    world.announce('a', ['10.1.0.0/16'], {}, '192.0.2.1')
    world.announce('b', ['10.1.0.0/16', '10.2.0.0/16'], { asPath: sequence(65002, 1, 2, 3) }, '192.0.2.2')
    expect(world.hops('10.1.0.0/16')).toEqual(['a 192.0.2.1'])
    world.give({ kind: 'graceful-shutdown', neighbour: 'a', active: true, avoid: true })
    world.settle()
    world.announce('a', ['10.2.0.0/16'], {}, '192.0.2.1')
    expect([world.hops('10.1.0.0/16'), world.hops('10.2.0.0/16')]).toEqual([['b 192.0.2.2'], ['b 192.0.2.2']])
    world.give({ kind: 'graceful-shutdown', neighbour: 'a', active: false })
    world.settle()
    expect([world.hops('10.1.0.0/16'), world.hops('10.2.0.0/16')]).toEqual([['a 192.0.2.1'], ['a 192.0.2.1']])
  })

  test('when we leave, everything to the neighbour is tagged; and when we stay after all, not', () => {
    const world = new RibWorld()
    world.add('a', 65001)
    world.give({ kind: 'originate', prefixes: [prefix('10.2.0.0/16')] })
    world.settle()
    world.give({ kind: 'graceful-shutdown', neighbour: 'a', active: true })
    world.settle()
    expect(world.toldOf('a', '10.2.0.0/16')!.communities).toEqual([GSHUT])
    world.give({ kind: 'graceful-shutdown', neighbour: 'a', active: false })
    world.settle()
    expect(world.toldOf('a', '10.2.0.0/16')!.communities).toBeUndefined()
  })
})
