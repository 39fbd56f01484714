/** Runs: rotations of many tunnels, begun in order, a few at once, stopped where one fails. */
import type { Policy, Run } from '../../protocol/control/rotation.ts'
import { nextOfRun, type PlannedRotation, planManual, type RunPlan, type SkippedTunnel } from '../domain/planner.ts'
import { type Fault, refusalOf } from '../domain/refusal.ts'
import { queuedRotation } from '../domain/rotation.ts'
import { candidatesOf, everyOf } from './candidates.ts'
import type { Committer } from './commit.ts'
import type { Documents } from './documents.ts'
import type { Intents, Whole } from './intents.ts'
import type { Topology } from './planned-view.ts'
import { refusal } from './refusals.ts'
import type { Rotating } from './rotating.ts'
import { freshId, mustGet, mustMatch, optional, pageOf } from './support.ts'
import type { Call, Context, Outcome, PageOf, PageQuery } from './types.ts'
import { Work } from './work.ts'

export interface RunParts {
  readonly context: Context
  readonly committer: Committer
  readonly intents: Intents
  readonly documents: Documents
  readonly rotating: Rotating
}

export interface RunDraft {
  readonly tunnels?: readonly string[] | undefined
  readonly dryRun: boolean
  readonly canary: boolean
  readonly maxConcurrent: number
  readonly stopOnFailure: boolean
}

export interface RunAnswer {
  readonly run?: Run
  readonly planned?: PlannedRotation[]
  readonly skipped: SkippedTunnel[]
}

type Settings = Pick<Run, 'canary' | 'maxConcurrent' | 'stopOnFailure'>

export class Runs {
  readonly #parts: RunParts

  constructor(parts: RunParts) {
    this.#parts = parts
  }

  async create(call: Call, draft: RunDraft): Promise<Outcome<RunAnswer>> {
    const { context, committer, intents } = this.#parts
    if (draft.dryRun) {
      const topology = await intents.topology(call.network)
      const plan = await this.#plan(call, topology, draft)
      return { value: { planned: [...plan.rotations], skipped: [...plan.skipped] } }
    }
    return committer.run(call, async () => {
      const topology = await intents.topology(call.network)
      const plan = await this.#plan(call, topology, draft)
      const work = new Work(context.repo, call.network)
      const run = await this.start(work, topology, plan, draft, { startedBy: call.actor.id })
      await this.#parts.documents.finish(work, topology)
      return work.decision({ value: { run, skipped: [...plan.skipped] }, revision: 1 })
    })
  }

