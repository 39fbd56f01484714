/** Reduction modulo the polynomial of GHASH (NIST SP 800-38D section 6.3). */

/** A block in memory: its first bit is x^0, the highest of an integer. */
// @ts-ignore: decorator
@inline
export function blockOf(first: u64, second: u64): v128 {
  return i64x2.replace_lane(i64x2.splat(bswap<u64>(first)), 1, bswap<u64>(second))
}

/**
 * What has to be added to the first 128 bits of a product for the others, given as integers, modulo
 * x^128 + x^7 + x^2 + x + 1. A shift right multiplies by x.
 */
// @ts-ignore: decorator
@inline
export function reduced(upper: u64, lower: u64): v128 {
  // What the shifts below push out of the 128 bits comes back in at x^128.
  upper ^= (lower << 63) ^ (lower << 62) ^ (lower << 57)
  const r0 = upper ^ (upper >> 1) ^ (upper >> 2) ^ (upper >> 7)
  const r1 = lower ^ ((lower >> 1) | (upper << 63)) ^ ((lower >> 2) | (upper << 62)) ^ ((lower >> 7) | (upper << 57))
  return blockOf(r0, r1)
}
