import { describe, expect, test } from 'vitest'
import { address, prefix } from '../../../../protocol/net.ts'
import { Generations } from './neighbour.ts'
import { OWN_HOP, RibWorld, sequence } from './testing/world.ts'

const STALE = { families: [4 as const], ms: 120_000 }

describe('a neighbour that restarts (RFC 4724 section 4.2)', () => {
  test('its routes stay in use as stale; what it announces again is fresh; the rest goes at End-of-RIB', () => {
    const world = new RibWorld()
    world.add('a', 65001)
    world.announce('a', ['10.1.0.0/16', '10.2.0.0/16', 'fd01::/48'])
    world.down('a', STALE)
    expect([...world.forwarding.keys()]).toEqual(['10.1.0.0/16', '10.2.0.0/16'])
    expect(world.rib.status('a', 4)).toMatchObject({ received: 2, stale: 2 })
    expect(world.rib.explain(prefix('10.1.0.0/16'))!.candidates).toMatchObject([{ state: 'best', stale: true }])
    world.up('a', { keptForwarding: [4] })
    world.take('routes')
    world.announce('a', ['10.1.0.0/16'])
    expect(world.rib.status('a', 4)).toMatchObject({ received: 2, stale: 1 })
    expect(world.take('routes')).toEqual([])
    world.endOfRib('a')
    expect([...world.forwarding.keys()]).toEqual(['10.1.0.0/16'])
    expect(world.rib.status('a', 4)).toMatchObject({ received: 1, stale: 0 })
  })

  test('they go at once when somebody knows that its path is gone', () => {
    const world = new RibWorld()
    world.add('a', 65001)
    world.announce('a', ['10.1.0.0/16'])
    world.down('a', STALE)
    world.down('a')
    expect(world.forwarding.size).toBe(0)
    expect(world.rib.status('a', 4)).toMatchObject({ received: 0, stale: 0 })
  })

  test('they go when it does not come back in time', () => {
    const world = new RibWorld()
    world.add('a', 65001)
    world.announce('a', ['10.1.0.0/16'])
    world.down('a', STALE)
    expect(world.rib.deadline()).toBe(120_000)
    world.now = 119_999
    world.give({ kind: 'time' })
    expect(world.forwarding.size).toBe(1)
    world.now = 120_000
    world.give({ kind: 'time' })
    expect([world.forwarding.size, world.rib.deadline()]).toEqual([0, undefined])
  })

  test('nor when it comes back and never ends its initial routes', () => {
    const world = new RibWorld()
    world.add('a', 65001)
    world.announce('a', ['10.1.0.0/16'])
    world.down('a', STALE)
    world.up('a', { keptForwarding: [4], staleMs: 5_000 })
    world.now = 5_000
    world.give({ kind: 'time' })
    expect(world.forwarding.size).toBe(0)
  })

  test('they go when it comes back without having kept its forwarding', () => {
    const world = new RibWorld()
    world.add('a', 65001)
    world.announce('a', ['10.1.0.0/16'])
    world.down('a', STALE)
    world.up('a', { keptForwarding: [6] })
    expect(world.forwarding.size).toBe(0)
  })

  test('what was stale at the next loss goes, what was fresh becomes stale', () => {
    const world = new RibWorld()
    world.add('a', 65001)
    world.announce('a', ['10.1.0.0/16', '10.2.0.0/16'])
    world.down('a', STALE)
    world.up('a', { keptForwarding: [4] })
    world.announce('a', ['10.2.0.0/16'])
    world.down('a', STALE)
    expect([...world.forwarding.keys()]).toEqual(['10.2.0.0/16'])
    expect(world.rib.status('a', 4)).toMatchObject({ received: 1, stale: 1 })
  })

  test('a stale route can be withdrawn', () => {
    const world = new RibWorld()
    world.add('a', 65001)
    world.announce('a', ['10.1.0.0/16'])
    world.down('a', STALE)
    world.up('a', { keptForwarding: [4] })
    world.withdraw('a', ['10.1.0.0/16'])
    expect(world.forwarding.size).toBe(0)
  })

  test('a better route of another neighbour is used at once, stale or not', () => {
    const world = new RibWorld()
    world.add('a', 65001)
    world.add('b', 65002)
    world.announce('a', ['10.1.0.0/16'], { asPath: sequence(65001, 7) })
    world.down('a', STALE)
    world.announce('b', ['10.1.0.0/16'], { asPath: sequence(65002) }, '192.0.2.2')
    expect(world.hops('10.1.0.0/16')).toEqual(['b 192.0.2.2'])
  })

  test('hundreds of restarts in a row do not bring old routes back', () => {
    const world = new RibWorld({ slice: 1 })
    world.add('a', 65001)
    world.announce(
      'a',
      Array.from({ length: 200 }, (_, i) => `10.0.${i}.0/24`),
    )
    for (let i = 0; i < 700; i++) {
      world.down('a')
      world.up('a')
    }
    expect(world.rib.status('a', 4)).toMatchObject({ received: 0 })
    world.settle()
    expect(world.forwarding.size).toBe(0)
    expect(world.rib.explain(prefix('10.0.5.0/24'))).toBeUndefined()
  })
})

