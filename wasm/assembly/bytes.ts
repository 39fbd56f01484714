/** Small helpers on bytes and vectors, shared by the cryptography. */

/** 16 zero bytes after 16 of 0xff: a load at `MASK + 16 - n` keeps the first n bytes of a block. */
const MASK: usize = memory.data<u64>([-1, -1, 0, 0], 16)

/** Byte lookup: lane i of the result is `table[index[i]]`, or 0 where the top bit of the index is set. Indices of 16 to 127 must not occur. */
// @ts-ignore: decorator
@inline
export function lookup(table: v128, index: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i8x16.relaxed_swizzle(table, index)
  return i8x16.swizzle(table, index)
}

/** The first `length` (0 to 16) bytes at `from`, zeros behind them; reads 16 bytes. */
// @ts-ignore: decorator
@inline
export function loadPartial(from: usize, length: u32): v128 {
  return v128.and(v128.load(from), v128.load(MASK + 16 - length))
}

/** Whether 16 bytes are equal, in a time that does not depend on where they differ. */
export function equal16(a: usize, b: usize): bool {
  const difference = (load<u64>(a) ^ load<u64>(b)) | (load<u64>(a, 8) ^ load<u64>(b, 8))
  return difference == 0
}
