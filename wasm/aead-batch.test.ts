import { randomBytes } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import {
  AeadBatchModule,
  BATCH_JOBS,
  BATCH_KEYS,
  type BatchPacket,
  compileBatchModules,
} from '../test/vectors/aead-batch-module.ts'
import { SLACK_BYTES, SUITES, TAG_BYTES } from '../test/vectors/aead-module.ts'
import { keyBytes, nodeSeal, SeededRandom } from '../test/vectors/aead-node.ts'
import { NodeAes } from './aes-offload.ts'
import { TARGETS, type Target } from './build.ts'
import type { AeadSuite } from './packet-engine.ts'

let modules: Record<Target, Uint8Array>

beforeAll(async () => {
  modules = await compileBatchModules()
}, 120_000)

interface Keys {
  readonly suite: AeadSuite
  readonly key: Buffer
}

const WAYS = TARGETS.flatMap((target) => [
  { target, way: 'in WebAssembly' },
  { target, way: 'with AES of the host' },
  { target, way: 'without contexts' },
])

describe.each(WAYS)('batches of AEADs $way, $target build', ({ target, way }) => {
  test.each(SUITES)('%s agrees with node:crypto at every length from 0 to 9,000 bytes', (suite) => {
    const { aead, keys, random, sparse } = setUp(`every length ${suite}`, [suite, suite, suite, suite])
    for (let first = 0; first <= 9000; first += BATCH_JOBS) {
      const lengths = Array.from({ length: Math.min(BATCH_JOBS, 9001 - first) }, (_, i) => first + i)
      compareWithNode(aead, keys, random, lengths, sparse)
    }
  })

  test.each(SUITES)('%s agrees with node:crypto on single packets', (suite) => {
    const { aead, keys, random, sparse } = setUp(`single ${suite}`, [suite, suite, suite, suite])
    for (let length = 0; length <= 700; length++) compareWithNode(aead, keys, random, [length], sparse)
    for (let length = 4000; length <= 4200; length++) compareWithNode(aead, keys, random, [length], sparse)
  })

  test('agrees with node:crypto on batches of any shape, with suites and keys mixed and forgeries among them', () => {
    const seed = randomBytes(8).toString('hex')
    const mixes: AeadSuite[][] = [[...SUITES, 'chacha20-poly1305'], ...SUITES.map((suite) => Array(4).fill(suite))]
    for (const [i, suites] of mixes.entries()) {
      const { aead, keys, random, sparse } = setUp(`${seed} ${i}`, suites)
      for (let round = 0; round < 60; round++) {
        const sizes = [70, 200, 1500, 9001][random.below(4)]!
        const count = 1 + random.below(random.below(2) === 0 ? BATCH_JOBS : 9)
        compareWithNode(
          aead,
          keys,
          random,
          Array.from({ length: count }, () => random.below(sizes)),
          sparse,
        )
      }
    }
  })

  test.each(SUITES)('%s: a packet whose tag does not verify stays as it was, and its neighbours open', (suite) => {
    const { aead, keys, random, sparse } = setUp('forged', [suite, suite, suite, suite])
    for (const length of [0, 1, 15, 16, 64, 68, 200, 580, 1404, 9000]) {
      const sealed = makePackets(keys, random, [length, length, length, length, length], sparse).map(seal)
      for (const [i, { text }] of sealed.entries()) if (i % 2 === 1) text[text.length - 1 - random.below(16)]! ^= 4
      aead.memory.fill(0xa5, ...bounds(aead.slot(1, 'target')))
      aead.slot(1, 'source').fill(0x5a)
      aead.open(sealed.map((packet) => ({ ...packet, inPlace: false })))
      expect(aead.slot(1, 'target').every((byte) => byte === 0xa5)).toBe(true)
      const source = aead.slot(1, 'source')
      expect(source.subarray(0, 16).every((byte) => byte === 0x5a)).toBe(true)
      expect(Buffer.from(source.subarray(16, 16 + length + TAG_BYTES))).toEqual(Buffer.from(sealed[1]!.text))
      expect(source.subarray(16 + length + TAG_BYTES).every((byte) => byte === 0x5a)).toBe(true)
    }
  })

  test.each(SUITES)('%s leaves what is in front of a text, and writes no further than the slack behind it', (suite) => {
    const { aead, keys, random, sparse } = setUp('slack', [suite, suite, suite, suite])
    for (let length = 0; length < 1100; length += 7) {
      const packets = makePackets(keys, random, Array(9).fill(length), sparse)
      for (const operation of ['seal', 'open'] as const) {
        for (let i = 0; i < packets.length; i++) aead.slot(i, 'target').fill(0xa5)
        if (operation === 'seal') aead.seal(packets.map((packet) => ({ ...packet, inPlace: false })))
        else aead.open(packets.map((packet) => ({ ...seal(packet), inPlace: false })))
        for (let i = 0; i < packets.length; i++) {
          const slot = aead.slot(i, 'target')
          expect(slot.subarray(0, 16).every((byte) => byte === 0xa5)).toBe(true)
          expect(slot.findLastIndex((byte) => byte !== 0xa5)).toBeLessThan(16 + length + SLACK_BYTES)
        }
      }
    }
  })

  test('wiping leaves nothing of keys and key streams', () => {
    const { aead, keys, random, sparse } = setUp('wipe', [...SUITES, 'chacha20-poly1305'])
    const blank = new AeadBatchModule(modules[target])
    const before = Buffer.from(blank.memory)
    const packets = makePackets(
      keys,
      random,
      Array.from({ length: 40 }, () => random.below(2000)),
      sparse,
    )
    aead.open(packets.map(seal))
    aead.seal(packets)
    aead.queue(
      Array.from({ length: BATCH_JOBS }, () => ({
        ...packets[0]!,
        nonce: new Uint8Array(12),
        aad: new Uint8Array(8),
        text: new Uint8Array(0),
      })),
      0,
    )
    for (let i = 0; i < BATCH_JOBS; i++) for (const side of ['source', 'target'] as const) aead.slot(i, side).fill(0)
    aead.wipe()
    const differing = aead.memory.findIndex((byte, at) => byte !== before[at])
    expect(differing).toBe(-1)
  })

  function setUp(seed: string, suites: readonly AeadSuite[]) {
    const aead = new AeadBatchModule(modules[target], way === 'with AES of the host' ? new NodeAes() : undefined)
    const random = new SeededRandom(seed)
    const keys = suites.map((suite) => ({ suite, key: random.bytes(keyBytes(suite)) }))
    for (const [i, { suite, key }] of keys.entries()) aead.install(i, suite, key)
    return { aead, keys, random, sparse: way === 'without contexts' ? 100 : 30 }
  }
})

