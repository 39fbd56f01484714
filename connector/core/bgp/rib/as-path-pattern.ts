/**
 * AS paths matched by a few words instead of regular expressions: a pattern is ASes, ranges `64512-65534`, `?` for
 * any one AS and `*` for any number of them, in a row for the whole path. `65001 *` is learned from 65001, `* 65010`
 * originated by 65010, `* 65010 *` through it, the empty pattern the empty path. Matching takes at most pattern times
 * path steps.
 */
import type { AsPath } from '../wire/types.ts'

/** Both ends included; `many` stands for any number of ASes. */
interface Token {
  readonly first: number
  readonly last: number
  readonly many: boolean
}

export type AsPathPattern = readonly Token[]

const MOST_TOKENS = 64
const MAX_ASN = 0xffffffff

/** The pattern, or in one sentence what is wrong with it. */
export function parseAsPathPattern(text: string): AsPathPattern | string {
  const words = text.split(/\s+/).filter((word) => word !== '')
  if (words.length > MOST_TOKENS) return `A pattern has at most ${MOST_TOKENS} words.`
  const tokens: Token[] = []
  for (const word of words) {
    const token = parseToken(word)
    if (token === undefined) return `${word} is not an AS number, a range of them, ? or *.`
    tokens.push(token)
  }
  return tokens
}

function parseToken(word: string): Token | undefined {
  if (word === '*') return { first: 0, last: MAX_ASN, many: true }
  if (word === '?') return { first: 0, last: MAX_ASN, many: false }
  const match = /^(\d{1,10})(?:-(\d{1,10}))?$/.exec(word)
  if (match === null) return undefined
  const first = Number(match[1])
  const last = Number(match[2] ?? match[1])
  return first <= last && last <= MAX_ASN ? { first, last, many: false } : undefined
}

/** The AS that must be the path's last, where the pattern says one. */
export function originOf(pattern: AsPathPattern): number | undefined {
  const last = pattern.at(-1)
  return last === undefined || last.many || last.first !== last.last ? undefined : last.first
}

/** A set in the path counts as one AS, which is any of its members. */
export function matchesAsPath(pattern: AsPathPattern, asPath: AsPath): boolean {
  const hops = hopsOf(asPath)
  let token = 0
  let hop = 0
  // Where the last `*` is, and the hop behind what it has taken so far.
  let star = -1
  let starHop = 0
  while (hop < hops.length) {
    const current = pattern[token]
    if (current?.many === true) {
      star = token++
      starHop = hop
    } else if (current !== undefined && takes(current, hops[hop]!)) {
      token++
      hop++
    } else if (star >= 0) {
      token = star + 1
      hop = ++starHop
    } else return false
  }
  while (pattern[token]?.many === true) token++
  return token === pattern.length
}

function hopsOf(asPath: AsPath): (number | readonly number[])[] {
  return asPath.flatMap<number | readonly number[]>(({ type, asns }) => (type === 'set' ? [asns] : asns))
}

function takes({ first, last }: Token, hop: number | readonly number[]): boolean {
  const asns = typeof hop === 'number' ? [hop] : hop
  return asns.some((asn) => asn >= first && asn <= last)
}
