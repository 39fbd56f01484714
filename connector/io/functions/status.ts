/** What a connector that serves functions tells of it. */
import type { FunctionsStatus, ServiceStatus } from '../../../protocol/status.ts'
import type { ServicePlan } from '../../core/functions/plan.ts'
import { type FlowRecord, type FlowRecords, NO_SERVICE } from '../../core/functions/records.ts'
import type { Serving } from './sessions.ts'

export interface StatusParts {
  readonly file: string
  /** Of the file as it is now; what was read before is in force. */
  readonly fault: string | undefined
  readonly serving: Serving | undefined
  readonly records: FlowRecords
  readonly listening: { readonly url: string; readonly listening: boolean } | undefined
  readonly relaySockets: number
}

export function functionsStatus({
  file,
  fault,
  serving,
  records,
  listening,
  relaySockets,
}: StatusParts): FunctionsStatus {
  const { admission, handshakes, plan, pools, sessions } = serving ?? {}
  const bySession = { direct: 0, relay: 0 }
  for (const { via, known } of sessions ?? []) if (known !== undefined) bySession[via]++
  return {
    file,
    ...(fault === undefined ? {} : { fault }),
    ...(listening === undefined ? {} : { listen: listening }),
    relaySockets,
    sessions: bySession,
    halfOpen: admission?.handshakes ?? 0,
    streams: admission?.streams ?? 0,
    heldBytes: admission?.held ?? 0,
    handshakes: { ...handshakes?.counts },
    shed: { ...admission?.shed },
    services: (plan?.services ?? []).map((service) => serviceStatus(service, records, pools?.ready(service.name) ?? 0)),
    other: { ...records.counts.get(NO_SERVICE)?.outcomes },
    ...(records.last === undefined ? {} : { lastStream: lastStream(records.last) }),
  }
}

function lastStream(record: FlowRecord): NonNullable<FunctionsStatus['lastStream']> {
  const { endedAt, via, functionName, service, outcome } = record
  const at = new Date(endedAt).toISOString()
  return { at, via, function: functionName, ...(service === undefined ? {} : { service }), outcome }
}

function serviceStatus(service: ServicePlan, records: FlowRecords, ready: number): ServiceStatus {
  const { open = 0, bytesIn = 0, bytesOut = 0, outcomes = {}, lastProblem } = records.counts.get(service.name) ?? {}
  return {
    name: service.name,
    kind: service.kind,
    target: targetText(service),
    allow: service.allow,
    open,
    warm: ready,
    bytesIn,
    bytesOut,
    outcomes: { ...outcomes },
    ...(lastProblem === undefined
      ? {}
      : { lastProblem: { ...lastProblem, at: new Date(lastProblem.at).toISOString() } }),
  }
}

export function targetText(service: ServicePlan): string {
  if (service.kind === 'network') {
    const ports = service.ports.map(({ start, end }) => (start === end ? String(start) : `${start}-${end}`))
    return `${service.networks.join(', ')} port ${ports.join(', ')}`
  }
  const host = service.host.includes(':') ? `[${service.host}]` : service.host
  return `${service.kind}://${host}:${service.port}`
}
