import { describe, expect, test } from 'vitest'
import { address } from '../../../protocol/net.ts'
import { nodeCrypto } from '../../io/crypto-node.ts'
import { COOKIE_LENGTH, type CookieInput, CookieMint } from './cookie.ts'

const input: CookieInput = {
  initiatorSpi: new Uint8Array(8).fill(1),
  address: address('192.0.2.1'),
  nonce: new Uint8Array(32).fill(2),
}
const secret = (seed: number) => new Uint8Array(32).fill(seed)

test('a cookie verifies for its own request alone', () => {
  const mint = new CookieMint(nodeCrypto, secret(1))
  const cookie = mint.make(input)
  expect(cookie.length).toBe(COOKIE_LENGTH)
  expect(mint.make(input)).toEqual(cookie)
  expect(mint.verify(cookie, input)).toBe(true)
  expect(mint.verify(cookie, { ...input, address: address('192.0.2.2') })).toBe(false)
  expect(mint.verify(cookie, { ...input, nonce: new Uint8Array(33).fill(2) })).toBe(false)
  expect(mint.verify(cookie, { ...input, initiatorSpi: new Uint8Array(8).fill(3) })).toBe(false)
})

test('bytes do not move between address and nonce', () => {
  const mint = new CookieMint(nodeCrypto, secret(1))
  const v6 = { ...input, address: address('c000:201::'), nonce: new Uint8Array(16) }
  const v4 = { ...input, address: address('192.0.2.1'), nonce: new Uint8Array(28) }
  expect(mint.verify(mint.make(v6), v4)).toBe(false)
})

describe('rotation', () => {
  test('cookies of the secret before stay valid, those before it do not', () => {
    const mint = new CookieMint(nodeCrypto, secret(1))
    const first = mint.make(input)
    mint.rotate(secret(2))
    expect(mint.verify(first, input)).toBe(true)
    const second = mint.make(input)
    expect(second).not.toEqual(first)
    mint.rotate(secret(3))
    expect(mint.verify(first, input)).toBe(false)
    expect(mint.verify(second, input)).toBe(true)
  })

  test('goes on after the version byte wraps', () => {
    const mint = new CookieMint(nodeCrypto, secret(0))
    for (let round = 1; round <= 600; round++) {
      const before = mint.make(input)
      mint.rotate(secret(round & 0xff))
      expect(mint.verify(before, input)).toBe(true)
      expect(mint.verify(mint.make(input), input)).toBe(true)
    }
  })

  test('a mint that never rotated has no secret before', () => {
    const mint = new CookieMint(nodeCrypto, secret(1))
    const forged = mint.make(input)
    forged[0] = 0xff
    expect(mint.verify(forged, input)).toBe(false)
  })

  test('another mint, for example after a restart, refuses', () => {
    const cookie = new CookieMint(nodeCrypto, secret(1)).make(input)
    expect(new CookieMint(nodeCrypto, secret(2)).verify(cookie, input)).toBe(false)
  })
})

test('any change of the cookie is refused, also in its length', () => {
  const mint = new CookieMint(nodeCrypto, secret(1))
  const cookie = mint.make(input)
  for (let i = 0; i < cookie.length; i++) {
    const changed = cookie.slice()
    changed[i]! ^= 0x01
    expect(mint.verify(changed, input)).toBe(false)
  }
  for (let length = 0; length < COOKIE_LENGTH; length++)
    expect(mint.verify(cookie.subarray(0, length), input)).toBe(false)
  expect(mint.verify(new Uint8Array(64), input)).toBe(false)
})
