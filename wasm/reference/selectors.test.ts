import { describe, expect, it } from 'vitest'
import { address } from '../../protocol/net.ts'
import { EngineError, type TrafficSelector } from '../packet-engine.ts'
import { fragmentOf, icmp, ipv4, ipv6, udp } from '../testing/packets.ts'
import { type IpPacket, parseIp } from './ip.ts'
import { compileSelectors, matchPacket, type SelectorPair } from './selectors.ts'

function selector(range: string, fields: Partial<TrafficSelector> = {}): TrafficSelector {
  const [start, end] = range.split('-')
  const addresses = { startAddress: address(start!), endAddress: address(end ?? start!) }
  return { protocol: 0, startPort: 0, endPort: 65535, ...addresses, ...fields }
}

function pair(source: readonly TrafficSelector[], destination: readonly TrafficSelector[]): SelectorPair {
  return { source: compileSelectors(source), destination: compileSelectors(destination) }
}

function match(selectors: SelectorPair, bytes: Uint8Array) {
  return matchPacket(selectors, parseIp(bytes) as IpPacket)
}

const NEAR = selector('10.1.0.0-10.1.255.255')
const FAR = selector('10.2.0.0-10.2.255.255')
const http = { protocol: 6, startPort: 80, endPort: 80 }

describe('addresses', () => {
  it('are inclusive ranges, each side for itself', () => {
    const one = pair([selector('10.1.0.5-10.1.0.6')], [selector('10.2.0.9')])
    expect(match(one, ipv4(udp(1)))).toBe('yes')
    expect(match(one, ipv4(udp(1), { source: '10.1.0.6' }))).toBe('yes')
    expect(match(one, ipv4(udp(1), { source: '10.1.0.7' }))).toBe('no')
    expect(match(one, ipv4(udp(1), { source: '10.1.0.4' }))).toBe('no')
    expect(match(one, ipv4(udp(1), { destination: '10.2.0.10' }))).toBe('no')
  })

  it('are not turned round', () => {
    expect(match(pair([FAR], [NEAR]), ipv4(udp(1)))).toBe('no')
  })

  it('of IPv6 compare all 128 bits', () => {
    const one = pair([selector('fd01::-fd01::5')], [selector('fd02::9-fd02::9')])
    expect(match(one, ipv6(udp(1)))).toBe('yes')
    expect(match(one, ipv6(udp(1), { source: 'fd01::6' }))).toBe('no')
    expect(match(one, ipv4(udp(1)))).toBe('no')
  })

  it('match through any selector of a side', () => {
    const two = pair([selector('192.0.2.1'), NEAR], [FAR, selector('10.3.0.0-10.3.0.255')])
    expect(match(two, ipv4(udp(1), { destination: '10.3.0.7' }))).toBe('yes')
  })

  it('match nothing through no selector', () => {
    expect(match(pair([], [FAR]), ipv4(udp(1)))).toBe('no')
  })
})

describe('ports and types', () => {
  it('are those of their side', () => {
    const dns = pair([NEAR], [selector('10.2.0.9', { protocol: 17, startPort: 53, endPort: 53 })])
    expect(match(dns, ipv4(udp(1, 4000, 53)))).toBe('yes')
    expect(match(dns, ipv4(udp(1, 53, 4000)))).toBe('no')
    expect(match(dns, ipv4(udp(1), { protocol: 6 }))).toBe('no')
  })

  it('of ICMP are type and code on both sides (RFC 4301 section 4.4.1.1)', () => {
    const echo = { protocol: 1, startPort: 0x0800, endPort: 0x08ff }
    const one = pair([selector('10.1.0.5', echo)], [selector('10.2.0.9', echo)])
    expect(match(one, ipv4(icmp(8, 0), { protocol: 1 }))).toBe('yes')
    expect(match(one, ipv4(icmp(0, 0), { protocol: 1 }))).toBe('no')
  })

  it('that a packet does not have fit OPAQUE and any, nothing else', () => {
    const gre = ipv4(new Uint8Array(20), { protocol: 47 })
    expect(match(pair([NEAR], [FAR]), gre)).toBe('yes')
    expect(match(pair([NEAR], [selector('10.2.0.9', { startPort: 65535, endPort: 0 })]), gre)).toBe('yes')
    expect(match(pair([NEAR], [selector('10.2.0.9', { startPort: 0, endPort: 100 })]), gre)).toBe('no')
    const opaque = pair([NEAR], [selector('10.2.0.9', { startPort: 65535, endPort: 0 })])
    expect(match(opaque, ipv4(udp(1)))).toBe('no')
  })
})

describe('fragments', () => {
  const first = fragmentOf(4, udp(100), 0, 48)
  const later = fragmentOf(4, udp(100), 48, 108)

  it('pass where no port is asked for', () => {
    expect(match(pair([NEAR], [FAR]), later)).toBe('yes')
    expect(match(pair([NEAR], [{ ...FAR, protocol: 17 }]), later)).toBe('yes')
  })

  it('leave it open where one is', () => {
    const dns = pair([NEAR], [{ ...FAR, protocol: 17, startPort: 53, endPort: 53 }])
    expect(match(dns, first)).toBe('unknown')
    expect(match(dns, later)).toBe('unknown')
  })

  it('of other hosts or protocols are out at once', () => {
    expect(match(pair([NEAR], [{ ...FAR, ...http }]), later)).toBe('no')
    expect(match(pair([selector('192.0.2.1')], [{ ...FAR, startPort: 1 }]), later)).toBe('no')
  })
})

describe('what is no selector', () => {
  it.each([
    ['a mixed range', [selector('10.0.0.1-fd00::1')]],
    ['a backward range', [selector('10.0.0.2-10.0.0.1')]],
    ['a port of 65,536', [selector('10.0.0.1', { endPort: 65536 })]],
    ['a protocol of 256', [selector('10.0.0.1', { protocol: 256 })]],
    ['seventeen', Array.from({ length: 17 }, () => NEAR)],
  ])('is refused: %s', (_, selectors) => {
    expect(() => compileSelectors(selectors)).toThrow(EngineError)
  })
})
