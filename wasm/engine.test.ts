import { describe, expect, it } from 'vitest'
import { address, prefix } from '../protocol/net.ts'
import {
  MAX_ENDPOINTS,
  MAX_GROUPS,
  MAX_PAGES,
  MAX_SAS,
  MAX_TUNNELS,
  VERDICT_DELIVERED,
  VERDICT_DROPPED,
} from './abi.ts'
import { instantiateEngine } from './engine.ts'
import { createEngine } from './load.ts'
import { type AeadSuite, EngineError, type SaKeys } from './packet-engine.ts'
import {
  dropped,
  espPacket,
  events,
  ipv4,
  ipv6,
  KEYS,
  open,
  seal,
  selector,
  setUp,
  udp,
} from './testing/engine-fixture.ts'

const SUITES: readonly SaKeys[] = (
  [
    ['aes-128-gcm', 16],
    ['aes-256-gcm', 32],
    ['chacha20-poly1305', 32],
  ] as const
).map(([suite, bytes]) => ({ suite, key: new Uint8Array(bytes).map((_, i) => i * 5), salt: Uint8Array.of(1, 2, 3, 4) }))

describe.each(['relaxed', 'strict'] as const)('the %s build', (build) => {
  it.each(SUITES)('seals and opens with $suite, with and without ESN, IPv4 and IPv6, every size', (keys) => {
    for (const esn of [false, true]) {
      const engine = createEngine({ build })
      const site = setUp(engine, { keys, esn })
      const packets = [0, 1, 2, 3, 4, 5, 6, 7, 100, 1000, 1370, 1400].flatMap((size) => [
        ipv4(udp(size)),
        ipv6(udp(Math.min(size, 1380))),
      ])
      const { wire, lan } = seal(engine, packets)
      expect(lan).toEqual([])
      expect(wire.map(({ bytes }) => bytes.length % 4)).toEqual(packets.map(() => 0))
      const opened = open(
        engine,
        wire.map(({ bytes }) => bytes),
        { now: 7 },
      )
      expect(opened.verdicts).toEqual(packets.map(() => VERDICT_DELIVERED))
      expect(opened.lan).toEqual(packets)
      expect(dropped(engine)).toEqual({})
      const bytes = packets.reduce((sum, packet) => sum + packet.length, 0)
      const inbound = { packets: packets.length, bytes, lastAt: 7, drops: {}, missing: 0 }
      expect(engine.counters(site.inbound)).toEqual(inbound)
      expect(engine.counters(site.outbound)).toEqual({ packets: packets.length, bytes, lastAt: 0, drops: {} })
    }
  })

  it('refuses every flipped bit of an ESP packet', () => {
    const engine = createEngine({ build })
    setUp(engine)
    const sealed = espPacket(ipv4(udp(20)))
    const forged = Array.from({ length: sealed.length * 8 }, (_, bit) => {
      const copy = sealed.slice()
      copy[bit >> 3]! ^= 1 << (bit & 7)
      return copy
    })
    const { verdicts, lan } = open(engine, forged)
    expect(verdicts.every((verdict) => verdict === VERDICT_DROPPED)).toBe(true)
    expect(lan).toEqual([])
    expect(open(engine, [sealed]).verdicts).toEqual([VERDICT_DELIVERED])
  })
})

describe('ESP on the wire', () => {
  it.each(SUITES)('is what node:crypto makes of RFC 4303 and $suite', (keys) => {
    for (const esn of [false, true]) {
      const engine = createEngine()
      setUp(engine, { keys, esn, outbound: { initialSequence: esn ? 0x1_2345_6788n : 0x2345_6788n } })
      const packet = ipv4(udp(33))
      const expected = espPacket(packet, { keys, esn, sequence: esn ? 0x1_2345_6789n : 0x2345_6789n })
      expect(seal(engine, [packet]).wire[0]!.bytes).toEqual(expected)
    }
  })

  it('can be checked by hand: header, IV, 4-byte alignment, ICV', () => {
    const engine = createEngine()
    setUp(engine)
    // 20 + 8 + 3 = 31 bytes, 3 of padding, 2 of trailer: 36. Header 8, IV 8, ICV 16.
    const [first, second] = seal(engine, [ipv4(udp(3)), ipv4(udp(3))]).wire
    expect(first!.bytes.length).toBe(8 + 8 + 36 + 16)
    expect([...first!.bytes.subarray(0, 16)]).toEqual([0, 0, 0x10, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1])
    expect([...second!.bytes.subarray(4, 16)]).toEqual([0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 2])
  })

  it('carries 9,000 bytes', () => {
    const engine = createEngine()
    const site = setUp(engine, { tunnel: { pathMtu: 9216 } })
    expect(engine.innerMtu(site.outbound)).toBe(9000)
    const packet = ipv4(udp(9000 - 28))
    expect(open(engine, [seal(engine, [packet]).wire[0]!.bytes]).lan).toEqual([packet])
  })

  it('leaves room for the outer headers', () => {
    // Path, outer IP, UDP, ESP header + IV + ICV, down to 4 bytes, pad length and next header.
    const cases = [
      ['192.0.2.1', 'udp', Math.floor((1500 - 20 - 8 - 32) / 4) * 4 - 2],
      ['192.0.2.1', 'esp', Math.floor((1500 - 20 - 32) / 4) * 4 - 2],
      ['2001:db8::1', 'udp', Math.floor((1500 - 40 - 8 - 32) / 4) * 4 - 2],
      ['2001:db8::1', 'esp', Math.floor((1500 - 40 - 32) / 4) * 4 - 2],
    ] as const
    for (const [remote, encapsulation, expected] of cases) {
      const engine = createEngine()
      const { outbound } = setUp(engine, { remote, encapsulation })
      expect(engine.innerMtu(outbound)).toBe(expected)
      const { wire } = seal(engine, [ipv4(udp(expected - 28), { flags: 0x4000 })])
      const outer = (remote.includes(':') ? 40 : 20) + (encapsulation === 'udp' ? 8 : 0)
      expect(wire[0]!.bytes.length + outer).toBeLessThanOrEqual(1500)
      expect(wire[0]!.bytes.length + outer).toBeGreaterThan(1496)
    }
  })
})

