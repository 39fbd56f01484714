/** Rotation policies: when keys are rotated without anybody asking. */
import type { Policy, PolicyDraft } from '../../protocol/control/rotation.ts'
import { policyFaults } from '../domain/planner.ts'
import type { Fault } from '../domain/refusal.ts'
import { refusalOf } from '../domain/refusal.ts'
import type { Committer } from './commit.ts'
import { freshId, mustGet, mustMatch, nameTaken, optional, pageOf } from './support.ts'
import type { Call, Context, Outcome, PageOf, PageQuery } from './types.ts'

export class Policies {
  readonly #context: Context
  readonly #committer: Committer

  constructor(context: Context, committer: Committer) {
    this.#context = context
    this.#committer = committer
  }

  async create(call: Call, draft: PolicyDraft): Promise<Outcome<Policy>> {
    return this.#committer.run(call, async () => {
      await this.#check(call, draft)
      const value: Policy = { ...draft, id: freshId(this.#context, 'policy'), createdAt: this.#context.clock() }
      return {
        outcome: { value, revision: 1 },
        changes: [{ type: 'put', kind: 'policy', value, revision: 0 }],
        audit: [{ action: 'policies.create', target: value.id, after: value }],
      }
    })
  }

  async list(call: Call, query: PageQuery): Promise<Outcome<PageOf<Policy>>> {
    return { value: await pageOf(this.#context, call.network, 'policy', query, (policy) => policy) }
  }

  async get(call: Call, id: string): Promise<Outcome<Policy>> {
    return mustGet(this.#context, call.network, 'policy', id)
  }

  async replace(call: Call, id: string, draft: PolicyDraft): Promise<Outcome<Policy>> {
    return this.#committer.run(call, async () => {
      const before = await mustGet(this.#context, call.network, 'policy', id)
      mustMatch(call, before.revision)
      await this.#check(call, draft, id)
      const { createdAt, lastRunAt } = before.value
      const value: Policy = { ...draft, id, createdAt, ...optional('lastRunAt', lastRunAt) }
      return {
        outcome: { value, revision: before.revision + 1 },
        changes: [{ type: 'put', kind: 'policy', value, revision: before.revision }],
        audit: [{ action: 'policies.replace', target: id, before: before.value, after: value }],
      }
    })
  }

  /** Runs that it has begun go on. */
  async remove(call: Call, id: string): Promise<Outcome<undefined>> {
    return this.#committer.run(call, async () => {
      const before = await mustGet(this.#context, call.network, 'policy', id)
      mustMatch(call, before.revision)
      return {
        outcome: { value: undefined },
        changes: [{ type: 'remove', kind: 'policy', id, revision: before.revision }],
        audit: [{ action: 'policies.remove', target: id, before: before.value }],
      }
    })
  }

  async #check(call: Call, draft: PolicyDraft, self?: string): Promise<void> {
    const { repo } = this.#context
    const faults: Fault[] = [...policyFaults(draft, this.#context.clock())]
    for (const [index, id] of draft.tunnels.entries()) {
      if ((await repo.get(call.network, 'tunnel', id)) === undefined) {
        faults.push({ pointer: `/tunnels/${index}`, detail: `there is no tunnel ${id}` })
      }
    }
    const refused = refusalOf(faults)
    if (refused !== undefined) throw refused
    const taken = await repo.byName(call.network, 'policy', draft.name)
    if (taken !== undefined && taken.value.id !== self) throw nameTaken('policy')
  }
}
