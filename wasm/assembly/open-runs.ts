/** Wire to LAN from a socket with UDP_GRO, which lays datagrams of one length and one sender end to end. */
import { BATCH, DROP_OVERSIZED, LARGE_BYTES, LARGE_PACKET, MAX_OUTER, NAME_STRIDE, OUTBOX, SLOT_BYTES } from '../abi'
import {
  LARGE_WIRE_RX,
  LARGE_WIRE_RX_LENGTH,
  LARGE_WIRE_RX_NAMES,
  LARGE_WIRE_RX_SEGMENT,
  LARGE_WIRE_RX_TOS,
  WIRE_RX,
  WIRE_RX_LENGTH,
  WIRE_RX_NAMES,
  WIRE_RX_TOS,
} from './arena'
import { countDrop } from './counters'
import { openSlots } from './open'

/** Datagrams that the last call took apart: they are in the ordinary slots, from the first on, with their verdicts. */
export let runDatagrams: u32 = 0

/** Returns how many slots were consumed: as many as have no more than OUTBOX datagrams, but at least one. */
export function openRunSlots(first: u32, count: u32, time: f64): u32 {
  runDatagrams = 0
  if (first >= <u32>BATCH) return 0
  const todo = min<u32>(count, BATCH - first)
  let done: u32 = 0
  for (; done < todo; done++) {
    const slot = first + done
    if (runDatagrams != 0 && runDatagrams + datagramsIn(slot) > <u32>OUTBOX) break
    takeApart(slot)
  }
  openSlots(runDatagrams, true, time)
  return done
}

/** Bytes in the slot; the host may claim more than there is room for. */
function lengthOf(slot: u32): u32 {
  return min<u32>(load<u32>(LARGE_WIRE_RX_LENGTH + (slot << 2)), LARGE_PACKET)
}

function sizeOf(slot: u32, length: u32): u32 {
  const size = load<u32>(LARGE_WIRE_RX_SEGMENT + (slot << 2))
  return size == 0 ? length : size
}

/** An empty datagram is one too. */
function datagramsIn(slot: u32): u32 {
  const length = lengthOf(slot)
  if (length == 0) return 1
  const size = sizeOf(slot, length)
  return (length + size - 1) / size
}

/** Copies the datagrams of a slot to the next ordinary slots; what is beyond the last of those is dropped. */
function takeApart(slot: u32): void {
  const start = LARGE_WIRE_RX + slot * LARGE_BYTES
  const length = lengthOf(slot)
  const size = sizeOf(slot, length)
  let from: u32 = 0
  do {
    if (runDatagrams == OUTBOX) {
      countDrop(DROP_OVERSIZED)
      return
    }
    const bytes = min<u32>(size, length - from)
    const target = runDatagrams++
    memory.copy(WIRE_RX + target * SLOT_BYTES, start + from, min<u32>(bytes, MAX_OUTER))
    store<u32>(WIRE_RX_LENGTH + (target << 2), bytes)
    memory.copy(WIRE_RX_NAMES + target * NAME_STRIDE, LARGE_WIRE_RX_NAMES + slot * NAME_STRIDE, NAME_STRIDE)
    store<u8>(WIRE_RX_TOS + target, load<u8>(LARGE_WIRE_RX_TOS + slot))
    from += bytes
  } while (from < length)
}