describe('the module', () => {
  it('has fixed memory that stays where it is', () => {
    const engine = createEngine()
    const { memory } = engine
    const { byteLength } = memory
    setUp(engine)
    open(
      engine,
      seal(
        engine,
        Array.from({ length: 200 }, () => ipv4(udp(1000))),
      ).wire.map(({ bytes }) => bytes),
    )
    expect(engine.memory).toBe(memory)
    expect(memory.byteLength).toBe(byteLength)
    expect(byteLength).toBeLessThan(MAX_PAGES << 16)
    expect(createEngine({ capacity: 'small' }).memory.byteLength).toBeLessThan(128 << 20)
  })

  it('leaves nothing behind after a warm-up', () => {
    const engine = createEngine()
    engine.warmUp()
    expect(dropped(engine)).toEqual({})
    expect(engine.lookupRoute(address('10.0.0.1'))).toBeUndefined()
    expect(engine.wireTx.count + engine.lanTx.count).toBe(0)
    expect(events(engine)).toEqual([])
    expect(() => engine.counters(MAX_SAS)).toThrow(EngineError)
  })

  it('can be instantiated from a compiled module', () => {
    // The least module there is has none of the exports.
    const empty = new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0))
    expect(() => instantiateEngine(empty)).toThrow(TypeError)
  })
})