  async list(call: Call, query: PageQuery, state?: Run['state']): Promise<Outcome<PageOf<Run>>> {
    return { value: await pageOf(this.#parts.context, call.network, 'run', query, (run) => run, state) }
  }

  get(call: Call, id: string): Promise<Outcome<Run>> {
    return mustGet(this.#parts.context, call.network, 'run', id)
  }

  /** What waits is dropped; what is under way goes back to the old key where that is possible yet. */
  async abort(call: Call, id: string): Promise<Outcome<Run>> {
    const { context, committer, intents, documents, rotating } = this.#parts
    return committer.run(call, async () => {
      const before = await mustGet(context, call.network, 'run', id)
      mustMatch(call, before.revision)
      if (before.value.state !== 'running') throw refusal('run-finished', `it is ${before.value.state}`)
      const work = new Work(context.repo, call.network)
      const topology = await intents.topology(call.network)
      const reason = `the run was aborted by ${call.actor.id}`
      await this.#end(work, topology, id, 'aborted', reason)
      for await (const { id: rotation } of everyOf(context, call.network, 'rotation', `${id}/active`)) {
        await rotating.step(work, topology, rotation, reason)
      }
      await documents.finish(work, topology)
      const value = await work.mustGet('run', id)
      work.audit({ action: 'runs.abort', target: id, before: before.value, after: value })
      return work.decision({ value, revision: before.revision + 1 })
    })
  }

  /** Journals a run with all its rotations, and begins the first. Refuses a plan without any. */
  async start(
    work: Work,
    topology: Topology,
    plan: RunPlan,
    settings: Settings,
    by: { readonly startedBy: string; readonly policy?: Policy },
  ): Promise<Run> {
    const { context } = this.#parts
    if (plan.rotations.length === 0) {
      const [first] = plan.skipped
      throw refusal('nothing-to-rotate', first === undefined ? 'no tunnel is meant' : `${first.name}: ${first.why}`)
    }
    const now = context.clock()
    const { canary, maxConcurrent, stopOnFailure } = settings
    const run: Run = {
      id: freshId(context, 'run'),
      ...optional('policy', by.policy?.id),
      state: 'running',
      startedBy: by.startedBy,
      createdAt: now,
      canary,
      maxConcurrent,
      stopOnFailure,
      counts: { queued: plan.rotations.length, active: 0, done: 0, aborted: 0 },
    }
    work.create('run', run)
    // They are listed by id, and begun in that order: so the order of the plan is the order of the ids.
    const ids = plan.rotations.map(() => freshId(context, 'rotation')).sort()
    const trigger = by.policy === undefined ? 'manual' : 'policy'
    for (const [index, { tunnel }] of plan.rotations.entries()) {
      const request = { id: ids[index]!, tunnel, run: run.id, trigger, startedBy: by.startedBy, now } as const
      work.create('rotation', queuedRotation(request, await this.#parts.rotating.keys(work, tunnel)))
    }
    work.audit({ action: 'runs.create', target: run.id, after: run })
    work.fresh.set(run.id, ids)
    work.runsToAdvance.add(run.id)
    await this.advance(work, topology)
    return work.mustGet('run', run.id)
  }

  /** Takes further all runs of which a rotation has moved within this decision. */
  async advance(work: Work, topology: Topology): Promise<void> {
    for (const id of work.runsToAdvance) {
      // Advancing moves rotations of this run, which would name it again.
      await this.#advanceOne(work, topology, id)
      work.runsToAdvance.delete(id)
    }
  }

  async #advanceOne(work: Work, topology: Topology, id: string): Promise<void> {
    for (;;) {
      const run = await work.get('run', id)
      if (run === undefined || run.state !== 'running') return
      const policy = run.policy === undefined ? undefined : await work.get('policy', run.policy)
      const decision = nextOfRun(run, policy?.windows ?? [], this.#parts.context.clock())
      if (decision.type === 'wait') return
      if (decision.type === 'finish') {
        await this.#end(work, topology, id, decision.state, decision.reason)
        const { counts, reason } = await work.mustGet('run', id)
        work.audit({
          actor: 'system',
          action: `runs.${decision.state}`,
          target: id,
          after: { counts, ...optional('reason', reason) },
        })
        return
      }
      if (!(await this.#begin(work, topology, id, decision.count))) return
    }
  }

  /** Whether any could begin. One whose tunnel is busy keeps its turn. */
  async #begin(work: Work, topology: Topology, run: string, count: number): Promise<boolean> {
    let begun = 0
    for await (const id of this.#queued(work, run)) {
      const rotation = await work.mustGet('rotation', id)
      if (rotation.state !== 'queued') continue
      const after = await this.#parts.rotating.begin(work, topology, rotation)
      if (after.state !== 'queued' && ++begun === count) break
    }
    return begun > 0
  }

  async #end(
    work: Work,
    topology: Topology,
    id: string,
    state: Run['state'],
    reason: string | undefined,
  ): Promise<void> {
    for await (const rotation of this.#queued(work, id)) {
      const { state: present } = await work.mustGet('rotation', rotation)
      if (present === 'queued') await this.#parts.rotating.step(work, topology, rotation, reason ?? 'the run has ended')
    }
    const run = await work.mustGet('run', id)
    await work.put('run', { ...run, state, finishedAt: this.#parts.context.clock(), ...optional('reason', reason) })
  }

  /** Ids of rotations that were queued when this decision began, or were queued by it. */
  async *#queued(work: Work, run: string): AsyncGenerator<string> {
    const fresh = work.fresh.get(run)
    if (fresh !== undefined) yield* fresh
    else for await (const { id } of everyOf(this.#parts.context, work.network, 'rotation', `${run}/queued`)) yield id
  }

  async #plan(call: Call, topology: Whole, { tunnels }: RunDraft): Promise<RunPlan> {
    const faults: Fault[] = []
    for (const [index, id] of (tunnels ?? []).entries()) {
      if (topology.tunnel(id) === undefined) {
        faults.push({ pointer: `/tunnels/${index}`, detail: `there is no tunnel ${id}` })
      }
    }
    const refused = refusalOf(faults)
    if (refused !== undefined) throw refused
    return planManual(await candidatesOf(this.#parts.context, call.network, topology), tunnels)
  }
}
