import type { Connector, Function as FunctionInfo } from '../../../protocol/control/generated/api-client.ts'
import { EXIT } from '../../handle.ts'
import { type CliIo, CommandFailure, type CommandInput, listOption, textOption } from '../command.ts'
import { warnOfPlainHttp } from '../login.ts'
import { nowOf, openNetwork, type Place } from './access.ts'
import { presenceCell } from './connector.ts'
import { merged, type Reach, reachOf, textsOf, without } from './function-reach.ts'
import { durationOption, printJson } from './options.ts'
import { functionBy, siteNames } from './resolve.ts'
import { ago, byName, type Cell, moment, printable, renderFields, renderTable } from './view.ts'

const DAY_MS = 86_400_000

export async function addFunction(input: CommandInput, io: CliIo): Promise<number> {
  const name = input.args[0]!
  const allow = reachOf(listOption(input, 'allow'), '--allow')
  const expiresInDays =
    textOption(input, 'expires') === undefined
      ? undefined
      : Math.ceil(durationOption(input, 'expires', { min: '1d', max: '3660d', fallback: '90d' }) / DAY_MS)
  const place = await openNetwork(input, io)
  const body = { name, allow, ...(expiresInDays === undefined ? {} : { expiresInDays }) }
  const made = await place.api.value('functions.create', { params: place.params, body })
  const word = wordOf(made.token, place)
  if (input.options.json === true) printJson(io, { ...made, token: word })
  else {
    printWord(io, place, made, word)
    printNext(io, made, allow)
  }
  return EXIT.ok
}

export async function renewFunction(input: CommandInput, io: CliIo): Promise<number> {
  const place = await openNetwork(input, io)
  const { params } = await paramsOf(place, input)
  const made = await place.api.value('functions.renew', { params })
  const word = wordOf(made.token, place)
  if (input.options.json === true) printJson(io, { ...made, token: word })
  else {
    printWord(io, place, made, word)
    io.stdout('The token before it is refused from now on.\n')
  }
  return EXIT.ok
}

export async function listFunctions(input: CommandInput, io: CliIo): Promise<number> {
  const place = await openNetwork(input, io)
  const all = await place.api.all('functions.list', { params: place.params })
  const shown = input.options.all === true ? all : all.filter(({ revokedAt }) => revokedAt === undefined)
  if (input.options.json === true) {
    printJson(io, { items: shown })
    return EXIT.ok
  }
  if (shown.length === 0) {
    io.stdout('There is no function. What next: isthmus function add <name> --allow <site>/<service>\n')
    return EXIT.ok
  }
  const sites = await siteNames(place)
  const now = nowOf(io)
  const rows = byName(shown).map((own): Cell[] => [
    own.name,
    textsOf(named(own.allow, sites)).join(', ') || { text: 'nothing', style: 'yellow' },
    stateCell(own, now),
    ago(own.lastGrantAt, now),
    own.expiresAt === undefined ? 'never' : moment(own.expiresAt),
  ])
  const columns = [
    { title: 'FUNCTION', shrinks: true },
    { title: 'MAY REACH', shrinks: true },
    { title: 'STATE' },
    { title: 'LAST GRANT' },
    { title: 'EXPIRES' },
  ] as const
  io.stdout(renderTable(columns, rows, io))
  return EXIT.ok
}

export async function showFunction(input: CommandInput, io: CliIo): Promise<number> {
  const place = await openNetwork(input, io)
  const own = await functionBy(place, input.args[0]!)
  if (input.options.json === true) {
    printJson(io, own)
    return EXIT.ok
  }
  const sites = await siteNames(place)
  const connectors = await place.api.all('connectors.list', { params: place.params })
  const now = nowOf(io)
  const reach = own.allow.flatMap(({ site, services }) =>
    services.map((service) => {
      const offered = offerOf(connectors, site, service, now)
      return [`${sites.get(site) ?? site}/${service}`, offered] as const
    }),
  )
  const fields = [
    ['id', own.id],
    ['state', stateCell(own, now)],
    ['last grant', ago(own.lastGrantAt, now)],
    ['expires', own.expiresAt === undefined ? 'never' : moment(own.expiresAt)],
    ['made', ago(own.createdAt, now)],
  ] as const
  io.stdout(`Function ${own.name}\n${renderFields(fields, io)}`)
  if (reach.length > 0) io.stdout(`May reach\n${renderFields(reach, io)}`)
  else io.stdout(`It may reach nothing. What next: isthmus function allow ${own.name} <site>/<service>\n`)
  return EXIT.ok
}

export async function allowFunction(input: CommandInput, io: CliIo): Promise<number> {
  const more = reachOf(wanted(input, 'allow'), 'what it may reach')
  return change(input, io, (before) => merged(before, more))
}

