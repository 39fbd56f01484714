import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { arbitraryMessage, arbitraryPlainPayloads } from '../../../../test/fuzz/ike-arbitrary.ts'
import {
  associatedData,
  decodeHeader,
  decodeMessage,
  decodePayloads,
  ENCR,
  EXCHANGE,
  encodeMessage,
  encodePayloads,
  isDecodeError,
  MAX_PAYLOADS,
  NOTIFY,
  nameOf,
  PAYLOAD,
  type Payload,
  transformIdName,
} from './codec.ts'

describe('round trip', () => {
  it('any message survives encode and decode', () => {
    fc.assert(
      fc.property(arbitraryMessage, (message) => {
        expect(decodeMessage(encodeMessage(message))).toEqual(message)
      }),
      { numRuns: 1500 },
    )
  })

  it('any chain inside SK survives encode and decode', () => {
    fc.assert(
      fc.property(arbitraryPlainPayloads, (payloads) => {
        const { firstPayload, bytes } = encodePayloads(payloads)
        expect(decodePayloads(firstPayload, bytes)).toEqual(payloads)
      }),
      { numRuns: 1500 },
    )
  })

  it('any prefix of a message is refused, as the length field disagrees', () => {
    fc.assert(
      fc.property(arbitraryMessage, fc.nat(), (message, cut) => {
        const bytes = encodeMessage(message)
        const decoded = decodeMessage(bytes.subarray(0, cut % bytes.length))
        expect(['truncated', 'bad-length']).toContain('error' in decoded ? decoded.error : 'no error')
      }),
      { numRuns: 300 },
    )
  })

  it('a parsed message owns its bytes', () => {
    const bytes = hex(IKE_SA_INIT)
    const message = decodeMessage(bytes)
    const before = structuredClone(message)
    bytes.fill(0xee)
    expect(message).toEqual(before)
  })

  it('owns its bytes also when the datagram is a Buffer, whose slice shares memory', () => {
    const bytes = Buffer.from(hex(IKE_SA_INIT))
    const message = decodeMessage(bytes)
    const inner = decodePayloads(PAYLOAD.SA, bytes.subarray(28))
    bytes.fill(0xee)
    expect(message).toEqual(decodeMessage(hex(IKE_SA_INIT)))
    expect(inner).toEqual(decodePayloads(PAYLOAD.SA, hex(IKE_SA_INIT).subarray(28)))
  })
})

describe('an IKE_SA_INIT request written by hand from RFC 7296 sections 3.1 to 3.10', () => {
  const message = decodeMessage(hex(IKE_SA_INIT))

  it('decodes field by field', () => {
    expect(message).toEqual({
      header: {
        initiatorSpi: hex('0102030405060708'),
        responderSpi: new Uint8Array(8),
        majorVersion: 2,
        minorVersion: 0,
        exchangeType: EXCHANGE.IKE_SA_INIT,
        flags: { initiator: true, response: false, version: false },
        messageId: 0,
      },
      payloads: [
        {
          type: 'SA',
          proposals: [
            {
              number: 1,
              protocol: 1,
              spi: new Uint8Array(0),
              transforms: [
                { type: 1, id: ENCR.ENCR_AES_GCM_16, keyLength: 256 },
                { type: 2, id: 5 },
                { type: 4, id: 31 },
              ],
            },
          ],
        },
        { type: 'KE', group: 31, data: new Uint8Array(32).fill(0xab) },
        { type: 'NONCE', data: new Uint8Array(16).fill(0xcd) },
        {
          type: 'N',
          protocol: 0,
          spi: new Uint8Array(0),
          notify: NOTIFY.SIGNATURE_HASH_ALGORITHMS,
          data: hex('00020003'),
        },
        { type: 'UNKNOWN', payloadType: 200, critical: true, body: hex('beef') },
      ],
    })
  })

  it('encodes back to the same bytes', () => {
    if (isDecodeError(message)) throw new Error(message.reason)
    expect(encodeMessage(message)).toEqual(hex(IKE_SA_INIT))
  })
})

