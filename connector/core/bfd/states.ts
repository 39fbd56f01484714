/**
 * The state table of a session (RFC 5880 section 6.2 and the reception procedure of 6.8.6).
 *
 *                      down, init: the peer's packet says
 *     down ── down ── init ── init, up ── up
 *       └──── init ──────────────────────┘
 *     init, up ── admin-down, or nothing for the detection time ── down;  up ── down ── down
 */
import { type BfdState, diagnostic } from './wire.ts'

/** What moves a session: the state in a packet received, or the detection time. */
export type BfdEvent = BfdState | 'detection-time-expired'

export interface Transition {
  readonly to: BfdState
  /** What becomes of bfd.LocalDiag; absent: it stays. */
  readonly diagnostic?: number
}

const down = (code: number): Transition => ({ to: 'down', diagnostic: code })
/** Coming up is a change too, and nothing is wrong with it. */
const UP: Transition = { to: 'up', diagnostic: diagnostic.none }
const EXPIRED = down(diagnostic.detectionTimeExpired)
const SIGNALED = down(diagnostic.neighborSignaledDown)

/** An event without entry changes nothing. */
export const TRANSITIONS: Readonly<Record<BfdState, Readonly<Partial<Record<BfdEvent, Transition>>>>> = {
  // Only an operator leads out of it; what comes in is discarded.
  'admin-down': {},
  // The detection time of a session that is down only makes us forget the peer's discriminator (6.8.1).
  down: { down: { to: 'init' }, init: UP },
  init: { 'admin-down': SIGNALED, init: UP, up: UP, 'detection-time-expired': EXPIRED },
  up: { 'admin-down': SIGNALED, down: SIGNALED, 'detection-time-expired': EXPIRED },
}
