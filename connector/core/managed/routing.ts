/**
 * From the routing section of a document to BGP: what the speaker is configured with, and in `ribOf` the part of it that
 * decides about routes, which the control plane's plan runs as well.
 *
 * Default deny: a route passes only where a rule names its prefix and the AS that originates it.
 */
import type {
  DocumentRouting,
  ReceiveRule,
  RouteGroup,
  RouteRange,
  RoutingNeighbour,
  SendRule,
} from '../../../protocol/control/routing.ts'
import { type Address, addressBytes, formatAddress, type Prefix, prefix } from '../../../protocol/net.ts'
import type { DecisionOptions } from '../bgp/rib/decision.ts'
import type { Policy, PolicyActions, PolicyDocument, PolicyRule, PrefixRule } from '../bgp/rib/policy-types.ts'
import { compilePrefixList, inPrefixList, type PrefixList } from '../bgp/rib/prefix-list.ts'
import type { NeighbourConfig } from '../bgp/rib/types.ts'
import { SESSION_DEFAULTS } from '../bgp/session-types.ts'
import type { SpeakerConfig, SpeakerNeighbour } from '../bgp/speaker-types.ts'
import { blockOf } from '../bgp/wire/prefixes.ts'

/** What a RIB is made and fed with. Everything is plain data. */
export interface RoutingRib {
  readonly localAs: number
  readonly routerId: number
  readonly ownAddresses: readonly Address[]
  readonly networks: readonly Prefix[]
  readonly policies: PolicyDocument
  readonly decision: Partial<DecisionOptions>
  readonly neighbours: readonly NeighbourConfig[]
}

const BGP_PORT = 179
const HOLD_TIME_S = 30
const CONNECT_RETRY_MS = 5_000
const IDLE_HOLD_MS = { first: 1_000, most: 15_000 }
/** Of all sessions inside tunnels. */
export const SESSION = {
  ...SESSION_DEFAULTS,
  families: [4, 6],
  holdTimeS: HOLD_TIME_S,
  connectRetryMs: CONNECT_RETRY_MS,
  idleHoldMs: IDLE_HOLD_MS,
} as const
/** RFC 4486 section 4: a neighbour that was shut out for its prefixes comes back. */
export const LIMIT_RESTART_MS = 300_000
/** How far a noisy host may stretch BFD's intervals. */
const ADAPT_MAX_MS = 2_000
const OURS = 'ours'
/** Characters of a policy's name. */
const MOST_NAME = 120
export const DECISION = { maxPaths: 4, multipathRelax: true } as const

/**
 * `own`: what this site owns; nobody may announce parts of it to us, whatever the rules say. `nameOf`: what the neighbour
 * at the other end of a tunnel is called; absent: as the tunnel's identifier.
 */
export function ribOf(
  routing: DocumentRouting,
  own: readonly Prefix[] = [],
  nameOf: (tunnel: string) => string = (tunnel) => tunnel,
): RoutingRib {
  const policies = new Policies(routing, own)
  const neighbours = routing.neighbours.map((neighbour): NeighbourConfig => {
    return {
      id: nameOf(neighbour.tunnel),
      peerAs: neighbour.as,
      address: neighbour.address as Address,
      importPolicy: policies.ofImport(neighbour.receive),
      exportPolicy: policies.ofExport(neighbour.send),
      maxPrefixes: { limit: neighbour.maxPrefixes, restartMs: LIMIT_RESTART_MS },
      acceptDefault: policies.takesDefault(neighbour.receive),
    }
  })
  return {
    localAs: routing.as,
    routerId: new DataView(addressBytes(routing.routerId as Address).buffer).getUint32(0),
    ownAddresses: routing.neighbours.flatMap(({ local }) => [local as Address, mapped(local)]),
    networks: [...new Set(routing.advertise)] as Prefix[],
    policies: policies.document,
    decision: DECISION,
    neighbours,
  }
}

/** `nameOf`: the connection that a tunnel is, and with it the neighbour. */
export function speakerOf(
  routing: DocumentRouting,
  own: readonly Prefix[],
  nameOf: (tunnel: string) => string,
): SpeakerConfig {
  const { neighbours, ...rib } = ribOf(routing, own, (tunnel) => neighbourName(nameOf(tunnel)))
  return {
    ...rib,
    tunnels: routing.neighbours.map(({ tunnel, local }) => ({ name: nameOf(tunnel), prefixes: insidePrefixes(local) })),
    neighbours: routing.neighbours.map((neighbour, i) => speakerNeighbour(neighbour, neighbours[i]!, nameOf)),
  }
}

/** `local` is what the RIB calls ourselves; no name of a tunnel has capitals. */
export function neighbourName(tunnel: string): string {
  return tunnel === 'local' ? 'LOCAL' : tunnel
}

/** The /30 that both ends of a tunnel are in. */
export function insideNetwork(local: string): Prefix {
  return prefix(`${local}/30`)
}

/** All that is within any of the prefixes, and they themselves. */
export function everythingIn(prefixes: readonly string[]): PrefixList {
  return compilePrefixList(prefixes.map((prefix) => ({ prefix, le: mostOf(prefix) })))
}

