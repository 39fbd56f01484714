/** Groups whose members have weights: which flow goes where, and what moves when a member leaves. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { address } from '../protocol/net.ts'
import { MAX_GROUP_MEMBERS } from './abi.ts'
import { createNodeEngine } from './engine-node.ts'
import { createEngine } from './load.ts'
import { EngineError, type PacketEngine } from './packet-engine.ts'
import { PROTO_DCCP, PROTO_SCTP, PROTO_TCP } from './reference/ip.ts'
import { EnginePair } from './testing/differential-pair.ts'
import { seal } from './testing/engine-fixture.ts'
import { superPacketOf, tcpSegment } from './testing/offload-fixture.ts'
import { fragmentOf, icmp, icmpProtocol, ip, tcp, udp } from './testing/packets.ts'
import { openTunnels, packetOf, pairOfEngines, sctp, tunnelsOf } from './testing/steering-fixture.ts'

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i)

/** The tunnel of each of `count` flows. */
function flowsOf(engine: PacketEngine, count: number, version: 4 | 6 = 4): number[] {
  return seal(
    engine,
    numbers(count).map((flow) => packetOf(flow, version)),
  ).wire.map(({ endpoint }) => endpoint)
}

describe('flows of a group with weights', () => {
  const cases = [[1, 1], [3, 1], [255, 1], [1, 2, 4, 8], [10, 10, 80], numbers(MAX_GROUP_MEMBERS).map((i) => i + 1)]
  for (const version of [4, 6] as const) {
    it.each(cases)(`take their shares (IPv${version}) %#`, (...weights) => {
      const engine = createEngine({ capacity: 'small' })
      openTunnels(engine, weights.length)
      engine.setGroup(0, numbers(weights.length), weights)
      const count = 16_000
      const taken = flowsOf(engine, count, version)
      expect(taken.length).toBe(count)
      const sum = weights.reduce((total, weight) => total + weight)
      for (const [tunnel, weight] of weights.entries()) {
        const share = taken.filter((endpoint) => endpoint === tunnel).length / count
        const deviation = Math.sqrt(((weight / sum) * (1 - weight / sum)) / count)
        expect(Math.abs(share - weight / sum)).toBeLessThan(4 * deviation + 0.001)
      }
    })
  }

  it('stay where they are whatever their packets are like, in whatever order the members are named', () => {
    const pair = pairOfEngines()
    openTunnels(pair, 4)
    pair.setGroup(0, [0, 1, 2, 3], [1, 2, 3, 4])
    const alike = numbers(30).map((flow) => [
      packetOf(flow, 4, 10),
      packetOf(flow, 4, 1300),
      ip(4, udp(5, 40_000 + (flow & 15), 443), {
        source: `10.1.0.${flow >> 4}`,
        destination: '10.2.0.9',
        tos: 0xb8,
        ttl: flow + 2,
        id: flow,
        options: Uint8Array.of(1, 1, 1, 0),
      }),
    ])
    const before = alike.map((packets) => tunnelsOf(pair.seal(packets, 0)))
    for (const taken of before) expect(new Set(taken).size).toBe(1)
    expect(new Set(before.flat()).size).toBe(4)
    pair.setGroup(0, [3, 1, 0, 2], [4, 2, 1, 3])
    expect(alike.map((packets) => tunnelsOf(pair.seal(packets, 0)))).toEqual(before)
  })

  it('are told apart by the ports of TCP, UDP and SCTP, and by nothing of other protocols', () => {
    const pair = pairOfEngines()
    openTunnels(pair, 4)
    pair.setGroup(0, [0, 1, 2, 3], [1, 1, 1, 1])
    const spread = (packets: Uint8Array[]) => new Set(tunnelsOf(pair.seal(packets, 0))).size
    for (const version of [4, 6] as const) {
      const ports = numbers(40).map((i) => 1000 + i)
      const protocol = icmpProtocol(version)
      expect(spread(ports.map((port) => ip(version, udp(1, port, 9))))).toBe(4)
      expect(spread(ports.map((port) => ip(version, udp(1, 9, port))))).toBe(4)
      expect(spread(ports.map((port) => ip(version, tcp(2, new Uint8Array(0), port), { protocol: PROTO_TCP })))).toBe(4)
      expect(spread(ports.map((port) => ip(version, sctp(port, 9), { protocol: PROTO_SCTP })))).toBe(4)
      expect(spread(ports.map((port) => ip(version, udp(1, port, 9), { protocol: PROTO_DCCP })))).toBe(1)
      expect(spread(ports.map((port) => ip(version, icmp(port & 7, 0), { protocol })))).toBe(1)
    }
  })

  it('of fragments are those of their addresses and protocol, so that a datagram stays together', () => {
    const pair = pairOfEngines()
    openTunnels(pair, 4)
    pair.setGroup(0, [0, 1, 2, 3], [1, 1, 1, 1])
    const taken = new Set<number>()
    for (let flow = 0; flow < 40; flow++) {
      const version = flow % 2 === 0 ? 4 : 6
      const fields = version === 4 ? { source: `10.1.0.${flow}` } : { source: `fd01::${flow}` }
      const pieces = [6000, 7000].flatMap((port) => {
        const data = udp(2000, port, 53)
        return [fragmentOf(version, data, 0, 1000, fields), fragmentOf(version, data, 1000, 2008, fields)]
      })
      const tunnels = new Set(tunnelsOf(pair.seal(pieces, 0)))
      expect(tunnels.size).toBe(1)
      for (const tunnel of tunnels) taken.add(tunnel)
    }
    expect(taken.size).toBe(4)
  })

  it('of datagrams that are put together here are those of whole ones', () => {
    const pair = pairOfEngines()
    const port53 = { protocol: 17, startPort: 53, endPort: 53 }
    const all = { startAddress: address('0.0.0.0'), endAddress: address('255.255.255.255') }
    openTunnels(pair, 4, { remote: [{ ...port53, ...all }] })
    pair.setGroup(0, [0, 1, 2, 3], [1, 1, 1, 1])
    const taken = new Set<number>()
    for (let port = 6000; port < 6030; port++) {
      const data = udp(1200, port, 53)
      const pieces = [fragmentOf(4, data, 0, 800, { id: port }), fragmentOf(4, data, 800, 1208, { id: port })]
      const [whole] = tunnelsOf(pair.seal([ip(4, data)], 0))
      expect(tunnelsOf(pair.seal(pieces, 0))).toEqual([whole])
      taken.add(whole!)
    }
    expect(taken.size).toBe(4)
  })

  it('are those of their segments where they come as super-packets', () => {
    const pair = pairOfEngines()
    openTunnels(pair, 4)
    pair.setGroup(0, [0, 1, 2, 3], [1, 1, 1, 1])
    const taken = new Set<number>()
    for (let port = 1000; port < 1030; port++) {
      const stream = (length: number) =>
        ip(4, tcpSegment(1, new Uint8Array(length), { version: 4, size: 0, ports: [port, 80] }), { protocol: 6 })
      const [single] = tunnelsOf(pair.seal([stream(100)], 0))
      const tunnels = new Set(tunnelsOf(pair.sealLarge([superPacketOf(stream(6000), 1000)], 0)))
      expect([...tunnels]).toEqual([single])
      taken.add(single!)
    }
    expect(taken.size).toBe(4)
  })

  it('go elsewhere with another seed, and in all engines of one seed to the same member', () => {
    const seeded = (seed: number | undefined) => {
      const engine = createEngine({ capacity: 'small' })
      openTunnels(engine, 2)
      engine.setGroup(0, [0, 1], [1, 1])
      if (seed !== undefined) engine.setFlowSeed(seed)
      return flowsOf(engine, 1000)
    }
    const first = seeded(0xffff_fffe)
    expect(seeded(0xffff_fffe)).toEqual(first)
    expect(seeded(0)).toEqual(seeded(undefined))
    const same = seeded(7).filter((tunnel, flow) => tunnel === first[flow]).length
    expect(Math.abs(same - 500)).toBeLessThan(80)
  })
})

