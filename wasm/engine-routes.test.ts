import { describe, expect, it } from 'vitest'
import { address, formatAddress, type Prefix, prefix, prefixContains } from '../protocol/net.ts'
import { blockOf } from '../protocol/prefix-block.ts'
import { SMALL_ROUTES } from './abi.ts'
import { createEngine } from './load.ts'
import { EngineError } from './packet-engine.ts'
import {
  dropped,
  events,
  ipv4,
  ipv6,
  KEYS,
  randomNumbers,
  seal,
  selector,
  setUp,
  udp,
} from './testing/engine-fixture.ts'

/** Longest prefix match by trying all. */
class LinearTable {
  readonly routes = new Map<Prefix, number>()

  lookup(destination: ReturnType<typeof address>): number | undefined {
    let best: number | undefined
    let longest = -1
    for (const [route, group] of this.routes) {
      const bits = Number(route.slice(route.indexOf('/') + 1))
      if (bits > longest && prefixContains(route, destination)) {
        best = group
        longest = bits
      }
    }
    return best
  }
}

/** Few distinct values in each byte, so that prefixes nest and branch. */
function randomBytes(random: (below: number) => number, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => [0, 0, 1, 0x80, 0xff, 0xfe][random(6)]!)
}

describe('the forwarding table', () => {
  it.each([1, 2, 3, 4])('finds, replaces and removes as a list does (seed %i)', (seed) => {
    const engine = createEngine()
    const model = new LinearTable()
    const random = randomNumbers(seed)
    const someAddress = () => formatAddress(randomBytes(random, random(2) === 0 ? 4 : 16))
    for (let step = 0; step < 1500; step++) {
      const target = someAddress()
      const bits = target.includes(':') ? 128 : 32
      const route = prefix(`${target}/${random(4) === 0 ? bits : random(bits + 1)}`)
      if (random(5) < 3) {
        const group = random(1024)
        engine.setRoute(route, group)
        model.routes.set(route, group)
      } else {
        const known = [...model.routes.keys()]
        const victim = random(4) > 0 && known.length > 0 ? known[random(known.length)]! : route
        engine.removeRoute(victim)
        model.routes.delete(victim)
      }
      for (let probe = 0; probe < 3; probe++) {
        const destination = probe === 0 ? target : someAddress()
        expect(engine.lookupRoute(destination), destination).toBe(model.lookup(destination))
      }
    }
    expect(model.routes.size).toBeGreaterThan(100)
    for (const route of model.routes.keys()) engine.removeRoute(route)
    for (let probe = 0; probe < 100; probe++) expect(engine.lookupRoute(someAddress())).toBeUndefined()
  })

  it('tells the default route, a host and its neighbours apart', () => {
    const engine = createEngine()
    const routes = [
      '0.0.0.0/0',
      '10.0.0.0/8',
      '10.0.0.0/31',
      '10.0.0.1/32',
      '::/0',
      '2001:db8::/64',
      '2001:db8::/65',
      '2001:db8::/128',
    ]
    for (const [group, route] of routes.entries()) engine.setRoute(prefix(route), group)
    const found = [
      '9.9.9.9',
      '10.9.9.9',
      '10.0.0.0',
      '10.0.0.1',
      '::1',
      '2001:db8::8000:0:0:0',
      '2001:db8::1',
      '2001:db8::',
    ]
    expect(found.map((text) => engine.lookupRoute(address(text)))).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
    engine.removeRoute(prefix('10.0.0.0/8'))
    expect(engine.lookupRoute(address('10.9.9.9'))).toBe(0)
    expect(engine.lookupRoute(address('10.0.0.1'))).toBe(3)
  })

  it('takes and gives up whole blocks as it does single prefixes', () => {
    const engine = createEngine({ capacity: 'small' })
    const four = ['0.0.0.0/0', '10.0.0.0/8', '10.1.2.0/24', '10.1.2.3/32'].map(prefix)
    const six = ['2001:db8::/32', '2001:db8::1/128'].map(prefix)
    engine.setRoutes(blockOf(4, four), 3)
    engine.setRoutes(blockOf(6, six), 4)
    engine.setRoute(prefix('10.1.0.0/16'), 5)
    const found = () =>
      ['192.0.2.1', '10.9.9.9', '10.1.9.9', '10.1.2.3', '2001:db8::1', '2001:db8::2', '2001::1'].map((text) => {
        return engine.lookupRoute(address(text))
      })
    expect(found()).toEqual([3, 3, 5, 3, 4, 4, undefined])
    engine.removeRoutes(blockOf(4, four.slice(1)))
    engine.removeRoutes(blockOf(6, six.slice(1)))
    expect(found()).toEqual([3, 3, 5, 5, 4, 4, undefined])
    const many = Array.from({ length: SMALL_ROUTES }, (_, i) => prefix(`10.${i >> 8}.${i & 255}.0/32`))
    expect(() => engine.setRoutes(blockOf(4, many), 6)).toThrow(EngineError)
    expect(engine.lookupRoute(address('10.0.0.0'))).toBe(6)
    expect(() => engine.setRoutes(blockOf(4, four), -1)).toThrow(EngineError)
  })

  it('holds so many prefixes, no more, and all of them again after removal', () => {
    const engine = createEngine({ capacity: 'small' })
    const route = (i: number, round: number) => prefix(`10.${i >> 8}.${i & 255}.${round}/32`)
    for (let round = 1; round < 3; round++) {
      for (let i = 0; i < SMALL_ROUTES; i++) engine.setRoute(route(i, round), i & 1023)
      expect(() => engine.setRoute(prefix('192.0.2.0/24'), 1)).toThrow(EngineError)
      expect(() => engine.setRoute(prefix('10.0.0.0/16'), 1)).toThrow(EngineError)
      engine.setRoute(route(7, round), 9)
      expect(engine.lookupRoute(address(`10.0.7.${round}`))).toBe(9)
      expect(engine.lookupRoute(address(`10.63.255.${round}`))).toBe(1023)
      for (let i = 0; i < SMALL_ROUTES; i++) engine.removeRoute(route(i, round))
      expect(engine.lookupRoute(address(`10.0.7.${round}`))).toBeUndefined()
    }
  })
})

