/** One segment of the parsed super-packet, as the sending host would have made it (RFC 9293, RFC 768). */
import { copySum, fold, pseudoSum, sumWords } from './checksum'
import { PACKET, PROTOCOL_TCP, load16, setIpv4Checksum, store16 } from './ip'
import { checksumOffset } from './vnet'

const FIN_PSH: u32 = 0x09
const CWR: u32 = 0x80

/**
 * Writes to `target` the `headers` bytes of headers with `size` payload bytes from `from` on, checksums complete.
 * `number` counts segments from 0. Returns its length; up to 15 bytes more are written behind it.
 */
export function cutSegment(target: usize, headers: u32, from: u32, size: u32, number: u32): u32 {
  const start = PACKET.start
  const ip = PACKET.headerLength
  const transport = target + ip
  memory.copy(target, start, headers)
  const payload = copySum(target + headers, start + headers + from, size)
  const length = headers + size
  if (PACKET.version == 4) {
    store16(target + 2, length)
    store16(target + 4, load16(start + 4) + number)
    setIpv4Checksum(target, ip)
  } else store16(target + 4, length - 40)
  if (PACKET.protocol == PROTOCOL_TCP) setTcp(transport, from, length == PACKET.length - from)
  else store16(transport + 4, length - ip)
  const field = transport + checksumOffset(PACKET.protocol)
  store<u16>(field, 0)
  const pseudo = pseudoSum(target, PACKET.version, PACKET.protocol, length - ip)
  const sum = ~fold(pseudo + sumWords(transport, headers - ip) + payload) & 0xffff
  // Of UDP zero would say that there is none; of TCP both are the same number.
  store<u16>(field, <u16>(sum == 0 && PACKET.protocol != PROTOCOL_TCP ? 0xffff : sum))
  return length
}

function setTcp(tcp: usize, from: u32, last: bool): void {
  store<u32>(tcp, bswap<u32>(bswap<u32>(load<u32>(tcp, 4)) + from), 4)
  let flags: u32 = load<u8>(tcp, 13)
  if (!last) flags &= ~FIN_PSH
  if (from != 0) flags &= ~CWR
  store<u8>(tcp, <u8>flags, 13)
}
