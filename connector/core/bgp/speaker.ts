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
import { pathOpinion } from '../bfd/coupling.ts'
import { BfdLinks } from '../bfd/links.ts'
import type { BfdStateChange } from '../bfd/machine.ts'
import { type Leaving, type LinkHistory, type LinkParts, NeighbourLink } from './neighbour-link.ts'
import { Reachability } from './reachability.ts'
import type { Explanation } from './rib/explain.ts'
import type { NextHopSet } from './rib/next-hop-sets.ts'
import { compilePolicies, isPolicies, type Policies } from './rib/policy.ts'
import { Rib } from './rib/rib.ts'
import type { RibEffect, RibInput, RoutesChanged } from './rib/types.ts'
import { type SpeakerChanges, speakerChanges } from './speaker-changes.ts'
import type {
  SpeakerConfig,
  SpeakerEffect,
  SpeakerInput,
  SpeakerNeighbour,
  SpeakerNeighbourStatus,
} from './speaker-types.ts'
import { CEASE } from './wire/codec.ts'

export class Speaker implements Machine<SpeakerInput, SpeakerEffect> {
  #config: SpeakerConfig
  readonly #random: RandomBytes
  readonly #parts: LinkParts
  #links: ReadonlyMap<string, NeighbourLink>
  #rib: Rib
  readonly #bfd: BfdLinks
  #reach: Reachability
  /** Outer ends of tunnels, as last heard. */
  readonly #ends = new Map<string, readonly Address[]>()
  readonly #leaving = new Map<string, Leaving>()
  readonly #opinions = new Map<string, boolean | undefined>()
  #phase: 'new' | 'running' | 'stopped' = 'new'
  #effects: SpeakerEffect[] = []
  #taken = 0
  #now: Instant = 0

