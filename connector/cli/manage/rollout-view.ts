/** Rollouts for people. */
import type { Rollout, RolloutDetail } from '../../../protocol/control/generated/api-client.ts'
import { EXIT } from '../../handle.ts'
import type { CliIo } from '../command.ts'
import { ago, type Cell, counted, paint, renderFields, renderTable, type Style, since } from './view.ts'

/** Rows of one table. */
const MOST_ROWS = 50

const ONE_SAID = 'has said how it is'
const ALL_SAID = 'have said how they are'

const STYLES: Readonly<Record<Rollout['state'], Style>> = {
  planned: 'yellow',
  canary: 'yellow',
  batch: 'yellow',
  watching: 'yellow',
  'rolling-back': 'red',
  done: 'green',
  'rolled-back': 'red',
  aborted: 'red',
  failed: 'red',
}

export function hasEnded({ state }: Pick<Rollout, 'state'>): boolean {
  return state === 'done' || state === 'rolled-back' || state === 'aborted' || state === 'failed'
}

export function exitOf({ state }: Pick<Rollout, 'state'>): number {
  return state === 'done' ? EXIT.ok : EXIT.wentBack
}

/** What it does now: `watching 3 of 20 sites, 12s to go`. */
export function progressText({ state, counts, canary, deadline }: Rollout, now: number): string {
  const many = `${counts.in} of ${counted(counts.sites, 'site')}`
  switch (state) {
    case 'planned':
      return `waits until ${counted(counts.sites, 'site')} ${counts.sites === 1 ? ONE_SAID : ALL_SAID}`
    case 'canary':
      return `the canary ${canary ?? ''} takes it up`
    case 'batch':
      return `${many} take it up`
    case 'watching':
      return `watching ${many}${deadline === undefined || deadline <= now ? '' : `, ${since(now, deadline)} to go`}`
    case 'rolling-back':
      return `${counted(counts.in, 'site')} ${counts.in === 1 ? 'goes' : 'go'} back`
    default:
      return state
  }
}

/** How it ended, or is; with why. */
export function verdict(rollout: Rollout, io: CliIo): string {
  const { id, state, counts, base, target, restored, createdAt, finishedAt, reason } = rollout
  const time = finishedAt === undefined ? '' : `, in ${since(createdAt, finishedAt)}`
  const away = counts.away === 0 ? '' : `; ${counted(counts.away, 'site')} away, not watched`
  const why = reason === undefined ? '' : `\n${reason}.`
  if (state === 'done') {
    return `${paint(io, 'green', `Version ${target} is at ${counted(counts.sites, 'site')}`)}${time}${away}.\n`
  }
  if (!hasEnded(rollout)) return `${paint(io, 'yellow', `Rollout ${id} is under way: ${state}`)}.${why}\n`
  const reached = counts.in === 0 ? 'no site had got it' : `${counted(counts.in, 'site')} had got it`
  const now = restored === undefined ? '' : `; version ${restored} is version ${base} again`
  return `${paint(io, 'red', `It was ${state === 'failed' ? 'not begun' : state}: ${reached}`)}${time}${now}.${why}\n`
}

export function renderRollout(detail: RolloutDetail, io: CliIo, now: number): string {
  const { id, state, startedBy, createdAt, base, target, watch, batchPercent, sites, fault } = detail
  const watched = `canary ${watch.canarySeconds} s, each batch ${watch.batchSeconds} s, loss up to ${watch.lossPercent} %`
  const fields = [
    ['state', { text: hasEnded(detail) ? state : progressText(detail, now), style: STYLES[state] }],
    ['versions', `${base} to ${target}`],
    ['began', ago(createdAt, now)],
    ['by', startedBy],
    ['batches', `doubling up to ${batchPercent} %`],
    ['watching', watched],
    ['measured', fault && `${fault.measure}: ${fault.value}; limit: ${fault.limit}`],
  ] as const
  const rows = sites.slice(0, MOST_ROWS).map((site): Cell[] => {
    return [site.name, site.in ? 'target' : 'base', site.away ? 'away' : (site.waitingFor ?? '')]
  })
  const more = sites.length > MOST_ROWS ? `and ${sites.length - MOST_ROWS} more; --json shows all\n` : ''
  const columns = [{ title: 'SITE', shrinks: true }, { title: 'HAS' }, { title: 'WAITS FOR', shrinks: true }] as const
  const table = rows.length === 0 ? '' : `\n${renderTable(columns, rows, io)}${more}`
  return `Rollout ${id}\n${renderFields(fields, io)}${table}\n${verdict(detail, io)}`
}

export function renderRollouts(rollouts: readonly Rollout[], io: CliIo, now: number): string {
  const rows = rollouts.map((rollout): Cell[] => {
    const { id, state, base, target, counts, createdAt, startedBy, reason } = rollout
    return [
      id,
      { text: state, style: STYLES[state] },
      `${base} to ${target}`,
      `${counts.in}/${counts.sites}`,
      ago(createdAt, now),
      startedBy,
      reason ?? '',
    ]
  })
  const columns = [
    { title: 'ROLLOUT' },
    { title: 'STATE' },
    { title: 'VERSIONS' },
    { title: 'SITES', align: 'right' },
    { title: 'BEGAN' },
    { title: 'BY', shrinks: true },
    { title: 'REASON', shrinks: true },
  ] as const
  return renderTable(columns, rows, io)
}
