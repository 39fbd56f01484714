/** MP_REACH_NLRI and MP_UNREACH_NLRI (RFC 4760) of IPv4 and IPv6 unicast, and what makes an address a next hop. */
import { type Family, formatAddress } from '../../../../protocol/net.ts'
import { putU8, putU16, u16 } from '../../ike/wire/bytes.ts'
import { AFI, SAFI } from './constants.ts'
import type { FaultName } from './faults.ts'
import { decodePrefixes } from './nlri.ts'
import type { AfiSafi, NextHop, PrefixBlock } from './types.ts'

export interface MpFault {
  readonly fault: FaultName
  readonly reason: string
  /** Prefixes that could be read all the same: they are to be treated as withdrawn. */
  readonly prefixes?: PrefixBlock
}

export interface MpReach {
  readonly nextHop: NextHop
  readonly prefixes: PrefixBlock
}

/** Our family of an AFI and SAFI, or undefined. */
export function familyOfAfi({ afi, safi }: AfiSafi): Family | undefined {
  if (safi !== SAFI.unicast) return undefined
  return afi === AFI.ipv4 ? 4 : afi === AFI.ipv6 ? 6 : undefined
}

export function afiOf(family: Family): AfiSafi {
  return { afi: family === 4 ? AFI.ipv4 : AFI.ipv6, safi: SAFI.unicast }
}

const REACH_LEAST = 5
const UNREACH_LEAST = 3

/** Reads an attribute's value, of at least so many octets as its AFI and SAFI take. */
export function decodeReach(value: Uint8Array, families: readonly Family[]): MpReach | MpFault {
  if (value.length < REACH_LEAST) return tooShort('MP_REACH_NLRI', REACH_LEAST, value)
  const family = familyOfAfi({ afi: u16(value, 0), safi: value[2]! })
  if (family === undefined || !families.includes(family)) return otherFamily(value)
  const nextHopLength = value[3]!
  const nextHopEnd = 4 + nextHopLength
  const fits = family === 4 ? nextHopLength === 4 : nextHopLength === 16 || nextHopLength === 32
  if (!fits || nextHopEnd >= value.length) {
    const reason = `A next hop of IPv${family} cannot have ${nextHopLength} octets`
    return { fault: 'mp-next-hop-length', reason: fits ? 'The attribute ends within its next hop.' : `${reason}.` }
  }
  // One octet behind the next hop is reserved (RFC 4760 section 3) and must be ignored.
  const prefixes = decodePrefixes(family, value.subarray(nextHopEnd + 1))
  if ('reason' in prefixes) return { fault: 'mp-syntax', reason: `In MP_REACH_NLRI, ${prefixes.reason}.` }
  const nextHop = readNextHop(value.subarray(4, nextHopEnd))
  if (typeof nextHop === 'string') return { fault: 'mp-next-hop', reason: nextHop, prefixes }
  return { nextHop, prefixes }
}

export function decodeUnreach(value: Uint8Array, families: readonly Family[]): PrefixBlock | MpFault {
  if (value.length < UNREACH_LEAST) return tooShort('MP_UNREACH_NLRI', UNREACH_LEAST, value)
  const family = familyOfAfi({ afi: u16(value, 0), safi: value[2]! })
  if (family === undefined || !families.includes(family)) return otherFamily(value)
  const prefixes = decodePrefixes(family, value.subarray(UNREACH_LEAST))
  return 'reason' in prefixes ? { fault: 'mp-syntax', reason: `In MP_UNREACH_NLRI, ${prefixes.reason}.` } : prefixes
}

function tooShort(name: string, least: number, value: Uint8Array): MpFault {
  return { fault: 'mp-syntax', reason: `${name} has at least ${least} octets; ${value.length} are there.` }
}

function otherFamily(value: Uint8Array): MpFault {
  return { fault: 'mp-family', reason: `AFI ${u16(value, 0)} with SAFI ${value[2]} was not negotiated.` }
}

/** 4, 16 or 32 octets (RFC 2545 section 3), or why they are no next hop. */
export function readNextHop(bytes: Uint8Array): NextHop | string {
  if (bytes.length === 4) return hostAddress(bytes) ? { address: formatAddress(bytes) } : notHost(bytes)
  const first = bytes.subarray(0, 16)
  const second = bytes.subarray(16)
  const linkLocal = isLinkLocal(second) ? formatAddress(second) : undefined
  // A speaker without a global address sends its link-local one alone, or behind the unspecified address.
  if (isLinkLocal(first)) return { address: formatAddress(first), linkLocal: linkLocal ?? formatAddress(first) }
  if (linkLocal !== undefined && first.every((octet) => octet === 0)) return { address: linkLocal, linkLocal }
  if (!hostAddress(first)) return notHost(first)
  return { address: formatAddress(first), ...(linkLocal === undefined ? {} : { linkLocal }) }
}

function notHost(bytes: Uint8Array): string {
  return `The next hop ${formatAddress(bytes)} is no host's address.`
}

/** RFC 4271 section 6.3: a next hop must be the address of a host. Neither unspecified, loopback nor multicast. */
function hostAddress(bytes: Uint8Array): boolean {
  if (bytes.length === 4) return bytes[0] !== 0 && bytes[0] !== 127 && bytes[0]! < 224
  const high = bytes.subarray(0, 15).every((octet) => octet === 0)
  return bytes[0] !== 0xff && !(high && bytes[15]! <= 1)
}

function isLinkLocal(bytes: Uint8Array): boolean {
  return bytes.length === 16 && bytes[0] === 0xfe && (bytes[1]! & 0xc0) === 0x80
}

/** AFI and SAFI as both attributes begin with. */
export function encodeFamily(family: Family): Uint8Array {
  const { afi, safi } = afiOf(family)
  const bytes = new Uint8Array(3)
  putU16(bytes, 0, afi)
  putU8(bytes, 2, safi)
  return bytes
}
