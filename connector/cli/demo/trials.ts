/** The demo's trials: each drives real traffic through the tunnel and returns what it measured. */
import type { ConnectorStatus } from '../../../protocol/status.ts'
import type { Spawned, World } from '../../io/namespaces.ts'
import type { PingSummary } from '../../io/ping.ts'
import { controlClient } from '../../ops/client.ts'
import type { DemoControl } from './control-plane.ts'
import type { DemoResult } from './result.ts'
import { type Site, type Sites, startProbe } from './sites.ts'

export interface RunningSites {
  readonly world: World
  readonly sites: Sites
  readonly gateways: Readonly<Record<Site['name'], Spawned>>
  readonly control: DemoControl
  readonly signal: AbortSignal
}

const ESTABLISH_DEADLINE_MS = 20_000
const ANSWER_DEADLINE_MS = 5000
const LOG_DEADLINE_MS = 2000
const DOWNLOAD_BYTES = 32 << 20
const HTTP_PORT = 8080

export function statusOf(site: Site): Promise<ConnectorStatus> {
  return controlClient(site.controlSocket).status()
}

/** Resolves when the connector answers on its control socket, which opens shortly after it says `started`. */
export async function untilAnswering(site: Site, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + ANSWER_DEADLINE_MS
  for (;;) {
    try {
      await statusOf(site)
      return
    } catch (error) {
      if (performance.now() > deadline) throw error
    }
    await pause(20, signal)
  }
}

/** Waits until both ends say `up`; the time is the initiator's own, from its log. */
export async function measureEstablishment(running: RunningSites): Promise<{ establishMs: number; suite: string }> {
  const { hq, branch } = running.sites
  const deadline = performance.now() + ESTABLISH_DEADLINE_MS
  for (;;) {
    const [left, right] = await Promise.all([statusOf(hq), statusOf(branch)])
    const tunnel = left.tunnels[0]
    if (tunnel?.state === 'up' && right.tunnels[0]?.state === 'up') {
      const child = tunnel.children[0]?.suite ?? 'unknown'
      // The status may be faster than the log. Without the line, the sentence below says so better than a timeout.
      await running.gateways.hq.waitFor(/"event":"child-established"/, LOG_DEADLINE_MS).catch(() => undefined)
      return { establishMs: establishedAfter(running.gateways.hq.output()), suite: `${tunnel.suite} / ESP ${child}` }
    }
    if (performance.now() > deadline) {
      throw new Error(`The tunnel did not come up within ${ESTABLISH_DEADLINE_MS / 1000} s: ${problemOf(left)}`)
    }
    await pause(20, running.signal)
  }
}

function problemOf(status: ConnectorStatus): string {
  const error = status.tunnels[0]?.lastError
  return error === undefined ? `state ${status.tunnels[0]?.state}` : `${error.cause} ${error.remedy}`
}

/**
 * Milliseconds from the first log line `initiating` to the first `child-established`, to a tenth. Throws with a
 * sentence for people when the log has no such pair.
 */
export function establishedAfter(log: string): number {
  const times = new Map<unknown, number>()
  for (const line of log.split('\n')) {
    const entry = parseLine(line)
    if (entry === undefined || times.has(entry.event)) continue
    times.set(entry.event, typeof entry.time === 'string' ? Date.parse(entry.time) : Number(entry.time))
  }
  const [begin, end] = [times.get('initiating'), times.get('child-established')]
  const elapsed = begin === undefined || end === undefined ? Number.NaN : end - begin
  if (elapsed >= 0) return round(elapsed, 1)
  throw new Error(
    'The tunnel is up, but the log of hq does not tell how long that took: it lacks a line "initiating" followed by "child-established".',
  )
}

function parseLine(line: string): { event?: unknown; time?: unknown } | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    return JSON.parse(line) as { event?: unknown; time?: unknown }
  } catch {
    return undefined
  }
}

export async function measurePing(running: RunningSites): Promise<NonNullable<DemoResult['ping']>> {
  const { sent, received, rttMs } = await ping(running, 100, 10)
  return { sent, received, rttMs: rttMs === undefined ? null : { p50: round(rttMs.p50, 3), p99: round(rttMs.p99, 3) } }
}

export async function ping(running: RunningSites, count: number, intervalMs: number): Promise<PingSummary> {
  const probe = startProbe(running.world, running.sites.hq, 'ping', running.sites.branch.hostAddress, count, intervalMs)
  return lastLine<PingSummary>(probe)
}

export async function measureDownload(running: RunningSites): Promise<NonNullable<DemoResult['download']>> {
  const { hq, branch } = running.sites
  const server = startProbe(running.world, branch, 'serve', branch.hostAddress, HTTP_PORT, DOWNLOAD_BYTES)
  try {
    const [, sha256] = await server.waitFor(/"sha256":"([0-9a-f]{64})"/)
    const url = `http://${branch.hostAddress}:${HTTP_PORT}/`
    const got = await lastLine<{ bytes: number; sha256: string; seconds: number }>(
      startProbe(running.world, hq, 'download', url),
    )
    return { bytes: got.bytes, sha256Match: got.sha256 === sha256, mbps: round((got.bytes * 8) / got.seconds / 1e6, 1) }
  } finally {
    await server.stop()
  }
}

/** Rekeys the Child SA, the IKE SA and the Child SA again, alternately from either side, while pings run. */
export async function measureRekeys(running: RunningSites): Promise<NonNullable<DemoResult['rekey']>> {
  const { hq, branch } = running.sites
  const before = await rekeyCount(hq)
  const pings = ping(running, 400, 10)
  // Should a rekey fail or the demo be interrupted, that is the reason to tell, not the end of the pings.
  pings.catch(() => undefined)
  for (const [site, what] of [
    [hq, 'child'],
    [branch, 'ike'],
    [branch, 'child'],
  ] as const) {
    await pause(600, running.signal)
    await rekey(site, what)
  }
  const summary = await pings
  return { count: (await rekeyCount(hq)) - before, lostPackets: summary.sent - summary.received }
}

export async function rekey(site: Site, what: 'child' | 'ike'): Promise<void> {
  const tunnel = (await statusOf(site)).tunnels[0]
  const child = tunnel?.children[0]?.name ?? ''
  await controlClient(site.controlSocket).rekey(tunnel?.name ?? '', what === 'ike' ? 'ike' : child)
}

export async function rekeyCount(site: Site): Promise<number> {
  const tunnel = (await statusOf(site)).tunnels[0]
  if (tunnel === undefined) return 0
  return tunnel.ikeRekeys + tunnel.children.reduce((sum, child) => sum + child.rekeys, 0)
}

function round(value: number, decimals: number): number {
  return Number(value.toFixed(decimals))
}

async function lastLine<Value>(probe: Spawned): Promise<Value> {
  const code = await probe.exited
  const line = probe.output().trim().split('\n').at(-1) ?? ''
  if (code !== 0) throw new Error(`A probe failed with ${code}: ${line}`)
  return JSON.parse(line) as Value
}

export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', onAbort)
      resolve()
    }, ms)
    const onAbort = (): void => {
      clearTimeout(timer)
      reject(signal.reason)
    }
    signal.addEventListener('abort', onAbort, { once: true })
  })
}
