import { describe, expect, test } from 'vitest'
import { prefix } from '../../../../protocol/net.ts'
import { DEFAULT_DAMPING } from './damping.ts'
import { LOCAL_AS, RibWorld } from './testing/world.ts'

const STALE = { families: [4 as const], ms: 120_000 }

describe('too many prefixes (RFC 4271 section 6.7, RFC 4486)', () => {
  const many = (count: number) => Array.from({ length: count }, (_, i) => `10.0.${i}.0/24`)

  test('a warning once, then the end, told once with the time of return; nothing more is taken', () => {
    const world = new RibWorld()
    world.add('a', 65001, { maxPrefixes: { limit: 10, restartMs: 900_000 } })
    world.announce('a', many(7))
    expect(world.take('prefix-warning')).toEqual([])
    world.announce('a', many(9))
    expect(world.take('prefix-warning')).toEqual([
      { kind: 'prefix-warning', neighbour: 'a', family: 4, prefixes: 8, limit: 10 },
    ])
    world.announce('a', many(10))
    expect(world.take('prefix-limit')).toEqual([])
    world.announce('a', many(30))
    const limit = { kind: 'prefix-limit', neighbour: 'a', family: 4, limit: 10, restartMs: 900_000 }
    expect(world.take('prefix-limit')).toEqual([limit])
    expect(world.rib.status('a', 4)!.received).toBe(10)
    expect(world.rib.counters('a')!.overLimit).toBe(20)
    world.withdraw('a', many(5))
    world.announce('a', many(10))
    expect(world.rib.status('a', 4)!.received).toBe(5)
    world.down('a')
    world.up('a')
    world.announce('a', many(10))
    expect(world.rib.status('a', 4)!.received).toBe(10)
  })

  test('of each family by itself; what policies refuse counts', () => {
    const world = new RibWorld()
    world.add('a', 65001, { maxPrefixes: { limit: 2, warnAt: 0.5 }, importPolicy: 'none' })
    world.announce('a', ['10.1.0.0/16', 'fd01::/48', 'fd02::/48', 'fd03::/48'])
    expect(world.take('prefix-limit')).toMatchObject([{ family: 6 }])
    expect(world.take('prefix-warning')).toMatchObject([
      { family: 4, prefixes: 1 },
      { family: 6, prefixes: 1 },
    ])
  })

  test('a restart that refreshes all of them does not count them twice', () => {
    const world = new RibWorld()
    world.add('a', 65001, { maxPrefixes: { limit: 3 } })
    world.announce('a', many(3))
    world.down('a', STALE)
    world.up('a', { keptForwarding: [4] })
    world.announce('a', many(3))
    expect(world.take('prefix-limit')).toEqual([])
  })
})

describe('flap damping (RFC 2439, RFC 7196)', () => {
  const flap = (world: RibWorld, times: number) => {
    for (let i = 0; i < times; i++) {
      world.withdraw('a', ['10.1.0.0/16'])
      world.announce('a', ['10.1.0.0/16'])
    }
  }

  test('is off by default', () => {
    const world = new RibWorld()
    world.add('a', 65001)
    world.announce('a', ['10.1.0.0/16'])
    flap(world, 100)
    expect(world.forwarding.size).toBe(1)
    expect(world.rib.counters('a')!.flaps).toBe(100)
  })

  test('holds back what flaps more than six times, and lets it go when the penalty has decayed', () => {
    const world = new RibWorld()
    world.add('a', 65001, { damping: true })
    world.announce('a', ['10.1.0.0/16', '10.2.0.0/16'])
    flap(world, 6)
    expect(world.forwarding.size).toBe(2)
    flap(world, 1)
    expect([...world.forwarding.keys()]).toEqual(['10.2.0.0/16'])
    expect(world.take('damped')).toEqual([{ kind: 'damped', neighbour: 'a', prefix: '10.1.0.0/16' }])
    expect(world.rib.explain(prefix('10.1.0.0/16'))!.candidates).toMatchObject([
      { state: 'ineligible', why: 'damped', penalty: 7_000 },
    ])
    // From 7,000 to 750 is log2(9.33) half-lives of 15 minutes.
    const end = DEFAULT_DAMPING.halfLifeMs * Math.log2(7_000 / DEFAULT_DAMPING.reuse)
    for (let at = world.rib.deadline()!; at < end; at = world.rib.deadline()!) {
      world.now = at
      world.give({ kind: 'time' })
      expect(world.forwarding.size).toBe(1)
    }
    world.now = world.rib.deadline()!
    world.give({ kind: 'time' })
    expect(world.take('reused')).toHaveLength(1)
    expect(world.forwarding.size).toBe(2)
    for (let i = 0; i < 1_000 && world.rib.deadline() !== undefined; i++) {
      world.now = world.rib.deadline()!
      world.give({ kind: 'time' })
    }
    expect(world.rib.explain(prefix('10.1.0.0/16'))!.candidates[0]!.penalty).toBe(0)
    expect(world.rib.deadline()).toBeUndefined()
  })

  test('changes of attributes cost half', () => {
    const world = new RibWorld()
    world.add('a', 65001, { damping: true })
    for (let med = 0; med <= 13; med++) {
      expect(world.forwarding.size).toBe(med === 0 ? 0 : 1)
      world.announce('a', ['10.1.0.0/16'], { med })
    }
    expect(world.forwarding.size).toBe(0)
  })

  test('never longer than an hour, nor of internal neighbours, nor for a session that ended', () => {
    const world = new RibWorld()
    world.add('a', 65001, { damping: true })
    world.add('i', LOCAL_AS, { damping: true })
    world.announce('a', ['10.1.0.0/16'])
    flap(world, 100)
    expect(world.rib.explain(prefix('10.1.0.0/16'))!.candidates[0]!.penalty).toBe(50_000)
    world.now = DEFAULT_DAMPING.maxSuppressMs + 5_000
    world.give({ kind: 'time' })
    expect(world.forwarding.size).toBe(1)
    for (let i = 0; i < 20; i++) {
      world.announce('i', ['10.3.0.0/16'], { asPath: [] })
      world.withdraw('i', ['10.3.0.0/16'])
      world.announce('a', ['10.4.0.0/16'])
      world.down('a')
      world.up('a')
    }
    world.announce('i', ['10.3.0.0/16'], { asPath: [] })
    world.announce('a', ['10.4.0.0/16'])
    expect([...world.forwarding.keys()].sort()).toEqual(['10.3.0.0/16', '10.4.0.0/16'])
  })

  test('a prefix that is gone keeps its penalty', () => {
    const world = new RibWorld()
    world.add('a', 65001, { damping: true })
    world.announce('a', ['10.1.0.0/16'])
    flap(world, 7)
    world.withdraw('a', ['10.1.0.0/16'])
    // Others must not get its number, and with it its penalty.
    world.announce('a', ['10.5.0.0/16', '10.6.0.0/16'])
    expect(world.forwarding.size).toBe(2)
    world.announce('a', ['10.1.0.0/16'])
    expect(world.forwarding.size).toBe(2)
  })
})
