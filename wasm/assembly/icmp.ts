/** ICMP errors (RFC 792, RFC 1191, RFC 1812) and those of ICMPv6 (RFC 4443 section 3). */
import { DROP_ICMP_RATE, ICMP_PER_SECOND, OUTBOX } from '../abi'
import { CONTROL_ADDRESSES } from './arena'
import { countDrop } from './counters'
import { lookup } from './fib'
import { PACKET, PROTOCOL_ICMP, PROTOCOL_ICMPV6, checksumOf, setIpv4Checksum, store16, sumBytes } from './ip'
import { lanSlot, pushLan } from './outbox'
import { TokenBucket, takeToken } from './tokens'
import { GROUP_COUNT_MASK, groupHead } from './tunnel'

/** RFC 1812 section 4.3.2.3: at most 576 bytes. RFC 4443: at most the minimum IPv6 MTU. */
const IPV4_ANSWER_MAX: u32 = 576
const IPV6_ANSWER_MAX: u32 = 1280
const ICMP_HEADER: u32 = 8
const DONT_FRAGMENT: u32 = 0x4000
/** Internetwork control, as RFC 1812 section 4.3.2.5 asks of ICMP errors. */
const TOS_INTERNETWORK_CONTROL: u32 = 0xc0

if (ICMP_PER_SECOND > OUTBOX) ERROR('answers do not fit into an outbox')

const bucket: TokenBucket = changetype<TokenBucket>(memory.data(32, 16))

/** Where answers come from that do not go to the LAN: an IPv4 address, and from byte 16 on an IPv6 one. */
const OWN: usize = memory.data(32, 16)
let hasOwn4: bool = false
let hasOwn6: bool = false

/** Takes the address from the control area. */
export function setOwnAddress(version: u32): void {
  if (version == 4) {
    hasOwn4 = true
    memory.copy(OWN, CONTROL_ADDRESSES, 4)
  } else {
    hasOwn6 = true
    memory.copy(OWN + 16, CONTROL_ADDRESSES, 16)
  }
}

export function clearOwnAddresses(): void {
  hasOwn4 = false
  hasOwn6 = false
}

/** The packet was too big for `mtu` bytes. This and the next answer into the LAN outbox, as `answer` does. */
export function answerTooBig(mtu: u32, now: f64): void {
  if (PACKET.version == 4) answer(3, 4, mtu, now)
  else answer(2, 0, mtu, now)
}

/** Host unreachable or communication administratively prohibited (RFC 1812 section 5.2.7.1, RFC 4443 section 3.1). */
export function answerUnreachable(prohibited: bool, now: f64): void {
  if (PACKET.version == 4) answer(3, prohibited ? 13 : 1, 0, now)
  else answer(1, prohibited ? 1 : 0, 0, now)
}

/** The packet had no hop left (RFC 792, RFC 4443 section 3.3). */
export function answerTimeExceeded(now: f64): void {
  if (PACKET.version == 4) answer(11, 0, 0, now)
  else answer(3, 0, 0, now)
}

/** Whether packets have come by a tunnel at present. */
let tunnelled: bool = false
/** Whether the last answer to one of these goes by a tunnel, too; it lies last in the LAN outbox all the same. */
export let wayBack: bool = false

/** From here on packets have come by a tunnel, or from the LAN. */
export function answersGoOn(on: bool): void {
  tunnelled = on
  if (on) wayBack = false
}

/**
 * Answers the parsed packet into the LAN outbox, unless RFC 1122 section 3.2.2 or RFC 4443 section 2.4 (e) forbid it or
 * the rate is spent. There is always room: the rate allows no more in one call than an outbox holds.
 *
 * What goes into a tunnel comes from an address of our own, if one was set. To the LAN it comes from where the packet was
 * to go: Linux takes no packet with an address of its own as source from a device.
 */
function answer(type: u32, code: u32, word: u32, now: f64): void {
  if (PACKET.fragmentOffset != 0 || isIcmpError() || !isUnicastPair()) return
  if (!takeToken(bucket, ICMP_PER_SECOND, now)) {
    countDrop(DROP_ICMP_RATE)
    return
  }
  wayBack = tunnelled && leadsToTunnels()
  if (PACKET.version == 4) writeIpv4(type, code, word, wayBack && hasOwn4 ? OWN : PACKET.start + 16)
  else writeIpv6(type, code, word, wayBack && hasOwn6 ? OWN + 16 : PACKET.start + 24)
}

/** Of the source of the parsed packet. */
function leadsToTunnels(): bool {
  const group = lookup(PACKET.version, PACKET.sourceHigh, PACKET.sourceLow)
  return group >= 0 && (groupHead(group) & GROUP_COUNT_MASK) != 0
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

function writeIpv4(type: u32, code: u32, word: u32, source: usize): void {
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
  store<u32>(at, load<u32>(source), 12)
  store<u32>(at, load<u32>(PACKET.start, 12), 16)
  setIpv4Checksum(at, 20)
  const icmp = at + 20
  store<u8>(icmp, <u8>type)
  store<u8>(icmp, <u8>code, 1)
  store<u32>(icmp, bswap<u32>(word), 4)
  memory.copy(icmp + ICMP_HEADER, PACKET.start, quoted)
  store16(icmp + 2, checksumOf(sumBytes(icmp, ICMP_HEADER + quoted)))
  pushLan(at, length)
}

function writeIpv6(type: u32, code: u32, word: u32, source: usize): void {
  const quoted = min<u32>(PACKET.length, IPV6_ANSWER_MAX - 40 - ICMP_HEADER)
  const body = ICMP_HEADER + quoted
  const at = lanSlot()
  memory.fill(at, 0, 40 + ICMP_HEADER)
  store<u8>(at, 0x60)
  store16(at + 4, body)
  store<u8>(at, <u8>PROTOCOL_ICMPV6, 6)
  store<u8>(at, 64, 7)
  memory.copy(at + 8, source, 16)
  memory.copy(at + 24, PACKET.start + 8, 16)
  const icmp = at + 40
  store<u8>(icmp, <u8>type)
  store<u8>(icmp, <u8>code, 1)
  store<u32>(icmp, bswap<u32>(word), 4)
  memory.copy(icmp + ICMP_HEADER, PACKET.start, quoted)
  store16(icmp + 2, checksumOf(sumBytes(at + 8, 32) + body + PROTOCOL_ICMPV6 + sumBytes(icmp, body)))
  pushLan(at, 40 + body)
}
