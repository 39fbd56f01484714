/** Addresses that no function reaches by way of a network or a name: the connector itself, its link, everybody. */
import { type Address, type Prefix, prefix, prefixContains } from '../../../protocol/net.ts'

/** IANA's special-purpose registries (RFC 6890), the part that leads elsewhere than it says. */
const SPECIAL: readonly Prefix[] = [
  // This host, loopback, link-local with the metadata services of clouds, multicast, reserved with the broadcast.
  '0.0.0.0/8',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/4',
  '240.0.0.0/4',
  // Unspecified and loopback, with the IPv4-compatible addresses of RFC 4291 section 2.5.5.1.
  '::/96',
  // Those in which an IPv4 address hides: mapped, NAT64 (RFC 6052, RFC 8215), Teredo, 6to4.
  '::ffff:0:0/96',
  '64:ff9b::/96',
  '64:ff9b:1::/48',
  '2001::/32',
  '2002::/16',
  'fe80::/10',
  'ff00::/8',
  // The metadata service of a cloud, which is no link-local address there.
  'fd00:ec2::254/128',
].map(prefix)

export function isSpecial(address: Address): boolean {
  return SPECIAL.some((special) => prefixContains(special, address))
}
