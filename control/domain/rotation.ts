/**
 * One rotation of a tunnel's key, as a machine that is driven by what is stored: `stepRotation` looks at the state and
 * at the last that each end said, and goes as far as these allow. It may be called at any time and any number of
 * times; whoever missed a report, or crashed between two steps, calls it again.
 *
 * Until both ends use the new key and traffic has passed under it, both accept the old one; from before the first end
 * uses the new key, both accept that. So there is always a key that both accept.
 */
import type { Rotation, RotationState } from '../../protocol/control/rotation.ts'
import { halfName, MAX_EPOCH, newKeys, shownEpochs, type TunnelKeys } from './keys.ts'
import { type Refusal, refuse } from './refusal.ts'
import {
  accepts,
  agreedFingerprint,
  bothKnow,
  confirmed,
  differ,
  type Ends,
  type EndView,
  fingerprintsDiffer,
  forgot,
  hasLost,
  knows,
  needsKey,
  type PresentEnds,
  presentEnds,
  settleKeys,
  shownAfter,
  uses,
  withHalves,
} from './rotation-ends.ts'

/** After this long in a state, in milliseconds, the rotation is given up. Other states wait for as long as it takes. */
export const ROTATION_DEADLINES = { preparing: 600_000, switching: 600_000, confirming: 600_000 } as const
export type RotationDeadlines = Readonly<Record<keyof typeof ROTATION_DEADLINES, number>>

export interface RotationSituation {
  readonly rotation: Rotation
  readonly keys: TunnelKeys
  readonly ends: Ends
  /** Milliseconds since 1970. */
  readonly now: number
}

export interface RotationStep {
  readonly rotation: Rotation
  readonly keys: TunnelKeys
  /** Something is to be stored. */
  readonly changed: boolean
  /** The documents of both ends have changed: they get new versions in the same batch. */
  readonly documents: boolean
}

export interface RotationRequest {
  readonly id: string
  readonly tunnel: string
  readonly run?: string
  readonly trigger: Rotation['trigger']
  readonly startedBy: string
  readonly now: number
}

/** A rotation that waits for its turn. Its epochs are known for certain only when it begins. */
export function queuedRotation({ now, ...request }: RotationRequest, keys: TunnelKeys): Rotation {
  const from = request.trigger === 'establish' || keys.current === 0 ? {} : { from: keys.current }
  return { ...request, ...from, state: 'queued', to: keys.highest + 1, createdAt: now, stateSince: now }
}

/**
 * Begins a queued rotation; aborts it where it cannot begin. Unchanged while another one of the tunnel is under way.
 * Of trigger `establish` it makes a key where there is none, or where an end has lost it: what was is given up.
 */
export function beginRotation(
  situation: RotationSituation,
  deadlines: RotationDeadlines = ROTATION_DEADLINES,
): RotationStep {
  const { rotation, ends, now } = situation
  const { keys } = settleKeys(situation.keys, ends, now)
  const present = presentEnds(ends)
  if (rotation.state !== 'queued' || keys.rotation !== undefined) return unchanged(situation)
  if (present === undefined) return ended(situation, keys, 'aborted', 'a site has no connector')
  const establish = rotation.trigger === 'establish'
  if (establish && needsKey(keys, ends) === undefined) return ended(situation, keys, 'aborted', 'the tunnel has a key')
  if (!establish && keys.current === 0) return ended(situation, keys, 'aborted', 'the tunnel has no key yet')
  if (keys.highest >= MAX_EPOCH) return ended(situation, keys, 'aborted', 'the tunnel has no epochs left: make it anew')
  const to = keys.highest + 1
  const { from: _, ...rest } = rotation
  const from = establish ? {} : { from: keys.current }
  const old = establish ? undefined : agreedFingerprint(present, keys.current)
  const fingerprint = old === undefined ? {} : { oldFingerprint: old }
  const begun = inState({ ...rest, ...from, ...fingerprint, to, begunAt: now }, 'preparing', now, deadlines)
  const next: TunnelKeys = {
    ...keys,
    ends: [present[0].connector, present[1].connector],
    current: establish ? 0 : keys.current,
    next: to,
    nextPhase: 'offer',
    rotation: rotation.id,
    highest: to,
  }
  return { rotation: begun, keys: shownTo(next, present), changed: true, documents: true }
}

