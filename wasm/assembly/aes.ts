/**
 * AES-128 and AES-256 encryption (FIPS 197) by vector permutation: every table is 16 bytes in a register, so that no
 * address and no branch depends on a secret. Tables and their mathematics: wasm/generate/aes-tables.ts.
 *
 * Key schedule in memory, 48 bytes for each round r from 0 to the last: the round key, and for the middle rounds the
 * two neighbour tables of MixColumns. Middle keys are in tower form, in the byte order of their round, with the
 * S-box's constant 0x63 added (MixColumns maps a column of 0x63 to itself).
 */
import {
  A_OVER, INVERSE, LAST_ORDER, NEXT_0, NEXT_1, NEXT_2, NEXT_3, ORDER_0, ORDER_1, ORDER_2, ORDER_3, PREVIOUS_0,
  PREVIOUS_1, PREVIOUS_2, PREVIOUS_3, SUB_DOUBLE_P, SUB_DOUBLE_Q, SUB_LAST_P, SUB_LAST_Q, SUB_P, SUB_Q, TO_TOWER_HIGH,
  TO_TOWER_LOW,
} from './aes-tables.ts'
import { lookup } from './bytes.ts'

export const AES_128_ROUNDS: u32 = 10
export const AES_256_ROUNDS: u32 = 14
/** Bytes of each round in the key schedule. */
export const RECORD: usize = 48
/** Bytes of a key schedule, for either key length. */
export const AES_SCHEDULE_BYTES: usize = RECORD * 15

/** 0x0f in every byte; a load is cheaper than what V8 makes of the constant. */
const LOW_NIBBLES: usize = memory.data<u64>([0x0f0f0f0f0f0f0f0f, 0x0f0f0f0f0f0f0f0f], 16)
/** Words of the key expansion. */
const EXPANDED: usize = memory.data(240, 16)

/** Bytes of the round keys by themselves, for either key length. */
export const AES_KEYS_BYTES: usize = 16 * 15

/** Writes the round keys of a key of 16 bytes (10 rounds) or 32 bytes (14 rounds), one behind the other. */
export function aesExpand(keys: usize, key: usize, rounds: u32): void {
  expandKey(key, rounds)
  v128.store(keys, toTower(v128.load(EXPANDED)))
  const constant = i8x16.splat(0x63)
  for (let round: u32 = 1; round < rounds; round++) {
    const roundKey = toTower(v128.xor(v128.load(EXPANDED + (round << 4)), constant))
    v128.store(keys + (round << 4), lookup(roundKey, orderOf(round)))
  }
  v128.store(keys + (rounds << 4), v128.xor(v128.load(EXPANDED + (rounds << 4)), constant))
  memory.fill(EXPANDED, 0, 240)
}

/** Writes what is the same in all key schedules. */
export function layTables(schedule: usize): void {
  for (let round: u32 = 1; round < AES_256_ROUNDS; round++) {
    const record = schedule + <usize>round * RECORD
    v128.store(record, nextOf(round), 16)
    v128.store(record, previousOf(round), 32)
  }
}

/** Puts round keys into a schedule that has its tables. */
export function layKeys(schedule: usize, keys: usize, rounds: u32): void {
  const end = keys + (<usize>rounds << 4)
  for (; keys <= end; keys += 16, schedule += RECORD) v128.store(schedule, v128.load(keys))
}

/** FIPS 197 section 5.2. Words are little-endian here, so that RotWord rotates right. */
function expandKey(key: usize, rounds: u32): void {
  const keyWords = rounds - 6
  const words = (rounds + 1) << 2
  memory.copy(EXPANDED, key, keyWords << 2)
  let roundConstant: u32 = 1
  for (let i = keyWords; i < words; i++) {
    let word = load<u32>(EXPANDED + ((i - 1) << 2))
    const place = i % keyWords
    if (place == 0) {
      word = subWord(rotr(word, 8)) ^ roundConstant
      roundConstant = (roundConstant << 1) ^ ((roundConstant >> 7) * 0x11b)
    } else if (keyWords == 8 && place == 4) {
      word = subWord(word)
    }
    store<u32>(EXPANDED + (i << 2), word ^ load<u32>(EXPANDED + ((i - keyWords) << 2)))
  }
}

