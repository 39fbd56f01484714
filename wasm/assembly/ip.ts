/**
 * Reads an IPv4 or IPv6 packet once into the one `PACKET` record. Lengths are validated here, and
 * nowhere else: whoever comes after may rely on `length` and `headerLength`.
 */
import { DROP_BAD_HEADER, DROP_NOT_IP, DROP_TRUNCATED } from '../abi'

export const IP_OK: i32 = -1

export const PROTOCOL_ICMP: u32 = 1
export const PROTOCOL_TCP: u32 = 6
export const PROTOCOL_UDP: u32 = 17
export const PROTOCOL_ICMPV6: u32 = 58

const HOP_BY_HOP: u32 = 0
const ROUTING: u32 = 43
const FRAGMENT: u32 = 44
const DESTINATION_OPTIONS: u32 = 60
const DCCP: u32 = 33
const SCTP: u32 = 132
const MOBILITY: u32 = 135
const UDP_LITE: u32 = 136

/** RFC 8200 names seven; a longer chain is no honest packet. */
const MAX_EXTENSION_HEADERS: u32 = 8

@unmanaged
export class Packet {
  start: usize
  /** Whole packet, by its own header; what the carrier added behind is cut off. */
  length: u32
  version: u32
  /** Bytes in front of the transport header, or of a fragment's data; extension headers included. */
  headerLength: u32
  /** Transport protocol; of a later fragment what its fragment header names. */
  protocol: u32
  /** Addresses as numbers; an IPv4 address fills the top 32 bits of `High`. */
  sourceHigh: u64
  sourceLow: u64
  destinationHigh: u64
  destinationLow: u64
  sourcePort: u32
  destinationPort: u32
  hasPorts: bool
  /** One of several fragments: an IPv6 atomic fragment (RFC 6946) is none. */
  fragment: bool
  moreFragments: bool
  fragmentOffset: u32
  identification: u32
  /** IPv6: offset of the fragment header, and of the octet that announces it. */
  fragmentHeader: u32
  fragmentPointer: u32
}

export const PACKET: Packet = changetype<Packet>(memory.data(256, 16))

// @ts-ignore: decorator
@inline
export function load16(at: usize): u32 {
  return <u32>bswap<u16>(load<u16>(at))
}

// @ts-ignore: decorator
@inline
export function store16(at: usize, value: u32): void {
  store<u16>(at, bswap<u16>(<u16>value))
}

/** Reads the packet in the `captured` bytes at `start`. Returns IP_OK or a DROP_ reason. */
export function parsePacket(start: usize, captured: u32): i32 {
  if (captured == 0) return DROP_NOT_IP
  const version = <u32>load<u8>(start) >> 4
  if (version == 4) return parseIpv4(start, captured)
  if (version == 6) return parseIpv6(start, captured)
  return DROP_NOT_IP
}

function parseIpv4(start: usize, captured: u32): i32 {
  if (captured < 20) return DROP_TRUNCATED
  const headerLength = (<u32>load<u8>(start) & 15) << 2
  const length = load16(start + 2)
  if (headerLength < 20 || length < headerLength) return DROP_BAD_HEADER
  if (length > captured) return DROP_TRUNCATED
  // RFC 1812 section 4.2.2.5. Fragments and marks get a fresh checksum later, which must not cover up a bad header.
  if (checksumOf(sumBytes(start, headerLength)) != 0) return DROP_BAD_HEADER
  const flags = load16(start + 6)
  PACKET.start = start
  PACKET.length = length
  PACKET.version = 4
  PACKET.headerLength = headerLength
  PACKET.protocol = load<u8>(start + 9)
  PACKET.sourceHigh = <u64>bswap<u32>(load<u32>(start + 12)) << 32
  PACKET.sourceLow = 0
  PACKET.destinationHigh = <u64>bswap<u32>(load<u32>(start + 16)) << 32
  PACKET.destinationLow = 0
  PACKET.fragmentOffset = (flags & 0x1fff) << 3
  PACKET.moreFragments = (flags & 0x2000) != 0
  PACKET.fragment = (flags & 0x3fff) != 0
  PACKET.identification = load16(start + 4)
  if (PACKET.fragmentOffset + length > 65535 + headerLength) return DROP_BAD_HEADER
  readPorts()
  return IP_OK
}