describe('a member of a group with weights', () => {
  const LEAVING: readonly [string, (engine: PacketEngine, tunnels: ReturnType<typeof openTunnels>) => void][] = [
    ['is down', (_, { set }) => set(1, { down: true })],
    ['has no SA', (_, { set }) => set(1, { sas: [] })],
    ['loses its SA', (engine, { sas }) => engine.removeSa(sas[1]!)],
    ['is removed', (engine) => engine.removeTunnel(1)],
    ['is no member any more', (engine) => engine.setGroup(0, [0, 2, 3], [1, 3, 4])],
  ]

  it.each(LEAVING)('that %s takes along its own flows only, by the weights of the others', (_, leave) => {
    const engine = createEngine({ capacity: 'small' })
    const tunnels = openTunnels(engine, 4)
    engine.setGroup(0, [0, 1, 2, 3], [1, 2, 3, 4])
    const before = flowsOf(engine, 10_000)
    leave(engine, tunnels)
    const after = flowsOf(engine, 10_000)
    expect(after).not.toContain(1)
    const moved = before.flatMap((tunnel, flow) => (tunnel === after[flow] ? [] : [{ from: tunnel, to: after[flow]! }]))
    expect(moved.length).toBe(before.filter((tunnel) => tunnel === 1).length)
    expect(moved.every(({ from }) => from === 1)).toBe(true)
    for (const [to, share] of [
      [0, 1 / 8],
      [2, 3 / 8],
      [3, 4 / 8],
    ] as const) {
      expect(moved.filter((move) => move.to === to).length / moved.length).toBeCloseTo(share, 1)
    }
  })

  it('that is back has its flows again', () => {
    const engine = createEngine({ capacity: 'small' })
    const tunnels = openTunnels(engine, 3)
    engine.setGroup(0, [0, 1, 2], [5, 9, 2])
    const before = flowsOf(engine, 3000)
    tunnels.set(1, { down: true })
    expect(flowsOf(engine, 3000)).not.toEqual(before)
    tunnels.set(1)
    expect(flowsOf(engine, 3000)).toEqual(before)
  })

  it('whose weight grows takes flows from the others and gives none away', () => {
    const engine = createEngine({ capacity: 'small' })
    openTunnels(engine, 3)
    engine.setGroup(0, [0, 1, 2], [5, 5, 5])
    const before = flowsOf(engine, 5000)
    engine.setGroup(0, [0, 1, 2], [5, 10, 5])
    const after = flowsOf(engine, 5000)
    const moved = after.filter((tunnel, flow) => tunnel !== before[flow])
    expect(moved.length / 5000).toBeCloseTo(1 / 6, 1)
    expect(moved.every((tunnel) => tunnel === 1)).toBe(true)
  })

  it('without an SA here is handed over where it is another worker’s, the flows of the others are not', () => {
    const pair = pairOfEngines()
    const tunnels = openTunnels(pair, 3)
    pair.setGroup(0, [0, 1, 2], [1, 1, 1])
    const packets = numbers(60).map((flow) => packetOf(flow))
    const before = tunnelsOf(pair.seal(packets, 0))
    tunnels.set(1, { sas: [], handOver: 5 })
    const { handOver } = pair.seal(packets, 0)
    expect(handOver).toEqual(before.map((tunnel) => (tunnel === 1 ? 6 : 0)))
  })
})

