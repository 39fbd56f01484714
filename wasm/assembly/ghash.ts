/**
 * GHASH (NIST SP 800-38D section 6.4) by byte lookup, without a table that a secret addresses.
 *
 * A nibble times a power of the hash key H, reduced, has 16 bytes; a table for each of these bytes gives it for all 16
 * bytes of a block at once. So for block X and byte j, column S_j holds in lane m byte j of X[m] * H^n, and the product
 * is the sum of all S_j shifted by j bytes. Columns are summed over up to 16 blocks, each with its own power, and only
 * then shifted together and reduced.
 *
 * Blocks go in fours. A table group serves the four consecutive powers of one four: for each j, eight tables of 16 bytes
 * (high and low nibble of the first block, with the highest power, to the last).
 */
import { loadPartial } from './bytes.ts'
import { addFour, reduceColumns, setFour } from './ghash-kernel.ts'

const COLUMNS: usize = 16
const COLUMN_TABLES: usize = 8 * 16
const GROUP_BYTES: usize = COLUMNS * COLUMN_TABLES
const GROUPS: i32 = 4
/** Bytes of the tables for H to H^16. */
export const GHASH_TABLE_BYTES: usize = <usize>GROUPS * GROUP_BYTES

/** The sums S_0 to S_15. */
const SUMS: usize = memory.data(256, 16)
/** H * x^d for d = 0 to 7, 16 bytes each. */
const MULTIPLES: usize = memory.data(128, 16)
/** For bit d of a nibble, counted from its most significant: 0xff in the lanes of those nibbles that have it. */
const NIBBLE_BITS: usize = memory.data<u8>([
  0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255,
  0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 255, 255, 255, 255,
  0, 0, 255, 255, 0, 0, 255, 255, 0, 0, 255, 255, 0, 0, 255, 255,
  0, 255, 0, 255, 0, 255, 0, 255, 0, 255, 0, 255, 0, 255, 0, 255,
], 16)

/** The first four blocks, when there are zeros among them. */
const HEAD_FOUR: usize = memory.data(64, 16)

/** What is being hashed: the last block of AAD with what came before it, the text, the lengths; see `blockAt`. */
const FIRST: usize = memory.data(16, 16)
const LENGTHS: usize = memory.data(16, 16)
let text: usize = 0
let wholeBlocks: i32 = 0
let restBytes: u32 = 0

/** Builds the tables of H. `tables` must be zeroed. */
export function ghashInit(tables: usize, h: v128): void {
  buildTables(tables, 1, h)
  let power = h
  for (let n = 2; n <= 4 * GROUPS; n++) {
    power = multiplyByH(tables, power)
    buildTables(tables, n, power)
  }
  ghashWipe()
}

/**
 * GHASH over AAD and text, each padded with zeros, and their lengths. May read up to 15 bytes behind the AAD and the text.
 */
export function ghash(tables: usize, aad: usize, aadLength: u32, from: usize, length: u32): v128 {
  v128.store(FIRST, hashAad(tables, aad, aadLength))
  store<u64>(LENGTHS, bswap<u64>(u64(aadLength) << 3))
  store<u64>(LENGTHS, bswap<u64>(u64(length) << 3), 8)
  text = from
  wholeBlocks = length >> 4
  restBytes = length & 15
  const blocks = 2 + wholeBlocks + i32(restBytes != 0)
  let fours = (blocks + 3) >> 2
  // Zero blocks in front fill the first four up; they add nothing.
  let next = blocks - (fours << 2)
  let sum = i64x2.splat(0)
  while (fours > 0) {
    let group = (fours - 1) & (GROUPS - 1)
    clearSums()
    for (; group >= 0; group--, fours--, next += 4) {
      addFourAt(tables + <usize>group * GROUP_BYTES, next, fours == 1, sum)
      sum = i64x2.splat(0)
    }
    sum = reduceSums()
  }
  return sum
}

/** GHASH of `blocks` whole blocks at `from`, AAD and lengths among them. */
export function ghashBlocks(tables: usize, from: usize, blocks: u32): v128 {
  let fours = <i32>(blocks + 3) >> 2
  const zeros = (4 - blocks) & 3
  let group = tables + <usize>((fours - 1) & (GROUPS - 1)) * GROUP_BYTES
  if (zeros != 0) {
    // Zero blocks in front fill the first four up; they add nothing.
    memory.fill(HEAD_FOUR, 0, 48)
    for (let i: usize = zeros; i < 4; i++, from += 16) v128.store(HEAD_FOUR + (i << 4), v128.load(from))
    const at = HEAD_FOUR
    setFour(SUMS, group, v128.load(at), v128.load(at, 16), v128.load(at, 32), v128.load(at, 48))
  } else {
    setFour(SUMS, group, v128.load(from), v128.load(from, 16), v128.load(from, 32), v128.load(from, 48))
    from += 64
  }
  for (; group > tables; from += 64, fours--) {
    group -= GROUP_BYTES
    addFour(SUMS, group, v128.load(from), v128.load(from, 16), v128.load(from, 32), v128.load(from, 48))
  }
  let sum = reduceSums()
  for (fours--; fours > 0; fours -= GROUPS, from += 256) {
    // The four that needs the last sum comes last, so that the others need not wait for it.
    let at = from + 64
    group = tables + 2 * GROUP_BYTES
    setFour(SUMS, group, v128.load(at), v128.load(at, 16), v128.load(at, 32), v128.load(at, 48))
    for (at += 64; group > tables; at += 64) {
      group -= GROUP_BYTES
      addFour(SUMS, group, v128.load(at), v128.load(at, 16), v128.load(at, 32), v128.load(at, 48))
    }
    const first = v128.xor(sum, v128.load(from))
    const highest = tables + 3 * GROUP_BYTES
    addFour(SUMS, highest, first, v128.load(from, 16), v128.load(from, 32), v128.load(from, 48))
    sum = reduceSums()
  }
  return sum
}

