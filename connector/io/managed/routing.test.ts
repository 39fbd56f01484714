import { expect, test } from 'vitest'
import type { ConnectorDocument } from '../../../protocol/control/document.ts'
import { routingReportSchema } from '../../../protocol/control/routing.ts'
import { prefix } from '../../../protocol/net.ts'
import type { BgpNeighbourStatus, ConnectorStatus, TunnelStatus } from '../../../protocol/status.ts'
import { sampleStatus, sampleTunnel } from '../../cli/testing.ts'
import { ManagedRoutes } from './routing.ts'

const TUNNEL = { id: `tun_${'0'.repeat(20)}`, name: 'branch' }
const SINCE = 1_000_000
const COUNTS = { received: 0, accepted: 0, stale: 0, advertised: 1 }

function documentOf(advertise = ['10.1.0.0/16']): ConnectorDocument {
  const neighbour = {
    tunnel: TUNNEL.id,
    site: 'branch',
    as: 4_200_000_002,
    local: '169.254.0.1',
    address: '169.254.0.2',
    receive: [],
    send: [],
    maxPrefixes: 10,
  }
  const routing = {
    as: 4_200_000_001,
    routerId: '0.0.0.2',
    advertise,
    transit: false,
    groups: [],
    neighbours: [neighbour],
  }
  return { tunnels: [{ id: TUNNEL.id }], routing } as unknown as ConnectorDocument
}

function statusOf(neighbour: Partial<BgpNeighbourStatus> = {}, tunnel: Partial<TunnelStatus> = {}): ConnectorStatus {
  const all = {
    name: TUNNEL.name,
    tunnel: TUNNEL.name,
    local: '169.254.0.1',
    address: '169.254.0.2',
    as: 4_200_000_002,
    state: 'established' as const,
    since: new Date(SINCE).toISOString(),
    flaps: 0,
    ipv4: COUNTS,
    ipv6: COUNTS,
    ...neighbour,
  }
  const bgp = { as: 4_200_000_001, routerId: '0.0.0.2', prefixes: { ipv4: 1, ipv6: 0 }, pendingRoutes: 0, bfdDrops: {} }
  return { ...sampleStatus(sampleTunnel({ ...TUNNEL, state: 'up', ...tunnel })), bgp: { ...bgp, neighbours: [all] } }
}

function routes(owns = ['10.1.0.0/16']): ManagedRoutes {
  const made = new ManagedRoutes(owns.map(prefix))
  made.take(documentOf(), SINCE)
  return made
}

test('static routes stay until the session has brought something, or had time enough to', () => {
  const managed = routes()
  const look = (status: ConnectorStatus, now = SINCE) => managed.look(status, [TUNNEL], now)
  expect(look(statusOf({ state: 'open-sent' }), SINCE + 60_000)).toBe(false)
  expect(look(statusOf(), SINCE + 4_999)).toBe(false)
  expect(managed.plan?.learned.size).toBe(0)
  expect(look(statusOf({ ipv6: { ...COUNTS, accepted: 1 } }))).toBe(true)
  expect(look(statusOf({ ipv6: { ...COUNTS, accepted: 1 } }))).toBe(false)
  // Once it was up, static routes do not come back with the next document.
  managed.take(documentOf(), SINCE)
  expect([...managed.plan!.learned]).toEqual([TUNNEL.id])
  managed.take({ ...documentOf(), routing: undefined } as unknown as ConnectorDocument, SINCE)
  expect(managed.plan).toBeUndefined()
  managed.take(documentOf(), SINCE)
  expect(managed.plan?.learned.size).toBe(0)
  expect(look(statusOf(), SINCE + 5_000)).toBe(true)
})

test('what is refused is told, with the path of each tunnel', () => {
  const managed = routes()
  managed.take(documentOf(['10.1.0.0/16', '10.9.0.0/16']), SINCE)
  const path = { state: 'up' as const, rttMs: 12.5, lossOut: 0.01, lossIn: 0 }
  const report = managed.report(statusOf({ ipv4: { ...COUNTS, received: 3, accepted: 2 } }, { path }), [TUNNEL])
  expect(routingReportSchema.parse(report)).toEqual({
    paths: [
      {
        tunnel: TUNNEL.id,
        passing: true,
        rttMs: 12.5,
        lossOut: 0.01,
        lossIn: 0,
        bgp: { established: true, flaps: 0, received: 3, accepted: 2, advertised: 2 },
      },
    ],
    refused: [expect.stringContaining('10.9.0.0/16 is not advertised')],
    everyMs: 10_000,
  })
})

test.each([
  ['there is an SA', {}, {}, true],
  ['IKE is connecting', {}, { state: 'connecting' as const }, false],
  ['probes are lost', {}, { path: { state: 'down' as const } }, false],
  ['probes are not answered yet', {}, { path: { state: 'unknown' as const } }, true],
  ['BFD was up and is down', { bfd: { state: 'down' as const, flaps: 1, detectionMs: 900 } }, {}, false],
  ['BFD never was up', { bfd: { state: 'down' as const, flaps: 0, detectionMs: 900 } }, {}, true],
])('packets pass where %s: %o %o', (_, neighbour, tunnel, passing) => {
  expect(routes().report(statusOf(neighbour, tunnel), [TUNNEL]).paths[0]?.passing).toBe(passing)
})

test('without routing in its document it says that it could', () => {
  const managed = new ManagedRoutes([])
  expect(managed.report(sampleStatus(), [])).toEqual({ paths: [], refused: [] })
  expect(managed.look(sampleStatus(), [], 0)).toBe(false)
})

test('what others own is guarded when BGP has had time to learn of it', () => {
  const managed = routes()
  const groups = (...prefixes: string[]) => [
    { name: 'all', origins: [{ as: 4_200_000_009, ranges: prefixes.map((each) => ({ prefix: each })) }] },
  ]
  const documentWith = (...prefixes: string[]) => {
    const { routing, ...rest } = documentOf()
    return { ...rest, routing: { ...routing!, groups: groups(...prefixes) } }
  }
  const guarded = (now: number) => [managed.look(sampleStatus(), [], now), managed.plan?.guarded]
  managed.take(documentWith('10.3.0.0/16'), SINCE)
  expect(guarded(SINCE + 4_999)).toEqual([false, []])
  // The same again does not put it off.
  managed.take(documentWith('10.3.0.0/16'), SINCE + 4_999)
  expect(guarded(SINCE + 5_000)).toEqual([true, ['10.3.0.0/16']])
  managed.take(documentWith('10.3.0.0/17'), SINCE + 6_000)
  expect(guarded(SINCE + 6_000)).toEqual([false, ['10.3.0.0/16']])
  expect(guarded(SINCE + 11_000)).toEqual([true, ['10.3.0.0/17']])
  expect(guarded(SINCE + 20_000)).toEqual([false, ['10.3.0.0/17']])
})
