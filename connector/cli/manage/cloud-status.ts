/** Connections to clouds as they are: both tunnels as both ends tell of them, keys, what differs, the last run. */
import type { Cloud, CloudDrift, CloudRun } from '../../../protocol/control/generated/api-client.ts'
import { EXIT } from '../../handle.ts'
import type { CliIo, CommandInput } from '../command.ts'
import { nowOf, openNetwork, type Place } from './access.ts'
import { runText } from './cloud-view.ts'
import { printJson } from './options.ts'
import { cloudBy, siteNames } from './resolve.ts'
import {
  ago,
  byName,
  type Cell,
  counted,
  paint,
  renderFields,
  renderTable,
  type Style,
  since,
  wrapped,
} from './view.ts'

const MOST_DRIFT = 50
const STATE_STYLES: Readonly<Record<Cloud['state'], Style>> = {
  new: 'yellow',
  applying: 'yellow',
  up: 'green',
  degraded: 'red',
  down: 'red',
  rotating: 'yellow',
  destroying: 'yellow',
}
const NOTHING = 'There is no connection to a cloud. What next: isthmus cloud aws plan <file>; docs/aws.md has one\n'

export async function listClouds(input: CommandInput, io: CliIo): Promise<number> {
  const place = await openNetwork(input, io)
  const clouds = byName(await place.api.all('clouds.list', { params: place.params }))
  if (input.options.json === true) printJson(io, { items: clouds })
  else io.stdout(clouds.length === 0 ? NOTHING : renderList(clouds, await siteNames(place), io))
  return EXIT.ok
}

/** Of the one that is named, or the only one, all there is to know; else a line of each. */
export async function cloudStatus(input: CommandInput, io: CliIo): Promise<number> {
  const place = await openNetwork(input, io)
  const named = input.args[0]
  const json = input.options.json === true
  const clouds = named === undefined ? byName(await place.api.all('clouds.list', { params: place.params })) : []
  const cloud = named === undefined ? clouds[0] : await cloudBy(place, named)
  if (cloud === undefined || clouds.length > 1) {
    if (json) printJson(io, { items: clouds })
    else io.stdout(clouds.length === 0 ? NOTHING : renderList(clouds, await siteNames(place), io))
    return worstOf(clouds)
  }
  const last = await lastRun(place, cloud)
  if (json) printJson(io, { cloud, ...(last === undefined ? {} : { run: last }) })
  else io.stdout(renderCloud(cloud, last, (await siteNames(place)).get(cloud.site) ?? cloud.site, io))
  return worstOf([cloud])
}

/** The one that is under way, else the one that began last. */
export async function lastRun({ api, params }: Place, cloud: Cloud): Promise<CloudRun | undefined> {
  if (cloud.run !== undefined) return api.value('cloudRuns.get', { params: { ...params, cloudRun: cloud.run } })
  const runs = await api.all('cloudRuns.list', { params: { ...params, cloud: cloud.id } })
  return runs.reduce<CloudRun | undefined>((newest, run) => {
    return newest === undefined || run.createdAt >= newest.createdAt ? run : newest
  }, undefined)
}

function worstOf(clouds: readonly Cloud[]): number {
  if (clouds.some(({ state }) => state === 'down' || state === 'degraded')) return EXIT.tunnelDown
  return clouds.some(({ drift }) => drift.length > 0) ? EXIT.findings : EXIT.ok
}

function renderList(clouds: readonly Cloud[], sites: ReadonlyMap<string, string>, io: CliIo): string {
  const now = nowOf(io)
  const rows = clouds.map((cloud): Cell[] => [
    cloud.name,
    stateCell(cloud),
    sites.get(cloud.site) ?? cloud.site,
    `${cloud.provider} ${cloud.region}`,
    upOf(cloud),
    oldestKey(cloud, now),
    differing(cloud.drift.length),
  ])
  const columns = [
    { title: 'CONNECTION', shrinks: true },
    { title: 'STATE' },
    { title: 'SITE', shrinks: true },
    { title: 'WHERE' },
    { title: 'UP', align: 'right' },
    { title: 'KEYS' },
    { title: 'DIFFERS', align: 'right' },
  ] as const
  return renderTable(columns, rows, io)
}

export function renderCloud(cloud: Cloud, last: CloudRun | undefined, site: string, io: CliIo): string {
  const now = nowOf(io)
  const { name, target, lookedAt, drift, policy, resources } = cloud
  const fields = [
    ['state', stateCell(cloud)],
    ['site', site],
    ['where', `${cloud.provider}, ${cloud.region}, ${target.kind === 'vpc' ? target.vpc : target.transitGateway}`],
    ['routing', cloud.routing === 'bgp' ? 'BGP' : 'static'],
    ['id', cloud.id],
    ['made at AWS', resources.length === 0 ? 'nothing' : madeText(cloud)],
    ['policy', policy],
    ['looked at', ago(lookedAt, now)],
    ['last run', last === undefined ? undefined : runText(last, now)],
  ] as const
  const tunnels = cloud.tunnels.length === 0 ? '' : `\n${renderTunnels(cloud, now, io)}`
  const failed = last?.state === 'failed' && last.error !== undefined ? failureLines(last.error, io) : ''
  const next = nextOf(cloud, last)
  return `Connection ${name}\n${renderFields(fields, io)}${tunnels}${renderDrift(drift, io)}${failed}${next === undefined ? '' : `What next: ${next}\n`}`
}