/** Erases what the last hash left in memory. */
export function ghashWipe(): void {
  clearSums()
  memory.fill(MULTIPLES, 0, 128)
  memory.fill(HEAD_FOUR, 0, 64)
  memory.fill(FIRST, 0, 16)
  memory.fill(LENGTHS, 0, 16)
}

/** The last block of AAD, with the hash of all blocks before it added. */
function hashAad(tables: usize, aad: usize, length: u32): v128 {
  let sum = i64x2.splat(0)
  for (; length > 16; length -= 16, aad += 16) sum = multiplyByH(tables, v128.xor(sum, v128.load(aad)))
  return v128.xor(sum, loadPartial(aad, length))
}

/** Block `index` of the whole: AAD at 0, then the text, then the lengths; zeros at negative indices. */
function blockAt(index: i32): v128 {
  if (index < 0) return i64x2.splat(0)
  if (index == 0) return v128.load(FIRST)
  const at = text + (usize(index - 1) << 4)
  if (index <= wholeBlocks) return v128.load(at)
  if (index == wholeBlocks + 1 && restBytes != 0) return loadPartial(at, restBytes)
  return v128.load(LENGTHS)
}

/** Adds blocks `index` to `index + 3` to the sums, with `sum` added to the first. */
// @ts-ignore: decorator
@inline
function addFourAt(group: usize, index: i32, isLast: bool, sum: v128): void {
  if (index > 0 && !isLast) {
    const at = text + (usize(index - 1) << 4)
    addFour(SUMS, group, v128.xor(sum, v128.load(at)), v128.load(at, 16), v128.load(at, 32), v128.load(at, 48))
  } else {
    addFour(SUMS, group, v128.xor(sum, blockAt(index)), blockAt(index + 1), blockAt(index + 2), blockAt(index + 3))
  }
}

/** `x` times H. */
function multiplyByH(tables: usize, x: v128): v128 {
  const zero = i64x2.splat(0)
  setFour(SUMS, tables, zero, zero, zero, x)
  return reduceSums()
}

function clearSums(): void {
  for (let column = SUMS; column < SUMS + 16 * COLUMNS; column += 16) v128.store(column, i64x2.splat(0))
}

// @ts-ignore: decorator
@inline
function reduceSums(): v128 {
  return reduceColumns(SUMS)
}

/** Writes the tables of H^n, given as `power`. */
function buildTables(tables: usize, n: i32, power: v128): void {
  storeMultiples(power)
  const place = tables + <usize>((n - 1) >> 2) * GROUP_BYTES + <usize>(3 - ((n - 1) & 3)) * 32
  for (let j: usize = 0; j < COLUMNS; j++) {
    v128.store(place + j * COLUMN_TABLES, nibbleTable(MULTIPLES + j))
    v128.store(place + j * COLUMN_TABLES, nibbleTable(MULTIPLES + 4 * 16 + j), 16)
  }
}

/** For all 16 nibbles, the sum of those of the four bytes (16 apart) whose bit the nibble has. */
function nibbleTable(bytes: usize): v128 {
  const bit0 = v128.and(v128.load8_splat(bytes), v128.load(NIBBLE_BITS))
  const bit1 = v128.and(v128.load8_splat(bytes, 16), v128.load(NIBBLE_BITS, 16))
  const bit2 = v128.and(v128.load8_splat(bytes, 32), v128.load(NIBBLE_BITS, 32))
  const bit3 = v128.and(v128.load8_splat(bytes, 48), v128.load(NIBBLE_BITS, 48))
  return v128.xor(v128.xor(bit0, bit1), v128.xor(bit2, bit3))
}

function storeMultiples(power: v128): void {
  let upper = bswap<u64>(i64x2.extract_lane(power, 0))
  let lower = bswap<u64>(i64x2.extract_lane(power, 1))
  for (let to = MULTIPLES; to < MULTIPLES + 128; to += 16) {
    store<u64>(to, bswap<u64>(upper))
    store<u64>(to, bswap<u64>(lower), 8)
    // What is pushed out comes back in as 1 + x + x^2 + x^7.
    const out = 0 - (lower & 1)
    lower = (lower >> 1) | (upper << 63)
    upper = (upper >> 1) ^ (out & 0xe100000000000000)
  }
}
