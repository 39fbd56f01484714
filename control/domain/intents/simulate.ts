/**
 * Where routes get when every site has taken its document: the outcome of one RIB at each site that tell one another
 * until nothing is new, with the decision process that connectors run. `simulate.test.ts` holds the two against each
 * other.
 *
 * What makes it fast: prefixes that nobody tells apart go as one class, and sites that tell of nothing but their own
 * prefixes choose once for each kind of them, when those that pass routes on have settled.
 */

import { DEFAULT_DECISION, Decision, type RouteView } from '../../../connector/core/bgp/rib/decision.ts'
import { ribOf } from '../../../connector/core/managed/routing.ts'
import type { Edge, Fabric } from './fabric.ts'

/** A route as its sender has it: a chain to the owner. */
interface Route {
  readonly from: number
  readonly before: Route | undefined
  readonly length: number
}

interface Candidate {
  readonly preference: number
  readonly route: Route
}

export interface Outcome {
  readonly fabric: Fabric
  /** Sites to the next of which packets go from `site`, the best first; none: it has no route, or owns the class. */
  next(site: number, classId: number): readonly number[]
  /** Of a node, whatever is its own. */
  nextOfNode(node: number, classId: number): readonly number[]
  /** Which of `fabric.kinds` or transits the site is of: those of one choose alike, but for what is their own. */
  readonly nodeOf: Int32Array
  readonly nodes: number
  /** Prefixes that `from` announces to `to`, of each family. */
  told(from: number, to: number): { readonly four: number; readonly six: number }
  /** Classes that never settle. */
  readonly unstable: readonly number[]
}

const NOWHERE: readonly number[] = []
/** With shortest paths there are a handful. */
const MOST_CHANGES = 100

/** `most`: changes of the best route of one class, on average over the transits, until it counts as never settling. */
export function simulate(fabric: Fabric, most = MOST_CHANGES): Outcome {
  return new Simulation(fabric, most).run()
}

class Simulation {
  readonly #fabric: Fabric
  readonly #most: number
  readonly #nodes: number
  readonly #nodeOf: Int32Array
  readonly #isTransit: Uint8Array
  /** By node and class. */
  readonly #next: (readonly number[] | undefined)[]
  /** Of transits, by their index among these. */
  #candidates: Map<number, Candidate>[] = []
  #best: (Candidate | undefined)[] = []
  readonly #told = new Map<number, { four: number; six: number }>()
  /** By transit, its edges to one site of each node that it speaks with. */
  readonly #toNodes: readonly (readonly Edge[])[]
  readonly #unstable: number[] = []
  readonly #choose: Chooser
  /** Lists of neighbours, each once. */
  readonly #lists = new Map<string, readonly number[]>()

