/**
 * Prefixes of one family as small numbers. The number, `pid`, indexes every array that says something about a
 * prefix; it stays the prefix's own until `remove`, and is then given to another one. Keys are words in typed arrays
 * with open addressing, so that a million prefixes take some 20 MB and no object each.
 */
import type { Family, Prefix } from '../../../../protocol/net.ts'
import { prefixAt } from '../wire/prefixes.ts'
import type { PrefixBlock } from '../wire/types.ts'

export class PrefixTable {
  readonly family: Family
  /** 32-bit words of an address: 1 or 4. */
  readonly stride: 1 | 4
  /** Of pid `p`: `words[p * stride]` and on, most significant first. Replaced when the table grows. */
  words: Uint32Array
  lengths: Uint8Array
  /** Prefixes in the table. */
  size = 0
  /** Every pid is below this. */
  end = 0
  /** Of pid + 1; zero is an empty place. */
  #slots: Uint32Array
  readonly #seed: number
  /** The first `#freed` are pids to be given out again, the last one first. */
  #free = new Uint32Array(64)
  #freed = 0
  #isUsed: Uint8Array

  /** `seed`: 32 random bits, so that no neighbour can choose prefixes that collide. */
  constructor(family: Family, seed: number) {
    this.family = family
    this.stride = family === 4 ? 1 : 4
    this.#seed = seed | 0
    const capacity = 1_024
    this.words = new Uint32Array(capacity * this.stride)
    this.lengths = new Uint8Array(capacity)
    this.#isUsed = new Uint8Array(capacity)
    this.#slots = new Uint32Array(2 * capacity)
  }

  /** Room for pids, before the table grows: other arrays by pid have at least as many places. */
  get capacity(): number {
    return this.lengths.length
  }

  /** The whole table as a block, whose index is the pid; good until the table grows. */
  get all(): PrefixBlock {
    return { family: this.family, lengths: this.lengths, words: this.words }
  }

  prefix(pid: number): Prefix {
    return prefixAt(this.all, pid)
  }

  has(pid: number): boolean {
    return this.#isUsed[pid] === 1
  }

  /** The pid of prefix `index` of `block`, which is of this family, or -1. */
  find(block: PrefixBlock, index: number): number {
    const found = this.#slots[this.#place(block.words, index * this.stride, block.lengths[index]!)]!
    return found - 1
  }

  /** As `find`, and puts it in where it is missing. Bits behind the length must be zero. */
  insert(block: PrefixBlock, index: number): number {
    const length = block.lengths[index]!
    const at = index * this.stride
    const place = this.#place(block.words, at, length)
    if (this.#slots[place] !== 0) return this.#slots[place]! - 1
    const pid = this.#freed > 0 ? this.#free[--this.#freed]! : this.#append()
    for (let word = 0; word < this.stride; word++) this.words[pid * this.stride + word] = block.words[at + word]!
    this.lengths[pid] = length
    this.#isUsed[pid] = 1
    this.size++
    // The table may have grown, and the place moved.
    this.#slots[this.#place(block.words, at, length)] = pid + 1
    return pid
  }

  remove(pid: number): void {
    if (!this.has(pid)) return
    this.#close(this.#place(this.words, pid * this.stride, this.lengths[pid]!))
    this.#isUsed[pid] = 0
    if (this.#freed === this.#free.length) this.#free = grown(this.#free, 2 * this.#freed)
    this.#free[this.#freed++] = pid
    this.size--
  }

  /** The prefixes of `pids` in that order, freshly allocated. */
  block(pids: ArrayLike<number>, count = pids.length): PrefixBlock {
    const lengths = new Uint8Array(count)
    const words = new Uint32Array(count * this.stride)
    for (let i = 0; i < count; i++) {
      const pid = pids[i]!
      lengths[i] = this.lengths[pid]!
      for (let word = 0; word < this.stride; word++) {
        words[i * this.stride + word] = this.words[pid * this.stride + word]!
      }
    }
    return { family: this.family, lengths, words }
  }

  #append(): number {
    if (this.end === this.capacity) this.#grow()
    return this.end++
  }

  #grow(): void {
    const capacity = 2 * this.capacity
    this.words = grown(this.words, capacity * this.stride)
    this.lengths = grown(this.lengths, capacity)
    this.#isUsed = grown(this.#isUsed, capacity)
    this.#slots = new Uint32Array(2 * capacity)
    for (let pid = 0; pid < this.end; pid++) {
      if (this.#isUsed[pid] === 0) continue
      this.#slots[this.#place(this.words, pid * this.stride, this.lengths[pid]!)] = pid + 1
    }
  }

  /** Where the prefix is, or the empty place where it would go. Half the places at least are empty. */
  #place(words: Uint32Array, at: number, length: number): number {
    const mask = this.#slots.length - 1
    let place = this.#hash(words, at, length) & mask
    for (;;) {
      const entry = this.#slots[place]!
      if (entry === 0 || this.#is(entry - 1, words, at, length)) return place
      place = (place + 1) & mask
    }
  }

  #is(pid: number, words: Uint32Array, at: number, length: number): boolean {
    if (this.lengths[pid] !== length) return false
    for (let word = 0; word < this.stride; word++) {
      if (this.words[pid * this.stride + word] !== words[at + word]) return false
    }
    return true
  }

  #hash(words: Uint32Array, at: number, length: number): number {
    let hash = mix(this.#seed, length)
    for (let word = 0; word < this.stride; word++) hash = mix(hash, words[at + word]!)
    return finish(hash)
  }

  /** Empties a place and moves up what had to go past it, so that no search ends too early. */
  #close(place: number): void {
    const mask = this.#slots.length - 1
    let hole = place
    let next = (hole + 1) & mask
    while (this.#slots[next] !== 0) {
      const pid = this.#slots[next]! - 1
      const home = this.#hash(this.words, pid * this.stride, this.lengths[pid]!) & mask
      if (((next - home) & mask) >= ((next - hole) & mask)) {
        this.#slots[hole] = pid + 1
        hole = next
      }
      next = (next + 1) & mask
    }
    this.#slots[hole] = 0
  }
}

/** A copy with more places, the new ones zero. */
export function grown<T extends Uint8Array | Uint16Array | Uint32Array | Int32Array>(array: T, length: number): T {
  const larger = new (array.constructor as new (length: number) => T)(length)
  larger.set(array)
  return larger
}

/** One step of a 32-bit hash (the multiplications of MurmurHash3). */
export function mix(hash: number, value: number): number {
  const scrambled = Math.imul((Math.imul(value, 0xcc9e2d51) << 15) | (Math.imul(value, 0xcc9e2d51) >>> 17), 0x1b873593)
  const mixed = hash ^ scrambled
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0
}

/** Spreads the last steps over all bits; unsigned. */
export function finish(hash: number): number {
  let bits = hash ^ (hash >>> 16)
  bits = Math.imul(bits, 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return (bits ^ (bits >>> 16)) >>> 0
}
