/** The BFD sessions of neighbours, brought in line with what is wanted: one that ends holds its name and path for a while. */
import type { Instant, RandomBytes } from '../../../protocol/machine.ts'
import type { Address } from '../../../protocol/net.ts'
import type { BfdTimers } from './config.ts'
import { type BfdDatagram, BfdEndpoint, type BfdEndpointEffect } from './endpoint.ts'
import type { BfdStatus } from './machine.ts'

export interface WantedBfd {
  readonly name: string
  readonly local: Address
  readonly remote: Address
  readonly timers: BfdTimers
}

export class BfdLinks {
  readonly #endpoint: BfdEndpoint
  #wanted: ReadonlyMap<string, WantedBfd> = new Map()
  /** What the endpoint has, and what it is about to give up. */
  readonly #running = new Map<string, WantedBfd>()
  readonly #leaving = new Set<string>()
  /** Sessions that could not be: not tried again before another configuration comes. */
  readonly #refused = new Set<string>()

  constructor(random: RandomBytes) {
    this.#endpoint = new BfdEndpoint(random)
  }

  /** These are all that are to be. */
  want(wanted: readonly WantedBfd[], now: Instant): void {
    this.#wanted = new Map(wanted.map((each) => [each.name, each]))
    this.#refused.clear()
    this.#settle(now)
  }

  hear(datagram: BfdDatagram, now: Instant): void {
    this.#endpoint.handle(datagram, now)
  }

  passed(now: Instant): void {
    this.#endpoint.handle({ kind: 'time' }, now)
  }

  /** All are told that they are administratively down; nothing else happens after that. */
  stop(now: Instant): void {
    for (const id of this.#endpoint.ids) this.#endpoint.handle({ kind: 'admin-down', id }, now)
  }

  poll(now: Instant): BfdEndpointEffect | undefined {
    const effect = this.#endpoint.poll()
    if (effect?.kind === 'ended') this.#ended(effect.id, now)
    if (effect?.kind === 'refused') {
      this.#running.delete(effect.id)
      this.#refused.add(effect.id)
    }
    return effect
  }

  deadline(): Instant | undefined {
    return this.#endpoint.deadline()
  }

  status(name: string): BfdStatus | undefined {
    return this.#leaving.has(name) ? undefined : this.#endpoint.status(name)
  }

  get drops(): ReadonlyMap<string, number> {
    return this.#endpoint.drops
  }

  #ended(name: string, now: Instant): void {
    this.#running.delete(name)
    this.#leaving.delete(name)
    this.#settle(now)
  }

  #settle(now: Instant): void {
    for (const [id, { local, remote, timers }] of this.#running) {
      if (this.#leaving.has(id)) continue
      const wanted = this.#wanted.get(id)
      if (wanted === undefined || wanted.local !== local || wanted.remote !== remote) {
        this.#leaving.add(id)
        this.#endpoint.handle({ kind: 'remove', id }, now)
      } else if (!sameTimers(wanted.timers, timers)) {
        this.#running.set(id, wanted)
        this.#endpoint.handle({ kind: 'timers', id, timers: wanted.timers }, now)
      }
    }
    const taken = new Set([...this.#running.values()].map(pathOf))
    for (const wanted of this.#wanted.values()) {
      const { name: id, local, remote, timers } = wanted
      if (this.#running.has(id) || taken.has(pathOf(wanted)) || this.#refused.has(id)) continue
      this.#running.set(id, wanted)
      const config = { timers, role: 'active', controlPlaneIndependent: false } as const
      this.#endpoint.handle({ kind: 'add', id, path: { local, remote }, config }, now)
    }
  }
}

function pathOf({ local, remote }: WantedBfd): string {
  return `${local} ${remote}`
}

function sameTimers(one: BfdTimers, other: BfdTimers): boolean {
  return (Object.keys(one) as (keyof BfdTimers)[]).every((key) => one[key] === other[key])
}
