/** What every service is given, and what every operation takes and gives. */
import type { Role } from '../../protocol/control/resources.ts'
import type { CloudProvider } from '../domain/cloud/provider.ts'
import type { Hub } from '../link/hub.ts'
import type { Replay, Repo } from '../store/repo.ts'

/** Who asks: `token:tok_...`, `connector:con_...`, `function:fn_...`, `token:admin`, `schedule` or `system`. */
export interface Actor {
  readonly id: string
  readonly network: string
  /** Of people and jobs; the owner of the installation is `owner` of every network. */
  readonly role?: Role
  /** Set when the actor is a connector: its id. */
  readonly connector?: string
  /** Set when the actor is a function: its id. */
  readonly function?: string
}

/** What an operation answers: the value, and the revision that its ETag shows. */
export interface Outcome<T = unknown> {
  readonly value: T
  readonly revision?: number
}

/** `any`: whatever revision it has. */
export type Match = 'any' | readonly number[]

/** One request to a service. */
export interface Call {
  readonly actor: Actor
  readonly network: string
  readonly requestId?: string
  /** From If-Match: the revisions that the change may be based on. */
  readonly match?: Match
  /** From If-None-Match: the revisions that the caller has. */
  readonly noneMatch?: Match
  /** Where the request came from, as far as the platform knows. */
  readonly seenAddress?: string
  /** For a request that may be repeated. */
  readonly replay?: {
    /** Idempotency-Key. */
    readonly key: string
    /** What a repetition will be answered with; committed in the same batch as the change. */
    readonly make: (outcome: Outcome) => Promise<Replay>
  }
}

/** Envelope encryption of what must be stored and read again; `aad` names what it is. */
export interface Sealer {
  seal(aad: SecretName, plain: Uint8Array): Promise<string>
  open(aad: SecretName, sealed: string): Promise<Uint8Array>
}
export interface SecretName {
  readonly network: string
  readonly kind: string
  readonly id: string
}

/** One JSON line each. Never given a secret. */
export interface Log {
  info(fields: Readonly<Record<string, unknown>>, message: string): void
  warn(fields: Readonly<Record<string, unknown>>, message: string): void
  error(fields: Readonly<Record<string, unknown>>, message: string): void
}

/** Calls at a cloud provider, with the credentials of the installation. */
export interface CloudAccess {
  readonly provider: CloudProvider
  /** Whether the operator has enabled it for the network. */
  allows(network: { readonly id: string; readonly name: string }): boolean
  /** Between two looks at what is there, in milliseconds. Default: 60 s. */
  readonly watchMs?: number
  /** How long the provider may take to show what was made, in milliseconds. Default: 60 s. */
  readonly settleMs?: number
}

export interface Context {
  readonly repo: Repo
  readonly hub: Hub
  /** Milliseconds since 1970. */
  readonly clock: () => number
  /** Fresh random bytes of a cryptographic generator. */
  readonly random: (length: number) => Uint8Array
  readonly sealer: Sealer
  readonly log: Log
  /**
   * Whether links are lost when this process ends, as on Node; false where they outlive it, or there are none. Default:
   * true
   */
  readonly isLasting?: boolean
  /**
   * Whether no other process can have this store at the same time: then what an earlier one had begun is ours to go on with
   * at once. Default: false
   */
  readonly isAlone?: boolean
  /** Absent: no network may have connections to clouds. */
  readonly clouds?: CloudAccess
}

export interface PageQuery {
  readonly limit: number
  readonly cursor?: string
}
export interface PageOf<T> {
  readonly items: T[]
  readonly next?: string | undefined
}
