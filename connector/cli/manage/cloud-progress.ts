/** Runs at clouds while they go on: drawn anew on a terminal, told line by line elsewhere. */
import type { CloudRun } from '../../../protocol/control/generated/api-client.ts'
import type { CliIo } from '../command.ts'
import { nowOf, type Place, pauseOf } from './access.ts'
import { eachAtOnce } from './at-once.ts'
import { hasEnded, progressText, waitingText } from './cloud-view.ts'
import { Patience } from './patience.ts'
import { Redraw } from './redraw.ts'
import { paint, printable, since, wrapped } from './view.ts'

const POLL_MS = 1000
/** Runs that are asked for one by one; of more, the list of connections tells which have ended. */
const LOOKED_AT = 8
const AWAY = 'the control plane does not answer; what is there stays, waiting for it'

export interface StartedRun {
  /** Of the connection. */
  readonly name: string
  readonly run: CloudRun
}

/** In the order of `started`. Undefined when `signal` came before the end. Rejects when the control plane stays away. */
async function watchRuns(
  place: Place,
  started: readonly StartedRun[],
  quiet: boolean,
  io: CliIo,
  signal: AbortSignal,
): Promise<readonly StartedRun[] | undefined> {
  const teller = quiet ? SILENT : io.isTty ? new Screen(io) : new Lines(io)
  const patience = new Patience()
  const runs = new Map(started.map((each) => [each.run.id, each]))
  while (!signal.aborted) {
    try {
      for (const run of await look(place, [...runs.values()])) runs.set(run.id, { ...runs.get(run.id)!, run })
      patience.answered()
      const now = [...runs.values()]
      teller.tell(now, nowOf(io))
      if (now.every(({ run }) => hasEnded(run))) {
        teller.end()
        return now
      }
    } catch (error) {
      if (patience.bear(error, nowOf(io))) teller.away()
    }
    await pauseOf(io)(POLL_MS, signal)
  }
  teller.end()
  return undefined
}

/** Follows them until all have ended, or somebody presses Ctrl-C: undefined then, and it is said how to look again. */
export async function followClouds(
  place: Place,
  started: readonly StartedRun[],
  quiet: boolean,
  io: CliIo,
): Promise<readonly StartedRun[] | undefined> {
  const interrupted = new AbortController()
  const onSignal = () => interrupted.abort()
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal)
  try {
    const ended = await watchRuns(place, started, quiet, io, interrupted.signal)
    if (ended === undefined) {
      const name = started.length === 1 ? ` ${printable(started[0]!.name)}` : ' <name>'
      const next = `isthmus cloud aws watch${name}, or isthmus cloud aws abort${name}`
      io.stderr(`${started.length === 1 ? 'The run goes' : 'The runs go'} on. What next: ${next}\n`)
    }
    return ended
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
  }
}

/** What is new of those that had not ended. */
async function look({ api, params }: Place, runs: readonly StartedRun[]): Promise<CloudRun[]> {
  const open = runs.flatMap(({ run }) => (hasEnded(run) ? [] : [run]))
  let asked = open
  if (open.length > LOOKED_AT) {
    const clouds = await api.all('clouds.list', { params })
    const busy = new Set(clouds.map(({ run }) => run))
    asked = [...open.filter(({ id }) => !busy.has(id)), ...open.filter(({ id }) => busy.has(id)).slice(0, LOOKED_AT)]
  }
  return eachAtOnce(asked, ({ id }) => api.value('cloudRuns.get', { params: { ...params, cloudRun: id } }))
}

interface Teller {
  tell(runs: readonly StartedRun[], now: number): void
  away(): void
  end(): void
}

const SILENT: Teller = { tell: () => {}, away: () => {}, end: () => {} }

/** Each step, and what is waited for, in a line of its own. */
class Lines implements Teller {
  readonly #io: CliIo
  readonly #told = new Map<string, { steps: number; waiting: string | undefined }>()

  constructor(io: CliIo) {
    this.#io = io
  }

  tell(runs: readonly StartedRun[]): void {
    for (const { name, run } of runs) {
      const before = this.#told.get(run.id) ?? { steps: 0, waiting: undefined }
      const ended = endedSteps(run)
      for (const text of ended.slice(before.steps)) this.#io.stderr(`${printable(`${name}: ${text}`)}\n`)
      const waiting = hasEnded(run) ? undefined : waitingText(run)
      if (waiting !== undefined && waiting !== before.waiting) this.#io.stderr(`${printable(`${name}: ${waiting}`)}\n`)
      this.#told.set(run.id, { steps: ended.length, waiting })
    }
  }

  away(): void {
    this.#io.stderr(`${AWAY}\n`)
  }

  end(): void {}
}

/** Steps that have ended stay on the screen where there is one run; below, a few lines that are drawn over again. */
class Screen implements Teller {
  readonly #io: CliIo
  readonly #redraw: Redraw
  #steps = 0

  constructor(io: CliIo) {
    this.#io = io
    this.#redraw = new Redraw(io)
  }

  tell(runs: readonly StartedRun[], now: number): void {
    const [only] = runs
    if (runs.length === 1 && only !== undefined) this.#keep(only.run)
    const open = runs.filter(({ run }) => !hasEnded(run))
    if (open.length === 0) return
    // The last column stays free.
    const narrow = { ...this.#io, columns: this.#io.columns - 1 }
    const lines = open.slice(0, LOOKED_AT).flatMap(({ name, run }) => {
      const head = `${name}: ${progressText(run)}, ${since(run.createdAt, now)}`
      const what = waitingText(run, now) ?? run.steps.findLast(({ state }) => state === 'begun')?.detail
      if (what === undefined) return [head]
      return runs.length === 1 ? [head, ...wrapped(what, '  ', narrow)] : [`  ${head}, ${what}`]
    })
    const more = open.length > LOOKED_AT ? [`  and ${open.length - LOOKED_AT} more`] : []
    const head = runs.length === 1 ? [] : [`${runs.length - open.length} of ${runs.length} have ended`]
    this.#redraw.draw([...head, ...lines, ...more])
  }

  away(): void {
    this.#redraw.draw([paint(this.#io, 'yellow', AWAY)])
  }

  end(): void {
    this.#redraw.draw([])
  }

  #keep(run: CloudRun): void {
    const ended = endedSteps(run)
    if (ended.length === this.#steps) return
    this.#redraw.draw([])
    for (const text of ended.slice(this.#steps)) this.#io.stderr(`  ${printable(text)}\n`)
    this.#steps = ended.length
  }
}

/** In the order in which they began: a step that has ended before one that has not is the last that is told. */
function endedSteps({ steps }: CloudRun): string[] {
  const open = steps.findIndex(({ state }) => state === 'begun')
  return (open < 0 ? steps : steps.slice(0, open)).map(({ state, detail, begunAt, endedAt, attempts }) => {
    const time = endedAt === undefined || endedAt - begunAt < 1000 ? '' : `, ${since(begunAt, endedAt)}`
    const tries = attempts > 1 ? `, attempt ${attempts}` : ''
    return `${state === 'failed' ? 'failed: ' : ''}${detail}${time}${tries}`
  })
}
