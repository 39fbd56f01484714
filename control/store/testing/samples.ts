/** Records and events for tests of the store. */
import { cloudDraftSchema } from '../../../protocol/control/cloud.ts'
import type { Site, Tunnel } from '../../../protocol/control/intent.ts'
import type { AuditEvent } from '../../../protocol/control/resources.ts'
import type { Rotation } from '../../../protocol/control/rotation.ts'
import { chainEvents } from '../../domain/audit.ts'
import { newCloud, newRun } from '../../domain/cloud/records.ts'
import type { CloudRecord, CloudRunRecord } from '../../domain/cloud/types.ts'
import type { RolloutRecord } from '../../domain/intents/rollout.ts'
import type {
  ApiTokenRecord,
  Change,
  FunctionRecord,
  JoinTokenRecord,
  NetworkRecord,
  Replay,
  Repo,
  SecretRecord,
} from '../repo.ts'

export function network(id: string): NetworkRecord {
  return {
    id,
    name: `name-${id}`,
    createdAt: 1000,
    evidenceKey: 'public',
    sealedEvidenceKey: 'sealed',
    intentVersion: 0,
    preferences: { topology: 'mesh' },
  }
}

export function site(id: string, name = `name-${id}`): Site {
  return { id, name, prefixes: ['10.1.0.0/16'] }
}

export function tunnel(id: string, from: string, to: string): Tunnel {
  return { id, name: `name-${id}`, sites: [from, to] }
}

export function token(id: string, name: string, revokedAt?: number): ApiTokenRecord {
  const record: ApiTokenRecord = { id, name, role: 'viewer', hash: `hash of ${id}`, createdAt: 1000 }
  return revokedAt === undefined ? record : { ...record, revokedAt }
}

export function join(id: string, at: string, usedBy?: string): JoinTokenRecord {
  const record: JoinTokenRecord = { id, site: at, hash: `hash of ${id}`, createdAt: 1000, expiresAt: 2000 }
  return usedBy === undefined ? record : { ...record, usedAt: 1500, usedBy }
}

export function program(id: string, name: string, revokedAt?: number): FunctionRecord {
  const allow = [{ site: 'site_1', services: ['erp'] }]
  const record: FunctionRecord = { id, name, hash: `hash of ${id}`, allow, createdAt: 1000, expiresInDays: 30 }
  return revokedAt === undefined ? record : { ...record, revokedAt }
}

export function rotation(id: string, of: string, state: Rotation['state'], run?: string): Rotation {
  const record: Rotation = {
    id,
    tunnel: of,
    trigger: 'manual',
    state,
    to: 2,
    startedBy: 'system',
    createdAt: 1000,
    stateSince: 1000,
  }
  return run === undefined ? record : { ...record, run }
}

export function rollout(id: string, state: RolloutRecord['state']): RolloutRecord {
  return {
    id,
    state,
    startedBy: 'system',
    createdAt: 1000,
    stateSince: 1000,
    base: 1,
    target: 2,
    batchPercent: 25,
    watch: { canarySeconds: 60, batchSeconds: 30, lossPercent: 1 },
    force: false,
    step: 0,
    counts: { sites: 1, in: 0, away: 0 },
    order: [{ site: 'site_1', name: 'hq' }],
    looked: { since: 1000, at: 1000 },
  }
}

export function cloud(id: string, name = `name-${id}`): CloudRecord {
  const draft = cloudDraftSchema.parse({
    name: 'aws',
    site: 'hq',
    region: 'eu-central-1',
    target: { kind: 'vpc', vpc: 'vpc-0123456789abcdef0' },
  })
  return newCloud({ ...draft, name, site: 'site_1' }, { id, externals: ['ext_1', 'ext_2'], at: 1000 })
}

export function cloudRun(id: string, of: string, state: CloudRunRecord['state']): CloudRunRecord {
  const made = { id, cloud: of, kind: 'apply', startedBy: 'system', createdAt: 1000, acceptLoss: false } as const
  return { ...newRun(made), state }
}

export function secret(id: string, sealed: string): SecretRecord {
  return { id, sealed, createdAt: 1000 }
}

export function replay(key: string, at: number, actor = 'token:tok_1'): Replay {
  return {
    key,
    actor,
    request: `hash-${at}`,
    at,
    status: 201,
    headers: { etag: '"1"' },
    body: '{}',
    expiresAt: at + 100,
  }
}

/** Events that follow the network's present head. */
export async function eventsFor(repo: Repo, of: string, ...actions: string[]): Promise<AuditEvent[]> {
  const drafts = actions.map((action) => ({ at: 1000, actor: 'system', action, target: of, after: { action } }))
  return chainEvents(of, await repo.auditHead(of), drafts)
}

export async function found(repo: Repo, ...ids: string[]): Promise<void> {
  for (const id of ids) {
    await repo.commit(id, { changes: [{ type: 'put', kind: 'network', value: network(id), revision: 0 }] })
  }
}

/** Commits changes of sites and tunnels as the network's next intent; tells its version. */
export async function change(repo: Repo, of: string, changes: readonly Change[]): Promise<number> {
  const version = (await repo.get(of, 'network', of))!.value.intentVersion + 1
  await repo.commit(of, { changes, intent: { version, at: 1000, actor: 'system' } })
  return version
}

export function putSite(value: Site, revision?: number): Change {
  return { type: 'put', kind: 'site', value, ...(revision === undefined ? {} : { revision }) }
}

export function putSecret(value: SecretRecord, revision?: number): Change {
  return { type: 'put', kind: 'secret', value, ...(revision === undefined ? {} : { revision }) }
}
