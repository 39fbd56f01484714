/** Sites with several packet workers: additional Child SAs (RFC 9611) under loss, delay, reordering and duplication. */
import { describe, expect, test } from 'vitest'
import { CHILD, CONNECTION, DAY, HOUR, MINUTE, SECOND, World, type WorldOptions } from './world.ts'

const ROUGH = { loss: 0.05, duplicate: 0.03, delay: 40, jitter: 120 }
const HARSH = { loss: 0.2, duplicate: 0.1, delay: 80, jitter: 400 }
const RESOURCES = [
  [2, 2],
  [4, 2],
  [1, 4],
  [3, 8],
] as const

const BUSY: Omit<WorldOptions, 'seed'> = {
  quality: ROUGH,
  packetEveryMs: 5 * SECOND,
  childRekeyMs: 20 * MINUTE,
  ikeRekeyMs: 3 * HOUR,
}

describe('three days over a rough link', () => {
  test.each(RESOURCES)('%i and %i resources: every delivered packet found its SA', (...resources) => {
    const world = new World({ ...BUSY, seed: 21, resources })
    world.establish()
    expectOwn(world)
    const [leftBefore, rightBefore] = [world.left.handedOver, world.right.handedOver]
    world.timeline.runUntil(3 * DAY)
    expectLossless(world)
    expectOwn(world)
    // Once each resource has its SA, rekeys never take it away.
    expect([world.left.handedOver, world.right.handedOver]).toEqual([leftBefore, rightBefore])
    expect(world.left.count('child-rekeyed')).toBeGreaterThan(3 * 24 * 2 * Math.max(...resources))
    expect(world.left.count('failed') + world.right.count('failed')).toBe(0)
  })
})

describe('half a day over a harsh link, keys of five minutes', () => {
  test.each(RESOURCES)('%i and %i resources, both ends initiating', (...resources) => {
    const world = new World({
      seed: 5,
      quality: HARSH,
      bothInitiate: true,
      packetEveryMs: SECOND,
      childRekeyMs: 5 * MINUTE,
      ikeRekeyMs: 17 * MINUTE,
      resources,
    })
    world.establish()
    world.timeline.runUntil(DAY / 2)
    for (const gateway of [world.left, world.right]) expect(gateway.undeliverable).toEqual([])
    // SAs may just be missing because of one that could not be rekeyed in time.
    world.network.setQuality(ROUGH)
    world.timeline.runUntil(DAY / 2 + 5 * MINUTE)
    expectOwn(world)
  })
})

describe('outages', () => {
  test.each(RESOURCES)('%i and %i resources: every SA comes back', (...resources) => {
    const world = new World({ ...BUSY, seed: 8, resources, dpdMs: 10 * SECOND })
    for (let day = 0; day < 2; day++) {
      world.timeline.runUntil(day * DAY + 3 * HOUR)
      world.network.down = true
      world.timeline.runUntil(day * DAY + 3 * HOUR + (day + 1) * 4 * MINUTE)
      world.network.down = false
      world.timeline.runUntil((day + 1) * DAY)
      expectOwn(world)
    }
  })
})

/** Every resource sends on its own SA, and there is no pile of others. */
function expectOwn(world: World): void {
  const [left, right] = world.resources
  expect(world.left.ownSenders(CONNECTION, CHILD)).toBe(left)
  expect(world.right.ownSenders(CONNECTION, CHILD)).toBe(right)
  for (const gateway of [world.left, world.right]) {
    // Each may be in the middle of a rekey.
    expect(gateway.installed).toBeLessThanOrEqual(2 * (left + right - 1))
    expect(gateway.endpoint.status(world.timeline.now)[0]?.state).toBe('established')
  }
}

function expectLossless(world: World): void {
  for (const gateway of [world.left, world.right]) {
    expect(gateway.undeliverable).toEqual([])
    expect(gateway.count('ike-closed')).toBe(0)
  }
  expect(world.left.arrived + world.right.arrived).toBeGreaterThan(1000)
  expect(world.network.lost).toBeGreaterThan(0)
}
