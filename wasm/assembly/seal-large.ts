/**
 * LAN to wire from a device that hands over super-packets: checksums completed, TCP streams and runs of datagrams cut
 * into packets that fit, each of which goes the way of any other. Route and SA are looked up once for all of them.
 */
import {
  BATCH,
  DROP_BAD_OFFLOAD,
  DROP_OVERSIZED,
  DROP_TOO_BIG,
  LARGE_BYTES,
  LARGE_PACKET,
  MAX_INNER,
  MAX_TUNNELS,
  SLOT_BYTES,
  VNET_HEADER,
} from '../abi'
import { clearJobs } from './aead-jobs'
import { LARGE_LAN_RX, LARGE_LAN_RX_HAND_OVER, LARGE_LAN_RX_LENGTH, LARGE_LAN_RX_VIA } from './arena'
import { choose, chosen, clearHandedTo, handedTo, isInbox, refuseUnrouted } from './choose'
import { countDrop, countSaDrop } from './counters'
import { outerTos } from './ecn'
import { finishSeal, wireText } from './esp'
import { fetchRoute, isFarTable, lookup } from './fib'
import { IP_OK, PACKET, PROTOCOL_TCP, parsePacket, readTos } from './ip'
import { wireRoom } from './outbox'
import { Sa } from './sa'
import { admit, beginSeal, emit, sealPacket } from './seal'
import { cutSegment } from './segment'
import { sealOnward } from './transit'
import { innerMtuOf } from './tunnel'
import { completeChecksum, GSO_NONE, gsoSize, gsoType, restoreChecksum, superHeaders } from './vnet'

/** The header stands so that the packet behind it is aligned. */
export const LARGE_LAN_START: usize = LARGE_LAN_RX + 16 - VNET_HEADER

const IPV6_MIN_MTU: u32 = 1280
const FLAG_SYN: u32 = 2
const NONE: u32 = 0xffffffff

/** A segment on a way that may cut it further. */
const SCRATCH: usize = memory.data(SLOT_BYTES, 64)

/** The slot whose super-packet waits for room, the payload bytes that are done, and the size of its segments. */
let waiting: u32 = NONE
let doneBytes: u32 = 0
let segmentSize: u32 = 0
let now: f64 = 0

/** Returns how many slots were consumed. One that was consumed in part goes on when the next call begins with it. */
export function sealLargeSlots(first: u32, count: u32, time: f64, handedOver: bool): u32 {
  now = time
  beginSeal(time, handedOver)
  if (first >= <u32>BATCH) return 0
  if (waiting != first) waiting = NONE
  const todo = min<u32>(count, BATCH - first)
  if (isFarTable()) {
    for (let i = first; i < first + todo; i++) fetchRoute(LARGE_LAN_START + i * LARGE_BYTES + VNET_HEADER)
  }
  clearJobs()
  let done: u32 = 0
  for (; done < todo; done++) {
    const slot = first + done
    clearHandedTo()
    if (!sealSlot(slot)) break
    store<u8>(LARGE_LAN_RX_HAND_OVER + slot, <u8>handedTo)
  }
  finishSeal()
  return done
}

/** Returns false when the packet, or the rest of it, has to wait for an emptier outbox; so do all of these. */
function sealSlot(slot: u32): bool {
  const header = LARGE_LAN_START + slot * LARGE_BYTES
  const captured = load<u32>(LARGE_LAN_RX_LENGTH + (slot << 2))
  if (captured < <u32>VNET_HEADER) return drop(DROP_BAD_OFFLOAD)
  const length = captured - VNET_HEADER
  if (length > <u32>LARGE_PACKET) return drop(DROP_OVERSIZED)
  const start = header + VNET_HEADER
  if (isInbox() && load<u32>(LARGE_LAN_RX_VIA + (slot << 2)) - 1 < <u32>MAX_TUNNELS) return sealLoose(slot, start, length)
  if (gsoType(header) != GSO_NONE) return sealSuper(slot, header, start, length)
  if (!completeChecksum(header, start, length)) return drop(DROP_BAD_OFFLOAD)
  const consumed = sealPacket(start, length, true)
  if (handedTo != 0) restoreChecksum(header)
  return consumed
}

/** A packet of another worker that came by a tunnel: no super-packet. */
function sealLoose(slot: u32, start: usize, length: u32): bool {
  const at = slot << 2
  store<u32>(LARGE_LAN_RX_LENGTH + at, length)
  const consumed = sealOnward(start, LARGE_LAN_RX_LENGTH + at, LARGE_LAN_RX_VIA + at, false, now)
  store<u32>(LARGE_LAN_RX_LENGTH + at, load<u32>(LARGE_LAN_RX_LENGTH + at) + VNET_HEADER)
  return consumed
}

function drop(reason: i32): bool {
  countDrop(reason)
  return true
}

function sealSuper(slot: u32, header: usize, start: usize, length: u32): bool {
  const fault = parsePacket(start, length)
  if (fault != IP_OK) return drop(fault)
  const headers = superHeaders(header)
  if (headers == 0) return drop(DROP_BAD_OFFLOAD)
  if (waiting != slot) {
    doneBytes = 0
    segmentSize = gsoSize(header)
  }
  const group = lookup(PACKET.version, PACKET.destinationHigh, PACKET.destinationLow)
  if (group < 0) {
    refuseUnrouted()
    return finished(true)
  }
  const sa = choose(group, false, waiting != slot)
  if (sa == null) return finished(true)
  const mtu = innerMtuOf(sa, chosen)
  const limit = PACKET.version == 4 ? mtu : max<u32>(mtu, IPV6_MIN_MTU)
  const tcp = PACKET.protocol == PROTOCOL_TCP
  if (waiting != slot && tcp) {
    if (headers >= limit) {
      countSaDrop(sa, DROP_TOO_BIG)
      return true
    }
    // A stream may be cut finer than its host asked for, where the path is narrower than it knew.
    segmentSize = min<u32>(segmentSize, limit - headers)
  }
  const whole = headers + segmentSize <= limit && !(tcp && (load<u8>(start + PACKET.headerLength, 13) & FLAG_SYN) != 0)
  const consumed = sealSegments(sa, start, headers, whole)
  waiting = consumed ? NONE : slot
  return consumed
}

function finished(consumed: bool): bool {
  waiting = NONE
  return consumed
}

/** With `whole` every segment fits and needs nothing but sealing. */
function sealSegments(sa: Sa, start: usize, headers: u32, whole: bool): bool {
  const length = PACKET.length
  const payload = length - headers
  const tos = outerTos(readTos(start), chosen.copyDscp)
  do {
    if (wireRoom() == 0) return false
    const size = min<u32>(segmentSize, payload - doneBytes)
    const number = doneBytes / segmentSize
    if (whole && !sa.stopped) {
      if (admit(sa, 1) > 0) emit(sa, wireText(), cutSegment(wireText(), headers, doneBytes, size, number), tos)
    } else {
      if (!sealAlone(headers, size, number)) return false
      parsePacket(start, length)
    }
    doneBytes += size
  } while (doneBytes < payload)
  return true
}

/** A segment on the way of a packet of its own; the super-packet is the parsed one no more. */
function sealAlone(headers: u32, size: u32, number: u32): bool {
  if (headers + size > <u32>MAX_INNER) return drop(DROP_OVERSIZED)
  return sealPacket(SCRATCH, cutSegment(SCRATCH, headers, doneBytes, size, number), false)
}
