/** What is another worker's: packets out for which only that one has an SA, datagrams in for its SPIs. */
import { describe, expect, it } from 'vitest'
import { address, prefix } from '../protocol/net.ts'
import { MAX_WORKERS, OUTBOX, VERDICT_DELIVERED, VERDICT_DROPPED, VERDICT_ELSEWHERE, VERDICT_IKE } from './abi.ts'
import { createNodeEngine } from './engine-node.ts'
import { createEngine } from './load.ts'
import { EngineError, type OutboundSa, type TrafficSelector, type Tunnel } from './packet-engine.ts'
import { concat } from './reference/bytes.ts'
import { sealEsp } from './reference/esp.ts'
import { PROTO_TCP } from './reference/ip.ts'
import { GSO_NONE } from './reference/vnet.ts'
import { EnginePair, type SaName } from './testing/differential-pair.ts'
import { superPacketOf, tcpSegment } from './testing/offload-fixture.ts'
import { fragmentOf, ip, ipv4, udp } from './testing/packets.ts'

const PEER = { address: address('192.0.2.1'), port: 4500 }
const SPI = 0x1230

function selectors(over: Partial<TrafficSelector> = {}): TrafficSelector[] {
  const all = { startAddress: address('0.0.0.0'), endAddress: address('255.255.255.255') }
  return [{ protocol: 0, startPort: 0, endPort: 65535, ...all, ...over }]
}

/** Everything goes to group 0, which is tunnel 0 and then tunnel 1. */
function setUp() {
  const pair = new EnginePair(createEngine({ capacity: 'small' }), createNodeEngine())
  pair.setEndpoint(0, { remote: PEER, encapsulation: 'udp' })
  pair.setGroup(0, [0, 1])
  pair.setRoute(prefix('0.0.0.0/0'), 0)
  pair.setLanFormat({ header: true, datagrams: true })
  const setTunnel = (handle: number, over: Partial<Tunnel>) =>
    pair.setTunnel(handle, { pathMtu: 1500, clampMss: true, copyDscp: false, sas: [], ...over })
  return { pair, setTunnel }
}

function saOf(over: Partial<OutboundSa> = {}): OutboundSa {
  const keys = { suite: 'aes-128-gcm', key: new Uint8Array(16).fill(7), salt: Uint8Array.of(1, 2, 3, 4) } as const
  const place = { spi: SPI, esn: false, tunnel: 0, endpoint: 0 }
  return { ...keys, ...place, local: selectors(), remote: selectors(), ...over }
}

function total(pair: EnginePair): number {
  return Object.values(pair.drops()).reduce((sum, count) => sum + count, 0)
}

const packet = ipv4(udp(100))
const stream = (length: number) =>
  ip(4, tcpSegment(1, new Uint8Array(length).fill(5), { version: 4, size: 0 }), { protocol: PROTO_TCP, flags: 0x4000 })

