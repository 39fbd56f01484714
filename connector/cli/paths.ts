import type { ClassRow, PathRow, PathsStatus } from '../../protocol/paths.ts'
import { formatDuration } from '../config/units.ts'
import { EXIT } from '../handle.ts'
import type { Command } from './command.ts'
import { CONFIG_OPTION, JSON_OPTION, SOCKET_OPTION, socketPath } from './options.ts'
import { columns } from './text-table.ts'
import { show, WATCH_OPTIONS } from './watch.ts'

export const paths: Command = {
  name: 'paths',
  summary: 'which tunnels are used, how good their paths are, and why traffic moved',
  description:
    'Shows the path of each tunnel: whether it passes and for how long, what uses it now, round trip, jitter, loss there and back, MTU, and its last failover with the time without a path and the packets lost. Below, the tunnel that each class of traffic prefers, and why. The exit code tells a script whether all paths are up, or drained on purpose.',
  options: [JSON_OPTION, ...WATCH_OPTIONS, SOCKET_OPTION, CONFIG_OPTION],
  examples: [
    { command: 'isthmus paths', what: 'once, for people' },
    { command: 'isthmus paths --watch', what: 'while you pull a cable' },
    { command: "isthmus paths --json | jq '.paths[] | {peer, state, rttMs}'", what: 'for programs' },
  ],
  exits: ['notRunning', 'permission', 'tunnelDown'],
  async action(input, io) {
    const { controlRequest } = await import('../ops/client.ts')
    const socket = await socketPath(input, io)
    const read = async () => (await controlRequest(socket, 'GET', '/paths')) as PathsStatus
    const render = (status: PathsStatus) => renderPaths(status, (io.now ?? Date.now)())
    return show<PathsStatus>({ read, render, exitCode }, input, io)
  },
}

export const drain: Command = {
  name: 'drain',
  summary: 'take traffic from a tunnel before you work on its path',
  description:
    'Neighbours of BGP are asked to use other ways (GRACEFUL_SHUTDOWN, RFC 8326), our own traffic takes other tunnels, and when they had time the tunnel is passed over. It stays up, and what still comes by it is taken. It is drained until isthmus undrain, or until the connector starts anew. The last tunnel can be drained too: what only it can carry still goes through it.',
  arguments: [{ name: '<peer>', description: 'name of the peer' }],
  options: [SOCKET_OPTION, CONFIG_OPTION],
  examples: [{ command: 'isthmus drain cloud-a && isthmus paths --watch', what: 'and see it become empty' }],
  exits: ['notRunning', 'permission'],
  async action(input, io) {
    const peer = input.args[0] ?? ''
    await setDrained(await socketPath(input, io), peer, true)
    io.stdout(
      `${peer} is being drained. Next: isthmus paths shows when it is; isthmus undrain ${peer} takes it back.\n`,
    )
    return EXIT.ok
  },
}

export const undrain: Command = {
  name: 'undrain',
  summary: 'give a drained tunnel its traffic back',
  description: 'Ends what isthmus drain began. The tunnel is used again at once if its path passes.',
  arguments: [{ name: '<peer>', description: 'name of the peer' }],
  options: [SOCKET_OPTION, CONFIG_OPTION],
  examples: [{ command: 'isthmus undrain cloud-a', what: 'when the work is done' }],
  exits: ['notRunning', 'permission'],
  async action(input, io) {
    const peer = input.args[0] ?? ''
    await setDrained(await socketPath(input, io), peer, false)
    io.stdout(`${peer} is in use again. Next: isthmus paths shows what it carries.\n`)
    return EXIT.ok
  },
}

async function setDrained(socket: string, connection: string, on: boolean): Promise<void> {
  const { controlRequest } = await import('../ops/client.ts')
  await controlRequest(socket, 'POST', '/drain', { connection, on })
}

