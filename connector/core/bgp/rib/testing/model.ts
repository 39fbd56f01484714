/**
 * What only tests use: a RIB that computes everything from scratch each time, from the RFCs' text, without sharing a
 * line with the real one. Slow, and short enough to be seen to be right.
 */
import type { PathAttributes } from '../../wire/types.ts'
import { LOCAL_AS, ROUTER_ID } from './world.ts'

export interface ModelRoute {
  readonly attributes: PathAttributes
  readonly hop: string
  stale: boolean
}

export interface ModelNeighbour {
  readonly id: string
  readonly peerAs: number
  readonly routerId: number
  /** For the last step. */
  readonly address: number
  readonly nextHopSelf?: boolean
  /** It is a provider of ours (RFC 9234). */
  readonly isProvider?: boolean
  up: boolean
  readonly routes: Map<string, ModelRoute>
}

export interface ModelCandidate {
  readonly from: ModelNeighbour | undefined
  readonly attributes: PathAttributes
  readonly hop: string
  readonly cost: number
}

/** A policy as a function; undefined: reject. `local`: we originate it. */
export type ModelPolicy = (prefix: string, attributes: PathAttributes, local: boolean) => PathAttributes | undefined

export class Model {
  readonly neighbours: ModelNeighbour[]
  readonly local = new Map<string, PathAttributes>()
  readonly costs: Map<string, number | undefined>
  importPolicy: ModelPolicy
  exportPolicy: ModelPolicy
  readonly maxPaths: number

  constructor(
    neighbours: ModelNeighbour[],
    costs: Map<string, number | undefined>,
    policies: { in: ModelPolicy; out: ModelPolicy },
    maxPaths: number,
  ) {
    this.neighbours = neighbours
    this.costs = costs
    this.importPolicy = policies.in
    this.exportPolicy = policies.out
    this.maxPaths = maxPaths
  }

  get prefixes(): string[] {
    return [...new Set([...this.neighbours.flatMap(({ routes }) => [...routes.keys()]), ...this.local.keys()])]
  }

  /** Those in use: the best first. */
  chosen(prefix: string): ModelCandidate[] {
    let left = this.#candidates(prefix)
    const least = (key: (candidate: ModelCandidate) => number) => {
      const value = Math.min(...left.map(key))
      left = left.filter((candidate) => key(candidate) === value)
    }
    least(({ from }) => (from === undefined ? 0 : 1))
    least(({ attributes }) => -(attributes.localPref ?? 100))
    least(({ attributes }) => pathLength(attributes))
    least(({ attributes }) => attributes.origin)
    left = left.filter(
      (m) => !left.some((n) => neighbourAs(m) === neighbourAs(n) && (n.attributes.med ?? 0) < (m.attributes.med ?? 0)),
    )
    least(({ from }) => (from !== undefined && from.peerAs === LOCAL_AS ? 1 : 0))
    least(({ cost }) => cost)
    const ordered = left.toSorted(
      (one, other) => idOf(one) - idOf(other) || (one.from?.address ?? 0) - (other.from?.address ?? 0),
    )
    return ordered.filter((one) => neighbourAs(one) === neighbourAs(ordered[0]!)).slice(0, this.maxPaths)
  }

  /** What the neighbour is told of the prefix. */
  told(to: ModelNeighbour, prefix: string): { attributes: PathAttributes; hop: string } | undefined {
    const best = this.chosen(prefix)[0]
    if (best === undefined || best.from === to) return undefined
    const isInternal = to.peerAs === LOCAL_AS
    const { attributes } = best
    if (isInternal && best.from !== undefined && best.from.peerAs === LOCAL_AS) return undefined
    if (!isInternal && attributes.communities?.includes(0xffffff01) === true) return undefined
    if (to.isProvider === true && attributes.onlyToCustomer !== undefined) return undefined
    const { med, ...withoutMed } = attributes
    if (this.exportPolicy(prefix, attributes, best.from === undefined) === undefined) return undefined
    const start = isInternal || best.from === undefined ? attributes : withoutMed
    const after = this.exportPolicy(prefix, { ...start }, best.from === undefined)!
    const isSelf = !isInternal || best.from === undefined || to.nextHopSelf === true
    const hop = isSelf ? 'self' : best.hop
    if (isInternal) return { attributes: { ...after, localPref: after.localPref ?? 100 }, hop }
    const { localPref, originatorId, ...outside } = after
    return { attributes: { ...outside, asPath: prepend(after, 1) }, hop }
  }

  #candidates(prefix: string): ModelCandidate[] {
    const candidates: ModelCandidate[] = []
    for (const from of this.neighbours) {
      const route = from.routes.get(prefix)
      if (route === undefined) continue
      const attributes = this.#imported(from, prefix, route.attributes)
      const cost = this.costs.get(route.hop)
      if (attributes !== undefined && cost !== undefined) candidates.push({ from, attributes, hop: route.hop, cost })
    }
    const local = this.local.get(prefix)
    if (local !== undefined) candidates.push({ from: undefined, attributes: local, hop: '0.0.0.0', cost: 0 })
    return candidates
  }

  #imported(from: ModelNeighbour, prefix: string, attributes: PathAttributes): PathAttributes | undefined {
    if (attributes.asPath.some(({ asns }) => asns.includes(LOCAL_AS))) return undefined
    if (attributes.originatorId === ROUTER_ID) return undefined
    const marked = { ...attributes }
    const mark = from.isProvider === true && attributes.onlyToCustomer === undefined
    const seen: PathAttributes = mark ? { ...marked, onlyToCustomer: from.peerAs } : marked
    const leaving = attributes.communities?.includes(0xffff0000) === true
    return this.importPolicy(prefix, leaving ? { ...seen, localPref: 0 } : seen, false)
  }
}

export function prepend({ asPath }: PathAttributes, times: number): PathAttributes['asPath'] {
  const added = new Array<number>(times).fill(LOCAL_AS)
  return [{ type: 'sequence', asns: [...added, ...(asPath[0]?.asns ?? [])] }, ...asPath.slice(1)]
}

function pathLength({ asPath }: PathAttributes): number {
  return asPath.reduce((sum, { asns }) => sum + asns.length, 0)
}

function neighbourAs({ attributes }: ModelCandidate): number {
  return attributes.asPath[0]?.asns[0] ?? LOCAL_AS
}

function idOf({ from, attributes }: ModelCandidate): number {
  return attributes.originatorId ?? from?.routerId ?? 0
}
