import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { PathRow, PathsStatus } from '../../protocol/paths.ts'
import { EXIT } from '../handle.ts'
import { type ControlApi, startControlApi } from '../ops/control-api.ts'
import { createMetrics } from '../ops/metrics.ts'
import { renderPaths } from './paths.ts'
import { runCli } from './run.ts'
import { fakeConnector, recordedIo, sampleStatus } from './testing.ts'

const NOW = Date.now()
const before = (ms: number) => new Date(NOW - ms).toISOString()
const NONE = { sa: 0, probe: 0, bfd: 0 }

const FIRST: PathRow = {
  peer: 'cloud-a',
  state: 'down',
  since: before(5_000),
  passing: false,
  prefixes: 0,
  classes: [],
  probe: 'down',
  pathMtu: 1438,
  failovers: { ...NONE, probe: 2 },
  lastFailover: { at: before(4_000), to: ['cloud-b'], cause: 'probe', ms: 231, lostPackets: 40 },
  asymmetric: 7,
}
const SECOND: PathRow = {
  peer: 'cloud-b',
  state: 'up',
  since: before(3_600_000),
  passing: true,
  prefixes: 12,
  classes: ['voice'],
  probe: 'up',
  rttMs: 12.345,
  jitterMs: 0.8,
  lossOut: 0.125,
  lossIn: 0,
  failovers: NONE,
  asymmetric: 0,
}
const PATHS: PathsStatus = {
  paths: [FIRST, SECOND],
  classes: [
    {
      name: 'voice',
      peer: 'cloud-b',
      since: before(4_000),
      because: 'loss',
      from: 'cloud-a',
      moves: 3,
      tunnels: [
        { peer: 'cloud-a', beyond: ['loss', 'rtt'] },
        { peer: 'cloud-b', beyond: [] },
      ],
    },
  ],
}

let directory: string
let socket: string
let api: ControlApi
let status: PathsStatus | undefined
const drained: unknown[] = []

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'isthmus-paths-'))
  socket = join(directory, 's')
  status = PATHS
  drained.length = 0
  const connector = {
    ...fakeConnector(),
    paths: () => status,
    drain: (peer: string, on: boolean) => {
      drained.push([peer, on])
      return peer === 'cloud-a'
    },
  }
  const metrics = createMetrics({ status: connector.status, now: () => 0, processMetrics: false })
  api = await startControlApi(socket, { handle: connector, metrics, onStop: () => {}, onError: () => {} })
})

afterEach(async () => {
  await api.close()
  rmSync(directory, { recursive: true, force: true })
})

async function run(...words: string[]) {
  const io = { ...recordedIo(), now: () => NOW }
  const code = await runCli([...words, '--socket', socket], io)
  return { code, out: io.out(), err: io.err() }
}

it('shows each path in a line, the classes below, and fails while one is down', async () => {
  const { code, out } = await run('paths')
  expect(code).toBe(EXIT.tunnelDown)
  expect(out).toMatch(/cloud-a +down \(probes\) +5s +- +- +- +- +1438 +4s ago to cloud-b in 231 ms, 40 lost \(probe\)/)
  expect(out).toMatch(/cloud-b +up +1h +12 prefixes, class voice +12 ms +0\.8 ms +12\.5 % \/ 0 % +- +-/)
  expect(out).toMatch(/voice +cloud-b +4s +cloud-a loses too much; cloud-a is beyond its limit of loss and rtt/)
})

it('is well when what does not pass is drained, and without classes has no table of them', async () => {
  status = { paths: [{ ...FIRST, state: 'drained' }, SECOND], classes: [] }
  const { code, out } = await run('paths')
  expect([code, out.includes('CLASS')]).toEqual([EXIT.ok, false])
  const never = { name: 'web', peer: 'cloud-b', since: before(0), moves: 0, tunnels: [] }
  expect(renderPaths({ paths: [], classes: [never] }, NOW)).toMatch(/web +cloud-b +\S+ +first in order/)
})

it('--json is the document', async () => {
  expect(JSON.parse((await run('paths', '--json')).out)).toEqual(PATHS)
  status = undefined
  expect(JSON.parse((await run('paths', '--json')).out)).toEqual({ paths: [], classes: [] })
})

it('drain and undrain reach the connector, and say when there is no such peer', async () => {
  expect((await run('drain', 'cloud-a')).code).toBe(EXIT.ok)
  expect((await run('undrain', 'cloud-a')).out).toContain('in use again')
  const { code, err } = await run('drain', 'nobody')
  expect(code).toBe(EXIT.failed)
  expect(err).toContain('there is no peer "nobody"')
  expect(drained).toEqual([
    ['cloud-a', true],
    ['cloud-a', false],
    ['nobody', true],
  ])
})

it('metrics tell quality, failovers and what classes prefer', async () => {
  const metrics = createMetrics({
    status: () => ({ ...sampleStatus(), paths: PATHS }),
    now: () => 0,
    processMetrics: false,
  })
  metrics.observe({ type: 'path', event: { code: 'back', level: 'info', connection: 'cloud-a', downMs: 5, text: '' } })
  const text = await metrics.text()
  for (const line of [
    'isthmus_path_passing{peer="cloud-a"} 0',
    'isthmus_path_drained{peer="cloud-b"} 0',
    'isthmus_path_rtt_seconds{peer="cloud-b"} 0.012345',
    'isthmus_path_loss_ratio{peer="cloud-b",direction="out"} 0.125',
    'isthmus_path_mtu_bytes{peer="cloud-a"} 1438',
    'isthmus_path_failovers_total{peer="cloud-a",cause="probe"} 2',
    'isthmus_path_last_failover_seconds{peer="cloud-a"} 0.231',
    'isthmus_path_last_failover_lost_packets{peer="cloud-a"} 40',
    'isthmus_path_asymmetric_packets_total{peer="cloud-a"} 7',
    'isthmus_class_tunnel{class="voice",peer="cloud-a"} 0',
    'isthmus_class_tunnel{class="voice",peer="cloud-b"} 1',
    'isthmus_class_moves_total{class="voice"} 3',
    'isthmus_path_events_total{code="back"} 1',
  ]) {
    expect(text).toContain(`${line}\n`)
  }
  expect(text).not.toContain('isthmus_path_rtt_seconds{peer="cloud-a"}')
})
