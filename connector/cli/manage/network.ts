import type { Intent, IntentDraft } from '../../../protocol/control/generated/api-client.ts'
import { EXIT } from '../../handle.ts'
import { type CliIo, CommandFailure, type CommandInput, textOption } from '../command.ts'
import { nowOf, openApi, openNetwork, placeOf } from './access.ts'
import { readIntentFile } from './intent-file.ts'
import { confirm, nothingToChange, printJson } from './options.ts'
import { ago, byName, counted, renderFields, renderTable } from './view.ts'

export async function listNetworks(input: CommandInput, io: CliIo): Promise<number> {
  const { api } = openApi(input, io)
  const admin = api.token.startsWith('ist_admin_')
  const networks = admin ? await api.all('networks.list', {}) : [(await openNetwork(input, io)).network]
  if (input.options.json === true) {
    printJson(io, { items: networks })
    return EXIT.ok
  }
  if (networks.length === 0) {
    io.stdout('There is no network yet. What next: isthmus network add <name>\n')
    return EXIT.ok
  }
  const now = nowOf(io)
  const rows = byName(networks).map(({ name, id, intentVersion, createdAt }) => [
    name,
    id,
    String(intentVersion),
    ago(createdAt, now),
  ])
  const columns = [
    { title: 'NETWORK', shrinks: true },
    { title: 'ID' },
    { title: 'INTENT', align: 'right' },
    { title: 'MADE' },
  ] as const
  io.stdout(renderTable(columns, rows, io))
  return EXIT.ok
}

export async function showNetwork(input: CommandInput, io: CliIo): Promise<number> {
  const { api, params, network } = await openNetwork(input, io)
  const preferences = await api.value('preferences.get', { params })
  if (input.options.json === true) {
    printJson(io, { network, preferences })
    return EXIT.ok
  }
  const fields = [
    ['id', network.id],
    ['made', ago(network.createdAt, nowOf(io))],
    ['topology', preferences.topology ?? 'mesh'],
    ['intent', `version ${network.intentVersion}`],
    ['evidence key', network.evidenceKey],
  ] as const
  io.stdout(`Network ${network.name}\n${renderFields(fields, io)}`)
  return EXIT.ok
}

export async function addNetwork(input: CommandInput, io: CliIo): Promise<number> {
  const topology = topologyOption(input)
  const { api } = openApi(input, io)
  const network = await api.value('networks.create', { body: { name: input.args[0]! } })
  if (topology === 'none') await setTopology(placeOf(api, network), topology)
  if (input.options.json === true) printJson(io, network)
  else {
    io.stdout(`Network ${network.name} is made: ${network.id}\n`)
    io.stdout(`What next: isthmus site add <name> --prefix <prefix> --network ${network.name}\n`)
  }
  return EXIT.ok
}

export async function setNetwork(input: CommandInput, io: CliIo): Promise<number> {
  const topology = topologyOption(input)
  if (topology === undefined) throw nothingToChange('network')
  const place = await openNetwork(input, io)
  const after = await setTopology(place, topology)
  if (input.options.json === true) printJson(io, after)
  else io.stdout(`Network ${place.network.name} has the topology ${topology}.\n`)
  return EXIT.ok
}

export async function removeNetwork(input: CommandInput, io: CliIo): Promise<number> {
  const name = input.args[0]!
  const { api, params } = await openNetwork({ ...input, options: { ...input.options, network: name } }, io)
  confirm(input, `this would remove the network ${name} with its tokens`, `isthmus network remove ${name} --yes`)
  const { revision = '*' } = await api.call('networks.get', { params })
  await api.call('networks.remove', { params, match: revision })
  if (input.options.json === true) printJson(io, { removed: params.network })
  else io.stdout(`Network ${name} is removed; its audit log stays in the store.\n`)
  return EXIT.ok
}

export async function exportIntent(input: CommandInput, io: CliIo): Promise<number> {
  const version = versionOption(input)
  const { api, params } = await openNetwork(input, io)
  const intent = await api.value('intent.get', { params, query: version === undefined ? {} : { version } })
  if (input.options.json === true) {
    printJson(io, intent)
    return EXIT.ok
  }
  const { stringify } = await import('yaml')
  const present = version === undefined ? intent : await api.value('intent.get', { params })
  io.stdout(stringify(version === undefined ? { ...intent, ...routingOf(intent) } : renewed(intent, present)))
  return EXIT.ok
}

