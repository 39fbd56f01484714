/** IPv4 (RFC 791), IPv6 (RFC 8200) and UDP (RFC 768) headers, read without trust. */
import { formatAddress } from '../../../protocol/net.ts'
import { u16, u32 } from '../../core/ike/wire/bytes.ts'

export interface IpPacket {
  readonly version: 4 | 6
  readonly source: string
  readonly destination: string
  /** Of the payload: behind all extension headers. */
  readonly protocol: number
  readonly payload: Uint8Array
  /** What the header says; the bytes may go on behind it. */
  readonly length: number
  readonly fragment?: { readonly id: number; readonly offset: number; readonly more: boolean }
}

export interface Malformed {
  readonly malformed: string
}

export const IP_PROTOCOL = {
  icmp: 1,
  ipv4: 4,
  tcp: 6,
  udp: 17,
  ipv6: 41,
  esp: 50,
  icmpv6: 58,
  none: 59,
  sctp: 132,
} as const

const ipv4 = { totalLength: 2, id: 4, fragment: 6, protocol: 9, source: 12, destination: 16, minimum: 20 } as const
const ipv6 = { payloadLength: 4, nextHeader: 6, source: 8, destination: 24, end: 40 } as const
/** Hop-by-hop, routing and destination options: next header, length in 8 bytes less one. */
const EXTENSIONS: ReadonlySet<number> = new Set([0, 43, 60])
const FRAGMENT_HEADER = 44
const MAX_EXTENSIONS = 16

/** The packet that begins at the first byte. Bytes behind its total length (link padding, TFC) are not part of it. */
export function parseIp(bytes: Uint8Array): IpPacket | Malformed {
  const version = bytes.length === 0 ? -1 : bytes[0]! >>> 4
  if (version === 4) return parseIpv4(bytes)
  if (version === 6) return parseIpv6(bytes)
  return { malformed: bytes.length === 0 ? 'There is no IP packet.' : `IP version ${version} does not exist.` }
}

function parseIpv4(bytes: Uint8Array): IpPacket | Malformed {
  if (bytes.length < ipv4.minimum) return { malformed: `An IPv4 header has 20 bytes; ${bytes.length} are there.` }
  const headerLength = (bytes[0]! & 0x0f) * 4
  const length = u16(bytes, ipv4.totalLength)
  if (headerLength < ipv4.minimum) return { malformed: `The IPv4 header claims ${headerLength} bytes.` }
  if (length < headerLength) return { malformed: `The IPv4 total length ${length} is less than its header.` }
  if (length > bytes.length) return { malformed: `The IPv4 packet claims ${length} bytes; ${bytes.length} are there.` }
  const field = u16(bytes, ipv4.fragment)
  const offset = (field & 0x1fff) * 8
  const more = (field & 0x2000) !== 0
  return {
    version: 4,
    source: formatAddress(bytes.slice(ipv4.source, ipv4.destination)),
    destination: formatAddress(bytes.slice(ipv4.destination, ipv4.minimum)),
    protocol: bytes[ipv4.protocol]!,
    payload: bytes.subarray(headerLength, length),
    length,
    ...(offset > 0 || more ? { fragment: { id: u16(bytes, ipv4.id), offset, more } } : {}),
  }
}

function parseIpv6(bytes: Uint8Array): IpPacket | Malformed {
  if (bytes.length < ipv6.end) return { malformed: `An IPv6 header has 40 bytes; ${bytes.length} are there.` }
  const length = ipv6.end + u16(bytes, ipv6.payloadLength)
  if (length > bytes.length) return { malformed: `The IPv6 packet claims ${length} bytes; ${bytes.length} are there.` }
  let protocol = bytes[ipv6.nextHeader]!
  let at: number = ipv6.end
  let fragment: IpPacket['fragment']
  for (let count = 0; EXTENSIONS.has(protocol) || protocol === FRAGMENT_HEADER; count++) {
    if (count === MAX_EXTENSIONS) return { malformed: `More than ${MAX_EXTENSIONS} IPv6 extension headers.` }
    if (at + 8 > length) return { malformed: `The IPv6 extension header at offset ${at} is cut off.` }
    const isFragment = protocol === FRAGMENT_HEADER
    const end = at + (isFragment ? 8 : (bytes[at + 1]! + 1) * 8)
    if (end > length) return { malformed: `The IPv6 extension header at offset ${at} ends behind the packet.` }
    protocol = bytes[at]!
    if (isFragment) {
      const field = u16(bytes, at + 2)
      const more = (field & 1) !== 0
      const offset = field & 0xfff8
      if (offset > 0 || more) fragment = { id: u32(bytes, at + 4), offset, more }
    }
    at = end
    if (fragment !== undefined && fragment.offset > 0) break
  }
  return {
    version: 6,
    source: formatAddress(bytes.slice(ipv6.source, ipv6.destination)),
    destination: formatAddress(bytes.slice(ipv6.destination, ipv6.end)),
    protocol,
    payload: bytes.subarray(at, length),
    length,
    ...(fragment === undefined ? {} : { fragment }),
  }
}

export interface Udp {
  readonly sourcePort: number
  readonly destinationPort: number
  readonly payload: Uint8Array
}

export function parseUdp(bytes: Uint8Array): Udp | Malformed {
  if (bytes.length < 8) return { malformed: `A UDP header has 8 bytes; ${bytes.length} are there.` }
  const length = u16(bytes, 4)
  if (length < 8 || length > bytes.length) {
    return { malformed: `The UDP length field says ${length} bytes; ${bytes.length} are there.` }
  }
  return { sourcePort: u16(bytes, 0), destinationPort: u16(bytes, 2), payload: bytes.subarray(8, length) }
}

const PROTOCOL_NAMES: Readonly<Record<number, string>> = {
  1: 'ICMP',
  4: 'IPv4',
  6: 'TCP',
  17: 'UDP',
  41: 'IPv6',
  47: 'GRE',
  50: 'ESP',
  51: 'AH',
  58: 'ICMPv6',
  59: 'none',
  89: 'OSPF',
  132: 'SCTP',
}

export function protocolName(protocol: number): string {
  return PROTOCOL_NAMES[protocol] ?? String(protocol)
}

/** What the output says of a packet inside ESP. */
export function summarize(bytes: Uint8Array): Record<string, unknown> {
  const packet = parseIp(bytes)
  if ('malformed' in packet) return { malformed: packet.malformed }
  const hasPorts =
    (packet.protocol === IP_PROTOCOL.tcp ||
      packet.protocol === IP_PROTOCOL.udp ||
      packet.protocol === IP_PROTOCOL.sctp) &&
    packet.payload.length >= 4 &&
    (packet.fragment?.offset ?? 0) === 0
  return {
    version: packet.version,
    src: packet.source,
    dst: packet.destination,
    protocol: packet.protocol,
    protocolName: protocolName(packet.protocol),
    ...(hasPorts ? { srcPort: u16(packet.payload, 0), dstPort: u16(packet.payload, 2) } : {}),
    length: packet.length,
    ...(packet.fragment === undefined ? {} : { fragment: packet.fragment }),
  }
}
