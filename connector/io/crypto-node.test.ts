import { createCipheriv, createHmac } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { IkeCipher } from '../core/ike/crypto.ts'
import { cipherSizes } from '../core/ike/names.ts'
import { nodeCrypto } from './crypto-node.ts'

const GCM_128: IkeCipher = { encr: 20, keyLengthBits: 128 }
const GCM_256: IkeCipher = { encr: 20, keyLengthBits: 256 }
const CHACHA: IkeCipher = { encr: 28, keyLengthBits: 256 }
const CBC_128_SHA256: IkeCipher = { encr: 12, keyLengthBits: 128, integ: 12 }
const CIPHERS: IkeCipher[] = [
  GCM_128,
  GCM_256,
  CHACHA,
  CBC_128_SHA256,
  { encr: 12, keyLengthBits: 256, integ: 13 },
  { encr: 12, keyLengthBits: 256, integ: 14 },
]

describe('PRF', () => {
  test.each([
    [5, 'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7'],
    [6, 'afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6'],
    [
      7,
      '87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854',
    ],
  ])('%i gives test case 1 of RFC 4231 and RFC 4868 section 2.7.2', (id, expected) => {
    expect(text(nodeCrypto.prf(id, new Uint8Array(20).fill(0x0b), ascii('Hi'), ascii(' There')))).toBe(expected)
  })

  test('gives test case 2 of RFC 4231, a key shorter than the hash', () => {
    const mac = nodeCrypto.prf(5, ascii('Jefe'), ascii('what do ya want for nothing?'))
    expect(text(mac)).toBe('5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843')
  })

  test('an unknown one is a programming error', () => {
    expect(() => nodeCrypto.prf(2, ascii('k'), ascii('d'))).toThrow(RangeError)
  })
})

test('SHA-1 of "abc" as in FIPS 180, over the concatenation', () => {
  expect(text(nodeCrypto.sha1(ascii('a'), ascii('bc')))).toBe('a9993e364706816aba3e25717850c26c9cd0d89d')
})

test('equal compares contents and lengths', () => {
  expect(nodeCrypto.equal(bytes('0102'), bytes('0102'))).toBe(true)
  expect(nodeCrypto.equal(bytes('0102'), bytes('0103'))).toBe(false)
  expect(nodeCrypto.equal(bytes('0102'), bytes('010200'))).toBe(false)
  expect(nodeCrypto.equal(bytes(''), bytes(''))).toBe(true)
})

describe('known answers', () => {
  test('ChaCha20-Poly1305 for IKE, RFC 7634 appendix B', () => {
    const key = bytes('808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3')
    const aad = bytes('c0c1c2c3c4c5c6c7d0d1d2d3d4d5d6d72e202500000000090000004529000029')
    const plaintext = bytes('0000000c000040010000000a00')
    const sealed = nodeCrypto.seal(CHACHA, key, NONE, bytes('1011121314151617'), aad, plaintext)
    expect(text(sealed)).toBe('1011121314151617' + '610394701f8d017f7c12924889' + '6b71bfe25236efd7cdc67066906315b2')
    expect(nodeCrypto.open(CHACHA, key, NONE, aad, sealed)).toEqual(plaintext)
  })

  test.each([
    [
      GCM_128,
      'feffe9928665731c6d6a8f9467308308',
      '42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e0915bc94fbc3221a5db94fae95ae7121a47',
    ],
    [
      GCM_256,
      'feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308',
      '522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b',
    ],
  ])('AES-GCM test cases 4 and 16 of its specification: %o', (cipher, key, expected) => {
    const keyAndSalt = bytes(`${key}cafebabe`)
    const aad = bytes('feedfacedeadbeeffeedfacedeadbeefabaddad2')
    const plaintext = bytes(
      'd9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39',
    )
    const sealed = nodeCrypto.seal(cipher, keyAndSalt, NONE, bytes('facedbaddecaf888'), aad, plaintext)
    expect(text(sealed)).toBe(`facedbaddecaf888${expected}`)
    expect(nodeCrypto.open(cipher, keyAndSalt, NONE, aad, sealed)).toEqual(plaintext)
  })

  test.each([
    [
      '06a9214036b8a15b512e03d534120006',
      '3dafba429d9eb430b422da802c9fac41',
      text(ascii('Single block msg')),
      'e353779c1079aeb82708942dbe77181a',
    ],
    [
      'c286696d887c9aa0611bbb3e2025a45a',
      '562e17996d093d28ddb3ba695a2e6f58',
      '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f',
      'd296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1',
    ],
  ])('AES-CBC, RFC 3602 section 4, under an HMAC over header, IV and ciphertext', (key, iv, plaintext, ciphertext) => {
    const integKey = new Uint8Array(32).fill(7)
    const aad = ascii('header')
    const sealed = nodeCrypto.seal(CBC_128_SHA256, bytes(key), integKey, bytes(iv), aad, bytes(plaintext))
    const mac = createHmac('sha256', integKey)
      .update(aad)
      .update(bytes(iv + ciphertext))
      .digest()
    expect(text(sealed)).toBe(iv + ciphertext + text(mac.subarray(0, 16)))
    expect(text(nodeCrypto.open(CBC_128_SHA256, bytes(key), integKey, aad, sealed)!)).toBe(plaintext)
  })
})

