import { describe, expect, it } from 'vitest'
import { address } from '../protocol/net.ts'
import { VERDICT_CONSUMED, VERDICT_DELIVERED, VERDICT_DROPPED } from './abi.ts'
import { createEngine } from './load.ts'
import {
  dropped,
  espPacket,
  ipv4,
  ipv6,
  open,
  seal,
  selector,
  setUp,
  transportChecksum,
  udp,
} from './testing/engine-fixture.ts'

const TCP = 6

/** A TCP segment without data in IPv4 or IPv6, checksum in order. */
function tcp(version: 4 | 6, flags: number, options: readonly number[]): Uint8Array {
  const segment = Buffer.alloc(20 + options.length)
  segment.writeUInt16BE(40000, 0)
  segment.writeUInt16BE(443, 2)
  segment[12] = (segment.length / 4) << 4
  segment[13] = flags
  segment.set(options, 20)
  const header = version === 4 ? 20 : 40
  const packet = version === 4 ? ipv4(segment, { protocol: TCP }) : ipv6(segment, { nextHeader: TCP })
  const sum = transportChecksum(packet, header, TCP)
  packet[header + 16] = sum >> 8
  packet[header + 17] = sum & 0xff
  return packet
}

const MSS_1460 = [2, 4, 0x05, 0xb4]
const SYN = 2
const SYN_ACK = 0x12
const ACK = 0x10

describe('the MSS clamp', () => {
  const engine = createEngine()
  const { outbound } = setUp(engine)
  const both = (packet: Uint8Array) => {
    const [sealed] = seal(engine, [packet]).wire
    const outward = open(engine, [sealed!.bytes]).lan[0]!
    return outward
  }
  const mssAt = (packet: Uint8Array, at: number) => (packet[at]! << 8) | packet[at + 1]!

  it.each([
    [4, SYN, MSS_1460, 2],
    [4, SYN_ACK, MSS_1460, 2],
    [6, SYN, MSS_1460, 2],
    [4, SYN, [1, ...MSS_1460, 1, 1, 1], 3],
    [4, SYN, [1, 1, 1, ...MSS_1460, 0], 5],
    [6, SYN_ACK, [3, 3, 7, ...MSS_1460, 0], 5],
  ] as const)('IPv%i, flags %i, options %j', (version, flags, options, at) => {
    const header = version === 4 ? 20 : 40
    const out = both(tcp(version, flags, options))
    expect(mssAt(out, header + 20 + at)).toBe(engine.innerMtu(outbound) - header - 20)
    expect(transportChecksum(out, header, TCP)).toBe(0)
  })

  it.each([
    ['a segment that is no SYN', ACK, MSS_1460],
    ['a small MSS', SYN, [2, 4, 0x02, 0x18]],
    ['an MSS behind the end of options', SYN, [0, 0, 0, 0, ...MSS_1460]],
    ['an option of length 0', SYN, [5, 0, 0, 0, ...MSS_1460]],
    ['an option that is too long', SYN, [5, 40, 0, 0, ...MSS_1460]],
    ['an MSS of the wrong length', SYN, [2, 3, 0x05, 0xb4]],
  ])('leaves %s alone', (_, flags, options) => {
    const packet = tcp(4, flags, options)
    expect(both(packet)).toEqual(packet)
  })

  it('is for received packets too, and can be switched off', () => {
    const received = createEngine()
    setUp(received)
    const [clamped] = open(received, [espPacket(tcp(4, SYN, MSS_1460))]).lan
    expect(mssAt(clamped!, 42)).toBe(1438 - 40)
    const off = createEngine()
    setUp(off, { tunnel: { clampMss: false } })
    const packet = tcp(4, SYN, MSS_1460)
    expect(open(off, [seal(off, [packet]).wire[0]!.bytes]).lan).toEqual([packet])
  })
})

const NOT_ECT = 0
const ECT_1 = 1
const ECT_0 = 2
const CE = 3

