/**
 * `npm run bench:routing`: a full table learned and half of it withdrawn beside GoBGP, failover and drain, transit through
 * a hub, and plans of a large network.
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { findPeer, type PeerName } from '../interop/peers.ts'
import { namespacesMissing } from '../system/netns.ts'
import { FailoverBench, type FailoverFigures, type Watch } from './routing-failover.ts'
import { HubBench, type HubFigures } from './routing-hub.ts'
import { type GoBgpFigures, LearnBench, type LearnFigures } from './routing-learn.ts'
import { type Figures, type PlanFigures, printRows, rowsOf } from './routing-report.ts'

const PARTS = ['learn', 'failover', 'hub', 'plan'] as const
type Part = (typeof PARTS)[number]

const HELP = `npm run bench:routing -- [options]

  --part NAME    learn (with withdraw), failover (with drain), hub or plan; may be repeated; all where it is missing
  --rounds N     rounds of learning, in turns with GoBGP (default 1)
  --cuts N       of each kind of failover (default 5)
  --seconds N    of each TCP measurement (default 5); three rounds of them
  --ipv4 N       prefixes (default 1,000,000)
  --ipv6 N       prefixes (default 200,000)
  --json         one JSON object on stdout
  --help

Needs Linux with network namespaces, nft for failover and iperf3 for the hub. GoBGP is measured where it is installed.
`

const { values } = parseArgs({
  options: {
    part: { type: 'string', multiple: true },
    rounds: { type: 'string', default: '1' },
    cuts: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    ipv4: { type: 'string', default: '1000000' },
    ipv6: { type: 'string', default: '200000' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
const HUB_ROUNDS = 3

if (values.help) {
  process.stdout.write(HELP)
  process.exit(0)
}
process.exit(await main())

async function main(): Promise<number> {
  const parts = (values.part ?? PARTS) as readonly Part[]
  const unknown = parts.find((part) => !PARTS.includes(part))
  if (unknown !== undefined) return fail(`no part ${unknown}: there are ${PARTS.join(', ')}`)
  const reason = namespacesMissing()
  if (reason !== undefined) return fail(`no network namespaces here: ${reason}`)
  const needs: readonly (readonly [Part, PeerName, string])[] = [
    ['failover', 'nftables', 'nftables'],
    ['hub', 'iperf3', 'iperf3'],
  ]
  for (const [part, peer, name] of needs) {
    if (parts.includes(part) && findPeer(peer) === undefined) return fail(`${name} is not installed`)
  }
  const missing = parts.includes('learn') && findPeer('gobgp') === undefined ? ['gobgp'] : []
  const figures: Figures = {
    ...(parts.includes('learn') ? { learn: await learn() } : {}),
    ...(parts.includes('failover') ? { failover: await failover() } : {}),
    ...(parts.includes('hub') ? { hub: await hub() } : {}),
    ...(parts.includes('plan') ? { plan: await plan() } : {}),
  }
  const rows = rowsOf(figures)
  if (values.json) process.stdout.write(`${JSON.stringify({ rows, figures, missing }, null, 2)}\n`)
  else printRows(rows)
  if (!values.json && missing.length > 0) process.stdout.write(`not installed, not measured: ${missing.join(', ')}\n`)
  return 0
}

async function learn(): Promise<NonNullable<Figures['learn']>> {
  const bench = await LearnBench.create({ ipv4: Number(values.ipv4), ipv6: Number(values.ipv6) })
  try {
    const isthmus: LearnFigures[] = []
    const gobgp: GoBgpFigures[] = []
    for (let round = 0; round < Number(values.rounds); round++) {
      const ours = await bench.measureIsthmus()
      note(
        `learn: ${ours.enginesMs} ms in the engines, ${ours.kernelMs} ms in the kernel; withdrawn in ${ours.withdrawnMs} ms`,
      )
      isthmus.push(ours)
      if (findPeer('gobgp') === undefined) continue
      gobgp.push(await bench.measureGoBgp())
      note(`learn: ${gobgp.at(-1)!.learnedMs} ms in GoBGP`)
    }
    return { isthmus, gobgp }
  } finally {
    await bench.close()
  }
}

async function failover(): Promise<NonNullable<Figures['failover']>> {
  const cutsOf = async (watch: Watch): Promise<FailoverFigures> => {
    const bench = await FailoverBench.create(watch)
    try {
      const figures = await bench.cut(Number(values.cuts))
      note(`failover by ${watch}: ${figures.ms.map(Math.round).join(', ')} ms`)
      return figures
    } finally {
      await bench.close()
    }
  }
  const bfd = await cutsOf('bfd')
  const probes = await cutsOf('probes')
  const bench = await FailoverBench.create('probes')
  try {
    return { bfd, probes, drain: await bench.drain() }
  } finally {
    await bench.close()
  }
}

async function hub(): Promise<NonNullable<Figures['hub']>> {
  const bench = await HubBench.create()
  try {
    const tunnel: HubFigures[] = []
    const over: HubFigures[] = []
    for (let round = 0; round < HUB_ROUNDS; round++) {
      tunnel.push(await bench.measure('tunnel', Number(values.seconds)))
      over.push(await bench.measure('hub', Number(values.seconds)))
      note(`hub: ${over.at(-1)!.gbps.toFixed(2)} of ${tunnel.at(-1)!.gbps.toFixed(2)} Gbit/s`)
    }
    return { tunnel, hub: over }
  } finally {
    await bench.close()
  }
}

async function plan(): Promise<readonly PlanFigures[]> {
  const program = join(import.meta.dirname, 'plan.ts')
  const { stdout } = await promisify(execFile)(process.execPath, [program, '--json', '--runs', '5'])
  return (JSON.parse(stdout) as { plan: readonly PlanFigures[] }).plan
}

function note(text: string): void {
  process.stderr.write(`${text}\n`)
}

function fail(text: string): number {
  process.stderr.write(`bench:routing: ${text}\n`)
  return 1
}
