/** New pre-shared keys for both tunnels, one after the other, with no packet lost. */
import {
  alwaysSaid,
  type CarefulNotes,
  changeCarefully,
  comeBack,
  finishing,
  type Job,
  type Trouble,
  troubled,
} from './careful.ts'
import { numberOf } from './changes.ts'
import { inOrder, keysLeft, undrainLeft } from './leftovers.ts'
import type { CloudAction } from './provider.ts'
import { vpnConnectionOf } from './resources.ts'
import {
  change,
  fail,
  heldBack,
  mayBeDone,
  PROVIDER_MS,
  perform,
  type Situation,
  settleMs,
  wait,
  waitingSince,
} from './situation.ts'
import { isPassing, seenTunnel } from './tunnels.ts'
import type { CloudKey, Decision } from './types.ts'

/** What a rotation remembers. */
export interface RotationNotes extends CarefulNotes {
  /** Tunnels that have their new key. */
  readonly rotated?: readonly number[]
  /** The last key each tunnel had before, by its number. */
  readonly before?: readonly (string | null)[]
  /** AWS was asked to take the old key back, for the tunnel that is being changed. */
  readonly restoring?: boolean
}

export interface Rotating {
  readonly decision: Decision
  readonly notes?: RotationNotes
}

/** How long the new key may take to work after all, before it is taken back. */
const WORKS_MS = 30_000

export function decideRotate(situation: Situation): Rotating {
  const { record, run } = situation
  const { rotated = [], back, before } = run.memory as RotationNotes
  if (before === undefined) return begin(situation)
  const tunnel = record.tunnels.findIndex((_, index) => !rotated.includes(index))
  if (run.state === 'aborting' || back !== undefined) return goBack(situation, Math.max(tunnel, 0), back)
  if (tunnel < 0) return { decision: { type: 'done', outcome: 'done' } }
  const step = changeCarefully(situation, tunnel, newKey(situation, tunnel, before[tunnel]))
  if ('finished' in step) return noting(situation, { rotated: [...rotated, tunnel] })
  return 'decision' in step ? step : noting(situation, { back: step.trouble })
}

/** With the keys that are there, and one each. */
function begin(situation: Situation): Rotating {
  const { record, run } = situation
  if (run.state === 'aborting') return { decision: { type: 'done', outcome: 'aborted' } }
  if (record.tunnels.some(({ outside, keys }) => outside === undefined || keys.length === 0)) {
    const cause = `${record.name} has no tunnels whose keys could be rotated.`
    return { decision: fail('not-applied', cause, 'Apply it first.') }
  }
  const left = keysLeft(situation) ?? undrainLeft(situation)
  if (left !== undefined) return { decision: left }
  return noting(situation, { before: record.tunnels.map(({ keys }) => inOrder(keys).last.id) })
}

/** Goes on with what is noted now. */
function noting(situation: Situation, notes: RotationNotes): Rotating {
  const { run } = situation
  const next = decideRotate({ ...situation, run: { ...run, memory: { ...run.memory, ...notes } } })
  return { decision: next.decision, notes: { ...notes, ...next.notes } }
}

function newKey(situation: Situation, tunnel: number, old: string | null | undefined): Job {
  const { record } = situation
  const { keys, name, insideCidr } = record.tunnels[tunnel]!
  const fresh = keys.find(({ id }) => numberOf(id) > numberOf(old ?? undefined))
  return {
    repairs: false,
    before: () =>
      fresh === undefined ? change({ type: 'make-key', tunnel }, name, `a new pre-shared key for ${name}`) : undefined,
    isThere: () => fresh !== undefined && hasKey(situation, tunnel, fresh),
    action: giveKey(situation, tunnel, fresh?.id ?? ''),
    detail: `AWS gives ${name} (${insideCidr}) the new key`,
    use: () =>
      keys[0]?.id === fresh?.id ? undefined : change({ type: 'use-key', tunnel }, name, `${name} uses the new key`),
    ...(fresh === undefined ? {} : { key: fresh.id }),
    after: () =>
      keys.length > 1
        ? change({ type: 'forget-key', tunnel, which: 'old' }, name, `the old key of ${name} is forgotten`)
        : undefined,
  }
}

/** Where AWS does not show it, that it has taken it. */
function hasKey(situation: Situation, tunnel: number, { fingerprint }: CloudKey): boolean {
  const shown = seenTunnel(situation, tunnel)?.keyFingerprint
  return shown === undefined ? asked(situation, tunnel)?.state === 'done' : shown === fingerprint
}

function giveKey({ record, seen }: Situation, tunnel: number, key: string): CloudAction {
  const { external, outside = '' } = record.tunnels[tunnel]!
  return {
    type: 'modify-tunnel',
    vpnConnection: vpnConnectionOf(record, seen)?.id ?? '',
    outside,
    options: alwaysSaid(record.options),
    secret: `${external}/${key}`,
  }
}

