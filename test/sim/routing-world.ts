/**
 * Speakers of many sites on virtual time, their sessions and BFD packets over paths that fail, and a walk of packets
 * through what the sites would forward.
 */
import { Speaker } from '../../connector/core/bgp/speaker.ts'
import type { SpeakerEffect, SpeakerInput } from '../../connector/core/bgp/speaker-types.ts'
import type { Instant } from '../../protocol/machine.ts'
import type { Prefix } from '../../protocol/net.ts'
import { prefixAt } from '../../protocol/prefix-block.ts'
import { SeededRandom } from './random.ts'
import { configOf, isHub, type PlannedTunnel, planTunnels, prefixesOf, SITES } from './routing-plan.ts'
import { Timeline } from './timeline.ts'

/** What passes through a path, each way: from the first end of the tunnel, and from the second. */
export interface Path {
  readonly plan: PlannedTunnel
  readonly delayMs: number
  readonly passes: [boolean, boolean]
  /** Share of datagrams lost. */
  loss: number
  /** IKE has a Child SA, at both ends. */
  sendable: boolean
  /** Since when nothing has been wrong with it or its ends. */
  goodSince: Instant | undefined
}

/** One life of a connector's process. */
interface Life {
  readonly site: number
  readonly speaker: Speaker
  readonly routes: Map<Prefix, readonly string[]>
  /** Neighbours whose connections are welcome. */
  readonly welcome: Set<string>
  /** Of its connections, by neighbour and name: the other end. */
  readonly connections: Map<string, Connection>
  alarm: Instant | undefined
}

interface Connection {
  readonly path: Path
  readonly lives: readonly [Life, Life | undefined]
  readonly names: readonly [string, string]
  /** What was sent while the path did not pass: TCP sends it again when it does. */
  readonly waiting: (() => void)[]
  open: boolean
}

export type Fate = 'delivered' | 'dropped' | 'looped'

