/** What a rotation at a cloud did to the traffic, without making it look better than it is known. */
import type { CloudEvidence } from '../../../protocol/control/cloud.ts'
import type { ExternalStatus } from '../../../protocol/control/external.ts'
import type { CloudRecord, CloudRunRecord } from './types.ts'

type Traffic = ExternalStatus['traffic']

/** The last that the connector said of the tunnels of one connection. */
export interface CloudSaid {
  readonly connector: string
  readonly at: number
  /** Of the connector's document that it had carried out. */
  readonly version: number
  readonly startedAt: number
  readonly externals: readonly ExternalStatus[]
}

/** How it was when a rotation began, and what was seen of it since. */
export interface RotationNotes {
  readonly run: string
  readonly said?: Pick<CloudSaid, 'connector' | 'startedAt'>
  readonly tunnels: readonly {
    readonly external: string
    readonly oldKey?: string
    readonly traffic?: Traffic
    /** When the provider was asked to change it. */
    readonly idleMs?: number
  }[]
}

/** Undefined for a run that has not ended. `notes`: of this run; `said`: at its end. */
export function buildCloudEvidence(
  network: string,
  run: CloudRunRecord,
  record: CloudRecord,
  notes: RotationNotes,
  said: CloudSaid | undefined,
): CloudEvidence | undefined {
  const { state, finishedAt, error } = run
  if (finishedAt === undefined || state === 'running' || state === 'aborting') return undefined
  const restarted =
    said === undefined || said.connector !== notes.said?.connector || said.startedAt !== notes.said.startedAt
  const told = notes.tunnels.map(({ external, traffic: before }) => {
    const now = said?.externals.find((each) => each.external === external)?.traffic
    return now === undefined || before === undefined ? undefined : difference(restarted ? undefined : before, now)
  })
  return {
    use: 'isthmus-cloud-rotation-evidence',
    network,
    run: run.id,
    cloud: run.cloud,
    startedBy: run.startedBy,
    startedAt: run.createdAt,
    finishedAt,
    outcome: state,
    ...(error === undefined ? {} : { reason: `${error.code}: ${error.cause}` }),
    tunnels: notes.tunnels.map((tunnel) => tunnelEvidence(run, record, tunnel)),
    traffic: sumOf(told),
    complete: !restarted && told.every((each) => each !== undefined),
  }
}

function tunnelEvidence(
  { steps }: CloudRunRecord,
  { tunnels }: CloudRecord,
  { external, oldKey, idleMs }: RotationNotes['tunnels'][number],
): CloudEvidence['tunnels'][number] {
  const tunnel = tunnels.find((each) => each.external === external)
  const key = tunnel?.keys[0]?.fingerprint
  const drains = steps.filter(({ action, resource, state }) => {
    return action === 'drain' && resource === tunnel?.name && state === 'done'
  })
  const [first] = drains
  const last = drains.length > 1 ? drains.at(-1) : undefined
  return {
    external,
    ...(oldKey === undefined ? {} : { oldKey }),
    ...(key === undefined || key === oldKey ? {} : { newKey: key }),
    ...(first?.endedAt === undefined ? {} : { drainedAt: first.endedAt }),
    ...(idleMs === undefined ? {} : { idleMs }),
    ...(last?.endedAt === undefined ? {} : { backAt: last.endedAt }),
  }
}

/** Counters begin at zero with the connector; without those from before, all that it counted is told. */
function difference(before: Traffic | undefined, now: Traffic): CloudEvidence['traffic'] {
  const since = (count: number, earlier = 0) => Math.max(0, count - earlier)
  const known = now.missing !== undefined && (before === undefined || before.missing !== undefined)
  return {
    outPackets: since(now.outPackets, before?.outPackets),
    inPackets: since(now.inPackets, before?.inPackets),
    dropped: since(now.dropped, before?.dropped),
    // What was missing before may have come late.
    ...(known ? { missing: since(now.missing!, before?.missing) } : {}),
  }
}

function sumOf(all: readonly (CloudEvidence['traffic'] | undefined)[]): CloudEvidence['traffic'] {
  const told = all.filter((each) => each !== undefined)
  const sum = (pick: (each: CloudEvidence['traffic']) => number) => told.reduce((total, each) => total + pick(each), 0)
  const known = told.length === all.length && told.every(({ missing }) => missing !== undefined)
  return {
    outPackets: sum(({ outPackets }) => outPackets),
    inPackets: sum(({ inPackets }) => inPackets),
    dropped: sum(({ dropped }) => dropped),
    ...(known ? { missing: sum(({ missing }) => missing!) } : {}),
  }
}