describe('ECN (RFC 6040)', () => {
  it.each([NOT_ECT, ECT_1, ECT_0, CE])('normal mode copies the inner field %i outward', (ecn) => {
    const engine = createEngine()
    setUp(engine)
    const { wire } = seal(engine, [ipv4(udp(4), { tos: 0xb8 | ecn }), ipv6(udp(4), { trafficClass: 0xb8 | ecn })])
    expect(wire.map(({ tos }) => tos)).toEqual([ecn, ecn])
  })

  it('copies the DSCP where asked to', () => {
    const engine = createEngine()
    setUp(engine, { tunnel: { copyDscp: true } })
    const { wire } = seal(engine, [ipv4(udp(4), { tos: 0xba }), ipv6(udp(4), { trafficClass: 0x2d })])
    expect(wire.map(({ tos }) => tos)).toEqual([0xba, 0x2d])
  })

  // Figure 4, whole: inner, then what comes of outer Not-ECT, ECT(0), ECT(1), CE.
  const figure4 = [
    [NOT_ECT, [NOT_ECT, NOT_ECT, NOT_ECT, undefined]],
    [ECT_0, [ECT_0, ECT_0, ECT_1, CE]],
    [ECT_1, [ECT_1, ECT_1, ECT_1, CE]],
    [CE, [CE, CE, CE, CE]],
  ] as const

  it.each(figure4)('decapsulation with inner field %i follows figure 4', (inner, row) => {
    for (const [i, outer] of [NOT_ECT, ECT_0, ECT_1, CE].entries()) {
      const expected = row[i]
      for (const version of [4, 6]) {
        const engine = createEngine()
        const { inbound } = setUp(engine)
        const make = (ecn: number) =>
          version === 4 ? ipv4(udp(9), { tos: 0xb8 | ecn }) : ipv6(udp(9), { trafficClass: 0xb8 | ecn })
        // The outer DSCP must not matter.
        const { lan, verdicts } = open(engine, [{ bytes: espPacket(make(inner)), tos: 0x48 | outer }])
        if (expected === undefined) {
          expect(verdicts).toEqual([VERDICT_DROPPED])
          expect(engine.counters(inbound).drops).toEqual({ ecn: 1 })
        } else {
          // A whole new packet: the IPv4 checksum is that of the new header.
          expect(lan).toEqual([make(expected)])
        }
      }
    }
  })
})

describe('the ESP trailer', () => {
  const receive = (bytes: Uint8Array) => {
    const engine = createEngine()
    setUp(engine)
    const { verdicts, lan } = open(engine, [bytes])
    return { verdict: verdicts[0], lan, drops: dropped(engine) }
  }
  const inner = ipv4(udp(10))

  it('may pad to 255 bytes, in order 1, 2, 3', () => {
    const padding = Uint8Array.from({ length: 254 }, (_, i) => i + 1)
    expect(receive(espPacket(inner, { padding })).lan).toEqual([inner])
    padding[200] = 0
    expect(receive(espPacket(inner, { padding })).drops).toEqual({ bad_padding: 1 })
    expect(receive(espPacket(inner, { padding: new Uint8Array(4) })).drops).toEqual({ bad_padding: 1 })
  })

  it('may not claim more padding than there is', () => {
    expect(receive(espPacket(inner, { padLength: 255 })).drops).toEqual({ bad_padding: 1 })
    expect(receive(espPacket(new Uint8Array(0), { padding: new Uint8Array(0), padLength: 1 })).drops).toEqual({
      bad_padding: 1,
    })
  })

  it('may follow traffic flow confidentiality padding', () => {
    const padded = Uint8Array.from([...inner, ...new Array(300).fill(7)])
    expect(receive(espPacket(padded)).lan).toEqual([inner])
    const padded6 = Uint8Array.from([...ipv6(udp(3)), ...new Array(77).fill(7)])
    expect(receive(espPacket(padded6)).lan).toEqual([ipv6(udp(3))])
  })

  it('marks dummy packets and others', () => {
    expect(receive(espPacket(new Uint8Array(0), { nextHeader: 59 })).verdict).toBe(VERDICT_CONSUMED)
    expect(receive(espPacket(inner, { nextHeader: 6 })).drops).toEqual({ bad_next_header: 1 })
    expect(receive(espPacket(inner, { nextHeader: 41 })).drops).toEqual({ bad_inner: 1 })
    expect(receive(espPacket(ipv6(udp(3)), { nextHeader: 4 })).drops).toEqual({ bad_inner: 1 })
    expect(receive(espPacket(new Uint8Array(0), { nextHeader: 4 })).drops).toEqual({ bad_inner: 1 })
  })

  it('does not make up for an inner packet that is cut short or bent', () => {
    for (const bend of [
      (packet: Uint8Array) => packet.subarray(0, 19),
      (packet: Uint8Array) => packet.subarray(0, packet.length - 1),
      (packet: Uint8Array) => packet.fill(0x44, 0, 1),
      (packet: Uint8Array) => packet.fill(0x4f, 0, 1).subarray(0, 20),
      (packet: Uint8Array) => packet.fill(0, 2, 4),
    ]) {
      expect(receive(espPacket(bend(inner.slice()), { nextHeader: 4 })).drops).toEqual({ bad_inner: 1 })
    }
  })
})

