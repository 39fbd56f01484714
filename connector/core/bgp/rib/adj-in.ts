/** Announcements and withdrawals into the Adj-RIBs-In (RFC 4271 section 9, phase 1), and the limits on them. */
import type { Instant } from '../../../../protocol/machine.ts'
import type { Prefix } from '../../../../protocol/net.ts'
import { prefixAt } from '../wire/prefixes.ts'
import type { NextHop, PathAttributes, PrefixBlock } from '../wire/types.ts'
import { dampingKey, isLive, type RibContext } from './context.ts'
import type { PENALTY } from './damping.ts'
import type { FamilyRib } from './family.ts'
import { LOCAL, type Neighbour } from './neighbour.ts'
import { NO_PATH } from './paths.ts'
import { type Ineligible, ineligibleCode } from './reasons.ts'
import { NO_ROUTE } from './routes.ts'

const WARN_AT = 0.8

export class AdjIn {
  readonly #context: RibContext
  /** Of the update in hand. */
  readonly #rejected = new Map<Ineligible, { first: Prefix; prefixes: number }>()

  constructor(context: RibContext) {
    this.#context = context
  }

  announce(neighbour: Neighbour, attributes: PathAttributes, hop: NextHop, block: PrefixBlock, now: Instant): void {
    const { paths, importer } = this.#context
    const received = paths.intern(attributes, hop)
    for (let index = 0; index < block.lengths.length; index++) this.#announce(neighbour, received, block, index, now)
    importer.finish()
    paths.release(received)
    neighbour.counters.announced += block.lengths.length
    this.#report(neighbour)
  }

  withdraw(neighbour: Neighbour, block: PrefixBlock, now: Instant): void {
    const rib = this.#context.ribs[block.family]
    neighbour.counters.withdrawn += block.lengths.length
    for (let index = 0; index < block.lengths.length; index++) {
      const pid = rib.table.find(block, index)
      const route = pid < 0 ? NO_ROUTE : rib.routes.find(pid, neighbour.index)
      if (route === NO_ROUTE) continue
      if (isLive(this.#context, rib, route)) this.#flap(neighbour, rib, pid, route, 'withdrawal', now)
      this.remove(rib, pid, route)
    }
  }

  /** Takes a route out, wherever it came from; the prefix is decided on anew. */
  remove(rib: FamilyRib, pid: number, route: number): void {
    const { routes } = rib
    const { paths, neighbours } = this.#context
    const path = routes.path[route]!
    const { generations } = neighbours[routes.neighbour[route]!]!.of[rib.family]
    generations.count(routes.generation[route]!, -1, path === NO_PATH ? 0 : -1)
    paths.release(path)
    paths.release(routes.received[route]!)
    routes.remove(pid, route)
    rib.touch(pid)
  }

  /** Judges a route anew: a policy or a setting is another one. */
  rejudge(rib: FamilyRib, pid: number, route: number): void {
    const { routes, table } = rib
    const neighbour = this.#context.neighbours[routes.neighbour[route]!]!
    const { reason, path } = this.#context.importer.run(neighbour, routes.received[route]!, table.all, pid)
    const before = routes.path[route]!
    const { generations } = neighbour.of[rib.family]
    generations.count(routes.generation[route]!, 0, difference(before, path))
    routes.ineligible[route] = ineligibleCode(reason)
    routes.path[route] = path
    if (before !== path) rib.touch(pid)
    this.#context.paths.release(before)
  }

  /** The limit is another one: who is beyond it by now is shut out as if it had just come there. */
  checkLimit(neighbour: Neighbour): void {
    const limit = neighbour.config.maxPrefixes?.limit
    if (limit === undefined || !neighbour.isUp) return
    for (const rib of [this.#context.ribs[4], this.#context.ribs[6]]) {
      if (neighbour.of[rib.family].generations.received > limit) this.#hasRoom(neighbour, rib)
      this.#warn(neighbour, rib)
    }
  }

  #announce(neighbour: Neighbour, received: number, block: PrefixBlock, index: number, now: Instant): void {
    const rib = this.#context.ribs[block.family]
    const found = rib.table.find(block, index)
    const known = found < 0 ? NO_ROUTE : rib.routes.find(found, neighbour.index)
    const wasLive = known !== NO_ROUTE && isLive(this.#context, rib, known)
    if (!wasLive && !this.#hasRoom(neighbour, rib)) return
    const { reason, path } = this.#context.importer.run(neighbour, received, block, index)
    if (reason !== 'accepted') this.#count(neighbour, reason, block, index)
    const pid = found < 0 ? rib.insert(block, index) : found
    if (wasLive && rib.routes.received[known] !== received) {
      this.#flap(neighbour, rib, pid, known, 'attribute-change', now)
    }
    const route = known === NO_ROUTE ? rib.routes.add(pid, neighbour.index) : known
    this.#put(neighbour, rib, pid, route, { received, path, reason, wasLive, isNew: known === NO_ROUTE, now })
    this.#warn(neighbour, rib)
  }

  #put(
    neighbour: Neighbour,
    rib: FamilyRib,
    pid: number,
    route: number,
    put: { received: number; path: number; reason: Ineligible; wasLive: boolean; isNew: boolean; now: Instant },
  ): void {
    const { routes } = rib
    const { paths, damping } = this.#context
    const { generations } = neighbour.of[rib.family]
    const [before, receivedBefore] = [routes.path[route]!, routes.received[route]!]
    if (!put.isNew) generations.count(routes.generation[route]!, -1, before === NO_PATH ? 0 : -1)
    const wasSuppressed = routes.suppressed[route]
    routes.generation[route] = generations.current
    routes.ineligible[route] = ineligibleCode(put.reason)
    routes.suppressed[route] = damping.isSuppressed(dampingKey(neighbour.index, rib.family, pid)) ? 1 : 0
    routes.path[route] = put.path
    if (put.isNew || receivedBefore !== put.received || !put.wasLive) {
      routes.since[route] = Math.max(0, Math.floor(put.now / 1000))
    }
    routes.received[route] = put.received
    generations.count(generations.current, 1, put.path === NO_PATH ? 0 : 1)
    paths.retain(put.received)
    paths.release(receivedBefore)
    if (!put.wasLive || before !== put.path || wasSuppressed !== routes.suppressed[route]) rib.touch(pid)
    paths.release(before)
  }

  /** RFC 4271 section 6.7. Once over the limit nothing is added, so that a flood takes no memory. */
  #hasRoom(neighbour: Neighbour, rib: FamilyRib): boolean {
    const limits = neighbour.config.maxPrefixes
    const state = neighbour.of[rib.family]
    if (limits === undefined || (!state.isOverLimit && state.generations.received < limits.limit)) return true
    neighbour.counters.overLimit++
    if (state.isOverLimit) return false
    state.isOverLimit = true
    this.#context.emit({
      kind: 'prefix-limit',
      neighbour: neighbour.config.id,
      family: rib.family,
      limit: limits.limit,
      ...(limits.restartMs === undefined ? {} : { restartMs: limits.restartMs }),
    })
    return false
  }

