/**
 * The routing information base of a BGP speaker (RFC 4271 section 9): what neighbours announce goes in, which routes
 * are used and what neighbours are to be told comes out. docs/bgp-rib.md walks through it.
 */
import type { Instant, Machine } from '../../../../protocol/machine.ts'
import { type Address, type Family, familyOf, type Prefix } from '../../../../protocol/net.ts'
import { blockOf } from '../wire/prefixes.ts'
import { type AfiSafi, ORIGIN, type PathAttributes, type UpdateMessage } from '../wire/types.ts'
import { AdjIn } from './adj-in.ts'
import { AdjOut } from './adj-out.ts'
import { Advertiser } from './advertiser.ts'
import { Chores } from './chores.ts'
import { type RibContext, readDampingKey } from './context.ts'
import { Damping, DEFAULT_DAMPING } from './damping.ts'
import { Explainer, type Explanation } from './explain.ts'
import { FamilyRib } from './family.ts'
import { Importer } from './importer.ts'
import { FAMILIES, LOCAL, Neighbour } from './neighbour.ts'
import { NextHops } from './next-hops.ts'
import { Paths } from './paths.ts'
import { Restart } from './restart.ts'
import { NO_ROUTE } from './routes.ts'
import { Selection } from './selection.ts'
import { Settings } from './settings.ts'
import type {
  NeighbourConfig,
  NeighbourCounters,
  NeighbourDown,
  NeighbourStatus,
  NeighbourUp,
  RibConfig,
  RibEffect,
  RibInput,
} from './types.ts'

const SLICE = 2_000
/** Prefixes that a chore looks at for the price of one decision. */
const CHEAP = 16
/** Until a neighbour that came back must have announced everything again. */
const STALE_MS = 360_000
const LOCAL_CONFIG: NeighbourConfig = { id: 'local', peerAs: 0, address: '' as Address }
const LOCAL_HOP = { 4: '0.0.0.0', 6: '::' } as const

export class Rib implements Machine<RibInput, RibEffect> {
  readonly #context: RibContext
  readonly #effects: RibEffect[] = []
  #taken = 0
  readonly #byId = new Map<string, Neighbour>()
  readonly #adjIn: AdjIn
  readonly #selection: Selection
  readonly #advertiser: Advertiser
  readonly #chores: Chores
  readonly #settings: Settings
  readonly #restart = new Restart()
  readonly #explainer: Explainer
  #now: Instant = 0

