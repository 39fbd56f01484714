import { describe, expect, it } from 'vitest'
import { ICMP_PER_SECOND, OUTBOX, VERDICT_CONSUMED, VERDICT_DELIVERED, VERDICT_DROPPED } from './abi.ts'
import { createEngine } from './load.ts'
import type { PacketEngine } from './packet-engine.ts'
import {
  checksum,
  dropped,
  espPacket,
  ipv4,
  ipv6,
  LEFT,
  open,
  RIGHT,
  randomNumbers,
  seal,
  selector,
  setUp,
  transportChecksum,
  udp,
} from './testing/engine-fixture.ts'

const DF = 0x4000
const MF = 0x2000
const INNER_MTU = 1438
const UDP = 17
const PORT_53 = { protocol: UDP, startPort: 53, endPort: 53 }

/** What was sealed, as the other end reads it. */
function through(engine: PacketEngine, packets: readonly Uint8Array[], now = 0): Uint8Array[] {
  return open(
    engine,
    seal(engine, packets, now).wire.map(({ bytes }) => bytes),
    { now },
  ).lan
}

const view = (packet: Uint8Array) => new DataView(packet.buffer, packet.byteOffset, packet.length)
const flagsOf = (packet: Uint8Array) => view(packet).getUint16(6)
const headerOf = (packet: Uint8Array) => (packet[0]! & 15) * 4

/** The data of IPv4 fragments put together, each header checked. */
function joined(fragments: readonly Uint8Array[], limit: number): Uint8Array {
  const sorted = [...fragments].sort((a, b) => (flagsOf(a) & 0x1fff) - (flagsOf(b) & 0x1fff))
  const data: number[] = []
  for (const [i, fragment] of sorted.entries()) {
    expect(fragment.length).toBeLessThanOrEqual(limit)
    expect(view(fragment).getUint16(2)).toBe(fragment.length)
    expect(checksum(fragment.subarray(0, headerOf(fragment)))).toBe(0)
    expect((flagsOf(fragment) & MF) !== 0).toBe(i < sorted.length - 1)
    expect((flagsOf(fragment) & 0x1fff) * 8).toBe(data.length)
    data.push(...fragment.subarray(headerOf(fragment)))
  }
  return Uint8Array.from(data)
}

describe('fragmentation before encryption', () => {
  it.each([INNER_MTU - 27, 2000, 5000, 9000 - 28])('cuts IPv4 with %i data bytes', (size) => {
    const engine = createEngine()
    setUp(engine)
    const whole = ipv4(udp(size), { id: 777 })
    const pieces = through(engine, [whole])
    expect(pieces.length).toBeGreaterThan(1)
    expect(joined(pieces, INNER_MTU)).toEqual(whole.subarray(20))
    expect(new Set(pieces.map((piece) => view(piece).getUint16(4)))).toEqual(new Set([777]))
  })

  it('leaves alone what just fits', () => {
    const engine = createEngine()
    setUp(engine)
    const packet = ipv4(udp(INNER_MTU - 28))
    expect(through(engine, [packet])).toEqual([packet])
  })

  it('copies into later fragments the options that say so', () => {
    const engine = createEngine()
    setUp(engine)
    // NOP, record route (not copied), router alert (copied), end.
    const options = [1, 7, 7, 4, 0, 0, 0, 0, 0x94, 4, 0, 0]
    const whole = ipv4(udp(3000), { options })
    const [first, ...rest] = through(engine, [whole])
    expect([...first!.subarray(20, 32)]).toEqual(options)
    for (const piece of rest) expect([...piece.subarray(20, headerOf(piece))]).toEqual([0x94, 4, 0, 0])
    expect(joined([first!, ...rest], INNER_MTU)).toEqual(whole.subarray(32))
  })

  it('cuts fragments further, and keeps MF on what is not the end', () => {
    const engine = createEngine()
    setUp(engine)
    const middle = ipv4(new Uint8Array(1600).fill(5), { flags: MF | 100 })
    const last = ipv4(new Uint8Array(1600).fill(6), { flags: 300 })
    const flags = through(engine, [middle, last]).map(flagsOf)
    expect(flags).toEqual([MF | 100, MF | (100 + 1416 / 8), MF | 300, 300 + 1416 / 8])
  })
})

