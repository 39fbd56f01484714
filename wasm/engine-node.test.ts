import { describe, expect, it } from 'vitest'
import { address, prefix, type SocketAddress } from '../protocol/net.ts'
import {
  MAX_INNER,
  MAX_TUNNELS,
  OUTBOX,
  VERDICT_CONSUMED,
  VERDICT_DELIVERED,
  VERDICT_DROPPED,
  VERDICT_IKE,
  VERDICT_KEEPALIVE,
} from './abi.ts'
import { createNodeEngine } from './engine-node.ts'
import {
  type Encapsulation,
  EngineError,
  type EngineEvent,
  type InboundSa,
  type OutboundSa,
  type PacketEngine,
  type TrafficSelector,
  type Tunnel,
} from './packet-engine.ts'
import { sealEsp } from './reference/esp.ts'
import { socketName } from './testing/differential-compare.ts'
import { ipv4, ipv6, pattern, udp } from './testing/packets.ts'

const SPI = 0xc0ffee01
const PEER: SocketAddress = { address: address('192.0.2.1'), port: 4500 }
const KEYS = { suite: 'aes-256-gcm', key: pattern(32), salt: pattern(4), spi: SPI, esn: true } as const

function range(start: string, end: string, fields: Partial<TrafficSelector> = {}): TrafficSelector {
  const addresses = { startAddress: address(start), endAddress: address(end) }
  return { protocol: 0, startPort: 0, endPort: 65535, ...addresses, ...fields }
}

const NEAR = [range('10.1.0.0', '10.1.255.255'), range('fd01::', 'fd01:ffff::')]
const FAR = [range('10.2.0.0', '10.2.255.255'), range('fd02::', 'fd02:ffff::')]

const outboundSa = (fields: Partial<OutboundSa> = {}): OutboundSa => ({
  ...KEYS,
  tunnel: 3,
  endpoint: 5,
  local: NEAR,
  remote: FAR,
  ...fields,
})

const inboundSa = (fields: Partial<InboundSa> = {}): InboundSa => ({
  ...KEYS,
  replayWindow: 64,
  tunnel: 3,
  local: FAR,
  remote: NEAR,
  ...fields,
})

function site(options: { out?: Partial<OutboundSa>; in?: Partial<InboundSa>; tunnel?: Partial<Tunnel> } = {}) {
  const engine = createNodeEngine()
  engine.setEndpoint(5, { remote: PEER, encapsulation: 'udp' })
  const out = engine.installOutbound(outboundSa(options.out))
  const back = engine.installInbound(inboundSa(options.in))
  engine.setTunnel(3, { pathMtu: 1500, clampMss: true, copyDscp: false, sas: [out], ...options.tunnel })
  engine.setGroup(7, [3])
  engine.setRoute(prefix('10.2.0.0/16'), 7)
  engine.setRoute(prefix('fd02::/16'), 7)
  return { engine, out, back }
}

function seal(engine: PacketEngine, packets: readonly Uint8Array[], now = 1): number {
  packets.forEach((packet, slot) => {
    engine.lanRx.slot(slot).set(packet)
    engine.lanRx.length[slot] = packet.length
  })
  return engine.sealBatch(0, packets.length, now)
}

function open(engine: PacketEngine, packets: readonly Uint8Array[], options: Partial<OpenOptions> = {}): number[] {
  const { remote = PEER, tos = 0, encapsulation = 'udp', now = 1 } = options
  packets.forEach((packet, slot) => {
    engine.wireRx.slot(slot).set(packet)
    engine.wireRx.length[slot] = packet.length
    engine.wireRx.tos[slot] = tos
    new Uint8Array(engine.memory, engine.wireRx.names + slot * 32, 32).set(socketName(remote))
  })
  engine.openBatch(packets.length, encapsulation, now)
  return [...engine.wireRx.verdict.subarray(0, packets.length)]
}

interface OpenOptions {
  readonly remote: SocketAddress
  readonly tos: number
  readonly encapsulation: Encapsulation
  readonly now: number
}

const wireOf = ({ wireTx }: PacketEngine) => Array.from({ length: wireTx.count }, (_, i) => wireTx.packet(i).slice())
const lanOf = ({ lanTx }: PacketEngine) => Array.from({ length: lanTx.count }, (_, i) => lanTx.packet(i).slice())