function parseIpv6(start: usize, captured: u32): i32 {
  if (captured < 40) return DROP_TRUNCATED
  const length = load16(start + 4) + 40
  if (length > captured) return DROP_TRUNCATED
  PACKET.start = start
  PACKET.length = length
  PACKET.version = 6
  PACKET.sourceHigh = bswap<u64>(load<u64>(start + 8))
  PACKET.sourceLow = bswap<u64>(load<u64>(start + 16))
  PACKET.destinationHigh = bswap<u64>(load<u64>(start + 24))
  PACKET.destinationLow = bswap<u64>(load<u64>(start + 32))
  PACKET.fragment = false
  PACKET.moreFragments = false
  PACKET.fragmentOffset = 0
  if (!walkExtensions(start, length)) return DROP_BAD_HEADER
  readPorts()
  return IP_OK
}

/** Follows the header chain to the transport header, or to the data of a later fragment. */
function walkExtensions(start: usize, length: u32): bool {
  let next: u32 = load<u8>(start + 6)
  let pointer: u32 = 6
  let at: u32 = 40
  for (let headers: u32 = 0; ; headers++) {
    // Not AH: RFC 4301 section 4.4.1.1 has selectors see it as the next layer protocol.
    if (next != HOP_BY_HOP && next != ROUTING && next != FRAGMENT && next != DESTINATION_OPTIONS) break
    if (headers == MAX_EXTENSION_HEADERS || at + 8 > length) return false
    const header = start + at
    if (next == FRAGMENT) {
      if (PACKET.fragment) return false
      if (!readFragmentHeader(header, at, pointer, length)) return false
      if (PACKET.fragmentOffset != 0) {
        PACKET.protocol = load<u8>(header)
        PACKET.headerLength = at + 8
        return true
      }
    }
    pointer = at
    at += extensionLength(next, header)
    next = load<u8>(header)
    if (at > length) return false
  }
  PACKET.protocol = next
  PACKET.headerLength = at
  return true
}

function extensionLength(type: u32, header: usize): u32 {
  if (type == FRAGMENT) return 8
  const units: u32 = load<u8>(header, 1)
  return (units + 1) << 3
}

function readFragmentHeader(header: usize, at: u32, pointer: u32, length: u32): bool {
  const bits = load16(header + 2)
  PACKET.fragmentOffset = bits & 0xfff8
  PACKET.moreFragments = (bits & 1) != 0
  PACKET.fragment = (bits & 0xfff9) != 0
  PACKET.identification = bswap<u32>(load<u32>(header + 4))
  PACKET.fragmentHeader = at
  PACKET.fragmentPointer = pointer
  return PACKET.fragmentOffset + (length - at - 8) <= 65535
}

/** The port selectors of RFC 4301 section 4.4.1.1: ports, ICMP type and code, mobility header type. */
function readPorts(): void {
  PACKET.hasPorts = false
  PACKET.sourcePort = 0
  PACKET.destinationPort = 0
  if (PACKET.fragmentOffset != 0) return
  const at = PACKET.start + PACKET.headerLength
  const available = PACKET.length - PACKET.headerLength
  if (available < 4) return
  const protocol = PACKET.protocol
  if (protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP || protocol == SCTP || protocol == DCCP || protocol == UDP_LITE) {
    PACKET.sourcePort = load16(at)
    PACKET.destinationPort = load16(at + 2)
    PACKET.hasPorts = true
  } else if (protocol == (PACKET.version == 4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6)) {
    setBothPorts(load16(at))
  } else if (protocol == MOBILITY) {
    setBothPorts(<u32>load<u8>(at, 2) << 8)
  }
}

function setBothPorts(value: u32): void {
  PACKET.sourcePort = value
  PACKET.destinationPort = value
  PACKET.hasPorts = true
}

/** TOS (RFC 791) or traffic class octet. */
export function readTos(start: usize): u32 {
  if (<u32>load<u8>(start) >> 4 == 4) return load<u8>(start, 1)
  return (load16(start) >> 4) & 0xff
}

/** Ones' complement sum of `length` bytes in network byte order, not yet folded. */
export function sumBytes(at: usize, length: u32): u32 {
  let sum: u32 = 0
  const even = length & ~1
  for (let i: u32 = 0; i < even; i += 2) sum += load16(at + i)
  if (length & 1) sum += <u32>load<u8>(at + even) << 8
  return sum
}

/** The checksum field for a folded sum (RFC 1071). */
export function checksumOf(sum: u32): u32 {
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16)
  return ~sum & 0xffff
}

export function setIpv4Checksum(start: usize, headerLength: u32): void {
  store<u16>(start, 0, 10)
  store16(start + 10, checksumOf(sumBytes(start, headerLength)))
}

/** Adjusts the checksum field at `field` for one 16-bit word that changed (RFC 1624 equation 3). */
export function updateChecksum(field: usize, before: u32, after: u32): void {
  const sum = (~load16(field) & 0xffff) + (~before & 0xffff) + after
  store16(field, checksumOf(sum))
}
