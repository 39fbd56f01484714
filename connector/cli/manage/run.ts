import type { Rotation, Run, RunAnswer, Tunnel } from '../../../protocol/control/generated/api-client.ts'
import type { Evidence } from '../../../protocol/control/rotation.ts'
import { EXIT } from '../../handle.ts'
import type { CliIo, CommandInput } from '../command.ts'
import { nowOf, openNetwork, type Place } from './access.ts'
import { type Verified, verifyEvidence } from './evidence.ts'
import { printJson } from './options.ts'
import { hasEnded, watchRun } from './run-progress.ts'
import { ago, type Cell, counted, grouped, paint, renderFields, renderTable, type Style, since } from './view.ts'

/** Rows of one table. */
const MOST_ROWS = 50

export interface Following {
  readonly tunnels: readonly Tunnel[]
  readonly json: boolean
  readonly skipped?: RunAnswer['skipped']
}

/** Shows a run until it has ended, and what came of it. Resolves to the exit code. */
export async function followRun(place: Place, id: string, following: Following, io: CliIo): Promise<number> {
  const { tunnels, json, skipped } = following
  const interrupted = new AbortController()
  const onSignal = () => interrupted.abort()
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal)
  try {
    const finished = await watchRun(place, id, { tunnels, quiet: json }, io, interrupted.signal)
    if (finished === undefined) {
      io.stderr(`The run goes on. What next: isthmus run watch ${id}, or isthmus run abort ${id}\n`)
      return EXIT.failed
    }
    const outcomes = await outcomesOf(place, inOrder(finished.rotations))
    if (json) printJson(io, { ...documentOf(finished.run, outcomes), ...(skipped === undefined ? {} : { skipped }) })
    else io.stdout(renderEnd(finished.run, outcomes, tunnels, io))
    return exitOf(finished.run, outcomes)
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
  }
}

export async function watchOne(input: CommandInput, io: CliIo): Promise<number> {
  const place = await openNetwork(input, io)
  const tunnels = await place.api.all('tunnels.list', { params: place.params })
  return followRun(place, input.args[0]!, { tunnels, json: input.options.json === true }, io)
}

export async function listRuns(input: CommandInput, io: CliIo): Promise<number> {
  const place = await openNetwork(input, io)
  const runs = await place.api.all('runs.list', { params: place.params })
  runs.sort((left, right) => right.createdAt - left.createdAt)
  if (input.options.json === true) printJson(io, { items: runs })
  else if (runs.length === 0) io.stdout('No key was ever rotated by a run. What next: isthmus rotate --all\n')
  else io.stdout(renderRuns(input.options.all === true ? runs : runs.slice(0, MOST_ROWS), io))
  return EXIT.ok
}

export async function showRun(input: CommandInput, io: CliIo): Promise<number> {
  const place = await openNetwork(input, io)
  const id = input.args[0]!
  const { api, params } = place
  const run = await api.value('runs.get', { params: { ...params, run: id } })
  const rotations = await api.all('rotations.list', { params, query: { run: id } })
  const outcomes = await outcomesOf(place, inOrder(rotations))
  if (input.options.json === true) {
    printJson(io, documentOf(run, outcomes))
    return EXIT.ok
  }
  const tunnels = await api.all('tunnels.list', { params })
  const fields = [
    ['state', stateCell(run)],
    ['began', ago(run.createdAt, nowOf(io))],
    ['by', run.policy ?? run.startedBy],
    ['order', `${run.canary ? 'a canary first, then ' : ''}${run.maxConcurrent} at once`],
    ['on failure', run.stopOnFailure ? 'stops' : 'goes on'],
    ['reason', run.reason],
  ] as const
  io.stdout(`Run ${run.id}\n${renderFields(fields, io)}\n${renderEnd(run, outcomes, tunnels, io)}`)
  return EXIT.ok
}

export async function abortRun(input: CommandInput, io: CliIo): Promise<number> {
  const { api, params } = await openNetwork(input, io)
  const run = await api.value('runs.abort', { params: { ...params, run: input.args[0]! } })
  if (input.options.json === true) printJson(io, run)
  else
    io.stdout(`Run ${run.id} is aborted: ${counted(run.counts.done, 'key')} rotated, the others stay as they were.\n`)
  return EXIT.ok
}

export interface Outcome {
  readonly rotation: Rotation
  readonly verified: Verified | undefined
}

/** In the order of `rotations`. */
export async function outcomesOf({ network }: Place, rotations: readonly Rotation[]): Promise<Outcome[]> {
  const outcome = async (rotation: Rotation): Promise<Outcome> => {
    return { rotation, verified: await verifyEvidence(rotation, network.id, network.evidenceKey) }
  }
  return Promise.all(rotations.map(outcome))
}

/** As they began; those that wait come last. */
function inOrder(rotations: readonly Rotation[]): Rotation[] {
  return [...rotations].sort((left, right) => (left.begunAt ?? Infinity) - (right.begunAt ?? Infinity))
}

/** A rotation as programs get it: with what its evidence says, where that is genuine. */
export function rotationDocument({ rotation, verified }: Outcome): object {
  if (verified === undefined) return { rotation }
  const { genuine } = verified
  return genuine ? { rotation, genuine, evidence: verified.evidence } : { rotation, genuine, why: verified.why }
}

function documentOf(run: Run, outcomes: readonly Outcome[]): object {
  return { run, rotations: outcomes.map(rotationDocument) }
}

function exitOf(run: Run, outcomes: readonly Outcome[]): number {
  if (outcomes.some(({ verified }) => verified?.genuine === false)) return EXIT.notGenuine
  return run.state === 'done' && outcomes.every(({ rotation }) => rotation.state === 'done') ? EXIT.ok : EXIT.notRotated
}

