/** What the engine counts and reports: drops, counters of an SA, events. */
import { DROP_EVENT_OVERFLOW, DROP_REASONS, EVENT_CAPACITY } from '../abi.ts'
import { DROP_NAMES, type DropName } from '../drop-reasons.ts'
import type { EngineEvent, SaCounters } from '../packet-engine.ts'

export class SaTally {
  packets = 0
  bytes = 0
  lastAt = 0
  readonly drops = new Uint32Array(DROP_REASONS)

  passed(bytes: number, now: number): void {
    this.packets++
    this.bytes += bytes
    this.lastAt = now
  }

  report(): SaCounters {
    const drops: Partial<Record<DropName, number>> = {}
    for (const [reason, name] of DROP_NAMES.entries()) if (this.drops[reason]! > 0) drops[name] = this.drops[reason]!
    return { packets: this.packets, bytes: this.bytes, lastAt: this.lastAt, drops }
  }
}

export class Tally {
  readonly #drops = new Uint32Array(DROP_REASONS)
  readonly #events: EngineEvent[] = []

  /** Counts a drop, also with its SA where one is known. */
  drop(reason: number, sa?: SaTally): void {
    this.#drops[reason]!++
    if (sa !== undefined) sa.drops[reason]!++
  }

  event(event: EngineEvent): void {
    if (this.#events.length >= EVENT_CAPACITY) this.drop(DROP_EVENT_OVERFLOW)
    else this.#events.push(event)
  }

  poll(): EngineEvent | undefined {
    return this.#events.shift()
  }

  report(): Record<DropName, number> {
    return Object.fromEntries(DROP_NAMES.map((name, reason) => [name, this.#drops[reason]!])) as Record<
      DropName,
      number
    >
  }
}