  constructor(config: RibConfig) {
    const hops = new NextHops(config.resolve)
    const paths = new Paths(hops, config.hashSeed)
    this.#context = {
      config,
      hops,
      paths,
      importer: new Importer(config, paths),
      damping: new Damping({ ...DEFAULT_DAMPING, ...config.damping }),
      ribs: { 4: new FamilyRib(4, config.hashSeed), 6: new FamilyRib(6, config.hashSeed) },
      neighbours: [new Neighbour(LOCAL, { ...LOCAL_CONFIG, peerAs: config.localAs }, config.localAs)],
      emit: (effect) => this.#effects.push(effect),
    }
    this.#adjIn = new AdjIn(this.#context)
    this.#selection = new Selection(this.#context)
    this.#advertiser = new Advertiser(this.#context)
    this.#chores = new Chores(this.#context, this.#adjIn)
    this.#settings = new Settings(this.#context, this.#byId, this.#adjIn, this.#advertiser, this.#chores)
    this.#explainer = new Explainer(this.#context, this.#selection, this.#advertiser.exporter)
  }

  /** What concerns a neighbour that is not there, or is down, does nothing. */
  handle(input: RibInput, now: Instant): void {
    this.#now = now
    this.#take(input, now)
    this.#timers(now)
    this.#work()
    this.#selection.flush()
  }

  poll(): RibEffect | undefined {
    const effect = this.#effects[this.#taken]
    if (effect === undefined) {
      this.#effects.length = this.#taken = 0
      return undefined
    }
    this.#taken++
    return effect
  }

  deadline(): Instant | undefined {
    if (this.hasWork) return this.#now
    const times = [this.#context.damping.deadline(), this.#restart.deadline()]
    for (const { of } of this.#context.neighbours)
      for (const family of FAMILIES) times.push(of[family].generations.staleUntil)
    const known = times.filter((time) => time !== undefined)
    return known.length === 0 ? undefined : Math.min(...known)
  }

  /** More is to be done than one slice. */
  get hasWork(): boolean {
    const undecided = FAMILIES.some((family) => this.#context.ribs[family].undecided > 0)
    return (undecided && !this.#restart.isDeferring) || this.#chores.hasWork || this.#advertiser.hasDiscarded
  }

  /** `drain` would bring something. */
  hasNews(neighbour: string): boolean {
    const known = this.#byId.get(neighbour)
    if (known === undefined || this.#restart.isDeferring) return false
    return known.families.some((family) => known.sends(family) && !known.of[family].out.isIdle)
  }

  /** Prefixes with a route in use. */
  size(family: Family): number {
    return this.#context.ribs[family].size
  }

  /** What memory goes with: prefixes that anything speaks of, routes of all neighbours, distinct attribute sets. */
  get totals(): { readonly prefixes: number; readonly routes: number; readonly paths: number } {
    const { ribs, paths } = this.#context
    return {
      prefixes: ribs[4].table.size + ribs[6].table.size,
      routes: ribs[4].routes.size + ribs[6].routes.size,
      paths: paths.size,
    }
  }

  /** Undefined of a neighbour that is not there. */
  status(neighbour: string, family: Family): NeighbourStatus | undefined {
    const state = this.#byId.get(neighbour)?.of[family]
    if (state === undefined) return undefined
    const { received, accepted, staleRoutes } = state.generations
    const pending = !state.out.isIdle && !this.#restart.isDeferring
    return { received, accepted, stale: staleRoutes, advertised: state.out.size, pending }
  }

  counters(neighbour: string): Readonly<NeighbourCounters> | undefined {
    return this.#byId.get(neighbour)?.counters
  }

  /** Everything about one prefix, gathered now: for `routes explain`. Undefined where nobody has announced it. */
  explain(prefix: Prefix): Explanation | undefined {
    return this.#explainer.explain(prefix, this.#now)
  }

  #take(input: RibInput, now: Instant): void {
    switch (input.kind) {
      case 'time':
        break
      case 'neighbour':
        this.#settings.configure(input.config)
        break
      case 'originate':
        this.#originate(input.prefixes, input.attributes, now)
        break
      case 'withdraw':
        this.#withdraw(input.prefixes, now)
        break
      case 'next-hops-changed':
        this.#nextHopsChanged(input.moved)
        break
      case 'policies':
        this.#settings.takeAll(input.policies)
        break
      case 'settings':
        this.#settings.take(input)
        break
      case 'restarting':
        this.#restart.defer(input.neighbours, now + input.deferMs)
        break
      default: {
        const neighbour = this.#byId.get(input.neighbour)
        if (neighbour !== undefined) this.#takeFor(neighbour, input, now)
      }
    }
  }

  #takeFor(neighbour: Neighbour, input: Extract<RibInput, { neighbour: string }>, now: Instant): void {
    switch (input.kind) {
      case 'neighbour-up':
        this.#up(neighbour, input, now)
        break
      case 'neighbour-down':
        this.#down(neighbour, input, now)
        break
      case 'remove-neighbour':
        this.#down(neighbour, { kind: 'neighbour-down', neighbour: neighbour.config.id }, now)
        neighbour.isRemoved = true
        this.#byId.delete(neighbour.config.id)
        break
      case 'update':
        if (neighbour.isUp) this.#update(neighbour, input.update, now)
        break
      case 'drain':
        if (neighbour.isUp && !this.#restart.isDeferring) this.#advertiser.drain(neighbour, input.limit)
        break
      case 'refresh-begins':
        if (neighbour.isUp) this.#refreshBegins(neighbour, input.family, now)
        break
      case 'refresh-ends':
        if (neighbour.of[input.family].isRefreshing) this.#dropStale(neighbour, input.family)
        break
      case 'refresh-asked':
        if (!neighbour.sends(input.family)) return
        neighbour.of[input.family].out.startWalk({ cursor: 0, force: true, ends: 'refresh' })
        break
      case 'graceful-shutdown':
        neighbour.isLeaving = input.active
        this.#settings.tellAnew(neighbour)
        this.#settings.avoid(neighbour, input.active && input.avoid === true)
        break
    }
  }

  #nextHopsChanged(moved: ((address: Address) => boolean) | undefined): void {
    const hops = this.#context.hops.refresh(moved)
    this.#selection.retell(hops.moved)
    this.#chores.redecide(new Set([...hops.changed, ...hops.moved]))
  }

  #up(neighbour: Neighbour, input: NeighbourUp, now: Instant): void {
    if (neighbour.isUp) this.#down(neighbour, { kind: 'neighbour-down', neighbour: input.neighbour }, now)
    neighbour.up(input)
    const ends = input.keptForwarding !== undefined && input.isRestarting !== true
    this.#restart.up(neighbour.config.id, ends ? input.families : [])
    for (const family of FAMILIES) {
      const { generations, out } = neighbour.of[family]
      if (generations.stale !== undefined) {
        if (input.keptForwarding?.includes(family) === true) generations.staleUntil = now + (input.staleMs ?? STALE_MS)
        else this.#dropStale(neighbour, family)
      }
      if (neighbour.sends(family)) out.startWalk({ cursor: 0, force: false, ends: 'end-of-rib' })
    }
  }

  #down(neighbour: Neighbour, { stale }: NeighbourDown, now: Instant): void {
    if (!neighbour.isUp) {
      // Stale routes of one that restarts are not waited for any longer.
      if (stale === undefined) for (const family of FAMILIES) this.#dropStale(neighbour, family)
      return
    }
    neighbour.isUp = false
    this.#restart.down(neighbour.config.id)
    for (const family of FAMILIES) {
      const state = neighbour.of[family]
      state.isRefreshing = false
      state.generations.bump(stale?.families.includes(family) === true ? now + stale.ms : undefined)
      this.#chores.clean(family)
      this.#advertiser.discard(family, state.out)
      state.out = new AdjOut()
    }
  }

  #update(neighbour: Neighbour, { withdrawn, reach, attributes, endOfRib }: UpdateMessage, now: Instant): void {
    for (const block of withdrawn) this.#adjIn.withdraw(neighbour, block, now)
    for (const { nextHop, prefixes } of reach) {
      if (attributes !== undefined) this.#adjIn.announce(neighbour, attributes, nextHop, prefixes, now)
    }
    const family = endOfRib === undefined ? undefined : familyOfEnd(endOfRib)
    if (family === undefined) return
    this.#restart.ended(neighbour.config.id, family)
    neighbour.of[family].awaitsEnd = false
    if (!neighbour.of[family].isRefreshing) this.#dropStale(neighbour, family)
  }

  /** RFC 7313 section 4. Where initial routes have yet to end, or those of a restart, the refresh is one with them. */
  #refreshBegins(neighbour: Neighbour, family: Family, now: Instant): void {
    const state = neighbour.of[family]
    if (state.awaitsEnd || state.generations.stale !== undefined) return
    state.isRefreshing = true
    state.generations.bump(now + STALE_MS)
    this.#chores.clean(family)
  }

  #dropStale(neighbour: Neighbour, family: Family): void {
    const state = neighbour.of[family]
    state.isRefreshing = false
    if (state.generations.stale === undefined) return
    state.generations.dropStale()
    this.#chores.clean(family)
  }

  #originate(prefixes: readonly Prefix[], attributes: Partial<PathAttributes> | undefined, now: Instant): void {
    const local = this.#context.neighbours[LOCAL]!
    const all: PathAttributes = { origin: ORIGIN.igp, asPath: [], ...attributes }
    for (const family of FAMILIES) {
      const block = blockOf(
        family,
        prefixes.filter((prefix) => familyOf(prefix) === family),
      )
      if (block.lengths.length === 0) continue
      this.#adjIn.announce(local, all, { address: LOCAL_HOP[family] as Address }, block, now)
    }
  }

  #withdraw(prefixes: readonly Prefix[], now: Instant): void {
    for (const family of FAMILIES) {
      const block = blockOf(
        family,
        prefixes.filter((prefix) => familyOf(prefix) === family),
      )
      this.#adjIn.withdraw(this.#context.neighbours[LOCAL]!, block, now)
    }
  }

  #timers(now: Instant): void {
    this.#restart.tick(now)
    for (const neighbour of this.#context.neighbours) {
      for (const family of FAMILIES) {
        const { staleUntil } = neighbour.of[family].generations
        if (staleUntil !== undefined && now >= staleUntil) this.#dropStale(neighbour, family)
      }
    }
    this.#context.damping.tick(
      now,
      (key) => this.#reuse(key),
      (key) => {
        const { family, pid } = readDampingKey(key)
        this.#context.ribs[family].unpin(pid)
      },
    )
  }

  #reuse(key: number): void {
    const { neighbour, family, pid } = readDampingKey(key)
    const rib = this.#context.ribs[family]
    const route = rib.routes.find(pid, neighbour)
    if (route === NO_ROUTE) return
    rib.routes.suppressed[route] = 0
    rib.touch(pid)
    const { id } = this.#context.neighbours[neighbour]!.config
    this.#context.emit({ kind: 'reused', neighbour: id, prefix: rib.table.prefix(pid) })
  }

  /** One slice: decisions first, for somebody waits for them; then what makes more of them. */
  #work(): void {
    let left = this.#context.config.slice ?? SLICE
    while (left > 0) {
      if (!this.#restart.isDeferring && this.#decideOne()) left--
      else if (this.#chores.hasWork) {
        const count = Math.min(left, 64) * CHEAP
        this.#chores.step(count)
        left -= count / CHEAP
      } else if (this.#advertiser.hasDiscarded) {
        this.#advertiser.clean()
        left -= SLICE / 4
      } else return
    }
  }

  #decideOne(): boolean {
    for (const family of FAMILIES) {
      const rib = this.#context.ribs[family]
      if (rib.undecided === 0) continue
      this.#selection.decide(rib, rib.nextUndecided())
      return true
    }
    return false
  }
}

function familyOfEnd({ afi, safi }: AfiSafi): Family | undefined {
  if (safi !== 1) return undefined
  return afi === 1 ? 4 : afi === 2 ? 6 : undefined
}
