/**
 * Which learned prefixes wait for what: marks on numbers, and a queue for each mark that is worked off. A full table waits
 * in some 30 MB, which are used again.
 */
import { randomBytes } from 'node:crypto'
import type { Family } from '../../../protocol/net.ts'
import type { PrefixBlock } from '../../../protocol/prefix-block.ts'
import { PidQueue } from '../../core/bgp/rib/pid-queue.ts'
import { grown, PrefixTable } from '../../core/bgp/rib/prefix-table.ts'

/** `raising` and `leaving`: just taken for the engines and for the kernel, as far as nothing newer has come. */
export const MARK = { engines: 1, kernel: 2, gone: 4, forgotten: 8, raising: 16, leaving: 32 } as const
export type Mark = (typeof MARK)[keyof typeof MARK]
/** Those with a queue; a pid stands in it once at most, and this many bits above its mark says so. */
const QUEUED = [MARK.engines, MARK.kernel, MARK.gone, MARK.forgotten] as const
const IN_QUEUE = 8
type QueuedMark = (typeof QUEUED)[number]

const NOWHERE: readonly string[] = []

export interface Taken {
  readonly prefixes: PrefixBlock
  /** As last given with `wait`. */
  readonly tunnels: readonly (readonly string[])[]
}

interface Waiting {
  readonly table: PrefixTable
  /** By pid; zero: the prefix is not in the table. */
  flags: Uint16Array
  readonly tunnels: (readonly string[])[]
  readonly queues: Readonly<Record<QueuedMark, PidQueue>>
}

export class PendingRoutes {
  readonly #of: Readonly<Record<Family, Waiting>>
  readonly #counts: Record<Mark, number> = { 1: 0, 2: 0, 4: 0, 8: 0, 16: 0, 32: 0 }

  constructor() {
    const seed = randomBytes(4).readUInt32LE()
    const waiting = (family: Family): Waiting => {
      const table = new PrefixTable(family, seed)
      const queues = { 1: new PidQueue(), 2: new PidQueue(), 4: new PidQueue(), 8: new PidQueue() }
      return { table, flags: new Uint16Array(table.capacity), tunnels: [], queues }
    }
    this.#of = { 4: waiting(4), 6: waiting(6) }
  }

  count(mark: Mark): number {
    return this.#counts[mark]
  }

  /** Puts the mark on prefix `index` of the block. */
  wait(mark: QueuedMark, block: PrefixBlock, index: number, tunnels?: readonly string[]): void {
    const waiting = this.#of[block.family]
    const pid = waiting.table.insert(block, index)
    if (pid >= waiting.flags.length) waiting.flags = grown(waiting.flags, waiting.table.capacity)
    if (tunnels !== undefined) waiting.tunnels[pid] = tunnels
    this.#mark(waiting, pid, mark)
  }

  /** Takes these marks (a sum of them) from prefix `index` of the block. */
  forget(marks: number, block: PrefixBlock, index: number): void {
    const waiting = this.#of[block.family]
    const pid = waiting.table.size === 0 ? -1 : waiting.table.find(block, index)
    if (pid >= 0) this.#unmark(waiting, pid, marks)
  }

  /** The first `most` of each family that have the mark, which gives way to `now`. */
  take(mark: QueuedMark, now: Mark | 0, most: number): Taken[] {
    return [this.#of[4], this.#of[6]].flatMap((waiting) => {
      const pids: number[] = []
      const queue = waiting.queues[mark]
      while (queue.size > 0 && pids.length < most) {
        const pid = queue.shift()
        const flags = waiting.flags[pid]!
        waiting.flags[pid] = flags & ~(mark << IN_QUEUE)
        if ((flags & mark) !== 0) pids.push(pid)
        else this.#unmark(waiting, pid, 0)
      }
      if (pids.length === 0) return []
      const taken = { prefixes: waiting.table.block(pids), tunnels: pids.map((pid) => waiting.tunnels[pid] ?? NOWHERE) }
      for (const pid of pids) {
        if (now !== 0) this.#mark(waiting, pid, now)
        this.#unmark(waiting, pid, mark)
      }
      return [taken]
    })
  }

  /** Of these prefixes, those that have `mark` lose it and get `next`. */
  pass(mark: Mark, next: QueuedMark | 0, { prefixes }: Taken): void {
    const waiting = this.#of[prefixes.family]
    for (let index = 0; index < prefixes.lengths.length; index++) {
      const pid = waiting.table.find(prefixes, index)
      if (pid < 0 || (waiting.flags[pid]! & mark) === 0) continue
      if (next !== 0) this.#mark(waiting, pid, next)
      this.#unmark(waiting, pid, mark)
    }
  }

  /** Nothing waits any more. */
  clear(): void {
    for (const mark of QUEUED) while (this.#counts[mark] > 0) this.take(mark, 0, Number.POSITIVE_INFINITY)
  }

  #mark(waiting: Waiting, pid: number, mark: Mark): void {
    const flags = waiting.flags[pid]!
    if ((flags & mark) !== 0) return
    this.#counts[mark]++
    let after = flags | mark
    if (isQueued(mark) && (flags & (mark << IN_QUEUE)) === 0) {
      waiting.queues[mark].push(pid)
      after |= mark << IN_QUEUE
    }
    waiting.flags[pid] = after
  }

  #unmark({ table, flags, tunnels }: Waiting, pid: number, marks: number): void {
    const gone = flags[pid]! & marks
    for (let left = gone; left !== 0; left &= left - 1) this.#counts[(left & -left) as Mark]--
    flags[pid] = flags[pid]! & ~gone
    if (flags[pid] !== 0) return
    tunnels[pid] = NOWHERE
    table.remove(pid)
  }
}

function isQueued(mark: Mark): mark is QueuedMark {
  return mark <= MARK.forgotten
}
