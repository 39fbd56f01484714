/**
 * The intent while a rollout is under way: some sites have the target already, the others the base. What documents are
 * made from.
 *
 * What is a site's own (its prefixes, its end of each tunnel) is of the version of that site, also where its peers are
 * told of it: so both ends of a tunnel agree on what goes through it. Whether a tunnel is there and who initiates, both
 * ends must agree on as well: it is as in the target once one of its ends has that.
 */
import type { Site, Tunnel } from '../../../protocol/control/intent.ts'
import type { DocumentRouting } from '../../../protocol/control/routing.ts'
import type { IntentView } from '../intent-index.ts'
import { overlaps } from '../prefix-index.ts'
import { withNeighbours } from './limit.ts'
import { withOrigins } from './mixed-routing.ts'
import { asOf } from './numbers.ts'

export class MixedView {
  readonly #base: IntentView
  readonly #target: IntentView
  readonly #in: ReadonlySet<string>
  #sitesByAs: ReadonlyMap<number, string> | undefined
  #held: ReadonlyMap<string, readonly string[]> | undefined
  readonly #sites = new Map<string, Site | undefined>()
  readonly #routing = new Map<string, DocumentRouting | undefined>()
  readonly #peers = new Map<string, ReadonlySet<string>>()

  constructor(base: IntentView, target: IntentView, sitesIn: ReadonlySet<string>) {
    this.#base = base
    this.#target = target
    this.#in = sitesIn
  }

  /** Of the newest intent, which is the target. */
  get version(): number {
    return this.#target.version
  }

  /** What the site's own things are of. */
  versionOf(site: string): IntentView {
    return this.#in.has(site) ? this.#target : this.#base
  }

  /** It is there in the target only. */
  isNew(site: string): boolean {
    return this.#base.site(site) === undefined
  }

  /** All that some document has. */
  *tunnels(): Iterable<Tunnel> {
    for (const { id } of this.#base.tunnels()) {
      const tunnel = this.#shown(id)
      if (tunnel !== undefined) yield tunnel
    }
    for (const { id } of this.#target.tunnels()) {
      const tunnel = this.#base.tunnel(id) === undefined ? this.#shown(id) : undefined
      if (tunnel !== undefined) yield tunnel
    }
  }

  site(id: string): Site | undefined {
    if (!this.#sites.has(id)) this.#sites.set(id, this.#siteOf(id))
    return this.#sites.get(id)
  }

  /** Of whatever version: one that is gone has keys until the rollout has ended. */
  tunnel(id: string): Tunnel | undefined {
    const target = this.#target.tunnel(id)
    const base = this.#base.tunnel(id)
    return this.#follows(target, base) ? (target ?? base) : (base ?? target)
  }

  tunnelsOf(site: string): readonly Tunnel[] {
    const version = this.versionOf(site)
    const ids = new Set([...this.#base.tunnelsOf(site), ...this.#target.tunnelsOf(site)].map(({ id }) => id))
    return [...ids].flatMap((id) => {
      const shown = this.#shown(id)
      return shown === undefined ? [] : { ...(version.tunnel(id) ?? shown), sites: shown.sites }
    })
  }

  /** Both ends of a tunnel have BGP with one another where the versions of both say so. */
  routingOf(site: string): DocumentRouting | undefined {
    if (!this.#routing.has(site)) this.#routing.set(site, this.#routingOf(site))
    return this.#routing.get(site)
  }

  /** As both ends agree on it; undefined when neither has it. */
  #shown(id: string): Tunnel | undefined {
    const target = this.#target.tunnel(id)
    const base = this.#base.tunnel(id)
    return this.#follows(target, base) ? target : base
  }

  #follows(target: Tunnel | undefined, base: Tunnel | undefined): boolean {
    const [left, right] = (target ?? base)?.sites ?? ['', '']
    // One document names a tunnel once: a new one waits with a name that an old one has yet.
    const waits = target !== undefined && base === undefined && this.#base.tunnelByName(target.name) !== undefined
    return waits ? this.#in.has(left) && this.#in.has(right) : this.#in.has(left) || this.#in.has(right)
  }

  #routingOf(site: string): DocumentRouting | undefined {
    const version = this.versionOf(site)
    const routing = version.routingOf(site)
    if (routing === undefined) return undefined
    const other = version === this.#base ? this.#target : this.#base
    const mixed = withOrigins(routing, other.routingOf(site), (as) => this.#versionOfAs(as) === other)
    return withNeighbours(mixed, (tunnel) => this.#isMutual(tunnel))
  }

  /** That of the site with the AS; its number is the same in both versions. */
  #versionOfAs(as: number): IntentView | undefined {
    this.#sitesByAs ??= new Map(
      [this.#base, this.#target].flatMap(({ routing }) =>
        Array.from(routing?.parts() ?? [], ({ site }) => site).flatMap((site) =>
          site === undefined ? [] : [[asOf(site.number), site.site] as const],
        ),
      ),
    )
    const site = this.#sitesByAs.get(as)
    return site === undefined ? undefined : this.versionOf(site)
  }

  #isMutual(id: string): boolean {
    return this.#shown(id)?.sites.every((site) => this.#neighbours(site).has(id)) ?? false
  }

