/**
 * The ways that packets take, as numbers that compare: equal numbers are equal sets of ways. A way is the sites between
 * the first one and the owner.
 */
import type { Outcome } from './simulate.ts'

/** No way. */
export const NO_WAY = -1
/** Straight to the owner. */
export const DIRECT_WAY = 0
/** Ways of one set that are looked at. */
const MOST_WAYS = 16
const LOOP = 'loop'
const UNKNOWN = -2
const OPEN = -3

/** Sets of ways of all outcomes that are compared with each other. Sites are indexes that these share. */
export class WayTable {
  readonly #ids = new Map<string, number>([['', DIRECT_WAY]])
  readonly #keys: string[] = ['']
  readonly #reversed = new Map<number, number>([[DIRECT_WAY, DIRECT_WAY]])
  readonly #shared = new Map<number, Map<number, boolean>>()
  readonly #prefixed = new Map<number, Map<number, number>>()

  intern(ways: readonly string[]): number {
    const key = [...new Set(ways)].sort().slice(0, MOST_WAYS).join('|')
    const known = this.#ids.get(key)
    if (known !== undefined) return known
    const id = this.#keys.length
    this.#ids.set(key, id)
    this.#keys.push(key)
    return id
  }

  /** All of the set by way of `site`. */
  by(site: number, id: number): number {
    let of = this.#prefixed.get(site)
    if (of === undefined) {
      of = new Map()
      this.#prefixed.set(site, of)
    }
    let made = of.get(id)
    if (made === undefined) {
      made = this.intern(this.#texts(id).map((way) => (way === '' ? `${site}` : `${site}>${way}`)))
      of.set(id, made)
    }
    return made
  }

  union(ids: readonly number[]): number {
    return this.intern(ids.flatMap((id) => this.#texts(id)))
  }

  reversed(id: number): number {
    let made = this.#reversed.get(id)
    if (made === undefined) {
      made = this.intern(this.#texts(id).map((way) => way.split('>').reverse().join('>')))
      this.#reversed.set(id, made)
    }
    return made
  }

  /** Whether some way of one is in the other. */
  shares(one: number, other: number): boolean {
    if (one === other) return true
    const known = this.#shared.get(one) ?? new Map<number, boolean>()
    this.#shared.set(one, known)
    let found = known.get(other)
    if (found === undefined) {
      const texts = new Set(this.#texts(one))
      found = this.#texts(other).some((way) => texts.has(way))
      known.set(other, found)
    }
    return found
  }

  /** Indexes of sites. */
  ways(id: number): number[][] {
    return this.#texts(id).map((way) => (way === '' ? [] : way.split('>').map(Number)))
  }

  isLoop(id: number): boolean {
    return id > 0 && this.#keys[id]!.includes(LOOP)
  }

  get loop(): number {
    return this.intern([LOOP])
  }

  #texts(id: number): string[] {
    return this.#keys[id]!.split('|')
  }
}

/** By node and class: `node * classes + class`. What is a site's own is in it as for the others of its node. */
export function waysOf(outcome: Outcome, table: WayTable): Int32Array {
  const { all } = outcome.fabric.classes
  const ways = new Int32Array(outcome.nodes * all.length).fill(UNKNOWN)
  const straight = (next: readonly number[], owner: number) => next.length === 1 && next[0] === owner
  const of = (node: number, classId: number): number => {
    const at = node * all.length + classId
    if (ways[at] === OPEN) return table.loop
    if (ways[at] !== UNKNOWN) return ways[at]!
    const next = outcome.nextOfNode(node, classId)
    const { owner } = all[classId]!
    if (next.length === 0) ways[at] = NO_WAY
    else if (straight(next, owner)) ways[at] = DIRECT_WAY
    else {
      ways[at] = OPEN
      const [first, ...others] = next.map((hop) => (hop === owner ? DIRECT_WAY : through(hop, classId)))
      ways[at] = others.length === 0 ? first! : table.union([first!, ...others])
    }
    return ways[at]!
  }
  const through = (hop: number, classId: number): number => {
    const rest = of(outcome.nodeOf[hop]!, classId)
    return rest === NO_WAY ? table.loop : table.by(hop, rest)
  }
  for (let node = 0; node < outcome.nodes; node++) for (let id = 0; id < all.length; id++) of(node, id)
  return ways
}
