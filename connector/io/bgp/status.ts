/** The part of the status document that is about BGP. */
import type { BgpNeighbourStatus, BgpStatus } from '../../../protocol/status.ts'
import type { Speaker } from '../../core/bgp/speaker.ts'
import type { SpeakerNeighbourStatus } from '../../core/bgp/speaker-types.ts'
import type { BgpPlan } from '../../plan.ts'

const NO_PREFIXES = { received: 0, accepted: 0, stale: 0, advertised: 0 }

/** `now` is monotonic, `wallClock` the time of day at that instant; both in milliseconds. */
export function bgpStatus(
  { localAs, routerId }: BgpPlan,
  speaker: Speaker,
  counts: Pick<BgpStatus, 'pendingRoutes' | 'routeChanges'>,
  now: number,
  wallClock: number,
): BgpStatus {
  return {
    as: localAs,
    routerId: dotted(routerId),
    prefixes: { ipv4: speaker.size(4), ipv6: speaker.size(6) },
    ...counts,
    bfdDrops: Object.fromEntries(speaker.bfdDrops),
    neighbours: speaker.status(now).map((neighbour) => neighbourStatus(neighbour, wallClock)),
  }
}

function neighbourStatus(neighbour: SpeakerNeighbourStatus, wallClock: number): BgpNeighbourStatus {
  const { name, tunnel, local, address, peerAs, state, forMs, flaps, holdTimeS, peerIdentifier, prefixes } = neighbour
  const { bfd, lastError } = neighbour
  const { 4: ipv4, 6: ipv6 } = prefixes
  return {
    name,
    tunnel,
    local,
    address,
    as: peerAs,
    state,
    since: new Date(wallClock - forMs).toISOString(),
    flaps,
    ...(holdTimeS === undefined ? {} : { holdTimeS }),
    ...(peerIdentifier === undefined ? {} : { routerId: dotted(peerIdentifier) }),
    ipv4: ipv4 ?? NO_PREFIXES,
    ipv6: ipv6 ?? NO_PREFIXES,
    ...(bfd === undefined ? {} : { bfd: { ...bfd, detectionMs: Math.round(bfd.detectionMs) } }),
    ...(lastError === undefined ? {} : { lastError }),
  }
}

function dotted(identifier: number): string {
  return [24, 16, 8, 0].map((shift) => (identifier >>> shift) & 0xff).join('.')
}
