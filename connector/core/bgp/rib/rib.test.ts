import { describe, expect, test } from 'vitest'
import { address, prefix } from '../../../../protocol/net.ts'
import { prefixesOf } from '../wire/prefixes.ts'
import type { PolicyRule } from './policy-types.ts'
import { INELIGIBLE } from './reasons.ts'
import { LOCAL_AS, OWN_HOP, policiesOf, RibWorld, ROUTER_ID, sequence } from './testing/world.ts'

describe('learning and forgetting', () => {
  test('the first route is used, a better one takes its place, the first comes back', () => {
    const world = new RibWorld()
    world.add('a', 65001)
    world.add('b', 65002)
    world.announce('a', ['10.1.0.0/16'], { asPath: sequence(65001, 1) }, '192.0.2.1')
    expect(world.hops('10.1.0.0/16')).toEqual(['a 192.0.2.1'])
    world.announce('b', ['10.1.0.0/16'], { asPath: sequence(65002) }, '192.0.2.2')
    expect(world.hops('10.1.0.0/16')).toEqual(['b 192.0.2.2'])
    world.withdraw('b', ['10.1.0.0/16'])
    expect(world.hops('10.1.0.0/16')).toEqual(['a 192.0.2.1'])
    world.down('a')
    expect(world.forwarding.size).toBe(0)
    expect(world.rib.size(4)).toBe(0)
  })

  test('an announcement takes the place of the one before; the same again changes nothing', () => {
    const world = new RibWorld()
    world.add('a', 65001)
    world.announce('a', ['10.1.0.0/16', 'fd01::/48'])
    world.take('routes')
    world.announce('a', ['10.1.0.0/16', 'fd01::/48'])
    expect(world.take('routes')).toEqual([])
    world.announce('a', ['10.1.0.0/16'], { med: 5 })
    expect(world.take('routes')).toEqual([])
    world.announce('a', ['10.1.0.0/16'], { med: 5 }, '192.0.2.9')
    expect(world.hops('10.1.0.0/16')).toEqual(['a 192.0.2.9'])
    expect(world.rib.status('a', 4)).toMatchObject({ received: 1, accepted: 1, stale: 0 })
    expect(world.rib.counters('a')).toMatchObject({ announced: 6, flaps: 2 })
  })

  test('equal routes are used together where that is asked for', () => {
    const world = new RibWorld({ decision: { maxPaths: 4, multipathRelax: true } })
    world.add('a', 65001)
    world.add('b', 65002)
    world.announce('a', ['10.1.0.0/16'], { asPath: sequence(65001) }, '192.0.2.1')
    world.announce('b', ['10.1.0.0/16'], { asPath: sequence(65002) }, '192.0.2.2')
    expect(world.hops('10.1.0.0/16')).toEqual(['a 192.0.2.1', 'b 192.0.2.2'])
    world.withdraw('a', ['10.1.0.0/16'])
    expect(world.hops('10.1.0.0/16')).toEqual(['b 192.0.2.2'])
  })

  test('what we originate wins, and is told to neighbours with our next hop', () => {
    const world = new RibWorld()
    world.add('a', 65001)
    world.add('i', LOCAL_AS)
    world.announce('a', ['10.1.0.0/16'])
    world.give({ kind: 'originate', prefixes: [prefix('10.1.0.0/16'), prefix('fd01::/48')], attributes: { med: 7 } })
    world.settle()
    expect(world.hops('10.1.0.0/16')).toEqual(['local 0.0.0.0'])
    expect(world.toldOf('a', '10.1.0.0/16')).toEqual({ origin: 0, asPath: sequence(LOCAL_AS), med: 7 })
    expect(world.toldOf('i', 'fd01::/48')).toEqual({ origin: 0, asPath: [], med: 7, localPref: 100 })
    expect(world.told.get('i')!.get(prefix('fd01::/48'))!.nextHop).toEqual(OWN_HOP[6])
    world.give({ kind: 'withdraw', prefixes: [prefix('10.1.0.0/16')] })
    world.settle()
    expect(world.hops('10.1.0.0/16')).toEqual(['a 192.0.2.1'])
    expect(world.toldOf('a', '10.1.0.0/16')).toBeUndefined()
  })

  test('a next hop that cannot be reached is none, until it can', () => {
    let cost: number | undefined
    const world = new RibWorld({ resolve: () => cost })
    world.add('a', 65001)
    world.announce('a', ['10.1.0.0/16'])
    expect(world.forwarding.size).toBe(0)
    expect(world.rib.explain(prefix('10.1.0.0/16'))!.candidates).toMatchObject([
      { state: 'ineligible', why: 'next-hop-unreachable' },
    ])
    cost = 0
    world.give({ kind: 'next-hops-changed' })
    expect(world.hops('10.1.0.0/16')).toEqual(['a 192.0.2.1'])
    cost = undefined
    world.give({ kind: 'next-hops-changed' })
    expect(world.forwarding.size).toBe(0)
  })

  test('a nearer next hop wins where nothing before it decides', () => {
    const costs = new Map([
      ['192.0.2.1', 20],
      ['192.0.2.2', 10],
    ])
    const world = new RibWorld({ resolve: (hop) => costs.get(hop) })
    for (const id of ['i', 'j']) world.add(id, LOCAL_AS)
    world.announce('i', ['10.1.0.0/16'], { asPath: [] }, '192.0.2.1')
    world.announce('j', ['10.1.0.0/16'], { asPath: [] }, '192.0.2.2')
    expect(world.hops('10.1.0.0/16')).toEqual(['j 192.0.2.2'])
    costs.set('192.0.2.1', 5)
    world.give({ kind: 'next-hops-changed' })
    expect(world.hops('10.1.0.0/16')).toEqual(['i 192.0.2.1'])
  })

  test('a neighbour that is unknown or down is not listened to', () => {
    const world = new RibWorld()
    world.announce('a', ['10.1.0.0/16'])
    world.add('a', 65001)
    world.down('a')
    world.announce('a', ['10.1.0.0/16'])
    world.give({ kind: 'drain', neighbour: 'a', limit: 10 })
    expect([world.forwarding.size, world.effects.length]).toEqual([0, 0])
  })

  test('a neighbour that is removed leaves nothing behind, and may be added again', () => {
    const world = new RibWorld()
    world.add('a', 65001)
    world.announce('a', ['10.1.0.0/16'])
    world.give({ kind: 'remove-neighbour', neighbour: 'a' })
    expect([world.forwarding.size, world.rib.status('a', 4)]).toEqual([0, undefined])
    world.add('a', 65001)
    world.announce('a', ['10.1.0.0/16'])
    expect(world.hops('10.1.0.0/16')).toEqual(['a 192.0.2.1'])
  })
})

