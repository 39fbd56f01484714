/**
 * Which tunnel is used, and why. Told what probes, BFD and operators say of each tunnel, it says which ones engines pass
 * over, and which ones each class of traffic prefers; docs/paths.md has the rules.
 */
import { type Instant, type Machine, unreachable } from '../../../protocol/machine.ts'
import { ClassSteering, type Fitness } from './class-steering.ts'
import { Failovers, outcomeOf } from './failovers.ts'
import { TunnelPath } from './tunnel-path.ts'
import type {
  ClassStatus,
  PathCarried,
  PathCause,
  PathClass,
  PathEffect,
  PathEvent,
  PathInput,
  PathStatus,
  PlannedPath,
  TunnelGroup,
} from './types.ts'
import {
  asymmetricEvent,
  backEvent,
  downEvent,
  drainedEvent,
  drainingEvent,
  failoverEvent,
  steeredEvent,
  undrainedEvent,
} from './words.ts'

/** For neighbours to take other ways, before a tunnel that is drained is passed over. */
export const DRAIN_MS = 3_000
/** Asymmetric packets before a word is said of them, and between two words of a tunnel. */
const ASYMMETRIC_PACKETS = 50
const ASYMMETRIC_MS = 60_000

export interface SelectorParts {
  /** As they are when it is called. */
  readonly groups: () => Iterable<TunnelGroup>
}

export class PathSelector implements Machine<PathInput, PathEffect> {
  readonly #parts: SelectorParts
  readonly #paths = new Map<string, TunnelPath>()
  #classes: readonly PathClass[] = []
  #steering: readonly ClassSteering[] = []
  readonly #failovers = new Failovers()
  readonly #asymmetric = new Map<string, { packets: number; toldAt: Instant }>()
  /** Those that time alone may change. */
  readonly #waiting = new Set<TunnelPath>()
  #isReordered = false
  #effects: PathEffect[] = []

  constructor(parts: SelectorParts) {
    this.#parts = parts
  }

