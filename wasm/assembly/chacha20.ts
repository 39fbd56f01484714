/** ChaCha20 (RFC 8439 section 2.4) as a stream cipher whose first block is set apart. */
import { chacha20Blocks4 } from './chacha20-x4.ts'
import { chacha20Blocks8 } from './chacha20-x8.ts'

const BLOCK: u32 = 64

/**
 * XORs the key stream into `length` bytes, from block `counter` on. Writes up to 255 bytes behind `dst + length`, and
 * reads as far behind `src + length`. `src` and `dst` are the same or do not overlap.
 */
export function chacha20Xor(key: usize, nonce: usize, counter: u32, src: usize, dst: usize, length: u32): void {
  while (length > 4 * BLOCK) {
    chacha20Blocks8(key, nonce, counter, src, dst, src + BLOCK, dst + BLOCK)
    if (length <= 8 * BLOCK) return
    src += 8 * BLOCK
    dst += 8 * BLOCK
    length -= 8 * BLOCK
    counter += 8
  }
  if (length > 0) chacha20Blocks4(key, nonce, counter, src, dst, src + BLOCK, dst + BLOCK)
}
