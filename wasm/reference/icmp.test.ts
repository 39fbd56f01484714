import { describe, expect, it } from 'vitest'
import { fragmentOf, type IpFields, icmp, ip, ipv4, ipv6, transportChecksum, udp } from '../testing/packets.ts'
import { internetChecksum } from './bytes.ts'
import { mayAnswer, tooBigAnswer } from './icmp.ts'
import { type IpPacket, isFault, parseIp } from './ip.ts'

const packetOf = (bytes: Uint8Array) => parseIp(bytes) as IpPacket

describe('fragmentation needed (RFC 1191 section 4)', () => {
  const packet = packetOf(ipv4(udp(2000), { tos: 0x28, flags: 0x4000 }))
  const answer = tooBigAnswer(packet, 1438)

  it('goes from the destination to the source', () => {
    const parsed = packetOf(answer)
    expect(isFault(parsed)).toBe(false)
    expect(parsed).toMatchObject({ protocol: 1, tos: 0xc0, dontFragment: true })
    expect(parsed.source).toEqual(packet.destination)
    expect(parsed.destination).toEqual(packet.source)
  })

  it('carries the MTU and as much of the packet as 576 bytes hold', () => {
    expect(answer.length).toBe(576)
    expect([...answer.subarray(20, 22)]).toEqual([3, 4])
    expect([...answer.subarray(24, 28)]).toEqual([0, 0, 1438 >> 8, 1438 & 0xff])
    expect(answer.subarray(28)).toEqual(packet.bytes.subarray(0, 548))
    expect(internetChecksum(answer.subarray(20))).toBe(0)
  })

  it('carries all of a short packet', () => {
    expect(tooBigAnswer(packetOf(ipv4(udp(101))), 68).length).toBe(28 + 129)
  })
})

describe('packet too big (RFC 4443 section 3.2)', () => {
  const packet = packetOf(ipv6(udp(2000)))

  it('carries the MTU and as much of the packet as 1,280 bytes hold', () => {
    const answer = tooBigAnswer(packet, 1400)
    expect(answer.length).toBe(1280)
    expect([...answer.subarray(40, 42)]).toEqual([2, 0])
    expect([...answer.subarray(44, 48)]).toEqual([0, 0, 1400 >> 8, 1400 & 0xff])
    expect(answer.subarray(48)).toEqual(packet.bytes.subarray(0, 1232))
    expect(packetOf(answer).source).toEqual(packet.destination)
    expect(transportChecksum(6, answer, 40, 58)).toBe(0)
  })

  it('never says less than 1,280', () => {
    expect([...tooBigAnswer(packet, 494).subarray(44, 48)]).toEqual([0, 0, 5, 0])
  })
})

describe('no answer', () => {
  it.each([
    ['to an echo request', 4, icmp(8, 0), { protocol: 1 }, true],
    ['to unreachable', 4, icmp(3, 1), { protocol: 1 }, false],
    ['to source quench', 4, icmp(4, 0), { protocol: 1 }, false],
    ['to redirect', 4, icmp(5, 0), { protocol: 1 }, false],
    ['to time exceeded', 4, icmp(11, 0), { protocol: 1 }, false],
    ['to parameter problem', 4, icmp(12, 0), { protocol: 1 }, false],
    ['to ICMP cut short', 4, Uint8Array.of(8, 0), { protocol: 1 }, false],
    ['to ICMPv6 echo', 6, icmp(128, 0), { protocol: 58 }, true],
    ['to an ICMPv6 error', 6, icmp(127, 0), { protocol: 58 }, false],
    ['to ICMPv6 redirect', 6, icmp(137, 0), { protocol: 58 }, false],
    ['to multicast', 4, udp(9), { destination: '239.1.1.1' }, false],
    ['to broadcast', 4, udp(9), { destination: '255.255.255.255' }, false],
    ['to IPv6 multicast', 6, udp(9), { destination: 'ff05::1' }, false],
    ['from loopback', 4, udp(9), { source: '127.0.0.1' }, false],
    ['from nowhere', 4, udp(9), { source: '0.0.0.0' }, false],
    ['from ::', 6, udp(9), { source: '::' }, false],
    ['from ::1', 6, udp(9), { source: '::1' }, false],
    ['from ::2', 6, udp(9), { source: '::2' }, true],
    ['from a host', 4, udp(9), { source: '223.255.255.254' }, true],
  ] as [string, 4 | 6, Uint8Array, IpFields, boolean][])('%s', (_, version, payload, fields, allowed) => {
    expect(mayAnswer(packetOf(ip(version, payload, fields)))).toBe(allowed)
  })

  it('to a later fragment', () => {
    expect(mayAnswer(packetOf(fragmentOf(4, udp(100), 0, 48)))).toBe(true)
    expect(mayAnswer(packetOf(fragmentOf(4, udp(100), 48, 108)))).toBe(false)
    expect(mayAnswer(packetOf(fragmentOf(6, udp(100), 48, 108)))).toBe(false)
  })
})
