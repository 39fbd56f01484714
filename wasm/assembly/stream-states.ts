/**
 * Cipher states of sessions: key and counter of each, side by side behind everything else, in a table that grows by
 * pages. A counter only ever grows while its key is there, and nothing outside can set one: no nonce comes twice.
 */

/** key (32), nonce (12): 4 zero octets and the counter, little-endian; generation (4), next free (4). */
const STRIDE: usize = 64
const NONCE: usize = 32
const COUNTER: usize = 36
const GENERATION: usize = 44
const NEXT_FREE: usize = 48
const PAGE: usize = 65536

const TABLE: usize = (__heap_base + STRIDE - 1) & ~(STRIDE - 1)
let made: u32 = 0
/** 1 more than the index of a free state, or 0. */
let free: u32 = 0

/** A state with this key and the counter 0: its index, or -1 where there is no memory. Erases the 32 bytes at `key`. */
export function makeState(key: usize): i32 {
  let index = free - 1
  if (free == 0) {
    if (TABLE + (<usize>made + 1) * STRIDE > <usize>memory.size() * PAGE && memory.grow(1) < 0) return -1
    index = made++
  } else free = load<u32>(stateAt(index), NEXT_FREE)
  const state = stateAt(index)
  memory.copy(state, key, 32)
  memory.fill(key, 0, 32)
  memory.fill(state + NONCE, 0, 12)
  store<u32>(state, load<u32>(state, GENERATION) + 1, GENERATION)
  return index
}

/** Which of the states that had this index this one is; odd while it is in use. */
export function generationOf(index: u32): u32 {
  return load<u32>(stateAt(index), GENERATION)
}

/** The state, whose first 32 bytes are its key, or 0 where it is no longer this one. */
export function findState(index: u32, generation: u32): usize {
  if (index >= made) return 0
  const state = stateAt(index)
  const current = load<u32>(state, GENERATION)
  return current == generation && (current & 1) == 1 ? state : 0
}

export function freeState(index: u32, generation: u32): void {
  const state = findState(index, generation)
  if (state == 0) return
  memory.fill(state, 0, GENERATION)
  store<u32>(state, generation + 1, GENERATION)
  store<u32>(state, free, NEXT_FREE)
  free = index + 1
}

// @ts-ignore: decorator
@inline
export function nonceOf(state: usize): usize {
  return state + NONCE
}

/** 2^64 - 1 is not a nonce for messages (Noise section 5.1). */
export function isExhausted(state: usize): bool {
  return load<u64>(state, COUNTER) == u64.MAX_VALUE
}

export function advance(state: usize): void {
  store<u64>(state, load<u64>(state, COUNTER) + 1, COUNTER)
}

// @ts-ignore: decorator
@inline
function stateAt(index: u32): usize {
  return TABLE + <usize>index * STRIDE
}
