import type { Connector } from '../../../protocol/control/generated/api-client.ts'
import { EXIT } from '../../handle.ts'
import type { CliIo, CommandInput } from '../command.ts'
import { nowOf, openNetwork } from './access.ts'
import { confirm, printJson } from './options.ts'
import { connectorBy, siteNames } from './resolve.ts'
import { ago, byName, type Cell, renderFields, renderTable, since } from './view.ts'

/** A connector without a link that was heard of within this time asks by plain HTTP. */
const POLLING_MS = 120_000

export type Presence = 'linked' | 'polling' | 'away' | 'revoked'

export function presenceOf({ linked, lastSeenAt, revokedAt }: Connector, now: number): Presence {
  if (revokedAt !== undefined) return 'revoked'
  if (linked) return 'linked'
  return lastSeenAt !== undefined && now - lastSeenAt < POLLING_MS ? 'polling' : 'away'
}

/** Who is there, of all connectors of a network. */
export function heardOf(connectors: readonly Connector[], now: number): (connector: string) => boolean {
  const here = connectors.filter((connector) => ['linked', 'polling'].includes(presenceOf(connector, now)))
  const ids = new Set(here.map(({ id }) => id))
  return (connector) => ids.has(connector)
}

/** State with its age, for one cell of a table. */
export function presenceCell(connector: Connector, now: number): Cell {
  switch (presenceOf(connector, now)) {
    case 'linked':
      return { text: 'linked', style: 'green' }
    case 'polling':
      return { text: 'polling', style: 'green' }
    case 'revoked':
      return { text: `revoked ${ago(connector.revokedAt, now)}`, style: 'dim' }
    case 'away': {
      const { lastSeenAt } = connector
      return { text: lastSeenAt === undefined ? 'away' : `away for ${since(lastSeenAt, now)}`, style: 'red' }
    }
  }
}

export async function listConnectors(input: CommandInput, io: CliIo): Promise<number> {
  const place = await openNetwork(input, io)
  const all = await place.api.all('connectors.list', { params: place.params })
  const shown = input.options.all === true ? all : all.filter(({ revokedAt }) => revokedAt === undefined)
  if (input.options.json === true) {
    printJson(io, { items: shown })
    return EXIT.ok
  }
  if (shown.length === 0) {
    io.stdout('No connector has joined. What next: isthmus site token <site> prints how\n')
    return EXIT.ok
  }
  const sites = await siteNames(place)
  const now = nowOf(io)
  const rows = byName(shown).map((connector): Cell[] => [
    connector.name,
    sites.get(connector.site) ?? connector.site,
    presenceCell(connector, now),
    endpointText(connector.endpoint) ?? 'behind a NAT',
    servicesText(connector) ?? '',
    connector.software,
    ago(connector.joinedAt, now),
  ])
  const columns = [
    { title: 'CONNECTOR', shrinks: true },
    { title: 'SITE', shrinks: true },
    { title: 'STATE' },
    { title: 'REACHED AT', shrinks: true },
    { title: 'SERVICES', shrinks: true },
    { title: 'RELEASE' },
    { title: 'JOINED' },
  ] as const
  io.stdout(renderTable(columns, rows, io))
  return EXIT.ok
}

export async function showConnector(input: CommandInput, io: CliIo): Promise<number> {
  const place = await openNetwork(input, io)
  const connector = await connectorBy(place, input.args[0]!)
  if (input.options.json === true) {
    printJson(io, connector)
    return EXIT.ok
  }
  const sites = await siteNames(place)
  const now = nowOf(io)
  const fields = [
    ['id', connector.id],
    ['site', sites.get(connector.site) ?? connector.site],
    ['state', presenceCell(connector, now)],
    ['last seen', ago(connector.lastSeenAt, now)],
    ['joined', ago(connector.joinedAt, now)],
    ['reached at', endpointText(connector.endpoint) ?? 'nowhere: it is behind a NAT, and initiates itself'],
    ['seen from', connector.seenAddress],
    ['own addresses', connector.addresses.join(', ') || undefined],
    ['services', connector.functions?.services.map(({ name, kind }) => `${name} (${kind})`).join(', ')],
    ['listens at', connector.functions?.direct],
    ['release', connector.software],
    ['document', `version ${connector.documentVersion}`],
    ['identity key', connector.identityKey],
  ] as const
  io.stdout(`Connector ${connector.name}\n${renderFields(fields, io)}`)
  return EXIT.ok
}

export async function revokeConnector(input: CommandInput, io: CliIo): Promise<number> {
  const place = await openNetwork(input, io)
  const { id, name, site } = await connectorBy(place, input.args[0]!)
  const there = standingAt(await place.api.all('connectors.list', { params: place.params, query: { site } }), site)
  const next = there[0]?.id === id ? there[1]?.name : undefined
  const standsBy = there.length > 0 && there[0]!.id !== id
  const loss =
    next === undefined ? `end the tunnels of the connector ${name}` : `move its tunnels to ${next}, with new keys`
  confirm(
    input,
    standsBy ? `this would put the connector ${name} out for good` : `this would ${loss} for good`,
    `isthmus connector revoke ${name} --yes`,
  )
  const revoked = await place.api.value('connectors.revoke', { params: { ...place.params, connector: id } })
  if (input.options.json === true) printJson(io, revoked)
  else if (standsBy) io.stdout(`Connector ${name} is revoked; the tunnels of its site are where they were.\n`)
  else if (next !== undefined) io.stdout(`Connector ${name} is revoked; ${next} takes its tunnels, with new keys.\n`)
  else io.stdout(`Connector ${name} is revoked; its peers end its tunnels. What next: isthmus site token <site>\n`)
  return EXIT.ok
}

export function endpointText(endpoint: { address: string; port: number } | undefined): string | undefined {
  if (endpoint === undefined) return undefined
  const { address, port } = endpoint
  if (port === 500) return address
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

/** The one of a site that carries its tunnels: the oldest that is not revoked. The others stand by. */
export function carrierOf(connectors: readonly Connector[], site: string): Connector | undefined {
  return standingAt(connectors, site)[0]
}

/** The oldest first. */
export function standingAt(connectors: readonly Connector[], site: string): Connector[] {
  return connectors
    .filter((connector) => connector.site === site && connector.revokedAt === undefined)
    .toSorted((left, right) => left.joinedAt - right.joinedAt)
}

/** `erp, db`; undefined where it serves no functions. */
export function servicesText({ functions }: Connector): string | undefined {
  return functions && (functions.services.map(({ name }) => name).join(', ') || 'none')
}
