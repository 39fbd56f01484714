/** Traffic classes: which packets they are of, and what they do to the order of a group's members. */
import { describe, expect, it } from 'vitest'
import { address, prefix } from '../protocol/net.ts'
import { MAX_CLASS_MATCHES, MAX_CLASSES, MAX_TUNNELS } from './abi.ts'
import { createNodeEngine } from './engine-node.ts'
import { createEngine } from './load.ts'
import { type ClassMatch, EngineError, type TrafficClass } from './packet-engine.ts'
import { PROTO_DCCP, PROTO_SCTP, PROTO_TCP } from './reference/ip.ts'
import type { EnginePair } from './testing/differential-pair.ts'
import { superPacketOf, tcpSegment } from './testing/offload-fixture.ts'
import { fragmentOf, icmp, ip, ipv4, ipv6, optionsHeader, tcp, udp } from './testing/packets.ts'
import { openTunnels, packetOf, pairOfEngines, sctp, tunnelsOf } from './testing/steering-fixture.ts'

const path = (pair: EnginePair, packet: Uint8Array) => tunnelsOf(pair.seal([packet], 0))[0]

function setUp(count = 4) {
  const pair = pairOfEngines()
  return { pair, ...openTunnels(pair, count) }
}

const classOf = (match: ClassMatch, prefer: readonly number[] = [2]): TrafficClass => ({ matches: [match], prefer })
const port = (start: number, end = start) => ({ start, end })

const plain = ipv4(udp(10, 4000, 53), { tos: 0xb8 })
const plain6 = ipv6(udp(10, 4000, 53), { tos: 0xb8 })
const segment = (ports: readonly [number, number]) =>
  ipv4(tcp(0x10, new Uint8Array(0), ...ports), { protocol: PROTO_TCP })

const MATCHES: readonly [string, ClassMatch, Uint8Array, boolean][] = [
  ['anything', {}, plain, true],
  ['anything, IPv6', {}, plain6, true],
  ['a source', { source: prefix('10.1.0.0/24') }, plain, true],
  ['another source', { source: prefix('10.1.1.0/24') }, plain, false],
  ['a host as source', { source: prefix('10.1.0.5/32') }, plain, true],
  ['the host beside it', { source: prefix('10.1.0.4/32') }, plain, false],
  ['every source of the other family', { source: prefix('::/0') }, plain, false],
  ['every source of its family', { source: prefix('0.0.0.0/0') }, plain, true],
  ['a destination', { destination: prefix('10.2.0.8/29') }, plain, true],
  ['another destination', { destination: prefix('10.2.0.0/29') }, plain, false],
  ['every destination of the other family', { destination: prefix('0.0.0.0/0') }, plain6, false],
  ['source and destination', { source: prefix('10.1.0.0/16'), destination: prefix('10.2.0.0/16') }, plain, true],
  ['one of them only', { source: prefix('10.1.0.0/16'), destination: prefix('10.1.0.0/16') }, plain, false],
  ['a long IPv6 prefix', { source: prefix('fd01::4/127'), destination: prefix('fd02::9/128') }, plain6, true],
  ['a long IPv6 prefix beside it', { destination: prefix('fd02::8/128') }, plain6, false],
  ['a short IPv6 prefix', { destination: prefix('fd00::/8') }, plain6, true],
  ['its protocol', { protocol: 17 }, plain, true],
  ['another protocol', { protocol: 6 }, plain, false],
  ['protocol 0', { protocol: 0 }, plain, false],
  ['protocol 0 itself', { protocol: 0 }, ipv4(udp(1), { protocol: 0 }), true],
  [
    'its protocol behind extension headers',
    { protocol: 17 },
    ipv6(udp(1), { firstHeader: 60, extensions: optionsHeader(17) }),
    true,
  ],
  ['its DSCP', { dscp: 46 }, plain, true],
  ['its DSCP, IPv6', { dscp: 46 }, plain6, true],
  ['its DSCP with ECN', { dscp: 46 }, ipv4(udp(1), { tos: 0xbb }), true],
  ['DSCP 0', { dscp: 0 }, plain, false],
  ['a source port', { sourcePorts: port(4000) }, plain, true],
  ['a destination port', { destinationPorts: port(53) }, plain, true],
  ['ports in their ranges', { sourcePorts: port(3999, 4000), destinationPorts: port(53, 54) }, plain, true],
  ['ports the other way round', { sourcePorts: port(53), destinationPorts: port(4000) }, plain, false],
  ['a port below the range', { sourcePorts: port(4001, 65535) }, plain, false],
  ['a port above the range', { destinationPorts: port(0, 52) }, plain, false],
  ['all ports of TCP', { sourcePorts: port(0, 65535) }, segment([1, 2]), true],
  ['a port of TCP', { destinationPorts: port(80) }, segment([1, 80]), true],
  ['a port of SCTP', { destinationPorts: port(80) }, ipv4(sctp(1, 80), { protocol: PROTO_SCTP }), true],
  ['a port of DCCP', { destinationPorts: port(80) }, ipv4(udp(1, 1, 80), { protocol: PROTO_DCCP }), false],
  ['an ICMP type as a port', { sourcePorts: port(0, 65535) }, ipv4(icmp(8, 0), { protocol: 1 }), false],
  ['all ports, where there is none', { sourcePorts: port(0, 65535) }, ipv4(new Uint8Array(3)), false],
  ['ports of another protocol', { protocol: 6, destinationPorts: port(53) }, plain, false],
  [
    'everything at once',
    {
      source: prefix('10.0.0.0/8'),
      destination: prefix('10.2.0.9/32'),
      protocol: 17,
      sourcePorts: port(4000),
      destinationPorts: port(53),
      dscp: 46,
    },
    plain,
    true,
  ],
]

