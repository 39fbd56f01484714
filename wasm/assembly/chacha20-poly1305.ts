/**
 * AEAD_CHACHA20_POLY1305 (RFC 8439 section 2.8). Block 0 of the key stream is the Poly1305 key and comes out of the
 * same kernel call as the first blocks of data.
 */
import { equal16, loadPartial } from './bytes.ts'
import { chacha20Xor } from './chacha20.ts'
import { chacha20Blocks4 } from './chacha20-x4.ts'
import { chacha20Blocks8 } from './chacha20-x8.ts'
import { poly1305Blocks, poly1305Finish, poly1305Init, poly1305Wipe } from './poly1305.ts'

const BLOCK: u32 = 64
/** Data blocks that the first kernel call covers: the small kernel for short packets, the large one for the rest. */
const SMALL: u32 = 3 * BLOCK
const LARGE: u32 = 7 * BLOCK

const ZEROS: usize = memory.data(512, 16)
/** Block 0, then, when opening, the key stream of the first data blocks. */
const STREAM: usize = memory.data(512, 16)
const PARTIAL: usize = memory.data(16, 16)
const TAG: usize = memory.data(16, 16)

export function chacha20Poly1305Seal(key: usize, nonce: usize, aad: usize, aadLength: u32, src: usize, dst: usize, length: u32): void {
  const first = firstBlocks(key, nonce, src, dst, length)
  if (length > first) chacha20Xor(key, nonce, 1 + first / BLOCK, src + first, dst + first, length - first)
  authenticate(aad, aadLength, dst, length, dst + length)
}

export function chacha20Poly1305Open(key: usize, nonce: usize, aad: usize, aadLength: u32, src: usize, dst: usize, length: u32): bool {
  const first = firstBlocks(key, nonce, ZEROS, STREAM + BLOCK, length)
  authenticate(aad, aadLength, src, length, TAG)
  if (!equal16(TAG, src + length)) return false
  const ready = min(length, first)
  for (let i: usize = 0; i < ready; i += 16) {
    v128.store(dst + i, v128.xor(v128.load(src + i), v128.load(STREAM + BLOCK + i)))
  }
  if (length > first) chacha20Xor(key, nonce, 1 + first / BLOCK, src + first, dst + first, length - first)
  return true
}

/** Erases what the last packet left: one-time key, key stream, accumulator. */
export function chacha20Poly1305Wipe(): void {
  memory.fill(STREAM, 0, 512)
  memory.fill(PARTIAL, 0, 16)
  memory.fill(TAG, 0, 16)
  poly1305Wipe()
}

/** Runs block 0 into STREAM and the blocks behind it from `src` to `dst`; returns how many bytes of data that covers. */
function firstBlocks(key: usize, nonce: usize, src: usize, dst: usize, length: u32): u32 {
  if (length <= SMALL) {
    chacha20Blocks4(key, nonce, 0, ZEROS, STREAM, src, dst)
    return SMALL
  }
  chacha20Blocks8(key, nonce, 0, ZEROS, STREAM, src, dst)
  return LARGE
}

/** The tag over AAD and ciphertext, each padded with zeros, and their lengths (RFC 8439 section 2.8). */
function authenticate(aad: usize, aadLength: u32, text: usize, length: u32, tag: usize): void {
  poly1305Init(STREAM)
  absorbPadded(aad, aadLength)
  absorbPadded(text, length)
  store<u64>(PARTIAL, u64(aadLength))
  store<u64>(PARTIAL, u64(length), 8)
  poly1305Blocks(PARTIAL, 1)
  poly1305Finish(tag)
}

function absorbPadded(from: usize, length: u32): void {
  const whole = length >> 4
  const rest = length & 15
  if (whole > 0) poly1305Blocks(from, whole)
  if (rest == 0) return
  v128.store(PARTIAL, loadPartial(from + (usize(whole) << 4), rest))
  poly1305Blocks(PARTIAL, 1)
}
