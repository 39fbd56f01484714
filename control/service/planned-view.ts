/** The intent as it will be when a plan is committed; costs what the plan changes. */
import type { Site, Tunnel } from '../../protocol/control/intent.ts'
import type { IntentPlan, IntentView } from '../domain/intent-index.ts'

/** What the documents of connectors are made from. */
export type Topology = Pick<IntentView, 'site' | 'tunnel' | 'tunnelsOf'>

export class PlannedView implements Topology {
  readonly #before: Topology
  readonly #sites = new Map<string, Site | undefined>()
  readonly #tunnels = new Map<string, Tunnel | undefined>()
  readonly #fresh = new Map<string, Tunnel[]>()

  constructor(before: Topology, plan: IntentPlan) {
    this.#before = before
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

  /** The ends of a tunnel never change, so those that were there stay where they were. */
  tunnelsOf(site: string): readonly Tunnel[] {
    const kept = this.#before.tunnelsOf(site).flatMap(({ id }) => this.tunnel(id) ?? [])
    return [...kept, ...(this.#fresh.get(site) ?? [])]
  }
}
