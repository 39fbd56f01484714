/** The distinct next hops of all paths, and what it costs to reach each. */
import type { Address } from '../../../../protocol/net.ts'
import type { NextHop } from '../wire/types.ts'

/**
 * Answers whether and how far away a next hop is (RFC 4271 section 9.1.2.1): the interior cost, 0 to 4294967294, or
 * undefined where it cannot be reached. It must answer from connected, static and interior routes, never from what
 * this RIB gave out: so no route can lead to itself.
 */
export type ResolveNextHop = (address: Address) => number | undefined

export const UNREACHABLE = 0xffffffff

export class NextHops {
  readonly #resolve: ResolveNextHop
  readonly #ids = new Map<string, number>()
  readonly #values: (NextHop | undefined)[] = []
  readonly #uses: number[] = []
  readonly #costs: number[] = []
  readonly #free: number[] = []

  constructor(resolve: ResolveNextHop) {
    this.#resolve = resolve
  }

  /** Takes one use of it. */
  intern(hop: NextHop): number {
    const key = keyOf(hop)
    const known = this.#ids.get(key)
    if (known !== undefined) {
      this.#uses[known]!++
      return known
    }
    const id = this.#free.pop() ?? this.#values.length
    this.#ids.set(key, id)
    this.#values[id] = hop
    this.#uses[id] = 1
    this.#costs[id] = this.#costOf(hop)
    return id
  }

  retain(id: number): void {
    this.#uses[id]!++
  }

  release(id: number): void {
    if (--this.#uses[id]! > 0) return
    this.#ids.delete(keyOf(this.#values[id]!))
    this.#values[id] = undefined
    this.#free.push(id)
  }

  get(id: number): NextHop {
    return this.#values[id]!
  }

  /** `UNREACHABLE` where there is no way to it. */
  cost(id: number): number {
    return this.#costs[id]!
  }

  /** Asks anew for all; returns those whose answer is another one, and those that `moved` names. */
  refresh(moved: (address: Address) => boolean = () => false): {
    changed: ReadonlySet<number>
    moved: ReadonlySet<number>
  } {
    const changed = new Set<number>()
    const elsewhere = new Set<number>()
    for (const [id, hop] of this.#values.entries()) {
      if (hop === undefined) continue
      const cost = this.#costOf(hop)
      if (cost !== this.#costs[id]) changed.add(id)
      this.#costs[id] = cost
      if (moved(hop.address)) elsewhere.add(id)
    }
    return { changed, moved: elsewhere }
  }

  #costOf(hop: NextHop): number {
    const cost = this.#resolve(hop.address)
    return cost === undefined ? UNREACHABLE : Math.min(Math.max(0, cost), UNREACHABLE - 1)
  }
}

function keyOf({ address, linkLocal }: NextHop): string {
  return linkLocal === undefined ? address : `${address} ${linkLocal}`
}
