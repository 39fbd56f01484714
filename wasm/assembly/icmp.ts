/** ICMP fragmentation needed (RFC 792, RFC 1191) and ICMPv6 packet too big (RFC 4443 section 3.2). */
import { DROP_ICMP_RATE, ICMP_PER_SECOND } from '../abi'
import { countDrop } from './counters'
import { PACKET, PROTOCOL_ICMP, PROTOCOL_ICMPV6, checksumOf, setIpv4Checksum, store16, sumBytes } from './ip'
import { lanSlot, pushLan } from './outbox'
import { TokenBucket, takeToken } from './tokens'

/** RFC 1812 section 4.3.2.3: at most 576 bytes. RFC 4443: at most the minimum IPv6 MTU. */
const IPV4_ANSWER_MAX: u32 = 576
const IPV6_ANSWER_MAX: u32 = 1280
const ICMP_HEADER: u32 = 8
const DONT_FRAGMENT: u32 = 0x4000
/** Internetwork control, as RFC 1812 section 4.3.2.5 asks of ICMP errors. */
const TOS_INTERNETWORK_CONTROL: u32 = 0xc0

const bucket: TokenBucket = changetype<TokenBucket>(memory.data(32, 16))

/**
 * Answers the parsed packet into the LAN outbox, which must have room, unless RFC 1122 section
 * 3.2.2 or RFC 4443 section 2.4 (e) forbid it or the rate is spent.
 */
export function answerTooBig(mtu: u32, now: f64): void {
  if (PACKET.fragmentOffset != 0 || isIcmpError() || !isUnicastPair()) return
  if (!takeToken(bucket, ICMP_PER_SECOND, now)) {
    countDrop(DROP_ICMP_RATE)
    return
  }
  if (PACKET.version == 4) writeIpv4(mtu)
  else writeIpv6(mtu)
}

function isIcmpError(): bool {
  const known = PACKET.hasPorts
  const type = PACKET.sourcePort >> 8
  if (PACKET.version == 6) return PACKET.protocol == PROTOCOL_ICMPV6 && (!known || type < 128 || type == 137)
  if (PACKET.protocol != PROTOCOL_ICMP) return false
  return !known || type == 3 || type == 4 || type == 5 || type == 11 || type == 12
}

/** Whether both addresses can be an address of the answer. */
function isUnicastPair(): bool {
  if (PACKET.version == 4) return isUnicastIpv4(PACKET.sourceHigh) && isUnicastIpv4(PACKET.destinationHigh)
  return isUnicastIpv6(PACKET.sourceHigh, PACKET.sourceLow) && isUnicastIpv6(PACKET.destinationHigh, PACKET.destinationLow)
}

/** Not this-network, loopback, multicast, reserved or broadcast. */
function isUnicastIpv4(high: u64): bool {
  const first = <u32>(high >> 56)
  return first != 0 && first != 127 && first < 224
}

function isUnicastIpv6(high: u64, low: u64): bool {
  return <u32>(high >> 56) != 0xff && !(high == 0 && low <= 1)
}

function writeIpv4(mtu: u32): void {
  const quoted = min<u32>(PACKET.length, IPV4_ANSWER_MAX - 20 - ICMP_HEADER)
  const length = 20 + ICMP_HEADER + quoted
  const at = lanSlot()
  memory.fill(at, 0, 20 + ICMP_HEADER)
  store<u8>(at, 0x45)
  store<u8>(at, <u8>TOS_INTERNETWORK_CONTROL, 1)
  store16(at + 2, length)
  // RFC 6864 section 4.1: an identification that says nothing needs DF.
  store16(at + 6, DONT_FRAGMENT)
  store<u8>(at, 64, 8)
  store<u8>(at, <u8>PROTOCOL_ICMP, 9)
  store<u32>(at, load<u32>(PACKET.start, 16), 12)
  store<u32>(at, load<u32>(PACKET.start, 12), 16)
  setIpv4Checksum(at, 20)
  const icmp = at + 20
  store<u8>(icmp, 3)
  store<u8>(icmp, 4, 1)
  store16(icmp + 6, mtu)
  memory.copy(icmp + ICMP_HEADER, PACKET.start, quoted)
  store16(icmp + 2, checksumOf(sumBytes(icmp, ICMP_HEADER + quoted)))
  pushLan(at, length)
}

function writeIpv6(mtu: u32): void {
  const quoted = min<u32>(PACKET.length, IPV6_ANSWER_MAX - 40 - ICMP_HEADER)
  const body = ICMP_HEADER + quoted
  const at = lanSlot()
  memory.fill(at, 0, 40 + ICMP_HEADER)
  store<u8>(at, 0x60)
  store16(at + 4, body)
  store<u8>(at, <u8>PROTOCOL_ICMPV6, 6)
  store<u8>(at, 64, 7)
  memory.copy(at + 8, PACKET.start + 24, 16)
  memory.copy(at + 24, PACKET.start + 8, 16)
  const icmp = at + 40
  store<u8>(icmp, 2)
  store<u32>(icmp, bswap<u32>(mtu), 4)
  memory.copy(icmp + ICMP_HEADER, PACKET.start, quoted)
  store16(icmp + 2, checksumOf(sumBytes(at + 8, 32) + body + PROTOCOL_ICMPV6 + sumBytes(icmp, body)))
  pushLan(at, 40 + body)
}
