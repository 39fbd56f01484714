/** Runs at clouds as people start, watch and end them. `cloud-runner.ts` carries them out. */
import type { CloudRun } from '../../protocol/control/cloud.ts'
import { isRunning, newRun } from '../domain/cloud/records.ts'
import type { CloudRecord, CloudRunRecord } from '../domain/cloud/types.ts'
import { mustBeEnabled } from './cloud-access.ts'
import { viewOf } from './cloud-watch.ts'
import { type CloudParts, mustBeIdle } from './clouds.ts'
import { refusal } from './refusals.ts'
import { freshId, mustGet, optional, pageOf } from './support.ts'
import type { Actor, Call, Outcome, PageOf, PageQuery } from './types.ts'
import { Work } from './work.ts'

export type CloudRunWish = Pick<CloudRunRecord, 'kind' | 'acceptLoss'>

export class CloudRuns {
  readonly #parts: Pick<CloudParts, 'context' | 'committer'>

  constructor(parts: Pick<CloudParts, 'context' | 'committer'>) {
    this.#parts = parts
  }

  async create(call: Call, cloud: string, wish: CloudRunWish): Promise<Outcome<CloudRun>> {
    const { context, committer } = this.#parts
    await mustGet(context, call.network, 'cloud', cloud)
    mustBeAllowed(call.actor, wish.kind)
    await mustBeEnabled(context, call.network)
    return committer.run(call, async () => {
      const work = new Work(context.repo, call.network)
      const run = await this.start(work, await work.mustGet('cloud', cloud), wish, call.actor.id)
      return work.decision({ value: shownRun(run), revision: 1 })
    })
  }

  async list(call: Call, cloud: string, query: PageQuery): Promise<Outcome<PageOf<CloudRun>>> {
    const { context } = this.#parts
    await mustGet(context, call.network, 'cloud', cloud)
    return { value: await pageOf(context, call.network, 'cloudRun', query, shownRun, cloud) }
  }

  async get(call: Call, id: string): Promise<Outcome<CloudRun>> {
    const { value, revision } = await mustGet(this.#parts.context, call.network, 'cloudRun', id)
    return { value: shownRun(value), revision }
  }

  /** It ends as soon as what it has begun is whole again: a rotation with a key that both ends have. */
  async abort(call: Call, id: string): Promise<Outcome<CloudRun>> {
    const { context, committer } = this.#parts
    const { value: there } = await mustGet(context, call.network, 'cloudRun', id)
    mustBeAllowed(call.actor, there.kind)
    return committer.run(call, async () => {
      const { value: before, revision } = await mustGet(context, call.network, 'cloudRun', id)
      if (!isRunning(before.state)) throw refusal('run-finished', `it is ${before.state}`)
      const work = new Work(context.repo, call.network)
      if (before.state === 'aborting') return work.decision({ value: shownRun(before), revision })
      const run: CloudRunRecord = { ...before, state: 'aborting', nextAt: context.clock() }
      await work.put('cloudRun', run)
      const [was, is] = [{ state: before.state }, { state: run.state }]
      work.audit({ action: 'cloudRuns.abort', target: id, before: was, after: is })
      return work.decision({ value: shownRun(run), revision: revision + 1 })
    })
  }

  /** Journals the run; refuses a second one. */
  async start(work: Work, record: CloudRecord, wish: CloudRunWish, startedBy: string): Promise<CloudRunRecord> {
    const { context } = this.#parts
    mustBeIdle(record)
    const now = context.clock()
    const made = { id: freshId(context, 'cloudRun'), cloud: record.id, startedBy, createdAt: now }
    const run = newRun({ ...made, ...wish })
    work.create('cloudRun', run)
    await work.put('cloud', {
      ...record,
      run: run.id,
      destroying: wish.kind === 'destroy',
      ...optional('rotatedAt', wish.kind === 'rotate' ? now : record.rotatedAt),
    })
    if (wish.kind === 'rotate') await this.#noteBefore(work, record, run)
    const after = { cloud: record.name, kind: wish.kind, ...(wish.acceptLoss ? { acceptLoss: true } : {}) }
    work.audit({ actor: startedBy, action: 'cloudRuns.create', target: run.id, after })
    return run
  }

  /** What evidence is held against at the end. */
  async #noteBefore(work: Work, record: CloudRecord, run: CloudRunRecord): Promise<void> {
    const view = await viewOf(work, record)
    const { said } = view
    const rotation = {
      run: run.id,
      ...optional('said', said && { connector: said.connector, startedAt: said.startedAt }),
      tunnels: record.tunnels.map(({ external, keys }) => ({
        external,
        ...optional('oldKey', keys[0]?.fingerprint),
        ...optional('traffic', said?.externals.find((each) => each.external === external)?.traffic),
      })),
    }
    await work.put('cloudView', { ...view, rotation })
  }
}

/** Whoever may only rotate keys, builds and removes nothing. */
function mustBeAllowed({ role }: Actor, kind: CloudRunRecord['kind']): void {
  if (role !== 'rotation' || kind === 'rotate') return
  throw refusal('forbidden', `the role rotation may start and end rotations, and this is ${kind}`)
}

export function shownRun({ acceptLoss: _, lease: __, memory: ___, nextAt: ____, ...run }: CloudRunRecord): CloudRun {
  return run
}