describe('a generation', () => {
  test('lives while it is the current or the stale one, over every number', () => {
    const generations = new Generations()
    for (let i = 0; i < 600; i++) {
      const before = generations.current
      generations.bump(i % 2 === 0 ? 1 : undefined)
      expect(generations.isLive(before)).toBe(i % 2 === 0)
      expect(generations.isLive(generations.current)).toBe(true)
      expect(generations.isLive((generations.current + 1) & 0xff)).toBe(false)
    }
  })
})

describe('when we restart (RFC 4724 section 4.1)', () => {
  test('nothing is decided or told until every neighbour has ended its initial routes', () => {
    const world = new RibWorld()
    world.give({ kind: 'restarting', neighbours: ['a', 'b'], deferMs: 60_000 })
    world.add('a', 65001, {}, { keptForwarding: [] })
    world.add('b', 65002, {}, { keptForwarding: [] })
    world.announce('a', ['10.1.0.0/16'])
    for (const family of [4, 6] as const) world.endOfRib('a', family)
    world.settle()
    expect([world.forwarding.size, world.rib.hasNews('b'), world.rib.hasWork]).toEqual([0, false, false])
    world.endOfRib('b', 4)
    expect(world.forwarding.size).toBe(0)
    world.endOfRib('b', 6)
    world.settle()
    expect(world.hops('10.1.0.0/16')).toEqual(['a 192.0.2.1'])
    expect(world.told.get('b')!.size).toBe(1)
  })

  test('nor longer than told; one that goes down is not waited for', () => {
    for (const end of ['time', 'down'] as const) {
      const world = new RibWorld()
      world.give({ kind: 'restarting', neighbours: ['a'], deferMs: 60_000 })
      world.add('a', 65001, {}, { keptForwarding: [] })
      world.add('c', 65003)
      world.announce('c', ['10.1.0.0/16'])
      expect(world.rib.deadline()).toBe(60_000)
      if (end === 'down') world.down('a')
      else world.now = 60_000
      world.settle()
      world.give({ kind: 'time' })
      expect(world.forwarding.size).toBe(1)
    }
  })
})

test('when we restart, a neighbour that has restarted too or knows no graceful restart is not waited for', () => {
  for (const up of [{ keptForwarding: [], isRestarting: true }, {}]) {
    const world = new RibWorld()
    world.give({ kind: 'restarting', neighbours: ['a'], deferMs: 60_000 })
    world.add('a', 65001, {}, up)
    world.announce('a', ['10.1.0.0/16'])
    world.settle()
    expect(world.forwarding.size).toBe(1)
  }
})

