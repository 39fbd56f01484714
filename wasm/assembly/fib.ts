/**
 * Forwarding table. Addresses are numbers as in `Packet`.
 *
 * - Prefixes of up to 16 bits are written out into one entry for each first 16 bits of an address.
 * - Prefixes of 17 to 64 bits lie in blocks: those that have their first 17 bits in common, or 23, 29 and so on, and are
 *   up to five bits longer. 63 bits of a block tell which of them there are. A lookup finds one block in a hash table for
 *   six prefix lengths, the longest first, and only for depths that occur under the address's first 16 bits: at most 3
 *   for IPv4, 8 for IPv6, whatever is in the table. Up to four prefixes have their groups in the block itself; those of a
 *   fuller block are in a second hash table.
 * - Longer IPv6 prefixes lie in a trie.
 */
import { MAX_GROUPS } from '../abi'
import { addEntry, expectedPlace, findEntry, HASH_TABLE_BYTES, HashTable, initHashTable, removeEntry } from './hash-table'
import {
  maskHigh,
  maskLow,
  TRIE_ADDED,
  TRIE_REFUSED,
  trieDelete,
  trieInsert,
  trieLookup,
  trieNodes,
} from './prefix-trie'
import { FIB_BLOCKS, FIB_BUCKETS, FIB_ROUTES, maxRoutes } from './reserve'

if (MAX_GROUPS > 65536) ERROR('groups of a block have 16 bits')

const SHORT_BITS: u32 = 16
const HASHED_BITS: u32 = 64
/** Bits that the prefixes of a block have in common, at the first depth, and from one depth to the next. */
const FIRST_DEPTH: u32 = 17
const STRIDE: u32 = 6
/** Prefixes that have their groups in the block, 16 bits each in the order of their places. */
const INLINE: u64 = 4
/** The depth number of prefixes in the trie. */
const LONG: u32 = 8

/** For each 16 bits, of IPv4 and then of IPv6: group + 1 of the longest short prefix, and a bit for each depth below. */
const ROOTS: usize = memory.data(2 * 65536 * 8, 64)
/** Length + 1 of those short prefixes. */
const ROOT_BITS: usize = memory.data(2 * 65536, 64)
/** Prefixes of each depth under these 16 bits: 16 counters. */
const DEPTH_COUNTS: usize = memory.data(2 * 65536 * 64, 64)
/** Short prefixes: group + 1 at 2^length + value. */
const SHORT: usize = memory.data(2 * 131072 * 4, 64)

const BLOCKS: HashTable = changetype<HashTable>(memory.data(HASH_TABLE_BYTES, 64))
const ROUTES: HashTable = changetype<HashTable>(memory.data(HASH_TABLE_BYTES, 64))
/** Of a value in ROUTES: version and length; below them lies the group. */
const ROUTE_TAG: u64 = 0xffffffff00000000

let routes: u32 = 0

/** Once, after `reserve`. */
export function initFib(): void {
  initHashTable(BLOCKS, FIB_BLOCKS, FIB_BUCKETS, 0)
  initHashTable(ROUTES, FIB_ROUTES, FIB_BUCKETS, ROUTE_TAG)
}

// @ts-ignore: decorator
@inline
function rootIndex(version: u32, high: u64): usize {
  return (version == 4 ? 0 : 65536) + <usize>(high >> 48)
}

// @ts-ignore: decorator
@inline
function depthBits(depth: u32): u32 {
  return FIRST_DEPTH + depth * STRIDE
}

/** The common bits, a 1 behind them, zeros, and the version in the last bit. */
// @ts-ignore: decorator
@inline
function blockKey(version: u32, high: u64, bits: u32): u64 {
  return (high & maskHigh(bits)) | (<u64>1 << (63 - bits)) | <u64>(version == 6)
}

// @ts-ignore: decorator
@inline
function routeTag(version: u32, bits: u32): u64 {
  return (<u64>((version << 8) | bits)) << 32
}

