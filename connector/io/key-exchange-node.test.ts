import { createDiffieHellmanGroup, randomBytes } from 'node:crypto'
import { x25519 } from '@noble/curves/ed25519.js'
import { p256, p384, p521 } from '@noble/curves/nist.js'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from './crypto-node.ts'
import { keyExchangeFrom } from './key-exchange-node.ts'

const LENGTHS: [group: number, publicLength: number, secretLength: number][] = [
  [14, 256, 256],
  [15, 384, 384],
  [16, 512, 512],
  [19, 64, 32],
  [20, 96, 48],
  [21, 132, 66],
  [31, 32, 32],
]

describe.each(LENGTHS)('group %i', (group, publicLength, secretLength) => {
  test('two sides agree, with values of full length', () => {
    const left = nodeCrypto.generate(group)
    const right = nodeCrypto.generate(group)
    expect(left.publicValue.length).toBe(publicLength)
    expect(left.publicValue).not.toEqual(right.publicValue)
    const secret = left.complete(right.publicValue)
    expect(secret).toHaveLength(secretLength)
    expect(right.complete(left.publicValue)).toEqual(secret)
  })

  test('completes only once', () => {
    const peer = nodeCrypto.generate(group).publicValue
    const exchange = nodeCrypto.generate(group)
    expect(exchange.complete(peer)).toBeDefined()
    expect(exchange.complete(peer)).toBeUndefined()
  })

  test('refuses values of the wrong length, zeros and all ones', () => {
    const { publicValue } = nodeCrypto.generate(group)
    const longer = new Uint8Array(publicLength + 1)
    longer.set(publicValue)
    const bad = [new Uint8Array(0), publicValue.subarray(1), longer, new Uint8Array(publicLength)]
    if (group !== 31) bad.push(new Uint8Array(publicLength).fill(0xff))
    for (const value of bad) expect(nodeCrypto.generate(group).complete(value)).toBeUndefined()
  })
})

test('an unknown group is a programming error', () => {
  expect(() => nodeCrypto.generate(2)).toThrow(RangeError)
})

describe('known answers', () => {
  test.each([
    [
      19,
      'C88F01F510D9AC3F70A292DAA2316DE544E9AAB8AFE84049C62A9C57862D1433',
      'DAD0B65394221CF9B051E1FECA5787D098DFE637FC90B9EF945D0C37725811805271A0461CDB8252D61F1C456FA3E59AB1F45B33ACCF5F58389E0577B8990BB3',
      'C6EF9C5D78AE012A011164ACB397CE2088685D8F06BF9BE0B283AB46476BEE53',
      'D6840F6B42F6EDAFD13116E0E12565202FEF8E9ECE7DCE03812464D04B9442DE',
    ],
    [
      20,
      '099F3C7034D4A2C699884D73A375A67F7624EF7C6B3C0F160647B67414DCE655E35B538041E649EE3FAEF896783AB194',
      '667842D7D180AC2CDE6F74F37551F55755C7645C20EF73E31634FE72B4C55EE6DE3AC808ACB4BDB4C88732AEE95F41AA9482ED1FC0EEB9CAFC4984625CCFC23F65032149E0E144ADA024181535A0F38EEB9FCFF3C2C947DAE69B4C634573A81C',
      '41CB0779B4BDB85D47846725FBEC3C9430FAB46CC8DC5060855CC9BDA0AA2942E0308312916B8ED2960E4BD55A7448FC',
      '11187331C279962D93D604243FD592CB9D0A926F422E47187521287E7156C5C4D603135569B9E9D09CF5D4A270F59746',
    ],
    [
      21,
      '0037ADE9319A89F4DABDB3EF411AACCCA5123C61ACAB57B5393DCE47608172A095AA85A30FE1C2952C6771D937BA9777F5957B2639BAB072462F68C27A57382D4A52',
      '0015417E84DBF28C0AD3C278713349DC7DF153C897A1891BD98BAB4357C9ECBEE1E3BF42E00B8E380AEAE57C2D107564941885942AF5A7F4601723C4195D176CED3E017CAE20B6641D2EEB695786D8C946146239D099E18E1D5A514C739D7CB4A10AD8A788015AC405D7799DC75E7B7D5B6CF2261A6A7F1507438BF01BEB6CA3926F9582',
      '0145BA99A847AF43793FDD0E872E7CDFA16BE30FDC780F97BCCC3F078380201E9C677D600B343757A3BDBF2A3163E4C2F869CCA7458AA4A4EFFC311F5CB151685EB9',
      '01144C7D79AE6956BC8EDB8E7C787C4521CB086FA64407F97894E5E6B2D79B04D1427E73CA4BAA240A34786859810C06B3C715A3A8CC3151F2BEE417996D19F3DDEA',
    ],
  ])('RFC 5903 section 8, group %i', (group, privateI, publicI, privateR, secret) => {
    const initiator = keyExchangeFrom(group, bytes(privateI))
    const responder = keyExchangeFrom(group, bytes(privateR))
    expect(text(initiator.publicValue)).toBe(publicI.toLowerCase())
    expect(text(initiator.complete(responder.publicValue)!)).toBe(secret.toLowerCase())
    expect(text(responder.complete(initiator.publicValue)!)).toBe(secret.toLowerCase())
  })

  test('RFC 7748 section 6.1', () => {
    const alice = keyExchangeFrom(31, bytes('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a'))
    const bob = keyExchangeFrom(31, bytes('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb'))
    expect(text(alice.publicValue)).toBe('8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a')
    const secret = '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742'
    expect(text(alice.complete(bob.publicValue)!)).toBe(secret)
    expect(text(bob.complete(alice.publicValue)!)).toBe(secret)
  })
})

