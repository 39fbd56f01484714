/**
 * Next-hop groups and routes as the engines of all workers have them: brought in line with what is wanted, by commands
 * for what differs only. A prefix changes its group at one stroke, so that nothing falls between.
 *
 * Routes are configured (`set`, all at once) or learned (`learn`, change by change, for there may be a million). Of one
 * prefix the configured one counts; the learned one waits. Where neither is, the prefix may be refused.
 */
import type { Prefix } from '../../protocol/net.ts'
import { type Command, ROUTES_PER_COMMAND } from '../data/commands.ts'
import type { RefusalPlan } from '../plan.ts'
import { Handles } from './handles.ts'

export interface Hop {
  readonly tunnel: number
  readonly routes: readonly Prefix[]
}

/** Tunnels in order of preference; none: the prefix is gone. */
export interface LearnedRoute {
  readonly prefix: Prefix
  readonly tunnels: readonly number[]
}

export interface EngineRoute {
  readonly prefix: Prefix
  /** None where it is refused. */
  readonly tunnels: readonly number[]
  readonly learned: boolean
  readonly refused?: RefusalPlan['answer']
}

interface Group {
  readonly key: string
  readonly handle: number
  readonly tunnels: readonly number[]
  /** Of a group without tunnels. */
  readonly refused?: RefusalPlan['answer']
  /** Routes that lead to it, or are about to. */
  uses: number
}

/** Weights by tunnel. */
export type Spread = ReadonlyMap<number, number>

export class EngineRoutes {
  readonly #tellAll: (command: Command) => Promise<void>
  /** By the tunnels of the group, or by its answer. */
  readonly #groups = new Map<string, Group>()
  readonly #handles = new Handles()
  /** The group of each prefix that the engines have. */
  readonly #routes = new Map<Prefix, Group>()
  #configured: ReadonlyMap<Prefix, readonly number[]> = new Map()
  /** What was learned of configured prefixes. */
  readonly #hidden = new Map<Prefix, readonly number[]>()
  #refusals: ReadonlyMap<Prefix, RefusalPlan['answer']> = new Map()
  #spreads: readonly Spread[] = []
  /** What an engine would not give up: asked again by the next `set`. */
  readonly #stuck = new Set<Prefix>()
  #turn: Promise<void> = Promise.resolve()

  /** @param tellAll resolves when every worker has carried the command out */
  constructor(tellAll: (command: Command) => Promise<void>) {
    this.#tellAll = tellAll
  }

  /** How many prefixes the engines have. */
  get size(): number {
    return this.#routes.size
  }

  /** The groups of tunnels to which prefixes lead. */
  *groups(): Generator<{ readonly tunnels: readonly number[]; readonly prefixes: number }> {
    for (const { tunnels, uses } of this.#groups.values()) {
      if (tunnels.length > 0 && uses > 0) yield { tunnels, prefixes: uses }
    }
  }

  /** Every prefix that the engines have. */
  *entries(): Generator<EngineRoute> {
    for (const [prefix, { tunnels, refused }] of this.#routes) {
      if (refused === undefined) yield { prefix, tunnels, learned: !this.#configured.has(prefix) }
      else yield { prefix, tunnels, learned: false, refused }
    }
  }

  /**
   * Every prefix leads to the tunnels that have it, in the order of `hops`. Rejects with the first failure; what has
   * not been done is tried again by the next call.
   */
  set(hops: readonly Hop[]): Promise<void> {
    return this.#inTurn(() => this.#set(hops))
  }

  /** Each prefix once. Rejects with the first failure. */
  learn(changes: readonly LearnedRoute[]): Promise<void> {
    return this.#inTurn(() => this.#learn(changes))
  }

  /** These are all. Rejects with the first failure; what has not been done is tried again by the next call. */
  setRefusals(refusals: readonly RefusalPlan[]): Promise<void> {
    return this.#inTurn(() => this.#setRefusals(refusals))
  }

  /** These are all: a group of two tunnels or more of one of them shares its flows by weight. */
  setSpreads(spreads: readonly Spread[]): Promise<void> {
    return this.#inTurn(() => this.#setSpreads(spreads))
  }

  /** No route that was learned leads to the tunnel any more, whatever whoever learned it says. Rejects likewise. */
  forgetTunnel(tunnel: number): Promise<void> {
    return this.#inTurn(() => this.#forgetTunnel(tunnel))
  }

  /** What the engines have is known only when the call before has ended. */
  #inTurn(step: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(step)
    this.#turn = done.catch(() => {})
    return done
  }

