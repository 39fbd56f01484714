/**
 * From one tunnel to another. Packets are collected while a batch is opened and sealed by calls of their own, each from
 * where it lies. Only tunnels that are both for transit have part in it, and nothing goes back where it came from.
 */
import { OUTBOX, SLOT_BYTES } from '../abi'
import { clearJobs } from './aead-jobs'
import {
  TRANSIT_COUNT,
  TRANSIT_EXPIRED,
  TRANSIT_HAND_OVER,
  TRANSIT_LENGTH,
  TRANSIT_OFFSET,
  TRANSIT_SLOTS,
  TRANSIT_VIA,
} from './arena'
import { clearHandedTo, comesBy, handedTo, setInbox } from './choose'
import { finishSeal } from './esp'
import { lookup } from './fib'
import { answerTimeExceeded, answersGoOn, wayBack } from './icmp'
import { PACKET, parsePacket, updateChecksum } from './ip'
import { lanRoom, takeBackLan, wireRoom } from './outbox'
import { beginSeal, sealPacket } from './seal'
import { groupHead, groupMembers, GROUP_COUNT_MASK, tunnelAt } from './tunnel'

/** Room for the head of ESP, which stands in front of packets in their receive slots too. */
const HEADROOM: usize = 16

/** The first packet that has not been sealed yet. */
let next: u32 = 0

/** At the start of every batch call that opens. */
export function emptyTransit(): void {
  next = 0
  store<u32>(TRANSIT_COUNT, 0)
}

export function transitRoom(): u32 {
  return OUTBOX - load<u32>(TRANSIT_COUNT)
}

/** Whether the parsed packet, which came by tunnel `from`, goes on by another. */
export function goesOn(from: u32): bool {
  const group = lookup(PACKET.version, PACKET.destinationHigh, PACKET.destinationLow)
  if (group < 0) return false
  const members = groupMembers(group)
  for (let i: u32 = 0; i < (groupHead(group) & GROUP_COUNT_MASK); i++) {
    const number = load<u32>(members + (i << 2))
    if (number != from && tunnelAt(number).transit) return true
  }
  return false
}

/** Takes one hop off the parsed packet (RFC 1812 section 5.3.1, RFC 8200 section 3). Returns false when it has none left. */
export function takeHop(): bool {
  const start = PACKET.start
  const v4 = PACKET.version == 4
  const at = start + (v4 ? 8 : 7)
  const hops: u32 = load<u8>(at)
  if (hops <= 1) return false
  store<u8>(at, <u8>(hops - 1))
  // RFC 1624: the octet in front of the protocol.
  if (v4) updateChecksum(start + 10, (hops << 8) | PACKET.protocol, ((hops - 1) << 8) | PACKET.protocol)
  return true
}

/** Where a packet may be put that does not lie in a receive slot; there must be room. */
export function transitSlot(): usize {
  return TRANSIT_SLOTS + HEADROOM + load<u32>(TRANSIT_COUNT) * SLOT_BYTES
}

/** `expired`: to be answered and not to be sent. */
export function pushTransit(start: usize, length: u32, from: u32, expired: bool): void {
  const entry = load<u32>(TRANSIT_COUNT)
  store<u32>(TRANSIT_OFFSET + (entry << 2), <u32>start)
  store<u32>(TRANSIT_LENGTH + (entry << 2), length)
  store<u32>(TRANSIT_VIA + (entry << 2), from + 1)
  store<u8>(TRANSIT_EXPIRED + entry, expired)
  store<u32>(TRANSIT_COUNT, entry + 1)
}

/** Returns how many packets were consumed. */
export function sealTransitPackets(time: f64): u32 {
  beginSeal(time, false)
  clearJobs()
  const first = next
  const count = load<u32>(TRANSIT_COUNT)
  for (; next < count; next++) {
    const at = next << 2
    clearHandedTo()
    if (!sealOnward(load<u32>(TRANSIT_OFFSET + at), TRANSIT_LENGTH + at, TRANSIT_VIA + at, load<u8>(TRANSIT_EXPIRED + next) != 0, time)) break
    store<u8>(TRANSIT_HAND_OVER + next, <u8>handedTo)
  }
  finishSeal()
  return next - first
}

/**
 * Seals a packet that came by a tunnel: `length` and `via` say where its length is and 1 more than the tunnel. An answer
 * to its source takes its place, as a packet of our own. Returns false when it has to wait for an emptier outbox.
 */
export function sealOnward(start: usize, length: usize, via: usize, expired: bool, time: f64): bool {
  const wire = wireRoom()
  const lan = lanRoom()
  if (wire == 0 || lan == 0) return false
  const number = load<u32>(via)
  comesBy(number)
  answersGoOn(true)
  let consumed = true
  if (expired) {
    parsePacket(start, load<u32>(length))
    answerTimeExceeded(time)
  } else consumed = sealPacket(start, load<u32>(length), true)
  answersGoOn(false)
  comesBy(0)
  if (wireRoom() < wire) tunnelAt(number - 1).sentOn++
  if (lanRoom() < lan && wayBack) turnAnswer(start, length, via)
  return consumed
}

/** Sends the answer that lies last in the LAN outbox by the tunnel that its destination leads to. */
function turnAnswer(start: usize, length: usize, via: usize): void {
  const answer = takeBackLan()
  parsePacket(answer, SLOT_BYTES)
  memory.copy(start, answer, PACKET.length)
  store<u32>(length, PACKET.length)
  store<u32>(via, 0)
  clearHandedTo()
  const inbox = setInbox(false)
  sealPacket(start, PACKET.length, true)
  setInbox(inbox)
}
