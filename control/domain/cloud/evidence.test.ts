import { describe, expect, test } from 'vitest'
import { cloudEvidenceSchema } from '../../../protocol/control/cloud.ts'
import type { ExternalStatus } from '../../../protocol/control/external.ts'
import { buildCloudEvidence, type CloudSaid, type RotationNotes } from './evidence.ts'
import { CLOUD, recordOf, runOf } from './testing/model-run.ts'

const NETWORK = 'net_00000000000000000001'
const CONNECTOR = 'con_00000000000000000001'
const OLD = '0123456789abcdef'
const FRESH = 'fedcba9876543210'
const record = {
  ...recordOf(),
  tunnels: recordOf().tunnels.map((tunnel) => ({ ...tunnel, keys: [{ id: 'k2', fingerprint: FRESH, since: 5 }] })),
}
const externals = record.tunnels.map(({ external }) => external)
const step = (action: string, resource: string, endedAt: number) => {
  return { action, resource, detail: '', state: 'done' as const, begunAt: endedAt - 1, endedAt, attempts: 1 }
}
const drains = ['aws-1', 'aws-2'].flatMap((name, at) => [
  step('drain', name, 100 + 1000 * at),
  step('modify-tunnel', name, 200 + 1000 * at),
  step('drain', name, 900 + 1000 * at),
])
const run = { ...runOf('rotate', 50), state: 'done' as const, finishedAt: 3000, steps: drains }

function traffic(
  packets: number,
  more: { dropped?: number; missing?: number } = { missing: 0 },
): ExternalStatus['traffic'] {
  return { outPackets: packets, inPackets: packets + 1, outBytes: 0, inBytes: 0, dropped: 0, ...more }
}

const notes = (packets = 10, startedAt = 1): RotationNotes => ({
  run: run.id,
  said: { connector: CONNECTOR, startedAt },
  tunnels: externals.map((external) => ({ external, oldKey: OLD, traffic: traffic(packets), idleMs: 3100 })),
})

const said = (packets = 30, more?: Parameters<typeof traffic>[1]): CloudSaid => ({
  connector: CONNECTOR,
  at: 2900,
  version: 9,
  startedAt: 1,
  externals: externals.map((external) => ({
    external,
    state: 'up',
    generation: 0,
    drained: false,
    passing: true,
    traffic: traffic(packets, more),
  })),
})

describe('evidence of a rotation at a cloud', () => {
  test('has keys, times and what passed while it lasted', () => {
    const evidence = buildCloudEvidence(NETWORK, run, record, notes(), said())!
    expect(cloudEvidenceSchema.parse(evidence)).toEqual(evidence)
    expect(evidence).toMatchObject({
      cloud: CLOUD,
      outcome: 'done',
      complete: true,
      traffic: { outPackets: 40, inPackets: 40, dropped: 0, missing: 0 },
      tunnels: [
        { external: externals[0], oldKey: OLD, newKey: FRESH, drainedAt: 100, idleMs: 3100, backAt: 900 },
        { external: externals[1], oldKey: OLD, newKey: FRESH, drainedAt: 1100, idleMs: 3100, backAt: 1900 },
      ],
    })
  })

  test('counts what was lost', () => {
    const evidence = buildCloudEvidence(NETWORK, run, record, notes(), said(30, { dropped: 2, missing: 3 }))!
    expect(evidence.traffic).toMatchObject({ dropped: 4, missing: 6 })
  })

  test('does not say what it does not know', () => {
    const told = (of: Parameters<typeof buildCloudEvidence>[3], heard: CloudSaid | undefined) =>
      buildCloudEvidence(NETWORK, run, record, of, heard)!
    // Of missing packets one tunnel tells nothing.
    const [first, ...rest] = said().externals
    const half = { ...said(), externals: [{ ...first!, traffic: traffic(30, {}) }, ...rest] }
    expect(told(notes(), half)).toMatchObject({ complete: true })
    expect(told(notes(), half).traffic).not.toHaveProperty('missing')
    // Counters of another start of the connector, or of another connector, begin at zero.
    expect(told(notes(10, 0), said())).toMatchObject({ complete: false, traffic: { outPackets: 60 } })
    expect(told(notes(), { ...said(), connector: 'con_00000000000000000002' }).complete).toBe(false)
    expect(told(notes(), undefined)).toMatchObject({ complete: false, traffic: { outPackets: 0 } })
    expect(told(notes(), { ...said(), externals: [first!] }).complete).toBe(false)
  })

  test('of one that went back says why, and that the key is the old one', () => {
    const error = { code: 'not-idle', cause: 'Packets still come.', remedy: 'Look.' }
    const kept = record.tunnels.map((tunnel) => ({ ...tunnel, keys: [{ id: 'k1', fingerprint: OLD, since: 1 }] }))
    const ended = { ...run, state: 'failed' as const, error, steps: drains.slice(0, 1) }
    const evidence = buildCloudEvidence(NETWORK, ended, { ...record, tunnels: kept }, notes(), said())!
    expect(evidence).toMatchObject({ outcome: 'failed', reason: 'not-idle: Packets still come.' })
    expect(evidence.tunnels[0]).toEqual({ external: externals[0], oldKey: OLD, drainedAt: 100, idleMs: 3100 })
  })

  test('there is none before the end', () => {
    const { finishedAt: _, ...rest } = run
    expect(buildCloudEvidence(NETWORK, { ...rest, state: 'running' }, record, notes(), said())).toBeUndefined()
  })
})
