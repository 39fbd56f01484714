/** A run of rotations while it goes on: drawn anew on a terminal, told line by line elsewhere. */
import type { Rotation, Run, Tunnel } from '../../../protocol/control/generated/api-client.ts'
import type { CliIo } from '../command.ts'
import { nowOf, type Place, pauseOf } from './access.ts'
import { Patience } from './patience.ts'
import { Redraw } from './redraw.ts'
import { paint, since } from './view.ts'

const POLL_MS = 500
/** A run has ended with its last rotation decided; those that go back to the old key may need a little more. */
const SETTLE_MS = 30_000
const SHOWN = 8
/** Rotations of which it is asked what they wait for. */
const EXPLAINED = 4

export interface Finished {
  readonly run: Run
  readonly rotations: readonly Rotation[]
}

export type Watching = { readonly tunnels: readonly Tunnel[]; readonly quiet: boolean }

/** Undefined when `signal` came before the end. Rejects with an ApiFailure when the control plane stays away. */
export async function watchRun(
  place: Place,
  id: string,
  { tunnels, quiet }: Watching,
  io: CliIo,
  signal: AbortSignal,
): Promise<Finished | undefined> {
  const names = await namesOf(place, tunnels)
  const teller = quiet ? silent : io.isTty ? new Screen(io, names) : new Lines(io, names)
  const patience = new Patience()
  let endedAt: number | undefined
  while (!signal.aborted) {
    try {
      const moment = await look(place, id, teller.explains)
      patience.answered()
      teller.tell(moment, nowOf(io))
      if (moment.run.state !== 'running') {
        endedAt ??= nowOf(io)
        const rotations = await place.api.all('rotations.list', { params: place.params, query: { run: id } })
        if (rotations.every(hasEnded) || nowOf(io) - endedAt > SETTLE_MS) {
          teller.end()
          return { run: moment.run, rotations }
        }
      }
    } catch (error) {
      if (patience.bear(error, nowOf(io))) teller.away()
    }
    await pauseOf(io)(POLL_MS, signal)
  }
  teller.end()
  return undefined
}

/** Of tunnels and, where the token may see them, of connectors, by their ids. */
async function namesOf({ api, params }: Place, tunnels: readonly Tunnel[]): Promise<ReadonlyMap<string, string>> {
  const connectors = await api.all('connectors.list', { params }).catch(() => [])
  return new Map([...tunnels, ...connectors].map(({ id, name }) => [id, name]))
}

export function hasEnded({ state }: Rotation): boolean {
  return state === 'done' || state === 'aborted'
}

interface Moment {
  readonly run: Run
  readonly active: readonly Rotation[]
  /** By tunnel. */
  readonly waiting: ReadonlyMap<string, string>
}

async function look(place: Place, id: string, explains: boolean): Promise<Moment> {
  const { api, params } = place
  const run = await api.value('runs.get', { params: { ...params, run: id } })
  const active = await api.all('rotations.list', { params, query: { run: id, state: 'active' } })
  const waiting = new Map<string, string>()
  for (const { tunnel } of explains ? active.slice(0, EXPLAINED) : []) {
    const status = await api.value('tunnels.status', { params: { ...params, tunnel } }).catch(() => undefined)
    if (status?.waitingFor !== undefined) waiting.set(tunnel, status.waitingFor)
  }
  return { run, active, waiting }
}

interface Teller {
  /** Whether it shows what rotations wait for. */
  readonly explains: boolean
  tell(moment: Moment, now: number): void
  away(): void
  end(): void
}

const AWAY = 'the control plane does not answer; the tunnels stay up, waiting for it'

const silent: Teller = { explains: false, tell: () => {}, away: () => {}, end: () => {} }

/** Each change of a rotation in a line of its own. */
class Lines implements Teller {
  readonly explains = false
  readonly #io: CliIo
  readonly #names: ReadonlyMap<string, string>
  readonly #states = new Map<string, string>()
  #counts = ''

  constructor(io: CliIo, names: ReadonlyMap<string, string>) {
    this.#io = io
    this.#names = names
  }

  tell({ run, active }: Moment): void {
    for (const { id, tunnel, state } of active) {
      if (this.#states.get(id) === state) continue
      this.#states.set(id, state)
      this.#io.stderr(`${this.#names.get(tunnel) ?? tunnel}: ${state}\n`)
    }
    const counts = countsText(run)
    if (counts === this.#counts) return
    this.#counts = counts
    this.#io.stderr(`${counts}\n`)
  }

  away(): void {
    this.#io.stderr(`${AWAY}\n`)
  }

  end(): void {}
}

/** A few lines that are drawn over again. */
class Screen implements Teller {
  readonly explains = true
  readonly #io: CliIo
  readonly #names: ReadonlyMap<string, string>
  readonly #redraw: Redraw

  constructor(io: CliIo, names: ReadonlyMap<string, string>) {
    this.#io = io
    this.#names = names
    this.#redraw = new Redraw(io)
  }

  tell({ run, active, waiting }: Moment, now: number): void {
    const lines = active.slice(0, SHOWN).map(({ tunnel, state, stateSince }) => {
      const why = waiting.get(tunnel)
      const name = this.#names.get(tunnel) ?? tunnel
      return `  ${name}: ${state} for ${since(stateSince, now)}${why === undefined ? '' : `, waits for ${this.#named(why)}`}`
    })
    const more = active.length > SHOWN ? [`  and ${active.length - SHOWN} more`] : []
    this.#redraw.draw([`${countsText(run)}, ${since(run.createdAt, now)}`, ...lines, ...more])
  }

  away(): void {
    this.#redraw.draw([paint(this.#io, 'yellow', AWAY)])
  }

  end(): void {
    this.#redraw.draw([])
  }

  #named(text: string): string {
    return text.replaceAll(/con_\w{20}/g, (id) => this.#names.get(id) ?? id)
  }
}

function countsText({ counts: { queued, active, done, aborted } }: Run): string {
  const parts = [`${done} of ${queued + active + done + aborted} rotated`]
  if (active > 0) parts.push(`${active} under way`)
  if (queued > 0) parts.push(`${queued} waiting`)
  if (aborted > 0) parts.push(`${aborted} failed`)
  return parts.join(', ')
}
