/** Rollouts as people start, watch and end them. */
import type { Rollout, RolloutDetail, RolloutDraft } from '../../protocol/control/rollout.ts'
import { planEdit, sitesRemovedBy } from '../domain/intent.ts'
import type { IntentPlan, IntentView } from '../domain/intent-index.ts'
import { type Concerned, concernedSites, planBack, rolloutOrder } from '../domain/intents/changes.ts'
import { rerouted } from '../domain/intents/compare.ts'
import { isOver, ROLLOUT_DEADLINES, type RolloutRecord, stopRollout, waitedFor } from '../domain/intents/rollout.ts'
import { isWatched } from '../domain/intents/watch.ts'
import { Refusal } from '../domain/refusal.ts'
import type { Committer } from './commit.ts'
import { factsFor, storePlan, summaryOf } from './intent-changes.ts'
import { PlannedView } from './planned-view.ts'
import { mustNotCutOff } from './planning.ts'
import { refusal } from './refusals.ts'
import { AUDITED, FEW, type Rolling, type RollingParts } from './rolling.ts'
import { freshId, invalid, mustGet, optional, pageOf } from './support.ts'
import type { Call, Outcome, PageOf, PageQuery } from './types.ts'
import { Work } from './work.ts'

export interface RolloutParts extends RollingParts {
  readonly committer: Committer
  readonly rolling: Rolling
}

export class Rollouts {
  readonly #parts: RolloutParts

  constructor(parts: RolloutParts) {
    this.#parts = parts
  }