/**
 * Goes as far as the ends' reports, the time and `abort` allow. `abort` is the reason for which somebody gives it up;
 * it has no effect once the old key is being forgotten.
 */
export function stepRotation(
  situation: RotationSituation,
  abort?: string,
  deadlines: RotationDeadlines = ROTATION_DEADLINES,
): RotationStep {
  const { rotation, ends, now } = situation
  if (isEnded(rotation.state)) return unchanged(situation)
  if (rotation.state === 'queued') {
    return abort === undefined ? unchanged(situation) : ended(situation, situation.keys, 'aborted', abort)
  }
  const settled = settleKeys(situation.keys, ends, now)
  const present = presentEnds(ends)
  if (settled.event !== undefined || present === undefined) return cutShort(situation, settled)
  let at: Progress = {
    rotation: withFingerprints(rotation, present),
    keys: withHalves(settled.keys, present),
    documents: false,
  }
  if (abort !== undefined) at = aborting(at, present, abort, now)
  const swapped = swappedHalf(at, settled.keys, present)
  if (swapped !== undefined) at = aborting(at, present, swapped, now)
  for (
    let next = advance(at, present, now, deadlines);
    next !== undefined;
    next = advance(at, present, now, deadlines)
  ) {
    at = { ...next, documents: at.documents || next.documents }
  }
  return { ...at, changed: differ(at.rotation, rotation) || differ(at.keys, situation.keys) }
}

/** Why a person cannot abort it; undefined when they can. */
export function abortRefusal({ state, trigger }: Pick<Rotation, 'state' | 'trigger'>): Refusal | undefined {
  if (isEnded(state)) return refuse('rotation-finished', { detail: `it is ${state}` })
  if (state === 'retiring') return refuse('rotation-retiring')
  if (trigger === 'establish' && state !== 'queued') return refuse('rotation-establishing')
  return undefined
}

export function isEnded(state: RotationState): boolean {
  return state === 'done' || state === 'aborted'
}

/** Whom or what it waits for, in words; undefined when it has ended. */
export function waitingFor({ rotation, keys, ends }: Omit<RotationSituation, 'now'>): string | undefined {
  const { state, from, to } = rotation
  if (isEnded(state)) return undefined
  if (state === 'queued') return 'its turn'
  const present = presentEnds(ends)
  if (present === undefined) return 'connectors at both sites'
  const missing = (done: (end: EndView) => boolean, what: string): string =>
    `${present
      .filter((end) => !done(end))
      .map((end) => end.connector)
      .join(' and ')} ${what}`
  if (state === 'preparing' && keys.nextPhase === 'offer') {
    return missing(
      (end) => keys.halves[halfName(to, end.connector)] !== undefined,
      `to publish its half of epoch ${to}`,
    )
  }
  if (state === 'preparing') return missing((end) => accepts(end, to), `to accept epoch ${to}`)
  if (state === 'switching') return missing((end) => knows(keys, end) && uses(end, to), `to use epoch ${to}`)
  if (state === 'confirming') return missing((end) => confirmed(end, to), `to receive traffic under epoch ${to}`)
  if (state === 'retiring') return missing((end) => retired(keys, end, from, to), `to forget epoch ${from ?? 'none'}`)
  if (keys.nextPhase !== undefined) return missing((end) => knows(keys, end) && !uses(end, to), `to leave epoch ${to}`)
  return missing((end) => forgot(keys, end, to), `to forget epoch ${to}`)
}

interface Progress {
  readonly rotation: Rotation
  readonly keys: TunnelKeys
  readonly documents: boolean
}

