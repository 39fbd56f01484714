/** The boundary of the RIB: what is configured, what goes in by `handle` and what comes out by `poll`. */
import type { Address, Family, Prefix } from '../../../../protocol/net.ts'
import type { NextHop, PathAttributes, PrefixBlock, Role, UpdateMessage } from '../wire/types.ts'
import type { DampingOptions } from './damping.ts'
import type { DecisionOptions } from './decision.ts'
import type { NextHopSet } from './next-hop-sets.ts'
import type { ResolveNextHop } from './next-hops.ts'
import type { Policies } from './policy.ts'
import type { Ineligible } from './reasons.ts'

export interface RibConfig {
  readonly localAs: number
  /** BGP identifier, as a number; also the cluster identifier (RFC 4456 section 7). */
  readonly routerId: number
  /** Addresses of ours: a route with one of them as next hop is not used. */
  readonly ownAddresses: readonly Address[]
  readonly resolve: ResolveNextHop
  readonly policies: Policies
  readonly decision?: Partial<DecisionOptions>
  readonly damping?: Partial<DampingOptions>
  /** 32 random bits for the hash tables. */
  readonly hashSeed: number
  /**
   * Prefixes decided on in one `handle`; the default is 2,000, some milliseconds. While there is more to do,
   * `deadline` is at once.
   */
  readonly slice?: number
}

export interface NeighbourConfig {
  /** `local` is taken. */
  readonly id: string
  readonly peerAs: number
  readonly address: Address
  /** What we are to it (RFC 9234 section 4.1); only with external ones. */
  readonly role?: Role
  /** By name. An external neighbour without policy gives us nothing, or gets nothing (RFC 8212). */
  readonly importPolicy?: string
  readonly exportPolicy?: string
  readonly maxPrefixes?: MaxPrefixes
  /** How often our AS may be in a path from it: 0 where absent. Hubs of clouds send back what a site sent. */
  readonly allowAsIn?: number
  /** Takes 0.0.0.0/0 and ::/0 from it; else they are not asked for. */
  readonly acceptDefault?: boolean
  /** Of internal neighbours. */
  readonly nextHopSelf?: boolean
  /** Outer addresses of the tunnel to it: a route that covers one would lead the tunnel into itself. */
  readonly tunnelEnds?: readonly Address[]
  readonly damping?: boolean
}

/** Of each family separately. */
export interface MaxPrefixes {
  /** Beyond it the session is to end (RFC 4486 subcode 1). */
  readonly limit: number
  /** Warns once at this share of it: 0 to 1; 0.8 where absent. */
  readonly warnAt?: number
  /** The session may come back after that; absent: when somebody says so. */
  readonly restartMs?: number
}

export type RibInput =
  | { readonly kind: 'time' }
  /** Adds it, or changes one that is there: its routes are judged anew. */
  | { readonly kind: 'neighbour'; readonly config: NeighbourConfig }
  | { readonly kind: 'remove-neighbour'; readonly neighbour: string }
  | NeighbourUp
  | NeighbourDown
  | { readonly kind: 'update'; readonly neighbour: string; readonly update: UpdateMessage }
  /** The neighbour begins or ends a refresh of its routes (RFC 7313 section 4). */
  | { readonly kind: 'refresh-begins' | 'refresh-ends'; readonly neighbour: string; readonly family: Family }
  /** The neighbour asks for all of ours (RFC 2918). */
  | { readonly kind: 'refresh-asked'; readonly neighbour: string; readonly family: Family }
  /** There is room for that many prefixes in the session's queue: as many as there are come out as `advertise`. */
  | { readonly kind: 'drain'; readonly neighbour: string; readonly limit: number }
  | { readonly kind: 'originate'; readonly prefixes: readonly Prefix[]; readonly attributes?: Partial<PathAttributes> }
  | { readonly kind: 'withdraw'; readonly prefixes: readonly Prefix[] }
  /**
   * We are about to end the session: everything to it carries GRACEFUL_SHUTDOWN (RFC 8326 section 4.1). With `avoid` its
   * own routes are used last, too. The next session begins without.
   */
  | {
      readonly kind: 'graceful-shutdown'
      readonly neighbour: string
      readonly active: boolean
      readonly avoid?: boolean
    }
  /** What `resolve` answers may have changed. Routes over next hops that have `moved` are told to forwarding anew. */
  | { readonly kind: 'next-hops-changed'; readonly moved?: (address: Address) => boolean }
  | { readonly kind: 'policies'; readonly policies: Policies }
  | RibSettings
  /**
   * We restarted, and these neighbours know how to wait (RFC 4724 section 4.1): nothing is decided or advertised
   * until each has ended its initial routes or went down, or `deferMs` is over.
   */
  | { readonly kind: 'restarting'; readonly neighbours: readonly string[]; readonly deferMs: number }

