import { describe, expect, it } from 'vitest'
import { address, addressBytes, formatAddress, type Prefix, prefix } from '../protocol/net.ts'
import {
  BATCH,
  MAX_CONTEXTS,
  MAX_ROUTES,
  MAX_SAS,
  MAX_TUNNELS,
  MAX_WORKERS,
  SMALL_ROUTES,
  SMALL_SAS,
  VNET_HEADER,
} from './abi.ts'
import { createEngine } from './load.ts'
import { EngineError, type PacketEngine } from './packet-engine.ts'
import { ForwardingTable } from './reference/fib.ts'
import { espPacket, ipv4, ipv6, KEYS, randomNumbers, seal, selector, udp } from './testing/engine-fixture.ts'

type Random = (below: number) => number

const SIDES = { local: [selector('10.1.0.0/16')], remote: [selector('10.2.0.0/16')] }
const INBOUND = { ...KEYS, esn: false, replayWindow: 64, tunnel: 0, ...SIDES }
const OUTBOUND = { ...KEYS, esn: false, tunnel: 0, endpoint: 0, ...SIDES }

function bytesOf(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random(256))
}

/** Prefixes as they come: anywhere, under few ancestors, one behind another, and of every length. */
function somePrefix(random: Random, turn: number): Prefix {
  const six = random(3) === 0
  const bytes = bytesOf(random, six ? 16 : 4)
  if (turn % 2 === 0) bytes.set([0x20, 1, random(4), random(2) << 7], 0)
  const bits =
    random(2) === 0
      ? random(bytes.length * 8 + 1)
      : [16, 17, 22, 23, 24, 29, 32, 48, 64, 65, 128][random(six ? 11 : 7)]!
  return prefix(`${formatAddress(bytes)}/${bits}`)
}

/** An address in or beside the prefix. */
function near(route: Prefix, random: Random) {
  const [text, bits] = route.split('/')
  const network = address(text!)
  const bytes = network.includes(':') ? bytesOf(random, 16) : bytesOf(random, 4)
  const base = Uint8Array.from(Buffer.from(hexOf(network), 'hex'))
  for (let bit = 0; bit < Number(bits); bit++) {
    const mask = 0x80 >> (bit & 7)
    bytes[bit >> 3] = (bytes[bit >> 3]! & ~mask) | (base[bit >> 3]! & mask)
  }
  if (random(4) === 0) bytes[random(bytes.length)]! ^= 1 << random(8)
  return formatAddress(bytes)
}

function hexOf(text: ReturnType<typeof address>): string {
  return Buffer.from(addressBytes(text)).toString('hex')
}

