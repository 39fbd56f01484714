import { describe, expect, it } from 'vitest'
import { fragmentOf, ipv4, ipv6, optionsHeader, udp } from '../testing/packets.ts'
import { concat, getU16, internetChecksum } from './bytes.ts'
import { fragmentIpv4, fragmentIpv6 } from './fragment.ts'
import { type IpPacket, parseIp } from './ip.ts'
import { Reassembly } from './reassembly.ts'

const packetOf = (bytes: Uint8Array) => parseIp(bytes) as IpPacket

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const table = new Reassembly()
  for (const piece of pieces) {
    const step = table.offer(packetOf(piece), '', 0)
    step.apply()
    if (step.result.type === 'complete') return step.result.datagram.bytes
  }
  throw new Error('never complete')
}

describe('IPv4 (RFC 791 section 3.2)', () => {
  it('cuts at multiples of 8 that fit', () => {
    const bytes = ipv4(udp(3000), { id: 99 })
    for (const mtu of [514, 1006, 1438]) {
      const pieces = fragmentIpv4(packetOf(bytes), mtu)
      expect(pieces.every((piece) => piece.length <= mtu)).toBe(true)
      expect(pieces[0]!.length).toBeGreaterThan(mtu - 8)
      expect(pieces.every((piece) => internetChecksum(piece.subarray(0, 20)) === 0)).toBe(true)
      expect(pieces.map((piece) => getU16(piece, 4))).toEqual(pieces.map(() => 99))
      expect(joined(pieces)).toEqual(bytes)
    }
  })

  it('marks all but the last', () => {
    const flags = fragmentIpv4(packetOf(ipv4(udp(2000))), 1020).map((piece) => getU16(piece, 6))
    expect(flags).toEqual([0x2000, 0x2000 | 125, 250])
  })

  it('cuts a fragment again where it lies', () => {
    const data = udp(4000)
    const middle = packetOf(fragmentOf(4, data, 800, 2400))
    const flags = fragmentIpv4(middle, 820).map((piece) => getU16(piece, 6))
    expect(flags).toEqual([0x2000 | 100, 0x2000 | 200])
    const last = packetOf(fragmentOf(4, data, 2400, 4008))
    expect(fragmentIpv4(last, 1420).map((piece) => getU16(piece, 6))).toEqual([0x2000 | 300, 475])
  })

  it('repeats only options with the copied flag', () => {
    const options = Uint8Array.of(0x07, 3, 4, 1, 0x82, 4, 9, 9, 0, 0, 0, 0)
    const pieces = fragmentIpv4(packetOf(ipv4(udp(1000), { options })), 600)
    expect(pieces[0]!.subarray(20, 32)).toEqual(options)
    expect(pieces[1]![0]).toBe(0x46)
    expect([...pieces[1]!.subarray(20, 24)]).toEqual([0x82, 4, 9, 9])
    expect(packetOf(pieces[1]!).payloadAt).toBe(24)
  })

  it('drops options that it cannot read', () => {
    const options = Uint8Array.of(0x82, 0, 0x82, 9)
    expect(fragmentIpv4(packetOf(ipv4(udp(1000), { options })), 600)[1]![0]).toBe(0x45)
  })
})

describe('IPv6, of a datagram that came in fragments (RFC 8200 section 4.5)', () => {
  it('puts the fragment header back', () => {
    const bytes = ipv6(udp(3000), { firstHeader: 60, extensions: optionsHeader(17) })
    const pieces = fragmentIpv6(bytes, { id: 0xdeadbeef, headerAt: 48, nextHeaderAt: 40 }, 1280)!
    expect(pieces.every((piece) => piece.length <= 1280 && piece.length % 8 === 0)).toBe(true)
    expect(pieces[0]![40]).toBe(44)
    expect([...pieces[0]!.subarray(48, 56)]).toEqual([17, 0, 0, 1, 0xde, 0xad, 0xbe, 0xef])
    expect(joined(pieces)).toEqual(bytes)
  })

  it('is not to be had where the headers fill the MTU', () => {
    const bytes = concat(ipv6(udp(100)))
    expect(fragmentIpv6(bytes, { id: 1, headerAt: 40, nextHeaderAt: 6 }, 55)).toBeUndefined()
    expect(fragmentIpv6(bytes, { id: 1, headerAt: 40, nextHeaderAt: 6 }, 56)).toHaveLength(14)
  })
})
