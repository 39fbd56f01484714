/** Selectors that change while a connection is up: at one end, then at the other, and there is always a Child SA. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { address } from '../../../protocol/net.ts'
import { nodeCrypto } from '../../io/crypto-node.ts'
import { childConfig, type Name, Pair, type PairOptions } from './testing/pair.ts'
import type { ChildConfig } from './types.ts'

const ALL = {
  protocol: 0,
  startPort: 0,
  endPort: 65535,
  startAddress: address('0.0.0.0'),
  endAddress: address('255.255.255.255'),
}
const wide = (name: Name): ChildConfig => childConfig(name, { local: [ALL], remote: [ALL] })

function give(pair: Pair, name: Name, child: ChildConfig): void {
  pair.input(name, { type: 'set-children', connection: 'peer', children: [child] })
}

function selectorsOf(pair: Pair) {
  return [pair.a, pair.b].map(({ children }) => children.map(({ local, remote }) => ({ local, remote })))
}

const WIDE = { local: [ALL], remote: [ALL] }
const narrowAt = (name: Name) => {
  const { local, remote } = childConfig(name)
  return { local, remote }
}

function pairOf(options: Partial<PairOptions> = {}): Pair {
  return new Pair({ crypto: nodeCrypto, ...options }).establish()
}

describe('selectors become wider', () => {
  test('when both ends have been told, and not before', () => {
    const pair = pairOf()
    give(pair, 'a', wide('a'))
    pair.settle()
    expect(selectorsOf(pair)).toEqual([[narrowAt('a')], [narrowAt('b')]])
    give(pair, 'b', wide('b'))
    pair.settle()
    expect(selectorsOf(pair)).toEqual([[WIDE], [WIDE]])
    expect(pair.losses).toEqual([])
    expect(pair.disagreements({ ike: 1, children: 1 })).toEqual([])
  })

  test('and narrower again at the word of one', () => {
    const pair = pairOf({ a: { children: [wide('a')] }, b: { children: [wide('b')] } })
    expect(selectorsOf(pair)).toEqual([[WIDE], [WIDE]])
    give(pair, 'b', childConfig('b'))
    pair.settle()
    expect(selectorsOf(pair)).toEqual([[narrowAt('a')], [narrowAt('b')]])
    expect(pair.losses).toEqual([])
  })

  test('nothing happens where they are the same', () => {
    const pair = pairOf()
    const before = pair.a.children.map(({ id }) => id)
    give(pair, 'a', childConfig('a'))
    pair.settle()
    expect(pair.a.children.map(({ id }) => id)).toEqual(before)
  })

  test.each([
    [1, 1],
    [2, 2],
    [3, 1],
  ])('for the additional SAs of %i and %i resources, too', (a, b) => {
    const pair = pairOf({ resources: [a, b] })
    give(pair, 'a', wide('a'))
    give(pair, 'b', wide('b'))
    pair.settle()
    expect(selectorsOf(pair).flat()).toEqual(Array.from({ length: 2 * Math.max(a, b) }, () => WIDE))
    expect(pair.losses).toEqual([])
  })

  test('whenever it is said: before the connection is up, while it comes up, while a rekey is under way', () => {
    const step = fc.oneof(
      fc.constantFrom<Name>('a', 'b').map((name) => ({ kind: 'tell' as const, name })),
      fc.constantFrom<Name>('a', 'b').map((name) => ({ kind: 'rekey' as const, name })),
      fc.constantFrom(1, 2, 3).map((count) => ({ kind: 'deliver' as const, count })),
      fc.constantFrom(0, 500, 5_000).map((ms) => ({ kind: 'wait' as const, ms })),
    )
    const run = fc.property(fc.nat(1_000), fc.array(step, { maxLength: 12 }), (seed, steps) => {
      const pair = new Pair({ crypto: nodeCrypto, seed })
      pair.input('a', { type: 'initiate', connection: 'peer' })
      for (const each of [
        ...steps,
        { kind: 'tell' as const, name: 'a' as const },
        { kind: 'tell' as const, name: 'b' as const },
      ]) {
        if (each.kind === 'tell') give(pair, each.name, wide(each.name))
        else if (each.kind === 'rekey') pair.input(each.name, { type: 'rekey-child', connection: 'peer', child: 'net' })
        else if (each.kind === 'wait') pair.advance(each.ms)
        else for (let i = 0; i < each.count && pair.inFlight.length > 0; i++) pair.deliver(pair.inFlight.shift()!)
      }
      pair.settle()
      expect(selectorsOf(pair)).toEqual([[WIDE], [WIDE]])
      expect(pair.disagreements({ ike: 1, children: 1 })).toEqual([])
    })
    fc.assert(run, { numRuns: 100 })
  })
})
