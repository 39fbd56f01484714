import type { IntentDraft, Rollout, RolloutDraft } from '../../../protocol/control/generated/api-client.ts'
import { EXIT } from '../../handle.ts'
import { type CliIo, CommandFailure, type CommandInput, textOption } from '../command.ts'
import { numberOption } from '../options.ts'
import { nowOf, openNetwork, type Place } from './access.ts'
import { readIntentFile } from './intent-file.ts'
import { mustBeMeant } from './meant.ts'
import { durationOption, printJson } from './options.ts'
import { renderPlan } from './plan.ts'
import { followRollout } from './rollout-progress.ts'
import { hasEnded, renderRollout, renderRollouts } from './rollout-view.ts'
import { ApiFailure } from './transport.ts'
import { counted, paint } from './view.ts'

/** Rows of one table. */
const MOST_ROWS = 50

type How = Pick<RolloutDraft, 'canary' | 'batchPercent' | 'watch' | 'force'>

export async function apply(input: CommandInput, io: CliIo): Promise<number> {
  const path = input.args[0]!
  const how = howOf(input)
  const intent = readIntentFile(path, io)
  const place = await openNetwork(input, io)
  const blocked = input.options.json === true ? false : await showPlan(place, intent, path, io)
  if (blocked && how.force !== true) throw harmful('the plan has errors', `isthmus apply ${path} --force`)
  await mustBeMeant(input, io, `apply ${path}`)
  return begun(place, { intent, ...how }, input, io)
}

/** What is under way goes back; else what was rolled out last, or to the version that is named. */
export async function rollback(input: CommandInput, io: CliIo): Promise<number> {
  const to = textOption(input, 'to')
  if (to !== undefined && !/^\d{1,12}$/.test(to)) {
    throw new CommandFailure(`--to ${JSON.stringify(to)} does not fit`, 'give the number of a version', EXIT.usage)
  }
  const how = howOf(input)
  const place = await openNetwork(input, io)
  if (to !== undefined) {
    if (input.options.json !== true) io.stdout(`From version ${place.network.intentVersion} to version ${to}.\n`)
    await mustBeMeant(input, io, `rollback --to ${to}`)
    return begun(place, { version: Number(to), ...how }, input, io)
  }
  const [last] = await newestFirst(place)
  if (last === undefined) throw nothingYet()
  const what = hasEnded(last) ? `Version ${last.target} goes, version ${last.base} comes back` : 'It goes back'
  if (input.options.json !== true) io.stdout(`${what}.\n`)
  await mustBeMeant(input, io, 'rollback')
  const { api, params } = place
  const back = await api.value('rollouts.rollback', { params: { ...params, rollout: last.id } })
  const code = await followed(place, back, input, io)
  // Whoever wants it back has it when it is back.
  return back.id === last.id && code === EXIT.wentBack ? EXIT.ok : code
}

export async function rolloutStatus(input: CommandInput, io: CliIo): Promise<number> {
  const place = await openNetwork(input, io)
  const id = await idOf(place, input)
  const detail = await place.api.value('rollouts.get', { params: { ...place.params, rollout: id } })
  if (input.options.json === true) printJson(io, detail)
  else io.stdout(renderRollout(detail, io, nowOf(io)))
  return EXIT.ok
}

export async function listRollouts(input: CommandInput, io: CliIo): Promise<number> {
  const rollouts = await newestFirst(await openNetwork(input, io))
  if (input.options.json === true) printJson(io, { items: rollouts })
  else if (rollouts.length === 0) io.stdout('Nothing was ever rolled out. What next: isthmus apply <file>\n')
  else {
    const shown = input.options.all === true ? rollouts : rollouts.slice(0, MOST_ROWS)
    io.stdout(renderRollouts(shown, io, nowOf(io)))
  }
  return EXIT.ok
}

export async function watchRollout(input: CommandInput, io: CliIo): Promise<number> {
  const place = await openNetwork(input, io)
  return followRollout(place, await idOf(place, input), input.options.json === true, io)
}

