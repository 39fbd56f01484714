import { describe, expect, it } from 'vitest'
import { VERDICT_CONSUMED, VERDICT_DELIVERED, VERDICT_DROPPED } from './abi.ts'
import { createEngine } from './load.ts'
import { dropped, espPacket, events, ipv4, open, randomNumbers, seal, setUp, udp } from './testing/engine-fixture.ts'

const PACKET = ipv4(udp(10))
const LAST_32 = 0xffff_ffffn

/** What RFC 4303 section 3.4.3 asks for, without any ring. */
class Window {
  readonly #size: bigint
  readonly #seen = new Set<bigint>()
  highest = 0n
  /** Numbers up to `highest` that have not come. */
  missing = 0

  constructor(size: number, highest = 0n) {
    this.#size = BigInt(size)
    this.highest = highest
    for (let i = 0n; i < this.#size && i <= highest; i++) this.#seen.add(highest - i)
  }

  receive(sequence: bigint): 'passed' | 'replayed' | 'too_old' {
    if (this.#size !== 0n && sequence <= this.highest) {
      if (this.highest - sequence >= this.#size) return 'too_old'
      if (this.#seen.has(sequence)) return 'replayed'
    }
    this.#seen.add(sequence)
    this.missing += Number(sequence > this.highest ? sequence - this.highest : 0n) - 1
    if (sequence > this.highest) this.highest = sequence
    return 'passed'
  }
}

describe('the replay window', () => {
  it.each([64, 128, 192, 1024, 4096])('of %i packets does as a set of numbers does', (replayWindow) => {
    const engine = createEngine()
    const { inbound } = setUp(engine, { inbound: { replayWindow } })
    const model = new Window(replayWindow)
    const random = randomNumbers(replayWindow)
    const sequences: bigint[] = []
    let around = 1
    for (let i = 0; i < 3000; i++) {
      if (random(20) === 0) around += random(3 * replayWindow)
      else around += random(3)
      sequences.push(BigInt(Math.max(0, around - random(4) * random(Math.floor(replayWindow / 2)))))
    }
    // The edges of the window, to the packet.
    const top = BigInt(around + 10_000)
    const size = BigInt(replayWindow)
    sequences.push(
      top,
      top - size,
      top - size + 1n,
      top - size + 1n,
      top - 1n,
      top,
      top + 1n,
      top - size + 1n,
      top - size + 2n,
    )
    const expected = sequences.map((sequence) => model.receive(sequence))
    const { verdicts } = open(
      engine,
      sequences.map((sequence) => espPacket(PACKET, { sequence })),
    )
    expect(verdicts).toEqual(expected.map((outcome) => (outcome === 'passed' ? VERDICT_DELIVERED : VERDICT_DROPPED)))
    const count = (wanted: string) => expected.filter((outcome) => outcome === wanted).length
    expect(engine.counters(inbound)).toMatchObject({
      drops: { replayed: count('replayed'), too_old: count('too_old') },
      missing: model.missing,
    })
    expect(Math.min(count('passed'), count('replayed'), count('too_old'))).toBeGreaterThan(10)
  })

  it('of 0 packets lets everything authentic pass', () => {
    const engine = createEngine()
    setUp(engine, { inbound: { replayWindow: 0 } })
    const sequences = [5n, 5n, 1n, 90_000n, 1n]
    const { verdicts } = open(
      engine,
      sequences.map((sequence) => espPacket(PACKET, { sequence })),
    )
    expect(verdicts).toEqual(sequences.map(() => VERDICT_DELIVERED))
  })

  it('moves for authentic packets only', () => {
    const engine = createEngine()
    setUp(engine)
    const forged = espPacket(PACKET, { sequence: 1000n })
    forged[forged.length - 1]! ^= 1
    expect(open(engine, [forged, espPacket(PACKET)]).verdicts).toEqual([VERDICT_DROPPED, VERDICT_DELIVERED])
  })

  it('is told of packets whose inside is bad, so that they pass once only', () => {
    const engine = createEngine()
    setUp(engine)
    const bad = espPacket(PACKET, { nextHeader: 17 })
    open(engine, [bad, bad])
    expect(dropped(engine)).toEqual({ bad_next_header: 1, replayed: 1 })
  })
})

describe('packets that never came', () => {
  const missingAfter = (
    sequences: readonly bigint[],
    inbound: { replayWindow?: number; initialHighest?: bigint } = {},
  ) => {
    const engine = createEngine()
    const site = setUp(engine, { esn: true, inbound })
    return sequences.map((sequence) => {
      open(engine, [espPacket(PACKET, { sequence, esn: true })])
      return engine.counters(site.inbound).missing
    })
  }

  it('are the gaps below the highest number, and fewer once a late one is in', () => {
    expect(missingAfter([3n, 3n, 1n, 7n, 5n, 2n])).toEqual([2, 2, 1, 4, 3, 2])
  })

  it.each([64, 128, 1024, 4096])('stay so when a window of %i has passed them', (replayWindow) => {
    const size = BigInt(replayWindow)
    // Number 1 when it is in the window for the last time, 2 when it is left of it.
    const sequences = [size, 1n, size + 100n, 2n, 3n * size + 200n, 1n << 31n]
    const missing = [size - 1n, size - 2n, size + 97n, size + 97n, 3n * size + 196n, (1n << 31n) - 5n]
    expect(missingAfter(sequences, { replayWindow })).toEqual(missing.map(Number))
  })

  it.each([0n, 1n, 62n, 63n, 64n, LAST_32 - 1n, 0x5_0000_003fn])('begin with the number after %i', (initialHighest) => {
    const after = (...steps: bigint[]) => steps.map((step) => initialHighest + step)
    expect(missingAfter(after(1n, 3n, 64n, 200n, 9000n, 1_000_000n), { initialHighest })).toEqual([
      0, 1, 61, 196, 8995, 999_994,
    ])
  })

  it('are not among what came and was dropped, or was a dummy', () => {
    const engine = createEngine()
    const { inbound } = setUp(engine)
    const odd = [
      espPacket(PACKET, { sequence: 1n, nextHeader: 17 }),
      espPacket(PACKET, { sequence: 2n, nextHeader: 59 }),
    ]
    const forged = espPacket(PACKET, { sequence: 90n })
    forged[forged.length - 1]! ^= 1
    open(engine, [...odd, forged, espPacket(PACKET, { sequence: 4n })])
    expect(engine.counters(inbound)).toMatchObject({ packets: 2, missing: 1 })
  })

  it('are not known without a window, nor of an outbound SA', () => {
    expect(missingAfter([5n, 9n], { replayWindow: 0 })).toEqual([undefined, undefined])
    const engine = createEngine()
    expect(engine.counters(setUp(engine).outbound)).not.toHaveProperty('missing')
  })
})

describe('64-bit sequence numbers (RFC 4303 appendix A)', () => {
  const receive = (initialHighest: bigint, sequences: readonly bigint[], replayWindow = 64) => {
    const engine = createEngine()
    setUp(engine, { esn: true, inbound: { replayWindow, initialHighest } })
    const { verdicts } = open(
      engine,
      sequences.map((sequence) => espPacket(PACKET, { sequence, esn: true })),
    )
    return { verdicts, drops: dropped(engine) }
  }

  it.each([
    ['case A: window in one subspace', 0x1_0000_1000n, [0x1_0000_1001n, 0x1_0000_1000n + 0x8000n, 0x1_ffff_0000n]],
    ['the step over 2^32', LAST_32 - 1n, [LAST_32, LAST_32 + 1n, LAST_32 + 2n]],
    ['case B: window across two subspaces', LAST_32 + 5n, [LAST_32 + 7n, LAST_32 + 6n, LAST_32 + 70n]],
    ['the first packets', 0n, [1n, 3n, 2n]],
    ['far up', 0xfffe_ffff_fffen, [0xfffe_ffff_ffffn, 0xffff_0000_0000n, 0xffff_0000_0001n]],
    ['the last number of all', 0xffff_ffff_ffff_fff0n, [0xffff_ffff_ffff_fffen]],
  ])('%s', (_, highest, sequences) => {
    // What was received before the start counts as received, so only numbers that the window has not seen pass.
    const { verdicts } = receive(
      highest,
      sequences.filter((sequence) => sequence > highest),
    )
    expect(verdicts).toEqual(verdicts.map(() => VERDICT_DELIVERED))
    expect(verdicts.length).toBeGreaterThan(0)
  })

  it('take late packets from before 2^32 after it', () => {
    const order = [LAST_32 - 20n, LAST_32 + 10n, LAST_32, LAST_32 - 19n, LAST_32 + 1n, LAST_32 - 53n, LAST_32 - 54n]
    const { verdicts, drops } = receive(LAST_32 - 100n, order)
    expect(verdicts).toEqual([...order.slice(0, 6).map(() => VERDICT_DELIVERED), VERDICT_DROPPED])
    // The last one lies outside the window, so its number is taken for one of the next 2^32.
    expect(drops).toEqual({ auth_failed: 1 })
  })

  it('refuse replays on both sides of 2^32', () => {
    const order = [LAST_32, LAST_32 + 1n, LAST_32, LAST_32 + 1n]
    const { verdicts, drops } = receive(LAST_32 - 1n, order)
    expect(verdicts).toEqual([VERDICT_DELIVERED, VERDICT_DELIVERED, VERDICT_DROPPED, VERDICT_DROPPED])
    expect(drops).toEqual({ replayed: 2 })
  })

  it('have nothing before 0', () => {
    expect(receive(5n, [0xffff_fff0n]).drops).toEqual({ too_old: 1 })
  })

  it('do as the window of any size does around 2^32', () => {
    for (const replayWindow of [64, 1024, 4096]) {
      const random = randomNumbers(replayWindow + 1)
      const start = LAST_32 - 6000n
      const model = new Window(replayWindow, start)
      let around = start
      const sequences = Array.from({ length: 1500 }, () => {
        around += BigInt(random(20))
        return around - BigInt(random(3) * random(replayWindow >> 1))
      })
      const { verdicts } = receive(start, sequences, replayWindow)
      expect(around).toBeGreaterThan(LAST_32)
      const expected = sequences.map((sequence) => model.receive(sequence) === 'passed')
      expect(verdicts).toEqual(expected.map((passed) => (passed ? VERDICT_DELIVERED : VERDICT_DROPPED)))
    }
  })

  it('go over 2^32 from seal to open', () => {
    const engine = createEngine()
    setUp(engine, { esn: true, outbound: { initialSequence: LAST_32 - 2n }, inbound: { initialHighest: LAST_32 - 2n } })
    const { wire } = seal(engine, [PACKET, PACKET, PACKET, PACKET])
    expect(wire.map(({ bytes }) => Buffer.from(bytes).readUInt32BE(4))).toEqual([0xffff_fffe, 0xffff_ffff, 0, 1])
    const { lan } = open(
      engine,
      wire.map(({ bytes }) => bytes),
    )
    expect(lan).toEqual([PACKET, PACKET, PACKET, PACKET])
  })

  it('work without a window too', () => {
    const far = receive(LAST_32 - 1n, [LAST_32, LAST_32 + 90_000n, LAST_32 - 90_000n, LAST_32 + 1n], 0)
    expect(far.verdicts).toEqual(far.verdicts.map(() => VERDICT_DELIVERED))
  })
})

describe('limits of an outbound SA', () => {
  it('end it before 2^32 without ESN, with one event', () => {
    const engine = createEngine()
    const { outbound } = setUp(engine, { outbound: { initialSequence: LAST_32 - 2n } })
    const { wire } = seal(
      engine,
      Array.from({ length: 5 }, () => PACKET),
    )
    expect(wire.map(({ bytes }) => Buffer.from(bytes).readUInt32BE(4))).toEqual([0xffff_fffe, 0xffff_ffff])
    expect(events(engine)).toEqual([{ type: 'hard-limit', sa: outbound }])
    expect(dropped(engine)).toEqual({ hard_limit: 3 })
    expect(engine.counters(outbound).drops).toEqual({ hard_limit: 3 })
  })

  it('end it before 2^64 with ESN', () => {
    const engine = createEngine()
    const { outbound } = setUp(engine, { esn: true, outbound: { initialSequence: 0xffff_ffff_ffff_fffen } })
    expect(seal(engine, [PACKET, PACKET]).wire.length).toBe(1)
    expect(events(engine)).toEqual([{ type: 'hard-limit', sa: outbound }])
  })

  it.each([
    ['packets', { softPackets: 3, hardPackets: 5 }],
    ['bytes', { softBytes: 3 * PACKET.length - 1, hardBytes: 5 * PACKET.length - 1 }],
  ])('by %s raise each event once', (_, limits) => {
    const engine = createEngine()
    const { outbound } = setUp(engine, { outbound: limits })
    const seen = Array.from({ length: 8 }, () => [
      seal(engine, [PACKET]).wire.length,
      events(engine).map(({ type }) => type),
    ])
    expect(seen).toEqual([
      [1, []],
      [1, []],
      [1, ['soft-limit']],
      [1, []],
      [1, ['hard-limit']],
      [0, []],
      [0, []],
      [0, []],
    ])
    expect(engine.counters(outbound)).toMatchObject({ packets: 5, drops: { hard_limit: 3 } })
  })

  it('hand over to the next SA of the tunnel', () => {
    const engine = createEngine()
    const { outbound } = setUp(engine, { outbound: { hardPackets: 2 } })
    const next = createNext(engine)
    engine.setTunnel(0, { pathMtu: 1500, clampMss: false, copyDscp: false, sas: [outbound, next] })
    const { wire } = seal(engine, [PACKET, PACKET, PACKET])
    expect(wire.map(({ bytes }) => Buffer.from(bytes).readUInt32BE(0))).toEqual([0x1001, 0x1001, 0x2002])
    expect(dropped(engine)).toEqual({})
  })

  it('count fragments as packets, and never send half a datagram', () => {
    const engine = createEngine()
    const { outbound } = setUp(engine, { outbound: { hardPackets: 3 } })
    expect(seal(engine, [ipv4(udp(2000)), ipv4(udp(2000))]).wire.length).toBe(2)
    expect(events(engine)).toEqual([{ type: 'hard-limit', sa: outbound }])
    expect(dropped(engine)).toEqual({ hard_limit: 1 })
  })
})

function createNext(engine: ReturnType<typeof createEngine>): number {
  return setUp(engine, { outbound: { spi: 0x2002 }, inbound: { spi: 0x2002 } }).outbound
}

describe('the peer on the move', () => {
  it('is told by the highest authentic packet, once', () => {
    const engine = createEngine()
    const { inbound } = setUp(engine)
    const from = (host: string, port: number, sequence: bigint) => ({
      bytes: espPacket(PACKET, { sequence }),
      from: [host, port] as const,
    })
    open(engine, [from('192.0.2.1', 4500, 1n), from('192.0.2.1', 4500, 2n)])
    expect(events(engine)).toEqual([{ type: 'first-packet', sa: inbound }])
    open(engine, [from('192.0.2.1', 7777, 9n), from('192.0.2.1', 7777, 10n)])
    expect(events(engine)).toEqual([{ type: 'peer-moved', sa: inbound, remote: { address: '192.0.2.1', port: 7777 } }])
    // A late packet from the old place, a forged one from anywhere.
    const forged = from('198.51.100.1', 1, 50n)
    forged.bytes[30]! ^= 1
    open(engine, [from('192.0.2.1', 4500, 5n), forged])
    expect(events(engine)).toEqual([])
    open(engine, [from('2001:db8::9', 500, 11n)])
    expect(events(engine)).toEqual([{ type: 'peer-moved', sa: inbound, remote: { address: '2001:db8::9', port: 500 } }])
  })

  it('is no matter of plain ESP', () => {
    const engine = createEngine()
    const { inbound } = setUp(engine)
    const packets = [1n, 2n].map((sequence) => ({
      bytes: espPacket(PACKET, { sequence }),
      from: ['192.0.2.1', Number(sequence)] as const,
    }))
    const { verdicts } = open(engine, packets, { encapsulation: 'esp' })
    expect(verdicts).toEqual([VERDICT_DELIVERED, VERDICT_DELIVERED])
    expect(events(engine)).toEqual([{ type: 'first-packet', sa: inbound }])
  })

  it('is heard of from dummy packets too', () => {
    const engine = createEngine()
    const { inbound } = setUp(engine)
    const dummy = espPacket(new Uint8Array(50), { nextHeader: 59 })
    expect(open(engine, [dummy], { now: 5 }).verdicts).toEqual([VERDICT_CONSUMED])
    expect(engine.counters(inbound)).toEqual({ packets: 1, bytes: 0, lastAt: 5, drops: {}, missing: 0 })
  })
})
