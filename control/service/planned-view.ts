/** The intent as it will be when a plan is committed; costs what the plan changes, but for routing, which is made as a whole. */
import type { Site, Tunnel } from '../../protocol/control/intent.ts'
import type { DocumentRouting } from '../../protocol/control/routing.ts'
import type { IntentPlan, IntentView } from '../domain/intent-index.ts'
import { plannedRouting } from '../domain/intents/routing-edit.ts'

/** What the documents of connectors are made from. */
export type Topology = Pick<IntentView, 'site' | 'tunnel' | 'tunnelsOf' | 'routingOf'>

export class PlannedView implements Topology {
  readonly #before: IntentView
  readonly #plan: IntentPlan
  #routing: { readonly of: (site: string) => DocumentRouting | undefined } | undefined
  readonly #sites = new Map<string, Site | undefined>()
  readonly #tunnels = new Map<string, Tunnel | undefined>()
  readonly #fresh = new Map<string, Tunnel[]>()

  constructor(before: IntentView, plan: IntentPlan) {
    this.#before = before
    this.#plan = plan
    for (const site of plan.sites) this.#sites.set(site.id, site)
    for (const id of plan.removedSites) this.#sites.set(id, undefined)
    for (const id of plan.removedTunnels) this.#tunnels.set(id, undefined)
    for (const tunnel of plan.tunnels) {
      this.#tunnels.set(tunnel.id, tunnel)
      if (before.tunnel(tunnel.id) !== undefined) continue
      for (const site of tunnel.sites) this.#fresh.set(site, [...(this.#fresh.get(site) ?? []), tunnel])
    }
  }

  site(id: string): Site | undefined {
    return this.#sites.has(id) ? this.#sites.get(id) : this.#before.site(id)
  }

  tunnel(id: string): Tunnel | undefined {
    return this.#tunnels.has(id) ? this.#tunnels.get(id) : this.#before.tunnel(id)
  }

  routingOf(site: string): DocumentRouting | undefined {
    this.#routing ??= plannedRouting(this.#before, this.#plan)
    return this.site(site) === undefined ? undefined : this.#routing.of(site)
  }

  /** The ends of a tunnel never change, so those that were there stay where they were. */
  tunnelsOf(site: string): readonly Tunnel[] {
    const kept = this.#before.tunnelsOf(site).flatMap(({ id }) => this.tunnel(id) ?? [])
    return [...kept, ...(this.#fresh.get(site) ?? [])]
  }
}