describe('routes that are not taken', () => {
  const refused: readonly [string, string, object, string?][] = [
    ['martian', '127.0.0.0/8', {}],
    ['martian', '0.1.0.0/16', {}],
    ['martian', '169.254.7.0/30', {}],
    ['martian', '224.0.0.0/4', {}],
    ['martian', '255.255.255.255/32', {}],
    ['martian', 'fe80::/64', {}],
    ['martian', 'ff02::/16', {}],
    ['martian', '::1/128', {}],
    ['martian', '::ffff:a00:0/104', {}],
    ['default-route', '0.0.0.0/0', {}],
    ['default-route', '::/0', {}],
    ['as-loop', '10.1.0.0/16', { asPath: sequence(65001, LOCAL_AS) }],
    ['as-loop', '10.1.0.0/16', { asPath: [...sequence(65001), { type: 'set', asns: [1, LOCAL_AS] }] }],
    ['reflection-loop', '10.1.0.0/16', { originatorId: ROUTER_ID }],
    ['reflection-loop', '10.1.0.0/16', { clusterList: [5, ROUTER_ID] }],
    ['own-next-hop', '10.1.0.0/16', {}, '10.9.9.9'],
    ['recursive', '203.0.113.0/24', {}],
    ['recursive', '203.0.113.7/32', {}],
    ['recursive', '2001:db8:0:4000::/50', {}],
  ]

  test.each(refused)('%s: %s %o', (reason, text, attributes, hop) => {
    const world = new RibWorld()
    const tunnelEnds = [address('203.0.113.7'), address('2001:db8:0:7fff::1')]
    world.add('a', 65001, { acceptDefault: false, tunnelEnds })
    world.announce('a', [text], attributes, hop)
    expect(world.forwarding.size).toBe(0)
    expect(world.take('rejected')).toEqual([{ kind: 'rejected', neighbour: 'a', reason, first: text, prefixes: 1 }])
    expect(world.rib.explain(prefix(text))!.candidates).toMatchObject([{ state: 'ineligible', why: reason }])
    expect([...world.rib.counters('a')!.rejected]).toEqual([[reason, 1]])
  })

  test.each([
    '10.0.0.0/8',
    '0.0.0.0/1',
    '100.64.0.0/10',
    '203.0.112.0/24',
    '2001:db8:0:8000::/49',
    'fd00::/8',
    '64:ff9b::/96',
    '8000::/1',
  ])('%s is taken', (text) => {
    const world = new RibWorld()
    world.add('a', 65001, { tunnelEnds: [address('203.0.113.7'), address('2001:db8:0:7fff::1')] })
    world.announce('a', [text])
    expect(world.hops(text)).toEqual(['a 192.0.2.1'])
  })

  test('a default route where it is asked for, also through a tunnel whose end it covers', () => {
    const world = new RibWorld()
    world.add('a', 65001, { acceptDefault: true, tunnelEnds: [address('203.0.113.7')] })
    world.announce('a', ['0.0.0.0/0'])
    expect(world.hops('0.0.0.0/0')).toEqual(['a 192.0.2.1'])
  })

  test('of an update each reason is told once, with the first prefix', () => {
    const world = new RibWorld()
    world.add('a', 65001)
    world.announce('a', ['127.0.0.0/8', '10.1.0.0/16', '224.1.0.0/16'])
    expect(world.take('rejected')).toMatchObject([{ reason: 'martian', first: '127.0.0.0/8', prefixes: 2 }])
    expect(world.hops('10.1.0.0/16')).toHaveLength(1)
  })

  test('allowAsIn lets our AS stand in the path that often', () => {
    const world = new RibWorld()
    world.add('a', 65001, { allowAsIn: 2 })
    world.announce('a', ['10.1.0.0/16'], { asPath: sequence(65001, LOCAL_AS, LOCAL_AS) })
    world.announce('a', ['10.2.0.0/16'], { asPath: sequence(65001, LOCAL_AS, LOCAL_AS, LOCAL_AS) })
    expect([...world.forwarding.keys()]).toEqual(['10.1.0.0/16'])
  })

  test('a route that is refused in the place of one that was used withdraws it', () => {
    const world = new RibWorld()
    world.add('a', 65001)
    world.announce('a', ['10.1.0.0/16'])
    world.announce('a', ['10.1.0.0/16'], { asPath: sequence(65001, LOCAL_AS) })
    expect(world.forwarding.size).toBe(0)
    expect(world.rib.status('a', 4)).toMatchObject({ received: 1, accepted: 0 })
  })
})

