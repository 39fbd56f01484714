/** What no tunnel carries: groups that refuse, destinations without a route, groups without an SA, and the answers. */
import { describe, expect, it } from 'vitest'
import { address, addressBytes, prefix } from '../protocol/net.ts'
import { ICMP_PER_SECOND, MAX_GROUPS } from './abi.ts'
import { createNodeEngine } from './engine-node.ts'
import { createEngine } from './load.ts'
import { EngineError, type RefusalAnswer } from './packet-engine.ts'
import { internetChecksum } from './reference/bytes.ts'
import type { EnginePair } from './testing/differential-pair.ts'
import { superPacketOf, tcpSegment } from './testing/offload-fixture.ts'
import { fragmentOf, icmp, icmpProtocol, ip, ipv4, ipv6, transportChecksum, udp } from './testing/packets.ts'
import { openTunnels, pairOfEngines, tunnelsOf } from './testing/steering-fixture.ts'

const REFUSED = 1
const to = (version: 4 | 6) => ({ destination: version === 4 ? '10.3.0.1' : 'fd03::1' })

/** Everything goes to group 0 and a tunnel, but for two prefixes that lead to a group that refuses. */
function setUp(answer: RefusalAnswer): EnginePair {
  const pair = pairOfEngines()
  openTunnels(pair, 1)
  pair.setRefusal(REFUSED, answer)
  pair.setRoute(prefix('10.3.0.0/16'), REFUSED)
  pair.setRoute(prefix('fd03::/16'), REFUSED)
  return pair
}

function dropsOf(pair: EnginePair): Record<string, number> {
  return Object.fromEntries(Object.entries(pair.drops()).filter(([, count]) => count > 0))
}

/** Type and code of an answer, after its every other field has been looked at. */
function checkAnswer(answer: Uint8Array, packet: Uint8Array): { type: number; code: number } {
  const version = packet[0]! >> 4 === 4 ? 4 : 6
  const [header, size, source, destination] = version === 4 ? [20, 4, 12, 16] : [40, 16, 8, 24]
  const addressAt = (bytes: Uint8Array, at: number) => [...bytes.subarray(at, at + size)]
  expect(addressAt(answer, source)).toEqual(addressAt(packet, destination))
  expect(addressAt(answer, destination)).toEqual(addressAt(packet, source))
  const message = answer.subarray(header)
  if (version === 4) {
    expect([answer[0], answer[1], answer[8], answer[9]]).toEqual([0x45, 0xc0, 64, 1])
    expect(internetChecksum(answer.subarray(0, 20))).toBe(0)
    expect(internetChecksum(message)).toBe(0)
  } else {
    expect([answer[0]! >> 4, answer[6], answer[7]]).toEqual([6, 58, 64])
    expect(transportChecksum(6, answer, 40, 58)).toBe(0)
  }
  expect([...message.subarray(4, 8)]).toEqual([0, 0, 0, 0])
  expect(message.subarray(8)).toEqual(packet.subarray(0, (version === 4 ? 576 : 1280) - header - 8))
  return { type: message[0]!, code: message[1]! }
}

const ANSWERS: readonly [RefusalAnswer, 4 | 6, number, number][] = [
  ['unreachable', 4, 3, 1],
  ['prohibited', 4, 3, 13],
  ['unreachable', 6, 1, 0],
  ['prohibited', 6, 1, 1],
]

