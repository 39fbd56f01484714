/** Connections to clouds as people describe them and look at them. What is done at the cloud, runs do (`cloud-runs.ts`). */
import type { Cloud, CloudDraft, CloudLook, CloudPlan, CloudPrices } from '../../protocol/control/cloud.ts'
import { MAX_DRIFT } from '../domain/cloud/look.ts'
import { planOf } from '../domain/cloud/plan.ts'
import { CloudFailure } from '../domain/cloud/provider.ts'
import { changedCloud, draftOf, fixedFaults, isBuilt, newCloud, newRun } from '../domain/cloud/records.ts'
import { faultsOf } from '../domain/cloud/rules.ts'
import { NO_VIEW, toCloud } from '../domain/cloud/state.ts'
import type { CloudRecord } from '../domain/cloud/types.ts'
import { sameValue } from '../domain/intent.ts'
import { type CodedFault, refusalOf } from '../domain/refusal.ts'
import { lookAt, mustBeEnabled, refusalOfFailure, subjectOf } from './cloud-access.ts'
import { type CloudKeys, MAX_CLOUDS } from './cloud-keys.ts'
import { CloudSituations, type SituationParts } from './cloud-situations.ts'
import type { CloudWatch } from './cloud-watch.ts'
import type { Committer } from './commit.ts'
import { refusal } from './refusals.ts'
import { cursorText, freshId, mustGet, mustMatch, nameTaken, optional, paged } from './support.ts'
import type { Call, Outcome, PageOf, PageQuery } from './types.ts'
import { Work } from './work.ts'

export interface CloudParts extends SituationParts {
  readonly committer: Committer
  readonly keys: CloudKeys
  readonly watch: CloudWatch
}

export class Clouds {
  readonly #parts: CloudParts
  readonly #situations: CloudSituations

  constructor(parts: CloudParts) {
    this.#parts = parts
    this.#situations = new CloudSituations(parts)
  }