/** The bits of a block that stand for prefixes of an address whose bits behind the common ones are `rest`. */
// @ts-ignore: decorator
@inline
function coveringBits(rest: u32): u64 {
  const upper = ((<u64>1) << 1) | ((<u64>1) << (2 | (rest >> 4))) | ((<u64>1) << (4 | (rest >> 3)))
  return upper | ((<u64>1) << (8 | (rest >> 2))) | ((<u64>1) << (16 | (rest >> 1))) | ((<u64>1) << (32 | rest))
}

/** Group of the longest prefix that covers the address, or -1. */
export function lookup(version: u32, high: u64, low: u64): i32 {
  const root = ROOTS + (rootIndex(version, high) << 3)
  let depths = load<u32>(root, 4)
  if ((depths >> LONG) != 0) {
    const found = trieLookup(high, low)
    if (found >= 0) return found
    depths &= (1 << LONG) - 1
  }
  while (depths != 0) {
    const depth: u32 = 31 - clz<u32>(depths)
    depths ^= <u32>1 << depth
    const bits = depthBits(depth)
    const block = findEntry(BLOCKS, blockKey(version, high, bits), 0)
    if (block == 0) continue
    const present = load<u64>(block, 8) & coveringBits(<u32>((high << bits) >> 59))
    if (present == 0) continue
    const place = <u32>(63 - clz<u64>(present))
    const all = load<u64>(block, 8)
    if (popcnt<u64>(all) <= INLINE) return <i32>groupAt(block, <u64>1 << place)
    const length = bits + 31 - clz<u32>(place)
    return load<i32>(findEntry(ROUTES, high & maskHigh(length), routeTag(version, length)), 8)
  }
  return <i32>load<u32>(root) - 1
}

/** So many blocks as lie in the caches anyway. */
const NEAR_BLOCKS: u32 = 16384
/** What was read for nothing but to have it near. */
let fetched: u64 = 0

/** Whether `fetchAhead` is worth its time. */
// @ts-ignore: decorator
@inline
export function isFarTable(): bool {
  return BLOCKS.entries > NEAR_BLOCKS
}

/**
 * Reads what a lookup of the address is going to need, so that the memory works for all addresses of a batch at once:
 * the lookups themselves, each with branches that wait for it, would have it work for one after the other.
 */
function fetchAhead(version: u32, high: u64): void {
  const depths = load<u32>(ROOTS + (rootIndex(version, high) << 3), 4) & ((1 << LONG) - 1)
  // Of no depth the first is read for nothing. The deepest two are where most prefixes are.
  const first: u32 = 31 - clz<u32>(depths | 1)
  const second: u32 = 31 - clz<u32>((depths & ~((<u32>1) << first)) | 1)
  const deepest = expectedPlace(BLOCKS, blockKey(version, high, depthBits(first)), 0)
  const next = expectedPlace(BLOCKS, blockKey(version, high, depthBits(second)), 0)
  // A bucket is two lines of a cache.
  fetched ^= load<u64>(deepest) ^ load<u64>(deepest, 64) ^ load<u64>(next) ^ load<u64>(next, 64)
}

/** Has what a packet to be forwarded needs fetched; there may be anything at `start`. */
export function fetchRoute(start: usize): void {
  const v4 = load<u8>(start) >> 4 == 4
  fetchAhead(v4 ? 4 : 6, v4 ? (<u64>bswap<u32>(load<u32>(start, 16))) << 32 : bswap<u64>(load<u64>(start, 24)))
}

