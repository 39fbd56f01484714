/**
 * AES in counter mode (NIST SP 800-38A section 6.5, with the 32-bit counter of GCM), eight blocks at a time: a row of
 * any counter blocks under one key, and runs of consecutive ones, where rounds 1 and 2 are mostly done beforehand.
 */
import { high, lastRound, low, middleRound, RECORD, toTower } from './aes.ts'
import {
  A_OVER, COLUMN_1, DOUBLE_1_0, DOUBLE_1_1, DOUBLE_2_0, DOUBLE_2_1, DOUBLE_2_2, DOUBLE_2_3, INVERSE, KEEP_1, KEEP_2,
  SINGLE_1_0, SINGLE_1_1, SINGLE_2_0, SINGLE_2_1, SINGLE_2_2, SINGLE_2_3, SUB_DOUBLE_P, SUB_DOUBLE_Q, SUB_P, SUB_Q,
} from './aes-tables.ts'
import { lookup } from './bytes.ts'

export const ROW_BLOCKS: u32 = 8
/** Eight counter blocks, then where their key stream is XORed from, and where to. */
const ROW: usize = memory.data(192, 64)
const SOURCES: usize = ROW + 128
const TARGETS: usize = ROW + 160
/** Where idle places of the row write. */
const SINK: usize = memory.data(16, 16)
/** What `prepareRun` leaves: the changing column after round 1, four times, and all after round 2. */
const COLUMN: usize = memory.data(32, 16)
const BASE: usize = COLUMN + 16
const COUNTING: usize = memory.data<u8>([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], 16)

/** The counter block of a 12-byte nonce. */
// @ts-ignore: decorator
@inline
export function counterBlock(nonce: v128, counter: u32): v128 {
  return i32x4.replace_lane(nonce, 3, bswap<u32>(counter))
}

// @ts-ignore: decorator
@inline
export function setRow(place: u32, block: v128, src: usize, dst: usize): void {
  v128.store(ROW + (<usize>place << 4), block)
  store<u32>(SOURCES + (place << 2), <u32>src)
  store<u32>(TARGETS + (place << 2), <u32>dst)
}

/** XORs the key stream of the first `used` blocks of the row. */
export function runRow(schedule: usize, rounds: u32, used: u32): void {
  for (let place = used; place < ROW_BLOCKS; place++) {
    store<u32>(SOURCES + (place << 2), <u32>SINK)
    store<u32>(TARGETS + (place << 2), <u32>SINK)
  }
  const last = schedule + <usize>rounds * RECORD
  const key = v128.load(schedule)
  let x0 = v128.xor(toTower(v128.load(ROW)), key)
  let x1 = v128.xor(toTower(v128.load(ROW, 16)), key)
  let x2 = v128.xor(toTower(v128.load(ROW, 32)), key)
  let x3 = v128.xor(toTower(v128.load(ROW, 48)), key)
  let x4 = v128.xor(toTower(v128.load(ROW, 64)), key)
  let x5 = v128.xor(toTower(v128.load(ROW, 80)), key)
  let x6 = v128.xor(toTower(v128.load(ROW, 96)), key)
  let x7 = v128.xor(toTower(v128.load(ROW, 112)), key)
  for (let record = schedule + RECORD; record < last; record += RECORD) {
    x0 = middleRound(x0, record)
    x1 = middleRound(x1, record)
    x2 = middleRound(x2, record)
    x3 = middleRound(x3, record)
    x4 = middleRound(x4, record)
    x5 = middleRound(x5, record)
    x6 = middleRound(x6, record)
    x7 = middleRound(x7, record)
  }
  putRow(0, lastRound(x0, last))
  putRow(1, lastRound(x1, last))
  putRow(2, lastRound(x2, last))
  putRow(3, lastRound(x3, last))
  putRow(4, lastRound(x4, last))
  putRow(5, lastRound(x5, last))
  putRow(6, lastRound(x6, last))
  putRow(7, lastRound(x7, last))
}

// @ts-ignore: decorator
@inline
function putRow(place: usize, x: v128): void {
  const from: usize = load<u32>(SOURCES + (place << 2))
  const to: usize = load<u32>(TARGETS + (place << 2))
  v128.store(to, v128.xor(v128.load(from), x))
}

/** Works out rounds 1 and 2 of counter blocks that differ from `block` in the last byte at most. */
export function prepareRun(schedule: usize, block: v128): void {
  let x = v128.xor(toTower(block), v128.load(schedule))
  const keep1 = v128.load(KEEP_1)
  let p = halfP(x)
  let q = halfQ(x)
  x = mixKept(v128.and(single(p, q), keep1), v128.and(double(p, q), keep1), schedule + RECORD)
  v128.store(COLUMN, lookup(x, v128.load(COLUMN_1)))
  const keep2 = v128.load(KEEP_2)
  p = halfP(x)
  q = halfQ(x)
  v128.store(BASE, mixKept(v128.and(single(p, q), keep2), v128.and(double(p, q), keep2), schedule + 2 * RECORD))
}

/**
 * XORs eight blocks of key stream from `src` to `dst`, from the counter on whose last byte is `counter`, at most 248;
 * the rest of the block was given to `prepareRun`.
 */
