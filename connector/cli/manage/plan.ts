/** What a file would make of a network: its routes before and after, and what is wrong with it. Nothing changes. */
import type { PlanResult } from '../../../protocol/control/generated/api-client.ts'
import { EXIT } from '../../handle.ts'
import type { CliIo, CommandInput } from '../command.ts'
import { openNetwork } from './access.ts'
import { readIntentFile } from './intent-file.ts'
import { printJson } from './options.ts'
import { type Cell, counted, grouped, paint, printable, renderTable } from './view.ts'

type Site = PlanResult['sites'][number]
type Route = Site['routes'][number]

/** Lines of one section of the page; `--json` has all that the control plane tells. */
const MOST_SITES = 50
const MOST_ROUTES = 3
const MOST_FINDINGS = 50

const SITE_COLUMNS = [
  { title: 'SITE', shrinks: true },
  { title: 'CHANGE' },
  { title: 'BEFORE', align: 'right' },
  { title: 'AFTER', align: 'right' },
  { title: 'ADDED', align: 'right' },
  { title: 'REMOVED', align: 'right' },
  { title: 'MOVED', align: 'right' },
] as const

export async function plan(input: CommandInput, io: CliIo): Promise<number> {
  const path = input.args[0]!
  const draft = readIntentFile(path, io)
  const { api, params, network } = await openNetwork(input, io)
  const result = await api.value('intent.plan', { params, body: draft })
  if (input.options.json === true) printJson(io, result)
  else {
    io.stdout(`${path} for the network ${network.name}, which is at version ${result.base}.\n`)
    io.stdout(renderPlan(result, io))
    if (result.changes && !result.blocked) io.stdout(`What next: isthmus apply ${path}\n`)
  }
  return result.findings.length === 0 ? EXIT.ok : EXIT.findings
}

/** A table of the sites whose routes change, their first routes, and all that is wrong. Ends in a line break. */
export function renderPlan(result: PlanResult, io: CliIo): string {
  const { sites, findings, more, totals, changes, blocked } = result
  const parts: string[] = []
  if (!changes) parts.push('The network is like that already.\n')
  else if (sites.length === 0) parts.push('No route changes.\n')
  else {
    const shown = sites.slice(0, MOST_SITES)
    parts.push(renderTable(SITE_COLUMNS, shown.map(rowOf), io), ...shown.flatMap((site) => routesOf(site, io)))
    if (sites.length > shown.length) parts.push(`... and ${counted(sites.length - shown.length, 'more site')}\n`)
  }
  for (const { severity, detail } of findings.slice(0, MOST_FINDINGS)) {
    const word = severity === 'error' ? paint(io, 'red', 'error  ') : paint(io, 'yellow', 'warning')
    parts.push(`${word}  ${printable(detail)}\n`)
  }
  const untold = Math.max(0, findings.length - MOST_FINDINGS) + more
  if (untold > 0) parts.push(`... and ${counted(untold, 'more finding')}\n`)
  const size = `${counted(totals.sites, 'site')}, ${grouped(totals.prefixes)} prefixes, ${counted(totals.routes, 'route')}`
  const verdict = blocked
    ? 'it is refused without --force'
    : findings.length > 0
      ? 'look at the warnings'
      : 'nothing is wrong with it'
  parts.push(`${size}: ${verdict}.\n`)
  return parts.join('')
}

function rowOf({ site, change, before, after, added, removed, moved }: Site): Cell[] {
  const count = (value: number, style: 'green' | 'red' | 'yellow'): Cell =>
    value === 0 ? '0' : { text: grouped(value), style }
  return [
    site,
    change,
    grouped(before),
    grouped(after),
    count(added, 'green'),
    count(removed, 'red'),
    count(moved, 'yellow'),
  ]
}

function routesOf({ site, added, removed, moved, routes }: Site, io: CliIo): string[] {
  const shown = routes.slice(0, MOST_ROUTES)
  const left = added + removed + moved - shown.length
  const lines = shown.map((route) => `  ${printable(routeLine(route, site))}\n`)
  return left > 0 ? [...lines, paint(io, 'dim', `  ${site}: ${counted(left, 'more route')}\n`)] : lines
}

function routeLine({ prefix, change, before, after }: Route, site: string): string {
  const [was, is] = [before, after].map((ways) => ways?.map((way) => [site, ...way].join(' > ')).join(' or '))
  if (change === 'moved') return `~ ${prefix}  ${was}, then ${is}`
  return change === 'added' ? `+ ${prefix}  ${is}` : `- ${prefix}  ${was}`
}
