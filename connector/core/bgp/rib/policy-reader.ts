/** What is wrong with a policy document: every fault at once, with its path. */
import { parseAsPathPattern } from './as-path-pattern.ts'
import { type CommunityPattern, exactCommunity, parseCommunityPattern } from './communities.ts'
import type { PolicyFault } from './policy-types.ts'
import { prefixRuleFault } from './prefix-list.ts'

type Fields = Readonly<Record<string, unknown>>

const U32 = 0xffffffff
const MOST_RULES = 10_000
const MOST_ENTRIES = 100_000

/** Takes unknown values, whatever their type says: they come from a file. */
export class PolicyReader {
  readonly faults: PolicyFault[] = []
  #lists: ReadonlySet<string> = new Set()

  /** Of texts without fault. */
  static communities(texts: readonly string[]): readonly CommunityPattern[] {
    return texts.map((text) => parseCommunityPattern(text)!)
  }

  document(value: unknown): void {
    const fields = this.#fields(value, '', ['prefixLists', 'policies'])
    if (fields === undefined) return
    const lists = this.#named(fields.prefixLists ?? {}, 'prefixLists')
    for (const [name, rules] of lists) this.#prefixRules(rules, `prefixLists.${name}`)
    this.#lists = new Set(lists.map(([name]) => name))
    for (const [name, policy] of this.#named(fields.policies, 'policies')) this.#policy(policy, `policies.${name}`)
  }

  #policy(value: unknown, path: string): void {
    const fields = this.#fields(value, path, ['rules', 'otherwise'])
    if (fields === undefined) return
    const rules = this.#list(fields.rules, `${path}.rules`, MOST_RULES)
    for (const [index, rule] of rules.entries()) this.#rule(rule, `${path}.rules[${index}]`)
    this.#oneOf(fields.otherwise, `${path}.otherwise`, ['accept', 'reject'])
  }

