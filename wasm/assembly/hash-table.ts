/**
 * A hash table that grows by one bucket at a time (linear hashing, Litwin 1980): no insertion pays for more than one
 * bucket, and memory is touched as entries come. An entry is a key, a value that is not 0, and 64 bits more; where `tagMask`
 * is not 0, those bits of the value belong to the key. A bucket is 128 bytes: five entries, filled from the front, and the
 * number of an overflow bucket, whose chain is filled from the front too.
 */
import { mix } from './hash'
import { BUCKET_BYTES } from './reserve'

const ENTRY_BYTES: usize = 24
const ENTRIES: u32 = 5
const FULL: usize = 120
const LINK: usize = 120
const FIRST_BUCKETS: u32 = 8
/** Entries for each bucket at which the table grows. */
const LOAD: u32 = 3
/** Overflow buckets in a chain that a split takes on; as many are kept back for it. */
const SPLIT_CHAIN: u32 = 16

@unmanaged
export class HashTable {
  base: usize
  tagMask: u64
  entries: u32
  buckets: u32
  maxBuckets: u32
  /** One less than the power of two above `buckets`. */
  mask: u32
  /** Overflow buckets have the numbers from `maxBuckets` on. 0 is none. */
  freeSpill: u32
  nextSpill: u32
}

export const HASH_TABLE_BYTES: i32 = 64

export function initHashTable(table: HashTable, base: usize, buckets: u32, tagMask: u64): void {
  table.base = base
  table.tagMask = tagMask
  table.buckets = FIRST_BUCKETS
  table.maxBuckets = buckets
  table.mask = FIRST_BUCKETS * 2 - 1
  table.nextSpill = buckets
}

// @ts-ignore: decorator
@inline
function bucketAt(table: HashTable, index: u32): usize {
  return table.base + <usize>index * BUCKET_BYTES
}

// @ts-ignore: decorator
@inline
function hashOf(key: u64, tag: u64): u64 {
  return mix(key + rotl<u64>(tag, 29))
}

// @ts-ignore: decorator
@inline
function homeOf(table: HashTable, hash: u64): usize {
  const mask = table.mask
  let index = <u32>hash & mask
  if (index >= table.buckets) index &= mask >> 1
  return bucketAt(table, index)
}

/** The bucket behind `bucket` in its chain, or 0. */
// @ts-ignore: decorator
@inline
function nextOf(table: HashTable, bucket: usize): usize {
  const link = load<u32>(bucket, LINK)
  return link == 0 ? 0 : bucketAt(table, link)
}

/** Where the entry of a key is, if it is anywhere but in an overflow bucket. */
// @ts-ignore: decorator
@inline
export function expectedPlace(table: HashTable, key: u64, tag: u64): usize {
  return homeOf(table, hashOf(key, tag))
}

/** Address of the entry, with its value 8 bytes behind it and the rest 16, or 0. */
export function findEntry(table: HashTable, key: u64, tag: u64): usize {
  const tagMask = table.tagMask
  let bucket = homeOf(table, hashOf(key, tag))
  while (bucket != 0) {
    for (let entry = bucket; entry < bucket + FULL; entry += ENTRY_BYTES) {
      const value = load<u64>(entry, 8)
      if (value == 0) return 0
      if (load<u64>(entry) == key && (value & tagMask) == tag) return entry
    }
    bucket = nextOf(table, bucket)
  }
  return 0
}

/** The key must not be in the table yet. */
export function addEntry(table: HashTable, key: u64, value: u64, more: u64): void {
  append(table, homeOf(table, hashOf(key, value & table.tagMask)), key, value, more)
  if (++table.entries > table.buckets * LOAD && table.buckets < table.maxBuckets) split(table)
}

/** Puts the last entry of the chain into the place of the removed one. */
export function removeEntry(table: HashTable, entry: usize): void {
  let before: usize = 0
  let bucket = homeOf(table, hashOf(load<u64>(entry), load<u64>(entry, 8) & table.tagMask))
  for (let after = nextOf(table, bucket); after != 0; after = nextOf(table, bucket)) {
    before = bucket
    bucket = after
  }
  let last = bucket + FULL - ENTRY_BYTES
  while (load<u64>(last, 8) == 0) last -= ENTRY_BYTES
  memory.copy(entry, last, ENTRY_BYTES)
  memory.fill(last, 0, ENTRY_BYTES)
  if (last == bucket && before != 0) cutBehind(table, before)
  table.entries--
}

function append(table: HashTable, bucket: usize, key: u64, value: u64, more: u64): void {
  while (true) {
    for (let entry = bucket; entry < bucket + FULL; entry += ENTRY_BYTES) {
      if (load<u64>(entry, 8) != 0) continue
      store<u64>(entry, key)
      store<u64>(entry, value, 8)
      store<u64>(entry, more, 16)
      return
    }
    let after = nextOf(table, bucket)
    if (after == 0) {
      const spill = takeSpill(table)
      store<u32>(bucket, spill, LINK)
      after = bucketAt(table, spill)
    }
    bucket = after
  }
}

/** Divides the entries of the next bucket in turn between it and a new one. */
function split(table: HashTable): void {
  const mask = table.mask
  const index = table.buckets
  const source = bucketAt(table, index & (mask >> 1))
  let chain: u32 = 0
  for (let bucket = nextOf(table, source); bucket != 0; bucket = nextOf(table, bucket)) {
    if (++chain > SPLIT_CHAIN) return
  }
  const fresh = bucketAt(table, index)
  table.buckets = index + 1
  if (index == mask) table.mask = mask * 2 + 1
  // Those that stay move up behind one another.
  let kept = source
  let keptBucket = source
  let keptCount: u32 = 0
  for (let bucket = source; bucket != 0; bucket = nextOf(table, bucket)) {
    for (let entry = bucket; entry < bucket + FULL; entry += ENTRY_BYTES) {
      const key = load<u64>(entry)
      const value = load<u64>(entry, 8)
      const more = load<u64>(entry, 16)
      if (value == 0) break
      store<u64>(entry, 0, 8)
      if ((<u32>hashOf(key, value & table.tagMask) & mask) == index) {
        append(table, fresh, key, value, more)
        continue
      }
      if (keptCount == ENTRIES) {
        keptBucket = nextOf(table, keptBucket)
        kept = keptBucket
        keptCount = 0
      }
      store<u64>(kept, key)
      store<u64>(kept, value, 8)
      store<u64>(kept, more, 16)
      kept += ENTRY_BYTES
      keptCount++
    }
  }
  cutBehind(table, keptBucket)
}

/** Gives back the overflow buckets behind `bucket`, which are empty. */
function cutBehind(table: HashTable, bucket: usize): void {
  let spill = load<u32>(bucket, LINK)
  store<u32>(bucket, 0, LINK)
  while (spill != 0) {
    const at = bucketAt(table, spill)
    const after = load<u32>(at, LINK)
    memory.fill(at, 0, BUCKET_BYTES)
    store<u32>(at, table.freeSpill, LINK)
    table.freeSpill = spill
    spill = after
  }
}

/** There is always one: all chains together are never longer than a fifth of all entries. */
function takeSpill(table: HashTable): u32 {
  const spill = table.freeSpill
  if (spill == 0) return table.nextSpill++
  const at = bucketAt(table, spill)
  table.freeSpill = load<u32>(at, LINK)
  store<u32>(at, 0, LINK)
  return spill
}
