/**
 * A running connector as the CLI's `up`, the local API and tests hold it.
 * `startConnector` in `io/connector.ts` makes one from a plan.
 */
import type { ConnectorStatus } from '../protocol/status.ts'
import type { IkeEvent } from './core/ike/types.ts'

export interface ConnectorHandle {
  status(): ConnectorStatus
  /** Each returns false when no connection (or child) has that name. */
  initiate(connection: string): boolean
  terminate(connection: string): boolean
  /** `what` is `ike` or the name of a child. */
  rekey(connection: string, what: string): boolean
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
  | { readonly type: 'warning'; readonly code: string; readonly message: string }
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
} as const
