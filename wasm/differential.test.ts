import { expect, it } from 'vitest'
import { DifferentialWorld } from './differential-world.ts'
import { createNodeEngine } from './engine-node.ts'
import { createEngine } from './load.ts'

const SEEDS = 60
const STEPS = 60

/** One world by hand: ISTHMUS_SEED=17 vitest run wasm/differential.test.ts */
const only = process.env.ISTHMUS_SEED

it('both engines agree on random worlds, byte for byte', () => {
  const seeds = only === undefined ? Array.from({ length: SEEDS }, (_, i) => i + 1) : [Number(only)]
  let packets = 0
  for (const seed of seeds) packets += runWorld(seed)
  expect(packets).toBeGreaterThan(seeds.length * STEPS)
})

function runWorld(seed: number): number {
  const world = new DifferentialWorld(createEngine(), createNodeEngine(), seed)
  for (let step = 0; step < STEPS; step++) {
    try {
      world.step()
    } catch (cause) {
      throw new Error(`seed ${seed}, step ${step}: ${(cause as Error).message}`, { cause })
    }
  }
  return world.packets
}
