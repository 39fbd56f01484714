/** The Noise handshakes against published vectors, and the two cryptographies of sessions against each other. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import { webStreamCrypto } from '../../functions/sdk/stream-crypto.ts'
import type { StreamCrypto, StreamKeyPair } from '../../protocol/stream-crypto.ts'
import { NOISE_OVERHEAD, NoiseHandshake, type NoisePattern } from '../../protocol/stream-noise.ts'
import { build } from '../../wasm/build.ts'
import { loadStreamAead } from '../../wasm/stream-aead-node.ts'
import { nodeStreamCrypto, x25519PublicKey } from '../../wasm/stream-crypto-node.ts'

interface Vector {
  readonly protocol_name: string
  readonly init_prologue: string
  readonly init_static?: string
  readonly init_ephemeral: string
  readonly init_remote_static?: string
  readonly init_psks?: readonly string[]
  readonly resp_prologue: string
  readonly resp_static?: string
  readonly resp_ephemeral: string
  readonly resp_psks?: readonly string[]
  readonly handshake_hash: string
  readonly messages: readonly { readonly payload: string; readonly ciphertext: string }[]
}

const { vectors } = JSON.parse(readFileSync(new URL('noise.json', import.meta.url), 'utf8')) as { vectors: Vector[] }

const CRYPTOS = ['node:crypto', '@noble'] as const
const cryptos = {} as Record<(typeof CRYPTOS)[number], StreamCrypto>

beforeAll(async () => {
  await build({ modules: ['stream'] })
  cryptos['node:crypto'] = nodeStreamCrypto(loadStreamAead())
  cryptos['@noble'] = webStreamCrypto(loadStreamAead())
})

test('there is a vector for each pattern', () => {
  expect(vectors.map((vector) => patternOf(vector)).sort()).toEqual(Object.keys(NOISE_OVERHEAD).sort())
})

describe.each(CRYPTOS)('on %s', (name) => {
  test.each(vectors)('$protocol_name: every message of the vector, written and read', (vector) => {
    const [initiator, responder] = handshakes(cryptos[name], vector)
    const payloads = vector.messages.map(({ payload }) => bytes(payload))
    const texts = vector.messages.map(({ ciphertext }) => ciphertext)
    expect(hex(initiator.write([payloads[0]!.subarray(0, 3), payloads[0]!.subarray(3)])!)).toBe(texts[0])
    expect(responder.read(bytes(texts[0]!))).toEqual(payloads[0])
    // Where there are two handshake messages these vectors have h as it is after the first.
    for (const side of [initiator, responder]) expect(hex(side.hash)).toBe(vector.handshake_hash)
    expect(hex(responder.write([payloads[1]!])!)).toBe(texts[1])
    expect(initiator.read(bytes(texts[1]!))).toEqual(payloads[1])
    expect(initiator.hash).toEqual(responder.hash)
    const ends = [initiator.split(), responder.split()] as const
    for (let i = 2; i < payloads.length; i++) {
      const [from, to] = i % 2 === 0 ? [ends[0], ends[1]] : [ends[1], ends[0]]
      expect(hex(from.send.seal([payloads[i]!]))).toBe(texts[i])
      expect(to.receive.open(bytes(texts[i]!))).toEqual(payloads[i])
    }
    expect(initiator.derive(bytes('07'))).toEqual(responder.derive(bytes('07')))
    expect(initiator.derive(bytes('07'))).not.toEqual(initiator.derive(bytes('08')))
  })

  test.each(vectors)('$protocol_name: the overhead is as the table says', (vector) => {
    const [initiator, responder] = handshakes(cryptos[name], vector)
    const [first, second] = NOISE_OVERHEAD[patternOf(vector)]
    const message = initiator.write([new Uint8Array(100)])!
    expect(message.length).toBe(100 + first)
    responder.read(message)
    expect(responder.write([])!.length).toBe(second)
  })

  test('X25519: the second vector of RFC 7748 section 5.2', () => {
    const crypto = cryptos[name]
    const scalar = bytes('4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d')
    const point = bytes('e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493')
    expect(hex(crypto.dh(scalar, point)!)).toBe('95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957')
  })

  test('a point of low order gives nothing', () => {
    for (const point of LOW_ORDER)
      expect(cryptos[name].dh(new Uint8Array(randomBytes(32)), bytes(point))).toBe(undefined)
  })

  test('SHA-256 and HMAC of parts are those of the whole', () => {
    const { hash, hmac } = cryptos[name]
    const abc = [bytes('61'), new Uint8Array(0), bytes('6263')]
    expect(hex(hash(...abc))).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
    // RFC 4231 section 4.3.
    const message = Buffer.from('what do ya want for nothing?')
    expect(hex(hmac(Buffer.from('Jefe'), message.subarray(0, 9), message.subarray(9)))).toBe(
      '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
    )
  })

  test('key pairs are fresh, and each public key belongs to its private one', () => {
    const pairs = Array.from({ length: 5 }, () => cryptos[name].generateKeyPair())
    expect(new Set(pairs.map(({ privateKey }) => hex(privateKey))).size).toBe(5)
    for (const { privateKey, publicKey } of pairs) expect(publicKey).toEqual(x25519PublicKey(privateKey))
    expect(hex(cryptos[name].random(16))).not.toBe(hex(cryptos[name].random(16)))
  })
})

test('both agree on random keys, also unclamped and with the top bit of the point set', () => {
  for (let i = 0; i < 50; i++) {
    const [scalar, point] = [new Uint8Array(randomBytes(32)), new Uint8Array(randomBytes(32))]
    expect(cryptos['@noble'].dh(scalar, point)).toEqual(cryptos['node:crypto'].dh(scalar, point))
  }
})

describe('a handshake that goes wrong', () => {
  test.each(vectors)('$protocol_name: any flipped bit, truncation or other prologue is refused', (vector) => {
    const crypto = cryptos['node:crypto']
    const message = bytes(vector.messages[0]!.ciphertext)
    for (let bit = 0; bit < message.length * 8; bit++) {
      const forged = message.slice()
      forged[bit >> 3]! ^= 1 << (bit & 7)
      expect(handshakes(crypto, vector)[1].read(forged)).toBeUndefined()
    }
    for (let length = 0; length < message.length; length++) {
      expect(handshakes(crypto, vector)[1].read(message.subarray(0, length))).toBeUndefined()
    }
    expect(handshakes(crypto, { ...vector, resp_prologue: '00' })[1].read(message)).toBeUndefined()
  })

  test('messages out of turn are programming errors', () => {
    for (const vector of vectors) {
      const [initiator, responder] = handshakes(cryptos['node:crypto'], vector)
      expect(() => responder.write([])).toThrow('turn')
      expect(() => initiator.read(new Uint8Array(100))).toThrow('turn')
      expect(() => initiator.split()).toThrow('not complete')
      expect(responder.read(new Uint8Array(100))).toBeUndefined()
      expect(() => responder.read(new Uint8Array(100))).toThrow('turn')
    }
  })

  test('a key that the pattern needs must be there', () => {
    const options = { crypto: cryptos['node:crypto'], initiator: true, prologue: new Uint8Array(0) }
    expect(() => new NoiseHandshake({ ...options, pattern: 'IK' })).toThrow(TypeError)
    expect(() => new NoiseHandshake({ ...options, pattern: 'NNpsk0' })).toThrow(TypeError)
  })

  test('a key of low order in place of the ephemeral or static one ends it', () => {
    const vector = vectors.find((candidate) => patternOf(candidate) === 'IK')!
    const crypto = cryptos['node:crypto']
    for (const point of LOW_ORDER) {
      const message = bytes(vector.messages[0]!.ciphertext)
      message.set(bytes(point))
      expect(handshakes(crypto, vector)[1].read(message)).toBeUndefined()
      expect(handshakes(crypto, { ...vector, init_remote_static: point })[0].write([])).toBeUndefined()
    }
  })
})

/** Zero, one, and the two points of order 8, all below p; RFC 7748 section 6.1 has results of zeros refused. */
const LOW_ORDER = [
  '00'.repeat(32),
  `01${'00'.repeat(31)}`,
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
]

