/** Why a route is not used: closed lists, so that each can be counted, and `explain` needs no other words. */

/**
 * Why a route of a neighbour is not eligible (RFC 4271 section 9.1.2). The number is kept with the route.
 * `accepted` stands for none.
 */
export const INELIGIBLE = [
  'accepted',
  /** A prefix that nobody may announce: see `martians.ts`. */
  'martian',
  /** 0.0.0.0/0 or ::/0, which was not asked for. */
  'default-route',
  /** Our AS is in the path more often than `allowAsIn` allows (RFC 4271 section 9.1.2). */
  'as-loop',
  /** ORIGINATOR_ID is ours, or our cluster is in CLUSTER_LIST (RFC 4456 section 8). */
  'reflection-loop',
  /** The next hop is one of our own addresses (RFC 4271 section 6.3). */
  'own-next-hop',
  /** The route covers the outer address of the tunnel that it would lead into. */
  'recursive',
  /** OTC says that it must not come from there (RFC 9234 section 5). */
  'route-leak',
  /** No import policy for an external neighbour (RFC 8212). */
  'no-policy',
  'import-policy',
] as const
export type Ineligible = (typeof INELIGIBLE)[number]

export function ineligibleCode(reason: Ineligible): number {
  return INELIGIBLE.indexOf(reason)
}

/** Why an eligible route was not chosen: the step of the decision process that took it out (RFC 4271 section 9.1.2.2). */
export const DECISION_STEPS = [
  'local-origin',
  'local-preference',
  'as-path-length',
  'origin',
  'med',
  'external',
  'igp-metric',
  'router-id',
  'cluster-list-length',
  'peer-address',
] as const
export type DecisionStep = (typeof DECISION_STEPS)[number]

/** Why the best route is not advertised to a neighbour. */
export const NOT_ADVERTISED = [
  'no-route',
  'neighbour-down',
  'family-not-negotiated',
  /** It came from that neighbour. */
  'split-horizon',
  /** From one internal neighbour to another (RFC 4271 section 9.2). */
  'internal',
  'no-advertise',
  'no-export',
  /** RFC 9234 section 5. */
  'otc',
  /** RFC 8212. */
  'no-policy',
  'export-policy',
] as const
export type NotAdvertised = (typeof NOT_ADVERTISED)[number]
