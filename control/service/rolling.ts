/** Rollouts at work: what the domain decides for one, done to the records of one decision. */

import type { ConnectorReport } from '../../protocol/control/link.ts'
import { affectedSites, type IntentPlan, type IntentView } from '../domain/intent-index.ts'
import { planBack } from '../domain/intents/changes.ts'
import { rerouted } from '../domain/intents/compare.ts'
import { isOver, isWordWanted, type RolloutRecord, type RolloutStep, stepRollout } from '../domain/intents/rollout.ts'
import { alarmOf, faultOf, type Health, isSilent, isWatched, type SiteView } from '../domain/intents/watch.ts'
import type { ConnectorRecord, HealthRecord } from '../store/repo.ts'
import { Asking } from './asking.ts'
import { everyOf } from './candidates.ts'
import { byAge, type Documents } from './documents.ts'
import { forgetParts, storePlan, summaryOf } from './intent-changes.ts'
import type { Intents, Situation } from './intents.ts'
import { PlannedView, type Topology } from './planned-view.ts'
import type { Rotating } from './rotating.ts'
import type { Runs } from './runs.ts'
import { optional } from './support.ts'
import type { Context } from './types.ts'
import type { Work } from './work.ts'

export interface RollingParts {
  readonly context: Context
  readonly intents: Intents
  readonly documents: Documents
  readonly rotating: Rotating
  readonly runs: Runs
}

/** With more sites than this, a report looks at its own site only, and the scheduled job at all of them. */
export const FEW = 32
/** The scheduled job runs every minute at the least: after a longer gap this process was away. */
const GAP_MS = 90_000
/** A look is noted when the one before it is so old. */
const NOTE_MS = 15_000
/** Names of sites that one event of the audit log has room for. */
export const AUDITED = 1000
/** How many connectors are asked at once how they are. */
const ASKED = 500
/** Between two reports of a connector that does not say. */
const REPORT_MS = 30_000

export class Rolling {
  readonly #parts: RollingParts
  readonly #startedAt: number
  /** By rollout. */
  readonly #asking = new Asking()

  constructor(parts: RollingParts) {
    this.#parts = parts
    const { isLasting, clock } = parts.context
    this.#startedAt = isLasting === false ? 0 : clock()
  }

