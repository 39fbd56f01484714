/**
 * Next-hop groups and routes as the engines of all workers have them: brought in line with what is wanted, by commands
 * for what differs only. A prefix changes its group at one stroke, so that nothing falls between.
 */
import type { Prefix } from '../../protocol/net.ts'
import { type Command, ROUTES_PER_COMMAND } from '../data/commands.ts'
import { Handles } from './handles.ts'

export interface Hop {
  readonly tunnel: number
  readonly routes: readonly Prefix[]
}

interface Group {
  readonly handle: number
  readonly tunnels: readonly number[]
}

export class EngineRoutes {
  readonly #tellAll: (command: Command) => Promise<void>
  /** By the tunnels of the group. */
  readonly #groups = new Map<string, Group>()
  readonly #handles = new Handles()
  /** The group of each prefix that the engines have. */
  readonly #routes = new Map<Prefix, Group>()

  /** @param tellAll resolves when every worker has carried the command out */
  constructor(tellAll: (command: Command) => Promise<void>) {
    this.#tellAll = tellAll
  }

  /**
   * Every prefix leads to the tunnels that have it, in the order of `hops`. Rejects with the first failure; what has
   * not been done is tried again by the next call.
   */
  async set(hops: readonly Hop[]): Promise<void> {
    const wanted = tunnelsByPrefix(hops)
    const pending: Promise<void>[] = []
    for (const [group, prefixes] of this.#moves(wanted)) {
      pending.push(this.#tellAll({ type: 'group', handle: group.handle, tunnels: group.tunnels }))
      for (const some of chunks(prefixes)) {
        pending.push(this.#lead(some, group))
      }
    }
    for (const some of chunks([...this.#routes.keys()].filter((prefix) => !wanted.has(prefix)))) {
      pending.push(this.#forget(some))
    }
    const outcomes = await Promise.allSettled(pending)
    this.#releaseGroups()
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  async #lead(prefixes: readonly Prefix[], group: Group): Promise<void> {
    await this.#tellAll({ type: 'routes', prefixes, group: group.handle })
    for (const prefix of prefixes) this.#routes.set(prefix, group)
  }

  async #forget(prefixes: readonly Prefix[]): Promise<void> {
    await this.#tellAll({ type: 'remove-routes', prefixes })
    for (const prefix of prefixes) this.#routes.delete(prefix)
  }

  /** The prefixes that are to have another group than they have, by that group. */
  #moves(wanted: ReadonlyMap<Prefix, readonly number[]>): Map<Group, Prefix[]> {
    const moves = new Map<Group, Prefix[]>()
    for (const [prefix, tunnels] of wanted) {
      const group = this.#groupOf(tunnels)
      if (this.#routes.get(prefix) === group) continue
      const prefixes = moves.get(group)
      if (prefixes === undefined) moves.set(group, [prefix])
      else prefixes.push(prefix)
    }
    return moves
  }

  #groupOf(tunnels: readonly number[]): Group {
    const key = tunnels.join(' ')
    const known = this.#groups.get(key)
    if (known !== undefined) return known
    const group = { handle: this.#handles.take(), tunnels }
    this.#groups.set(key, group)
    return group
  }

  #releaseGroups(): void {
    const used = new Set(this.#routes.values())
    for (const [key, group] of this.#groups) {
      if (used.has(group)) continue
      this.#groups.delete(key)
      this.#handles.release(group.handle)
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

function* chunks(prefixes: readonly Prefix[]): Generator<readonly Prefix[]> {
  for (let first = 0; first < prefixes.length; first += ROUTES_PER_COMMAND) {
    yield prefixes.slice(first, first + ROUTES_PER_COMMAND)
  }
}
