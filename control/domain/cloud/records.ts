/** Records of connections and their runs, as they begin and as people change them. */
import { type Cloud, type CloudDraft, cloudDraftSchema } from '../../../protocol/control/cloud.ts'
import type { CodedFault } from '../refusal.ts'
import type { CloudRecord, CloudRunRecord, CloudTunnelRecord } from './types.ts'

/** A draft whose site and policy are identifiers. */
export type ResolvedDraft = CloudDraft

const TUNNELS = [1, 2]

/** `externals`: the identifiers of its two tunnels. */
export function newCloud(
  draft: ResolvedDraft,
  made: { readonly id: string; readonly externals: readonly string[]; readonly at: number },
): CloudRecord {
  return {
    ...present(draft),
    id: made.id,
    createdAt: made.at,
    resources: [],
    destroying: false,
    tunnels: TUNNELS.map((number, index) => ({
      external: made.externals[index]!,
      name: tunnelName(draft.name, number),
      insideCidr: draft.insideCidrs?.[index] ?? '',
      keys: [],
      drained: false,
      generation: 0,
      lastKey: 0,
    })),
  }
}

/** The record with another draft. What it was built with stays as it was, until a run changes it at the provider. */
export function changedCloud(record: CloudRecord, draft: ResolvedDraft): CloudRecord {
  const { local: _, remote: __, policy: ___, insideCidrs: ____, resolved, ...rest } = record
  const built = isBuilt(record)
  const earlier = record.earlierOptions ?? record.options
  const differs = built && JSON.stringify(sorted(earlier)) !== JSON.stringify(sorted(draft.options))
  return {
    ...rest,
    ...present(draft),
    // Before anything was built with them, everything is found out anew.
    ...(resolved === undefined || !built ? {} : { resolved }),
    ...(differs ? { earlierOptions: earlier } : {}),
    tunnels: record.tunnels.map(
      (tunnel, index): CloudTunnelRecord => ({
        ...tunnel,
        name: tunnelName(draft.name, index + 1),
        ...(built ? {} : { insideCidr: draft.insideCidrs?.[index] ?? '' }),
      }),
    ),
  }
}

/** What cannot be changed once something is there: AWS has no way to. */
export function fixedFaults(record: CloudRecord, draft: ResolvedDraft): CodedFault[] {
  if (!isBuilt(record)) return []
  const fixed = ['site', 'region', 'target', 'gateway', 'routing', 'insideCidrs'] as const
  return fixed
    .filter((name) => JSON.stringify(sorted(record[name])) !== JSON.stringify(sorted(draft[name])))
    .map((name) => ({ pointer: `/${name}`, detail: 'it cannot be changed while the connection is there' }))
}

/** Whether there is, or may be, something of it at the provider. */
export function isBuilt({ resources, tunnels }: CloudRecord): boolean {
  return resources.length > 0 || tunnels.some(({ outside }) => outside !== undefined)
}

/** What was asked for, as a person would have written it. */
export function draftOf(record: Cloud | CloudRecord): ResolvedDraft {
  const names = Object.keys(cloudDraftSchema.shape) as (keyof CloudDraft)[]
  const all = record as unknown as Partial<Record<keyof CloudDraft, unknown>>
  return Object.fromEntries(names.filter((name) => all[name] !== undefined).map((name) => [name, all[name]])) as never
}

export function newRun(
  made: Pick<CloudRunRecord, 'id' | 'cloud' | 'kind' | 'startedBy' | 'createdAt' | 'acceptLoss'>,
): CloudRunRecord {
  return { ...made, state: 'running', steps: [], progress: 0, memory: {}, nextAt: made.createdAt }
}

export function isRunning(state: CloudRunRecord['state']): boolean {
  return state === 'running' || state === 'aborting'
}

/** Without what is not said: an optional field is absent, and never undefined. */
function present(draft: ResolvedDraft): Omit<CloudRecord, 'id' | 'createdAt' | 'resources' | 'destroying' | 'tunnels'> {
  return Object.fromEntries(Object.entries(draft).filter(([, value]) => value !== undefined)) as never
}

function tunnelName(name: string, number: number): string {
  // A name has 63 letters at most.
  return `${name.slice(0, 61)}-${number}`
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1)))
}