describe('too big with DF, or IPv6', () => {
  it('IPv4: fragmentation needed, from the destination to the source', () => {
    const engine = createEngine()
    const { outbound } = setUp(engine)
    const packet = ipv4(udp(1450), { flags: DF })
    const { wire, lan } = seal(engine, [packet])
    expect(wire).toEqual([])
    const [answer] = lan
    expect(answer!.length).toBe(576)
    expect([...answer!.subarray(12, 20)]).toEqual([10, 2, 0, 1, 10, 1, 0, 1])
    expect([answer![9], answer![20], answer![21]]).toEqual([1, 3, 4])
    expect(view(answer!).getUint16(26)).toBe(INNER_MTU)
    expect(answer!.subarray(28)).toEqual(packet.subarray(0, 548))
    expect(checksum(answer!.subarray(0, 20))).toBe(0)
    expect(checksum(answer!.subarray(20))).toBe(0)
    expect(engine.counters(outbound).drops).toEqual({ too_big: 1 })
  })

  it('IPv6: packet too big', () => {
    const engine = createEngine()
    setUp(engine)
    const packet = ipv6(udp(1450))
    const [answer] = seal(engine, [packet]).lan
    expect(answer!.length).toBe(1280)
    expect(answer!.subarray(8, 40)).toEqual(Uint8Array.from([...packet.subarray(24, 40), ...packet.subarray(8, 24)]))
    expect([answer![6], answer![40], answer![41]]).toEqual([58, 2, 0])
    expect(view(answer!).getUint32(44)).toBe(INNER_MTU)
    expect(answer!.subarray(48)).toEqual(packet.subarray(0, 1232))
    expect(transportChecksum(answer!, 40, 58)).toBe(0)
  })

  it('IPv6 always gets its 1280 bytes', () => {
    const engine = createEngine()
    const { outbound } = setUp(engine, { tunnel: { pathMtu: 1000 } })
    expect(engine.innerMtu(outbound)).toBeLessThan(1000)
    const fits = ipv6(udp(1280 - 48))
    expect(through(engine, [fits])).toEqual([fits])
    const [answer] = seal(engine, [ipv6(udp(1281 - 48))]).lan
    expect(view(answer!).getUint32(44)).toBe(1280)
  })

  it.each([
    ['an ICMP error', ipv4(Uint8Array.from([3, 4, ...new Array(1500).fill(0)]), { protocol: 1, flags: DF })],
    ['an ICMPv6 error', ipv6(Uint8Array.from([2, 0, ...new Array(1500).fill(0)]), { nextHeader: 58 })],
    ['a later fragment', ipv4(new Uint8Array(1500), { flags: DF | 10 })],
    ['multicast', ipv4(udp(1500), { destination: '239.1.1.1', flags: DF })],
    ['IPv6 multicast', ipv6(udp(1500), { destination: 'ff0e::1' })],
    ['no source', ipv4(udp(1500), { source: '0.0.0.0', flags: DF })],
  ])('no answer to %s', (_, packet) => {
    const engine = createEngine()
    const everything = [selector('0.0.0.0/0'), selector('::/0')]
    setUp(engine, { outbound: { local: everything, remote: everything } })
    engine.setRoute('0.0.0.0/0' as never, 0)
    engine.setRoute('::/0' as never, 0)
    expect(seal(engine, [packet])).toEqual({ wire: [], lan: [] })
    expect(dropped(engine)).toEqual({ too_big: 1 })
  })

  it('answers pings all the same', () => {
    const engine = createEngine()
    setUp(engine)
    const ping = ipv4(Uint8Array.from([8, 0, ...new Array(1500).fill(0)]), { protocol: 1, flags: DF })
    expect(seal(engine, [ping]).lan.length).toBe(1)
  })

  it('answers only so many per second', () => {
    const engine = createEngine()
    setUp(engine)
    const packets = Array.from({ length: ICMP_PER_SECOND + 30 }, () => ipv4(udp(1450), { flags: DF }))
    expect(seal(engine, packets, 1000).lan.length).toBe(ICMP_PER_SECOND)
    expect(dropped(engine)).toEqual({ too_big: ICMP_PER_SECOND + 30, icmp_rate: 30 })
    expect(seal(engine, packets.slice(0, 60), 1500).lan.length).toBe(50)
  })
})

