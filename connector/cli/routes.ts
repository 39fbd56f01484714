import { parsePrefix } from '../../protocol/net.ts'
import type { RouteAttributes, RouteExplanation, RouteRow, RoutesAnswer } from '../../protocol/routes.ts'
import { formatDuration } from '../config/units.ts'
import { EXIT } from '../handle.ts'
import { type Command, CommandFailure, type CommandInput } from './command.ts'
import { CONFIG_OPTION, JSON_OPTION, numberOption, SOCKET_OPTION, socketPath } from './options.ts'
import { columns } from './text-table.ts'
import { show, WATCH_OPTIONS } from './watch.ts'

const explain: Command = {
  name: 'explain',
  summary: 'why a prefix leads where it does',
  description:
    'Shows everything about one prefix: where it leads, every neighbour that announces it with what it says, why each route that is not used lost, and which neighbours are told of it, or why not.',
  arguments: [{ name: '<prefix>', description: 'exactly that prefix, such as 10.2.0.0/16' }],
  options: [JSON_OPTION, SOCKET_OPTION, CONFIG_OPTION],
  examples: [{ command: 'isthmus routes explain 10.2.0.0/16', what: 'for people' }],
  exits: ['notRunning', 'permission'],
  async action(input, io) {
    const { controlRequest } = await import('../ops/client.ts')
    const prefix = prefixOf(input)
    const socket = await socketPath(input, io)
    const read = async () => (await controlRequest(socket, 'POST', '/routes/explain', { prefix })) as RouteExplanation
    return show({ read, render: (answer) => renderExplanation(answer), exitCode: () => EXIT.ok }, input, io)
  },
}

export const routes: Command = {
  name: 'routes',
  summary: 'which prefixes lead into which tunnels, and why',
  description:
    'Shows the prefixes that lead into tunnels, configured and learned by BGP, with the peers in order of preference, and the networks of this site. With a prefix: those within it, and those that cover it.',
  arguments: [{ name: '[prefix]', description: 'only those within it, and those that cover it' }],
  options: [
    JSON_OPTION,
    ...WATCH_OPTIONS,
    { flags: '-n, --limit <count>', description: 'so many at most', default: '1000' },
    SOCKET_OPTION,
    CONFIG_OPTION,
  ],
  examples: [
    { command: 'isthmus routes', what: 'all, up to 1,000' },
    { command: 'isthmus routes 10.0.0.0/8', what: 'a part of them' },
  ],
  exits: ['notRunning', 'permission'],
  commands: [explain],
  async action(input, io) {
    const { controlRequest } = await import('../ops/client.ts')
    const limit = numberOption(input, 'limit', { min: 1, max: 10_000, fallback: 1000 })
    const body = { limit, ...(input.args[0] === undefined ? {} : { prefix: prefixOf(input) }) }
    const socket = await socketPath(input, io)
    const read = async () => (await controlRequest(socket, 'POST', '/routes', body)) as RoutesAnswer
    return show({ read, render: (answer) => renderRoutes(answer), exitCode: () => EXIT.ok }, input, io)
  },
}

function prefixOf({ args }: CommandInput): string {
  const text = args[0] ?? ''
  const prefix = parsePrefix(text)
  if (prefix !== undefined) return prefix
  throw new CommandFailure(`${JSON.stringify(text)} is not a prefix`, 'write one like 10.2.0.0/16', EXIT.usage)
}

/** Exported for tests. */
export function renderRoutes({ total, matching, routes: rows }: RoutesAnswer): string {
  const table = columns([['PREFIX', 'FROM', 'PEERS'], ...rows.map((row) => [row.prefix, row.from, peersText(row)])])
  const rest = matching - rows.length
  const more = rest > 0 ? [`and ${rest} more: --limit shows up to 10000`] : []
  return [...table, ...more, `${matching} of ${total} prefixes`].join('\n')
}

function peersText({ from, tunnels, answer }: RouteRow): string {
  if (from === 'local') return 'this site'
  if (answer !== undefined) return answer
  return tunnels.map(({ peer, up }) => (up ? peer : `${peer} (down)`)).join(', ')
}

/** Exported for tests. */
export function renderExplanation({ prefix, used, candidates, advertised }: RouteExplanation): string {
  const verb = used?.answer === undefined ? 'leads to' : 'is answered'
  const where = used === undefined ? 'leads nowhere' : `${verb} ${peersText(used)} (${used.from})`
  const lines = [`${prefix} ${where}`, '', 'candidates:']
  if (candidates.length === 0) lines.push('  none: no neighbour announces it, and we do not originate it')
  const rows = candidates.map((each) => [
    `  ${each.neighbour}`,
    each.state,
    each.why ?? '',
    `via ${each.nextHop}${each.reachable ? '' : ' (unreachable)'}`,
    attributesText(each.attributes),
    [...(each.rule === undefined ? [] : [`policy ${each.rule}`]), ...(each.stale ? ['stale'] : [])].join(', '),
    `${formatDuration(each.ageSeconds * 1000)} ago`,
  ])
  lines.push(...columns(rows), '', 'advertised to:')
  const told = advertised.map(({ neighbour, told: isTold, attributes, why, rule }) => [
    `  ${neighbour}`,
    isTold ? 'yes' : 'no',
    why ?? (attributes === undefined ? '' : attributesText(attributes)),
    rule === undefined ? '' : `policy ${rule}`,
  ])
  lines.push(...(told.length === 0 ? ['  nobody'] : columns(told)))
  return lines.join('\n')
}

function attributesText({ asPath, origin, localPref, med, communities }: RouteAttributes): string {
  const parts = [asPath === '' ? 'empty path' : `path ${asPath}`, `origin ${origin}`]
  if (localPref !== undefined) parts.push(`local-pref ${localPref}`)
  if (med !== undefined) parts.push(`med ${med}`)
  if (communities.length > 0) parts.push(`communities ${communities.join(' ')}`)
  return parts.join(', ')
}
