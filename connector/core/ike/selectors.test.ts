import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { address, addressBytes, formatAddress, prefix } from '../../../protocol/net.ts'
import {
  acceptNarrowed,
  isSubset,
  MAX_SELECTORS,
  narrow,
  type SelectorPair,
  selectorFromWire,
  selectorOfPrefix,
  selectorPayloads,
  selectorText,
  selectorToWire,
} from './selectors.ts'
import type { TrafficSelector } from './types.ts'
import type { WireTrafficSelector } from './wire/types.ts'

const net = (text: string, limits: Partial<TrafficSelector> = {}): TrafficSelector => ({
  ...selectorOfPrefix(prefix(text)),
  ...limits,
})
const offer = (tsi: TrafficSelector[], tsr: TrafficSelector[]) => ({
  tsi: tsi.map(selectorToWire),
  tsr: tsr.map(selectorToWire),
})
const port = (startPort: number, endPort = startPort) => ({ startPort, endPort })

describe('on the wire', () => {
  test('IPv4 and IPv6 ranges', () => {
    expect(selectorToWire(net('10.8.1.0/24'))).toEqual({
      tsType: 7,
      protocol: 0,
      startPort: 0,
      endPort: 65535,
      startAddress: Uint8Array.of(10, 8, 1, 0),
      endAddress: Uint8Array.of(10, 8, 1, 255),
    })
    const v6 = net('2001:db8::/32', { protocol: 6, ...port(443) })
    expect(selectorToWire(v6)).toMatchObject({ tsType: 8, protocol: 6, startPort: 443 })
    expect(selectorFromWire(selectorToWire(v6))).toEqual(v6)
  })

  test('what matches no packet is skipped', () => {
    const good = selectorToWire(net('10.8.1.0/24'))
    const bad: WireTrafficSelector[] = [
      { ...good, tsType: 9, startAddress: new Uint8Array(0), endAddress: new Uint8Array(0) },
      { ...good, tsType: 8 },
      { ...good, startPort: 65535, endPort: 0 },
      { ...good, startAddress: good.endAddress, endAddress: good.startAddress },
    ]
    for (const selector of bad) expect(selectorFromWire(selector)).toBeUndefined()
    const ours = { local: [net('10.8.1.0/24')], remote: [net('10.8.2.0/24')] }
    const peer = [selectorToWire(net('10.8.2.0/24'))]
    expect(narrow({ tsi: peer, tsr: [...bad, good] }, ours, 'responder')?.local).toEqual(ours.local)
    expect(narrow({ tsi: peer, tsr: bad }, ours, 'responder')).toBeUndefined()
  })

  test('payloads by role', () => {
    const pair: SelectorPair = { local: [net('10.8.1.0/24')], remote: [net('10.8.2.0/24')] }
    const [tsi, tsr] = selectorPayloads(pair, 'initiator')
    expect([tsi.type, tsr.type]).toEqual(['TSi', 'TSr'])
    expect(tsi.selectors).toEqual(pair.local.map(selectorToWire))
    expect(selectorPayloads(pair, 'responder')[0].selectors).toEqual(pair.remote.map(selectorToWire))
  })
})