/** One transition, or undefined when none is due. */
function advance(at: Progress, ends: PresentEnds, now: number, deadlines: RotationDeadlines): Progress | undefined {
  const { rotation, keys } = at
  const { state, to, from } = rotation
  const both = (holds: (end: EndView) => boolean) => holds(ends[0]) && holds(ends[1])
  const enter = (entered: RotationState) => inState(rotation, entered, now, deadlines)
  const late = () => (rotation.deadline !== undefined && now >= rotation.deadline ? tooLate(at, ends, now) : undefined)
  switch (state) {
    case 'preparing': {
      if (keys.nextPhase === 'offer' && both((end) => keys.halves[halfName(to, end.connector)] !== undefined)) {
        return { rotation, keys: shownTo({ ...keys, nextPhase: 'accept' }, ends), documents: true }
      }
      if (keys.nextPhase !== 'accept' || !both((end) => accepts(end, to))) return late()
      if (fingerprintsDiffer(ends, to)) {
        return aborting(at, ends, `the ends have derived different keys of epoch ${to}`, now)
      }
      return { rotation: enter('switching'), keys: shownTo({ ...keys, nextPhase: 'use' }, ends), documents: true }
    }
    case 'switching':
      // A responder uses what the initiator chose, before it has heard that it should; after its restart it would not.
      if (!both((end) => knows(keys, end) && uses(end, to))) return late()
      return { rotation: enter('confirming'), keys, documents: false }
    case 'confirming': {
      if (!both((end) => uses(end, to) && confirmed(end, to))) return late()
      const { next: _, nextPhase: __, ...rest } = keys
      const replaced = shownTo({ ...rest, current: to, currentSince: now }, ends)
      return { rotation: enter('retiring'), keys: replaced, documents: true }
    }
    case 'retiring':
      for (const end of ends) {
        if (!hasLost(keys, end, to)) continue
        const reason = `${end.connector} has lost the key of epoch ${to}`
        return { rotation: { ...finished(rotation, 'aborted', now), reason }, keys: released(keys), documents: false }
      }
      if (!both((end) => retired(keys, end, from, to))) return undefined
      return { rotation: finished(rotation, 'done', now), keys: released(keys), documents: false }
    case 'aborting':
      return advanceAborting(at, ends, now)
    default:
      return undefined
  }
}

/**
 * An end that uses the new key must not find that the other has forgotten it. So both first go back to the old key,
 * and only when both have said so do they forget the new one.
 */
function advanceAborting({ rotation, keys }: Progress, ends: PresentEnds, now: number): Progress | undefined {
  const { to } = rotation
  const both = (holds: (end: EndView) => boolean) => holds(ends[0]) && holds(ends[1])
  if (keys.nextPhase !== undefined && ends.some((end) => hasLost(keys, end, keys.current))) {
    return noWayBack({ rotation, keys, documents: true }, ends, now)
  }
  if (keys.nextPhase !== undefined) {
    if (!bothKnow(keys, ends) || !both((end) => !uses(end, to))) return undefined
    const { nextPhase: _, ...rest } = keys
    return { rotation, keys: shownTo(rest, ends), documents: true }
  }
  if (!both((end) => forgot(keys, end, to))) return undefined
  return { rotation: finished(rotation, 'aborted', now), keys: released(keys), documents: false }
}

/** An end has lost the old key: the new one, if both have it, is the only one that works, and there is no giving up. */
function noWayBack({ rotation, keys }: Progress, ends: PresentEnds, now: number): Progress {
  const { reason: _, ...forward } = rotation
  const { nextPhase: __, ...withdrawn } = keys
  if (ends.some((end) => hasLost(keys, end, rotation.to))) {
    return { rotation, keys: shownTo(withdrawn, ends), documents: true }
  }
  return {
    rotation: { ...forward, state: 'switching', stateSince: now },
    keys: shownTo({ ...keys, nextPhase: 'use' }, ends),
    documents: true,
  }
}

function aborting(at: Progress, ends: PresentEnds, reason: string, now: number): Progress {
  const { rotation, keys } = at
  if (!['preparing', 'switching', 'confirming'].includes(rotation.state)) return at
  const { deadline: _, ...rest } = rotation
  const { nextPhase: __, ...withdrawn } = keys
  const mayBeUsed = rotation.state !== 'preparing' && keys.current > 0
  return {
    rotation: { ...rest, state: 'aborting', stateSince: now, reason },
    keys: shownTo(mayBeUsed ? { ...withdrawn, nextPhase: 'accept' } : withdrawn, ends),
    documents: true,
  }
}

