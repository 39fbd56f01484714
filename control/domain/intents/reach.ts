/**
 * Who may know of a prefix: those it is for, and the hubs between its owner and them. Hubs that tunnels join are one
 * backbone; a hub passes a prefix on when its owner, and one whom it is for, are at its backbone.
 */
import type { Site, Tunnel } from '../../../protocol/control/intent.ts'
import { type AdvertisedSet, advertisedBy } from './ownership.ts'
import { neighboursOf } from './routing-faults.ts'
import type { RoutingView } from './routing-view.ts'

/** What one site tells the same sites of, by the same hubs. */
export interface Announcement extends AdvertisedSet {
  readonly owner: string
  /** Hubs that pass it on, sorted. */
  readonly carriers: readonly string[]
  readonly group: Audience
}

/** All announcements that are for the same sites and go by the same hubs. */
export interface Audience {
  /** The same for the same sites and hubs. */
  readonly key: string
  readonly to: 'all' | ReadonlySet<string>
  readonly carriers: ReadonlySet<string>
  readonly announcements: Announcement[]
}

export interface Reach {
  readonly audiences: readonly Audience[]
  announcementsOf(site: string): readonly Announcement[]
}

/** Those who may have it: in their tables, on their way to others included. */
export function mayKnow({ to, carriers }: Pick<Audience, 'to' | 'carriers'>, site: string): boolean {
  return to === 'all' || to.has(site) || carriers.has(site)
}

export function isFor({ to }: Pick<Audience, 'to'>, site: string): boolean {
  return to === 'all' || to.has(site)
}

export function reachOf(sites: Iterable<Site>, tunnels: readonly Tunnel[], routing: RoutingView): Reach {
  const all = [...sites]
  const backbones = new Backbones(
    all.filter(({ id }) => routing.site(id)?.hub === true).map(({ id }) => id),
    neighboursOf({ tunnels }),
  )
  const audiences = new Map<string, Audience>()
  const byOwner = new Map<string, Announcement[]>()
  for (const site of all) {
    const own = advertisedBy(site, routing.site(site.id))
    // Entries for the same sites are one.
    const merged = Map.groupBy(own, ({ to }) => (to === 'all' ? to : to.join(' ')))
    const announcements = [...merged.values()].map((sets): Announcement => {
      const { to } = sets[0]!
      const carriers = backbones.between(site.id, to)
      const key = `${to === 'all' ? to : to.join(' ')}|${carriers.join(' ')}`
      let group = audiences.get(key)
      if (group === undefined) {
        group = { key, to: to === 'all' ? to : new Set(to), carriers: new Set(carriers), announcements: [] }
        audiences.set(key, group)
      }
      const made = { owner: site.id, prefixes: sets.flatMap(({ prefixes }) => prefixes), to, carriers, group }
      group.announcements.push(made)
      return made
    })
    byOwner.set(site.id, announcements)
  }
  return { audiences: [...audiences.values()], announcementsOf: (site) => byOwner.get(site) ?? [] }
}

/** Hubs, by the backbone that they are of. */
class Backbones {
  readonly #neighbours: ReadonlyMap<string, ReadonlySet<string>>
  /** By hub. */
  readonly #of = new Map<string, string[]>()
  readonly #ofAll: string[][] = []

  constructor(hubs: readonly string[], neighbours: ReadonlyMap<string, ReadonlySet<string>>) {
    this.#neighbours = neighbours
    const isHub = new Set(hubs)
    for (const hub of hubs) {
      if (this.#of.has(hub)) continue
      const backbone: string[] = []
      this.#ofAll.push(backbone)
      const open = [hub]
      this.#of.set(hub, backbone)
      for (let next = open.pop(); next !== undefined; next = open.pop()) {
        backbone.push(next)
        for (const other of neighbours.get(next) ?? []) {
          if (!isHub.has(other) || this.#of.has(other)) continue
          this.#of.set(other, backbone)
          open.push(other)
        }
      }
      backbone.sort()
    }
  }

  /** Hubs that pass on what `owner` tells `to`. */
  between(owner: string, to: 'all' | readonly string[]): readonly string[] {
    const near = this.#at(owner)
    const far =
      to === 'all' ? undefined : new Set(to.filter((site) => site !== owner).flatMap((site) => this.#at(site)))
    const chosen = near.filter((backbone) => far === undefined || far.has(backbone))
    return chosen.length === 1 ? chosen[0]! : chosen.flat().sort()
  }

  /** The backbones that a site is of, or has a tunnel to. */
  #at(site: string): string[][] {
    const own = this.#of.get(site)
    const found = new Set(own === undefined ? [] : [own])
    for (const neighbour of this.#neighbours.get(site) ?? []) {
      const backbone = this.#of.get(neighbour)
      if (backbone !== undefined) found.add(backbone)
    }
    return [...found]
  }
}
