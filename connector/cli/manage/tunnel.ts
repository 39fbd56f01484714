import type { Tunnel, TunnelStatus } from '../../../protocol/control/generated/api-client.ts'
import { EXIT } from '../../handle.ts'
import { type CliIo, type CommandInput, textOption } from '../command.ts'
import { numberOption } from '../options.ts'
import { nowOf, openNetwork, type Place } from './access.ts'
import { heardOf } from './connector.ts'
import { confirm, nothingToChange, printJson } from './options.ts'
import { pick, tunnelBy } from './resolve.ts'
import { type Heard, healthCell, MOST_LOOKED_AT, statusesOf } from './tunnel-states.ts'
import { ago, byName, type Cell, grouped, renderFields, renderTable, since } from './view.ts'

export async function listTunnels(input: CommandInput, io: CliIo): Promise<number> {
  const place = await openNetwork(input, io)
  const tunnels = byName(await place.api.all('tunnels.list', { params: place.params }))
  if (input.options.json === true) {
    printJson(io, { items: tunnels })
    return EXIT.ok
  }
  if (tunnels.length === 0) {
    io.stdout('There is no tunnel. With the topology mesh they come with the sites: isthmus site add\n')
    return EXIT.ok
  }
  const sites = await siteNames(place)
  const looked = input.options.all === true ? tunnels : tunnels.slice(0, MOST_LOOKED_AT)
  const statuses = await statusesOf(place, looked)
  const now = nowOf(io)
  const heard = await heardIn(place, now)
  const rows = tunnels.map((tunnel): Cell[] => {
    const status = statuses.get(tunnel.id)
    const told = status === undefined ? ['', ''] : [healthCell(status, heard), keyText(status, now)]
    return [tunnel.name, endsText(tunnel, sites), ...told]
  })
  const columns = [
    { title: 'TUNNEL', shrinks: true },
    { title: 'SITES', shrinks: true },
    { title: 'STATE' },
    { title: 'KEY' },
  ] as const
  io.stdout(renderTable(columns, rows, io))
  if (looked.length < tunnels.length)
    io.stdout(`States of the first ${looked.length} only; --all asks for every one.\n`)
  return EXIT.ok
}

export async function showTunnel(input: CommandInput, io: CliIo): Promise<number> {
  const place = await openNetwork(input, io)
  const tunnel = await tunnelBy(place, input.args[0]!)
  const status = await place.api.value('tunnels.status', { params: { ...place.params, tunnel: tunnel.id } })
  if (input.options.json === true) {
    printJson(io, { tunnel, status })
    return EXIT.ok
  }
  const now = nowOf(io)
  const names = await connectorNames(place)
  const named = (text: string) => text.replaceAll(/con_\w{20}/g, (id) => names.get(id) ?? id)
  const fields = [
    ['id', tunnel.id],
    ['sites', endsText(tunnel, await siteNames(place))],
    ['state', healthCell(status, await heardIn(place, now))],
    ['key', keyText(status, now)],
    ['rotation', status.rotation],
    ['waits for', status.waitingFor === undefined ? undefined : named(status.waitingFor)],
    ['path MTU', tunnel.pathMtu === undefined ? undefined : `${tunnel.pathMtu} bytes`],
    ...status.ends.flatMap(({ report, connector }) =>
      report.problem === undefined
        ? []
        : ([
            ['problem', { text: `${named(connector)}: ${report.problem.cause}`, style: 'yellow' }],
            ['what to do', report.problem.remedy],
          ] as const),
    ),
  ] as const
  io.stdout(`Tunnel ${tunnel.name}\n${renderFields(fields, io)}`)
  if (status.ends.length > 0) io.stdout(`\n${renderEnds(status, named, now, io)}`)
  return EXIT.ok
}

export async function addTunnel(input: CommandInput, io: CliIo): Promise<number> {
  const [name, first, second] = input.args as [string, string, string]
  const pathMtu = mtuOption(input)
  const { api, params } = await openNetwork(input, io)
  const all = await api.all('sites.list', { params })
  const sites: [string, string] = [pick('site', first, all).id, pick('site', second, all).id]
  const body = { name, sites, ...(pathMtu === undefined ? {} : { pathMtu }) }
  const tunnel = await api.value('tunnels.create', { params, body })
  if (input.options.json === true) printJson(io, tunnel)
  else io.stdout(`Tunnel ${name} joins ${first} and ${second}. What next: isthmus network status\n`)
  return EXIT.ok
}

