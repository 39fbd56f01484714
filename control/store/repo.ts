/**
 * Where the control plane keeps what it knows. One interface, one implementation in portable SQL, three homes for the
 * SQL: a Durable Object, `node:sqlite`, PostgreSQL.
 *
 * Everything belongs to one network; nothing here takes or gives anything of two. Reads are single statements.
 * Writes are batches: all changes of one decision, with the revisions that it was based on, in one transaction.
 */
import type { FunctionInfo, FunctionsReport } from '../../protocol/control/grant.ts'
import type { Intent, Preferences, Site, Tunnel } from '../../protocol/control/intent.ts'
import type { EpochStatus, TunnelReport } from '../../protocol/control/link.ts'
import type { AuditEvent, Connector, Role } from '../../protocol/control/resources.ts'
import type { Policy, Rotation, Run } from '../../protocol/control/rotation.ts'
import type { CloudSaid, RotationNotes } from '../domain/cloud/evidence.ts'
import type { CloudView } from '../domain/cloud/state.ts'
import type { CloudRecord, CloudRunRecord } from '../domain/cloud/types.ts'
import type { RolloutRecord } from '../domain/intents/rollout.ts'
import type { RoutingPart } from '../domain/intents/routing-view.ts'
import type { Health } from '../domain/intents/watch.ts'
import type { TunnelKeys } from '../domain/keys.ts'

/** A network as it is kept. The private halves of its keys are sealed (`seal.ts`). */
export interface NetworkRecord {
  readonly id: string
  readonly name: string
  readonly createdAt: number
  readonly evidenceKey: string
  readonly sealedEvidenceKey: string
  /** Signs session tokens of functions. Absent in a network that is older than they are, until it is needed. */
  readonly functionKey?: string
  readonly sealedFunctionKey?: string
  readonly intentVersion: number
  readonly preferences: Preferences
  /** The rollout that is under way. */
  readonly rollout?: string
}

/** Only a hash of the secret is kept: SHA-256, which is enough for 256 random bits. */
export interface ApiTokenRecord {
  readonly id: string
  readonly name: string
  readonly role: Role
  readonly hash: string
  readonly createdAt: number
  readonly expiresAt?: number
  readonly revokedAt?: number
}

export interface JoinTokenRecord {
  readonly id: string
  readonly site: string
  readonly hash: string
  readonly createdAt: number
  readonly expiresAt: number
  readonly usedAt?: number
  readonly usedBy?: string
  readonly revokedAt?: number
}

export interface ConnectorRecord extends Omit<Connector, 'linked' | 'lastSeenAt' | 'functions'> {
  /** As it last reported; its signature was verified. */
  readonly functions?: FunctionsReport
  /** As it last reported; only then does its document have a section for routing. */
  readonly canRoute?: boolean
  /** JWS of `SealingKey`, as it last reported it; only then does its document have tunnels to other gateways. */
  readonly sealingKey?: string
  /** Of the content that has `documentVersion`: tells whether a document differs from the last one. */
  readonly documentHash?: string
}

/** A program that may reach services. Only a hash of its secret is kept. */
export interface FunctionRecord extends Omit<FunctionInfo, 'lastGrantAt'> {
  readonly hash: string
  /** How long each of its tokens is good; for ever when absent. */
  readonly expiresInDays?: number
  /** When it got its present token; absent while that is the first. */
  readonly renewedAt?: number
}

/** The last that each end said of a tunnel. */
export interface TunnelEndRecord {
  /** `<tunnel>/<connector>`. */
  readonly id: string
  readonly tunnel: string
  readonly connector: string
  readonly at: number
  /** Of the connector's document that it had carried out. */
  readonly version: number
  /** When the connector started: its counters are from then on. */
  readonly startedAt: number
  readonly report: TunnelReport
  /** Counters at the beginning of the rotation under way, and from which start of the connector they are. */
  readonly baseline?: {
    readonly rotation: string
    readonly traffic: TunnelReport['traffic']
    readonly startedAt: number
  }
  readonly epochs: readonly EpochStatus[]
}

/** The last that a connector said of itself while a rollout concerned it. Its id is the connector's. */
export interface HealthRecord extends Health {
  readonly id: string
  /**
   * As it was when its site got the target of that rollout. `due`: the version of its document that has what the
   * rollout gave it last.
   */
  readonly before?: { readonly rollout: string; readonly health: Health; readonly due: number }
  /** As it was when watching began in that step of it. */
  readonly mark?: { readonly rollout: string; readonly step: number; readonly health: Health }
}

/** A secret of somebody else, enveloped (`seal.ts`). */
export interface SecretRecord {
  readonly id: string
  readonly sealed: string
  readonly createdAt: number
}

/** What a provider and a connector said last of a cloud connection. Its id is the connection's. */
export interface CloudViewRecord extends CloudView {
  readonly id: string
  /** Of the connection. */
  readonly site: string
  /** When the provider was asked last, whether or not it answered. */
  readonly askedAt?: number
  readonly said?: CloudSaid
  /** How it was when the rotation that is under way, or the last one, began; and what was seen of it since. */
  readonly rotation?: RotationNotes
}