describe('a large forwarding table', () => {
  it.each([1, 2])('agrees with the reference while it grows and shrinks (seed %i)', (seed) => {
    const engine = createEngine()
    const reference = new ForwardingTable()
    const random = randomNumbers(seed)
    const routes: Prefix[] = []
    const probe = (times: number) => {
      for (let i = 0; i < times; i++) {
        const destination = near(routes[random(routes.length)]!, random)
        expect(engine.lookupRoute(destination), destination).toBe(reference.lookup(addressBytes(destination)))
      }
    }
    for (let i = 0; i < 30_000; i++) {
      const route = somePrefix(random, i)
      const group = random(16384)
      engine.setRoute(route, group)
      reference.set(route, group)
      routes.push(route)
    }
    probe(1500)
    while (routes.length > 100) {
      const [victim] = routes.splice(random(routes.length), 1)
      engine.removeRoute(victim!)
      reference.remove(victim!)
      if (routes.length % 3000 === 0) probe(150)
    }
    probe(200)
    for (const route of routes) engine.removeRoute(route)
    for (let i = 0; i < 100; i++) expect(engine.lookupRoute(near(somePrefix(random, i), random))).toBeUndefined()
  })

  it('leads packets where a lookup does, whatever lies in the slots', () => {
    const engine = createEngine()
    const random = randomNumbers(3)
    for (let worker = 0; worker < MAX_WORKERS; worker++) {
      engine.setTunnel(worker, { pathMtu: 1500, clampMss: false, copyDscp: false, sas: [], handOver: worker })
      engine.setGroup(worker, [worker])
    }
    const networks = Array.from({ length: 60_000 }, (_, i) => `${16 + (i >> 14)}.${(i >> 6) & 255}.${(i & 63) * 4}`)
    for (const network of networks) engine.setRoute(prefix(`${network}.0/${22 + random(3)}`), random(MAX_WORKERS))
    engine.setRoute(prefix('2001:db8:2::/48'), 9)
    for (let round = 0; round < 50; round++) {
      const packets = Array.from({ length: BATCH }, () => {
        const kind = random(20)
        if (kind === 0) return new Uint8Array([0x45])
        if (kind === 1) return ipv6(udp(10))
        const destination = random(9) === 0 ? '192.0.2.1' : `${networks[random(networks.length)]}.${random(256)}`
        return ipv4(udp(10), { destination })
      })
      const expected = packets.map((packet) => {
        if (packet.length === 1) return 0
        const bytes = packet[0] === 0x45 ? packet.subarray(16, 20) : packet.subarray(24, 40)
        return (engine.lookupRoute(formatAddress(bytes)) ?? -1) + 1
      })
      for (const [slot, packet] of packets.entries()) {
        engine.lanRx.slot(slot).set(packet)
        engine.lanRx.length[slot] = packet.length
        engine.lanLarge.slot(slot).set([...new Uint8Array(VNET_HEADER), ...packet])
        engine.lanLarge.length[slot] = VNET_HEADER + packet.length
      }
      engine.sealBatch(0, BATCH, 0)
      engine.sealLarge(0, BATCH, 0)
      expect([...engine.lanRx.handOver]).toEqual(expected)
      expect([...engine.lanLarge.handOver]).toEqual(expected)
    }
  })

  it('takes a million prefixes, refuses one more, and takes it once one is gone', () => {
    const engine = createEngine()
    const route = (i: number) => prefix(`${16 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}.0/24`)
    for (let i = 0; i < MAX_ROUTES; i++) engine.setRoute(route(i), i & 1023)
    for (const text of ['9.0.0.0/24', '9.0.0.0/8', '2001:db8::/32', '2001:db8::1/128']) {
      expect(() => engine.setRoute(prefix(text), 1), text).toThrow(EngineError)
    }
    for (let i = 0; i < MAX_ROUTES; i += 997) {
      expect(engine.lookupRoute(address(`${16 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}.9`))).toBe(i & 1023)
    }
    engine.setRoute(route(5), 77)
    expect(engine.lookupRoute(address('16.0.5.1'))).toBe(77)
    engine.removeRoute(route(6))
    engine.setRoute(prefix('2001:db8::1/128'), 3)
    expect(engine.lookupRoute(address('16.0.6.1'))).toBeUndefined()
    expect(engine.lookupRoute(address('2001:db8::1'))).toBe(3)
  }, 60_000)
})