  constructor(fabric: Fabric, most: number) {
    this.#fabric = fabric
    this.#most = most
    const { sites, transits, kinds } = fabric
    this.#nodes = transits.length + kinds.length
    this.#nodeOf = new Int32Array(sites.length)
    this.#isTransit = new Uint8Array(sites.length)
    transits.forEach((site, node) => {
      this.#nodeOf[site] = node
      this.#isTransit[site] = 1
    })
    kinds.forEach((members, kind) => {
      for (const site of members) this.#nodeOf[site] = transits.length + kind
    })
    this.#next = new Array(this.#nodes * fabric.classes.all.length)
    this.#choose = new Chooser(fabric)
    this.#toNodes = transits.map((site) => {
      return [...new Map(fabric.edgesFrom[site]!.map((edge) => [this.#nodeOf[edge.to]!, edge])).values()]
    })
  }

  run(): Outcome {
    const fabric = this.#fabric
    for (const { id, owner } of fabric.classes.all) this.#spread(id, owner)
    return {
      fabric,
      next: (site, classId) =>
        fabric.classes.all[classId]!.owner === site
          ? NOWHERE
          : (this.#next[this.#nodeOf[site]! * fabric.classes.all.length + classId] ?? NOWHERE),
      nextOfNode: (node, classId) => this.#next[node * fabric.classes.all.length + classId] ?? NOWHERE,
      nodeOf: this.#nodeOf,
      nodes: this.#nodes,
      told: (from, to) => this.#toldOf(from, to),
      unstable: this.#unstable,
    }
  }

  #spread(classId: number, owner: number): void {
    const { transits, edgesFrom, kinds } = this.#fabric
    this.#candidates = transits.map(() => new Map())
    this.#best = new Array(transits.length).fill(undefined)
    const queue: number[] = []
    for (const edge of edgesFrom[owner]!) {
      if (this.#isTransit[edge.to] === 1 && this.#offer(edge, classId, owner, undefined)) queue.push(edge.to)
    }
    this.#settle(queue, classId, owner)
    transits.forEach((site, node) => {
      if (site !== owner) this.#put(node, classId, this.#choose.run([...this.#candidates[node]!.values()]))
    })
    kinds.forEach((members, kind) => {
      const member = members[0] === owner ? members[1] : members[0]
      if (member !== undefined) this.#chooseKind(kind, member, classId, owner)
    })
    this.#count(classId, owner)
  }

  #settle(queue: number[], classId: number, owner: number): void {
    let left = this.#most * (this.#fabric.transits.length + 1)
    for (let at = 0; at < queue.length; at++) {
      if (left-- === 0) {
        this.#unstable.push(classId)
        return
      }
      const site = queue[at]!
      const node = this.#nodeOf[site]!
      const [best] = this.#choose.run([...this.#candidates[node]!.values()])
      if (isSame(best, this.#best[node])) continue
      this.#best[node] = best
      for (const edge of this.#fabric.edgesFrom[site]!) {
        if (this.#isTransit[edge.to] !== 1 || edge.to === owner) continue
        if (this.#offer(edge, classId, owner, best)) queue.push(edge.to)
      }
    }
  }

  /** What a transit, or the owner, tells another transit. Returns whether that is news. */
  #offer(edge: Edge, classId: number, owner: number, best: Candidate | undefined): boolean {
    const candidates = this.#candidates[this.#nodeOf[edge.to]!]!
    const before = candidates.get(edge.from)
    const after = edge.from === owner || best !== undefined ? this.#heard(edge, classId, owner, best) : undefined
    if (after === undefined) return candidates.delete(edge.from)
    candidates.set(edge.from, after)
    return !isSame(before, after)
  }

  /** What `edge.to` makes of what `edge.from` tells it; undefined: it is not told, or does not take it. */
  #heard(edge: Edge, classId: number, owner: number, best: Candidate | undefined): Candidate | undefined {
    const prepend = this.#tells(edge, classId, owner, best)
    if (prepend === undefined) return undefined
    for (let route = best?.route; route !== undefined; route = route.before)
      if (route.from === edge.to) return undefined
    const preference = edge.receive.value(classId)
    if (preference === undefined) return undefined
    const length = (best?.route.length ?? 0) + 1 + prepend
    return { preference, route: { from: edge.from, before: best?.route, length } }
  }

  /** How often the sender adds itself; undefined: it tells nothing. Nobody is told of its own best way back. */
  #tells(edge: Edge, classId: number, owner: number, best: Candidate | undefined): number | undefined {
    if (edge.from !== owner && (best === undefined || best.route.from === edge.to)) return undefined
    return edge.send.value(classId)
  }

  /** `member`: any of them but the owner. */
  #chooseKind(kind: number, member: number, classId: number, owner: number): void {
    const candidates: Candidate[] = []
    for (const edge of this.#fabric.edgesTo[member]!) {
      const best = this.#isTransit[edge.from] === 1 ? this.#best[this.#nodeOf[edge.from]!] : undefined
      if (edge.from !== owner && best === undefined) continue
      const heard = this.#heard(edge, classId, owner, edge.from === owner ? undefined : best)
      if (heard !== undefined) candidates.push(heard)
    }
    this.#put(this.#fabric.transits.length + kind, classId, this.#choose.run(candidates))
  }

  #put(node: number, classId: number, used: readonly Candidate[]): void {
    if (used.length === 0) return
    const from = used.map(({ route }) => route.from)
    const key = from.join()
    const list = this.#lists.get(key) ?? from
    this.#lists.set(key, list)
    this.#next[node * this.#fabric.classes.all.length + classId] = list
  }

  /**
   * Counts what each is told, also where it does not take it: limits are on what comes in. Sites of one kind are told
   * the same but for what is their own.
   */
  #count(classId: number, owner: number): void {
    const { classes, transits, edgesFrom, sites } = this.#fabric
    const { prefixes, four } = classes.all[classId]!
    const add = (key: number, sign: 1 | -1) => {
      const told = this.#told.get(key) ?? { four: 0, six: 0 }
      this.#told.set(key, told)
      told.four += sign * four
      told.six += sign * (prefixes.length - four)
    }
    const toSite = (edge: Edge) => edge.from * sites.length + edge.to
    const toNode = (edge: Edge) => -1 - (edge.from * this.#nodes + this.#nodeOf[edge.to]!)
    for (const edge of edgesFrom[owner]!) if (edge.send.value(classId) !== undefined) add(toSite(edge), 1)
    for (const [node, site] of transits.entries()) {
      const best = this.#best[node]
      if (site === owner || best === undefined) continue
      for (const edge of this.#toNodes[node]!) {
        const isTold = best.route.from !== edge.to || this.#isTransit[edge.to] === 0
        if (isTold && edge.send.value(classId) !== undefined) add(toNode(edge), 1)
      }
      if (best.route.from !== owner || this.#isTransit[owner] === 1) continue
      const back = edgesFrom[site]!.find(({ to }) => to === owner)
      if (back !== undefined && back.send.value(classId) !== undefined) add(toSite(back), -1)
    }
  }

  #toldOf(from: number, to: number): { readonly four: number; readonly six: number } {
    const own = this.#told.get(from * this.#fabric.sites.length + to)
    const asOthers = this.#told.get(-1 - (from * this.#nodes + this.#nodeOf[to]!))
    return { four: (own?.four ?? 0) + (asOthers?.four ?? 0), six: (own?.six ?? 0) + (asOthers?.six ?? 0) }
  }
}

/** The decision process of the RIB over candidates. */
class Chooser {
  #candidates: readonly Candidate[] = []
  readonly #decision: Decision
  readonly #order: number[] = []

