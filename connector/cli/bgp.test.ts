import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { RouteExplanation, RoutesAnswer } from '../../protocol/routes.ts'
import type { BgpStatus } from '../../protocol/status.ts'
import { EXIT } from '../handle.ts'
import { type ControlApi, startControlApi } from '../ops/control-api.ts'
import { createMetrics } from '../ops/metrics.ts'
import { renderBgp } from './bgp.ts'
import { renderExplanation } from './routes.ts'
import { runCli } from './run.ts'
import { fakeConnector, recordedIo, sampleStatus } from './testing.ts'

const COUNTS = { received: 0, accepted: 0, stale: 0, advertised: 0 }
const NOW = Date.parse(sampleStatus().now)

const BGP: BgpStatus = {
  as: 64_512,
  routerId: '192.0.2.1',
  prefixes: { ipv4: 120, ipv6: 3 },
  pendingRoutes: 0,
  routeChanges: 250,
  bfdDrops: {},
  neighbours: [
    {
      name: 'cloud-a',
      tunnel: 'cloud',
      local: '169.254.10.2',
      address: '169.254.10.1',
      as: 65_001,
      state: 'established',
      since: new Date(NOW - 3_600_000).toISOString(),
      flaps: 1,
      holdTimeS: 90,
      routerId: '169.254.10.1',
      ipv4: { received: 120, accepted: 110, stale: 0, advertised: 2 },
      ipv6: { ...COUNTS, received: 3, accepted: 3 },
      bfd: { state: 'up', flaps: 2, detectionMs: 900 },
    },
    {
      name: 'cloud-b',
      tunnel: 'second',
      local: '169.254.11.2',
      address: '169.254.11.1',
      as: 65_001,
      state: 'idle',
      since: new Date(NOW - 5_000).toISOString(),
      flaps: 0,
      ipv4: COUNTS,
      ipv6: COUNTS,
      lastError: 'we told the neighbour: OPEN Message Error,\u001b[31m Bad Peer AS',
    },
  ],
}

const ROUTES: RoutesAnswer = {
  total: 3,
  matching: 2,
  routes: [
    {
      prefix: '10.2.0.0/16',
      from: 'bgp',
      tunnels: [
        { peer: 'cloud', up: true },
        { peer: 'second', up: false },
      ],
    },
  ],
}

const EXPLANATION: RouteExplanation = {
  prefix: '10.2.0.0/16',
  used: ROUTES.routes[0]!,
  candidates: [
    {
      neighbour: 'cloud-a',
      state: 'best',
      rule: 'from-cloud: direct',
      nextHop: '169.254.10.1',
      reachable: true,
      attributes: { asPath: '65001', origin: 'igp', localPref: 200, communities: ['65001:1'] },
      stale: false,
      penalty: 0,
      ageSeconds: 90,
    },
    {
      neighbour: 'cloud-b',
      state: 'ineligible',
      why: 'next-hop-unreachable',
      nextHop: '169.254.11.1',
      reachable: false,
      attributes: { asPath: '65001 65010', origin: 'incomplete', med: 5, communities: [] },
      stale: true,
      penalty: 0,
      ageSeconds: 5,
    },
  ],
  advertised: [
    { neighbour: 'cloud-a', told: false, why: 'split-horizon' },
    { neighbour: 'cloud-b', told: true, attributes: { asPath: '64512 65001', origin: 'igp', communities: [] } },
  ],
}

let directory: string
let socket: string
let api: ControlApi
const asked: unknown[] = []

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'isthmus-bgp-'))
  socket = join(directory, 's')
  const connector = {
    ...fakeConnector({ ...sampleStatus(), bgp: BGP }),
    routes: (...args: unknown[]) => {
      asked.push(args)
      return ROUTES
    },
    explainRoute: (prefix: string) => ({ ...EXPLANATION, prefix }),
    resetNeighbour: (name: string) => name === 'cloud-a',
  }
  const metrics = createMetrics({ status: connector.status, now: () => 0, processMetrics: false })
  api = await startControlApi(socket, { handle: connector, metrics, onStop: () => {}, onError: () => {} })
})

afterEach(async () => {
  await api.close()
  rmSync(directory, { recursive: true, force: true })
})

async function run(...words: string[]) {
  const io = recordedIo()
  const code = await runCli([...words, '--socket', socket], io)
  return { code, out: io.out(), err: io.err() }
}

