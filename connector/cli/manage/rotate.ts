import type { RunAnswer, Tunnel } from '../../../protocol/control/generated/api-client.ts'
import { EXIT } from '../../handle.ts'
import { type CliIo, CommandFailure, type CommandInput } from '../command.ts'
import { numberOption } from '../options.ts'
import { openNetwork, type Place } from './access.ts'
import { printJson } from './options.ts'
import { pick } from './resolve.ts'
import { followRun } from './run.ts'
import { ApiFailure } from './transport.ts'
import { counted, paint, renderTable } from './view.ts'

export async function rotate(input: CommandInput, io: CliIo): Promise<number> {
  const names = input.rest ?? []
  if ((names.length === 0) !== (input.options.all === true)) {
    const cause = names.length === 0 ? 'it is not said which keys to rotate' : '--all and names exclude each other'
    throw new CommandFailure(cause, 'name tunnels, or say --all; isthmus tunnel list shows them', EXIT.usage)
  }
  const maxConcurrent = numberOption(input, 'maxConcurrent', { min: 1, max: 1000, fallback: 10 })
  const place = await openNetwork(input, io)
  const tunnels = await place.api.all('tunnels.list', { params: place.params })
  const chosen = names.map((name) => pick('tunnel', name, tunnels).id)
  const body = {
    ...(chosen.length === 0 ? {} : { tunnels: chosen }),
    dryRun: input.options.dryRun === true,
    canary: input.options.canary !== false,
    stopOnFailure: input.options.keepGoing !== true,
    maxConcurrent: Math.floor(maxConcurrent),
  }
  const answer = await place.api.value('runs.create', { params: place.params, body }).catch((error: unknown) => {
    throw notRotated(error)
  })
  if (answer.run === undefined) return printPlan(answer, input, io)
  return begun(place, { ...answer, run: answer.run }, tunnels, input, io)
}

async function begun(
  place: Place,
  answer: RunAnswer & { run: NonNullable<RunAnswer['run']> },
  tunnels: readonly Tunnel[],
  input: CommandInput,
  io: CliIo,
): Promise<number> {
  const { run, skipped } = answer
  const json = input.options.json === true
  if (!json) {
    const many = counted(run.counts.queued + run.counts.active + run.counts.done, 'tunnel')
    io.stdout(`Rotating the ${run.counts.queued + run.counts.active === 1 ? 'key' : 'keys'} of ${many}: ${run.id}\n`)
    printSkipped(skipped, io)
  }
  // Of tunnels that were named, each was meant; of all, those that can be rotated.
  const missed = input.options.all !== true && skipped.length > 0
  if (input.options.wait !== true) {
    if (json) printJson(io, { run, skipped })
    else io.stdout(`What next: isthmus run watch ${run.id}\n`)
    return missed ? EXIT.notRotated : EXIT.ok
  }
  const code = await followRun(place, run.id, { tunnels, json, skipped }, io)
  return code === EXIT.ok && missed ? EXIT.notRotated : code
}

/** That nothing could be rotated is an answer of its own to a script. */
function notRotated(error: unknown): unknown {
  if (!(error instanceof ApiFailure) || error.code !== 'nothing-to-rotate') return error
  return new CommandFailure(error.message, error.remedy, EXIT.notRotated)
}

function printPlan({ planned = [], skipped }: RunAnswer, input: CommandInput, io: CliIo): number {
  if (input.options.json === true) printJson(io, { planned, skipped })
  else if (planned.length === 0) io.stdout('No key would be rotated.\n')
  else {
    const rows = planned.map(({ name, from }, at) => [String(at + 1), name, `epoch ${from}`])
    const columns = [{ title: '#', align: 'right' }, { title: 'TUNNEL', shrinks: true }, { title: 'KEY NOW' }] as const
    io.stdout(`Would rotate ${counted(planned.length, 'key')}, in this order:\n${renderTable(columns, rows, io)}`)
  }
  if (input.options.json !== true) printSkipped(skipped, io)
  return EXIT.ok
}

function printSkipped(skipped: RunAnswer['skipped'], io: CliIo): void {
  if (skipped.length === 0) return
  const rows = skipped.map(({ name, why }) => [name, why])
  io.stdout(paint(io, 'yellow', `Left out: ${counted(skipped.length, 'tunnel')}\n`))
  const columns = [
    { title: 'TUNNEL', shrinks: true },
    { title: 'WHY', shrinks: true },
  ] as const
  io.stdout(renderTable(columns, rows, io))
}