  #warn(neighbour: Neighbour, rib: FamilyRib): void {
    const limits = neighbour.config.maxPrefixes
    if (limits === undefined) return
    const state = neighbour.of[rib.family]
    const prefixes = state.generations.received
    const isHigh = prefixes >= Math.ceil((limits.warnAt ?? WARN_AT) * limits.limit)
    if (isHigh && !state.hasWarned) {
      const { limit } = limits
      this.#context.emit({
        kind: 'prefix-warning',
        neighbour: neighbour.config.id,
        family: rib.family,
        prefixes,
        limit,
      })
    }
    state.hasWarned = isHigh
  }

  /** RFC 2439 is about external neighbours only. */
  #flap(
    neighbour: Neighbour,
    rib: FamilyRib,
    pid: number,
    route: number,
    kind: keyof typeof PENALTY,
    now: Instant,
  ): void {
    if (neighbour.index === LOCAL) return
    neighbour.counters.flaps++
    if (neighbour.config.damping !== true || !neighbour.isExternal || rib.routes.path[route] === NO_PATH) return
    const { isNew, suppressed } = this.#context.damping.flap(dampingKey(neighbour.index, rib.family, pid), kind, now)
    if (isNew) rib.pin(pid)
    if (!suppressed) return
    this.#context.emit({ kind: 'damped', neighbour: neighbour.config.id, prefix: rib.table.prefix(pid) })
  }

  #count({ counters }: Neighbour, reason: Ineligible, block: PrefixBlock, index: number): void {
    counters.rejected.set(reason, (counters.rejected.get(reason) ?? 0) + 1)
    if (reason === 'import-policy' || reason === 'no-policy') return
    const known = this.#rejected.get(reason)
    if (known === undefined) this.#rejected.set(reason, { first: prefixAt(block, index), prefixes: 1 })
    else known.prefixes++
  }

  #report({ config }: Neighbour): void {
    for (const [reason, { first, prefixes }] of this.#rejected) {
      this.#context.emit({ kind: 'rejected', neighbour: config.id, reason, first, prefixes })
    }
    this.#rejected.clear()
  }
}

function difference(before: number, after: number): 1 | -1 | 0 {
  if ((before === NO_PATH) === (after === NO_PATH)) return 0
  return after === NO_PATH ? -1 : 1
}
