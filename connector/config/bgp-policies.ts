/** Policies as `isthmus.yaml` has them: keys in its spelling, faults at their places. */
import { compilePolicies } from '../core/bgp/rib/policy.ts'
import type { PolicyDocument, PolicyFault } from '../core/bgp/rib/policy-types.ts'
import type { ConfigPath, Finding } from './faults.ts'
import { valueAt } from './raw.ts'

/** Ours, and the policy reader's. */
const SPELLINGS = [
  ['as_path_length', 'asPathLength'],
  ['as_path', 'asPath'],
  ['any_community', 'anyCommunity'],
  ['all_communities', 'allCommunities'],
  ['local_pref', 'localPref'],
  ['next_hop_self', 'nextHopSelf'],
] as const
const TO_READER = new Map<string, string>(SPELLINGS)

/** Takes whatever stands there; only without `policyFindings` is it what it says. */
export function policyDocument(root: unknown): PolicyDocument {
  const policies = valueAt(root, ['bgp', 'policies']) ?? {}
  const prefixLists = valueAt(root, ['bgp', 'prefix_lists'])
  return { policies: renamed(policies, 0), ...(prefixLists === undefined ? {} : { prefixLists }) } as PolicyDocument
}

export function policyFindings(root: unknown): Finding[] {
  const compiled = compilePolicies(policyDocument(root))
  if (compiled instanceof Map) return []
  return (compiled as readonly PolicyFault[]).map(({ path, reason }) => {
    const sentence = spelled(reason).replace(/\.$/, '')
    const message = sentence.charAt(0).toLowerCase() + sentence.slice(1)
    return { path: pathOf(path), message, remedy: 'docs/bgp.md shows policies' }
  })
}

/** Names of policies, at depth 0, are anybody's own. */
function renamed(value: unknown, depth: number): unknown {
  if (Array.isArray(value)) return value.map((item) => renamed(item, depth + 1))
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([key, inner]) => {
    return [depth === 0 ? key : (TO_READER.get(key) ?? key), renamed(inner, depth + 1)] as const
  })
  return Object.fromEntries(entries)
}

function spelled(text: string): string {
  return SPELLINGS.reduce((spelling, [ours, theirs]) => spelling.replaceAll(theirs, ours), text)
}

/** `policies.transit.rules[2].if.asPath` and so on, below `bgp`. A name of a policy may have dots. */
function pathOf(text: string): ConfigPath {
  const found = /^(policies|prefixLists)(?:\.(.+?))?((?:\.(?:rules|otherwise)|\[\d+\]).*)?$/.exec(text)
  if (found === null) return ['bgp']
  const [, head, name, rest = ''] = found
  const below = [...rest.matchAll(/\.([^.[]+)|\[(\d+)\]/g)].map(([, key, index]) =>
    key === undefined ? Number(index) : spelled(key),
  )
  return ['bgp', head === 'policies' ? 'policies' : 'prefix_lists', ...(name === undefined ? [] : [name]), ...below]
}