  handle(input: PathInput, now: Instant): void {
    this.#take(input, now)
    for (const path of this.#waiting) this.#settle(path, now)
    for (const failover of this.#failovers.take(now, input.type === 'carried' ? input.connection : undefined)) {
      const outcome = outcomeOf(failover, now)
      failover.path.lastFailover = outcome
      this.#tell(failoverEvent(failover.path.connection, outcome))
    }
    this.#steer(now)
  }

  poll(): PathEffect | undefined {
    return this.#effects.shift()
  }

  deadline(): Instant | undefined {
    const times = [this.#failovers.deadline()]
    for (const { readyAt, drainAt } of this.#waiting) times.push(readyAt, drainAt)
    for (const steering of this.#steering) times.push(steering.deadline())
    const known = times.filter((time) => time !== undefined)
    return known.length === 0 ? undefined : Math.min(...known)
  }

  status(): { readonly paths: readonly PathStatus[]; readonly classes: readonly ClassStatus[] } {
    return {
      paths: [...this.#paths.values()].map((path) => path.status()),
      classes: this.#steering.map((steering) => steering.status()),
    }
  }

  /** As `reach` said last. */
  isReachable(connection: string): boolean {
    return this.#paths.get(connection)?.toldReachable ?? true
  }

  #take(input: PathInput, now: Instant): void {
    if (input.type === 'time') return
    if (input.type === 'plan') {
      this.#plan(input.connections, input.classes, now)
      return
    }
    const path = this.#paths.get(input.connection)
    if (path === undefined) return
    switch (input.type) {
      case 'tunnel':
        this.#setSendable(path, input.sendable, now)
        break
      case 'path':
        path.setReport(input.report, now)
        for (const steering of this.#steering) steering.take(path.connection, input.report, now)
        this.#examine(path)
        break
      case 'bfd':
        path.setBfd(input.up, input.silentMs ?? 0, now)
        break
      case 'drain':
        this.#drain(path, input.on, now)
        break
      case 'carried':
        this.#count(path, input.carried, now)
        break
      case 'moved':
        if (this.#failovers.moved(path.connection, now))
          this.#effects.push({ type: 'count', connection: path.connection })
        break
      default:
        unreachable(input)
    }
    this.#settle(path, now)
  }

  #plan(connections: readonly PlannedPath[], classes: readonly PathClass[], now: Instant): void {
    const wanted = new Map(connections.map((planned) => [planned.name, planned]))
    for (const [name, path] of this.#paths) {
      if (wanted.has(name)) continue
      this.#paths.delete(name)
      this.#waiting.delete(path)
      this.#failovers.forget(name)
      this.#asymmetric.delete(name)
    }
    for (const [name, planned] of wanted) {
      const path = this.#paths.get(name)
      if (path === undefined) this.#paths.set(name, new TunnelPath(planned, now))
      else path.planned = planned
    }
    this.#isReordered = classes.length > 0 || this.#classes.length > 0
    this.#classes = classes
    const before = new Map(this.#steering.map((steering) => [steering.name, steering]))
    this.#steering = classes.flatMap((each) => {
      const prefer = [...new Set(each.prefer)].filter((name) => this.#paths.has(name))
      if (prefer.length === 0) return []
      const config = { ...each, prefer }
      const steering = before.get(each.name)
      if (steering === undefined) return [new ClassSteering(config, now)]
      const move = steering.change(config, now)
      if (move !== undefined) this.#tell(steeredEvent(each.name, move))
      return [steering]
    })
    for (const path of this.#paths.values()) this.#setFitness(path, now)
  }

  #setSendable(path: TunnelPath, sendable: boolean, now: Instant): void {
    const isLost = path.sendable && !sendable
    path.setSendable(sendable)
    if (!isLost || !path.passing) return
    this.#lost(path, 'sa', now)
    // Engines have done it already: they send on what they have.
    if (this.#failovers.moved(path.connection, now)) this.#effects.push({ type: 'count', connection: path.connection })
  }

  #examine(path: TunnelPath): void {
    const { connection } = path
    const on = this.#steering.some((steering) => steering.isSuspect(connection))
    if (on === path.isExamined) return
    path.isExamined = on
    this.#effects.push({ type: 'examine', connection, on })
  }

  #drain(path: TunnelPath, on: boolean, now: Instant): void {
    const { connection, planned } = path
    if (on === (path.drain !== 'no')) return
    if (planned.isRouted) this.#effects.push({ type: 'leaving', connection, on })
    if (on) {
      path.drain = 'settling'
      path.drainAt = now + (planned.isRouted ? DRAIN_MS : 0)
      if (planned.isRouted) this.#tell(drainingEvent(connection))
      return
    }
    path.drain = 'no'
    path.drainAt = undefined
    // Nobody has to wait for what went on purpose.
    if (!path.passing && path.fault === undefined) path.readyAt = now
    this.#tell(undrainedEvent(connection))
  }

  #count(path: TunnelPath, carried: PathCarried, now: Instant): void {
    const fresh = Math.max(0, carried.asymmetric - (path.counted.at(-1)?.carried.asymmetric ?? 0))
    path.count(carried, now)
    path.asymmetric += fresh
    const known = this.#asymmetric.get(path.connection) ?? { packets: 0, toldAt: Number.NEGATIVE_INFINITY }
    known.packets += fresh
    this.#asymmetric.set(path.connection, known)
    if (known.packets < ASYMMETRIC_PACKETS || now - known.toldAt < ASYMMETRIC_MS) return
    this.#tell(asymmetricEvent(path.connection, known.packets))
    known.packets = 0
    known.toldAt = now
  }

  /** Brings what is told of the path in line with what is known of it. */
  #settle(path: TunnelPath, now: Instant): void {
    if (path.drain === 'settling' && now >= path.drainAt!) this.#drained(path, now)
    const { fault } = path
    if (fault !== undefined && path.passing) {
      this.#stop(path, now)
      this.#lost(path, fault, now)
    } else if (!path.passing && path.isWell) {
      path.awaitReturn(now)
      if (now >= path.readyAt! || !this.#hasAlternative(path)) this.#resume(path, now)
    } else if (!path.passing) path.readyAt = undefined
    if (path.readyAt === undefined && path.drain !== 'settling') this.#waiting.delete(path)
    else this.#waiting.add(path)
    this.#reach(path)
    this.#setFitness(path, now)
    path.note(now)
  }

  #drained(path: TunnelPath, now: Instant): void {
    path.drain = 'drained'
    path.drainAt = undefined
    if (path.passing) {
      this.#stop(path, now)
      path.forgive()
    }
    this.#tell(drainedEvent(path.connection, !this.#hasAlternative(path)))
  }

  #stop(path: TunnelPath, now: Instant): void {
    path.stopPassing(now)
    // BGP need not wait until engines have given the path up.
    this.#reach(path)
    this.#effects.push({ type: 'passing', connection: path.connection, passing: false })
  }

  #reach(path: TunnelPath): void {
    const { connection, isReachable: reachable } = path
    if (reachable === path.toldReachable) return
    path.toldReachable = reachable
    this.#effects.push({ type: 'reach', connection, reachable })
  }

