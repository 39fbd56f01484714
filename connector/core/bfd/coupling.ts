/** What a change of a BFD session means to those who listen to it: BGP sessions and static routes (RFC 5882). */
import type { BfdStateChange } from './machine.ts'

/** `unknown`: BFD has no opinion; whoever listens goes on as if there were no BFD. */
export type PathOpinion = 'up' | 'down' | 'unknown'

/** RFC 5882 sections 3.2, 4.1 and 4.2: only the loss of an established session is news of the path. */
export function pathOpinion(change: BfdStateChange): PathOpinion {
  if (change.to === 'up') return 'up'
  // An operator at either end took BFD away, which says nothing of the path.
  if (change.to === 'admin-down' || change.remote === 'admin-down') return 'unknown'
  return change.from === 'up' ? 'down' : 'unknown'
}

/** Of a BGP session that BFD watches. */
export interface BgpRestart {
  /** Graceful restart (RFC 4724) was negotiated with the neighbour. */
  readonly negotiated: boolean
  /** The neighbour is restarting: its session is gone, its routes are kept as stale. */
  readonly restarting: boolean
}

/**
 * `none`: leave the BGP session and its routes alone. `end-session`: close it, and keep its routes only where a
 * graceful restart would. `withdraw`: close it, and withdraw its routes, stale ones too.
 */
export type BgpAction = 'none' | 'end-session' | 'withdraw'

/**
 * RFC 5882 section 4.3. Where the neighbour's BFD does not share fate with its control plane (C bit), a loss means
 * that forwarding has failed, restart or not. Where it does, the restart itself may have taken BFD down: routes of a
 * neighbour that is restarting, or may be about to, stay as long as the restart timer lets them.
 */
export function bgpAction(change: BfdStateChange, { negotiated, restarting }: BgpRestart): BgpAction {
  if (pathOpinion(change) !== 'down') return 'none'
  if (change.remoteControlPlaneIndependent || !negotiated) return 'withdraw'
  return restarting ? 'none' : 'end-session'
}