/** Fragments of an IPv4 packet as a host would send them. */
function split4(packet: Uint8Array, size: number): Uint8Array[] {
  const data = packet.subarray(20)
  const pieces: Uint8Array[] = []
  for (let at = 0; at < data.length; at += size) {
    const more = at + size < data.length ? MF : 0
    pieces.push(ipv4(data.subarray(at, at + size), { flags: more | (at / 8), id: view(packet).getUint16(4) }))
  }
  return pieces
}

function split6(packet: Uint8Array, size: number, id = 99): Uint8Array[] {
  const data = packet.subarray(40)
  const pieces: Uint8Array[] = []
  for (let at = 0; at < data.length; at += size) {
    const more = at + size < data.length ? 1 : 0
    const header = [packet[6]!, 0, at >> 8, (at & 0xf8) | more, 0, 0, 0, id]
    pieces.push(ipv6(Uint8Array.from([...header, ...data.subarray(at, at + size)]), { nextHeader: 44 }))
  }
  return pieces
}

/** An engine whose selectors ask for UDP port 53 on the right. */
function portSite(): ReturnType<typeof createEngine> {
  const engine = createEngine()
  const left = [selector('10.1.0.0/16'), selector('2001:db8:1::/48')]
  const right = [selector('10.2.0.0/16', PORT_53), selector('2001:db8:2::/48', PORT_53)]
  setUp(engine, { outbound: { local: left, remote: right }, inbound: { local: right, remote: left } })
  return engine
}

const espOf = (packets: readonly Uint8Array[]) =>
  packets.map((packet, i) => espPacket(packet, { sequence: BigInt(i + 1) }))

