/**
 * The AEADs of ESP behind one face: AES-128-GCM and AES-256-GCM (RFC 4106), ChaCha20-Poly1305 (RFC 7634).
 *
 * Nonces have 12 bytes, tags 16. AAD may have 0 to 4096 bytes, text 0 to 65,535. Behind `src + length` and
 * `dst + length` lie at least 512 bytes that may be read and overwritten (as far as they are not the tag). `src` and
 * `dst` are the same or do not overlap, AAD and nonce overlap neither `dst` nor those 512 bytes. `suite` is a SUITE_*
 * number of wasm/abi.ts and must be the one that the context was made for.
 *
 * No secret decides a branch or an address here. Whether a WebAssembly compiler keeps it so is not promised by anyone.
 */
import { SUITE_AES_128_GCM, SUITE_CHACHA20_POLY1305 } from '../abi.ts'
import { wipeJobs } from './aead-jobs.ts'
import { AES_128_ROUNDS, AES_256_ROUNDS } from './aes.ts'
import {
  AES_GCM_CTX_BYTES,
  AES_GCM_KEYS_BYTES,
  aesGcmExpand,
  aesGcmInit,
  aesGcmOpen,
  aesGcmSeal,
  aesGcmWipe,
} from './aes-gcm.ts'
import { wipeStream } from './key-stream.ts'
import { chacha20Poly1305Open, chacha20Poly1305Seal, chacha20Poly1305Wipe } from './chacha20-poly1305.ts'

/** Bytes of one key context, for every suite; a multiple of 64. Contexts are aligned to 16. */
export const AEAD_CTX_BYTES: u32 = <u32>AES_GCM_CTX_BYTES

/** Bytes of the keys that an SA has, for every suite; a multiple of 16. */
export const AEAD_KEYS_BYTES: u32 = <u32>AES_GCM_KEYS_BYTES

/** Makes `keys` from the key: 16 bytes for AES-128-GCM, 32 otherwise. The caller wipes the key. */
export function aeadExpand(suite: i32, keys: usize, key: usize): void {
  if (suite == SUITE_CHACHA20_POLY1305) memory.copy(keys, key, 32)
  else aesGcmExpand(keys, key, roundsOf(suite))
}

/** Makes the context `ctx` from what `aeadExpand` has made. That of ChaCha20-Poly1305 is the key. */
export function aeadInit(suite: i32, ctx: usize, keys: usize): void {
  if (suite == SUITE_CHACHA20_POLY1305) memory.copy(ctx, keys, 32)
  else aesGcmInit(ctx, keys, roundsOf(suite))
}

/** Writes the ciphertext to `dst` and the 16-byte tag to `dst + length`. */
export function aeadSeal(
  suite: i32, ctx: usize, nonce: usize, aad: usize, aadLength: u32, src: usize, dst: usize, length: u32,
): void {
  if (suite == SUITE_CHACHA20_POLY1305) {
    chacha20Poly1305Seal(ctx, nonce, aad, aadLength, src, dst, length)
  } else {
    aesGcmSeal(ctx, roundsOf(suite), nonce, aad, aadLength, src, dst, length)
  }
}

/**
 * Verifies the tag at `src + length` and only then writes the plaintext to `dst`. Returns false, with `dst` untouched,
 * when it does not verify.
 */
export function aeadOpen(
  suite: i32, ctx: usize, nonce: usize, aad: usize, aadLength: u32, src: usize, dst: usize, length: u32,
): bool {
  if (suite == SUITE_CHACHA20_POLY1305) return chacha20Poly1305Open(ctx, nonce, aad, aadLength, src, dst, length)
  return aesGcmOpen(ctx, roundsOf(suite), nonce, aad, aadLength, src, dst, length)
}

/** Erases a context, and what the last packets, of whatever key, left in working memory. */
export function aeadWipe(ctx: usize): void {
  memory.fill(ctx, 0, AEAD_CTX_BYTES)
  wipeJobs()
  wipeStream()
  aesGcmWipe()
  chacha20Poly1305Wipe()
}

function roundsOf(suite: i32): u32 {
  return suite == SUITE_AES_128_GCM ? AES_128_ROUNDS : AES_256_ROUNDS
}
