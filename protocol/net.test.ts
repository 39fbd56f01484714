import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  address,
  addressBytes,
  familyOf,
  formatAddress,
  formatSocketAddress,
  parseAddress,
  parsePrefix,
  prefix,
  prefixContains,
  prefixRange,
} from './net.ts'

describe('addresses', () => {
  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['0.0.0.0', '0.0.0.0'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    // RFC 5952 sections 4.1, 4.3, 4.2.2 and 4.2.3: leading zeros, case, a single zero group, the first longest run.
    ['2001:0DB8::0001', '2001:db8::1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['::ffff:192.0.2.1', '::ffff:c000:201'],
  ])('%s is %s', (text, canonical) => {
    expect(parseAddress(text)).toBe(canonical)
    expect(familyOf(address(text))).toBe(text.includes(':') ? 6 : 4)
  })

  test.each([
    '',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '01.2.3.4',
    '1.2.3.-4',
    ' 1.2.3.4',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7::8',
    '12345::',
    'g::',
    'fe80::1%eth0',
    '1.2.3.4::',
    '::1.2.3',
  ])('%j is none', (text) => {
    expect(parseAddress(text)).toBeUndefined()
    expect(() => address(text)).toThrow(TypeError)
  })

  test('bytes and text are the same thing', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
    )
    fc.assert(
      fc.property(bytes, (value) => {
        const text = formatAddress(value)
        expect(addressBytes(text)).toEqual(value)
        expect(parseAddress(text)).toBe(text)
      }),
    )
  })

  test('any text is an address in canonical form, or none', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[0-9a-f:.]{0,40}$/), (text) => {
        const parsed = parseAddress(text)
        if (parsed !== undefined) expect(parseAddress(parsed)).toBe(parsed)
      }),
    )
  })
})

describe('prefixes', () => {
  test.each([
    ['10.1.2.3/16', '10.1.0.0/16'],
    ['10.1.2.3', '10.1.2.3/32'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['2001:db8::ffff/33', '2001:db8::/33'],
    ['::1', '::1/128'],
  ])('%s is %s', (text, canonical) => expect(parsePrefix(text)).toBe(canonical))

  test.each(['10.0.0.0/33', '::/129', '10.0.0.0/', '10.0.0.0/-1', '10.0.0.0/1.5', '10.0.0.0/8/8', '/8'])(
    '%j is none',
    (text) => expect(parsePrefix(text)).toBeUndefined(),
  )

  test('the range of a prefix, and what lies in it', () => {
    const network = prefix('10.1.128.0/17')
    expect(prefixRange(network)).toEqual({ first: '10.1.128.0', last: '10.1.255.255', bits: 17 })
    expect(prefixContains(network, address('10.1.128.0'))).toBe(true)
    expect(prefixContains(network, address('10.1.255.255'))).toBe(true)
    expect(prefixContains(network, address('10.1.127.255'))).toBe(false)
    expect(prefixContains(network, address('10.2.0.0'))).toBe(false)
    expect(prefixContains(prefix('::/0'), address('10.1.128.0'))).toBe(false)
  })
})

test('socket addresses', () => {
  expect(formatSocketAddress({ address: address('192.0.2.1'), port: 500 })).toBe('192.0.2.1:500')
  expect(formatSocketAddress({ address: address('2001:db8::1'), port: 4500 })).toBe('[2001:db8::1]:4500')
})
