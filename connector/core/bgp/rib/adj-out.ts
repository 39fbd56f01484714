/** What one neighbour was sent of one family (its Adj-RIB-Out), and what it has yet to be told. */
import { NO_PATH } from './paths.ts'
import { PidQueue } from './pid-queue.ts'

const CHUNK = 4_096
/** Beside the path, in one word: the pid is in the queue. */
const QUEUED = 0x80000000
const PATH_MASK = 0x7fffffff

/** A pass over the whole table: at the start of a session, after a change of policy, at the neighbour's request. */
export interface Walk {
  /** The next pid. */
  cursor: number
  /** Sends also what was sent before (route refresh, RFC 2918). */
  readonly force: boolean
  /** What is said when it is over. */
  readonly ends: 'nothing' | 'end-of-rib' | 'refresh'
}

export class AdjOut {
  /** Prefixes that the neighbour has from us. */
  size = 0
  walk: Walk | undefined
  /** Walks to be done after that one. */
  next: Walk | undefined
  readonly #queue = new PidQueue()
  readonly #chunks: (Uint32Array | undefined)[] = []

  get isIdle(): boolean {
    return this.#queue.size === 0 && this.walk === undefined
  }

  /** In `Paths`; `NO_PATH`: the neighbour does not have the prefix from us. */
  sent(pid: number): number {
    return (this.#chunks[pid >>> 12]?.[pid & (CHUNK - 1)] ?? 0) & PATH_MASK
  }

  setSent(pid: number, path: number): void {
    const chunk = this.#chunk(pid)
    const before = chunk[pid & (CHUNK - 1)]!
    this.size += (path === NO_PATH ? 0 : 1) - ((before & PATH_MASK) === NO_PATH ? 0 : 1)
    chunk[pid & (CHUNK - 1)] = ((before & QUEUED) | path) >>> 0
  }

  /** False where it is in the queue already. */
  enqueue(pid: number): boolean {
    const chunk = this.#chunk(pid)
    const before = chunk[pid & (CHUNK - 1)]!
    if ((before & QUEUED) !== 0) return false
    chunk[pid & (CHUNK - 1)] = (before | QUEUED) >>> 0
    this.#queue.push(pid)
    return true
  }

  /** The next pid of the queue, or -1. */
  dequeue(): number {
    if (this.#queue.size === 0) return -1
    const pid = this.#queue.shift()
    const chunk = this.#chunk(pid)
    chunk[pid & (CHUNK - 1)] = chunk[pid & (CHUNK - 1)]! & PATH_MASK
    return pid
  }

  startWalk(walk: Walk): void {
    if (this.walk === undefined) this.walk = walk
    // One that is waiting is done by the later one, if it does as much.
    else if (this.next === undefined || walk.force || walk.ends !== 'nothing') this.next = walk
  }

  endWalk(): void {
    this.walk = this.next
    this.next = undefined
  }

  /**
   * Forgets a part of it, of an Adj-RIB-Out whose session is over; `drop` gets each pid with what was sent, and whether
   * it was in the queue. False when there is no more.
   */
  discard(drop: (pid: number, path: number, wasQueued: boolean) => void): boolean {
    const index = this.#chunks.length - 1
    const chunk = this.#chunks.pop()
    for (let i = 0; i < CHUNK && chunk !== undefined; i++) {
      const word = chunk[i]!
      if (word !== 0) drop(index * CHUNK + i, word & PATH_MASK, (word & QUEUED) !== 0)
    }
    return this.#chunks.length > 0
  }

  #chunk(pid: number): Uint32Array {
    const index = pid >>> 12
    const known = this.#chunks[index]
    if (known !== undefined) return known
    while (this.#chunks.length <= index) this.#chunks.push(undefined)
    const chunk = new Uint32Array(CHUNK)
    this.#chunks[index] = chunk
    return chunk
  }
}
