/** How the sites of a rollout are: what each one's connector says now, held against what it said before. */
import type { RolloutFault } from '../../../protocol/control/rollout.ts'

/** One tunnel as one end tells of it. Counters are since its connector started. */
export interface TunnelHealth {
  readonly tunnel: string
  readonly passing: boolean
  /** Of its BGP session, where there is one. */
  readonly established?: boolean
  readonly flaps?: number
  /** Share of packets lost over the last half minute, in the worse direction. */
  readonly loss?: number
  /** Packets that came in, and that were lost on the way here. */
  readonly received?: number
  readonly missing?: number
}

/** The last that a connector said. */
export interface Health {
  /** When it said so, by our clock. */
  readonly at: number
  /** Version of the document that it carries out. */
  readonly version: number
  readonly startedAt: number
  /** It reports at least so often. */
  readonly everyMs: number
  readonly refused: readonly string[]
  readonly tunnels: readonly TunnelHealth[]
}

/** One site that a rollout has something to do at. */
export interface SiteView {
  readonly site: string
  readonly name: string
  /** It has a connector that is not revoked. */
  readonly connected: boolean
  /** The version of its document that has what the rollout gave it last: the target, or the base again. */
  readonly due: number
  readonly health: Health | undefined
  /** As it was when the site got the target; absent: it was away, and is not watched. */
  readonly before: Health | undefined
  /** As it was when the present watching began. */
  readonly mark: Health | undefined
  /** Names of the tunnels in its document, by id. */
  readonly tunnels: ReadonlyMap<string, string>
}

/** A connector that reports every so often is silent after this many times. */
const SILENT_REPORTS = 3
export const SILENT_MS = 30_000
/** Loss that a connector tells is of so long before. */
const LOSS_MS = 30_000
/** Fewer packets tell nothing about a share of them. */
const MIN_PACKETS = 100

/** Whether it is to be watched: it has a connector, which was there when the target came. */
export function isWatched({ connected, before }: SiteView): boolean {
  return connected && before !== undefined
}

export function silentAfter(health: Pick<Health, 'everyMs'> | undefined): number {
  return Math.max(SILENT_MS, SILENT_REPORTS * (health?.everyMs ?? 0))
}

/** `upSince`: since when reports could come in here; before that, nobody is silent. */
export function isSilent(health: Health | undefined, now: number, upSince = 0): boolean {
  return now - Math.max(health?.at ?? 0, upSince) > silentAfter(health)
}

/** What never passes by waiting: silence, and what the connector has refused to do. */
export function alarmOf(view: SiteView, now: number, upSince = 0): RolloutFault | undefined {
  const { name: site, health, before, due } = view
  if (isSilent(health, now, upSince)) {
    const since = health === undefined ? 'always' : `${seconds(now - health.at)} s`
    return { site, measure: 'silent', value: since, limit: `${seconds(silentAfter(health))} s` }
  }
  if (health === undefined || health.version < due) return undefined
  const refused = health.refused.find((text) => before?.refused.includes(text) !== true)
  return refused === undefined ? undefined : { site, measure: 'refused', value: refused, limit: 'nothing refused' }
}

/** What it has not got to yet: the version, and the tunnels and sessions that were there before. */
export function unready(view: SiteView): RolloutFault | undefined {
  const { health, before } = view
  const late = lateVersion(view)
  if (late !== undefined) return late
  const { name: site } = view
  const now = byTunnel(health)
  for (const was of before?.tunnels ?? []) {
    const tunnel = view.tunnels.get(was.tunnel)
    if (tunnel === undefined) continue
    const is = now.get(was.tunnel)
    if (was.passing && is?.passing !== true) {
      return { site, tunnel, measure: 'passing', value: 'nothing passes', limit: 'passes, as before' }
    }
    // Without a session in the document there is none to be had.
    if (was.established === true && is?.established === false) {
      return { site, tunnel, measure: 'bgp', value: 'not established', limit: 'established, as before' }
    }
  }
  return undefined
}