describe('a refresh of a neighbour’s routes (RFC 7313)', () => {
  test('what was not announced between its beginning and end goes', () => {
    const world = new RibWorld()
    world.add('a', 65001)
    world.announce('a', ['10.1.0.0/16', '10.2.0.0/16'])
    world.give({ kind: 'refresh-begins', neighbour: 'a', family: 4 })
    world.announce('a', ['10.2.0.0/16'])
    // End-of-RIB of the initial routes does not end it.
    world.endOfRib('a')
    expect(world.forwarding.size).toBe(2)
    world.give({ kind: 'refresh-ends', neighbour: 'a', family: 4 })
    expect([...world.forwarding.keys()]).toEqual(['10.2.0.0/16'])
  })

  test('an end without beginning ends nothing', () => {
    const world = new RibWorld()
    world.add('a', 65001)
    world.announce('a', ['10.1.0.0/16'])
    world.give({ kind: 'refresh-ends', neighbour: 'a', family: 4 })
    expect(world.forwarding.size).toBe(1)
  })

  test('before a neighbour that restarts gracefully has ended its initial routes is ignored (section 4)', () => {
    const world = new RibWorld()
    world.add('a', 65001, {}, { keptForwarding: [] })
    world.announce('a', ['10.1.0.0/16'])
    world.give({ kind: 'refresh-begins', neighbour: 'a', family: 4 })
    world.endOfRib('a')
    world.give({ kind: 'refresh-ends', neighbour: 'a', family: 4 })
    expect(world.forwarding.size).toBe(1)
    world.give({ kind: 'refresh-begins', neighbour: 'a', family: 4 })
    world.give({ kind: 'refresh-ends', neighbour: 'a', family: 4 })
    expect(world.forwarding.size).toBe(0)
  })

  test('one that never ends leaves all in use, for six minutes', () => {
    const world = new RibWorld()
    world.add('a', 65001)
    world.announce('a', ['10.1.0.0/16'])
    world.give({ kind: 'refresh-begins', neighbour: 'a', family: 4 })
    expect(world.forwarding.size).toBe(1)
    world.now = 360_000
    world.give({ kind: 'time' })
    expect(world.forwarding.size).toBe(0)
  })
})

describe('much to do', () => {
  test('is done in slices: the end of a large neighbour does not stop the loop', () => {
    const world = new RibWorld({ slice: 100 })
    const all = Array.from({ length: 5_000 }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`)
    world.add('a', 65001)
    world.add('b', 65002)
    world.announce('a', all, {}, '192.0.2.1')
    world.settle()
    expect(world.forwarding.size).toBe(5_000)
    world.down('a')
    world.effects = []
    let rounds = 0
    for (; world.rib.hasWork; rounds++) {
      expect(world.rib.deadline()).toBe(world.now)
      world.give({ kind: 'time' })
      const prefixes = world.take('routes').reduce((sum, { nextHops }) => sum + nextHops.length, 0)
      expect(prefixes).toBeLessThanOrEqual(100)
    }
    expect(rounds).toBeGreaterThan(48)
    expect([world.forwarding.size, world.rib.deadline()]).toEqual([0, undefined])
    world.settle()
    expect(world.told.get('b')!.size).toBe(0)
  })

  test('leaves nothing behind: neighbours that come and go reuse the same numbers', () => {
    const world = new RibWorld()
    world.add('b', 65002)
    for (let round = 0; round < 20; round++) {
      world.add('a', 65001)
      world.announce(
        'a',
        Array.from({ length: 900 }, (_, i) => `10.${round}.${i >> 2}.${(i & 3) << 6}/26`),
        { med: round },
      )
      world.settle()
      expect(world.forwarding.size).toBe(900)
      world.down('a')
      world.settle()
      expect(world.forwarding.size).toBe(0)
    }
    expect(world.rib.size(4)).toBe(0)
  })

  test('a neighbour in the middle of its initial routes hears of changes, and its session can end', () => {
    const world = new RibWorld()
    world.add('a', 65001)
    world.announce(
      'a',
      Array.from({ length: 500 }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`),
    )
    world.add('b', 65002)
    world.give({ kind: 'drain', neighbour: 'b', limit: 100 })
    expect(world.told.get('b')!.size).toBe(100)
    world.withdraw('a', ['10.0.5.0/24', '10.1.5.0/24'])
    world.announce('a', ['10.0.6.0/24'], { med: 1, origin: 2 })
    world.settle()
    expect(world.told.get('b')!.size).toBe(498)
    expect(world.toldOf('b', '10.0.6.0/24')!.origin).toBe(2)
    world.down('b')
    world.up('b', { nextHops: { 4: { address: address('10.7.7.7') } } })
    world.settle()
    expect(world.told.get('b')!.size).toBe(498)
    expect(world.told.get('b')!.get(prefix('10.0.6.0/24'))!.nextHop).toEqual({ address: '10.7.7.7' })
    expect(OWN_HOP[4].address).not.toBe('10.7.7.7')
  })
})
