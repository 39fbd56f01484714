/** Sites, tunnels and preferences: every edit makes a new version of the intent, and new documents for whom it concerns. */
import type {
  Intent,
  IntentDraft,
  Preferences,
  Site,
  SiteDraft,
  Tunnel,
  TunnelDraft,
} from '../../protocol/control/intent.ts'
import type { PlanResult } from '../../protocol/control/plan.ts'
import { type IntentEdit, planEdit, sitesRemovedBy } from '../domain/intent.ts'
import { affectedSites, type IntentPlan, type IntentView } from '../domain/intent-index.ts'
import { rerouted } from '../domain/intents/compare.ts'
import { planResult } from '../domain/intents/plan-result.ts'
import type { Committer } from './commit.ts'
import type { Documents } from './documents.ts'
import { factsFor, forgetParts, storePlan, summaryOf } from './intent-changes.ts'
import type { Intents } from './intents.ts'
import { PlannedView } from './planned-view.ts'
import { mustNotCutOff } from './planning.ts'
import { refusal } from './refusals.ts'
import type { Rotating } from './rotating.ts'
import type { Runs } from './runs.ts'
import { mustGet, mustMatch, pageOf } from './support.ts'
import type { Call, Context, Outcome, PageOf, PageQuery } from './types.ts'
import { Work } from './work.ts'

export interface IntentParts {
  readonly context: Context
  readonly committer: Committer
  readonly intents: Intents
  readonly documents: Documents
  readonly rotating: Rotating
  readonly runs: Runs
}

interface Told {
  readonly action: string
  /** What the audit log names; from the plan, because a new resource has its id from there. */
  readonly target: (plan: IntentPlan) => string
  readonly before?: unknown
  readonly after?: (plan: IntentPlan) => unknown
  /** Throws where it is not to be done. */
  readonly check?: (view: IntentView, plan: IntentPlan) => unknown
}

export class IntentService {
  readonly #parts: IntentParts

  constructor(parts: IntentParts) {
    this.#parts = parts
  }

  async read(call: Call, version?: number): Promise<Outcome<Intent>> {
    const { context, intents } = this.#parts
    const network = await mustGet(context, call.network, 'network', call.network)
    const value = await intents.at(call.network, version ?? network.value.intentVersion)
    return { value, revision: value.version }
  }

  /** What the draft would come to. Changes nothing. */
  async plan(call: Call, draft: IntentDraft): Promise<Outcome<PlanResult>> {
    const { context, intents, documents } = this.#parts
    const view = await intents.view(call.network)
    const edit: IntentEdit = { type: 'replace', intent: draft }
    const facts = await factsFor(context, documents, this.#work(call), sitesRemovedBy(view, edit))
    return { value: planResult(view, planEdit(view, edit, facts)) }
  }

  /** `force`: also where the plan has errors. */
  async replace(call: Call, draft: IntentDraft, force = false): Promise<Outcome<Intent>> {
    const { committer, intents } = this.#parts
    await committer.run(call, async () => {
      const view = await intents.view(call.network)
      mustMatch(call, view.version)
      const work = this.#work(call)
      await this.#edit(
        work,
        call,
        view,
        { type: 'replace', intent: draft },
        {
          action: 'intent.replace',
          target: () => call.network,
          before: { version: view.version },
          after: (plan) => ({ ...summaryOf(plan), ...(force ? { force } : {}) }),
          ...(force ? {} : { check: mustNotCutOff }),
        },
      )
      return work.decision({ value: undefined })
    })
    return this.read(call)
  }

  async preferences(call: Call): Promise<Outcome<Preferences>> {
    const { value } = await mustGet(this.#parts.context, call.network, 'network', call.network)
    return { value: value.preferences, revision: value.intentVersion }
  }

  async setPreferences(call: Call, preferences: Preferences): Promise<Outcome<Preferences>> {
    const { committer, intents } = this.#parts
    return committer.run(call, async () => {
      const view = await intents.view(call.network)
      mustMatch(call, view.version)
      const work = this.#work(call)
      const plan = await this.#edit(
        work,
        call,
        view,
        { type: 'preferences', preferences },
        {
          action: 'preferences.replace',
          target: () => call.network,
          before: view.preferences,
          after: () => preferences,
        },
      )
      return work.decision({ value: preferences, revision: plan?.version ?? view.version })
    })
  }

  addSite(call: Call, site: SiteDraft): Promise<Outcome<Site>> {
    return this.#add(call, { type: 'add-site', site }, 'sites.create', (plan) => plan.sites[0]!)
  }

  changeSite(call: Call, id: string, site: SiteDraft): Promise<Outcome<Site>> {
    return this.#change(call, 'site', id, { type: 'change-site', id, site }, 'sites.replace', (plan) => plan.sites[0]!)
  }

  removeSite(call: Call, id: string): Promise<Outcome<undefined>> {
    return this.#remove(call, 'site', id, { type: 'remove-site', id }, 'sites.remove')
  }

