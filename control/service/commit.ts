/**
 * How every change comes about: read, decide, commit one batch with its audit events. Changes of one network go one
 * after the other in this process; where another process was faster, the decision is made again on what is there now.
 */
import type { AuditEvent } from '../../protocol/control/resources.ts'
import { type AuditDraft, chainEvents } from '../domain/audit.ts'
import { type Batch, type Change, Conflict, type Replay } from '../store/repo.ts'
import { refusal } from './refusals.ts'
import { nameTaken } from './support.ts'
import type { Call, Context, Outcome } from './types.ts'

export interface Decision<T> {
  readonly outcome: Outcome<T>
  readonly changes: readonly Change[]
  readonly intent?: Batch['intent']
  /** Without `at`, `actor` and `requestId`, which the call tells. */
  readonly audit: readonly AuditEntry[]
  /** What follows once it is committed: tells the hub. */
  readonly committed?: () => void
}

export interface AuditEntry {
  readonly action: string
  readonly target: string
  /** Where it is not the one who asks: who joins has no name before. */
  readonly actor?: string
  readonly before?: unknown
  readonly after?: unknown
}

/** The same request was answered meanwhile; the answer is in the store. */
export class AlreadyAnswered extends Error {
  override readonly name = 'AlreadyAnswered'
}

const ATTEMPTS = 8
const MAX_WAITING = 50_000

export class Committer {
  readonly #context: Context
  readonly #queues = new Map<string, { last: Promise<unknown>; waiting: number }>()
  /** Heads of audit chains, as of our last commit: a guess that the store checks. */
  readonly #heads = new Map<string, { readonly seq: number; readonly hash: string }>()

  constructor(context: Context) {
    this.#context = context
  }

  /**
   * Runs `decide` when no other change of the network is under way here, and commits what it says. `decide` is run
   * again after a conflict, so it must read everything that it depends on. Throws what `decide` throws.
   */
  run<T>(call: Call, decide: () => Promise<Decision<T>>): Promise<Outcome<T>> {
    return this.#inTurn(call.network, () => this.#attempt(call, decide))
  }

  async #attempt<T>(call: Call, decide: () => Promise<Decision<T>>): Promise<Outcome<T>> {
    for (let attempt = 1; ; attempt++) {
      const decision = await this.#decide(call, decide)
      const batch = await this.#batchOf(call, decision)
      if (batch === undefined) return decision.outcome
      try {
        await this.#context.repo.commit(call.network, batch)
      } catch (error) {
        this.#heads.delete(call.network)
        if (!(error instanceof Conflict)) throw error
        if (error.what === 'name') throw nameTaken(error.kind ?? 'resource')
        if (error.what === 'replay') throw new AlreadyAnswered()
        if (attempt === ATTEMPTS) throw refusal('unavailable', 'others change the same at once')
        continue
      }
      this.#committed(call.network, batch.audit ?? [])
      decision.committed?.()
      return decision.outcome
    }
  }

  /** A repetition finds what the first request has made, and would be refused for it. */
  async #decide<T>(call: Call, decide: () => Promise<Decision<T>>): Promise<Decision<T>> {
    if (await this.#answered(call)) throw new AlreadyAnswered()
    try {
      return await decide()
    } catch (error) {
      if (await this.#answered(call)) throw new AlreadyAnswered()
      throw error
    }
  }

  async #answered({ network, actor, replay }: Call): Promise<boolean> {
    if (replay === undefined) return false
    return (await this.#context.repo.replay(network, actor.id, replay.key, this.#context.clock())) !== undefined
  }

  async #batchOf(call: Call, decision: Decision<unknown>): Promise<Batch | undefined> {
    const replay: Replay | undefined = await call.replay?.make(decision.outcome)
    if (decision.changes.length === 0 && decision.audit.length === 0 && replay === undefined) return undefined
    const audit = decision.audit.length === 0 ? undefined : await this.#chain(call, decision.audit)
    return {
      changes: decision.changes,
      ...(decision.intent === undefined ? {} : { intent: decision.intent }),
      ...(audit === undefined ? {} : { audit }),
      ...(replay === undefined ? {} : { replay }),
    }
  }

  async #chain(call: Call, entries: readonly AuditEntry[]): Promise<AuditEvent[]> {
    const head = this.#heads.get(call.network) ?? (await this.#context.repo.auditHead(call.network))
    const at = this.#context.clock()
    const drafts = entries.map(
      (entry): AuditDraft => ({
        at,
        actor: call.actor.id,
        ...entry,
        ...(call.requestId === undefined ? {} : { requestId: call.requestId }),
      }),
    )
    return chainEvents(call.network, head, drafts)
  }

  #committed(network: string, audit: readonly AuditEvent[]): void {
    const last = audit.at(-1)
    if (last !== undefined) this.#heads.set(network, { seq: last.seq, hash: last.hash })
  }

  async #inTurn<T>(network: string, work: () => Promise<T>): Promise<T> {
    const queue = this.#queues.get(network) ?? { last: Promise.resolve(), waiting: 0 }
    if (queue.waiting >= MAX_WAITING) throw refusal('unavailable', 'too many changes wait')
    this.#queues.set(network, queue)
    queue.waiting++
    const mine = queue.last.then(work)
    queue.last = mine.catch(() => {})
    try {
      return await mine
    } finally {
      if (--queue.waiting === 0) this.#queues.delete(network)
    }
  }
}