  #rule(value: unknown, path: string): void {
    const fields = this.#fields(value, path, ['name', 'if', 'set', 'do'])
    if (fields === undefined) return
    if (fields.name !== undefined) this.#text(fields.name, `${path}.name`)
    if (fields.if !== undefined) this.#conditions(fields.if, `${path}.if`)
    if (fields.set !== undefined) this.#actions(fields.set, `${path}.set`)
    if (fields.do === undefined) this.#fault(`${path}.do`, 'It must say accept, reject or continue.')
    this.#oneOf(fields.do, `${path}.do`, ['accept', 'reject', 'continue'])
  }

  #conditions(value: unknown, path: string): void {
    const known = ['family', 'prefixes', 'asPath', 'asPathLength', 'anyCommunity', 'allCommunities']
    const fields = this.#fields(value, path, [...known, 'origin', 'med', 'localPref', 'from'])
    if (fields === undefined) return
    this.#oneOf(fields.family, `${path}.family`, [4, 6])
    this.#oneOf(fields.origin, `${path}.origin`, ['igp', 'egp', 'incomplete'])
    if (fields.prefixes !== undefined) this.#prefixes(fields.prefixes, `${path}.prefixes`)
    if (fields.asPath !== undefined) this.#asPath(fields.asPath, `${path}.asPath`)
    for (const key of ['asPathLength', 'med', 'localPref']) {
      if (fields[key] !== undefined) this.#bounds(fields[key], `${path}.${key}`)
    }
    for (const key of ['anyCommunity', 'allCommunities']) {
      if (fields[key] !== undefined) this.#communities(fields[key], `${path}.${key}`, false)
    }
    if (fields.from === undefined) return
    for (const [i, name] of this.#list(fields.from, `${path}.from`, MOST_RULES).entries()) {
      this.#text(name, `${path}.from[${i}]`)
    }
  }

  #actions(value: unknown, path: string): void {
    const fields = this.#fields(value, path, ['communities', 'prepend', 'localPref', 'med', 'nextHopSelf'])
    if (fields === undefined) return
    if (fields.localPref !== undefined) this.#number(fields.localPref, `${path}.localPref`, 0, U32)
    if (fields.med !== undefined && fields.med !== 'none') this.#number(fields.med, `${path}.med`, 0, U32)
    this.#oneOf(fields.nextHopSelf, `${path}.nextHopSelf`, [true, false])
    if (fields.prepend !== undefined) {
      const prepend = this.#fields(fields.prepend, `${path}.prepend`, ['times', 'asn'])
      if (prepend !== undefined) this.#number(prepend.times, `${path}.prepend.times`, 1, 32)
      if (prepend?.asn !== undefined) this.#number(prepend.asn, `${path}.prepend.asn`, 1, U32)
    }
    if (fields.communities === undefined) return
    const communities = this.#fields(fields.communities, `${path}.communities`, ['set', 'delete', 'add'])
    for (const key of ['set', 'delete', 'add']) {
      if (communities?.[key] === undefined) continue
      this.#communities(communities[key], `${path}.communities.${key}`, key !== 'delete')
    }
  }

  #prefixes(value: unknown, path: string): void {
    if (typeof value !== 'string') this.#prefixRules(value, path)
    else if (!this.#lists.has(value)) this.#fault(path, `There is no prefix list ${value}.`)
  }

  #prefixRules(value: unknown, path: string): void {
    for (const [index, rule] of this.#list(value, path, MOST_ENTRIES).entries()) {
      const at = `${path}[${index}]`
      const fields = this.#fields(rule, at, ['prefix', 'ge', 'le'])
      if (fields === undefined || !this.#text(fields.prefix, `${at}.prefix`)) continue
      const { prefix, ge, le } = fields as { prefix: string; ge?: number; le?: number }
      const reason = prefixRuleFault({
        prefix,
        ...(ge === undefined ? {} : { ge }),
        ...(le === undefined ? {} : { le }),
      })
      if (reason !== undefined) this.#fault(at, reason)
    }
  }

  #asPath(value: unknown, path: string): void {
    // A single AS number in YAML is a number.
    const pattern = typeof value === 'string' ? parseAsPathPattern(value) : 'It must be a text, as in "65001 *".'
    if (typeof pattern === 'string') this.#fault(path, pattern)
  }

  #communities(value: unknown, path: string, exact: boolean): void {
    for (const [i, text] of this.#list(value, path, MOST_RULES).entries()) {
      const pattern = typeof text === 'string' ? parseCommunityPattern(text) : undefined
      if (pattern === undefined) this.#fault(`${path}[${i}]`, `${String(text)} is not a community.`)
      else if (exact && exactCommunity(pattern) === undefined)
        this.#fault(`${path}[${i}]`, `${text} is not one community.`)
    }
  }

  #bounds(value: unknown, path: string): void {
    const fields = this.#fields(value, path, ['min', 'max'])
    if (fields === undefined) return
    for (const key of ['min', 'max']) {
      if (fields[key] !== undefined) this.#number(fields[key], `${path}.${key}`, 0, U32)
    }
    if (Number(fields.min ?? 0) > Number(fields.max ?? U32)) this.#fault(path, 'min is above max.')
  }

  #number(value: unknown, path: string, least: number, most: number): void {
    if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return
    this.#fault(path, `It must be a whole number from ${least} to ${most}.`)
  }

  #text(value: unknown, path: string): boolean {
    if (typeof value === 'string' && value !== '') return true
    this.#fault(path, 'It must be a text.')
    return false
  }

  #oneOf(value: unknown, path: string, allowed: readonly unknown[]): void {
    if (value !== undefined && !allowed.includes(value)) this.#fault(path, `It must be one of ${allowed.join(', ')}.`)
  }

  #list(value: unknown, path: string, most: number): readonly unknown[] {
    if (Array.isArray(value) && value.length <= most) return value
    this.#fault(path, `It must be a list of at most ${most}.`)
    return []
  }

  #named(value: unknown, path: string): [string, unknown][] {
    const fields = this.#object(value, path)
    return fields === undefined ? [] : Object.entries(fields)
  }

  #fields(value: unknown, path: string, known: readonly string[]): Fields | undefined {
    const fields = this.#object(value, path)
    for (const key of Object.keys(fields ?? {})) {
      if (!known.includes(key))
        this.#fault(path === '' ? key : `${path}.${key}`, `There is no such key; there are ${known.join(', ')}.`)
    }
    return fields
  }

  #object(value: unknown, path: string): Fields | undefined {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields
    this.#fault(path, 'It must be a mapping.')
    return undefined
  }

  #fault(path: string, reason: string): void {
    this.faults.push({ path, reason })
  }
}
