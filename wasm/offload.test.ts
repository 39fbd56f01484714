/** Segmentation and coalescing: one undoes the other, and both engines agree on it. */
import { describe, expect, it } from 'vitest'
import { address, prefix } from '../protocol/net.ts'
import { COALESCE_FLOWS, OUTBOX, VERDICT_DELIVERED, VERDICT_IKE, VNET_HEADER } from './abi.ts'
import { createNodeEngine } from './engine-node.ts'
import { createEngine } from './load.ts'
import type { OutboundSa } from './packet-engine.ts'
import { concat } from './reference/bytes.ts'
import { sealEsp } from './reference/esp.ts'
import { PROTO_TCP, PROTO_UDP } from './reference/ip.ts'
import { segments } from './reference/segment.ts'
import { readVnet, superHeaders } from './reference/vnet.ts'
import { EnginePair, type WirePacket } from './testing/differential-pair.ts'
import { Random } from './testing/differential-random.ts'
import {
  brokenSuperPacket,
  checked,
  parsed,
  randomFlows,
  randomSuperPacket,
  runsOf,
  superPacketOf,
  tcpSegment,
  udpDatagram,
} from './testing/offload-fixture.ts'
import { ip } from './testing/packets.ts'

const PEER = { address: address('192.0.2.1'), port: 4500 }

interface Options {
  readonly pathMtu?: number
  readonly datagrams?: boolean
  readonly header?: boolean
  readonly sa?: Partial<OutboundSa>
  readonly more?: number
  /** AES-GCM with the AES of node:crypto, in place of ChaCha20-Poly1305. */
  readonly aes?: boolean
}

/** One tunnel to itself, over `1 + more` SAs. */
function setUp(options: Options = {}) {
  const build = options.pathMtu === 1280 ? 'strict' : 'auto'
  const pair = new EnginePair(createEngine({ build, aes: options.aes ? 'offload' : 'wasm' }), createNodeEngine())
  const all = [
    ['0.0.0.0', '255.255.255.255'],
    ['::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ].map(([start, end]) => ({
    protocol: 0,
    startPort: 0,
    endPort: 65535,
    startAddress: address(start!),
    endAddress: address(end!),
  }))
  const sas = Array.from({ length: 1 + (options.more ?? 0) }, (_, i): OutboundSa => {
    const suite = options.aes ? ('aes-128-gcm' as const) : ('chacha20-poly1305' as const)
    const keys = { suite, key: new Uint8Array(options.aes ? 16 : 32).fill(7 + i), salt: new Uint8Array(4) }
    return { ...keys, spi: 0x1234 + i, esn: false, tunnel: 0, endpoint: 0, local: all, remote: all, ...options.sa }
  })
  pair.setEndpoint(0, { remote: PEER, encapsulation: 'udp' })
  const out = sas.map((sa) => pair.installOutbound(sa))
  for (const sa of sas) pair.installInbound({ ...sa, replayWindow: 4096 })
  pair.setTunnel(0, { pathMtu: options.pathMtu ?? 1500, clampMss: true, copyDscp: true, sas: out })
  pair.setGroup(0, [0])
  pair.setRoute(prefix('0.0.0.0/0'), 0)
  pair.setRoute(prefix('::/0'), 0)
  pair.setLanFormat({ header: options.header ?? true, datagrams: options.datagrams ?? true })
  return { pair, sa: sas[0]! }
}

function flights(wire: readonly Pick<WirePacket, 'bytes'>[], most?: number) {
  return runsOf(
    wire.map(({ bytes }) => bytes),
    most,
  ).map((run) => ({ ...run, remote: PEER, tos: 0 }))
}

/** What a LAN without offloads would see of an entry. */
function onTheLan(entry: Uint8Array): Uint8Array[] {
  const header = readVnet(entry)
  const packet = entry.subarray(VNET_HEADER)
  if (header.type === 0) return [packet.slice()]
  const whole = parsed(packet)
  return segments(whole, superHeaders(whole, header)!, header.size)
}

const stream = (version: 4 | 6, length: number, flags = 0x18) =>
  ip(version, tcpSegment(0xffff_ff00, new Random(length).bytes(length), { version, size: 0, flags }), {
    protocol: PROTO_TCP,
    flags: 0x4000,
    ...(version === 4
      ? { source: '10.1.0.5', destination: '10.2.0.9' }
      : { source: 'fd01::5', destination: 'fd02::9' }),
  })

