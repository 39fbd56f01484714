/**
 * Routing policy as plain data, so that a configuration file or a document of the control plane can carry it as it
 * is. `policy.ts` compiles it and names everything that is wrong with it.
 */

export interface PolicyDocument {
  readonly prefixLists?: Readonly<Record<string, readonly PrefixRule[]>>
  readonly policies: Readonly<Record<string, Policy>>
}

/** Prefixes within `prefix` whose length is from `ge` to `le`; without both exactly that prefix (as routers have it). */
export interface PrefixRule {
  readonly prefix: string
  /** With `ge` alone `le` is the longest there is; with `le` alone `ge` is the length of `prefix`. */
  readonly ge?: number
  readonly le?: number
}

/** The first rule that matches and does not continue decides. */
export interface Policy {
  readonly rules: readonly PolicyRule[]
  /** Where no rule decides; absent: reject. */
  readonly otherwise?: Outcome
}

export type Outcome = 'accept' | 'reject'

export interface PolicyRule {
  /** What `explain` calls it; absent: its number. */
  readonly name?: string
  /** All of them must hold; absent: always. */
  readonly if?: PolicyConditions
  /** Done where the rule matches and the route is accepted in the end. */
  readonly set?: PolicyActions
  /** `continue` goes on with the next rule, which still sees the route as it came. */
  readonly do: Outcome | 'continue'
}

export interface PolicyConditions {
  readonly family?: 4 | 6
  /** A prefix list by name, or rules; a prefix matches where any rule does. */
  readonly prefixes?: string | readonly PrefixRule[]
  /** See `as-path-pattern.ts`: `65001 * 64512-65534`, `*` any number of ASes, `?` one, nothing the empty path. */
  readonly asPath?: string
  readonly asPathLength?: Bounds
  /** `65001:100`, `65001:*`, `65001:1:2`, `no-export` and other names: any of them, or all. */
  readonly anyCommunity?: readonly string[]
  readonly allCommunities?: readonly string[]
  readonly origin?: 'igp' | 'egp' | 'incomplete'
  readonly med?: Bounds
  readonly localPref?: Bounds
  /** Of exports: learned from one of these neighbours; `local` is what we originate. */
  readonly from?: readonly string[]
}

/** Both ends included; an absent one is open. */
export interface Bounds {
  readonly min?: number
  readonly max?: number
}

/** In this order: communities, the path, numbers, the next hop. */
export interface PolicyActions {
  /** `delete` first, patterns allowed; then `add`. `set` leaves only what it names. */
  readonly communities?: {
    readonly set?: readonly string[]
    readonly delete?: readonly string[]
    readonly add?: readonly string[]
  }
  /** `asn` absent: our own. 1 to 32 times. */
  readonly prepend?: { readonly times: number; readonly asn?: number }
  readonly localPref?: number
  readonly med?: number | 'none'
  /** Of exports to internal neighbours: external ones always get our own address. */
  readonly nextHopSelf?: boolean
}

/** What is wrong with a policy document, and where: `policies.transit.rules[2].if.asPath`. */
export interface PolicyFault {
  readonly path: string
  readonly reason: string
}