describe('a class', () => {
  it.each(MATCHES)('that matches %s', (_, match, packet, taken) => {
    const { pair } = setUp()
    pair.setClasses([classOf(match)])
    expect(path(pair, packet)).toBe(taken ? 2 : 0)
  })

  it('with several matches takes what any of them matches, and with none nothing', () => {
    const { pair } = setUp()
    pair.setClasses([{ matches: [{ protocol: 6 }, { dscp: 46 }], prefer: [1] }])
    expect([path(pair, plain), path(pair, segment([1, 2])), path(pair, ipv4(udp(1)))]).toEqual([1, 1, 0])
    pair.setClasses([{ matches: [], prefer: [1] }, classOf({})])
    expect(path(pair, plain)).toBe(2)
  })

  it('with ports matches no fragment, and the datagram that is put together here', () => {
    const data = udp(2000, 4000, 53)
    const pieces = [fragmentOf(4, data, 0, 1000), fragmentOf(4, data, 1000, 2008)]
    const { pair } = setUp()
    pair.setClasses([classOf({ destinationPorts: port(53) })])
    expect(tunnelsOf(pair.seal(pieces, 0))).toEqual([0, 0])
    pair.setClasses([classOf({ protocol: 17 })])
    expect(tunnelsOf(pair.seal(pieces, 0))).toEqual([2, 2])
    const other = pairOfEngines()
    const all = { startAddress: address('0.0.0.0'), endAddress: address('255.255.255.255') }
    openTunnels(other, 3, { remote: [{ protocol: 17, startPort: 53, endPort: 53, ...all }] })
    other.setClasses([classOf({ destinationPorts: port(53) })])
    expect(tunnelsOf(other.seal(pieces, 0))).toEqual([2, 2])
  })

  it('takes super-packets whole', () => {
    const { pair } = setUp()
    pair.setClasses([classOf({ protocol: 6, destinationPorts: port(80) })])
    const stream = ip(4, tcpSegment(1, new Uint8Array(5000), { version: 4, size: 0 }), { protocol: PROTO_TCP })
    expect(tunnelsOf(pair.sealLarge([superPacketOf(stream, 1000)], 0))).toEqual([2, 2, 2, 2, 2])
  })
})

