import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import type { PathReport } from '../probe/report.ts'
import { DRAIN_MS } from './selector.ts'
import { DOWN, UP, VOICE, World } from './testing/world.ts'
import type { PathInput } from './types.ts'

let world: World
beforeEach(() => {
  world = new World()
})

describe('failover', () => {
  test('tells from the last sign of life to the move, and what was lost; late findings are added', () => {
    world.carried('a', 1_000)
    world.now += 1_000
    world.path('a', DOWN)
    expect(world.effects).toEqual([
      { type: 'reach', connection: 'a', reachable: false },
      { type: 'passing', connection: 'a', passing: false },
    ])
    world.now += 50
    world.give({ type: 'moved', connection: 'a' })
    expect(world.effects.at(-1)).toEqual({ type: 'count', connection: 'a' })
    expect(world.events()).toEqual([])
    // Evenly sent over 1,050 ms, of which the last 250 were lost.
    world.carried('a', 2_050, 5)
    const lostPackets = 250
    expect(world.events()).toMatchObject([
      { code: 'failover', connection: 'a', to: ['b'], cause: 'probe', ms: 250, lostPackets },
    ])
    world.now += 5_000
    world.path('a', UP)
    world.sleep(5_000)
    expect(world.codes()).toEqual(['back'])
    world.carried('a', 2_060, 45)
    expect(world.status('a')).toMatchObject({
      failovers: { probe: 1, bfd: 0, sa: 0 },
      lastFailover: { ms: 250, lostPackets: 290, to: ['b'] },
    })
  })

  test('of a tunnel that yields is no loss: it is trusted again as soon as one that was lost once', () => {
    const waits = (yields: boolean): number[] => {
      world = new World()
      world.give({
        type: 'plan',
        connections: ['a', 'b'].map((name) => ({ name, isRouted: true, yields })),
        classes: [],
      })
      return [1, 2, 3].map(() => {
        world.path('a', DOWN)
        world.give({ type: 'moved', connection: 'a' })
        world.path('a', UP)
        const began = world.now
        while (world.passing.get('a') !== true) world.sleep(500)
        return world.now - began
      })
    }
    expect(waits(false)).toEqual([2_000, 4_000, 8_000])
    expect(waits(true)).toEqual([2_000, 2_000, 2_000])
  })

  test('is told without counters when they do not come', () => {
    world.path('a', DOWN)
    world.give({ type: 'moved', connection: 'a' })
    world.give({ type: 'moved', connection: 'a' })
    world.sleep(1_000)
    expect(world.codes()).toEqual([])
    world.sleep(1_000)
    expect(world.codes()).toEqual(['failover'])
    world.carried('a', 5)
    expect(world.codes()).toEqual([])
  })

  test.each([
    ['bfd', { type: 'bfd', connection: 'a', up: false, silentMs: 900 }, 900],
    ['sa', { type: 'tunnel', connection: 'a', sendable: false }, 0],
  ] as const)('by %s', (cause, input, ms) => {
    world.give(input)
    // Where there is no SA, engines have moved by themselves.
    expect(world.passing.get('a')).toBe(cause === 'sa' ? undefined : false)
    if (cause !== 'sa') world.give({ type: 'moved', connection: 'a' })
    world.carried('a', 0)
    expect(world.events()).toMatchObject([{ code: 'failover', cause, ms, to: ['b'] }])
  })

  test('what carries nothing goes down without one', () => {
    world.path('b', DOWN)
    world.give({ type: 'moved', connection: 'b' })
    world.sleep(5_000)
    expect(world.events()).toMatchObject([{ code: 'down', connection: 'b', isLast: false }])
  })

  test('of a spread group the others take over, of BGP the next that could', () => {
    world = new World(['a', 'b', 'c'])
    world.groups = [{ tunnels: ['a', 'b', 'c'], isSpread: true, prefixes: 1 }]
    world.path('b', DOWN)
    world.give({ type: 'moved', connection: 'b' })
    world.sleep(2_000)
    expect(world.events()).toMatchObject([{ code: 'failover', connection: 'b', to: ['a', 'c'] }])
    world = new World(['a', 'b', 'c'])
    world.groups = [
      { tunnels: ['a'], isSpread: false, prefixes: 10 },
      { tunnels: ['a', 'b', 'c'], isSpread: false, prefixes: 0 },
    ]
    world.path('a', DOWN)
    world.give({ type: 'moved', connection: 'a' })
    world.sleep(2_000)
    expect(world.events()).toMatchObject([{ code: 'failover', connection: 'a', to: ['b'] }])
  })

  test('all down: each is told, and the first that is well is back at once', () => {
    world.path('a', DOWN)
    world.path('b', DOWN)
    expect([...world.passing]).toEqual([
      ['a', false],
      ['b', false],
    ])
    expect(world.events()).toMatchObject([{ code: 'down', connection: 'b', isLast: true }])
    world.path('b', UP)
    expect(world.passing.get('b')).toBe(true)
    world.path('a', UP)
    expect(world.passing.get('a')).toBe(false)
    expect(world.status('a').state).toBe('returning')
    world.sleep(10_000)
    expect(world.passing.get('a')).toBe(true)
  })

  test('one that comes back is not waited for when what stands in for it goes', () => {
    world.path('a', DOWN)
    world.path('a', UP)
    expect(world.passing.get('a')).toBe(false)
    world.path('b', DOWN)
    expect(world.passing.get('a')).toBe(true)
  })

  test('who flaps waits twice as long each time, up to a minute', () => {
    const waits: number[] = []
    for (let round = 0; round < 8; round++) {
      world.path('a', DOWN)
      world.path('a', UP)
      const from = world.now
      while (world.passing.get('a') === false) world.sleep(500)
      waits.push(world.now - from)
    }
    expect(waits).toEqual([2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000])
    world.sleep(60_000)
    world.path('a', DOWN)
    world.path('a', UP)
    world.sleep(2_000)
    expect(world.passing.get('a')).toBe(true)
  })

  test('one end of two that say no is not enough to pass again', () => {
    world.path('a', DOWN)
    world.give({ type: 'bfd', connection: 'a', up: false })
    world.path('a', UP)
    world.sleep(100_000)
    expect([world.passing.get('a'), world.status('a').state]).toEqual([false, 'down'])
    world.give({ type: 'bfd', connection: 'a', up: undefined })
    world.sleep(5_000)
    expect([world.passing.get('a'), world.status('a').state]).toEqual([true, 'up'])
  })

  test('probes of SAs that are gone say nothing of new ones', () => {
    world.path('a', DOWN)
    world.give({ type: 'tunnel', connection: 'a', sendable: false })
    world.give({ type: 'tunnel', connection: 'a', sendable: true })
    world.sleep(5_000)
    expect([world.passing.get('a'), world.status('a').state]).toEqual([true, 'up'])
  })

  test('unknown is no news', () => {
    world.path('a', { state: 'unknown', silentMs: 100_000 })
    world.sleep(100_000)
    expect(world.effects).toEqual([])
  })
})