  async #set(hops: readonly Hop[]): Promise<void> {
    const wanted = tunnelsByPrefix(hops)
    const before = this.#configured
    this.#configured = wanted
    const moves = new Map<Prefix, readonly number[]>(wanted)
    for (const prefix of [...before.keys(), ...this.#stuck]) {
      if (wanted.has(prefix)) continue
      moves.set(prefix, this.#hidden.get(prefix) ?? [])
      this.#hidden.delete(prefix)
    }
    for (const prefix of wanted.keys()) {
      const route = this.#routes.get(prefix)
      if (route !== undefined && route.refused === undefined && !before.has(prefix)) {
        this.#hidden.set(prefix, route.tunnels)
      }
    }
    await this.#carry(moves)
  }

  async #learn(changes: readonly LearnedRoute[]): Promise<void> {
    const moves = new Map<Prefix, readonly number[]>()
    for (const { prefix, tunnels } of changes) {
      if (!this.#configured.has(prefix)) moves.set(prefix, tunnels)
      else if (tunnels.length === 0) this.#hidden.delete(prefix)
      else this.#hidden.set(prefix, tunnels)
    }
    await this.#carry(moves)
  }

  async #setRefusals(refusals: readonly RefusalPlan[]): Promise<void> {
    const before = this.#refusals
    this.#refusals = new Map(refusals.map(({ prefix, answer }) => [prefix, answer]))
    const moves = new Map<Prefix, readonly number[]>()
    for (const prefix of [...before.keys(), ...this.#refusals.keys()]) {
      const route = this.#routes.get(prefix)
      if (route === undefined || route.refused !== undefined) moves.set(prefix, [])
    }
    await this.#carry(moves)
  }

  async #setSpreads(spreads: readonly Spread[]): Promise<void> {
    const before = this.#spreads
    this.#spreads = spreads
    const changed = [...this.#groups.values()].filter(({ tunnels }) => {
      return weightsOf(tunnels, before)?.join() !== weightsOf(tunnels, spreads)?.join()
    })
    await Promise.all(changed.map((group) => this.#tellGroup(group)))
  }

  async #forgetTunnel(gone: number): Promise<void> {
    const rest = (tunnels: readonly number[]) => tunnels.filter((tunnel) => tunnel !== gone)
    for (const [prefix, tunnels] of this.#hidden) if (tunnels.includes(gone)) this.#hidden.set(prefix, rest(tunnels))
    const moves = new Map<Prefix, readonly number[]>()
    for (const [prefix, { tunnels }] of this.#routes) if (tunnels.includes(gone)) moves.set(prefix, rest(tunnels))
    await this.#carry(moves)
  }

  async #carry(wanted: ReadonlyMap<Prefix, readonly number[]>): Promise<void> {
    const moves = new Map<Group | undefined, Prefix[]>()
    for (const [prefix, tunnels] of wanted) {
      const now = this.#routes.get(prefix)
      const group = this.#groupFor(prefix, tunnels)
      if (now === group) continue
      const prefixes = moves.get(group)
      if (prefixes === undefined) moves.set(group, [prefix])
      else prefixes.push(prefix)
    }
    const pending: Promise<void>[] = []
    for (const [group, prefixes] of moves) {
      if (group !== undefined) pending.push(this.#tellGroup(group))
      for (const some of chunks(prefixes)) pending.push(group ? this.#lead(some, group) : this.#forget(some))
    }
    const outcomes = await Promise.allSettled(pending)
    this.#releaseGroups()
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  async #lead(prefixes: readonly Prefix[], group: Group): Promise<void> {
    group.uses += prefixes.length
    try {
      await this.#tellAll({ type: 'routes', prefixes, group: group.handle })
    } catch (error) {
      group.uses -= prefixes.length
      throw error
    }
    for (const prefix of prefixes) {
      this.#stuck.delete(prefix)
      const before = this.#routes.get(prefix)
      if (before !== undefined) before.uses--
      this.#routes.set(prefix, group)
    }
  }

  async #forget(prefixes: readonly Prefix[]): Promise<void> {
    for (const prefix of prefixes) this.#stuck.add(prefix)
    await this.#tellAll({ type: 'remove-routes', prefixes })
    for (const prefix of prefixes) {
      this.#stuck.delete(prefix)
      const before = this.#routes.get(prefix)
      if (before !== undefined) before.uses--
      this.#routes.delete(prefix)
    }
  }

  #tellGroup({ handle, tunnels, refused }: Group): Promise<void> {
    if (refused !== undefined) return this.#tellAll({ type: 'refusal', handle, answer: refused })
    const weights = weightsOf(tunnels, this.#spreads)
    return this.#tellAll({ type: 'group', handle, tunnels, ...(weights === undefined ? {} : { weights }) })
  }

  #groupFor(prefix: Prefix, tunnels: readonly number[]): Group | undefined {
    if (tunnels.length > 0) return this.#groupOf(tunnels.join(' '), { tunnels })
    const refused = this.#refusals.get(prefix)
    return refused === undefined ? undefined : this.#groupOf(refused, { tunnels, refused })
  }

  #groupOf(key: string, leads: Pick<Group, 'tunnels' | 'refused'>): Group {
    const known = this.#groups.get(key)
    if (known !== undefined) return known
    const group = { key, handle: this.#handles.take(), ...leads, uses: 0 }
    this.#groups.set(key, group)
    return group
  }

  #releaseGroups(): void {
    for (const { key, handle, uses } of this.#groups.values()) {
      if (uses > 0) continue
      this.#groups.delete(key)
      this.#handles.release(handle)
    }
  }
}

function tunnelsByPrefix(hops: readonly Hop[]): Map<Prefix, number[]> {
  const byPrefix = new Map<Prefix, number[]>()
  for (const { tunnel, routes } of hops) {
    for (const prefix of routes) {
      const tunnels = byPrefix.get(prefix)
      if (tunnels === undefined) byPrefix.set(prefix, [tunnel])
      else if (!tunnels.includes(tunnel)) tunnels.push(tunnel)
    }
  }
  return byPrefix
}

/** Undefined: in order. */
function weightsOf(tunnels: readonly number[], spreads: readonly Spread[]): number[] | undefined {
  if (tunnels.length < 2) return undefined
  for (const spread of spreads) {
    const weights = tunnels.flatMap((tunnel) => spread.get(tunnel) ?? [])
    if (weights.length === tunnels.length) return weights
  }
  return undefined
}

function* chunks(prefixes: readonly Prefix[]): Generator<readonly Prefix[]> {
  for (let first = 0; first < prefixes.length; first += ROUTES_PER_COMMAND) {
    yield prefixes.slice(first, first + ROUTES_PER_COMMAND)
  }
}