describe('what a class prefers', () => {
  it('is decided by the first class that takes the packet', () => {
    const { pair } = setUp()
    pair.setClasses([classOf({ protocol: 6 }, [1]), classOf({ dscp: 46 }, [3]), classOf({}, [2])])
    expect([path(pair, segment([1, 2])), path(pair, plain), path(pair, ipv4(udp(1)))]).toEqual([1, 3, 2])
    pair.setClasses([classOf({ protocol: 17 }, []), classOf({}, [2])])
    expect([path(pair, plain), path(pair, segment([1, 2]))]).toEqual([0, 2])
  })

  it('comes in its order, then the others in theirs', () => {
    const { pair, set } = setUp()
    pair.setClasses([classOf({}, [3, 1])])
    const order: unknown[] = []
    for (let i = 0; i < 4; i++) {
      const tunnel = path(pair, plain)!
      order.push(tunnel)
      set(tunnel, { sas: [] })
    }
    expect(order).toEqual([3, 1, 0, 2])
  })

  it('does not go before what is not down', () => {
    const { pair, set } = setUp()
    pair.setClasses([classOf({}, [3, 1])])
    set(3, { down: true })
    expect(path(pair, plain)).toBe(1)
    set(1, { down: true })
    expect(path(pair, plain)).toBe(0)
    set(0, { down: true })
    set(2, { down: true })
    expect(path(pair, plain)).toBe(3)
  })

  it('has no part in a group that it is no member of', () => {
    const { pair } = setUp()
    pair.setGroup(1, [1, 0])
    pair.setRoute(prefix('10.3.0.0/16'), 1)
    pair.setClasses([classOf({}, [3, MAX_TUNNELS - 1, 0])])
    expect(path(pair, ipv4(udp(1), { destination: '10.3.0.1' }))).toBe(0)
    pair.setClasses([classOf({}, [3, 2])])
    expect(path(pair, ipv4(udp(1), { destination: '10.3.0.1' }))).toBe(1)
  })

  it('goes before the weights, which decide among the others', () => {
    const { pair, set } = setUp()
    pair.setGroup(0, [0, 1, 2, 3], [1, 1, 1, 1])
    const packets = Array.from({ length: 60 }, (_, flow) => packetOf(flow))
    const before = tunnelsOf(pair.seal(packets, 0))
    pair.setClasses([classOf({ protocol: 17 }, [3])])
    expect(new Set(tunnelsOf(pair.seal(packets, 0)))).toEqual(new Set([3]))
    set(3, { down: true })
    const after = tunnelsOf(pair.seal(packets, 0))
    for (const [flow, tunnel] of before.entries()) if (tunnel !== 3) expect(after[flow]).toBe(tunnel)
    expect(new Set(after)).toEqual(new Set([0, 1, 2]))
  })

  it('is another worker’s before it is a later member’s', () => {
    const { pair, set } = setUp()
    pair.setClasses([classOf({}, [2])])
    set(2, { sas: [], handOver: 9 })
    expect(pair.seal([plain], 0)).toMatchObject({ wire: [], handOver: [10] })
  })

  it('is forgotten when others take its place', () => {
    const { pair } = setUp()
    pair.setClasses([classOf({ protocol: 6 }, [1]), classOf({}, [3, 2])])
    pair.setClasses([classOf({ protocol: 6 }, []), classOf({}, [1])])
    expect([path(pair, plain), path(pair, segment([1, 2]))]).toEqual([1, 0])
    pair.setClasses([])
    expect(path(pair, plain)).toBe(0)
  })
})

describe('both engines', () => {
  const engines = () => [createEngine({ capacity: 'small' }), createNodeEngine()]

  it('hold so many classes and matches and no more', () => {
    for (const engine of engines()) {
      openTunnels(engine, 2)
      const last = MAX_CLASSES - 1
      const full = Array.from({ length: MAX_CLASSES }, (_, i) => ({
        matches: Array.from({ length: i === last ? MAX_CLASS_MATCHES - last : 1 }, () => ({ dscp: i })),
        prefer: [i % 2],
      }))
      engine.setClasses(full)
      expect(() => engine.setClasses([...full, { matches: [], prefer: [] }])).toThrow(EngineError)
      const many = Array.from({ length: MAX_CLASS_MATCHES + 1 }, () => ({}))
      expect(() => engine.setClasses([{ matches: many, prefer: [] }])).toThrow(EngineError)
      const packet = ipv4(udp(1), { tos: last << 2 })
      engine.lanRx.slot(0, packet.length).set(packet)
      engine.lanRx.length[0] = packet.length
      engine.sealBatch(0, 1, 0)
      expect(engine.wireTx.endpoint[0]).toBe(last % 2)
    }
  })

  it('refuse classes that cannot be, and keep those that they have', () => {
    const bad: TrafficClass[] = [
      classOf({ protocol: 256 }),
      classOf({ protocol: -1 }),
      classOf({ dscp: 64 }),
      classOf({ dscp: 0.5 }),
      classOf({ sourcePorts: port(5, 4) }),
      classOf({ destinationPorts: port(0, 65536) }),
      classOf({ source: prefix('10.0.0.0/8'), destination: prefix('fd00::/8') }),
      classOf({}, [MAX_TUNNELS]),
      classOf({}, [-1]),
      classOf({}, [1, 2, 1]),
    ]
    const { pair } = setUp()
    pair.setClasses([classOf({}, [3])])
    for (const engine of engines()) {
      for (const item of bad) expect(() => engine.setClasses([classOf({}, [1]), item])).toThrow(EngineError)
    }
    for (const item of bad) expect(() => pair.setClasses([item])).toThrow(EngineError)
    expect(path(pair, plain)).toBe(3)
  })
})