export async function denyFunction(input: CommandInput, io: CliIo): Promise<number> {
  const less = reachOf(wanted(input, 'deny'), 'what it may not reach', { wholeSites: true })
  return change(input, io, (before) => without(before, less))
}

export async function revokeFunction(input: CommandInput, io: CliIo): Promise<number> {
  const place = await openNetwork(input, io)
  const { own, params } = await paramsOf(place, input)
  const { revision = '*' } = await place.api.call('functions.get', { params })
  await place.api.call('functions.revoke', { params, match: revision })
  if (input.options.json === true) printJson(io, { revoked: own.id })
  else io.stdout(`Function ${own.name} is revoked: it gets no more grants, and the relay lets it go.\n`)
  return EXIT.ok
}

/** Writes what `edit` makes of its list; nothing where that is what there is. */
async function change(input: CommandInput, io: CliIo, edit: (before: Reach) => Reach): Promise<number> {
  const place = await openNetwork(input, io)
  const { params } = await paramsOf(place, input)
  const { value: before, revision = '*' } = await place.api.call('functions.get', { params })
  const sites = await siteNames(place)
  const present = named(before.allow, sites)
  const allow = edit(present)
  const same = textsOf(allow).join() === textsOf(present).join()
  const after = same
    ? before
    : await place.api.value('functions.replace', { params, body: { name: before.name, allow }, match: revision })
  if (input.options.json === true) printJson(io, after)
  else {
    const all = textsOf(allow).join(', ') || 'nothing'
    io.stdout(`Function ${after.name} may reach ${all}${same ? ', as before' : ''}.\n`)
  }
  return EXIT.ok
}

async function paramsOf(place: Place, input: CommandInput) {
  const own = await functionBy(place, input.args[0]!)
  return { own, params: { ...place.params, function: own.id } }
}

/** What a function needs to know, in one word: its token, and where the control plane is. */
function wordOf(token: string, place: Place): string {
  return `${token}@${place.api.url}`
}

function printWord(io: CliIo, place: Place, made: FunctionInfo, word: string): void {
  warnOfPlainHttp(place.api.url, 'can take the token and use it', io)
  const until = made.expiresAt === undefined ? 'until it is revoked' : `until ${moment(made.expiresAt)} UTC`
  io.stdout(`The token of function ${made.name}, good ${until}:\n\n  ${word}\n\nIt is shown this once.\n`)
  if (/^http:\/\/(localhost|127\.|\[::1\])/.test(place.api.url)) {
    io.stdout('That address leads to this machine only: a function elsewhere needs one that reaches it.\n')
  }
}

function printNext(io: CliIo, { name }: FunctionInfo, allow: Reach): void {
  const [first] = allow
  if (first === undefined) {
    io.stdout(`It may reach nothing yet. What next: isthmus function allow ${name} <site>/<service>\n`)
    return
  }
  io.stdout(`Keep it as the secret ISTHMUS_TOKEN of the function, and there:

  import { site } from 'isthmus/functions'
  const ${identifier(first.site)} = site('${first.site}', { token: env.ISTHMUS_TOKEN })

The connector at ${first.site} must allow it too: in services.yaml, ${first.services[0]}: { allow: [${name}], ... }.
`)
}

/** A word that TypeScript takes for a name. */
function identifier(name: string): string {
  const word = name.replaceAll(/[-.]+([a-z0-9]?)/g, (_, next: string) => next.toUpperCase())
  return /^[a-z]/.test(word) ? word : `site${word}`
}

function named(allow: FunctionInfo['allow'], sites: ReadonlyMap<string, string>): Reach {
  return allow.map(({ site, services }) => ({ site: sites.get(site) ?? site, services: [...services] }))
}

function wanted(input: CommandInput, verb: string): readonly string[] {
  const { rest = [] } = input
  if (rest.length > 0) return rest
  const remedy = `name it: isthmus function ${verb} ${input.args[0]} <site>/<service>`
  throw new CommandFailure('there is nothing to change', remedy, EXIT.usage)
}

/** Who offers a service at a site, and whether that one is there. */
function offerOf(connectors: readonly Connector[], site: string, service: string, now: number): Cell {
  const offering = connectors.filter(
    (one) =>
      one.site === site && one.revokedAt === undefined && one.functions?.services.some(({ name }) => name === service),
  )
  if (offering.length === 0) return { text: 'no connector there offers it', style: 'yellow' }
  const cells = offering.map((one) => [one.name, presenceCell(one, now)] as const)
  const texts = cells.map(([name, cell]) => `${name} (${typeof cell === 'string' ? cell : cell.text})`)
  return `offered by ${printable(texts.join(', '))}`
}

function stateCell({ revokedAt, expiresAt }: FunctionInfo, now: number): Cell {
  if (revokedAt !== undefined) return { text: 'revoked', style: 'dim' }
  if (expiresAt !== undefined && expiresAt <= now) return { text: 'expired', style: 'red' }
  return { text: 'good', style: 'green' }
}
