/**
 * Poly1305 by itself. In the AEAD its key is ChaCha20's output, so that random packets never come near the ends of
 * the field; here they do.
 */
import { beforeAll, describe, expect, test } from 'vitest'
import { AeadModule, compileAeadModules } from '../test/vectors/aead-module.ts'
import { SeededRandom } from '../test/vectors/aead-node.ts'
import { TARGETS, type Target } from './build.ts'

const PRIME = 2n ** 130n - 5n
const CLAMP = 0x0ffffffc0ffffffc0ffffffc0fffffffn

/** Bytes as hex, `xx*n` for n times xx. */
const RFC_8439_A3 = [
  { number: 1, r: '00*16', s: '00*16', message: '00*64', tag: '00*16' },
  { number: 5, r: '02 00*15', s: '00*16', message: 'ff*16', tag: '03 00*15' },
  { number: 6, r: '02 00*15', s: 'ff*16', message: '02 00*15', tag: '03 00*15' },
  { number: 7, r: '01 00*15', s: '00*16', message: 'ff*16 f0 ff*15 11 00*15', tag: '05 00*15' },
  { number: 8, r: '01 00*15', s: '00*16', message: 'ff*16 fb fe*15 01*16', tag: '00*16' },
  { number: 9, r: '02 00*15', s: '00*16', message: 'fd ff*15', tag: 'fa ff*15' },
  {
    number: 10,
    r: '01 00*7 04 00*7',
    s: '00*16',
    message: 'e33594d7505e43b9 00*8 3394d7505e4379cd 01 00*7 00*16 01 00*15',
    tag: '14 00*7 55 00*7',
  },
  {
    number: 11,
    r: '01 00*7 04 00*7',
    s: '00*16',
    message: 'e33594d7505e43b9 00*8 3394d7505e4379cd 01 00*7 00*16',
    tag: '13 00*15',
  },
]

let modules: Record<Target, Uint8Array>

beforeAll(async () => {
  modules = await compileAeadModules()
}, 120_000)

describe.each(TARGETS)('Poly1305, %s build', (target) => {
  test.each(RFC_8439_A3)('RFC 8439 appendix A.3, vector $number', ({ r, s, message, tag }) => {
    const key = Buffer.concat([bytes(r), bytes(s)])
    expect(Buffer.from(new AeadModule(modules[target]).poly1305(key, bytes(message)))).toEqual(bytes(tag))
  })

  test('agrees with the definition where limbs are all ones, zero, or nearly so', () => {
    const aead = new AeadModule(modules[target])
    const random = new SeededRandom('limbs')
    for (let i = 0; i < 3000; i++) {
      const key = extreme(random, 32)
      const message = extreme(random, 16 * (1 + random.below(6)))
      expect(Buffer.from(aead.poly1305(key, message)), `case ${i}`).toEqual(reference(key, message))
    }
  })
})

/** RFC 8439 section 2.5.1, for whole blocks. */
function reference(key: Buffer, message: Buffer): Buffer {
  const r = littleEndian(key.subarray(0, 16)) & CLAMP
  let sum = 0n
  for (let at = 0; at < message.length; at += 16) {
    sum = ((sum + littleEndian(message.subarray(at, at + 16)) + 2n ** 128n) * r) % PRIME
  }
  const tag = (sum + littleEndian(key.subarray(16))) % 2n ** 128n
  return Buffer.from(tag.toString(16).padStart(32, '0'), 'hex').reverse()
}

function littleEndian(from: Buffer): bigint {
  return BigInt(`0x${Buffer.from(from).reverse().toString('hex')}`)
}

/** Words of ones, zeros, one and their neighbours, with a random one here and there. */
function extreme(random: SeededRandom, count: number): Buffer {
  const words = [0, 1, 2, 4, 5, 0xfffffffa, 0xfffffffb, 0xfffffffc, 0xfffffffe, 0xffffffff]
  const result = Buffer.alloc(count)
  for (let at = 0; at < count; at += 4) {
    const choice = random.below(words.length + 1)
    result.writeUInt32LE(words[choice] ?? random.below(2 ** 32), at)
  }
  return result
}

function bytes(text: string): Buffer {
  const hex = text.replace(/(\w\w)\*(\d+)/g, (_, byte: string, count: string) => byte.repeat(Number(count)))
  return Buffer.from(hex.replaceAll(' ', ''), 'hex')
}
