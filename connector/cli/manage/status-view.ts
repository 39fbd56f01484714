/** The state of a network for people: first whether all is well, then what is wrong and what to do, then the details. */
import type { CliIo } from '../command.ts'
import { carrierOf, presenceCell, presenceOf, servicesText } from './connector.ts'
import { rotationCell } from './run.ts'
import { type NetworkProblem, type NetworkState, named } from './status.ts'
import { keyText } from './tunnel.ts'
import { healthCell, healthOf } from './tunnel-states.ts'
import { type Cell, counted, paint, renderTable, since, wrapped } from './view.ts'

/** Lines of one block: what does not fit on a screen is in --json. */
const MOST_ROWS = 40
const MOST_PROBLEMS = 20

export function renderNetwork(state: NetworkState, problems: readonly NetworkProblem[], io: CliIo): string {
  const blocks = [
    headline(state, problems, io),
    siteBlock(state, io),
    tunnelBlock(state, io),
    servingBlock(state, io),
    rotationBlock(state, io),
    policyNote(state),
  ]
  return blocks.filter((block) => block !== '').join('\n')
}

function headline(state: NetworkState, problems: readonly NetworkProblem[], io: CliIo): string {
  const { network, sites, connectors, tunnels, statuses, now } = state
  const present = connectors.filter((connector) => presenceOf(connector, now) !== 'away').length
  const up = [...statuses.values()].filter((status) => healthOf(status, state.heard) === 'up').length
  const word =
    problems.length > 0
      ? paint(
          io,
          problems.some(({ kind }) => kind === 'tunnel') ? 'red' : 'yellow',
          counted(problems.length, 'problem').toUpperCase(),
        )
      : sites.length === 0
        ? paint(io, 'yellow', 'EMPTY')
        : paint(io, 'green', 'ALL WELL')
  const looked = statuses.size < tunnels.length ? ` that were looked at (of ${tunnels.length}; --all looks at all)` : ''
  const missing = sites.filter(({ id }) => carrierOf(connectors, id) === undefined).length
  const counts = `${present} of ${counted(connectors.length + missing, 'connector')} there, ${up} of ${counted(statuses.size, 'tunnel')} up${looked}`
  const lines = [`${paint(io, 'bold', network.name)}: ${word}, ${counts}`]
  for (const { kind, name, cause, remedy } of problems.slice(0, MOST_PROBLEMS)) {
    lines.push(...wrapped(`${kind} ${name}: ${cause}`, '  ', io).map((line) => paint(io, 'yellow', line)))
    lines.push(...wrapped(`Next: ${remedy}`, '    ', io))
  }
  if (problems.length > MOST_PROBLEMS) lines.push(`  and ${problems.length - MOST_PROBLEMS} more; --json has all`)
  if (sites.length === 0) lines.push('  Next: isthmus site add <name> --prefix <prefix>')
  return `${lines.join('\n')}\n`
}

function siteBlock({ sites, connectors, now }: NetworkState, io: CliIo): string {
  if (sites.length === 0) return ''
  const rows = sites.slice(0, MOST_ROWS).map(({ id, name, prefixes }): Cell[] => {
    const own = carrierOf(connectors, id)
    const presence = own === undefined ? ({ text: 'none yet', style: 'yellow' } as const) : presenceCell(own, now)
    return [name, prefixes.join(', '), presence, own?.software ?? '']
  })
  const columns = [
    { title: 'SITE', shrinks: true },
    { title: 'NETWORKS', shrinks: true },
    { title: 'CONNECTOR' },
    { title: 'RELEASE' },
  ] as const
  return renderTable(columns, rows, io) + more(sites.length)
}

function tunnelBlock({ tunnels, statuses, heard, now }: NetworkState, io: CliIo): string {
  if (tunnels.length === 0) return ''
  const rows = tunnels.slice(0, MOST_ROWS).map(({ id, name }): Cell[] => {
    const status = statuses.get(id)
    return status === undefined
      ? [name]
      : [name, healthCell(status, heard), keyText(status, now), status.rotation ? 'yes' : '']
  })
  const columns = [
    { title: 'TUNNEL', shrinks: true },
    { title: 'STATE' },
    { title: 'KEY' },
    { title: 'ROTATING' },
  ] as const
  return renderTable(columns, rows, io) + more(tunnels.length)
}

/** Those through which functions reach services. */
function servingBlock({ sites, connectors, now }: NetworkState, io: CliIo): string {
  const serving = connectors.filter(({ functions }) => functions !== undefined)
  if (serving.length === 0) return ''
  const rows = serving
    .slice(0, MOST_ROWS)
    .map((connector): Cell[] => [
      connector.name,
      sites.find(({ id }) => id === connector.site)?.name ?? connector.site,
      presenceCell(connector, now),
      servicesText(connector) ?? '',
    ])
  const columns = [
    { title: 'SERVES FUNCTIONS', shrinks: true },
    { title: 'SITE', shrinks: true },
    { title: 'STATE' },
    { title: 'SERVICES', shrinks: true },
  ] as const
  return renderTable(columns, rows, io) + more(serving.length)
}

function rotationBlock(state: NetworkState, io: CliIo): string {
  const { rotations, tunnels, statuses, now } = state
  if (rotations.length === 0) return ''
  const rows = rotations
    .slice(0, MOST_ROWS)
    .map((rotation): Cell[] => [
      tunnels.find(({ id }) => id === rotation.tunnel)?.name ?? rotation.tunnel,
      rotationCell(rotation),
      since(rotation.stateSince, now),
      named(statuses.get(rotation.tunnel)?.waitingFor ?? '', state),
    ])
  const columns = [
    { title: 'ROTATING', shrinks: true },
    { title: 'STATE' },
    { title: 'FOR' },
    { title: 'WAITS FOR', shrinks: true },
  ] as const
  return renderTable(columns, rows, io) + more(rotations.length)
}

function policyNote({ policies, tunnels }: NetworkState): string {
  if (tunnels.length === 0 || policies.some(({ enabled }) => enabled)) return ''
  return 'Nothing rotates keys by itself. Next: isthmus policy add monthly --max-age 30d\n'
}

function more(count: number): string {
  return count > MOST_ROWS ? `and ${count - MOST_ROWS} more; --json has all\n` : ''
}
