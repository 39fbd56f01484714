/**
 * All BGP of a connector as one machine: a session for each neighbour, one RIB, and BFD, which tells sessions that
 * their path is gone (RFC 5882).
 *
 *     bytes ──> sessions ──updates──> RIB ──> routes (prefix, tunnels)
 *                  ^                   │
 *                  └── announcements ──┘          BFD down, tunnel down ──> sessions, RIB
 *
 * `neighbour-link.ts` stands between one session and the RIB.
 */
import type { Instant, Machine, RandomBytes } from '../../../protocol/machine.ts'
import type { Address, Family, Prefix } from '../../../protocol/net.ts'
import { BfdEndpoint } from '../bfd/endpoint.ts'
import type { BfdStateChange } from '../bfd/machine.ts'
import { NeighbourLink } from './neighbour-link.ts'
import { Reachability } from './reachability.ts'
import type { Explanation } from './rib/explain.ts'
import type { NextHopSet } from './rib/next-hop-sets.ts'
import { compilePolicies, type Policies } from './rib/policy.ts'
import { Rib } from './rib/rib.ts'
import type { RibEffect, RibInput, RoutesChanged } from './rib/types.ts'
import type { SpeakerConfig, SpeakerEffect, SpeakerInput, SpeakerNeighbourStatus } from './speaker-types.ts'
import { prefixAt } from './wire/prefixes.ts'

export class Speaker implements Machine<SpeakerInput, SpeakerEffect> {
  readonly #config: SpeakerConfig
  readonly #links: ReadonlyMap<string, NeighbourLink>
  readonly #rib: Rib
  readonly #bfd: BfdEndpoint
  readonly #reach: Reachability
  #effects: SpeakerEffect[] = []
  #taken = 0
  #now: Instant = 0

