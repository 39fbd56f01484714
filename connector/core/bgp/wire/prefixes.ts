/** Prefixes in blocks: numbers in typed arrays, for tables of a million. */
import {
  type Address,
  addressBytes,
  type Family,
  familyOf,
  formatAddress,
  type Prefix,
} from '../../../../protocol/net.ts'
import type { PrefixBlock } from './types.ts'

/** 32-bit words of one address. */
export function wordsOf(family: Family): 1 | 4 {
  return family === 4 ? 1 : 4
}

/** The text of prefix `index`, which must exist. */
export function prefixAt(block: PrefixBlock, index: number): Prefix {
  const stride = wordsOf(block.family)
  const bytes = new Uint8Array(stride * 4)
  const view = new DataView(bytes.buffer)
  for (let word = 0; word < stride; word++) view.setUint32(4 * word, block.words[index * stride + word]!)
  return `${formatAddress(bytes)}/${block.lengths[index]}` as Prefix
}

export function prefixesOf(block: PrefixBlock): Prefix[] {
  return Array.from(block.lengths, (_, index) => prefixAt(block, index))
}

/** All prefixes must be of `family`. */
export function blockOf(family: Family, prefixes: readonly Prefix[]): PrefixBlock {
  const stride = wordsOf(family)
  const lengths = new Uint8Array(prefixes.length)
  const words = new Uint32Array(prefixes.length * stride)
  for (const [index, prefix] of prefixes.entries()) {
    if (familyOf(prefix) !== family) throw new TypeError(`${prefix} is not of IPv${family}`)
    const slash = prefix.indexOf('/')
    const bytes = addressBytes(prefix.slice(0, slash) as Address)
    lengths[index] = Number(prefix.slice(slash + 1))
    const view = new DataView(bytes.buffer)
    for (let word = 0; word < stride; word++) words[index * stride + word] = view.getUint32(4 * word)
  }
  return { family, lengths, words }
}

/** Prefixes `from` to `to` (not included) as a view on the same arrays. */
export function partOf(block: PrefixBlock, from: number, to: number): PrefixBlock {
  const stride = wordsOf(block.family)
  const words = block.words.subarray(from * stride, to * stride)
  return { family: block.family, lengths: block.lengths.subarray(from, to), words }
}
