/** A rollout while it goes on: drawn anew on a terminal, told line by line elsewhere. */
import type { RolloutDetail } from '../../../protocol/control/generated/api-client.ts'
import { EXIT } from '../../handle.ts'
import type { CliIo } from '../command.ts'
import { nowOf, type Place, pauseOf } from './access.ts'
import { printJson } from './options.ts'
import { Patience } from './patience.ts'
import { Redraw } from './redraw.ts'
import { exitOf, hasEnded, progressText, renderRollout, verdict } from './rollout-view.ts'
import { paint, since } from './view.ts'

const POLL_MS = 1000
const SHOWN = 8
const AWAY = 'the control plane does not answer; sites keep what they have, waiting for it'

/** Shows it until it has ended, and what came of it. Resolves to the exit code. */
export async function followRollout(place: Place, id: string, json: boolean, io: CliIo): Promise<number> {
  const interrupted = new AbortController()
  const onSignal = () => interrupted.abort()
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal)
  try {
    const ended = await watchRollout(place, id, json, io, interrupted.signal)
    if (ended === undefined) {
      io.stderr('The rollout goes on. What next: isthmus rollout watch, or isthmus rollout abort\n')
      return EXIT.failed
    }
    if (json) printJson(io, ended)
    else io.stdout(ended.state === 'done' ? verdict(ended, io) : renderRollout(ended, io, nowOf(io)))
    return exitOf(ended)
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
  }
}

/** Undefined when `signal` came before the end. Rejects with an ApiFailure when the control plane stays away. */
async function watchRollout(
  place: Place,
  id: string,
  quiet: boolean,
  io: CliIo,
  signal: AbortSignal,
): Promise<RolloutDetail | undefined> {
  const teller = quiet ? SILENT : io.isTty ? screen(io) : lines(io)
  const patience = new Patience()
  while (!signal.aborted) {
    try {
      const rollout = await place.api.value('rollouts.get', { params: { ...place.params, rollout: id } })
      patience.answered()
      if (hasEnded(rollout)) {
        teller.end()
        return rollout
      }
      teller.tell(rollout, nowOf(io))
    } catch (error) {
      if (patience.bear(error, nowOf(io))) teller.away()
    }
    await pauseOf(io)(POLL_MS, signal)
  }
  teller.end()
  return undefined
}

interface Teller {
  tell(rollout: RolloutDetail, now: number): void
  away(): void
  end(): void
}

const SILENT: Teller = { tell: () => {}, away: () => {}, end: () => {} }

/** Each state in a line of its own. */
function lines(io: CliIo): Teller {
  let last = ''
  return {
    tell: (rollout) => {
      // What is left of the time would make a line of each look.
      const { deadline: _, ...rest } = rollout
      const text = progressText(rest, 0)
      if (text !== last) io.stderr(`${text}\n`)
      last = text
    },
    away: () => io.stderr(`${AWAY}\n`),
    end: () => {},
  }
}

/** A few lines that are drawn over again: the state, and the sites that are waited for. */
function screen(io: CliIo): Teller {
  const redraw = new Redraw(io)
  return {
    tell: (rollout, now) => {
      const waiting = rollout.sites.filter(({ waitingFor }) => waitingFor !== undefined)
      const shown = waiting.slice(0, SHOWN).map(({ waitingFor }) => `  ${waitingFor}`)
      const more = waiting.length > SHOWN ? [`  and ${waiting.length - SHOWN} more`] : []
      redraw.draw([`${progressText(rollout, now)} (${since(rollout.createdAt, now)})`, ...shown, ...more])
    },
    away: () => redraw.draw([paint(io, 'yellow', AWAY)]),
    end: () => redraw.draw([]),
  }
}
