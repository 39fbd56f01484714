/**
 * Numbers for prefixes, and what is known of a million of them in a few bytes each, without an object or text for each.
 *
 * All of the process share one numbering, as texts are interned: a prefix has its number while anybody knows something
 * of it.
 */
import { randomBytes } from 'node:crypto'
import type { Family, Prefix } from '../../protocol/net.ts'
import { blocksOf, type PrefixBlock } from '../../protocol/prefix-block.ts'
import { grown, PrefixTable } from '../core/bgp/rib/prefix-table.ts'

/** The numbering of one family. */
export class PrefixIndex {
  readonly table: PrefixTable
  #holders: Uint16Array

  constructor(family: Family, seed: number) {
    this.table = new PrefixTable(family, seed)
    this.#holders = new Uint16Array(this.table.capacity)
  }

  /** The number of prefix `index` of the block, which has to be held at once; every one is below `table.capacity`. */
  insert(block: PrefixBlock, index: number): number {
    const pid = this.table.insert(block, index)
    if (pid >= this.#holders.length) this.#holders = grown(this.#holders, this.table.capacity)
    return pid
  }

  /** -1 where nobody knows it. */
  find(block: PrefixBlock, index: number): number {
    return this.table.find(block, index)
  }

  hold(pid: number): void {
    this.#holders[pid]!++
  }

  release(pid: number): void {
    if (--this.#holders[pid]! === 0) this.table.remove(pid)
  }
}

// No neighbour may choose prefixes that collide.
const seed = randomBytes(4).readUInt32LE()
export const PREFIXES: Readonly<Record<Family, PrefixIndex>> = {
  4: new PrefixIndex(4, seed),
  6: new PrefixIndex(6, seed),
}

type Values = Uint8Array | Uint32Array

/** A number other than 0 for each of many prefixes, as large as the array has room for. */
export class PrefixNumbers {
  readonly #values: Record<Family, Values>
  #size = 0

  constructor(values: new (length: number) => Values) {
    this.#values = { 4: new values(1), 6: new values(1) }
  }

  get size(): number {
    return this.#size
  }

  /** Of prefix `index` of the block; 0 where it has none. */
  get(block: PrefixBlock, index: number): number {
    const pid = this.#size === 0 ? -1 : PREFIXES[block.family].find(block, index)
    return pid < 0 ? 0 : (this.#values[block.family][pid] ?? 0)
  }

  /** Returns what it was before. */
  set(block: PrefixBlock, index: number, number: number): number {
    const prefixes = PREFIXES[block.family]
    const pid = prefixes.insert(block, index)
    if (pid >= this.#values[block.family].length) {
      this.#values[block.family] = grown(this.#values[block.family], prefixes.table.capacity)
    }
    const values = this.#values[block.family]
    const before = values[pid]!
    if (before === 0) {
      prefixes.hold(pid)
      this.#size++
    }
    values[pid] = number
    return before
  }

  /** Returns what it was before. */
  delete(block: PrefixBlock, index: number): number {
    const prefixes = PREFIXES[block.family]
    const values = this.#values[block.family]
    const pid = prefixes.find(block, index)
    const before = pid < 0 ? 0 : (values[pid] ?? 0)
    if (before === 0) return 0
    values[pid] = 0
    this.#size--
    prefixes.release(pid)
    return before
  }

  /** Each prefix, as an index of a block that is good until the next change. */
  *entries(): Generator<{ readonly block: PrefixBlock; readonly index: number; readonly number: number }> {
    for (const family of [4, 6] as const) {
      const values = this.#values[family]
      const block = PREFIXES[family].table.all
      for (let index = 0; index < values.length; index++) {
        if (values[index] !== 0) yield { block, index, number: values[index]! }
      }
    }
  }
}

/** A few prefixes, for questions about many. */
export class PrefixSet {
  readonly #pids: Readonly<Record<Family, Set<number>>> = { 4: new Set(), 6: new Set() }

  constructor(prefixes: Iterable<Prefix> = []) {
    for (const prefix of prefixes) this.add(prefix)
  }

  has(block: PrefixBlock, index: number): boolean {
    const pids = this.#pids[block.family]
    return pids.size > 0 && pids.has(PREFIXES[block.family].find(block, index))
  }

  add(prefix: Prefix): void {
    for (const block of blocksOf([prefix])) {
      const pid = PREFIXES[block.family].insert(block, 0)
      if (this.#pids[block.family].has(pid)) continue
      PREFIXES[block.family].hold(pid)
      this.#pids[block.family].add(pid)
    }
  }

  delete(prefix: Prefix): void {
    for (const block of blocksOf([prefix])) {
      const pid = PREFIXES[block.family].find(block, 0)
      if (this.#pids[block.family].delete(pid)) PREFIXES[block.family].release(pid)
    }
  }

  clear(): void {
    for (const family of [4, 6] as const) {
      for (const pid of this.#pids[family]) PREFIXES[family].release(pid)
      this.#pids[family].clear()
    }
  }
}