describe('narrowing', () => {
  const ours = { local: [net('10.8.1.0/24'), net('10.8.3.0/24')], remote: [net('10.8.2.0/24')] }

  test('the same on both sides stays', () => {
    const result = narrow(offer(ours.remote as TrafficSelector[], ours.local as TrafficSelector[]), ours, 'responder')
    expect(result).toEqual(ours)
  })

  test('everything offered narrows to our policy', () => {
    const all = net('0.0.0.0/0')
    expect(narrow(offer([all], [all]), ours, 'responder')).toEqual(ours)
    expect(narrow(offer([all], [all]), ours, 'initiator')).toEqual(ours)
  })

  test('the triggering packet comes first and is swallowed by the range around it', () => {
    const packet = net('10.8.1.7/32', { protocol: 6, ...port(443) })
    const result = narrow(offer([net('10.8.2.0/24')], [packet, net('0.0.0.0/0')]), ours, 'responder')
    expect(result?.local).toEqual([net('10.8.1.0/24'), net('10.8.3.0/24')])
    const alone = narrow(offer([net('10.8.2.0/24')], [packet, net('10.8.3.9/32')]), ours, 'responder')
    expect(alone?.local).toEqual([packet, net('10.8.3.9/32')])
  })

  test('the triggering packet survives the limit on selectors', () => {
    const packet = net('10.8.1.7/32')
    const many = Array.from({ length: 40 }, (_, i) => net(`10.8.1.${100 + 2 * i}/32`))
    const result = narrow(offer([net('10.8.2.0/24')], [packet, ...many]), ours, 'responder')
    expect(result?.local).toHaveLength(MAX_SELECTORS)
    expect(result?.local[0]).toEqual(packet)
  })

  test('protocols and ports', () => {
    const web = { local: [net('10.8.1.0/24', { protocol: 6, ...port(80, 443) })], remote: [net('10.8.2.0/24')] }
    const tcp = net('10.8.1.0/25', { protocol: 6, ...port(400, 500) })
    const result = narrow(offer([net('10.8.2.0/24')], [tcp]), web, 'responder')
    expect(result?.local).toEqual([net('10.8.1.0/25', { protocol: 6, ...port(400, 443) })])
    const udp = net('10.8.1.0/24', { protocol: 17 })
    expect(narrow(offer([net('10.8.2.0/24')], [udp]), web, 'responder')).toBeUndefined()
  })

  test('sides that no packet could join are unacceptable', () => {
    const mixed = { local: [net('10.8.1.0/24'), net('2001:db8:1::/48')], remote: [net('2001:db8:2::/48')] }
    const all = [net('0.0.0.0/0'), net('::/0')]
    expect(narrow(offer(all, all), mixed, 'responder')).toEqual({ local: [mixed.local[1]], remote: mixed.remote })
    expect(narrow(offer([net('::/0')], [net('0.0.0.0/0')]), mixed, 'responder')).toBeUndefined()
    const tcp = net('10.8.1.0/24', { protocol: 6 })
    const udp = net('10.8.2.0/24', { protocol: 17 })
    expect(narrow(offer([udp], [tcp]), ours, 'responder')).toBeUndefined()
  })

  test('nothing in common, or nothing offered', () => {
    expect(narrow(offer([net('10.9.0.0/16')], [net('10.8.1.0/24')]), ours, 'responder')).toBeUndefined()
    expect(narrow({ tsi: [], tsr: [] }, ours, 'responder')).toBeUndefined()
  })
})

describe("the responder's answer", () => {
  const ours = { local: [net('10.8.1.0/24')], remote: [net('10.8.2.0/24'), net('10.8.4.0/24')] }

  test('a subset is accepted as it is', () => {
    const answer = offer([net('10.8.1.0/25')], [net('10.8.4.0/24')])
    expect(acceptNarrowed(answer, ours)).toEqual({ local: [net('10.8.1.0/25')], remote: [net('10.8.4.0/24')] })
  })

  test('more than was offered, nothing, and unknown types are refused', () => {
    expect(acceptNarrowed(offer([net('10.8.0.0/16')], [net('10.8.2.0/24')]), ours)).toBeUndefined()
    expect(acceptNarrowed(offer([net('10.8.1.0/24')], [net('10.8.2.0/24'), net('10.8.3.0/24')]), ours)).toBeUndefined()
    expect(acceptNarrowed(offer([], [net('10.8.2.0/24')]), ours)).toBeUndefined()
    const odd = { ...selectorToWire(net('10.8.2.0/24')), tsType: 9 }
    const { tsi } = offer([net('10.8.1.0/24')], [])
    expect(acceptNarrowed({ tsi, tsr: [odd] }, ours)).toBeUndefined()
  })
})

