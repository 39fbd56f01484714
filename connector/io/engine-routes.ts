/**
 * Next-hop groups and routes as the engines of all workers have them: brought in line with what is wanted, by commands
 * for what differs only. A prefix changes its group at one stroke, so that nothing falls between.
 *
 * Routes are configured (`set`, all at once) or learned (`learn`, change by change, for there may be a million). Of one
 * prefix the configured one counts; the learned one waits. Where neither is, the prefix may be refused. Before all of
 * these come the networks of our own site, which lead to no tunnel.
 */
import { type Family, familyOf, type Prefix } from '../../protocol/net.ts'
import { blockOf, blocksOf, type PrefixBlock, pickOf, prefixAt } from '../../protocol/prefix-block.ts'
import { type Command, ROUTES_PER_COMMAND } from '../data/commands.ts'
import type { RefusalPlan } from '../plan.ts'
import { Handles } from './handles.ts'
import { PrefixNumbers, PrefixSet } from './prefix-numbers.ts'

export interface Hop {
  readonly tunnel: number
  readonly routes: readonly Prefix[]
}

/**
 * Of prefix `i` the tunnels in order of preference, mostly the same array for many; none: the prefix is gone. Each
 * prefix once.
 */
export interface LearnedRoutes {
  readonly prefixes: PrefixBlock
  readonly tunnels: readonly (readonly number[])[]
}

export interface EngineRoute {
  readonly prefix: Prefix
  /** None where it is local or refused. */
  readonly tunnels: readonly number[]
  readonly learned: boolean
  /** A network of our own. */
  readonly local?: true
  readonly refused?: RefusalPlan['answer']
}

interface Group {
  readonly key: string
  readonly handle: number
  readonly tunnels: readonly number[]
  /** Of a group without tunnels: one of these. */
  readonly local?: true
  readonly refused?: RefusalPlan['answer']
  /** Routes that lead to it, or are about to. */
  uses: number
}

/** Weights by tunnel. */
export type Spread = ReadonlyMap<number, number>

/** The tunnels of our own networks, which are told from a route that is gone by being this very list. */
const LOCAL: readonly number[] = []

export class EngineRoutes {
  readonly #tellAll: (command: Command) => Promise<void>
  /** By the tunnels of the group, or by its answer. */
  readonly #groups = new Map<string, Group>()
  readonly #handles = new Handles()
  /** By handle. */
  readonly #byHandle: Group[] = []
  /** The group of each prefix that the engines have, by its handle + 1. */
  readonly #routes = new PrefixNumbers(Uint32Array)
  #hops: readonly Hop[] = []
  #networks: readonly Prefix[] = []
  /** What follows from both. */
  #configured: ReadonlyMap<Prefix, readonly number[]> = new Map()
  /** The prefixes of `#configured` and of `#refusals`. */
  readonly #isConfigured = new PrefixSet()
  readonly #isRefused = new PrefixSet()
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
    for (const { block, index } of this.#routes.entries()) yield this.#entry(block, index)!
  }

  /** What the engines have of exactly this prefix. */
  find(prefix: Prefix): EngineRoute | undefined {
    const [block] = blocksOf([prefix])
    return block && this.#entry(block, 0)
  }

  #entry(block: PrefixBlock, index: number): EngineRoute | undefined {
    const group = this.#groupAt(block, index)
    if (group === undefined) return undefined
    const prefix = prefixAt(block, index)
    const { tunnels, local, refused } = group
    if (local) return { prefix, tunnels, learned: false, local }
    if (refused !== undefined) return { prefix, tunnels, learned: false, refused }
    return { prefix, tunnels, learned: !this.#isConfigured.has(block, index) }
  }

