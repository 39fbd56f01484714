import { describe, expect, test } from 'vitest'
import { evidenceSchema, type Rotation } from '../../protocol/control/rotation.ts'
import { buildEvidence, type EvidenceEnd } from './evidence.ts'

const NETWORK = 'net_00000000000000000000'
const rotation: Rotation = {
  id: 'rot_00000000000000000000',
  tunnel: 'tun_00000000000000000000',
  trigger: 'manual',
  state: 'done',
  from: 4,
  to: 5,
  oldFingerprint: '0123456789abcdef',
  newFingerprint: 'fedcba9876543210',
  startedBy: 'token:tok_00000000000000000000',
  createdAt: 50,
  begunAt: 100,
  stateSince: 900,
  finishedAt: 900,
}

/** Counters that say only what matters here. */
const counted = (outPackets: number, inPackets: number, more: { dropped?: number; missing?: number } = {}) => ({
  outPackets,
  inPackets,
  outBytes: outPackets * 100,
  inBytes: inPackets * 100,
  dropped: 0,
  ...more,
})

const end = (
  which: 'a' | 'b',
  before: ReturnType<typeof counted>,
  after: ReturnType<typeof counted>,
  startedAt = 1,
): EvidenceEnd => ({
  connector: `con_0000000000000000000${which}`,
  startedAt,
  report: { traffic: after },
  baseline: { rotation: rotation.id, traffic: before, startedAt: 1 },
})

describe('evidence', () => {
  test('tells who, when, which keys, and counts by sequence numbers where both ends do', () => {
    const evidence = buildEvidence(NETWORK, rotation, [
      end('a', counted(1000, 500, { missing: 7 }), counted(2000, 1500, { missing: 7 })),
      end('b', counted(500, 990, { missing: 3, dropped: 1 }), counted(1510, 1980, { missing: 4, dropped: 3 })),
    ])
    expect(evidenceSchema.parse(evidence)).toEqual(evidence)
    expect(evidence).toMatchObject({
      startedAt: 100,
      finishedAt: 900,
      outcome: 'done',
      oldKey: { epoch: 4, fingerprint: '0123456789abcdef' },
      newKey: { epoch: 5, fingerprint: 'fedcba9876543210' },
      packetsSent: 2010,
      // One missing and two dropped at b; that the reports are not of one moment is no loss.
      packetsLost: 3,
      measured: 'sequence-numbers',
      complete: true,
    })
  })

  test('by counters alone, what has not arrived by the last report is lost', () => {
    const evidence = buildEvidence(NETWORK, rotation, [
      end('a', counted(100, 100), counted(200, 190)),
      end('b', counted(100, 100), counted(195, 198)),
    ])
    expect(evidence).toMatchObject({ packetsSent: 195, packetsLost: 2 + 5, measured: 'counters', complete: true })
  })

  test('a connector that restarted counts from its start, and the figures are called incomplete', () => {
    const evidence = buildEvidence(NETWORK, rotation, [
      end('a', counted(1000, 1000, { missing: 5 }), counted(30, 20, { missing: 1 }), 400),
      end('b', counted(100, 100, { missing: 0 }), counted(150, 140, { missing: 2 })),
    ])
    expect(evidence?.ends).toMatchObject([
      { restarted: true, traffic: { outPackets: 30, inPackets: 20, missing: 1 } },
      { restarted: false, traffic: { outPackets: 50, inPackets: 40, missing: 2 } },
    ])
    expect(evidence).toMatchObject({ packetsLost: 3, complete: false })
  })

  test('counters that went back are a restart, whatever the connector says', () => {
    const evidence = buildEvidence(NETWORK, rotation, [end('a', counted(1000, 10), counted(5, 20))])
    expect(evidence?.ends[0]).toMatchObject({ restarted: true, traffic: { outPackets: 5, inPackets: 20 } })
    expect(evidence?.complete).toBe(false)
  })

  test('packets that came late do not make a negative loss', () => {
    const late = counted(10, 10, { missing: 2 })
    const evidence = buildEvidence(NETWORK, rotation, [
      end('a', counted(5, 5, { missing: 4 }), late),
      end('b', counted(5, 5, { missing: 2 }), late),
    ])
    expect(evidence?.packetsLost).toBe(0)
  })

  test('an end that told nothing before is left out, not made up', () => {
    const { baseline: _, ...stranger } = end('b', counted(0, 0), counted(9, 9))
    const other = {
      ...end('b', counted(0, 0), counted(9, 9)),
      baseline: { rotation: 'rot_x', traffic: counted(0, 0), startedAt: 1 },
    }
    for (const second of [stranger, other]) {
      const evidence = buildEvidence(NETWORK, rotation, [end('a', counted(0, 0), counted(5, 0)), second])
      expect(evidence?.ends).toHaveLength(1)
      expect(evidence).toMatchObject({ packetsSent: 5, packetsLost: 0, complete: false, measured: 'counters' })
    }
    expect(buildEvidence(NETWORK, rotation, [])).toMatchObject({ ends: [], complete: false })
  })

  test('an abort says why; a first key has no old one; what never began has no evidence', () => {
    const { from: _, oldFingerprint: __, newFingerprint: ___, ...first } = rotation
    const aborted = { ...first, state: 'aborted', reason: 'it took too long' } as const
    const evidence = buildEvidence(NETWORK, aborted, [])
    expect(evidence).toMatchObject({ outcome: 'aborted', reason: 'it took too long', newKey: { epoch: 5 } })
    expect(evidence?.oldKey).toBeUndefined()
    const { begunAt: ____, ...queued } = aborted
    expect(buildEvidence(NETWORK, queued, [])).toBeUndefined()
    const { finishedAt: _____, ...running } = rotation
    expect(buildEvidence(NETWORK, { ...running, state: 'retiring' }, [])).toBeUndefined()
  })
})