function eventsOf(engine: PacketEngine): EngineEvent[] {
  const events: EngineEvent[] = []
  for (let event = engine.pollEvent(); event !== undefined; event = engine.pollEvent()) events.push(event)
  return events
}

function dropsOf(engine: PacketEngine): Record<string, number> {
  return Object.fromEntries(Object.entries(engine.drops()).filter(([, count]) => count > 0))
}

describe('there and back', () => {
  it('brings packets of both versions through unchanged', () => {
    const { engine, out, back } = site()
    const packets = [ipv4(udp(100)), ipv6(udp(1)), ipv4(udp(0), { tos: 0xb8 })]
    expect(seal(engine, packets, 40)).toBe(3)
    const sealed = wireOf(engine)
    expect([...engine.wireTx.endpoint.subarray(0, 3)]).toEqual([5, 5, 5])
    expect(open(engine, sealed, { now: 50 })).toEqual(packets.map(() => VERDICT_DELIVERED))
    expect(lanOf(engine)).toEqual(packets)
    const bytes = packets.reduce((sum, packet) => sum + packet.length, 0)
    expect(engine.counters(out)).toEqual({ packets: 3, bytes, lastAt: 40, drops: {} })
    expect(engine.counters(back)).toEqual({ packets: 3, bytes, lastAt: 50, drops: {}, missing: 0 })
    expect([dropsOf(engine), eventsOf(engine)]).toEqual([{}, [{ type: 'first-packet', sa: back }]])
  })

  it('tolerates TFC padding and dummies (RFC 4303 sections 2.6 and 2.7)', () => {
    const { engine, back } = site()
    const padded = sealEsp(KEYS, 1n, 4, Uint8Array.from([...ipv4(udp(8)), ...pattern(77)]))
    const dummy = sealEsp(KEYS, 2n, 59, pattern(50))
    expect(open(engine, [padded, dummy])).toEqual([VERDICT_DELIVERED, VERDICT_CONSUMED])
    expect(lanOf(engine)).toEqual([ipv4(udp(8))])
    expect(engine.counters(back)).toMatchObject({ packets: 2, bytes: 36 })
  })

  it('sorts out IKE and keepalives under UDP only (RFC 3948 section 2)', () => {
    const { engine } = site()
    const packets = [Uint8Array.of(0xff), new Uint8Array(32), new Uint8Array(31), Uint8Array.of(0xff, 0xff)]
    expect(open(engine, packets)).toEqual([VERDICT_KEEPALIVE, VERDICT_IKE, VERDICT_DROPPED, VERDICT_DROPPED])
    expect(open(engine, packets, { encapsulation: 'esp' })).toEqual(packets.map(() => VERDICT_DROPPED))
    expect(dropsOf(engine)).toEqual({ truncated: 6 })
  })

  it('marks congestion outward and inward (RFC 6040)', () => {
    const { engine } = site({ tunnel: { copyDscp: true } })
    seal(engine, [ipv4(udp(1), { tos: 0xb9 })])
    expect(engine.wireTx.tos[0]).toBe(0xb9)
    expect(open(engine, wireOf(engine), { tos: 0x03 })).toEqual([VERDICT_DELIVERED])
    expect(lanOf(engine)).toEqual([ipv4(udp(1), { tos: 0xbb })])
    seal(engine, [ipv4(udp(1), { tos: 0xb8 })])
    open(engine, wireOf(engine), { tos: 0x03 })
    expect(dropsOf(engine)).toEqual({ ecn: 1 })
  })
})

