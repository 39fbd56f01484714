/** The demo's trial of routing: BGP through two tunnels, and what is lost when the way of one ends without a word. */
import type { Spawned, World } from '../../io/namespaces.ts'
import type { PingSummary } from '../../io/ping.ts'
import { CLOUD, cutWay, PLANT, type RunningPaths, startPaths } from './paths.ts'
import type { DemoResult } from './result.ts'
import { probeVector } from './sites.ts'
import { pause } from './trials.ts'

const ROUTES_DEADLINE_MS = 30_000
const PREFIXES = PLANT.networks.length + CLOUD.networks.length
const PINGS = 200
const INTERVAL_MS = 10
/** Behind the first answer. */
const CUT_AFTER_MS = 300

/** Sessions and prefixes of both ends together; the failover as pings from plant to cloud and back have it. */
export async function measureRouting(
  world: World,
  directory: string,
  signal: AbortSignal,
): Promise<Required<Pick<DemoResult, 'bgp' | 'failover'>>> {
  const running = await startPaths(world, directory)
  try {
    const bgp = await untilRouted(running, signal)
    const pings = world.spawn(PLANT.name, probeVector('ping', CLOUD.address, PINGS, INTERVAL_MS))
    await pings.waitFor(/"answered"/)
    await pause(CUT_AFTER_MS, signal)
    await cutWay(world, 'a')
    return { bgp, failover: failoverOf(await summaryOf(pings)) }
  } finally {
    await Promise.all(running.connectors.map((connector) => connector.stop()))
  }
}

/** Both ways are up, each end knows the other's prefixes by both of them. */
async function untilRouted({ status }: RunningPaths, signal: AbortSignal): Promise<NonNullable<DemoResult['bgp']>> {
  const deadline = performance.now() + ROUTES_DEADLINE_MS
  for (;;) {
    const ends = await Promise.all([PLANT, CLOUD].map((end) => status(end).catch(() => undefined)))
    const neighbours = ends.flatMap((end) => end?.bgp?.neighbours ?? [])
    const established = neighbours.filter(({ state, bfd }) => state === 'established' && bfd?.state === 'up').length
    const prefixes = neighbours.reduce((sum, { ipv4 }) => sum + ipv4.accepted, 0)
    const watched = ends.flatMap((end) => end?.tunnels ?? []).filter(({ path }) => path?.state === 'up').length
    // Each session has two ends, and each end hears the other's prefixes over both.
    if (established === 4 && watched === 4 && prefixes === 2 * PREFIXES) return { established: 2, prefixes: PREFIXES }
    if (performance.now() > deadline) {
      throw new Error(`Of four BGP sessions ${established} came up within ${ROUTES_DEADLINE_MS / 1000} s.`)
    }
    await pause(50, signal)
  }
}

/** The longest time in which nothing was answered. Of lost pings the first hundred are known. */
export function failoverOf({ sent, received, missing }: PingSummary): NonNullable<DemoResult['failover']> {
  let longest = 0
  let run = 0
  for (const [i, sequence] of missing.entries()) {
    run = i > 0 && missing[i - 1] === sequence - 1 ? run + 1 : 1
    longest = Math.max(longest, run)
  }
  return { ms: longest * INTERVAL_MS, lostPackets: sent - received }
}

async function summaryOf(pings: Spawned): Promise<PingSummary> {
  const code = await pings.exited
  const line = pings.output().trim().split('\n').at(-1) ?? ''
  if (code !== 0) throw new Error(`The pings failed with ${code}: ${line}`)
  return JSON.parse(line) as PingSummary
}
