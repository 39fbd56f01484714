/**
 * What leads where, as the plan says it, by names of connections; the engines know tunnels by numbers. Routes, spreads
 * and refusals go through `engine-routes.ts`, classes straight to the engines.
 */
import type { Prefix } from '../../protocol/net.ts'
import type { RouteChanges } from '../core/bgp/speaker-types.ts'
import type { Command } from '../data/commands.ts'
import type { ClassPlan, ConnectorPlan, RefusalPlan } from '../plan.ts'
import { EngineRoutes } from './engine-routes.ts'

export type ForwardingPlan = Partial<Pick<ConnectorPlan, 'spreads' | 'classes' | 'refusals' | 'networks'>>
/** Its tunnels in the order that counts now. */
export type ClassOrder = Pick<ClassPlan, 'name' | 'matches' | 'prefer'>

export interface RouteEntry {
  readonly prefix: Prefix
  /** Names of connections, the first one preferred; none where it is local or refused. */
  readonly tunnels: readonly string[]
  readonly learned: boolean
  readonly local?: true
  readonly refused?: RefusalPlan['answer']
}

export class Forwarding {
  readonly #tellAll: (command: Command) => Promise<void>
  /** Of the connections that there are. */
  readonly #tunnels: ReadonlyMap<string, { readonly tunnel: number }>
  readonly #routes: EngineRoutes
  #plan: ForwardingPlan = {}
  #classes: readonly ClassOrder[] = []

  /** @param tunnels by names of connections; whoever changes it calls `renumber` */
  constructor(tellAll: (command: Command) => Promise<void>, tunnels: ReadonlyMap<string, { readonly tunnel: number }>) {
    this.#tellAll = tellAll
    this.#tunnels = tunnels
    this.#routes = new EngineRoutes(tellAll)
  }

  /** Spreads, refusals and our own networks. Rejects with the first failure. */
  async setPlan(plan: ForwardingPlan): Promise<void> {
    this.#plan = plan
    await Promise.all([
      this.#routes.setSpreads(this.#spreads()),
      this.#routes.setRefusals(plan.refusals ?? []),
      this.#routes.setNetworks(plan.networks ?? []),
    ])
  }

  /** These are all classes. Rejects with the first failure. */
  async setClasses(classes: readonly ClassOrder[]): Promise<void> {
    this.#classes = classes
    await this.#tellAll({
      type: 'classes',
      classes: classes.map(({ matches, prefer }) => ({ matches, prefer: this.#numbers(prefer) })),
    })
  }

  /** Connections have come or gone: what names them is told anew. */
  async renumber(): Promise<void> {
    await Promise.all([
      this.#routes.setSpreads(this.#spreads()),
      this.#classes.length === 0 ? undefined : this.setClasses(this.#classes),
    ])
  }

  /** These are all configured routes, each to the connections that have it, in this order. */
  async setRoutes(
    routes: readonly { readonly connection: string; readonly routes: readonly Prefix[] }[],
  ): Promise<void> {
    const hops = routes.flatMap(({ connection, routes: prefixes }) => {
      return this.#numbers([connection]).map((tunnel) => ({ tunnel, routes: prefixes }))
    })
    await this.#routes.set(hops)
  }

  async learn({ prefixes, tunnels }: RouteChanges): Promise<void> {
    const known = new Map<readonly string[], readonly number[]>()
    const numbers = tunnels.map((names) => {
      const found = known.get(names)
      if (found !== undefined) return found
      const made = this.#numbers(names)
      known.set(names, made)
      return made
    })
    await this.#routes.learn({ prefixes, tunnels: numbers })
  }

  /** Nothing learned leads to the connection any more, which is about to go. */
  async forget(connection: string): Promise<void> {
    for (const tunnel of this.#numbers([connection])) await this.#routes.forgetTunnel(tunnel)
  }

  *groups(): Generator<{ readonly tunnels: readonly string[]; readonly prefixes: number }> {
    const names = this.#names()
    for (const { tunnels, prefixes } of this.#routes.groups()) {
      yield { tunnels: tunnels.map((tunnel) => names.get(tunnel) ?? '?'), prefixes }
    }
  }

  *routes(): Generator<RouteEntry> {
    const names = this.#names()
    for (const { tunnels, ...entry } of this.#routes.entries()) {
      yield { ...entry, tunnels: tunnels.map((tunnel) => names.get(tunnel) ?? '?') }
    }
  }

  find(prefix: Prefix): RouteEntry | undefined {
    const found = this.#routes.find(prefix)
    const names = this.#names()
    return found && { ...found, tunnels: found.tunnels.map((tunnel) => names.get(tunnel) ?? '?') }
  }

  #names(): ReadonlyMap<number, string> {
    return new Map([...this.#tunnels].map(([name, { tunnel }]) => [tunnel, name]))
  }

  #spreads(): readonly ReadonlyMap<number, number>[] {
    return (this.#plan.spreads ?? []).map(({ weights }) => {
      return new Map([...weights].flatMap(([name, weight]) => this.#numbers([name]).map((tunnel) => [tunnel, weight])))
    })
  }

  /** Of those that there are. */
  #numbers(names: readonly string[]): number[] {
    return names.flatMap((name) => this.#tunnels.get(name)?.tunnel ?? [])
  }
}