describe('drain', () => {
  test('tells neighbours first, and passes over the tunnel when they had time', () => {
    world.plan(['a', 'b'], [], true)
    world.give({ type: 'drain', connection: 'a', on: true })
    world.give({ type: 'drain', connection: 'a', on: true })
    expect(world.effects[0]).toEqual({ type: 'leaving', connection: 'a', on: true })
    expect(world.codes()).toEqual(['draining'])
    world.sleep(DRAIN_MS - 1)
    expect([world.passing.get('a'), world.status('a').state]).toEqual([undefined, 'draining'])
    world.sleep(1)
    expect([world.passing.get('a'), world.status('a').state]).toEqual([false, 'drained'])
    expect(world.events()).toMatchObject([{ code: 'drained', isLast: false, level: 'info' }])
    world.give({ type: 'drain', connection: 'a', on: false })
    expect(world.passing.get('a')).toBe(true)
    expect(world.effects).toContainEqual({ type: 'leaving', connection: 'a', on: false })
    expect(world.codes()).toEqual(['undrained'])
    expect(world.status('a')).toMatchObject({ state: 'up', lastFailover: undefined })
  })

  test('of the last tunnel is allowed, and said', () => {
    world.path('b', DOWN)
    world.give({ type: 'drain', connection: 'a', on: true })
    expect(world.passing.get('a')).toBe(false)
    expect(world.events().at(-1)).toMatchObject({ code: 'drained', isLast: true, level: 'warn' })
  })

  test('that is taken back half-way has changed nothing', () => {
    world.plan(['a', 'b'], [], true)
    world.give({ type: 'drain', connection: 'a', on: true })
    world.give({ type: 'drain', connection: 'a', on: false })
    world.sleep(10_000)
    expect(world.passing.get('a')).toBe(undefined)
    expect(world.effects.filter(({ type }) => type === 'leaving')).toHaveLength(2)
  })

  test('leaves a tunnel reachable for BGP, unless its path is down', () => {
    const reach = () => world.effects.flatMap((effect) => (effect.type === 'reach' ? effect.reachable : []))
    world.give({ type: 'drain', connection: 'a', on: true })
    expect([world.passing.get('a'), world.selector.isReachable('a'), reach()]).toEqual([false, true, []])
    world.path('a', DOWN)
    expect([world.selector.isReachable('a'), reach()]).toEqual([false, [false]])
    world.path('a', UP)
    expect([world.selector.isReachable('a'), reach()]).toEqual([true, [false, true]])
  })

  test('outlives a path that goes down and comes back', () => {
    world.give({ type: 'drain', connection: 'a', on: true })
    world.path('a', DOWN)
    world.path('a', UP)
    world.sleep(60_000)
    expect([world.passing.get('a'), world.status('a').state]).toEqual([false, 'drained'])
    world.path('a', DOWN)
    world.give({ type: 'drain', connection: 'a', on: false })
    expect([world.passing.get('a'), world.status('a').state]).toEqual([false, 'down'])
  })
})

