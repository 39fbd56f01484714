/**
 * `npm run bench:functions`: what a function pays for the way through a connector. Control plane, connector and
 * function are processes as people start them; what is compared is measured in turns in one process.
 */
import { parseArgs } from 'node:util'
import { namespacesMissing } from '../system/netns.ts'
import { type FunctionsReport, median, type Path, printTable, type Throughput } from './functions-report.ts'
import { type BenchWorld, createBenchWorld } from './functions-world.ts'

const HELP = `npm run bench:functions -- [options]

  --rounds N    rounds of the throughput (default 3)
  --seconds N   seconds of each measurement of throughput (default 2)
  --requests N  requests on each path (default 1000)
  --cold N      cold starts on each path (default 9)
  --streams N   streams at once (default 1000)
  --only PARTS  of latency,far,throughput,fair,idle, each measured alone
  --paths LIST  of the throughput, such as down.forwarded,down.straight
  --json        one JSON object on stdout
  --help

Needs Linux with network namespaces (root or user namespaces), nothing else.
`

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '2' },
    requests: { type: 'string', default: '1000' },
    cold: { type: 'string', default: '9' },
    streams: { type: 'string', default: '1000' },
    only: { type: 'string' },
    paths: { type: 'string' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

/** Early data is taken when a connector has run for two seconds. */
const WARM_UP_MS = 2500

interface Timed {
  readonly ms: number
  readonly grantMs: number
}

interface Latency {
  readonly tcp: number[]
  readonly straight: number[]
  readonly relayed: number[]
}

if (values.help) process.stdout.write(HELP)
else process.exitCode = await main()

async function main(): Promise<number> {
  const reason = namespacesMissing()
  if (reason !== undefined) {
    process.stderr.write(`no network namespaces here: ${reason}\n`)
    return 1
  }
  const bench = await createBenchWorld()
  try {
    await new Promise((resolve) => setTimeout(resolve, WARM_UP_MS))
    if (values.only !== undefined) {
      await measureOnly(bench, values.only.split(','))
      return 0
    }
    const report = await measure(bench)
    if (values.json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`)
    else printTable(report)
    return 0
  } finally {
    await bench.close()
  }
}

async function measure(bench: BenchWorld): Promise<FunctionsReport> {
  note('requests on one machine')
  const near = await bench.measure<Latency>('near', 'latency', values.requests)
  note('the path of 20 ms')
  const far = await measureFar(bench, median(near.tcp))
  note('throughput')
  const throughput = await measureThroughput(bench)
  note(`${values.streams} streams at once`)
  const fair = await measureFair(bench)
  note('idle streams')
  return {
    loopback: { tcp: median(near.tcp), straight: median(near.straight), relayed: median(near.relayed) },
    added: { straight: addedTo(near, 'straight'), relayed: addedTo(near, 'relayed') },
    far,
    throughput,
    fair,
    idle: await measureIdle(bench),
  }
}

async function measureOnly(bench: BenchWorld, parts: readonly string[]): Promise<void> {
  const measurements: Readonly<Record<string, () => Promise<unknown>>> = {
    latency: async () => {
      const near = await bench.measure<Latency>('near', 'latency', values.requests)
      return { tcp: median(near.tcp), straight: addedTo(near, 'straight'), relayed: addedTo(near, 'relayed') }
    },
    far: () => measureFar(bench, 0),
    throughput: () => measureThroughput(bench),
    fair: () => measureFair(bench),
    idle: () => measureIdle(bench),
  }
  for (const part of parts) {
    process.stdout.write(`${part} ${JSON.stringify(await measurements[part]?.(), null, 1)}\n`)
  }
}

function addedTo({ tcp, ...paths }: Latency, path: 'straight' | 'relayed'): number {
  return median(paths[path].map((value, turn) => value - tcp[turn]!))
}

/** `service`: what the service itself takes, in milliseconds. */
async function measureFar(bench: BenchWorld, service: number): Promise<FunctionsReport['far']> {
  const rttMs = median(await bench.measure<number[]>('far', 'rtt', 50))
  const trips = (ms: number): number => (ms - service) / rttMs
  const first = { straight: [] as number[], relay: [] as number[], grant: [] as number[] }
  for (let i = 0; i < Number(values.cold); i++) {
    for (const way of ['straight', 'relay'] as const) {
      const { ms, grantMs } = await bench.measure<Timed>('far', 'cold', way)
      first[way].push(trips(ms - grantMs))
      first.grant.push(grantMs / rttMs)
    }
  }
  const sessions = (await bench.measure<Timed[]>('far', 'sessions', 12)).slice(3)
  const resumed = await bench.measure<number[]>('far', 'resumed', 20)
  const warm = await bench.measure<Latency>('far', 'latency', 50)
  return {
    rttMs,
    cold: median(sessions.map(({ ms, grantMs }) => trips(ms - grantMs))),
    firstStraight: median(first.straight),
    firstRelayed: median(first.relay),
    grant: median(first.grant),
    resumed: median(resumed.map(trips)),
    warmStraight: median(warm.straight.map(trips)),
    warmRelayed: median(warm.relayed.map(trips)),
  }
}

async function measureThroughput(bench: BenchWorld): Promise<FunctionsReport['throughput']> {
  type Round = Record<'down' | 'up', Record<Path, number>>
  const rounds: Round[] = []
  const only = values.paths === undefined ? [] : [values.paths]
  for (let i = 0; i < Number(values.rounds); i++) {
    rounds.push(await bench.measure<Round>('near', 'throughput', values.seconds, ...only))
  }
  const of = (direction: 'down' | 'up'): Throughput => {
    const all = rounds.map((round) => round[direction])
    const megabytes = (path: Path) => median(all.map((each) => each[path])) / 1e6
    const ratio = (path: Path, to: Path) => median(all.map((each) => each[path] / each[to]))
    return {
      bare: megabytes('bare'),
      forwarded: megabytes('forwarded'),
      straight: megabytes('straight'),
      relayed: megabytes('relayed'),
      straightToBare: ratio('straight', 'bare'),
      straightToForwarded: ratio('straight', 'forwarded'),
      relayedToForwarded: ratio('relayed', 'forwarded'),
    }
  }
  return { down: of('down'), up: of('up') }
}

async function measureFair(bench: BenchWorld): Promise<FunctionsReport['fair']> {
  await bench.boundSockets(131_072)
  const shares = await bench.measure<number[]>('near', 'fair', values.streams, 3)
  await bench.boundSockets(4 << 20)
  const mean = shares.reduce((sum, bytes) => sum + bytes, 0) / shares.length
  return {
    streams: shares.length,
    leastOfMean: Math.min(...shares) / mean,
    mostOfMean: Math.max(...shares) / mean,
  }
}

/** The difference that more streams make, so that what the first ones brought along does not count; without garbage. */
async function measureIdle(bench: BenchWorld): Promise<FunctionsReport['idle']> {
  const count = Number(values.streams)
  const clients = [bench.start('near', 'idle', count)]
  await clients[0]!.waitFor(/^idle$/m)
  const before = await bench.connectorMemory()
  const more = 6
  for (let i = 0; i < more; i++) {
    clients.push(bench.start('near', 'idle', count))
    await clients.at(-1)!.waitFor(/^idle$/m)
  }
  const after = await bench.connectorMemory()
  await Promise.all(clients.map((client) => client.stop()))
  const streams = more * count
  return {
    streams,
    heapPerStream: (after.heap - before.heap) / streams,
    residentPerStream: (after.resident - before.resident) / streams,
  }
}

function note(text: string): void {
  process.stderr.write(`${text}\n`)
}
