import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import { AeadModule, compileAeadModules, SLACK_BYTES, SUITES } from '../test/vectors/aead-module.ts'
import { nodeOpen, nodeSeal, SeededRandom } from '../test/vectors/aead-node.ts'
import { build, TARGETS, type Target } from './build.ts'
import { createEngine } from './load.ts'
import type { AeadSuite, PacketEngine } from './packet-engine.ts'

interface Vector {
  readonly name: string
  readonly suite: AeadSuite
  readonly key: string
  readonly nonce: string
  readonly aad: string
  readonly plaintext: string
  readonly sealed: string
}

const VECTORS: Vector[] = JSON.parse(readFileSync(new URL('../test/vectors/aead.json', import.meta.url), 'utf8'))
const PACKETS_PER_SUITE = 3400

let modules: Record<Target, Uint8Array>

beforeAll(async () => {
  modules = await compileAeadModules()
}, 120_000)

describe.each(TARGETS)('AEADs, %s build', (target) => {
  let aead: AeadModule

  beforeAll(() => {
    aead = new AeadModule(modules[target])
  })

  test.each(VECTORS)('$name', ({ suite, ...fields }) => {
    const [key, nonce, aad, plaintext, sealed] = vectorBytes(fields)
    aead.init(suite, key)
    expect(hex(aead.seal(nonce, aad, plaintext))).toBe(fields.sealed)
    expect(hex(aead.open(nonce, aad, sealed))).toBe(fields.plaintext)
  })

  test.each(SUITES)(`%s agrees with node:crypto on ${PACKETS_PER_SUITE} packets of 0 to 9,000 bytes`, (suite) => {
    const random = new SeededRandom(randomBytes(8).toString('hex'))
    for (let i = 0; i < PACKETS_PER_SUITE; i++) {
      const length = random.below(i % 2 === 0 ? 9001 : 600)
      compareWithNode(aead, suite, random, length, random.below(65))
    }
  })

  test.each(SUITES)('%s agrees with node:crypto at every length from 0 to 1,100 bytes', (suite) => {
    const random = new SeededRandom('every length')
    for (let length = 0; length <= 1100; length++) compareWithNode(aead, suite, random, length, 8)
  })

  test.each(SUITES)('%s takes AAD of any length up to 4,096 bytes', (suite) => {
    const random = new SeededRandom('every aad')
    const lengths = [...Array.from({ length: 130 }, (_, i) => i), 255, 1000, 4095, 4096]
    for (const aadLength of lengths) compareWithNode(aead, suite, random, 100, aadLength)
  })

  test.each(SUITES)('%s refuses every flipped bit of small packets', (suite) => {
    const random = new SeededRandom('flipped bits')
    for (const length of [0, 1, 16, 75]) {
      const packet = random.packet(suite, length, 12)
      const sealed = nodeSeal(suite, packet.key, packet.nonce, packet.aad, packet.plaintext)
      const whole = Buffer.concat([packet.nonce, packet.aad, sealed])
      aead.init(suite, packet.key)
      expect(acceptedFlips(aead, whole, everyBit(whole.length))).toEqual([])
      expect(hex(aead.open(packet.nonce, packet.aad, sealed))).toBe(hex(packet.plaintext))
    }
  })

  test.each(SUITES)('%s refuses flipped bits of large packets', (suite) => {
    const random = new SeededRandom(randomBytes(8).toString('hex'))
    for (const length of [576, 1400, 9000]) {
      const packet = random.packet(suite, length, 12)
      const sealed = nodeSeal(suite, packet.key, packet.nonce, packet.aad, packet.plaintext)
      const whole = Buffer.concat([packet.nonce, packet.aad, sealed])
      const bits = Array.from({ length: 500 }, () => random.below(whole.length * 8))
      aead.init(suite, packet.key)
      expect(acceptedFlips(aead, whole, bits), `seed ${random.seed}`).toEqual([])
    }
  })

  test.each(SUITES)('%s refuses a packet under another key', (suite) => {
    const random = new SeededRandom('another key')
    const packet = random.packet(suite, 100, 8)
    aead.init(suite, packet.key)
    const sealed = Buffer.from(aead.seal(packet.nonce, packet.aad, packet.plaintext))
    aead.init(suite, random.packet(suite, 0, 0).key)
    expect(aead.open(packet.nonce, packet.aad, sealed)).toBeUndefined()
  })

  test.each(SUITES)('%s writes nothing when the tag does not verify', (suite) => {
    const random = new SeededRandom('untouched')
    for (const length of [0, 1, 64, 200, 1400, 9000]) {
      const packet = random.packet(suite, length, 8)
      const sealed = nodeSeal(suite, packet.key, packet.nonce, packet.aad, packet.plaintext)
      sealed[sealed.length - 1]! ^= 1
      aead.init(suite, packet.key)
      aead.target.fill(0xa5)
      expect(aead.open(packet.nonce, packet.aad, sealed)).toBeUndefined()
      expect(aead.target.every((byte) => byte === 0xa5)).toBe(true)
      expect(aead.open(packet.nonce, packet.aad, sealed, true)).toBeUndefined()
      expect(hex(aead.source.subarray(0, sealed.length))).toBe(hex(sealed))
    }
  })

  test.each(SUITES)('%s writes no further than the slack behind the text', (suite) => {
    const random = new SeededRandom('slack')
    aead.init(suite, random.packet(suite, 0, 0).key)
    for (let length = 0; length <= 1100; length += 3) {
      const { nonce, aad, plaintext } = random.packet(suite, length, 8)
      aead.target.fill(0xa5)
      const sealed = Buffer.from(aead.seal(nonce, aad, plaintext))
      expect(lastTouched(aead.target)).toBeLessThan(length + SLACK_BYTES)
      aead.target.fill(0xa5)
      aead.open(nonce, aad, sealed)
      expect(lastTouched(aead.target)).toBeLessThan(length + SLACK_BYTES)
    }
  })

  test('wiping leaves memory as it was before the first key', () => {
    const fresh = new AeadModule(modules[target])
    const before = Buffer.from(fresh.memory)
    const random = new SeededRandom('wipe')
    for (const suite of SUITES) {
      const { key, nonce, aad, plaintext } = random.packet(suite, 1003, 8)
      fresh.init(suite, key)
      const sealed = Buffer.from(fresh.seal(nonce, aad, plaintext))
      expect(fresh.open(nonce, aad, sealed)).toBeDefined()
      fresh.wipe()
      expect(fresh.context.every((byte) => byte === 0)).toBe(true)
    }
    // The test's own buffers: a text of length 0 overwrites neither nonce nor AAD, so that zeros do.
    fresh.source.fill(0)
    fresh.target.fill(0)
    fresh.init('chacha20-poly1305', new Uint8Array(32))
    fresh.seal(new Uint8Array(12), new Uint8Array(4096), new Uint8Array(0))
    fresh.wipe()
    fresh.target.fill(0)
    expect(Buffer.compare(fresh.memory, before)).toBe(0)
  })
})

