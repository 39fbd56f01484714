/** From the best route to what a neighbour is told of it, or the reason why nothing. */
import type { PathAttributes } from '../wire/types.ts'
import { COMMUNITY, hasStandard, withCommunities } from './communities.ts'
import type { FamilyRib } from './family.ts'
import { LOCAL, type Neighbour } from './neighbour.ts'
import { DEFAULT_LOCAL_PREF, NO_PATH, type Paths } from './paths.ts'
import { type CompiledPolicy, evaluate, type Policies } from './policy.ts'
import { applyActions, type CompiledActions, prepended, setsNextHopSelf } from './policy-actions.ts'
import type { NotAdvertised } from './reasons.ts'
import type { RibConfig } from './types.ts'

const GRACEFUL_SHUTDOWN: readonly [number, number] = [0xffff, 0]

/** What one best path became for one neighbour. */
interface Outcome {
  readonly from: Neighbour
  readonly actions: readonly CompiledActions[]
  readonly path: number
}

/** Use one for each drain: it keeps what it made until `finish`. */
export class Exporter {
  policies: Policies
  readonly #config: RibConfig
  readonly #paths: Paths
  readonly #neighbours: readonly Neighbour[]
  /** By best path, of the neighbour served last. */
  readonly #outcomes = new Map<number, Outcome[]>()
  #servedLast: Neighbour | undefined

  constructor(config: RibConfig, paths: Paths, neighbours: readonly Neighbour[]) {
    this.#config = config
    this.#paths = paths
    this.#neighbours = neighbours
    this.policies = config.policies
  }

  /** A path that stays valid until `finish`, or why there is none. */
  run(to: Neighbour, rib: FamilyRib, pid: number): number | NotAdvertised {
    if (this.#servedLast !== to) this.finish()
    this.#servedLast = to
    const best = rib.bestPath[pid]!
    if (best === NO_PATH) return 'no-route'
    const from = this.#neighbours[rib.bestFrom[pid]!]!
    const attributes = this.#paths.attributes(best)
    const reason = this.#refusal(to, from, attributes, rib)
    if (reason !== undefined) return reason
    const policy = this.#policyOf(to)
    if (policy === undefined) return 'no-policy'
    if (policy === 'accept-all') return this.#path(to, from, best, rib, [])
    const id = from.config.id
    const verdict = evaluate(policy, { block: rib.table.all, index: pid, attributes, from: id })
    return verdict.outcome === 'accept' ? this.#path(to, from, best, rib, verdict.actions) : 'export-policy'
  }

  finish(): void {
    for (const outcomes of this.#outcomes.values()) for (const { path } of outcomes) this.#paths.release(path)
    this.#outcomes.clear()
    this.#servedLast = undefined
  }

  /** The rule of the export policy that decides on this prefix, for `explain`. */
  ruleOf(to: Neighbour, rib: FamilyRib, pid: number): string | undefined {
    const policy = this.#policyOf(to)
    const best = rib.bestPath[pid]!
    if (typeof policy !== 'object' || best === NO_PATH) return undefined
    const from = this.#neighbours[rib.bestFrom[pid]!]!.config.id
    const attributes = this.#paths.attributes(best)
    return `${policy.name}: ${evaluate(policy, { block: rib.table.all, index: pid, attributes, from }).rule}`
  }

  /** What holds whatever the policies say. */
  #refusal(to: Neighbour, from: Neighbour, attributes: PathAttributes, rib: FamilyRib): NotAdvertised | undefined {
    if (!to.isUp) return 'neighbour-down'
    if (!to.sends(rib.family)) return 'family-not-negotiated'
    if (from === to) return 'split-horizon'
    if (from.index !== LOCAL && !from.isExternal && !to.isExternal) return 'internal'
    if (hasStandard(attributes, COMMUNITY['no-advertise'])) return 'no-advertise'
    if (!to.isExternal) return undefined
    if (hasStandard(attributes, COMMUNITY['no-export']) || hasStandard(attributes, COMMUNITY['no-export-subconfed'])) {
      return 'no-export'
    }
    return attributes.onlyToCustomer !== undefined && isUpwards(to) ? 'otc' : undefined
  }

  #path(to: Neighbour, from: Neighbour, best: number, rib: FamilyRib, actions: readonly CompiledActions[]): number {
    const outcomes = this.#outcomes.get(best) ?? []
    const known = outcomes.find((outcome) => outcome.from === from && sameList(outcome.actions, actions))
    if (known !== undefined) return known.path
    const before = this.#paths.attributes(best)
    const isSelf = to.isExternal || from.index === LOCAL || to.config.nextHopSelf === true || setsNextHopSelf(actions)
    const nextHop = isSelf ? to.nextHops[rib.family]! : this.#paths.nextHop(best)
    const path = this.#paths.intern(this.#attributes(to, from, before, actions), nextHop)
    outcomes.push({ from, actions, path })
    this.#outcomes.set(best, outcomes)
    return path
  }

  #attributes(
    to: Neighbour,
    from: Neighbour,
    before: PathAttributes,
    actions: readonly CompiledActions[],
  ): PathAttributes {
    const { localAs } = this.#config
    // What concerned the neighbour it came from is gone before policies may set it anew (RFC 4271 sections 5.1.4, 5.1.5).
    const start = to.isExternal && from.index !== LOCAL ? withoutMed(before) : before
    let result = applyActions(start, actions, localAs)
    if (to.isLeaving) result = withCommunities(result, [GRACEFUL_SHUTDOWN])
    if (!to.isExternal) return { ...result, localPref: result.localPref ?? DEFAULT_LOCAL_PREF }
    const { localPref: _, originatorId: __, clusterList: ___, ...outside } = result
    const isMarked = result.onlyToCustomer !== undefined || !isDownwards(to)
    return {
      ...outside,
      asPath: prepended(result.asPath, localAs, 1),
      ...(isMarked ? {} : { onlyToCustomer: localAs }),
    }
  }

  #policyOf({ config, isExternal }: Neighbour): CompiledPolicy | 'accept-all' | undefined {
    if (config.exportPolicy !== undefined) return this.policies.get(config.exportPolicy)
    return isExternal ? undefined : 'accept-all'
  }
}

/** RFC 9234 section 5, egress, second rule: to providers, peers and route servers. */
function isUpwards({ role }: Neighbour): boolean {
  return role === 'customer' || role === 'peer' || role === 'routeServerClient'
}

/** The first rule: to customers, peers and clients of our route server. */
function isDownwards({ role }: Neighbour): boolean {
  return role === 'provider' || role === 'peer' || role === 'routeServer'
}

function withoutMed(attributes: PathAttributes): PathAttributes {
  const { med: _, ...rest } = attributes
  return rest
}

function sameList(one: readonly CompiledActions[], other: readonly CompiledActions[]): boolean {
  return one.length === other.length && one.every((actions, i) => actions === other[i])
}