/** That it does not carry out what it was given last. */
export function lateVersion({ name: site, due, health }: SiteView): RolloutFault | undefined {
  if ((health?.version ?? 0) >= due) return undefined
  return { site, measure: 'version', value: String(health?.version ?? 0), limit: String(due) }
}

/** One stretch of watching. */
export interface Watching {
  readonly since: number
  readonly lengthMs: number
  readonly lossPercent: number
  readonly upSince: number
}

/** Everything that must not be while it is watched. */
export function faultOf(view: SiteView, watching: Watching, now: number): RolloutFault | undefined {
  return alarmOf(view, now, watching.upSince) ?? unready(view) ?? flapped(view) ?? lossy(view, watching)
}

/** In one sentence, for people. */
export function faultText({ site, tunnel, measure, value, limit }: RolloutFault): string {
  const at = tunnel === undefined ? site : `${site}: tunnel ${tunnel}`
  switch (measure) {
    case 'silent':
      return `${at} has been silent for ${value}, and ${limit} is the limit`
    case 'version':
      return `${at} carries out version ${value} of its document, not ${limit}`
    case 'refused':
      return `${at} has refused: ${value}`
    case 'passing':
      return `${at} does not pass any more`
    case 'bgp':
      return `${at} has no BGP session any more`
    case 'flaps':
      return `${at} has lost its BGP session ${value} times since watching began`
    case 'loss':
      return `${at} loses ${value} of its packets, and ${limit} is the limit`
  }
}

function flapped({ name: site, health, mark, tunnels }: SiteView): RolloutFault | undefined {
  // Of a session that is new there is nothing to compare with.
  const there = byTunnel(mark)
  const then = marked(health, mark)
  for (const { tunnel: id, flaps = 0 } of health?.tunnels ?? []) {
    const tunnel = tunnels.get(id)
    const more = flaps - (then.get(id)?.flaps ?? 0)
    if (tunnel === undefined || more <= 0 || there.get(id)?.flaps === undefined) continue
    return { site, tunnel, measure: 'flaps', value: String(more), limit: 'none since watching began' }
  }
  return undefined
}

function lossy(view: SiteView, { since, lengthMs, lossPercent }: Watching): RolloutFault | undefined {
  const { name: site, health, before, mark, tunnels } = view
  if (health === undefined) return undefined
  const earlier = byTunnel(before)
  const then = marked(health, mark)
  // What it tells is of the half minute before, when the change may have been under way.
  const settled = health.at - since >= Math.min(LOSS_MS, lengthMs)
  for (const is of health.tunnels) {
    const tunnel = tunnels.get(is.tunnel)
    const loss = is.loss === undefined ? countedLoss(is, then.get(is.tunnel)) : settled ? is.loss : undefined
    if (tunnel === undefined || loss === undefined) continue
    const limit = lossPercent + (earlier.get(is.tunnel)?.loss ?? 0) * 100
    if (loss * 100 > limit) return { site, tunnel, measure: 'loss', value: percent(loss * 100), limit: percent(limit) }
  }
  return undefined
}

/** By the sequence numbers that never came, since watching began. */
function countedLoss(is: TunnelHealth, then: TunnelHealth | undefined): number | undefined {
  if (is.received === undefined || is.missing === undefined) return undefined
  const received = is.received - (then?.received ?? 0)
  const missing = is.missing - (then?.missing ?? 0)
  return received + missing < MIN_PACKETS || missing < 0 ? undefined : missing / (received + missing)
}

/** What counters are compared with: they begin anew when a connector starts anew. */
function marked(health: Health | undefined, mark: Health | undefined): ReadonlyMap<string, TunnelHealth> {
  return byTunnel(health?.startedAt === mark?.startedAt ? mark : undefined)
}

function byTunnel(health: Pick<Health, 'tunnels'> | undefined): ReadonlyMap<string, TunnelHealth> {
  return new Map(health?.tunnels.map((tunnel) => [tunnel.tunnel, tunnel]))
}

function percent(value: number): string {
  return `${Math.round(value * 10) / 10} %`
}

function seconds(milliseconds: number): number {
  return Math.round(milliseconds / 1000)
}