  async create(call: Call, draft: CloudDraft): Promise<Outcome<Cloud>> {
    const { context, committer } = this.#parts
    await mustBeEnabled(context, call.network)
    return committer.run(call, async () => {
      const work = this.#work(call)
      const resolved = await this.#resolved(work, draft)
      await this.#mustBeFree(call, draft.name)
      if ((await context.repo.count(call.network, 'cloud')) >= MAX_CLOUDS) {
        throw refusal('limit-reached', `a network has at most ${MAX_CLOUDS} connections`)
      }
      const record = this.#fresh(resolved)
      work.create('cloud', record)
      work.audit({ action: 'clouds.create', target: record.id, after: auditedCloud(record) })
      return work.decision({ value: await this.#shown(call, record), revision: 1 })
    })
  }

  async list(call: Call, query: PageQuery, site?: string): Promise<Outcome<PageOf<Cloud>>> {
    const after = query.cursor === undefined ? undefined : cursorText(query.cursor)
    const page = { limit: query.limit + 1, ...optional('after', after), ...optional('ref', site) }
    const found = await this.#parts.context.repo.list(call.network, 'cloud', page)
    const shown = new Map<string, Cloud>()
    for (const { value } of found.slice(0, query.limit)) shown.set(value.id, await this.#shown(call, value))
    const value = paged(
      found,
      query.limit,
      (entry) => entry.value.id,
      (entry) => shown.get(entry.value.id)!,
    )
    return { value }
  }

  async get(call: Call, id: string): Promise<Outcome<Cloud>> {
    const { value, revision } = await mustGet(this.#parts.context, call.network, 'cloud', id)
    return { value: await this.#shown(call, value), revision }
  }

  /** What is wanted; at the cloud nothing changes before a run. */
  async replace(call: Call, id: string, draft: CloudDraft): Promise<Outcome<Cloud>> {
    const { context, committer, documents, intents } = this.#parts
    await mustGet(context, call.network, 'cloud', id)
    await mustBeEnabled(context, call.network)
    return committer.run(call, async () => {
      const before = await mustGet(context, call.network, 'cloud', id)
      mustMatch(call, before.revision)
      const work = this.#work(call)
      const resolved = await this.#resolved(work, draft)
      await this.#mustBeFree(call, draft.name, id)
      // What changes nothing makes no revision.
      if (sameValue(draftOf(before.value), draftOf(changedCloud(before.value, resolved)))) {
        return work.decision({ value: await this.#shown(call, before.value), revision: before.revision })
      }
      const fixed = fixedFaults(before.value, resolved)
      if (fixed.length > 0)
        throw refusal('cloud-built', fixed.map(({ pointer }) => pointer).join(', '), { errors: fixed })
      mustBeIdle(before.value)
      const record = changedCloud(before.value, resolved)
      await work.put('cloud', record)
      documents.refresh(work, record.site)
      await documents.finish(work, await intents.topology(call.network))
      const [was, is] = [auditedCloud(before.value), auditedCloud(record)]
      work.audit({ action: 'clouds.replace', target: id, before: was, after: is })
      const after = await work.mustGet('cloud', id)
      return work.decision({ value: await this.#shown(call, after), revision: before.revision + 1 })
    })
  }

  /** Only one of which nothing is left that we made: what was found there stays there anyway. */
  async remove(call: Call, id: string): Promise<Outcome<undefined>> {
    const { context, committer, documents, intents } = this.#parts
    return committer.run(call, async () => {
      const { value, revision } = await mustGet(context, call.network, 'cloud', id)
      mustMatch(call, revision)
      mustBeIdle(value)
      const made = value.resources.filter((each) => each.made)
      if (made.length > 0 || isBuilt(value)) {
        throw refusal('cloud-in-use', `there is ${made.map((each) => each.id).join(', ') || 'something'} of it at AWS`)
      }
      const work = this.#work(call)
      await forgetCloud(work, this.#parts.keys, value)
      documents.refresh(work, value.site)
      await documents.finish(work, await intents.topology(call.network))
      work.audit({ action: 'clouds.remove', target: id, before: auditedCloud(value) })
      return work.decision({ value: undefined })
    })
  }

  /** What the draft would come to: of the connection that has its name, or of a new one. Changes nothing. */
  async plan(call: Call, draft: CloudDraft, prices: CloudPrices): Promise<Outcome<CloudPlan>> {
    const { context } = this.#parts
    const access = await mustBeEnabled(context, call.network)
    const work = this.#work(call)
    const resolved = await this.#resolved(work, draft)
    const there = await context.repo.byName(call.network, 'cloud', draft.name)
    const fixed = there === undefined ? [] : fixedFaults(there.value, resolved)
    if (fixed.length > 0)
      throw refusal('cloud-built', fixed.map(({ pointer }) => pointer).join(', '), { errors: fixed })
    const record = there === undefined ? this.#fresh(resolved) : changedCloud(there.value, resolved)
    const seen = (await lookAt(context, access, [subjectOf(record, call.network)])).get(record.id)!
    if (seen instanceof CloudFailure) throw refusalOfFailure(seen)
    const clouds = await this.#situations.read(work)
    const view = await work.get('cloudView', record.id)
    const now = context.clock()
    const made = { id: freshId(context, 'cloudRun'), cloud: record.id, createdAt: now, startedBy: call.actor.id }
    const run = newRun({ ...made, kind: 'apply', acceptLoss: false })
    const [sight, facts] = [await clouds.sight(record, view), await clouds.facts(record)]
    const plan = planOf({ record, run, seen, sight, facts, now }, prices)
    return { value: { ...plan, drift: plan.drift.slice(0, MAX_DRIFT) } }
  }

  /** Looks at the cloud now. */
  async drift(call: Call, id: string): Promise<Outcome<CloudLook>> {
    const { context, watch } = this.#parts
    const { value: record } = await mustGet(context, call.network, 'cloud', id)
    const access = await mustBeEnabled(context, call.network)
    const failure = await watch.look(call.network, access, [record])
    if (failure !== undefined) throw refusalOfFailure(failure)
    const view = await context.repo.get(call.network, 'cloudView', id)
    return { value: { lookedAt: view?.value.lookedAt ?? context.clock(), drift: [...(view?.value.drift ?? [])] } }
  }

  async #shown({ network }: Call, record: CloudRecord): Promise<Cloud> {
    const { repo } = this.#parts.context
    const view = (await repo.get(network, 'cloudView', record.id))?.value
    const run = record.run === undefined ? undefined : (await repo.get(network, 'cloudRun', record.run))?.value
    return toCloud(record, view ?? NO_VIEW, await this.#situations.sight(network, record, view), run)
  }

  /** With identifiers for names. Refuses all faults at once. */
  async #resolved(work: Work, draft: CloudDraft): Promise<CloudDraft> {
    const faults: CodedFault[] = [...faultsOf(draft)]
    const site = await this.#idOf(work, 'site', draft.site)
    if (site === undefined) faults.push({ pointer: '/site', detail: `there is no site ${draft.site}` })
    const policy = draft.policy === undefined ? undefined : await this.#idOf(work, 'policy', draft.policy)
    if (draft.policy !== undefined && policy === undefined) {
      faults.push({ pointer: '/policy', detail: `there is no policy ${draft.policy}` })
    }
    const refused = refusalOf(faults)
    if (refused !== undefined) throw refused
    return { ...draft, site: site!, ...optional('policy', policy) }
  }

  async #idOf(work: Work, kind: 'site' | 'policy', ref: string): Promise<string | undefined> {
    const { repo } = this.#parts.context
    return (await repo.get(work.network, kind, ref))?.value.id ?? (await repo.byName(work.network, kind, ref))?.value.id
  }

  async #mustBeFree(call: Call, name: string, self?: string): Promise<void> {
    const taken = await this.#parts.context.repo.byName(call.network, 'cloud', name)
    if (taken !== undefined && taken.value.id !== self) throw nameTaken('connection')
  }

  #fresh(draft: CloudDraft): CloudRecord {
    const { context } = this.#parts
    const externals = [freshId(context, 'external'), freshId(context, 'external')]
    return newCloud(draft, { id: freshId(context, 'cloud'), externals, at: context.clock() })
  }

  #work(call: Call): Work {
    return new Work(this.#parts.context.repo, call.network)
  }
}

/** The record and what hangs on it. Its runs stay, as history. */
export async function forgetCloud(work: Work, keys: CloudKeys, record: CloudRecord): Promise<void> {
  await keys.forget(work, record, undefined)
  await work.remove('cloud', record.id)
  await work.remove('cloudView', record.id)
}

export function mustBeIdle({ run }: CloudRecord): void {
  if (run !== undefined) throw refusal('cloud-run-under-way', `${run} has not ended`)
}

/** What was asked for, and what there is; not what its keys are sealed as. */
export function auditedCloud(record: CloudRecord): unknown {
  return { id: record.id, ...draftOf(record), resources: record.resources }
}
