/**
 * `npm run bench:tunnel`: TCP, UDP and ping through Isthmus, strongSwan and wireguard-go, interleaved in one run.
 *
 * Each path is a pair of namespaces joined by a veth, with its own gateways; all stay up for the whole run and only
 * one carries traffic at a time. Figures are medians over the rounds; ratios are medians of the ratios within a round.
 */
import { parseArgs } from 'node:util'
import { findPeer } from '../interop/peers.ts'
import { namespacesMissing } from '../system/netns.ts'
import { type BenchPath, PATHS, preparePath } from './tunnel-paths.ts'
import { printTable, type RoundFigures, toReport } from './tunnel-report.ts'

const HELP = `npm run bench:tunnel -- [options]

  --rounds N     rounds over all paths (default 3)
  --seconds N    seconds of each TCP measurement (default 3)
  --suite NAME   aes128gcm16, aes256gcm16 or chacha20poly1305 (default aes128gcm16); may be repeated
  --wire         veth without tx-udp-segmentation, nearer to a wire (needs ethtool)
  --json         one JSON object on stdout
  --help

Needs Linux with network namespaces (root or user namespaces) and iperf3. strongSwan and wireguard-go are measured
when installed (.ci/peers.sh) and named as missing otherwise.
`

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '3' },
    suite: { type: 'string', multiple: true, default: ['aes128gcm16'] },
    wire: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

if (values.help) {
  process.stdout.write(HELP)
  process.exit(0)
}
process.exit(await main())

async function main(): Promise<number> {
  const reason = namespacesMissing()
  if (reason !== undefined) return fail(`no network namespaces here: ${reason}`)
  if (findPeer('iperf3') === undefined) return fail('iperf3 is not installed; on Debian: apt-get install iperf3')
  const missing: string[] = []
  const paths: BenchPath[] = []
  try {
    for (const suite of values.suite) {
      for (const kind of PATHS) {
        // WireGuard has one suite; measure it once.
        if (kind === 'wireguard-go' && suite !== values.suite[0]) continue
        if (kind !== 'isthmus' && findPeer(kind) === undefined) missing.push(kind)
        else paths.push(await preparePath(kind, suite, values.wire))
        note(`${kind} ${suite}: ${missing.at(-1) === kind ? 'not installed' : 'ready'}`)
      }
    }
    const rounds: RoundFigures[] = []
    for (let round = 0; round < Number(values.rounds); round++) {
      for (const path of paths) {
        const figures = await path.measure(Number(values.seconds))
        rounds.push({ round, path: path.kind, suite: path.suite, ...figures })
        note(`round ${round + 1}: ${path.kind} ${path.suite}: ${figures.tcpGbps.toFixed(2)} Gbit/s`)
      }
    }
    const report = toReport(rounds, [...new Set(missing)], values.wire)
    if (values.json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`)
    else printTable(report)
    return 0
  } finally {
    for (const path of paths) await path.close()
  }
}

function note(text: string): void {
  process.stderr.write(`${text}\n`)
}

function fail(text: string): number {
  process.stderr.write(`bench:tunnel: ${text}\n`)
  return 1
}
