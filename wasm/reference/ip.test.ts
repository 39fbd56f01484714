import { describe, expect, it } from 'vitest'
import { DROP_BAD_HEADER, DROP_NOT_IP, DROP_TRUNCATED } from '../abi.ts'
import { fragmentHeader, fragmentOf, icmp, ipv4, ipv6, optionsHeader, pattern, udp } from '../testing/packets.ts'
import { concat, internetChecksum, setU16 } from './bytes.ts'
import { type IpPacket, isFault, parseIp, portsOf, writeIpv4Checksum, writeTos } from './ip.ts'

function parsed(bytes: Uint8Array): IpPacket {
  const packet = parseIp(bytes)
  if (isFault(packet)) throw new Error(`fault ${packet.fault}`)
  return packet
}

function fault(bytes: Uint8Array): number | undefined {
  const packet = parseIp(bytes)
  return isFault(packet) ? packet.fault : undefined
}

describe('IPv4', () => {
  it('is read with options, and cut to its length', () => {
    const bytes = ipv4(udp(10), { options: Uint8Array.of(1, 1, 1, 0), tos: 0xb9, flags: 0x4000 })
    const packet = parsed(concat(bytes, pattern(9)))
    expect(packet).toMatchObject({ version: 4, protocol: 17, payloadAt: 24, tos: 0xb9, dontFragment: true })
    expect(packet.bytes).toEqual(bytes)
    expect([...packet.source, ...packet.destination]).toEqual([10, 1, 0, 5, 10, 2, 0, 9])
    expect(packet.fragment).toBeUndefined()
    expect(portsOf(packet)).toEqual({ source: 4000, destination: 53 })
  })

  it('has a checksum that is right', () => {
    const bytes = ipv4(udp(10))
    for (let at = 0; at < 20; at++) {
      const bent = bytes.with(at, bytes[at]! ^ 0x04)
      expect(fault(bent)).toBeDefined()
    }
  })

  it.each([
    ['nothing', new Uint8Array(0), DROP_NOT_IP],
    ['version 5', ipv4(udp(1)).with(0, 0x55), DROP_NOT_IP],
    ['19 bytes', ipv4(udp(1)).subarray(0, 19), DROP_TRUNCATED],
    ['a header of 16 bytes', ipv4(udp(1)).with(0, 0x44), DROP_BAD_HEADER],
    ['less than it says', ipv4(udp(9)).subarray(0, 30), DROP_TRUNCATED],
    ['a length below its header', withLength(19), DROP_BAD_HEADER],
    ['data beyond 65,535', ipv4(udp(1000), { flags: 0x1fff }), DROP_BAD_HEADER],
  ])('is refused with %s', (_, bytes, reason) => {
    expect(fault(bytes)).toBe(reason)
  })

  it('may be its header alone', () => {
    expect(parsed(ipv4(new Uint8Array(0))).payloadAt).toBe(20)
  })

  it('tells fragments by offset or more-fragments', () => {
    const first = parsed(fragmentOf(4, udp(100), 0, 48, { id: 7 })).fragment
    expect(first).toMatchObject({ id: 7, offset: 0, more: true, dataAt: 20 })
    expect(parsed(fragmentOf(4, udp(100), 48, 108)).fragment).toMatchObject({ offset: 48, more: false })
  })

  function withLength(length: number): Uint8Array {
    const bytes = ipv4(udp(1))
    setU16(bytes, 2, length)
    writeIpv4Checksum(bytes)
    return bytes
  }
})

