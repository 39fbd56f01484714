import type { JoinToken, NewJoinToken, Site } from '../../../protocol/control/generated/api-client.ts'
import { formatDuration } from '../../config/units.ts'
import { EXIT } from '../../handle.ts'
import { type CliIo, CommandFailure, type CommandInput, listOption, textOption } from '../command.ts'
import { nowOf, openNetwork, openOrMakeNetwork, type Place } from './access.ts'
import { carrierOf, endpointText, presenceCell, standingAt } from './connector.ts'
import { durationOption, endpointOption, nothingToChange, printJson } from './options.ts'
import { siteBy } from './resolve.ts'
import { byName, type Cell, renderFields, renderTable } from './view.ts'

export async function addSite(input: CommandInput, io: CliIo): Promise<number> {
  const name = input.args[0]!
  const prefixes = [...listOption(input, 'prefix')]
  if (prefixes.length === 0) {
    throw new CommandFailure('a site has at least one network', 'add --prefix, like --prefix 10.1.0.0/16', EXIT.usage)
  }
  const endpoint = endpointOption(input)
  const expiresInMinutes = expiryOf(input)
  const place = await openOrMakeNetwork(input, io)
  const body = { name, prefixes, ...(endpoint === undefined ? {} : { endpoint }) }
  const site = await place.api.value('sites.create', { params: place.params, body })
  const token =
    input.options.joinToken === false
      ? undefined
      : await place.api.value('joinTokens.create', { params: place.params, body: { site: site.id, expiresInMinutes } })
  if (input.options.json === true) printJson(io, addedDocument(place, site, token))
  else printAdded(io, place, site, token)
  return EXIT.ok
}

export async function makeJoinToken(input: CommandInput, io: CliIo): Promise<number> {
  const expiresInMinutes = expiryOf(input)
  const place = await openNetwork(input, io)
  const { id, name } = await siteBy(place, input.args[0]!)
  const body = { site: id, expiresInMinutes }
  const token = await place.api.value('joinTokens.create', { params: place.params, body })
  if (input.options.json === true) printJson(io, { joinToken: token, join: joinCommand(place, token) })
  else printJoin(io, place, name, token)
  return EXIT.ok
}

export async function listSites(input: CommandInput, io: CliIo): Promise<number> {
  const { api, params } = await openNetwork(input, io)
  const sites = await api.all('sites.list', { params })
  if (input.options.json === true) {
    printJson(io, { items: sites })
    return EXIT.ok
  }
  if (sites.length === 0) {
    io.stdout('There is no site yet. What next: isthmus site add <name> --prefix <prefix>\n')
    return EXIT.ok
  }
  const connectors = await api.all('connectors.list', { params })
  const now = nowOf(io)
  const rows = byName(sites).map(({ id, name, prefixes, endpoint }): Cell[] => {
    const own = carrierOf(connectors, id)
    const reached = endpoint ?? own?.endpoint
    const state = own === undefined ? ({ text: 'none yet', style: 'yellow' } as const) : presenceCell(own, now)
    return [name, prefixes.join(', '), state, endpointText(reached) ?? '']
  })
  const columns = [
    { title: 'SITE', shrinks: true },
    { title: 'NETWORKS', shrinks: true },
    { title: 'CONNECTOR' },
    { title: 'REACHED AT', shrinks: true },
  ] as const
  io.stdout(renderTable(columns, rows, io))
  return EXIT.ok
}

export async function showSite(input: CommandInput, io: CliIo): Promise<number> {
  const place = await openNetwork(input, io)
  const { api, params } = place
  const site = await siteBy(place, input.args[0]!)
  const query = { site: site.id }
  const connectors = await api.all('connectors.list', { params, query })
  const tunnels = await api.all('tunnels.list', { params, query })
  const now = nowOf(io)
  const tokens = (await api.all('joinTokens.list', { params, query })).filter((token) => isOpen(token, now))
  if (input.options.json === true) {
    printJson(io, { site, connectors, tunnels, openJoinTokens: tokens })
    return EXIT.ok
  }
  const [own, ...others] = standingAt(connectors, site.id)
  const set = endpointText(site.endpoint)
  const fields = [
    ['id', site.id],
    ['networks', site.prefixes.join(', ')],
    ['endpoint', set ?? `found out: ${endpointText(own?.endpoint) ?? 'not reached from outside'}`],
    ['connector', own?.name ?? 'none yet'],
    ['state', own === undefined ? undefined : presenceCell(own, now)],
    ['stands by', others.map(({ name }) => name).join(', ') || undefined],
    ['tunnels', tunnels.map(({ name }) => name).join(', ') || 'none'],
    ...tokens.map(
      ({ id, expiresAt }) => ['join token', `${id}, for another ${formatDuration(expiresAt - now)}`] as const,
    ),
  ] as const
  io.stdout(`Site ${site.name}\n${renderFields(fields, io)}`)
  if (own === undefined && tokens.length === 0) io.stdout(`What next: isthmus site token ${site.name}\n`)
  return EXIT.ok
}