describe('header', () => {
  it('is read whatever the version, for the answer to a higher one', () => {
    const bytes = hex(IKE_SA_INIT)
    bytes[17] = 0x31
    expect(decodeHeader(bytes)).toMatchObject({ majorVersion: 3, minorVersion: 1 })
    expect(decodeMessage(bytes)).toMatchObject({ error: 'invalid-major-version' })
  })

  it('accepts a higher minor version and reserved flags', () => {
    const bytes = hex(IKE_SA_INIT)
    bytes[17] = 0x2f
    bytes[19] = 0xff
    expect(decodeMessage(bytes)).toMatchObject({
      header: { minorVersion: 15, flags: { initiator: true, response: true, version: true } },
    })
  })

  it('refuses a length field that is smaller or larger than the datagram', () => {
    expect(decodeMessage(message(PAYLOAD.NONE, '', 27))).toMatchObject({ error: 'bad-length' })
    expect(decodeMessage(message(PAYLOAD.NONE, '', 29))).toMatchObject({ error: 'bad-length' })
    expect(decodeMessage(message(PAYLOAD.NONE, '', 0xffffffff))).toMatchObject({ error: 'bad-length' })
    expect(decodeMessage(new Uint8Array(27))).toMatchObject({ error: 'truncated' })
    expect(decodeMessage(new Uint8Array(0))).toMatchObject({ error: 'truncated' })
  })
})

describe('payload chains', () => {
  it('an empty message is valid', () => {
    expect(decodeMessage(message(PAYLOAD.NONE, ''))).toMatchObject({ payloads: [] })
    expect(decodePayloads(PAYLOAD.NONE, new Uint8Array(0))).toEqual([])
  })

  it.each([
    ['a payload length of 0', PAYLOAD.V, '00000000', 'bad-length'],
    ['a payload length of 3', PAYLOAD.V, '00000003', 'bad-length'],
    ['a payload that ends behind the message', PAYLOAD.V, '00000009aabbccdd', 'truncated'],
    ['a chain that goes on behind the end', PAYLOAD.V, '2b000004', 'truncated'],
    ['bytes behind the last payload', PAYLOAD.V, '00000004ff', 'trailing-data'],
    ['bytes although there is no payload', PAYLOAD.NONE, '00000004', 'trailing-data'],
    ['a payload behind SK', PAYLOAD.SK, '290000060102' + '00000004', 'trailing-data'],
    ['a nonce of 15 bytes', PAYLOAD.NONCE, `00000013${'00'.repeat(15)}`, 'bad-payload'],
    ['a nonce of 257 bytes', PAYLOAD.NONCE, `00000105${'00'.repeat(257)}`, 'bad-payload'],
    ['a KE payload without a group', PAYLOAD.KE, '0000000600ff', 'truncated'],
    ['a Notify payload whose SPI size lies', PAYLOAD.N, '0000000a03ff00010102', 'truncated'],
    ['a Delete payload whose count lies', PAYLOAD.D, '0000000c0304ffff01020304', 'too-many-items'],
    ['a Delete payload with more bytes than SPIs', PAYLOAD.D, '00000010030400010102030405060708', 'bad-length'],
    ['a Delete payload with SPIs of no bytes', PAYLOAD.D, '000000086300ffff', 'bad-length'],
    ['a Delete of the IKE SA with an SPI', PAYLOAD.D, '0000000c0104000101020304', 'bad-length'],
    ['an SKF payload numbered 0', PAYLOAD.SKF, '0000000800000001', 'bad-payload'],
    ['an SKF payload numbered above its total', PAYLOAD.SKF, '0000000800030002', 'bad-payload'],
    ['a second SKF payload that names a next payload', PAYLOAD.SKF, '2900000800020002', 'bad-payload'],
    ['an attribute of CP that lies', PAYLOAD.CP, '0000000d010000000001ffff00', 'truncated'],
  ])('%s is refused', (_name, first, body, error) => {
    expect(decodeMessage(message(first, body))).toMatchObject({ error, reason: expect.stringMatching(/offset \d+/) })
  })

  it(`${MAX_PAYLOADS} payloads are read, one more is refused`, () => {
    const chain = (count: number) => `${'2b000004'.repeat(count - 1)}00000004`
    expect(decodeMessage(message(PAYLOAD.V, chain(MAX_PAYLOADS)))).toMatchObject({
      payloads: { length: MAX_PAYLOADS },
    })
    expect(decodeMessage(message(PAYLOAD.V, chain(MAX_PAYLOADS + 1)))).toMatchObject({ error: 'too-many-payloads' })
  })

  it('SK inside SK is refused, and the error names the payload', () => {
    expect(decodePayloads(PAYLOAD.SK, hex('00800004'))).toMatchObject({
      error: 'bad-payload',
      payloadType: PAYLOAD.SK,
      critical: true,
    })
  })

  it('the critical bit of a known payload is ignored', () => {
    expect(decodePayloads(PAYLOAD.V, hex('00800005aa'))).toEqual([{ type: 'V', data: hex('aa') }])
  })

  it('an unknown payload is kept with its critical bit', () => {
    expect(decodePayloads(99, hex('62800005aa' + '00000004'))).toEqual([
      { type: 'UNKNOWN', payloadType: 99, critical: true, body: hex('aa') },
      { type: 'UNKNOWN', payloadType: 98, critical: false, body: hex('') },
    ])
  })

  it('the associated data of a sealed message ends where its IV begins', () => {
    const sealed: Payload = { type: 'SK', firstPayload: PAYLOAD.N, body: hex('aabbccdd') }
    const decoded = decodeMessage(hex(IKE_SA_INIT))
    if (isDecodeError(decoded)) throw new Error(decoded.reason)
    const bytes = encodeMessage({ header: decoded.header, payloads: [sealed] })
    expect(associatedData(bytes, sealed)).toEqual(bytes.subarray(0, 32))
  })
})

