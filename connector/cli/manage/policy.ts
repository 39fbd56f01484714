import type { Policy, PolicyDraft } from '../../../protocol/control/generated/api-client.ts'
import { formatDuration, parseDuration } from '../../config/units.ts'
import { EXIT } from '../../handle.ts'
import { type CliIo, CommandFailure, type CommandInput, listOption, textOption } from '../command.ts'
import { numberOption } from '../options.ts'
import { nowOf, openNetwork, type Place } from './access.ts'
import { durationOption, nothingToChange, printJson } from './options.ts'
import { pick, policyBy } from './resolve.ts'
import { ago, byName, type Cell, counted, renderFields, renderTable } from './view.ts'

const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000

export async function listPolicies(input: CommandInput, io: CliIo): Promise<number> {
  const { api, params } = await openNetwork(input, io)
  const policies = await api.all('policies.list', { params })
  if (input.options.json === true) {
    printJson(io, { items: policies })
    return EXIT.ok
  }
  if (policies.length === 0) {
    io.stdout('Nothing rotates keys by itself. What next: isthmus policy add monthly --max-age 30d\n')
    return EXIT.ok
  }
  const now = nowOf(io)
  const rows = byName(policies).map((policy): Cell[] => [
    policy.name,
    policy.tunnels.length === 0 ? 'all' : String(policy.tunnels.length),
    whenText(policy),
    windowsText(policy) ?? 'always',
    policy.enabled ? { text: 'on', style: 'green' } : { text: 'off', style: 'dim' },
    ago(policy.lastRunAt, now),
  ])
  const columns = [
    { title: 'POLICY', shrinks: true },
    { title: 'TUNNELS', align: 'right' },
    { title: 'ROTATES', shrinks: true },
    { title: 'WITHIN', shrinks: true },
    { title: 'STATE' },
    { title: 'LAST RUN' },
  ] as const
  io.stdout(renderTable(columns, rows, io))
  return EXIT.ok
}

export async function showPolicy(input: CommandInput, io: CliIo): Promise<number> {
  const place = await openNetwork(input, io)
  const policy = await policyBy(place, input.args[0]!)
  if (input.options.json === true) printJson(io, policy)
  else io.stdout(await rendered(policy, place, io))
  return EXIT.ok
}

export async function addPolicy(input: CommandInput, io: CliIo): Promise<number> {
  const changes = changesOf(input)
  if (changes.maxAgeHours === undefined && changes.cron === undefined) {
    const remedy = 'give --max-age, --cron, or both, like --max-age 30d'
    throw new CommandFailure('the policy would never rotate anything', remedy, EXIT.usage)
  }
  const place = await openNetwork(input, io)
  const tunnels = await tunnelsOption(input, place)
  const body: PolicyDraft = { name: input.args[0]!, ...defined(changes), ...(tunnels === undefined ? {} : { tunnels }) }
  const policy = await place.api.value('policies.create', { params: place.params, body })
  if (input.options.json === true) printJson(io, policy)
  else io.stdout(await rendered(policy, place, io))
  return EXIT.ok
}

export async function setPolicy(input: CommandInput, io: CliIo): Promise<number> {
  const changes = changesOf(input)
  const rename = textOption(input, 'rename')
  const place = await openNetwork(input, io)
  const tunnels = await tunnelsOption(input, place)
  if (Object.keys(changes).length === 0 && rename === undefined && tunnels === undefined)
    throw nothingToChange('policy')
  const params = { ...place.params, policy: (await policyBy(place, input.args[0]!)).id }
  const { value, revision = '*' } = await place.api.call('policies.get', { params })
  const { id: _, createdAt: __, lastRunAt: ___, ...before } = value
  const body = defined({
    ...before,
    ...changes,
    ...(rename === undefined ? {} : { name: rename }),
    ...(tunnels === undefined ? {} : { tunnels }),
  })
  const after = await place.api.value('policies.replace', { params, body, match: revision })
  if (input.options.json === true) printJson(io, after)
  else io.stdout(await rendered(after, place, io))
  return EXIT.ok
}

export async function removePolicy(input: CommandInput, io: CliIo): Promise<number> {
  const place = await openNetwork(input, io)
  const { id, name } = await policyBy(place, input.args[0]!)
  const params = { ...place.params, policy: id }
  const { revision = '*' } = await place.api.call('policies.get', { params })
  await place.api.call('policies.remove', { params, match: revision })
  if (input.options.json === true) printJson(io, { removed: id })
  else io.stdout(`Policy ${name} is removed; runs that it has begun go on.\n`)
  return EXIT.ok
}