describe('many SAs', () => {
  it('are found by SPI through removal and replacement, also where SPIs come in rows', () => {
    const engine = createEngine()
    const random = randomNumbers(7)
    const live = new Map<number, number>()
    const spiOf = (i: number) => [256 + i, (i + 1) << 12, ((i + 1) * 0x9e3779b1) >>> 0][i % 3]!
    for (let step = 0; step < 40_000; step++) {
      const spi = spiOf(random(18_000))
      if (spi < 256) continue
      const handle = live.get(spi)
      if (handle === undefined) live.set(spi, engine.installInbound({ ...INBOUND, spi }))
      else {
        expect(() => engine.installInbound({ ...INBOUND, spi })).toThrow(/taken/)
        engine.removeSa(handle)
        live.delete(spi)
      }
    }
    expect(live.size).toBeGreaterThan(8000)
    for (const [spi, handle] of live) {
      engine.removeSa(handle)
      expect(engine.installInbound({ ...INBOUND, spi })).not.toBe(handle)
    }
  })

  it('carry packets, more of them than contexts are kept', () => {
    const engine = createEngine()
    const count = MAX_CONTEXTS / 2 + 500
    const sealer = manyTunnels(engine, count)
    const mirrored = { ...INBOUND, local: SIDES.remote, remote: SIDES.local }
    const opener = Array.from({ length: count }, (_, i) =>
      engine.installInbound({ ...mirrored, key: keyOf(i), spi: 256 + i }),
    )
    for (const size of [10, 600, 600]) {
      for (let i = 0; i < count; i++) pass(engine, i, size)
    }
    expect(engine.contexts).toBe(MAX_CONTEXTS)
    for (let i = 0; i < count; i++) {
      expect(engine.counters(sealer[i]!).packets).toBe(3)
      expect([engine.counters(opener[i]!).packets, engine.counters(opener[i]!).drops]).toEqual([3, {}])
    }
    for (const handle of sealer) engine.removeSa(handle)
    expect(seal(engine, [to(3)]).wire).toEqual([])
  }, 60_000)

  it('have contexts of AES-GCM while they are busy, or when packets are long', () => {
    const engine = createEngine()
    const count = 1500
    const sealer = manyTunnels(engine, count)
    for (let round = 0; round < 10; round++) for (let i = 0; i < count; i++) seal(engine, [to(i)])
    expect(engine.contexts).toBe(0)
    // One is busy: between two of its packets come few of others.
    for (let i = 0; i < 20; i++) seal(engine, [to(7), to(i * 9)])
    expect(engine.contexts).toBe(1)
    seal(engine, [to(8, 600)])
    expect(engine.contexts).toBe(2)
    const sealed = seal(engine, [to(7), to(8), to(9)]).wire
    expect(sealed.map(({ bytes }) => bytes)).toEqual([7, 8, 9].map((i) => expectedEsp(engine, sealer, i)))
    for (const sa of sealer) engine.removeSa(sa)
    expect(engine.contexts).toBe(0)
  }, 60_000)

  it('fill an engine up to its capacity', () => {
    const engine = createEngine({ capacity: 'small' })
    const handles = Array.from({ length: SMALL_SAS }, (_, i) => engine.installInbound({ ...INBOUND, spi: 256 + i }))
    expect(() => engine.installInbound({ ...INBOUND, spi: 9999 })).toThrow(`more than ${SMALL_SAS} SAs`)
    expect(() => engine.installOutbound({ ...OUTBOUND, spi: 9999 })).toThrow(EngineError)
    for (const handle of handles) engine.removeSa(handle)
    expect(() => engine.counters(SMALL_SAS + MAX_SAS)).toThrow(EngineError)
    for (let i = 0; i < SMALL_SAS; i++) engine.installInbound({ ...INBOUND, spi: 256 + i })
    expect(() => engine.installAead('aes-128-gcm', KEYS.key.slice(0, 16))).toThrow(EngineError)
    expect(SMALL_ROUTES).toBeLessThan(MAX_ROUTES)
  })

  it('leave every tunnel that they are in when they are removed', () => {
    const engine = createEngine()
    const shared = engine.installOutbound({ ...OUTBOUND, spi: 300 })
    const setting = { pathMtu: 1500, clampMss: false, copyDscp: false, sas: [shared] }
    engine.setEndpoint(0, { remote: { address: address('192.0.2.1'), port: 4500 }, encapsulation: 'udp' })
    for (const tunnel of [0, 9, MAX_TUNNELS - 1]) engine.setTunnel(tunnel, setting)
    engine.setTunnel(9, setting)
    engine.setGroup(0, [MAX_TUNNELS - 1])
    engine.setRoute(prefix('10.2.0.0/16'), 0)
    expect(seal(engine, [to(0)]).wire.length).toBe(1)
    engine.removeSa(shared)
    engine.installOutbound({ ...OUTBOUND, spi: 301 })
    expect(seal(engine, [to(0)]).wire).toEqual([])
  })
})

function keyOf(i: number): Uint8Array {
  const key = new Uint8Array(KEYS.key.length)
  new DataView(key.buffer).setUint32(0, i)
  return key
}

/** The packet for tunnel `i` that the last seal has sent, made with node:crypto. */
function expectedEsp(engine: PacketEngine, sealer: readonly number[], i: number): Uint8Array {
  const sequence = BigInt(engine.counters(sealer[i]!).packets)
  return espPacket(to(i), { keys: { ...KEYS, key: keyOf(i) }, spi: 256 + i, sequence })
}

/** The packet for tunnel `i`: a /32 route each. */
function to(i: number, size = 10): Uint8Array {
  return ipv4(udp(size), { destination: `10.2.${i >> 8}.${i & 255}` })
}

function manyTunnels(engine: PacketEngine, count: number): number[] {
  engine.setEndpoint(0, { remote: { address: address('192.0.2.1'), port: 4500 }, encapsulation: 'udp' })
  return Array.from({ length: count }, (_, i) => {
    const sa = engine.installOutbound({ ...OUTBOUND, key: keyOf(i), spi: 256 + i, tunnel: i })
    engine.setTunnel(i, { pathMtu: 1500, clampMss: false, copyDscp: false, sas: [sa] })
    engine.setGroup(i, [i])
    engine.setRoute(prefix(`10.2.${i >> 8}.${i & 255}/32`), i)
    return sa
  })
}

function pass(engine: PacketEngine, i: number, size: number): void {
  const packet = to(i, size)
  engine.lanRx.slot(0, packet.length).set(packet)
  engine.lanRx.length[0] = packet.length
  engine.sealBatch(0, 1, 0)
  const sealed = engine.wireTx.packet(0)
  engine.wireRx.slot(0, sealed.length).set(sealed)
  engine.wireRx.length[0] = sealed.length
  engine.openBatch(1, 'udp', 0)
}
