/** `isthmus cloud aws apply`: the connections of a file, made as it says; all of them in one go. */
import type { Cloud, CloudRun } from '../../../protocol/control/generated/api-client.ts'
import { EXIT } from '../../handle.ts'
import { type CliIo, CommandFailure, type CommandInput, textOption } from '../command.ts'
import { openNetwork, type Place } from './access.ts'
import { eachAtOnce } from './at-once.ts'
import { readCloudFile, readPrices } from './cloud-file.ts'
import { isBlocked, type PlannedCloud, plansOf, renderPlans } from './cloud-plan.ts'
import { followClouds, type StartedRun } from './cloud-progress.ts'
import { failureLines } from './cloud-status.ts'
import { mustBeMeant } from './meant.ts'
import { printJson } from './options.ts'
import { ApiFailure } from './transport.ts'
import { counted, paint, printable, since } from './view.ts'

/** Of those that failed, as many are told whole. */
const MOST_FAILURES = 20

interface Applied {
  readonly cloud: Cloud
  /** None where there is nothing to do. */
  readonly run?: CloudRun
}

export async function applyClouds(input: CommandInput, io: CliIo): Promise<number> {
  const path = input.args[0]!
  const json = input.options.json === true
  const wanted = readCloudFile(path, io)
  const prices = readPrices(textOption(input, 'prices'), io)
  const place = await openNetwork(input, io)
  const planned = await plansOf(place, path, wanted, prices, io)
  if (!json) io.stdout(renderPlans(planned, io))
  if (isBlocked(planned)) {
    throw new CommandFailure(
      'nothing was changed: the plan has errors',
      `correct ${path}, and plan again`,
      EXIT.findings,
    )
  }
  if (planned.some(({ plan }) => plan.steps.length > 0)) await mustBeMeant(input, io, `cloud aws apply ${path}`)
  const there = new Map((await place.api.all('clouds.list', { params: place.params })).map((each) => [each.name, each]))
  const applied = await eachAtOnce(planned, (each) => begin(place, each, there.get(each.plan.name)))
  const started = applied.flatMap(({ cloud, run }) => (run === undefined ? [] : [{ name: cloud.name, run }]))
  if (input.options.wait === false) return left(applied, started, json, io)
  const ended = started.length === 0 ? [] : await followClouds(place, started, json, io)
  if (ended === undefined) return EXIT.failed
  if (json) printJson(io, { items: await documentsOf(place, applied, ended) })
  else io.stdout(renderEnd(applied, ended, io))
  return ended.every(({ run }) => run.state === 'done') ? EXIT.ok : EXIT.wentBack
}

/** As it is wanted, then the run; the one that does the same already is followed instead. */
async function begin(
  { api, params }: Place,
  { wanted, plan }: PlannedCloud,
  there: Cloud | undefined,
): Promise<Applied> {
  const cloud = there === undefined ? await created() : await replaced(there)
  if (cloud.state === 'up' && plan.steps.length === 0 && cloud.run === undefined) return { cloud }
  try {
    const body = { kind: 'apply' as const }
    return { cloud, run: await api.value('cloudRuns.create', { params: { ...params, cloud: cloud.id }, body }) }
  } catch (error) {
    const busy = await underWay(error)
    if (busy?.kind !== 'apply') throw error
    return { cloud, run: busy }
  }

  function created(): Promise<Cloud> {
    return api.value('clouds.create', { params, body: wanted.draft })
  }

  async function replaced({ id }: Cloud): Promise<Cloud> {
    const one = { ...params, cloud: id }
    const { revision = '*' } = await api.call('clouds.get', { params: one })
    return api.value('clouds.replace', { params: one, body: wanted.draft, match: revision })
  }

  async function underWay(error: unknown): Promise<CloudRun | undefined> {
    if (!(error instanceof ApiFailure) || error.code !== 'cloud-run-under-way') return undefined
    const { run } = await api.value('clouds.get', { params: { ...params, cloud: cloud.id } })
    return run === undefined ? undefined : api.value('cloudRuns.get', { params: { ...params, cloudRun: run } })
  }
}

function left(applied: readonly Applied[], started: readonly StartedRun[], json: boolean, io: CliIo): number {
  if (json) printJson(io, { items: applied })
  else if (started.length === 0) io.stdout('There is nothing to do.\n')
  else {
    const next = started.length === 1 ? `isthmus cloud aws watch ${started[0]!.name}` : 'isthmus cloud list'
    io.stdout(
      `${counted(started.length, 'run')} ${started.length === 1 ? 'goes on by itself' : 'go on by themselves'}. What next: ${next}\n`,
    )
  }
  return EXIT.ok
}

/** With the connections as they are now. */
async function documentsOf(
  { api, params }: Place,
  applied: readonly Applied[],
  ended: readonly StartedRun[],
): Promise<Applied[]> {
  const runs = new Map(ended.map(({ run }) => [run.cloud, run]))
  const clouds = new Map((await api.all('clouds.list', { params })).map((each) => [each.id, each]))
  return applied.map(({ cloud }) => {
    const run = runs.get(cloud.id)
    return { cloud: clouds.get(cloud.id) ?? cloud, ...(run === undefined ? {} : { run }) }
  })
}

function renderEnd(applied: readonly Applied[], ended: readonly StartedRun[], io: CliIo): string {
  if (ended.length === 0) return `${applied.length === 1 ? 'It is' : 'All are'} as the file says already.\n`
  const good = ended.filter(({ run }) => run.state === 'done')
  const bad = ended.filter(({ run }) => run.state !== 'done')
  const parts: string[] = []
  const [first] = ended
  const begun = Math.min(...ended.map(({ run }) => run.createdAt))
  const time = since(begun, Math.max(...ended.map(({ run }) => run.finishedAt ?? run.createdAt)))
  if (ended.length > 1) {
    const text = `${good.length} of ${counted(ended.length, 'connection')} up, in ${time}.`
    parts.push(`${paint(io, bad.length === 0 ? 'green' : 'red', text)}\n`)
  } else if (bad.length === 0) {
    parts.push(`${paint(io, 'green', `${printable(first!.name)} is up: both tunnels carry packets, in ${time}.`)}\n`)
  }
  for (const { name, run } of bad.slice(0, MOST_FAILURES)) parts.push(renderFailure(name, run, io))
  const looked = bad[0] ?? (ended.length === 1 ? first : undefined)
  const status = looked === undefined ? 'isthmus cloud list' : `isthmus cloud aws status ${looked.name}`
  return `${parts.join('')}What next: ${status}\n`
}

/** How a run ended that did not end well; ends in a line break. */
export function renderFailure(name: string, { kind, state, steps, error }: CloudRun, io: CliIo): string {
  const done = steps.filter((step) => step.state === 'done').length
  const rest = kind === 'rotate' ? '' : '; what is there at AWS stays, and is listed'
  const head = paint(io, 'red', `${printable(name)}: ${state} after ${counted(done, 'step')}${rest}.`)
  return `${head}\n${error === undefined ? '' : failureLines(error, io)}`
}