/** Whatever was begun ends with a key that both ends have: the new one where it works, else the old one. */
function goBack(situation: Situation, tunnel: number, reason: Trouble | undefined): Rotating {
  const undone = takeBack(situation, tunnel)
  if (undone !== undefined) return undone
  const back = comeBack(situation)
  if (back !== undefined) return { decision: back }
  return { decision: reason === undefined ? { type: 'done', outcome: 'aborted' } : troubled(reason) }
}

/** Undefined when the tunnel has one key. */
function takeBack(situation: Situation, tunnel: number): Rotating | undefined {
  const { record, seen, run, now } = situation
  const { restoring = false } = run.memory as RotationNotes
  const { keys, name } = record.tunnels[tunnel]!
  const connection = vpnConnectionOf(record, seen)
  if (keys.length < 2 || connection === undefined) return undefined
  const { first, last } = inOrder(keys)
  if (connection.state !== 'available') return { decision: awaitAws(situation, name) }
  const forget = (which: 'old' | 'new', words: string): Rotating => {
    return { decision: change({ type: 'forget-key', tunnel, which }, name, words) }
  }
  if (!hasLast(situation, tunnel, last)) {
    const since = restoring ? undefined : toldAt(situation, tunnel)
    if (since === undefined || now >= since + settleMs(situation)) return forget('new', `${name} keeps its old key`)
    return { decision: wait(`AWS to show which key ${name} has`, since, settleMs(situation), now) }
  }
  if (keys[0]!.id !== last.id) {
    return { decision: change({ type: 'use-key', tunnel }, name, `${name} uses the key that AWS has`) }
  }
  const step = run.steps.at(-1)
  const isRefused = step?.state === 'failed'
  if (restoring && isRefused && mayBeDone(step)) {
    const since = step.endedAt ?? step.begunAt
    const settle = settleMs(situation)
    if (now < since + settle) return { decision: wait(`AWS to show which key ${name} has`, since, settle, now) }
  }
  const stays = restoring ? isRefused : isPassing(situation, tunnel, last.id)
  if (stays) return forget('old', `${name} keeps the new key, which AWS has`)
  return restoring ? { decision: restore(situation, tunnel, first) } : worksAfterAll(situation, tunnel, first)
}

function worksAfterAll(situation: Situation, tunnel: number, first: CloudKey): Rotating {
  const { name } = situation.record.tunnels[tunnel]!
  const words = `${name} to work with the new key after all`
  const since = waitingSince(situation, words)
  if (situation.now < since + WORKS_MS) return { decision: wait(words, since, WORKS_MS, situation.now, 500) }
  // AWS does not show its keys, and has not taken the new one after all.
  if (seenTunnel(situation, tunnel)?.keyFingerprint === undefined && isPassing(situation, tunnel, first.id)) {
    return { decision: change({ type: 'forget-key', tunnel, which: 'new' }, name, `${name} keeps its old key`) }
  }
  const decision = restore(situation, tunnel, first)
  return decision.type === 'do' ? { decision, notes: { restoring: true } } : { decision }
}

function restore(situation: Situation, tunnel: number, first: CloudKey): Decision {
  const { name } = situation.record.tunnels[tunnel]!
  return heldBack(situation, perform(giveKey(situation, tunnel, first.id), name, `AWS gives ${name} its old key back`))
}

function hasLast(situation: Situation, tunnel: number, { fingerprint }: CloudKey): boolean {
  const shown = seenTunnel(situation, tunnel)?.keyFingerprint
  if (shown !== undefined) return shown === fingerprint
  const { restoring = false } = situation.run.memory as RotationNotes
  const step = asked(situation, tunnel)
  return step !== undefined && mayBeDone(step) && !(restoring && step.state === 'done')
}

/** When AWS was asked last to change the tunnel, as far as it may have done so. */
function toldAt(situation: Situation, tunnel: number): number | undefined {
  const step = asked(situation, tunnel)
  return step === undefined || !mayBeDone(step) ? undefined : (step.endedAt ?? step.begunAt)
}

function asked({ record, run }: Situation, tunnel: number) {
  const { name } = record.tunnels[tunnel]!
  return run.steps.findLast(({ action, resource }) => action === 'modify-tunnel' && resource === name)
}

function awaitAws(situation: Situation, name: string): Decision {
  const words = finishing(name)
  const since = waitingSince(situation, words)
  if (situation.now < since + PROVIDER_MS) return wait(words, since, PROVIDER_MS, situation.now)
  return fail('provider-stuck', `AWS has not finished with ${name}.`, 'Look at it at AWS.')
}