describe('Security Association', () => {
  const sa = (body: string) =>
    decodePayloads(PAYLOAD.SA, hex(`0000${(body.length / 2 + 4).toString(16).padStart(4, '0')}${body}`))

  it.each([
    ['no proposal', '', 'truncated'],
    ['a proposal shorter than its header', '0000000701030400', 'bad-length'],
    ['a proposal that ends behind the payload', '0000000901010000', 'truncated'],
    ['an SPI that ends behind its proposal', '00000008010304000'.slice(0, 16), 'truncated'],
    ['an ESP proposal with an SPI of 8 bytes', '00000010010308000102030405060708', 'bad-length'],
    ['an IKE proposal with an SPI of 4 bytes', '0000000c0101040001020304', 'bad-length'],
    ['a proposal marked 1', '0100000801010000', 'bad-payload'],
    ['a last proposal marked as not the last', '0200000801010000', 'truncated'],
    ['a proposal behind the last one', '0000000801010000' + '0000000801010000', 'bad-length'],
    ['fewer transforms than counted', '0000001001010002' + '0300000802000005', 'truncated'],
    ['more transforms than counted', '0000001801010001' + '0000000802000005' + '0000000802000005', 'bad-length'],
    ['a last transform marked as not the last', '0000001001010001' + '0300000802000005', 'bad-payload'],
    ['a transform of length 0', '0000001001010001' + '0000000002000005', 'bad-length'],
    ['an attribute cut off', '0000001201010001' + '0000000a01000014800e', 'truncated'],
    ['an attribute with a lying length', '0000001401010001' + '0000000c01000014000eff00', 'truncated'],
  ])('%s is refused', (_name, body, error) => {
    expect(sa(body)).toMatchObject({ error, payloadType: PAYLOAD.SA })
  })

  it('65 proposals are refused', () => {
    expect(sa(`${'0200000801010000'.repeat(64)}0000000801010000`)).toMatchObject({ error: 'too-many-items' })
  })

  it('a transform with an unknown attribute is kept and marked', () => {
    const attributes = '800e0080' + '00630001ff'
    expect(sa(`0000001901010001${'0000001101000014'}${attributes}`)).toMatchObject([
      { proposals: [{ transforms: [{ keyLength: 128, unknownAttribute: true, attributes: { length: 2 } }] }] },
    ])
  })
})