describe('control calls', () => {
  const inbound = { ...KEYS, spi: 300, esn: false, replayWindow: 64, tunnel: 0, local: [], remote: [] }
  const outbound = { ...KEYS, spi: 300, esn: false, tunnel: 0, endpoint: 0, local: [], remote: [] }

  it('refuse what makes no sense', () => {
    const engine = createEngine()
    engine.installInbound(inbound)
    const misuse: (() => unknown)[] = [
      () => engine.installInbound(inbound),
      () => engine.installInbound({ ...inbound, spi: 255 }),
      () => engine.installInbound({ ...inbound, spi: 2 ** 32 }),
      () => engine.installInbound({ ...inbound, spi: 301, replayWindow: 65 }),
      () => engine.installInbound({ ...inbound, spi: 301, replayWindow: 4160 }),
      () => engine.installInbound({ ...inbound, spi: 301, tunnel: MAX_TUNNELS }),
      () => engine.installInbound({ ...inbound, spi: 301, key: new Uint8Array(15) }),
      () => engine.installInbound({ ...inbound, spi: 301, salt: new Uint8Array(3) }),
      () => engine.installInbound({ ...inbound, spi: 301, suite: 'toString' as AeadSuite }),
      () =>
        engine.installInbound({
          ...inbound,
          spi: 301,
          local: Array.from({ length: 17 }, () => selector('10.0.0.0/8')),
        }),
      () => engine.installInbound({ ...inbound, spi: 301, local: [selector('10.0.0.0/8', { protocol: 256 })] }),
      () =>
        engine.installInbound({
          ...inbound,
          spi: 301,
          local: [selector('10.0.0.0/8', { endAddress: address('9.0.0.0') })],
        }),
      () =>
        engine.installInbound({
          ...inbound,
          spi: 301,
          local: [selector('10.0.0.0/8', { endAddress: address('::1') })],
        }),
      () => engine.installInbound({ ...inbound, spi: 301, initialHighest: 1n << 32n }),
      () => engine.installOutbound({ ...outbound, endpoint: MAX_ENDPOINTS }),
      () => engine.installOutbound({ ...outbound, hardBytes: -1 }),
      () => engine.setTunnel(0, { pathMtu: 575, clampMss: false, copyDscp: false, sas: [] }),
      () => engine.setTunnel(0, { pathMtu: 1500, clampMss: false, copyDscp: false, sas: [12345] }),
      () => engine.setTunnel(-1, { pathMtu: 1500, clampMss: false, copyDscp: false, sas: [] }),
      () =>
        engine.setGroup(
          0,
          Array.from({ length: 17 }, (_, i) => i),
        ),
      () => engine.setGroup(MAX_GROUPS, []),
      () => engine.setRoute(prefix('10.0.0.0/8'), MAX_GROUPS),
      () =>
        engine.setEndpoint(MAX_ENDPOINTS, { remote: { address: address('192.0.2.1'), port: 1 }, encapsulation: 'esp' }),
      () => engine.innerMtu(77),
      () => engine.aeadSeal(77, new Uint8Array(12), new Uint8Array(0), new Uint8Array(0)),
    ]
    for (const call of misuse) expect(call, String(call)).toThrow(EngineError)
  })

  it('ignore unknown handles on removal, and never mistake an old handle for a new one', () => {
    const engine = createEngine()
    const old = engine.installInbound(inbound)
    engine.removeSa(old)
    for (const handle of [old, -1, 0, 1.5, 2 ** 40, Number.NaN]) engine.removeSa(handle)
    const handles = Array.from({ length: MAX_SAS }, (_, i) => engine.installInbound({ ...inbound, spi: 300 + i }))
    expect(new Set([old, ...handles]).size).toBe(MAX_SAS + 1)
    expect(() => engine.installInbound({ ...inbound, spi: 10 })).toThrow(EngineError)
    expect(() => engine.installInbound({ ...inbound, spi: 299 })).toThrow(`more than ${MAX_SAS} SAs`)
    engine.removeSa(old)
    expect(() => engine.counters(old)).toThrow(EngineError)
    for (const handle of handles) engine.removeSa(handle)
    expect(engine.installInbound(inbound)).toBeGreaterThan(0)
  })

  it('take an outbound SA out of its tunnel when it is removed', () => {
    const engine = createEngine()
    const { outbound: handle } = setUp(engine)
    engine.removeSa(handle)
    expect(seal(engine, [ipv4(udp(10))]).wire).toEqual([])
    expect(dropped(engine)).toEqual({ no_sa: 1 })
  })

  it.each(['chacha20-poly1305', 'aes-256-gcm'] as const)('leave no key of %s in memory after removal', (suite) => {
    const engine = createEngine()
    const key = Uint8Array.from({ length: 32 }, (_, i) => 0xc0 ^ (i * 29))
    const traces = tracesOf(suite, key)
    expect(traces.length).toBeGreaterThanOrEqual(2)
    const found = () => traces.filter((trace) => Buffer.from(engine.memory).includes(trace)).length
    const keys = { suite, key, salt: Uint8Array.of(9, 9, 9, 9) }
    const site = setUp(engine, { keys })
    const aead = engine.installAead(suite, key)
    open(
      engine,
      seal(engine, [ipv4(udp(10))]).wire.map(({ bytes }) => bytes),
    )
    expect(found()).toBe(traces.length)
    for (const handle of [site.inbound, site.outbound, aead]) engine.removeSa(handle)
    expect(found()).toBe(0)
  })
})

/** What the key of an SA looks like in memory, in pieces of 16 bytes. */
function tracesOf(suite: AeadSuite, key: Uint8Array): Buffer[] {
  const engine = createEngine({ capacity: 'small' })
  const before = new BigUint64Array(engine.memory).slice()
  engine.installAead(suite, key)
  const after = new BigUint64Array(engine.memory)
  const traces: Buffer[] = []
  for (let i = 0; i < after.length; i += 2) {
    // Other fields are small numbers, in the lower halves of what is at least half zeros.
    const isKey = [i, i + 1].every((at) => after[at] !== before[at] && after[at]! >> 48n !== 0n)
    if (isKey) traces.push(Buffer.from(engine.memory.slice(i * 8, i * 8 + 16)))
  }
  // Tables of the cipher come with the first key.
  return traces.filter((trace) => !Buffer.from(before.buffer).includes(trace))
}

describe('bare AEAD keys', () => {
  it.each(SUITES)('seal and open with $suite', ({ suite, key }) => {
    const engine = createEngine()
    const handle = engine.installAead(suite, key)
    const nonce = new Uint8Array(12).fill(3)
    const aad = Uint8Array.of(1, 2, 3)
    for (const size of [0, 1, 15, 16, 17, 9000]) {
      const text = new Uint8Array(size).fill(size)
      const sealed = engine.aeadSeal(handle, nonce, aad, text)
      expect(sealed.length).toBe(size + 16)
      expect(engine.aeadOpen(handle, nonce, aad, sealed)).toEqual(text)
      expect(engine.aeadOpen(handle, nonce, Uint8Array.of(1, 2), sealed)).toBeUndefined()
    }
    expect(engine.aeadOpen(handle, nonce, aad, new Uint8Array(15))).toBeUndefined()
    expect(() => engine.aeadSeal(handle, nonce, aad, new Uint8Array(9001))).toThrow(EngineError)
    expect(() => engine.aeadSeal(handle, new Uint8Array(11), aad, nonce)).toThrow(EngineError)
  })
})
