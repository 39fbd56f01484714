/**
 * BGP messages as values (RFC 4271 section 4). The codecs beside this file turn bytes into these and back.
 *
 * Numbers keep their IANA meaning, unknown ones included: a reader never refuses what an RFC says to ignore. Byte
 * fields of a decoded message are copies; the buffer it came in may be reused at once. Integers are unsigned; AS
 * numbers, BGP identifiers and communities have 32 bits. Nothing decoded is ever changed afterwards: attributes may
 * be shared and interned.
 */
import type { Address, Family } from '../../../../protocol/net.ts'
import type { PrefixBlock } from '../../../../protocol/prefix-block.ts'
import type { BgpFault } from './faults.ts'

export type { PrefixBlock } from '../../../../protocol/prefix-block.ts'

export type BgpMessage = OpenMessage | UpdateMessage | NotificationMessage | KeepaliveMessage | RouteRefreshMessage

/** Address family identifier and subsequent one (RFC 4760), as IANA numbers them. */
export interface AfiSafi {
  readonly afi: number
  readonly safi: number
}

/** RFC 4271 section 4.2. */
export interface OpenMessage {
  readonly type: 'OPEN'
  readonly version: number
  /** The two-octet field: AS_TRANS (23456) where the number has more; `four-octet-as` then has it (RFC 6793). */
  readonly myAs: number
  /** Seconds: 0, or 3 to 65535. */
  readonly holdTime: number
  readonly bgpIdentifier: number
  /** In wire order, repetitions included. */
  readonly capabilities: readonly Capability[]
}

export type Capability =
  /** RFC 4760. */
  | ({ readonly type: 'multiprotocol' } & AfiSafi)
  /** RFC 2918. */
  | { readonly type: 'route-refresh' }
  /** RFC 8654. */
  | { readonly type: 'extended-message' }
  /** RFC 9234; a number that is no `Role` is kept, for it is a mismatch. */
  | { readonly type: 'role'; readonly role: number }
  | GracefulRestartCapability
  /** RFC 6793. */
  | { readonly type: 'four-octet-as'; readonly asn: number }
  /** RFC 7313. */
  | { readonly type: 'enhanced-route-refresh' }
  | { readonly type: 'unknown'; readonly code: number; readonly value: Uint8Array }

/** RFC 4724 section 3, with the bit that RFC 8538 section 2 adds. */
export interface GracefulRestartCapability {
  readonly type: 'graceful-restart'
  /** R: the sender has restarted. */
  readonly restarting: boolean
  /** N: a NOTIFICATION other than a hard reset keeps routes too. */
  readonly notification: boolean
  /** Seconds, 0 to 4095. */
  readonly restartTime: number
  readonly families: readonly (AfiSafi & {
    /** F: kept forwarding while it restarted. */ readonly forwarding: boolean
  })[]
}

/** RFC 9234 section 4.1: what the sender of the capability is to the receiver. */
export const ROLE = { provider: 0, routeServer: 1, routeServerClient: 2, customer: 3, peer: 4 } as const
export type Role = keyof typeof ROLE

/** RFC 4271 section 4.4. */
export interface KeepaliveMessage {
  readonly type: 'KEEPALIVE'
}

/** RFC 4271 section 4.5. */
export interface NotificationMessage {
  readonly type: 'NOTIFICATION'
  readonly code: number
  readonly subcode: number
  readonly data: Uint8Array
  /** Shutdown communication (RFC 9003) of an administrative shutdown or reset, where it is there and is UTF-8. */
  readonly communication?: string
  /** Inside a hard reset (RFC 8538 section 3): what ended the session. */
  readonly inner?: { readonly code: number; readonly subcode: number; readonly data: Uint8Array }
}

/** RFC 2918 section 3 and RFC 7313 section 3.2. */
export interface RouteRefreshMessage extends AfiSafi {
  readonly type: 'ROUTE-REFRESH'
  /** 0 request, 1 beginning (BoRR), 2 end (EoRR). */
  readonly subtype: number
}