describe('refusals on receipt', () => {
  it('are counted by reason, for the engine and the SA', () => {
    const { engine, back } = site({ in: { esn: false }, out: { esn: false } })
    const keys = { ...KEYS, esn: false }
    const good = ipv4(udp(20))
    const make = (sequence: number, nextHeader: number, inner: Uint8Array) =>
      sealEsp(keys, BigInt(sequence), nextHeader, inner)
    const forged = make(101, 4, good)
    forged[30]! ^= 1
    open(engine, [
      make(100, 4, good),
      make(100, 4, good),
      make(36, 4, good),
      make(37, 4, good),
      forged,
      make(102, 17, good),
      make(103, 41, good),
      make(104, 4, good.with(8, 1)),
      make(105, 4, ipv4(udp(1), { source: '10.9.0.1' })),
      make(106, 4, good).subarray(0, 33),
      sealEsp({ ...keys, spi: 77 }, 1n, 4, good),
    ])
    const counted = { replayed: 1, too_old: 1, auth_failed: 1, bad_next_header: 1, bad_inner: 2, selector_in: 1 }
    expect(engine.counters(back).drops).toEqual(counted)
    expect(dropsOf(engine)).toEqual({ ...counted, truncated: 1, unknown_spi: 1 })
    expect(eventsOf(engine)).toEqual([
      { type: 'first-packet', sa: back },
      { type: 'unknown-spi', spi: 77, remote: PEER },
    ])
    expect(lanOf(engine)).toEqual([good, good])
  })

  it('of a forged packet leave the window alone', () => {
    const { engine } = site()
    const real = sealEsp(KEYS, 9n, 4, ipv4(udp(20)))
    const forged = real.with(40, real[40]! ^ 1)
    expect(open(engine, [forged, real])).toEqual([VERDICT_DROPPED, VERDICT_DELIVERED])
  })
})

describe('policy on the way out', () => {
  it('finds route, group, tunnel and SA in that order', () => {
    const { engine, out } = site()
    const other = engine.installOutbound(outboundSa({ tunnel: 4, spi: 900, local: [range('10.9.0.0', '10.9.9.9')] }))
    engine.setTunnel(4, { pathMtu: 1500, clampMss: false, copyDscp: false, sas: [other] })
    engine.setGroup(7, [3, 4])
    seal(engine, [
      ipv4(udp(1)),
      ipv4(udp(1), { source: '10.9.0.1' }),
      ipv4(udp(1), { source: '10.8.0.1' }),
      ipv4(udp(1), { destination: '10.77.0.1' }),
    ])
    expect(wireOf(engine).map((packet) => packet[3])).toEqual([SPI & 0xff, 900 & 0xff])
    expect(dropsOf(engine)).toEqual({ selector_out: 1, no_route: 1 })
    engine.removeSa(out)
    engine.removeSa(other)
    seal(engine, [ipv4(udp(1)), ipv4(udp(1))], 10)
    expect(eventsOf(engine)).toEqual([{ type: 'no-sa', tunnel: 3 }])
    expect(dropsOf(engine)).toMatchObject({ no_sa: 2 })
  })

  it('passes a stopped SA over for the next', () => {
    const { engine, out } = site({ out: { softPackets: 1, hardPackets: 2 } })
    const next = engine.installOutbound(outboundSa({ spi: 901 }))
    engine.setTunnel(3, { pathMtu: 1500, clampMss: false, copyDscp: false, sas: [out, next] })
    seal(
      engine,
      [1, 2, 3].map(() => ipv4(udp(1))),
    )
    expect(eventsOf(engine)).toEqual([
      { type: 'soft-limit', sa: out },
      { type: 'hard-limit', sa: out },
    ])
    expect([engine.counters(out).packets, engine.counters(next).packets]).toEqual([2, 1])
  })

  it('stops where the outbox is full, and goes on in the next call', () => {
    const { engine } = site({ tunnel: { pathMtu: 576 } })
    const packets = Array.from({ length: 20 }, () => ipv4(udp(4000)))
    const consumed = seal(engine, packets)
    const each = engine.wireTx.count / consumed
    expect(consumed).toBe(Math.floor(OUTBOX / each))
    expect(engine.sealBatch(consumed, packets.length - consumed, 1)).toBe(Math.min(consumed, 20 - consumed))
  })

  it('says what fits', () => {
    const { engine, out } = site()
    expect(engine.innerMtu(out)).toBe(1438)
    for (const [endpoint, pathMtu, inner] of [
      [{ remote: PEER, encapsulation: 'esp' }, 1500, 1446],
      [{ remote: { address: address('2001:db8::1'), port: 4500 }, encapsulation: 'udp' }, 1280, 1198],
      [{ remote: PEER, encapsulation: 'udp' }, 9216, MAX_INNER],
    ] as const) {
      engine.setEndpoint(5, endpoint)
      engine.setTunnel(3, { pathMtu, clampMss: false, copyDscp: false, sas: [out] })
      expect(engine.innerMtu(out)).toBe(inner)
    }
    engine.removeTunnel(3)
    expect(engine.innerMtu(out)).toBe(0)
  })

  it('tells the host about packets that may not be cut', () => {
    const { engine } = site()
    seal(engine, [ipv4(udp(1411), { flags: 0x4000 }), ipv6(udp(1400)), ipv4(udp(1410), { flags: 0x4000 })])
    expect(engine.wireTx.count).toBe(1)
    expect(lanOf(engine).map((packet) => packet[0]! >> 4)).toEqual([4, 6])
    expect(dropsOf(engine)).toEqual({ too_big: 2 })
  })

  it('seals 1,280 bytes of IPv6 whatever the path', () => {
    const { engine } = site({ tunnel: { pathMtu: 576 } })
    seal(engine, [ipv6(udp(1232)), ipv6(udp(1233))])
    expect([engine.wireTx.count, engine.lanTx.count]).toEqual([1, 1])
    expect([...engine.lanTx.packet(0).subarray(44, 48)]).toEqual([0, 0, 5, 0])
  })
})

