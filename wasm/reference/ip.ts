/**
 * IP packets, read and checked once; everything after works on the result. A parse never throws: what is no
 * packet comes back as a fault with the reason.
 */
import { DROP_BAD_HEADER, DROP_NOT_IP, DROP_TRUNCATED } from '../abi.ts'
import { getU16, getU32, internetChecksum, setU16 } from './bytes.ts'

export const PROTO_HOP_BY_HOP = 0
export const PROTO_ICMP = 1
export const PROTO_TCP = 6
export const PROTO_UDP = 17
export const PROTO_DCCP = 33
export const PROTO_ROUTING = 43
export const PROTO_FRAGMENT = 44
export const PROTO_ICMPV6 = 58
export const PROTO_DESTINATION_OPTIONS = 60
export const PROTO_SCTP = 132
export const PROTO_MOBILITY = 135
export const PROTO_UDP_LITE = 136

export const IPV4_RESERVED = 0x8000
export const IPV4_DF = 0x4000
export const IPV4_MF = 0x2000
export const IPV6_HEADER = 40
/** RFC 8200 names seven kinds; a longer chain is no honest packet. */
const MAX_EXTENSION_HEADERS = 8
const MAX_DATAGRAM = 65535

/** Where a fragment lies in its datagram (RFC 791 section 2.3, RFC 8200 section 4.5). Offsets in bytes. */
export interface FragmentInfo {
  readonly id: number
  readonly offset: number
  readonly more: boolean
  /** Where the fragment's share of the data begins; behind it a first IPv6 fragment may have more headers. */
  readonly dataAt: number
  /** IPv6: position of the fragment header, and of the next header field that names it. */
  readonly headerAt: number
  readonly nextHeaderAt: number
}

export interface IpPacket {
  readonly version: 4 | 6
  /** The packet without bytes beyond its IP length. A view, not a copy. */
  readonly bytes: Uint8Array
  readonly source: Uint8Array
  readonly destination: Uint8Array
  /** IPv4 protocol, or what follows the extension headers that RFC 4301 section 4.4.1.1 skips. */
  readonly protocol: number
  /** Where the payload of that protocol (or of a later fragment) begins. */
  readonly payloadAt: number
  /** Present on fragments; an atomic IPv6 fragment (RFC 6946) counts as a whole packet. */
  readonly fragment: FragmentInfo | undefined
  readonly dontFragment: boolean
  /** TOS or traffic class octet. */
  readonly tos: number
}

export interface IpFault {
  readonly fault: number
}

/** Reads the packet at the start of `bytes`; `fault` is DROP_NOT_IP, DROP_TRUNCATED or DROP_BAD_HEADER. */
export function parseIp(bytes: Uint8Array): IpPacket | IpFault {
  if (bytes.length === 0) return { fault: DROP_NOT_IP }
  const version = bytes[0]! >> 4
  if (version === 4) return parseIpv4(bytes)
  if (version === 6) return parseIpv6(bytes)
  return { fault: DROP_NOT_IP }
}

export function isFault(result: IpPacket | IpFault): result is IpFault {
  return 'fault' in result
}

function parseIpv4(input: Uint8Array): IpPacket | IpFault {
  if (input.length < 20) return { fault: DROP_TRUNCATED }
  const headerLength = (input[0]! & 0x0f) * 4
  const totalLength = getU16(input, 2)
  if (headerLength < 20 || totalLength < headerLength) return { fault: DROP_BAD_HEADER }
  if (totalLength > input.length) return { fault: DROP_TRUNCATED }
  const bytes = input.subarray(0, totalLength)
  if (internetChecksum(bytes.subarray(0, headerLength)) !== 0) return { fault: DROP_BAD_HEADER }
  const flags = getU16(bytes, 6)
  const offset = (flags & 0x1fff) * 8
  const more = (flags & IPV4_MF) !== 0
  if (offset + totalLength - headerLength > MAX_DATAGRAM) return { fault: DROP_BAD_HEADER }
  return {
    version: 4,
    bytes,
    source: bytes.subarray(12, 16),
    destination: bytes.subarray(16, 20),
    protocol: bytes[9]!,
    payloadAt: headerLength,
    fragment:
      offset > 0 || more
        ? { id: getU16(bytes, 4), offset, more, dataAt: headerLength, headerAt: 0, nextHeaderAt: 9 }
        : undefined,
    dontFragment: (flags & IPV4_DF) !== 0,
    tos: bytes[1]!,
  }
}