/** Taken up at one stroke, so that no route is judged by half of it. */
export interface RibSettings {
  readonly kind: 'settings'
  readonly policies: Policies
  /** Policies that do another thing than before, by name: only neighbours that have one of them are gone through. */
  readonly changed: ReadonlySet<string>
  /** Absent: as they were. */
  readonly ownAddresses?: readonly Address[]
  /** Those that are new or other than before. */
  readonly neighbours: readonly NeighbourConfig[]
}

export interface NeighbourUp {
  readonly kind: 'neighbour-up'
  readonly neighbour: string
  readonly routerId: number
  readonly families: readonly Family[]
  /** Our address towards it, of each family: the next hop of what we advertise. */
  readonly nextHops: Readonly<Partial<Record<Family, NextHop>>>
  /**
   * Families whose forwarding it kept (F bit); of others stale routes go (RFC 4724 section 4.2). Absent: it knows nothing
   * of graceful restart.
   */
  readonly keptForwarding?: readonly Family[]
  /** It has restarted: if we have too, neither waits for the other (RFC 4724 section 4.1). */
  readonly isRestarting?: boolean
  /** How long it has to announce again what is stale, and to end its initial routes; six minutes where absent. */
  readonly staleMs?: number
  /** It speaks enhanced route refresh (RFC 7313). */
  readonly enhancedRefresh?: boolean
}

export interface NeighbourDown {
  readonly kind: 'neighbour-down'
  readonly neighbour: string
  /** Keeps its routes of these families as stale for that long (RFC 4724); absent: they go at once. */
  readonly stale?: { readonly families: readonly Family[]; readonly ms: number }
}

export type RibEffect =
  | RoutesChanged
  | Advertise
  | { readonly kind: 'withdraw'; readonly neighbour: string; readonly prefixes: PrefixBlock }
  | { readonly kind: 'end-of-rib'; readonly neighbour: string; readonly family: Family }
  /** Of our answer to `refresh-asked`, where the neighbour speaks enhanced route refresh. */
  | { readonly kind: 'refresh-begins' | 'refresh-ends'; readonly neighbour: string; readonly family: Family }
  /** The session is to end with Cease, Maximum Number of Prefixes Reached. */
  | {
      readonly kind: 'prefix-limit'
      readonly neighbour: string
      readonly family: Family
      readonly limit: number
      readonly restartMs?: number
    }
  | {
      readonly kind: 'prefix-warning'
      readonly neighbour: string
      readonly family: Family
      readonly prefixes: number
      readonly limit: number
    }
  /** Of one update, once for each reason: for the log. Policies that reject are no news. */
  | {
      readonly kind: 'rejected'
      readonly neighbour: string
      readonly reason: Ineligible
      readonly first: Prefix
      readonly prefixes: number
    }
  | { readonly kind: 'damped' | 'reused'; readonly neighbour: string; readonly prefix: Prefix }

/** Prefix `i` is to be forwarded to `nextHops[i]`; an empty set: withdrawn. In one batch no prefix stands twice. */
export interface RoutesChanged {
  readonly kind: 'routes'
  readonly prefixes: PrefixBlock
  readonly nextHops: readonly NextHopSet[]
}

/** All of `prefixes` have these attributes; any number: the session packs them. */
export interface Advertise {
  readonly kind: 'advertise'
  readonly neighbour: string
  readonly attributes: PathAttributes
  readonly nextHop: NextHop
  readonly prefixes: PrefixBlock
}

export interface NeighbourCounters {
  /** Prefixes in announcements and in withdrawals, since ever. */
  announced: number
  withdrawn: number
  /** Withdrawals and changes of attributes of routes that were there. */
  flaps: number
  /** Prefixes dropped because the limit was reached. */
  overLimit: number
  readonly rejected: Map<Ineligible, number>
}

/** Of one neighbour and family. */
export interface NeighbourStatus {
  readonly received: number
  readonly accepted: number
  /** Of `received`, those that a restarting neighbour has not announced again yet. */
  readonly stale: number
  readonly advertised: number
  readonly pending: boolean
}
