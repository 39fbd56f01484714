/** A site and its hubs on one virtual clock. Octets and datagrams arrive at once and in order, or not at all. */
import type { Address } from '../../../../protocol/net.ts'
import { prefixesOf } from '../../../../protocol/prefix-block.ts'
import { Speaker } from '../speaker.ts'
import type { SpeakerConfig, SpeakerEffect, SpeakerInput } from '../speaker-types.ts'

export class SpeakerEnd {
  readonly speaker: Speaker
  readonly effects: SpeakerEffect[] = []
  /** What forwarding has. */
  readonly routes = new Map<string, readonly string[]>()
  /** Neighbours whose connections are let in. */
  readonly welcome = new Set<string>()

  constructor(config: SpeakerConfig) {
    let seed = config.routerId
    const random = (length: number) =>
      Uint8Array.from({ length }, () => {
        seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
        return seed >>> 16
      })
    this.speaker = new Speaker(config, random)
  }
}

/** The site's neighbours are called as the hubs; each hub has one neighbour, which is called as itself. */
export class SpeakerWorld {
  now = 1_000
  site: SpeakerEnd
  readonly hubs: ReadonlyMap<string, SpeakerEnd>
  readonly cut = new Set<string>()
  readonly #later: (() => void)[] = []
  readonly #addresses = new Map<Address, string>()

  constructor(site: SpeakerConfig, hubs: ReadonlyMap<string, SpeakerConfig>) {
    this.site = new SpeakerEnd(site)
    this.hubs = new Map([...hubs].map(([name, config]) => [name, new SpeakerEnd(config)]))
    for (const [name, { neighbours }] of hubs) {
      for (const { local, rib } of neighbours) this.#addresses.set(local, name).set(rib.address, name)
    }
  }

  /** The site's process begins anew; what was on its way is lost. */
  restart(config: SpeakerConfig): SpeakerEnd {
    this.#later.length = 0
    this.site = new SpeakerEnd(config)
    return this.site
  }

  give(end: SpeakerEnd, input: SpeakerInput): void {
    end.speaker.handle(input, this.now)
    for (let effect = end.speaker.poll(); effect !== undefined; effect = end.speaker.poll()) this.#carry(end, effect)
  }

  run(ms: number): void {
    const until = this.now + ms
    const ends = [this.site, ...this.hubs.values()]
    const deadlineOf = ({ speaker }: SpeakerEnd) => speaker.deadline() ?? Number.POSITIVE_INFINITY
    for (let turn = 0; turn < 200_000; turn++) {
      const next = this.#later.shift()
      if (next !== undefined) {
        next()
        continue
      }
      const due = ends.filter((end) => deadlineOf(end) <= this.now)
      for (const end of due) this.give(end, { type: 'time' })
      if (due.length > 0) continue
      const deadline = Math.min(...ends.map(deadlineOf))
      if (deadline > until) {
        this.now = until
        return
      }
      this.now = deadline
    }
    throw new Error('the world does not come to rest')
  }

  #carry(end: SpeakerEnd, effect: SpeakerEffect): void {
    end.effects.push(effect)
    switch (effect.type) {
      case 'routes':
        for (const [index, prefix] of prefixesOf(effect.prefixes).entries()) {
          const tunnels = effect.tunnels[index]!
          if (tunnels.length === 0) end.routes.delete(prefix)
          else end.routes.set(prefix, tunnels)
        }
        return
      case 'listen':
        if (effect.accept) end.welcome.add(effect.neighbour)
        else end.welcome.delete(effect.neighbour)
        return
      case 'bfd-send':
        this.#datagram(end, effect.packet)
        return
      case 'bfd-ended':
      case 'path':
      case 'report':
        return
      default:
        this.#segment(end, effect)
    }
  }

  #segment(end: SpeakerEnd, effect: Extract<SpeakerEffect, { readonly connection: string }>): void {
    const { neighbour, connection } = effect
    const other = end === this.site ? this.hubs.get(neighbour)! : this.site
    const at = { neighbour, connection: this.#nameAt(other, connection) } as const
    if (effect.type === 'send') {
      this.#later.push(() => this.give(end, { type: 'sent', neighbour, connection, octets: effect.bytes.length }))
    }
    if (this.cut.has(neighbour)) return
    if (effect.type === 'send') this.#later.push(() => this.give(other, { type: 'bytes', ...at, bytes: effect.bytes }))
    else if (effect.type === 'close') this.#later.push(() => this.give(other, { type: 'closed', ...at }))
    else {
      this.#later.push(() => {
        if (!other.welcome.has(neighbour)) return this.give(end, { type: 'closed', neighbour, connection })
        this.give(other, { type: 'incoming', ...at })
        this.give(end, { type: 'connected', neighbour, connection })
      })
    }
  }

  /** The ends of one connection are `out-1` here and `in-site-out-1` or `in-hub-out-1` there. */
  #nameAt(other: SpeakerEnd, connection: string): string {
    const from = other === this.site ? 'hub' : 'site'
    return connection.startsWith('in-') ? connection.replace(/^in-(site|hub)-/, '') : `in-${from}-${connection}`
  }

  #datagram(end: SpeakerEnd, { from, to, bytes }: Extract<SpeakerEffect, { type: 'bfd-send' }>['packet']): void {
    const name = this.#addresses.get(from.address)!
    if (this.cut.has(name)) return
    const other = end === this.site ? this.hubs.get(name)! : this.site
    const datagram = { kind: 'datagram' as const, bytes, from, to: to.address, ttl: 255 }
    this.#later.push(() => this.give(other, { type: 'bfd', datagram }))
  }
}
