/** Fragmentation before encryption (RFC 4301 section 7, RFC 791 section 3.2). */
import { concat, getU16, roundDown, setU16, setU32 } from './bytes.ts'
import { IPV4_MF, IPV6_HEADER, type IpPacket, PROTO_FRAGMENT, writeIpv4Checksum } from './ip.ts'

/** Option kinds with this bit go into every fragment (RFC 791 section 3.1). */
const OPTION_COPIED = 0x80

/**
 * Cuts an IPv4 packet into pieces of at most `mtu` bytes, all but the last of the same data length; a fragment may
 * be cut again. `mtu` leaves room for the largest header and 8 bytes of data.
 */
export function fragmentIpv4(packet: IpPacket, mtu: number): Uint8Array[] {
  const firstHeader = packet.bytes.subarray(0, packet.payloadAt)
  const laterHeader = headerOfLaterFragments(firstHeader)
  const base = packet.fragment?.offset ?? 0
  return cut(packet.bytes.subarray(packet.payloadAt), mtu - firstHeader.length, (data, at, last) => {
    const more = !last || (packet.fragment?.more ?? false)
    return ipv4Fragment(at === 0 ? firstHeader : laterHeader, data, base + at, more)
  })
}

/** Pieces of at most `room` bytes, each but the last a multiple of 8. */
function cut(
  payload: Uint8Array,
  room: number,
  make: (data: Uint8Array, at: number, last: boolean) => Uint8Array,
): Uint8Array[] {
  const capacity = roundDown(room, 8)
  const pieces: Uint8Array[] = []
  for (let at = 0; at < payload.length; at += capacity) {
    pieces.push(make(payload.subarray(at, at + capacity), at, at + capacity >= payload.length))
  }
  return pieces
}

function ipv4Fragment(header: Uint8Array, payload: Uint8Array, offset: number, more: boolean): Uint8Array {
  const out = concat(header, payload)
  setU16(out, 2, out.length)
  const kept = getU16(out, 6) & ~(IPV4_MF | 0x1fff)
  setU16(out, 6, kept | (more ? IPV4_MF : 0) | (offset / 8))
  writeIpv4Checksum(out)
  return out
}

/** Only the options whose copied bit is set, padded with end-of-list to 4 bytes. */
function headerOfLaterFragments(header: Uint8Array): Uint8Array {
  const options = copiedOptions(header.subarray(20))
  const out = concat(header.subarray(0, 20), options, new Uint8Array(-options.length & 3))
  out[0] = 0x40 | (out.length / 4)
  return out
}

function copiedOptions(options: Uint8Array): Uint8Array {
  const kept: Uint8Array[] = []
  for (let at = 0; at < options.length; ) {
    const kind = options[at]!
    if (kind === 0) break
    const length = kind === 1 ? 1 : (options[at + 1] ?? 0)
    if (kind !== 1 && (length < 2 || at + length > options.length)) break
    if ((kind & OPTION_COPIED) !== 0) kept.push(options.subarray(at, at + length))
    at += length
  }
  return concat(...kept)
}

export interface Ipv6FragmentPlace {
  readonly id: number
  readonly headerAt: number
  readonly nextHeaderAt: number
}

/**
 * Cuts a reassembled IPv6 datagram into fragments again, with the fragment header where it stood and the
 * identification that the source gave (RFC 8200 section 4.5). Undefined where the headers alone fill `mtu`.
 */
export function fragmentIpv6(bytes: Uint8Array, place: Ipv6FragmentPlace, mtu: number): Uint8Array[] | undefined {
  const room = mtu - place.headerAt - 8
  if (room < 8) return undefined
  const unfragmentable = bytes.slice(0, place.headerAt)
  const nextHeader = unfragmentable[place.nextHeaderAt]!
  unfragmentable[place.nextHeaderAt] = PROTO_FRAGMENT
  return cut(bytes.subarray(place.headerAt), room, (data, at, last) => {
    const header = new Uint8Array(8)
    header[0] = nextHeader
    setU16(header, 2, at | (last ? 0 : 1))
    setU32(header, 4, place.id)
    const out = concat(unfragmentable, header, data)
    setU16(out, 4, out.length - IPV6_HEADER)
    return out
  })
}
