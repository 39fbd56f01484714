import { describe, expect, it } from 'vitest'
import {
  BATCH,
  EVENT_CAPACITY,
  MAX_INNER,
  MAX_OUTER,
  OUTBOX,
  SLOT_BYTES,
  VERDICT_DELIVERED,
  VERDICT_DROPPED,
  VERDICT_IKE,
  VERDICT_KEEPALIVE,
} from './abi.ts'
import { createEngine } from './load.ts'
import {
  dropped,
  espPacket,
  events,
  ipv4,
  ipv6,
  open,
  randomNumbers,
  seal,
  selector,
  setUp,
  udp,
} from './testing/engine-fixture.ts'

describe('datagrams on the wire', () => {
  it.each([
    ['a keepalive', Uint8Array.of(0xff), VERDICT_KEEPALIVE, {}],
    ['one other byte', Uint8Array.of(0), VERDICT_DROPPED, { truncated: 1 }],
    ['nothing', new Uint8Array(0), VERDICT_DROPPED, { truncated: 1 }],
    ['three bytes', new Uint8Array(3), VERDICT_DROPPED, { truncated: 1 }],
    ['an IKE header', new Uint8Array(32), VERDICT_IKE, {}],
    ['less than an IKE header', new Uint8Array(31), VERDICT_DROPPED, { truncated: 1 }],
    ['less than ESP', Uint8Array.from({ length: 33 }, () => 1), VERDICT_DROPPED, { truncated: 1 }],
    ['an unknown SPI', Uint8Array.from({ length: 34 }, () => 1), VERDICT_DROPPED, { unknown_spi: 1 }],
    ['too much', new Uint8Array(MAX_OUTER + 1).fill(1), VERDICT_DROPPED, { oversized: 1 }],
    ['two bytes 0xff', Uint8Array.of(0xff, 0xff), VERDICT_DROPPED, { truncated: 1 }],
  ])('%s', (_, bytes, verdict, drops) => {
    const engine = createEngine()
    setUp(engine)
    expect(open(engine, [bytes]).verdicts).toEqual([verdict])
    expect(dropped(engine)).toEqual(drops)
  })

  it('are nothing but ESP without UDP', () => {
    const engine = createEngine()
    setUp(engine)
    open(engine, [Uint8Array.of(0xff), new Uint8Array(60)], { encapsulation: 'esp' })
    expect(dropped(engine)).toEqual({ truncated: 1, unknown_spi: 1 })
  })

  it('of unknown SPIs are told ten times a second', () => {
    const engine = createEngine()
    const stray = {
      bytes: Uint8Array.from([0xde, 0xad, 0xbe, 0xef, ...new Array(40).fill(0)]),
      from: ['2001:db8::7', 4500] as const,
    }
    open(
      engine,
      Array.from({ length: 30 }, () => stray),
      { now: 500 },
    )
    const told = events(engine)
    expect(told.length).toBe(10)
    expect(told[0]).toEqual({ type: 'unknown-spi', spi: 0xdeadbeef, remote: { address: '2001:db8::7', port: 4500 } })
    open(engine, [stray, stray], { now: 600 })
    expect(events(engine).length).toBe(1)
  })

  it('find their SA among thousands, after removals too', () => {
    const engine = createEngine()
    const everything = [selector('0.0.0.0/0')]
    const install = (spi: number) =>
      engine.installInbound({
        suite: 'aes-128-gcm',
        key: new Uint8Array(16),
        salt: new Uint8Array(4),
        spi,
        esn: false,
        replayWindow: 64,
        tunnel: 0,
        local: everything,
        remote: everything,
      })
    const random = randomNumbers(5)
    const keys = { suite: 'aes-128-gcm', key: new Uint8Array(16), salt: new Uint8Array(4) } as const
    const handles = new Map<number, number>()
    while (handles.size < 3000) {
      const spi = 256 + random(2 ** 31)
      if (!handles.has(spi)) handles.set(spi, install(spi))
    }
    for (const [spi, handle] of [...handles].filter((_, i) => i % 3 === 0)) {
      engine.removeSa(handle)
      handles.delete(spi)
    }
    const packets = [...handles.keys()].map((spi) => espPacket(ipv4(udp(1)), { keys, spi }))
    expect(new Set(open(engine, packets).verdicts)).toEqual(new Set([VERDICT_DELIVERED]))
  })
})

