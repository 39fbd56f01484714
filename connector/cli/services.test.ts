import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { FunctionsStatus } from '../../protocol/status.ts'
import type { FlowRecord } from '../core/functions/records.ts'
import { type ControlApi, startControlApi } from '../ops/control-api.ts'
import { createMetrics } from '../ops/metrics.ts'
import { runCli } from './run.ts'
import { renderStatus } from './status-view.ts'
import { fakeConnector, recordedIo, sampleStatus } from './testing.ts'

const FUNCTIONS: FunctionsStatus = {
  file: '/var/lib/isthmus/services.yaml',
  listen: { url: 'wss://hq.example.net:8443/', listening: true },
  relaySockets: 2,
  sessions: { direct: 1, relay: 3 },
  halfOpen: 0,
  streams: 5,
  heldBytes: 1500,
  handshakes: { established: 4, refused: 1 },
  shed: { rate: 7 },
  services: [
    {
      name: 'erp',
      kind: 'http',
      target: 'http://10.1.0.20:8000',
      allow: ['orders', 'invoices'],
      open: 2,
      warm: 1,
      bytesIn: 100,
      bytesOut: 2000,
      outcomes: { ok: 10, reset: 1, 'timed-out': 2 },
      lastProblem: {
        at: '2026-03-01T10:29:00.000Z',
        code: 'timed-out',
        cause: 'the service erp sent\u001b[31m nothing.',
      },
    },
    {
      name: 'db',
      kind: 'tcp',
      target: 'tcp://10.1.0.30:5432',
      allow: [],
      open: 0,
      warm: 0,
      bytesIn: 0,
      bytesOut: 0,
      outcomes: {},
    },
  ],
  other: { 'unknown-service': 3 },
}

const RECORD: FlowRecord = {
  startedAt: Date.UTC(2026, 2, 1, 10, 0, 0),
  endedAt: Date.UTC(2026, 2, 1, 10, 0, 1),
  session: 's1',
  stream: 3,
  via: 'relay',
  function: 'fn_00000000000000000000',
  functionName: 'orders',
  kind: 'http',
  host: 'erp.internal',
  port: 8000,
  service: 'erp',
  request: 'GET /orders/42',
  status: 200,
  bytesIn: 120,
  bytesOut: 3400,
  outcome: 'ok',
}

let directory: string
let api: ControlApi | undefined

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'isthmus-services-test-'))
})
afterEach(async () => {
  await api?.close()
  api = undefined
  rmSync(directory, { recursive: true, force: true })
})

async function serve(functions: FunctionsStatus | undefined, records: readonly FlowRecord[] = []) {
  const status = { ...sampleStatus(), ...(functions === undefined ? {} : { functions }) }
  const handle = { ...fakeConnector(status), streams: () => records }
  const metrics = createMetrics({ status: () => status, now: () => 0, processMetrics: false })
  const path = join(directory, 'socket')
  api = await startControlApi(path, { handle, metrics, onStop: () => {}, onError: () => {} })
  return { path, metrics, status }
}

it('shows the services of a running connector, and what went wrong last', async () => {
  const { path } = await serve(FUNCTIONS)
  const io = recordedIo()
  expect(await runCli(['services', '--socket', path], io)).toBe(0)
  expect(io.out().split('\n')).toEqual([
    'SERVICE  KIND  TARGET                 FUNCTIONS         OPEN  DONE  FAILED',
    'erp      http  http://10.1.0.20:8000  orders, invoices  2     11    2',
    '  last problem: 2026-03-01T10:29:00.000Z timed-out: the service erp sent [31m nothing.',
    'db       tcp   tcp://10.1.0.30:5432   nobody            0     0     0',
    '',
  ])
  const json = recordedIo()
  await runCli(['services', '--json', '--socket', path], json)
  expect(JSON.parse(json.out())).toEqual(FUNCTIONS)
})