export function runPrepared(schedule: usize, rounds: u32, counter: u32, src: usize, dst: usize): void {
  const last = schedule + <usize>rounds * RECORD
  // Counters in lanes: the last byte of eight blocks, then four bytes of the column in each of four.
  const bytes = v128.xor(
    toTower(i8x16.add(i8x16.splat(<i8>counter), v128.load(COUNTING))),
    v128.load8_splat(schedule, 15),
  )
  let p = halfP(bytes)
  let q = halfQ(bytes)
  const s = single(p, q)
  const d = double(p, q)
  const column = v128.load(COLUMN)
  const front = v128.xor(column, v128.xor(lookup(s, v128.load(SINGLE_1_0)), lookup(d, v128.load(DOUBLE_1_0))))
  const back = v128.xor(column, v128.xor(lookup(s, v128.load(SINGLE_1_1)), lookup(d, v128.load(DOUBLE_1_1))))
  p = halfP(front)
  q = halfQ(front)
  const s0 = single(p, q)
  const d0 = double(p, q)
  p = halfP(back)
  q = halfQ(back)
  const s1 = single(p, q)
  const d1 = double(p, q)
  let x0 = spread(s0, d0, SINGLE_2_0, DOUBLE_2_0)
  let x1 = spread(s0, d0, SINGLE_2_1, DOUBLE_2_1)
  let x2 = spread(s0, d0, SINGLE_2_2, DOUBLE_2_2)
  let x3 = spread(s0, d0, SINGLE_2_3, DOUBLE_2_3)
  let x4 = spread(s1, d1, SINGLE_2_0, DOUBLE_2_0)
  let x5 = spread(s1, d1, SINGLE_2_1, DOUBLE_2_1)
  let x6 = spread(s1, d1, SINGLE_2_2, DOUBLE_2_2)
  let x7 = spread(s1, d1, SINGLE_2_3, DOUBLE_2_3)
  for (let record = schedule + 3 * RECORD; record < last; record += RECORD) {
    x0 = middleRound(x0, record)
    x1 = middleRound(x1, record)
    x2 = middleRound(x2, record)
    x3 = middleRound(x3, record)
    x4 = middleRound(x4, record)
    x5 = middleRound(x5, record)
    x6 = middleRound(x6, record)
    x7 = middleRound(x7, record)
  }
  v128.store(dst, v128.xor(v128.load(src), lastRound(x0, last)))
  v128.store(dst, v128.xor(v128.load(src, 16), lastRound(x1, last)), 16)
  v128.store(dst, v128.xor(v128.load(src, 32), lastRound(x2, last)), 32)
  v128.store(dst, v128.xor(v128.load(src, 48), lastRound(x3, last)), 48)
  v128.store(dst, v128.xor(v128.load(src, 64), lastRound(x4, last)), 64)
  v128.store(dst, v128.xor(v128.load(src, 80), lastRound(x5, last)), 80)
  v128.store(dst, v128.xor(v128.load(src, 96), lastRound(x6, last)), 96)
  v128.store(dst, v128.xor(v128.load(src, 112), lastRound(x7, last)), 112)
}

/** Erases what the last packets left. */
export function aesCtrWipe(): void {
  memory.fill(ROW, 0, 192)
  memory.fill(SINK, 0, 16)
  memory.fill(COLUMN, 0, 32)
}

// @ts-ignore: decorator
@inline
function spread(s: v128, d: v128, singles: usize, doubles: usize): v128 {
  return v128.xor(v128.load(BASE), v128.xor(lookup(s, v128.load(singles)), lookup(d, v128.load(doubles))))
}

/** MixColumns and the round key, as in `middleRound`. */
// @ts-ignore: decorator
@inline
function mixKept(s: v128, d: v128, record: usize): v128 {
  const next = v128.load(record, 16)
  const twice = v128.xor(d, lookup(s, next))
  const rest = v128.xor(lookup(s, v128.load(record, 32)), v128.load(record))
  return v128.xor(v128.xor(twice, rest), lookup(twice, next))
}

/** S-box values, from tower form to tower form, without the constant. */
// @ts-ignore: decorator
@inline
function single(p: v128, q: v128): v128 {
  return v128.xor(lookup(v128.load(SUB_P), p), lookup(v128.load(SUB_Q), q))
}

/** Twice the S-box values. */
// @ts-ignore: decorator
@inline
function double(p: v128, q: v128): v128 {
  return v128.xor(lookup(v128.load(SUB_DOUBLE_P), p), lookup(v128.load(SUB_DOUBLE_Q), q))
}

/** P and Q of wasm/generate/aes-tables.ts. */
// @ts-ignore: decorator
@inline
function halfP(x: v128): v128 {
  const inverse = v128.load(INVERSE)
  const k = low(x)
  const i = high(x)
  return v128.xor(lookup(inverse, v128.xor(lookup(inverse, i), lookup(v128.load(A_OVER), k))), v128.xor(i, k))
}

// @ts-ignore: decorator
@inline
function halfQ(x: v128): v128 {
  const inverse = v128.load(INVERSE)
  const k = low(x)
  const i = high(x)
  const aOverK = lookup(v128.load(A_OVER), k)
  return v128.xor(lookup(inverse, v128.xor(lookup(inverse, v128.xor(i, k)), aOverK)), i)
}