function renderTunnels({ tunnels, routing }: Cloud, now: number, io: CliIo): string {
  const rows = tunnels.map(({ name, outside, insideCidr, key, provider, connector }): Cell[] => [
    name,
    outside ?? '',
    insideCidr,
    connector === undefined ? { text: 'no report', style: 'yellow' } : hereCell(connector),
    provider === undefined ? { text: 'not told', style: 'yellow' } : thereCell(provider, now),
    ...(routing === 'bgp' ? [bgpCell(connector?.bgp)] : []),
    key === undefined ? 'none' : since(key.since, now),
  ])
  const columns = [
    { title: 'TUNNEL', shrinks: true },
    { title: 'AT AWS' },
    { title: 'INSIDE' },
    { title: 'WE SAY' },
    { title: 'AWS SAYS' },
    ...(routing === 'bgp' ? [{ title: 'BGP' }] : []),
    { title: 'KEY AGE' },
  ] as const
  const messages = tunnels.flatMap(({ name, provider }) => {
    const told = provider?.status === 'DOWN' ? (provider.message ?? '') : ''
    return told === '' ? [] : wrapped(`${name}: AWS says: ${told}`, '  ', io)
  })
  return renderTable(columns, rows, io) + messages.map((line) => `${line}\n`).join('')
}

type Tunnel = Cloud['tunnels'][number]

function hereCell({ state, passing }: NonNullable<Tunnel['connector']>): Cell {
  if (state === 'up' && passing) return { text: 'up', style: 'green' }
  return { text: state === 'up' ? 'up, nothing passes' : state, style: 'red' }
}

function thereCell({ status, since: at }: NonNullable<Tunnel['provider']>, now: number): Cell {
  const time = at === undefined ? '' : ` for ${since(at, now)}`
  return { text: `${status.toLowerCase()}${time}`, style: status === 'UP' ? 'green' : 'red' }
}

function bgpCell(established: boolean | undefined): Cell {
  if (established === undefined) return { text: 'no report', style: 'yellow' }
  return established ? { text: 'up', style: 'green' } : { text: 'down', style: 'red' }
}

/** A heading and each with its remedy; nothing where nothing differs. */
export function renderDrift(drift: readonly CloudDrift[], io: CliIo): string {
  if (drift.length === 0) return ''
  const lines = drift.slice(0, MOST_DRIFT).flatMap(({ code, detail, remedy, fixable }) => {
    const [first = '', ...rest] = wrapped(`${code}: ${detail}`, '    ', io)
    const advice = wrapped(`What to do: ${remedy}`, '    ', io)
    return [`  ${paint(io, fixable ? 'yellow' : 'red', '-')} ${first.trimStart()}`, ...rest, ...advice]
  })
  const more = drift.length > MOST_DRIFT ? [`  and ${drift.length - MOST_DRIFT} more; --json shows all`] : []
  const head = paint(io, 'yellow', `AWS differs from what is wanted in ${counted(drift.length, 'thing')}:`)
  return `${[head, ...lines, ...more].join('\n')}\n`
}

export function failureLines({ cause, remedy }: NonNullable<CloudRun['error']>, io: CliIo): string {
  const lines = [...wrapped(`It failed: ${cause}`, '', io), ...wrapped(`What to do: ${remedy}`, '  ', io)]
  return `${paint(io, 'red', lines[0] ?? '')}\n${lines.slice(1).join('\n')}\n`
}

function nextOf({ name, state, drift }: Cloud, last: CloudRun | undefined): string | undefined {
  const verb = (words: string) => `isthmus cloud aws ${words} ${name}`
  if (last?.state === 'running' || last?.state === 'aborting') return verb('watch')
  if (drift.some(({ fixable }) => fixable)) return `${verb('drift')} --fix`
  if (state === 'new') return 'isthmus cloud aws apply <file>'
  return undefined
}

function madeText({ resources }: Cloud): string {
  const made = resources.filter((each) => each.made)
  const main = made.filter(({ kind }) => kind === 'vpn-connection' || kind.endsWith('-gateway')).map(({ id }) => id)
  const more = made.length - main.length
  return [...main, ...(more === 0 ? [] : [`${counted(more, 'other thing')}`])].join(', ') || 'nothing'
}

function stateCell({ state }: Cloud): Cell {
  return { text: state, style: STATE_STYLES[state] }
}

function upOf({ tunnels }: Cloud): Cell {
  const up = tunnels.filter(({ connector }) => connector?.state === 'up' && connector.passing).length
  const text = `${up}/${tunnels.length}`
  if (tunnels.length === 0) return text
  return { text, style: up === tunnels.length ? 'green' : 'red' }
}

function oldestKey({ tunnels }: Cloud, now: number): string {
  const made = tunnels.flatMap(({ key }) => key?.since ?? [])
  return made.length === 0 ? '' : since(Math.min(...made), now)
}

function differing(count: number): Cell {
  return count === 0 ? '0' : { text: String(count), style: 'yellow' }
}