describe('packets from the LAN', () => {
  it.each([
    ['nothing', new Uint8Array(0), 'not_ip'],
    ['another version', Uint8Array.of(0x50, ...new Array(40).fill(0)), 'not_ip'],
    ['half an IPv4 header', ipv4(udp(5)).subarray(0, 19), 'truncated'],
    ['half an IPv6 header', ipv6(udp(5)).subarray(0, 39), 'truncated'],
    ['a total length that lies', ipv4(udp(5)).subarray(0, 32), 'truncated'],
    ['an IPv6 length that lies', ipv6(udp(5)).subarray(0, 52), 'truncated'],
    ['an IHL below 5', ipv4(udp(5)).fill(0x44, 0, 1), 'bad_header'],
    ['a total length below the header', ipv4(udp(5)).fill(0, 2, 4), 'bad_header'],
    ['a fragment beyond 65,535 bytes', ipv4(new Uint8Array(64), { flags: 0x1fff }), 'bad_header'],
    ['too much', ipv4(udp(MAX_INNER - 27)), 'oversized'],
  ])('%s', (_, packet, reason) => {
    const engine = createEngine()
    setUp(engine)
    expect(seal(engine, [packet])).toEqual({ wire: [], lan: [] })
    expect(dropped(engine)).toEqual({ [reason]: 1 })
  })

  it('lose what lies behind their own length', () => {
    const engine = createEngine()
    setUp(engine)
    const packet = ipv4(udp(5))
    const { wire } = seal(engine, [Uint8Array.from([...packet, 1, 2, 3])])
    expect(
      open(
        engine,
        wire.map(({ bytes }) => bytes),
      ).lan,
    ).toEqual([packet])
  })
})

describe('the outboxes', () => {
  it('stop a batch early, and lose and repeat nothing', () => {
    const engine = createEngine()
    setUp(engine)
    // Seven fragments each.
    const fit = Math.floor(OUTBOX / 7)
    const packet = ipv4(udp(MAX_INNER - 28), { id: 3 })
    for (let i = 0; i < BATCH; i++) {
      engine.lanRx.slot(i).set(packet)
      engine.lanRx.length[i] = packet.length
    }
    expect(engine.sealBatch(0, BATCH, 0)).toBe(fit)
    expect(engine.wireTx.count).toBe(7 * fit)
    expect(engine.sealBatch(fit, BATCH - fit, 0)).toBe(fit)
    const { wire } = seal(
      engine,
      Array.from({ length: BATCH }, () => packet),
    )
    expect(wire.length).toBe(BATCH * 7)
    const numbers = wire.map(({ bytes }) => Buffer.from(bytes).readUInt32BE(4))
    expect(numbers).toEqual(Array.from({ length: BATCH * 7 }, (_, i) => 2 * 7 * fit + 1 + i))
    expect(dropped(engine)).toEqual({})
  })

  it('are empty after a call without packets, and take no index from outside', () => {
    const engine = createEngine()
    setUp(engine)
    seal(engine, [ipv4(udp(1))])
    expect(engine.sealBatch(0, 0, 0)).toBe(0)
    expect(engine.wireTx.count).toBe(0)
    expect(engine.sealBatch(BATCH, 5, 0)).toBe(0)
    expect(engine.sealBatch(-1, 5, 0)).toBe(0)
    expect(() => engine.wireTx.packet(0)).toThrow(RangeError)
    expect(() => engine.lanRx.slot(BATCH)).toThrow(RangeError)
  })

  it('keep so many events and count the rest', () => {
    const engine = createEngine()
    setUp(engine)
    const total = EVENT_CAPACITY + 40
    const packets = Array.from({ length: total + 1 }, (_, i) => ({
      bytes: espPacket(ipv4(udp(1)), { sequence: BigInt(i + 1) }),
      from: ['192.0.2.1', 1000 + i] as const,
    }))
    open(engine, packets)
    expect(events(engine).length).toBe(EVENT_CAPACITY)
    // The first packet, and a move with every other.
    expect(dropped(engine)).toEqual({ event_overflow: 1 + total - EVENT_CAPACITY })
  })
})

