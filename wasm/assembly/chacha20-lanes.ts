/**
 * The input of the ChaCha20 kernels (RFC 8439 section 2.3): eight blocks, of whatever packets, one in each lane.
 *
 * Two sets of four lanes. Of each set the words 4 to 15 of the state (key, counter, nonce) as vectors, then for all
 * eight lanes where the key stream is XORed from, and where to.
 */
import { chacha20Lanes4 } from './chacha20-lanes4.ts'
import { chacha20Lanes8 } from './chacha20-lanes8.ts'

export const LANES: u32 = 8
const SET_BYTES: usize = 12 * 16
const COUNTER: usize = 8 * 16
const NONCE: usize = 9 * 16
const SOURCES: usize = 2 * SET_BYTES
const TARGETS: usize = SOURCES + 4 * LANES

/** 64 zero bytes: the source of bare key stream. */
export const ZEROS: usize = memory.data(64, 64)
/** Where idle lanes write. */
const SINK: usize = memory.data(64, 64)
const STATE: usize = memory.data(448, 64)
/** The key that each lane has, by its address; 0 when it has none. */
const LANE_KEYS: usize = memory.data(4 * LANES, 16)

/** Steps of Poly1305 in one run of a kernel. */
export const MAX_STEPS: u32 = 10

/** Puts block `counter` of a key stream into a lane. The key must stay at its address. */
// @ts-ignore: decorator
@inline
export function setLane(lane: u32, key: usize, nonce: usize, counter: u32, src: usize, dst: usize): void {
  const words = wordsOf(lane)
  store<u32>(words + COUNTER, counter)
  store<u32>(words + NONCE, load<u32>(nonce))
  store<u32>(words + NONCE, load<u32>(nonce, 4), 16)
  store<u32>(words + NONCE, load<u32>(nonce, 8), 32)
  moveLane(lane, src, dst)
  if (load<u32>(LANE_KEYS + (lane << 2)) != <u32>key) setLaneKey(lane, words, key)
}

/** Puts blocks `counter` to `counter + 7` of a key stream into the lanes, 64 bytes of text each. */
export function setAllLanes(key: usize, nonce: usize, counter: u32, src: usize, dst: usize): void {
  const keys = i32x4.splat(<i32>key)
  const known = v128.and(i32x4.eq(keys, v128.load(LANE_KEYS)), i32x4.eq(keys, v128.load(LANE_KEYS, 16)))
  if (!i32x4.all_true(known)) for (let lane: u32 = 0; lane < LANES; lane++) setLaneKey(lane, wordsOf(lane), key)
  const counters = i32x4.add(i32x4.splat(counter), i32x4(0, 1, 2, 3))
  v128.store(STATE + COUNTER, counters)
  v128.store(STATE + SET_BYTES + COUNTER, i32x4.add(counters, i32x4.splat(4)))
  for (let word: usize = 0; word < 12; word += 4) {
    const part = v128.load32_splat(nonce + word)
    v128.store(STATE + NONCE + (word << 2), part)
    v128.store(STATE + SET_BYTES + NONCE + (word << 2), part)
  }
  const places = i32x4(0, 64, 128, 192)
  v128.store(STATE + SOURCES, i32x4.add(i32x4.splat(<i32>src), places))
  v128.store(STATE + SOURCES, i32x4.add(i32x4.splat(<i32>src + 256), places), 16)
  v128.store(STATE + TARGETS, i32x4.add(i32x4.splat(<i32>dst), places))
  v128.store(STATE + TARGETS, i32x4.add(i32x4.splat(<i32>dst + 256), places), 16)
}

/** Has a lane write elsewhere. */
// @ts-ignore: decorator
@inline
export function moveLane(lane: u32, src: usize, dst: usize): void {
  store<u32>(STATE + SOURCES + (lane << 2), <u32>src)
  store<u32>(STATE + TARGETS + (lane << 2), <u32>dst)
}

// @ts-ignore: decorator
@inline
function wordsOf(lane: u32): usize {
  return STATE + <usize>(lane >> 2) * SET_BYTES + (<usize>(lane & 3) << 2)
}

function setLaneKey(lane: u32, words: usize, key: usize): void {
  store<u32>(LANE_KEYS + (lane << 2), <u32>key)
  for (let i: usize = 0; i < 8; i++) store<u32>(words + (i << 4), load<u32>(key + (i << 2)))
}

/** Poly1305 blocks in one step of the kernel for so many lanes. */
// @ts-ignore: decorator
@inline
export function stepBlocks(used: u32): u32 {
  return used <= 4 ? 2 : 4
}

/** Runs the kernel over the first `used` lanes, and Poly1305 within: see chacha20-lanes8.ts. */
export function runLanes(
  used: u32,
  poly: usize = 0, text: usize = 0, steps: u32 = 0, nextPoly: usize = 0, nextText: usize = 0, nextSteps: u32 = 0,
): void {
  for (let lane = used; lane < LANES; lane++) {
    store<u32>(STATE + SOURCES + (lane << 2), <u32>ZEROS)
    store<u32>(STATE + TARGETS + (lane << 2), <u32>SINK)
  }
  if (used <= 4) chacha20Lanes4(STATE, poly, text, steps, nextPoly, nextText, nextSteps)
  else chacha20Lanes8(STATE, poly, text, steps, nextPoly, nextText, nextSteps)
}

/** To be called at the start of a batch: keys at the same addresses may be others by now. */
export function forgetKeys(): void {
  memory.fill(LANE_KEYS, 0, 4 * LANES)
}

/** To be called when a key changes or goes. */
export function forgetLanes(): void {
  memory.fill(STATE, 0, 448)
  memory.fill(SINK, 0, 64)
  memory.fill(LANE_KEYS, 0, 4 * LANES)
}
