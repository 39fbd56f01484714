/**
 * The decision process, phase 2 (RFC 4271 section 9.1.2.2): of the eligible routes to one prefix, which are used and
 * which is advertised. Each step takes routes out of a list; what is left at the end is the best one.
 */
import { compareAddresses } from './order.ts'
import { DECISION_STEPS, type DecisionStep } from './reasons.ts'

/** What the decision looks at. Routes are numbers that mean something to the view alone. */
export interface RouteView {
  isLocal(route: number): boolean
  localPref(route: number): number
  asPathLength(route: number): number
  origin(route: number): number
  med(route: number): number
  /** Zero: our own AS. */
  neighbourAs(route: number): number
  isExternal(route: number): boolean
  igpMetric(route: number): number
  /** ORIGINATOR_ID where the route has one, else the neighbour's BGP identifier (RFC 4456 section 9). */
  routerId(route: number): number
  clusterLength(route: number): number
  /** Of the neighbour, 4 or 16 octets; empty for our own routes. */
  peerAddress(route: number): Uint8Array
}

export interface DecisionOptions {
  /**
   * MED compares routes of one neighbouring AS. Deterministic, the default, compares all of them at once as RFC 4271
   * says; otherwise routes are compared pairwise in the order given, as old routers do, and the result depends on it.
   */
  readonly deterministicMed: boolean
  /** MED also between different neighbouring ASes. */
  readonly alwaysCompareMed: boolean
  /** A missing MED is the greatest instead of zero. */
  readonly missingMedWorst: boolean
  /** How many routes of equal worth may be used at once. */
  readonly maxPaths: number
  /** Routes through different neighbouring ASes may be used at once. */
  readonly multipathRelax: boolean
}

export const DEFAULT_DECISION: DecisionOptions = {
  deterministicMed: true,
  alwaysCompareMed: false,
  missingMedWorst: false,
  maxPaths: 1,
  multipathRelax: false,
}

/** A route, and the step that took it out; undefined for the best and what is used beside it. */
export type Lost = (route: number, step: DecisionStep) => void

const MED_STEP = DECISION_STEPS.indexOf('med')

export class Decision {
  readonly #view: RouteView
  readonly #options: DecisionOptions
  /** Smaller is better. Those up to `igp-metric` may leave several routes, the others order them. */
  readonly #keys: readonly ((route: number) => number)[]
  readonly #keysCount: number

