/** The two outboxes: slot i belongs to entry i unless an entry points elsewhere. */
import { OUTBOX, SLOT_BYTES, VNET_HEADER } from '../abi'
import {
  LAN_TX,
  LAN_TX_COUNT,
  LAN_TX_LENGTH,
  LAN_TX_OFFSET,
  WIRE_TX,
  WIRE_TX_COUNT,
  WIRE_TX_ENDPOINT,
  WIRE_TX_LENGTH,
  WIRE_TX_OFFSET,
  WIRE_TX_TOS,
} from './arena'

export function emptyOutboxes(): void {
  store<u32>(LAN_TX_COUNT, 0)
  store<u32>(WIRE_TX_COUNT, 0)
}

// @ts-ignore: decorator
@inline
export function lanRoom(): u32 {
  return OUTBOX - load<u32>(LAN_TX_COUNT)
}

// @ts-ignore: decorator
@inline
export function wireRoom(): u32 {
  return OUTBOX - load<u32>(WIRE_TX_COUNT)
}

/** Whether packets for the LAN have a virtio_net_hdr in front. */
export let lanHeader: bool = false

export function setLanHeader(on: bool): void {
  lanHeader = on
}

/** Room for a header in front of each packet, and then alignment. */
const LAN_HEADROOM: usize = 16

/** Where the packet of the next entry goes; there must be room. */
// @ts-ignore: decorator
@inline
export function lanSlot(): usize {
  return LAN_TX + LAN_HEADROOM + load<u32>(LAN_TX_COUNT) * SLOT_BYTES
}

// @ts-ignore: decorator
@inline
export function wireSlot(): usize {
  return WIRE_TX + load<u32>(WIRE_TX_COUNT) * SLOT_BYTES
}

/** A packet as it is, with VNET_HEADER bytes of room in front. */
export function pushLan(offset: usize, length: u32): void {
  const count = load<u32>(LAN_TX_COUNT)
  if (lanHeader) {
    store<u64>(offset - VNET_HEADER, 0)
    store<u16>(offset - 2, 0)
  }
  setLanEntry(count, offset, length)
  store<u32>(LAN_TX_COUNT, count + 1)
}

/** Takes the last packet out again; returns where it lies. There must be one. */
export function takeBackLan(): usize {
  const last = load<u32>(LAN_TX_COUNT) - 1
  store<u32>(LAN_TX_COUNT, last)
  return load<u32>(LAN_TX_OFFSET + (last << 2)) + (lanHeader ? VNET_HEADER : 0)
}

/** Has an entry name another packet, whose header, if packets have one, is in place. */
export function setLanEntry(entry: u32, offset: usize, length: u32): void {
  const extra: u32 = lanHeader ? VNET_HEADER : 0
  store<u32>(LAN_TX_OFFSET + (entry << 2), <u32>offset - extra)
  store<u32>(LAN_TX_LENGTH + (entry << 2), length + extra)
}

export function pushWire(length: u32, endpoint: u32, tos: u32): void {
  const count = load<u32>(WIRE_TX_COUNT)
  store<u32>(WIRE_TX_OFFSET + (count << 2), <u32>wireSlot())
  store<u32>(WIRE_TX_LENGTH + (count << 2), length)
  store<u32>(WIRE_TX_ENDPOINT + (count << 2), endpoint)
  store<u8>(WIRE_TX_TOS + count, <u8>tos)
  store<u32>(WIRE_TX_COUNT, count + 1)
}

/** Makes the wire outbox look empty; returns how many packets it has. */
export function withholdWire(): u32 {
  const count = load<u32>(WIRE_TX_COUNT)
  store<u32>(WIRE_TX_COUNT, 0)
  return count
}

export function releaseWire(count: u32): void {
  store<u32>(WIRE_TX_COUNT, count)
}