  #resume(path: TunnelPath, now: Instant): void {
    const { since } = path
    path.resume(now)
    this.#failovers.forget(path.connection)
    this.#effects.push({ type: 'passing', connection: path.connection, passing: true })
    if (path.state !== 'drained') this.#tell(backEvent(path.connection, now - since))
  }

  /** Its traffic goes elsewhere, where there is an elsewhere. */
  #lost(path: TunnelPath, cause: PathCause, now: Instant): void {
    const { connection } = path
    const to = this.#successors(path)
    if (to === undefined || to.length === 0) {
      // Of Child SAs that go, IKE tells.
      if (cause !== 'sa') this.#tell(downEvent(connection, cause, to !== undefined))
      return
    }
    path.failovers[cause]++
    this.#failovers.begin({ path, to, cause, visibleAt: path.lastSign(cause, now), movedAt: undefined })
  }

  /** Who takes what the path carried until now; undefined: it carried nothing. */
  #successors(path: TunnelPath): readonly string[] | undefined {
    const { connection } = path
    const to = new Set<string>()
    const others = new Set<string>()
    let isUsed = false
    for (const { prefer } of this.#steering) {
      if (prefer[0] !== connection) continue
      isUsed = true
      const next = prefer.find((name) => name !== connection && this.#isUsable(name))
      if (next !== undefined) to.add(next)
    }
    for (const { tunnels, isSpread, prefixes } of this.#parts.groups()) {
      if (!tunnels.includes(connection)) continue
      const usable = tunnels.filter((name) => name === connection || this.#isUsable(name))
      const rest = usable.filter((name) => name !== connection)
      if (prefixes === 0) {
        if (rest[0] !== undefined) others.add(rest[0])
        continue
      }
      if (!isSpread && usable[0] !== connection) continue
      isUsed = true
      for (const name of isSpread ? rest : rest.slice(0, 1)) to.add(name)
    }
    if (!isUsed) return undefined
    return to.size > 0 ? [...to] : [...others]
  }

  #hasAlternative(path: TunnelPath): boolean {
    for (const { tunnels } of this.#parts.groups()) {
      if (!tunnels.includes(path.connection)) continue
      if (tunnels.some((name) => name !== path.connection && this.#isUsable(name))) return true
    }
    return false
  }

  #isUsable(connection: string): boolean {
    return this.#paths.get(connection)?.isUsable ?? false
  }

  #setFitness(path: TunnelPath, now: Instant): void {
    const fitness: Fitness = path.drain !== 'no' ? 'leaving' : path.isUsable ? 'free' : 'down'
    for (const steering of this.#steering) steering.setFitness(path.connection, fitness, now)
  }

  #steer(now: Instant): void {
    for (const steering of this.#steering) {
      const move = steering.settle(now)
      if (move === undefined) continue
      this.#isReordered = true
      this.#tell(steeredEvent(steering.name, move))
    }
    if (!this.#isReordered) return
    this.#isReordered = false
    const of = new Map(this.#steering.map((steering) => [steering.name, steering.prefer]))
    this.#effects.push({
      type: 'prefer',
      classes: this.#classes.map(({ name }) => ({ name, prefer: of.get(name) ?? [] })),
    })
  }

  #tell(event: PathEvent): void {
    this.#effects.push({ type: 'event', event })
  }
}
