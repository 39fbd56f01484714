/** Policies compiled from plain data, and their outcome for a route. */
import type { Family } from '../../../../protocol/net.ts'
import { ORIGIN, type PathAttributes, type PrefixBlock } from '../wire/types.ts'
import { type AsPathPattern, matchesAsPath, originOf, parseAsPathPattern } from './as-path-pattern.ts'
import { type CommunityPattern, hasCommunity } from './communities.ts'
import { asPathLength, DEFAULT_LOCAL_PREF } from './paths.ts'
import { type CompiledActions, compileActions } from './policy-actions.ts'
import { PolicyReader } from './policy-reader.ts'
import type {
  Bounds,
  Outcome,
  Policy,
  PolicyConditions,
  PolicyDocument,
  PolicyFault,
  PolicyRule,
  PrefixRule,
} from './policy-types.ts'
import { compilePrefixList, inPrefixList, type PrefixList } from './prefix-list.ts'

/** Rules that may match whatever the origin, up to which a table by origin is worth its memory. */
const MOST_OF_OTHERS = 32

/** A route as policies see it: as it came, whatever earlier rules set. */
export interface PolicySubject {
  readonly block: PrefixBlock
  readonly index: number
  readonly attributes: PathAttributes
  /** The neighbour it was learned from, or `local`. */
  readonly from: string
}

export interface CompiledPolicy {
  readonly name: string
  readonly rules: readonly CompiledRule[]
  /** Where most rules are each about one originating AS: the rules that can match a route of it, in order. */
  readonly byOrigin: RulesByOrigin | undefined
  readonly otherwise: Outcome
}

interface RulesByOrigin {
  readonly of: ReadonlyMap<number, readonly CompiledRule[]>
  readonly ofOthers: readonly CompiledRule[]
}

interface CompiledRule {
  readonly name: string
  /** No route that another AS originates matches. */
  readonly origin: number | undefined
  readonly tests: readonly ((subject: PolicySubject) => boolean)[]
  readonly actions: CompiledActions | undefined
  readonly do: PolicyRule['do']
}

export interface Verdict {
  readonly outcome: Outcome
  /** The rule that decided, or `otherwise`. */
  readonly rule: string
  /** Of all rules that matched, in order; empty where the route is rejected. */
  readonly actions: readonly CompiledActions[]
}

export type Policies = ReadonlyMap<string, CompiledPolicy>

/** All policies by name, or everything that is wrong. Takes whatever a reader of JSON or YAML may give. */
export function compilePolicies(document: PolicyDocument): Policies | readonly PolicyFault[] {
  const reader = new PolicyReader()
  reader.document(document)
  if (reader.faults.length > 0) return reader.faults
  const lists = new Map(
    Object.entries(document.prefixLists ?? {}).map(([name, rules]) => [name, compilePrefixList(rules)]),
  )
  return new Map(Object.entries(document.policies).map(([name, policy]) => [name, compilePolicy(name, policy, lists)]))
}

function compilePolicy(
  name: string,
  { rules, otherwise }: Policy,
  lists: ReadonlyMap<string, PrefixList>,
): CompiledPolicy {
  const compiled = rules.map((rule, index) => compileRule(rule, index, lists))
  return { name, rules: compiled, byOrigin: rulesByOrigin(compiled), otherwise: otherwise ?? 'reject' }
}

/** A hub has a rule for each of a thousand sites, and a route is to be judged without looking at all of them. */
function rulesByOrigin(rules: readonly CompiledRule[]): RulesByOrigin | undefined {
  const ofOthers = rules.filter(({ origin }) => origin === undefined)
  if (ofOthers.length > MOST_OF_OTHERS) return undefined
  const origins = new Set(rules.flatMap(({ origin }) => origin ?? []))
  const at = new Map(rules.map((rule, index) => [rule, index]))
  const own = Map.groupBy(rules, ({ origin }) => origin)
  const of = new Map(
    [...origins].map((origin) => [
      origin,
      [...own.get(origin)!, ...ofOthers].sort((one, other) => at.get(one)! - at.get(other)!),
    ]),
  )
  return { of, ofOthers }
}