describe('classes', () => {
  beforeEach(() => {
    world = new World(['a', 'b'], [VOICE])
  })

  function reports(connection: string, rttMs: number, ms: number): void {
    for (let passed = 0; passed < ms; passed += 250) {
      world.sleep(250)
      world.path(connection, { ...UP, rttMs })
    }
  }

  test('leave what is beyond the limit, and come back when it has been well for the hold', () => {
    expect(world.prefer).toEqual(['a', 'b'])
    reports('a', 300, 4_000)
    expect(world.prefer).toEqual(['b', 'a'])
    expect(world.events()).toMatchObject([{ code: 'steered', class: 'voice', from: 'a', to: 'b', because: 'rtt' }])
    expect(world.selector.status().classes).toMatchObject([
      { tunnel: 'b', tunnels: [{ beyond: ['rtt'] }, { beyond: [] }] },
    ])
    reports('a', 80, 60_000)
    expect(world.prefer).toEqual(['b', 'a'])
    reports('a', 30, 9_000)
    expect(world.prefer).toEqual(['b', 'a'])
    reports('a', 30, 12_000)
    expect(world.prefer).toEqual(['a', 'b'])
    expect(world.events()).toMatchObject([{ because: 'well-again', from: 'b', to: 'a' }])
  })

  test('leave at once what does not pass or is drained; only what broke has to wait', () => {
    world.path('a', DOWN)
    expect(world.prefer).toEqual(['b', 'a'])
    world.path('a', UP)
    world.sleep(11_000)
    expect(world.prefer).toEqual(['b', 'a'])
    world.sleep(2_000)
    expect(world.prefer).toEqual(['a', 'b'])
    world.give({ type: 'drain', connection: 'a', on: true })
    expect(world.prefer).toEqual(['b', 'a'])
    world.sleep(10_000)
    world.give({ type: 'drain', connection: 'a', on: false })
    expect(world.prefer).toEqual(['a', 'b'])
    expect(world.events().flatMap((event) => (event.code === 'steered' ? event.because : []))).toEqual([
      'down',
      'well-again',
      'drain',
      'well-again',
    ])
  })

  test('are told in full, also those whose tunnels are not there', () => {
    world.plan(['a', 'b'], [VOICE, { ...VOICE, name: 'bulk', prefer: ['x'] }])
    expect(world.effects).toContainEqual({
      type: 'prefer',
      classes: [
        { name: 'voice', prefer: ['a', 'b'] },
        { name: 'bulk', prefer: [] },
      ],
    })
    world.plan(['a', 'b'], [{ ...VOICE, prefer: ['b', 'a'] }])
    expect(world.prefer).toEqual(['b', 'a'])
    world.plan(['a'], [{ ...VOICE, prefer: ['b', 'a'] }])
    expect(world.prefer).toEqual(['a'])
    world.plan(['a'], [])
    expect(world.effects.at(-1)).toEqual({ type: 'prefer', classes: [] })
  })

  test('stay where they are when the plan is the same again', () => {
    world.path('a', DOWN)
    world.plan(['a', 'b'], [VOICE])
    expect(world.prefer).toEqual(['b', 'a'])
  })
})

