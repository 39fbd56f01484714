/** `npm run bench:growth`: what it costs to have many prefixes and many Child SAs. */
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { build } from '../../wasm/build.ts'
import type { AeadSuite } from '../../wasm/packet-engine.ts'
import { residentBytes } from './growth-measure.ts'
import { measureReports } from './growth-reports.ts'
import { measureRoutes } from './growth-routes.ts'
import { measureSas } from './growth-sas.ts'

const ROUTES: readonly (readonly [4 | 6, number])[] = [
  [4, 10],
  [4, 1000],
  [4, 100_000],
  [4, 1_000_000],
  [6, 1000],
  [6, 100_000],
  [6, 300_000],
]
const SUITES: readonly AeadSuite[] = ['aes-128-gcm', 'chacha20-poly1305']
const SIZES = [64, 1400]
const CHILD_SAS = [1, 100, 10_000]
const REPORTS = [
  [100, 100],
  [10_000, 0],
  [10_000, 100],
  [10_000, 10_000],
] as const

const HELP = `npm run bench:growth -- [options]

  --quick   up to 100,000 prefixes, 64-byte packets only
  --json    one JSON object on stdout
  --help

Forwarding table: prefixes with the lengths of an Internet table, all different. Nanoseconds of a lookup of random
addresses in them, one after the other ("lookup") and in bursts of 64 after 96 MB of other memory were written
("cold"), of an insertion and of a removal, in random order; resident memory per prefix. The cost of the call into the
module and of the empty table is taken off the lookups.

Child SAs: every packet of a batch of 64 is of another Child SA, in turn. Nanoseconds per packet for finding the SA
("spi"), and for all of sealing and opening; microseconds to install and remove a Child SA with endpoint, tunnel, group
and route; resident memory for each, once installed and once it has carried packets in both directions.

Reports: milliseconds of the longest turn of the packet worker that its counter reports make, and of all turns of one
round of reports, which comes once a second.
`

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

if (values.help) process.stdout.write(HELP)
else await main(values.quick)

async function main(quick: boolean): Promise<void> {
  await build({ log: (text) => process.stderr.write(text) })
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const routes = ROUTES.filter(([, count]) => !quick || count <= 100_000)
  // Once for the compiler.
  measureRoutes(root, 4, 1000)
  measureRoutes(root, 6, 1000)
  const routeRows = routes.map(([version, count]) => {
    note(`${count} prefixes of IPv${version}`)
    return measureRoutes(root, version, count)
  })
  const saRows = SUITES.flatMap((suite) =>
    (quick ? SIZES.slice(0, 1) : SIZES).flatMap((size) =>
      CHILD_SAS.map((childSas) => {
        note(`${childSas} Child SAs, ${suite}, ${size} bytes`)
        return measureSas(suite, childSas, size)
      }),
    ),
  )
  const reportRows = []
  for (const [childSas, changed] of REPORTS) {
    note(`reports of ${childSas} Child SAs, ${changed} changed`)
    reportRows.push(await measureReports(childSas, changed))
  }
  const host = { cpu: cpus()[0]?.model ?? 'unknown', cores: cpus().length, node: process.version }
  if (values.json) {
    process.stdout.write(
      `${JSON.stringify({ host, routes: routeRows, childSas: saRows, reports: reportRows, residentBytes: residentBytes() })}\n`,
    )
    return
  }
  process.stdout.write(`${host.cpu}, Node ${host.node}\n\n${table(routeRows)}\n${table(saRows)}\n${table(reportRows)}`)
}

function note(text: string): void {
  process.stderr.write(`bench:growth: ${text}\n`)
}

/** One line for each row; numbers to three digits or whole. */
function table(rows: readonly object[]): string {
  const head = Object.keys(rows[0] ?? {})
  const lines = rows.map((row) => Object.values(row).map(cell))
  const widths = head.map((title, column) => Math.max(title.length, ...lines.map((line) => line[column]!.length)))
  const format = (line: string[]) => `${line.map((text, i) => text.padStart(widths[i]!)).join('  ')}\n`
  return [head, ...lines].map(format).join('')
}

function cell(value: unknown): string {
  if (value === null) return '-'
  if (typeof value !== 'number') return String(value)
  return Number.isInteger(value) || Math.abs(value) >= 100
    ? value.toFixed(0)
    : value.toPrecision(Math.abs(value) < 1 ? 2 : 3)
}