describe('isthmus bgp', () => {
  it('shows each neighbour in a line, what is wrong below, and fails while one is down', async () => {
    const { code, out } = await run('bgp')
    expect(code).toBe(EXIT.tunnelDown)
    expect(out).toContain('AS 64512, identifier 192.0.2.1; routes in use: 120 IPv4, 3 IPv6')
    expect(out).toMatch(/cloud-a +169\.254\.10\.1 +65001 +established +1h +1 +up +123 +113 +2 +cloud/)
    expect(out).toMatch(/cloud-b +169\.254\.11\.1 +65001 +idle +5s +0 +- +0 +0 +0 +second/)
    expect(out).toContain('cloud-b: we told the neighbour: OPEN Message Error, [31m Bad Peer AS')
    expect(renderBgp({ ...BGP, pendingRoutes: 7 }, NOW)).toContain('7 changes on their way to the kernel')
  })

  it('--json is the part of the status', async () => {
    expect(JSON.parse((await run('bgp', '--json')).out)).toMatchObject(BGP)
  })
})

it('isthmus status has it in a line, with what is down', async () => {
  const { out } = await run('status')
  expect(out).toContain('BGP: AS 64512, 1 of 2 neighbours established')
  expect(out).toContain('120 IPv4 and 3 IPv6 prefixes in use')
  expect(out).toContain('cloud-b: idle, we told the neighbour: OPEN Message Error')
})

describe('isthmus routes', () => {
  it('shows prefixes with their peers in order, and how many there are', async () => {
    const { code, out } = await run('routes', '10.0.0.0/8', '--limit', '1')
    expect(code).toBe(EXIT.ok)
    expect(asked.at(-1)).toEqual(['10.0.0.0/8', 1])
    expect(out).toMatch(/10\.2\.0\.0\/16 +bgp +cloud, second \(down\)/)
    expect(out).toContain('and 1 more')
    expect(out).toContain('2 of 3 prefixes')
    expect((await run('routes', 'nonsense')).code).toBe(EXIT.usage)
  })

  it('explain says why each is used or not, and who is told', async () => {
    const { code, out } = await run('routes', 'explain', '10.2.0.0/16')
    expect(code).toBe(EXIT.ok)
    expect(out).toContain('10.2.0.0/16 leads to cloud, second (down) (bgp)')
    expect(out).toMatch(
      /cloud-a +best +via 169\.254\.10\.1 +path 65001, origin igp, local-pref 200, communities 65001:1/,
    )
    expect(out).toMatch(/cloud-b +ineligible +next-hop-unreachable +via 169\.254\.11\.1 \(unreachable\)/)
    expect(out).toMatch(/cloud-a +no +split-horizon/)
    expect(out).toMatch(/cloud-b +yes +path 64512 65001/)
    const nothing = renderExplanation({ prefix: '10.9.0.0/16', candidates: [], advertised: [] })
    expect(nothing).toContain('10.9.0.0/16 leads nowhere')
    expect(nothing).toContain('no neighbour announces it')
  })
})

it('metrics tell sessions, prefixes and flaps by neighbour', async () => {
  const metrics = createMetrics({
    status: () => ({ ...sampleStatus(), bgp: BGP }),
    now: () => 0,
    processMetrics: false,
  })
  metrics.observe({ type: 'bgp', neighbour: 'cloud-a', event: { code: 'down', level: 'warn', text: 'lost' } })
  const text = await metrics.text()
  expect(text).toContain('isthmus_bgp_up{neighbour="cloud-a"} 1')
  expect(text).toContain('isthmus_bgp_up{neighbour="cloud-b"} 0')
  expect(text).toContain('isthmus_bgp_state_seconds{neighbour="cloud-a"} 3600')
  expect(text).toContain('isthmus_bgp_prefixes{neighbour="cloud-a",family="ipv4",kind="accepted"} 110')
  expect(text).toContain('isthmus_bgp_routes{family="ipv6"} 3')
  expect(text).toContain('isthmus_bgp_route_changes_total 250')
  expect(text).toContain('isthmus_bfd_flaps_total{neighbour="cloud-a"} 2')
  expect(text).not.toContain('isthmus_bfd_up{neighbour="cloud-b"}')
  expect(text).toContain('isthmus_bgp_events_total{neighbour="cloud-a",code="down"} 1')
})
