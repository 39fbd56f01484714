/** What a connector tells of its routes: `isthmus routes`, and the local API. */

/** The prefixes that are asked for, in no order. */
export interface RoutesAnswer {
  /** Of all prefixes of the connector. */
  readonly total: number
  /** Those that were asked for; `routes` has the first of them. */
  readonly matching: number
  readonly routes: readonly RouteRow[]
}

export interface RouteRow {
  readonly prefix: string
  /** `local`: a network of this site. Configured routes come before learned ones; what is refused has neither. */
  readonly from: 'local' | 'configured' | 'bgp' | 'refused'
  /** What the sender gets where it is refused. */
  readonly answer?: 'unreachable' | 'prohibited' | 'blackhole'
  /** Peers, the first one preferred. */
  readonly tunnels: readonly { readonly peer: string; readonly up: boolean }[]
}

/** Everything about one prefix. */
export interface RouteExplanation {
  readonly prefix: string
  /** What forwarding has; absent: nothing leads there. */
  readonly used?: RouteRow
  /** Of BGP, the best first. */
  readonly candidates: readonly RouteCandidate[]
  readonly advertised: readonly RouteAdvertisement[]
}

export interface RouteCandidate {
  /** `local`: we originate it. */
  readonly neighbour: string
  readonly state: 'best' | 'multipath' | 'lost' | 'ineligible'
  /** The step of the decision that took it out (RFC 4271 section 9.1.2.2), or why it may not take part. */
  readonly why?: string
  /** The rule of the import policy that decided. */
  readonly rule?: string
  readonly nextHop: string
  readonly reachable: boolean
  /** As the import policy left them, where it let the route pass. */
  readonly attributes: RouteAttributes
  readonly stale: boolean
  /** Of flap damping. */
  readonly penalty: number
  readonly ageSeconds: number
}

export interface RouteAdvertisement {
  readonly neighbour: string
  readonly told: boolean
  readonly attributes?: RouteAttributes
  /** Why the best route is not for it. */
  readonly why?: string
  readonly rule?: string
}

export interface RouteAttributes {
  readonly asPath: string
  readonly origin: string
  readonly localPref?: number
  readonly med?: number
  readonly communities: readonly string[]
}
