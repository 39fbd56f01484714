/** What tests of the path selector share: one that runs on a virtual clock, and what it has told. */
import type { PathReport } from '../../probe/report.ts'
import { PathSelector } from '../selector.ts'
import type { PathClass, PathEffect, PathEvent, PathInput, TunnelGroup } from '../types.ts'

export const UP: PathReport = { state: 'up', rttMs: 10, jitterMs: 1 }
export const DOWN: PathReport = { state: 'down', silentMs: 200 }
export const VOICE: PathClass = { name: 'voice', prefer: ['a', 'b'], limits: { rttMs: 100 }, holdMs: 10_000 }

export class World {
  now = 1_000
  groups: TunnelGroup[] = [{ tunnels: ['a', 'b'], isSpread: false, prefixes: 2 }]
  readonly selector = new PathSelector({ groups: () => this.groups })
  effects: PathEffect[] = []
  readonly passing = new Map<string, boolean>()
  prefer: readonly string[] = []

  constructor(names: readonly string[] = ['a', 'b'], classes: readonly PathClass[] = []) {
    this.plan(names, classes)
    for (const connection of names) this.give({ type: 'tunnel', connection, sendable: true })
    this.effects = []
  }

  plan(names: readonly string[], classes: readonly PathClass[] = [], isRouted = false): void {
    this.give({ type: 'plan', connections: names.map((name) => ({ name, isRouted })), classes })
  }

  give(input: PathInput): void {
    this.selector.handle(input, this.now)
    for (let effect = this.selector.poll(); effect !== undefined; effect = this.selector.poll()) {
      this.effects.push(effect)
      if (effect.type === 'passing') this.passing.set(effect.connection, effect.passing)
      if (effect.type === 'prefer') this.prefer = effect.classes[0]?.prefer ?? []
    }
  }

  /** Wakes it when it wants to be woken; fails where it would be woken for ever. */
  sleep(ms: number): void {
    const end = this.now + ms
    for (let turns = 0; ; turns++) {
      if (turns === 50) throw new Error('it wants to be woken again and again')
      const deadline = this.selector.deadline()
      if (deadline === undefined || deadline > end) break
      this.now = Math.max(this.now, deadline)
      this.give({ type: 'time' })
    }
    this.now = end
  }

  path(connection: string, report: PathReport): void {
    this.give({ type: 'path', connection, report })
  }

  carried(connection: string, sent: number, missing = 0, asymmetric = 0): void {
    this.give({ type: 'carried', connection, carried: { sent, missing, asymmetric } })
  }

  events(): PathEvent[] {
    const events = this.effects.flatMap((effect) => (effect.type === 'event' ? [effect.event] : []))
    this.effects = []
    return events
  }

  codes(): string[] {
    return this.events().map(({ code }) => code)
  }

  status(connection: string) {
    return this.selector.status().paths.find((path) => path.connection === connection)!
  }
}