export async function setTunnel(input: CommandInput, io: CliIo): Promise<number> {
  const rename = textOption(input, 'rename')
  const pathMtu = mtuOption(input)
  const { mtu, swap } = input.options
  if (rename === undefined && pathMtu === undefined && mtu !== false && swap !== true) throw nothingToChange('tunnel')
  const place = await openNetwork(input, io)
  const params = { ...place.params, tunnel: (await tunnelBy(place, input.args[0]!)).id }
  const { value: before, revision = '*' } = await place.api.call('tunnels.get', { params })
  const [first, second] = before.sites
  const kept = mtu === false ? undefined : (pathMtu ?? before.pathMtu)
  const body = {
    name: rename ?? before.name,
    sites: (swap === true ? [second, first] : [first, second]) as [string, string],
    ...(kept === undefined ? {} : { pathMtu: kept }),
  }
  const after = await place.api.value('tunnels.replace', { params, body, match: revision })
  if (input.options.json === true) printJson(io, after)
  else {
    const ends = endsText(after, await siteNames(place))
    const bytes = after.pathMtu === undefined ? '' : `, path MTU ${after.pathMtu} bytes`
    io.stdout(`Tunnel ${after.name}: ${ends}${bytes}.\n`)
  }
  return EXIT.ok
}

export async function removeTunnel(input: CommandInput, io: CliIo): Promise<number> {
  const place = await openNetwork(input, io)
  const { id, name } = await tunnelBy(place, input.args[0]!)
  confirm(input, `this would end the tunnel ${name} and forget its keys`, `isthmus tunnel remove ${name} --yes`)
  const params = { ...place.params, tunnel: id }
  const { revision = '*' } = await place.api.call('tunnels.get', { params })
  await place.api.call('tunnels.remove', { params, match: revision })
  if (input.options.json === true) printJson(io, { removed: id })
  else io.stdout(`Tunnel ${name} is removed.\n`)
  return EXIT.ok
}

/** The key in use: its number and its age. */
export function keyText({ epoch, epochSince }: TunnelStatus, now: number): string {
  if (epoch === 0) return 'none yet'
  return epochSince === undefined ? `epoch ${epoch}` : `epoch ${epoch}, ${since(epochSince, now)} old`
}

/** The first initiates where both can be reached. */
export function endsText({ sites: [first, second] }: Tunnel, names: ReadonlyMap<string, string>): string {
  return `${names.get(first) ?? first} - ${names.get(second) ?? second}`
}

function renderEnds({ ends }: TunnelStatus, named: (text: string) => string, now: number, io: CliIo): string {
  const rows = ends.map(({ connector, at, report: { state, traffic } }): Cell[] => [
    named(connector),
    { text: state, style: state === 'up' ? 'green' : 'red' },
    ago(at, now),
    grouped(traffic.outPackets),
    grouped(traffic.inPackets),
    grouped(traffic.dropped),
    traffic.missing === undefined ? '' : grouped(traffic.missing),
  ])
  const columns = [
    { title: 'CONNECTOR', shrinks: true },
    { title: 'STATE' },
    { title: 'TOLD' },
    { title: 'SENT', align: 'right' },
    { title: 'RECEIVED', align: 'right' },
    { title: 'DROPPED', align: 'right' },
    { title: 'MISSING', align: 'right' },
  ] as const
  return renderTable(columns, rows, io)
}

function mtuOption(input: CommandInput): number | undefined {
  if (typeof input.options.mtu !== 'string') return undefined
  return Math.floor(numberOption(input, 'mtu', { min: 576, max: 9216, fallback: 1500 }))
}

async function siteNames({ api, params }: Place): Promise<ReadonlyMap<string, string>> {
  // The token of a rotation job may not see sites.
  const sites = await api.all('sites.list', { params }).catch(() => [])
  return new Map(sites.map(({ id, name }) => [id, name]))
}

/** Who is there; everybody, where the token may not see that. */
async function heardIn({ api, params }: Place, now: number): Promise<Heard> {
  const connectors = await api.all('connectors.list', { params }).catch(() => undefined)
  return connectors === undefined ? () => true : heardOf(connectors, now)
}

async function connectorNames({ api, params }: Place): Promise<ReadonlyMap<string, string>> {
  const connectors = await api.all('connectors.list', { params }).catch(() => [])
  return new Map(connectors.map(({ id, name }) => [id, name]))
}
