import type { NewJoinToken, Site } from '../../../protocol/control/generated/api-client.ts'
import { formatDuration } from '../../config/units.ts'
import { EXIT } from '../../handle.ts'
import { type CliIo, CommandFailure, type CommandInput, listOption } from '../command.ts'
import { openOrMakeNetwork, type Place } from './access.ts'
import { durationOption, endpointOption, printJson } from './options.ts'

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