describe('a super-packet', () => {
  it.each([
    [4, 1386],
    [6, 1366],
    [4, 536],
    [6, 1],
  ] as const)('of IPv%i in segments of %i goes through and comes out as it was', (version, size) => {
    for (const length of [size, size + 1, 5 * size, 40 * size, 40 * size - 1]) {
      const { pair } = setUp()
      const sent = superPacketOf(stream(version, length), size)
      const { wire } = pair.sealLarge([sent], 0)
      expect(wire.length).toBe(Math.ceil(length / size))
      const { lan } = pair.openRuns(flights(wire), 0)
      expect(lan.length).toBe(1)
      if (length > size) expect(lan[0]!.subarray(VNET_HEADER)).toEqual(sent.subarray(VNET_HEADER))
      expect(concat(...lan.flatMap(onTheLan))).toEqual(
        concat(...segments(parsed(stream(version, length)), version === 4 ? 40 : 60, size)),
      )
    }
  })

  it('of datagrams goes through and comes out as it was', () => {
    for (const version of [4, 6] as const) {
      const { pair } = setUp()
      const packet = ip(version, udpDatagram(new Random(1).bytes(30 * 1300 + 7)), { protocol: PROTO_UDP })
      const sent = superPacketOf(packet, 1300)
      const { lan } = pair.openRuns(flights(pair.sealLarge([sent], 0).wire), 0)
      expect(lan.map((entry) => entry.subarray(VNET_HEADER))).toEqual([sent.subarray(VNET_HEADER)])
      expect(readVnet(lan[0]!)).toMatchObject({ type: 5, size: 1300 })
    }
  })

  it('of more segments than the outbox holds goes on where it stopped', () => {
    const { pair } = setUp()
    const { wire, calls } = pair.sealLarge(
      [superPacketOf(stream(4, 60_000), 100), superPacketOf(stream(6, 9000), 30)],
      0,
    )
    expect(wire.length).toBe(900)
    expect(calls).toBeGreaterThan(900 / OUTBOX)
    expect(pair.drops().outbox_full).toBe(0)
  })

  it('of TCP is cut finer where the path is narrower; datagrams are not, but as a router would', () => {
    const { pair } = setUp({ pathMtu: 1280 })
    const { wire } = pair.sealLarge([superPacketOf(stream(4, 13_860), 1386)], 0)
    expect(Math.max(...wire.map(({ bytes }) => bytes.length))).toBeLessThanOrEqual(1280 - 28)
    expect(pair.openRuns(flights(wire), 0).lan.length).toBe(1)
    const runs = [0x4000, 0].map((flags) =>
      superPacketOf(ip(4, udpDatagram(new Uint8Array(2800)), { protocol: PROTO_UDP, flags }), 1400),
    )
    const result = pair.sealLarge(runs, 0)
    expect(result.wire.length).toBe(4)
    expect(result.lan.length).toBe(2)
    expect(pair.drops().too_big).toBe(2)
  })

  it('goes on over the next SA where one comes to its limit', () => {
    const { pair } = setUp({ more: 1, sa: { hardPackets: 7 } })
    const { wire } = pair.sealLarge([superPacketOf(stream(4, 13_860), 1386)], 0)
    expect(wire.length).toBe(10)
    expect(new Set(wire.map(({ bytes }) => bytes[3])).size).toBe(2)
    pair.sealLarge([superPacketOf(stream(4, 13_860), 1386)], 0)
    expect(pair.drops().hard_limit).toBe(6)
  })

  it('with a header that does not fit it is dropped and counted', () => {
    const { pair } = setUp()
    const good = stream(4, 3000)
    const wrong = [
      { size: 0 },
      { type: 2 },
      { type: 3 },
      { type: 4 },
      { type: 5 },
      { type: 0x85 },
      { needsChecksum: false },
      { checksumStart: 21 },
      { checksumOffset: 6 },
      { type: 0, checksumStart: 65_535, checksumOffset: 65_535 },
      { type: 0, checksumStart: good.length - 1, checksumOffset: 0 },
    ].map((over) => superPacketOf(good, 1386, over))
    pair.sealLarge([...wrong, new Uint8Array(0), new Uint8Array(9)], 0)
    expect(pair.drops().bad_offload).toBe(13)
    const { lan, wire } = pair.sealLarge([superPacketOf(good, 1386, { type: 0x81 })], 0)
    expect([lan.length, wire.length]).toEqual([0, 3])
  })

  it('that is one packet only has its checksum completed', () => {
    const { pair } = setUp()
    for (const [version, protocol] of [
      [4, PROTO_TCP],
      [6, PROTO_UDP],
    ] as const) {
      for (const length of [0, 1, 15, 16, 31, 500, 1301]) {
        const payload = new Random(length).bytes(length)
        const transport = protocol === PROTO_TCP ? tcpSegment(5, payload, { version, size: 0 }) : udpDatagram(payload)
        const packet = superPacketOf(ip(version, transport, { protocol }), 0, { type: 0 })
        const { lan } = pair.openRuns(flights(pair.sealLarge([packet], 0).wire), 0)
        expect(lan.map((entry) => entry.slice(VNET_HEADER))).toEqual([checked(version, transport, { protocol })])
      }
    }
  })
})

