/** `npm run bench:soak`: what a connector's memory does while it carries 100 GB and rekeys every few seconds. */
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { build } from '../../wasm/build.ts'
import { findPeer } from '../interop/peers.ts'
import { namespacesMissing } from '../system/netns.ts'
import { isFlat, QUANTITIES, type Quantity, type Trend, trendOf } from './soak-report.ts'
import { type SoakResult, soak } from './soak-run.ts'

const HELP = `npm run bench:soak -- [options]

  --gigabytes N  bytes of inner packets, 10^9 each, both ways together (default 100)
  --rekey N      seconds between rekeys of the Child SA; the IKE SA follows every 3 N (default 5)
  --suite NAME   aes128gcm16, aes256gcm16 or chacha20poly1305 (default aes128gcm16)
  --workers N    packet workers of each connector (default: what it chooses by itself)
  --limit N      megabytes that resident memory may grow by to be called flat (default 16)
  --json         one JSON object on stdout
  --help

Two connectors in network namespaces, TCP both ways at once (iperf3). Once a second, of each connector: bytes carried,
resident memory (/proc), heap and external memory of its main thread (its metrics). The first 10 % are warm-up. The
slope is the median of the slopes between samples far apart. Memory is called flat when neither the slope over the
other 90 % nor the difference of their ends exceeds the limit; resident memory decides. Then numbered datagrams go both
ways for 20 seconds while rekeys go on: none may be lost. Exit code 1 when memory is not flat or a datagram was lost.
`

const { values } = parseArgs({
  options: {
    gigabytes: { type: 'string', default: '100' },
    rekey: { type: 'string', default: '5' },
    suite: { type: 'string', default: 'aes128gcm16' },
    workers: { type: 'string' },
    limit: { type: 'string', default: '16' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
const FLOW_SECONDS = 20

if (values.help) {
  process.stdout.write(HELP)
  process.exit(0)
}
process.exit(await main())

async function main(): Promise<number> {
  const [gigabytes, rekeySeconds, limit] = [values.gigabytes, values.rekey, values.limit].map(Number)
  if (!(gigabytes! > 0 && rekeySeconds! > 0 && limit! > 0)) return fail('numbers above 0 are asked for; see --help')
  const reason = namespacesMissing()
  if (reason !== undefined) return fail(`no network namespaces here: ${reason}`)
  if (findPeer('iperf3') === undefined) return fail('iperf3 is not installed; on Debian: apt-get install iperf3')
  await build({ log: (text) => process.stderr.write(text) })
  let told = 0
  const result = await soak({
    bytes: gigabytes! * 1e9,
    suite: values.suite,
    rekeySeconds: rekeySeconds!,
    flowSeconds: FLOW_SECONDS,
    sampleMs: 1000,
    ...(values.workers === undefined ? {} : { workers: Number(values.workers) }),
    onProgress: (carried, { rss }) => {
      if (carried - told < gigabytes! * 5e7) return
      told = carried
      note(`${(carried / 1e9).toFixed(1)} GB carried, ${(rss / 1e6).toFixed(0)} MB resident`)
    },
  })
  const report = toReport(result, limit!)
  if (values.json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`)
  else print(report)
  return report.flat && report.flow.lost === 0 ? 0 : 1
}

function toReport(result: SoakResult, limit: number) {
  const { samples, carried, seconds, ...rest } = result
  const connectors = samples.map((own, side) => {
    const trends = QUANTITIES.map((quantity) => [quantity, trendOf(own, quantity)] as const)
    return { name: side === 0 ? 'initiator' : 'responder', ...(Object.fromEntries(trends) as Record<Quantity, Trend>) }
  })
  return {
    host: { cpu: cpus()[0]?.model ?? 'unknown', cores: cpus().length, node: process.version },
    suite: values.suite,
    gigabytes: carried / 1e9,
    seconds,
    gbps: (carried * 8) / seconds / 1e9,
    ...rest,
    limit,
    flat: samples.every((own) => isFlat(trendOf(own, 'rss'), limit)),
    connectors,
  }
}

function print(report: ReturnType<typeof toReport>): void {
  const { gigabytes, seconds, gbps, childRekeys, ikeRekeys, flow, flat, limit } = report
  const lines = [
    `${gigabytes.toFixed(1)} GB in ${seconds.toFixed(0)} s, ${gbps.toFixed(2)} Gbit/s both ways together`,
    `${childRekeys} rekeys of the Child SA, ${ikeRekeys} of the IKE SA; drops under load: ${JSON.stringify(report.drops)}`,
    `numbered datagrams after that: ${flow.sent} sent, ${flow.lost} lost, ${flow.rekeys} rekeys`,
    '',
    ['connector', 'memory', 'at 10 %', 'at end', 'MB per 100 GB', 'growth'].map((head) => head.padStart(13)).join(' '),
  ]
  for (const connector of report.connectors) {
    for (const quantity of QUANTITIES) {
      const { name, [quantity]: trend } = connector
      const { atTenth, atEnd, slope, growth } = trend
      const cells = [name, quantity, ...[atTenth, atEnd, slope, growth].map((value) => value.toFixed(1))]
      lines.push(cells.map((cell) => cell.padStart(13)).join(' '))
    }
  }
  lines.push('', `resident memory is ${flat ? '' : 'not '}flat: at most ${limit} MB of growth after the first 10 %`)
  process.stdout.write(`${lines.join('\n')}\n`)
}

function note(text: string): void {
  process.stderr.write(`bench:soak: ${text}\n`)
}

function fail(text: string): number {
  process.stderr.write(`bench:soak: ${text}\n`)
  return 1
}
