import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  type Address,
  formatAddress,
  type Prefix,
  parsePrefix,
  prefixContains,
  prefixRange,
} from '../../protocol/net.ts'
import { overlaps, PrefixIndex } from './prefix-index.ts'

/** Prefixes out of few bits, so that many meet: 10.0.0.0/8 and fd00::/8 with up to 6 more bits. */
const crowded = fc.tuple(fc.boolean(), fc.nat(63), fc.integer({ min: 0, max: 6 })).map(([six, high, more]) => {
  const bytes = new Uint8Array(six ? 16 : 4)
  bytes[0] = six ? 0xfd : 10
  bytes[1] = high << 2
  return parsePrefix(`${formatAddress(bytes)}/${8 + more}`)!
})

function meet(left: Prefix, right: Prefix): boolean {
  const [a, b] = [prefixRange(left), prefixRange(right)]
  return prefixContains(left, b.first as Address) || prefixContains(right, a.first as Address)
}

test('the index finds an overlap exactly where there is one, as prefixes come and go', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(crowded, fc.nat(3), fc.boolean()), { maxLength: 40 }), (steps) => {
      const index = new PrefixIndex()
      let model: { prefix: Prefix; site: string }[] = []
      for (const [prefix, number, removal] of steps) {
        const site = `site_${number}`
        const found = index.overlapping(prefix, site)
        const others = model.filter((placed) => placed.site !== site && meet(placed.prefix, prefix))
        expect(found === undefined).toBe(others.length === 0)
        if (found !== undefined) expect(others).toContainEqual(found)
        if (removal) {
          index.remove(prefix)
          model = model.filter((placed) => placed.prefix !== prefix)
        } else if (model.every((placed) => !meet(placed.prefix, prefix))) {
          index.add({ prefix, site })
          model.push({ prefix, site })
        }
        expect(index.size).toBe(model.length)
      }
      const again = new PrefixIndex(model)
      for (const [prefix] of steps) expect(again.overlapping(prefix)).toEqual(index.overlapping(prefix))
    }),
  )
})

test('every prefix that runs into one given before it is found, with one that it does run into', () => {
  fc.assert(
    fc.property(fc.array(crowded, { maxLength: 25 }), (prefixes) => {
      const placed = prefixes.map((prefix, at) => ({ prefix, site: `site_${at}`, at }))
      const expected = placed.filter((item) =>
        placed.some((other) => other.at < item.at && meet(other.prefix, item.prefix)),
      )
      const found = overlaps(placed)
      expect(found.map(({ later }) => later.at)).toEqual(expected.map(({ at }) => at))
      for (const { earlier, later } of found) {
        expect(earlier.at).toBeLessThan(later.at)
        expect(meet(earlier.prefix, later.prefix)).toBe(true)
      }
    }),
    { numRuns: 500 },
  )
})

test('the same prefix very many times is no reason to be slow', () => {
  const placed = Array.from({ length: 50_000 }, (_, at) => ({ prefix: '10.0.0.0/8', site: `site_${at}` }))
  expect(overlaps(placed)).toHaveLength(49_999)
})
