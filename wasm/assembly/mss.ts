/** TCP MSS clamp (RFC 9293 section 3.7.1) on SYN and SYN-ACK, with incremental checksum (RFC 1624). */
import { PACKET, PROTOCOL_TCP, load16, store16, updateChecksum } from './ip'

const TCP_HEADER: u32 = 20
const FLAG_SYN: u32 = 2
const OPTION_END: u32 = 0
const OPTION_NOP: u32 = 1
const OPTION_MSS: u32 = 2

/** Lowers the MSS option of the parsed packet to what fits `innerMtu` without IP options. */
export function clampMss(innerMtu: u32): void {
  if (PACKET.protocol != PROTOCOL_TCP || PACKET.fragment) return
  const available = PACKET.length - PACKET.headerLength
  if (available < TCP_HEADER) return
  const tcp = PACKET.start + PACKET.headerLength
  if ((load<u8>(tcp, 13) & FLAG_SYN) == 0) return
  const end = (<u32>load<u8>(tcp, 12) >> 4) << 2
  if (end > available) return
  const limit = innerMtu - TCP_HEADER - (PACKET.version == 4 ? 20 : 40)
  let at = TCP_HEADER
  while (at < end) {
    const kind: u32 = load<u8>(tcp + at)
    if (kind == OPTION_END) return
    if (kind == OPTION_NOP) {
      at++
      continue
    }
    if (at + 2 > end) return
    const length: u32 = load<u8>(tcp + at, 1)
    if (length < 2 || at + length > end) return
    if (kind == OPTION_MSS && length == 4) return lowerMss(tcp, at + 2, limit)
    at += length
  }
}

function lowerMss(tcp: usize, at: u32, limit: u32): void {
  const before = load16(tcp + at)
  if (before <= limit) return
  store16(tcp + at, limit)
  // At an odd offset the two bytes lie in two words of the sum, as one swapped word would (RFC 1071 section 2 (B)).
  if (at & 1) updateChecksum(tcp + 16, swap16(before), swap16(limit))
  else updateChecksum(tcp + 16, before, limit)
}

function swap16(value: u32): u32 {
  return ((value & 0xff) << 8) | (value >> 8)
}