function exitCode({ paths: rows }: PathsStatus): number {
  const isWell = ({ state }: PathRow) => state === 'up' || state === 'draining' || state === 'drained'
  return rows.every(isWell) ? EXIT.ok : EXIT.tunnelDown
}

/** `now`: milliseconds since 1970. Exported for tests. */
export function renderPaths({ paths: rows, classes }: PathsStatus, now: number): string {
  const titles = ['PEER', 'STATE', 'FOR', 'USED FOR', 'RTT', 'JITTER', 'LOSS', 'MTU', 'LAST FAILOVER']
  const lines = columns([titles, ...rows.map((row) => pathCells(row, now))])
  if (classes.length === 0) return lines.join('\n')
  const table = classes.map((row) => [row.name, row.peer, ago(row.since, now), whyText(row)])
  return [...lines, '', ...columns([['CLASS', 'TUNNEL', 'FOR', 'WHY'], ...table])].join('\n')
}

function pathCells(row: PathRow, now: number): string[] {
  const { peer, state, since, rttMs, jitterMs, lossOut, lossIn, pathMtu } = row
  return [
    peer,
    stateText(row),
    ago(since, now),
    usedFor(row),
    rttMs === undefined ? '-' : `${number(rttMs)} ms`,
    jitterMs === undefined ? '-' : `${number(jitterMs)} ms`,
    lossOut === undefined && lossIn === undefined ? '-' : `${percent(lossOut)} / ${percent(lossIn)}`,
    pathMtu === undefined ? '-' : String(pathMtu),
    state === 'no-sa' && row.lastFailover === undefined ? '-' : failoverText(row, now),
  ]
}

/** Who says that it is down: there may be two of them. */
function stateText({ state, probe, bfd }: PathRow): string {
  if (state !== 'down') return state
  const witnesses = [...(probe === 'down' ? ['probes'] : []), ...(bfd === 'down' ? ['BFD'] : [])]
  return witnesses.length === 0 ? state : `${state} (${witnesses.join(', ')})`
}

function usedFor({ prefixes, classes }: PathRow): string {
  const parts = prefixes === 0 ? [] : [`${prefixes} ${prefixes === 1 ? 'prefix' : 'prefixes'}`]
  if (classes.length > 0) parts.push(`${classes.length === 1 ? 'class' : 'classes'} ${classes.join(', ')}`)
  return parts.length === 0 ? '-' : parts.join(', ')
}

function failoverText({ lastFailover }: PathRow, now: number): string {
  if (lastFailover === undefined) return '-'
  const { at, to, ms, lostPackets, cause } = lastFailover
  return `${ago(at, now)} ago to ${to.join(', ')} in ${ms} ms, ${lostPackets} lost (${cause})`
}

const REASONS: Readonly<Record<NonNullable<ClassRow['because']>, (from: string) => string>> = {
  loss: (from) => `${from} loses too much`,
  rtt: (from) => `the round trip of ${from} is too long`,
  jitter: (from) => `${from} has too much jitter`,
  down: (from) => `${from} does not pass`,
  drain: (from) => `${from} is drained`,
  'well-again': (from) => `preferred before ${from}, and well again`,
  plan: () => 'the configuration says so',
}

function whyText({ because, from = 'the other', tunnels }: ClassRow): string {
  const why = because === undefined ? 'first in order' : REASONS[because](from)
  const beyond = tunnels.flatMap(({ peer, beyond: limits }) => {
    return limits.length === 0 ? [] : [`${peer} is beyond its limit of ${limits.join(' and ')}`]
  })
  return [why, ...beyond].join('; ')
}

function ago(since: string, now: number): string {
  return formatDuration(Math.max(0, now - Date.parse(since)))
}

function number(ms: number): string {
  return ms < 10 ? ms.toFixed(1) : String(Math.round(ms))
}

function percent(share: number | undefined): string {
  return share === undefined ? '-' : `${Number((share * 100).toFixed(1))} %`
}
