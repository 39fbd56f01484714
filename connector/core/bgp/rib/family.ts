/** Everything the RIB has of one address family, by pid: routes, the Loc-RIB, and what has yet to be decided. */
import type { Family } from '../../../../protocol/net.ts'
import type { PrefixBlock } from '../wire/types.ts'
import { NO_SET } from './next-hop-sets.ts'
import { NO_PATH } from './paths.ts'
import { PidQueue } from './pid-queue.ts'
import { grown, PrefixTable } from './prefix-table.ts'
import { NO_ROUTE, Routes } from './routes.ts'

export class FamilyRib {
  readonly family: Family
  readonly table: PrefixTable
  readonly routes = new Routes()
  /** The Loc-RIB: the best path, who it is from, and the set of next hops. Both numbers are held in use. */
  bestPath = new Uint32Array(1_024)
  bestFrom = new Uint16Array(1_024)
  set = new Uint32Array(1_024)
  /** Prefixes with a route in use. */
  size = 0
  readonly #undecided = new PidQueue()
  #isUndecided = new Uint8Array(1_024)
  /** How many Adj-RIBs-Out and other places still speak of the pid. */
  #pins = new Uint16Array(1_024)

  constructor(family: Family, seed: number) {
    this.family = family
    this.table = new PrefixTable(family, seed)
  }

  /** Prefixes that wait for a decision. */
  get undecided(): number {
    return this.#undecided.size
  }

  insert(block: PrefixBlock, index: number): number {
    const pid = this.table.insert(block, index)
    if (pid >= this.set.length) this.#grow(this.table.capacity)
    this.routes.ensure(this.set.length)
    return pid
  }

  touch(pid: number): void {
    if (this.#isUndecided[pid] === 1) return
    this.#isUndecided[pid] = 1
    this.#undecided.push(pid)
  }

  /** There must be one. */
  nextUndecided(): number {
    const pid = this.#undecided.shift()
    this.#isUndecided[pid] = 0
    return pid
  }

  pin(pid: number): void {
    this.#pins[pid]!++
  }

  unpin(pid: number): void {
    this.#pins[pid]!--
    this.free(pid)
  }

  /** Gives the pid back if nothing speaks of it any more. */
  free(pid: number): void {
    if (this.routes.head[pid] !== NO_ROUTE || this.#pins[pid] !== 0 || this.#isUndecided[pid] === 1) return
    if (this.set[pid] !== NO_SET || this.bestPath[pid] !== NO_PATH) return
    this.table.remove(pid)
  }

  #grow(length: number): void {
    this.bestPath = grown(this.bestPath, length)
    this.bestFrom = grown(this.bestFrom, length)
    this.set = grown(this.set, length)
    this.#isUndecided = grown(this.#isUndecided, length)
    this.#pins = grown(this.#pins, length)
  }
}
