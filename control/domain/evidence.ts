/** What a rotation did to the traffic, from what the ends counted, without making it look better than it is known. */
import type { TunnelReport } from '../../protocol/control/link.ts'
import type { Evidence, Rotation } from '../../protocol/control/rotation.ts'

type Counters = TunnelReport['traffic']

/** The counters of one end before the rotation, and from which start of the connector they are. */
export interface Baseline {
  readonly rotation: string
  readonly traffic: Counters
  readonly startedAt: number
}

/** One end as its last report tells. */
export interface EvidenceEnd {
  readonly connector: string
  readonly startedAt: number
  readonly report: Pick<TunnelReport, 'traffic'>
  readonly baseline?: Baseline | undefined
}

type EndEvidence = Evidence['ends'][number]

/** Undefined for a rotation that has not ended, or ended before it began: there is nothing to tell. `ends`: those that have reported. */
export function buildEvidence(network: string, rotation: Rotation, ends: readonly EvidenceEnd[]): Evidence | undefined {
  const { state, begunAt, finishedAt, from, to, reason, oldFingerprint, newFingerprint } = rotation
  if (begunAt === undefined || finishedAt === undefined) return undefined
  if (state !== 'done' && state !== 'aborted') return undefined
  const told = ends.flatMap((end) => endEvidence(rotation.id, end) ?? [])
  const loss = lossOf(told)
  return {
    use: 'isthmus-rotation-evidence',
    network,
    rotation: rotation.id,
    tunnel: rotation.tunnel,
    trigger: rotation.trigger,
    startedBy: rotation.startedBy,
    startedAt: begunAt,
    finishedAt,
    outcome: state,
    ...(reason === undefined ? {} : { reason }),
    ...(from === undefined ? {} : { oldKey: keyEvidence(from, oldFingerprint) }),
    newKey: keyEvidence(to, newFingerprint),
    ends: told,
    packetsSent: told.reduce((sum, { traffic }) => sum + traffic.outPackets, 0),
    ...loss,
    complete: told.length === 2 && told.every(({ restarted }) => !restarted),
  }
}

/** Undefined where nothing was counted before the rotation: a difference to nothing would be made up. */
function endEvidence(
  rotation: string,
  { connector, startedAt, report, baseline }: EvidenceEnd,
): EndEvidence | undefined {
  if (baseline === undefined || baseline.rotation !== rotation) return undefined
  const { traffic } = report
  // Counters begin at zero with the connector; ones that went back did so too, whatever it says of its start.
  const restarted =
    baseline.startedAt !== startedAt ||
    traffic.outPackets < baseline.traffic.outPackets ||
    traffic.inPackets < baseline.traffic.inPackets
  const before: Counters = restarted ? ZERO : baseline.traffic
  const both = traffic.missing !== undefined && (restarted || baseline.traffic.missing !== undefined)
  return {
    connector,
    restarted,
    traffic: {
      outPackets: traffic.outPackets - before.outPackets,
      inPackets: traffic.inPackets - before.inPackets,
      dropped: Math.max(0, traffic.dropped - before.dropped),
      // What was missing before may have come late.
      ...(both ? { missing: Math.max(0, traffic.missing! - (before.missing ?? 0)) } : {}),
    },
  }
}

function lossOf(ends: readonly EndEvidence[]): Pick<Evidence, 'packetsLost' | 'measured'> {
  const dropped = ends.reduce((sum, { traffic }) => sum + traffic.dropped, 0)
  const missing = ends.map(({ traffic }) => traffic.missing)
  if (ends.length === 2 && missing.every((count) => count !== undefined)) {
    return { packetsLost: dropped + missing[0]! + missing[1]!, measured: 'sequence-numbers' }
  }
  const [left, right] = ends
  if (left === undefined || right === undefined) return { packetsLost: dropped, measured: 'counters' }
  const onTheWay =
    Math.max(0, left.traffic.outPackets - right.traffic.inPackets) +
    Math.max(0, right.traffic.outPackets - left.traffic.inPackets)
  return { packetsLost: dropped + onTheWay, measured: 'counters' }
}

function keyEvidence(epoch: number, fingerprint: string | undefined): { epoch: number; fingerprint?: string } {
  return { epoch, ...(fingerprint === undefined ? {} : { fingerprint }) }
}

const ZERO: Counters = { outPackets: 0, inPackets: 0, outBytes: 0, inBytes: 0, dropped: 0, missing: 0 }
