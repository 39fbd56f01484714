import { describe, expect, it } from 'vitest'
import { ip, ipv4, tcp, tcpPacket, transportChecksum } from '../testing/packets.ts'
import { getU16, setU16 } from './bytes.ts'
import { type IpPacket, parseIp } from './ip.ts'
import { clampMss, mssFor } from './mss.ts'

const MSS_1460 = [2, 4, 1460 >> 8, 1460 & 0xff]

function clamped(bytes: Uint8Array, mss: number): Uint8Array {
  const packet = parseIp(bytes.slice()) as IpPacket
  clampMss(packet, mss)
  return packet.bytes
}

it('is what one packet holds (RFC 6691)', () => {
  expect(mssFor(4, 1438)).toBe(1398)
  expect(mssFor(6, 1438)).toBe(1378)
})

describe.each([4, 6] as const)('IPv%i', (version) => {
  const start = version === 4 ? 20 : 40

  it.each([0, 1, 2, 3])('is lowered behind %i other option bytes, checksum right', (before) => {
    const bytes = tcpPacket(version, tcp(0x02, Uint8Array.of(...Array(before).fill(1), ...MSS_1460)))
    const out = clamped(bytes, 1398)
    expect(getU16(out, start + 20 + before + 2)).toBe(1398)
    expect(transportChecksum(version, out, start, 6)).toBe(0)
    setU16(out, start + 20 + before + 2, 1460)
    setU16(out, start + 16, getU16(bytes, start + 16))
    expect(out).toEqual(bytes)
  })

  it('is lowered in a SYN-ACK', () => {
    const out = clamped(tcpPacket(version, tcp(0x12, Uint8Array.of(...MSS_1460))), 1000)
    expect(getU16(out, start + 22)).toBe(1000)
  })

  it.each([
    ['is small enough', tcp(0x02, Uint8Array.of(2, 4, 5, 0x76))],
    ['is not there', tcp(0x02, Uint8Array.of(1, 3, 3, 7))],
    ['is in a segment without SYN', tcp(0x10, Uint8Array.of(...MSS_1460))],
    ['is behind the end of options', tcp(0x02, Uint8Array.of(0, ...MSS_1460))],
    ['is of a wrong length', tcp(0x02, Uint8Array.of(2, 3, 5, 1, 1, 1, 1, 1))],
    ['is behind an option of length 0', tcp(0x02, Uint8Array.of(8, 0, ...MSS_1460))],
    ['is behind an option that ends outside', tcp(0x02, Uint8Array.of(8, 200, ...MSS_1460))],
    ['is cut off by the header length', tcp(0x02, Uint8Array.of(...MSS_1460)).with(12, 0x50)],
    ['has a header longer than the packet', tcp(0x02, Uint8Array.of(...MSS_1460)).with(12, 0xf0)],
    ['has no whole header', tcp(0x02, Uint8Array.of(...MSS_1460)).subarray(0, 19)],
  ])('is left alone where it %s', (_, segment) => {
    const bytes = ip(version, segment, { protocol: 6 })
    expect(clamped(bytes, 1398)).toEqual(bytes)
  })
})

it('is left alone in fragments and in other protocols', () => {
  const segment = tcp(0x02, Uint8Array.of(...MSS_1460))
  const fragment = ipv4(segment, { protocol: 6, flags: 0x2000 })
  expect(clamped(fragment, 1000)).toEqual(fragment)
  const other = ipv4(segment, { protocol: 17 })
  expect(clamped(other, 1000)).toEqual(other)
})
