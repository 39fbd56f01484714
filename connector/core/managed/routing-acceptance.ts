/**
 * What of a document's routing this site carries out. It advertises only what its own people said that it owns, whoever
 * asks for more, and takes nothing that makes no sense: the rest is carried out all the same.
 */
import type { ConnectorDocument } from '../../../protocol/control/document.ts'
import type { DocumentRouting, RouteGroup, RoutingNeighbour } from '../../../protocol/control/routing.ts'
import { type Address, addressBytes, familyOf, type Prefix, prefixContains } from '../../../protocol/net.ts'
import { isMartian } from '../bgp/rib/martians.ts'
import { prefixRuleFault } from '../bgp/rib/prefix-list.ts'
import { blockOf } from '../bgp/wire/prefixes.ts'
import { everythingIn, insideNetwork, isIn } from './routing.ts'

export interface AcceptedRouting {
  readonly routing: DocumentRouting
  /** In words, at most 100 of at most 512 characters. */
  readonly refused: readonly string[]
}

/** RFC 3927: no packet to these leaves a link. */
const INSIDE = '169.254.0.0/16' as Prefix
const MOST_REFUSED = 100
const MOST_TEXT = 512
/** What a policy holds. */
const MOST_ORIGINS = 10_000

/** Undefined where the document has no routing, or none of it can be. */
export function acceptRouting(
  document: Pick<ConnectorDocument, 'tunnels' | 'routing'>,
  owns: readonly Prefix[],
): AcceptedRouting | undefined {
  const { routing } = document
  if (routing === undefined) return undefined
  const judge = new Judge(routing, new Set(document.tunnels.map(({ id }) => id)), owns)
  return { routing: judge.accepted(), refused: judge.words() }
}

class Judge {
  readonly #routing: DocumentRouting
  readonly #tunnels: ReadonlySet<string>
  readonly #owns: readonly Prefix[]
  readonly #refused: string[] = []

  constructor(routing: DocumentRouting, tunnels: ReadonlySet<string>, owns: readonly Prefix[]) {
    this.#routing = routing
    this.#tunnels = tunnels
    this.#owns = owns
  }

  accepted(): DocumentRouting {
    const routing = this.#routing
    if (routing.routerId === '0.0.0.0') {
      this.#refused.push('No routing at all: 0.0.0.0 is no BGP identifier.')
      return { ...routing, routerId: '0.0.0.1', advertise: [], groups: [], neighbours: [] }
    }
    const groups = this.#groups()
    const parts = groups.map((group) => ownPart(group, routing.as))
    const ownOnly = new Map(groups.flatMap(({ name }, i) => (parts[i] === undefined ? [] : [[name, parts[i].name]])))
    const all = [...groups, ...parts.filter((part, i) => part !== undefined && part !== groups[i])] as RouteGroup[]
    const origins = new Map(all.map(({ name, origins: { length } }) => [name, length]))
    return { ...routing, advertise: this.#advertised(), groups: all, neighbours: this.#neighbours(ownOnly, origins) }
  }

  words(): readonly string[] {
    return boundedWords(this.#refused)
  }

  #advertised(): string[] {
    const owned = everythingIn(this.#owns)
    return this.#routing.advertise.filter((prefix) => {
      const reason = martian(prefix)
        ? 'nobody may announce it'
        : isIn(owned, prefix)
          ? undefined
          : 'this site does not own it; where it does, say so there with isthmus own'
      if (reason !== undefined) this.#refused.push(`${prefix} is not advertised: ${reason}.`)
      return reason === undefined
    })
  }

