/**
 * BGP with gateways of other makes, by the same speaker that routes between our sites or by one of its own. A route from
 * them is taken only within what the document accepts, and they are told exactly what it says: never one another's routes.
 *
 * Drained: traffic leaves the tunnel at both ends, by LOCAL_PREF here, by MED and a longer path there. Sessions stay.
 */
import type { ExternalRouting } from '../../../protocol/control/external.ts'
import { type Address, addressBytes, type Prefix } from '../../../protocol/net.ts'
import type { PolicyDocument, PolicyRule, PrefixRule } from '../bgp/rib/policy-types.ts'
import type { SpeakerConfig, SpeakerNeighbour } from '../bgp/speaker-types.ts'
import type { ExternalPlan } from './externals.ts'
import { DECISION, everythingIn, insideNetwork, isIn, LIMIT_RESTART_MS, neighbourName, SESSION } from './routing.ts'

/** LOCAL_PREF, MULTI_EXIT_DISC, and our AS so many times more in the path; the same for all tunnels of a group. */
export const WHOLE = { preference: 100, med: 100, prepend: 0 } as const
export const DRAINED = { preference: 50, med: 200, prepend: 3 } as const

const BGP_PORT = 179
/** No group of a document has a colon in its name, so that none of these is one of its policies or lists. */
const GUARD = 'external: ours'

type RoutedExternal = ExternalPlan & { readonly routing: Extract<ExternalRouting, { kind: 'bgp' }> }

export interface ExternalSpeakerParts {
  readonly owns: readonly Prefix[]
  /** BGP identifier where there is no routing between sites. */
  readonly routerId: Address
  /** Outer addresses of peers, of all tunnels. */
  readonly ends: readonly Address[]
}

/** `base`: routing between sites. Undefined where nobody speaks BGP. */
export function withExternals(
  base: SpeakerConfig | undefined,
  externals: readonly ExternalPlan[],
  parts: ExternalSpeakerParts,
): SpeakerConfig | undefined {
  const routed = externals.filter(isRouted)
  const [first] = routed
  if (first === undefined) return base
  const { owns, ends } = parts
  const before = base ?? emptySpeaker(first.routing.localAs, parts.routerId)
  const owned = everythingIn(owns)
  const told = routed.flatMap(({ routing }) => routing.advertise).filter((prefix) => isIn(owned, prefix))
  const sites = before.neighbours.map(({ name }) => name)
  return {
    ...before,
    ownAddresses: [...before.ownAddresses, ...routed.map(({ external }) => external.inside.local as Address)],
    networks: [...new Set([...before.networks, ...(told as Prefix[])])],
    tunnels: [
      ...before.tunnels,
      ...routed.map(({ external }) => ({ name: external.name, prefixes: [insideNetwork(external.inside.local)] })),
    ],
    neighbours: [...before.neighbours, ...routed.map((each) => neighbourOf(each, ends))],
    policies: merged(before.policies, policiesOf(routed, sites, owns)),
  }
}

function isRouted(plan: ExternalPlan): plan is RoutedExternal {
  return plan.routing?.kind === 'bgp'
}

function emptySpeaker(localAs: number, routerId: Address): SpeakerConfig {
  return {
    localAs,
    routerId: new DataView(addressBytes(routerId).buffer).getUint32(0),
    ownAddresses: [],
    networks: [],
    tunnels: [],
    neighbours: [],
    policies: { policies: {} },
    decision: DECISION,
  }
}

function neighbourOf({ external, routing }: RoutedExternal, ends: readonly Address[]): SpeakerNeighbour {
  const { name, inside } = external
  const local = inside.local as Address
  return {
    name: neighbourName(name),
    tunnel: name,
    local,
    session: { ...SESSION, families: [4], holdTimeS: routing.holdTimeS },
    // Others than ours need not send with TTL 255 (RFC 5082).
    transport: { port: BGP_PORT },
    rib: {
      peerAs: routing.peerAs,
      address: inside.peer as Address,
      importPolicy: importName(name),
      exportPolicy: exportName(name),
      maxPrefixes: { limit: routing.maxPrefixes, restartMs: LIMIT_RESTART_MS },
      acceptDefault: routing.accept.some((prefix) => prefix.endsWith('/0')),
      tunnelEnds: ends,
    },
    nextHops: { 4: { address: local } },
  }
}

function policiesOf(
  externals: readonly RoutedExternal[],
  sites: readonly string[],
  owns: readonly Prefix[],
): PolicyDocument {
  // Who owns a default route owns everything, and wants to hear of others all the same.
  const guarded = owns.filter((each) => each.endsWith('/0') === false && !each.includes(':'))
  const guard: PolicyRule[] = guarded.length === 0 ? [] : [{ name: 'ours', if: { prefixes: GUARD }, do: 'reject' }]
  const prefixLists: Record<string, readonly PrefixRule[]> = guarded.length === 0 ? {} : { [GUARD]: within(guarded) }
  const policies: Record<string, { rules: readonly PolicyRule[] }> = {}
  for (const { external, routing } of externals) {
    const { name, drained } = external
    const { preference, med, prepend } = drained ? DRAINED : WHOLE
    const [taken, told] = [`external: of ${name}`, `external: for ${name}`]
    prefixLists[taken] = within(routing.accept)
    prefixLists[told] = routing.advertise.map((prefix) => ({ prefix }))
    policies[importName(name)] = {
      rules: [...guard, { name: 'accepted', if: { prefixes: taken }, set: { localPref: preference }, do: 'accept' }],
    }
    const set = { med, ...(prepend === 0 ? {} : { prepend: { times: prepend } }) }
    policies[exportName(name)] = {
      rules: [{ name: 'advertised', if: { from: ['local', ...sites], prefixes: told }, set, do: 'accept' }],
    }
  }
  return { prefixLists, policies }
}

function merged(one: PolicyDocument, other: PolicyDocument): PolicyDocument {
  return {
    prefixLists: { ...one.prefixLists, ...other.prefixLists },
    policies: { ...one.policies, ...other.policies },
  }
}

/** They themselves, and all within them. */
function within(prefixes: readonly string[]): PrefixRule[] {
  return prefixes.map((prefix) => ({ prefix, le: 32 }))
}

function importName(name: string): string {
  return `external: from ${name}`
}

function exportName(name: string): string {
  return `external: to ${name}`
}
