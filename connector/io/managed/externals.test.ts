import { describe, expect, it } from 'vitest'
import type { ConnectorDocument } from '../../../protocol/control/document.ts'
import { type DocumentExternal, externalsReportSchema } from '../../../protocol/control/external.ts'
import { address, prefix } from '../../../protocol/net.ts'
import type { BgpNeighbourStatus, ConnectorStatus, TunnelStatus } from '../../../protocol/status.ts'
import { sampleStatus, sampleTunnel } from '../../cli/testing.ts'
import { bgpExternal, ONE, openedKeys, sampleExternal, TWO } from '../../core/managed/testing/externals.ts'
import { ManagedExternals } from './externals.ts'
import { newsOf } from './report.ts'
import type { Unsealer } from './sealing.ts'

const JWS = 'a.b.c'
const COUNTS = { received: 2, accepted: 1, stale: 0, advertised: 1 }
const NONE = { received: 0, accepted: 0, stale: 0, advertised: 0 }
const SINCE = '2026-03-01T10:00:00.000Z'

/** Whose secrets are not `bad`. */
function unsealer(): Unsealer {
  return {
    published: JWS,
    open: async (externals: readonly DocumentExternal[]) => {
      const faults = externals.flatMap(({ id, keys }) =>
        keys.flatMap((key) => (key.secret === 'bad' ? `${id}/${key.id}` : [])),
      )
      return new Map([
        ...openedKeys(externals),
        ...faults.map((name) => [name, { fault: 'cannot be opened' }] as const),
      ])
    },
  } as unknown as Unsealer
}

async function managed(...externals: DocumentExternal[]) {
  const made = new ManagedExternals(unsealer(), address('192.0.2.1'), [prefix('10.1.0.0/16')])
  await give(made, ...externals)
  return made
}

async function give(made: ManagedExternals, ...externals: DocumentExternal[]): Promise<void> {
  await made.take({ tunnels: [], externals } as unknown as ConnectorDocument)
  made.applied()
}

function statusOf(tunnel: Partial<TunnelStatus> = {}, neighbour: Partial<BgpNeighbourStatus> = {}): ConnectorStatus {
  const all = {
    name: 'aws-1',
    tunnel: 'aws-1',
    local: '169.254.20.2',
    address: '169.254.20.1',
    as: 64_512,
    state: 'established' as const,
    since: SINCE,
    flaps: 1,
    ipv4: COUNTS,
    ipv6: NONE,
    ...neighbour,
  }
  const bgp = { as: 65_010, routerId: '169.254.20.2', prefixes: { ipv4: 1, ipv6: 0 }, pendingRoutes: 0, bfdDrops: {} }
  const up = sampleTunnel({ name: 'aws-1', state: 'up', keyId: 'k1', path: { state: 'up' }, ...tunnel })
  return { ...sampleStatus(up), bgp: { ...bgp, neighbours: [all] } }
}

const traffic = (outPackets: number, inPackets: number) => ({
  traffic: { outPackets, inPackets, outBytes: 0, inBytes: 0, inMissing: 3, drops: {} },
})