describe('a group that refuses', () => {
  it.each(ANSWERS)('with %s answers IPv%i with type %i and code %i', (answer, version, type, code) => {
    for (const size of [0, 100, 2000]) {
      const pair = setUp(answer)
      const packet = ip(version, udp(size), to(version))
      const { wire, lan } = pair.seal([packet], 0)
      expect(wire).toEqual([])
      expect(lan.length).toBe(1)
      expect(checkAnswer(lan[0]!, packet)).toEqual({ type, code })
      expect(dropsOf(pair)).toEqual({ [answer]: 1 })
    }
  })

  it('as a black hole says nothing', () => {
    const pair = setUp('blackhole')
    expect(pair.seal([ip(4, udp(10), to(4)), ip(6, udp(10), to(6))], 0)).toMatchObject({ wire: [], lan: [] })
    expect(dropsOf(pair)).toEqual({ blackhole: 2 })
  })

  it('does not touch what has a longer prefix to a tunnel, and gives way to a tunnel', () => {
    const pair = setUp('prohibited')
    pair.setRoute(prefix('10.3.0.1/32'), 0)
    expect(tunnelsOf(pair.seal([ip(4, udp(10), to(4)), ip(6, udp(10), to(6))], 0))).toEqual([0])
    pair.setGroup(REFUSED, [0])
    expect(tunnelsOf(pair.seal([ip(6, udp(10), to(6))], 0))).toEqual([0])
    pair.setRefusal(REFUSED, 'unreachable')
    pair.setRefusal(REFUSED, 'blackhole')
    pair.seal([ip(6, udp(10), to(6))], 0)
    expect(dropsOf(pair)).toEqual({ prohibited: 1, blackhole: 1 })
  })

  it('refuses whatever is preferred, and when a group with weights becomes one', () => {
    const pair = setUp('prohibited')
    pair.setClasses([{ matches: [{}], prefer: [0] }])
    pair.setGroup(REFUSED, [0], [3])
    pair.setRefusal(REFUSED, 'prohibited')
    expect(pair.seal([ip(4, udp(10), to(4))], 0).wire).toEqual([])
    expect(dropsOf(pair)).toEqual({ prohibited: 1 })
  })

  it('answers a super-packet once, quoting its first bytes', () => {
    const pair = setUp('unreachable')
    const stream = ip(4, tcpSegment(1, new Uint8Array(5000), { version: 4, size: 0 }), { protocol: 6, ...to(4) })
    const large = superPacketOf(stream, 1000)
    const { wire, lan } = pair.sealLarge([large], 0)
    expect([wire.length, lan.length]).toEqual([0, 1])
    expect(checkAnswer(lan[0]!, large.subarray(10))).toEqual({ type: 3, code: 1 })
    expect(dropsOf(pair)).toEqual({ unreachable: 1 })
  })
})

describe('an answer is not sent', () => {
  const UNANSWERED: readonly [string, (version: 4 | 6) => Uint8Array][] = [
    ['about an ICMP error', (v) => ip(v, icmp(v === 4 ? 3 : 1, 1), { protocol: icmpProtocol(v), ...to(v) })],
    ['about a redirect', (v) => ip(v, icmp(v === 4 ? 5 : 137, 0), { protocol: icmpProtocol(v), ...to(v) })],
    ['about ICMP without a type', (v) => ip(v, new Uint8Array(3), { protocol: icmpProtocol(v), ...to(v) })],
    ['about a later fragment', (v) => fragmentOf(v, udp(992), 504, 1000, to(v))],
    ['to a group', (v) => ip(v, udp(1), { source: v === 4 ? '224.0.0.5' : 'ff02::1', ...to(v) })],
    ['to no address', (v) => ip(v, udp(1), { source: v === 4 ? '0.0.0.0' : '::', ...to(v) })],
    ['to this host', (v) => ip(v, udp(1), { source: v === 4 ? '127.0.0.1' : '::1', ...to(v) })],
    ['to all', (v) => ip(v, udp(1), { source: v === 4 ? '255.255.255.255' : 'ff0e::1', ...to(v) })],
    ['about what went to a group', (v) => ip(v, udp(1), { destination: v === 4 ? '239.1.2.3' : 'ff0e::9' })],
  ]

  for (const version of [4, 6] as const) {
    it.each(UNANSWERED)(`%s (IPv${version})`, (_, packetOf) => {
      const pair = setUp('unreachable')
      pair.setRoute(prefix('239.0.0.0/8'), REFUSED)
      pair.setRoute(prefix('ff00::/8'), REFUSED)
      expect(pair.seal([packetOf(version)], 0)).toMatchObject({ wire: [], lan: [] })
      expect(dropsOf(pair)).toEqual({ unreachable: 1 })
    })

    it(`but is about an echo request and a first fragment (IPv${version})`, () => {
      const pair = setUp('unreachable')
      const echo = ip(version, icmp(version === 4 ? 8 : 128, 0), { protocol: icmpProtocol(version), ...to(version) })
      expect(pair.seal([echo, fragmentOf(version, udp(992), 0, 504, to(version))], 0).lan.length).toBe(2)
    })
  }

  it('beyond so many a second, whatever the reason', () => {
    const pair = setUp('unreachable')
    pair.removeRoute(prefix('::/0'))
    const packets = Array.from({ length: ICMP_PER_SECOND }, (_, i) =>
      i % 2 === 0 ? ip(4, udp(1), to(4)) : ipv6(udp(1)),
    )
    expect(pair.seal([...packets, ...packets], 1000).lan.length).toBe(ICMP_PER_SECOND)
    expect(dropsOf(pair)).toEqual({ unreachable: 100, no_route: 100, icmp_rate: 100 })
    expect(pair.seal(packets, 1500).lan.length).toBe(ICMP_PER_SECOND / 2)
  })
})

