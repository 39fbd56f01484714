/** `node --expose-gc test/bench/rib.ts`: a full table in the RIB alone, from bytes to changes of forwarding. */
import { performance } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { compilePolicies, isPolicies, type Policies } from '../../connector/core/bgp/rib/policy.ts'
import { Rib } from '../../connector/core/bgp/rib/rib.ts'
import type { RibInput } from '../../connector/core/bgp/rib/types.ts'
import { isBgpFault } from '../../connector/core/bgp/wire/faults.ts'
import type { UpdateMessage } from '../../connector/core/bgp/wire/types.ts'
import { decodeUpdate } from '../../connector/core/bgp/wire/update.ts'
import { address } from '../../protocol/net.ts'
import { residentBytes } from './growth-measure.ts'
import { type FeedOptions, feed } from './rib-feed.ts'

const HELP = `node --expose-gc test/bench/rib.ts [options]

  --ipv4 N       prefixes, 1,000,000
  --ipv6 N       200,000
  --per-set N    prefixes of each attribute set on average, 6
  --json         one JSON object on stdout
  --help

Neighbour a announces all prefixes, neighbour b half of them with shorter paths; both feeds come as bytes and go
through the decoder. Then c comes up and is told everything; then b goes down. "longest" is the longest single call,
which is how long the loop stands still. Making the feeds is in no figure.
`

const { values } = parseArgs({
  options: {
    ipv4: { type: 'string', default: '1000000' },
    ipv6: { type: 'string', default: '200000' },
    'per-set': { type: 'string', default: '6' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

interface Row {
  readonly step: string
  readonly prefixes: number
  readonly seconds: number
  readonly longestMs: number
  /** Resident memory since the start, collected. */
  readonly megabytes: number
}

class Bench {
  readonly rows: Row[] = []
  readonly #rib: Rib
  readonly #before = residentBytes()
  #busy = 0
  #longest = 0
  #changes = 0

  constructor() {
    this.#rib = new Rib({
      localAs: 64_500,
      routerId: 1,
      ownAddresses: [address('10.0.0.1')],
      resolve: () => 1,
      policies: policies(),
      hashSeed: 12_345,
    })
  }

  up(id: string, peerAs: number): void {
    const config = { id, peerAs, address: address('10.0.0.2'), importPolicy: 'all', exportPolicy: 'all' }
    const nextHops = { 4: { address: address('10.0.0.1') }, 6: { address: address('fd00::1') } }
    this.#give({ kind: 'neighbour', config })
    this.#give({ kind: 'neighbour-up', neighbour: id, routerId: peerAs, families: [4, 6], nextHops })
  }

  learn(id: string, step: string, feeds: readonly FeedOptions[]): void {
    for (const options of feeds) {
      for (const message of feed(options)) {
        const start = performance.now()
        const families = [4, 6] as const
        const update = decodeUpdate(message, { fourOctetAs: true, extendedMessages: false, internal: false, families })
        if (isBgpFault(update)) throw new Error(update.reason)
        this.#busy += performance.now() - start
        this.#give({ kind: 'update', neighbour: id, update: update as UpdateMessage })
      }
    }
    this.#settle()
    this.#row(step)
  }

  tell(id: string, step: string): void {
    while (this.#rib.hasNews(id)) this.#give({ kind: 'drain', neighbour: id, limit: 2_000 })
    this.#row(step)
  }

  down(id: string, step: string): void {
    this.#give({ kind: 'neighbour-down', neighbour: id })
    this.#settle()
    this.#row(step)
  }

  get totals() {
    return this.#rib.totals
  }

  #settle(): void {
    while (this.#rib.hasWork) this.#give({ kind: 'time' })
  }

  #give(input: RibInput): void {
    const start = performance.now()
    this.#rib.handle(input, start)
    for (let effect = this.#rib.poll(); effect !== undefined; effect = this.#rib.poll()) {
      if (effect.kind === 'routes') this.#changes += effect.nextHops.length
      if (effect.kind === 'advertise') this.#changes += effect.prefixes.lengths.length
    }
    const took = performance.now() - start
    this.#busy += took
    this.#longest = Math.max(this.#longest, took)
  }

  #row(step: string): void {
    const megabytes = Math.round((residentBytes() - this.#before) / 1e6)
    const [seconds, longestMs] = [Math.round(this.#busy) / 1000, Math.round(this.#longest * 10) / 10]
    this.rows.push({ step, prefixes: this.#changes, seconds, longestMs, megabytes })
    this.#busy = this.#longest = this.#changes = 0
  }
}

if (values.help) process.stdout.write(HELP)
else main(Number(values.ipv4), Number(values.ipv6), Number(values['per-set']))

function main(ipv4: number, ipv6: number, perSet: number): void {
  const bench = new Bench()
  bench.up('a', 65_001)
  bench.learn('a', 'learn all from a', feeds(65_001, '192.0.2.1', ipv4, ipv6, perSet, [3, 6]))
  bench.up('b', 65_002)
  bench.learn('b', 'learn half from b', feeds(65_002, '192.0.2.2', ipv4 / 2, ipv6 / 2, perSet, [2, 2]))
  bench.up('c', 65_003)
  bench.tell('c', 'tell c everything')
  bench.down('b', 'b goes down')
  bench.tell('c', 'tell c of it')
  if (values.json) process.stdout.write(`${JSON.stringify({ totals: bench.totals, rows: bench.rows })}\n`)
  else {
    for (const row of bench.rows) process.stdout.write(`${lineOf(row)}\n`)
    process.stdout.write(`${JSON.stringify(bench.totals)}\n`)
  }
}

function lineOf({ step, prefixes, seconds, longestMs, megabytes }: Row): string {
  const figures = [`${prefixes} prefixes`, `${seconds} s`, `longest ${longestMs} ms`, `${megabytes} MB`]
  return `${step.padEnd(20)}${figures.map((figure) => figure.padStart(20)).join('')}`
}

function feeds(
  peerAs: number,
  hop: string,
  ipv4: number,
  ipv6: number,
  perSet: number,
  path: readonly [number, number],
): FeedOptions[] {
  const all = { peerAs, nextHop: { 4: hop, 6: '2001:db8::1' }, from: 0, perSet, path }
  return [
    { ...all, family: 4, to: ipv4 },
    { ...all, family: 6, to: ipv6 },
  ]
}

function policies(): Policies {
  const compiled = compilePolicies({ policies: { all: { rules: [], otherwise: 'accept' } } })
  if (!isPolicies(compiled)) throw new Error(JSON.stringify(compiled))
  return compiled
}
