/** What is known of the path of one tunnel, and whether it passes: probes and BFD may say no, and so may an operator. */
import type { Instant } from '../../../protocol/machine.ts'
import type { PathReport } from '../probe/report.ts'
import type { LastFailover, PathCarried, PathCause, PathState, PathStatus, PlannedPath } from './types.ts'

/** A path that comes back waits; twice as long with each loss that follows within the time to forget. Milliseconds. */
const RETURN_MS = 2_000
const RETURN_MOST_MS = 60_000
const FORGET_MS = 60_000
/** What is found missing so long after a path is back still belongs to its failover. */
const LATE_MS = 5_000

export class TunnelPath {
  readonly connection: string
  planned: PlannedPath
  report: PathReport | undefined
  bfd: boolean | undefined
  drain: 'no' | 'settling' | 'drained' = 'no'
  /** End of `settling`. */
  drainAt: Instant | undefined
  /** As told to engines and BGP. */
  passing = true
  /** When it may pass again; only while nothing speaks against it but the wait. */
  readyAt: Instant | undefined
  readonly failovers: Record<PathCause, number> = { sa: 0, probe: 0, bfd: 0 }
  lastFailover: LastFailover | undefined
  asymmetric = 0
  /** As BGP was told. */
  toldReachable = true
  /** More probes than usual are asked for. */
  isExamined = false
  /** The last two, oldest first. */
  counted: readonly { readonly at: Instant; readonly carried: PathCarried }[] = []
  #sendable = false
  #heardAt: Instant | undefined
  #bfdHeardAt: Instant | undefined
  #since: Instant
  #state: PathState = 'no-sa'
  #losses = 0
  #passingSince: Instant
  #countLateUntil = Number.NEGATIVE_INFINITY

  constructor(planned: PlannedPath, now: Instant) {
    this.connection = planned.name
    this.planned = planned
    this.#since = now
    this.#passingSince = now
  }

  get sendable(): boolean {
    return this.#sendable
  }

  /** The path ends and begins with its SAs: what was known of it is news of another one. */
  setSendable(sendable: boolean): void {
    this.#sendable = sendable
    if (!sendable) this.report = undefined
  }

  setReport(report: PathReport, now: Instant): void {
    this.report = report
    this.#heardAt = now - (report.silentMs ?? 0)
  }

  setBfd(up: boolean | undefined, silentMs: number, now: Instant): void {
    this.bfd = up
    this.#bfdHeardAt = now - silentMs
  }

  /** Why it does not pass; without an SA probes cannot be answered, which is no news. */
  get fault(): 'probe' | 'bfd' | undefined {
    if (this.#sendable && this.report?.state === 'down') return 'probe'
    return this.bfd === false ? 'bfd' : undefined
  }

  get isUsable(): boolean {
    return this.#sendable && this.passing
  }

  /** It passes, or would if nobody had taken its traffic away. */
  get isReachable(): boolean {
    return this.passing || (this.drain === 'drained' && this.fault === undefined)
  }

  /** Nothing but the wait keeps it from passing. */
  get isWell(): boolean {
    return this.fault === undefined && this.drain !== 'drained'
  }

  /** The last sign of life, as far as it is known. */
  lastSign(cause: PathCause, now: Instant): Instant {
    if (cause === 'sa') return now
    return Math.min(now, (cause === 'bfd' ? this.#bfdHeardAt : this.#heardAt) ?? now)
  }

  stopPassing(now: Instant): void {
    if (now - this.#passingSince >= FORGET_MS) this.#losses = 0
    this.#losses = this.planned.yields === true ? Math.max(1, this.#losses) : this.#losses + 1
    this.passing = false
    this.readyAt = undefined
  }

  /** To be called while it is well and not passing. */
  awaitReturn(now: Instant): void {
    this.readyAt ??= now + Math.min(RETURN_MOST_MS, RETURN_MS * 2 ** (this.#losses - 1))
  }

  resume(now: Instant): void {
    this.passing = true
    this.readyAt = undefined
    this.#passingSince = now
    this.#countLateUntil = now + LATE_MS
  }

  /** An operator's wish is no loss. */
  forgive(): void {
    this.#losses = Math.max(0, this.#losses - 1)
  }

  count(carried: PathCarried, now: Instant): void {
    const before = this.counted.at(-1)?.carried
    this.counted = [...this.counted.slice(-1), { at: now, carried }]
    const found = (carried.missing ?? 0) - (before?.missing ?? 0)
    if (this.lastFailover === undefined || (this.passing && now > this.#countLateUntil)) return
    const lostPackets = Math.max(0, this.lastFailover.lostPackets + found)
    this.lastFailover = { ...this.lastFailover, lostPackets }
  }

  /** Notes since when the state is what it is. */
  note(now: Instant): void {
    const state = this.#stateNow()
    if (state === this.#state) return
    this.#state = state
    this.#since = now
  }

  status(): PathStatus {
    const { connection, report, bfd, failovers, lastFailover, asymmetric } = this
    return {
      connection,
      state: this.#state,
      since: this.#since,
      isPassing: this.passing,
      report,
      bfd,
      failovers: { ...failovers },
      lastFailover,
      asymmetric,
    }
  }

  /** As last noted, and since when. */
  get state(): PathState {
    return this.#state
  }

  get since(): Instant {
    return this.#since
  }

  #stateNow(): PathState {
    if (this.drain !== 'no') return this.drain === 'drained' ? 'drained' : 'draining'
    if (!this.#sendable) return 'no-sa'
    if (this.passing) return 'up'
    return this.readyAt === undefined ? 'down' : 'returning'
  }
}
