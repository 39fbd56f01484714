/** One BFD Control packet (RFC 5880 section 4.1) as a JSON value, and when bytes are one. */
import { DIAGNOSTICS, decodeBfd, isBfdFault } from '../../core/bfd/wire.ts'
import type { Json } from './payload-json.ts'

/** Single-hop (RFC 5881 section 4) and multihop (RFC 5883 section 5) control packets go to these ports. */
export const BFD_PORTS: readonly number[] = [3784, 4784]

const LENGTH = 24
/** With the longest authentication section, keyed SHA1. */
const LONGEST = LENGTH + 28

/**
 * Whether a line of hex without ends is meant as a Control packet. Shorter ones than 24 bytes are no ESP, and of the
 * other fields the version and the length field tell.
 */
export function looksLikeBfd(bytes: Uint8Array): boolean {
  if (bytes.length < 4 || bytes.length > LONGEST) return false
  const isVersion1 = bytes[0]! >>> 5 === 1
  const length = bytes[3]!
  if (bytes.length <= LENGTH) return isVersion1 || length === LENGTH
  return length === bytes.length || (isVersion1 && length <= LONGEST)
}

/** Total. Authentication data may be a password and stay out. */
export function bfdJson(bytes: Uint8Array): Json {
  const packet = decodeBfd(bytes)
  if (isBfdFault(packet)) {
    // RFC 5880 section 6.8.6: whatever is wrong with a packet, it is discarded.
    return { length: bytes.length, malformed: packet.reason, error: { fault: packet.fault, consequence: 'discard' } }
  }
  const { authentication, diagnostic, ...rest } = packet
  return {
    length: bytes.length,
    diagnostic,
    diagnosticName: DIAGNOSTICS[diagnostic] ?? `unknown (${diagnostic})`,
    ...rest,
    ...(authentication === undefined ? {} : { authentication: { type: authentication.type } }),
  }
}
