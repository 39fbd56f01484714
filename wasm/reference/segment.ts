/** A super-packet into the packets that its host would have sent without segmentation offload. */
import { concat, getU16, getU32, internetChecksum, setU16, setU32 } from './bytes.ts'
import { type IpPacket, PROTO_TCP, writeIpv4Checksum } from './ip.ts'
import { checksumPlace } from './vnet.ts'

const FIN_PSH = 0x09
const CWR = 0x80

/** Segments with `size` bytes of payload each, but for a shorter last, behind the first `headers` bytes. */
export function segments(packet: IpPacket, headers: number, size: number): Uint8Array[] {
  const payload = packet.bytes.length - headers
  const out: Uint8Array[] = []
  for (let from = 0; from < payload || from === 0; from += size) {
    out.push(segment(packet, headers, from, Math.min(from + size, payload), out.length))
  }
  return out
}

function segment(packet: IpPacket, headers: number, from: number, end: number, number: number): Uint8Array {
  const { bytes, version, payloadAt, protocol } = packet
  const out = concat(bytes.subarray(0, headers), bytes.subarray(headers + from, headers + end))
  const transport = out.subarray(payloadAt)
  if (version === 4) {
    setU16(out, 2, out.length)
    setU16(out, 4, (getU16(bytes, 4) + number) & 0xffff)
    writeIpv4Checksum(out)
  } else setU16(out, 4, out.length - 40)
  if (protocol === PROTO_TCP) {
    const last = headers + end === bytes.length
    setU32(transport, 4, (getU32(transport, 4) + from) >>> 0)
    transport[13] = transport[13]! & (last ? 0xff : ~FIN_PSH) & (from === 0 ? 0xff : ~CWR)
  } else setU16(transport, 4, transport.length)
  const field = checksumPlace(protocol)
  setU16(transport, field, 0)
  const sum = internetChecksum(pseudoHeader(out, version, protocol, transport.length), transport)
  setU16(transport, field, protocol === PROTO_TCP ? sum : sum || 0xffff)
  return out
}

/** RFC 9293 section 3.1, RFC 8200 section 8.1: addresses, length and protocol. */
export function pseudoHeader(packet: Uint8Array, version: 4 | 6, protocol: number, length: number): Uint8Array {
  const rest = new Uint8Array(8)
  setU32(rest, 0, length)
  rest[7] = protocol
  return concat(version === 4 ? packet.subarray(12, 20) : packet.subarray(8, 40), rest)
}
