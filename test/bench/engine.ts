/**
 * `npm run bench:engine`: ESP through the engine, against node:crypto and OpenSSL, interleaved in one run.
 *
 * Each round visits every case (suite, size, operation); there, short slices of all modes alternate, and `openssl speed`
 * runs for a second. Figures are medians over all slices; ratios are medians of the ratios within a round.
 */
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { NodeAes } from '../../wasm/aes-offload.ts'
import { build } from '../../wasm/build.ts'
import { createEngine } from '../../wasm/load.ts'
import type { AeadSuite } from '../../wasm/packet-engine.ts'
import { compileBatchModules } from '../vectors/aead-batch-module.ts'
import { type Case, type Mode, type Round, toRows, toTable } from './engine-report.ts'
import {
  aeadSubject,
  espSubject,
  espTextBytes,
  nodeSubject,
  type Operation,
  opensslNanoseconds,
  opensslVersion,
  type Subject,
} from './engine-subjects.ts'

const SUITES: readonly AeadSuite[] = ['aes-128-gcm', 'aes-256-gcm', 'chacha20-poly1305']
const SIZES = [64, 576, 1400, 8192]
const OPERATIONS: readonly Operation[] = ['seal', 'open']
const WARM_UP_MS = 60
const SLICES = 3
const SLICE_MS = 20

const HELP = `npm run bench:engine -- [options]

  --rounds N     rounds over all cases (default 5; one takes about 20 s)
  --quick        one round
  --suite NAME   only this suite; may be given several times, as may the next
  --size BYTES   only this size
  --json         one JSON object on stdout
  --help

Rows: suite, mode, size of the inner packet in bytes, op, nanoseconds per packet, Gb/s of inner packets, and how many
times as fast as node:crypto and as \`openssl speed\` on the same plaintext.

The modes relaxed, strict, offload (AES by node:crypto, a call for each batch) and auto (what a connector chooses) are whole ESP in batches of 64:
parsing, forwarding table, selectors, framing, AEAD, counters; no replay window, so that the same packets can be opened
again. With aead- in front it is the AEAD alone, over the ESP packet's text. The node rows are that too, with one cipher
object for each packet. \`openssl speed\` encrypts without a new nonce, AAD or
tag for each block.
`

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    suite: { type: 'string', multiple: true, default: [] },
    size: { type: 'string', multiple: true, default: [] },
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

process.exitCode = await main()

async function main(): Promise<number> {
  if (values.help) {
    process.stdout.write(HELP)
    return 0
  }
  const rounds = values.quick ? 1 : Number(values.rounds)
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 1000) {
    process.stderr.write(`--rounds takes a whole number from 1 to 1000, not ${values.rounds}\n`)
    return 2
  }
  const suites = values.suite.length > 0 ? values.suite : SUITES
  const sizes = values.size.length > 0 ? values.size.map(Number) : SIZES
  const wrong =
    suites.find((suite) => !SUITES.includes(suite as AeadSuite)) ?? sizes.find((size) => !(size >= 28 && size <= 9000))
  if (wrong !== undefined) {
    process.stderr.write(`no such suite or size: ${wrong}\n`)
    return 2
  }
  const openssl = opensslVersion()
  if (openssl === undefined) note('openssl is not installed: its ratios are left out')
  await build({ log: (text) => process.stderr.write(text) })
  note('warming up')
  const cases = await prepareCases(suites as AeadSuite[], sizes)
  const figures = new Map<Case, Round[]>(cases.map(({ measured }) => [measured, []]))
  for (let round = 1; round <= rounds; round++) {
    note(`round ${round} of ${rounds}`)
    const opensslTimes = new Map<string, number>()
    for (const { measured, subjects } of cases) {
      const modes = measureModes(subjects)
      const key = `${measured.suite} ${measured.size}`
      if (openssl !== undefined && !opensslTimes.has(key)) {
        const time = opensslNanoseconds(measured.suite, espTextBytes(measured.size))
        if (time !== undefined) opensslTimes.set(key, time)
      }
      figures.get(measured)!.push({ modes, openssl: opensslTimes.get(key) ?? null })
    }
  }
  report(
    cases.flatMap(({ measured }) => toRows(measured, figures.get(measured)!)),
    { rounds, openssl: openssl ?? null, missing: openssl === undefined ? ['openssl'] : [] },
  )
  return 0
}

interface PreparedCase {
  readonly measured: Case
  readonly subjects: ReadonlyMap<Mode, Subject>
}

async function prepareCases(suites: readonly AeadSuite[], sizes: readonly number[]): Promise<PreparedCase[]> {
  const relaxed = createEngine({ build: 'relaxed', capacity: 'small' })
  const strict = createEngine({ build: 'strict', capacity: 'small' })
  const offload = createEngine({ build: 'relaxed', capacity: 'small', aes: 'offload' })
  const auto = createEngine({ build: 'relaxed', capacity: 'small', aes: 'auto' })
  const aead = await compileBatchModules()
  const cases: PreparedCase[] = []
  for (const suite of suites) {
    for (const size of sizes) {
      for (const op of OPERATIONS) {
        const subjects = new Map<Mode, Subject>([
          ['relaxed', espSubject(relaxed, suite, size, op)],
          ['strict', espSubject(strict, suite, size, op)],
          ['aead-relaxed', aeadSubject(aead.relaxed, suite, espTextBytes(size), op)],
          ['aead-strict', aeadSubject(aead.strict, suite, espTextBytes(size), op)],
          ['node', nodeSubject(suite, espTextBytes(size), op)],
        ])
        if (suite !== 'chacha20-poly1305') {
          subjects.set('auto', espSubject(auto, suite, size, op))
          subjects.set('offload', espSubject(offload, suite, size, op))
          subjects.set('aead-offload', aeadSubject(aead.relaxed, suite, espTextBytes(size), op, new NodeAes()))
        }
        for (const subject of subjects.values()) subject.measure(WARM_UP_MS)
        cases.push({ measured: { suite, size, op }, subjects })
      }
    }
  }
  return cases
}

function measureModes(subjects: ReadonlyMap<Mode, Subject>): Partial<Record<Mode, number[]>> {
  const times: Partial<Record<Mode, number[]>> = {}
  for (let slice = 0; slice < SLICES; slice++) {
    for (const [mode, subject] of subjects) {
      times[mode] ??= []
      times[mode].push(subject.measure(SLICE_MS))
    }
  }
  return times
}

function report(rows: ReturnType<typeof toRows>, run: { rounds: number; openssl: string | null; missing: string[] }) {
  const about = { level: 'esp', batch: 64, cpu: cpus()[0]?.model ?? 'unknown', node: process.version, ...run }
  if (values.json) {
    process.stdout.write(`${JSON.stringify({ ...about, rows }, null, 2)}\n`)
    return
  }
  process.stdout.write(`ESP through the engine in batches of 64; ${about.cpu}, Node ${about.node}, `)
  process.stdout.write(`${run.openssl ?? 'openssl missing'}, ${run.rounds} round(s)\n\n${toTable(rows)}`)
}

function note(text: string): void {
  process.stderr.write(`${text}\n`)
}
