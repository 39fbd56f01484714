/** Two connectors that carry TCP both ways and rekey all the while, and the memory that they take. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ConnectorStatus } from '../../protocol/status.ts'
import type { FlowResult } from '../interop/flow.ts'
import { type Isthmus, startIsthmus } from '../interop/isthmus.ts'
import { flowBetween } from '../interop/pair.ts'
import { createWorld, type World } from '../system/netns.ts'
import type { Memory, Sample } from './soak-report.ts'

export interface SoakOptions {
  /** Of inner packets, both directions together, as each connector counts them. */
  readonly bytes: number
  /** ESP suite as in the configuration. */
  readonly suite: string
  /** Seconds between rekeys of the Child SA; the IKE SA is rekeyed every three times that. */
  readonly rekeySeconds: number
  /** Seconds of the numbered datagrams at the end. */
  readonly flowSeconds: number
  readonly sampleMs: number
  /** Packet workers of each connector; as many as it chooses by itself where absent. */
  readonly workers?: number
  readonly onProgress?: (carried: number, memory: Memory) => void
}

export interface SoakResult {
  /** Of the load. */
  readonly seconds: number
  readonly carried: number
  /** Of each connector, in order of time. */
  readonly samples: readonly [readonly Sample[], readonly Sample[]]
  readonly childRekeys: number
  readonly ikeRekeys: number
  /** What both connectors dropped under load, by reason. */
  readonly drops: Readonly<Record<string, number>>
  /** Of numbered datagrams after the load, both ways, while rekeys go on. */
  readonly flow: { readonly sent: number; readonly lost: number; readonly duplicates: number; readonly rekeys: number }
}

type Two<T> = readonly [T, T]

const NAMESPACES = ['a', 'b'] as const
const OUTER = ['192.168.77.1', '192.168.77.2'] as const
const INNER = ['10.8.1.1', '10.8.2.1'] as const
const SECRET = 'a secret for soaking only'
/** Numbered datagrams a second, each way. */
const FLOW_RATE = 1000
/** No byte for so long is a stall, not a pause. */
const STALL_MS = 20_000

/** Rejects when the tunnel does not come up, a connector ends, or nothing is carried any more. */
export async function soak(options: SoakOptions): Promise<SoakResult> {
  const directory = mkdtempSync(join(tmpdir(), 'isthmus-soak-'))
  const world = await createWorld()
  try {
    const ends = await startPair(world, directory, options)
    const server = world.spawn('b', ['iperf3', '-s', '--forceflush', '-B', INNER[1]])
    await server.waitFor(/listening/)
    const load = await carry(world, ends, options)
    const before = rekeysOf(await ends[0].status())
    const drops = dropsOf(await Promise.all(ends.map((end) => end.status())))
    const flow = await flowBetween(world, NAMESPACES, INNER, FLOW_RATE, options.flowSeconds)
    const after = rekeysOf(await ends[0].status())
    const rekeys = after.child + after.ike - before.child - before.ike
    return { ...load, childRekeys: before.child, ikeRekeys: before.ike, drops, flow: { ...lossOf(flow), rekeys } }
  } finally {
    await world.close()
    rmSync(directory, { recursive: true, force: true })
  }
}

async function startPair(
  world: World,
  directory: string,
  { suite, rekeySeconds, workers }: SoakOptions,
): Promise<Two<Isthmus>> {
  for (const ns of NAMESPACES) await world.ns(ns)
  await world.link('a', 'b', { addresses: [[`${OUTER[0]}/24`], [`${OUTER[1]}/24`]] })
  const start = (side: 0 | 1): Promise<Isthmus> =>
    startIsthmus(world, NAMESPACES[side], directory, {
      address: OUTER[side],
      networks: [`10.8.${side + 1}.0/24`],
      peer: {
        address: OUTER[1 - side]!,
        networks: [`10.8.${2 - side}.0/24`],
        secret: SECRET,
        keys: [
          `initiate: ${side === 0}`,
          `ike: { rekey: ${3 * rekeySeconds}s, expire: ${3 * rekeySeconds + 60}s }`,
          `esp: { proposals: [${suite}], rekey: ${rekeySeconds}s, expire: ${rekeySeconds + 60}s }`,
        ],
      },
      keys: [`tun: { addresses: ['${INNER[side]}'] }`, ...(workers === undefined ? [] : [`workers: ${workers}`])],
    })
  const responder = await start(1)
  const initiator = await start(0)
  await initiator.up()
  return [initiator, responder]
}

