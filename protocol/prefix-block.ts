/** Prefixes in blocks: numbers in typed arrays, for tables of a million. */
import { type Address, addressBytes, type Family, familyOf, formatAddress, type Prefix } from './net.ts'

/**
 * Prefixes of one family without an object for each. Prefix `i` has `lengths[i]` bits; of IPv4 it is `words[i]`, of IPv6
 * `words[4 * i]` to `words[4 * i + 3]`, most significant first. Bits behind the length are zero.
 */
export interface PrefixBlock {
  readonly family: Family
  readonly lengths: Uint8Array
  readonly words: Uint32Array
}

/** 32-bit words of one address. */
export function wordsOf(family: Family): 1 | 4 {
  return family === 4 ? 1 : 4
}

/** The text of prefix `index`, which must exist. */
export function prefixAt(block: PrefixBlock, index: number): Prefix {
  if (block.family === 4) return `${dotted(block.words[index]!)}/${block.lengths[index]}` as Prefix
  const stride = wordsOf(block.family)
  const bytes = new Uint8Array(stride * 4)
  const view = new DataView(bytes.buffer)
  for (let word = 0; word < stride; word++) view.setUint32(4 * word, block.words[index * stride + word]!)
  return `${formatAddress(bytes)}/${block.lengths[index]}` as Prefix
}

function dotted(word: number): string {
  return `${word >>> 24}.${(word >>> 16) & 0xff}.${(word >>> 8) & 0xff}.${word & 0xff}`
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

/** The prefixes of those indices in that order, freshly allocated, so that nothing else goes along to another thread. */
export function pickOf(block: PrefixBlock, indices: ArrayLike<number>, from = 0, to = indices.length): PrefixBlock {
  const stride = wordsOf(block.family)
  const lengths = new Uint8Array(to - from)
  const words = new Uint32Array((to - from) * stride)
  for (let i = from; i < to; i++) {
    const index = indices[i]!
    lengths[i - from] = block.lengths[index]!
    for (let word = 0; word < stride; word++) words[(i - from) * stride + word] = block.words[index * stride + word]!
  }
  return { family: block.family, lengths, words }
}

/** One block of each family that there are prefixes of. */
export function blocksOf(prefixes: readonly Prefix[]): PrefixBlock[] {
  return ([4, 6] as const).flatMap((family) => {
    const own = prefixes.filter((each) => familyOf(each) === family)
    return own.length === 0 ? [] : [blockOf(family, own)]
  })
}
