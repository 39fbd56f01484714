/** What would be done at a cloud for the connections of a file, what speaks against it, and what it costs. */
import type { CloudPlan, CloudPrices } from '../../../protocol/control/generated/api-client.ts'
import { EXIT } from '../../handle.ts'
import { type CliIo, type CommandInput, textOption } from '../command.ts'
import { openNetwork, type Place } from './access.ts'
import { eachAtOnce } from './at-once.ts'
import { readCloudFile, readPrices, refuseFile, type WantedCloud } from './cloud-file.ts'
import { renderDrift } from './cloud-status.ts'
import { printJson } from './options.ts'
import { type Cell, counted, grouped, paint, printable, renderTable, wrapped } from './view.ts'

/** Connections of which each step is shown; of more there is a line each, and `--json` has all. */
const IN_FULL = 3
const MOST_ROWS = 200
const MOST_FINDINGS = 50
const SUMMARY_COLUMNS = [
  { title: 'CONNECTION', shrinks: true },
  { title: 'SITE', shrinks: true },
  { title: 'REGION' },
  { title: 'STEPS', align: 'right' },
  { title: 'DIFFERS', align: 'right' },
  { title: 'FINDINGS', align: 'right' },
  { title: 'A MONTH', align: 'right' },
] as const

export interface PlannedCloud {
  readonly wanted: WantedCloud
  readonly plan: CloudPlan
}

export async function planClouds(input: CommandInput, io: CliIo): Promise<number> {
  const path = input.args[0]!
  const wanted = readCloudFile(path, io)
  const prices = readPrices(textOption(input, 'prices'), io)
  const planned = await plansOf(await openNetwork(input, io), path, wanted, prices, io)
  const plans = planned.map(({ plan }) => plan)
  if (input.options.json === true) printJson(io, { items: plans, perMonth: perMonth(plans) })
  else {
    io.stdout(renderPlans(planned, io))
    if (isBlocked(planned)) io.stdout('What next: correct the file, and plan again\n')
    else if (plans.some(({ steps }) => steps.length > 0)) io.stdout(`What next: isthmus cloud aws apply ${path}\n`)
  }
  return plans.every(({ findings }) => findings.length === 0) ? EXIT.ok : EXIT.findings
}

/** In the order of the file. Prints every fault that the control plane finds in it, and rejects then. */
export async function plansOf(
  { api, params }: Place,
  path: string,
  wanted: readonly WantedCloud[],
  prices: CloudPrices | undefined,
  io: CliIo,
): Promise<PlannedCloud[]> {
  const answers = await eachAtOnce(wanted, async (each) => {
    const body = { draft: each.draft, ...(prices === undefined ? {} : { prices }) }
    try {
      return { wanted: each, plan: await api.value('clouds.plan', { params, body }) }
    } catch (error) {
      const faults = each.faults(error)
      if (faults.length === 0) throw error
      return { faults }
    }
  })
  const faults = answers.flatMap((answer) => answer.faults ?? [])
  if (faults.length > 0) refuseFile(path, faults, io)
  return answers.flatMap((answer) => (answer.plan === undefined ? [] : [answer]))
}

export function isBlocked(planned: readonly PlannedCloud[]): boolean {
  return planned.some(({ plan }) => plan.findings.some(({ severity }) => severity === 'error'))
}

/** Ends in a line break. */
export function renderPlans(planned: readonly PlannedCloud[], io: CliIo): string {
  const parts = planned.length <= IN_FULL ? planned.map((each) => renderOne(each, io)) : [renderSummary(planned, io)]
  return [...parts, ...findingsOf(planned, io), verdict(planned)].join('')
}

function renderOne({ wanted: { draft }, plan }: PlannedCloud, io: CliIo): string {
  const { steps, drift, cost } = plan
  const { target } = draft
  const where = target.kind === 'vpc' ? target.vpc : target.transitGateway
  const head = `${plan.name}: the site ${draft.site} and ${where} in ${draft.region}\n`
  const digits = String(steps.length).length
  const done = steps.flatMap(({ action, detail }, at) => {
    const [first = '', ...rest] = wrapped(`${action}: ${detail}`, ' '.repeat(digits + 4), io)
    return [`  ${String(at + 1).padStart(digits)}  ${first.trimStart()}\n`, ...rest.map((line) => `${line}\n`)]
  })
  const what = steps.length === 0 ? 'AWS has all of it already.\n' : done.join('')
  const width = Math.max(...cost.lines.map(({ amount }) => dollars(amount).length))
  const lines = cost.lines.map((line) => `  ${dollars(line.amount).padStart(width)}  ${printable(line.what)}\n`)
  return `${paint(io, 'bold', printable(head.trimEnd()))}\n${what}${renderDrift(drift, io)}About ${dollars(cost.perMonth)} a month:\n${lines.join('')}`
}

function renderSummary(planned: readonly PlannedCloud[], io: CliIo): string {
  const rows = planned
    .slice(0, MOST_ROWS)
    .map(({ wanted: { draft }, plan }): Cell[] => [
      plan.name,
      draft.site,
      draft.region,
      String(plan.steps.length),
      warned(plan.drift.length),
      warned(plan.findings.length),
      dollars(plan.cost.perMonth),
    ])
  const more = planned.length > MOST_ROWS ? `and ${planned.length - MOST_ROWS} more; --json shows all\n` : ''
  return renderTable(SUMMARY_COLUMNS, rows, io) + more
}

function findingsOf(planned: readonly PlannedCloud[], io: CliIo): string[] {
  const all = planned.flatMap(({ plan: { name, findings } }) => findings.map((finding) => ({ name, ...finding })))
  const shown = all.slice(0, MOST_FINDINGS).flatMap(({ name, severity, detail, remedy }) => {
    const word = severity === 'error' ? paint(io, 'red', 'error  ') : paint(io, 'yellow', 'warning')
    const [first = '', ...rest] = wrapped(planned.length === 1 ? detail : `${name}: ${detail}`, INDENT, io)
    const advice = wrapped(`What to do: ${remedy}`, INDENT, io)
    return [`${word}  ${first.trimStart()}`, ...rest, ...advice].map((line) => `${line}\n`)
  })
  return all.length > MOST_FINDINGS
    ? [...shown, `... and ${counted(all.length - MOST_FINDINGS, 'more finding')}\n`]
    : shown
}

const INDENT = ' '.repeat(9)

function verdict(planned: readonly PlannedCloud[]): string {
  const plans = planned.map(({ plan }) => plan)
  const steps = plans.reduce((sum, plan) => sum + plan.steps.length, 0)
  const many = planned.length === 1 ? '' : `${counted(planned.length, 'connection')}, `
  const cost = planned.length === 1 ? '' : `, about ${dollars(perMonth(plans))} a month`
  const judgement = isBlocked(planned)
    ? 'it cannot be applied like this'
    : plans.some(({ findings }) => findings.length > 0)
      ? 'look at the warnings'
      : 'nothing is wrong with it'
  return `${many}${counted(steps, 'step')}${cost}: ${judgement}.\n`
}

function perMonth(plans: readonly CloudPlan[]): number {
  return Math.round(plans.reduce((sum, { cost }) => sum + cost.perMonth, 0) * 100) / 100
}

/** `$1,045.50`. */
export function dollars(amount: number): string {
  const [whole = '0', cents = '00'] = amount.toFixed(2).split('.')
  return `$${grouped(Number(whole))}.${cents}`
}

function warned(count: number): Cell {
  return count === 0 ? '0' : { text: grouped(count), style: 'yellow' }
}