type Load = Pick<SoakResult, 'seconds' | 'carried' | 'samples'>

/** Both ways at once, until both connectors have carried what was asked for. */
async function carry(world: World, ends: Two<Isthmus>, options: SoakOptions): Promise<Load> {
  const { bytes, sampleMs, onProgress, workers = 1 } = options
  const load = ['--bidir', '-P', String(workers), '-t', '86400', '-i', '0']
  const client = world.spawn('a', ['iperf3', '-c', INNER[1], '-B', INNER[0], ...load])
  const samples: Two<Sample[]> = [[], []]
  const started = performance.now()
  let moved = { at: started, carried: 0 }
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, sampleMs))
    const now = await Promise.all(ends.map(sampleOf))
    for (const [side, sample] of now.entries()) samples[side as 0 | 1].push(sample)
    const carried = Math.min(...now.map((sample) => sample.carried))
    onProgress?.(carried, now[0]!)
    if (carried > moved.carried) moved = { at: performance.now(), carried }
    if (carried >= bytes) break
    if (client.child.exitCode !== null) throw new Error(`iperf3 ended:\n${client.output()}`)
    if (performance.now() - moved.at > STALL_MS) throw new Error(`nothing carried for 20 s, after ${carried} bytes`)
  }
  const seconds = (performance.now() - started) / 1000
  await client.stop()
  return { seconds, carried: moved.carried, samples }
}

async function sampleOf(end: Isthmus): Promise<Sample> {
  const [status, metrics] = await Promise.all([end.status(), metricsOf(end.paths.socket)])
  const { inBytes, outBytes } = status.tunnels[0]!.traffic
  const value = (name: string): number => {
    const match = metrics.match(new RegExp(`^${name} (\\S+)$`, 'm'))
    if (match === null) throw new Error(`no metric ${name}`)
    return Number(match[1])
  }
  return {
    carried: inBytes + outBytes,
    rss: residentBytes(status.pid),
    heap: value('nodejs_heap_size_used_bytes'),
    external: value('nodejs_external_memory_bytes'),
  }
}

function residentBytes(pid: number): number {
  const match = readFileSync(`/proc/${pid}/status`, 'utf8').match(/^VmRSS:\s+(\d+) kB$/m)
  if (match === null) throw new Error(`process ${pid} tells no memory`)
  return Number(match[1]) * 1024
}

function metricsOf(socketPath: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, path: '/metrics', agent: false }, (answer) => {
      let text = ''
      answer.setEncoding('utf8')
      answer.on('data', (chunk: string) => {
        text += chunk
      })
      answer.on('end', () => resolve(text))
    })
    outgoing.on('error', reject)
    outgoing.end()
  })
}

function rekeysOf({ tunnels }: ConnectorStatus): { child: number; ike: number } {
  const { children, ikeRekeys } = tunnels[0]!
  return { child: Math.max(0, ...children.map(({ rekeys }) => rekeys)), ike: ikeRekeys }
}

function dropsOf(statuses: readonly ConnectorStatus[]): Record<string, number> {
  const sums: Record<string, number> = {}
  for (const { drops } of statuses) {
    for (const [reason, count] of Object.entries(drops)) sums[reason] = (sums[reason] ?? 0) + count
  }
  return sums
}

function lossOf(results: readonly FlowResult[]): { sent: number; lost: number; duplicates: number } {
  const total = (key: 'sent' | 'received' | 'duplicates'): number =>
    results.reduce((sum, result) => sum + result[key], 0)
  return { sent: total('sent'), lost: total('sent') - total('received'), duplicates: total('duplicates') }
}
