/**
 * From the intent's routing to that of each connector: BGP with each neighbour, and rules for what is told and taken.
 *
 * All sites choose by the length of the AS path alone. What a tunnel costs more than one step, whoever announces over
 * it adds: the same at both ends. So packets come back the way they went, and whatever is wanted, nobody's choice
 * depends on that of another in a circle.
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

/** LOCAL_PREF: nobody prefers anything by it. */
const EVEN = 100
/** Steps more over a backup: more than the longest way over tunnels that are none. */
const BACKUP = 20
/** Steps more for each place of a hub behind the first: more than one hub on the way. */
const PLACE = 2

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
      receive: this.#receive(own, other, used),
      send: this.#send(own, other, tunnel, used),
      maxPrefixes: maxPrefixes ?? own.maxPrefixes ?? general.maxPrefixes,
      ...(bfd === 'off' ? {} : { bfd }),
    }
  }

  #receive(own: RoutingSite, other: RoutingSite, used: Map<string, RouteGroup>): ReceiveRule[] {
    const rules = this.#told(other, own).map((group): ReceiveRule => {
      used.set(group.name, group)
      return { group: group.name, preference: EVEN }
    })
    return shared(this.#receives, rules)
  }

  #send(own: RoutingSite, other: RoutingSite, tunnel: Tunnel, used: Map<string, RouteGroup>): SendRule[] {
    const prepend = this.#more(own, other, tunnel)
    const rules = this.#told(own, other).map((group): SendRule => {
      used.set(group.name, group)
      return { group: group.name, prepend }
    })
    return shared(this.#sends, rules)
  }

  /** What `by` tells `to`. What is a hub's own is among what it passes on. */
  #told(by: RoutingSite, to: RoutingSite): readonly RouteGroup[] {
    if (by.hub === true) return this.#passed(by, to).map((audience) => this.#groups.of(audience))
    const own = this.#groups.own(by.site, to.site)
    return own === undefined ? [] : [own]
  }

  /** Steps of the tunnel beyond one, the same from either end. */
  #more(one: RoutingSite, other: RoutingSite, tunnel: Tunnel): number {
    const place =
      (one.hub === true) === (other.hub === true) ? 0 : one.hub === true ? placeOf(other, one) : placeOf(one, other)
    return (this.#isBackup(tunnel) ? BACKUP : 0) + PLACE * place
  }

  /** What the hub `by` passes on to `to`. */
  #passed(by: RoutingSite, to: RoutingSite): readonly Audience[] {
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
function placeOf({ through = [] }: RoutingSite, hub: RoutingSite): number {
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
