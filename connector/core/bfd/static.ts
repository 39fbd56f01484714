/** BFD of tunnels without BGP: what it says of their paths, for static routes (RFC 5882 section 5). */
import type { Instant, Machine, RandomBytes } from '../../../protocol/machine.ts'
import type { SocketAddress } from '../../../protocol/net.ts'
import { pathOpinion } from './coupling.ts'
import type { BfdDatagram, BfdEndpointEffect } from './endpoint.ts'
import { BfdLinks, type WantedBfd } from './links.ts'
import type { BfdStateChange, BfdStatus } from './machine.ts'
import { DIAGNOSTICS, diagnostic } from './wire.ts'

export type StaticBfdInput =
  | { readonly type: 'time' }
  /** All sessions, by the names of their connections. */
  | { readonly type: 'want'; readonly sessions: readonly WantedBfd[] }
  | { readonly type: 'datagram'; readonly datagram: BfdDatagram }
  /** The peers are told that it is over; nothing else follows. */
  | { readonly type: 'stop' }

export type StaticBfdEffect =
  | { readonly type: 'send'; readonly packet: Extract<BfdEndpointEffect, { readonly kind: 'send' }> }
  /** Nothing more is sent from there. */
  | { readonly type: 'ended'; readonly from: SocketAddress }
  /** `up` undefined: BFD has no opinion. `silentMs`: since about when the peer was not heard. */
  | { readonly type: 'path'; readonly connection: string; readonly up: boolean | undefined; readonly silentMs?: number }
  /** A sentence for the log. */
  | { readonly type: 'news'; readonly connection: string; readonly level: 'info' | 'warn'; readonly text: string }

/**
 * A peer that has never been heard may not know BFD, and a session that an operator ended says nothing: then there is no
 * opinion. A session that was lost is a lost path until it is up again.
 */
export class StaticBfd implements Machine<StaticBfdInput, StaticBfdEffect> {
  readonly #links: BfdLinks
  readonly #effects: StaticBfdEffect[] = []
  readonly #opinions = new Map<string, boolean>()
  readonly #detection = new Map<string, number>()
  #names: readonly string[] = []
  #isStopped = false

  constructor(random: RandomBytes) {
    this.#links = new BfdLinks(random)
  }

  handle(input: StaticBfdInput, now: Instant): void {
    switch (input.type) {
      case 'time':
        // A session that is lost has no detection time any more.
        for (const name of this.#opinions.keys()) this.#detection.set(name, this.#links.status(name)?.detectionMs ?? 0)
        this.#links.passed(now)
        break
      case 'want':
        if (!this.#isStopped) this.#want(input.sessions, now)
        break
      case 'datagram':
        this.#links.hear(input.datagram, now)
        break
      case 'stop':
        this.#isStopped = true
        this.#links.stop(now)
    }
    for (let effect = this.#links.poll(now); effect !== undefined; effect = this.#links.poll(now)) this.#take(effect)
  }

  poll(): StaticBfdEffect | undefined {
    return this.#effects.shift()
  }

  deadline(): Instant | undefined {
    return this.#links.deadline()
  }

  status(connection: string): BfdStatus | undefined {
    return this.#links.status(connection)
  }

  /** A peer still thinks that its session is up. */
  get isBelieved(): boolean {
    return this.#names.some((name) => this.#links.status(name)?.remoteState === 'up')
  }

  get drops(): ReadonlyMap<string, number> {
    return this.#links.drops
  }

  #want(sessions: readonly WantedBfd[], now: Instant): void {
    this.#names = sessions.map(({ name }) => name)
    const wanted = new Set(this.#names)
    for (const connection of [...this.#opinions.keys()])
      if (!wanted.has(connection)) this.#conclude(connection, undefined)
    this.#links.want(sessions, now)
  }

  #take(effect: BfdEndpointEffect): void {
    if (effect.kind === 'send') this.#effects.push({ type: 'send', packet: effect })
    else if (effect.kind === 'ended') this.#effects.push({ type: 'ended', from: effect.from })
    else if (effect.kind === 'state') this.#changed(effect.id, effect)
    else if (effect.kind === 'refused') {
      this.#effects.push({ type: 'news', connection: effect.id, level: 'warn', text: `no BFD: ${effect.reason}` })
    }
  }

  #changed(connection: string, change: BfdStateChange): void {
    if (this.#isStopped) return
    const opinion = pathOpinion(change)
    if (opinion === 'up') this.#conclude(connection, true)
    else if (opinion === 'down') {
      const isSilence = change.diagnostic === diagnostic.detectionTimeExpired
      this.#conclude(connection, false, isSilence ? this.#detection.get(connection) : undefined)
      const why = DIAGNOSTICS[change.diagnostic] ?? String(change.diagnostic)
      this.#effects.push({ type: 'news', connection, level: 'warn', text: `BFD lost it: ${why}` })
    } else if (change.to === 'admin-down' || change.remote === 'admin-down') this.#conclude(connection, undefined)
  }

  #conclude(connection: string, up: boolean | undefined, silentMs?: number): void {
    if (this.#opinions.get(connection) === up) return
    if (up === undefined) {
      this.#opinions.delete(connection)
      this.#detection.delete(connection)
    } else this.#opinions.set(connection, up)
    this.#effects.push({ type: 'path', connection, up, ...(silentMs === undefined ? {} : { silentMs }) })
    if (up) this.#effects.push({ type: 'news', connection, level: 'info', text: 'BFD is up' })
  }
}