/** Inserts or replaces. Host bits must be zero. Returns false when the table is full. */
export function insertRoute(version: u32, high: u64, low: u64, bits: u32, group: u32): bool {
  const mayAdd = routes < maxRoutes
  if (bits <= SHORT_BITS) return insertShort(version, high, bits, group, mayAdd)
  if (bits > HASHED_BITS) {
    const outcome = trieInsert(high, low, bits, group, mayAdd)
    if (outcome == TRIE_ADDED) count(version, high, LONG, 1)
    return outcome != TRIE_REFUSED
  }
  const depth = (bits - FIRST_DEPTH) / STRIDE
  const common = depthBits(depth)
  const place = placeOf(high, bits, common)
  const key = blockKey(version, high, common)
  const block = findEntry(BLOCKS, key, 0)
  const present = block == 0 ? 0 : load<u64>(block, 8)
  if ((present & place) != 0) {
    if (popcnt<u64>(present) <= INLINE) putGroup(block, place, group)
    else store<u32>(findEntry(ROUTES, high, routeTag(version, bits)), group, 8)
    return true
  }
  if (!mayAdd) return false
  if (block == 0) addEntry(BLOCKS, key, place, <u64>group)
  else addToBlock(block, version, high, bits, place, group)
  count(version, high, depth, 1)
  return true
}

function addToBlock(block: usize, version: u32, high: u64, bits: u32, place: u64, group: u32): void {
  const present = load<u64>(block, 8)
  if (popcnt<u64>(present) == INLINE) moveOut(block, version, high, bits)
  store<u64>(block, present | place, 8)
  if (popcnt<u64>(present) >= INLINE) {
    addEntry(ROUTES, high, routeTag(version, bits) | <u64>group, 0)
    return
  }
  const shift = groupShift(present, place)
  const groups = load<u64>(block, 16)
  const below = (<u64>1 << shift) - 1
  store<u64>(block, (groups & below) | (<u64>group << shift) | ((groups & ~below) << 16), 16)
}

/** The four prefixes of a block into ROUTES. `high` has the block's common bits. */
function moveOut(block: usize, version: u32, high: u64, bits: u32): void {
  const common = depthBits((bits - FIRST_DEPTH) / STRIDE)
  for (let left = load<u64>(block, 8); left != 0; left &= left - 1) {
    const place = left & (0 - left)
    const number = <u32>ctz<u64>(place)
    const length = common + 31 - clz<u32>(number)
    addEntry(ROUTES, highOf(high, common, number), routeTag(version, length) | <u64>groupAt(block, place), 0)
  }
}

/** The four prefixes that are left of a fuller block back into it. */
function moveIn(block: usize, version: u32, high: u64, bits: u32): void {
  const common = depthBits((bits - FIRST_DEPTH) / STRIDE)
  for (let left = load<u64>(block, 8); left != 0; left &= left - 1) {
    const number = <u32>ctz<u64>(left)
    const length = common + 31 - clz<u32>(number)
    const route = findEntry(ROUTES, highOf(high, common, number), routeTag(version, length))
    putGroup(block, left & (0 - left), load<u32>(route, 8))
    removeEntry(ROUTES, route)
  }
}

/** Returns whether the prefix was there. */
export function deleteRoute(version: u32, high: u64, low: u64, bits: u32): bool {
  if (bits <= SHORT_BITS) return deleteShort(version, high, bits)
  if (bits > HASHED_BITS) {
    const known = trieDelete(high, low, bits)
    if (known) count(version, high, LONG, -1)
    return known
  }
  const depth = (bits - FIRST_DEPTH) / STRIDE
  const common = depthBits(depth)
  const block = findEntry(BLOCKS, blockKey(version, high, common), 0)
  const place = placeOf(high, bits, common)
  const present = block == 0 ? 0 : load<u64>(block, 8)
  if ((present & place) == 0) return false
  const left = present & ~place
  if (left == 0) removeEntry(BLOCKS, block)
  else {
    store<u64>(block, left, 8)
    if (popcnt<u64>(present) > INLINE) removeEntry(ROUTES, findEntry(ROUTES, high, routeTag(version, bits)))
    else closeGap(block, groupShift(present, place))
    if (popcnt<u64>(present) == INLINE + 1) moveIn(block, version, high, bits)
  }
  count(version, high, depth, -1)
  return true
}

/** Takes 16 bits out of the groups of a block. */
function closeGap(block: usize, shift: u64): void {
  const groups = load<u64>(block, 16)
  const below = (<u64>1 << shift) - 1
  store<u64>(block, (groups & below) | ((groups >> 16) & ~below), 16)
}

