/** The MSS option of SYN and SYN-ACK (RFC 9293 section 3.7.1), clamped so that segments fit the tunnel. */
import { getU16, setU16, updateChecksum } from './bytes.ts'
import { type IpPacket, PROTO_TCP } from './ip.ts'

const TCP_HEADER = 20
const TCP_SYN = 0x02
const OPTION_MSS = 2

/** The largest segment in a packet of `mtu` bytes without options in either header (RFC 6691). */
export function mssFor(version: 4 | 6, mtu: number): number {
  return mtu - TCP_HEADER - (version === 4 ? 20 : 40)
}

/** Lowers a larger MSS option to `mss`, in place, TCP checksum updated (RFC 1624). Leaves everything else alone. */
export function clampMss(packet: IpPacket, mss: number): void {
  if (packet.protocol !== PROTO_TCP || packet.fragment !== undefined) return
  const tcp = packet.bytes.subarray(packet.payloadAt)
  if (tcp.length < TCP_HEADER || (tcp[13]! & TCP_SYN) === 0) return
  const headerLength = (tcp[12]! >> 4) * 4
  if (headerLength > tcp.length) return
  const at = mssOption(tcp.subarray(0, headerLength))
  if (at === undefined || getU16(tcp, at) <= mss) return
  replace(tcp, at, mss)
}

/** Position of the option's value. */
function mssOption(header: Uint8Array): number | undefined {
  for (let at = TCP_HEADER; at < header.length; ) {
    const kind = header[at]!
    if (kind === 0) return undefined
    if (kind === 1) {
      at += 1
      continue
    }
    const length = header[at + 1] ?? 0
    if (length < 2 || at + length > header.length) return undefined
    if (kind === OPTION_MSS && length === 4) return at + 2
    at += length
  }
  return undefined
}

/** At an odd position the two bytes lie in two words of the checksum: swapped, they weigh the same (RFC 1071). */
function replace(tcp: Uint8Array, at: number, mss: number): void {
  const swap = (value: number) => (at % 2 === 0 ? value : ((value & 0xff) << 8) | (value >> 8))
  const before = getU16(tcp, at)
  setU16(tcp, at, mss)
  setU16(tcp, 16, updateChecksum(getU16(tcp, 16), swap(before), swap(mss)))
}