describe.each(CIPHERS)('$encr with $keyLengthBits bits and INTEG $integ', (cipher) => {
  const sizes = cipherSizes(cipher)
  const key = new Uint8Array(sizes.key + sizes.salt).map((_, i) => 3 * i + 1)
  const integKey = new Uint8Array(sizes.integKey).map((_, i) => 5 * i + 2)
  const iv = new Uint8Array(sizes.iv).fill(9)
  const aad = ascii('0123456789')
  const plaintext = new Uint8Array(64).map((_, i) => i)
  const sealed = nodeCrypto.seal(cipher, key, integKey, iv, aad, plaintext)
  const open = (body: Uint8Array, over = aad) => nodeCrypto.open(cipher, key, integKey, over, body)

  test('opens what it sealed and has the length that cipherSizes says', () => {
    expect(open(sealed)).toEqual(plaintext)
    expect(sealed.length).toBe(sizes.iv + plaintext.length + sizes.icv)
    expect(sealed.subarray(0, sizes.iv)).toEqual(iv)
  })

  test('refuses every flipped bit of body and header', () => {
    for (let bit = 0; bit < sealed.length * 8; bit++) expect(open(flipped(sealed, bit))).toBeUndefined()
    for (let bit = 0; bit < aad.length * 8; bit++) expect(open(sealed, flipped(aad, bit))).toBeUndefined()
  })

  test('refuses every truncation', () => {
    for (let length = 0; length < sealed.length; length++) expect(open(sealed.subarray(0, length))).toBeUndefined()
  })

  test('any bytes at all are refused without a throw', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (body) => open(body) === undefined))
  })

  test('keys and IVs of the wrong length are programming errors', () => {
    expect(() => nodeCrypto.seal(cipher, key.subarray(1), integKey, iv, aad, plaintext)).toThrow(RangeError)
    expect(() => nodeCrypto.seal(cipher, key, integKey, iv.subarray(1), aad, plaintext)).toThrow(RangeError)
    expect(() => nodeCrypto.open(cipher, key.subarray(1), integKey, aad, sealed)).toThrow(RangeError)
  })
})

test('CBC: an authentic body without whole blocks is refused', () => {
  const integKey = new Uint8Array(32)
  for (const length of [16, 17, 31]) {
    const body = new Uint8Array(length)
    const icv = createHmac('sha256', integKey).update(body).digest().subarray(0, 16)
    const forged = new Uint8Array(Buffer.concat([body, icv]))
    expect(nodeCrypto.open(CBC_128_SHA256, new Uint8Array(16), integKey, NONE, forged)).toBeUndefined()
  }
  expect(() =>
    nodeCrypto.seal(CBC_128_SHA256, new Uint8Array(16), integKey, new Uint8Array(16), NONE, new Uint8Array(15)),
  ).toThrow(RangeError)
})

test('ciphers that IKE here does not do are programming errors', () => {
  const attempt = (cipher: IkeCipher) => () => nodeCrypto.open(cipher, NONE, NONE, NONE, NONE)
  expect(attempt({ encr: 20, keyLengthBits: 192 })).toThrow(RangeError)
  expect(attempt({ encr: 20, keyLengthBits: 128, integ: 12 })).toThrow(RangeError)
  expect(attempt({ encr: 12, keyLengthBits: 128 })).toThrow(RangeError)
  expect(attempt({ encr: 12, keyLengthBits: 128, integ: 2 })).toThrow(RangeError)
})

test('an AEAD seals as a plain call of node:crypto with nonce salt | IV', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 36, maxLength: 36 }),
      fc.uint8Array({ minLength: 8, maxLength: 8 }),
      fc.uint8Array({ maxLength: 64 }),
      fc.uint8Array({ maxLength: 300 }),
      (key, iv, aad, plaintext) => {
        const nonce = Buffer.concat([key.subarray(32), iv])
        const cipher = createCipheriv('aes-256-gcm', key.subarray(0, 32), nonce).setAAD(aad)
        const expected = Buffer.concat([iv, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
        expect(text(nodeCrypto.seal(GCM_256, key, NONE, iv, aad, plaintext))).toBe(expected.toString('hex'))
      },
    ),
  )
})

const NONE = new Uint8Array(0)

function bytes(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, 'hex'))
}

function text(data: Uint8Array): string {
  return Buffer.from(data).toString('hex')
}

function ascii(data: string): Uint8Array {
  return new Uint8Array(Buffer.from(data, 'latin1'))
}

function flipped(data: Uint8Array, bit: number): Uint8Array {
  const copy = data.slice()
  copy[bit >> 3]! ^= 1 << (bit & 7)
  return copy
}