function parseIpv6(input: Uint8Array): IpPacket | IpFault {
  if (input.length < IPV6_HEADER) return { fault: DROP_TRUNCATED }
  const totalLength = IPV6_HEADER + getU16(input, 4)
  if (totalLength > input.length) return { fault: DROP_TRUNCATED }
  const bytes = input.subarray(0, totalLength)
  const chain = walkExtensions(bytes)
  if (chain === undefined) return { fault: DROP_BAD_HEADER }
  return {
    version: 6,
    bytes,
    source: bytes.subarray(8, 24),
    destination: bytes.subarray(24, 40),
    ...chain,
    dontFragment: true,
    tos: (getU16(bytes, 0) >> 4) & 0xff,
  }
}

interface Chain {
  readonly protocol: number
  readonly payloadAt: number
  readonly fragment: FragmentInfo | undefined
}

/**
 * To the first header that is none of those that RFC 4301 section 4.4.1.1 skips, or to a later fragment's data.
 * A first fragment carries the whole chain (RFC 7112).
 */
function walkExtensions(bytes: Uint8Array): Chain | undefined {
  let fragment: FragmentInfo | undefined
  let nextHeaderAt = 6
  let at = IPV6_HEADER
  for (let headers = 0; ; headers++) {
    const protocol = bytes[nextHeaderAt]!
    if (!isSkippedExtension(protocol)) return { protocol, payloadAt: at, fragment }
    if (headers === MAX_EXTENSION_HEADERS || at + 8 > bytes.length) return undefined
    if (protocol === PROTO_FRAGMENT) {
      if (fragment !== undefined) return undefined
      const info = fragmentHeader(bytes, at, nextHeaderAt)
      if (info.offset + bytes.length - info.dataAt > MAX_DATAGRAM) return undefined
      if (info.offset > 0) return { protocol: bytes[at]!, payloadAt: info.dataAt, fragment: info }
      if (info.more) fragment = info
    }
    nextHeaderAt = at
    at += protocol === PROTO_FRAGMENT ? 8 : (bytes[at + 1]! + 1) * 8
    if (at > bytes.length) return undefined
  }
}

/** IPv6 headers that stand before the next layer protocol. */
function isSkippedExtension(protocol: number): boolean {
  return (
    protocol === PROTO_HOP_BY_HOP ||
    protocol === PROTO_ROUTING ||
    protocol === PROTO_FRAGMENT ||
    protocol === PROTO_DESTINATION_OPTIONS
  )
}

function fragmentHeader(bytes: Uint8Array, at: number, nextHeaderAt: number): FragmentInfo {
  const field = getU16(bytes, at + 2)
  return {
    id: getU32(bytes, at + 4),
    offset: field & 0xfff8,
    more: (field & 1) !== 0,
    dataAt: at + 8,
    headerAt: at,
    nextHeaderAt,
  }
}

/**
 * What port selectors compare (RFC 4301 section 4.4.1.1): the port pair; or ICMP type and code, or the mobility
 * header's type in the high octet, for both sides. Undefined where the packet shows none.
 */
export function portsOf(packet: IpPacket): { source: number; destination: number } | undefined {
  const { bytes, payloadAt, protocol, fragment } = packet
  if ((fragment?.offset ?? 0) > 0 || bytes.length < payloadAt + 4) return undefined
  if (hasPorts(protocol)) return { source: getU16(bytes, payloadAt), destination: getU16(bytes, payloadAt + 2) }
  if (protocol === (packet.version === 4 ? PROTO_ICMP : PROTO_ICMPV6)) return both(getU16(bytes, payloadAt))
  return protocol === PROTO_MOBILITY ? both(bytes[payloadAt + 2]! << 8) : undefined
}

function both(value: number): { source: number; destination: number } {
  return { source: value, destination: value }
}

function hasPorts(protocol: number): boolean {
  return (
    protocol === PROTO_TCP ||
    protocol === PROTO_UDP ||
    protocol === PROTO_DCCP ||
    protocol === PROTO_SCTP ||
    protocol === PROTO_UDP_LITE
  )
}

/** Writes the header checksum of an IPv4 packet in place. */
export function writeIpv4Checksum(bytes: Uint8Array): void {
  const header = bytes.subarray(0, (bytes[0]! & 0x0f) * 4)
  setU16(header, 10, 0)
  setU16(header, 10, internetChecksum(header))
}

/** Writes the TOS or traffic class octet in place, IPv4 header checksum included. */
export function writeTos(bytes: Uint8Array, tos: number): void {
  if (bytes[0]! >> 4 === 6) {
    setU16(bytes, 0, 0x6000 | (tos << 4) | (bytes[1]! & 0x0f))
    return
  }
  bytes[1] = tos
  writeIpv4Checksum(bytes)
}