describe('properties', () => {
  /** A small universe, so that overlaps and gaps both happen. */
  const family = fc.constantFrom('10.0.0.', '2001:db8::')
  const selector = fc
    .record({
      family,
      addresses: fc.tuple(fc.nat(9), fc.nat(9)),
      ports: fc.oneof(fc.constant([0, 65535] as const), fc.tuple(fc.nat(9), fc.nat(9))),
      protocol: fc.constantFrom(0, 0, 6, 17),
    })
    .map(({ family, addresses, ports, protocol }): TrafficSelector => {
      const [startPort, endPort] = ports[0] <= ports[1] ? ports : [ports[1], ports[0]]
      const [first, last] = [Math.min(...addresses), Math.max(...addresses)]
      const startAddress = address(`${family}${first}`)
      return {
        protocol,
        startPort: startPort!,
        endPort: endPort!,
        startAddress,
        endAddress: address(`${family}${last}`),
      }
    })
  const side = fc.array(selector, { maxLength: 4 })
  const pair = fc.record({ local: side, remote: side })
  const role = fc.constantFrom('initiator' as const, 'responder' as const)

  test('the result is a subset of both sides and narrowing it again changes nothing', () => {
    fc.assert(
      fc.property(side, side, pair, role, (tsi, tsr, ours, role) => {
        const result = narrow(offer(tsi, tsr), ours, role)
        if (result === undefined) return
        const [mine, theirs] = role === 'initiator' ? [tsi, tsr] : [tsr, tsi]
        expect(isSubset(result.local, ours.local) && isSubset(result.local, mine)).toBe(true)
        expect(isSubset(result.remote, ours.remote) && isSubset(result.remote, theirs)).toBe(true)
        const [again, back] = selectorPayloads(result, role)
        expect(narrow({ tsi: again.selectors, tsr: back.selectors }, ours, role)).toEqual(result)
        expect(narrow({ tsi: again.selectors, tsr: back.selectors }, result, role)).toEqual(result)
      }),
      { numRuns: 500 },
    )
  })

  test('a packet passes the result exactly when it passes both sides', () => {
    const packet = fc.record({ family, from: fc.nat(9), to: fc.nat(9), ports: fc.tuple(fc.nat(9), fc.nat(9)) })
    const protocol = fc.constantFrom(6, 17)
    fc.assert(
      fc.property(side, side, pair, packet, protocol, (tsi, tsr, ours, { family, from, to, ports }, protocol) => {
        const hit = (selectors: readonly TrafficSelector[], host: number, at: number) =>
          selectors.some((it) => matches(it, protocol, `${family}${host}`, at))
        const result = narrow(offer(tsi, tsr), ours, 'initiator')
        const local = hit(tsi, from, ports[0]) && hit(ours.local, from, ports[0])
        const remote = hit(tsr, to, ports[1]) && hit(ours.remote, to, ports[1])
        const passes = result !== undefined && hit(result.local, from, ports[0]) && hit(result.remote, to, ports[1])
        expect(passes).toBe(local && remote)
      }),
      { numRuns: 2000 },
    )
  })

  function matches(it: TrafficSelector, protocol: number, host: string, at: number): boolean {
    const inOrder = (left: string, right: string) =>
      left.includes(':') === right.includes(':') &&
      Buffer.compare(addressBytes(address(left)), addressBytes(address(right))) <= 0
    if (it.protocol !== 0 && it.protocol !== protocol) return false
    return inOrder(it.startAddress, host) && inOrder(host, it.endAddress) && it.startPort <= at && at <= it.endPort
  }

  test('any wire selector is read or skipped without a throw', () => {
    const bytes = fc.uint8Array({ maxLength: 17 })
    const u16 = fc.nat(65535)
    const wire = fc.record({
      tsType: fc.constantFrom(6, 7, 8, 9),
      protocol: fc.nat(255),
      startPort: u16,
      endPort: u16,
      startAddress: bytes,
      endAddress: bytes,
    })
    const ours = { local: [net('0.0.0.0/0'), net('::/0')], remote: [net('0.0.0.0/0'), net('::/0')] }
    fc.assert(
      fc.property(fc.array(wire), fc.array(wire), (tsi, tsr) => {
        const result = narrow({ tsi, tsr }, ours, 'responder')
        for (const it of result?.local ?? []) expect(it.startAddress).toBe(formatAddress(addressBytes(it.startAddress)))
      }),
    )
  })
})

test.each([
  [net('10.0.0.0/24'), '10.0.0.0/24'],
  [net('10.0.0.1/32'), '10.0.0.1/32'],
  [net('0.0.0.0/0'), '0.0.0.0/0'],
  [net('2001:db8::/64', { protocol: 58 }), '2001:db8::/64[icmpv6]'],
  [net('10.0.0.1/32', { protocol: 6, ...port(443) }), '10.0.0.1/32[tcp/443]'],
  [net('10.0.0.0/8', { protocol: 132, ...port(1000, 2000) }), '10.0.0.0/8[132/1000-2000]'],
  [net('10.0.0.1/32', { endAddress: address('10.0.0.9') }), '10.0.0.1-10.0.0.9'],
  [net('10.0.0.1/32', { endAddress: address('10.0.0.2') }), '10.0.0.1-10.0.0.2'],
])('%o reads %s', (selector, expected) => {
  expect(selectorText(selector)).toBe(expected)
})
