import { describe, expect, it } from 'vitest'
import { ipPacket, join, LINK, udpDatagram, vectorDatagrams } from '../../../test/fuzz/ike-captures.ts'
import { nodeCrypto } from '../../io/crypto-node.ts'
import type { Frame } from './frame.ts'
import { type KeyRing, NO_KEYS, parseKeys } from './keys.ts'
import { Decoder } from './records.ts'

const KEY = '00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff'
const SALT = '01020304'

describe('ESP', () => {
  const ping = ipPacket('10.1.0.1', '10.2.0.1', 6, Uint8Array.of(0x01, 0xbb, 0x30, 0x39, 0, 0, 0, 0))

  it('plain in IP, with ports of the inner packet', () => {
    const sealed = seal({ sequence: 7, content: ping, nextHeader: 4 })
    const packet = ipPacket('2001:db8::1', '2001:db8::2', 50, sealed)
    expect(new Decoder(keys()).records(raw(packet))?.[0]).toEqual({
      kind: 'esp',
      frame: 1,
      src: '2001:db8::1',
      dst: '2001:db8::2',
      encapsulation: 'ip',
      spi: '0x00c0ffee',
      sequence: 7,
      length: sealed.length,
      decryption: 'ok',
      nextHeader: 4,
      nextHeaderName: 'IPv4',
      padding: 2,
      inner: {
        version: 4,
        src: '10.1.0.1',
        dst: '10.2.0.1',
        protocol: 6,
        protocolName: 'TCP',
        srcPort: 443,
        dstPort: 12345,
        length: 28,
      },
    })
  })

  it('tells TFC padding and dummy packets from data', () => {
    const padded = seal({ sequence: 1, content: join(ping, new Uint8Array(100)), nextHeader: 4 })
    const dummy = seal({ sequence: 2, content: new Uint8Array(50), nextHeader: 59 })
    const decoder = new Decoder(keys())
    expect(decoder.records(nat(padded))?.[0]).toMatchObject({ inner: { length: 28 }, tfcPadding: 100 })
    expect(decoder.records(nat(dummy))?.[0]).toMatchObject({ decryption: 'ok', dummy: true })
  })

  it('follows the high half of ESN across the wrap and back for a straggler', () => {
    const decoder = new Decoder(keys({ esn: true }))
    const sequences: [number, number][] = [
      [0, 0xffffffff],
      [1, 0],
      [1, 1],
      [0, 0xfffffffe],
      [1, 2],
      [2, 3],
    ]
    const seen = sequences.map(([high, sequence]) => {
      const record = decoder.records(nat(seal({ high, sequence, content: ping, nextHeader: 4 })))?.[0]
      return record?.extendedSequence
    })
    expect(seen).toEqual(sequences.map(([high, low]) => ((BigInt(high) << 32n) + BigInt(low)).toString()))
  })

  it.each([
    ['no room for a header', new Uint8Array(7).fill(1), { malformed: expect.stringContaining('8 bytes') }],
    [
      'no room for IV and ICV',
      join(header(1), new Uint8Array(23)),
      { malformed: expect.stringContaining('too short') },
    ],
    ['a changed checksum', flip(seal({ sequence: 1, content: ping, nextHeader: 4 })), { decryption: 'failed' }],
    [
      'a lying pad length',
      seal({ sequence: 1, content: ping, nextHeader: 4, padLength: 255 }),
      { decryption: 'ok', malformed: expect.stringContaining('pad length') },
    ],
    [
      'a lying inner length',
      seal({ sequence: 1, content: ping.subarray(0, 27), nextHeader: 4 }),
      { decryption: 'ok', malformed: expect.stringContaining('Inner packet') },
    ],
    [
      'nothing inside',
      seal({ sequence: 1, content: new Uint8Array(0), nextHeader: 41 }),
      { malformed: expect.stringContaining('Inner packet') },
    ],
  ])('%s', (_name, bytes, expected) => {
    expect(new Decoder(keys()).records(nat(bytes))?.[0]).toMatchObject({ kind: 'esp', ...expected })
  })

  it('SPI 0 in IP is malformed; of two keys with one SPI the right one is found', () => {
    const zero = ipPacket('192.0.2.1', '192.0.2.2', 50, new Uint8Array(40))
    expect(new Decoder(NO_KEYS).records(raw(zero))?.[0]).toMatchObject({ malformed: expect.stringContaining('SPI 0') })
    const entry = { spi: '0x00c0ffee', encryption: 'chacha20poly1305', salt: SALT }
    const ring = parseKeys(
      JSON.stringify({
        esp: [
          { ...entry, key: 'ff'.repeat(32) },
          { ...entry, key: KEY },
        ],
      }),
    )
    const record = new Decoder(ring as KeyRing).records(nat(seal({ sequence: 1, content: ping, nextHeader: 4 })))?.[0]
    expect(record).toMatchObject({ decryption: 'ok' })
  })
})