export interface Records {
  network: NetworkRecord
  token: ApiTokenRecord
  join: JoinTokenRecord
  site: Site
  tunnel: Tunnel
  /** Of the intent's routing: `general`, and one for each site and each tunnel, by its id. */
  routing: RoutingPart
  connector: ConnectorRecord
  keys: TunnelKeys
  end: TunnelEndRecord
  policy: Policy
  run: Run
  rotation: Rotation
  rollout: RolloutRecord
  health: HealthRecord
  function: FunctionRecord
  secret: SecretRecord
  cloud: CloudRecord
  cloudRun: CloudRunRecord
  cloudView: CloudViewRecord
}
export type Kind = keyof Records

export interface Entry<K extends Kind> {
  readonly value: Records[K]
  /** 1 when made, one more with each change. */
  readonly revision: number
}

export interface Page {
  /** Entries whose id sorts behind this one. */
  readonly after?: string
  /** At most 1000. */
  readonly limit: number
  /** Only entries filed under this: see `refOf` in `kinds.ts`. */
  readonly ref?: string
}

/** `revision`: what the decision was based on; 0 for "there is none yet". Absent: whatever is there. */
export type Change =
  | {
      [K in Kind]: { readonly type: 'put'; readonly kind: K; readonly value: Records[K]; readonly revision?: number }
    }[Kind]
  | { readonly type: 'remove'; readonly kind: Kind; readonly id: string; readonly revision?: number }

export interface Replay {
  readonly key: string
  readonly actor: string
  /** SHA-256 of method, target and body: a key that comes with another one is refused. */
  readonly request: string
  /** When it was answered. A stored replay that had expired by then gives way. */
  readonly at: number
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly expiresAt: number
}

export interface Batch {
  readonly changes: readonly Change[]
  /**
   * The new version of the intent when `changes` touch sites, tunnels, routing or preferences; must be one more than the
   * present one. These parts are kept by version, so that every old intent can be read again. The network's
   * `intentVersion` follows by itself; a new network begins with the empty intent 0.
   */
  readonly intent?: { readonly version: number; readonly at: number; readonly actor: string }
  /** Appended to the audit log; chained by the caller, `seq` following the present head without a gap. */
  readonly audit?: readonly AuditEvent[]
  readonly replay?: Replay
}

export interface Repo {
  get<K extends Kind>(network: string, kind: K, id: string): Promise<Entry<K> | undefined>
  /** Names are unique within network and kind. */
  byName<K extends Kind>(network: string, kind: K, name: string): Promise<Entry<K> | undefined>
  list<K extends Kind>(network: string, kind: K, page: Page): Promise<Entry<K>[]>
  count(network: string, kind: Kind, ref?: string): Promise<number>
  /** Of all records of a kind, by id: tells what has changed without reading it. */
  revisions(network: string, kind: Kind): Promise<ReadonlyMap<string, number>>
  /** All networks that this store holds, by id. */
  networks(page: Page): Promise<Entry<'network'>[]>
  /** Whether any network that this store holds has the name. */
  hasNetworkNamed(name: string): Promise<boolean>
  /** The intent as it was at `version`, or undefined when there never was one. */
  intentAt(network: string, version: number): Promise<Intent | undefined>
  audit(network: string, page: { readonly after: number; readonly limit: number }): Promise<AuditEvent[]>
  /** The last event's; `{ seq: 0, hash: '' }` before the first. */
  auditHead(network: string): Promise<{ readonly seq: number; readonly hash: string }>
  replay(network: string, actor: string, key: string, now: number): Promise<Replay | undefined>
  /**
   * All or nothing. Throws `Conflict` when a revision, a name, the intent or the audit chain has moved on, or the
   * network is not there; RangeError for a batch that no caller may make: a record changed twice, a site or tunnel
   * changed without an intent version, events that do not follow one another.
   * Removing the network removes all that belongs to it but its audit log.
   */
  commit(network: string, batch: Batch): Promise<void>
  /** A value of the installation, of no network. */
  setting(name: string): Promise<string | undefined>
  /** `fresh`: only when there is none yet. Says whether the value was stored. */
  putSetting(name: string, value: string, fresh?: boolean): Promise<boolean>
  /** Removes replays that have expired. */
  sweep(now: number): Promise<void>
  close(): Promise<void>
}

/** Somebody else was faster, or a name is taken. */
export class Conflict extends Error {
  override readonly name = 'Conflict'
  readonly what: 'revision' | 'name' | 'intent' | 'audit' | 'replay'
  readonly kind: Kind | undefined

  constructor(what: Conflict['what'], kind?: Kind) {
    super(`conflict: ${what}${kind === undefined ? '' : ` of ${kind}`}`)
    this.what = what
    this.kind = kind
  }
}
