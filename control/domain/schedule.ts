/** Points in time by cron expressions of five fields, UTC, and the maintenance windows that begin at such. */
import { Cron } from 'croner'
import type { Policy } from '../../protocol/control/rotation.ts'

export type MaintenanceWindow = Policy['windows'][number]

const MINUTE_MS = 60_000

/** What is wrong with a cron expression; undefined when nothing is. `now`: from when on it must have a time. */
export function cronFault(pattern: string, now: number): string | undefined {
  try {
    return nextOf(parse(pattern), now) === undefined ? `${pattern} has no time that ever comes` : undefined
  } catch {
    return `not a cron expression of five fields, like 0 3 * * 0: ${pattern}`
  }
}

/** The last point in time at or before `now`; undefined when there was none. */
export function lastTime(pattern: string, now: number): number | undefined {
  // Croner leaves out the instant itself.
  return parse(pattern)
    .previousRuns(1, new Date(now + 1))[0]
    ?.getTime()
}

/** The first point in time after `now`. */
export function nextTime(pattern: string, now: number): number | undefined {
  return nextOf(parse(pattern), now)
}

/** Whether rotations may begin; always, where there are no windows. */
export function isOpen(windows: readonly MaintenanceWindow[], now: number): boolean {
  return windows.length === 0 || windows.some((window) => closesAt(window, now) !== undefined)
}

/** When rotations may begin next: `now` itself when they may; undefined when never again. */
export function opensAt(windows: readonly MaintenanceWindow[], now: number): number | undefined {
  if (isOpen(windows, now)) return now
  const times = windows.flatMap(({ cron }) => nextTime(cron, now) ?? [])
  return times.length === 0 ? undefined : Math.min(...times)
}

function closesAt({ cron, minutes }: MaintenanceWindow, now: number): number | undefined {
  const opened = lastTime(cron, now)
  const closes = opened === undefined ? undefined : opened + minutes * MINUTE_MS
  return closes !== undefined && now < closes ? closes : undefined
}

function nextOf(cron: Cron, now: number): number | undefined {
  return cron.nextRun(new Date(now))?.getTime()
}

function parse(pattern: string): Cron {
  return new Cron(pattern, { timezone: 'UTC', mode: '5-part' })
}