describe('UDP', () => {
  const message = vectorDatagrams('gcm')[0]!.bytes
  const marked = join(new Uint8Array(4), message)

  it('a keepalive is one line', () => {
    expect(new Decoder(NO_KEYS).records(nat(Uint8Array.of(0xff)))?.[0]).toEqual({
      kind: 'keepalive',
      frame: 1,
      src: '192.0.2.1:4500',
      dst: '192.0.2.2:4500',
    })
  })

  it('ports decide on 500 and 4500, looks on others', () => {
    const kind = (source: number, destination: number, payload: Uint8Array) =>
      new Decoder(NO_KEYS).records(udp(source, destination, payload))?.[0]?.kind
    expect(kind(500, 500, message)).toBe('ike')
    expect(kind(40_000, 4500, marked)).toBe('ike')
    expect(kind(40_000, 4500, message)).toBe('esp')
    expect(kind(40_000, 40_001, message)).toBe('ike')
    expect(kind(40_000, 40_001, marked)).toBe('ike')
    expect(kind(40_000, 53, new Uint8Array(60))).toBeUndefined()
    expect(kind(40_000, 53, Uint8Array.of(0xff))).toBeUndefined()
  })

  it('a malformed message shows its header, what precedes the fault, and the reason with its offset', () => {
    const broken = message.slice()
    broken[28 + 40 + 2] = 0xff // the length of the KE payload
    expect(new Decoder(NO_KEYS).records(udp(500, 500, broken))?.[0]).toMatchObject({
      header: { exchange: 'IKE_SA_INIT', initiatorSpi: 'd8db5c3831580269' },
      payloads: [{ type: 'SA' }],
      malformed: expect.stringMatching(/type 34 at offset 68/),
    })
  })

  it('IKEv1 is named as such, and too few bytes for a header are malformed', () => {
    const old = message.slice()
    old[17] = 0x10
    const decoder = new Decoder(NO_KEYS)
    expect(decoder.records(udp(500, 500, old))?.[0]).toMatchObject({
      header: { version: '1.0' },
      malformed: expect.stringMatching(/1\.0/),
    })
    expect(decoder.records(udp(500, 500, message.subarray(0, 27)))?.[0]).toMatchObject({
      malformed: expect.stringMatching(/28 bytes/),
    })
    expect(decoder.records(udp(500, 500, message.subarray(0, 100)))?.[0]).toMatchObject({
      header: { messageId: 0 },
      malformed: expect.stringMatching(/232 bytes; the datagram has 100/),
    })
  })
})

