/** Packets for tests, built from their parts with correct lengths and checksums. */
import { address, addressBytes } from '../../protocol/net.ts'
import { concat, internetChecksum, setU16, setU32 } from '../reference/bytes.ts'
import {
  IPV6_HEADER,
  PROTO_FRAGMENT,
  PROTO_ICMP,
  PROTO_ICMPV6,
  PROTO_TCP,
  PROTO_UDP,
  writeIpv4Checksum,
} from '../reference/ip.ts'

export interface IpFields {
  readonly source?: string
  readonly destination?: string
  readonly protocol?: number
  readonly tos?: number
  readonly id?: number
  readonly ttl?: number
  /** IPv4: the flags and fragment offset field. */
  readonly flags?: number
  /** IPv4 options, a multiple of 4 bytes. */
  readonly options?: Uint8Array
  /** IPv6 extension headers; the last names `protocol` itself. */
  readonly extensions?: Uint8Array
  /** IPv6: what the fixed header names, where there are extension headers. */
  readonly firstHeader?: number
}

export function ipv4(payload: Uint8Array, fields: IpFields = {}): Uint8Array {
  const options = fields.options ?? new Uint8Array(0)
  const header = concat(new Uint8Array(20), options)
  header[0] = 0x40 | (header.length / 4)
  header[1] = fields.tos ?? 0
  setU16(header, 2, header.length + payload.length)
  setU16(header, 4, fields.id ?? 0x1234)
  setU16(header, 6, fields.flags ?? 0)
  header[8] = fields.ttl ?? 64
  header[9] = fields.protocol ?? PROTO_UDP
  header.set(addressBytes(address(fields.source ?? '10.1.0.5')), 12)
  header.set(addressBytes(address(fields.destination ?? '10.2.0.9')), 16)
  writeIpv4Checksum(header)
  return concat(header, payload)
}

export function ipv6(payload: Uint8Array, fields: IpFields = {}): Uint8Array {
  const extensions = fields.extensions ?? new Uint8Array(0)
  const header = new Uint8Array(IPV6_HEADER)
  setU32(header, 0, 0x6000_0000 | ((fields.tos ?? 0) << 20) | 0x12345)
  setU16(header, 4, extensions.length + payload.length)
  header[6] = fields.firstHeader ?? fields.protocol ?? PROTO_UDP
  header[7] = fields.ttl ?? 64
  header.set(addressBytes(address(fields.source ?? 'fd01::5')), 8)
  header.set(addressBytes(address(fields.destination ?? 'fd02::9')), 24)
  return concat(header, extensions, payload)
}

export function ip(version: 4 | 6, payload: Uint8Array, fields: IpFields = {}): Uint8Array {
  return version === 4 ? ipv4(payload, fields) : ipv6(payload, fields)
}

/** An 8-byte extension header, for hop-by-hop or destination options full of padding. */
export function optionsHeader(nextHeader: number): Uint8Array {
  return Uint8Array.of(nextHeader, 0, 1, 4, 0, 0, 0, 0)
}

export function fragmentHeader(nextHeader: number, offset: number, more: boolean, id: number): Uint8Array {
  const header = new Uint8Array(8)
  header[0] = nextHeader
  setU16(header, 2, offset | (more ? 1 : 0))
  setU32(header, 4, id)
  return header
}

/** One fragment of a datagram whose data (from the transport header on) is `data`. */
export function fragmentOf(
  version: 4 | 6,
  data: Uint8Array,
  offset: number,
  end: number,
  fields: IpFields = {},
): Uint8Array {
  const piece = data.subarray(offset, end)
  const more = end < data.length
  const id = fields.id ?? 0x1234
  if (version === 4) return ipv4(piece, { ...fields, id, flags: (more ? 0x2000 : 0) | (offset / 8) })
  const extensions = fragmentHeader(fields.protocol ?? PROTO_UDP, offset, more, id)
  return ipv6(piece, { ...fields, firstHeader: PROTO_FRAGMENT, extensions })
}

export function udp(size: number, sourcePort = 4000, destinationPort = 53): Uint8Array {
  const out = pattern(8 + size)
  setU16(out, 0, sourcePort)
  setU16(out, 2, destinationPort)
  setU16(out, 4, out.length)
  setU16(out, 6, 0)
  return out
}

export function tcp(flags: number, options: Uint8Array, sourcePort = 4000, destinationPort = 80): Uint8Array {
  const padded = concat(options, new Uint8Array(-options.length & 3))
  const out = concat(new Uint8Array(20), padded)
  setU16(out, 0, sourcePort)
  setU16(out, 2, destinationPort)
  setU32(out, 4, 0x01020304)
  out[12] = (out.length / 4) << 4
  out[13] = flags
  setU16(out, 14, 0xffff)
  return out
}

/** With the checksum over the pseudo-header, as a host sends it. */
export function tcpPacket(version: 4 | 6, segment: Uint8Array, fields: IpFields = {}): Uint8Array {
  const out = ip(version, segment, { ...fields, protocol: PROTO_TCP })
  const at = out.length - segment.length
  setU16(out, at + 16, 0)
  setU16(out, at + 16, transportChecksum(version, out, at, PROTO_TCP))
  return out
}

/** Zero over a packet whose transport checksum is right. */
export function transportChecksum(version: 4 | 6, packet: Uint8Array, at: number, protocol: number): number {
  const addresses = version === 4 ? packet.subarray(12, 20) : packet.subarray(8, 40)
  const rest = new Uint8Array(8)
  setU32(rest, 0, packet.length - at)
  rest[7] = protocol
  return internetChecksum(addresses, rest, packet.subarray(at))
}

export function icmp(type: number, code: number, size = 16): Uint8Array {
  return concat(Uint8Array.of(type, code, 0, 0), pattern(size))
}

export function icmpProtocol(version: 4 | 6): number {
  return version === 4 ? PROTO_ICMP : PROTO_ICMPV6
}

/** Bytes that tell their position. */
export function pattern(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => (i * 7 + (i >> 8)) & 0xff)
}