describe('a packet that nothing carries', () => {
  it('for want of a route is answered', () => {
    const pair = pairOfEngines()
    const packets = [ipv4(udp(1)), ipv6(udp(1))]
    const { lan } = pair.seal(packets, 0)
    expect(lan.map((answer, i) => checkAnswer(answer, packets[i]!))).toEqual([
      { type: 3, code: 1 },
      { type: 1, code: 0 },
    ])
    const stream = ip(6, tcpSegment(1, new Uint8Array(5000), { version: 6, size: 0 }), { protocol: 6 })
    expect(pair.sealLarge([superPacketOf(stream, 1000)], 0).lan.length).toBe(1)
    expect(dropsOf(pair)).toEqual({ no_route: 3 })
  })

  it('for want of an SA is answered, and asked for one', () => {
    const pair = pairOfEngines()
    const { set } = openTunnels(pair, 2)
    set(0, { sas: [] })
    set(1, { sas: [] })
    const packet = ipv4(udp(1))
    const { lan } = pair.seal([packet, packet], 0)
    expect(lan.map((answer) => checkAnswer(answer, packet))).toEqual([
      { type: 3, code: 1 },
      { type: 3, code: 1 },
    ])
    expect(dropsOf(pair)).toEqual({ no_sa: 2 })
    expect(pair.events).toEqual([{ type: 'no-sa', tunnel: 0 }])
    pair.setGroup(0, [])
    expect(pair.seal([packet], 0).lan.length).toBe(1)
    expect(dropsOf(pair)).toEqual({ no_sa: 3 })
  })

  it('for another worker to carry is not answered here', () => {
    const pair = pairOfEngines()
    openTunnels(pair, 1).set(0, { sas: [], handOver: 1 })
    expect(pair.seal([ipv4(udp(1))], 0)).toEqual({ wire: [], lan: [], handOver: [2] })
    expect(pair.seal([ipv4(udp(1))], 0, true).lan.length).toBe(1)
  })

  it('because no selector takes it, or its SA is at its limit, is counted and not answered', () => {
    const pair = pairOfEngines()
    const narrow = { startAddress: address('10.9.0.0'), endAddress: address('10.9.0.255') }
    const tunnels = openTunnels(pair, 1, { local: [{ protocol: 0, startPort: 0, endPort: 65535, ...narrow }] })
    expect(pair.seal([ipv4(udp(1))], 0)).toMatchObject({ wire: [], lan: [] })
    expect(dropsOf(pair)).toEqual({ selector_out: 1 })
    expect(tunnels.sas.length).toBe(1)
  })

  it('is answered from where it was to go, whatever addresses are our own', () => {
    const pair = setUp('unreachable')
    pair.setOwnAddresses([address('10.1.0.1'), address('fd01::1')])
    const packets = [ip(4, udp(1), to(4)), ip(6, udp(1), to(6))]
    const { lan } = pair.seal(packets, 0)
    expect(lan[0]!.subarray(12, 16)).toEqual(addressBytes(address('10.3.0.1')))
    expect(lan[1]!.subarray(8, 24)).toEqual(addressBytes(address('fd03::1')))
  })
})

it('both engines refuse refusals that cannot be', () => {
  for (const engine of [createEngine({ capacity: 'small' }), createNodeEngine()]) {
    expect(() => engine.setRefusal(MAX_GROUPS, 'blackhole')).toThrow(EngineError)
    expect(() => engine.setRefusal(-1, 'blackhole')).toThrow(EngineError)
    for (const answer of ['', 'toString', 'drop']) {
      expect(() => engine.setRefusal(0, answer as RefusalAnswer)).toThrow(EngineError)
    }
  }
})
