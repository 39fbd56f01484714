import type { ApiToken, ApiTokenDraft, JoinToken } from '../../../protocol/control/generated/api-client.ts'
import { EXIT } from '../../handle.ts'
import { type CliIo, CommandFailure, type CommandInput, textOption } from '../command.ts'
import { nowOf, openNetwork, type Place } from './access.ts'
import { durationOption, printJson } from './options.ts'
import { isIdOf, pick } from './resolve.ts'
import { ago, byName, type Cell, moment, renderTable } from './view.ts'

const DAY_MS = 86_400_000
const ROLES = ['owner', 'operator', 'viewer', 'rotation'] as const

export async function addToken(input: CommandInput, io: CliIo): Promise<number> {
  const name = input.args[0]!
  const role = roleOption(input)
  const expiresInDays =
    textOption(input, 'expires') === undefined
      ? undefined
      : Math.ceil(durationOption(input, 'expires', { min: '1d', max: '3660d', fallback: '90d' }) / DAY_MS)
  const { api, params } = await openNetwork(input, io)
  const body = { name, role, ...(expiresInDays === undefined ? {} : { expiresInDays }) }
  const made = await api.value('tokens.create', { params, body })
  if (input.options.json === true) printJson(io, made)
  else {
    const until = made.expiresAt === undefined ? 'until it is revoked' : `until ${moment(made.expiresAt)} UTC`
    io.stdout(`Token ${name} is good ${until}, as ${role}:\n\n  ${made.token}\n\nIt is shown this once.\n`)
  }
  return EXIT.ok
}

export async function listTokens(input: CommandInput, io: CliIo): Promise<number> {
  const place = await openNetwork(input, io)
  if (input.options.join === true) return listJoinTokens(place, input, io)
  const tokens = await place.api.all('tokens.list', { params: place.params })
  if (input.options.json === true) {
    printJson(io, { items: tokens })
    return EXIT.ok
  }
  if (tokens.length === 0) {
    io.stdout('There is no token but the admin token. What next: isthmus token add <name> --role operator\n')
    return EXIT.ok
  }
  const now = nowOf(io)
  const rows = byName(tokens).map((token): Cell[] => [
    token.name,
    token.role,
    stateCell(token, now),
    token.expiresAt === undefined ? 'never' : moment(token.expiresAt),
    ago(token.lastUsedAt, now),
    ago(token.createdAt, now),
  ])
  const columns = [
    { title: 'TOKEN', shrinks: true },
    { title: 'ROLE' },
    { title: 'STATE' },
    { title: 'EXPIRES' },
    { title: 'USED' },
    { title: 'MADE' },
  ] as const
  io.stdout(renderTable(columns, rows, io))
  return EXIT.ok
}

export async function revokeToken(input: CommandInput, io: CliIo): Promise<number> {
  const place = await openNetwork(input, io)
  const text = input.args[0]!
  const id = isIdOf('join', text) ? await revokeJoinToken(place, text) : await revokeApiToken(place, text)
  if (input.options.json === true) printJson(io, { revoked: id })
  else io.stdout(`Token ${text} is revoked: the next request with it is refused.\n`)
  return EXIT.ok
}

async function revokeJoinToken({ api, params }: Place, join: string): Promise<string> {
  const { revision = '*' } = await api.call('joinTokens.get', { params: { ...params, join } })
  await api.call('joinTokens.revoke', { params: { ...params, join }, match: revision })
  return join
}

async function revokeApiToken({ api, params }: Place, text: string): Promise<string> {
  const all = await api.all('tokens.list', { params })
  // The name of one that was revoked may have been given again.
  const live = all.filter(({ id, revokedAt }) => revokedAt === undefined || id === text)
  const { id: token } = pick('token', text, live)
  const { revision = '*' } = await api.call('tokens.get', { params: { ...params, token } })
  await api.call('tokens.revoke', { params: { ...params, token }, match: revision })
  return token
}

async function listJoinTokens({ api, params }: Place, input: CommandInput, io: CliIo): Promise<number> {
  const tokens = await api.all('joinTokens.list', { params })
  if (input.options.json === true) {
    printJson(io, { items: tokens })
    return EXIT.ok
  }
  if (tokens.length === 0) {
    io.stdout('There is no join token. What next: isthmus site token <site>\n')
    return EXIT.ok
  }
  const sites = new Map((await api.all('sites.list', { params })).map(({ id, name }) => [id, name]))
  const now = nowOf(io)
  const rows = tokens.map((token): Cell[] => [
    token.id,
    sites.get(token.site) ?? token.site,
    stateCell(token, now),
    moment(token.expiresAt),
    ago(token.createdAt, now),
  ])
  const columns = [
    { title: 'JOIN TOKEN' },
    { title: 'SITE', shrinks: true },
    { title: 'STATE' },
    { title: 'EXPIRES' },
    { title: 'MADE' },
  ] as const
  io.stdout(renderTable(columns, rows, io))
  return EXIT.ok
}

function stateCell(token: ApiToken | JoinToken, now: number): Cell {
  if (token.revokedAt !== undefined) return { text: 'revoked', style: 'dim' }
  if ('usedAt' in token && token.usedAt !== undefined) return { text: 'used', style: 'dim' }
  if (token.expiresAt !== undefined && token.expiresAt <= now) return { text: 'expired', style: 'dim' }
  return { text: 'good', style: 'green' }
}

function roleOption(input: CommandInput): ApiTokenDraft['role'] {
  const text = textOption(input, 'role')
  const role = ROLES.find((known) => known === text)
  if (role !== undefined) return role
  const cause = text === undefined ? 'the token needs a role' : `there is no role ${JSON.stringify(text)}`
  throw new CommandFailure(cause, `give --role with one of ${ROLES.join(', ')}`, EXIT.usage)
}