describe('reassembly where selectors ask for ports', () => {
  it('is not done where they do not', () => {
    const engine = createEngine()
    setUp(engine)
    const pieces = split4(ipv4(udp(3000, 1, 53)), 800)
    expect(through(engine, pieces)).toEqual(pieces)
  })

  it.each([4, 6])('LAN to wire: IPv%i comes out cut to the inner MTU', (version) => {
    const engine = portSite()
    const whole = version === 4 ? ipv4(udp(6000, 1, 53)) : ipv6(udp(6000, 1, 53))
    const pieces = version === 4 ? split4(whole, 1600) : split6(whole, 1600)
    pieces.push(pieces.shift()!)
    const { wire } = seal(engine, pieces)
    expect(wire.length).toBe(5)
    const plain = createEngine()
    setUp(plain)
    const out = open(
      plain,
      wire.map(({ bytes }) => bytes),
    ).lan
    const received = open(
      engine,
      wire.map(({ bytes }) => bytes),
    ).lan
    if (version === 4) {
      expect(joined(out, INNER_MTU)).toEqual(whole.subarray(20))
      expect(received).toEqual([whole])
    } else {
      // No router may cut IPv6: towards the LAN it stays as it was cut.
      expect(out).toEqual(split6(whole, (INNER_MTU - 48) & ~7))
      expect(received).toEqual(out)
    }
    expect(dropped(engine)).toEqual({})
  })

  it.each([4, 6])('wire to LAN: IPv%i in any order, when it is whole', (version) => {
    for (let seed = 0; seed < 20; seed++) {
      const engine = portSite()
      const random = randomNumbers(seed)
      const whole = version === 4 ? ipv4(udp(4000 + seed, 1, 53)) : ipv6(udp(4000 + seed, 1, 53))
      const pieces = (version === 4 ? split4(whole, 504) : split6(whole, 504)).sort(() => random(3) - 1)
      const { verdicts, lan } = open(engine, espOf(pieces))
      expect(verdicts).toEqual([...pieces.slice(1).map(() => VERDICT_CONSUMED), VERDICT_DELIVERED])
      expect(lan).toEqual(version === 4 ? [whole] : split6(whole, 504))
    }
  })

  it('gives the largest datagram there is', () => {
    const engine = portSite()
    const whole = ipv4(udp(65535 - 28, 1, 53))
    const { lan } = open(engine, espOf(split4(whole, 1480)))
    expect(lan.length).toBe(1)
    expect(Buffer.compare(lan[0]!, whole)).toBe(0)
  })

  it('refuses a datagram with other ports, when it is whole', () => {
    const engine = portSite()
    const { verdicts } = open(engine, espOf(split4(ipv4(udp(2000, 1, 54)), 1000)))
    expect(verdicts).toEqual([VERDICT_CONSUMED, VERDICT_CONSUMED, VERDICT_DROPPED])
    expect(dropped(engine)).toEqual({ selector_in: 1 })
    seal(engine, split4(ipv4(udp(2000, 1, 54)), 1000))
    expect(dropped(engine)).toEqual({ selector_in: 1, selector_out: 1 })
  })

  it('refuses fragments of other hosts at once', () => {
    const engine = portSite()
    open(engine, espOf([ipv4(new Uint8Array(8), { flags: MF, source: '10.9.0.1' })]))
    expect(dropped(engine)).toEqual({ selector_in: 1 })
  })

  it('keeps datagrams and directions apart', () => {
    const engine = portSite()
    const one = split4(ipv4(udp(1500, 1, 53), { id: 1 }), 800)
    const two = split4(ipv4(udp(1500, 2, 53), { id: 2 }), 800)
    expect(open(engine, espOf([one[0]!, two[1]!])).lan).toEqual([])
    expect(seal(engine, [one[1]!, two[0]!]).wire).toEqual([])
    const rest = [one[1]!, two[0]!].map((packet, i) => espPacket(packet, { sequence: BigInt(10 + i) }))
    expect(open(engine, rest).lan).toEqual([ipv4(udp(1500, 1, 53), { id: 1 }), ipv4(udp(1500, 2, 53), { id: 2 })])
  })

  it.each([
    ['overlap', [MF | 0, 160], [MF | 10, 160]],
    ['an exact repetition', [MF | 0, 80], [MF | 0, 80]],
    ['a fragment behind the end', [20, 80], [MF | 40, 80]],
    ['a second end', [20, 80], [40, 80]],
    ['an end before other data', [MF | 40, 80], [20, 80]],
  ])('gives up a datagram with %s, and what comes of it later', (_, first, second) => {
    const engine = portSite()
    const piece = ([flags, size]: number[]) => ipv4(new Uint8Array(size!), { flags: flags!, id: 5 })
    const later = ipv4(new Uint8Array(800), { flags: MF | 100, id: 5 })
    const { verdicts } = open(engine, espOf([piece(first), piece(second), later]))
    expect(verdicts).toEqual([VERDICT_CONSUMED, VERDICT_DROPPED, VERDICT_DROPPED])
    expect(dropped(engine)).toEqual({ fragment_overlap: 2 })
  })

  it('forgets after the time-out', () => {
    const engine = portSite()
    const pieces = espOf(split4(ipv4(udp(1500, 1, 53)), 800))
    open(engine, [pieces[0]!], { now: 1000 })
    open(engine, [], { now: 2999 })
    expect(dropped(engine)).toEqual({})
    expect(open(engine, [pieces[1]!], { now: 3000 }).lan).toEqual([])
    engine.openBatch(0, 'udp', 9000)
    expect(dropped(engine)).toEqual({ fragment_timeout: 2 })
  })

  it('keeps 64 datagrams of 64 fragments', () => {
    const engine = portSite()
    const tiny = Array.from({ length: 65 }, (_, i) => ipv4(new Uint8Array(8), { flags: MF | i, id: 1 }))
    open(engine, espOf(tiny))
    expect(dropped(engine)).toEqual({ fragment_limit: 1 })
    const many = createEngine()
    const left = [selector('10.1.0.0/16')]
    setUp(many, { inbound: { local: [selector('10.2.0.0/16', PORT_53)], remote: left } })
    const starts = Array.from({ length: 65 }, (_, i) => ipv4(new Uint8Array(8), { flags: MF, id: i }))
    open(many, espOf(starts))
    expect(dropped(many)).toEqual({ fragment_limit: 1 })
    // The oldest gave way: datagram 1 takes its next fragment, datagram 0 its first again, at the cost of 1.
    const next = [ipv4(new Uint8Array(8), { flags: MF | 1, id: 1 }), starts[0]!]
    const more = next.map((packet, i) => espPacket(packet, { sequence: BigInt(100 + i) }))
    expect(open(many, more).verdicts).toEqual([VERDICT_CONSUMED, VERDICT_CONSUMED])
    expect(dropped(many)).toEqual({ fragment_limit: 2 })
  })

  it('refuses what cannot be a fragment', () => {
    const engine = portSite()
    open(
      engine,
      espOf([
        ipv4(new Uint8Array(9), { flags: MF }),
        ipv4(new Uint8Array(0), { flags: 5 }),
        ipv4(new Uint8Array(99), { flags: 0x1fff }),
      ]),
    )
    expect(dropped(engine)).toEqual({ bad_inner: 3 })
    seal(engine, [ipv4(new Uint8Array(9), { flags: MF })])
    expect(dropped(engine)).toEqual({ bad_inner: 3, bad_header: 1 })
  })

  it('merges ECN marks (RFC 3168 section 5.3)', () => {
    const mark = (packets: Uint8Array[], marks: number[]) =>
      packets.map((packet, i) =>
        ipv4(packet.subarray(20), { flags: flagsOf(packet), id: view(packet).getUint16(4), tos: marks[i]! }),
      )
    const pieces = split4(ipv4(udp(1500, 1, 53)), 800)
    const marked = portSite()
    expect(open(marked, espOf(mark(pieces, [2, 3]))).lan).toEqual([ipv4(udp(1500, 1, 53), { tos: 3 })])
    const mixed = portSite()
    expect(open(mixed, espOf(mark(pieces, [0, 3]))).lan).toEqual([])
    expect(dropped(mixed)).toEqual({ ecn: 1 })
  })

  it('waits whole for room in the outbox', () => {
    const engine = portSite()
    // Seven fragments each: one more does not fit.
    const fillers = Math.floor(OUTBOX / 7)
    const filler = ipv4(udp(8900, 1, 53), { id: 9 })
    const whole = ipv4(udp(9000, 1, 53), { id: 10, source: LEFT, destination: RIGHT })
    const { wire } = seal(engine, [...Array.from({ length: fillers }, () => filler), ...split4(whole, 4504)])
    expect(wire.length).toBe(fillers * 7 + 7)
    const { lan } = open(
      engine,
      wire.map(({ bytes }) => bytes),
    )
    expect(lan.at(-1)).toEqual(whole)
    expect(dropped(engine)).toEqual({})
  })

  it('fits an outbox over the narrowest path', () => {
    const engine = portSite()
    engine.setTunnel(0, { pathMtu: 576, clampMss: false, copyDscp: false, sas: [engineOutbound(engine)] })
    expect(seal(engine, split4(ipv4(udp(65000, 1, 53)), 1480)).wire.length).toBeGreaterThan(130)
    expect(dropped(engine)).toEqual({})
  })
})

function engineOutbound(engine: PacketEngine): number {
  return engine.installOutbound({
    suite: 'aes-128-gcm',
    key: new Uint8Array(16),
    salt: new Uint8Array(4),
    spi: 0x3003,
    esn: false,
    tunnel: 0,
    endpoint: 0,
    local: [selector('10.1.0.0/16')],
    remote: [selector('10.2.0.0/16', PORT_53)],
  })
}
