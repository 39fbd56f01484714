/** What is done at connections to clouds that are there: drift and its repair, rotation, the end of them. */
import type { Cloud, CloudRun } from '../../../protocol/control/generated/api-client.ts'
import { EXIT } from '../../handle.ts'
import { type CliIo, CommandFailure, type CommandInput } from '../command.ts'
import { openNetwork, type Place } from './access.ts'
import { renderFailure } from './cloud-apply.ts'
import { evidenceOf, renderRotation } from './cloud-evidence.ts'
import { followClouds } from './cloud-progress.ts'
import { renderDrift } from './cloud-status.ts'
import { hasEnded } from './cloud-view.ts'
import { mustBeMeant } from './meant.ts'
import { printJson } from './options.ts'
import { cloudBy } from './resolve.ts'
import { counted, paint, printable, renderTable, since } from './view.ts'

type Kind = CloudRun['kind']

export async function cloudDrift(input: CommandInput, io: CliIo): Promise<number> {
  const place = await openNetwork(input, io)
  const cloud = await cloudBy(place, input.args[0]!)
  const params = { ...place.params, cloud: cloud.id }
  const json = input.options.json === true
  const look = await place.api.value('clouds.drift', { params })
  const fixable = look.drift.filter((each) => each.fixable)
  const fixes = input.options.fix === true && fixable.length > 0
  if (!json) {
    io.stdout(look.drift.length === 0 ? `${cloud.name}: AWS has what is wanted.\n` : renderDrift(look.drift, io))
    if (!fixes && fixable.length > 0) io.stdout(`What next: isthmus cloud aws drift ${cloud.name} --fix\n`)
  }
  if (!fixes) {
    if (json) printJson(io, look)
    return look.drift.length === 0 ? EXIT.ok : EXIT.findings
  }
  const run = await started(place, cloud, { kind: 'fix' })
  const code = await ended(place, cloud, run, input, io)
  return code === EXIT.ok && fixable.length < look.drift.length ? EXIT.findings : code
}

export async function rotateCloud(input: CommandInput, io: CliIo): Promise<number> {
  const place = await openNetwork(input, io)
  const cloud = await cloudBy(place, input.args[0]!)
  const run = await started(place, cloud, { kind: 'rotate', acceptLoss: input.options.acceptLoss === true })
  if (input.options.json !== true) io.stdout(`Rotating the keys of ${cloud.name}: ${run.id}\n`)
  return ended(place, cloud, run, input, io)
}

export async function destroyCloud(input: CommandInput, io: CliIo): Promise<number> {
  const place = await openNetwork(input, io)
  const cloud = await cloudBy(place, input.args[0]!)
  if (input.options.json !== true) io.stdout(renderResources(cloud, io))
  await mustBeMeant(input, io, `cloud aws destroy ${cloud.name}`)
  return ended(place, cloud, await started(place, cloud, { kind: 'destroy' }), input, io)
}

export async function abortCloud(input: CommandInput, io: CliIo): Promise<number> {
  const place = await openNetwork(input, io)
  const cloud = await cloudBy(place, input.args[0]!)
  const run = await place.api.value('cloudRuns.abort', { params: { ...place.params, cloudRun: runOf(cloud) } })
  if (input.options.json === true) printJson(io, run)
  else if (hasEnded(run)) io.stdout(`The run is ${run.state}; what is there at AWS stays.\n`)
  else {
    const how = run.kind === 'rotate' ? 'each tunnel ends with a key that both ends have' : 'what is there at AWS stays'
    io.stdout(`The run ends: ${how}.\nWhat next: isthmus cloud aws watch ${cloud.name}\n`)
  }
  return EXIT.ok
}

export async function watchCloud(input: CommandInput, io: CliIo): Promise<number> {
  const place = await openNetwork(input, io)
  const cloud = await cloudBy(place, input.args[0]!)
  const run = await place.api.value('cloudRuns.get', { params: { ...place.params, cloudRun: runOf(cloud) } })
  return ended(place, cloud, run, input, io)
}