function handshakes(crypto: StreamCrypto, vector: Vector): [NoiseHandshake, NoiseHandshake] {
  const pattern = patternOf(vector)
  const side = (which: 'init' | 'resp', initiator: boolean) => {
    const ephemeral = pair(vector[`${which}_ephemeral`])
    const ownStatic = vector[`${which}_static`]
    const psk = vector[`${which}_psks`]?.[0]
    return new NoiseHandshake({
      crypto: { ...crypto, generateKeyPair: () => ephemeral },
      pattern,
      initiator,
      prologue: bytes(vector[`${which}_prologue`]),
      ...(ownStatic && { staticKeys: pair(ownStatic) }),
      ...(initiator && vector.init_remote_static && { remoteStatic: bytes(vector.init_remote_static) }),
      ...(psk && { psk: bytes(psk) }),
    })
  }
  return [side('init', true), side('resp', false)]
}

function patternOf({ protocol_name }: Vector): NoisePattern {
  return protocol_name.split('_')[1] as NoisePattern
}

function pair(privateKey: string): StreamKeyPair {
  return { privateKey: bytes(privateKey), publicKey: x25519PublicKey(bytes(privateKey)) }
}

function bytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'hex'))
}

function hex(from: Uint8Array): string {
  return Buffer.from(from).toString('hex')
}