/** Undefined as a value: the setting is taken away. A setting that is not there stays as it is. */
type Changes = { [K in keyof Omit<PolicyDraft, 'name' | 'tunnels'>]: PolicyDraft[K] | undefined }

function changesOf(input: CommandInput): Changes {
  const { maxAge, cron, window, canary, keepGoing, stopOnFailure, enable, disable } = input.options
  const changes: Changes = {}
  if (maxAge === false) changes.maxAgeHours = undefined
  else if (maxAge !== undefined) {
    changes.maxAgeHours = durationOption(input, 'maxAge', { min: '4s', max: '366d', fallback: '30d' }) / HOUR_MS
  }
  if (cron === false) changes.cron = undefined
  else if (typeof cron === 'string') changes.cron = cron
  if (window === false) changes.windows = []
  else if (Array.isArray(window)) changes.windows = listOption(input, 'window').map(windowOf)
  if (typeof canary === 'boolean') changes.canary = canary
  if (keepGoing === true) changes.stopOnFailure = false
  if (stopOnFailure === true) changes.stopOnFailure = true
  if (enable === true) changes.enabled = true
  if (disable === true) changes.enabled = false
  if (textOption(input, 'maxConcurrent') !== undefined) {
    changes.maxConcurrent = Math.floor(numberOption(input, 'maxConcurrent', { min: 1, max: 1000, fallback: 10 }))
  }
  return changes
}

/** `0 3 * * 0 for 2h`. */
function windowOf(text: string): { cron: string; minutes: number } {
  const [, cron, length] = /^(.+?) +for +(\S+)$/.exec(text.trim()) ?? []
  const duration = parseDuration(length ?? '')
  if (cron !== undefined && duration !== undefined && duration >= MINUTE_MS && duration <= 24 * HOUR_MS) {
    return { cron, minutes: Math.round(duration / MINUTE_MS) }
  }
  const remedy = 'write when it begins and how long it is, 1m to 24h: "0 3 * * 0 for 2h"'
  throw new CommandFailure(`--window ${JSON.stringify(text)} does not fit`, remedy, EXIT.usage)
}

async function tunnelsOption(input: CommandInput, { api, params }: Place): Promise<string[] | undefined> {
  if (input.options.allTunnels === true) return []
  const names = listOption(input, 'tunnel')
  if (names.length === 0) return undefined
  const tunnels = await api.all('tunnels.list', { params })
  return names.map((name) => pick('tunnel', name, tunnels).id)
}

async function rendered(policy: Policy, place: Place, io: CliIo): Promise<string> {
  const tunnels = policy.tunnels.length === 0 ? [] : await place.api.all('tunnels.list', { params: place.params })
  const names = new Map(tunnels.map(({ id, name }) => [id, name]))
  const fields = [
    ['id', policy.id],
    ['rotates', whenText(policy)],
    ['tunnels', policy.tunnels.length === 0 ? 'all' : policy.tunnels.map((id) => names.get(id) ?? id).join(', ')],
    ['begins', windowsText(policy) ?? 'at any time'],
    ['order', `${policy.canary ? 'a canary first, then ' : ''}${policy.maxConcurrent} at once`],
    ['on failure', policy.stopOnFailure ? 'stops' : 'goes on'],
    ['state', policy.enabled ? 'on' : 'off'],
    ['last run', ago(policy.lastRunAt, nowOf(io))],
  ] as const
  return `Policy ${policy.name}\n${renderFields(fields, io)}`
}

function whenText({ maxAgeHours, cron }: Policy): string {
  const parts: string[] = []
  if (maxAgeHours !== undefined) parts.push(`keys older than ${formatDuration(maxAgeHours * HOUR_MS)}`)
  if (cron !== undefined) parts.push(`at ${cron}`)
  return parts.join(', ')
}

function windowsText({ windows }: Policy): string | undefined {
  if (windows.length === 0) return undefined
  if (windows.length > 2) return counted(windows.length, 'window')
  return windows.map(({ cron, minutes }) => `${cron} for ${formatDuration(minutes * MINUTE_MS)}`).join('; ')
}

function defined<T extends object>(object: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(object).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> }
}