  /**
   * Takes what a connector says where a rollout concerns its site, and that further. Returns what documents are made
   * from afterwards.
   */
  async heard(
    work: Work,
    situation: Situation,
    connector: ConnectorRecord,
    report: ConnectorReport,
  ): Promise<Topology> {
    const { rollout, topology } = situation
    const at = rollout?.order.findIndex(({ site }) => site === connector.site) ?? -1
    if (rollout === undefined || at < 0) return topology
    if (!(await this.#parts.documents.carriesTunnels(work, connector))) return topology
    const before = await work.get('health', connector.id)
    const kept = { ...optional('before', before?.before), ...optional('mark', before?.mark) }
    const now = this.#parts.context.clock()
    await work.put('health', { id: connector.id, ...kept, ...healthOf(report, now) })
    if (rollout.order.length > FEW && !(await this.#alarms(work, situation, rollout, at))) return topology
    return this.step(work, situation)
  }

  /** Goes as far as one transition. Returns what documents are made from afterwards. */
  async step(work: Work, situation: Situation): Promise<Topology> {
    const { rollout, topology } = situation
    if (rollout === undefined) return topology
    const sites = await this.views(work, rollout, topology)
    const now = this.#parts.context.clock()
    const looked = { since: this.upSince(rollout, now), at: Math.max(now, rollout.looked.at) }
    const step = stepRollout({ rollout, sites, now, upSince: looked.since })
    if (step !== undefined) return this.take(work, situation, { ...step, rollout: { ...step.rollout, looked } })
    await this.#ask(work, rollout, sites, now)
    if (now - rollout.looked.at >= NOTE_MS || looked.since !== rollout.looked.since) {
      await work.put('rollout', { ...rollout, looked })
    }
    return topology
  }

  async #ask(work: Work, rollout: RolloutRecord, sites: readonly SiteView[], now: number): Promise<void> {
    if (!this.#asking.isDue(rollout.id, now)) return
    const asked: string[] = []
    for (const view of sites) {
      if (asked.length === ASKED) break
      const connector =
        isWordWanted({ rollout, now }, view) && (await this.#parts.documents.connectorOf(work, view.site))
      if (connector) asked.push(connector.id)
    }
    if (asked.length === 0) return
    this.#asking.note(rollout.id, now)
    this.#parts.context.hub.asked(work.network, asked)
  }

  /** Since when there was somebody to take reports, without a gap. */
  upSince({ looked }: RolloutRecord, now: number): number {
    return now - looked.at > GAP_MS ? now : Math.max(looked.since, this.#startedAt)
  }

  /** Does what a step says. Returns what documents are made from afterwards. */
  async take(work: Work, situation: Situation, step: RolloutStep): Promise<Topology> {
    const { rollout: before, topology } = situation
    if (before === undefined) return topology
    let { rollout } = step
    let after: Topology = topology
    if (step.mark) await this.#mark(work, rollout)
    if (step.enter.length > 0) {
      const away = await this.#baseline(work, rollout, step.enter)
      rollout = { ...rollout, counts: { ...rollout.counts, away: rollout.counts.away + away } }
      after = await this.#enter(work, situation, rollout, step.enter)
    }
    if (step.restore) {
      const restored = await this.#restore(work, situation, before)
      for (const { site } of before.order.slice(0, before.counts.in)) work.sitesGiven.add(site)
      rollout = { ...rollout, restored: restored.version }
      after = restored.view
    }
    if (rollout.state === 'done') after = await this.#complete(work, situation.view, before)
    await work.put('rollout', rollout)
    if (isOver(rollout.state)) await this.#release(work)
    this.#audit(work, before, rollout, step.enter)
    return after
  }

  /** Ends a decision: gives the documents their versions, and notes which of them have what the rollout gave. */
  async finish(work: Work, topology: Topology): Promise<void> {
    const { documents } = this.#parts
    await documents.finish(work, topology)
    for (const site of work.sitesGiven) {
      const connector = await documents.connectorOf(work, site)
      const health = connector && (await work.get('health', connector.id))
      if (health?.before === undefined) continue
      await work.put('health', { ...health, before: { ...health.before, due: connector!.documentVersion } })
    }
  }

  /** How the sites are that the present state is about. */
  async views(work: Work, rollout: RolloutRecord, topology: Topology): Promise<SiteView[]> {
    const { order, counts, state, id, step } = rollout
    const sites = state === 'planned' ? order : order.slice(0, counts.in)
    if (sites.length > FEW) await this.readAll(work)
    const views: SiteView[] = []
    for (const { site, name } of sites) {
      const connector = await this.#parts.documents.connectorOf(work, site)
      const health = connector && (await work.get('health', connector.id))
      views.push({
        site,
        name,
        connected: connector !== undefined,
        due: health?.before?.rollout === id ? health.before.due : 0,
        health,
        before: health?.before?.rollout === id ? health.before.health : undefined,
        mark: health?.mark?.rollout === id && health.mark.step === step ? health.mark.health : undefined,
        tunnels: new Map(topology.tunnelsOf(site).map((tunnel) => [tunnel.id, tunnel.name])),
      })
    }
    return views
  }

  /** In bulk: one by one, a large network would take as many queries as it has sites. */
  async readAll(work: Work): Promise<void> {
    const { context } = this.#parts
    const at = new Map<string, ConnectorRecord[]>()
    for await (const connector of everyOf(context, work.network, 'connector', undefined, work)) {
      if (connector.revokedAt === undefined) at.set(connector.site, [...(at.get(connector.site) ?? []), connector])
    }
    for (const [site, all] of at) {
      if (!work.connectorsAt.has(site))
        work.connectorsAt.set(
          site,
          all.sort(byAge).map(({ id }) => id),
        )
    }
    for await (const _ of everyOf(context, work.network, 'health', undefined, work));
  }

  /** Whether what this one site says ends the rollout. */
  async #alarms(work: Work, situation: Situation, rollout: RolloutRecord, at: number): Promise<boolean> {
    if (at >= rollout.counts.in || rollout.state === 'planned') return false
    const one = { ...rollout, order: [rollout.order[at]!], counts: { ...rollout.counts, in: 1 } }
    const [view] = await this.views(work, one, situation.topology)
    if (view === undefined || !isWatched(view)) return false
    const now = this.#parts.context.clock()
    const { stateSince: since, watch, state } = rollout
    const upSince = this.upSince(rollout, now)
    if (state !== 'watching') return alarmOf(view, now, upSince) !== undefined
    const watching = { since, lengthMs: (rollout.deadline ?? since) - since, lossPercent: watch.lossPercent, upSince }
    return faultOf(view, watching, now) !== undefined
  }

  /** What those that get the target are held against. Returns how many of them are away. */
  async #baseline(work: Work, { id }: RolloutRecord, sites: readonly string[]): Promise<number> {
    const now = this.#parts.context.clock()
    let away = 0
    for (const site of sites) {
      const connector = await this.#parts.documents.connectorOf(work, site)
      const health = connector && (await work.get('health', connector.id))
      if (health === undefined || isSilent(health, now)) away++
      else await work.put('health', { ...health, before: { rollout: id, health: plain(health), due: 0 } })
    }
    return away
  }

  async #mark(work: Work, { id, order, counts, step }: RolloutRecord): Promise<void> {
    for (const { site } of order.slice(0, counts.in)) {
      const connector = await this.#parts.documents.connectorOf(work, site)
      const health = connector && (await work.get('health', connector.id))
      if (health !== undefined) {
        await work.put('health', { ...health, mark: { rollout: id, step, health: plain(health) } })
      }
    }
  }

  async #enter(
    work: Work,
    { view, topology }: Situation,
    rollout: RolloutRecord,
    entering: readonly string[],
  ): Promise<Topology> {
    const { intents, documents, rotating } = this.#parts
    const base = await intents.base(work.network, rollout.base)
    const after = intents.mixed(view, base, rollout)
    const fresh = new Set<string>()
    // What those announce that have it by now, others take wherever they are.
    for (const site of rerouted(idsOf(base, view), topology, after)) documents.refresh(work, site)
    const moved = new Set(entering)
    // Whoever had to wait for prefixes that another one had may have them now.
    for (const { site } of rollout.order.slice(0, rollout.counts.in)) {
      if (prefixesOf(topology, site) !== prefixesOf(after, site)) moved.add(site)
    }
    for (const site of moved) {
      documents.refresh(work, site)
      work.sitesGiven.add(site)
      const shown = new Set(topology.tunnelsOf(site).map(({ id }) => id))
      for (const tunnel of [...topology.tunnelsOf(site), ...after.tunnelsOf(site)]) {
        for (const end of tunnel.sites) documents.refresh(work, end)
        if (!shown.has(tunnel.id)) fresh.add(tunnel.id)
      }
    }
    for (const tunnel of fresh) await rotating.settle(work, after, tunnel)
    return after
  }

  /** The base as a new version, for everybody. */
  async #restore(
    work: Work,
    { view, topology }: Situation,
    { base, order, counts }: RolloutRecord,
  ): Promise<{ readonly version: number; readonly view: Topology }> {
    const { context, intents, documents, rotating, runs } = this.#parts
    // Nobody joins at a site that is new in a rollout, so none that goes has a connector.
    const plan = planBack(view, await intents.at(work.network, base), () => false)
    if (plan === undefined) return { version: view.version, view }
    await storePlan(work, view, plan, { at: context.clock(), actor: 'system' })
    const after = new PlannedView(view, plan)
    await forgetParts(context, rotating, work, { sites: plan.removedSites, tunnels: plan.removedTunnels })
    for (const { id } of plan.tunnels) await rotating.settle(work, after, id)
    await runs.advance(work, after)
    for (const site of changedSites(view, after, plan)) documents.refresh(work, site)
    for (const site of rerouted(idsOf(view), topology, after)) documents.refresh(work, site)
    for (const { site } of order.slice(0, counts.in)) {
      for (const tunnel of topology.tunnelsOf(site)) for (const end of tunnel.sites) documents.refresh(work, end)
    }
    work.audit({ actor: 'system', action: 'intent.restore', target: work.network, after: summaryOf(plan) })
    work.onCommit(() => intents.apply(work.network, plan))
    return { version: plan.version, view: after }
  }

  /** All have the target: what it has left out is forgotten. */
  async #complete(work: Work, view: IntentView, { base: version }: RolloutRecord): Promise<Topology> {
    const { context, intents, documents, rotating, runs } = this.#parts
    const base = await intents.base(work.network, version)
    const plan = planBack(base, await intents.at(work.network, view.version), () => false)
    if (plan === undefined) return view
    await forgetParts(context, rotating, work, { sites: plan.removedSites, tunnels: plan.removedTunnels })
    for (const { id } of plan.tunnels) await rotating.settle(work, view, id)
    await runs.advance(work, view)
    for (const site of changedSites(base, view, plan)) documents.refresh(work, site)
    return view
  }