function renderEnd(run: Run, outcomes: readonly Outcome[], tunnels: readonly Tunnel[], io: CliIo): string {
  const names = new Map(tunnels.map(({ id, name }) => [id, name]))
  const name = ({ tunnel }: Rotation) => names.get(tunnel) ?? tunnel
  const table = renderOutcomes(outcomes.slice(0, MOST_ROWS), name, io)
  const more = outcomes.length > MOST_ROWS ? `and ${outcomes.length - MOST_ROWS} more; --json shows all\n` : ''
  const reasons = outcomes
    .filter(({ rotation }) => rotation.state === 'aborted' && rotation.reason !== undefined)
    .slice(0, MOST_ROWS)
    .map(({ rotation }) => `${name(rotation)}: ${rotation.reason}\n`)
  const bad = outcomes.flatMap(({ rotation, verified }) =>
    verified?.genuine === false ? [paint(io, 'red', `${name(rotation)}: evidence: ${verified.why}\n`)] : [],
  )
  return [table, more, ...reasons, ...bad, verdict(run, outcomes, io)].join('')
}

export function renderOutcomes(
  outcomes: readonly Outcome[],
  name: (rotation: Rotation) => string,
  io: CliIo,
  withIds = false,
): string {
  const rows = outcomes.map(({ rotation, verified }): Cell[] => {
    const evidence = verified?.genuine === true ? verified.evidence : undefined
    const cells = [
      name(rotation),
      rotationCell(rotation),
      // Where there is an id, there is no room for both; the one before has it as its new key.
      ...(withIds ? [] : [short(rotation.oldFingerprint)]),
      short(rotation.newFingerprint),
      evidence === undefined ? '' : grouped(evidence.packetsSent),
      evidence === undefined ? '' : lossCell(evidence),
      verified === undefined ? '' : genuineCell(verified),
    ]
    return withIds ? [rotation.id, ...cells] : cells
  })
  const columns = [
    { title: 'TUNNEL', shrinks: true },
    { title: 'STATE' },
    ...(withIds ? [] : [{ title: 'OLD KEY' }]),
    { title: 'NEW KEY' },
    { title: 'SENT', align: 'right' },
    { title: 'LOST', align: 'right' },
    { title: 'EVIDENCE' },
  ] as const
  return renderTable(withIds ? [{ title: 'ROTATION' }, ...columns] : columns, rows, io)
}

function verdict(run: Run, outcomes: readonly Outcome[], io: CliIo): string {
  const evidences = outcomes.flatMap(({ verified }) => (verified?.genuine === true ? [verified.evidence] : []))
  const sum = (of: (evidence: Evidence) => number) => evidences.reduce((total, evidence) => total + of(evidence), 0)
  const done = outcomes.filter(({ rotation }) => rotation.state === 'done').length
  const pending = outcomes.filter(({ rotation }) => !hasEnded(rotation)).length
  const lost = sum(({ packetsLost }) => packetsLost)
  const packets = `${grouped(lost)} of ${counted(
    sum(({ packetsSent }) => packetsSent),
    'packet',
  )} lost`
  const partial = evidences.some(({ complete }) => !complete) ? ' (as far as both ends have told)' : ''
  const time = run.finishedAt === undefined ? '' : `, in ${since(run.createdAt, run.finishedAt)}`
  const good = done === outcomes.length
  const first = `${done} of ${counted(outcomes.length, 'key')} rotated${pending > 0 ? `, ${pending} not ended` : ''}${time}`
  const head = paint(io, good ? 'green' : pending > 0 && run.state === 'running' ? 'yellow' : 'red', first)
  const reason = run.reason === undefined ? '' : `: ${run.reason}`
  return `${head}${reason}${evidences.length === 0 ? '' : `; ${packets}${partial}`}\n`
}

function renderRuns(runs: readonly Run[], io: CliIo): string {
  const now = nowOf(io)
  const rows = runs.map((run): Cell[] => {
    const { queued, active, done, aborted } = run.counts
    return [
      run.id,
      stateCell(run),
      `${done}/${queued + active + done + aborted}`,
      ago(run.createdAt, now),
      run.policy === undefined ? run.startedBy : `policy ${run.policy}`,
      run.reason ?? '',
    ]
  })
  const columns = [
    { title: 'RUN' },
    { title: 'STATE' },
    { title: 'ROTATED', align: 'right' },
    { title: 'BEGAN' },
    { title: 'BY', shrinks: true },
    { title: 'REASON', shrinks: true },
  ] as const
  return renderTable(columns, rows, io)
}

function stateCell({ state }: Run): Cell {
  const styles: Record<Run['state'], Style> = { running: 'yellow', done: 'green', stopped: 'red', aborted: 'red' }
  return { text: state, style: styles[state] }
}

export function rotationCell({ state }: Rotation): Cell {
  const style = state === 'done' ? 'green' : state === 'aborted' || state === 'aborting' ? 'red' : 'yellow'
  return { text: state, style }
}

function lossCell({ packetsLost, complete }: Evidence): Cell {
  if (packetsLost > 0) return { text: `${grouped(packetsLost)}${complete ? '' : '?'}`, style: 'red' }
  return complete ? { text: '0', style: 'green' } : { text: '0?', style: 'yellow' }
}

function genuineCell({ genuine }: Verified): Cell {
  return genuine ? { text: 'verifies', style: 'green' } : { text: 'FORGED?', style: 'red' }
}

/** Enough of a fingerprint to tell two apart. */
function short(fingerprint: string | undefined): string {
  return fingerprint?.slice(0, 8) ?? ''
}
