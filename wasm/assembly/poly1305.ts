/**
 * Poly1305 (RFC 8439 section 2.5) over whole 16-byte blocks, as the AEAD construction needs it.
 *
 * The accumulator h has four 32-bit limbs in u64 variables and a small fifth; message words are added without
 * carrying. Clamped r has limbs below 2^28, so that each sum of products stays below 2^64. As 2^130 = 5 and the low
 * two bits of r1 to r3 are clear, limbs that overflow 2^128 use s = r * 5 / 4.
 */

/** Bytes of a state, aligned to 16: r0 to r3, then h0 to h4, as u64; then the 16 bytes that are added at the end. */
export const POLY1305_STATE_BYTES: u32 = 96
const H: usize = 32
const PAD: usize = 72

/** Starts a tag in `state` with the 32-byte one-time key at `key`. */
export function poly1305Init(state: usize, key: usize): void {
  store<u64>(state, u64(load<u32>(key) & 0x0fffffff))
  store<u64>(state, u64(load<u32>(key, 4) & 0x0ffffffc), 8)
  store<u64>(state, u64(load<u32>(key, 8) & 0x0ffffffc), 16)
  store<u64>(state, u64(load<u32>(key, 12) & 0x0ffffffc), 24)
  store<u64>(state + H, 0)
  store<u64>(state + H, 0, 8)
  store<u64>(state + H, 0, 16)
  store<u64>(state + H, 0, 24)
  store<u64>(state + H, 0, 32)
  store<u64>(state + PAD, load<u64>(key, 16))
  store<u64>(state + PAD, load<u64>(key, 24), 8)
}

/** Absorbs `count` blocks of 16 bytes at `from`. */
export function poly1305Blocks(state: usize, from: usize, count: u32): void {
  const r0 = load<u64>(state)
  const r1 = load<u64>(state, 8)
  const r2 = load<u64>(state, 16)
  const r3 = load<u64>(state, 24)
  const s1 = r1 + (r1 >> 2)
  const s2 = r2 + (r2 >> 2)
  const s3 = r3 + (r3 >> 2)
  let h0 = load<u64>(state + H)
  let h1 = load<u64>(state + H, 8)
  let h2 = load<u64>(state + H, 16)
  let h3 = load<u64>(state + H, 24)
  let h4 = load<u64>(state + H, 32)
  for (const end = from + (usize(count) << 4); from < end; from += 16) {
    h0 += u64(load<u32>(from))
    h1 += u64(load<u32>(from, 4))
    h2 += u64(load<u32>(from, 8))
    h3 += u64(load<u32>(from, 12))
    h4 += 1
    const d0 = h0 * r0 + h1 * s3 + (h2 * s2 + h3 * s1)
    const d1 = h0 * r1 + h1 * r0 + (h2 * s3 + h3 * s2) + (h4 * s1 + (d0 >> 32))
    const d2 = h0 * r2 + h1 * r1 + (h2 * r0 + h3 * s3) + (h4 * s2 + (d1 >> 32))
    const d3 = h0 * r3 + h1 * r2 + (h2 * r1 + h3 * r0) + (h4 * s3 + (d2 >> 32))
    const d4 = h4 * r0 + (d3 >> 32)
    h0 = (d0 & 0xffffffff) + (d4 >> 2) * 5
    h1 = d1 & 0xffffffff
    h2 = d2 & 0xffffffff
    h3 = d3 & 0xffffffff
    h4 = d4 & 3
  }
  store<u64>(state + H, h0)
  store<u64>(state + H, h1, 8)
  store<u64>(state + H, h2, 16)
  store<u64>(state + H, h3, 24)
  store<u64>(state + H, h4, 32)
}

/** Writes the 16-byte tag to `tag`. */
export function poly1305Finish(state: usize, tag: usize): void {
  let h0 = load<u64>(state + H)
  let h1 = load<u64>(state + H, 8) + (h0 >> 32)
  let h2 = load<u64>(state + H, 16) + (h1 >> 32)
  let h3 = load<u64>(state + H, 24) + (h2 >> 32)
  const h4 = load<u64>(state + H, 32) + (h3 >> 32)
  h0 &= 0xffffffff
  h1 &= 0xffffffff
  h2 &= 0xffffffff
  h3 &= 0xffffffff
  // h + 5 reaches 2^130 exactly when h >= 2^130 - 5; with h4 up to 7 that can be h / 2^130 = 1 as well.
  let carry = (h0 + 5) >> 32
  carry = (h1 + carry) >> 32
  carry = (h2 + carry) >> 32
  carry = (h3 + carry) >> 32
  const wraps = (h4 + carry) >> 2
  h0 += wraps * 5 + u64(load<u32>(state + PAD))
  h1 += (h0 >> 32) + u64(load<u32>(state + PAD, 4))
  h2 += (h1 >> 32) + u64(load<u32>(state + PAD, 8))
  h3 += (h2 >> 32) + u64(load<u32>(state + PAD, 12))
  store<u32>(tag, u32(h0))
  store<u32>(tag, u32(h1), 4)
  store<u32>(tag, u32(h2), 8)
  store<u32>(tag, u32(h3), 12)
}

/** Erases the one-time key and the accumulator. */
export function poly1305Wipe(state: usize): void {
  memory.fill(state, 0, POLY1305_STATE_BYTES)
}
