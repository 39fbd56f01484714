import { expect, test } from 'vitest'
import { connectorReportSchema } from '../../../protocol/control/link.ts'
import type { Traffic } from '../../../protocol/status.ts'
import { sampleStatus, sampleTunnel } from '../../cli/testing.ts'
import { buildReport, newsOf } from './report.ts'

const TUNNEL = { id: `tun_${'a'.repeat(20)}`, name: 'branch', epochs: [], refusal: undefined }
const TRAFFIC: Traffic = {
  inPackets: 90,
  inBytes: 9000,
  outPackets: 7,
  outBytes: 700,
  drops: { no_sa: 2, replayed: 1 },
}

function reportOf(traffic: Traffic, name = TUNNEL.name) {
  const parts = { version: 3, startedAt: 1000, now: 2000, software: '1.0.0', addresses: ['192.0.2.1'] }
  const status = sampleStatus(sampleTunnel({ traffic }))
  const routing = { paths: [], refused: [] }
  return buildReport({ ...parts, status, tunnels: [{ ...TUNNEL, name }], routing })
}

test('the traffic of a tunnel, with what is missing of it where that is known', () => {
  const told = { outPackets: 7, inPackets: 90, outBytes: 700, inBytes: 9000, dropped: 3 }
  expect(reportOf({ ...TRAFFIC, inMissing: 4 }).tunnels[0]!.traffic).toEqual({ ...told, missing: 4 })
  expect(reportOf({ ...TRAFFIC, inMissing: 0 }).tunnels[0]!.traffic).toEqual({ ...told, missing: 0 })
  const unknown = reportOf(TRAFFIC).tunnels[0]!.traffic
  expect(unknown).toEqual(told)
  expect(unknown).not.toHaveProperty('missing')
})

test('of a tunnel that has carried nothing, nothing is missing', () => {
  expect(reportOf(TRAFFIC, 'other').tunnels[0]!.traffic).toMatchObject({ inPackets: 0, missing: 0 })
})

test('a report is as the link takes it, and traffic alone is no news', () => {
  const [before, after] = [0, 4].map((inMissing) => reportOf({ ...TRAFFIC, inMissing }))
  expect(connectorReportSchema.safeParse(before).error).toBeUndefined()
  expect(newsOf(before!)).toBe(newsOf(after!))
  expect(newsOf(before!)).not.toBe(newsOf({ ...before!, version: 4 }))
})

test('of paths it is news whether they pass, and not how long packets take', () => {
  const report = reportOf(TRAFFIC)
  const withPath = (passing: boolean, rttMs: number) => {
    return newsOf({ ...report, routing: { paths: [{ tunnel: TUNNEL.id, passing, rttMs }], refused: [] } })
  }
  expect(withPath(true, 10)).toBe(withPath(true, 20))
  expect(withPath(true, 10)).not.toBe(withPath(false, 10))
})