export function isPolicies(result: Policies | readonly PolicyFault[]): result is Policies {
  return result instanceof Map
}

export function evaluate(policy: CompiledPolicy, subject: PolicySubject): Verdict {
  const actions: CompiledActions[] = []
  for (const rule of rulesFor(policy, subject)) {
    if (!rule.tests.every((test) => test(subject))) continue
    if (rule.do === 'reject') return { outcome: 'reject', rule: rule.name, actions: [] }
    if (rule.actions !== undefined) actions.push(rule.actions)
    if (rule.do === 'accept') return { outcome: 'accept', rule: rule.name, actions }
  }
  return { outcome: policy.otherwise, rule: 'otherwise', actions: policy.otherwise === 'accept' ? actions : [] }
}

function rulesFor({ rules, byOrigin }: CompiledPolicy, { attributes }: PolicySubject): readonly CompiledRule[] {
  if (byOrigin === undefined) return rules
  const last = attributes.asPath.at(-1)
  if (last === undefined) return byOrigin.ofOthers
  // A set at the end of the path has several.
  const origin = last.type === 'set' ? undefined : last.asns.at(-1)
  return origin === undefined ? rules : (byOrigin.of.get(origin) ?? byOrigin.ofOthers)
}

function compileRule(rule: PolicyRule, index: number, lists: ReadonlyMap<string, PrefixList>): CompiledRule {
  return {
    name: rule.name ?? String(index + 1),
    origin: rule.if?.asPath === undefined ? undefined : originOf(parseAsPathPattern(rule.if.asPath) as AsPathPattern),
    tests: rule.if === undefined ? [] : compileConditions(rule.if, lists),
    actions: rule.set === undefined ? undefined : compileActions(rule.set),
    do: rule.do,
  }
}

function compileConditions(conditions: PolicyConditions, lists: ReadonlyMap<string, PrefixList>) {
  const { family, prefixes, asPath, anyCommunity, allCommunities, origin, from } = conditions
  const tests: ((subject: PolicySubject) => boolean)[] = []
  if (family !== undefined) tests.push(familyTest(family))
  if (from !== undefined) tests.push((subject) => from.includes(subject.from))
  if (prefixes !== undefined) tests.push(prefixTest(prefixes, lists))
  if (origin !== undefined) tests.push(({ attributes }) => attributes.origin === ORIGIN[origin])
  tests.push(...numberTests(conditions))
  if (asPath !== undefined) {
    const pattern = parseAsPathPattern(asPath) as AsPathPattern
    tests.push(({ attributes }) => matchesAsPath(pattern, attributes.asPath))
  }
  if (anyCommunity !== undefined) {
    const patterns = PolicyReader.communities(anyCommunity)
    tests.push(({ attributes }) => patterns.some((pattern) => hasCommunity(attributes, pattern)))
  }
  if (allCommunities !== undefined) {
    const patterns: readonly CommunityPattern[] = PolicyReader.communities(allCommunities)
    tests.push(({ attributes }) => patterns.every((pattern) => hasCommunity(attributes, pattern)))
  }
  return tests
}

function familyTest(family: Family) {
  return ({ block }: PolicySubject) => block.family === family
}

function prefixTest(prefixes: string | readonly PrefixRule[], lists: ReadonlyMap<string, PrefixList>) {
  const list = typeof prefixes === 'string' ? lists.get(prefixes)! : compilePrefixList(prefixes)
  return ({ block, index }: PolicySubject) => inPrefixList(list, block, index)
}

function numberTests({ asPathLength: length, med, localPref }: PolicyConditions) {
  const tests: ((subject: PolicySubject) => boolean)[] = []
  if (length !== undefined) tests.push(({ attributes }) => within(length, asPathLength(attributes)))
  if (med !== undefined) tests.push(({ attributes }) => within(med, attributes.med ?? 0))
  if (localPref !== undefined) {
    tests.push(({ attributes }) => within(localPref, attributes.localPref ?? DEFAULT_LOCAL_PREF))
  }
  return tests
}

function within({ min, max }: Bounds, value: number): boolean {
  return value >= (min ?? 0) && value <= (max ?? Number.POSITIVE_INFINITY)
}
