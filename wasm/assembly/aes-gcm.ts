/** AES-GCM with a 12-byte nonce and a 16-byte tag (NIST SP 800-38D section 7, RFC 4106 section 5). */
import { AES_SCHEDULE_BYTES, aesCtrBlocks8, aesEncrypt, aesInit } from './aes.ts'
import { equal16 } from './bytes.ts'
import { GHASH_TABLE_BYTES, ghash, ghashInit, ghashWipe } from './ghash.ts'

const BLOCK: u32 = 16
/** Data blocks beside the tag's mask in the first call. */
const FIRST_BYTES: u32 = 7 * BLOCK

/** The hash tables follow the key schedule, from the next multiple of 64 on. */
const TABLES: usize = (AES_SCHEDULE_BYTES + 63) & ~63
export const AES_GCM_CTX_BYTES: usize = TABLES + GHASH_TABLE_BYTES

const ZEROS: usize = memory.data(112, 16)
/** The encrypted first counter block; XORed with the hash it is the tag. */
const MASK: usize = memory.data(16, 16)
/** Key stream of the first data blocks, when opening. */
const STREAM: usize = memory.data(112, 16)
const TAG: usize = memory.data(16, 16)

export function aesGcmInit(ctx: usize, key: usize, rounds: u32): void {
  memory.fill(ctx, 0, AES_GCM_CTX_BYTES)
  aesInit(ctx, key, rounds)
  ghashInit(ctx + TABLES, aesEncrypt(ctx, rounds, i64x2.splat(0)))
}

export function aesGcmSeal(ctx: usize, rounds: u32, nonce: usize, aad: usize, aadLength: u32, src: usize, dst: usize, length: u32): void {
  const nonceBlock = loadNonce(nonce)
  aesCtrBlocks8(ctx, rounds, nonceBlock, 1, ZEROS, MASK, src, dst)
  ctrXorRest(ctx, rounds, nonceBlock, src, dst, length)
  const hash = ghash(ctx + TABLES, aad, aadLength, dst, length)
  v128.store(dst + length, v128.xor(hash, v128.load(MASK)))
}

export function aesGcmOpen(ctx: usize, rounds: u32, nonce: usize, aad: usize, aadLength: u32, src: usize, dst: usize, length: u32): bool {
  const nonceBlock = loadNonce(nonce)
  aesCtrBlocks8(ctx, rounds, nonceBlock, 1, ZEROS, MASK, ZEROS, STREAM)
  const hash = ghash(ctx + TABLES, aad, aadLength, src, length)
  v128.store(TAG, v128.xor(hash, v128.load(MASK)))
  if (!equal16(TAG, src + length)) return false
  const ready = min(length, FIRST_BYTES)
  for (let i: usize = 0; i < ready; i += 16) v128.store(dst + i, v128.xor(v128.load(src + i), v128.load(STREAM + i)))
  ctrXorRest(ctx, rounds, nonceBlock, src, dst, length)
  return true
}

/** Erases what the last packet left: the tag's mask, key stream, hash sums. */
export function aesGcmWipe(): void {
  memory.fill(MASK, 0, 16)
  memory.fill(STREAM, 0, 112)
  memory.fill(TAG, 0, 16)
  ghashWipe()
}

/** XORs the key stream into what the first call left; writes up to 127 bytes behind `dst + length`. */
function ctrXorRest(ctx: usize, rounds: u32, nonce: v128, src: usize, dst: usize, length: u32): void {
  let counter: u32 = 9
  for (let done = FIRST_BYTES; done < length; done += 8 * BLOCK, counter += 8) {
    const from = src + done
    const to = dst + done
    aesCtrBlocks8(ctx, rounds, nonce, counter, from, to, from + BLOCK, to + BLOCK)
  }
}

function loadNonce(nonce: usize): v128 {
  const start = v128.load64_zero(nonce)
  return i32x4.replace_lane(start, 2, load<u32>(nonce, 8))
}