export function isIn(list: PrefixList, prefix: string): boolean {
  return inPrefixList(list, blockOf(prefix.includes(':') ? 6 : 4, [prefix as Prefix]), 0)
}

function speakerNeighbour(
  { tunnel, local, bfd }: RoutingNeighbour,
  { id, ...rib }: NeighbourConfig,
  nameOf: (tunnel: string) => string,
): SpeakerNeighbour {
  return {
    name: id,
    tunnel: nameOf(tunnel),
    local: local as Address,
    session: SESSION,
    transport: { port: BGP_PORT, gtsmHops: 1 },
    rib,
    // As RFC 4798 section 2 has it where IPv6 goes over neighbours that have IPv4 addresses: nobody ever sends to it.
    nextHops: { 4: { address: local as Address }, 6: { address: mapped(local) } },
    ...(bfd === undefined
      ? {}
      : {
          bfd: {
            desiredMinTxMs: bfd.intervalMs,
            requiredMinRxMs: bfd.intervalMs,
            detectMult: bfd.multiplier,
            adaptMaxMs: Math.max(bfd.intervalMs, ADAPT_MAX_MS),
          },
        }),
  }
}

function insidePrefixes(local: string): readonly Prefix[] {
  return [insideNetwork(local), prefix(`${mapped(local)}/126`)]
}

/** The IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2). */
function mapped(local: string): Address {
  const bytes = new Uint8Array(16)
  bytes.fill(0xff, 10, 12)
  bytes.set(addressBytes(local as Address), 12)
  return formatAddress(bytes)
}

/** One policy for each distinct list of rules, one prefix list for each origin of a group: a hub's neighbours share them. */
class Policies {
  readonly #self: number
  readonly #groups: ReadonlyMap<string, RouteGroup>
  readonly #guard: readonly PolicyRule[]
  readonly #lists: Record<string, readonly PrefixRule[]> = {}
  readonly #policies: Record<string, Policy> = {}
  readonly #names = new Map<string, string>()

  constructor({ as, groups }: DocumentRouting, own: readonly Prefix[]) {
    this.#self = as
    this.#groups = new Map(groups.map((group) => [group.name, group]))
    // Who owns a default route owns everything, and wants to hear of it all the same.
    const guarded = own.filter((each) => !each.endsWith('/0'))
    this.#guard = guarded.length === 0 ? [] : [{ name: 'ours', if: { prefixes: OURS }, do: 'reject' }]
    if (guarded.length > 0) this.#lists[OURS] = guarded.map((prefix) => ({ prefix, le: mostOf(prefix) }))
  }

  get document(): PolicyDocument {
    return { prefixLists: this.#lists, policies: this.#policies }
  }

  takesDefault(rules: readonly ReceiveRule[]): boolean {
    const ranges = rules.flatMap(({ group }) => this.#groups.get(group)?.origins ?? []).flatMap(({ ranges }) => ranges)
    return ranges.some(({ prefix }) => prefix.endsWith('/0'))
  }

  ofImport(rules: readonly ReceiveRule[]): string {
    const words = rules.map(({ group, preference }) => `${group}=${preference}`)
    return this.#policy(['from', ...words], () => [
      ...this.#guard,
      ...rules.flatMap((rule) => this.#rulesOf(rule.group, { localPref: rule.preference })),
    ])
  }

  ofExport(rules: readonly SendRule[]): string {
    const words = rules.map(
      ({ group, med, prepend }) => `${group}${med === undefined ? '' : `=${med}`}${'+'.repeat(prepend)}`,
    )
    return this.#policy(['to', ...words], () =>
      rules.flatMap(({ group, med, prepend }) => {
        const actions = {
          ...(med === undefined ? {} : { med }),
          ...(prepend === 0 ? {} : { prepend: { times: prepend } }),
        }
        return this.#rulesOf(group, actions)
      }),
    )
  }

  /** Says in its name what it does, for `routes explain`. */
  #policy(words: readonly string[], rules: () => readonly PolicyRule[]): string {
    const key = words.join(' ')
    const known = this.#names.get(key)
    if (known !== undefined) return known
    const name = key.length <= MOST_NAME ? key : `${key.slice(0, MOST_NAME)}... (${this.#names.size})`
    this.#names.set(key, name)
    this.#policies[name] = { rules: rules() }
    return name
  }

  #rulesOf(group: string, set: PolicyActions): PolicyRule[] {
    const { origins = [] } = this.#groups.get(group) ?? {}
    return origins.map(({ as, ranges }): PolicyRule => {
      const list = `${group} AS${as}`
      this.#lists[list] ??= ranges.map(ruleOf)
      const origin = as === this.#self ? { from: ['local'] } : { asPath: `* ${as}` }
      return { name: list, if: { ...origin, prefixes: list }, set, do: 'accept' }
    })
  }
}

function ruleOf({ prefix, le }: RouteRange): PrefixRule {
  return le === undefined ? { prefix } : { prefix, le }
}

function mostOf(prefix: string): number {
  return prefix.includes(':') ? 128 : 32
}