  /** Throws a TypeError for policies with faults: the configuration has been checked for them. */
  constructor(config: SpeakerConfig, random: RandomBytes) {
    this.#config = config
    this.#random = random
    this.#reach = new Reachability(config)
    this.#rib = this.#newRib(config, policiesOf(config))
    this.#bfd = new BfdLinks(random)
    this.#parts = {
      rib: (input: RibInput) => this.#rib.handle(input, this.#now),
      ribStatus: (neighbour: string, family: Family) => this.#rib.status(neighbour, family),
      emit: (effect: SpeakerEffect) => this.#effects.push(effect),
      now: () => this.#now,
      random,
    }
    const links = config.neighbours.map((neighbour) => new NeighbourLink(config, neighbour, this.#parts))
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

  /** What it knows is not decided on yet. */
  get isBusy(): boolean {
    return this.#rib.hasWork
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
        this.#bfd.passed(now)
        for (const link of this.#links.values()) link.passed(now)
        break
      case 'configure':
        this.#configure(input.config, now)
        break
      case 'start':
        this.#start(input.restarting?.deferMs, now)
        break
      case 'stop':
        this.#stop(input.communication, now)
        break
      case 'tunnel':
        this.#tunnel(input.name, input.up, input.ends, now)
        break
      case 'leaving': {
        const leaving = !input.on ? 'no' : input.avoid === true ? 'both' : 'neighbours'
        for (const link of this.#links.values()) if (link.tunnel === input.tunnel) link.setLeaving(leaving)
        this.#leaving.set(input.tunnel, leaving)
        break
      }
      case 'bfd':
        this.#bfd.hear(input.datagram, now)
        break
      default:
        this.#links.get(input.neighbour)?.take(input, now)
    }
  }

  /** `deferMs`: we restarted, and the Selection_Deferral_Timer runs so long. */
  #start(deferMs: number | undefined, now: Instant): void {
    if (this.#phase !== 'new') return
    this.#phase = 'running'
    for (const link of this.#links.values()) this.#rib.handle({ kind: 'neighbour', config: link.ribConfig }, now)
    if (this.#config.networks.length > 0) {
      this.#rib.handle({ kind: 'originate', prefixes: this.#config.networks }, now)
    }
    if (deferMs !== undefined) {
      const waited = this.#config.neighbours.filter(({ session }) => session.gracefulRestart !== undefined)
      this.#rib.handle({ kind: 'restarting', neighbours: waited.map(({ name }) => name), deferMs }, now)
    }
    for (const link of this.#links.values()) link.start(now, deferMs !== undefined)
    this.#wantBfd(now)
  }

  /** Sessions first: a neighbour that hears BFD go down before has to guess. */
  #stop(communication: string, now: Instant): void {
    this.#phase = 'stopped'
    for (const link of this.#links.values()) link.stop(communication, now)
    this.#bfd.stop(now)
  }

  #tunnel(name: string, up: boolean, ends: readonly Address[], now: Instant): void {
    if (ends.length > 0) this.#ends.set(name, ends)
    for (const link of this.#links.values()) if (link.tunnel === name) link.setTunnelEnds(ends)
    if (!this.#reach.set(name, up)) return
    this.#rib.handle({ kind: 'next-hops-changed' }, now)
    if (up) for (const link of this.#links.values()) if (link.tunnel === name) link.pathUp(now)
  }

  /**
   * What is to go goes first, then the RIB takes up what is new at one stroke, and at last new sessions begin. A speaker
   * that was not started, or was stopped, only keeps what it is told.
   */
  #configure(config: SpeakerConfig, now: Instant): void {
    const policies = policiesOf(config)
    const changes = speakerChanges(this.#config, config)
    const histories = this.#end(changes, now)
    const before = { config: this.#config, reach: this.#reach }
    this.#config = config
    this.#reach = before.reach.with(config)
    for (const name of [...this.#ends.keys()]) {
      if (!config.tunnels.some((tunnel) => tunnel.name === name)) this.#ends.delete(name)
    }
    const fresh = this.#makeLinks(config, changes, histories, now)
    if (changes.isAnother || this.#phase === 'new') this.#replaceRib(before.config, policies)
    if (this.#phase !== 'running') return
    const known = changes.isAnother ? [] : changes.adjusted.flatMap(({ name }) => this.#links.get(name) ?? [])
    this.#rib.handle(
      {
        kind: 'settings',
        policies,
        changed: changes.policies,
        ...(changes.hasOtherAddresses ? { ownAddresses: config.ownAddresses } : {}),
        neighbours: [...known, ...fresh].map((link) => link.ribConfig),
      },
      now,
    )
    const moved = (address: Address) => before.reach.tunnelOf(address) !== this.#reach.tunnelOf(address)
    this.#rib.handle({ kind: 'next-hops-changed', moved }, now)
    this.#rib.handle({ kind: 'withdraw', prefixes: changes.withdrawn }, now)
    const originated = changes.isAnother ? config.networks : changes.originated
    this.#rib.handle({ kind: 'originate', prefixes: originated }, now)
    for (const link of fresh) link.start(now)
    this.#wantBfd(now)
  }

  /** Sessions that do not go on. Returns what outlives them. */
  #end(changes: SpeakerChanges, now: Instant): ReadonlyMap<string, LinkHistory> {
    const histories = new Map<string, LinkHistory>()
    const replaced = new Set(changes.replaced.map(({ name }) => name))
    for (const link of this.#links.values()) {
      const isRemoved = changes.removed.includes(link.name)
      if (!isRemoved && !replaced.has(link.name)) continue
      link.end(isRemoved ? CEASE.peerDeconfigured : CEASE.otherConfigurationChange, now)
      if (!isRemoved) histories.set(link.name, link.history)
      this.#rib.handle({ kind: 'remove-neighbour', neighbour: link.name }, now)
    }
    return histories
  }

  /** Returns those that are new, or begin anew. */
  #makeLinks(
    config: SpeakerConfig,
    { adjusted }: SpeakerChanges,
    histories: ReadonlyMap<string, LinkHistory>,
    now: Instant,
  ): readonly NeighbourLink[] {
    const changed = new Set(adjusted.map(({ name }) => name))
    const fresh: NeighbourLink[] = []
    const link = (neighbour: SpeakerNeighbour): NeighbourLink => {
      const { name, tunnel } = neighbour
      const known = histories.has(name) ? undefined : this.#links.get(name)
      if (known !== undefined) {
        if (changed.has(name)) known.adjust(neighbour, now)
        return known
      }
      const made = new NeighbourLink(config, neighbour, this.#parts, this.#ends.get(tunnel), histories.get(name))
      made.setLeaving(this.#leaving.get(tunnel) ?? 'no')
      fresh.push(made)
      return made
    }
    this.#links = new Map(config.neighbours.map((neighbour) => [neighbour.name, link(neighbour)]))
    return fresh
  }

  /** What the one before has given out is taken back. */
  #replaceRib({ networks }: SpeakerConfig, policies: Policies): void {
    const old = this.#rib
    old.handle({ kind: 'withdraw', prefixes: networks }, this.#now)
    while (old.hasWork) old.handle({ kind: 'time' }, this.#now)
    for (let effect = old.poll(); effect !== undefined; effect = old.poll()) {
      if (effect.kind === 'routes') this.#routes(effect)
    }
    this.#rib = this.#newRib(this.#config, policies)
  }

  #newRib(config: SpeakerConfig, policies: Policies): Rib {
    const seed = this.#random(4)
    return new Rib({
      localAs: config.localAs,
      routerId: config.routerId,
      ownAddresses: config.ownAddresses,
      resolve: (address) => this.#reach.cost(address),
      policies,
      ...(config.decision === undefined ? {} : { decision: config.decision }),
      hashSeed: new DataView(seed.buffer, seed.byteOffset).getUint32(0),
    })
  }

  #wantBfd(now: Instant): void {
    const wanted = this.#config.neighbours.flatMap(({ name, local, rib, bfd: timers }) => {
      return timers === undefined ? [] : [{ name, local, remote: rib.address, timers }]
    })
    this.#bfd.want(wanted, now)
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
    const tunnels = nextHops.map((set) => {
      const known = ways.get(set)
      if (known !== undefined) return known
      const made = this.#tunnelsOf(set)
      ways.set(set, made)
      return made
    })
    this.#effects.push({ type: 'routes', prefixes, tunnels })
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
    for (let effect = this.#bfd.poll(this.#now); effect !== undefined; effect = this.#bfd.poll(this.#now)) {
      if (effect.kind === 'send') this.#effects.push({ type: 'bfd-send', packet: effect })
      else if (effect.kind === 'ended') this.#effects.push({ type: 'bfd-ended', from: effect.from })
      else if (effect.kind === 'state') this.#pathChanged(effect.id, effect)
      else if (effect.kind === 'refused') this.#links.get(effect.id)?.report('bfd-refused', 'warn', effect.reason)
    }
  }

  #pathChanged(id: string, change: BfdStateChange): void {
    this.#links.get(id)?.pathChanged(change, this.#now)
    this.#settleRib()
    const opinion = pathOpinion(change)
    if (opinion !== 'unknown') this.#tellOpinion(id, opinion === 'up', change)
    else if (change.to === 'admin-down' || change.remote === 'admin-down') this.#tellOpinion(id, undefined, change)
  }

  /** A session that was lost is a lost path until it is up again. */
  #tellOpinion(neighbour: string, up: boolean | undefined, { silentMs = 0 }: BfdStateChange): void {
    const tunnel = this.#links.get(neighbour)?.tunnel
    if (tunnel === undefined || this.#opinions.get(neighbour) === up) return
    this.#opinions.set(neighbour, up)
    this.#effects.push({ type: 'path', neighbour, tunnel, up, ...(up === false ? { silentMs } : {}) })
  }
}

function policiesOf({ policies }: SpeakerConfig): Policies {
  const compiled = compilePolicies(policies)
  if (isPolicies(compiled)) return compiled
  throw new TypeError('the policies have faults')
}