function runOf({ name, run }: Cloud): string {
  if (run !== undefined) return run
  const remedy = `isthmus cloud aws status ${name} shows the last one`
  throw new CommandFailure(`nothing is under way at ${name}`, remedy, EXIT.failed)
}

function started({ api, params }: Place, { id }: Cloud, body: { kind: Kind; acceptLoss?: boolean }): Promise<CloudRun> {
  return api.value('cloudRuns.create', { params: { ...params, cloud: id }, body })
}

/** Follows it to its end, and tells what came of it. Resolves to the exit code. */
async function ended(place: Place, cloud: Cloud, run: CloudRun, input: CommandInput, io: CliIo): Promise<number> {
  const json = input.options.json === true
  if (input.options.wait === false) {
    if (json) printJson(io, { run })
    else io.stdout(`It goes on by itself. What next: isthmus cloud aws watch ${cloud.name}\n`)
    return EXIT.ok
  }
  const all = await followClouds(place, [{ name: cloud.name, run }], json, io)
  if (all === undefined) return EXIT.failed
  const last = all[0]!.run
  if (last.kind === 'rotate') return rotated(place, cloud, last, json, io)
  if (json) printJson(io, { run: last })
  else if (last.state === 'done') io.stdout(renderDone(cloud, last, io))
  else io.stdout(`${renderFailure(cloud.name, last, io)}What next: isthmus cloud aws status ${cloud.name}\n`)
  return last.state === 'done' ? EXIT.ok : EXIT.wentBack
}

async function rotated(place: Place, cloud: Cloud, run: CloudRun, json: boolean, io: CliIo): Promise<number> {
  const verified = await evidenceOf(place, run)
  if (json) {
    const proof = verified?.genuine === true ? { evidence: verified.evidence } : {}
    printJson(io, { run, ...(verified === undefined ? {} : { genuine: verified.genuine }), ...proof })
  } else {
    if (run.state !== 'done') io.stdout(renderFailure(cloud.name, run, io))
    io.stdout(renderRotation(cloud, run, verified, io))
    if (run.state !== 'done') io.stdout(`What next: isthmus cloud aws status ${cloud.name}\n`)
  }
  if (verified?.genuine === false) return EXIT.notGenuine
  return run.state === 'done' ? EXIT.ok : EXIT.notRotated
}

function renderDone({ name, resources }: Cloud, run: CloudRun, io: CliIo): string {
  const time = run.finishedAt === undefined ? '' : `, in ${since(run.createdAt, run.finishedAt)}`
  if (run.kind !== 'destroy') {
    const done = run.kind === 'fix' ? 'is as it is wanted again' : 'is up'
    return `${paint(io, 'green', `${printable(name)} ${done}${time}.`)}\nWhat next: isthmus cloud aws status ${name}\n`
  }
  const stays = resources.filter(({ made }) => !made).map(({ id }) => id)
  const rest = stays.length === 0 ? '' : ` What was there before stays: ${stays.join(', ')}.`
  const text = `${printable(name)} is gone, and all that was made for it${time}.`
  return `${paint(io, 'green', text)}${printable(rest)}\n`
}

/** What would go and what would stay. */
function renderResources({ name, resources, state }: Cloud, io: CliIo): string {
  if (resources.length === 0) return `${name} is ${state}: there is nothing of it at AWS.\n`
  const made = resources.filter((each) => each.made)
  const found = resources.filter((each) => !each.made)
  const table = (rows: readonly Cloud['resources'][number][]) => {
    const columns = [{ title: 'WHAT' }, { title: 'ID', shrinks: true }] as const
    const cells = rows.map(({ kind, id }) => [kind, id])
    return renderTable(columns, cells, io)
  }
  const goes = made.length === 0 ? '' : `This goes, ${counted(made.length, 'thing')}:\n${table(made)}`
  const stays = found.length === 0 ? '' : `This was there before, and stays:\n${table(found)}`
  return `${goes}${stays}${paint(io, 'yellow', `Nothing passes through ${printable(name)} from then on.`)}\n`
}
