/**
 * From the routing section of a document to BGP: what the speaker is configured with, and in `ribOf` the part of it that
 * decides about routes, which the control plane's plan runs as well.
 *
 * Default deny: a route passes only where a rule names its prefix and the AS that originates it.
 */
import type { DocumentRouting, RouteRange, RoutingNeighbour } from '../../../protocol/control/routing.ts'
import { type Address, addressBytes, formatAddress, type Prefix, prefix, prefixRange } from '../../../protocol/net.ts'
import type { DecisionOptions } from '../bgp/rib/decision.ts'
import type { PolicyConditions, PolicyDocument, PolicyRule, PrefixRule } from '../bgp/rib/policy-types.ts'
import { compilePrefixList, inPrefixList, type PrefixList } from '../bgp/rib/prefix-list.ts'
import type { NeighbourConfig } from '../bgp/rib/types.ts'
import { SESSION_DEFAULTS } from '../bgp/session-types.ts'
import type { SpeakerConfig, SpeakerNeighbour } from '../bgp/speaker-types.ts'
import { blockOf } from '../bgp/wire/prefixes.ts'

type ReceiveRule = RoutingNeighbour['receive'][number]
type SendRule = RoutingNeighbour['send'][number]

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
/** RFC 4486 section 4: a neighbour that was shut out for its prefixes comes back. */
const LIMIT_RESTART_MS = 300_000
/** How far a noisy host may stretch BFD's intervals. */
const ADAPT_MAX_MS = 2_000
const DECISION = { maxPaths: 4, multipathRelax: true } as const

/**
 * `own`: what this site owns; nobody may announce parts of it to us, whatever the rules say. `nameOf`: what the neighbour
 * at the other end of a tunnel is called; absent: as the tunnel's identifier.
 */
export function ribOf(
  routing: DocumentRouting,
  own: readonly Prefix[] = [],
  nameOf: (tunnel: string) => string = (tunnel) => tunnel,
): RoutingRib {
  const named = routing.neighbours.map((neighbour) => ({ neighbour, id: nameOf(neighbour.tunnel) }))
  return {
    localAs: routing.as,
    routerId: new DataView(addressBytes(routing.routerId as Address).buffer).getUint32(0),
    ownAddresses: routing.neighbours.flatMap(({ local }) => [local as Address, mapped(local)]),
    networks: routing.advertise as Prefix[],
    policies: {
      policies: Object.fromEntries(
        named.flatMap(({ neighbour, id }) => [
          [`from-${id}`, { rules: importRules(neighbour.receive, own) }],
          [`to-${id}`, { rules: exportRules(neighbour.send, routing.as) }],
        ]),
      ),
    },
    decision: DECISION,
    neighbours: named.map(({ neighbour, id }) => ({
      id,
      peerAs: neighbour.as,
      address: neighbour.address as Address,
      importPolicy: `from-${id}`,
      exportPolicy: `to-${id}`,
      maxPrefixes: { limit: neighbour.maxPrefixes, restartMs: LIMIT_RESTART_MS },
      acceptDefault: neighbour.receive.some(({ range }) => range.prefix.endsWith('/0')),
    })),
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
  const session = {
    ...SESSION_DEFAULTS,
    families: [4, 6] as const,
    holdTimeS: HOLD_TIME_S,
    connectRetryMs: CONNECT_RETRY_MS,
    idleHoldMs: IDLE_HOLD_MS,
  }
  return {
    name: id,
    tunnel: nameOf(tunnel),
    local: local as Address,
    session,
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

function importRules(rules: readonly ReceiveRule[], own: readonly Prefix[]): PolicyRule[] {
  // Who owns a default route owns everything, and wants to hear of it all the same.
  const guarded = own.filter((each) => !each.endsWith('/0'))
  const ours = everythingIn(guarded)
  const allowed = rules.filter(({ range }) => !isIn(ours, range.prefix))
  const wide = everythingIn(widePrefixes(allowed))
  const stolen = guarded.filter((each) => isIn(wide, each))
  return byOrigin(allowed, ({ preference }) => String(preference)).flatMap(({ originAs, runs }) => {
    const list = stolen.length === 0 ? [] : everythingIn(widePrefixes(runs.flat()))
    const covered = stolen.filter((each) => isIn(list, each))
    const guard: PolicyRule[] =
      covered.length === 0 ? [] : [{ if: conditions(originAs, covered.map(within)), do: 'reject' }]
    const accepting = runs.map((run): PolicyRule => {
      const prefixes = run.map(({ range }) => ruleOf(range))
      return { if: conditions(originAs, prefixes), set: { localPref: run[0]!.preference }, do: 'accept' }
    })
    return [...guard, ...accepting]
  })
}

function widePrefixes(rules: readonly ReceiveRule[]): string[] {
  return rules.filter(({ range }) => range.le !== undefined).map(({ range }) => range.prefix)
}

function exportRules(rules: readonly SendRule[], self: number): PolicyRule[] {
  return byOrigin(rules, ({ med, prepend }) => `${med} ${prepend}`).flatMap(({ originAs, runs }) =>
    runs.map((run): PolicyRule => {
      const { med, prepend } = run[0]!
      const prefixes = run.map(({ range }) => ruleOf(range))
      return {
        if: originAs === self ? { from: ['local'], prefixes } : conditions(originAs, prefixes),
        set: { ...(med === undefined ? {} : { med }), ...(prepend === 0 ? {} : { prepend: { times: prepend } }) },
        do: 'accept',
      }
    }),
  )
}

function conditions(originAs: number, prefixes: readonly PrefixRule[]): PolicyConditions {
  return { asPath: `* ${originAs}`, prefixes }
}

/** Neighbouring rules of one origin that do the same are one. Between origins order means nothing: a route has one. */
function byOrigin<Rule extends { readonly originAs: number }>(rules: readonly Rule[], deed: (rule: Rule) => string) {
  const origins = new Map<number, Rule[][]>()
  for (const rule of rules) {
    const runs = origins.get(rule.originAs) ?? []
    origins.set(rule.originAs, runs)
    const last = runs.at(-1)
    if (last !== undefined && deed(last[0]!) === deed(rule)) last.push(rule)
    else runs.push([rule])
  }
  return [...origins].map(([originAs, runs]) => ({ originAs, runs }))
}

function ruleOf({ prefix, le }: RouteRange): PrefixRule {
  return le === undefined ? { prefix } : { prefix, le }
}

function within(prefix: Prefix): PrefixRule {
  return { prefix, ge: prefixRange(prefix).bits, le: mostOf(prefix) }
}

function mostOf(prefix: string): number {
  return prefix.includes(':') ? 128 : 32
}
