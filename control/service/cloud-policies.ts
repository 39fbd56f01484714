/** Rotations of connections to clouds that nobody has to ask for. */
import { isRotationDue } from '../domain/cloud/policy.ts'
import { isBuilt } from '../domain/cloud/records.ts'
import type { CloudRecord } from '../domain/cloud/types.ts'
import { mayBeDue } from '../domain/planner.ts'
import { everyOf } from './candidates.ts'
import type { CloudRuns } from './cloud-runs.ts'
import type { Committer } from './commit.ts'
import type { Call, Context } from './types.ts'
import { Work } from './work.ts'

const BY = 'schedule'

export interface CloudPolicyParts {
  readonly context: Context
  readonly committer: Committer
  readonly runs: CloudRuns
}

export class CloudPolicies {
  readonly #parts: CloudPolicyParts

  constructor(parts: CloudPolicyParts) {
    this.#parts = parts
  }

  /** Starts the rotations that are due, as many at once as their policies allow. */
  async tick(network: string): Promise<void> {
    const { context } = this.#parts
    const wanting: CloudRecord[] = []
    const busy = new Map<string, number>()
    for await (const record of everyOf(context, network, 'cloud')) {
      const { policy, run } = record
      if (policy === undefined || !isBuilt(record)) continue
      if (run !== undefined) busy.set(policy, (busy.get(policy) ?? 0) + 1)
      else wanting.push(record)
    }
    for (const record of wanting) await this.#consider(network, record, busy)
  }

  async #consider(network: string, { id, policy: named }: CloudRecord, busy: Map<string, number>): Promise<void> {
    const { context, committer, runs } = this.#parts
    const policy = (await context.repo.get(network, 'policy', named!))?.value
    const now = context.clock()
    // Removed meanwhile: then nothing is rotated by it any more.
    if (policy === undefined || !mayBeDue({ ...policy, lastRunAt: policy.createdAt }, false, now)) return
    if ((busy.get(policy.id) ?? 0) >= policy.maxConcurrent) return
    const call: Call = { actor: { id: BY, network }, network }
    const { value: started } = await committer.run(call, async () => {
      const work = new Work(context.repo, network)
      const record = await work.get('cloud', id)
      const isDue = record !== undefined && record.run === undefined && isRotationDue(policy, record, now)
      if (!isDue) return { outcome: { value: false }, changes: [], audit: [] }
      await runs.start(work, record, { kind: 'rotate', acceptLoss: false }, BY)
      return work.decision({ value: true })
    })
    if (started) busy.set(policy.id, (busy.get(policy.id) ?? 0) + 1)
  }
}
