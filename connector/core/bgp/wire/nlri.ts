/** The fields that list prefixes: a length in bits, then as many octets as it takes (RFC 4271 section 4.3). */
import type { Family } from '../../../../protocol/net.ts'
import { wordsOf } from './prefixes.ts'
import type { PrefixBlock } from './types.ts'

export interface NlriFault {
  /** Offset within the field. */
  readonly at: number
  readonly reason: string
}

/** Reads a whole field. Bits behind a prefix's length are cleared: they mean nothing. */
export function decodePrefixes(family: Family, field: Uint8Array): PrefixBlock | NlriFault {
  const count = countPrefixes(family, field)
  if (typeof count !== 'number') return count
  const stride = wordsOf(family)
  const lengths = new Uint8Array(count)
  const words = new Uint32Array(count * stride)
  let at = 0
  for (let index = 0; index < count; index++) {
    const bits = field[at++]!
    lengths[index] = bits
    const end = at + ((bits + 7) >>> 3)
    for (let word = index * stride; at < end; word++) {
      let value = 0
      for (let octet = 0; octet < 4; octet++) value = (value << 8) | (at < end ? field[at++]! : 0)
      words[word] = value
    }
    if ((bits & 31) !== 0) words[index * stride + (bits >>> 5)]! &= -1 << (32 - (bits & 31))
  }
  return { family, lengths, words }
}

/** RFC 7606 section 5.3: a field is wrong when one length is too large or the last prefix ends behind it. */
function countPrefixes(family: Family, field: Uint8Array): number | NlriFault {
  const most = family === 4 ? 32 : 128
  let count = 0
  let at = 0
  while (at < field.length) {
    const bits = field[at]!
    if (bits > most) return { at, reason: `a prefix of IPv${family} has at most ${most} bits, not ${bits}` }
    const next = at + 1 + ((bits + 7) >>> 3)
    if (next > field.length) return { at, reason: `a prefix of ${bits} bits ends behind the field` }
    at = next
    count++
  }
  return count
}

export interface NlriPart {
  readonly bytes: Uint8Array
  /** The first prefix that did not fit; the number of all when none is left. */
  readonly next: number
}

/** As many prefixes from `from` on as fit into `room` octets. */
export function encodePrefixes(block: PrefixBlock, from: number, room: number): NlriPart {
  const { lengths, words } = block
  const stride = wordsOf(block.family)
  let size = 0
  let next = from
  for (; next < lengths.length; next++) {
    const octets = 1 + ((lengths[next]! + 7) >>> 3)
    if (size + octets > room) break
    size += octets
  }
  const bytes = new Uint8Array(size)
  let at = 0
  for (let index = from; index < next; index++) {
    const bits = lengths[index]!
    bytes[at++] = bits
    const octets = (bits + 7) >>> 3
    for (let octet = 0; octet < octets; octet++) {
      bytes[at++] = words[index * stride + (octet >>> 2)]! >>> (24 - 8 * (octet & 3))
    }
  }
  return { bytes, next }
}
