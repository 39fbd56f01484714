/** The intent of a network in memory, found by identifier, name, ends and address, and kept current change by change. */
import type { Intent, Preferences, Site, Tunnel } from '../../protocol/control/intent.ts'
import type { DocumentRouting } from '../../protocol/control/routing.ts'
import { type CompiledRouting, compileRouting } from './intents/compile.ts'
import {
  applyRouting,
  partsOf,
  type RoutingChange,
  type RoutingPart,
  type RoutingView,
  viewOf,
} from './intents/routing-view.ts'
import { type PlacedPrefix, PrefixIndex } from './prefix-index.ts'

/** What an edit looks at. */
export interface IntentView {
  readonly version: number
  readonly preferences: Preferences
  /** Undefined: there is none, and tunnels lead to the prefixes of their sites. */
  readonly routing: RoutingView | undefined
  /** Of the connector at a site; undefined where there is no such site, or no routing. */
  routingOf(site: string): DocumentRouting | undefined
  readonly siteCount: number
  readonly tunnelCount: number
  sites(): Iterable<Site>
  tunnels(): Iterable<Tunnel>
  site(id: string): Site | undefined
  siteByName(name: string): Site | undefined
  tunnel(id: string): Tunnel | undefined
  tunnelByName(name: string): Tunnel | undefined
  /** In either order. */
  tunnelBetween(left: string, right: string): Tunnel | undefined
  tunnelsOf(site: string): readonly Tunnel[]
  /** A prefix that shares an address with this one, but for those of the site `except`. */
  overlapping(prefix: string, except?: string): PlacedPrefix | undefined
}

/** What a change of the intent comes to. The new version is one more than the one it was made on. */
export interface IntentPlan {
  readonly version: number
  /** New or changed, whole. */
  readonly sites: readonly Site[]
  readonly tunnels: readonly Tunnel[]
  /** Identifiers. */
  readonly removedSites: readonly string[]
  readonly removedTunnels: readonly string[]
  /** Set when they change. */
  readonly preferences?: Preferences
  readonly routing?: RoutingChange
}

export class IntentIndex implements IntentView {
  #version: number
  #preferences: Preferences
  readonly #sites = new Map<string, Site>()
  readonly #siteNames = new Map<string, string>()
  readonly #tunnels = new Map<string, Tunnel>()
  readonly #tunnelNames = new Map<string, string>()
  readonly #pairs = new Map<string, string>()
  readonly #tunnelsOf = new Map<string, Set<string>>()
  readonly #prefixes: PrefixIndex
  readonly #routing: Map<string, RoutingPart>
  /** Of the present version, once it was asked for. */
  #compiled: CompiledRouting | undefined

  /** `intent` must be one that was accepted. */
  constructor(intent: Intent) {
    this.#version = intent.version
    this.#preferences = intent.preferences
    this.#prefixes = new PrefixIndex(intent.sites.flatMap(placed))
    for (const site of intent.sites) this.#putSite(site)
    for (const tunnel of intent.tunnels) this.#putTunnel(tunnel)
    this.#routing = new Map(partsOf(intent).map((part) => [part.id, part]))
  }

  get version(): number {
    return this.#version
  }

  get preferences(): Preferences {
    return this.#preferences
  }