  /** Ranges that make no sense are left out; of others, that a part of ours is among them is told. */
  #groups(): RouteGroup[] {
    const ours = everythingIn(this.#owns.filter((prefix) => !prefix.endsWith('/0')))
    const received = new Set(this.#routing.neighbours.flatMap(({ receive }) => receive.map(({ group }) => group)))
    return this.#routing.groups.map(({ name, origins }) => ({
      name,
      origins: origins.map(({ as, ranges }) => ({
        as,
        ranges: ranges.filter(({ prefix, le }) => {
          const fault = prefixRuleFault(le === undefined ? { prefix } : { prefix, le })
          if (fault !== undefined) this.#refused.push(`${prefix} of ${name} is not taken: ${fault}`)
          else if (as !== this.#routing.as && received.has(name) && isIn(ours, prefix)) {
            this.#refused.push(`${prefix} is not taken from AS ${as}: this site owns it.`)
          }
          return fault === undefined
        }),
      })),
    }))
  }

  #neighbours(ownOnly: ReadonlyMap<string, string>, origins: ReadonlyMap<string, number>): RoutingNeighbour[] {
    const tunnels = new Set<string>()
    const networks = new Set<Prefix>()
    return this.#routing.neighbours.flatMap((neighbour) => {
      const fault = this.#faultOf(neighbour, tunnels, networks)
      if (fault !== undefined) {
        this.#refused.push(`No BGP with ${neighbour.site} over ${neighbour.tunnel}: ${fault}.`)
        return []
      }
      tunnels.add(neighbour.tunnel)
      networks.add(insideNetwork(neighbour.local))
      const receive = this.#withinBounds(neighbour, neighbour.receive, origins)
      const send = this.#withinBounds(neighbour, this.#sendable(neighbour, ownOnly), origins)
      return [{ ...neighbour, receive, send }]
    })
  }

  /** Who is no hub tells of nothing that others own: it would draw packets that it does not pass on. */
  #sendable({ site, send }: RoutingNeighbour, ownOnly: ReadonlyMap<string, string>): RoutingNeighbour['send'] {
    if (this.#routing.transit) return send
    return send.flatMap((rule) => {
      const group = ownOnly.get(rule.group)
      if (group !== undefined) return [{ ...rule, group }]
      if (!this.#routing.groups.some(({ name }) => name === rule.group)) return []
      this.#refused.push(`${rule.group} is not told to ${site}: other sites own it, and this one is no hub.`)
      return []
    })
  }

  #faultOf(
    { tunnel, as, local, address }: RoutingNeighbour,
    tunnels: ReadonlySet<string>,
    networks: ReadonlySet<Prefix>,
  ): string | undefined {
    if (!this.#tunnels.has(tunnel)) return 'there is no such tunnel'
    if (tunnels.has(tunnel)) return 'it is there twice'
    if (as === this.#routing.as) return `its AS ${as} is ours`
    if (![local, address].every(isInside)) return `${local} and ${address} are not both in ${INSIDE}`
    if (insideNetwork(local) !== insideNetwork(address) || !areHosts(local, address)) {
      return `${local} and ${address} are not the two hosts of one /30`
    }
    return networks.has(insideNetwork(local)) ? `${insideNetwork(local)} is that of another tunnel` : undefined
  }

  #withinBounds<Rule extends { readonly group: string }>(
    { site }: RoutingNeighbour,
    rules: readonly Rule[],
    origins: ReadonlyMap<string, number>,
  ): Rule[] {
    let left = MOST_ORIGINS - 1
    return rules.filter(({ group }) => {
      const count = origins.get(group) ?? 0
      if (count <= left) {
        left -= count
        return true
      }
      this.#refused.push(`${group} is left out towards ${site}: more than ${MOST_ORIGINS} ASes.`)
      return false
    })
  }
}

/** Each once: at most 100 of at most 512 characters. */
export function boundedWords(words: readonly string[]): string[] {
  const all = [...new Set(words)].map((text) => text.slice(0, MOST_TEXT))
  if (all.length <= MOST_REFUSED) return all
  return [...all.slice(0, MOST_REFUSED - 1), `And ${all.length - MOST_REFUSED + 1} more.`]
}

/** What of the group we originate: all of it, a group of its own, or nothing where it has only others' routes. */
function ownPart(group: RouteGroup, self: number): RouteGroup | undefined {
  const own = group.origins.filter(({ as }) => as === self)
  if (own.length === group.origins.length) return group
  return own.length === 0 ? undefined : { name: `${group.name} (ours)`, origins: own }
}

export function isInside(text: string): boolean {
  return familyOf(text as Address) === 4 && prefixContains(INSIDE, text as Address)
}

export function areHosts(one: string, other: string): boolean {
  const [first, second] = [lastBits(one), lastBits(other)]
  return first + second === 3 && first !== 0 && second !== 0
}

function lastBits(text: string): number {
  return addressBytes(text as Address)[3]! & 3
}

export function martian(prefix: string): boolean {
  return isMartian(blockOf(familyOf(prefix as Prefix), [prefix as Prefix]), 0)
}