describe('random input', () => {
  const USED_AT_MOST = MAX_OUTER + 600

  /** The end of each slot, behind the packet and what an AEAD may write there. */
  function guards(engine: ReturnType<typeof createEngine>): Uint8Array[] {
    seal(engine, [ipv4(udp(1))])
    const wireTx = engine.wireTx.offset[0]!
    // What was opened stays in its receive slot; an ICMP answer is put together in the outbox.
    seal(engine, [ipv4(udp(5000), { flags: 0x4000 })])
    const lanTx = engine.lanTx.offset[0]!
    const ends = (start: number, slots: number) =>
      Array.from(
        { length: slots },
        (_, i) => new Uint8Array(engine.memory, start + i * SLOT_BYTES + USED_AT_MOST, SLOT_BYTES - USED_AT_MOST),
      )
    const { lanRx, wireRx } = engine
    return [
      ...ends(lanRx.offset, BATCH),
      ...ends(wireRx.offset, BATCH),
      ...ends(lanTx, OUTBOX),
      ...ends(wireTx, OUTBOX),
    ]
  }

  function portEngine(seed: number): ReturnType<typeof createEngine> {
    const engine = createEngine({ build: seed % 2 === 0 ? 'strict' : 'relaxed' })
    const everything = [selector('0.0.0.0/0'), selector('::/0')]
    const port = [
      selector('0.0.0.0/0', { protocol: 17, startPort: 1, endPort: 3000 }),
      selector('::/0', { startPort: 0, endPort: 9 }),
    ]
    setUp(engine, {
      outbound: { local: everything, remote: port },
      inbound: { local: port, remote: everything },
      tunnel: { pathMtu: 576 },
    })
    engine.setRoute('0.0.0.0/0' as never, 0)
    engine.setRoute('::/0' as never, 0)
    return engine
  }

  /** A good packet with a few bytes changed, a piece of one, or noise. */
  function mutate(packet: Uint8Array, random: (below: number) => number): Uint8Array {
    const kind = random(8)
    if (kind === 0) return Uint8Array.from({ length: random(200) }, () => random(256))
    const copy = packet.slice(0, kind === 1 ? random(packet.length + 1) : packet.length)
    for (let changes = random(5); changes > 0 && copy.length > 0; changes--)
      copy[random(Math.min(copy.length, 64))] = random(256)
    return copy
  }

  function samples(random: (below: number) => number): Uint8Array {
    const size = random(10) === 0 ? random(8000) : random(300)
    const flags = [0, 0x4000, 0x2000, 0x2000 | random(100), random(0x10000)][random(5)]!
    const headers = Array.from({ length: 8 * random(4) }, (_, i) =>
      i % 8 === 0 ? [0, 43, 44, 60, 51, 17][random(6)]! : random(3),
    )
    switch (random(4)) {
      case 0:
        return ipv4(udp(size), {
          flags,
          id: random(3),
          options: Array.from({ length: 4 * random(11) }, () => random(256)),
        })
      case 1:
        return ipv6(Uint8Array.from([...headers, ...udp(size)]), { nextHeader: [0, 17, 43, 44, 60, 58][random(6)]! })
      case 2:
        return ipv4(
          Uint8Array.from({ length: 20 + random(60) }, () => random(256)),
          { protocol: 6, flags: random(2) * 0x4000 },
        )
      default:
        return ipv4(udp(size), { id: random(5), flags })
    }
  }

  it.each([1, 2])('never traps the seal path, and every packet is accounted for (seed %i)', (seed) => {
    const engine = portEngine(seed)
    const random = randomNumbers(seed)
    for (let round = 0; round < 150; round++) {
      const packets = Array.from({ length: BATCH }, () => mutate(samples(random), random).subarray(0, MAX_INNER + 5))
      const { wire, lan } = seal(engine, packets, round * 40)
      expect(wire.every(({ bytes }) => bytes.length >= 34 && bytes.length <= 1280 + 36)).toBe(true)
      expect(lan.every((packet) => packet.length <= 1280)).toBe(true)
    }
    expect(Object.keys(dropped(engine)).length).toBeGreaterThan(6)
  })

  it.each([1, 2])('never traps the open path, forged or sealed by the peer (seed %i)', (seed) => {
    const engine = portEngine(seed)
    const gaps = guards(engine)
    for (const gap of gaps) gap.fill(0xa5)
    const random = randomNumbers(seed + 10)
    let sequence = 1n
    for (let round = 0; round < 100; round++) {
      const datagrams = Array.from({ length: BATCH }, () => {
        const inner = mutate(samples(random), random)
        const sealed = espPacket(inner, {
          sequence: ++sequence,
          nextHeader: [4, 4, 41, 41, 59, random(256)][random(6)]!,
        })
        const bytes = random(4) === 0 ? mutate(sealed, random) : sealed
        return { bytes: bytes.subarray(0, MAX_OUTER + 10), tos: random(256) }
      })
      const { verdicts, lan } = open(engine, datagrams, { now: round * 40 })
      expect(verdicts.filter((verdict) => verdict === VERDICT_DELIVERED).length).toBe(lan.length)
      expect(lan.every((packet) => packet[0]! >> 4 === 4 || packet[0]! >> 4 === 6)).toBe(true)
    }
    seal(
      engine,
      Array.from({ length: 300 }, () => mutate(samples(random), random).subarray(0, MAX_INNER)),
    )
    for (const gap of gaps) expect(gap.every((byte) => byte === 0xa5)).toBe(true)
    expect(Object.keys(dropped(engine)).length).toBeGreaterThan(8)
  })

  it('fits the outbox', () => {
    const engine = createEngine()
    setUp(engine)
    seal(
      engine,
      Array.from({ length: BATCH }, () => ipv4(udp(2000))),
    )
    expect(engine.wireTx.count).toBeLessThanOrEqual(OUTBOX)
  })
})
