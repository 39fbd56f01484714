/** The demo's trials: each drives real traffic through the tunnel and returns what it measured. */
import type { ConnectorStatus } from '../../../protocol/status.ts'
import type { Spawned, World } from '../../io/namespaces.ts'
import type { PingSummary } from '../../io/ping.ts'
import { controlClient } from '../../ops/client.ts'
import type { DemoResult } from './result.ts'
import { type Site, type Sites, startProbe } from './sites.ts'

export interface RunningSites {
  readonly world: World
  readonly sites: Sites
  readonly gateways: Readonly<Record<Site['name'], Spawned>>
  readonly signal: AbortSignal
}

const ESTABLISH_DEADLINE_MS = 20_000
const DOWNLOAD_BYTES = 32 << 20
const HTTP_PORT = 8080

export function statusOf(site: Site): Promise<ConnectorStatus> {
  return controlClient(site.controlSocket).status()
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

/** Milliseconds between the log lines of `initiating` and `child-established`. */
function establishedAfter(log: string): number {
  const times = new Map<string, number>()
  for (const line of log.split('\n')) {
    const match = line.match(/"time":(?:"([^"]+)"|(\d+(?:\.\d+)?)).*"event":"(initiating|child-established)"/)
    if (match === null || times.has(match[3]!)) continue
    times.set(match[3]!, match[1] === undefined ? Number(match[2]) : Date.parse(match[1]))
  }
  return (times.get('child-established') ?? Number.NaN) - (times.get('initiating') ?? Number.NaN)
}

export async function measurePing(running: RunningSites): Promise<NonNullable<DemoResult['ping']>> {
  const { sent, received, rttMs } = await ping(running, 100, 10)
  return { sent, received, rttMs: rttMs === undefined ? null : { p50: rttMs.p50, p99: rttMs.p99 } }
}

async function ping(running: RunningSites, count: number, intervalMs: number): Promise<PingSummary> {
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
    return { bytes: got.bytes, sha256Match: got.sha256 === sha256, mbps: (got.bytes * 8) / got.seconds / 1e6 }
  } finally {
    await server.stop()
  }
}

/** Rekeys the Child SA, the IKE SA and the Child SA again, alternately from either side, while pings run. */
export async function measureRekeys(running: RunningSites): Promise<NonNullable<DemoResult['rekey']>> {
  const { hq, branch } = running.sites
  const before = await rekeyCount(hq)
  const pings = ping(running, 400, 10)
  for (const [site, peer, ike] of [
    [hq, branch, false],
    [branch, hq, true],
    [branch, hq, false],
  ] as const) {
    await pause(600, running.signal)
    const child = (await statusOf(site)).tunnels[0]?.children[0]?.name ?? ''
    await controlClient(site.controlSocket).rekey(peer.name, ike ? 'ike' : child)
  }
  const summary = await pings
  return { count: (await rekeyCount(hq)) - before, lostPackets: summary.sent - summary.received }
}

async function rekeyCount(site: Site): Promise<number> {
  const tunnel = (await statusOf(site)).tunnels[0]
  if (tunnel === undefined) return 0
  return tunnel.ikeRekeys + tunnel.children.reduce((sum, child) => sum + child.rekeys, 0)
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
