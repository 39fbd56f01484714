/** Phase 3 (RFC 4271 section 9.1.3): what a neighbour is told, when its session has room, in batches of equal attributes. */
import type { Family } from '../../../../protocol/net.ts'
import type { AdjOut, Walk } from './adj-out.ts'
import type { RibContext } from './context.ts'
import { Exporter } from './exporter.ts'
import type { FamilyRib } from './family.ts'
import type { Neighbour } from './neighbour.ts'
import { NO_PATH } from './paths.ts'
import type { Policies } from './policy.ts'

/** How many prefixes without news a walk passes for the price of one with. */
const CHEAP = 16

/** What one drain gathers of one family. */
interface Batch {
  readonly withdrawn: number[]
  /** By path. */
  readonly announced: Map<number, number[]>
  /** Pins to be given back when the prefixes have been read. */
  readonly unpinned: number[]
}

export class Advertiser {
  readonly exporter: Exporter
  readonly #context: RibContext
  /** Adj-RIBs-Out of sessions that are over. */
  readonly #discarded: { readonly rib: FamilyRib; readonly out: AdjOut }[] = []

  constructor(context: RibContext) {
    this.#context = context
    this.exporter = new Exporter(context.config, context.paths, context.neighbours)
  }

  setPolicies(policies: Policies): void {
    this.exporter.policies = policies
  }

  /** Puts an Adj-RIB-Out away, to be cleaned up by `clean`. */
  discard(family: Family, out: AdjOut): void {
    this.#discarded.push({ rib: this.#context.ribs[family], out })
  }

  get hasDiscarded(): boolean {
    return this.#discarded.length > 0
  }

  /** Cleans up a few thousand prefixes of what was put away. */
  clean(): void {
    const next = this.#discarded[0]
    if (next === undefined) return
    const more = next.out.discard((pid, path, wasQueued) => {
      this.#context.paths.release(path)
      if (path !== NO_PATH) next.rib.unpin(pid)
      if (wasQueued) next.rib.unpin(pid)
    })
    if (!more) this.#discarded.shift()
  }

  /** Emits what is new to the neighbour, at most `limit` prefixes. */
  drain(neighbour: Neighbour, limit: number): void {
    let left = limit
    for (const family of neighbour.families) {
      if (neighbour.sends(family)) left = this.#drainFamily(neighbour, this.#context.ribs[family], left)
    }
    this.exporter.finish()
  }

  #drainFamily(neighbour: Neighbour, rib: FamilyRib, limit: number): number {
    const { out } = neighbour.of[rib.family]
    const batch: Batch = { withdrawn: [], announced: new Map(), unpinned: [] }
    let left = limit
    for (let pid = left >= 1 ? out.dequeue() : -1; pid >= 0; pid = left >= 1 ? out.dequeue() : -1) {
      batch.unpinned.push(pid)
      left -= this.#tell(neighbour, rib, out, pid, false, batch)
    }
    let over: Walk | undefined
    if (out.walk !== undefined && left >= 1) {
      this.#begin(neighbour, rib, out.walk)
      left = this.#walk(neighbour, rib, out, out.walk, left, batch)
      if (out.walk.cursor >= rib.table.end) over = out.walk
    }
    this.#flush(neighbour, rib, batch)
    if (over !== undefined) this.#end(neighbour, rib, out, over)
    return left
  }

  #walk(neighbour: Neighbour, rib: FamilyRib, out: AdjOut, walk: Walk, limit: number, batch: Batch): number {
    let left = limit
    while (walk.cursor < rib.table.end && left >= 1) {
      const pid = walk.cursor++
      const isTold = rib.table.has(pid) && this.#tell(neighbour, rib, out, pid, walk.force, batch) === 1
      left -= isTold ? 1 : 1 / CHEAP
    }
    return left
  }

  /** Returns 1 where there is news of the prefix, else 0. */
  #tell(neighbour: Neighbour, rib: FamilyRib, out: AdjOut, pid: number, force: boolean, batch: Batch): 0 | 1 {
    const { paths } = this.#context
    const result = this.exporter.run(neighbour, rib, pid)
    const path = typeof result === 'number' ? result : NO_PATH
    const before = out.sent(pid)
    if (path === before && (path === NO_PATH || !force)) return 0
    if (path === NO_PATH) {
      batch.withdrawn.push(pid)
      batch.unpinned.push(pid)
    } else {
      if (before === NO_PATH) rib.pin(pid)
      const group = batch.announced.get(path)
      if (group === undefined) batch.announced.set(path, [pid])
      else group.push(pid)
    }
    paths.retain(path)
    paths.release(before)
    out.setSent(pid, path)
    return 1
  }

  #flush({ config }: Neighbour, rib: FamilyRib, { withdrawn, announced, unpinned }: Batch): void {
    const { paths, emit } = this.#context
    const neighbour = config.id
    if (withdrawn.length > 0) emit({ kind: 'withdraw', neighbour, prefixes: rib.table.block(withdrawn) })
    for (const [path, pids] of announced) {
      const [attributes, nextHop] = [paths.attributes(path), paths.nextHop(path)]
      emit({ kind: 'advertise', neighbour, attributes, nextHop, prefixes: rib.table.block(pids) })
    }
    for (const pid of unpinned) rib.unpin(pid)
  }

  #begin({ config, enhancedRefresh }: Neighbour, { family }: FamilyRib, walk: Walk): void {
    if (walk.ends !== 'refresh' || !enhancedRefresh || walk.cursor > 0) return
    this.#context.emit({ kind: 'refresh-begins', neighbour: config.id, family })
  }

  #end({ config, enhancedRefresh }: Neighbour, { family }: FamilyRib, out: AdjOut, walk: Walk): void {
    out.endWalk()
    if (walk.ends === 'end-of-rib') this.#context.emit({ kind: 'end-of-rib', neighbour: config.id, family })
    if (walk.ends === 'refresh' && enhancedRefresh) {
      this.#context.emit({ kind: 'refresh-ends', neighbour: config.id, family })
    }
  }
}
