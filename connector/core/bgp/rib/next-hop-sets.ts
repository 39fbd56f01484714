/** The sets of next hops that prefixes are forwarded to, each kept once: a table of a million has a handful. */
import type { NextHop } from '../wire/types.ts'
import type { NextHops } from './next-hops.ts'

export interface RouteHop extends NextHop {
  /** Who announced it: with link-local next hops the way there. `local` is what we originate ourselves. */
  readonly neighbour: string
}

/** Equal sets are the same object while in use. The best route's hop comes first; empty: there is no route. */
export type NextHopSet = readonly RouteHop[]

/** The set that stands for no route. */
export const NO_SET = 0
const EMPTY: NextHopSet = []

export class NextHopSets {
  readonly #hops: NextHops
  readonly #ids = new Map<string | number, number>()
  readonly #keys: (string | number)[] = ['']
  readonly #sets: NextHopSet[] = [EMPTY]
  /** Each holds its hops in use: their numbers are in its key. */
  readonly #hopsOf: (readonly number[])[] = [[]]
  readonly #uses: number[] = [0]
  readonly #free: number[] = []

  constructor(hops: NextHops) {
    this.#hops = hops
  }

  /**
   * Takes one use. `hops` and `neighbours` are numbers of the first `count` routes in order; `nameOf` gives the name
   * of a neighbour.
   */
  intern(hops: readonly number[], neighbours: readonly number[], count: number, nameOf: (neighbour: number) => string) {
    const key = keyOf(hops, neighbours, count)
    const known = this.#ids.get(key)
    if (known !== undefined) {
      this.#uses[known]!++
      return known
    }
    const id = this.#free.pop() ?? this.#sets.length
    const held = hops.slice(0, count)
    for (const hop of held) this.#hops.retain(hop)
    this.#ids.set(key, id)
    this.#keys[id] = key
    this.#hopsOf[id] = held
    this.#sets[id] = held.map((hop, i) => ({ ...this.#hops.get(hop), neighbour: nameOf(neighbours[i]!) }))
    this.#uses[id] = 1
    return id
  }

  release(id: number): void {
    if (id === NO_SET || --this.#uses[id]! > 0) return
    for (const hop of this.#hopsOf[id]!) this.#hops.release(hop)
    this.#ids.delete(this.#keys[id]!)
    this.#sets[id] = EMPTY
    this.#hopsOf[id] = []
    this.#free.push(id)
  }

  /** Whether one of the hops is in it. */
  hasAny(id: number, hops: ReadonlySet<number>): boolean {
    return this.#hopsOf[id]!.some((hop) => hops.has(hop))
  }

  get(id: number): NextHopSet {
    return this.#sets[id]!
  }
}

function keyOf(hops: readonly number[], neighbours: readonly number[], count: number): string | number {
  if (count === 1) return hops[0]! * 0x10000 + neighbours[0]!
  let key = ''
  for (let i = 0; i < count; i++) key += `${hops[i]}/${neighbours[i]} `
  return key
}
