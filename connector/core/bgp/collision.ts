/**
 * Which of two connections with one neighbour stays (RFC 4271 section 6.8).
 *
 * The RFC looks when an OPEN comes, and at connections whose OPEN was there before. Two ends that see different ones
 * first may then end one each, and have none. With the first OPEN the neighbour's identifier is known, so a connection
 * on which only ours is sent counts too, which the RFC allows: that leaves one such accident where there were eight
 * (`pair.test.ts`).
 */
import type { Instant } from '../../../protocol/machine.ts'
import type { Connection } from './connection.ts'
import type { Negotiated, SessionConfig } from './session-types.ts'
import { OPEN_SOON_MS } from './timing.ts'

/** Identifier and AS number of both ends. */
export interface Ends {
  readonly identifier: number
  readonly peerIdentifier: number
  readonly localAs: number
  readonly peerAs: number
}

/**
 * The one that was begun by the end with the larger identifier, as an unsigned number; where both are the same, by the
 * end with the larger AS number (RFC 6286 section 2.3).
 */
export function keptOrigin({ identifier, peerIdentifier, localAs, peerAs }: Ends): 'outgoing' | 'incoming' {
  if (identifier !== peerIdentifier) return identifier > peerIdentifier ? 'outgoing' : 'incoming'
  return localAs > peerAs ? 'outgoing' : 'incoming'
}

/**
 * The one of both that is to end, or undefined while that is not clear. `negotiated` comes from the neighbour's OPEN on
 * one of them.
 */
export function loserOf(
  connection: Connection,
  rival: Connection,
  negotiated: Negotiated,
  { identifier, localAs }: SessionConfig,
  now: Instant,
): Connection | undefined {
  if (rival.state === 'established') return connection
  const { peerIdentifier, peerAs } = negotiated
  const kept = keptOrigin({ identifier, peerIdentifier, localAs, peerAs })
  if (kept === connection.origin) return rival
  // Its end may be dead: a neighbour that lives does not take so long for its OPEN.
  const mayBeDead = rival.state === 'open-sent' && now - rival.openedAt > OPEN_SOON_MS
  return mayBeDead ? undefined : connection
}