describe('no policy, no routes (RFC 8212)', () => {
  test('an external neighbour without policies gives and gets nothing; nor with one that does not exist', () => {
    for (const config of [{}, { importPolicy: 'x', exportPolicy: 'x' }]) {
      const world = new RibWorld()
      world.give({ kind: 'neighbour', config: { id: 'a', peerAs: 65001, address: address('10.8.0.1'), ...config } })
      world.up('a')
      world.announce('a', ['10.1.0.0/16'])
      world.give({ kind: 'originate', prefixes: [prefix('10.2.0.0/16')] })
      world.settle()
      expect([...world.forwarding.keys()]).toEqual(['10.2.0.0/16'])
      expect(world.told.get('a')!.size).toBe(0)
      expect(world.rib.explain(prefix('10.1.0.0/16'))!.candidates).toMatchObject([{ why: 'no-policy' }])
      expect(world.rib.explain(prefix('10.2.0.0/16'))!.advertised).toMatchObject([{ neighbour: 'a', why: 'no-policy' }])
    }
  })

  test('an internal one needs none', () => {
    const world = new RibWorld()
    world.give({ kind: 'neighbour', config: { id: 'i', peerAs: LOCAL_AS, address: address('10.8.0.1') } })
    world.up('i')
    world.announce('i', ['10.1.0.0/16'], { asPath: [] })
    expect(world.hops('10.1.0.0/16')).toHaveLength(1)
  })
})

