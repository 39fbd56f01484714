/** Prefix lists with ge and le, over prefixes as numbers. */
import { addressBytes, type Family, familyOf, parsePrefix, prefixRange } from '../../../../protocol/net.ts'
import type { PrefixBlock } from '../wire/types.ts'
import type { PrefixRule } from './policy-types.ts'

interface Entry {
  readonly words: readonly number[]
  readonly ge: number
  readonly le: number
}

/** The entries of one family whose prefix has one length, by the first words of their prefix. */
interface Level {
  readonly family: Family
  readonly length: number
  readonly entries: ReadonlyMap<string, readonly Entry[]>
}

/** Looks at each distinct length of its prefixes once, however many entries there are. */
export type PrefixList = readonly Level[]

/** What is wrong with a rule, in one sentence, or undefined. */
export function prefixRuleFault({ prefix, ge, le }: PrefixRule): string | undefined {
  const parsed = parsePrefix(prefix)
  if (parsed === undefined) return `${prefix} is not an IPv4 or IPv6 prefix.`
  if (parsed !== prefix && parsed !== `${prefix}/${familyOf(parsed) === 4 ? 32 : 128}`) {
    return `${prefix} has bits behind its length, or is not written as usual; ${parsed} is meant.`
  }
  const most = familyOf(parsed) === 4 ? 32 : 128
  const { bits } = prefixRange(parsed)
  const from = ge ?? bits
  const to = le ?? (ge === undefined ? bits : most)
  if (!Number.isInteger(from) || !Number.isInteger(to) || from < bits || to < from || to > most) {
    return `ge and le must be in order from ${bits} to ${most}.`
  }
  return undefined
}

/** Of rules without fault. */
export function compilePrefixList(rules: readonly PrefixRule[]): PrefixList {
  const levels = new Map<string, { family: Family; length: number; entries: Map<string, Entry[]> }>()
  for (const { prefix, ge, le } of rules) {
    const parsed = parsePrefix(prefix)!
    const family = familyOf(parsed)
    const { first, bits } = prefixRange(parsed)
    const key = `${family}/${bits}`
    const level = levels.get(key) ?? { family, length: bits, entries: new Map<string, Entry[]>() }
    levels.set(key, level)
    const words = wordsOf(addressBytes(first))
    const most = family === 4 ? 32 : 128
    const entry = { words, ge: ge ?? bits, le: le ?? (ge === undefined ? bits : most) }
    level.entries.set(words.join(), [...(level.entries.get(words.join()) ?? []), entry])
  }
  return [...levels.values()]
}

/** Whether any entry covers prefix `index` of `block` and allows its length. */
export function inPrefixList(list: PrefixList, block: PrefixBlock, index: number): boolean {
  const length = block.lengths[index]!
  const stride = block.family === 4 ? 1 : 4
  for (const level of list) {
    if (level.family !== block.family || level.length > length) continue
    const entries = level.entries.get(maskedKey(block.words, index * stride, stride, level.length))
    if (entries?.some(({ ge, le }) => length >= ge && length <= le) === true) return true
  }
  return false
}

function maskedKey(words: Uint32Array, at: number, stride: number, length: number): string {
  let key = ''
  for (let word = 0; word < stride; word++) {
    const bits = Math.min(32, Math.max(0, length - 32 * word))
    const mask = bits === 0 ? 0 : (0xffffffff << (32 - bits)) >>> 0
    key += word === 0 ? (words[at]! & mask) >>> 0 : `,${(words[at + word]! & mask) >>> 0}`
  }
  return key
}

function wordsOf(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  return Array.from({ length: bytes.length / 4 }, (_, word) => view.getUint32(4 * word))
}
