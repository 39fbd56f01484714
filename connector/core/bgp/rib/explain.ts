/** Everything about one prefix: who announces it, why each route is not used, who is told of it, and who is not. */
import type { Instant } from '../../../../protocol/machine.ts'
import { familyOf, type Prefix } from '../../../../protocol/net.ts'
import { blockOf } from '../wire/prefixes.ts'
import type { NextHop, PathAttributes } from '../wire/types.ts'
import { dampingKey, isEligible, isLive, type RibContext } from './context.ts'
import type { Exporter } from './exporter.ts'
import type { FamilyRib } from './family.ts'
import { LOCAL, type Neighbour } from './neighbour.ts'
import type { NextHopSet } from './next-hop-sets.ts'
import { UNREACHABLE } from './next-hops.ts'
import { type DecisionStep, INELIGIBLE, type Ineligible, type NotAdvertised } from './reasons.ts'
import { NO_ROUTE } from './routes.ts'
import type { Selection } from './selection.ts'

export interface Explanation {
  readonly prefix: Prefix
  /** As forwarding has it. */
  readonly nextHops: NextHopSet
  /** The best first, then what is used beside it, then the others. */
  readonly candidates: readonly Candidate[]
  /** By neighbour, our own routes aside. */
  readonly advertised: readonly AdvertisedTo[]
}

export interface Candidate {
  readonly neighbour: string
  /** As received. */
  readonly attributes: PathAttributes
  /** As the import policy left it, where the route is eligible. */
  readonly accepted?: PathAttributes
  readonly nextHop: NextHop
  /** Interior cost of the next hop; absent where it cannot be reached. */
  readonly igpMetric?: number
  readonly state: 'best' | 'multipath' | 'lost' | 'ineligible'
  /** Of `lost`: the step of the decision; of `ineligible`: why. */
  readonly why?: DecisionStep | Ineligible | 'next-hop-unreachable' | 'damped'
  /** The rule of the import policy that decided. */
  readonly rule?: string
  /** Of a neighbour that is restarting. */
  readonly stale: boolean
  /** Of flap damping; zero where nothing is remembered. */
  readonly penalty: number
  /** Seconds since it was announced like that. */
  readonly ageSeconds: number
}

export interface AdvertisedTo {
  readonly neighbour: string
  /** What the neighbour has from us; absent: nothing. */
  readonly attributes?: PathAttributes
  readonly nextHop?: NextHop
  /** Why the best route is not for it. */
  readonly why?: NotAdvertised
  /** The rule of the export policy that decided. */
  readonly rule?: string
}

export class Explainer {
  readonly #context: RibContext
  readonly #selection: Selection
  readonly #exporter: Exporter

  constructor(context: RibContext, selection: Selection, exporter: Exporter) {
    this.#context = context
    this.#selection = selection
    this.#exporter = exporter
  }

  explain(prefix: Prefix, now: Instant): Explanation | undefined {
    const rib = this.#context.ribs[familyOf(prefix)]
    const pid = rib.table.find(blockOf(rib.family, [prefix]), 0)
    if (pid < 0) return undefined
    const advertised = this.#context.neighbours
      .filter(({ index, isRemoved }) => index !== LOCAL && !isRemoved)
      .map((neighbour) => this.#advertisedTo(neighbour, rib, pid))
    this.#exporter.finish()
    const nextHops = this.#selection.setOf(rib, pid)
    return { prefix, nextHops, candidates: this.#candidates(rib, pid, now), advertised }
  }

  #candidates(rib: FamilyRib, pid: number, now: Instant): Candidate[] {
    const eligible: number[] = []
    const ineligible: Candidate[] = []
    for (let route = rib.routes.head[pid]!; route !== NO_ROUTE; route = rib.routes.next[route]!) {
      if (!isLive(this.#context, rib, route)) continue
      if (isEligible(this.#context, rib, route)) eligible.push(route)
      else ineligible.push(this.#candidate(rib, pid, route, now, 'ineligible', this.#whyNot(rib, route)))
    }
    const lost = new Map<number, DecisionStep>()
    const decision = this.#selection.decisionOf(rib)
    const used = decision.run(eligible, eligible.length, (route, step) => lost.set(route, step))
    const chosen = eligible.map((route, i) => {
      const state = i === 0 ? 'best' : i < used ? 'multipath' : 'lost'
      return this.#candidate(rib, pid, route, now, state, lost.get(route))
    })
    return [...chosen, ...ineligible]
  }

  #whyNot({ routes }: FamilyRib, route: number): Candidate['why'] {
    const reason = INELIGIBLE[routes.ineligible[route]!]!
    if (reason !== 'accepted') return reason
    return routes.suppressed[route] === 1 ? 'damped' : 'next-hop-unreachable'
  }

  #candidate(
    rib: FamilyRib,
    pid: number,
    route: number,
    now: Instant,
    state: Candidate['state'],
    why: Candidate['why'],
  ): Candidate {
    const { routes, table, family } = rib
    const { paths, hops, neighbours, importer, damping } = this.#context
    const [received, path] = [routes.received[route]!, routes.path[route]!]
    const neighbour = neighbours[routes.neighbour[route]!]!
    const cost = neighbour.index === LOCAL ? 0 : hops.cost(paths.hop[received]!)
    const rule = importer.ruleOf(neighbour, received, table.all, pid)
    return {
      neighbour: neighbour.config.id,
      attributes: paths.attributes(received),
      ...(path === 0 ? {} : { accepted: paths.attributes(path) }),
      nextHop: paths.nextHop(received),
      ...(cost === UNREACHABLE ? {} : { igpMetric: cost }),
      state,
      ...(why === undefined ? {} : { why }),
      ...(rule === undefined ? {} : { rule }),
      stale: routes.generation[route] !== neighbour.of[family].generations.current,
      penalty: damping.penalty(dampingKey(neighbour.index, family, pid), now),
      ageSeconds: Math.max(0, Math.floor(now / 1000) - routes.since[route]!),
    }
  }

  #advertisedTo(neighbour: Neighbour, rib: FamilyRib, pid: number): AdvertisedTo {
    const { paths } = this.#context
    const sent = neighbour.of[rib.family].out.sent(pid)
    const result = this.#exporter.run(neighbour, rib, pid)
    const rule = this.#exporter.ruleOf(neighbour, rib, pid)
    return {
      neighbour: neighbour.config.id,
      ...(sent === 0 ? {} : { attributes: paths.attributes(sent), nextHop: paths.nextHop(sent) }),
      ...(typeof result === 'number' ? {} : { why: result }),
      ...(rule === undefined ? {} : { rule }),
    }
  }
}
