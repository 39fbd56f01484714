/** Whatever the network does and whenever the ends rekey or delete: in the end both hold the same, exactly once. */
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../io/crypto-node.ts'
import { type Name, Pair, seededUint32 } from './testing/pair.ts'

const SEEDS = Array.from({ length: 100 }, (_, index) => index + 1)

/** Resources of a and of b. */
const SEVERAL: readonly (readonly [number, number])[] = [
  [2, 2],
  [4, 2],
  [1, 4],
  [3, 3],
  [2, 16],
]

describe('random orders', () => {
  test.each(SEEDS)('rekeys of everything under loss, duplication and reordering lose no packet: seed %i', (seed) => {
    const pair = new Pair({ crypto: nodeCrypto, seed, limits: { retransmitTries: 40, retransmitFactor: 1.1 } })
    const random = dice(seed)
    pair.establish()
    for (let step = 0; step < 120; step++) {
      const name: Name = random(2) === 0 ? 'a' : 'b'
      const what = random(40)
      if (what === 0) pair.rekeyIke(name)
      else if (what < 4) pair.rekeyChild(name)
      else if (what < 16) pair.advance(random(2_000), false)
      else shuffle(pair, random)
    }
    pair.settle(400_000)
    expect(pair.disagreements({ ike: 1, children: 1 })).toEqual([])
  })

  test.each(SEEDS)('deletes and terminations as well, both ends initiating: seed %i', (seed) => {
    const wanted = { initiate: true, dpdIntervalMs: 20_000 }
    const pair = new Pair({ crypto: nodeCrypto, seed, a: wanted, b: wanted })
    const random = dice(seed)
    for (let step = 0; step < 150; step++) {
      const name: Name = random(2) === 0 ? 'a' : 'b'
      act(pair, name, random)
    }
    pair.input('a', { type: 'initiate', connection: 'peer' })
    pair.input('b', { type: 'initiate', connection: 'peer' })
    pair.settle(600_000)
    expect(pair.disagreements({ ike: 1, children: 1 })).toEqual([])
  })

  test.each(SEEDS)('rekeys of additional SAs lose no packet either, on any resource: seed %i', (seed) => {
    const resources = SEVERAL[seed % SEVERAL.length]!
    const limits = { retransmitTries: 40, retransmitFactor: 1.1 }
    const pair = new Pair({ crypto: nodeCrypto, seed, limits, resources })
    const random = dice(seed)
    pair.establish()
    for (let step = 0; step < 160; step++) {
      const name: Name = random(2) === 0 ? 'a' : 'b'
      const what = random(60)
      if (what === 0) pair.rekeyIke(name)
      else if (what < 3) pair.rekeyChild(name)
      else if (what < 20) pair.advance(random(2_000), false)
      else shuffle(pair, random)
    }
    pair.settle(600_000)
    expect(pair.disagreements({ ike: 1, children: Math.max(...resources) })).toEqual([])
  })

  test.each(SEEDS)('additional SAs, deleted and made by both ends: seed %i', (seed) => {
    const resources = SEVERAL[seed % SEVERAL.length]!
    const wanted = { initiate: true, dpdIntervalMs: 20_000 }
    const pair = new Pair({ crypto: nodeCrypto, seed, a: wanted, b: wanted, resources })
    const random = dice(seed)
    for (let step = 0; step < 200; step++) act(pair, random(2) === 0 ? 'a' : 'b', random)
    pair.input('a', { type: 'initiate', connection: 'peer' })
    pair.input('b', { type: 'initiate', connection: 'peer' })
    pair.settle(900_000)
    // An SA may have been made for the sake of one end while the other had no use for it, and the other way round.
    const count = pair.a.children.length
    expect(pair.disagreements({ ike: 1, children: count })).toEqual([])
    expect(count).toBeGreaterThanOrEqual(Math.max(...resources))
    expect(count).toBeLessThan(resources[0] + resources[1])
  })

  test('the same seed gives the same messages, byte for byte in length and order', () => {
    const run = () => {
      const pair = new Pair({ crypto: nodeCrypto, seed: 7 })
      const random = dice(7)
      pair.establish()
      for (let step = 0; step < 80; step++) act(pair, step % 2 === 0 ? 'a' : 'b', random)
      return [...pair.a.effects, ...pair.b.effects].map((effect) =>
        effect.type === 'send' ? `send ${effect.bytes.length}` : effect.type,
      )
    }
    expect(run()).toEqual(run())
  })
})

function act(pair: Pair, name: Name, random: (below: number) => number): void {
  const what = random(60)
  if (what === 0) pair.rekeyIke(name)
  else if (what < 4) pair.rekeyChild(name)
  else if (what === 4) pair.input(name, { type: 'terminate', connection: 'peer' })
  else if (what === 5) pair.input(name, { type: 'initiate', connection: 'peer' })
  else if (what < 8) {
    const sa = pair[name].engine.sender('net')
    if (sa !== undefined)
      pair.input(name, { type: 'child-limit', connection: 'peer', spi: sa.outbound.spi, hard: what === 6 })
  } else if (what === 8) {
    const sa = [...pair[name].engine.installed.values()].at(-1)
    if (sa !== undefined) pair.input(name, { type: 'child-traffic', connection: 'peer', inboundSpi: sa.inbound.spi })
  } else if (what < 26) pair.advance(random(3_000), false)
  else shuffle(pair, random)
}

/** One message is lost, doubled, or delivered out of order. */
function shuffle(pair: Pair, random: (below: number) => number): void {
  if (pair.inFlight.length === 0) return
  const at = random(Math.min(pair.inFlight.length, 4))
  const datagram = pair.inFlight.splice(at, 1)[0]!
  const fate = random(10)
  if (fate < 2) return
  if (fate === 2) pair.inFlight.push(datagram)
  pair.deliver(datagram)
}

function dice(seed: number): (below: number) => number {
  const next = seededUint32(seed * 7919)
  return (below) => next() % below
}