it('any members of any weights: who leaves moves its own flows, and both engines agree', () => {
  const weights = fc.array(fc.integer({ min: 1, max: 255 }), { minLength: 2, maxLength: 6 })
  fc.assert(
    fc.property(weights, fc.nat(), fc.integer({ min: 0, max: 0xffff_ffff }), fc.boolean(), (all, pick, seed, six) => {
      const pair = pairOfEngines()
      const tunnels = openTunnels(pair, all.length)
      pair.setFlowSeed(seed)
      pair.setGroup(0, numbers(all.length), all)
      const packets = numbers(60).map((flow) => packetOf(flow * 7, six ? 6 : 4))
      const before = tunnelsOf(pair.seal(packets, 0))
      const leaving = pick % all.length
      tunnels.set(leaving, { down: true })
      const after = tunnelsOf(pair.seal(packets, 0))
      for (const [flow, tunnel] of after.entries()) {
        expect(tunnel === leaving).toBe(false)
        if (before[flow] !== leaving) expect(tunnel).toBe(before[flow])
      }
    }),
    { numRuns: 25, seed: 6 },
  )
})

it('both engines refuse weights and seeds that cannot be, and change nothing', () => {
  for (const engine of [createEngine({ capacity: 'small' }), createNodeEngine()]) {
    openTunnels(engine, 2)
    for (const weights of [[1], [1, 2, 3], [0, 1], [1, 256], [1.5, 1], [Number.NaN, 1]]) {
      expect(() => engine.setGroup(0, [0, 1], weights)).toThrow(EngineError)
    }
    for (const seed of [-1, 2 ** 32, 0.5]) expect(() => engine.setFlowSeed(seed)).toThrow(EngineError)
    expect(new Set(flowsOf(engine, 40))).toEqual(new Set([0]))
  }
})

describe('members that are down', () => {
  it('are passed over while another takes the packet, and used where none does', () => {
    const pair = pairOfEngines()
    const { set } = openTunnels(pair, 3)
    const path = () => tunnelsOf(pair.seal([packetOf(1)], 0))
    set(0, { down: true })
    expect(path()).toEqual([1])
    set(1, { down: true })
    expect(path()).toEqual([2])
    set(2, { down: true })
    expect(path()).toEqual([0])
    set(0, { down: true, sas: [] })
    expect(path()).toEqual([1])
    set(1, { down: false })
    expect(path()).toEqual([1])
    set(0)
    expect(path()).toEqual([0])
  })

  it('carry what the others do not take', () => {
    const pair = pairOfEngines()
    const { set } = openTunnels(pair, 2)
    set(0, { down: true })
    set(1, { sas: [] })
    expect(tunnelsOf(pair.seal([packetOf(1), packetOf(2)], 0))).toEqual([0, 0])
    pair.removeTunnel(1)
    expect(tunnelsOf(pair.seal([packetOf(1)], 0))).toEqual([0])
  })

  it('are another worker’s only where no member that is not down carries the packet', () => {
    const pair = pairOfEngines()
    const { set } = openTunnels(pair, 2)
    set(0, { down: true, sas: [], handOver: 4 })
    expect(pair.seal([packetOf(1)], 0)).toMatchObject({ wire: [{ endpoint: 1 }], handOver: [0] })
    set(1, { sas: [], handOver: 7 })
    expect(pair.seal([packetOf(1)], 0)).toMatchObject({ wire: [], handOver: [8] })
    set(1, { sas: [] })
    expect(pair.seal([packetOf(1)], 0)).toMatchObject({ wire: [], handOver: [5] })
  })

  it('are asked for an SA last', () => {
    const pair = new EnginePair(createEngine({ capacity: 'small' }), createNodeEngine())
    const { set } = openTunnels(pair, 2)
    set(0, { down: true, sas: [] })
    set(1, { sas: [] })
    pair.seal([packetOf(1)], 0)
    expect(pair.events).toEqual([{ type: 'no-sa', tunnel: 1 }])
  })
})