describe('the report of externals', () => {
  it('says how each is, as the link takes it', async () => {
    const report = (await managed(bgpExternal(ONE))).report(statusOf(traffic(7, 90)))
    expect(externalsReportSchema.parse(report)).toEqual({
      sealingKey: JWS,
      externals: [
        {
          external: ONE.id,
          state: 'up',
          key: 'k1',
          generation: 0,
          drained: false,
          passing: true,
          bgp: { established: true, flaps: 1, received: 2, accepted: 1, advertised: 1 },
          traffic: { outPackets: 7, inPackets: 90, outBytes: 0, inBytes: 0, dropped: 0, missing: 3 },
        },
      ],
      refused: [],
    })
  })

  it('is there without any, so that the control plane knows that this connector can', async () => {
    const made = await managed()
    expect(made.report(sampleStatus())).toEqual({ sealingKey: JWS, externals: [], refused: [] })
    expect([made.plan, made.isUsed]).toEqual([undefined, false])
  })

  it('names the key and the generation that the tunnel is under, and not the wish', async () => {
    const [key] = sampleExternal(ONE).keys
    const made = await managed(bgpExternal(ONE, {}, { generation: 2, keys: [{ ...key!, id: 'k2' }, key!] }))
    const of = (keyId?: string) => {
      const { externals } = made.report(statusOf(keyId === undefined ? { state: 'connecting' } : { keyId }))
      return [externals[0]!.key, externals[0]!.generation]
    }
    expect([of('k1'), of('k1.1'), of('k2.2')]).toEqual([
      ['k1', 0],
      ['k1', 1],
      ['k2', 2],
    ])
  })

  it.each([
    ['up, and probes are answered', {}, true],
    ['up, and nobody ever answered a probe', { path: { state: 'unknown' as const } }, true],
    ['up, and without probes so far', { path: undefined }, true],
    ['up, and probes are lost', { path: { state: 'down' as const } }, false],
    ['connecting', { state: 'connecting' as const }, false],
    ['degraded', { state: 'degraded' as const }, false],
  ])('packets pass where it is %s: %s', async (_, tunnel, passing) => {
    const report = (await managed(bgpExternal(ONE))).report(statusOf(tunnel as Partial<TunnelStatus>))
    expect(report.externals[0]!.passing).toBe(passing)
  })

  it('says what was refused of one that runs, and of one that does not', async () => {
    const bad = { keys: [{ ...sampleExternal(ONE).keys[0]!, id: 'k2', secret: 'bad' }] }
    const made = await managed(bgpExternal(ONE))
    await give(made, bgpExternal(ONE, {}, { ...bad, drained: true }), bgpExternal(TWO, {}, bad))
    const [one, two] = externalsReportSchema.parse(made.report(statusOf())).externals
    expect(one).toMatchObject({ state: 'up', key: 'k1', drained: false, problem: { code: 'key-refused' } })
    expect(two).toMatchObject({ state: 'refused', passing: false, problem: { code: 'key-refused' } })
    expect(made.report(statusOf()).refused).toHaveLength(2)
    expect(made.plan?.plans.map(({ external }) => external.name)).toEqual(['aws-1'])
    // What lies behind it does not leave in the clear all the same.
    expect(made.plan?.guarded).toEqual(['10.9.0.0/16', '10.9.0.0/16'])
  })

  it('has no BGP where it was refused', async () => {
    const made = await managed(bgpExternal(ONE, { peerAs: 65_010 }))
    expect(made.report(statusOf()).externals[0]).not.toHaveProperty('bgp')
  })

  it('tells of the problem of a tunnel that is not up', async () => {
    const lastError = { code: 'no-answer', cause: 'x'.repeat(600), remedy: 'Wait.', at: SINCE }
    const made = await managed(bgpExternal(ONE))
    const report = externalsReportSchema.parse(made.report(statusOf({ state: 'waiting', lastError })))
    expect(report.externals[0]!.problem).toEqual({ code: 'no-answer', cause: 'x'.repeat(512), remedy: 'Wait.' })
    expect(made.report(statusOf({ lastError })).externals[0]).not.toHaveProperty('problem')
  })
})

describe('a drained tunnel', () => {
  it('is counted once a second, and is idle when nothing but probes and keepalives passes', async () => {
    const made = await managed(bgpExternal(ONE))
    expect(made.toCount(0)).toEqual([])
    await give(made, bgpExternal(ONE, {}, { drained: true }))
    expect(made.report(statusOf()).externals[0]).not.toHaveProperty('idleMs')
    const idle: (number | undefined)[] = []
    for (let second = 0; second <= 6; second++) {
      expect(made.toCount(1_000 * second)).toEqual(['aws-1'])
      expect(made.toCount(1_000 * second + 500)).toEqual([])
      const busy = Math.min(second, 2) * 100
      made.counted(statusOf(traffic(busy + 4 * second, 4 * second)), 1_000 * second)
      idle.push(made.report(statusOf()).externals[0]!.idleMs)
    }
    expect(idle).toEqual([0, 0, 0, 1_000, 2_000, 3_000, 4_000])
    await give(made, bgpExternal(ONE))
    expect([made.toCount(60_000), made.report(statusOf()).externals[0]!.idleMs]).toEqual([[], undefined])
  })

  it('goes on being idle over other documents', async () => {
    const made = await managed(bgpExternal(ONE, {}, { drained: true }))
    made.counted(statusOf(traffic(0, 0)), 0)
    await give(made, bgpExternal(ONE, {}, { drained: true, generation: 1 }))
    made.counted(statusOf(traffic(8, 8)), 2_000)
    expect(made.report(statusOf()).externals[0]!.idleMs).toBe(2_000)
  })
})

it('is news: state, key, drain, passing, BGP, that it became idle; not how long, and not traffic', async () => {
  const made = await managed(bgpExternal(ONE, {}, { drained: true }))
  const report = (status: ConnectorStatus) => {
    const own = { version: 1, startedAt: 0, at: 0, software: '1', addresses: [], tunnels: [] }
    return newsOf({ ...own, externals: made.report(status) })
  }
  made.counted(statusOf(traffic(0, 0)), 0)
  const before = report(statusOf())
  made.counted(statusOf(traffic(8, 8)), 2_999)
  expect(report(statusOf(traffic(1, 2)))).toBe(before)
  for (const other of [
    statusOf({ state: 'connecting' }),
    statusOf({ keyId: 'k2' }),
    statusOf({ path: { state: 'down' } }),
    statusOf({}, { state: 'idle' }),
    statusOf({}, { flaps: 2 }),
    statusOf({}, { ipv4: { ...COUNTS, accepted: 0 } }),
  ]) {
    expect(report(other)).not.toBe(before)
  }
  made.counted(statusOf(traffic(8, 8)), 3_000)
  expect(report(statusOf())).not.toBe(before)
})
