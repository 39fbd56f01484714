/** A ring of events that the host takes at its leisure. */
import { DROP_EVENT_OVERFLOW, EVENT_CAPACITY, EVENT_UNKNOWN_SPI } from '../abi'
import { countDrop } from './counters'
import { load16 } from './ip'
import { TokenBucket, takeToken } from './tokens'

const AF_INET: u32 = 2
const AF_INET6: u32 = 10
const UNKNOWN_SPI_PER_SECOND: f64 = 10

@unmanaged
class EngineEvent {
  type: u32
  /** SA handle, SPI or tunnel, by type. */
  subject: u32
  /** Address family (4, 6, or 0 for none) and port. */
  family: u32
  port: u32
  addressHigh: u64
  addressLow: u64
}

const RING: usize = memory.data(EVENT_CAPACITY * 32, 16)
const TAKEN: EngineEvent = changetype<EngineEvent>(memory.data(64, 16))
const unknownSpiBucket: TokenBucket = changetype<TokenBucket>(memory.data(32, 16))

let head: u32 = 0
let waiting: u32 = 0

export function raise(type: u32, subject: u32): void {
  raiseFrom(type, subject, 0)
}

/** `name` is a sockaddr_in or sockaddr_in6 as the kernel writes them, or 0. */
export function raiseFrom(type: u32, subject: u32, name: usize): void {
  if (waiting == <u32>EVENT_CAPACITY) {
    countDrop(DROP_EVENT_OVERFLOW)
    return
  }
  const event = changetype<EngineEvent>(RING + (((head + waiting) & (EVENT_CAPACITY - 1)) << 5))
  waiting++
  event.type = type
  event.subject = subject
  event.family = familyOf(name)
  event.port = event.family == 0 ? 0 : load16(name + 2)
  event.addressHigh = addressHigh(name)
  event.addressLow = addressLow(name)
}

export function raiseUnknownSpi(spi: u32, name: usize, now: f64): void {
  if (takeToken(unknownSpiBucket, UNKNOWN_SPI_PER_SECOND, now)) raiseFrom(EVENT_UNKNOWN_SPI, spi, name)
}

/** IP version of a socket address; 0 when it is neither kind, or no address at all. */
export function familyOf(name: usize): u32 {
  if (name == 0) return 0
  const family: u32 = load<u16>(name)
  return family == AF_INET ? 4 : family == AF_INET6 ? 6 : 0
}

/** First 8 bytes of the address, or all 4 of IPv4, in memory order. */
export function addressHigh(name: usize): u64 {
  const family = familyOf(name)
  if (family == 4) return <u64>load<u32>(name, 4)
  return family == 6 ? load<u64>(name, 8) : 0
}

export function addressLow(name: usize): u64 {
  return familyOf(name) == 6 ? load<u64>(name, 16) : 0
}

/** Moves the oldest event to where the getters read it. Returns its type, or 0 when there is none. */
export function takeEvent(): u32 {
  if (waiting == 0) return 0
  memory.copy(changetype<usize>(TAKEN), RING + (head << 5), 32)
  head = (head + 1) & (EVENT_CAPACITY - 1)
  waiting--
  return TAKEN.type
}

export function takenSubject(): u32 {
  return TAKEN.subject
}

export function takenFamily(): u32 {
  return TAKEN.family
}

export function takenPort(): u32 {
  return TAKEN.port
}

/** Byte offset of the address: 4 or 16 bytes in network byte order. */
export function takenAddress(): usize {
  return changetype<usize>(TAKEN) + offsetof<EngineEvent>('addressHigh')
}
