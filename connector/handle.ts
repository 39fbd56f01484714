/**
 * A running connector as the CLI's `up`, the local API and tests hold it.
 * `startConnector` in `io/connector.ts` makes one from a plan.
 */
import type { Prefix } from '../protocol/net.ts'
import type { PathsStatus } from '../protocol/paths.ts'
import type { RouteExplanation, RoutesAnswer } from '../protocol/routes.ts'
import type { ConnectorStatus } from '../protocol/status.ts'
import type { BgpEvent } from './core/bgp/speaker-types.ts'
import type { FlowRecord } from './core/functions/records.ts'
import type { IkeEvent } from './core/ike/types.ts'
import type { PathEvent } from './core/paths/types.ts'
import type { ConnectorPlan } from './plan.ts'

export interface ConnectorHandle {
  status(): ConnectorStatus
  /** Each returns false when no connection (or child) has that name. */
  initiate(connection: string): boolean
  terminate(connection: string): boolean
  /** `what` is `ike` or the name of a child. */
  rekey(connection: string, what: string): boolean
  /**
   * Makes the connections those of `plan`, while it runs: new ones come up, those that are gone go, the others do not
   * notice. A connection whose IKE configuration has changed, its keys apart, is taken down and made anew.
   * One call after the other; the same plan again does nothing. Resolves when all is in place but the new IKE SAs;
   * what could not be done is told as a warning, and tried again by the next call. Rejects with a PlanRefused, nothing
   * done, where the plan needs what only a new start can change, and when the connector is stopping.
   */
  apply(plan: ConnectorPlan): Promise<void>
  /** Resolves when `status` has what the connection has carried by now; else that is up to a second old. */
  refresh(connection: string): Promise<void>
  /** Only of a managed connector: a person accepts a peer's new identity key. */
  trust?(connector: string, identityKey: string): Promise<void>
  /** Only of a managed connector: the last streams of functions, newest last. */
  streams?(): readonly FlowRecord[]
  /** The prefixes that lead into tunnels: all, or those within `within` and those that cover it; `limit` at most. */
  routes?(within: Prefix | undefined, limit: number): RoutesAnswer
  explainRoute?(prefix: Prefix): RouteExplanation
  /** Ends the session of a BGP neighbour, to begin anew. False where there is no such neighbour. */
  resetNeighbour?(neighbour: string): boolean
  /** Which tunnels are used, and why. */
  paths?(): PathsStatus | undefined
  /** Takes traffic from a tunnel, after its neighbours were told, or gives it back. False where there is no such peer. */
  drain?(connection: string, on: boolean): boolean
  /** Deletes the SAs at the peers, removes routes and the TUN device, ends the worker. Idempotent. */
  stop(): Promise<void>
  /** Resolves when the connector has ended, by `stop` or by a failure that it cannot live with. */
  readonly ended: Promise<StartFailure | undefined>
}

/** What the connector tells while it runs; `log` of `ops/` turns these into lines and counters. */
export type ConnectorEvent =
  | { readonly type: 'ike'; readonly connection: string; readonly event: IkeEvent }
  | { readonly type: 'started'; readonly site: string }
  | { readonly type: 'routes-cleaned'; readonly count: number }
  | { readonly type: 'warning'; readonly code: string; readonly message: string; readonly remedy?: string }
  /** The control plane: what it asked for, and how the link to it is. */
  | { readonly type: 'control'; readonly code: string; readonly message: string }
  /** What functions are served, when that changes. */
  | { readonly type: 'services'; readonly services: number; readonly message: string }
  /** A stream of a function is over. */
  | { readonly type: 'stream'; readonly record: FlowRecord }
  /** News of a BGP neighbour. */
  | { readonly type: 'bgp'; readonly neighbour: string; readonly event: BgpEvent }
  /** News of BFD with the other end of a tunnel that has static routes. */
  | { readonly type: 'bfd'; readonly connection: string; readonly level: 'info' | 'warn'; readonly text: string }
  /** News of the path of a tunnel, or of the tunnel that a class prefers. */
  | { readonly type: 'path'; readonly event: PathEvent }
  | { readonly type: 'stopping' }

/** The connector could not start, or cannot go on: cause and remedy in a sentence each, and the exit code. */
export class StartFailure extends Error {
  override readonly name = 'StartFailure'
  readonly code: string
  readonly remedy: string
  readonly exitCode: number

  constructor(code: string, cause: string, remedy: string, exitCode: number) {
    super(cause)
    this.code = code
    this.remedy = remedy
    this.exitCode = exitCode
  }
}

/** A plan that cannot be carried out while the connector runs. */
export class PlanRefused extends Error {
  override readonly name = 'PlanRefused'
  /** Each thing that only a new start can change, in words. */
  readonly faults: readonly string[]
  readonly remedy: string

  constructor(faults: readonly string[]) {
    super(`This cannot change while the connector runs: ${faults.join('; ')}.`)
    this.faults = faults
    this.remedy = 'Start the connector again, which takes all of it up.'
  }
}

/** Exit codes of `isthmus`, by kind of trouble; documented in docs/cli.md. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  badConfig: 3,
  permission: 4,
  portBusy: 5,
  noTun: 6,
  unreadableFile: 7,
  notRunning: 8,
  tunnelDown: 9,
  noControl: 10,
  notRotated: 11,
  notGenuine: 12,
  wentBack: 13,
  findings: 14,
} as const
