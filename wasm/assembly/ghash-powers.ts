/**
 * GHASH (NIST SP 800-38D section 6.4) from eight powers of the hash key, 128 bytes in all, where ghash.ts has 8 KB of
 * tables: for keys whose tables would have to come from far away first. No table, no address and no branch depends on a
 * secret.
 *
 * A block is an integer here, its first bit the highest, in four lanes of 32 bits. Carry-less products come from ordinary
 * ones: of factors with at most every fourth bit set, at most eight ones meet in a place, and no carry goes as far as the
 * next place that counts. Each factor is split into four such; sums of products of one class (the first place modulo
 * four) are added with XOR and masked at the end, for all blocks together. 128 bits take nine products of 32 (Karatsuba,
 * twice).
 */
import { blockOf, reduced } from './ghash-reduce.ts'

export const GHASH_POWERS: u32 = 8
export const GHASH_POWERS_BYTES: usize = 16 * 8

/** Every fourth bit, from bit 0 to 3 on. */
const CLASSES: usize = memory.data<u64>([
  0x1111111111111111, 0x1111111111111111, 0x2222222222222222, 0x2222222222222222,
  0x4444444444444444, 0x4444444444444444, 0x8888888888888888, 0x8888888888888888,
], 16)

/** Sums of products, each two side by side in four classes: of the lanes, then of the lanes added in pairs. */
const SUMS: usize = memory.data(256, 16)
const OUTER: usize = 0
const INNER: usize = 128
/** The same of all lanes added together. */
let centre0: u64 = 0
let centre1: u64 = 0
let centre2: u64 = 0
let centre3: u64 = 0
/** The products, masked. */
const PRODUCTS: usize = memory.data(64, 16)

/** Writes the powers of `h`, the first one first. */
export function powersInit(powers: usize, h: v128): void {
  let power = reverse(h)
  v128.store(powers, power)
  for (let n: usize = 1; n < GHASH_POWERS; n++) {
    clearSums()
    addProduct(power, v128.load(powers))
    power = reverse(reduceSums())
    v128.store(powers + (n << 4), power)
  }
  powersWipe()
}

/** H itself. */
// @ts-ignore: decorator
@inline
export function hashKeyOf(powers: usize): v128 {
  return reverse(v128.load(powers))
}

/** GHASH of `blocks` whole blocks at `from`, AAD and lengths among them. */
export function ghashByPowers(powers: usize, from: usize, blocks: u32): v128 {
  let sum = i64x2.splat(0)
  for (let left = blocks; left != 0; ) {
    let power = powers + (<usize>((left - 1) & (GHASH_POWERS - 1)) << 4)
    clearSums()
    addProduct(reverse(v128.xor(sum, v128.load(from))), v128.load(power))
    for (left--, from += 16; power > powers; left--, from += 16) {
      power -= 16
      addProduct(reverse(v128.load(from)), v128.load(power))
    }
    sum = reduceSums()
  }
  return sum
}

/** Erases what the last hash left in memory. */
export function powersWipe(): void {
  clearSums()
  memory.fill(PRODUCTS, 0, 64)
}