  addTunnel(call: Call, tunnel: TunnelDraft): Promise<Outcome<Tunnel>> {
    return this.#add(call, { type: 'add-tunnel', tunnel }, 'tunnels.create', (plan) => plan.tunnels[0]!)
  }

  changeTunnel(call: Call, id: string, tunnel: TunnelDraft): Promise<Outcome<Tunnel>> {
    const edit: IntentEdit = { type: 'change-tunnel', id, tunnel }
    return this.#change(call, 'tunnel', id, edit, 'tunnels.replace', (plan) => plan.tunnels[0]!)
  }

  removeTunnel(call: Call, id: string): Promise<Outcome<undefined>> {
    return this.#remove(call, 'tunnel', id, { type: 'remove-tunnel', id }, 'tunnels.remove')
  }

  async list<K extends 'site' | 'tunnel'>(
    call: Call,
    kind: K,
    query: PageQuery,
    ref?: string,
  ): Promise<Outcome<PageOf<K extends 'site' ? Site : Tunnel>>> {
    type Part = K extends 'site' ? Site : Tunnel
    return { value: await pageOf(this.#parts.context, call.network, kind, query, (value) => value as Part, ref) }
  }

  getSite(call: Call, id: string): Promise<Outcome<Site>> {
    return mustGet(this.#parts.context, call.network, 'site', id)
  }

  getTunnel(call: Call, id: string): Promise<Outcome<Tunnel>> {
    return mustGet(this.#parts.context, call.network, 'tunnel', id)
  }

  #add<T extends { readonly id: string }>(
    call: Call,
    edit: IntentEdit,
    action: string,
    pick: (plan: IntentPlan) => T,
  ): Promise<Outcome<T>> {
    return this.#parts.committer.run(call, async () => {
      const view = await this.#parts.intents.view(call.network)
      const work = this.#work(call)
      const told: Told = { action, target: (plan) => pick(plan).id, after: pick }
      const plan = await this.#edit(work, call, view, edit, told)
      return work.decision({ value: pick(plan!), revision: 1 })
    })
  }

  #change<K extends 'site' | 'tunnel', T extends { readonly id: string }>(
    call: Call,
    kind: K,
    id: string,
    edit: IntentEdit,
    action: string,
    pick: (plan: IntentPlan) => T,
  ): Promise<Outcome<T>> {
    return this.#parts.committer.run(call, async () => {
      const view = await this.#parts.intents.view(call.network)
      const present = await mustGet(this.#parts.context, call.network, kind, id)
      mustMatch(call, present.revision)
      const work = this.#work(call)
      const told: Told = { action, target: () => id, before: present.value, after: pick }
      const plan = await this.#edit(work, call, view, edit, told)
      // An edit that changes nothing makes no revision.
      if (plan === undefined) return work.decision({ value: present.value as unknown as T, revision: present.revision })
      return work.decision({ value: pick(plan), revision: present.revision + 1 })
    })
  }

  #remove(
    call: Call,
    kind: 'site' | 'tunnel',
    id: string,
    edit: IntentEdit,
    action: string,
  ): Promise<Outcome<undefined>> {
    return this.#parts.committer.run(call, async () => {
      const view = await this.#parts.intents.view(call.network)
      const present = await mustGet(this.#parts.context, call.network, kind, id)
      mustMatch(call, present.revision)
      const work = this.#work(call)
      await this.#edit(work, call, view, edit, { action, target: () => id, before: present.value })
      return work.decision({ value: undefined })
    })
  }

  #work(call: Call): Work {
    return new Work(this.#parts.context.repo, call.network)
  }

  /** Everything that an edit entails, in one decision. */
  async #edit(work: Work, call: Call, view: IntentView, edit: IntentEdit, told: Told): Promise<IntentPlan | undefined> {
    const { context, intents, documents, rotating, runs } = this.#parts
    const { rollout } = await work.mustGet('network', work.network)
    if (rollout !== undefined) throw refusal('rollout-under-way', `${rollout} has not ended`)
    const facts = await factsFor(context, documents, work, sitesRemovedBy(view, edit))
    const plan = planEdit(view, edit, facts)
    if (plan === undefined) return undefined
    told.check?.(view, plan)
    await storePlan(work, view, plan, { at: context.clock(), actor: call.actor.id })
    const after = new PlannedView(view, plan)
    await forgetParts(context, rotating, work, { sites: plan.removedSites, tunnels: plan.removedTunnels })
    for (const { id } of plan.tunnels) await rotating.settle(work, after, id)
    await runs.advance(work, after)
    for (const site of affectedSites(view, plan)) documents.refresh(work, site)
    const present = Array.from(view.sites(), ({ id }) => id)
    for (const site of rerouted(present, view, after)) documents.refresh(work, site)
    await documents.finish(work, after)
    work.audit({
      action: told.action,
      target: told.target(plan),
      ...(told.before === undefined ? {} : { before: told.before }),
      ...(told.after === undefined ? {} : { after: told.after(plan) }),
    })
    work.onCommit(() => intents.apply(call.network, plan))
    return plan
  }
}