describe('Traffic Selector', () => {
  const ts = (body: string) =>
    decodePayloads(PAYLOAD.TSi, hex(`0000${(body.length / 2 + 4).toString(16).padStart(4, '0')}${body}`))
  const v4 = '070000100000ffff0a0000000a0000ff'

  it('keeps a selector of unknown type', () => {
    expect(ts(`02000000${v4}0a0000060102`)).toMatchObject([
      {
        selectors: [
          { tsType: 7, endPort: 65535 },
          { tsType: 10, startAddress: hex(''), body: hex('0102') },
        ],
      },
    ])
  })

  it.each([
    ['more selectors counted than there', `02000000${v4}`, 'truncated'],
    ['fewer selectors counted than there', `00000000${v4}`, 'bad-length'],
    ['a selector length of 3', '01000000070000030000ffff0a0000000a0000ff', 'bad-length'],
    ['an IPv4 selector of 15 bytes', '010000000700000f0000ffff0a0000000a0000', 'bad-length'],
    ['an IPv6 selector of 16 bytes', '01000000080000100000ffff0a0000000a0000ff', 'bad-length'],
    ['a selector that ends behind the payload', '01000000070000110000ffff0a0000000a0000ff', 'truncated'],
    ['no room for a count', '0100', 'truncated'],
  ])('%s is refused', (_name, body, error) => {
    expect(ts(body)).toMatchObject({ error, payloadType: PAYLOAD.TSi })
  })
})

describe('encoding', () => {
  it('refuses what the wire cannot hold', () => {
    const big: Payload = { type: 'V', data: new Uint8Array(65532) }
    expect(() => encodePayloads([big])).toThrow(RangeError)
    const sealed: Payload = { type: 'SK', firstPayload: 0, body: new Uint8Array(0) }
    expect(() => encodePayloads([sealed, sealed])).toThrow(RangeError)
    expect(() => encodePayloads([{ type: 'SA', proposals: [] }])).toThrow(RangeError)
    expect(() => encodePayloads([{ type: 'D', protocol: 3, spis: [new Uint8Array(3)] }])).toThrow(RangeError)
  })
})

describe('names', () => {
  it('are found by number, and unknown numbers have none', () => {
    expect(nameOf(NOTIFY, 16390)).toBe('COOKIE')
    expect(nameOf(NOTIFY, 65535)).toBeUndefined()
    expect(transformIdName(4, 31)).toBe('CURVE25519')
    expect(transformIdName(9, 1)).toBeUndefined()
  })
})

const IKE_SA_INIT = [
  '0102030405060708 0000000000000000 21 20 22 08 00000000 00000092',
  '22000028 00000024 01 01 00 03',
  '0300000c 01 00 0014 800e0100',
  '03000008 02 00 0005',
  '00000008 04 00 001f',
  `28000028 001f 0000 ${'ab'.repeat(32)}`,
  `29000014 ${'cd'.repeat(16)}`,
  'c800000c 00 00 402f 00020003',
  '00800006 beef',
].join('')

function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'))
}

/** An INFORMATIONAL request with these payload bytes. */
function message(firstPayload: number, body: string, length = 28 + body.length / 2): Uint8Array {
  const next = firstPayload.toString(16).padStart(2, '0')
  return hex(`${'11'.repeat(16)}${next}20250800000001${length.toString(16).padStart(8, '0')}${body}`)
}
