/**
 * Which site has which addresses. The prefixes of a network never overlap, so sorted by their first address they are
 * sorted by their last one too, and a binary search finds what a prefix runs into.
 */
import { type Address, addressBytes, familyOf, type Prefix } from '../../protocol/net.ts'

export interface PlacedPrefix {
  readonly prefix: string
  /** The site's id. */
  readonly site: string
}

/** Addresses as text that sorts as the addresses do: the family, then hex. */
interface Range {
  readonly first: string
  readonly last: string
}

interface Entry extends Range {
  readonly item: PlacedPrefix
}

export class PrefixIndex {
  readonly #entries: Entry[]

  /** `placed` must not overlap: see `overlaps`. */
  constructor(placed: Iterable<PlacedPrefix> = []) {
    this.#entries = sorted(placed)
  }

  get size(): number {
    return this.#entries.length
  }

  /** The first that shares an address with `prefix`, not looking at those of the site `except`. */
  overlapping(prefix: string, except?: string): PlacedPrefix | undefined {
    const { first, last } = rangeOf(prefix)
    for (let at = this.#from(first); at < this.#entries.length; at++) {
      const entry = this.#entries[at]!
      if (entry.first > last) return undefined
      if (entry.item.site !== except) return entry.item
    }
    return undefined
  }

  add(placed: PlacedPrefix): void {
    const entry = { item: placed, ...rangeOf(placed.prefix) }
    this.#entries.splice(this.#from(entry.first), 0, entry)
  }

  remove(prefix: string): void {
    const { first, last } = rangeOf(prefix)
    const at = this.#from(first)
    const found = this.#entries[at]
    if (found?.first === first && found.last === last) this.#entries.splice(at, 1)
  }

  /** Index of the first entry that ends at or behind `address`. */
  #from(address: string): number {
    let low = 0
    let high = this.#entries.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#entries[middle]!.last < address) low = middle + 1
      else high = middle
    }
    return low
  }
}

export interface Overlap<T extends PlacedPrefix> {
  /** The one to complain of: it comes later in what was given. */
  readonly later: T
  readonly earlier: T
}

/** For each prefix that runs into one given before it, one such pair; in the order of what was given. */
export function overlaps<T extends PlacedPrefix>(placed: readonly T[]): Overlap<T>[] {
  const order = new Map(placed.map((item, index) => [item, index]))
  const at = (item: T) => order.get(item)!
  const found = new Map<T, T>()
  // Prefixes nest or are apart: `open` is what the next one lies within, each with the earliest given of those up to it.
  // All of these but the earliest have been complained of, so that one alone is left to compare with.
  const open: { readonly last: string; readonly earliest: T }[] = []
  for (const { item, first, last } of sorted(placed)) {
    while (open.length > 0 && open.at(-1)!.last < first) open.pop()
    const within = open.at(-1)?.earliest
    if (within === undefined) {
      open.push({ last, earliest: item })
      continue
    }
    const [earlier, later] = at(within) < at(item) ? [within, item] : [item, within]
    if (!found.has(later)) found.set(later, earlier)
    open.push({ last, earliest: earlier })
  }
  return [...found]
    .map(([later, earlier]) => ({ later, earlier }))
    .sort((left, right) => at(left.later) - at(right.later))
}

function sorted<T extends PlacedPrefix>(placed: Iterable<T>): (Range & { readonly item: T })[] {
  return Array.from(placed, (item) => ({ item, ...rangeOf(item.prefix) })).sort((left, right) =>
    // The larger of two that begin alike comes first, so that it is open when the smaller one comes.
    left.first === right.first ? compare(right.last, left.last) : compare(left.first, right.first),
  )
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0
}

/** `prefix` in canonical form. */
function rangeOf(prefix: string): Range {
  const slash = prefix.indexOf('/')
  const bits = Number(prefix.slice(slash + 1))
  const bytes = addressBytes(prefix.slice(0, slash) as Address)
  const family = familyOf(prefix as Prefix)
  let first = `${family}`
  let last = first
  bytes.forEach((byte, at) => {
    const free = Math.min(8, Math.max(0, (at + 1) * 8 - bits))
    first += HEX[byte]
    last += HEX[byte | ((1 << free) - 1)]
  })
  return { first, last }
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))
