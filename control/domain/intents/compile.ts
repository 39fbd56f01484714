/**
 * From the intent's routing to that of each connector: BGP with each neighbour, and rules for what is told and taken.
 *
 * Sites that are no hubs choose by LOCAL_PREF, since nobody else's choice follows from theirs. Hubs prefer their own way
 * to a site, unless it is a backup, which depends on no other hub's choice; else the shortest AS path, to which those who
 * announce add their AS where a way is a backup or a later choice. So whatever is wanted, hubs never go round in circles
 * about it.
 */
import type { Site, Tunnel } from '../../../protocol/control/intent.ts'
import type { RoutingSite } from '../../../protocol/control/intent-routing.ts'
import type {
  DocumentRouting,
  ReceiveRule,
  RouteGroup,
  RoutingNeighbour,
  SendRule,
} from '../../../protocol/control/routing.ts'
import { Groups } from './groups.ts'
import { asOf, insideOf, routerIdOf } from './numbers.ts'
import { type Audience, isFor, type Reach, reachOf } from './reach.ts'
import type { RoutingView } from './routing-view.ts'

/** LOCAL_PREF: a direct way, or one by a hub, less its place among the hubs; each less `BACKUP`. */
const DIRECT = 250
const BY_HUB = 200
const BACKUP = 100
/** At hubs. */
const EVEN = 100
/** Times that our AS stands in a path more than it should where the way is a backup; more than there are hubs to order. */
const BACKUP_PREPEND = 4

export interface RoutingSource {
  sites(): Iterable<Site>
  tunnels(): Iterable<Tunnel>
}

export interface CompiledRouting {
  readonly sites: readonly Site[]
  readonly reach: Reach
  /** Of a site that is there. Made once, when asked for. */
  of(site: string): DocumentRouting
}

/** `routing` must have an entry for every site and tunnel of `source`. */
export function compileRouting(source: RoutingSource, routing: RoutingView): CompiledRouting {
  const sites = [...source.sites()]
  const tunnels = [...source.tunnels()].sort((left, right) => (left.id < right.id ? -1 : 1))
  const compiler = new Compiler(sites, tunnels, routing)
  const made = new Map<string, DocumentRouting>()
  return {
    sites,
    reach: compiler.reach,
    of(site) {
      const known = made.get(site) ?? compiler.document(site)
      made.set(site, known)
      return known
    },
  }
}

class Compiler {
  readonly reach: Reach
  readonly #routing: RoutingView
  readonly #sites: ReadonlyMap<string, Site>
  readonly #tunnels = new Map<string, Tunnel[]>()
  readonly #groups: Groups
  /** By hub. */
  readonly #carried = new Map<string, readonly Audience[]>()
  readonly #receives = new Map<string, ReceiveRule[]>()
  readonly #sends = new Map<string, SendRule[]>()

  constructor(sites: readonly Site[], tunnels: readonly Tunnel[], routing: RoutingView) {
    this.#routing = routing
    this.#sites = new Map(sites.map((site) => [site.id, site]))
    for (const tunnel of tunnels) {
      for (const end of tunnel.sites) {
        const list = this.#tunnels.get(end)
        if (list === undefined) this.#tunnels.set(end, [tunnel])
        else list.push(tunnel)
      }
    }
    this.reach = reachOf(sites, tunnels, routing)
    this.#groups = new Groups(this.#sites, routing, this.reach)
  }