  /**
   * Every prefix leads to the tunnels that have it, in the order of `hops`. Rejects with the first failure; what has
   * not been done is tried again by the next call.
   */
  set(hops: readonly Hop[]): Promise<void> {
    return this.#inTurn(() => {
      this.#hops = hops
      return this.#configure()
    })
  }

  /**
   * These are all of our own: what comes for them by a tunnel is for the LAN, whatever wider route there is, and what
   * comes from the LAN is answered. 0.0.0.0/0 and ::/0 are left out, for they are no route that others should give way
   * to. Rejects likewise.
   */
  setNetworks(networks: readonly Prefix[]): Promise<void> {
    return this.#inTurn(() => {
      this.#networks = networks.filter((each) => !each.endsWith('/0'))
      return this.#configure()
    })
  }

  /** Rejects with the first failure. */
  learn(changes: LearnedRoutes): Promise<void> {
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

  async #configure(): Promise<void> {
    const wanted: Map<Prefix, readonly number[]> = tunnelsByPrefix(this.#hops)
    for (const network of this.#networks) wanted.set(network, LOCAL)
    const before = this.#configured
    this.#configured = wanted
    this.#isConfigured.clear()
    for (const prefix of wanted.keys()) this.#isConfigured.add(prefix)
    const moves = new Map<Prefix, readonly number[]>(wanted)
    for (const prefix of [...before.keys(), ...this.#stuck]) {
      if (wanted.has(prefix)) continue
      moves.set(prefix, this.#hidden.get(prefix) ?? [])
      this.#hidden.delete(prefix)
    }
    for (const prefix of wanted.keys()) {
      const route = this.find(prefix)
      if (route !== undefined && route.refused === undefined && !before.has(prefix)) {
        this.#hidden.set(prefix, route.tunnels)
      }
    }
    await this.#carry(changesOf(moves))
  }

  async #learn(changes: LearnedRoutes): Promise<void> {
    const { prefixes, tunnels } = changes
    const free: number[] = []
    for (let index = 0; index < tunnels.length; index++) {
      if (!this.#isConfigured.has(prefixes, index)) free.push(index)
      else if (tunnels[index]!.length === 0) this.#hidden.delete(prefixAt(prefixes, index))
      else this.#hidden.set(prefixAt(prefixes, index), tunnels[index]!)
    }
    const isAll = free.length === tunnels.length
    const open = { prefixes: pickOf(prefixes, free), tunnels: free.map((index) => tunnels[index]!) }
    await this.#carry([isAll ? changes : open])
  }

  async #setRefusals(refusals: readonly RefusalPlan[]): Promise<void> {
    const before = this.#refusals
    this.#refusals = new Map(refusals.map(({ prefix, answer }) => [prefix, answer]))
    this.#isRefused.clear()
    for (const prefix of this.#refusals.keys()) this.#isRefused.add(prefix)
    const moves = new Map<Prefix, readonly number[]>()
    for (const prefix of [...before.keys(), ...this.#refusals.keys()]) {
      const route = this.find(prefix)
      if (route === undefined || route.refused !== undefined) moves.set(prefix, [])
    }
    await this.#carry(changesOf(moves))
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
    const rests = new Map<number, readonly number[]>()
    for (const { handle, tunnels } of this.#groups.values()) {
      if (tunnels.includes(gone)) rests.set(handle, rest(tunnels))
    }
    const found: Record<Family, number[]> = { 4: [], 6: [] }
    const blocks: Partial<Record<Family, PrefixBlock>> = {}
    for (const { block, index, number } of this.#routes.entries()) {
      if (!rests.has(number - 1)) continue
      blocks[block.family] = block
      found[block.family].push(index)
    }
    await this.#carry(
      Object.values(blocks).map((block) => {
        const indices = found[block.family]
        const tunnels = indices.map((index) => rests.get(this.#routes.get(block, index) - 1)!)
        return { prefixes: pickOf(block, indices), tunnels }
      }),
    )
  }

  async #carry(wanted: readonly LearnedRoutes[]): Promise<void> {
    const told = new Set<Group>()
    const pending: Promise<void>[] = []
    for (const changes of wanted) {
      for (const [group, indices] of this.#movesOf(changes)) {
        if (group !== undefined && !told.has(group)) pending.push(this.#tellGroup(group))
        if (group !== undefined) told.add(group)
        for (let from = 0; from < indices.length; from += ROUTES_PER_COMMAND) {
          const to = Math.min(indices.length, from + ROUTES_PER_COMMAND)
          const some = pickOf(changes.prefixes, indices, from, to)
          pending.push(group ? this.#lead(some, group) : this.#forget(some))
        }
      }
    }
    const outcomes = await Promise.allSettled(pending)
    this.#releaseGroups()
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  /** Prefixes that do not lead where they should, by where that is. */
  #movesOf({ prefixes, tunnels }: LearnedRoutes): Map<Group | undefined, number[]> {
    const known = new Map<readonly number[], Group>()
    const moves = new Map<Group | undefined, number[]>()
    for (let index = 0; index < tunnels.length; index++) {
      const group = known.get(tunnels[index]!) ?? this.#groupFor(prefixes, index, tunnels[index]!)
      if (group !== undefined && group.refused === undefined) known.set(tunnels[index]!, group)
      if (this.#groupAt(prefixes, index) === group) continue
      const indices = moves.get(group)
      if (indices === undefined) moves.set(group, [index])
      else indices.push(index)
    }
    return moves
  }

  async #lead(prefixes: PrefixBlock, group: Group): Promise<void> {
    const count = prefixes.lengths.length
    group.uses += count
    try {
      await this.#tellAll({ type: 'routes', prefixes, group: group.handle })
    } catch (error) {
      group.uses -= count
      throw error
    }
    for (let index = 0; index < count; index++) {
      if (this.#stuck.size > 0) this.#stuck.delete(prefixAt(prefixes, index))
      const before = this.#routes.set(prefixes, index, group.handle + 1)
      if (before !== 0) this.#byHandle[before - 1]!.uses--
    }
  }

  async #forget(prefixes: PrefixBlock): Promise<void> {
    const count = prefixes.lengths.length
    try {
      await this.#tellAll({ type: 'remove-routes', prefixes })
    } catch (error) {
      for (let index = 0; index < count; index++) this.#stuck.add(prefixAt(prefixes, index))
      throw error
    }
    for (let index = 0; index < count; index++) {
      if (this.#stuck.size > 0) this.#stuck.delete(prefixAt(prefixes, index))
      const before = this.#routes.delete(prefixes, index)
      if (before !== 0) this.#byHandle[before - 1]!.uses--
    }
  }

  #tellGroup({ handle, tunnels, refused }: Group): Promise<void> {
    if (refused !== undefined) return this.#tellAll({ type: 'refusal', handle, answer: refused })
    const weights = weightsOf(tunnels, this.#spreads)
    return this.#tellAll({ type: 'group', handle, tunnels, ...(weights === undefined ? {} : { weights }) })
  }

  #groupAt(block: PrefixBlock, index: number): Group | undefined {
    return this.#byHandle[this.#routes.get(block, index) - 1]
  }

  #groupFor(block: PrefixBlock, index: number, tunnels: readonly number[]): Group | undefined {
    if (tunnels === LOCAL) return this.#groupOf('local', { tunnels, local: true })
    if (tunnels.length > 0) return this.#groupOf(tunnels.join(' '), { tunnels })
    if (!this.#isRefused.has(block, index)) return undefined
    const refused = this.#refusals.get(prefixAt(block, index))
    return refused === undefined ? undefined : this.#groupOf(refused, { tunnels, refused })
  }

  #groupOf(key: string, leads: Pick<Group, 'tunnels' | 'local' | 'refused'>): Group {
    const known = this.#groups.get(key)
    if (known !== undefined) return known
    const group = { key, handle: this.#handles.take(), ...leads, uses: 0 }
    this.#groups.set(key, group)
    this.#byHandle[group.handle] = group
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

function changesOf(tunnels: ReadonlyMap<Prefix, readonly number[]>): LearnedRoutes[] {
  const byFamily = Map.groupBy(tunnels.keys(), familyOf)
  return [...byFamily].map(([family, prefixes]) => {
    return { prefixes: blockOf(family, prefixes), tunnels: prefixes.map((prefix) => tunnels.get(prefix)!) }
  })
}
