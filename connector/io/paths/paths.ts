/** The path selector of a running connector: what is known of tunnels goes in, what engines and BGP are to do comes out. */
import type { PathsStatus } from '../../../protocol/paths.ts'
import { PathSelector } from '../../core/paths/selector.ts'
import type { PathEffect, PathInput, TunnelGroup } from '../../core/paths/types.ts'
import type { PathReport } from '../../core/probe/report.ts'
import type { ConnectorEvent } from '../../handle.ts'
import type { ConnectorPlan } from '../../plan.ts'
import type { Children } from '../children.ts'
import { type Driver, drive } from '../driver.ts'
import { pathsStatus } from './status.ts'

export interface PathsParts {
  readonly children: Pick<
    Children,
    'groups' | 'isSendable' | 'setPassing' | 'setClasses' | 'total' | 'counts' | 'refresh' | 'examine'
  >
  /** BGP looks anew whether a tunnel can be used. */
  readonly onReach: (connection: string) => void
  /** BGP asks neighbours to leave a tunnel, or to come back. */
  readonly onLeaving: (connection: string, on: boolean) => void
  readonly emit: (event: ConnectorEvent) => void
}

type PathsPlan = Pick<ConnectorPlan, 'connections' | 'classes' | 'spreads' | 'bgp'>

export class Paths {
  readonly #parts: PathsParts
  readonly #selector: PathSelector
  readonly #driver: Driver<PathInput>
  #plan: PathsPlan
  /** What BFD says of each connection, by who it is with: there may be several neighbours behind a peer. */
  readonly #bfd = new Map<string, Map<string, boolean>>()

  constructor(plan: PathsPlan, parts: PathsParts) {
    this.#plan = plan
    this.#parts = parts
    this.#selector = new PathSelector({ groups: () => this.#groups() })
    this.#driver = drive<PathInput, PathEffect>(this.#selector, {
      perform: (effect) => this.#perform(effect),
      onError: (error, effect) => this.#failed(error, effect),
      onFault: (error) => this.#warn('path-fault', error),
    })
  }

  /** These are all connections and classes; the engines have them. */
  apply(plan: PathsPlan): void {
    this.#plan = plan
    const routed = new Set(plan.bgp?.neighbours.map(({ tunnel }) => tunnel))
    const connections = plan.connections.map(({ ike, yields = false }) => ({
      name: ike.name,
      isRouted: routed.has(ike.name),
      yields,
    }))
    const names = new Set(connections.map(({ name }) => name))
    for (const name of this.#bfd.keys()) if (!names.has(name)) this.#bfd.delete(name)
    this.#driver.post({ type: 'plan', connections, classes: plan.classes ?? [] })
    for (const name of names) this.look(name)
  }

  /** Its Child SAs may have come or gone. */
  look(connection: string): void {
    const sendable = this.#parts.children.isSendable(connection)
    this.#driver.post({ type: 'tunnel', connection, sendable })
  }

  report(connection: string, report: PathReport): void {
    this.#driver.post({ type: 'path', connection, report })
  }

  /** @param session tells the sessions behind one peer apart; `up` undefined: it has no opinion */
  bfd(connection: string, session: string, up: boolean | undefined, silentMs = 0): void {
    const sessions = this.#bfd.get(connection) ?? new Map<string, boolean>()
    this.#bfd.set(connection, sessions)
    if (up === undefined) sessions.delete(session)
    else sessions.set(session, up)
    const said = [...sessions.values()]
    // One neighbour that answers shows that the tunnel passes.
    const all = said.length === 0 ? undefined : said.includes(true)
    this.#driver.post({ type: 'bfd', connection, up: all, silentMs })
  }

  /** Counters have come. */
  counted(): void {
    for (const { ike } of this.#plan.connections) this.#count(ike.name)
  }

  /** False where there is no such connection. */
  drain(connection: string, on: boolean): boolean {
    if (!this.#plan.connections.some(({ ike }) => ike.name === connection)) return false
    this.#driver.post({ type: 'drain', connection, on })
    return true
  }

  isReachable(connection: string): boolean {
    return this.#selector.isReachable(connection)
  }

  /** Those that neighbours are to leave. */
  get leaving(): readonly string[] {
    const { paths } = this.#selector.status()
    return paths.filter(({ state }) => state === 'draining' || state === 'drained').map(({ connection }) => connection)
  }

  status(): PathsStatus {
    return pathsStatus(this.#selector.status(), this.#groups(), performance.now(), Date.now())
  }

  stop(): void {
    this.#driver.stop()
  }

  *#groups(): Generator<TunnelGroup> {
    const { spreads = [], bgp } = this.#plan
    for (const { tunnels, prefixes } of this.#parts.children.groups()) {
      const isSpread = tunnels.length > 1 && spreads.some(({ weights }) => tunnels.every((name) => weights.has(name)))
      yield { tunnels, isSpread, prefixes }
    }
    // Where one of them goes, BGP may know a way by another.
    const routed = [...new Set(bgp?.neighbours.map(({ tunnel }) => tunnel))]
    if (routed.length > 1) yield { tunnels: routed, isSpread: false, prefixes: 0 }
  }

  #perform(effect: PathEffect): Promise<void> | undefined {
    const { children, onReach, onLeaving, emit } = this.#parts
    switch (effect.type) {
      case 'passing':
        return this.#setPassing(effect.connection, effect.passing)
      case 'prefer': {
        const matches = new Map(this.#plan.classes?.map((each) => [each.name, each.matches]))
        return children.setClasses(
          effect.classes.map(({ name, prefer }) => ({ name, prefer, matches: matches.get(name) ?? [] })),
        )
      }
      case 'reach':
        onReach(effect.connection)
        return undefined
      case 'leaving':
        onLeaving(effect.connection, effect.on)
        return undefined
      case 'examine':
        return children.examine(effect.connection, effect.on)
      case 'count':
        // Nobody waits for it: the selector knows for how long it does.
        children.refresh(effect.connection).then(
          () => this.#count(effect.connection),
          () => {},
        )
        return undefined
      case 'event':
        emit({ type: 'path', event: effect.event })
        return undefined
    }
  }

  async #setPassing(connection: string, passing: boolean): Promise<void> {
    await this.#parts.children.setPassing(connection, passing)
    this.#driver.post({ type: 'moved', connection })
  }

  #count(connection: string): void {
    const { children } = this.#parts
    const { inbound, outbound } = children.total(connection)
    const carried = {
      sent: outbound.packets,
      asymmetric: children.counts(connection)?.asymmetric ?? 0,
      ...(inbound.missing === undefined ? {} : { missing: inbound.missing }),
    }
    this.#driver.post({ type: 'carried', connection, carried })
  }

  #failed(error: unknown, effect: PathEffect): void {
    const what = 'connection' in effect ? effect.connection : effect.type
    const reason = error instanceof Error ? error.message : String(error)
    const message = `${what}: the engine refuses what was decided of its path: ${reason}`
    this.#parts.emit({ type: 'warning', code: 'path-engine', message })
  }

  #warn(code: string, error: unknown): void {
    const message = error instanceof Error ? error.message : String(error)
    this.#parts.emit({ type: 'warning', code, message })
  }
}