describe('a packet from the LAN', () => {
  it('without an SA here is left to the worker that its tunnel names', () => {
    for (const handOver of [0, 1, MAX_WORKERS - 1]) {
      const { pair, setTunnel } = setUp()
      setTunnel(0, { handOver })
      expect(pair.seal([packet, packet], 0)).toEqual({ wire: [], lan: [], handOver: [handOver + 1, handOver + 1] })
      expect(total(pair)).toBe(0)
      expect(pair.events).toEqual([])
    }
  })

  it('goes out here where there is an SA, among others that do not', () => {
    const { pair, setTunnel } = setUp()
    const udpOnly = pair.installOutbound(saOf({ remote: selectors({ protocol: 17 }) }))
    setTunnel(0, { sas: [udpOnly], handOver: 3 })
    const { wire, handOver } = pair.seal([packet, stream(10), packet, Uint8Array.of(1)], 0)
    expect(wire.length).toBe(2)
    expect(handOver).toEqual([0, 4, 0, 0])
    expect(pair.drops()).toMatchObject({ not_ip: 1, selector_out: 0 })
    expect(total(pair)).toBe(1)
    expect(pair.counters(udpOnly)).toMatchObject({ packets: 2, drops: {} })
  })

  it('out of an inbox is never left again', () => {
    const { pair, setTunnel } = setUp()
    setTunnel(0, { handOver: 3 })
    expect(pair.seal([packet], 0, true).handOver).toEqual([0])
    expect(pair.sealLarge([superPacketOf(stream(5000), 1000)], 0, true).handOver).toEqual([0])
    expect(pair.drops()).toMatchObject({ no_sa: 2 })
    expect(pair.events).toEqual([{ type: 'no-sa', tunnel: 0 }])
    expect(pair.seal([packet], 0).handOver).toEqual([4])
  })

  it('is left when the only SA here has reached its limit', () => {
    const { pair, setTunnel } = setUp()
    const sa = pair.installOutbound(saOf({ hardPackets: 1 }))
    setTunnel(0, { sas: [sa], handOver: 2 })
    expect(pair.seal([packet, packet], 0).handOver).toEqual([0, 3])
    expect(pair.seal([packet], 0, true).handOver).toEqual([0])
    expect(pair.counters(sa).drops).toEqual({ hard_limit: 1 })
  })

  it('goes to the worker of the first tunnel rather than out by a later one', () => {
    const { pair, setTunnel } = setUp()
    const sa = pair.installOutbound(saOf({ tunnel: 1 }))
    setTunnel(0, { handOver: 5 })
    setTunnel(1, { sas: [sa], handOver: 6 })
    expect(pair.seal([packet], 0)).toMatchObject({ wire: [], handOver: [6] })
    expect(pair.seal([packet], 0, true)).toMatchObject({ wire: [{ endpoint: 0 }], handOver: [0] })
    setTunnel(0, {})
    expect(pair.seal([packet], 0)).toMatchObject({ wire: [{ endpoint: 0 }], handOver: [0] })
    setTunnel(0, { handOver: 5 })
    pair.removeSa(sa)
    expect(pair.seal([packet], 0).handOver).toEqual([6])
    setTunnel(0, {})
    expect(pair.seal([packet], 0).handOver).toEqual([7])
    pair.removeTunnel(1)
    expect(pair.seal([packet], 0).handOver).toEqual([0])
    expect(pair.drops()).toMatchObject({ no_sa: 1 })
  })

  it('keeps its TTL, its MSS and its partial checksum, and a super-packet stays whole', () => {
    const { pair, setTunnel } = setUp()
    setTunnel(0, { handOver: 1 })
    const syn = ip(4, tcpSegment(1, new Uint8Array(0), { version: 4, size: 0, flags: 2 }), { protocol: PROTO_TCP })
    const single = superPacketOf(syn, 0, { type: GSO_NONE })
    const super1 = superPacketOf(stream(40_000), 1300)
    // The pair itself compares the slots with what was put there.
    expect(pair.sealLarge([single, super1, single], 0).handOver).toEqual([2, 2, 2])
    expect(total(pair)).toBe(0)
    const sa = pair.installOutbound(saOf())
    setTunnel(0, { sas: [sa] })
    const { wire, handOver } = pair.sealLarge([single, super1, single], 0, true)
    expect(handOver).toEqual([0, 0, 0])
    expect(wire.length).toBe(2 + Math.ceil(40_000 / 1300))
  })
})

describe('what this worker has begun', () => {
  it('of a super-packet it ends, segments beyond the limit of its SA being dropped', () => {
    const { pair, setTunnel } = setUp()
    const sa = pair.installOutbound(saOf({ hardPackets: 3 }))
    setTunnel(0, { sas: [sa], handOver: 2 })
    const { wire, handOver } = pair.sealLarge([superPacketOf(stream(5000), 1000)], 0)
    expect([wire.length, handOver]).toEqual([3, [0]])
    expect(pair.drops()).toMatchObject({ hard_limit: 2 })
  })

  it('and cannot go on with is dropped, not repeated by another worker', () => {
    for (const engine of [createEngine({ capacity: 'small' }), createNodeEngine()]) {
      engine.setEndpoint(0, { remote: PEER, encapsulation: 'udp' })
      engine.setGroup(0, [0])
      engine.setRoute(prefix('0.0.0.0/0'), 0)
      const tunnel = { pathMtu: 1500, clampMss: true, copyDscp: false }
      engine.setTunnel(0, { ...tunnel, sas: [engine.installOutbound(saOf())] })
      const large = superPacketOf(stream(60_000), 300)
      engine.lanLarge.slot(0, large.length).set(large)
      engine.lanLarge.length[0] = large.length
      expect([engine.sealLarge(0, 1, 0), engine.wireTx.count]).toEqual([0, OUTBOX])
      engine.setTunnel(0, { ...tunnel, sas: [], handOver: 1 })
      expect([engine.sealLarge(0, 1, 0), engine.lanLarge.handOver[0]]).toEqual([1, 0])
      expect(engine.drops().no_sa).toBe(1)
      expect([engine.sealLarge(0, 1, 0), engine.lanLarge.handOver[0]]).toEqual([1, 2])
    }
  })

  it('of a datagram in fragments it ends', () => {
    const { pair, setTunnel } = setUp()
    const sa: SaName = pair.installOutbound(saOf({ remote: selectors({ startPort: 53, endPort: 53 }) }))
    setTunnel(0, { sas: [sa], handOver: 1 })
    const data = udp(2000, 4000, 80)
    const pieces = [fragmentOf(4, data, 0, 1000, { id: 1 }), fragmentOf(4, data, 1000, data.length, { id: 1 })]
    expect(pair.seal(pieces, 0)).toEqual({ wire: [], lan: [], handOver: [0, 0] })
    expect(pair.drops()).toMatchObject({ selector_out: 1 })
  })
})

