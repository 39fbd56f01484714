/** The network that a plan runs routes over: who speaks with whom by which rules, as the documents of all sites say it. */
import type { DocumentRouting, RouteGroup } from '../../../protocol/control/routing.ts'
import { type Classes, classesOf } from './classes.ts'

export interface SimulatedSite {
  readonly id: string
  readonly name: string
  readonly routing: DocumentRouting
}

/** Of one direction of a session: which classes pass, and with what value. */
export interface RuleList {
  /** PREFERENCE where received, times of prepending where sent; undefined: it does not pass. */
  value(classId: number): number | undefined
}

/** From one site to a neighbour. Sites are indexes. */
export interface Edge {
  readonly from: number
  readonly to: number
  readonly send: RuleList
  readonly receive: RuleList
}

export interface Fabric {
  readonly sites: readonly SimulatedSite[]
  readonly classes: Classes
  readonly classesOf: readonly (readonly number[])[]
  /** Sites that tell of more than what is their own; all others only choose for themselves. */
  readonly transits: readonly number[]
  /** By site. */
  readonly edgesFrom: readonly (readonly Edge[])[]
  readonly edgesTo: readonly (readonly Edge[])[]
  /** Sites that choose alike: no transits, with the same neighbours and the same rules. */
  readonly kinds: readonly (readonly number[])[]
  readonly limits: readonly ReadonlyMap<number, number>[]
}

class Rules implements RuleList {
  readonly id: number
  readonly #list: readonly { readonly has: ReadonlySet<number>; readonly value: number }[]

  constructor(id: number, list: readonly { readonly has: ReadonlySet<number>; readonly value: number }[]) {
    this.id = id
    this.#list = list
  }

  value(classId: number): number | undefined {
    for (const { has, value } of this.#list) if (has.has(classId)) return value
    return undefined
  }
}

const NONE: ReadonlySet<number> = new Set()

export function fabricOf(sites: readonly SimulatedSite[]): Fabric {
  const groups = new Map<RouteGroup, number>()
  for (const { routing } of sites)
    for (const group of routing.groups) if (!groups.has(group)) groups.set(group, groups.size)
  const classes = classesOf(
    sites.map(({ routing }) => routing),
    groups.keys(),
  )
  const lists = new Lists(classes, groups)
  const ends = new Map<string, number[]>()
  sites.forEach(({ routing }, index) => {
    for (const { tunnel } of routing.neighbours) {
      const known = ends.get(tunnel)
      if (known === undefined) ends.set(tunnel, [index])
      else known.push(index)
    }
  })
  const rules = sites.map(({ routing }) => lists.of(routing))
  const edgesFrom: Edge[][] = sites.map(() => [])
  const edgesTo: Edge[][] = sites.map(() => [])
  for (const [tunnel, [one, other, ...rest]] of ends) {
    if (one === undefined || other === undefined || rest.length > 0) continue
    for (const [from, to] of [
      [one, other],
      [other, one],
    ] as const) {
      const edge = { from, to, send: rules[from]!.get(tunnel)!.send, receive: rules[to]!.get(tunnel)!.receive }
      edgesFrom[from]!.push(edge)
      edgesTo[to]!.push(edge)
    }
  }
  const isTransit = sites.map(({ routing }) => tellsOfOthers(routing))
  const own: number[][] = sites.map(() => [])
  for (const { id, owner } of classes.all) own[owner]!.push(id)
  return {
    sites,
    classes,
    classesOf: own,
    transits: isTransit.flatMap((is, site) => (is ? site : [])),
    edgesFrom,
    edgesTo,
    kinds: kindsOf(isTransit, edgesTo),
    limits: sites.map(({ routing }, site) => limitsOf(routing, edgesTo[site]!, sites)),
  }
}

/** Rules of neighbours, each list made once for documents that share its groups. */
class Lists {
  readonly #classes: Classes
  readonly #numbers: ReadonlyMap<RouteGroup, number>
  readonly #made = new Map<string, Rules>()

  constructor(classes: Classes, numbers: ReadonlyMap<RouteGroup, number>) {
    this.#classes = classes
    this.#numbers = numbers
  }

  /** By tunnel. */
  of({ groups, neighbours }: DocumentRouting): ReadonlyMap<string, { send: Rules; receive: Rules }> {
    const byName = new Map(groups.map((group) => [group.name, group]))
    const known = new Map<readonly unknown[], Rules>()
    const list = <Rule extends { group: string }>(rules: readonly Rule[], numberIn: (rule: Rule) => number): Rules => {
      const before = known.get(rules)
      if (before !== undefined) return before
      const found = rules.flatMap((rule) => {
        const group = byName.get(rule.group)
        return group === undefined ? [] : { group, value: numberIn(rule) }
      })
      const key = found.map(({ group, value }) => `${this.#numbers.get(group)}=${value}`).join()
      const made = this.#made.get(key) ?? this.#make(key, found)
      known.set(rules, made)
      return made
    }
    return new Map(
      neighbours.map(({ tunnel, send, receive }) => [
        tunnel,
        { send: list(send, ({ prepend }) => prepend), receive: list(receive, ({ preference }) => preference) },
      ]),
    )
  }

  #make(key: string, found: readonly { readonly group: RouteGroup; readonly value: number }[]): Rules {
    const list = found.map(({ group, value }) => ({ has: this.#classes.inGroup.get(group) ?? NONE, value }))
    const made = new Rules(this.#made.size, list)
    this.#made.set(key, made)
    return made
  }
}

function tellsOfOthers({ as, groups, neighbours }: DocumentRouting): boolean {
  const foreign = new Set(
    groups.filter(({ origins }) => origins.some((origin) => origin.as !== as)).map(({ name }) => name),
  )
  return neighbours.some(({ send }) => send.some(({ group }) => foreign.has(group)))
}

function kindsOf(isTransit: readonly boolean[], edgesTo: readonly (readonly Edge[])[]): number[][] {
  const kinds = new Map<string, number[]>()
  edgesTo.forEach((edges, site) => {
    if (isTransit[site]) return
    const key = edges
      .map(({ from, send, receive }) => `${from}:${(send as Rules).id}:${(receive as Rules).id}`)
      .sort()
      .join()
    const known = kinds.get(key)
    if (known === undefined) kinds.set(key, [site])
    else known.push(site)
  })
  return [...kinds.values()]
}

/** The most prefixes that a site takes of each neighbour, by its index. */
function limitsOf(
  { neighbours }: DocumentRouting,
  edges: readonly Edge[],
  sites: readonly SimulatedSite[],
): ReadonlyMap<number, number> {
  const byAs = new Map(edges.map(({ from }) => [sites[from]!.routing.as, from]))
  return new Map(
    neighbours.flatMap(({ as, maxPrefixes }) => {
      const from = byAs.get(as)
      return from === undefined ? [] : [[from, maxPrefixes] as const]
    }),
  )
}
