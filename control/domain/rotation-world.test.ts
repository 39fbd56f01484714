import { describe, expect, test } from 'vitest'
import { isEnded } from './rotation.ts'
import { ModelWorld } from './testing/model-world.ts'

const SEEDS = Array.from({ length: 200 }, (_, seed) => seed)

function established(seed: number, reachable?: readonly [boolean, boolean]): ModelWorld {
  const world = new ModelWorld({ seed, ...(reachable === undefined ? {} : { reachable }) })
  world.calm()
  return world
}

describe('two connectors and a control plane', () => {
  test('make their first key by themselves, and rotate it twenty times', () => {
    const world = established(1)
    expect(world.rotations.map(({ trigger, state }) => [trigger, state])).toEqual([['establish', 'done']])
    for (let i = 0; i < 20; i++) {
      world.rotate()
      world.calm()
    }
    expect(world.rotations.slice(1).every(({ state }) => state === 'done')).toBe(true)
    expect(world.keys).toMatchObject({ current: 21, highest: 21 })
    expect(Object.keys(world.keys.halves)).toEqual(['21/con_a', '21/con_b'])
  })

  test('under delay, loss, cuts, aborts and crashes of anybody: always a key that both accept, and always an end', () => {
    const outcomes = new Map<string, number>()
    for (const seed of SEEDS) {
      const world = established(seed, [seed % 3 !== 1, seed % 3 !== 2])
      for (let round = 0; round < 3; round++) {
        world.rotate()
        const trouble = world.random.pick([0.02, 0.1, 0.4])
        const abortIn = world.random.pick(['preparing', 'switching', 'confirming', undefined])
        const length = world.random.below(200)
        for (let i = 0; i < length; i++) {
          world.event(trouble)
          if (world.rotation?.state === abortIn && world.random.chance(0.2)) world.abort()
        }
        world.calm()
      }
      for (const { state } of world.rotations) outcomes.set(state, (outcomes.get(state) ?? 0) + 1)
      expect(world.rotations.every(({ state }) => isEnded(state))).toBe(true)
    }
    // The world is rough enough to abort, and not so rough that nothing succeeds.
    expect(outcomes.get('done')).toBeGreaterThan(250)
    expect(outcomes.get('aborted')).toBeGreaterThan(100)
  })

  test('an end that is away for a day delays, and comes back to a tunnel that works', () => {
    for (const seed of SEEDS.slice(0, 50)) {
      const world = established(seed)
      world.rotate()
      const length = world.random.below(30)
      for (let i = 0; i < length; i++) world.event(0)
      world.cut(1)
      for (let i = 0; i < 30; i++) {
        world.deliverDocument(0)
        world.sendReport(0)
        world.deliverReport(0)
        world.negotiate()
        world.traffic()
      }
      world.pass(24 * 3_600_000)
      world.restart(1)
      world.negotiate()
      // Without the control plane, with what is on its disk.
      expect(world.connectors[0].sa).toBeDefined()
      expect(world.connectors[0].sa).toBe(world.connectors[1].sa)
      world.calm()
    }
  })

  test('an end that has lost its keys gets a new first one', () => {
    for (const seed of SEEDS.slice(0, 50)) {
      const world = established(seed)
      const before = world.keys.current
      world.loseKeys(1)
      world.calm()
      expect(world.rotation).toMatchObject({ trigger: 'establish', state: 'done' })
      expect(world.keys.current).toBeGreaterThan(before)
    }
  })

  test('a store that comes back from an older copy takes over what the ends do, and no epoch is used twice', () => {
    for (const seed of SEEDS.slice(0, 100)) {
      const world = established(seed)
      const backup = world.backup()
      world.rotate()
      world.calm()
      world.rotate()
      const highest = world.keys.highest
      const working = world.connectors[0].sa
      world.restore(backup)
      world.calm()
      expect(world.keys.current).toBe(working)
      world.rotate()
      world.calm()
      expect(world.keys.current).toBeGreaterThanOrEqual(highest)
    }
  })
})