export async function setSite(input: CommandInput, io: CliIo): Promise<number> {
  const prefixes = listOption(input, 'prefix')
  const rename = textOption(input, 'rename')
  const endpoint = endpointOption(input)
  const forget = input.options.endpoint === false
  if (prefixes.length === 0 && rename === undefined && endpoint === undefined && !forget) throw nothingToChange('site')
  const place = await openNetwork(input, io)
  const params = { ...place.params, site: (await siteBy(place, input.args[0]!)).id }
  const { value: before, revision = '*' } = await place.api.call('sites.get', { params })
  const reached = forget ? undefined : (endpoint ?? before.endpoint)
  const body = {
    name: rename ?? before.name,
    prefixes: prefixes.length === 0 ? before.prefixes : [...prefixes],
    ...(reached === undefined ? {} : { endpoint: reached }),
  }
  const after = await place.api.value('sites.replace', { params, body, match: revision })
  if (input.options.json === true) printJson(io, after)
  else io.stdout(`Site ${after.name} has ${after.prefixes.join(', ')}${reachedText(after)}.\n`)
  return EXIT.ok
}

export async function removeSite(input: CommandInput, io: CliIo): Promise<number> {
  const place = await openNetwork(input, io)
  const { id, name } = await siteBy(place, input.args[0]!)
  const params = { ...place.params, site: id }
  const { revision = '*' } = await place.api.call('sites.get', { params })
  await place.api.call('sites.remove', { params, match: revision })
  if (input.options.json === true) printJson(io, { removed: id })
  else io.stdout(`Site ${name} is removed.\n`)
  return EXIT.ok
}

/** Whether somebody could still join with it. */
export function isOpen({ expiresAt, usedAt, revokedAt }: JoinToken, now: number): boolean {
  return usedAt === undefined && revokedAt === undefined && expiresAt > now
}

function reachedText({ endpoint }: Site): string {
  const text = endpointText(endpoint)
  return text === undefined ? '' : `, reached at ${text}`
}

function addedDocument(place: Place, added: Site, token: NewJoinToken | undefined): object {
  const network = { id: place.network.id, name: place.network.name }
  if (token === undefined) return { network, site: added }
  return { network, site: added, joinToken: token, join: joinCommand(place, token) }
}

function printAdded(io: CliIo, place: Place & { made: boolean }, added: Site, token: NewJoinToken | undefined): void {
  const where = place.made ? `a new network, ${place.network.name}` : `network ${place.network.name}`
  io.stdout(`Site ${added.name} is in ${where}, with ${added.prefixes.join(', ')}.\n`)
  if (token === undefined) io.stdout(`What next: isthmus site token ${added.name}\n`)
  else printJoin(io, place, added.name, token)
}

function printJoin(io: CliIo, place: Place, name: string, token: NewJoinToken): void {
  const left = formatDuration(token.expiresAt - token.createdAt)
  io.stdout(`Within ${left}, once, on the gateway of ${name}:\n\n  sudo ${joinCommand(place, token)}\n\n`)
  if (/^http:\/\/(localhost|127\.|\[::1\])/.test(place.api.url)) {
    io.stdout('That address leads to this machine only; from elsewhere use one that reaches it.\n')
  }
}

function joinCommand(place: Place, token: NewJoinToken): string {
  return `isthmus join ${place.api.url} ${token.token}`
}

function expiryOf(input: CommandInput): number {
  return Math.ceil(durationOption(input, 'expires', { min: '1m', max: '30d', fallback: '24h' }) / 60_000)
}