describe('a peer behind NAT', () => {
  it('is reported where its newest packets come from, under UDP', () => {
    const { engine, back } = site()
    const moved = { ...PEER, port: 61_000 }
    const packet = (sequence: bigint) => sealEsp(KEYS, sequence, 59, pattern(2))
    open(engine, [packet(5n)])
    open(engine, [packet(4n)], { remote: moved })
    expect(eventsOf(engine)).toEqual([{ type: 'first-packet', sa: back }])
    open(engine, [packet(6n), packet(7n)], { remote: moved })
    expect(eventsOf(engine)).toEqual([{ type: 'peer-moved', sa: back, remote: moved }])
    open(engine, [packet(8n)], { encapsulation: 'esp' })
    expect(eventsOf(engine)).toEqual([])
  })
})

describe('control calls', () => {
  const engine = createNodeEngine()
  const tunnel: Tunnel = { pathMtu: 1500, clampMss: false, copyDscp: false, sas: [] }

  it.each([
    ['a key of another length', () => engine.installAead('aes-128-gcm', pattern(32))],
    ['a reserved SPI', () => engine.installOutbound(outboundSa({ spi: 255 }))],
    ['a window of 65', () => engine.installInbound(inboundSa({ replayWindow: 65 }))],
    ['a window of 4160', () => engine.installInbound(inboundSa({ replayWindow: 4160 }))],
    ['a tunnel too many', () => engine.setTunnel(MAX_TUNNELS, tunnel)],
    ['a path MTU of 575', () => engine.setTunnel(0, { ...tunnel, pathMtu: 575 })],
    ['an SA that is none', () => engine.setTunnel(0, { ...tunnel, sas: [17] })],
    ['a group of 17', () => engine.setGroup(0, Array(17).fill(0))],
    ['a route to group -1', () => engine.setRoute(prefix('10.0.0.0/8'), -1)],
    ['counters of no SA', () => engine.counters(99)],
    ['a negative limit', () => engine.installOutbound(outboundSa({ hardBytes: -1 }))],
    [
      'a 33-bit number without ESN',
      () => engine.installOutbound(outboundSa({ esn: false, initialSequence: 2n ** 32n })),
    ],
  ])('refuse %s', (_, call) => {
    expect(call).toThrow(EngineError)
  })

  it('refuse an inbound SPI twice, until it is removed', () => {
    const first = engine.installInbound(inboundSa())
    expect(() => engine.installInbound(inboundSa())).toThrow(EngineError)
    engine.removeSa(first)
    engine.removeSa(first)
    engine.removeSa(engine.installInbound(inboundSa()))
  })

  it('keep keys of their own', () => {
    const { engine } = site({ out: { key: KEYS.key.slice() } })
    const key = KEYS.key.slice()
    const handle = engine.installAead('aes-256-gcm', key)
    key.fill(0)
    const sealed = engine.aeadSeal(handle, pattern(12), pattern(3), pattern(40))
    const again = engine.installAead('aes-256-gcm', KEYS.key)
    expect(engine.aeadOpen(again, pattern(12), pattern(3), sealed)).toEqual(pattern(40))
    expect(engine.aeadOpen(again, pattern(12), pattern(4), sealed)).toBeUndefined()
    engine.removeSa(handle)
    expect(() => engine.aeadSeal(handle, pattern(12), pattern(3), pattern(40))).toThrow(EngineError)
  })
})
