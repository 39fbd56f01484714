import { describe, expect, it } from 'vitest'
import {
  enhancedPacket,
  framed,
  framesOf,
  interfaceBlock,
  ipPacket,
  join,
  LINK,
  pcapFile,
  pcapngBlock,
  sectionHeader,
  simplePacket,
  udpDatagram,
} from '../../../test/fuzz/ike-captures.ts'
import { openCapture } from './capture.ts'
import { readHexLines } from './hex.ts'
import { ipPacketOf } from './link.ts'
import { readPcap } from './pcap.ts'
import { readPcapng } from './pcapng.ts'

const first = Uint8Array.of(1, 2, 3, 4, 5)
const second = Uint8Array.of(6, 7, 8)
const both = [true, false]

describe('pcap', () => {
  it.each(both)('is read with little-endian %s', (little) => {
    expect(framesOf(readPcap(pcapFile([first, second], { little })))).toEqual([
      { number: 1, link: 1, bytes: first, time: '2023-11-14T22:13:20.000001Z' },
      { number: 2, link: 1, bytes: second, time: '2023-11-14T22:13:20.000002Z' },
    ])
  })

  it('shows nanoseconds where it has them', () => {
    const frames = framesOf(readPcap(pcapFile([first], { nano: true, link: LINK.raw })))
    expect(frames).toMatchObject([{ link: 101, time: '2023-11-14T22:13:20.000000001Z' }])
  })

  it('keeps the original length of a packet that was cut', () => {
    const file = pcapFile([first])
    new DataView(file.buffer).setUint32(24 + 12, 1500, true)
    expect(framesOf(readPcap(file))).toMatchObject([{ originalLength: 1500 }])
  })

  it.each([
    ['cut in the file header', 23, 'header'],
    ['cut in a record header', 24 + 16 + 5 + 15, 'cut off'],
    ['cut in a packet', 24 + 16 + 5 + 16 + 2, 'cut off'],
  ])('%s: what is whole comes, then one fault', (_name, length, fault) => {
    const read = [...readPcap(pcapFile([first, second]).subarray(0, length))]
    expect(read.at(-1)).toMatchObject({ fault: expect.stringContaining(fault) })
    expect(read.length).toBe(length < 40 ? 1 : 2)
  })

  it('stops at a length that nobody can have', () => {
    const file = pcapFile([first, second])
    new DataView(file.buffer).setUint32(24 + 8, 0xfffffff0, true)
    expect([...readPcap(file)]).toEqual([{ number: 1, fault: expect.stringContaining('claims 4294967280 bytes') }])
  })
})

describe('pcapng', () => {
  it.each(both)('is read with little-endian %s', (little) => {
    const options = { little }
    const file = join(
      sectionHeader(options),
      interfaceBlock(LINK.ethernet, options),
      interfaceBlock(LINK.raw, { ...options, tsresol: 9 }),
      pcapngBlock(0x0bad, Uint8Array.of(1, 2, 3, 4), options),
      enhancedPacket(first, 1_700_000_000_000_001n, options),
      enhancedPacket(second, 1_700_000_000_000_000_002n, { ...options, from: 1 }),
      simplePacket(first, options),
    )
    expect(framesOf(readPcapng(file))).toEqual([
      { number: 1, link: 1, bytes: first, time: '2023-11-14T22:13:20.000001Z' },
      { number: 2, link: 101, bytes: second, time: '2023-11-14T22:13:20.000000002Z' },
      { number: 3, link: 1, bytes: first },
    ])
  })

  it('a new section may change the byte order and forgets the interfaces', () => {
    const big = { little: false }
    const file = join(
      sectionHeader(),
      interfaceBlock(LINK.ethernet),
      enhancedPacket(first, 0n),
      sectionHeader(big),
      enhancedPacket(second, 0n, big),
      interfaceBlock(LINK.raw, big),
      enhancedPacket(second, 0n, big),
    )
    expect([...readPcapng(file)]).toMatchObject([
      { link: 1, time: '1970-01-01T00:00:00.000000Z' },
      { number: 2, fault: 'A packet names interface 0, which the section does not describe.' },
      { number: 3, link: 101 },
    ])
  })

  it('reads resolutions that are powers of two, and times beyond year 9999 as none', () => {
    const file = join(
      sectionHeader(),
      interfaceBlock(LINK.raw, { tsresol: 0x80 | 10 }),
      enhancedPacket(first, 1536n),
      enhancedPacket(first, 0xffffffffffffffffn),
    )
    expect(framesOf(readPcapng(file)).map(({ time }) => time)).toEqual(['1970-01-01T00:00:01.500000000Z', undefined])
  })

  it('a simple packet is as long as the snap length allows', () => {
    const file = join(sectionHeader(), interfaceBlock(LINK.raw, { snap: 3 }), simplePacket(first))
    expect(framesOf(readPcapng(file))).toEqual([
      { number: 1, link: 101, bytes: first.subarray(0, 3), originalLength: 5 },
    ])
  })

  it.each([
    ['a block length of 0', (view: DataView) => view.setUint32(4, 0, true), 'claims 0 bytes'],
    ['a block length that is odd', (view: DataView) => view.setUint32(4, 29, true), 'claims 29 bytes'],
    ['a block length beyond the file', (view: DataView) => view.setUint32(4, 0x1000, true), 'cut off'],
    ['two lengths that differ', (view: DataView) => view.setUint32(24, 24, true), 'differ'],
    ['no byte-order magic', (view: DataView) => view.setUint32(8, 0, true), 'byte-order magic'],
  ])('%s ends the file with a fault', (_name, spoil, fault) => {
    const file = join(sectionHeader(), interfaceBlock(1), enhancedPacket(first, 0n))
    spoil(new DataView(file.buffer))
    expect([...readPcapng(file)]).toEqual([{ number: 1, fault: expect.stringContaining(fault) }])
  })

  it('a packet that claims more than its block has is one fault, and the next one is read', () => {
    const lying = enhancedPacket(first, 0n)
    new DataView(lying.buffer).setUint32(20, 9, true)
    const file = join(sectionHeader(), interfaceBlock(1), lying, enhancedPacket(second, 0n))
    expect([...readPcapng(file)]).toMatchObject([{ fault: expect.stringContaining('claims 9') }, { number: 2 }])
  })
})