it('says what to do where nothing is served', async () => {
  const { path } = await serve(undefined)
  const io = recordedIo()
  expect(await runCli(['services', '--socket', path], io)).toBe(1)
  expect(io.err()).toContain('join a network first')
})

it('shows the last streams', async () => {
  const refused: FlowRecord = { ...RECORD, stream: 5, host: 'hr\u001b[2J', outcome: 'service-not-allowed' }
  const { path } = await serve(FUNCTIONS, [RECORD, refused])
  const io = recordedIo()
  expect(await runCli(['streams', '--socket', path], io)).toBe(0)
  const lines = io.out().split('\n')
  expect(lines).toHaveLength(4)
  expect(lines[1]).toMatch(
    /^2026-03-01 10:00:01\.000 orders +erp +ok +120 +3400 +1000 +relay +erp\.internal:8000 GET \/orders\/42 200$/,
  )
  expect(lines[2]).toContain('service-not-allowed')
  expect(io.out()).not.toContain('\u001b')
  const json = recordedIo()
  await runCli(['streams', '--json', '-n', '1', '--socket', path], json)
  expect(JSON.parse(json.out())).toEqual({ streams: [refused] })
})

it('goes on with new streams, each once', async () => {
  const records = [RECORD]
  const { path } = await serve(FUNCTIONS, records)
  const io = recordedIo()
  let rounds = 0
  const pause = async (_ms: number, signal?: AbortSignal) => {
    if (++rounds < 3) records.push({ ...RECORD, stream: 3 + 2 * rounds })
    else process.emit('SIGINT')
    expect(signal?.aborted).toBe(rounds >= 3)
  }
  expect(await runCli(['streams', '--watch', '--json', '--socket', path], { ...io, pause })).toBe(0)
  const seen = io.out().trim().split('\n')
  expect(seen.map((line) => (JSON.parse(line) as FlowRecord).stream)).toEqual([3, 5, 7])
})

it('checks services.yaml', async () => {
  const path = join(directory, 'services.yaml')
  writeFileSync(path, "services: { erp: { target: 'http://h:1', allow: [orders] } }\n")
  const fine = recordedIo()
  expect(await runCli(['services', 'check', path], fine)).toBe(0)
  expect(fine.out()).toContain('is sound: services erp')
  writeFileSync(path, 'services: { erp: { tarjet: x } }\n')
  const faulty = recordedIo()
  expect(await runCli(['services', 'check'], { ...faulty, env: { ISTHMUS_SERVICES: path } })).toBe(3)
  expect(faulty.err()).toContain('did you mean target?')
  const missing = recordedIo()
  expect(await runCli(['services', 'check', '--json', join(directory, 'no')], missing)).toBe(7)
  expect(JSON.parse(missing.out())).toMatchObject({ ok: false, faults: [{ kind: 'file' }] })
})

it('is in the status and in the metrics, with labels from the file and closed lists', async () => {
  const { metrics, status } = await serve(FUNCTIONS)
  const text = renderStatus(status, 100, false)
  expect(text).toContain('functions: 2 services')
  expect(text).toContain('1 straight, 3 over the relay, 0 half-open')
  expect(text).toContain('1m ago, erp: timed-out: the service erp sent')
  const page = await metrics.text()
  for (const line of [
    'isthmus_function_sessions{via="relay"} 3',
    'isthmus_function_streams{service="erp"} 2',
    'isthmus_function_streams_total{service="erp",outcome="timed-out"} 2',
    'isthmus_function_streams_total{service="-",outcome="unknown-service"} 3',
    'isthmus_function_bytes_total{service="erp",direction="out"} 2000',
    'isthmus_function_handshakes_total{result="refused"} 1',
    'isthmus_function_handshakes_total{result="resumed"} 0',
    'isthmus_function_shed_total{reason="rate"} 7',
    'isthmus_function_held_bytes 1500',
  ]) {
    expect(page).toContain(line)
  }
})