  get routing(): RoutingView | undefined {
    return viewOf(this.#routing)
  }

  routingOf(site: string): DocumentRouting | undefined {
    const { routing } = this
    if (routing === undefined || !this.#sites.has(site)) return undefined
    this.#compiled ??= compileRouting(this, routing)
    return this.#compiled.of(site)
  }

  get siteCount(): number {
    return this.#sites.size
  }

  get tunnelCount(): number {
    return this.#tunnels.size
  }

  sites(): Iterable<Site> {
    return this.#sites.values()
  }

  tunnels(): Iterable<Tunnel> {
    return this.#tunnels.values()
  }

  site(id: string): Site | undefined {
    return this.#sites.get(id)
  }

  siteByName(name: string): Site | undefined {
    return this.#sites.get(this.#siteNames.get(name) ?? '')
  }

  tunnel(id: string): Tunnel | undefined {
    return this.#tunnels.get(id)
  }

  tunnelByName(name: string): Tunnel | undefined {
    return this.#tunnels.get(this.#tunnelNames.get(name) ?? '')
  }

  tunnelBetween(left: string, right: string): Tunnel | undefined {
    return this.#tunnels.get(this.#pairs.get(pairOf(left, right)) ?? '')
  }

  tunnelsOf(site: string): readonly Tunnel[] {
    return Array.from(this.#tunnelsOf.get(site) ?? [], (id) => this.#tunnels.get(id)!)
  }

  overlapping(prefix: string, except?: string): PlacedPrefix | undefined {
    return this.#prefixes.overlapping(prefix, except)
  }

  /** Takes over a plan that was made on this version and has been committed. Costs what the plan changes. */
  apply(plan: IntentPlan): void {
    if (plan.version !== this.#version + 1) {
      throw new RangeError(`version ${plan.version} does not follow ${this.#version}`)
    }
    this.#version = plan.version
    this.#compiled = undefined
    this.#preferences = plan.preferences ?? this.#preferences
    // What goes or changes gives up its names and addresses before anything takes them.
    for (const id of [...plan.removedTunnels, ...plan.tunnels.map((tunnel) => tunnel.id)]) this.#dropTunnel(id)
    for (const id of [...plan.removedSites, ...plan.sites.map((site) => site.id)]) this.#dropSite(id)
    for (const site of plan.sites) {
      this.#putSite(site)
      for (const item of placed(site)) this.#prefixes.add(item)
    }
    for (const tunnel of plan.tunnels) this.#putTunnel(tunnel)
    if (plan.routing !== undefined) applyRouting(this.#routing, plan.routing)
  }

  #putSite(site: Site): void {
    this.#sites.set(site.id, site)
    this.#siteNames.set(site.name, site.id)
  }

  #dropSite(id: string): void {
    const site = this.#sites.get(id)
    if (site === undefined) return
    this.#sites.delete(id)
    this.#siteNames.delete(site.name)
    for (const prefix of site.prefixes) this.#prefixes.remove(prefix)
  }

  #putTunnel(tunnel: Tunnel): void {
    this.#tunnels.set(tunnel.id, tunnel)
    this.#tunnelNames.set(tunnel.name, tunnel.id)
    this.#pairs.set(pairOf(...tunnel.sites), tunnel.id)
    for (const site of tunnel.sites) {
      const of = this.#tunnelsOf.get(site) ?? new Set()
      this.#tunnelsOf.set(site, of.add(tunnel.id))
    }
  }

  #dropTunnel(id: string): void {
    const tunnel = this.#tunnels.get(id)
    if (tunnel === undefined) return
    this.#tunnels.delete(id)
    this.#tunnelNames.delete(tunnel.name)
    this.#pairs.delete(pairOf(...tunnel.sites))
    for (const site of tunnel.sites) {
      const of = this.#tunnelsOf.get(site)
      of?.delete(id)
      if (of?.size === 0) this.#tunnelsOf.delete(site)
    }
  }
}

/** One text for both orders of two ends. */
export function pairOf(left: string, right: string): string {
  return left < right ? `${left} ${right}` : `${right} ${left}`
}

/**
 * The sites whose connectors may have something else to do after `plan`: those that change, their neighbours, and the
 * ends of tunnels that come, change or go. `before` is the intent that the plan was made on.
 */
export function affectedSites(before: IntentView, plan: IntentPlan): Set<string> {
  const affected = new Set<string>(plan.removedSites)
  for (const { id } of plan.sites) {
    affected.add(id)
    for (const { sites } of before.tunnelsOf(id)) for (const site of sites) affected.add(site)
  }
  for (const { id, sites } of plan.tunnels) {
    for (const site of [...sites, ...(before.tunnel(id)?.sites ?? [])]) affected.add(site)
  }
  for (const id of plan.removedTunnels) for (const site of before.tunnel(id)?.sites ?? []) affected.add(site)
  return affected
}

function placed(site: Site): PlacedPrefix[] {
  return site.prefixes.map((prefix) => ({ prefix, site: site.id }))
}
