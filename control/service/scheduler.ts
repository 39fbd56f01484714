/**
 * The one job behind all schedulers: a timer on Node, a cron trigger on Workers, EventBridge on Lambda. It may come
 * late, twice, or from several replicas at once.
 */
import type { Policy, Run } from '../../protocol/control/rotation.ts'
import { mayBeDue, planPolicy } from '../domain/planner.ts'
import { candidatesByAge, candidatesOf, everyOf } from './candidates.ts'
import type { Rollouts } from './rollouts.ts'
import type { RunParts, Runs } from './runs.ts'
import type { Call } from './types.ts'
import { Work } from './work.ts'

/** Rotations that one commit takes further. */
const CHUNK = 200

export interface TickReport {
  readonly networks: number
  readonly runsBegun: number
  readonly rotationsLate: number
}

export class Scheduler {
  readonly #parts: RunParts
  readonly #runs: Runs
  readonly #rollouts: Rollouts

  constructor(parts: RunParts, runs: Runs, rollouts: Rollouts) {
    this.#parts = parts
    this.#runs = runs
    this.#rollouts = rollouts
  }

  /** One network that fails does not keep the others from their turn; the first error is thrown at the end. */
  async tick(): Promise<TickReport> {
    const { context } = this.#parts
    const report = { networks: 0, runsBegun: 0, rotationsLate: 0 }
    let failure: unknown
    for (let after = ''; ; ) {
      const page = await context.repo.networks({ after, limit: 1000 })
      for (const { value } of page) {
        try {
          const done = await this.tickNetwork(value.id)
          report.networks++
          report.runsBegun += done.runsBegun
          report.rotationsLate += done.rotationsLate
        } catch (error) {
          failure ??= error
          context.log.error({ network: value.id, error: String(error) }, 'the scheduled job failed')
        }
      }
      if (page.length < 1000) break
      after = page.at(-1)!.value.id
    }
    await context.repo.sweep(context.clock())
    if (failure !== undefined) throw failure
    return report
  }

  async tickNetwork(network: string): Promise<Omit<TickReport, 'networks'>> {
    const call: Call = { actor: { id: 'schedule', network }, network }
    await this.#rollouts.tick(call)
    const rotationsLate = await this.#stepLate(call)
    const running = await this.#advanceRuns(call)
    let runsBegun = 0
    for await (const policy of everyOf(this.#parts.context, network, 'policy')) {
      if (running.has(policy.id)) continue
      if (await this.#runPolicy(call, policy)) runsBegun++
    }
    return { runsBegun, rotationsLate }
  }

  /** Rotations whose time is up. */
  async #stepLate(call: Call): Promise<number> {
    const { context, committer, intents, documents, rotating } = this.#parts
    const now = context.clock()
    const late: string[] = []
    for await (const { tunnel, deadline } of everyOf(context, call.network, 'rotation', 'active')) {
      if (deadline !== undefined && deadline <= now) late.push(tunnel)
    }
    for (let at = 0; at < late.length; at += CHUNK) {
      await committer.run(call, async () => {
        const work = new Work(context.repo, call.network)
        const topology = await intents.topology(call.network)
        for (const tunnel of late.slice(at, at + CHUNK)) await rotating.settle(work, topology, tunnel)
        await this.#runs.advance(work, topology)
        await documents.finish(work, topology)
        return work.decision({ value: undefined })
      })
    }
    return late.length
  }

  /** Runs that wait for a maintenance window. Gives the policies that have a run under way. */
  async #advanceRuns(call: Call): Promise<Set<string>> {
    const { context, committer, intents, documents } = this.#parts
    const running: Run[] = []
    for await (const run of everyOf(context, call.network, 'run', 'running')) running.push(run)
    for (const { id } of running) {
      await committer.run(call, async () => {
        const work = new Work(context.repo, call.network)
        const topology = await intents.topology(call.network)
        work.runsToAdvance.add(id)
        await this.#runs.advance(work, topology)
        await documents.finish(work, topology)
        return work.decision({ value: undefined })
      })
    }
    return new Set(running.flatMap(({ policy }) => policy ?? []))
  }

  async #runPolicy(call: Call, { id }: Policy): Promise<boolean> {
    const { context, committer, intents, documents } = this.#parts
    const { network } = call
    const { value } = await committer.run(call, async () => {
      const work = new Work(context.repo, network)
      const policy = await work.get('policy', id)
      const now = context.clock()
      const nothing = { outcome: { value: false }, changes: [], audit: [] }
      if (policy === undefined || !mayBeDue(policy, false, now)) return nothing
      if (planPolicy(policy, await candidatesByAge(context, network), false, now) === undefined) return nothing
      const topology = await intents.topology(network)
      const plan = planPolicy(policy, await candidatesOf(context, network, topology), false, now)
      if (plan === undefined) return nothing
      await work.put('policy', { ...policy, lastRunAt: now })
      const some = plan.rotations.length > 0
      if (some) await this.#runs.start(work, topology, plan, policy, { startedBy: 'schedule', policy })
      await documents.finish(work, topology)
      return work.decision({ value: some })
    })
    return value
  }
}
