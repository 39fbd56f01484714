/** Cuts a datagram into fragments before encryption (RFC 791 section 3.2, RFC 8200 section 4.5). */
import { FRAGMENT_SCRATCH } from './arena'
import { load16, setIpv4Checksum, store16 } from './ip'

const MORE_FRAGMENTS: u32 = 0x2000
const OFFSET_MASK: u32 = 0x1fff
const OPTION_END: u32 = 0
const OPTION_NOP: u32 = 1
const OPTION_COPIED: u32 = 0x80
const FRAGMENT_HEADER: u32 = 8
const NEXT_FRAGMENT: u32 = 44

/** Data bytes of each fragment but the last, behind `header` bytes, within `mtu`. */
export function pieceCapacity(mtu: u32, header: u32): u32 {
  return (mtu - header) & ~7
}

/**
 * Writes the fragment with data bytes `from` to `from + size` of the IPv4 packet at `start` to
 * FRAGMENT_SCRATCH. The packet may itself be a fragment. Returns the fragment's length.
 */
export function cutIpv4(start: usize, headerLength: u32, from: u32, size: u32, last: bool): u32 {
  const target = FRAGMENT_SCRATCH
  const header = from == 0 ? headerLength : 20 + copyOptions(start + 20, headerLength - 20, target + 20)
  memory.copy(target, start, from == 0 ? headerLength : <u32>20)
  memory.copy(target + header, start + headerLength + from, size)
  const flags = load16(start + 6)
  const more = last ? flags & MORE_FRAGMENTS : MORE_FRAGMENTS
  store<u8>(target, <u8>(0x40 | (header >> 2)))
  store16(target + 2, header + size)
  store16(target + 6, (flags & 0xc000) | more | ((flags & OFFSET_MASK) + (from >> 3)))
  setIpv4Checksum(target, header)
  return header + size
}

/** Copies the options that go into every fragment. Returns their bytes, padded to 4. */
function copyOptions(options: usize, length: u32, target: usize): u32 {
  let written: u32 = 0
  let at: u32 = 0
  while (at < length) {
    const type: u32 = load<u8>(options + at)
    if (type == OPTION_END) break
    if (type == OPTION_NOP) {
      at++
      continue
    }
    if (at + 2 > length) break
    const size: u32 = load<u8>(options + at, 1)
    if (size < 2 || at + size > length) break
    if (type & OPTION_COPIED) {
      memory.copy(target + written, options + at, size)
      written += size
    }
    at += size
  }
  while (written & 3) store<u8>(target + written++, <u8>OPTION_END)
  return written
}

/**
 * As `cutIpv4`, of a whole IPv6 datagram: a fragment header goes between the `unfragmentable` bytes
 * and the data, announced by the octet at `pointer`.
 */
export function cutIpv6(start: usize, unfragmentable: u32, pointer: u32, identification: u32, from: u32, size: u32, last: bool): u32 {
  const target = FRAGMENT_SCRATCH
  const header = target + unfragmentable
  memory.copy(target, start, unfragmentable)
  store16(target + 4, unfragmentable - 40 + FRAGMENT_HEADER + size)
  store<u8>(header, load<u8>(start + pointer))
  store<u8>(header, 0, 1)
  store16(header + 2, from | (last ? 0 : 1))
  store<u32>(header, bswap<u32>(identification), 4)
  store<u8>(target + pointer, <u8>NEXT_FRAGMENT)
  memory.copy(header + FRAGMENT_HEADER, start + unfragmentable + from, size)
  return unfragmentable + FRAGMENT_HEADER + size
}