describe('traffic selectors', () => {
  const UDP = 17
  const remote = [
    selector('10.2.0.0/16', { protocol: UDP, startPort: 53, endPort: 60 }),
    selector('10.2.3.0/24', { protocol: 1, startPort: 0x0800, endPort: 0x08ff }),
  ]
  const outcome = (packet: Uint8Array, selectors = remote) => {
    const engine = createEngine()
    const local = [selector('10.1.0.0/16')]
    setUp(engine, { outbound: { local, remote: selectors }, inbound: { local: selectors, remote: local } })
    const sealed = seal(engine, [packet]).wire.length === 1
    const opened = open(engine, [espPacket(packet)]).verdicts[0] === VERDICT_DELIVERED
    const drops = dropped(engine)
    expect(drops).toEqual({ ...(!sealed && { selector_out: 1 }), ...(!opened && { selector_in: 1 }) })
    expect(sealed).toBe(opened)
    return sealed
  }
  const icmp = (type: number, code: number) => Uint8Array.of(type, code, 0, 0, 0, 0, 0, 0)

  it.each([
    ['first port', ipv4(udp(1, 9, 53)), true],
    ['last port', ipv4(udp(1, 9, 60)), true],
    ['port below', ipv4(udp(1, 9, 52)), false],
    ['port above', ipv4(udp(1, 9, 61)), false],
    ['the port on the other side', ipv4(udp(1, 53, 9)), false],
    ['other protocol', ipv4(udp(1, 9, 53), { protocol: TCP }), false],
    ['other source', ipv4(udp(1, 9, 53), { source: '10.3.0.1' }), false],
    ['last address', ipv4(udp(1, 9, 53), { destination: '10.2.255.255' }), true],
    ['echo request', ipv4(icmp(8, 0), { protocol: 1, destination: '10.2.3.4' }), true],
    ['echo reply', ipv4(icmp(0, 0), { protocol: 1, destination: '10.2.3.4' }), false],
    ['echo request elsewhere', ipv4(icmp(8, 0), { protocol: 1, destination: '10.2.4.4' }), false],
    ['no port to see', ipv4(Uint8Array.of(0, 9), { protocol: UDP }), false],
  ])('with ports: %s', (_, packet, expected) => {
    expect(outcome(packet)).toBe(expected)
  })

  it('OPAQUE takes what has no ports', () => {
    const opaque = [selector('10.2.0.0/16', { protocol: UDP, startPort: 65535, endPort: 0 })]
    expect(outcome(ipv4(Uint8Array.of(0, 9), { protocol: UDP }), opaque)).toBe(true)
    expect(outcome(ipv4(udp(1)), opaque)).toBe(false)
  })

  it('find IPv6 ports behind extension headers, within a bound', () => {
    const engine = createEngine()
    const local = [selector('2001:db8:1::/48')]
    const far = [selector('2001:db8:2::/48', { protocol: UDP, startPort: 53, endPort: 53 })]
    setUp(engine, { outbound: { local, remote: far } })
    const chain = (types: readonly number[], last: Uint8Array) => {
      const headers = types.flatMap((_, i) => [types[i + 1] ?? UDP, 0, 1, 4, 0, 0, 0, 0])
      return ipv6(Uint8Array.from([...headers, ...last]), { nextHeader: types[0] ?? UDP })
    }
    const atomic = ipv6(Uint8Array.from([UDP, 0, 0, 0, 1, 2, 3, 4, ...udp(3, 1, 53)]), { nextHeader: 44 })
    const packets = [
      chain([], udp(3, 1, 53)),
      chain([0, 60, 43, 60], udp(3, 1, 53)),
      chain([60], udp(3, 1, 54)),
      atomic,
    ]
    expect(seal(engine, packets).wire.length).toBe(3)
    expect(dropped(engine)).toEqual({ selector_out: 1 })
    const looping = chain(new Array(9).fill(60), udp(3, 1, 53))
    const overlong = ipv6(Uint8Array.of(UDP, 200, 0, 0, 0, 0, 0, 0), { nextHeader: 0 })
    seal(engine, [looping, overlong])
    expect(dropped(engine)).toEqual({ selector_out: 1, bad_header: 2 })
  })

  it('choose among the SAs of a tunnel in order', () => {
    const engine = createEngine()
    const { outbound } = setUp(engine, {
      outbound: { remote: [selector('10.2.0.0/16', { protocol: UDP, startPort: 53, endPort: 53 })] },
    })
    const { outbound: rest } = setUp(engine, { outbound: { spi: 0x2002 }, inbound: { spi: 0x2002 } })
    engine.setTunnel(0, { pathMtu: 1500, clampMss: false, copyDscp: false, sas: [outbound, rest] })
    const { wire } = seal(engine, [ipv4(udp(1, 1, 53)), ipv4(udp(1, 1, 54))])
    expect(wire.map(({ bytes }) => Buffer.from(bytes).readUInt32BE(0))).toEqual([0x1001, 0x2002])
  })

  it('are compared over all 128 bits', () => {
    const range = { startAddress: address('2001:db8:2::1:0:0:5'), endAddress: address('2001:db8:2:1::3') }
    const takes = (destination: string) => {
      const engine = createEngine()
      setUp(engine, { outbound: { remote: [selector('2001:db8:2::/48', range)] } })
      return seal(engine, [ipv6(udp(1), { destination })]).wire.length === 1
    }
    expect(['2001:db8:2::1:0:0:4', '2001:db8:2::1:0:0:5', '2001:db8:2:1::3', '2001:db8:2:1::4'].map(takes)).toEqual([
      false,
      true,
      true,
      false,
    ])
  })
})
