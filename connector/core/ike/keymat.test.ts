import { createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../io/crypto-node.ts'
import { deriveChildKeys, deriveIkeKeys, deriveRekeyedIkeKeys, prfPlus } from './keymat.ts'
import { parseIkeProposal } from './names.ts'
import type { IkeProposal } from './types.ts'

const ni = filled(32, 1)
const nr = filled(40, 2)
const secret = filled(32, 3)
const initiatorSpi = filled(8, 4)
const responderSpi = filled(8, 5)

/** The formulas of RFC 7296 section 2.13 once more, in Buffers. */
function hmac(hash: string, key: Uint8Array, ...data: Uint8Array[]): Buffer {
  return createHmac(hash, key).update(Buffer.concat(data)).digest()
}
function expanded(hash: string, key: Uint8Array, seed: Uint8Array, length: number): Buffer {
  let stream: Buffer = Buffer.alloc(0)
  let last: Buffer = Buffer.alloc(0)
  for (let i = 1; stream.length < length; i++) {
    last = hmac(hash, key, last, seed, Buffer.from([i]))
    stream = Buffer.concat([stream, last])
  }
  return stream.subarray(0, length)
}

const SUITES: [text: string, hash: string, prf: number, integ: number, encryption: number][] = [
  ['aes128gcm16-prfsha256-x25519', 'sha256', 32, 0, 20],
  ['aes256gcm16-prfsha384-ecp384', 'sha384', 48, 0, 36],
  ['chacha20poly1305-prfsha512-x25519', 'sha512', 64, 0, 36],
  ['aes256-sha256-prfsha256-ecp256', 'sha256', 32, 32, 32],
  ['aes128-sha512-prfsha384-modp2048', 'sha384', 48, 64, 16],
]

describe.each(SUITES)('%s', (text, hash, prf, integ, encryption) => {
  const proposal = parseIkeProposal(text) as IkeProposal
  const input = { proposal, sharedSecret: secret, initiatorNonce: ni, responderNonce: nr, initiatorSpi, responderSpi }
  const seed = Buffer.concat([ni, nr, initiatorSpi, responderSpi])

  function expectKeys(keys: ReturnType<typeof deriveIkeKeys>, skeyseed: Buffer) {
    const order = [keys.skD, keys.skAi, keys.skAr, keys.skEi, keys.skEr, keys.skPi, keys.skPr]
    expect(order.map((key) => key.length)).toEqual([prf, integ, integ, encryption, encryption, prf, prf])
    const length = 3 * prf + 2 * integ + 2 * encryption
    expect(Buffer.concat(order).equals(expanded(hash, skeyseed, seed, length))).toBe(true)
  }

  test('keys of the first IKE SA', () => {
    expectKeys(deriveIkeKeys(nodeCrypto, input), hmac(hash, Buffer.concat([ni, nr]), secret))
  })

  test('keys after a rekey: SKEYSEED comes from the old PRF and SK_d', () => {
    const old = { prf: 'prfsha256', skD: filled(32, 9) } as const
    expectKeys(deriveRekeyedIkeKeys(nodeCrypto, old, input), hmac('sha256', old.skD, secret, ni, nr))
  })

  test('wiping leaves only zeros', () => {
    const keys = deriveIkeKeys(nodeCrypto, input)
    keys.wipe()
    for (const key of [keys.skD, keys.skAi, keys.skAr, keys.skEi, keys.skEr, keys.skPi, keys.skPr])
      expect(key.every((byte) => byte === 0)).toBe(true)
  })
})

describe('KEYMAT of a Child SA', () => {
  const ike = { prf: 'prfsha256', skD: filled(32, 6) } as const

  test.each([
    ['aes128gcm16', 16],
    ['aes256gcm16', 32],
    ['chacha20poly1305', 32],
  ] as const)('%s: key then salt, initiator first', (encryption, keyLength) => {
    const keys = deriveChildKeys(nodeCrypto, ike, { encryption, initiatorNonce: ni, responderNonce: nr })
    const { initiator, responder } = keys
    expect([initiator.key.length, initiator.salt.length]).toEqual([keyLength, 4])
    const stream = Buffer.concat([initiator.key, initiator.salt, responder.key, responder.salt])
    expect(stream.equals(expanded('sha256', ike.skD, Buffer.concat([ni, nr]), 2 * (keyLength + 4)))).toBe(true)
  })

  test('with PFS the shared secret comes before the nonces', () => {
    const input = { encryption: 'aes128gcm16', initiatorNonce: ni, responderNonce: nr, sharedSecret: secret } as const
    const { initiator, responder } = deriveChildKeys(nodeCrypto, ike, input)
    const stream = Buffer.concat([initiator.key, initiator.salt, responder.key, responder.salt])
    expect(stream.equals(expanded('sha256', ike.skD, Buffer.concat([secret, ni, nr]), 40))).toBe(true)
    expect(secret).toEqual(filled(32, 3))
  })
})

describe('prf+', () => {
  test('any length is a beginning of the longest', () => {
    const longest = prfPlus(nodeCrypto, 'prfsha256', secret, ni, 255 * 32)
    for (const length of [0, 1, 31, 32, 33, 64, 1000])
      expect(prfPlus(nodeCrypto, 'prfsha256', secret, ni, length)).toEqual(longest.slice(0, length))
  })

  test('the counter has one byte: more than 255 blocks are refused', () => {
    expect(() => prfPlus(nodeCrypto, 'prfsha256', secret, ni, 255 * 32 + 1)).toThrow(RangeError)
  })

  test('leaves key and seed alone', () => {
    prfPlus(nodeCrypto, 'prfsha512', secret, ni, 200)
    expect(secret).toEqual(filled(32, 3))
    expect(ni).toEqual(filled(32, 1))
  })
})

function filled(length: number, seed: number): Uint8Array {
  return new Uint8Array(length).map((_, i) => (i * 7 + seed * 31) & 0xff)
}
