import { type Address, addressBytes, familyOf, formatAddress, prefixRange } from '../../protocol/net.ts'
import type { Inside } from './leaf.ts'

/** The only other host of a /30 or /126, or of a /31 or /127 (RFC 3021, 6164); undefined where there are more, or none. */
export function otherEnd({ address, network }: Inside): Address | undefined {
  const spare = (familyOf(address) === 4 ? 32 : 128) - prefixRange(network).bits
  const bytes = addressBytes(address).slice()
  const last = bytes.length - 1
  const host = bytes[last]! & 3
  if (spare === 1) bytes[last]! ^= 1
  else if (spare === 2 && (host === 1 || host === 2)) bytes[last]! ^= 3
  else return undefined
  return formatAddress(bytes)
}