describe('policies', () => {
  const rules: PolicyRule[] = [
    { name: 'short', if: { prefixes: [{ prefix: '0.0.0.0/0', ge: 25 }] }, do: 'reject' },
    { name: 'gold', if: { anyCommunity: ['65001:1'] }, set: { localPref: 200 }, do: 'accept' },
    { do: 'accept' },
  ]
  const document = { policies: { in: { rules }, all: { rules: [], otherwise: 'accept' as const } } }

  test('reject and change what comes in; explain names the rule', () => {
    const world = new RibWorld({ policies: policiesOf(document) })
    world.add('a', 65001, { importPolicy: 'in' })
    world.add('b', 65002)
    world.announce('a', ['10.1.0.0/16'], { asPath: sequence(65001, 2, 3), communities: [0xfde90001] })
    world.announce('b', ['10.1.0.0/16', '10.2.0.0/25'], { asPath: sequence(65002) })
    world.announce('a', ['10.2.0.0/25'])
    expect(world.hops('10.1.0.0/16')).toEqual(['a 192.0.2.1'])
    expect(world.rib.explain(prefix('10.1.0.0/16'))!.candidates).toMatchObject([
      { neighbour: 'a', state: 'best', rule: 'in: gold', accepted: { localPref: 200 } },
      { neighbour: 'b', state: 'lost', why: 'local-preference', rule: 'all: otherwise' },
    ])
    expect(world.rib.explain(prefix('10.2.0.0/25'))!.candidates).toMatchObject([
      { neighbour: 'b', state: 'best' },
      { neighbour: 'a', state: 'ineligible', why: 'import-policy', rule: 'in: short' },
    ])
    expect(world.take('rejected')).toEqual([])
  })

  test('that change judge anew what is there, both ways, without the neighbour’s help', () => {
    const world = new RibWorld({ policies: policiesOf(document) })
    world.add('a', 65001, { importPolicy: 'in' })
    world.add('b', 65002)
    world.announce('a', ['10.1.0.0/16', '10.2.0.0/25'])
    world.settle()
    expect(world.told.get('b')!.size).toBe(1)
    const none = { policies: { in: { rules: [] }, all: { rules: [], otherwise: 'accept' as const } } }
    world.give({ kind: 'policies', policies: policiesOf(none) })
    world.settle()
    expect([world.forwarding.size, world.told.get('b')!.size]).toEqual([0, 0])
    world.give({
      kind: 'policies',
      policies: policiesOf({ policies: { ...document.policies, in: { rules: [{ do: 'accept' }] } } }),
    })
    world.settle()
    expect([world.forwarding.size, world.told.get('b')!.size]).toEqual([2, 2])
    world.give({
      kind: 'policies',
      policies: policiesOf({ policies: { in: { rules: [{ do: 'accept' }] }, all: { rules: [] } } }),
    })
    world.settle()
    expect([world.forwarding.size, world.told.get('b')!.size]).toEqual([2, 0])
  })

  test('a neighbour that gets another policy is judged anew, too', () => {
    const world = new RibWorld({ policies: policiesOf(document) })
    world.add('a', 65001)
    world.announce('a', ['10.2.0.0/25'])
    expect(world.forwarding.size).toBe(1)
    const config = { id: 'a', peerAs: 65001, address: address('10.8.0.1'), importPolicy: 'in' }
    world.give({ kind: 'neighbour', config })
    expect(world.forwarding.size).toBe(0)
    world.give({ kind: 'neighbour', config: { ...config, importPolicy: 'all', allowAsIn: 1 } })
    expect(world.forwarding.size).toBe(1)
  })
})

test('every reason for a route not to be taken occurs in a test: above, and of roles in rib-told.test.ts', () => {
  const tested = ['accepted', 'martian', 'default-route', 'as-loop', 'reflection-loop', 'own-next-hop', 'recursive']
  expect([...INELIGIBLE]).toEqual([...tested, 'route-leak', 'no-policy', 'import-policy'])
})

describe('settings that change', () => {
  test('routes over next hops that moved are told again, others are not', () => {
    const world = new RibWorld()
    world.add('a', 65001)
    world.announce('a', ['10.1.0.0/16'], {}, '192.0.2.1')
    world.announce('a', ['10.2.0.0/16'], {}, '192.0.2.2')
    world.take('routes')
    world.give({ kind: 'next-hops-changed', moved: (hop) => hop === '192.0.2.1' })
    world.settle()
    expect(world.take('routes').flatMap(({ prefixes }) => prefixesOf(prefixes))).toEqual(['10.1.0.0/16'])
    world.give({ kind: 'next-hops-changed' })
    world.settle()
    expect(world.take('routes')).toEqual([])
  })

  test('a limit that is lowered is looked at at once', () => {
    const world = new RibWorld()
    world.add('a', 65001)
    world.announce('a', ['10.1.0.0/16', '10.2.0.0/16'])
    const config = { id: 'a', peerAs: 65001, address: address('192.0.2.1') }
    world.give({ kind: 'neighbour', config: { ...config, maxPrefixes: { limit: 2 } } })
    expect(world.take('prefix-limit')).toEqual([])
    world.give({ kind: 'neighbour', config: { ...config, maxPrefixes: { limit: 1 } } })
    expect(world.take('prefix-limit')).toMatchObject([{ neighbour: 'a', family: 4, limit: 1 }])
  })

  test('a neighbour takes the place of one that is long gone', () => {
    const world = new RibWorld()
    for (let i = 0; i < 70_000; i += 1_000) {
      world.add(`n${i}`, 65001)
      world.announce(`n${i}`, ['10.1.0.0/16'])
      expect(world.hops('10.1.0.0/16')).toEqual([`n${i} 192.0.2.1`])
      world.give({ kind: 'remove-neighbour', neighbour: `n${i}` })
      world.settle()
      expect(world.rib.size(4)).toBe(0)
    }
  })
})
