/** The audit log: read in order, exported whole, verified. */
import type { AuditEvent } from '../../protocol/control/resources.ts'
import { type AuditHead, verifyEvents } from '../domain/audit.ts'
import { cursorText, invalid, paged } from './support.ts'
import type { Call, Context, Outcome, PageOf, PageQuery } from './types.ts'

const CHUNK = 500

export type Verification =
  | { readonly intact: true; readonly events: number; readonly head: string }
  | { readonly intact: false; readonly brokenAt: number; readonly why: string }

export class Audit {
  readonly #context: Context

  constructor(context: Context) {
    this.#context = context
  }

  async list(call: Call, query: PageQuery): Promise<Outcome<PageOf<AuditEvent>>> {
    const text = query.cursor === undefined ? '0' : cursorText(query.cursor)
    if (!/^\d+$/.test(text)) throw invalid('query/cursor', 'not a cursor that this list gave')
    const found = await this.#context.repo.audit(call.network, { after: Number(text), limit: query.limit + 1 })
    return {
      value: paged(
        found,
        query.limit,
        (event) => String(event.seq),
        (event) => event,
      ),
    }
  }

  /** All events in order, up to the one that was the last when it began. */
  async *events(network: string): AsyncGenerator<readonly AuditEvent[]> {
    const { repo } = this.#context
    const head = await repo.auditHead(network)
    let after = 0
    while (after < head.seq) {
      const events = await repo.audit(network, { after, limit: Math.min(CHUNK, head.seq - after) })
      if (events.length === 0) return
      yield events
      after = events.at(-1)!.seq
    }
  }

  async verify(call: Call): Promise<Outcome<Verification>> {
    const expected = await this.#context.repo.auditHead(call.network)
    let head: AuditHead = { seq: 0, hash: '' }
    for await (const events of this.events(call.network)) {
      const verdict = verifyEvents(call.network, events, head)
      if (!verdict.ok) return { value: { intact: false, brokenAt: verdict.brokenAt, why: verdict.why } }
      head = verdict.head
    }
    if (head.seq < expected.seq) {
      return { value: { intact: false, brokenAt: head.seq + 1, why: 'events are missing' } }
    }
    return { value: { intact: true, events: head.seq, head: head.hash } }
  }
}