describe.each(TARGETS)('AEADs through the engine, %s build', (target) => {
  let engine: PacketEngine

  beforeAll(async () => {
    await build()
    engine = createEngine({ build: target })
  })

  test.each(VECTORS)('$name', ({ suite, ...fields }) => {
    const [key, nonce, aad, plaintext, sealed] = vectorBytes(fields)
    const handle = engine.installAead(suite, key)
    expect(hex(engine.aeadSeal(handle, nonce, aad, plaintext))).toBe(fields.sealed)
    expect(hex(engine.aeadOpen(handle, nonce, aad, sealed))).toBe(fields.plaintext)
  })

  test.each(SUITES)('%s agrees with node:crypto, with many keys installed at once', (suite) => {
    const random = new SeededRandom(randomBytes(8).toString('hex'))
    const packets = Array.from({ length: 100 }, () => random.packet(suite, random.below(9001), random.below(65)))
    const handles = packets.map(({ key }) => engine.installAead(suite, key))
    for (const [i, { key, nonce, aad, plaintext }] of packets.entries()) {
      const sealed = nodeSeal(suite, key, nonce, aad, plaintext)
      const name = `seed ${random.seed}, packet ${i}`
      expect(Buffer.compare(engine.aeadSeal(handles[i]!, nonce, aad, plaintext), sealed), name).toBe(0)
      expect(hex(engine.aeadOpen(handles[i]!, nonce, aad, sealed)), name).toBe(hex(plaintext))
      sealed[random.below(sealed.length)]! ^= 1 << random.below(8)
      expect(engine.aeadOpen(handles[i]!, nonce, aad, sealed), name).toBeUndefined()
    }
  })
})

/** Seals and opens one packet here and there; throws, naming the case, where the two differ. */
function compareWithNode(aead: AeadModule, suite: AeadSuite, random: SeededRandom, length: number, aadLength: number) {
  const { key, nonce, aad, plaintext } = random.packet(suite, length, aadLength)
  const inPlace = random.below(2) === 1
  const expected = nodeSeal(suite, key, nonce, aad, plaintext)
  aead.init(suite, key)
  const sealed = Buffer.from(aead.seal(nonce, aad, plaintext, inPlace))
  const opened = aead.open(nonce, aad, expected, inPlace)
  const back = nodeOpen(suite, key, nonce, aad, sealed)
  if (expected.equals(sealed) && opened && plaintext.equals(opened) && plaintext.equals(back)) return
  const place = inPlace ? 'in place' : 'between buffers'
  throw new Error(`${suite}, seed ${random.seed}: ${length} bytes, ${aadLength} of AAD, ${place}`)
}

/** Of the given bits of nonce (12 bytes), AAD (12) and sealed text, those whose flip was not noticed. */
function acceptedFlips(aead: AeadModule, whole: Buffer, bits: Iterable<number>): number[] {
  const accepted: number[] = []
  for (const bit of bits) {
    whole[bit >> 3]! ^= 1 << (bit & 7)
    if (aead.open(whole.subarray(0, 12), whole.subarray(12, 24), whole.subarray(24))) accepted.push(bit)
    whole[bit >> 3]! ^= 1 << (bit & 7)
  }
  return accepted
}

function everyBit(bytes: number): number[] {
  return Array.from({ length: bytes * 8 }, (_, bit) => bit)
}

function lastTouched(buffer: Uint8Array): number {
  return buffer.findLastIndex((byte) => byte !== 0xa5)
}

function vectorBytes(fields: Omit<Vector, 'suite' | 'name'>): [Buffer, Buffer, Buffer, Buffer, Buffer] {
  const { key, nonce, aad, plaintext, sealed } = fields
  const bytes = (text: string) => Buffer.from(text, 'hex')
  return [bytes(key), bytes(nonce), bytes(aad), bytes(plaintext), bytes(sealed)]
}

function hex(bytes: Uint8Array | undefined): string | undefined {
  return bytes && Buffer.from(bytes).toString('hex')
}
