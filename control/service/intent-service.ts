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
import { type IntentEdit, planEdit, sitesRemovedBy } from '../domain/intent.ts'
import { affectedSites, type IntentPlan, type IntentView } from '../domain/intent-index.ts'
import type { Kind } from '../store/repo.ts'
import type { Committer } from './commit.ts'
import type { Documents } from './documents.ts'
import { forgetSites } from './functions.ts'
import type { Intents } from './intents.ts'
import { PlannedView } from './planned-view.ts'
import type { Rotating } from './rotating.ts'
import type { Runs } from './runs.ts'
import { freshId, mustGet, mustMatch, pageOf } from './support.ts'
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

  async replace(call: Call, draft: IntentDraft): Promise<Outcome<Intent>> {
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
          after: summaryOf,
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
    const occupied = new Set<string>()
    for (const site of sitesRemovedBy(view, edit)) {
      if ((await documents.connectorOf(work, site)) !== undefined) occupied.add(site)
    }
    const facts = {
      hasConnector: (site: string) => occupied.has(site),
      makeId: (kind: 'site' | 'tunnel') => freshId(context, kind),
    }
    const plan = planEdit(view, edit, facts)
    if (plan === undefined) return undefined
    const now = context.clock()
    work.setIntent({ version: plan.version, at: now, actor: call.actor.id })
    await this.#store(work, view, plan)
    const after = new PlannedView(view, plan)
    for (const id of plan.removedTunnels) await rotating.forget(work, id, 'the tunnel was removed')
    for (const id of plan.removedSites) await this.#revokeJoins(work, id, now)
    await forgetSites(context, work, new Set(plan.removedSites))
    for (const { id } of plan.tunnels) await rotating.settle(work, after, id)
    await runs.advance(work, after)
    for (const site of affectedSites(view, plan)) documents.refresh(work, site)
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

  async #store(work: Work, view: IntentView, plan: IntentPlan): Promise<void> {
    const put = async (kind: 'site' | 'tunnel', value: Site | Tunnel, there: boolean) => {
      if (there) await work.put(kind, value as Site & Tunnel)
      else work.create(kind, value as Site & Tunnel)
    }
    for (const site of plan.sites) await put('site', site, view.site(site.id) !== undefined)
    for (const tunnel of plan.tunnels) await put('tunnel', tunnel, view.tunnel(tunnel.id) !== undefined)
    for (const id of plan.removedSites) await work.remove('site' satisfies Kind, id)
    for (const id of plan.removedTunnels) await work.remove('tunnel' satisfies Kind, id)
    if (plan.preferences === undefined) return
    await work.put('network', { ...(await work.mustGet('network', work.network)), preferences: plan.preferences })
  }

  /** A token for a site that is gone would only fail later, in front of whoever joins. */
  async #revokeJoins(work: Work, site: string, now: number): Promise<void> {
    const { repo } = this.#parts.context
    for (const { value } of await repo.list(work.network, 'join', { ref: site, limit: 1000 })) {
      if (value.usedAt === undefined && value.revokedAt === undefined)
        await work.put('join', { ...value, revokedAt: now })
    }
  }
}

/** Which parts of the whole have changed; the versions themselves are kept. */
function summaryOf(plan: IntentPlan): unknown {
  return {
    version: plan.version,
    sites: plan.sites.map(({ id }) => id),
    tunnels: plan.tunnels.map(({ id }) => id),
    removedSites: plan.removedSites,
    removedTunnels: plan.removedTunnels,
    ...(plan.preferences === undefined ? {} : { preferences: plan.preferences }),
  }
}
