/**
 * Whole ESP packets of every size and batches of every shape, each way that the engine can take, beside the reference
 * on `node:crypto`: what is sealed and what is opened is equal, byte for byte.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import { address, prefix } from '../protocol/net.ts'
import { BATCH, MAX_INNER, VERDICT_DELIVERED, VERDICT_DROPPED } from './abi.ts'
import { build } from './build.ts'
import { createNodeEngine } from './engine-node.ts'
import { createEngine } from './load.ts'
import type { AeadSuite } from './packet-engine.ts'
import { EnginePair } from './testing/differential-pair.ts'
import { Random } from './testing/differential-random.ts'
import { ipv4 } from './testing/packets.ts'

const PEER = { address: address('192.0.2.1'), port: 4500 }
const ANY = {
  protocol: 0,
  startPort: 0,
  endPort: 65535,
  startAddress: address('0.0.0.0'),
  endAddress: address('255.255.255.255'),
}
const IPV4_HEADER = 20

/** The builds differ in instructions of the AEADs, not in who does AES. */
const WAYS = (['aes-128-gcm', 'aes-256-gcm', 'chacha20-poly1305'] as const).flatMap((suite) => {
  const ways = suite === 'chacha20-poly1305' ? (['wasm'] as const) : (['wasm', 'offload', 'auto'] as const)
  return [
    ...ways.map((aes) => ({ suite, target: 'relaxed' as const, aes })),
    { suite, target: 'strict' as const, aes: 'wasm' as const },
  ]
})
/** Texts begin anywhere in here. */
const POOL = new Random(9).bytes(2 * MAX_INNER)

beforeAll(() => build(), 60_000)

describe.each(WAYS)('$suite, AES $aes, $target build', ({ suite, target, aes }) => {
  it('seals and opens packets of every size as node:crypto does', () => {
    const { pair, random } = setUp(suite, target, aes)
    for (let first = IPV4_HEADER; first <= MAX_INNER; first += BATCH) {
      const sizes = Array.from({ length: Math.min(BATCH, MAX_INNER + 1 - first) }, (_, i) => first + i)
      roundTrip(pair, random, sizes)
    }
    expect(Object.values(pair.drops()).every((count) => count === 0)).toBe(true)
  })

  it('does so in batches of every length: equal, rising, falling, with one among them that is different', () => {
    const { pair, random } = setUp(suite, target, aes)
    for (let count = 1; count <= BATCH; count++) {
      const size = random.pick([20, 28, 35, 36, 52, 64, 100, 576, 1400])
      const shapes = [
        Array.from({ length: count }, () => size),
        Array.from({ length: count }, (_, i) => 20 + i * 21),
        Array.from({ length: count }, (_, i) => 20 + (count - 1 - i) * 21),
        Array.from({ length: count }, (_, i) => (i === random.below(count) ? 20 + random.below(2000) : size)),
      ]
      for (const shape of shapes) roundTrip(pair, random, shape)
    }
  })

  it('refuses the forged one wherever in the batch it stands, and opens the others', () => {
    const { pair, random } = setUp(suite, target, aes)
    for (let place = 0; place < BATCH; place++) {
      const size = random.pick([28, 100, 700])
      const packets = Array.from({ length: BATCH }, () => packetOf(random, size))
      const { wire } = pair.seal(packets, 0)
      const sealed = wire[place]!.bytes
      sealed[16 + random.below(sealed.length - 16)]! ^= 1 << random.below(8)
      const { verdicts, lan } = pair.open(
        wire.map(({ bytes }) => ({ bytes, remote: PEER, tos: 0 })),
        'udp',
        0,
      )
      expect(verdicts).toEqual(packets.map((_, i) => (i === place ? VERDICT_DROPPED : VERDICT_DELIVERED)))
      expect(lan).toEqual(packets.filter((_, i) => i !== place))
    }
    expect(pair.drops().auth_failed).toBe(BATCH)
  })
})

/** One tunnel to itself. */
function setUp(suite: AeadSuite, target: 'relaxed' | 'strict', aes: 'wasm' | 'offload' | 'auto') {
  const pair = new EnginePair(createEngine({ build: target, aes, capacity: 'small' }), createNodeEngine())
  const random = new Random(suite.length + aes.length)
  const key = random.bytes(suite === 'aes-128-gcm' ? 16 : 32)
  const sa = { suite, key, salt: random.bytes(4), spi: 0x1000, esn: true, tunnel: 0, local: [ANY], remote: [ANY] }
  pair.setEndpoint(0, { remote: PEER, encapsulation: 'udp' })
  pair.installInbound({ ...sa, replayWindow: 1024 })
  const outbound = pair.installOutbound({ ...sa, endpoint: 0 })
  pair.setTunnel(0, { pathMtu: 9216, clampMss: false, copyDscp: false, sas: [outbound] })
  pair.setGroup(0, [0])
  pair.setRoute(prefix('0.0.0.0/0'), 0)
  return { pair, random }
}

function packetOf(random: Random, size: number): Uint8Array {
  const from = random.below(MAX_INNER)
  return ipv4(POOL.subarray(from, from + size - IPV4_HEADER), { protocol: 253 })
}

/** Throws where the engines differ in anything, or where what comes out is not what went in. */
function roundTrip(pair: EnginePair, random: Random, sizes: readonly number[]): void {
  const packets = sizes.map((size) => packetOf(random, size))
  const { wire } = pair.seal(packets, 0)
  const { lan } = pair.open(
    wire.map(({ bytes }) => ({ bytes, remote: PEER, tos: 0 })),
    'udp',
    0,
  )
  const wrong = packets.findIndex((packet, i) => Buffer.compare(packet, lan[i] ?? new Uint8Array(0)) !== 0)
  if (wrong >= 0 || lan.length !== packets.length) throw new Error(`packet ${wrong} of sizes ${sizes} came out changed`)
}