  document(site: string): DocumentRouting {
    const own = this.#entry(site)
    const used = new Map<string, RouteGroup>()
    const neighbours = (this.#tunnels.get(site) ?? []).map((tunnel) => this.#neighbour(own, tunnel, used))
    return {
      as: asOf(own.number),
      routerId: routerIdOf(own.number),
      advertise: this.reach.announcementsOf(site).flatMap(({ prefixes }) => prefixes),
      transit: own.hub === true,
      groups: [...used.values()].sort((left, right) => (left.name < right.name ? -1 : 1)),
      neighbours,
    }
  }

  #neighbour(own: RoutingSite, tunnel: Tunnel, used: Map<string, RouteGroup>): RoutingNeighbour {
    const other = this.#entry(tunnel.sites[0] === own.site ? tunnel.sites[1] : tunnel.sites[0])
    const { number, bfd: ownBfd, maxPrefixes } = this.#routing.tunnel(tunnel.id)!
    const { general } = this.#routing
    const [first, second] = insideOf(number)
    const [local, address] = own.number < other.number ? [first, second] : [second, first]
    const bfd = ownBfd ?? general.bfd
    return {
      tunnel: tunnel.id,
      site: this.#sites.get(other.site)!.name,
      as: asOf(other.number),
      local,
      address,
      receive: this.#receive(own, other, tunnel, used),
      send: this.#send(own, other, tunnel, used),
      maxPrefixes: maxPrefixes ?? own.maxPrefixes ?? general.maxPrefixes,
      ...(bfd === 'off' ? {} : { bfd }),
    }
  }

  #receive(own: RoutingSite, other: RoutingSite, tunnel: Tunnel, used: Map<string, RouteGroup>): ReceiveRule[] {
    const less = this.#isBackup(tunnel) ? BACKUP : 0
    const rules: ReceiveRule[] = []
    const add = (group: RouteGroup | undefined, preference: number) => {
      if (group === undefined) return
      used.set(group.name, group)
      rules.push({ group: group.name, preference })
    }
    const passed = this.#passed(other, own)
    if (own.hub === true) {
      if (other.hub !== true) add(this.#groups.own(other.site, own.site), less > 0 ? EVEN : DIRECT)
      for (const audience of passed) add(this.#groups.of(audience), EVEN)
    } else {
      add(this.#groups.own(other.site, own.site), DIRECT - less)
      for (const audience of passed) add(this.#groups.of(audience), BY_HUB - less - place(own, other))
    }
    return shared(this.#receives, rules)
  }

  #send(own: RoutingSite, other: RoutingSite, tunnel: Tunnel, used: Map<string, RouteGroup>): SendRule[] {
    const more = this.#isBackup(tunnel) ? BACKUP_PREPEND : 0
    const prepend = other.hub === true ? more + (own.hub === true ? 0 : place(own, other)) : 0
    const isHubs = own.hub === true
    const passed = isHubs ? this.#passed(own, other).map((audience) => this.#groups.of(audience)) : []
    const groups = isHubs ? passed : [this.#groups.own(own.site, other.site)]
    const rules: SendRule[] = []
    for (const group of groups) {
      if (group === undefined) continue
      used.set(group.name, group)
      rules.push({ group: group.name, prepend })
    }
    return shared(this.#sends, rules)
  }

  /** What the hub `by` passes on to `to`; nothing where it is none. */
  #passed(by: RoutingSite, to: RoutingSite): readonly Audience[] {
    if (by.hub !== true) return []
    let carried = this.#carried.get(by.site)
    if (carried === undefined) {
      carried = this.reach.audiences.filter(({ carriers }) => carriers.has(by.site))
      this.#carried.set(by.site, carried)
    }
    return carried.filter((audience) => isFor(audience, to.site) || audience.carriers.has(to.site))
  }

  #isBackup(tunnel: Tunnel): boolean {
    const said = this.#routing.tunnel(tunnel.id)?.preference
    if (said !== undefined) return said === 'backup'
    return tunnel.sites.some((site) => this.#entry(site).preference === 'backup')
  }

  #entry(site: string): RoutingSite {
    return this.#routing.site(site)!
  }
}

/** Of a hub among those that a site prefers: 0 is the first; those not named come last. */
function place({ through = [] }: RoutingSite, hub: RoutingSite): number {
  const found = through.indexOf(hub.site)
  return found < 0 ? through.length : found
}

/** The one list of those that say the same. */
function shared<Rule>(known: Map<string, Rule[]>, rules: Rule[]): Rule[] {
  const key = JSON.stringify(rules)
  const found = known.get(key)
  if (found !== undefined) return found
  known.set(key, rules)
  return rules
}
