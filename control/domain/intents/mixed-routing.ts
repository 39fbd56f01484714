/**
 * Routing of a site while others have another version of the intent: what those announce is taken and passed on as
 * their version says, besides what the site's own version says. Else a prefix would be gone from when its owner changes
 * it until the last of the others has followed.
 */
import type { DocumentRouting, RouteGroup, RouteRange } from '../../../protocol/control/routing.ts'

type Rules = readonly { readonly group: string }[]
type Origins = ReadonlyMap<number, ReadonlyMap<string, RouteRange>>

/** `other`: the site's routing in the other version. `isOfOther`: whether the site with that AS has that version. */
export function withOrigins(
  own: DocumentRouting,
  other: DocumentRouting | undefined,
  isOfOther: (as: number) => boolean,
): DocumentRouting {
  if (other === undefined) return own
  const mixer = new Mixer(own, other, isOfOther)
  const there = new Map(other.neighbours.map((neighbour) => [neighbour.tunnel, neighbour]))
  const neighbours = own.neighbours.map((neighbour) => {
    const known = there.get(neighbour.tunnel)
    if (known === undefined) return neighbour
    const [taken, told] = [mixer.more(neighbour.receive, known.receive), mixer.more(neighbour.send, known.send)]
    if (taken === undefined && told === undefined) return neighbour
    const { preference } = known.receive[0] ?? { preference: 100 }
    const { prepend } = known.send[0] ?? { prepend: 0 }
    return {
      ...neighbour,
      receive: taken === undefined ? neighbour.receive : [...neighbour.receive, { group: taken.name, preference }],
      send: told === undefined ? neighbour.send : [...neighbour.send, { group: told.name, prepend }],
    }
  })
  return mixer.groups.length === 0 ? own : { ...own, groups: [...own.groups, ...mixer.groups], neighbours }
}

class Mixer {
  readonly groups: RouteGroup[] = []
  readonly #isOfOther: (as: number) => boolean
  readonly #own: Reader
  readonly #other: Reader
  readonly #made = new Map<string, RouteGroup>()
  /** Neighbours of a hub have the same lists. */
  readonly #known = new Map<Rules, Map<Rules, RouteGroup | undefined>>()

  constructor(own: DocumentRouting, other: DocumentRouting, isOfOther: (as: number) => boolean) {
    this.#own = new Reader(own)
    this.#other = new Reader(other)
    this.#isOfOther = isOfOther
  }

  /** What `there` has beyond `here`, of sites that have the other version; undefined: nothing. */
  more(here: Rules, there: Rules): RouteGroup | undefined {
    const known = this.#known.get(here) ?? new Map<Rules, RouteGroup | undefined>()
    this.#known.set(here, known)
    if (!known.has(there)) known.set(there, this.#group(this.#own.origins(here), this.#other.origins(there)))
    return known.get(there)
  }

  #group(here: Origins, there: Origins): RouteGroup | undefined {
    const origins: RouteGroup['origins'] = []
    for (const [as, ranges] of there) {
      if (!this.#isOfOther(as)) continue
      const present = here.get(as)
      const added = [...ranges].flatMap(([key, range]) => (present?.has(key) === true ? [] : range))
      if (added.length > 0) origins.push({ as, ranges: added })
    }
    if (origins.length === 0) return undefined
    const key = JSON.stringify(origins)
    let made = this.#made.get(key)
    if (made === undefined) {
      made = { name: `mixed-${this.groups.length}`, origins }
      this.#made.set(key, made)
      this.groups.push(made)
    }
    return made
  }
}

/** All that rules name, by who originates it. */
class Reader {
  readonly #groups: ReadonlyMap<string, RouteGroup>
  readonly #known = new Map<Rules, Origins>()

  constructor({ groups }: DocumentRouting) {
    this.#groups = new Map(groups.map((group) => [group.name, group]))
  }

  origins(rules: Rules): Origins {
    const known = this.#known.get(rules)
    if (known !== undefined) return known
    const origins = new Map<number, Map<string, RouteRange>>()
    for (const { group } of rules) {
      for (const { as, ranges } of this.#groups.get(group)?.origins ?? []) {
        const all = origins.get(as) ?? new Map<string, RouteRange>()
        origins.set(as, all)
        for (const range of ranges) all.set(`${range.prefix} ${range.le ?? ''}`, range)
      }
    }
    this.#known.set(rules, origins)
    return origins
  }
}
