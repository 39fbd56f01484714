/**
 * Sequence numbers on receipt (RFC 4303 section 3.4.3 and appendix A2). The window is a ring of
 * 64-bit words, twice as long as the largest window, so that moving on clears whole words only
 * (the idea of RFC 6479); the window itself stays exact to the packet.
 */
import { DROP_REPLAYED, DROP_TOO_OLD, REPLAY_WINDOW_MIN } from '../abi'
import { Sa } from './sa'

const RING_WORDS: u64 = 128
export const SEQUENCE_OK: i32 = -1

/** Everything up to `sa.sequence` counts as received. */
export function resetWindow(sa: Sa): void {
  memory.fill(sa.ring, 0xff, <usize>RING_WORDS << 3)
  const bit = sa.sequence & 63
  store<u64>(wordAt(sa, sa.sequence >> 6), bit == 63 ? u64.MAX_VALUE : (<u64>1 << (bit + 1)) - 1)
}

/**
 * The 64-bit number behind the 32 bits on the wire, or u64.MAX_VALUE where it would lie before 0
 * (appendix A2.1). Without a window the nearest number to the highest one is taken.
 */
export function inferSequence(sa: Sa, low: u32): u64 {
  if (!sa.esn) return low
  const width: u32 = sa.window == 0 ? 0x80000000 : max<u32>(sa.window, REPLAY_WINDOW_MIN)
  const highestLow = <u32>sa.sequence
  const highestHigh = <u32>(sa.sequence >> 32)
  const bottom = highestLow - width + 1
  if (highestLow >= width - 1) {
    return (<u64>(low >= bottom ? highestHigh : highestHigh + 1) << 32) | low
  }
  if (low < bottom) return (<u64>highestHigh << 32) | low
  return highestHigh == 0 ? u64.MAX_VALUE : (<u64>(highestHigh - 1) << 32) | low
}

/** SEQUENCE_OK or a DROP_ reason. Changes nothing. */
export function checkWindow(sa: Sa, sequence: u64): i32 {
  if (sa.esn && sequence == u64.MAX_VALUE) return DROP_TOO_OLD
  if (sa.window == 0 || sequence > sa.sequence) return SEQUENCE_OK
  if (sa.sequence - sequence >= <u64>sa.window) return DROP_TOO_OLD
  return ((load<u64>(wordAt(sa, sequence >> 6)) >> (sequence & 63)) & 1) != 0 ? DROP_REPLAYED : SEQUENCE_OK
}

/** Marks an authentic packet as received. Returns whether it is the highest so far. */
export function commitWindow(sa: Sa, sequence: u64): bool {
  const highest = sequence > sa.sequence
  if (highest) {
    const current = sa.sequence >> 6
    const steps = (sequence >> 6) - current
    if (steps != 0) moveOn(sa, current, steps)
    sa.sequence = sequence
  }
  if (sa.window != 0) {
    const word = wordAt(sa, sequence >> 6)
    store<u64>(word, load<u64>(word) | (<u64>1 << (sequence & 63)))
  }
  return highest
}

/**
 * Sequence numbers below the highest one that no authentic packet has had so far. Those in the window may still come.
 * None are known where the window is off: nothing is remembered then.
 */
export function missingOf(sa: Sa): u64 {
  const current = sa.sequence >> 6
  // Of the word that the highest number is in, only what lies up to there.
  let missing = sa.missing + (sa.sequence & 63) + 1 - popcnt<u64>(load<u64>(wordAt(sa, current)))
  const kept = <u64>(sa.window >> 6)
  for (let i: u64 = 1; i <= kept; i++) missing += unmarkedIn(sa, current - i)
  return missing
}

/**
 * Makes the next `steps` words the last ones. As many leave the window, and what is not marked in them cannot come any
 * more: once in 64 numbers, the gaps cost a packet nothing.
 */
function moveOn(sa: Sa, current: u64, steps: u64): void {
  if (sa.window != 0) {
    const kept = <u64>(sa.window >> 6)
    const leaving = min<u64>(steps, kept + 1)
    for (let i: u64 = 0; i < leaving; i++) sa.missing += unmarkedIn(sa, current - kept + i)
    sa.missing += (steps - leaving) << 6
  }
  const cleared = min<u64>(steps, RING_WORDS)
  for (let i: u64 = 1; i <= cleared; i++) store<u64>(wordAt(sa, current + i), 0)
}

// @ts-ignore: decorator
@inline
function unmarkedIn(sa: Sa, block: u64): u64 {
  return 64 - popcnt<u64>(load<u64>(wordAt(sa, block)))
}

// @ts-ignore: decorator
@inline
function wordAt(sa: Sa, block: u64): usize {
  return sa.ring + (<usize>(block & (RING_WORDS - 1)) << 3)
}