function subWord(word: u32): u32 {
  const state = toTower(i32x4.splat(word))
  return i32x4.extract_lane(substituteLast(state), 0) ^ 0x63636363
}

function orderOf(round: u32): v128 {
  const turn = round & 3
  return v128.load(turn == 0 ? ORDER_0 : turn == 1 ? ORDER_1 : turn == 2 ? ORDER_2 : ORDER_3)
}

function nextOf(round: u32): v128 {
  const turn = round & 3
  return v128.load(turn == 0 ? NEXT_0 : turn == 1 ? NEXT_1 : turn == 2 ? NEXT_2 : NEXT_3)
}

function previousOf(round: u32): v128 {
  const turn = round & 3
  return v128.load(turn == 0 ? PREVIOUS_0 : turn == 1 ? PREVIOUS_1 : turn == 2 ? PREVIOUS_2 : PREVIOUS_3)
}

// @ts-ignore: decorator
@inline
export function low(x: v128): v128 {
  return v128.and(x, v128.load(LOW_NIBBLES))
}

// @ts-ignore: decorator
@inline
export function high(x: v128): v128 {
  return v128.and(i16x8.shr_u(x, 4), v128.load(LOW_NIBBLES))
}

// @ts-ignore: decorator
@inline
export function toTower(x: v128): v128 {
  return v128.xor(lookup(v128.load(TO_TOWER_LOW), low(x)), lookup(v128.load(TO_TOWER_HIGH), high(x)))
}

/** The S-box without its constant, from tower form to plain bytes. */
// @ts-ignore: decorator
@inline
function substituteLast(x: v128): v128 {
  const inverse = v128.load(INVERSE)
  const k = low(x)
  const i = high(x)
  const j = v128.xor(i, k)
  const aOverK = lookup(v128.load(A_OVER), k)
  const p = v128.xor(lookup(inverse, v128.xor(lookup(inverse, i), aOverK)), j)
  const q = v128.xor(lookup(inverse, v128.xor(lookup(inverse, j), aOverK)), i)
  return v128.xor(lookup(v128.load(SUB_LAST_P), p), lookup(v128.load(SUB_LAST_Q), q))
}

/** One middle round of one block; `record` is that round's part of the key schedule. */
// @ts-ignore: decorator
@inline
export function middleRound(x: v128, record: usize): v128 {
  const inverse = v128.load(INVERSE)
  const k = low(x)
  const i = high(x)
  const j = v128.xor(i, k)
  const aOverK = lookup(v128.load(A_OVER), k)
  const p = v128.xor(lookup(inverse, v128.xor(lookup(inverse, i), aOverK)), j)
  const q = v128.xor(lookup(inverse, v128.xor(lookup(inverse, j), aOverK)), i)
  const single = v128.xor(lookup(v128.load(SUB_P), p), lookup(v128.load(SUB_Q), q))
  const double = v128.xor(lookup(v128.load(SUB_DOUBLE_P), p), lookup(v128.load(SUB_DOUBLE_Q), q))
  // Of column s: 2*s0 + 3*s1 + s2 + s3. With t = 2*s + next(s), t + next(t) = 2*s0 + 3*s1 + s2.
  const next = v128.load(record, 16)
  const twice = v128.xor(double, lookup(single, next))
  const rest = v128.xor(lookup(single, v128.load(record, 32)), v128.load(record))
  return v128.xor(v128.xor(twice, rest), lookup(twice, next))
}

// @ts-ignore: decorator
@inline
export function lastRound(x: v128, record: usize): v128 {
  return v128.xor(lookup(substituteLast(x), v128.load(LAST_ORDER)), v128.load(record))
}

/** Encrypts the block `x`. */
export function aesEncrypt(schedule: usize, rounds: u32, x: v128): v128 {
  const last = schedule + <usize>rounds * RECORD
  x = v128.xor(toTower(x), v128.load(schedule))
  for (let record = schedule + RECORD; record < last; record += RECORD) x = middleRound(x, record)
  return lastRound(x, last)
}