describe('lines of hex', () => {
  const read = (text: string) => [...readHexLines(Buffer.from(text))]

  it('may have blanks, colons, comments, a prefix and two ends', () => {
    expect(read('# nothing\n\n0x01 02:03\r\n [2001:DB8::1]:500 > 192.0.2.1:4500 ff # end')).toEqual([
      { number: 3, link: 'datagram', bytes: Uint8Array.of(1, 2, 3) },
      {
        number: 4,
        link: 'datagram',
        bytes: Uint8Array.of(255),
        source: { address: '2001:db8::1', port: 500 },
        destination: { address: '192.0.2.1', port: 4500 },
      },
    ])
  })

  it.each([
    ['zz', 'not hexadecimal'],
    ['123', 'odd number'],
    ['192.0.2.1 > 192.0.2.2:500 00', 'must name its ends'],
    ['192.0.2.1:70000 > 192.0.2.2:500 00', 'must name its ends'],
    ['00'.repeat(65_536), 'more than 65,535 bytes'],
    ['0'.repeat(300_000), 'longer than'],
  ])('a bad line is one fault', (line, fault) => {
    expect(read(`${line}\n00`)).toMatchObject([{ number: 1, fault: expect.stringContaining(fault) }, { number: 2 }])
  })
})

describe('hostile text', () => {
  it.each(['>', '#\u2028', '> ', ':', ' \t', '[', '0x', '1.2.3.4:5 > '])(
    'a line of nothing but %j is read at once',
    (part) => {
      const line = Buffer.from(part.repeat(Math.floor(180_000 / Buffer.byteLength(part))))
      const start = performance.now()
      const capture = openCapture(line)
      if ('frames' in capture) expect([...capture.frames].length).toBeLessThan(2)
      expect([...readHexLines(Buffer.from(`${line}\n`))].length).toBeLessThan(2)
      expect(performance.now() - start).toBeLessThan(500)
    },
  )
})

describe('openCapture', () => {
  it('tells the formats apart by their first bytes', () => {
    const count = (bytes: Uint8Array) => {
      const capture = openCapture(bytes)
      return 'frames' in capture ? [...capture.frames].length : capture.refused
    }
    expect(count(pcapFile([first, second], { little: false, nano: true }))).toBe(2)
    expect(count(join(sectionHeader(), interfaceBlock(1), simplePacket(first)))).toBe(1)
    expect(count(Buffer.from('# a\n1.2.3.4:1 > 1.2.3.5:2 00\n'))).toBe(1)
    expect(count(Buffer.from('# only a comment\n'))).toBe(0)
    expect(count(Buffer.from('{"ike": []}'))).toContain('neither')
  })
})

describe('link types', () => {
  const packet = ipPacket('192.0.2.1', '192.0.2.2', 17, udpDatagram(500, 500, first))
  const packet6 = ipPacket('2001:db8::1', '2001:db8::2', 17, udpDatagram(500, 500, first))

  it.each(Object.entries(LINK))('%s carries IPv4 and IPv6', (_name, link) => {
    expect(ipPacketOf(link, framed(link, packet))).toEqual({ packet })
    expect(ipPacketOf(link, framed(link, packet6))).toEqual({ packet: packet6 })
  })

  it.each([12, 14, 108, 228, 229])('so does link type %i', (link) => {
    const bytes = link === 108 ? framed(LINK.null, packet) : packet
    expect(ipPacketOf(link, bytes)).toEqual({ packet })
  })

  it('Ethernet with VLAN tags, up to four', () => {
    const tagged = (tags: number) => {
      const tag = Array.from({ length: tags }, () => Uint8Array.of(0x81, 0x00, 0, 7))
      return join(new Uint8Array(12), ...tag, Uint8Array.of(0x08, 0x00), packet)
    }
    expect(ipPacketOf(LINK.ethernet, tagged(1))).toEqual({ packet })
    expect(ipPacketOf(LINK.ethernet, tagged(4))).toEqual({ packet })
    expect(ipPacketOf(LINK.ethernet, tagged(5))).toHaveProperty('malformed')
    expect(ipPacketOf(LINK.ethernet, tagged(2).subarray(0, 17))).toHaveProperty('malformed')
  })

  it('ARP is not ours, short frames are malformed, other types are named', () => {
    expect(ipPacketOf(LINK.ethernet, join(new Uint8Array(12), Uint8Array.of(0x08, 0x06)))).toBe('other')
    for (const link of Object.values(LINK)) expect(ipPacketOf(link, new Uint8Array(0))).toHaveProperty('malformed')
    expect(ipPacketOf(127, packet)).toEqual({ unsupported: 127 })
  })
})
