/** The two ends of a tunnel as rotations see them: what each said last, and what follows from it for the keys. */

import { sameJson } from '../../protocol/control/canonical.ts'
import type { EpochStatus } from '../../protocol/control/link.ts'
import { halfName, newKeys, type TunnelKeys } from './keys.ts'

/** One end. Reports must be taken in the order in which the connector made them. */
export interface EndView {
  readonly connector: string
  /** The version that its document has now. */
  readonly documentVersion: number
  /** The version that it had carried out when it last reported; 0 when it never did. */
  readonly carriedOut: number
  /** Of this tunnel, from its last report; `key` only where the signature was verified. */
  readonly epochs: readonly EpochStatus[]
}

/** In the order of the tunnel's sites; undefined where there is no connector that is not revoked. */
export type Ends = readonly [EndView | undefined, EndView | undefined]
export type PresentEnds = readonly [EndView, EndView]

export function presentEnds([left, right]: Ends): PresentEnds | undefined {
  return left === undefined || right === undefined ? undefined : [left, right]
}

export function accepts(end: EndView, epoch: number): boolean {
  return statusOf(end, epoch)?.accepted === true
}

export function uses(end: EndView, epoch: number): boolean {
  return statusOf(end, epoch)?.using === true
}

export function confirmed(end: EndView, epoch: number): boolean {
  return statusOf(end, epoch)?.confirmed === true
}

/** Whether it has carried out a document in which the last change of the epochs stands. */
export function knows(keys: TunnelKeys, end: EndView): boolean {
  return end.carriedOut > (keys.changedAfter?.[end.connector] ?? -1)
}

export function bothKnow(keys: TunnelKeys, ends: PresentEnds): boolean {
  return ends.every((end) => knows(keys, end))
}

/** It was told to forget the epoch, and has. */
export function forgot(keys: TunnelKeys, end: EndView, epoch: number): boolean {
  return knows(keys, end) && statusOf(end, epoch) === undefined
}

/**
 * For `TunnelKeys.changedAfter`. An end may be at a later version than the store knows of, where the store is an older
 * copy; then its next one is later still (`nextVersion` in `document.ts`).
 */
export function shownAfter(ends: PresentEnds): Record<string, number> {
  return Object.fromEntries(ends.map((end) => [end.connector, Math.max(end.documentVersion, end.carriedOut)]))
}

/** Both ends tell a fingerprint of the epoch, and not the same. */
export function fingerprintsDiffer([left, right]: PresentEnds, epoch: number): boolean {
  const [one, other] = [statusOf(left, epoch)?.fingerprint, statusOf(right, epoch)?.fingerprint]
  return one !== undefined && other !== undefined && one !== other
}

/** The fingerprint of an epoch as far as the ends tell one; undefined when none does, or they differ. */
export function agreedFingerprint(ends: PresentEnds, epoch: number): string | undefined {
  const told = ends.map((end) => statusOf(end, epoch)?.fingerprint).filter((text) => text !== undefined)
  return told.every((text) => text === told[0]) ? told[0] : undefined
}

/** The keys with the halves that the ends have published. One that the peer may have used already is not replaced. */
export function withHalves(keys: TunnelKeys, ends: PresentEnds): TunnelKeys {
  const halves = { ...keys.halves }
  for (const { connector, epochs } of ends) {
    for (const { epoch, key } of epochs) {
      if (key === undefined || (epoch !== keys.current && epoch !== keys.next)) continue
      const name = halfName(epoch, connector)
      if (halves[name] === undefined || (epoch === keys.next && keys.nextPhase === 'offer')) halves[name] = key
    }
  }
  return differ(halves, keys.halves) ? { ...keys, halves } : keys
}

export interface SettledKeys {
  readonly keys: TunnelKeys
  /**
   * `ends-changed`: the connectors are not those that the keys are between. `restored`: an end works with an epoch
   * that this store never began, so the store is an older copy; the epoch is taken over.
   */
  readonly event?: 'ends-changed' | 'restored'
}

/** What the keys are in view of who is there and what they do. */
export function settleKeys(keys: TunnelKeys, ends: Ends, now: number): SettledKeys {
  const strangers = keys.ends?.some((connector, index) => ends[index]?.connector !== connector) ?? false
  if (strangers) return { keys: { ...newKeys(keys.id), highest: keys.highest }, event: 'ends-changed' }
  const present = presentEnds(ends)
  const ahead = present?.flatMap((end) =>
    end.epochs.filter(({ epoch }) => epoch > keys.highest).map((status) => ({ end, status })),
  )
  if (present === undefined || ahead === undefined || ahead.length === 0) return { keys }
  const highest = Math.max(...ahead.map(({ status }) => status.epoch))
  const working = ahead
    .filter(({ end, status }) => status.using || (status.accepted && !accepts(end, keys.current)))
    .map(({ status }) => status.epoch)
  if (working.length === 0) return { keys: { ...keys, highest } }
  const adopted: TunnelKeys = {
    ...newKeys(keys.id),
    ends: [present[0].connector, present[1].connector],
    current: Math.max(...working),
    currentSince: now,
    highest,
    changedAfter: shownAfter(present),
  }
  return { keys: withHalves(adopted, present), event: 'restored' }
}

/**
 * Why a tunnel without a rotation needs a new first key: it has none, or an end that knows of the key does not have
 * it any more. Undefined when it needs none, or a connector is missing.
 */
export function needsKey(keys: TunnelKeys, ends: Ends): 'none' | 'lost' | undefined {
  const present = presentEnds(ends)
  if (present === undefined || keys.rotation !== undefined) return undefined
  if (keys.current === 0) return 'none'
  return present.some((end) => hasLost(keys, end, keys.current)) ? 'lost' : undefined
}

/**
 * Whether an end that must have the key of `epoch` has it no more: it says so, or it has published another half than
 * the peer has derived the key from.
 */
export function hasLost(keys: TunnelKeys, end: EndView, epoch: number): boolean {
  const half = keys.halves[halfName(epoch, end.connector)]
  const told = statusOf(end, epoch)?.key
  if (half !== undefined && told !== undefined && half !== told) return true
  return end.carriedOut > 0 && knows(keys, end) && !accepts(end, epoch)
}

export function differ(left: unknown, right: unknown): boolean {
  return !sameJson(left, right)
}

function statusOf(end: EndView, epoch: number): EpochStatus | undefined {
  return end.epochs.find((status) => status.epoch === epoch)
}
