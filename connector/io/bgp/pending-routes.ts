/** Which learned prefixes wait for what: marks on numbers, and a queue for each mark that is worked off. */
import type { Family } from '../../../protocol/net.ts'
import type { PrefixBlock } from '../../../protocol/prefix-block.ts'
import { PidQueue } from '../../core/bgp/rib/pid-queue.ts'
import { grown } from '../../core/bgp/rib/prefix-table.ts'
import { PREFIXES, type PrefixIndex } from '../prefix-numbers.ts'

/** `raising` and `leaving`: just taken for the engines and for the kernel, as far as nothing newer has come. */
export const MARK = { engines: 1, kernel: 2, gone: 4, forgotten: 8, raising: 16, leaving: 32 } as const
export type Mark = (typeof MARK)[keyof typeof MARK]
/** Those with a queue; a pid stands in it once at most, and this many bits above its mark says so. */
const QUEUED = [MARK.engines, MARK.kernel, MARK.gone, MARK.forgotten] as const
const IN_QUEUE = 8
const ALL_MARKS = 63
type QueuedMark = (typeof QUEUED)[number]

const NOWHERE: readonly string[] = []

export interface Taken {
  readonly prefixes: PrefixBlock
  /** As last given with `wait`. */
  readonly tunnels: readonly (readonly string[])[]
}

interface Waiting {
  readonly prefixes: PrefixIndex
  /** By pid; zero: it waits for nothing. */
  flags: Uint16Array
  /** By pid, in `#tunnels`. */
  tunnels: Uint32Array
  readonly queues: Readonly<Record<QueuedMark, PidQueue>>
}

export class PendingRoutes {
  readonly #of: Readonly<Record<Family, Waiting>>
  readonly #counts: Record<Mark, number> = { 1: 0, 2: 0, 4: 0, 8: 0, 16: 0, 32: 0 }
  /** Prefixes that wait for anything. */
  #held = 0
  /** Sets of tunnels that prefixes wait with; where nothing waits, all are forgotten. */
  #tunnels: (readonly string[])[] = [NOWHERE]
  #numbers = new Map<string, number>()
  #lastTunnels = NOWHERE
  #lastNumber = 0

  constructor() {
    const waiting = (family: Family): Waiting => {
      const queues = { 1: new PidQueue(), 2: new PidQueue(), 4: new PidQueue(), 8: new PidQueue() }
      return { prefixes: PREFIXES[family], flags: new Uint16Array(1), tunnels: new Uint32Array(1), queues }
    }
    this.#of = { 4: waiting(4), 6: waiting(6) }
  }

  count(mark: Mark): number {
    return this.#counts[mark]
  }

  /** Puts the mark on prefix `index` of the block. */
  wait(mark: QueuedMark, block: PrefixBlock, index: number, tunnels?: readonly string[]): void {
    const waiting = this.#of[block.family]
    const pid = waiting.prefixes.insert(block, index)
    if (pid >= waiting.flags.length) {
      waiting.flags = grown(waiting.flags, waiting.prefixes.table.capacity)
      waiting.tunnels = grown(waiting.tunnels, waiting.prefixes.table.capacity)
    }
    if (tunnels !== undefined) waiting.tunnels[pid] = this.#numberOf(tunnels)
    this.#mark(waiting, pid, mark)
  }

  #numberOf(tunnels: readonly string[]): number {
    if (tunnels === this.#lastTunnels) return this.#lastNumber
    const key = JSON.stringify(tunnels)
    let number = this.#numbers.get(key)
    if (number === undefined) {
      number = this.#tunnels.push(tunnels) - 1
      this.#numbers.set(key, number)
    }
    this.#lastTunnels = tunnels
    this.#lastNumber = number
    return number
  }

  #forgetTunnels(): void {
    this.#tunnels = [NOWHERE]
    this.#numbers = new Map()
    this.#lastTunnels = NOWHERE
    this.#lastNumber = 0
  }

  /** Takes these marks (a sum of them) from prefix `index` of the block. */
  forget(marks: number, block: PrefixBlock, index: number): void {
    const waiting = this.#of[block.family]
    const pid = waiting.prefixes.find(block, index)
    if (pid >= 0 && (waiting.flags[pid] ?? 0) !== 0) this.#unmark(waiting, pid, marks)
  }

  /** The first `most` of each family that have the mark, which gives way to `now`. */
  take(mark: QueuedMark, now: Mark | 0, most: number): Taken[] {
    return [this.#of[4], this.#of[6]].flatMap((waiting) => {
      const pids: number[] = []
      const queue = waiting.queues[mark]
      while (queue.size > 0 && pids.length < most) {
        const pid = queue.shift()
        const flags = waiting.flags[pid]!
        if ((flags & mark) === 0) this.#unmark(waiting, pid, mark << IN_QUEUE)
        else {
          waiting.flags[pid] = flags & ~(mark << IN_QUEUE)
          pids.push(pid)
        }
      }
      if (pids.length === 0) return []
      const tunnels = pids.map((pid) => this.#tunnels[waiting.tunnels[pid]!]!)
      const taken = { prefixes: waiting.prefixes.table.block(pids), tunnels }
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
      const pid = waiting.prefixes.find(prefixes, index)
      if (pid < 0 || ((waiting.flags[pid] ?? 0) & mark) === 0) continue
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
    if (flags === 0) {
      waiting.prefixes.hold(pid)
      this.#held++
    }
    this.#counts[mark]++
    let after = flags | mark
    if (isQueued(mark) && (flags & (mark << IN_QUEUE)) === 0) {
      waiting.queues[mark].push(pid)
      after |= mark << IN_QUEUE
    }
    waiting.flags[pid] = after
  }

  /** Bits of the queues among `marks`, too. */
  #unmark({ prefixes, flags, tunnels }: Waiting, pid: number, marks: number): void {
    const gone = flags[pid]! & marks
    for (let left = gone & ALL_MARKS; left !== 0; left &= left - 1) this.#counts[(left & -left) as Mark]--
    flags[pid] = flags[pid]! & ~gone
    if (flags[pid] !== 0) return
    tunnels[pid] = 0
    prefixes.release(pid)
    if (--this.#held === 0) this.#forgetTunnels()
  }
}

function isQueued(mark: Mark): mark is QueuedMark {
  return mark <= MARK.forgotten
}