/**
 * RFC 4271 section 4.3, with RFC 7606 applied: what is to be treated as withdrawn stands in `withdrawn`, and
 * attributes to be discarded are gone. Carry out `withdrawn` first, then `reach`: a prefix in both is announced
 * (RFC 4271 section 4.3).
 */
export interface UpdateMessage {
  readonly type: 'UPDATE'
  readonly withdrawn: readonly PrefixBlock[]
  /** Empty without `attributes`. Of IPv4 there may be two, from the NLRI field and from MP_REACH_NLRI. */
  readonly reach: readonly Reach[]
  /** Of all of `reach`; absent where nothing is announced, but there where it was refused for an AS_SET alone. */
  readonly attributes?: PathAttributes
  /** This update ends the initial routes of that family (RFC 4724 section 2). */
  readonly endOfRib?: AfiSafi
  /** What was wrong and did not end the session, in the order in which it was found. */
  readonly faults: readonly BgpFault[]
}

export interface Reach {
  readonly nextHop: NextHop
  readonly prefixes: PrefixBlock
}

export interface NextHop {
  /** IPv4 or IPv6 as the family has it; the link-local address where a peer gave that alone. */
  readonly address: Address
  /** RFC 2545 section 3. */
  readonly linkLocal?: Address
}

export const ORIGIN = { igp: 0, egp: 1, incomplete: 2 } as const

/** Everything an announcement says of its prefixes, but next hops, which each family has its own of. */
export interface PathAttributes {
  /** A value of `ORIGIN`. */
  readonly origin: number
  /** AS numbers of four octets: AS4_PATH is merged in already (RFC 6793 section 4.2.3). Leftmost is nearest. */
  readonly asPath: AsPath
  /** MULTI_EXIT_DISC. */
  readonly med?: number
  /** Only from internal peers. */
  readonly localPref?: number
  readonly atomicAggregate?: true
  readonly aggregator?: Aggregator
  /** RFC 1997. Sorted by number, without repetitions. */
  readonly communities?: readonly number[]
  /** RFC 4360: 8 octets each, in wire order. */
  readonly extendedCommunities?: readonly Uint8Array[]
  /** RFC 8092. Sorted, without repetitions. */
  readonly largeCommunities?: readonly LargeCommunity[]
  /** RFC 4456, only from internal peers. */
  readonly originatorId?: number
  readonly clusterList?: readonly number[]
  /** OTC, the AS that forbids the way up (RFC 9234 section 5). */
  readonly onlyToCustomer?: number
  /** Transitive ones that no codec here knows, Partial set (RFC 4271 section 5), by type. */
  readonly unknown?: readonly UnknownAttribute[]
}

export type AsPath = readonly AsPathSegment[]

export interface AsPathSegment {
  readonly type: 'sequence' | 'set'
  /** 1 to 255 on the wire; the encoder splits a longer sequence. */
  readonly asns: readonly number[]
}

export interface Aggregator {
  readonly asn: number
  /** The BGP identifier of the router that aggregated, as a number. */
  readonly routerId: number
}

/** Global administrator, and two numbers of its own. */
export type LargeCommunity = readonly [global: number, local1: number, local2: number]

export interface UnknownAttribute {
  readonly flags: number
  readonly type: number
  readonly value: Uint8Array
}

/** What decoding depends on: who the peer is and what was negotiated with it. */
export interface DecodeOptions {
  /** Both ends announced four-octet AS numbers (RFC 6793). */
  readonly fourOctetAs: boolean
  /** We announced extended messages (RFC 8654 section 4): the peer may send up to 65,535 octets instead of 4,096. */
  readonly extendedMessages: boolean
  /** The peer is in our AS: LOCAL_PREF, ORIGINATOR_ID and CLUSTER_LIST count (RFC 7606 section 7). */
  readonly internal: boolean
  /** Negotiated families: others are ignored (RFC 4760 section 7, RFC 7606 section 5). */
  readonly families: readonly Family[]
  /** The AS that an external peer must have put first (RFC 4271 section 6.3); absent: not looked at. */
  readonly firstAs?: number
}
