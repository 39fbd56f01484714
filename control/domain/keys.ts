/** What the key of a tunnel is at: the epochs that its ends are told of, and what each has published. */
import type { Phase } from '../../protocol/control/document.ts'

/** Written by rotations only. */
export interface TunnelKeys {
  /** The tunnel's id. */
  readonly id: string
  /** The connectors that these keys are between, in the order of the tunnel's sites; absent before the first. */
  readonly ends?: readonly [string, string]
  /** 0: none yet. */
  readonly current: number
  readonly currentSince?: number
  /** Epoch of the rotation that is under way, while it is not yet the current one. */
  readonly next?: number
  /** What the ends are to do with `next`; absent when they are to forget it. */
  readonly nextPhase?: Phase
  readonly rotation?: string
  /** Highest epoch that was ever begun; never used twice. */
  readonly highest: number
  /** JWS of each end's half, by epoch and connector: `<epoch>/<connector>`. Only those whose signature was verified. */
  readonly halves: Readonly<Record<string, string>>
  /**
   * By connector, the version of the document that it had when the epochs last changed: an end that has carried out
   * a newer one knows of the change.
   */
  readonly changedAfter?: Readonly<Record<string, number>>
}

/** Epochs are four octets where keys are derived. */
export const MAX_EPOCH = 0xffff_ffff

export function newKeys(tunnel: string): TunnelKeys {
  return { id: tunnel, current: 0, highest: 0, halves: {} }
}

export function halfName(epoch: number, connector: string): string {
  return `${epoch}/${connector}`
}

/** One epoch as the ends are told of it. */
export interface ShownEpoch {
  readonly epoch: number
  readonly phase: Phase
}

/** What both ends are told, oldest epoch first. */
export function shownEpochs({ current, next, nextPhase }: TunnelKeys): ShownEpoch[] {
  const shown: ShownEpoch[] = []
  if (current > 0) shown.push({ epoch: current, phase: nextPhase === 'use' ? 'accept' : 'use' })
  if (next !== undefined && nextPhase !== undefined) shown.push({ epoch: next, phase: nextPhase })
  return shown
}