describe('a datagram from the wire', () => {
  const arrival = (bytes: Uint8Array) => ({ bytes, remote: PEER, tos: 0 })
  const espOf = (spi: number) => sealEsp(saOf({ spi }), 1n, 4, packet)
  const elsewhere = (pair: EnginePair, spis: readonly number[]) =>
    pair.open(
      spis.map((spi) => arrival(espOf(spi))),
      'udp',
      0,
    ).elsewhere

  it('for the SPI of another worker is left to it, and neither counted nor told', () => {
    const { pair } = setUp()
    pair.setShare(1, 3)
    expect(elsewhere(pair, [0x1230, 0x1231, 0x1232, 0x1233, 0xffff_fff2])).toEqual([0, undefined, 2, 0, 2])
    expect(pair.drops()).toMatchObject({ unknown_spi: 1 })
    expect(total(pair)).toBe(1)
    expect(pair.events).toMatchObject([{ type: 'unknown-spi', spi: 0x1231 }])
  })

  it('that is nobody’s is worker 0’s, to whom nothing is elsewhere before there are others', () => {
    const { pair } = setUp()
    expect(elsewhere(pair, [0x1230, 0x123f])).toEqual([undefined, undefined])
    pair.setShare(0, 2)
    expect(elsewhere(pair, [0x1230, 0x1231, 0x1232, 0x123f])).toEqual([undefined, 1, undefined, undefined])
    pair.setShare(0, 1)
    expect(elsewhere(pair, [0x1231])).toEqual([undefined])
    expect(pair.drops()).toMatchObject({ unknown_spi: 6 })
  })

  it('opens here whatever its SPI says, when its SA is here', () => {
    const { pair } = setUp()
    pair.setShare(1, 16)
    const { spi, suite, key, salt, esn, tunnel, local, remote } = saOf()
    pair.installInbound({ spi, suite, key, salt, esn, tunnel, local, remote, replayWindow: 64 })
    for (const encapsulation of ['udp', 'esp'] as const) {
      const bytes = sealEsp(saOf(), encapsulation === 'udp' ? 1n : 2n, 4, packet)
      const others = espOf(0x1232)
      const { verdicts, lan } = pair.open([arrival(others), arrival(bytes), arrival(bytes)], encapsulation, 0)
      expect(verdicts).toEqual([VERDICT_ELSEWHERE, VERDICT_DELIVERED, VERDICT_DROPPED])
      expect(lan.length).toBe(1)
    }
  })

  it('in a run with those of others is found', () => {
    const { pair } = setUp()
    pair.setShare(1, 3)
    const bytes = concat(espOf(0x1230), espOf(0x1232), espOf(0x1231), espOf(0x1232))
    const run = { bytes, segment: bytes.length / 4, remote: PEER, tos: 0 }
    expect(pair.openRuns([run], 0).elsewhere).toEqual([0, 2, undefined, 2])
  })

  it('stays as it came, where it is for another worker', () => {
    for (const engine of [createEngine({ capacity: 'small' }), createNodeEngine()]) {
      engine.setShare(1, 2)
      const bytes = espOf(0x1230)
      engine.wireRx.slot(0, bytes.length).set(bytes)
      engine.wireRx.length[0] = bytes.length
      engine.openBatch(1, 'udp', 0)
      expect([engine.wireRx.verdict[0], engine.wireRx.elsewhere[0]]).toEqual([VERDICT_ELSEWHERE, 0])
      expect(engine.wireRx.slot(0, bytes.length)).toEqual(bytes)
    }
  })

  it('of IKE, or too short for ESP, is nobody else’s', () => {
    const { pair } = setUp()
    pair.setShare(1, 2)
    const { verdicts } = pair.open([arrival(new Uint8Array(40)), arrival(espOf(0x1230).subarray(0, 20))], 'udp', 0)
    expect(verdicts).toEqual([VERDICT_IKE, VERDICT_DROPPED])
  })
})

it('both engines refuse workers that cannot be', () => {
  for (const engine of [createEngine({ capacity: 'small' }), createNodeEngine()]) {
    const bad = [
      [0, 0],
      [0, MAX_WORKERS + 1],
      [2, 2],
      [-1, 2],
      [0.5, 2],
      [0, 1.5],
    ] as const
    for (const [worker, workers] of bad) expect(() => engine.setShare(worker, workers)).toThrow(EngineError)
    for (const handOver of [-1, MAX_WORKERS, 1.5, Number.NaN]) {
      const tunnel = { pathMtu: 1500, clampMss: true, copyDscp: false, sas: [], handOver }
      expect(() => engine.setTunnel(0, tunnel)).toThrow(EngineError)
    }
  }
})
