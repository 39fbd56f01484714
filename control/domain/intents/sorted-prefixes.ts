/** Many prefixes in the order of their addresses, as numbers where they can be: plans sort tens of thousands of them. */

import { isMartian } from '../../../connector/core/bgp/rib/martians.ts'
import type { Address } from '../../../protocol/net.ts'
import { addressBytes } from '../../../protocol/net.ts'

export interface SortedPrefix {
  readonly prefix: string
  readonly owner: number
  /** Numbers of IPv4, texts of IPv6; both sort as addresses do. */
  readonly first: number | string
  readonly last: number | string
  readonly bits: number
  readonly isMartian: boolean
}

/** IPv4 first. Of two that begin alike the larger one comes first. `prefix` in canonical form. */
export function sortedPrefixes(
  prefixes: readonly { readonly prefix: string; readonly owner: number }[],
): SortedPrefix[] {
  const four: (SortedPrefix & { first: number })[] = []
  const six: (SortedPrefix & { first: string })[] = []
  for (const { prefix, owner } of prefixes) {
    if (prefix.includes(':')) six.push(sixOf(prefix, owner))
    else four.push(fourOf(prefix, owner))
  }
  four.sort((one, other) => one.first - other.first || one.bits - other.bits)
  six.sort((one, other) => (one.first === other.first ? one.bits - other.bits : one.first < other.first ? -1 : 1))
  return [...four, ...six]
}

export function parsedPrefix(prefix: string, owner: number): SortedPrefix {
  return prefix.includes(':') ? sixOf(prefix, owner) : fourOf(prefix, owner)
}

/** Whether all of `one` comes before `other`. */
export function endsBefore(one: SortedPrefix, other: SortedPrefix): boolean {
  if (typeof one.first !== typeof other.first) return typeof one.first === 'number'
  return one.last < other.first
}

export function holds(outer: SortedPrefix, inner: SortedPrefix): boolean {
  return typeof outer.first === typeof inner.first && outer.first <= inner.first && inner.last <= outer.last
}

// Looked at and forgotten: two arrays for each of tens of thousands are what a plan would take longest for.
const FOUR = { family: 4 as const, lengths: new Uint8Array(1), words: new Uint32Array(1) }
const SIX = { family: 6 as const, lengths: new Uint8Array(1), words: new Uint32Array(4) }

function fourOf(prefix: string, owner: number): SortedPrefix & { first: number } {
  let first = 0
  let part = 0
  let at = 0
  for (; prefix.charCodeAt(at) !== 47; at++) {
    const code = prefix.charCodeAt(at)
    if (code === 46) {
      first = first * 256 + part
      part = 0
    } else part = part * 10 + code - 48
  }
  first = first * 256 + part
  const bits = Number(prefix.slice(at + 1))
  FOUR.lengths[0] = bits
  FOUR.words[0] = first
  return { prefix, owner, first, last: first + 2 ** (32 - bits) - 1, bits, isMartian: isMartian(FOUR, 0) }
}

function sixOf(prefix: string, owner: number): SortedPrefix & { first: string } {
  const slash = prefix.indexOf('/')
  const bytes = addressBytes(prefix.slice(0, slash) as Address)
  const bits = Number(prefix.slice(slash + 1))
  let first = ''
  let last = ''
  SIX.lengths[0] = bits
  SIX.words.fill(0)
  bytes.forEach((byte, i) => {
    const free = Math.min(8, Math.max(0, (i + 1) * 8 - bits))
    first += String.fromCharCode(byte)
    last += String.fromCharCode(byte | ((1 << free) - 1))
    SIX.words[i >> 2] = SIX.words[i >> 2]! * 256 + byte
  })
  return { prefix, owner, first, last, bits, isMartian: isMartian(SIX, 0) }
}