describe('against an independent implementation', () => {
  test.each([
    [19, p256, 32],
    [20, p384, 48],
    [21, p521, 66],
  ] as const)('NIST curve of group %i', (group, curve, length) => {
    for (let round = 0; round < 8; round++) {
      const secretKey = curve.utils.randomSecretKey()
      const ours = nodeCrypto.generate(group)
      const point = new Uint8Array([4, ...ours.publicValue])
      const expected = curve.getSharedSecret(secretKey, point, false).subarray(1, 1 + length)
      expect(ours.complete(curve.getPublicKey(secretKey, false).subarray(1))).toEqual(expected)
    }
  })

  test('X25519', () => {
    for (let round = 0; round < 20; round++) {
      const secretKey = x25519.utils.randomSecretKey()
      const ours = nodeCrypto.generate(31)
      const expected = x25519.getSharedSecret(secretKey, ours.publicValue)
      expect(ours.complete(x25519.getPublicKey(secretKey))).toEqual(expected)
    }
  })

  test.each([
    [14, 'modp14'],
    [15, 'modp15'],
    [16, 'modp16'],
  ])('MODP group %i as powers of 2 in plain arithmetic', (group, name) => {
    const modulus = createDiffieHellmanGroup(name).getPrime()
    const prime = integer(modulus)
    const exponent = integer(randomBytes(8))
    const ours = nodeCrypto.generate(group)
    const secret = power(integer(ours.publicValue), exponent, prime)
    const peerValue = fixed(power(2n, exponent, prime), modulus.length)
    expect(integer(ours.complete(peerValue)!)).toBe(secret)
  })
})

describe('values that RFC 6989 tells us to refuse', () => {
  test.each([
    [14, 'modp14'],
    [15, 'modp15'],
    [16, 'modp16'],
  ])('MODP group %i: 0, 1, p - 1, p, p + 1', (group, name) => {
    const prime = integer(createDiffieHellmanGroup(name).getPrime())
    const length = createDiffieHellmanGroup(name).getPrime().length
    for (const value of [0n, 1n, prime - 1n, prime, prime + 1n])
      expect(nodeCrypto.generate(group).complete(fixed(value, length))).toBeUndefined()
    expect(nodeCrypto.generate(group).complete(fixed(2n, length))).toBeDefined()
    expect(nodeCrypto.generate(group).complete(fixed(prime - 2n, length))).toBeDefined()
  })

  test.each([19, 20, 21])('ECP group %i: points that are not on the curve', (group) => {
    const point = nodeCrypto.generate(group).publicValue
    for (const bit of [0, 8, point.length * 4, point.length * 8 - 8]) {
      const off = point.slice()
      off[bit >> 3]! ^= 1
      expect(nodeCrypto.generate(group).complete(off)).toBeUndefined()
    }
  })

  test('X25519: points of small order give zero', () => {
    const orders = [
      '0000000000000000000000000000000000000000000000000000000000000000',
      '0100000000000000000000000000000000000000000000000000000000000000',
      'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
      '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
      'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
      'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
      'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    ]
    for (const point of orders) expect(nodeCrypto.generate(31).complete(bytes(point))).toBeUndefined()
  })
})

test('a MODP secret keeps its leading zeros', () => {
  // 2^1 to the power 1: the smallest secret there is, in 256 bytes.
  const one = keyExchangeFrom(14, Uint8Array.of(1))
  const secret = one.complete(fixed(2n, 256))
  expect(secret).toEqual(fixed(2n, 256))
})

function bytes(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, 'hex'))
}

function text(data: Uint8Array): string {
  return Buffer.from(data).toString('hex')
}

function integer(data: Uint8Array): bigint {
  return BigInt(`0x${text(data)}`)
}

function fixed(value: bigint, length: number): Uint8Array {
  return bytes(value.toString(16).padStart(2 * length, '0'))
}

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n
  for (let square = base % modulus, rest = exponent; rest > 0n; rest >>= 1n, square = (square * square) % modulus) {
    if (rest & 1n) result = (result * square) % modulus
  }
  return result
}