/** An old version as it can be applied now: what has been removed since comes anew, and finds its ends by name. */
function renewed(old: Intent, present: Intent): IntentDraft {
  const alive = new Set([...present.sites, ...present.tunnels].map(({ id }) => id))
  const named = namesOf(old)
  const known = <T extends { id: string }>({ id, ...rest }: T) => (alive.has(id) ? { id, ...rest } : rest)
  return {
    preferences: old.preferences,
    sites: old.sites.map(known),
    tunnels: old.tunnels.map((tunnel) => {
      const [first, second] = tunnel.sites
      return { ...known(tunnel), sites: [named(first), named(second)] as [string, string] }
    }),
    ...routingOf(old),
  }
}

function namesOf({ sites, tunnels }: Intent): (id: string) => string {
  const names = new Map([...sites, ...tunnels].map(({ id, name }) => [id, name]))
  return (id) => names.get(id) ?? id
}

/** The section as a person would write it: by names, and only what says something. */
function routingOf(intent: Intent): Pick<IntentDraft, 'routing'> {
  if (intent.routing === undefined) return {}
  const { sites = [], tunnels = [], ...general } = withNames(intent.routing, namesOf(intent))
  const told = <T extends { number?: number }>({ number: _, ...entry }: T) =>
    Object.keys(entry).length > 1 ? [entry as T] : []
  return { routing: { ...general, sites: sites.flatMap(told), tunnels: tunnels.flatMap(told) } }
}

function withNames(
  routing: NonNullable<Intent['routing']>,
  named: (id: string) => string,
): NonNullable<IntentDraft['routing']> {
  return {
    ...routing,
    sites: routing.sites.map(({ site, through, advertises, ...rest }) => ({
      site: named(site),
      ...rest,
      ...(through === undefined ? {} : { through: through.map(named) }),
      ...(advertises === undefined
        ? {}
        : { advertises: advertises.map(({ to, ...more }) => ({ ...more, to: to === 'all' ? to : to?.map(named) })) }),
    })),
    tunnels: routing.tunnels.map(({ tunnel, ...rest }) => ({ tunnel: named(tunnel), ...rest })),
  } as NonNullable<IntentDraft['routing']>
}

/** Replaces the whole desired state. What would be removed must be meant. */
export async function applyIntent(input: CommandInput, io: CliIo): Promise<number> {
  const path = input.args[0]!
  const draft = readIntentFile(path, io)
  const { api, params, network } = await openNetwork(input, io)
  const { value: before, revision = '*' } = await api.call('intent.get', { params })
  const lost = removedBy(draft, before)
  if (lost.length > 0) confirm(input, `this would remove ${lost.join(', ')}`, `isthmus network apply ${path} --yes`)
  const query = input.options.force === true ? { force: 'true' as const } : {}
  const after = await api.value('intent.replace', { params, query, body: draft, match: revision })
  if (input.options.json === true) printJson(io, after)
  else if (after.version === before.version) io.stdout(`Network ${network.name} is as ${path} says already.\n`)
  else {
    const what = `${counted(after.sites.length, 'site')}, ${counted(after.tunnels.length, 'tunnel')}`
    io.stdout(`Network ${network.name} is at version ${after.version} now: ${what}.\n`)
    io.stdout(
      `What next: isthmus network status; back: isthmus network export --version ${before.version} | isthmus network apply -\n`,
    )
  }
  return EXIT.ok
}

/** Names of what is there and is not in the draft. */
function removedBy(draft: IntentDraft, before: Intent): string[] {
  const lost = (kind: string, present: readonly { id: string; name: string }[], wanted: unknown): string[] => {
    const items = (Array.isArray(wanted) ? wanted : []) as { id?: unknown; name?: unknown }[]
    const kept = new Set(items.flatMap((item) => [item?.id, item?.id === undefined ? item?.name : undefined]))
    return present.filter(({ id, name }) => !kept.has(id) && !kept.has(name)).map(({ name }) => `${kind} ${name}`)
  }
  return [...lost('site', before.sites, draft.sites), ...lost('tunnel', before.tunnels, draft.tunnels)]
}

type Topology = 'mesh' | 'none'

async function setTopology({ api, params }: Pick<ReturnType<typeof placeOf>, 'api' | 'params'>, topology: Topology) {
  const { revision = '*' } = await api.call('preferences.get', { params })
  return api.value('preferences.replace', { params, body: { topology }, match: revision })
}

function topologyOption(input: CommandInput): Topology | undefined {
  const text = textOption(input, 'topology')
  if (text === undefined || text === 'mesh' || text === 'none') return text
  throw new CommandFailure(`there is no topology ${JSON.stringify(text)}`, 'give mesh or none', EXIT.usage)
}

function versionOption(input: CommandInput): number | undefined {
  const text = textOption(input, 'version')
  if (text === undefined) return undefined
  if (/^\d{1,12}$/.test(text)) return Number(text)
  throw new CommandFailure(`--version ${JSON.stringify(text)} does not fit`, 'give a number', EXIT.usage)
}