  /** Tunnels through which the version of the site has a neighbour. */
  #neighbours(site: string): ReadonlySet<string> {
    const known = this.#peers.get(site)
    if (known !== undefined) return known
    const routing = this.versionOf(site).routingOf(site)
    const tunnels = new Set(routing?.neighbours.map(({ tunnel }) => tunnel))
    this.#peers.set(site, tunnels)
    return tunnels
  }

  #siteOf(id: string): Site | undefined {
    const target = this.#target.site(id)
    const base = this.#base.site(id)
    if (!this.#in.has(id) || target === undefined) return base ?? target
    this.#held ??= heldPrefixes(this.#base, this.#target, this.#in)
    if (base !== undefined && this.#held.has(id)) return { ...target, prefixes: base.prefixes }
    const prefixes = obtained(target, base, this.#held)
    return prefixes.length === target.prefixes.length ? target : { ...target, prefixes }
  }
}

/**
 * By site, the prefixes that it is to give up and has yet: it has the base, or there would be none left to it until
 * another one gives up what it is to get.
 */
function heldPrefixes(base: IntentView, target: IntentView, sitesIn: ReadonlySet<string>): Map<string, string[]> {
  const held = new Map<string, string[]>()
  const waiting: { readonly site: Site; readonly was: Site; readonly gives: string[] }[] = []
  for (const site of target.sites()) {
    const was = base.site(site.id)
    const gives = was?.prefixes.filter((prefix) => !site.prefixes.includes(prefix)) ?? []
    if (was === undefined || gives.length === 0) continue
    if (sitesIn.has(site.id)) waiting.push({ site, was, gives })
    else held.set(site.id, gives)
  }
  for (let found = held.size > 0; found; ) {
    found = false
    for (const { site, was, gives } of waiting) {
      if (held.has(site.id) || obtained(site, was, held).length > 0) continue
      held.set(site.id, gives)
      found = true
    }
  }
  return held
}

/** What of its prefixes a site has, while others hold what it is to get. */
function obtained(site: Site, was: Site | undefined, held: ReadonlyMap<string, readonly string[]>): string[] {
  return site.prefixes.filter((prefix) => {
    if (was?.prefixes.includes(prefix)) return true
    for (const [other, prefixes] of held) {
      if (other !== site.id && prefixes.some((one) => shareAddress(prefix, one))) return false
    }
    return true
  })
}

function shareAddress(left: string, right: string): boolean {
  const placed = [left, right].map((prefix, at) => ({ prefix, site: String(at) }))
  return left === right || overlaps(placed).length > 0
}
