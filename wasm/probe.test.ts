/** Probes within ESP: dummy packets with content, sealed to a size and listed when they come. */
import { describe, expect, it } from 'vitest'
import { address, prefix } from '../protocol/net.ts'
import { MAX_INNER, MAX_PROBES, PROBE_MAGIC, PROBE_PAYLOAD, VERDICT_CONSUMED, VERDICT_DROPPED } from './abi.ts'
import { createNodeEngine } from './engine-node.ts'
import { createEngine } from './load.ts'
import { type Endpoint, EngineError, type OutboundSa, type TrafficSelector } from './packet-engine.ts'
import { concat, setU32 } from './reference/bytes.ts'
import { sealEsp } from './reference/esp.ts'
import { EnginePair } from './testing/differential-pair.ts'

const TUNNEL = 3
/** Selectors have no say in probes: these take nothing that anybody sends. */
const NARROW: TrafficSelector[] = [
  { protocol: 6, startPort: 1, endPort: 1, startAddress: address('192.0.2.9'), endAddress: address('192.0.2.9') },
]

function probe(length: number, size = length): Uint8Array {
  const content = Uint8Array.from({ length: size }, (_, i) => (i < length ? (i * 7) & 0xff : 0))
  setU32(content, 0, PROBE_MAGIC)
  return content
}

function saOf(over: Partial<OutboundSa> = {}): OutboundSa {
  const keys = { suite: 'aes-128-gcm', key: new Uint8Array(16).fill(7), salt: Uint8Array.of(1, 2, 3, 4) } as const
  return { ...keys, spi: 0x1000, esn: true, tunnel: TUNNEL, endpoint: 0, local: NARROW, remote: NARROW, ...over }
}

const arrival = (bytes: Uint8Array, tos = 0) => ({ bytes, remote: { address: address('192.0.2.1'), port: 4500 }, tos })

function setUp(endpoint: Partial<Endpoint> = {}, sa: OutboundSa = saOf()) {
  const pair = new EnginePair(createEngine({ capacity: 'small' }), createNodeEngine())
  pair.setEndpoint(0, { remote: { address: address('192.0.2.1'), port: 4500 }, encapsulation: 'udp', ...endpoint })
  const out = pair.installOutbound(sa)
  const back = pair.installInbound({ ...sa, replayWindow: 1024 })
  pair.setTunnel(TUNNEL, { pathMtu: 1400, clampMss: true, copyDscp: true, sas: [out] })
  return { pair, out, back }
}

describe('a probe', () => {
  it('comes out with its payload and zeros, is counted as a packet without bytes, and goes to no LAN', () => {
    const { pair, out, back } = setUp()
    const { bytes, endpoint, tos } = pair.sealProbe(TUNNEL, probe(40), 700, 5)!
    expect([endpoint, tos]).toEqual([0, 0])
    const { verdicts, lan, probes } = pair.open([arrival(bytes, 0xb9)], 'udp', 6)
    expect(verdicts).toEqual([VERDICT_CONSUMED])
    expect(lan).toEqual([])
    expect(probes).toEqual([{ content: probe(40, 700), tunnel: TUNNEL, tos: 0xb9 }])
    expect(pair.counters(out)).toMatchObject({ packets: 1, bytes: 0, lastAt: 5, drops: {} })
    expect(pair.counters(back)).toMatchObject({ packets: 1, bytes: 0, lastAt: 6, drops: {} })
    expect(pair.events).toEqual([{ type: 'first-packet', sa: back }])
  })

  it.each([
    ['192.0.2.1', 'udp', 28],
    ['192.0.2.1', 'esp', 20],
    ['2001:db8::1', 'udp', 48],
    ['2001:db8::1', 'esp', 40],
  ] as const)('to %s over %s is as long as it is said to be, whatever the path MTU', (host, encapsulation, headers) => {
    const { pair } = setUp({ remote: { address: address(host), port: 4500 }, encapsulation })
    for (const size of [4, 5, 6, 7, 8, 1399, 1400, 1401, 1402, 1500, MAX_INNER - 1, MAX_INNER]) {
      const { bytes } = pair.sealProbe(TUNNEL, probe(4), size, 0)!
      expect(pair.outerLength(TUNNEL, size)).toBe(bytes.length + headers)
      expect(pair.open([arrival(bytes)], encapsulation, 0).probes).toMatchObject([{ content: probe(4, size) }])
    }
    expect(pair.outerLength(TUNNEL, 1400)).toBe(headers + 16 + 1404 + 16)
  })

  it('takes the first SA that is not at its limit', () => {
    const { pair, out } = setUp({}, saOf({ hardPackets: 1 }))
    const second = pair.installOutbound(saOf({ spi: 0x1001, endpoint: 1 }))
    pair.setTunnel(TUNNEL, { pathMtu: 1400, clampMss: true, copyDscp: true, sas: [out, second] })
    expect(pair.sealProbe(TUNNEL, probe(10), 10, 0)).toMatchObject({ endpoint: 0 })
    expect(pair.events).toEqual([{ type: 'hard-limit', sa: out }])
    // The second one's endpoint is not set.
    expect(pair.sealProbe(TUNNEL, probe(10), 10, 0)).toBeUndefined()
    pair.setEndpoint(1, { remote: { address: address('192.0.2.2'), port: 4500 }, encapsulation: 'udp' })
    expect(pair.sealProbe(TUNNEL, probe(10), 10, 0)).toMatchObject({ endpoint: 1 })
  })

  it('has no way where there is no SA', () => {
    const { pair, out } = setUp()
    expect([pair.sealProbe(TUNNEL + 1, probe(10), 10, 0), pair.outerLength(TUNNEL + 1, 10)]).toEqual([
      undefined,
      undefined,
    ])
    pair.removeSa(out)
    expect([pair.sealProbe(TUNNEL, probe(10), 10, 0), pair.outerLength(TUNNEL, 10)]).toEqual([undefined, undefined])
    expect(Object.values(pair.drops()).every((count) => count === 0)).toBe(true)
  })

  it('is as good as no probe to a peer that knows of none', () => {
    const { pair, back } = setUp()
    const dummies = [new Uint8Array(0), probe(3).subarray(0, 3), probe(8).fill(0x49, 0, 1).fill(0, 3, 4)]
    const sealed = dummies.map((content, i) => arrival(sealEsp(saOf(), BigInt(i + 1), 59, content)))
    const { verdicts, probes } = pair.open(sealed, 'udp', 0)
    expect([verdicts, probes]).toEqual([dummies.map(() => VERDICT_CONSUMED), []])
    expect(pair.counters(back).packets).toBe(3)
  })

  it('that is forged or repeated is not listed', () => {
    const { pair } = setUp()
    const { bytes } = pair.sealProbe(TUNNEL, probe(40), 100, 0)!
    const bent = bytes.slice()
    bent[60]! ^= 1
    const { verdicts, probes } = pair.open([arrival(bent), arrival(bytes), arrival(bytes)], 'udp', 0)
    expect(verdicts).toEqual([VERDICT_DROPPED, VERDICT_CONSUMED, VERDICT_DROPPED])
    expect(probes.length).toBe(1)
  })
})

