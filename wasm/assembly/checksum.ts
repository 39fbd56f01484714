/**
 * The Internet checksum (RFC 1071) in vectors. Sums are of 16-bit words as they lie in memory: a ones' complement sum
 * is the same in either byte order but for a swap, so that a folded sum is stored as it is.
 */
import { loadPartial } from './bytes'

/** Not yet folded. Reads up to 15 bytes more than `length`, at most 65,536. */
export function sumWords(at: usize, length: u32): u64 {
  let even = i32x4.splat(0)
  let odd = i32x4.splat(0)
  for (const end = at + (length & ~31); at < end; at += 32) {
    even = i32x4.add(even, i32x4.extadd_pairwise_i16x8_u(v128.load(at)))
    odd = i32x4.add(odd, i32x4.extadd_pairwise_i16x8_u(v128.load(at, 16)))
  }
  if (length & 16) {
    even = i32x4.add(even, i32x4.extadd_pairwise_i16x8_u(v128.load(at)))
    at += 16
  }
  if (length & 15) odd = i32x4.add(odd, i32x4.extadd_pairwise_i16x8_u(loadPartial(at, length & 15)))
  return acrossLanes(i32x4.add(even, odd))
}

/** Copies while it sums. Writes up to 15 bytes more than `length` behind the copy; nothing may overlap. */
export function copySum(target: usize, from: usize, length: u32): u64 {
  let even = i32x4.splat(0)
  let odd = i32x4.splat(0)
  for (const end = from + (length & ~31); from < end; from += 32, target += 32) {
    const first = v128.load(from)
    const second = v128.load(from, 16)
    v128.store(target, first)
    v128.store(target, second, 16)
    even = i32x4.add(even, i32x4.extadd_pairwise_i16x8_u(first))
    odd = i32x4.add(odd, i32x4.extadd_pairwise_i16x8_u(second))
  }
  if (length & 16) {
    const block = v128.load(from)
    v128.store(target, block)
    even = i32x4.add(even, i32x4.extadd_pairwise_i16x8_u(block))
    from += 16
    target += 16
  }
  if (length & 15) {
    const rest = loadPartial(from, length & 15)
    v128.store(target, rest)
    odd = i32x4.add(odd, i32x4.extadd_pairwise_i16x8_u(rest))
  }
  return acrossLanes(i32x4.add(even, odd))
}

// @ts-ignore: decorator
@inline
function acrossLanes(sums: v128): u64 {
  const pairs = i64x2.add(i64x2.extend_low_i32x4_u(sums), i64x2.extend_high_i32x4_u(sums))
  return i64x2.extract_lane(pairs, 0) + i64x2.extract_lane(pairs, 1)
}

/** What TCP and UDP put in front of their sum: addresses, protocol and `length` of header and payload. */
export function pseudoSum(start: usize, version: u32, protocol: u32, length: u32): u64 {
  const addresses = version == 4 ? sumWords(start + 12, 8) : sumWords(start + 8, 32)
  return addresses + (<u64>protocol << 8) + <u64>bswap<u16>(<u16>length)
}

/** To 16 bits. 0xffff over data with a valid checksum. */
export function fold(sum: u64): u32 {
  let folded = (sum & 0xffffffff) + (sum >> 32)
  while (folded >> 16) folded = (folded & 0xffff) + (folded >> 16)
  return <u32>folded
}