  /** Throws a TypeError for policies with faults: the configuration has been checked for them. */
  constructor(config: SpeakerConfig, random: RandomBytes) {
    this.#config = config
    this.#reach = new Reachability(config)
    const seed = random(4)
    this.#rib = new Rib({
      localAs: config.localAs,
      routerId: config.routerId,
      ownAddresses: config.ownAddresses,
      resolve: (address) => this.#reach.cost(address),
      policies: policiesOf(config),
      ...(config.decision === undefined ? {} : { decision: config.decision }),
      hashSeed: new DataView(seed.buffer, seed.byteOffset).getUint32(0),
    })
    this.#bfd = new BfdEndpoint(random)
    const parts = {
      rib: (input: RibInput) => this.#rib.handle(input, this.#now),
      ribStatus: (neighbour: string, family: Family) => this.#rib.status(neighbour, family),
      emit: (effect: SpeakerEffect) => this.#effects.push(effect),
      now: () => this.#now,
      random,
    }
    const links = config.neighbours.map((neighbour) => new NeighbourLink(config, neighbour, parts))
    this.#links = new Map(links.map((link) => [link.name, link]))
  }

  handle(input: SpeakerInput, now: Instant): void {
    this.#now = now
    this.#take(input, now)
    for (const link of this.#links.values()) link.settle(now)
    this.#settleRib()
    this.#settleBfd()
  }

  poll(): SpeakerEffect | undefined {
    const effect = this.#effects[this.#taken]
    if (effect === undefined) {
      this.#effects = []
      this.#taken = 0
    } else this.#taken++
    return effect
  }

  deadline(): Instant | undefined {
    const times = [this.#rib.deadline(), this.#bfd.deadline()]
    for (const link of this.#links.values()) times.push(link.deadline())
    const known = times.filter((time) => time !== undefined)
    return known.length === 0 ? undefined : Math.min(...known)
  }

  status(now: Instant): readonly SpeakerNeighbourStatus[] {
    return [...this.#links.values()].map((link) => link.status(this.#bfd.status(link.name), now))
  }

  /** Prefixes with a route in use, our own among them. */
  size(family: Family): number {
    return this.#rib.size(family)
  }

  explain(prefix: Prefix): Explanation | undefined {
    return this.#rib.explain(prefix)
  }

  /** Datagrams of BFD that were discarded, by reason. */
  get bfdDrops(): ReadonlyMap<string, number> {
    return this.#bfd.drops
  }

  #take(input: SpeakerInput, now: Instant): void {
    switch (input.type) {
      case 'time':
        this.#rib.handle({ kind: 'time' }, now)
        this.#bfd.handle({ kind: 'time' }, now)
        for (const link of this.#links.values()) link.passed(now)
        break
      case 'start':
        this.#start(now)
        break
      case 'stop':
        this.#stop(input.communication, now)
        break
      case 'tunnel':
        this.#tunnel(input.name, input.up, input.ends, now)
        break
      case 'bfd':
        this.#bfd.handle(input.datagram, now)
        break
      default:
        this.#links.get(input.neighbour)?.take(input, now)
    }
  }

  #start(now: Instant): void {
    for (const link of this.#links.values()) this.#rib.handle({ kind: 'neighbour', config: link.ribConfig }, now)
    if (this.#config.networks.length > 0) {
      this.#rib.handle({ kind: 'originate', prefixes: this.#config.networks }, now)
    }
    for (const { name, local, rib, bfd: timers } of this.#config.neighbours) {
      this.#links.get(name)?.start(now)
      if (timers === undefined) continue
      const path = { local, remote: rib.address }
      const config = { timers, role: 'active', controlPlaneIndependent: false } as const
      this.#bfd.handle({ kind: 'add', id: name, path, config }, now)
    }
  }

  /** Sessions first: a neighbour that hears BFD go down before has to guess. */
  #stop(communication: string, now: Instant): void {
    for (const link of this.#links.values()) link.stop(communication, now)
    for (const id of this.#bfd.ids) this.#bfd.handle({ kind: 'admin-down', id }, now)
  }

  #tunnel(name: string, up: boolean, ends: readonly Address[], now: Instant): void {
    for (const link of this.#links.values()) if (link.tunnel === name) link.setTunnelEnds(ends)
    if (this.#reach.set(name, up)) this.#rib.handle({ kind: 'next-hops-changed' }, now)
  }

  #settleRib(): void {
    // Ends when the neighbours know all, or their sessions hold as much as they should.
    for (let more = true; more; ) {
      for (let effect = this.#rib.poll(); effect !== undefined; effect = this.#rib.poll()) this.#carry(effect)
      more = false
      for (const link of this.#links.values()) more = link.drain(this.#now) || more
    }
    for (const link of this.#links.values()) link.settle(this.#now)
  }

  #carry(effect: RibEffect): void {
    if (effect.kind === 'routes') this.#routes(effect)
    else this.#links.get(effect.neighbour)?.carry(effect, this.#now)
  }

  #routes({ prefixes, nextHops }: RoutesChanged): void {
    const ways = new Map<NextHopSet, readonly string[]>()
    const changes = nextHops.map((set, index) => {
      let tunnels = ways.get(set)
      if (tunnels === undefined) {
        tunnels = this.#tunnelsOf(set)
        ways.set(set, tunnels)
      }
      return { prefix: prefixAt(prefixes, index), tunnels }
    })
    this.#effects.push({ type: 'routes', changes })
  }

  /** What we originate ourselves leads into no tunnel. */
  #tunnelsOf(set: NextHopSet): readonly string[] {
    const tunnels = set.flatMap(({ address, neighbour }) => {
      const link = this.#links.get(neighbour)
      return link === undefined ? [] : [this.#reach.tunnelOf(address) ?? link.tunnel]
    })
    return [...new Set(tunnels)]
  }

  #settleBfd(): void {
    for (let effect = this.#bfd.poll(); effect !== undefined; effect = this.#bfd.poll()) {
      if (effect.kind === 'send') this.#effects.push({ type: 'bfd-send', packet: effect })
      else if (effect.kind === 'state') this.#pathChanged(effect.id, effect)
      else if (effect.kind === 'refused') this.#links.get(effect.id)?.report('bfd-refused', 'warn', effect.reason)
    }
  }

  #pathChanged(id: string, change: BfdStateChange): void {
    this.#links.get(id)?.pathChanged(change, this.#now)
    this.#settleRib()
  }
}

function policiesOf({ policies }: SpeakerConfig): Policies {
  const compiled = compilePolicies(policies)
  if (compiled instanceof Map) return compiled
  throw new TypeError('the policies have faults')
}