test('what is told of a connection that is gone, or never was, is ignored', () => {
  world.path('a', DOWN)
  world.plan(['b'])
  world.effects = []
  for (const connection of ['a', 'x']) {
    world.path(connection, DOWN)
    world.give({ type: 'moved', connection })
    world.give({ type: 'drain', connection, on: true })
    world.carried(connection, 100, 100, 100)
  }
  world.sleep(10_000)
  expect(world.effects).toEqual([])
  world.plan(['a', 'b'])
  expect(world.status('a')).toMatchObject({ state: 'no-sa', failovers: { probe: 0 } })
})

test('packets on asymmetric ways are told once a minute at most', () => {
  world.carried('a', 0, 0, 10)
  expect(world.codes()).toEqual([])
  world.carried('a', 0, 0, 60)
  expect(world.events()).toMatchObject([{ code: 'asymmetric', connection: 'a', packets: 60 }])
  world.carried('a', 0, 0, 1_000)
  expect(world.codes()).toEqual([])
  world.now += 60_000
  world.carried('a', 0, 0, 1_001)
  expect(world.events()).toMatchObject([{ code: 'asymmetric', packets: 941 }])
  expect(world.status('a').asymmetric).toBe(1_001)
})

test('whatever comes in whatever order: it can be woken to rest, and what it has told is what it holds', () => {
  const connection = fc.constantFrom('a', 'b', 'c', 'x')
  const report = fc.record({
    state: fc.constantFrom('up', 'down', 'unknown') as fc.Arbitrary<PathReport['state']>,
    rttMs: fc.nat(400),
    silentMs: fc.nat(2_000),
  })
  const input: fc.Arbitrary<PathInput> = fc.oneof(
    fc.record({ type: fc.constant('tunnel' as const), connection, sendable: fc.boolean() }),
    fc.record({ type: fc.constant('path' as const), connection, report }),
    fc.record({ type: fc.constant('bfd' as const), connection, up: fc.constantFrom(true, false, undefined) }),
    fc.record({ type: fc.constant('drain' as const), connection, on: fc.boolean() }),
    fc.record({ type: fc.constant('moved' as const), connection }),
    fc.subarray(['a', 'b', 'c']).map((names) => ({
      type: 'plan' as const,
      connections: names.map((name) => ({ name, isRouted: name === 'a' })),
      classes: [VOICE],
    })),
  )
  const steps = fc.array(fc.tuple(input, fc.nat(3_000)), { maxLength: 60 })
  fc.assert(
    fc.property(steps, (all) => {
      const world = new World(['a', 'b', 'c'], [VOICE])
      for (const [input, ms] of all) {
        world.give(input)
        world.sleep(ms)
        for (const { connection, state, isPassing } of world.selector.status().paths) {
          const isReachable = world.selector.isReachable(connection)
          if (state === 'up' || state === 'down') expect([state, isReachable]).toEqual([state, state === 'up'])
          if (world.passing.has(connection) && input.type !== 'plan') {
            expect([connection, world.passing.get(connection)]).toEqual([connection, isPassing])
          }
          if (input.type === 'plan') world.passing.clear()
        }
      }
      world.sleep(200_000)
      expect(
        world.selector.status().paths.filter(({ state }) => state === 'returning' || state === 'draining'),
      ).toEqual([])
    }),
  )
})