  constructor({ sites }: Fabric) {
    const of = (index: number) => this.#candidates[index]!
    const addressless = new Uint8Array(0)
    const ids = sites.map(({ routing }) => numberOf(routing.routerId))
    const view: RouteView = {
      isLocal: () => false,
      localPref: (index) => of(index).preference,
      asPathLength: (index) => of(index).route.length,
      origin: () => 0,
      med: () => 0,
      neighbourAs: (index) => sites[of(index).route.from]!.routing.as,
      isExternal: () => true,
      igpMetric: () => 0,
      routerId: (index) => ids[of(index).route.from]!,
      clusterLength: () => 0,
      peerAddress: () => addressless,
    }
    const [first] = sites
    const options =
      first === undefined ? {} : ribOf({ ...first.routing, advertise: [], groups: [], neighbours: [] }).decision
    this.#decision = new Decision(view, { ...DEFAULT_DECISION, ...options })
  }

  /** Those in use, the best first. */
  run(candidates: readonly Candidate[]): readonly Candidate[] {
    if (candidates.length <= 1) return candidates
    this.#candidates = candidates
    for (let i = 0; i < candidates.length; i++) this.#order[i] = i
    const used = this.#decision.run(this.#order, candidates.length)
    return this.#order.slice(0, used).map((index) => candidates[index]!)
  }
}

function isSame(one: Candidate | undefined, other: Candidate | undefined): boolean {
  if (one === undefined || other === undefined) return one === other
  if (one.preference !== other.preference) return false
  let [left, right]: (Route | undefined)[] = [one.route, other.route]
  while (left !== right) {
    if (left === undefined || right === undefined) return false
    if (left.from !== right.from || left.length !== right.length) return false
    left = left.before
    right = right.before
  }
  return true
}

function numberOf(routerId: string): number {
  return routerId.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
}
