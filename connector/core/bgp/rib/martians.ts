/** Prefixes that nobody may announce. Private ones (RFC 1918, 4193) may: they are what a VPN is for. */
import type { PrefixBlock } from '../wire/types.ts'

/**
 * RFC 6890: this network, loopback, link-local, multicast and reserved of IPv4; unspecified, loopback, IPv4-mapped,
 * link-local and multicast of IPv6. A shorter prefix that covers some of these is none.
 */
export function isMartian({ family, lengths, words }: PrefixBlock, index: number): boolean {
  const length = lengths[index]!
  if (family === 4) return isMartian4(words[index]!, length)
  const at = 4 * index
  const top = words[at]!
  if (length >= 10 && top >>> 22 === 0xfe80 >>> 6) return true
  if (length >= 8 && top >>> 24 === 0xff) return true
  if (top !== 0 || words[at + 1] !== 0) return false
  if (length >= 96 && words[at + 2] === 0xffff) return true
  return length === 128 && words[at + 2] === 0 && words[at + 3]! <= 1
}

function isMartian4(word: number, length: number): boolean {
  const octet = word >>> 24
  if (length >= 8 && (octet === 0 || octet === 127)) return true
  if (length >= 4 && octet >= 224) return true
  return length >= 16 && word >>> 16 === 0xa9fe
}