describe('next-hop groups', () => {
  const packet = ipv4(udp(10))
  const spiOf = (sealed: { bytes: Uint8Array }) => Buffer.from(sealed.bytes).readUInt32BE(0)

  /** Two tunnels in one group, the second on endpoint 1. */
  function twoTunnels() {
    const engine = createEngine()
    const { outbound: first } = setUp(engine)
    engine.setEndpoint(1, { remote: { address: address('198.51.100.1'), port: 500 }, encapsulation: 'esp' })
    const sides = { local: [selector('10.1.0.0/16')], remote: [selector('10.2.0.0/16')] }
    const second = engine.installOutbound({ ...KEYS, spi: 0x2002, esn: false, tunnel: 1, endpoint: 1, ...sides })
    engine.setTunnel(1, { pathMtu: 1500, clampMss: false, copyDscp: false, sas: [second] })
    engine.setGroup(0, [0, 1])
    return { engine, first, second }
  }

  it('use the first tunnel that has an SA', () => {
    const { engine, first, second } = twoTunnels()
    const [sealed] = seal(engine, [packet]).wire
    expect([spiOf(sealed!), sealed!.endpoint]).toEqual([0x1001, 0])
    engine.removeSa(first)
    const [other] = seal(engine, [packet]).wire
    expect([spiOf(other!), other!.endpoint]).toEqual([0x2002, 1])
    engine.removeSa(second)
    expect(seal(engine, [packet]).wire).toEqual([])
    expect(dropped(engine)).toEqual({ no_sa: 1 })
  })

  it('use the next tunnel where the first does not take the packet', () => {
    const { engine } = twoTunnels()
    engine.setTunnel(0, { pathMtu: 1500, clampMss: false, copyDscp: false, sas: [] })
    expect(spiOf(seal(engine, [packet]).wire[0]!)).toBe(0x2002)
    expect(seal(engine, [ipv6(udp(1))]).wire).toEqual([])
    expect(dropped(engine)).toEqual({ selector_out: 1 })
    expect(events(engine)).toEqual([])
  })

  it('ask for an SA once a second and tunnel', () => {
    const engine = createEngine()
    const { outbound } = setUp(engine)
    engine.removeSa(outbound)
    const count = (now: number) => {
      seal(engine, [packet, packet], now)
      return events(engine)
    }
    expect(count(0)).toEqual([{ type: 'no-sa', tunnel: 0 }])
    expect(count(999)).toEqual([])
    expect(count(1000)).toEqual([{ type: 'no-sa', tunnel: 0 }])
    expect(dropped(engine)).toEqual({ no_sa: 6 })
  })

  it('without a tunnel, and destinations without a route, lead nowhere', () => {
    const engine = createEngine()
    setUp(engine)
    engine.removeTunnel(0)
    seal(engine, [packet, ipv4(udp(1), { destination: '192.0.2.1' })])
    expect(dropped(engine)).toEqual({ no_sa: 1, no_route: 1 })
    expect(events(engine)).toEqual([])
  })

  it('change over to a new SA at once', () => {
    const engine = createEngine()
    const { outbound } = setUp(engine)
    const replaced = setUp(engine, { outbound: { spi: 0x3003 }, inbound: { spi: 0x3003 } })
    expect(spiOf(seal(engine, [packet]).wire[0]!)).toBe(0x3003)
    engine.removeSa(outbound)
    expect(spiOf(seal(engine, [packet]).wire[0]!)).toBe(0x3003)
    expect(engine.counters(replaced.outbound).packets).toBe(2)
  })
})
