import type { BgpNeighbourStatus, BgpStatus } from '../../protocol/status.ts'
import { formatDuration } from '../config/units.ts'
import { EXIT } from '../handle.ts'
import { type Command, CommandFailure } from './command.ts'
import { CONFIG_OPTION, JSON_OPTION, SOCKET_OPTION, socketPath } from './options.ts'
import { columns, printable } from './text-table.ts'
import { show, WATCH_OPTIONS } from './watch.ts'

export const bgp: Command = {
  name: 'bgp',
  summary: 'the BGP neighbours: state, since when, prefixes in and out',
  description:
    'Shows each BGP neighbour with its state and for how long, how often its session was lost, BFD, and the prefixes that came from it, that were taken, and that it was told. The exit code tells a script whether all are established.',
  options: [JSON_OPTION, ...WATCH_OPTIONS, SOCKET_OPTION, CONFIG_OPTION],
  examples: [
    { command: 'isthmus bgp', what: 'once, for people' },
    { command: "isthmus bgp --json | jq '.neighbours[] | {name, state}'", what: 'for programs' },
  ],
  exits: ['notRunning', 'permission', 'tunnelDown'],
  async action(input, io) {
    const { controlClient } = await import('../ops/client.ts')
    const client = controlClient(await socketPath(input, io))
    const read = async (): Promise<BgpNow> => {
      const { bgp: status, now } = await client.status()
      if (status !== undefined) return { ...status, now }
      const remedy = 'write a section bgp into the configuration (docs/bgp.md), and start it again'
      throw new CommandFailure('this connector has no BGP', remedy, EXIT.failed)
    }
    const render = (status: BgpNow) => renderBgp(status, Date.parse(status.now))
    return show<BgpNow>({ read, render, exitCode }, input, io)
  },
}

/** With the connector's time of day. */
type BgpNow = BgpStatus & { readonly now: string }

function exitCode({ neighbours }: BgpStatus): number {
  return neighbours.every(({ state }) => state === 'established') ? EXIT.ok : EXIT.tunnelDown
}

/** `now`: milliseconds since 1970. Exported for tests. */
export function renderBgp(status: BgpStatus, now: number): string {
  const { as, routerId, prefixes, pendingRoutes, neighbours } = status
  const pending = pendingRoutes === 0 ? '' : `, ${pendingRoutes} changes on their way to the kernel`
  const head = `AS ${as}, identifier ${routerId}; routes in use: ${prefixes.ipv4} IPv4, ${prefixes.ipv6} IPv6${pending}`
  const titles = ['NEIGHBOUR', 'ADDRESS', 'AS', 'STATE', 'FOR', 'FLAPS', 'BFD', 'IN', 'USED', 'OUT', 'PEER']
  const rows = neighbours.map((neighbour) => rowOf(neighbour, now))
  const troubles = neighbours.flatMap(({ name, state, lastError }) =>
    state === 'established' || lastError === undefined ? [] : [`${name}: ${printable(lastError)}`],
  )
  return [head, '', ...columns([titles, ...rows]), ...(troubles.length > 0 ? ['', ...troubles] : [])].join('\n')
}

function rowOf(neighbour: BgpNeighbourStatus, now: number): string[] {
  const { name, address, as, state, since, flaps, bfd, ipv4, ipv6, tunnel } = neighbour
  return [
    name,
    address,
    String(as),
    state,
    formatDuration(Math.max(0, now - Date.parse(since))),
    String(flaps),
    bfd?.state ?? '-',
    String(ipv4.received + ipv6.received),
    String(ipv4.accepted + ipv6.accepted),
    String(ipv4.advertised + ipv6.advertised),
    tunnel,
  ]
}
