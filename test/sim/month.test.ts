/** A month of two sites, in seconds: rekeys under loss, delay, reordering and duplication; every run replays exactly. */
import { describe, expect, test } from 'vitest'
import { CHILD, CONNECTION, DAY, HOUR, MINUTE, SECOND, World, type WorldOptions } from './world.ts'

const ROUGH = { loss: 0.05, duplicate: 0.03, delay: 40, jitter: 120 }
const HARSH = { loss: 0.2, duplicate: 0.1, delay: 80, jitter: 400 }
const SEEDS = [1, 2, 3]

const MONTH: Omit<WorldOptions, 'seed'> = {
  quality: ROUGH,
  packetEveryMs: 7 * SECOND,
  childRekeyMs: 50 * MINUTE,
  ikeRekeyMs: 4 * HOUR,
}

describe('a month over a rough link', () => {
  test.each(SEEDS)('seed %i: every delivered packet found its SA', (seed) => {
    const world = new World({ ...MONTH, seed })
    world.establish()
    world.timeline.runUntil(30 * DAY)
    expectHealthy(world)
    expect(rekeys(world, 'child-rekeyed')).toBeGreaterThan(30 * 24)
    expect(rekeys(world, 'ike-rekeyed')).toBeGreaterThan(30 * 5)
  })

  test('the same seed replays to the octet, another one differs', () => {
    const run = (seed: number): string => {
      const world = new World({ ...MONTH, seed })
      world.timeline.runUntil(3 * DAY)
      return world.fingerprint()
    }
    expect(run(11)).toBe(run(11))
    expect(run(11)).not.toBe(run(12))
  })
})

describe('two days over a harsh link, keys of five minutes', () => {
  test.each(SEEDS)('seed %i, both ends initiating', (seed) => {
    const world = new World({
      seed,
      quality: HARSH,
      bothInitiate: true,
      packetEveryMs: 300,
      childRekeyMs: 5 * MINUTE,
      ikeRekeyMs: 17 * MINUTE,
    })
    world.establish()
    world.timeline.runUntil(2 * DAY)
    expectConverged(world)
    expect(world.left.undeliverable).toEqual([])
    expect(world.right.undeliverable).toEqual([])
  })
})

describe('outages', () => {
  test.each(SEEDS)('seed %i: the tunnel comes back after each', (seed) => {
    const world = new World({ ...MONTH, seed, dpdMs: 10 * SECOND, packetEveryMs: 2 * SECOND })
    for (let day = 0; day < 6; day++) {
      world.timeline.runUntil(day * DAY + 3 * HOUR)
      world.network.down = true
      world.timeline.runUntil(day * DAY + 3 * HOUR + (day + 1) * 4 * MINUTE)
      world.network.down = false
      world.timeline.runUntil((day + 1) * DAY)
      expectConverged(world)
    }
  })
})

describe('a NAT that rebinds', () => {
  test.each(SEEDS)('seed %i: every hour for a week, the IKE SA survives', (seed) => {
    const world = new World({ ...MONTH, seed, nat: true })
    for (let hour = 1; hour <= 7 * 24; hour++) {
      world.timeline.runUntil(hour * HOUR)
      world.network.rebind()
    }
    world.timeline.runUntil(7 * DAY + 10 * MINUTE)
    expectConverged(world)
    expect(world.right.count('peer-moved')).toBeGreaterThan(7 * 20)
    expect(world.left.count('ike-established')).toBe(1)
  })
})

describe('simultaneous rekeys by hand', () => {
  test.each(SEEDS)('seed %i: both ends rekey everything at once, a hundred times', (seed) => {
    const world = new World({ ...MONTH, seed, packetEveryMs: 50, quality: HARSH })
    world.establish()
    for (let round = 0; round < 100; round++) {
      for (const gateway of [world.left, world.right]) {
        gateway.rekey(CONNECTION, CHILD)
        if (round % 3 === 0) gateway.rekey(CONNECTION)
      }
      world.timeline.runUntil(world.timeline.now + 90 * SECOND)
    }
    expectHealthy(world)
  })
})

/** One SA carries the child, the same at both ends, and nothing else is left installed. */
function expectConverged(world: World): void {
  const left = world.left.carrying(CONNECTION, CHILD)
  const right = world.right.carrying(CONNECTION, CHILD)
  expect(left).toBeDefined()
  expect(right).toEqual([left![1], left![0]])
  for (const gateway of [world.left, world.right]) {
    // During a rekey there may be two; never a pile.
    expect(gateway.installed).toBeLessThanOrEqual(2)
    const [status] = gateway.endpoint.status(world.timeline.now)
    expect(status?.state).toBe('established')
  }
}

function expectHealthy(world: World): void {
  expectConverged(world)
  for (const gateway of [world.left, world.right]) {
    expect(gateway.undeliverable).toEqual([])
    expect(gateway.count('ike-closed')).toBe(0)
  }
  expect(world.left.arrived + world.right.arrived).toBeGreaterThan(1000)
  expect(world.network.lost).toBeGreaterThan(0)
}

/** A rekey is reported at both ends; the initiator of each differs. */
function rekeys(world: World, type: 'child-rekeyed' | 'ike-rekeyed'): number {
  return Math.max(world.left.count(type), world.right.count(type))
}