  constructor(view: RouteView, options: DecisionOptions) {
    this.#view = view
    this.#options = options
    this.#keys = [
      (route) => (view.isLocal(route) ? 0 : 1),
      (route) => -view.localPref(route),
      (route) => view.asPathLength(route),
      (route) => view.origin(route),
      (route) => view.med(route),
      (route) => (view.isExternal(route) ? 0 : 1),
      (route) => view.igpMetric(route),
    ]
    this.#keysCount = this.#keys.length
  }

  /**
   * Orders `routes[0]` to `routes[count - 1]` in place: the best first, then what is used beside it, then the others.
   * Returns how many are used; zero only of none. `lost` is told of every other one.
   */
  run(routes: number[], count: number, lost?: Lost): number {
    if (count <= 1) return count
    if (!this.#options.deterministicMed) return this.#runInOrder(routes, count, lost)
    let left = count
    for (let step = 0; step < this.#keysCount && left > 1; step++) {
      left = step === MED_STEP ? this.#keepLeastMed(routes, left, lost) : this.#keepLeast(routes, left, step, lost)
    }
    return this.#choose(routes, left, lost)
  }

  /** What is left is of equal worth: its order is by the last three steps (f and g, and RFC 4456 section 9). */
  #choose(routes: number[], left: number, lost?: Lost): number {
    sortFirst(routes, left, (one, other) => this.#compareTies(one, other))
    const best = routes[0]!
    let used = 1
    for (let i = 1; i < left; i++) {
      const route = routes[i]!
      if (used < this.#options.maxPaths && this.#isPartner(best, route)) {
        routes[i] = routes[used]!
        routes[used++] = route
      } else lost?.(route, this.#tieStep(best, route))
    }
    return used
  }

  #isPartner(best: number, route: number): boolean {
    return this.#options.multipathRelax || this.#view.neighbourAs(best) === this.#view.neighbourAs(route)
  }

  #keepLeast(routes: number[], count: number, step: number, lost?: Lost): number {
    const key = this.#keys[step]!
    let least = Number.POSITIVE_INFINITY
    for (let i = 0; i < count; i++) least = Math.min(least, key(routes[i]!))
    return keep(
      routes,
      count,
      (route) => key(route) === least,
      (route) => lost?.(route, DECISION_STEPS[step]!),
    )
  }

  /** Step c: a route goes where one of the same neighbouring AS has a lower MED. */
  #keepLeastMed(routes: number[], count: number, lost?: Lost): number {
    const least = new Map<number, number>()
    for (let i = 0; i < count; i++) {
      const group = this.#medGroup(routes[i]!)
      least.set(group, Math.min(least.get(group) ?? Number.POSITIVE_INFINITY, this.#view.med(routes[i]!)))
    }
    const isLeast = (route: number) => this.#view.med(route) === least.get(this.#medGroup(route))
    return keep(routes, count, isLeast, (route) => lost?.(route, 'med'))
  }

  #medGroup(route: number): number {
    return this.#options.alwaysCompareMed ? 0 : this.#view.neighbourAs(route)
  }

  /** Each with the best so far, from the front. */
  #runInOrder(routes: number[], count: number, lost?: Lost): number {
    let best = 0
    for (let i = 1; i < count; i++) if (this.#compare(routes[i]!, routes[best]!) < 0) best = i
    const first = routes[best]!
    routes[best] = routes[0]!
    routes[0] = first
    let used = 1
    for (let i = 1; i < count; i++) {
      const route = routes[i]!
      const step = this.#stepBetween(first, route)
      const isEqual = step >= this.#keysCount
      if (isEqual && used < this.#options.maxPaths && this.#isPartner(first, route)) {
        routes[i] = routes[used]!
        routes[used++] = route
      } else lost?.(route, DECISION_STEPS[step]!)
    }
    return used
  }

  #compare(one: number, other: number): number {
    const step = this.#stepBetween(one, other)
    if (step >= this.#keysCount) return this.#compareTies(one, other)
    return this.#keys[step]!(one) - this.#keys[step]!(other)
  }

  /** The first step that tells them apart. */
  #stepBetween(one: number, other: number): number {
    for (let step = 0; step < this.#keysCount; step++) {
      if (step === MED_STEP && this.#medGroup(one) !== this.#medGroup(other)) continue
      if (this.#keys[step]!(one) !== this.#keys[step]!(other)) return step
    }
    return DECISION_STEPS.indexOf(this.#tieStep(one, other))
  }

  #tieStep(one: number, other: number): DecisionStep {
    const view = this.#view
    if (view.routerId(one) !== view.routerId(other)) return 'router-id'
    return view.clusterLength(one) === view.clusterLength(other) ? 'peer-address' : 'cluster-list-length'
  }

  #compareTies(one: number, other: number): number {
    const view = this.#view
    return (
      view.routerId(one) - view.routerId(other) ||
      view.clusterLength(one) - view.clusterLength(other) ||
      compareAddresses(view.peerAddress(one), view.peerAddress(other))
    )
  }
}

/** Moves what `stays` to the front, in order, and returns how many those are. */
function keep(
  routes: number[],
  count: number,
  stays: (route: number) => boolean,
  gone: (route: number) => void,
): number {
  let kept = 0
  for (let i = 0; i < count; i++) {
    const route = routes[i]!
    if (stays(route)) {
      routes[i] = routes[kept]!
      routes[kept++] = route
    } else gone(route)
  }
  return kept
}

/** Insertion sort of the first `count`: there are few. */
function sortFirst(routes: number[], count: number, compare: (one: number, other: number) => number): void {
  for (let i = 1; i < count; i++) {
    const route = routes[i]!
    let at = i
    while (at > 0 && compare(route, routes[at - 1]!) < 0) {
      routes[at] = routes[at - 1]!
      at--
    }
    routes[at] = route
  }
}