it(`lists ${MAX_PROBES} probes a call and drops the others, also of runs`, () => {
  const { pair, back } = setUp()
  const sealed = Array.from({ length: 80 }, () => pair.sealProbe(TUNNEL, probe(8), 8, 0)!.bytes)
  const run = { bytes: concat(...sealed), segment: sealed[0]!.length, remote: arrival(sealed[0]!).remote, tos: 1 }
  const { verdicts, probes } = pair.openRuns([run], 0)
  expect(probes.length).toBe(MAX_PROBES)
  expect(verdicts.filter((verdict) => verdict === VERDICT_DROPPED).length).toBe(80 - MAX_PROBES)
  expect(pair.counters(back)).toMatchObject({ packets: MAX_PROBES, drops: { outbox_full: 80 - MAX_PROBES } })
})

it('stays listed while answers are sealed, and until the next call that opens', () => {
  for (const engine of [createEngine({ capacity: 'small' }), createNodeEngine()]) {
    engine.setEndpoint(0, { remote: { address: address('192.0.2.1'), port: 4500 }, encapsulation: 'udp' })
    engine.installInbound({ ...saOf(), replayWindow: 64 })
    const out = engine.installOutbound(saOf())
    engine.setTunnel(TUNNEL, { pathMtu: 1400, clampMss: true, copyDscp: true, sas: [out] })
    engine.setGroup(0, [TUNNEL])
    engine.setRoute(prefix('0.0.0.0/0'), 0)
    expect(engine.sealProbe(TUNNEL, probe(20), 60, 0)).toBe(true)
    const sealed = engine.wireTx.packet(0).slice()
    engine.wireRx.slot(0, sealed.length).set(sealed)
    engine.wireRx.length[0] = sealed.length
    engine.openBatch(1, 'udp', 0)
    for (let i = 0; i < 2; i++) {
      expect(engine.probes.count).toBe(1)
      expect(engine.probes.packet(0)).toEqual(probe(20, 60))
      engine.sealProbe(TUNNEL, engine.probes.packet(0).slice(0, 20), 60, 0)
      engine.sealBatch(0, 0, 0)
    }
    engine.openBatch(0, 'udp', 0)
    expect(engine.probes.count).toBe(0)
  }
})

it('refuses what is no probe', () => {
  for (const engine of [createEngine({ capacity: 'small' }), createNodeEngine()]) {
    const bad = [
      [-1, probe(10), 10],
      [16384, probe(10), 10],
      [0, new Uint8Array(10), 10],
      [0, probe(4).subarray(0, 3), 10],
      [0, probe(PROBE_PAYLOAD + 1), 1000],
      [0, probe(10), 9],
      [0, probe(10), MAX_INNER + 1],
      [0, probe(10), 10.5],
    ] as const
    for (const [tunnel, payload, size] of bad)
      expect(() => engine.sealProbe(tunnel, payload, size, 0)).toThrow(EngineError)
  }
})