export class RoutingWorld {
  readonly timeline = new Timeline()
  readonly random: SeededRandom
  readonly paths: readonly Path[]
  readonly #byName: ReadonlyMap<string, Path>
  readonly #lives: (Life | undefined)[] = []
  readonly #homes = new Map<Prefix, number>()
  #connections = 0

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
    this.paths = planTunnels().map((plan) => ({
      plan,
      delayMs: 2 + Math.floor(this.random.fraction() * 40),
      passes: [true, true],
      loss: 0,
      sendable: true,
      goodSince: 0,
    }))
    this.#byName = new Map(this.paths.map((path) => [path.plan.name, path]))
    for (let site = 0; site < SITES; site++) {
      for (const prefix of prefixesOf(site)) this.#homes.set(prefix, site)
      this.startSite(site)
    }
  }

  get now(): Instant {
    return this.timeline.now
  }

  isAlive(site: number): boolean {
    return this.#lives[site] !== undefined
  }

  pathsOf(site: number): Path[] {
    return this.paths.filter(({ plan }) => plan.ends.includes(site))
  }

  startSite(site: number): void {
    const speaker = new Speaker(
      configOf(
        site,
        this.paths.map(({ plan }) => plan),
      ),
      (length) => this.random.bytes(length),
    )
    const life = {
      site,
      speaker,
      routes: new Map(),
      welcome: new Set<string>(),
      connections: new Map(),
      alarm: undefined,
    }
    this.#lives[site] = life
    for (const { plan, sendable } of this.pathsOf(site)) {
      this.#give(life, { type: 'tunnel', name: plan.name, up: sendable, ends: [] })
    }
    this.#give(life, { type: 'start' })
  }

  /** Power is lost: nobody hears of it. */
  killSite(site: number): void {
    this.#lives[site] = undefined
  }

  setSendable(path: Path, sendable: boolean): void {
    path.sendable = sendable
    for (const site of path.plan.ends) {
      const life = this.#lives[site]
      if (life !== undefined) this.#give(life, { type: 'tunnel', name: path.plan.name, up: sendable, ends: [] })
    }
  }

  reset(path: Path, end: 0 | 1): void {
    const life = this.#lives[path.plan.ends[end]]
    if (life !== undefined) this.#give(life, { type: 'reset', neighbour: path.plan.name })
  }

  /** To be called when `passes` of a path has become better. */
  healed(path: Path): void {
    for (const life of this.#lives) {
      for (const connection of life?.connections.values() ?? []) {
        if (connection.path !== path) continue
        for (const deliver of connection.waiting.splice(0)) deliver()
      }
    }
  }

  /** Where a packet for a prefix of `to` ends that a host at `from` sends now, and the sites that it went through. */
  walk(from: number, to: number, prefix: Prefix): { readonly fate: Fate; readonly sites: readonly number[] } {
    const sites = [from]
    let cameBy: Path | undefined
    for (let site = from; site !== to; ) {
      const life = this.#lives[site]
      const name = life?.routes.get(prefix)?.find((tunnel) => {
        const path = this.#byName.get(tunnel)!
        // An engine never sends a packet back into the tunnel that it came by, nor on without a Child SA.
        return path.sendable && path !== cameBy
      })
      if (name === undefined) return { fate: 'dropped', sites }
      const path = this.#byName.get(name)!
      const end = path.plan.ends[0] === site ? 0 : 1
      if (!path.passes[end]) return { fate: 'dropped', sites }
      const next = path.plan.ends[1 - end]!
      if (sites.includes(next)) return { fate: 'looped', sites: [...sites, next] }
      sites.push(next)
      cameBy = path
      site = next
    }
    return { fate: this.isAlive(to) ? 'delivered' : 'dropped', sites }
  }

  /** Prefixes that a site forwards although nobody owns them. */
  strangeRoutes(): Prefix[] {
    return this.#lives.flatMap((life) => [...(life?.routes.keys() ?? [])].filter((prefix) => !this.#homes.has(prefix)))
  }

  established(site: number): number {
    const status = this.#lives[site]?.speaker.status(this.now) ?? []
    return status.filter(({ state }) => state === 'established').length
  }

  #isNow(life: Life): boolean {
    return this.#lives[life.site] === life
  }

  #give(life: Life, input: SpeakerInput): void {
    if (!this.#isNow(life)) return
    life.speaker.handle(input, this.now)
    for (let effect = life.speaker.poll(); effect !== undefined; effect = life.speaker.poll()) this.#carry(life, effect)
    this.#setAlarm(life)
  }

  #setAlarm(life: Life): void {
    const deadline = life.speaker.deadline()
    if (deadline === undefined || (life.alarm !== undefined && life.alarm <= deadline && life.alarm > this.now)) return
    life.alarm = deadline
    this.timeline.at(deadline, () => {
      if (life.alarm !== deadline) return
      life.alarm = undefined
      this.#give(life, { type: 'time' })
    })
  }

  #carry(life: Life, effect: SpeakerEffect): void {
    if (process.env.DBG && effect.type !== 'bfd-send' && effect.type !== 'send')
      console.log(this.now, life.site, JSON.stringify(effect).slice(0, 200))
    switch (effect.type) {
      case 'routes':
        for (const [index, tunnels] of effect.tunnels.entries()) {
          const prefix = prefixAt(effect.prefixes, index)
          if (tunnels.length === 0) life.routes.delete(prefix)
          else life.routes.set(prefix, tunnels)
        }
        return
      case 'listen':
        if (effect.accept) life.welcome.add(effect.neighbour)
        else life.welcome.delete(effect.neighbour)
        return
      case 'bfd-send':
        this.#datagram(life, effect.packet)
        return
      case 'connect':
        this.#connect(life, effect.neighbour, effect.connection)
        return
      case 'send':
        this.#send(life, effect)
        return
      case 'close':
        this.#close(life, `${effect.neighbour} ${effect.connection}`)
    }
  }

  #datagram(life: Life, { id, from, to, bytes }: Extract<SpeakerEffect, { type: 'bfd-send' }>['packet']): void {
    const path = this.#byName.get(id)!
    const end = path.plan.ends[0] === life.site ? 0 : 1
    if (!path.passes[end] || !path.sendable || this.random.chance(path.loss)) return
    this.timeline.after(path.delayMs, () => {
      const other = this.#lives[path.plan.ends[1 - end]!]
      if (other === undefined) return
      this.#give(other, { type: 'bfd', datagram: { kind: 'datagram', bytes, from, to: to.address, ttl: 255 } })
    })
  }

  #connect(life: Life, neighbour: string, name: string): void {
    const path = this.#byName.get(neighbour)!
    const end = path.plan.ends[0] === life.site ? 0 : 1
    const other = this.#lives[path.plan.ends[1 - end]!]
    const theirs = `in-${this.#connections++}`
    const connection: Connection = { path, lives: [life, other], names: [name, theirs], waiting: [], open: true }
    life.connections.set(`${neighbour} ${name}`, connection)
    this.#over(connection, life, () => {
      const welcome = other !== undefined && this.#isNow(other) && other.welcome.has(neighbour)
      // It is on its way before anything that the other end sends.
      this.#back(connection, life, () => {
        if (welcome) this.#give(life, { type: 'connected', neighbour, connection: name })
        else this.#ended(life, connection)
      })
      if (!welcome) return
      other.connections.set(`${neighbour} ${theirs}`, connection)
      this.#give(other, { type: 'incoming', neighbour, connection: theirs })
    })
  }

  #send(life: Life, { neighbour, connection: name, bytes }: Extract<SpeakerEffect, { type: 'send' }>): void {
    const connection = life.connections.get(`${neighbour} ${name}`)
    if (connection === undefined) return
    this.timeline.after(0, () => {
      if (connection.open) this.#give(life, { type: 'sent', neighbour, connection: name, octets: bytes.length })
    })
    const [other, theirs] = otherEnd(connection, life)
    this.#over(connection, life, () => {
      if (other !== undefined && this.#isNow(other)) {
        this.#give(other, { type: 'bytes', neighbour, connection: theirs, bytes })
        return
      }
      // Nobody there knows the connection any more, and says so once somebody is there.
      const site = connection.path.plan.ends.find((end) => end !== life.site)!
      if (this.isAlive(site)) this.#back(connection, life, () => this.#ended(life, connection))
    })
  }

  #close(life: Life, key: string): void {
    const connection = life.connections.get(key)
    life.connections.delete(key)
    if (connection === undefined || !connection.open) return
    const [other] = otherEnd(connection, life)
    this.#over(connection, life, () => {
      if (other !== undefined) this.#ended(other, connection)
    })
  }

  /** The end at `life` hears that the connection is over. */
  #ended(life: Life, connection: Connection): void {
    connection.open = false
    const name = connection.names[connection.lives[0] === life ? 0 : 1]
    const neighbour = connection.path.plan.name
    if (!life.connections.delete(`${neighbour} ${name}`)) return
    this.#give(life, { type: 'closed', neighbour, connection: name })
  }

  /** In order, when the path passes that way. */
  #over({ path, waiting }: Connection, from: Life, deliver: () => void): void {
    const end = path.plan.ends[0] === from.site ? 0 : 1
    const go = () => this.timeline.after(path.delayMs, deliver)
    if (path.passes[end] && path.sendable && waiting.length === 0) go()
    else waiting.push(go)
  }

  #back(connection: Connection, to: Life, deliver: () => void): void {
    const { path, waiting } = connection
    const end = path.plan.ends[0] === to.site ? 1 : 0
    const go = () => this.timeline.after(path.delayMs, deliver)
    if (path.passes[end] && path.sendable) go()
    else waiting.push(go)
  }
}

function otherEnd({ lives, names }: Connection, life: Life): readonly [Life | undefined, string] {
  return lives[0] === life ? [lives[1], names[1]] : [lives[0], names[0]]
}

/** Whether packets may go from one site to another by these sites, as the roles have it: up, across at most once, down. */
export function isValleyFree(sites: readonly number[]): boolean {
  return sites.slice(1, -1).every(isHub)
}
