/**
 * What the domain of cloud connections works on and answers. One pure function decides the next thing that a run does
 * (`decide` in `machine.ts`), from what is stored, what the provider has, and what the connector says:
 *
 *     look ──> decide ──> journal "begun" ──> carry out ──> journal "done" ──> look ...
 *
 * So a run goes on after a crash at any place: what it had begun it finds at the provider, or does again.
 */
import type { AwsOptions, Cloud, CloudResource, CloudRun } from '../../../protocol/control/cloud.ts'
import type { ExternalStatus } from '../../../protocol/control/external.ts'
import type { CloudAction, CloudFailureKind } from './provider.ts'

export interface CloudKey {
  /** `k1`, `k2`, ...: never used twice. Its text is the secret `<external>/<id>` of the store. */
  readonly id: string
  readonly fingerprint: string
  readonly since: number
  /** Sealed for a connector: `externalKeySchema.secret`, and for which one and which of its keys. */
  readonly sealed?: { readonly connector: string; readonly sealingKey: string; readonly jwe: string }
}

export interface CloudTunnelRecord {
  readonly external: string
  readonly name: string
  readonly insideCidr: string
  readonly outside?: string
  /** The key that the provider has, as far as we know, comes first; a second one is on its way there. */
  readonly keys: readonly CloudKey[]
  readonly drained: boolean
  readonly generation: number
  /** The highest number of a key so far. */
  readonly lastKey: number
}

/** A connection as it is kept. What the provider and the connector said last stands beside (`CloudViewRecord`). */
export interface CloudRecord extends Omit<Cloud, 'tunnels' | 'drift' | 'lookedAt' | 'state' | 'local' | 'remote'> {
  /** As it was asked for. */
  readonly local?: readonly string[]
  readonly remote?: readonly string[]
  /** Resolved when the first run began, and kept: what was built with them. */
  readonly resolved?: {
    readonly address: string
    readonly as: number
    readonly peerAs: number
    readonly local: readonly string[]
    readonly remote: readonly string[]
  }
  readonly tunnels: readonly CloudTunnelRecord[]
  /** What the provider has while it was not given the present ones yet: the connector offers both. */
  readonly earlierOptions?: AwsOptions
  readonly destroying: boolean
  /** When the run that asked for it last was accepted: for rotation by policy. */
  readonly rotatedAt?: number
}

/** A run as it is kept: the journal and what only the machine needs to know. */
export interface CloudRunRecord extends CloudRun {
  readonly acceptLoss: boolean
  /** Who carries it out at present, and until when nobody else does. */
  readonly lease?: { readonly owner: string; readonly until: number }
  /** Of the step that is under way: the machine's own notes, plain data. */
  readonly memory: Readonly<Record<string, unknown>>
  /** When it is worth looking again. */
  readonly nextAt: number
}

/** What the connector said last, for each of the two tunnels. */
export interface ConnectorSight {
  /** Absent: the site has no connector, or it never reported. */
  readonly connector?: string
  readonly at?: number
  /** Whether it has carried out the document that the control plane has for it now. */
  readonly current: boolean
  readonly externals: readonly ExternalStatus[]
}

/** What the last call that changed something came to. */
export type LastOutcome =
  | { readonly ok: true; readonly id?: string }
  | {
      readonly ok: false
      readonly kind: CloudFailureKind
      readonly code: string
      readonly cause: string
      readonly remedy: string
    }

/** What changes on our own side, without the provider. */
export type CloudChange =
  | {
      readonly type: 'resolve'
      readonly resolved: NonNullable<CloudRecord['resolved']>
      readonly insideCidrs: readonly string[]
    }
  | { readonly type: 'resources'; readonly resources: readonly CloudResource[] }
  /** Outer addresses, in the order of the tunnels. */
  | { readonly type: 'outside'; readonly outside: readonly string[] }
  /** Make a key for the tunnel; the connector accepts it beside the present one, and begins with the present one. */
  | { readonly type: 'make-key'; readonly tunnel: number }
  /** The provider has the new key: the connector begins with it. */
  | { readonly type: 'use-key'; readonly tunnel: number }
  /** Only the key in use stays, or (abort) only the old one. */
  | { readonly type: 'forget-key'; readonly tunnel: number; readonly which: 'old' | 'new' }
  | { readonly type: 'drain'; readonly tunnel: number; readonly on: boolean }

export type Decision =
  | { readonly type: 'do'; readonly action: CloudAction; readonly resource: string; readonly detail: string }
  | { readonly type: 'change'; readonly change: CloudChange; readonly resource: string; readonly detail: string }
  /** `untilMs`: when the machine fails or goes on in another way; `againMs`: when it is worth looking. */
  | { readonly type: 'wait'; readonly for: string; readonly untilMs: number; readonly againMs: number }
  | { readonly type: 'done'; readonly outcome: 'done' | 'aborted' }
  | { readonly type: 'fail'; readonly code: string; readonly cause: string; readonly remedy: string }

/** `memory`: replaces the run's. `progress`: 0 to 1. */
export interface Decided {
  readonly decision: Decision
  readonly memory: Readonly<Record<string, unknown>>
  readonly progress: number
}