  async create(call: Call, draft: RolloutDraft): Promise<Outcome<Rollout>> {
    if ((draft.intent === undefined) === (draft.version === undefined)) {
      throw invalid('', 'give either the intent, or the version to go back to')
    }
    const outcome = await this.#parts.committer.run(call, async () => {
      const work = this.#work(call)
      const rollout = await this.#start(work, call, draft)
      return work.decision({ value: shown(rollout), revision: 1 })
    })
    // Nobody's report would take it further.
    if (outcome.value.counts.sites === 0) await this.tick({ actor: call.actor, network: call.network })
    return outcome
  }

  async list(call: Call, query: PageQuery, state?: 'active' | 'ended'): Promise<Outcome<PageOf<Rollout>>> {
    return { value: await pageOf(this.#parts.context, call.network, 'rollout', query, shown, state) }
  }

  /** With its sites, and what each is waited for. */
  async get(call: Call, id: string): Promise<Outcome<RolloutDetail>> {
    const { context, intents, rolling } = this.#parts
    const { value: rollout, revision } = await mustGet(context, call.network, 'rollout', id)
    const work = this.#work(call)
    const over = isOver(rollout.state)
    const views = over ? [] : await rolling.views(work, rollout, await intents.topology(call.network))
    const bySite = new Map(views.map((view) => [view.site, view]))
    const now = context.clock()
    const sites = rollout.order.map(({ site, name }, at) => {
      const view = bySite.get(site)
      const has = at < rollout.counts.in
      const waiting = view && waitedFor({ rollout, now, upSince: rolling.upSince(rollout, now) }, view)
      return {
        site,
        name,
        in: has,
        away: has && view !== undefined && !isWatched(view),
        ...optional('waitingFor', waiting),
      }
    })
    // How its sites are changes without a revision of its own.
    return { value: { ...shown(rollout), sites }, ...(over ? { revision } : {}) }
  }

  abort(call: Call, id: string): Promise<Outcome<Rollout>> {
    return this.#stop(call, id, 'aborted')
  }

  /** One that is under way goes back; one that is done, by another rollout, to the version before it. */
  async rollback(call: Call, id: string): Promise<Outcome<Rollout>> {
    const { value } = await mustGet(this.#parts.context, call.network, 'rollout', id)
    if (!isOver(value.state)) return this.#stop(call, id, 'rolled-back')
    return this.#parts.committer.run(call, async () => {
      const work = this.#work(call)
      const { base, target, state, batchPercent, watch } = await work.mustGet('rollout', id)
      if (state !== 'done') throw refusal('rollout-finished', `it is ${state}: the network is as it was before`)
      const { intentVersion } = await work.mustGet('network', call.network)
      if (intentVersion !== target) {
        throw refusal('rollout-superseded', `it made version ${target}, and the newest is ${intentVersion}`)
      }
      const rollout = await this.#start(work, call, { version: base, batchPercent, watch, force: true })
      return work.decision({ value: shown(rollout), revision: 1 })
    })
  }

  /** Takes the rollout that is under way one step further, if one is due: for the scheduled job. */
  async tick(call: Call): Promise<void> {
    const { context, committer, intents, rolling } = this.#parts
    const { value } = await mustGet(context, call.network, 'network', call.network)
    if (value.rollout === undefined) return
    await committer.run(call, async () => {
      const work = this.#work(call)
      const after = await rolling.step(work, await intents.situation(call.network))
      await rolling.finish(work, after)
      return work.decision({ value: undefined })
    })
  }

  async #start(work: Work, call: Call, draft: RolloutDraft): Promise<RolloutRecord> {
    const { context, intents } = this.#parts
    const network = await work.mustGet('network', call.network)
    if (network.rollout !== undefined) throw refusal('rollout-under-way', `${network.rollout} has not ended`)
    const view = await intents.view(call.network)
    const plan = await this.#plan(work, view, draft)
    if (plan === undefined) throw refusal('nothing-to-roll-out', 'it would change nothing')
    if (!draft.force) mustNotCutOff(view, plan)
    const order = rolloutOrder(await this.#concerned(work, view, plan), draft.canary)
    const now = context.clock()
    const rollout: RolloutRecord = {
      id: freshId(context, 'rollout'),
      state: 'planned',
      startedBy: call.actor.id,
      createdAt: now,
      stateSince: now,
      deadline: now + ROLLOUT_DEADLINES.planned,
      base: view.version,
      target: plan.version,
      ...optional('canary', order[0]?.name),
      batchPercent: draft.batchPercent,
      watch: draft.watch,
      force: draft.force,
      step: 0,
      counts: { sites: order.length, in: 0, away: 0 },
      order,
      looked: { since: now, at: now },
    }
    work.create('rollout', rollout)
    await work.put('network', { ...network, rollout: rollout.id })
    await storePlan(work, view, plan, { at: now, actor: call.actor.id })
    const { version, ...changes } = summaryOf(plan) as { version: number }
    work.audit({
      action: 'rollouts.create',
      target: rollout.id,
      before: { version: view.version },
      after: {
        version,
        changes,
        sites: order.slice(0, AUDITED).map(({ name }) => name),
        watch: draft.watch,
        force: draft.force,
      },
    })
    work.onCommit(() => intents.apply(call.network, plan))
    return rollout
  }

  async #plan(work: Work, view: IntentView, draft: RolloutDraft): Promise<IntentPlan | undefined> {
    const { context, documents, intents } = this.#parts
    if (draft.version !== undefined) {
      const wanted = await intents.at(work.network, draft.version)
      const kept = new Set(wanted.sites.map(({ id }) => id))
      const removed = Array.from(view.sites(), ({ id }) => id).filter((id) => !kept.has(id))
      const { hasConnector } = await factsFor(context, documents, work, removed)
      return planBack(view, wanted, hasConnector)
    }
    const edit = { type: 'replace', intent: draft.intent! } as const
    const facts = await factsFor(context, documents, work, sitesRemovedBy(view, edit))
    try {
      return planEdit(view, edit, facts)
    } catch (error) {
      throw error instanceof Refusal ? withinIntent(error) : error
    }
  }

  /** Sites where a connector has something to do. */
  async #concerned(work: Work, view: IntentView, plan: IntentPlan): Promise<Concerned[]> {
    const { documents } = this.#parts
    const fresh = new Map(plan.sites.map((site) => [site.id, site]))
    const connected = new Set<string>()
    const all = Array.from(view.sites(), ({ id }) => id)
    if (all.length > FEW) await this.#parts.rolling.readAll(work)
    for (const id of all) if ((await documents.connectorOf(work, id)) !== undefined) connected.add(id)
    const own = concernedSites(view, plan, (site) => connected.has(site))
    const moved = rerouted(connected, view, new PlannedView(view, plan))
    return [...new Set([...own, ...moved])].map((id) => {
      const name = (fresh.get(id) ?? view.site(id))?.name ?? id
      return { site: id, name, tunnels: view.tunnelsOf(id).length }
    })
  }

  #stop(call: Call, id: string, goal: 'aborted' | 'rolled-back'): Promise<Outcome<Rollout>> {
    const { context, committer, intents, rolling } = this.#parts
    return committer.run(call, async () => {
      const before = await mustGet(context, call.network, 'rollout', id)
      const work = this.#work(call)
      const word = goal === 'aborted' ? 'aborted' : 'rolled back'
      const step = stopRollout(before.value, goal, `${word} by ${call.actor.id}`, context.clock())
      const action = goal === 'aborted' ? 'rollouts.abort' : 'rollouts.rollback'
      work.audit({ action, target: id, before: { state: before.value.state }, after: { state: step.rollout.state } })
      const situation = await intents.situation(call.network)
      await rolling.finish(work, await rolling.take(work, situation, step))
      return work.decision({ value: shown(await work.mustGet('rollout', id)), revision: before.revision + 1 })
    })
  }

  #work(call: Call): Work {
    return new Work(this.#parts.context.repo, call.network)
  }
}

/** Its pointers are into the intent, which is a part of the body. */
function withinIntent({ code, status, title, detail, remedy, errors }: Refusal): Refusal {
  const within = errors?.map(({ pointer, ...rest }) => ({ ...rest, pointer: `/intent${pointer}` }))
  return new Refusal({
    code,
    status,
    title,
    ...optional('detail', detail),
    ...optional('remedy', remedy),
    ...optional('errors', within),
  })
}

function shown({ order: _, goal: __, looked: ___, ...rollout }: RolloutRecord): Rollout {
  return rollout
}
