/** A number for each prefix, 1 to 2^32 - 1: of a million prefixes in some 20 MB, without an object or text for each. */
import { randomBytes } from 'node:crypto'
import type { Family, Prefix } from '../../protocol/net.ts'
import { blocksOf, type PrefixBlock } from '../../protocol/prefix-block.ts'
import { grown, PrefixTable } from '../core/bgp/rib/prefix-table.ts'

interface Numbered {
  readonly table: PrefixTable
  /** By pid. */
  values: Uint32Array
}

export class PrefixNumbers {
  readonly #of: Readonly<Record<Family, Numbered>>

  /** @param numbers what is there from the start */
  constructor(numbers: Iterable<readonly [Prefix, number]> = []) {
    // No neighbour may choose prefixes that collide.
    const seed = randomBytes(4).readUInt32LE()
    const made = (family: Family): Numbered => {
      const table = new PrefixTable(family, seed)
      return { table, values: new Uint32Array(table.capacity) }
    }
    this.#of = { 4: made(4), 6: made(6) }
    for (const [prefix, number] of numbers) for (const block of blocksOf([prefix])) this.set(block, 0, number)
  }

  get size(): number {
    return this.#of[4].table.size + this.#of[6].table.size
  }

  /** Of prefix `index` of the block; 0 where it has none. */
  get(block: PrefixBlock, index: number): number {
    const { table, values } = this.#of[block.family]
    if (table.size === 0) return 0
    const pid = table.find(block, index)
    return pid < 0 ? 0 : values[pid]!
  }

  /** Returns what it was before. */
  set(block: PrefixBlock, index: number, number: number): number {
    const numbered = this.#of[block.family]
    const pid = numbered.table.insert(block, index)
    if (pid >= numbered.values.length) numbered.values = grown(numbered.values, numbered.table.capacity)
    const before = numbered.values[pid]!
    numbered.values[pid] = number
    return before
  }

  /** Returns what it was before. */
  delete(block: PrefixBlock, index: number): number {
    const { table, values } = this.#of[block.family]
    const pid = table.find(block, index)
    if (pid < 0) return 0
    const before = values[pid]!
    values[pid] = 0
    table.remove(pid)
    return before
  }

  /** Each prefix, as an index of a block that is good until the next change. */
  *entries(): Generator<{ readonly block: PrefixBlock; readonly index: number; readonly number: number }> {
    for (const { table, values } of [this.#of[4], this.#of[6]]) {
      const block = table.all
      for (let index = 0; index < table.end; index++) {
        if (table.has(index)) yield { block, index, number: values[index]! }
      }
    }
  }
}