describe('IPv6', () => {
  it('is read through hop-by-hop, routing and destination options (RFC 4301 section 4.4.1.1)', () => {
    const extensions = concat(optionsHeader(43), optionsHeader(60), optionsHeader(17))
    const packet = parsed(ipv6(udp(10), { firstHeader: 0, extensions, tos: 0x2e }))
    expect(packet).toMatchObject({ version: 6, protocol: 17, payloadAt: 64, tos: 0x2e, dontFragment: true })
    expect(portsOf(packet)).toEqual({ source: 4000, destination: 53 })
  })

  it('stops at AH and ESP, which are next layer protocols', () => {
    expect(parsed(ipv6(pattern(40), { protocol: 51 })).protocol).toBe(51)
    expect(parsed(ipv6(pattern(40), { protocol: 50 })).protocol).toBe(50)
  })

  it('is a whole packet with an atomic fragment header (RFC 6946)', () => {
    const packet = parsed(ipv6(udp(10), { firstHeader: 44, extensions: fragmentHeader(17, 0, false, 1) }))
    expect(packet.fragment).toBeUndefined()
    expect(portsOf(packet)).toEqual({ source: 4000, destination: 53 })
  })

  it('shows the transport header of a first fragment behind more headers', () => {
    const extensions = concat(fragmentHeader(60, 0, true, 5), optionsHeader(17))
    const packet = parsed(ipv6(udp(24), { firstHeader: 44, extensions }))
    expect(packet).toMatchObject({ protocol: 17, payloadAt: 56 })
    expect(packet.fragment).toMatchObject({ id: 5, dataAt: 48, headerAt: 40, nextHeaderAt: 6 })
  })

  it('shows of a later fragment what its header names', () => {
    const packet = parsed(ipv6(pattern(16), { firstHeader: 44, extensions: fragmentHeader(60, 64, false, 5) }))
    expect(packet).toMatchObject({ protocol: 60, payloadAt: 48 })
    expect(portsOf(packet)).toBeUndefined()
  })

  it.each([
    ['39 bytes', ipv6(udp(1)).subarray(0, 39), DROP_TRUNCATED],
    ['less than it says', ipv6(udp(9)).subarray(0, 50), DROP_TRUNCATED],
    ['a chain that runs out', ipv6(new Uint8Array(4), { firstHeader: 60 }), DROP_BAD_HEADER],
    ['a header longer than the packet', ipv6(optionsHeader(17).with(1, 9), { firstHeader: 60 }), DROP_BAD_HEADER],
    ['nine extension headers', ipv6(udp(1), { firstHeader: 60, extensions: chain(9) }), DROP_BAD_HEADER],
    ['a fragment in a fragment', ipv6(udp(1), { firstHeader: 44, extensions: nested() }), DROP_BAD_HEADER],
  ])('is refused with %s', (_, bytes, reason) => {
    expect(fault(bytes)).toBe(reason)
  })

  it('takes eight extension headers', () => {
    expect(parsed(ipv6(udp(1), { firstHeader: 60, extensions: chain(8) })).protocol).toBe(17)
  })

  function chain(length: number): Uint8Array {
    return concat(...Array.from({ length }, (_, i) => optionsHeader(i + 1 < length ? 60 : 17)))
  }

  function nested(): Uint8Array {
    return concat(fragmentHeader(44, 0, true, 1), fragmentHeader(17, 0, true, 1))
  }
})

describe('ports', () => {
  it.each([
    [4, 1, icmp(8, 3), 0x0803],
    [6, 58, icmp(128, 0), 0x8000],
    [6, 135, Uint8Array.of(59, 0, 5, 0, 0, 0), 0x0500],
  ] as const)('of IPv%i protocol %i are its type', (version, protocol, payload, value) => {
    const packet = parsed(version === 4 ? ipv4(payload, { protocol }) : ipv6(payload, { protocol }))
    expect(portsOf(packet)).toEqual({ source: value, destination: value })
  })

  it('are not those of the other version’s ICMP, nor of what is cut short', () => {
    expect(portsOf(parsed(ipv4(icmp(8, 0), { protocol: 58 })))).toBeUndefined()
    expect(portsOf(parsed(ipv6(icmp(8, 0), { protocol: 1 })))).toBeUndefined()
    expect(portsOf(parsed(ipv4(Uint8Array.of(1, 2, 3))))).toBeUndefined()
    expect(portsOf(parsed(ipv4(pattern(20), { protocol: 47 })))).toBeUndefined()
  })
})

it('writing the TOS octet keeps the rest, checksum included', () => {
  const v4 = ipv4(udp(4), { tos: 0x01 })
  writeTos(v4, 0xff)
  expect(v4).toEqual(ipv4(udp(4), { tos: 0xff }))
  expect(internetChecksum(v4.subarray(0, 20))).toBe(0)
  const v6 = ipv6(udp(4), { tos: 0x01 })
  writeTos(v6, 0xfe)
  expect(v6).toEqual(ipv6(udp(4), { tos: 0xfe }))
})