// @ts-ignore: decorator
@inline
function reverse(x: v128): v128 {
  return i8x16.shuffle(x, x, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
}

function clearSums(): void {
  for (let sum = SUMS; sum < SUMS + 256; sum += 16) v128.store(sum, i64x2.splat(0))
  centre0 = centre1 = centre2 = centre3 = 0
}

/** Lanes of 32 bits: x0 + x1, x2 + x3, x0 + x2, x1 + x3. */
// @ts-ignore: decorator
@inline
function pairSums(x: v128): v128 {
  return v128.xor(i32x4.shuffle(x, x, 0, 2, 0, 1), i32x4.shuffle(x, x, 1, 3, 2, 3))
}

function addProduct(x: v128, y: v128): void {
  const xPairs = pairSums(x)
  const yPairs = pairSums(y)
  addProducts(SUMS + OUTER, x, y)
  addProducts(SUMS + INNER, xPairs, yPairs)
  addCentre(foldLanes(xPairs), foldLanes(yPairs))
}

/** Lanes 2 and 3 added. */
// @ts-ignore: decorator
@inline
function foldLanes(pairs: v128): u64 {
  const both = i64x2.extract_lane(pairs, 1)
  return (both ^ (both >> 32)) & 0xffffffff
}

// @ts-ignore: decorator
@inline
function classOf(x: v128, number: usize): v128 {
  return v128.and(x, v128.load(CLASSES + (number << 4)))
}

// @ts-ignore: decorator
@inline
function add(sum: usize, a: v128, b: v128, c: v128, d: v128): void {
  v128.store(sum, v128.xor(v128.load(sum), v128.xor(v128.xor(a, b), v128.xor(c, d))))
}

/** Products of all four lanes: those of lanes 0 and 1, then those of 2 and 3. */
// @ts-ignore: decorator
@inline
function addProducts(sums: usize, x: v128, y: v128): void {
  const x0 = classOf(x, 0)
  const x1 = classOf(x, 1)
  const x2 = classOf(x, 2)
  const x3 = classOf(x, 3)
  const y0 = classOf(y, 0)
  const y1 = classOf(y, 1)
  const y2 = classOf(y, 2)
  const y3 = classOf(y, 3)
  add(sums, low(x0, y0), low(x1, y3), low(x2, y2), low(x3, y1))
  add(sums + 16, low(x0, y1), low(x1, y0), low(x2, y3), low(x3, y2))
  add(sums + 32, low(x0, y2), low(x1, y1), low(x2, y0), low(x3, y3))
  add(sums + 48, low(x0, y3), low(x1, y2), low(x2, y1), low(x3, y0))
  add(sums + 64, high(x0, y0), high(x1, y3), high(x2, y2), high(x3, y1))
  add(sums + 80, high(x0, y1), high(x1, y0), high(x2, y3), high(x3, y2))
  add(sums + 96, high(x0, y2), high(x1, y1), high(x2, y0), high(x3, y3))
  add(sums + 112, high(x0, y3), high(x1, y2), high(x2, y1), high(x3, y0))
}

// @ts-ignore: decorator
@inline
function low(x: v128, y: v128): v128 {
  return i64x2.extmul_low_i32x4_u(x, y)
}

// @ts-ignore: decorator
@inline
function high(x: v128, y: v128): v128 {
  return i64x2.extmul_high_i32x4_u(x, y)
}

/** One product of 32 bits, beside the vectors. */
// @ts-ignore: decorator
@inline
function addCentre(x: u64, y: u64): void {
  const x0 = x & 0x11111111
  const x1 = x & 0x22222222
  const x2 = x & 0x44444444
  const x3 = x & 0x88888888
  const y0 = y & 0x11111111
  const y1 = y & 0x22222222
  const y2 = y & 0x44444444
  const y3 = y & 0x88888888
  centre0 ^= (x0 * y0) ^ (x1 * y3) ^ (x2 * y2) ^ (x3 * y1)
  centre1 ^= (x0 * y1) ^ (x1 * y0) ^ (x2 * y3) ^ (x3 * y2)
  centre2 ^= (x0 * y2) ^ (x1 * y1) ^ (x2 * y0) ^ (x3 * y3)
  centre3 ^= (x0 * y3) ^ (x1 * y2) ^ (x2 * y1) ^ (x3 * y0)
}

/** The sums, modulo x^128 + x^7 + x^2 + x + 1, as a block. */
function reduceSums(): v128 {
  for (let i: usize = 0; i < 4; i++) {
    const sums = SUMS + (i << 6)
    const front = v128.xor(classOf(v128.load(sums), 0), classOf(v128.load(sums, 16), 1))
    const back = v128.xor(classOf(v128.load(sums, 32), 2), classOf(v128.load(sums, 48), 3))
    v128.store(PRODUCTS + (i << 4), v128.xor(front, back))
  }
  const p0 = load<u64>(PRODUCTS)
  const p1 = load<u64>(PRODUCTS, 8)
  const p2 = load<u64>(PRODUCTS, 16)
  const p3 = load<u64>(PRODUCTS, 24)
  const cross0 = load<u64>(PRODUCTS, 32) ^ p0 ^ p1
  const cross1 = load<u64>(PRODUCTS, 40) ^ p2 ^ p3
  const m0 = load<u64>(PRODUCTS, 48)
  const m1 = load<u64>(PRODUCTS, 56)
  const centre = (centre0 & 0x1111111111111111) ^ (centre1 & 0x2222222222222222) ^ (centre2 & 0x4444444444444444) ^ (centre3 & 0x8888888888888888)
  const cross2 = centre ^ m0 ^ m1
  // Each pair of products as 128 bits, with what lies across them.
  const w0 = p0 ^ (cross0 << 32)
  let w1 = p1 ^ (cross0 >> 32)
  let w2 = p2 ^ (cross1 << 32)
  const w3 = p3 ^ (cross1 >> 32)
  const middleLow = m0 ^ (cross2 << 32) ^ w0 ^ w2
  const middleHigh = m1 ^ (cross2 >> 32) ^ w1 ^ w3
  w1 ^= middleLow
  w2 ^= middleHigh
  // The product of two integers whose highest bits are x^0 has x^0 one bit below its highest.
  const front = blockOf((w3 << 1) | (w2 >> 63), (w2 << 1) | (w1 >> 63))
  return v128.xor(front, reduced((w1 << 1) | (w0 >> 63), w0 << 1))
}