function tooLate(at: Progress, ends: PresentEnds, now: number): Progress {
  const { state, stateSince } = at.rotation
  const seconds = Math.round((now - stateSince) / 1000)
  return aborting(at, ends, `${state} for ${seconds} s, waiting for ${waitingFor({ ...at, ends })}`, now)
}

/** An end that publishes another half than before has lost the first; the peer may have derived the key from that. */
function swappedHalf({ rotation, keys }: Progress, before: TunnelKeys, ends: PresentEnds): string | undefined {
  if (before.nextPhase === 'offer') return undefined
  for (const { connector, epochs } of ends) {
    const told = epochs.find(({ epoch }) => epoch === rotation.to)?.key
    const half = keys.halves[halfName(rotation.to, connector)]
    if (told !== undefined && half !== undefined && told !== half) {
      return `${connector} has published another half of epoch ${rotation.to}`
    }
  }
  return undefined
}

function retired(keys: TunnelKeys, end: EndView, from: number | undefined, to: number): boolean {
  return knows(keys, end) && accepts(end, to) && (from === undefined || forgot(keys, end, from))
}

/** A connector is gone or another one is there, or the ends are further than what is stored. */
function cutShort(situation: RotationSituation, settled: ReturnType<typeof settleKeys>): RotationStep {
  const retiring = situation.rotation.state === 'retiring'
  const restored = settled.event === 'restored'
  const reason = restored ? 'the store is older than what the ends do' : 'a connector was revoked or replaced'
  const keys = settled.event === undefined ? forgotten(settled.keys) : settled.keys
  return ended(situation, keys, retiring && !restored ? 'done' : 'aborted', reason)
}

function ended(
  { rotation, now, keys: before }: RotationSituation,
  keys: TunnelKeys,
  state: 'done' | 'aborted',
  reason: string,
): RotationStep {
  const documents = differ(shownEpochs(before), shownEpochs(keys))
  return { rotation: { ...finished(rotation, state, now), reason }, keys, changed: true, documents }
}

/** Keys of no use any more: an end is gone. The epochs that were stay used. */
export function forgotten({ id, highest }: TunnelKeys): TunnelKeys {
  return { ...newKeys(id), highest }
}

function unchanged({ rotation, keys }: RotationSituation): RotationStep {
  return { rotation, keys, changed: false, documents: false }
}

function inState(rotation: Rotation, state: RotationState, now: number, deadlines: RotationDeadlines): Rotation {
  const { deadline: _, ...rest } = rotation
  const wait = rotation.trigger === 'establish' ? undefined : (deadlines as Record<string, number | undefined>)[state]
  return { ...rest, state, stateSince: now, ...(wait === undefined ? {} : { deadline: now + wait }) }
}

function finished(rotation: Rotation, state: 'done' | 'aborted', now: number): Rotation {
  const { deadline: _, ...rest } = rotation
  return { ...rest, state, stateSince: now, finishedAt: now }
}

function withFingerprints(rotation: Rotation, ends: PresentEnds): Rotation {
  const old = rotation.from === undefined ? undefined : agreedFingerprint(ends, rotation.from)
  const fresh = agreedFingerprint(ends, rotation.to)
  return {
    ...rotation,
    ...(old === undefined ? {} : { oldFingerprint: old }),
    ...(fresh === undefined ? {} : { newFingerprint: fresh }),
  }
}

/** The rotation lets go of the keys; halves of other epochs than the current one are of no use any more. */
function released(keys: TunnelKeys): TunnelKeys {
  const { next: _, nextPhase: __, rotation: ___, ...rest } = keys
  const current = Object.entries(keys.halves).filter(([name]) => name.startsWith(`${keys.current}/`))
  return { ...rest, halves: Object.fromEntries(current) }
}

/** Notes that the ends are told something else from here on. */
function shownTo(keys: TunnelKeys, ends: PresentEnds): TunnelKeys {
  return { ...keys, changedAfter: shownAfter(ends) }
}
