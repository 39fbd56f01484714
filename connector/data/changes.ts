/**
 * Which Child SAs have carried, dropped or missed something since they were last told of. Goes round all of them, a bounded
 * number at a time: with ten thousand, reading all counters at once would hold the packet path up for milliseconds.
 */
import type { PacketEngine, SaCounters, SaHandle } from '../../wasm/packet-engine.ts'
import type { ChildCounters, DirectionCounters } from './commands.ts'

/** Child SAs that one step looks at: some 20 µs where nothing changed, 40 µs where all did. */
export const CHILDREN_PER_STEP = 32

export interface CountedChild {
  readonly id: number
  readonly inbound: SaHandle
  readonly outbound: SaHandle
}

interface Entry {
  readonly child: CountedChild
  /** Place in `#entries`. */
  at: number
  /** Of both directions, as last told. */
  packets: number
  drops: number
  missing: number
}

export class Changes {
  readonly #engine: Pick<PacketEngine, 'counters'>
  readonly #entries: Entry[] = []
  readonly #byId = new Map<number, Entry>()
  /** Entries from here on have had their turn in the round that is under way. */
  #left = 0

  constructor(engine: Pick<PacketEngine, 'counters'>) {
    this.#engine = engine
  }

  /** Whether `step` has something left to look at. */
  get underWay(): boolean {
    return this.#left > 0
  }

  add(child: CountedChild): void {
    const entry = { child, at: this.#entries.length, packets: 0, drops: 0, missing: 0 }
    this.#entries.push(entry)
    this.#byId.set(child.id, entry)
  }

  remove(id: number): void {
    const entry = this.#byId.get(id)
    if (entry === undefined) return
    this.#byId.delete(id)
    // The last one has had its turn first, so that moving it forward skips nobody.
    const last = this.#entries.pop()!
    if (last !== entry) {
      last.at = entry.at
      this.#entries[entry.at] = last
    }
    this.#left = Math.min(this.#left, this.#entries.length)
  }

  /** Starts a round over the Child SAs that there are now; one that is under way starts again. */
  begin(): void {
    this.#left = this.#entries.length
  }

  /** Looks at the next CHILDREN_PER_STEP; returns the counters of those that changed. */
  step(): ChildCounters[] {
    const changed: ChildCounters[] = []
    const end = Math.max(0, this.#left - CHILDREN_PER_STEP)
    while (this.#left > end) {
      const counters = this.#changeOf(this.#entries[--this.#left]!)
      if (counters !== undefined) changed.push(counters)
    }
    return changed
  }

  #changeOf(entry: Entry): ChildCounters | undefined {
    const counters = countersOf(this.#engine, entry.child)
    const { inbound, outbound } = counters
    const packets = inbound.packets + outbound.packets
    const drops = total(inbound.drops) + total(outbound.drops)
    const missing = inbound.missing ?? 0
    if (packets === entry.packets && drops === entry.drops && missing === entry.missing) return undefined
    entry.packets = packets
    entry.drops = drops
    entry.missing = missing
    return counters
  }
}

export function countersOf(engine: Pick<PacketEngine, 'counters'>, child: CountedChild): ChildCounters {
  return {
    id: child.id,
    inbound: direction(engine.counters(child.inbound)),
    outbound: direction(engine.counters(child.outbound)),
  }
}

function direction({ packets, bytes, drops, missing }: SaCounters): DirectionCounters {
  return { packets, bytes, drops, ...(missing !== undefined && { missing }) }
}

function total(counts: DirectionCounters['drops']): number {
  let sum = 0
  for (const name in counts) sum += counts[name as keyof typeof counts] ?? 0
  return sum
}
