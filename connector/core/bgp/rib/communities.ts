/** Communities (RFC 1997) and large communities (RFC 8092) as text, as patterns, and in attribute sets. */
import type { LargeCommunity, PathAttributes } from '../wire/types.ts'

/** RFC 1997, RFC 8326, RFC 7999, RFC 9494. */
export const COMMUNITY = {
  'graceful-shutdown': 0xffff0000,
  'accept-own': 0xffff0001,
  'llgr-stale': 0xffff0006,
  'no-llgr': 0xffff0007,
  blackhole: 0xffff029a,
  'no-export': 0xffffff01,
  'no-advertise': 0xffffff02,
  'no-export-subconfed': 0xffffff03,
  'no-peer': 0xffffff04,
} as const

/** Two or three parts; `undefined` stands for any. */
export type CommunityPattern = readonly (number | undefined)[]

/** The pattern; undefined where the text is none. A name, `65001:100`, `65001:1:2`; `*` for any part. */
export function parseCommunityPattern(text: string): CommunityPattern | undefined {
  if (Object.hasOwn(COMMUNITY, text)) return split(COMMUNITY[text as keyof typeof COMMUNITY])
  const parts = text.split(':')
  if (parts.length !== 2 && parts.length !== 3) return undefined
  const most = parts.length === 2 ? 0xffff : 0xffffffff
  const numbers = parts.map((part) => (part === '*' ? undefined : /^\d{1,10}$/.test(part) ? Number(part) : Number.NaN))
  return numbers.every((number) => number === undefined || number <= most) ? numbers : undefined
}

/** A pattern that names one community, as its parts. */
export function exactCommunity(pattern: CommunityPattern): readonly number[] | undefined {
  return pattern.every((part) => part !== undefined) ? (pattern as readonly number[]) : undefined
}

export function hasCommunity(attributes: PathAttributes, pattern: CommunityPattern): boolean {
  if (pattern.length === 3) return attributes.largeCommunities?.some((parts) => fits(pattern, parts)) ?? false
  return attributes.communities?.some((community) => fits(pattern, split(community))) ?? false
}

export function hasStandard(attributes: PathAttributes, community: number): boolean {
  return attributes.communities?.includes(community) ?? false
}

/** Without what any of the patterns names. */
export function withoutCommunities(attributes: PathAttributes, patterns: readonly CommunityPattern[]): PathAttributes {
  const keeps = (parts: readonly number[]) => !patterns.some((pattern) => fits(pattern, parts))
  const standard = (attributes.communities ?? []).filter((community) => keeps(split(community)))
  const large = (attributes.largeCommunities ?? []).filter(keeps)
  return put(attributes, standard, large)
}

/** With these too, each as its two or three parts. */
export function withCommunities(attributes: PathAttributes, added: readonly (readonly number[])[]): PathAttributes {
  const standard = [...(attributes.communities ?? [])]
  const large = [...(attributes.largeCommunities ?? [])]
  for (const parts of added) {
    if (parts.length === 3) large.push(parts as unknown as LargeCommunity)
    else standard.push(((parts[0]! << 16) | parts[1]!) >>> 0)
  }
  return put(attributes, standard, large)
}

/** Text as configuration has it: the name where there is one. */
export function communityText(community: number): string {
  const name = Object.entries(COMMUNITY).find(([, value]) => value === community)?.[0]
  return name ?? split(community).join(':')
}

/** Sorted and without repetitions, and absent rather than empty: equal sets are to be equal attributes. */
function put(
  attributes: PathAttributes,
  standard: readonly number[],
  large: readonly LargeCommunity[],
): PathAttributes {
  const { communities: _, largeCommunities: __, ...rest } = attributes
  const numbers = [...new Set(standard)].sort((one, other) => one - other)
  const triples = [...large]
    .sort(compareLarge)
    .filter((parts, i, all) => i === 0 || compareLarge(all[i - 1]!, parts) !== 0)
  return {
    ...rest,
    ...(numbers.length === 0 ? {} : { communities: numbers }),
    ...(triples.length === 0 ? {} : { largeCommunities: triples }),
  }
}

function compareLarge(one: LargeCommunity, other: LargeCommunity): number {
  return one[0] - other[0] || one[1] - other[1] || one[2] - other[2]
}

function split(community: number): readonly [number, number] {
  return [community >>> 16, community & 0xffff]
}

function fits(pattern: CommunityPattern, parts: readonly number[]): boolean {
  return pattern.length === parts.length && pattern.every((part, i) => part === undefined || part === parts[i])
}
