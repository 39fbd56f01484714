/** Where a connector can be reached from another one. */
import type { Endpoint, Site } from '../../protocol/control/intent.ts'
import { type Address, familyOf, type Prefix, parseAddress, prefix, prefixContains } from '../../protocol/net.ts'

export interface Place {
  /** Where its requests come from, as the control plane sees it. */
  readonly seenAddress?: string | undefined
  /** What it says its own addresses are. */
  readonly addresses: readonly string[]
}

export const IKE_PORT = 500
export const NAT_TRAVERSAL_PORT = 4500

/** Loopback and link-local addresses: they mean something else at each host. */
const LOCAL = ['127.0.0.0/8', '169.254.0.0/16', '0.0.0.0/8', '::1/128', '::/128', 'fe80::/10'].map(prefix)
/** RFC 1918, RFC 6598, RFC 4193: reached from within the same private network only. */
const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7'].map(prefix)

/**
 * Where a connector says it is and is seen to be: it stands behind no address translation. Undefined otherwise, and
 * where the address means nothing to others.
 */
export function foundEndpoint({ seenAddress, addresses }: Place): Endpoint | undefined {
  const seen = parseAddress(seenAddress ?? '')
  if (seen === undefined || isIn(LOCAL, seen)) return undefined
  if (!addresses.some((own) => parseAddress(own) === seen)) return undefined
  return { address: seen, port: IKE_PORT, natPort: NAT_TRAVERSAL_PORT }
}

/** What an operator has set for the site, else what was found out: what people are shown. */
export function endpointOf(site: Pick<Site, 'endpoint'>, connector: Place): Endpoint | undefined {
  return site.endpoint ?? foundEndpoint(connector)
}

export interface Placed {
  readonly site: Pick<Site, 'endpoint'>
  readonly connector: Place
}

/**
 * Where `from` reaches `peer`. A private address that was found out is good only for one that is seen at a private
 * address itself: from outside, nothing leads there, and the other end can initiate.
 */
export function endpointFor(peer: Placed, from: Placed): Endpoint | undefined {
  if (peer.site.endpoint !== undefined) return peer.site.endpoint
  const found = foundEndpoint(peer.connector)
  if (found === undefined || !isPrivate(found.address)) return found
  return standingOf(from.connector).outside ? undefined : found
}

/**
 * All of a place that documents depend on: two places with the same standing make the same documents, its own and its
 * peers'. Behind a NAT addresses may change without that.
 */
export function standingOf(place: Place): { readonly found: Endpoint | undefined; readonly outside: boolean } {
  const { seenAddress } = place
  return { found: foundEndpoint(place), outside: seenAddress !== undefined && !isPrivate(seenAddress) }
}

function isPrivate(text: string): boolean {
  const parsed = parseAddress(text)
  return parsed !== undefined && isIn(PRIVATE, parsed)
}

function isIn(prefixes: readonly Prefix[], value: Address): boolean {
  return prefixes.some((candidate) => familyOf(candidate) === familyOf(value) && prefixContains(candidate, value))
}
