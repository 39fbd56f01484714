import { describe, expect, it } from 'vitest'
import { pattern } from '../testing/packets.ts'
import { compareBytes, concat, equalBytes, getU32, internetChecksum, setU16, setU64, updateChecksum } from './bytes.ts'

describe('the Internet checksum', () => {
  it('is that of the example in RFC 1071 section 3', () => {
    expect(internetChecksum(Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7))).toBe(~0xddf2 & 0xffff)
  })

  it('pads an odd last byte with zero', () => {
    expect(internetChecksum(Uint8Array.of(0x12, 0x34, 0x56))).toBe(~(0x1234 + 0x5600) & 0xffff)
  })

  it('updates as the example in RFC 1624 section 4', () => {
    expect(updateChecksum(0xdd2f, 0x5555, 0x3285)).toBe(0x0000)
  })

  it('updates to what a fresh computation gives', () => {
    const bytes = pattern(40)
    const before = internetChecksum(bytes)
    const word = (bytes[10]! << 8) | bytes[11]!
    setU16(bytes, 10, 0xbeef)
    expect(updateChecksum(before, word, 0xbeef)).toBe(internetChecksum(bytes))
  })
})

describe('fields', () => {
  it('are big-endian and unsigned', () => {
    const bytes = new Uint8Array(8)
    setU64(bytes, 0, 0xfffefdfc_80000001n)
    expect([...bytes]).toEqual([0xff, 0xfe, 0xfd, 0xfc, 0x80, 0, 0, 1])
    expect(getU32(bytes, 0)).toBe(0xfffefdfc)
  })

  it('join, compare and order', () => {
    expect(concat(Uint8Array.of(1), Uint8Array.of(), Uint8Array.of(2, 3))).toEqual(Uint8Array.of(1, 2, 3))
    expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2, 3))).toBe(false)
    expect(compareBytes(Uint8Array.of(1, 255), Uint8Array.of(2, 0))).toBeLessThan(0)
  })
})