export async function abortRollout(input: CommandInput, io: CliIo): Promise<number> {
  const place = await openNetwork(input, io)
  const { api, params } = place
  const rollout = await api.value('rollouts.abort', { params: { ...params, rollout: await idOf(place, input) } })
  if (input.options.json === true) printJson(io, rollout)
  else if (hasEnded(rollout)) io.stdout(`Rollout ${rollout.id} is ${rollout.state}: no site had got anything.\n`)
  else {
    io.stdout(
      `Rollout ${rollout.id} is aborted: ${counted(rollout.counts.in, 'site')} ${rollout.counts.in === 1 ? 'goes' : 'go'} back.\n`,
    )
    io.stdout('What next: isthmus rollout watch\n')
  }
  return EXIT.ok
}

function howOf(input: CommandInput): How {
  const seconds = (name: string, fallback: string) => {
    return Math.round(durationOption(input, name, { min: '0s', max: '1h', fallback }) / 1000)
  }
  const canary = textOption(input, 'canary')
  return {
    ...(canary === undefined ? {} : { canary }),
    batchPercent: Math.floor(numberOption(input, 'batch', { min: 1, max: 100, fallback: 25 })),
    watch: {
      canarySeconds: seconds('watch', '60s'),
      batchSeconds: seconds('watchBatch', '30s'),
      lossPercent: numberOption(input, 'maxLoss', { min: 0, max: 100, fallback: 1 }),
    },
    force: input.options.force === true,
  }
}

async function begun(place: Place, body: RolloutDraft, input: CommandInput, io: CliIo): Promise<number> {
  const { api, params } = place
  const rollout = await api.value('rollouts.create', { params, body }).catch((error: unknown) => {
    const blocked = error instanceof ApiFailure && error.code === 'plan-blocked'
    throw blocked ? harmful(error.message, 'the same with --force') : error
  })
  return followed(place, rollout, input, io)
}

function harmful(cause: string, remedy: string): CommandFailure {
  return new CommandFailure(`nothing was changed: ${cause}`, `if that is meant: ${remedy}`, EXIT.findings)
}

async function followed(place: Place, rollout: Rollout, input: CommandInput, io: CliIo): Promise<number> {
  const json = input.options.json === true
  if (input.options.wait !== false) return followRollout(place, rollout.id, json, io)
  if (json) printJson(io, rollout)
  else io.stdout(`Rollout ${rollout.id} goes on by itself. What next: isthmus rollout watch\n`)
  return EXIT.ok
}

/** The one that is named, else the newest. */
async function idOf(place: Place, input: CommandInput): Promise<string> {
  const given = input.args[0]
  if (given !== undefined) return given
  const [last] = await newestFirst(place)
  if (last === undefined) throw nothingYet()
  return last.id
}

async function newestFirst({ api, params }: Place): Promise<Rollout[]> {
  const all = await api.all('rollouts.list', { params })
  return all.sort((left, right) => right.createdAt - left.createdAt || right.target - left.target)
}

function nothingYet(): CommandFailure {
  return new CommandFailure('nothing was ever rolled out', 'begin with isthmus apply <file>', EXIT.failed)
}

/** What would come and go by name, where routes would get, and what is wrong with that. Whether that is too much. */
async function showPlan(place: Place, draft: IntentDraft, path: string, io: CliIo): Promise<boolean> {
  const { api, params, network } = place
  const present = await api.value('intent.get', { params })
  const result = await api.value('intent.plan', { params, body: draft })
  const names = (given: readonly { readonly name: string }[] | undefined) => new Set(given?.map(({ name }) => name))
  const told = (what: string, before: ReadonlySet<string>, after: ReadonlySet<string>) => {
    const come = [...after].filter((name) => !before.has(name))
    const go = [...before].filter((name) => !after.has(name))
    return [
      ...(come.length === 0 ? [] : [`New ${what}: ${some(come)}\n`]),
      ...(go.length === 0 ? [] : [paint(io, 'yellow', `Without the ${what} ${some(go)}\n`)]),
    ]
  }
  io.stdout(`${path} for the network ${network.name}, which is at version ${present.version}.\n`)
  io.stdout(told('sites', names(present.sites), names(draft.sites)).join(''))
  // In a mesh a new site gets tunnels that the file does not name.
  if (draft.tunnels !== undefined) io.stdout(told('tunnels', names(present.tunnels), names(draft.tunnels)).join(''))
  io.stdout(renderPlan(result, io))
  return result.blocked
}

function some(names: readonly string[]): string {
  return names.length <= 20 ? names.join(', ') : `${names.slice(0, 20).join(', ')} and ${names.length - 20} more`
}