describe('coalescing', () => {
  const opened = (options: Options, packets: readonly Uint8Array[]) => {
    const { pair, sa } = setUp(options)
    const sealed = packets.map((packet, i) => ({
      bytes: sealEsp(sa, BigInt(i + 1), packet[0]! >> 4 === 4 ? 4 : 41, packet),
    }))
    return pair.openRuns(flights(sealed), 0)
  }
  const row = (
    count: number,
    make: (i: number) => Partial<Parameters<typeof tcpSegment>[2]> & { tos?: number; ttl?: number; wrong?: boolean },
  ) =>
    Array.from({ length: count }, (_, i) => {
      const { tos = 2, ttl = 64, wrong, ...shape } = make(i)
      const segment = tcpSegment(1000 + 500 * i, new Random(i).bytes(500), { version: 4, size: 500, ...shape })
      const packet = checked(4, segment, { protocol: PROTO_TCP, tos, ttl, id: i })
      if (wrong) packet[60] = packet[60]! ^ 1
      return packet
    })
  const sizes = (packets: readonly Uint8Array[], options: Options = {}) =>
    opened(options, packets).lan.map((entry) => Math.ceil((entry.length - VNET_HEADER - 40) / 500))

  it('makes one of a row, and stops at PSH, at another mark, another lifetime, another option', () => {
    expect(sizes(row(9, () => ({})))).toEqual([9])
    expect(sizes(row(9, (i) => ({ flags: i === 3 ? 0x18 : 0x10 })))).toEqual([4, 5])
    expect(sizes(row(9, (i) => ({ tos: i === 4 ? 3 : 2 })))).toEqual([4, 1, 4])
    expect(sizes(row(9, (i) => ({ ttl: i < 4 ? 64 : 63 })))).toEqual([4, 5])
    expect(sizes(row(6, (i) => ({ flags: i === 2 ? 0x90 : 0x10 })))).toEqual([2, 1, 3])
    expect(sizes(row(6, (i) => ({ flags: i === 5 ? 0x11 : 0x10 })))).toEqual([5, 1])
    expect(
      sizes(
        row(6, () => ({})),
        { header: false },
      ),
    ).toEqual([1, 1, 1, 1, 1, 1])
  })

  it('repairs no wrong checksum', () => {
    const packets = row(9, (i) => ({ wrong: i === 0 || i === 4 }))
    const { lan } = opened({}, packets)
    expect(lan.map((entry) => entry.length > 600)).toEqual([false, true, false, true])
    expect(concat(...lan.flatMap(onTheLan))).toEqual(concat(...packets))
  })

  it('keeps the order within each flow, and gives way at more than it can follow', () => {
    const flows = COALESCE_FLOWS + 1
    const packets = Array.from({ length: 4 * flows }, (_, i) => {
      const flow = i % flows
      const step = Math.floor(i / flows)
      return checked(6, tcpSegment(step * 9, new Uint8Array(9), { version: 6, size: 9, ports: [flow, 80] }), {
        protocol: PROTO_TCP,
      })
    })
    expect(opened({}, packets).lan.length).toBe(packets.length)
    expect(
      opened(
        {},
        packets.filter((_, i) => i % flows < COALESCE_FLOWS),
      ).lan.length,
    ).toBe(COALESCE_FLOWS)
  })

  it('leaves IKE among the datagrams to the host', () => {
    const { pair, sa } = setUp()
    const esp = sealEsp(sa, 1n, 4, stream(4, 40))
    const ike = new Uint8Array(esp.length)
    const run = { bytes: concat(ike, esp, ike, ike.subarray(0, 40)), segment: esp.length, remote: PEER, tos: 0 }
    const { verdicts } = pair.openRuns([run], 0)
    expect(verdicts).toEqual([VERDICT_IKE, VERDICT_DELIVERED, VERDICT_IKE, VERDICT_IKE])
  })

  it('takes runs of lengths that no kernel gives', () => {
    const { pair, sa } = setUp()
    const run = { bytes: new Uint8Array(1000), segment: 1, remote: PEER, tos: 0 }
    expect(
      pair.openRuns(
        [run, { ...run, segment: 0 }, { ...run, segment: 70_000 }, { ...run, bytes: run.bytes.subarray(0, 0) }],
        0,
      ).verdicts.length,
    ).toBe(OUTBOX + 3)
    expect(pair.drops().oversized).toBe(1)
    expect(pair.openRuns(flights([{ bytes: sealEsp(sa, 1n, 4, stream(4, 40)) }]), 0).verdicts).toEqual([
      VERDICT_DELIVERED,
    ])
  })
})