/** Packets of the given lengths, each with a nonce of its own and one of the keys; `sparse` percent without a context. */
function makePackets(keys: readonly Keys[], random: SeededRandom, lengths: readonly number[], sparse: number) {
  return lengths.map((length) => {
    const index = random.below(BATCH_KEYS)
    const { suite, key } = keys[index]!
    return {
      suite,
      key: index,
      secret: key,
      nonce: random.bytes(12),
      aad: random.bytes(random.below(2) === 0 ? 8 : 12),
      text: random.bytes(length),
      inPlace: random.below(2) === 0,
      sparse: random.below(100) < sparse,
    }
  })
}

type Packet = ReturnType<typeof makePackets>[number]

function seal(packet: Packet): Packet {
  return { ...packet, text: nodeSeal(packet.suite, packet.secret, packet.nonce, packet.aad, packet.text) }
}

/** Seals and opens a batch; about every eighth packet is forged before it is opened. */
function compareWithNode(
  aead: AeadBatchModule,
  keys: readonly Keys[],
  random: SeededRandom,
  lengths: readonly number[],
  sparse: number,
) {
  const packets = makePackets(keys, random, lengths, sparse)
  const expected = packets.map(seal)
  const sealed = aead.seal(packets)
  const forged = expected.map((packet) => (random.below(8) === 0 ? forge(packet, random) : undefined))
  const opened = aead.open(expected.map((packet, i): BatchPacket => forged[i] ?? packet))
  for (const [i, packet] of packets.entries()) {
    const name = `seed ${random.seed}: ${packet.suite}, ${packet.text.length} bytes, number ${i} of ${packets.length}`
    if (!expected[i]!.text.equals(sealed[i]!)) throw new Error(`${name} is sealed differently`)
    const right = forged[i] ? opened[i] === undefined : opened[i] !== undefined && packet.text.equals(opened[i]!)
    if (!right) throw new Error(`${name}${forged[i] ? ', forged,' : ''} is opened differently`)
  }
}

/** With one bit of text, tag, nonce or additional data changed. */
function forge(packet: Packet, random: SeededRandom): Packet {
  const copy = {
    ...packet,
    text: Buffer.from(packet.text),
    nonce: Buffer.from(packet.nonce),
    aad: Buffer.from(packet.aad),
  }
  const part = [copy.text, copy.text, copy.nonce, copy.aad][random.below(4)]!
  part[random.below(part.length)]! ^= 1 << random.below(8)
  return copy
}

function bounds(view: Uint8Array): [number, number] {
  return [view.byteOffset, view.byteOffset + view.length]
}
