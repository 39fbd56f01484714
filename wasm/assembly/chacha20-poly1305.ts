/** AEAD_CHACHA20_POLY1305 (RFC 8439 section 2.8) of a single text, with AAD of any length. */
import { chacha20BatchWipe } from './chacha20-batch.ts'
import { equal16, loadPartial } from './bytes.ts'
import { forgetKeys, forgetLanes, LANES, runLanes, setLane, ZEROS } from './chacha20-lanes.ts'
import { POLY1305_STATE_BYTES, poly1305Blocks, poly1305Finish, poly1305Init, poly1305Wipe } from './poly1305.ts'

/** Block 0 of the key stream: the one-time key. */
const ONE_TIME: usize = memory.data(64, 16)
const STATE: usize = memory.data(POLY1305_STATE_BYTES, 16)
const PARTIAL: usize = memory.data(16, 16)
const TAG: usize = memory.data(16, 16)

export function chacha20Poly1305Seal(key: usize, nonce: usize, aad: usize, aadLength: u32, src: usize, dst: usize, length: u32): void {
  forgetKeys()
  setLane(0, key, nonce, 0, ZEROS, ONE_TIME)
  xorBlocks(1, key, nonce, src, dst, length)
  authenticate(aad, aadLength, dst, length, dst + length)
}

export function chacha20Poly1305Open(key: usize, nonce: usize, aad: usize, aadLength: u32, src: usize, dst: usize, length: u32): bool {
  forgetKeys()
  setLane(0, key, nonce, 0, ZEROS, ONE_TIME)
  runLanes(1)
  authenticate(aad, aadLength, src, length, TAG)
  if (!equal16(TAG, src + length)) return false
  xorBlocks(0, key, nonce, src, dst, length)
  return true
}

/** Erases what the last packet left: one-time key, key stream, accumulator. */
export function chacha20Poly1305Wipe(): void {
  memory.fill(ONE_TIME, 0, 64)
  memory.fill(PARTIAL, 0, 16)
  memory.fill(TAG, 0, 16)
  chacha20BatchWipe()
  forgetLanes()
  poly1305Wipe(STATE)
}

/** XORs the key stream from block 1 on into the text, behind `used` lanes that are set already. Writes whole blocks. */
function xorBlocks(used: u32, key: usize, nonce: usize, src: usize, dst: usize, length: u32): void {
  let block: u32 = 1
  for (let at: usize = 0; at < <usize>length; at += 64) {
    setLane(used++, key, nonce, block++, src + at, dst + at)
    if (used < LANES) continue
    runLanes(used)
    used = 0
  }
  if (used > 0) runLanes(used)
}

/** The tag over AAD and ciphertext, each padded with zeros, and their lengths (RFC 8439 section 2.8). */
function authenticate(aad: usize, aadLength: u32, text: usize, length: u32, tag: usize): void {
  poly1305Init(STATE, ONE_TIME)
  absorbPadded(aad, aadLength)
  absorbPadded(text, length)
  store<u64>(PARTIAL, u64(aadLength))
  store<u64>(PARTIAL, u64(length), 8)
  poly1305Blocks(STATE, PARTIAL, 1)
  poly1305Finish(STATE, tag)
}

function absorbPadded(from: usize, length: u32): void {
  const whole = length >> 4
  const rest = length & 15
  if (whole > 0) poly1305Blocks(STATE, from, whole)
  if (rest == 0) return
  v128.store(PARTIAL, loadPartial(from + (usize(whole) << 4), rest))
  poly1305Blocks(STATE, PARTIAL, 1)
}