describe('IP', () => {
  const decoder = new Decoder(NO_KEYS)

  it('fragments are reported as such', () => {
    const packet = ipPacket('192.0.2.1', '192.0.2.2', 17, new Uint8Array(32))
    packet[6] = 0x20
    packet[7] = 0x10
    expect(decoder.records(raw(packet))?.[0]).toMatchObject({
      kind: 'ip-fragment',
      protocolName: 'UDP',
      id: 1,
      offset: 128,
      more: true,
    })
    const header = Uint8Array.of(50, 0, 0, 9, 0, 0, 0, 5)
    const packet6 = ipPacket('2001:db8::1', '2001:db8::2', 44, join(header, new Uint8Array(16)))
    expect(decoder.records(raw(packet6))?.[0]).toMatchObject({
      kind: 'ip-fragment',
      protocolName: 'ESP',
      id: 5,
      offset: 8,
    })
  })

  it('IPv6 extension headers are walked, endless ones are refused', () => {
    const options = Uint8Array.of(60, 0, 1, 4, 0, 0, 0, 0)
    const last = Uint8Array.of(17, 0, 1, 4, 0, 0, 0, 0)
    const inside = udpDatagram(500, 4500, Uint8Array.of(0xff))
    const walk = (...headers: Uint8Array[]) =>
      decoder.records(raw(ipPacket('2001:db8::1', '2001:db8::2', 60, join(...headers, inside))))?.[0]
    expect(walk(options, last)).toMatchObject({ kind: 'keepalive', src: '[2001:db8::1]:500' })
    expect(walk(...Array.from({ length: 40 }, () => options))).toMatchObject({
      malformed: expect.stringMatching(/extension/),
    })
    expect(walk(Uint8Array.of(17, 255, 0, 0, 0, 0, 0, 0))).toMatchObject({
      malformed: expect.stringMatching(/extension/),
    })
  })

  it.each([
    ['an IPv4 header cut off', Uint8Array.of(0x45, 0, 0, 20)],
    ['an IPv4 header length of 4', spoiled(0, 0x41)],
    ['an IPv4 total length beyond the capture', spoiled(3, 0xff)],
    ['an IPv4 total length below the header', spoiled(3, 19)],
    ['an IPv6 header cut off', Uint8Array.of(0x60, 0, 0, 20)],
    ['a UDP length beyond the packet', spoiled(25, 0xff)],
    ['a UDP length below its header', spoiled(25, 7)],
  ])('%s is malformed', (_name, packet) => {
    expect(decoder.records(raw(packet))?.[0]).toMatchObject({ kind: 'frame', malformed: expect.any(String) })
  })

  it('a short capture names its remedy', () => {
    const frame = { ...raw(spoiled(3, 0xff)), originalLength: 255 }
    expect(decoder.records(frame)?.[0]).toMatchObject({ malformed: expect.stringContaining('larger snap length') })
  })
})

interface Sealing {
  readonly sequence: number
  readonly content: Uint8Array
  readonly nextHeader: number
  readonly high?: number
  readonly padLength?: number
}

function seal({ sequence, content, nextHeader, high, padLength = 2 }: Sealing): Uint8Array {
  const key = Uint8Array.from(Buffer.from(KEY + SALT, 'hex'))
  const aad = high === undefined ? header(sequence) : join(header(sequence).subarray(0, 4), u32(high), u32(sequence))
  const plaintext = join(content, Uint8Array.of(1, 2, padLength, nextHeader))
  const iv = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, sequence)
  const cipher = { encr: 28, keyLengthBits: 256 }
  return join(header(sequence), nodeCrypto.seal(cipher, key, new Uint8Array(0), iv, aad, plaintext))
}

function keys({ esn = false } = {}): KeyRing {
  const entry = { kind: 'esp', spi: '0x00c0ffee', encryption: 'chacha20poly1305', key: KEY, salt: SALT, esn }
  return parseKeys(`${JSON.stringify(entry)}\n`) as KeyRing
}

function header(sequence: number): Uint8Array {
  return join(u32(0x00c0ffee), u32(sequence))
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value)
  return bytes
}

function flip(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice()
  copy[copy.length - 1]! ^= 1
  return copy
}

function spoiled(at: number, value: number): Uint8Array {
  const packet = ipPacket('192.0.2.1', '192.0.2.2', 17, udpDatagram(500, 500, new Uint8Array(10)))
  packet[at] = value
  return packet
}

function raw(bytes: Uint8Array): Frame {
  return { number: 1, link: LINK.raw, bytes }
}

function udp(source: number, destination: number, payload: Uint8Array): Frame {
  return raw(ipPacket('192.0.2.1', '192.0.2.2', 17, udpDatagram(source, destination, payload)))
}

function nat(payload: Uint8Array): Frame {
  return udp(4500, 4500, payload)
}
