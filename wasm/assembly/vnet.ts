/**
 * The virtio_net_hdr in front of packets from and to a TUN device with IFF_VNET_HDR (virtio 1.2 section 5.1.6), in
 * the host's byte order: flags, gso_type, then 16-bit hdr_len, gso_size, csum_start, csum_offset.
 */
import { PACKET, PROTOCOL_TCP, PROTOCOL_UDP } from './ip'
import { fold, sumWords } from './checksum'

const NEEDS_CSUM: u32 = 1
export const GSO_NONE: u32 = 0
const GSO_TCPV4: u32 = 1
const GSO_TCPV6: u32 = 4
const GSO_UDP_L4: u32 = 5
/** CWR is set on the first segment. It is cleared on the others whether this bit says so or not. */
const GSO_ECN: u32 = 0x80

const TCP_HEADER: u32 = 20
const TCP_CHECKSUM: u32 = 16
const UDP_HEADER: u32 = 8
const UDP_CHECKSUM: u32 = 6

/** Where the transport checksum is in the header of a protocol. */
// @ts-ignore: decorator
@inline
export function checksumOffset(protocol: u32): u32 {
  return protocol == PROTOCOL_TCP ? TCP_CHECKSUM : UDP_CHECKSUM
}

// @ts-ignore: decorator
@inline
export function gsoType(header: usize): u32 {
  return load<u8>(header, 1)
}

/** Of the last checksum that was completed: where it is, 0 for nowhere, and what was there and in the flags before. */
let completedField: usize = 0
let partialSum: u16 = 0
let flagsBefore: u8 = 0

/**
 * Completes the checksum of the packet of `length` bytes behind the header, if that asks for it; it will not ask
 * again. Returns false when the header points outside of the packet.
 */
export function completeChecksum(header: usize, start: usize, length: u32): bool {
  completedField = 0
  if ((load<u8>(header) & NEEDS_CSUM) == 0) return true
  const from: u32 = load<u16>(header, 6)
  const field: u32 = from + load<u16>(header, 8)
  if (field + 2 > length) return false
  completedField = start + field
  partialSum = load<u16>(start + field)
  flagsBefore = load<u8>(header)
  const sum = ~fold(sumWords(start + from, length - from)) & 0xffff
  // Zero would say that there is none; both are the same number.
  store<u16>(start + field, <u16>(sum == 0 ? 0xffff : sum))
  store<u8>(header, 0)
  return true
}

/** Undoes what the last `completeChecksum`, which was for this header, has done. */
export function restoreChecksum(header: usize): void {
  if (completedField == 0) return
  store<u16>(completedField, partialSum)
  store<u8>(header, flagsBefore)
}

/** Bytes of IP and transport headers of the parsed super-packet, or 0 when its header does not fit it. */
export function superHeaders(header: usize): u32 {
  const protocol = gsoProtocol(gsoType(header))
  if (protocol == 0 || protocol != PACKET.protocol || PACKET.fragment) return 0
  if ((load<u8>(header) & NEEDS_CSUM) == 0 || load<u16>(header, 4) == 0) return 0
  if (<u32>load<u16>(header, 6) != PACKET.headerLength) return 0
  if (<u32>load<u16>(header, 8) != checksumOffset(protocol)) return 0
  const available = PACKET.length - PACKET.headerLength
  if (protocol == PROTOCOL_UDP) return available < UDP_HEADER ? 0 : PACKET.headerLength + UDP_HEADER
  if (available < TCP_HEADER) return 0
  const transport = (<u32>load<u8>(PACKET.start + PACKET.headerLength, 12) >> 4) << 2
  return transport < TCP_HEADER || transport > available ? 0 : PACKET.headerLength + transport
}

/** What is segmented under a gso_type in a packet of this version; 0 for nothing that we know. */
function gsoProtocol(type: u32): u32 {
  if (type == GSO_UDP_L4) return PROTOCOL_UDP
  const tcp = type & ~GSO_ECN
  return tcp == (PACKET.version == 4 ? GSO_TCPV4 : GSO_TCPV6) ? PROTOCOL_TCP : 0
}

/** Bytes of payload in each segment, as the kernel wants it. */
// @ts-ignore: decorator
@inline
export function gsoSize(header: usize): u32 {
  return load<u16>(header, 4)
}

/** Describes a super-packet with a partial checksum. */
export function writeSuperHeader(header: usize, version: u32, protocol: u32, headers: u32, size: u32): void {
  const tcp = version == 4 ? GSO_TCPV4 : GSO_TCPV6
  store<u8>(header, <u8>NEEDS_CSUM)
  store<u8>(header, <u8>(protocol == PROTOCOL_TCP ? tcp : GSO_UDP_L4), 1)
  store<u16>(header, <u16>headers, 2)
  store<u16>(header, <u16>size, 4)
  store<u16>(header, <u16>(version == 4 ? 20 : 40), 6)
  store<u16>(header, <u16>checksumOffset(protocol), 8)
}
