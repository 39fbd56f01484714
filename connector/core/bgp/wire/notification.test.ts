import { describe, expect, it } from 'vitest'
import { prefix } from '../../../../protocol/net.ts'
import {
  blockOf,
  encodeNotification,
  hardResetData,
  notification,
  packAnnouncement,
  prefixLimitData,
  shutdownData,
} from './codec.ts'

const text = (words: string) => new TextEncoder().encode(words)
const length = (octets: number, ...data: number[]) => Uint8Array.of(octets, ...data)

it('a limit of prefixes is told with its family (RFC 4486 section 4)', () => {
  expect([...prefixLimitData({ afi: 2, safi: 1 }, 100_000)]).toEqual([0, 2, 1, 0, 1, 0x86, 0xa0])
})

describe('a shutdown communication (RFC 9003)', () => {
  it('of 255 octets is read (section 2), of 128 at most sent, whole characters of it (section 3)', () => {
    const long = text('x'.repeat(255))
    expect(notification(6, 2, length(255, ...long)).communication).toHaveLength(255)
    expect(shutdownData('x'.repeat(255))).toHaveLength(129)
    expect(shutdownData(`${'x'.repeat(127)}é`)).toHaveLength(128)
  })

  it.each([
    ['invalid UTF-8', 6, 2, length(2, 0xc0, 0xaf)],
    ['a text that ends behind the message', 6, 2, length(4, 0x61, 0x62)],
    ['no text', 6, 4, length(0)],
    ['another subcode', 6, 3, length(1, 0x61)],
    ['another code', 3, 2, length(1, 0x61)],
  ])('%s is not interpreted, and kept', (_name, code, subcode, data) => {
    const found = notification(code, subcode, data)
    expect(found.communication).toBeUndefined()
    expect(found.data).toEqual(data)
  })

  it('stands in a hard reset as well (RFC 8538 section 3)', () => {
    const found = notification(6, 9, hardResetData(6, 4, shutdownData('bye')))
    expect(found).toMatchObject({ inner: { code: 6, subcode: 4 }, communication: 'bye' })
  })
})

it('a NOTIFICATION has at most 4,096 octets, whatever it quotes (RFC 8654 section 5)', () => {
  expect(encodeNotification({ code: 7, subcode: 1, data: new Uint8Array(60_000) })).toHaveLength(4096)
})

it('MP_REACH_NLRI is the first attribute of an UPDATE, and stands in it alone (RFC 7606 section 5.1)', () => {
  const block = blockOf(6, [prefix('2001:db8::/32')])
  const hop = { address: '2001:db8::1' as never }
  const options = { fourOctetAs: true, extendedMessages: false, internal: false }
  const { message } = packAnnouncement({ origin: 0, asPath: [] }, hop, block, 0, options)!
  const view = new DataView(message.buffer, message.byteOffset)
  expect([view.getUint16(19), message[24]]).toEqual([0, 14])
  expect(23 + view.getUint16(21)).toBe(message.length)
})
