/** Groups of routes, each made once, so that documents that name it share it. */
import type { Site } from '../../../protocol/control/intent.ts'
import type { RouteGroup, RouteRange } from '../../../protocol/control/routing.ts'
import { hashText } from '../bytes.ts'
import { asOf } from './numbers.ts'
import { holders, isDefault, ownedBy } from './ownership.ts'
import { type Announcement, type Audience, mayKnow, type Reach } from './reach.ts'
import type { RoutingView } from './routing-view.ts'

/** Where more prefixes than these of one owned one are for the same sites, a range stands for all. */
const LISTED = 8

export class Groups {
  readonly #sites: ReadonlyMap<string, Site>
  readonly #routing: RoutingView
  readonly #reach: Reach
  readonly #ranges = new Map<string, ReadonlyMap<Announcement, RouteRange[]>>()
  readonly #ofAudience = new Map<Audience, RouteGroup>()
  readonly #own = new Map<string, RouteGroup>()

  constructor(sites: ReadonlyMap<string, Site>, routing: RoutingView, reach: Reach) {
    this.#sites = sites
    this.#routing = routing
    this.#reach = reach
  }

  of(audience: Audience): RouteGroup {
    const known = this.#ofAudience.get(audience)
    if (known !== undefined) return known
    const kind = audience.to === 'all' ? 'all' : 'some'
    const made = {
      name: `${kind}-${shortHash(audience.key)}`,
      origins: audience.announcements
        .map((announcement) => ({ as: this.#as(announcement.owner), ranges: this.#rangesOf(announcement) }))
        .filter(({ ranges }) => ranges.length > 0)
        .sort((left, right) => left.as - right.as),
    }
    this.#ofAudience.set(audience, made)
    return made
  }

  /** What `owner` itself tells `neighbour`; undefined where that is nothing. */
  own(owner: string, neighbour: string): RouteGroup | undefined {
    const all = this.#reach.announcementsOf(owner).filter(({ prefixes }) => prefixes.length > 0)
    const told = all.filter(({ group }) => mayKnow(group, neighbour))
    if (told.length === 0) return undefined
    const { number } = this.#routing.site(owner)!
    const name =
      told.length === all.length
        ? `of-${number}`
        : `of-${number}-${shortHash(told.map(({ group }) => group.key).join())}`
    const known = this.#own.get(name)
    if (known !== undefined) return known
    const ranges = told.flatMap((announcement) => this.#rangesOf(announcement))
    const made = { name, origins: [{ as: this.#as(owner), ranges }] }
    this.#own.set(name, made)
    return made
  }

  #as(site: string): number {
    return asOf(this.#routing.site(site)!.number)
  }

  #rangesOf(announcement: Announcement): RouteRange[] {
    const { owner } = announcement
    let ranges = this.#ranges.get(owner)
    if (ranges === undefined) {
      const owned = ownedBy(this.#sites.get(owner)!, this.#routing.site(owner))
      ranges = rangesOf(owned, this.#reach.announcementsOf(owner))
      this.#ranges.set(owner, ranges)
    }
    return ranges.get(announcement)!
  }
}

/** Ranges that match what each announcement has, and nothing that another one has. */
export function rangesOf(
  owned: readonly string[],
  announcements: readonly Announcement[],
): ReadonlyMap<Announcement, RouteRange[]> {
  const holderOf = holders(owned)
  const within = new Map<string, { readonly of: Set<Announcement>; count: number; longest: number }>()
  const held = new Map<string, string>()
  for (const announcement of announcements) {
    for (const prefix of announcement.prefixes) {
      const holder = holderOf(prefix) ?? prefix
      held.set(prefix, holder)
      const found = within.get(holder) ?? { of: new Set(), count: 0, longest: 0 }
      within.set(holder, found)
      found.of.add(announcement)
      found.count++
      found.longest = Math.max(found.longest, lengthOf(prefix))
    }
  }
  return new Map(
    announcements.map((announcement) => {
      const ranges = new Map<string, RouteRange>()
      for (const prefix of announcement.prefixes) {
        const holder = held.get(prefix)!
        const { of, count, longest } = within.get(holder)!
        const isWide = of.size === 1 && count > LISTED && !isDefault(holder)
        if (isWide) ranges.set(holder, { prefix: holder, le: longest })
        else ranges.set(prefix, { prefix })
      }
      return [announcement, [...ranges.values()]]
    }),
  )
}

export function lengthOf(prefix: string): number {
  return Number(prefix.slice(prefix.indexOf('/') + 1))
}

function shortHash(text: string): string {
  return hashText(text)
    .replaceAll(/[^a-zA-Z0-9]/g, '')
    .toLowerCase()
    .slice(0, 16)
}