/** Where the group of a place stands among those of `present`. */
// @ts-ignore: decorator
@inline
function groupShift(present: u64, place: u64): u64 {
  return popcnt<u64>(present & (place - 1)) << 4
}

// @ts-ignore: decorator
@inline
function groupAt(block: usize, place: u64): u32 {
  return <u32>(load<u64>(block, 16) >> groupShift(load<u64>(block, 8), place)) & 0xffff
}

function putGroup(block: usize, place: u64, group: u32): void {
  const shift = groupShift(load<u64>(block, 8), place)
  const others = load<u64>(block, 16) & ~(<u64>0xffff << shift)
  store<u64>(block, others | (<u64>group << shift), 16)
}

/** The first 64 bits of the prefix at a place of the block that `high` lies in. */
function highOf(high: u64, common: u32, number: u32): u64 {
  const length: u32 = 31 - clz<u32>(number)
  const rest: u64 = length == 0 ? 0 : (<u64>(number ^ (<u32>1 << length))) << (64 - common - length)
  return (high & maskHigh(common)) | rest
}

/** The bit of a prefix in its block. */
function placeOf(high: u64, bits: u32, common: u32): u64 {
  const length = bits - common
  const rest = length == 0 ? 0 : <u32>((high << common) >> (64 - length))
  return (<u64>1) << ((<u32>1 << length) | rest)
}

function count(version: u32, high: u64, depth: u32, change: i32): void {
  const index = rootIndex(version, high)
  const counter = DEPTH_COUNTS + (index << 6) + (<usize>depth << 2)
  const left = load<u32>(counter) + change
  store<u32>(counter, left)
  const root = ROOTS + (index << 3)
  const bit = <u32>1 << depth
  const depths = load<u32>(root, 4)
  store<u32>(root, left != 0 ? depths | bit : depths & ~bit, 4)
  routes += change
}

// @ts-ignore: decorator
@inline
function shortAt(version: u32, high: u64, bits: u32): usize {
  const value: usize = bits == 0 ? 0 : <usize>(high >> (64 - bits))
  return SHORT + (((version == 4 ? 0 : 131072) + ((<usize>1 << bits) | value)) << 2)
}

function insertShort(version: u32, high: u64, bits: u32, group: u32, mayAdd: bool): bool {
  const at = shortAt(version, high, bits)
  if (load<u32>(at) == 0) {
    if (!mayAdd) return false
    routes++
  }
  store<u32>(at, group + 1)
  writeOut(version, high, bits, bits + 1, group + 1, bits + 1)
  return true
}

function deleteShort(version: u32, high: u64, bits: u32): bool {
  const at = shortAt(version, high, bits)
  if (load<u32>(at) == 0) return false
  store<u32>(at, 0)
  routes--
  // Where it was the longest, the next shorter one that covers it is now; everywhere the same.
  let next: u32 = 0
  let nextBits: u32 = 0
  for (let length = <i32>bits - 1; length >= 0 && next == 0; length--) {
    next = load<u32>(shortAt(version, high, length))
    nextBits = next == 0 ? 0 : length + 1
  }
  writeOut(version, high, bits, bits + 1, next, nextBits)
  return true
}

/** Writes a short prefix into its entries, as far as what they have is no longer than `limit` (length + 1). */
function writeOut(version: u32, high: u64, bits: u32, limit: u32, route: u32, routeBits: u32): void {
  const first = rootIndex(version, high)
  const end = first + (<usize>1 << (SHORT_BITS - bits))
  for (let index = first; index < end; index++) {
    if (load<u8>(ROOT_BITS + index) > <u8>limit) continue
    store<u8>(ROOT_BITS + index, <u8>routeBits)
    store<u32>(ROOTS + (index << 3), route)
  }
}

export { maskHigh, maskLow }

export function routeCount(): u32 {
  return routes
}

/** Hash entries and trie nodes in use, for the test that removal gives all of them back. */
export function nodeCount(): u32 {
  return BLOCKS.entries + ROUTES.entries + trieNodes()
}
