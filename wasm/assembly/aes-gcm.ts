/** AES-GCM with a 12-byte nonce and a 16-byte tag (NIST SP 800-38D section 7, RFC 4106 section 5). */
import { AES_KEYS_BYTES, AES_SCHEDULE_BYTES, aesEncrypt, aesExpand, layKeys, layTables } from './aes.ts'
import { aesCtrWipe, counterBlock, ROW_BLOCKS, runRow, setRow } from './aes-ctr.ts'
import { equal16 } from './bytes.ts'
import { gcmBatchWipe, sparseSchedule } from './gcm-batch.ts'
import { GHASH_TABLE_BYTES, ghash, ghashInit, ghashWipe } from './ghash.ts'
import { GHASH_POWERS_BYTES, hashKeyOf, powersInit, powersWipe } from './ghash-powers.ts'

/** The hash tables follow the key schedule, from the next multiple of 64 on. */
export const AES_GCM_TABLES: usize = (AES_SCHEDULE_BYTES + 63) & ~63
export const AES_GCM_CTX_BYTES: usize = AES_GCM_TABLES + GHASH_TABLE_BYTES

const ZEROS: usize = memory.data(16, 16)
/** The encrypted first counter block; XORed with the hash it is the tag. */
const MASK: usize = memory.data(16, 16)
const TAG: usize = memory.data(16, 16)

/**
 * What is enough to work with, in little memory: the round keys, and eight powers of the hash key. A context is made of
 * it where it is worth it.
 */
export const AES_GCM_KEYS_BYTES: usize = AES_KEYS_BYTES + GHASH_POWERS_BYTES

export function aesGcmExpand(keys: usize, key: usize, rounds: u32): void {
  const schedule = sparseSchedule()
  aesExpand(keys, key, rounds)
  layKeys(schedule, keys, rounds)
  powersInit(powersOf(keys), aesEncrypt(schedule, rounds, i64x2.splat(0)))
}

// @ts-ignore: decorator
@inline
export function powersOf(keys: usize): usize {
  return keys + AES_KEYS_BYTES
}

export function aesGcmInit(ctx: usize, keys: usize, rounds: u32): void {
  memory.fill(ctx, 0, AES_GCM_CTX_BYTES)
  layTables(ctx)
  layKeys(ctx, keys, rounds)
  ghashInit(ctx + AES_GCM_TABLES, hashKeyOf(powersOf(keys)))
}

export function aesGcmSeal(ctx: usize, rounds: u32, nonce: usize, aad: usize, aadLength: u32, src: usize, dst: usize, length: u32): void {
  xorBlocks(ctx, rounds, nonce, src, dst, length)
  const hash = ghash(ctx + AES_GCM_TABLES, aad, aadLength, dst, length)
  v128.store(dst + length, v128.xor(hash, v128.load(MASK)))
}

export function aesGcmOpen(ctx: usize, rounds: u32, nonce: usize, aad: usize, aadLength: u32, src: usize, dst: usize, length: u32): bool {
  xorBlocks(ctx, rounds, nonce, src, dst, 0)
  const hash = ghash(ctx + AES_GCM_TABLES, aad, aadLength, src, length)
  v128.store(TAG, v128.xor(hash, v128.load(MASK)))
  if (!equal16(TAG, src + length)) return false
  xorBlocks(ctx, rounds, nonce, src, dst, length)
  return true
}

/** Erases what the last packet left: the tag's mask, key stream, hash sums. */
export function aesGcmWipe(): void {
  memory.fill(MASK, 0, 16)
  memory.fill(TAG, 0, 16)
  aesCtrWipe()
  gcmBatchWipe()
  ghashWipe()
  powersWipe()
}

/** Writes the tag's mask and XORs the key stream into the text; writes whole blocks. */
function xorBlocks(ctx: usize, rounds: u32, nonce: usize, src: usize, dst: usize, length: u32): void {
  const nonceBlock = i32x4.replace_lane(v128.load64_zero(nonce), 2, load<u32>(nonce, 8))
  setRow(0, counterBlock(nonceBlock, 1), ZEROS, MASK)
  let used: u32 = 1
  let counter: u32 = 2
  for (let at: usize = 0; at < <usize>length; at += 16) {
    setRow(used++, counterBlock(nonceBlock, counter++), src + at, dst + at)
    if (used < ROW_BLOCKS) continue
    runRow(ctx, rounds, used)
    used = 0
  }
  if (used > 0) runRow(ctx, rounds, used)
}
