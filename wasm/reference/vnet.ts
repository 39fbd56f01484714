/**
 * The virtio_net_hdr in front of packets from and to a TUN device with IFF_VNET_HDR (virtio 1.2 section 5.1.6): flags,
 * gso_type, then hdr_len, gso_size, csum_start and csum_offset, each 16 bits in the host's byte order.
 */
import { VNET_HEADER } from '../abi.ts'
import { internetChecksum, setU16 } from './bytes.ts'
import { type IpPacket, PROTO_TCP, PROTO_UDP } from './ip.ts'

const NEEDS_CSUM = 1
export const GSO_NONE = 0
export const GSO_TCPV4 = 1
export const GSO_TCPV6 = 4
export const GSO_UDP_L4 = 5
/** CWR is set on the first segment. */
export const GSO_ECN = 0x80

export interface VnetHeader {
  readonly needsChecksum: boolean
  readonly type: number
  readonly headers: number
  readonly size: number
  readonly checksumStart: number
  readonly checksumOffset: number
}

/** The header at the start of `bytes`, of which there are at least VNET_HEADER. */
export function readVnet(bytes: Uint8Array): VnetHeader {
  const half = (at: number): number => bytes[at]! | (bytes[at + 1]! << 8)
  return {
    needsChecksum: (bytes[0]! & NEEDS_CSUM) !== 0,
    type: bytes[1]!,
    headers: half(2),
    size: half(4),
    checksumStart: half(6),
    checksumOffset: half(8),
  }
}

export function writeVnet(header: VnetHeader): Uint8Array {
  const { needsChecksum, type, headers, size, checksumStart, checksumOffset } = header
  const halves = [headers, size, checksumStart, checksumOffset].flatMap((half) => [half & 0xff, half >> 8])
  return Uint8Array.of(needsChecksum ? NEEDS_CSUM : 0, type, ...halves)
}

/** In front of a packet that is one packet and complete. */
export const PLAIN_VNET = new Uint8Array(VNET_HEADER)

/** A copy with the checksum completed, or undefined where the header points outside of the packet. */
export function withChecksum(packet: Uint8Array, header: VnetHeader): Uint8Array | undefined {
  if (!header.needsChecksum) return packet
  const field = header.checksumStart + header.checksumOffset
  if (field + 2 > packet.length) return undefined
  const out = packet.slice()
  setU16(out, field, internetChecksum(out.subarray(header.checksumStart)) || 0xffff)
  return out
}

/** Where the checksum is in a TCP or UDP header. */
export function checksumPlace(protocol: number): number {
  return protocol === PROTO_TCP ? 16 : 6
}

/** Bytes of IP and transport headers of a super-packet, or undefined where its header does not fit it. */
export function superHeaders(packet: IpPacket, header: VnetHeader): number | undefined {
  const protocol = protocolOf(header.type, packet.version)
  if (protocol === undefined || protocol !== packet.protocol || packet.fragment !== undefined) return undefined
  if (!header.needsChecksum || header.size === 0) return undefined
  if (header.checksumStart !== packet.payloadAt || header.checksumOffset !== checksumPlace(protocol)) return undefined
  const length = transportHeader(packet)
  return length === undefined ? undefined : packet.payloadAt + length
}

function protocolOf(type: number, version: 4 | 6): number | undefined {
  if (type === GSO_UDP_L4) return PROTO_UDP
  return (type & ~GSO_ECN) === (version === 4 ? GSO_TCPV4 : GSO_TCPV6) ? PROTO_TCP : undefined
}

/** Bytes of the TCP or UDP header, if all of it is there. */
export function transportHeader(packet: IpPacket): number | undefined {
  const available = packet.bytes.length - packet.payloadAt
  if (packet.protocol === PROTO_UDP) return available < 8 ? undefined : 8
  if (available < 20) return undefined
  const length = (packet.bytes[packet.payloadAt + 12]! >> 4) * 4
  return length < 20 || length > available ? undefined : length
}
