/** The source of what comes by a tunnel, held against the routes (RFC 3704). */
import { describe, expect, it } from 'vitest'
import { prefix } from '../protocol/net.ts'
import { VERDICT_DELIVERED, VERDICT_DROPPED } from './abi.ts'
import { createNodeEngine } from './engine-node.ts'
import { createEngine } from './load.ts'
import { EngineError, type ReversePath } from './packet-engine.ts'
import { A, B, C, Hub } from './testing/hub-fixture.ts'
import { ip, udp } from './testing/packets.ts'

const PASSES = VERDICT_DELIVERED
const FAILS = VERDICT_DROPPED

/** Sources of the sites behind A, B and C, and one that no prefix covers. */
const SOURCES = {
  4: ['10.1.0.5', '10.2.0.5', '10.3.0.5', '203.0.113.1'],
  6: ['fd01::5', 'fd02::5', 'fd03::5', '2001:db8::1'],
}

describe.each([4, 6] as const)('of IPv%i', (version) => {
  const home = version === 4 ? '10.77.0.1' : 'fd77::1'
  const from = (source: string) => ip(version, udp(10), { source, destination: home })

  it.each([
    ['off', [PASSES, PASSES, PASSES, PASSES], 0],
    ['loose', [PASSES, PASSES, PASSES, FAILS], 2],
    ['strict', [PASSES, FAILS, FAILS, FAILS], 0],
  ] as const)('%s', (reversePath, verdicts, asymmetric) => {
    const hub = new Hub()
    hub.tunnel(A, { reversePath })
    expect(hub.arrive(A, SOURCES[version].map(from)).verdicts).toEqual(verdicts)
    const failed = verdicts.filter((verdict) => verdict === FAILS).length
    expect(hub.dropped()).toEqual(failed === 0 ? {} : { reverse_path: failed })
    expect(hub.pair.counters(hub.inbound[A]!).drops).toEqual(hub.dropped())
    expect(hub.pair.tunnelCounters(A)).toEqual({ transit: 0, asymmetric })
    // Others have a check of their own.
    expect(hub.arrive(B, [from(SOURCES[version][A]!)]).verdicts).toEqual([PASSES])
  })

  it('the longest prefix of the source counts, with any member of its group', () => {
    const hub = new Hub()
    hub.tunnel(A, { reversePath: 'strict' })
    const [, ofB] = SOURCES[version]
    const narrow = version === 4 ? '10.2.0.0/24' : 'fd02::/64'
    hub.route(narrow, 7, [C, A])
    expect(hub.arrive(A, [from(ofB!)]).verdicts).toEqual([PASSES])
    hub.route(narrow, 7, [C])
    expect(hub.arrive(A, [from(ofB!)]).verdicts).toEqual([FAILS])
    hub.pair.removeRoute(prefix(narrow))
    hub.route(version === 4 ? '0.0.0.0/0' : '::/0', 8, [A])
    expect(hub.arrive(A, [from(SOURCES[version][3]!), from(ofB!)]).verdicts).toEqual([PASSES, FAILS])
  })

  it('a source of our own network, or one that is refused, comes by no tunnel', () => {
    for (const reversePath of ['loose', 'strict'] as const) {
      const hub = new Hub()
      hub.tunnel(A, { reversePath })
      hub.route(version === 4 ? '10.77.0.0/16' : 'fd77::/16', 7, [])
      hub.pair.setRefusal(8, 'blackhole')
      hub.pair.setRoute(prefix(version === 4 ? '10.78.0.0/16' : 'fd78::/16'), 8)
      const refused = version === 4 ? '10.78.0.1' : 'fd78::1'
      expect(hub.arrive(A, [from(home), from(refused)]).verdicts).toEqual([FAILS, FAILS])
    }
  })

  it('is asked before a packet goes on by another tunnel', () => {
    const hub = new Hub()
    hub.tunnel(A, { reversePath: 'strict' })
    const spoofed = ip(version, udp(10), { source: SOURCES[version][B]!, destination: SOURCES[version][C]! })
    const { sentOn, verdicts } = hub.arrive(A, [spoofed])
    expect([sentOn, verdicts]).toEqual([[], [FAILS]])
  })
})

it('both engines refuse a check that there is not', () => {
  for (const engine of [createEngine({ capacity: 'small' }), createNodeEngine()]) {
    for (const reversePath of ['feasible', '', 'constructor'] as unknown as ReversePath[]) {
      const tunnel = { pathMtu: 1500, clampMss: true, copyDscp: false, sas: [], reversePath }
      expect(() => engine.setTunnel(0, tunnel)).toThrow(EngineError)
    }
    expect(() => engine.tunnelCounters(-1)).toThrow(EngineError)
    expect(() => engine.tunnelCounters(16384)).toThrow(EngineError)
    expect(engine.tunnelCounters(3)).toEqual({ transit: 0, asymmetric: 0 })
  }
})

it('counters of a tunnel outlive a change of it, and end with it', () => {
  const hub = new Hub()
  hub.tunnel(A, { reversePath: 'loose' })
  const packet = ip(4, udp(10), { source: '10.2.0.5', destination: '10.77.0.1' })
  hub.arrive(A, [packet])
  hub.tunnel(A, { pathMtu: 1400 })
  expect(hub.pair.tunnelCounters(A).asymmetric).toBe(1)
  hub.pair.removeTunnel(A)
  expect(hub.pair.tunnelCounters(A).asymmetric).toBe(0)
  hub.tunnel(A, {})
  expect(hub.pair.tunnelCounters(A).asymmetric).toBe(0)
})
