/** What `isthmus paths` shows, made of what the selector knows. */
import type { ClassRow, FailoverRow, PathRow, PathsStatus } from '../../../protocol/paths.ts'
import type { PathSelector } from '../../core/paths/selector.ts'
import type { ClassStatus, LastFailover, PathStatus, TunnelGroup } from '../../core/paths/types.ts'

/** `now` is monotonic, `wallClock` the time of day at that instant; both in milliseconds. */
export function pathsStatus(
  { paths, classes }: ReturnType<PathSelector['status']>,
  groups: Iterable<TunnelGroup>,
  now: number,
  wallClock: number,
): PathsStatus {
  const time = (instant: number): string => new Date(wallClock - (now - instant)).toISOString()
  const usable = new Set(paths.filter(({ state, isPassing }) => isPassing && state !== 'no-sa').map(nameOf))
  const prefixes = new Map<string, number>()
  for (const { tunnels, isSpread, prefixes: count } of groups) {
    const able = tunnels.filter((name) => usable.has(name))
    for (const name of isSpread ? able : able.slice(0, 1)) prefixes.set(name, (prefixes.get(name) ?? 0) + count)
  }
  return {
    paths: paths.map((path) => pathRow(path, prefixes.get(path.connection) ?? 0, classes, time)),
    classes: classes.map((each) => classRow(each, time)),
  }
}

function nameOf({ connection }: PathStatus): string {
  return connection
}

function pathRow(
  { connection, state, since, isPassing, report, bfd, failovers, lastFailover, asymmetric }: PathStatus,
  prefixes: number,
  classes: readonly ClassStatus[],
  time: (instant: number) => string,
): PathRow {
  const pathMtu = report?.mtu?.pathMtu
  // What probes have measured is of the past where they are not answered.
  const measured = report?.state === 'up' && state !== 'no-sa' ? report : undefined
  return {
    peer: connection,
    state,
    since: time(since),
    passing: isPassing,
    prefixes,
    classes: classes.filter(({ tunnel }) => tunnel === connection).map(({ name }) => name),
    ...(report === undefined ? {} : { probe: report.state }),
    ...(bfd === undefined ? {} : { bfd: bfd ? 'up' : 'down' }),
    ...(measured?.rttMs === undefined ? {} : { rttMs: round(measured.rttMs) }),
    ...(measured?.jitterMs === undefined ? {} : { jitterMs: round(measured.jitterMs) }),
    ...(measured?.lossOut === undefined ? {} : { lossOut: round(measured.lossOut) }),
    ...(measured?.lossIn === undefined ? {} : { lossIn: round(measured.lossIn) }),
    ...(pathMtu === undefined ? {} : { pathMtu }),
    failovers,
    ...(lastFailover === undefined ? {} : { lastFailover: failoverRow(lastFailover, time) }),
    asymmetric,
  }
}

function failoverRow({ at, ms, ...rest }: LastFailover, time: (instant: number) => string): FailoverRow {
  return { ...rest, at: time(at), ms: Math.round(ms) }
}

function classRow(
  { tunnel, since, because, from, tunnels, name, moves }: ClassStatus,
  time: (at: number) => string,
): ClassRow {
  return {
    name,
    peer: tunnel,
    since: time(since),
    ...(because === undefined ? {} : { because }),
    ...(from === undefined ? {} : { from }),
    moves,
    tunnels: tunnels.map(({ connection, beyond }) => ({ peer: connection, beyond })),
  }
}

/** To a thousandth. */
function round(value: number): number {
  return Math.round(value * 1000) / 1000
}
