/** New pre-shared keys for both tunnels, one after the other, with no packet lost. */
import { isPassing } from './apply.ts'
import { changeCarefully, type Job, type Trouble, troubled, undrain } from './careful.ts'
import { vpnConnectionOf } from './resources.ts'
import { change, fail, PROVIDER_MS, perform, type Situation, wait, waitingSince } from './situation.ts'
import type { Decision } from './types.ts'

/** What a rotation remembers. */
export interface RotationNotes {
  /** Tunnels that have their new key. */
  readonly rotated?: readonly number[]
  /** Why it goes back. */
  readonly back?: Trouble
  /** The last key each tunnel had before, by its number. */
  readonly before?: readonly (string | undefined)[]
}

/** How long the new key may take to work after all, when somebody wants to go back. */
const WORKS_MS = 30_000

export function decideRotate(situation: Situation): { readonly decision: Decision; readonly notes?: RotationNotes } {
  const { record, run } = situation
  const { rotated = [], back, before } = run.memory as RotationNotes
  if (before === undefined) {
    const highest = record.tunnels.map(({ keys }) => keys.at(-1)?.id)
    return { ...decideRotate(withNotes(situation, { before: highest })), notes: { before: highest } }
  }
  const tunnel = record.tunnels.findIndex((_, index) => !rotated.includes(index))
  if (run.state === 'aborting' || back !== undefined) {
    return { decision: goBack(situation, Math.max(tunnel, 0), back) }
  }
  if (tunnel < 0) return { decision: { type: 'done', outcome: 'done' } }
  const step = changeCarefully(situation, tunnel, newKey(situation, tunnel, before[tunnel]))
  if ('finished' in step) {
    const notes = { rotated: [...rotated, tunnel] }
    return { ...decideRotate(withNotes(situation, notes)), notes }
  }
  if ('decision' in step) return step
  const notes = { back: step.trouble }
  return { decision: goBack(withNotes(situation, notes), tunnel, step.trouble), notes }
}

function newKey(situation: Situation, tunnel: number, old: string | undefined): Job {
  const { record, seen } = situation
  const { keys, name, external, outside, insideCidr } = record.tunnels[tunnel]!
  const fresh = keys.find(({ id }) => numberOf(id) > numberOf(old))
  const there = seenTunnel(situation, tunnel)
  return {
    before: () =>
      fresh === undefined ? change({ type: 'make-key', tunnel }, name, `a new pre-shared key for ${name}`) : undefined,
    isThere: () => fresh !== undefined && there?.keyFingerprint === fresh.fingerprint,
    action: {
      type: 'modify-tunnel',
      vpnConnection: vpnConnectionOf(record, seen)?.id ?? '',
      outside: outside ?? '',
      // AWS would go back to its defaults for what concerns dead peers.
      options: { dpdS: record.options.dpdS, dpdAction: record.options.dpdAction, startup: record.options.startup },
      secret: `${external}/${fresh?.id ?? ''}`,
    },
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

/** Whatever was begun ends with a key that both ends have: the new one where it works, else the old one. */
function goBack(situation: Situation, tunnel: number, reason: Trouble | undefined): Decision {
  const { record, seen } = situation
  const { keys, name, external, outside } = record.tunnels[tunnel]!
  const connection = vpnConnectionOf(record, seen)
  const [first, second] = [...keys].sort((left, right) => numberOf(left.id) - numberOf(right.id))
  if (second !== undefined && first !== undefined && connection !== undefined) {
    if (connection.state !== 'available') return awaitAws(situation, name)
    const hasNew = seenTunnel(situation, tunnel)?.keyFingerprint === second.fingerprint
    const works = hasNew && isPassing(situation, tunnel, second.id)
    if (hasNew && keys[0]!.id !== second.id && !works) {
      return change({ type: 'use-key', tunnel }, name, `${name} uses the key that AWS has`)
    }
    if (works)
      return change({ type: 'forget-key', tunnel, which: 'old' }, name, `${name} keeps the new key, which works`)
    if (!hasNew) return change({ type: 'forget-key', tunnel, which: 'new' }, name, `${name} keeps its old key`)
    const words = `${name} to work with the new key after all`
    const since = waitingSince(situation, words)
    const wasRefused =
      situation.last?.ok === false && situation.last.kind !== 'later' && situation.last.kind !== 'unknown'
    if (situation.now < since + WORKS_MS) return wait(words, since, WORKS_MS, situation.now, 500)
    if (wasRefused)
      return fail('restore-refused', `AWS does not take the old key of ${name} back.`, 'Fix its drift later.')
    const secret = `${external}/${first.id}`
    const action = {
      type: 'modify-tunnel',
      vpnConnection: connection.id,
      outside: outside ?? '',
      options: {},
      secret,
    } as const
    return perform(action, name, `AWS gives ${name} its old key back`)
  }
  for (const [index] of record.tunnels.entries()) {
    const back = undrain(situation, index)
    if (back !== undefined) return back
  }
  return reason === undefined ? { type: 'done', outcome: 'aborted' } : troubled(reason)
}

function awaitAws(situation: Situation, name: string): Decision {
  const words = `AWS to finish with ${name}`
  const since = waitingSince(situation, words)
  if (situation.now < since + PROVIDER_MS) return wait(words, since, PROVIDER_MS, situation.now)
  return fail('provider-stuck', `AWS has not finished with ${name}.`, 'Look at it at AWS.')
}

function seenTunnel({ record, seen }: Situation, tunnel: number) {
  const { insideCidr } = record.tunnels[tunnel]!
  return vpnConnectionOf(record, seen)?.tunnels.find((each) => each.insideCidr === insideCidr)
}

function withNotes(situation: Situation, notes: RotationNotes): Situation {
  return { ...situation, run: { ...situation.run, memory: { ...situation.run.memory, ...notes } } }
}

/** `k12` is 12; none is 0. */
export function numberOf(key: string | undefined): number {
  return key === undefined ? 0 : Number(key.slice(1))
}
