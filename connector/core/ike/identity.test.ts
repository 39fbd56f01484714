import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  identityBody,
  identityFromPayload,
  identityPayload,
  identityText,
  parseIdentity,
  sameIdentity,
} from './identity.ts'
import type { Identity } from './types.ts'

const SAMPLES: [text: string, identity: Identity, idType: number, hex: string][] = [
  ['10.0.0.1', { type: 'ipv4', value: '10.0.0.1' }, 1, '0a000001'],
  ['2001:db8::1', { type: 'ipv6', value: '2001:db8::1' }, 5, '20010db8000000000000000000000001'],
  ['gw.example.org', { type: 'fqdn', value: 'gw.example.org' }, 2, '67772e6578616d706c652e6f7267'],
  ['me@example.org', { type: 'email', value: 'me@example.org' }, 3, '6d65406578616d706c652e6f7267'],
  ['keyid:00ff10', { type: 'key-id', value: '00ff10' }, 11, '00ff10'],
  ['dn:3000', { type: 'dn', value: '3000' }, 9, '3000'],
]

describe.each(SAMPLES)('%s', (text, identity, idType, hex) => {
  test('reads from the configuration, and back', () => {
    expect(parseIdentity(text)).toEqual(identity)
    expect(identityText(identity)).toBe(text)
  })

  test('goes over the wire, and back', () => {
    const payload = identityPayload('IDi', identity)
    expect(payload).toEqual({ type: 'IDi', idType, data: new Uint8Array(Buffer.from(hex, 'hex')) })
    expect(identityFromPayload(payload)).toEqual(identity)
    const body = Buffer.from(identityBody(payload)).toString('hex')
    expect(body).toBe(`${idType.toString(16).padStart(2, '0')}000000${hex}`)
  })
})

describe('texts', () => {
  test.each([
    ['@10.0.0.1', { type: 'fqdn', value: '10.0.0.1' }],
    ['@gw', { type: 'fqdn', value: 'gw' }],
    ['fqdn:a@b', { type: 'fqdn', value: 'a@b' }],
    ['KEYID:AB', { type: 'key-id', value: 'ab' }],
    ['ipv6:2001:DB8:0::1', { type: 'ipv6', value: '2001:db8::1' }],
    [' gw.example.org ', { type: 'fqdn', value: 'gw.example.org' }],
  ])('%s', (text, expected) => {
    expect(parseIdentity(text)).toEqual(expected)
  })

  test.each([
    '',
    '@',
    'a b',
    'keyid:',
    'keyid:0',
    'keyid:zz',
    'ipv4:2001:db8::1',
    'ipv6:x',
    'a@',
    'a@b@c',
    'ä.example',
  ])("'%s' is refused", (text) => {
    expect(parseIdentity(text)).toHaveProperty('error')
  })

  test('an identity whose bare form would mean another type says its type', () => {
    expect(identityText({ type: 'fqdn', value: '10.0.0.1' })).toBe('fqdn:10.0.0.1')
    expect(parseIdentity('fqdn:10.0.0.1')).toEqual({ type: 'fqdn', value: '10.0.0.1' })
  })
})

describe('from the wire', () => {
  const id = (idType: number, ...data: number[]) => identityFromPayload({ idType, data: Uint8Array.from(data) })

  test('data that does not fit its type is no identity', () => {
    expect(id(1, 10, 0, 0)).toBeUndefined()
    expect(id(5, 10, 0, 0, 1)).toBeUndefined()
    expect(id(2)).toBeUndefined()
    expect(id(13)).toBeUndefined()
    expect(id(99, 1)).toBeUndefined()
  })

  test('a name with control characters, blanks or high bytes is no identity', () => {
    for (const byte of [0x00, 0x0a, 0x1b, 0x20, 0x7f, 0xc3]) expect(id(2, 0x61, byte, 0x62)).toBeUndefined()
  })

  test('any bytes give an identity whose text reads back, or none', () => {
    const types = fc.constantFrom(1, 2, 3, 5, 9, 11, 12)
    fc.assert(
      fc.property(types, fc.uint8Array({ maxLength: 20 }), (idType, data) => {
        const identity = identityFromPayload({ idType, data })
        if (identity === undefined) return
        expect(identityText(identity)).toMatch(/^[\x21-\x7e]+$/)
        expect(identityPayload('IDr', identity).data).toEqual(data)
      }),
    )
  })
})

test('sameness: domains ignore case, types and local parts do not', () => {
  const same = (left: string, right: string) =>
    sameIdentity(parseIdentity(left) as Identity, parseIdentity(right) as Identity)
  expect(same('GW.example.org', 'gw.EXAMPLE.org')).toBe(true)
  expect(same('me@Example.org', 'me@example.org')).toBe(true)
  expect(same('Me@example.org', 'me@example.org')).toBe(false)
  expect(same('10.0.0.1', '10.0.0.1')).toBe(true)
  expect(same('10.0.0.1', '@10.0.0.1')).toBe(false)
  expect(same('keyid:aa', 'dn:aa')).toBe(false)
  expect(same('a.example', 'b.example')).toBe(false)
})