describe('random traffic', () => {
  it('of any bytes traps nothing, and what is well goes on', () => {
    const random = new Random(50)
    const { pair } = setUp()
    for (let step = 0; step < 40; step++) {
      const bytes = Array.from({ length: 20 }, () => random.bytes(random.between(0, 120)))
      for (const packet of bytes)
        if (packet.length > 20 && random.chance(80)) packet.set([1, random.pick([0, 1, 4, 5])])
      pair.sealLarge([...bytes, random.bytes(VNET_HEADER + 65_535), random.bytes(VNET_HEADER + 65_536)], step)
      const runs = bytes.map((each) => ({ bytes: each, segment: random.below(60), remote: PEER, tos: 3 }))
      pair.openRuns([...runs, { ...runs[0]!, bytes: random.bytes(65_535), segment: random.between(600, 9300) }], step)
    }
    expect(pair.drops()).toMatchObject({ bad_offload: expect.any(Number), oversized: expect.any(Number) })
    expect(pair.drops().bad_offload).toBeGreaterThan(50)
    const { wire } = pair.sealLarge([superPacketOf(stream(4, 20_000), 1000)], 0)
    expect(pair.openRuns(flights(wire), 0).lan.length).toBe(1)
  })

  it.each([1, 2, 3, 4, 5, 6])(
    'of the LAN: both engines agree, and every segment is what the reference cuts (seed %i)',
    (seed) => {
      const random = new Random(seed)
      const { pair } = setUp({
        pathMtu: random.pick([576, 1280, 1500, 9000]),
        datagrams: random.chance(70),
        aes: seed % 2 === 0,
      })
      for (let step = 0; step < 12; step++) {
        const packets = Array.from({ length: random.between(1, 12) }, () => randomSuperPacket(random))
        const sent = packets.map((packet) => (random.chance(20) ? brokenSuperPacket(random, packet) : packet))
        const { wire } = pair.sealLarge(sent, step * 1000)
        pair.openRuns(flights(wire, random.between(1, 60)), step * 1000)
      }
    },
  )

  it.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'of the wire: what comes out, cut apart, is what went in, flow by flow (seed %i)',
    (seed) => {
      const random = new Random(100 + seed)
      const { pair, sa } = setUp({ datagrams: random.chance(70), aes: seed % 2 === 0 })
      let sequence = 0n
      let merged = 0
      for (let step = 0; step < 6; step++) {
        const packets = randomFlows(random, 200)
        const sealed = packets.map((packet) => ({
          bytes: sealEsp(sa, ++sequence, packet[0]! >> 4 === 4 ? 4 : 41, packet),
        }))
        const { lan } = pair.openRuns(flights(sealed, random.between(1, 60)), step)
        merged += packets.length - lan.length
        expect(byFlow(lan.flatMap(onTheLan))).toEqual(byFlow(packets))
      }
      expect(merged).toBeGreaterThan(0)
    },
  )
})

/** The packets of each flow, in their order, clamped as they would be; IPv4 identifications only where they say something. */
function byFlow(packets: readonly Uint8Array[]): Map<string, string[]> {
  const flows = new Map<string, string[]>()
  for (const packet of packets) {
    const { version, payloadAt, bytes } = parsed(packet)
    const copy = bytes.slice()
    if (version === 4 && (copy[6]! & 0x40) !== 0) copy.fill(0, 4, 6).fill(0, 10, 12)
    const key = `${version} ${copy[version === 4 ? 9 : 6]} ${copy.subarray(payloadAt, payloadAt + 4)}`
    flows.set(key, [...(flows.get(key) ?? []), Buffer.from(copy).toString('hex')])
  }
  return flows
}
