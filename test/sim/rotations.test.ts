/** A hundred changes of the key of a busy tunnel, over links that lose, delay, reorder and repeat. */
import { describe, expect, test } from 'vitest'
import type { IkeKey } from '../../connector/core/ike/types.ts'
import type { Gateway } from './gateway.ts'
import { CHILD, CONNECTION, HOUR, MINUTE, SECOND, World, type WorldOptions } from './world.ts'

const ROTATIONS = 100
const ROUGH = { loss: 0.05, duplicate: 0.03, delay: 40, jitter: 120 }
const HARSH = { loss: 0.2, duplicate: 0.1, delay: 80, jitter: 400 }
/** Within it an end under harsh loss has sent whatever it had to send. */
const STEP_LIMIT_MS = 20 * MINUTE

const BUSY: Omit<WorldOptions, 'seed' | 'quality'> = {
  packetEveryMs: 100,
  childRekeyMs: 10 * MINUTE,
  ikeRekeyMs: HOUR,
  keys: [key(0)],
}

describe.each([
  { quality: ROUGH, name: 'a rough link' },
  { quality: HARSH, name: 'a harsh link' },
])('over $name', ({ quality }) => {
  test.each([
    { seed: 1, resources: [1, 1] },
    { seed: 2, resources: [1, 1], bothInitiate: true },
    { seed: 3, resources: [2, 2] },
    { seed: 4, resources: [3, 2], bothInitiate: true },
    { seed: 5, resources: [1, 1], nat: true },
    { seed: 22, resources: [4, 2], bothInitiate: true },
    { seed: 64, resources: [3, 8], bothInitiate: true },
  ] as const)('seed $seed, resources $resources: no packet is without its SA', (options) => {
    const world = new World({ ...BUSY, ...options, quality })
    world.establish()
    const unsent = () => world.left.unsent + world.right.unsent
    const before = unsent()
    for (let epoch = 1; epoch <= ROTATIONS; epoch++) rotate(world, epoch - 1, epoch)
    expect(world.left.undeliverable).toEqual([])
    expect(world.right.undeliverable).toEqual([])
    expect(unsent()).toBe(before)
    expect(world.left.arrived + world.right.arrived).toBeGreaterThan(1000)
    expect(world.network.lost).toBeGreaterThan(0)
    expect(world.left.count('ike-established') + world.right.count('ike-established')).toBeGreaterThan(2 * ROTATIONS)
  })
})

/** What the control plane has both ends do, each in its own time. */
function rotate(world: World, from: number, next: number): void {
  const { left, right } = world
  const give = (first: Gateway, second: Gateway, ...epochs: number[]) => {
    first.setKeys(CONNECTION, epochs.map(key))
    world.timeline.runUntil(world.timeline.now + 3 * SECOND)
    second.setKeys(CONNECTION, epochs.map(key))
  }
  give(left, right, from, next)
  give(right, left, next, from)
  waitFor(world, () => [left, right].every((gateway) => isUnder(world, gateway, next)))
  give(left, right, next)
  waitFor(world, () => [left, right].every((gateway) => gateway.endpoint.ikeSas().length === 1))
  for (const gateway of [left, right]) expect(gateway.carrying(CONNECTION, CHILD)).toBeDefined()
}

function isUnder(world: World, gateway: Gateway, epoch: number): boolean {
  const [status] = gateway.endpoint.status(world.timeline.now)
  return status?.keyId === key(epoch).id && status.keyConfirmed === true
}

function waitFor(world: World, holds: () => boolean): void {
  const limit = world.timeline.now + STEP_LIMIT_MS
  while (!holds() && world.timeline.now < limit) world.timeline.runUntil(world.timeline.now + SECOND)
  expect(holds()).toBe(true)
}

function key(epoch: number): IkeKey {
  return { id: `epoch-${epoch}`, psk: new Uint8Array(32).fill(epoch + 1) }
}
