/**
 * Every export of the module for the AEAD of sessions, which `wasm/stream-aead.ts` alone calls. It takes texts from
 * TEXT and leaves what it made of them at the same place (seal) or in PLAINTEXT (open).
 */
import { SLACK, forgetText, openText, rekey as rekeyKey, sealText } from './stream-cipher'
import { advance, findState, freeState, isExhausted, makeState, nonceOf } from './stream-states'

export { generationOf as generation } from './stream-states'

/** Bytes of a Noise message. */
const MAX_MESSAGE: i32 = 65535
const MAX_AD: i32 = 512

const DONE: i32 = 1
const NOT_AUTHENTIC: i32 = 0
const STALE: i32 = -1
const EXHAUSTED: i32 = -2

export const KEY: usize = memory.data(32, 16)
export const NONCE: usize = memory.data(12, 16)
export const AD: usize = memory.data(512 + 16, 16)
export const TEXT: usize = memory.data(64 + 65536 + 64, 64) + 64
export const PLAINTEXT: usize = memory.data(64 + 65536 + 64, 64) + 64

if (MAX_MESSAGE > 65536 || SLACK > 64 || MAX_AD > 512) ERROR('buffers too small')

/** A cipher state of the 32 bytes at KEY, which are erased: its index, or -1 where there is no memory for it. */
export function make(): i32 {
  return makeState(KEY)
}

/** Seals TEXT in place, the tag behind it. */
export function seal(index: u32, generation: u32, adLength: u32, length: u32): i32 {
  const state = findState(index, generation)
  if (state == 0) return STALE
  if (isExhausted(state)) return EXHAUSTED
  sealText(state, nonceOf(state), AD, adLength, TEXT, length)
  advance(state)
  return DONE
}

/** Opens TEXT, whose `length` does not count the tag behind it, to PLAINTEXT. The counter stays where it is not authentic. */
export function open(index: u32, generation: u32, adLength: u32, length: u32): i32 {
  const state = findState(index, generation)
  if (state == 0) return STALE
  if (isExhausted(state)) return EXHAUSTED
  if (!openText(state, nonceOf(state), AD, adLength, TEXT, PLAINTEXT, length)) return NOT_AUTHENTIC
  advance(state)
  return DONE
}

/** Leaves key and next nonce at KEY and NONCE, for one text that is opened elsewhere; `spend` when it was authentic. */
export function lend(index: u32, generation: u32): i32 {
  const state = findState(index, generation)
  if (state == 0) return STALE
  if (isExhausted(state)) return EXHAUSTED
  memory.copy(KEY, state, 32)
  memory.copy(NONCE, nonceOf(state), 12)
  return DONE
}

/** As `lend`, for a text that is sealed elsewhere: the nonce is spent before anybody has it. */
export function give(index: u32, generation: u32): i32 {
  const result = lend(index, generation)
  if (result == DONE) spend(index, generation)
  return result
}

export function spend(index: u32, generation: u32): void {
  const state = findState(index, generation)
  if (state != 0) advance(state)
}

export function rekey(index: u32, generation: u32): i32 {
  const state = findState(index, generation)
  if (state == 0) return STALE
  rekeyKey(state)
  return DONE
}

/** Erases a state, and what the last message left, whosesoever it was. */
export function wipe(index: u32, generation: u32): void {
  freeState(index, generation)
  forgetText()
  memory.fill(KEY, 0, 32)
  memory.fill(NONCE, 0, 12)
  memory.fill(AD, 0, MAX_AD)
  memory.fill(TEXT - 64, 0, 65536 + 128)
  memory.fill(PLAINTEXT - 64, 0, 65536 + 128)
}
