import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Family, formatAddress, parsePrefix, prefix } from './net.ts'
import { blockOf, partOf, prefixAt, prefixesOf } from './prefix-block.ts'

describe('blocks of prefixes', () => {
  it('hold an IPv4 prefix in a word and an IPv6 prefix in four', () => {
    expect(blockOf(4, [prefix('10.1.0.0/16'), prefix('0.0.0.0/0')])).toEqual({
      family: 4,
      lengths: Uint8Array.of(16, 0),
      words: Uint32Array.of(0x0a010000, 0),
    })
    expect(blockOf(6, [prefix('2001:db8::/32')])).toEqual({
      family: 6,
      lengths: Uint8Array.of(32),
      words: Uint32Array.of(0x20010db8, 0, 0, 0),
    })
  })

  it('refuse a prefix of the other family', () => {
    expect(() => blockOf(4, [prefix('2001:db8::/32')])).toThrow(TypeError)
  })

  it.each([4, 6] as const)('give back what went in, IPv%d', (family: Family) => {
    const size = family === 4 ? 4 : 16
    const arbitrary = fc
      .tuple(fc.uint8Array({ minLength: size, maxLength: size }), fc.integer({ min: 0, max: size * 8 }))
      .map(([bytes, bits]) => parsePrefix(`${formatAddress(bytes)}/${bits}`)!)
    fc.assert(
      fc.property(fc.array(arbitrary, { maxLength: 20 }), fc.nat(20), (prefixes, at) => {
        const block = blockOf(family, prefixes)
        expect(prefixesOf(block)).toEqual(prefixes)
        const cut = Math.min(at, prefixes.length)
        expect(prefixesOf(partOf(block, cut, prefixes.length))).toEqual(prefixes.slice(cut))
        if (cut < prefixes.length) expect(prefixAt(block, cut)).toBe(prefixes[cut])
      }),
    )
  })
})