  /** From now on the intent may be changed again. */
  async #release(work: Work): Promise<void> {
    const { rollout: _, ...network } = await work.mustGet('network', work.network)
    await work.put('network', network)
  }

  #audit(work: Work, before: RolloutRecord, rollout: RolloutRecord, entering: readonly string[]): void {
    const names = new Map(rollout.order.map(({ site, name }) => [site, name]))
    const { id, state, step, counts, reason, fault, restored } = rollout
    work.audit({
      actor: 'system',
      action: `rollouts.${state}`,
      target: id,
      before: { state: before.state },
      after: {
        step,
        counts,
        ...(entering.length === 0 ? {} : { sites: entering.slice(0, AUDITED).map((site) => names.get(site)) }),
        ...optional('reason', reason),
        ...optional('fault', fault),
        ...optional('restored', restored),
      },
    })
  }
}

/** What of a report a rollout looks at. */
export function healthOf(report: ConnectorReport, now: number): Health {
  const paths = new Map(report.routing?.paths.map((path) => [path.tunnel, path]))
  return {
    at: now,
    version: report.version,
    startedAt: report.startedAt,
    everyMs: report.routing?.everyMs ?? REPORT_MS,
    refused: report.routing?.refused ?? [],
    tunnels: report.tunnels.map(({ tunnel, state, traffic }) => {
      const path = paths.get(tunnel)
      const losses = [path?.lossOut, path?.lossIn].filter((share) => share !== undefined)
      return {
        tunnel,
        passing: path?.passing ?? (state === 'up' || state === 'degraded'),
        ...(path?.bgp === undefined ? {} : { established: path.bgp.established, flaps: path.bgp.flaps }),
        ...(losses.length === 0 ? {} : { loss: Math.max(...losses) }),
        received: traffic.inPackets,
        ...optional('missing', traffic.missing),
      }
    }),
  }
}

function changedSites(before: IntentView, after: Topology, plan: IntentPlan): Set<string> {
  const sites = Array.from(before.sites(), ({ id }) => id)
  return new Set([...affectedSites(before, plan), ...rerouted(sites, before, after)])
}

function plain({ id: _, before: __, mark: ___, ...health }: HealthRecord): Health {
  return health
}

function prefixesOf(topology: Topology, site: string): string {
  return topology.site(site)?.prefixes.join() ?? ''
}

/** Of all sites of some versions. */
function idsOf(...versions: readonly IntentView[]): Set<string> {
  return new Set(versions.flatMap((version) => Array.from(version.sites(), ({ id }) => id)))
}
