/** Errors to the sending host: ICMP (RFC 1191 section 4, RFC 1812) and ICMPv6 (RFC 4443 section 3). */
import { concat, internetChecksum, setU16, setU32 } from './bytes.ts'
import { IPV4_DF, IPV6_HEADER, type IpPacket, PROTO_ICMP, PROTO_ICMPV6, portsOf, writeIpv4Checksum } from './ip.ts'

export const IPV6_MIN_MTU = 1280
/** RFC 1812 section 4.3.2.3. */
const ICMP_MAX = 576
const TTL = 64
/** Internetwork control (RFC 1812 section 4.3.2.5). */
const TOS_CONTROL = 0xc0
const ICMP_HEADER = 8

/**
 * The answer to `packet`, from its destination to its source. `mtu` is the largest packet that would have passed. This and
 * the others come from `own` where it is given.
 */
export function tooBigAnswer(packet: IpPacket, mtu: number, own?: Uint8Array): Uint8Array {
  return packet.version === 4
    ? errorMessage(packet, [3, 4, mtu], own)
    : errorMessage(packet, [2, 0, Math.max(mtu, IPV6_MIN_MTU)], own)
}

/** Host unreachable or administratively prohibited (RFC 1812 section 5.2.7.1, RFC 4443 section 3.1). */
export function unreachableAnswer(packet: IpPacket, prohibited: boolean, own?: Uint8Array): Uint8Array {
  return packet.version === 4
    ? errorMessage(packet, [3, prohibited ? 13 : 1, 0], own)
    : errorMessage(packet, [1, prohibited ? 1 : 0, 0], own)
}

/** No hop left (RFC 792, RFC 4443 section 3.3). */
export function timeExceededAnswer(packet: IpPacket, own?: Uint8Array): Uint8Array {
  return errorMessage(packet, [packet.version === 4 ? 11 : 3, 0, 0], own)
}

/** Type, code, and the 32 bits behind the checksum. */
type ErrorKind = readonly [type: number, code: number, word: number]

export function errorMessage(packet: IpPacket, kind: ErrorKind, own = packet.destination): Uint8Array {
  return packet.version === 4 ? icmpError(packet, kind, own) : icmpv6Error(packet, kind, own)
}

function icmpError(packet: IpPacket, [type, code, word]: ErrorKind, source: Uint8Array): Uint8Array {
  const quoted = packet.bytes.subarray(0, ICMP_MAX - 20 - ICMP_HEADER)
  const icmp = concat(Uint8Array.of(type, code, 0, 0, 0, 0, 0, 0), quoted)
  setU32(icmp, 4, word)
  setU16(icmp, 2, internetChecksum(icmp))
  const header = new Uint8Array(20)
  header[0] = 0x45
  header[1] = TOS_CONTROL
  setU16(header, 2, header.length + icmp.length)
  setU16(header, 6, IPV4_DF)
  header[8] = TTL
  header[9] = PROTO_ICMP
  header.set(source, 12)
  header.set(packet.source, 16)
  writeIpv4Checksum(header)
  return concat(header, icmp)
}

function icmpv6Error(packet: IpPacket, [type, code, word]: ErrorKind, source: Uint8Array): Uint8Array {
  const quoted = packet.bytes.subarray(0, IPV6_MIN_MTU - IPV6_HEADER - ICMP_HEADER)
  const icmp = concat(Uint8Array.of(type, code, 0, 0, 0, 0, 0, 0), quoted)
  setU32(icmp, 4, word)
  const header = new Uint8Array(IPV6_HEADER)
  header[0] = 0x60
  setU16(header, 4, icmp.length)
  header[6] = PROTO_ICMPV6
  header[7] = TTL
  header.set(source, 8)
  header.set(packet.source, 24)
  setU16(icmp, 2, internetChecksum(pseudoHeader(header, icmp.length), icmp))
  return concat(header, icmp)
}

/** RFC 8200 section 8.1. */
function pseudoHeader(header: Uint8Array, length: number): Uint8Array {
  const tail = new Uint8Array(8)
  setU32(tail, 0, length)
  tail[7] = PROTO_ICMPV6
  return concat(header.subarray(8, 40), tail)
}

/**
 * Whether an error may answer this packet (RFC 1812 section 4.3.2.7, RFC 4443 section 2.4 (e)): not about ICMP
 * errors, not about later fragments, neither to nor in the name of what is not one host.
 */
export function mayAnswer(packet: IpPacket): boolean {
  if ((packet.fragment?.offset ?? 0) > 0) return false
  if (isIcmpError(packet)) return false
  return isOneHost(packet.source) && isOneHost(packet.destination)
}

/** An ICMP message too short to show its type counts as one. */
function isIcmpError(packet: IpPacket): boolean {
  if (packet.protocol !== (packet.version === 4 ? PROTO_ICMP : PROTO_ICMPV6)) return false
  const ports = portsOf(packet)
  if (ports === undefined) return true
  const type = ports.source >> 8
  return packet.version === 4 ? [3, 4, 5, 11, 12].includes(type) : type < 128 || type === 137
}

function isOneHost(address: Uint8Array): boolean {
  const first = address[0]!
  if (address.length === 4) return first !== 0 && first !== 127 && first < 224
  const unspecifiedOrLoopback = address.subarray(0, 15).every((byte) => byte === 0) && address[15]! <= 1
  return first !== 0xff && !unspecifiedOrLoopback
}
