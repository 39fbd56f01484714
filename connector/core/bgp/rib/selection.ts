/** Phase 2 of the decision process for each prefix that was touched: the Loc-RIB, and what follows from a change. */
import type { Family } from '../../../../protocol/net.ts'
import { isEligible, type RibContext } from './context.ts'
import { DEFAULT_DECISION, Decision, type DecisionOptions, type RouteView } from './decision.ts'
import type { FamilyRib } from './family.ts'
import { FAMILIES, LOCAL } from './neighbour.ts'
import { type NextHopSet, NextHopSets, NO_SET } from './next-hop-sets.ts'
import { NO_PATH } from './paths.ts'
import { NO_ROUTE } from './routes.ts'

export class Selection {
  readonly #context: RibContext
  readonly #sets: NextHopSets
  readonly #decisions: Readonly<Record<Family, Decision>>
  /** Prefixes whose set of next hops changed and was not told of yet. */
  readonly #changed: Readonly<Record<Family, Set<number>>> = { 4: new Set(), 6: new Set() }
  /** Next hops behind which forwarding looks anew, whether or not a set changes. */
  #moved: ReadonlySet<number> = new Set()
  // Used again for each prefix.
  readonly #candidates: number[] = []
  readonly #hops: number[] = []
  readonly #from: number[] = []

  constructor(context: RibContext) {
    this.#context = context
    this.#sets = new NextHopSets(context.hops)
    this.#decisions = {
      4: new Decision(routeView(context, context.ribs[4]), optionsOf(context)),
      6: new Decision(routeView(context, context.ribs[6]), optionsOf(context)),
    }
  }

  /** The set in use for the prefix. */
  setOf(rib: FamilyRib, pid: number): NextHopSet {
    return this.#sets.get(rib.set[pid]!)
  }

  /** Has sets with one of these hops told again when their prefix is decided on, until the next call. */
  retell(moved: ReadonlySet<number>): void {
    this.#moved = moved
  }

  decisionOf(rib: FamilyRib): Decision {
    return this.#decisions[rib.family]
  }

  /** Decides on the prefix, and notes what became of it. */
  decide(rib: FamilyRib, pid: number): void {
    const { routes } = rib
    const { paths } = this.#context
    const candidates = this.#candidates
    let count = 0
    for (let route = routes.head[pid]!; route !== NO_ROUTE; route = routes.next[route]!) {
      if (isEligible(this.#context, rib, route)) candidates[count++] = route
    }
    const used = this.#decisions[rib.family].run(candidates, count)
    const path = used === 0 ? NO_PATH : routes.path[candidates[0]!]!
    const from = used === 0 ? LOCAL : routes.neighbour[candidates[0]!]!
    this.#setNextHops(rib, pid, used)
    const isSame = rib.bestPath[pid] === path && rib.bestFrom[pid] === from
    if (!isSame) {
      rib.size += (path === NO_PATH ? 0 : 1) - (rib.bestPath[pid] === NO_PATH ? 0 : 1)
      paths.retain(path)
      paths.release(rib.bestPath[pid]!)
      rib.bestPath[pid] = path
      rib.bestFrom[pid] = from
      this.#tellNeighbours(rib, pid)
    }
    if (used === 0 && !this.#changed[rib.family].has(pid)) rib.free(pid)
  }

  /** Tells of all changes since the last call. */
  flush(): void {
    for (const family of FAMILIES) {
      const pids = [...this.#changed[family]]
      if (pids.length === 0) continue
      this.#changed[family].clear()
      const rib = this.#context.ribs[family]
      const nextHops = pids.map((pid) => this.#sets.get(rib.set[pid]!))
      this.#context.emit({ kind: 'routes', prefixes: rib.table.block(pids), nextHops })
      for (const pid of pids) rib.free(pid)
    }
  }

  #setNextHops(rib: FamilyRib, pid: number, used: number): void {
    const before = rib.set[pid]!
    const after = used === 0 ? NO_SET : this.#internSet(rib, used)
    if (after === before) {
      if (this.#moved.size > 0 && this.#sets.hasAny(after, this.#moved)) this.#changed[rib.family].add(pid)
      this.#sets.release(after)
      return
    }
    rib.set[pid] = after
    this.#sets.release(before)
    this.#changed[rib.family].add(pid)
  }

  #internSet({ routes }: FamilyRib, used: number): number {
    const { paths, neighbours } = this.#context
    for (let i = 0; i < used; i++) {
      const route = this.#candidates[i]!
      this.#hops[i] = paths.hop[routes.path[route]!]!
      this.#from[i] = routes.neighbour[route]!
    }
    return this.#sets.intern(this.#hops, this.#from, used, (neighbour) => neighbours[neighbour]!.config.id)
  }

  #tellNeighbours(rib: FamilyRib, pid: number): void {
    for (const neighbour of this.#context.neighbours) {
      if (neighbour.sends(rib.family) && neighbour.of[rib.family].out.enqueue(pid)) rib.pin(pid)
    }
  }
}

function optionsOf({ config }: RibContext): DecisionOptions {
  return { ...DEFAULT_DECISION, ...config.decision }
}

function routeView({ paths, hops, neighbours, config }: RibContext, { routes }: FamilyRib): RouteView {
  const missingMed = config.decision?.missingMedWorst === true ? 0xffffffff : 0
  const path = (route: number) => routes.path[route]!
  const neighbour = (route: number) => neighbours[routes.neighbour[route]!]!
  return {
    isLocal: (route) => routes.neighbour[route] === LOCAL,
    localPref: (route) => paths.localPref[path(route)]!,
    asPathLength: (route) => paths.asPathLength[path(route)]!,
    origin: (route) => paths.origin[path(route)]!,
    med: (route) => (paths.hasMed[path(route)] === 1 ? paths.med[path(route)]! : missingMed),
    neighbourAs: (route) => paths.neighbourAs[path(route)]!,
    isExternal: (route) => neighbour(route).isExternal,
    igpMetric: (route) => (routes.neighbour[route] === LOCAL ? 0 : hops.cost(paths.hop[path(route)]!)),
    routerId: (route) => paths.originatorId[path(route)]! || neighbour(route).routerId,
    clusterLength: (route) => paths.clusterLength[path(route)]!,
    peerAddress: (route) => neighbour(route).addressBytes,
  }
}
