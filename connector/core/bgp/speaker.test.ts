import { describe, expect, it } from 'vitest'
import { type Address, address, prefix } from '../../../protocol/net.ts'
import { prefixesOf } from '../../../protocol/prefix-block.ts'
import { DEFAULT_TIMERS } from '../bfd/config.ts'
import { SESSION_DEFAULTS } from './session-types.ts'
import { Speaker } from './speaker.ts'
import type { SpeakerConfig, SpeakerEffect, SpeakerInput, SpeakerNeighbour } from './speaker-types.ts'

const POLICIES = {
  policies: {
    all: { rules: [], otherwise: 'accept' as const },
    ours: { rules: [{ if: { from: ['local'] }, do: 'accept' as const }] },
  },
}

interface Link {
  readonly tunnel: string
  readonly us: string
  readonly them: string
}

function neighbourOf({ tunnel, us, them }: Link, peerAs: number, more: Partial<SpeakerNeighbour> = {}) {
  return {
    name: tunnel,
    tunnel,
    local: address(us),
    session: { ...SESSION_DEFAULTS, families: [4 as const] },
    transport: { port: 179 },
    rib: { peerAs, address: address(them), importPolicy: 'all', exportPolicy: 'ours' },
    nextHops: { 4: { address: address(us) } },
    ...more,
  } satisfies SpeakerNeighbour
}

function configOf(
  localAs: number,
  routerId: number,
  networks: string[],
  neighbours: SpeakerNeighbour[],
): SpeakerConfig {
  return {
    localAs,
    routerId,
    ownAddresses: neighbours.map(({ local }) => local),
    networks: networks.map(prefix),
    tunnels: neighbours.map(({ tunnel, rib }) => ({ name: tunnel, prefixes: [prefix(`${rib.address}/30`)] })),
    neighbours,
    policies: POLICIES,
    decision: { maxPaths: 4, multipathRelax: true },
  }
}

const A: Link = { tunnel: 'a', us: '169.254.1.2', them: '169.254.1.1' }
const B: Link = { tunnel: 'b', us: '169.254.2.2', them: '169.254.2.1' }

interface End {
  readonly speaker: Speaker
  readonly effects: SpeakerEffect[]
  /** What forwarding has. */
  readonly routes: Map<string, readonly string[]>
}

/** A site with two tunnels to two hubs, over wires that can be cut. Octets arrive at once and in order. */
class World {
  now = 1_000
  readonly site: End
  readonly hubs: Readonly<Record<string, End>>
  readonly cut = new Set<string>()

  constructor(
    options: { bfd?: boolean; peerAs?: number; site?: Partial<SpeakerNeighbour>; hub?: Partial<SpeakerNeighbour> } = {},
  ) {
    const bfd = options.bfd ? { bfd: DEFAULT_TIMERS } : {}
    const links = [A, B]
    this.site = endOf(
      configOf(
        64_512,
        1,
        ['10.1.0.0/16'],
        links.map((link) => neighbourOf(link, options.peerAs ?? 65_001, { ...bfd, ...options.site })),
      ),
    )
    this.hubs = Object.fromEntries(
      links.map((link, i) => {
        const other = { tunnel: link.tunnel, us: link.them, them: link.us }
        const neighbour = neighbourOf(other, 64_512, { ...bfd, ...options.hub })
        return [link.tunnel, endOf(configOf(65_001, 2 + i, ['10.2.0.0/16', `10.${3 + i}.0.0/16`], [neighbour]))]
      }),
    )
    for (const end of [this.site, ...Object.values(this.hubs)]) {
      for (const name of ['a', 'b']) this.give(end, { type: 'tunnel', name, up: true, ends: [] })
      this.give(end, { type: 'start' })
    }
  }

  give(end: End, input: SpeakerInput): void {
    end.speaker.handle(input, this.now)
    for (let effect = end.speaker.poll(); effect !== undefined; effect = end.speaker.poll()) this.carry(end, effect)
  }

  carry(end: End, effect: SpeakerEffect): void {
    end.effects.push(effect)
    if (effect.type === 'routes') {
      for (const [index, name] of prefixesOf(effect.prefixes).entries()) {
        const tunnels = effect.tunnels[index]!
        if (tunnels.length === 0) end.routes.delete(name)
        else end.routes.set(name, tunnels)
      }
    }
    if (effect.type === 'bfd-send') this.datagram(end, effect.packet)
    if (!('connection' in effect)) return
    const { neighbour, connection } = effect
    const other = end === this.site ? this.hubs[neighbour]! : this.site
    if (effect.type === 'send') {
      this.later.push(() => this.give(end, { type: 'sent', neighbour, connection, octets: effect.bytes.length }))
    }
    if (this.cut.has(neighbour)) return
    const peer = this.nameAt(other, connection)
    const at = { neighbour, connection: peer } as const
    if (effect.type === 'connect') {
      this.later.push(() => this.give(other, { type: 'incoming', ...at }))
      this.later.push(() => this.give(end, { type: 'connected', neighbour, connection }))
    } else if (effect.type === 'send')
      this.later.push(() => this.give(other, { type: 'bytes', ...at, bytes: effect.bytes }))
    else this.later.push(() => this.give(other, { type: 'closed', ...at }))
  }

  readonly later: (() => void)[] = []

  /** The ends of one connection are `out-1` here and `in-site-out-1` or `in-hub-out-1` there. */
  nameAt(other: End, connection: string): string {
    const from = other === this.site ? 'hub' : 'site'
    return connection.startsWith('in-') ? connection.replace(/^in-(site|hub)-/, '') : `in-${from}-${connection}`
  }

  datagram(end: End, packet: Extract<SpeakerEffect, { type: 'bfd-send' }>['packet']): void {
    const { from, to, bytes } = packet
    const name = [A, B].find(({ us, them }) => us === from.address || them === from.address)!.tunnel
    if (this.cut.has(name)) return
    const other = end === this.site ? this.hubs[name]! : this.site
    const datagram = { kind: 'datagram' as const, bytes, from, to: to.address as Address, ttl: 255 }
    this.later.push(() => this.give(other, { type: 'bfd', datagram }))
  }

  run(ms: number): void {
    const until = this.now + ms
    for (let turn = 0; turn < 200_000; turn++) {
      const next = this.later.shift()
      if (next !== undefined) {
        next()
        continue
      }
      const ends = [this.site, ...Object.values(this.hubs)]
      const due = ends.filter(({ speaker }) => (speaker.deadline() ?? Number.POSITIVE_INFINITY) <= this.now)
      for (const end of due) this.give(end, { type: 'time' })
      if (due.length > 0) continue
      const deadline = Math.min(...ends.map(({ speaker }) => speaker.deadline() ?? Number.POSITIVE_INFINITY))
      if (deadline > until) {
        this.now = until
        return
      }
      this.now = deadline
    }
    throw new Error('the world does not come to rest')
  }

  reports(end: End = this.site): string[] {
    return end.effects.flatMap((effect) =>
      effect.type === 'report' ? [`${effect.neighbour} ${effect.event.code}`] : [],
    )
  }

  texts(end: End = this.site): string {
    return end.effects.flatMap((effect) => (effect.type === 'report' ? [effect.event.text] : [])).join('\n')
  }

  states(): string[] {
    return this.site.speaker.status(this.now).map(({ state }) => state)
  }
}

function endOf(config: SpeakerConfig): End {
  let seed = config.routerId
  const random = (length: number) =>
    Uint8Array.from({ length }, () => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
      return seed >>> 16
    })
  return { speaker: new Speaker(config, random), effects: [], routes: new Map() }
}

const BOTH = { '10.2.0.0/16': ['a', 'b'], '10.3.0.0/16': ['a'], '10.4.0.0/16': ['b'] }

function routes(end: End): Record<string, readonly string[]> {
  return Object.fromEntries([...end.routes].map(([name, tunnels]) => [name, [...tunnels].sort()]))
}

describe('a site with two tunnels to two hubs', () => {
  it('learns from both and tells both; equal routes are used beside each other', () => {
    const world = new World()
    world.run(5_000)
    expect(world.states()).toEqual(['established', 'established'])
    expect(routes(world.site)).toEqual(BOTH)
    expect(routes(world.hubs.a!)).toEqual({ '10.1.0.0/16': ['a'] })
    const [first] = world.site.speaker.status(world.now)
    expect(first).toMatchObject({ flaps: 0, prefixes: { 4: { received: 2, accepted: 2, advertised: 1 } } })
    expect(world.site.speaker.explain(prefix('10.2.0.0/16'))?.candidates.map(({ state }) => state)).toEqual([
      'best',
      'multipath',
    ])
  })

  it('a tunnel that is down moves its routes at once, and gives them back', () => {
    const world = new World()
    world.run(5_000)
    world.give(world.site, { type: 'tunnel', name: 'a', up: false, ends: [] })
    world.run(0)
    expect(routes(world.site)).toEqual({ '10.2.0.0/16': ['b'], '10.4.0.0/16': ['b'] })
    world.give(world.site, { type: 'tunnel', name: 'a', up: true, ends: [] })
    world.run(0)
    expect(routes(world.site)).toEqual(BOTH)
    expect(world.reports()).not.toContain('a down')
  })

  it('BFD finds a path that is cut within its detection time, and the session ends with it', () => {
    const world = new World({ bfd: true })
    world.run(10_000)
    expect(world.reports()).toEqual(expect.arrayContaining(['a bfd-up', 'b bfd-up']))
    world.cut.add('a')
    world.run(1_000)
    expect(routes(world.site)).toEqual({ '10.2.0.0/16': ['b'], '10.4.0.0/16': ['b'] })
    expect(world.reports().slice(-3)).toEqual(['a bfd-down', 'a down', 'a notification-sent'])
    expect(world.texts()).toContain('we told the neighbour: Cease, BFD Down')
    const paths = () => world.site.effects.flatMap((it) => (it.type === 'path' && it.tunnel === 'a' ? [it] : []))
    expect(paths().map(({ up }) => up)).toEqual([true, false])
    expect(paths().at(-1)!.silentMs).toBeGreaterThan(500)
    world.cut.delete('a')
    world.run(60_000)
    expect(paths().map(({ up }) => up)).toEqual([true, false, true])
    expect(routes(world.site)).toEqual(BOTH)
    expect(world.site.speaker.status(world.now)[0]).toMatchObject({ flaps: 1, bfd: { state: 'up', flaps: 1 } })
  })

  it('without BFD the hold timer finds it', () => {
    const session = { ...SESSION_DEFAULTS, families: [4 as const], holdTimeS: 9 }
    const world = new World({ site: { session } })
    world.run(5_000)
    world.cut.add('a')
    world.run(9_000)
    expect(routes(world.site)).toEqual({ '10.2.0.0/16': ['b'], '10.4.0.0/16': ['b'] })
    expect(world.texts()).toContain('lost: we ended it: Hold Timer Expired')
  })

  it('a session that waits is tried at once when its tunnel comes up, and only then', () => {
    const world = new World()
    world.run(5_000)
    world.cut.add('a')
    world.run(200_000)
    expect(world.states()[0]).not.toBe('established')
    const ends = [world.site, world.hubs.a!]
    const tell = (up: boolean) => {
      for (const end of ends) world.give(end, { type: 'tunnel', name: 'a', up, ends: [] })
    }
    const attempts = () => world.site.effects.filter(({ type }) => type === 'connect').length
    const before = attempts()
    tell(true)
    tell(false)
    expect(attempts()).toBe(before)
    world.cut.delete('a')
    tell(true)
    world.run(0)
    expect(world.states()).toEqual(['established', 'established'])
  })

  it('BFD that comes up ends the wait of its session as well', () => {
    const world = new World({ bfd: true })
    world.run(10_000)
    world.cut.add('a')
    world.run(40_000)
    world.cut.delete('a')
    world.run(5_000)
    expect(world.reports()).toContain('a bfd-up')
    expect(world.states()).toEqual(['established', 'established'])
  })

  it('routes of a neighbour that restarts stay; where BFD says that its path is gone, they do not', () => {
    const gracefulRestart = { restartTimeS: 60, notification: true, forwarding: true }
    const helper = { ...gracefulRestart, helperOnly: true }
    const world = new World({
      site: { session: { ...SESSION_DEFAULTS, families: [4], gracefulRestart: helper } },
      hub: { session: { ...SESSION_DEFAULTS, families: [4], gracefulRestart } },
    })
    world.run(5_000)
    world.cut.add('a')
    for (const id of ['out-1', 'in-hub-out-1']) {
      world.give(world.site, { type: 'closed', neighbour: 'a', connection: id })
    }
    world.run(1_000)
    expect(routes(world.site)).toEqual(BOTH)
    expect(world.texts()).toContain('lost: the connection ended; its routes stay for 60 s')
    world.run(60_000)
    expect(routes(world.site)).toEqual({ '10.2.0.0/16': ['b'], '10.4.0.0/16': ['b'] })
  })

  it('another AS than the configured one is told in words', () => {
    const world = new World({ peerAs: 65_009 })
    world.run(5_000)
    expect(world.states()).not.toContain('established')
    expect(world.texts()).toContain('The neighbour says AS 65001; AS 65009 is configured.')
    expect(world.texts()).toContain('we told the neighbour: OPEN Message Error, Bad Peer AS')
  })

  it('more prefixes than allowed close the session, for as long as is configured', () => {
    const rib = { peerAs: 65_001, address: address(A.them), importPolicy: 'all', exportPolicy: 'ours' }
    const maxPrefixes = { limit: 1, restartMs: 30_000 }
    const world = new World()
    const limited = new World({ site: { rib: { ...rib, maxPrefixes } } })
    for (const each of [world, limited]) each.run(5_000)
    for (const up of [false, true]) limited.give(limited.site, { type: 'tunnel', name: 'a', up, ends: [] })
    limited.run(20_000)
    expect(limited.states()[0]).toBe('idle')
    expect(limited.reports()).toContain('a prefix-limit')
    expect(limited.texts()).toContain('Cease, Maximum Number of Prefixes Reached')
    expect(routes(limited.site)['10.3.0.0/16']).toBeUndefined()
    expect(routes(world.site)['10.3.0.0/16']).toEqual(['a'])
  })

  it('a stop says why to all neighbours, and nothing comes after it', () => {
    const world = new World({ bfd: true })
    world.run(5_000)
    world.give(world.site, { type: 'stop', communication: 'maintenance until noon' })
    world.run(0)
    expect(world.texts(world.hubs.a)).toContain('Cease, Administrative Shutdown: "maintenance until noon"')
    expect(world.reports(world.hubs.a)).not.toContain('a bfd-down')
    world.run(300_000)
    expect(world.states()).toEqual(['idle', 'idle'])
  })

  it('RFC 8326: neighbours of a tunnel that traffic is to leave hear GRACEFUL_SHUTDOWN, in later sessions too', () => {
    const world = new World()
    const heard = (hub: string) => {
      const [candidate] = world.hubs[hub]!.speaker.explain(prefix('10.1.0.0/16'))!.candidates
      return candidate!.attributes.communities ?? []
    }
    world.run(5_000)
    world.give(world.site, { type: 'leaving', tunnel: 'a', on: true })
    world.run(0)
    expect(heard('a')).toEqual([0xffff_0000])
    expect(heard('b')).toEqual([])
    expect(world.states()).toEqual(['established', 'established'])
    world.give(world.site, { type: 'reset', neighbour: 'a' })
    world.run(60_000)
    expect(heard('a')).toEqual([0xffff_0000])
    world.give(world.site, { type: 'leaving', tunnel: 'a', on: false })
    world.run(0)
    expect(heard('a')).toEqual(heard('b'))
  })

  it('RFC 8326: where we are to avoid the tunnel too, we use it for what nothing else leads to, also behind later sessions', () => {
    const world = new World()
    world.run(5_000)
    const avoided = { '10.2.0.0/16': ['b'], '10.3.0.0/16': ['a'], '10.4.0.0/16': ['b'] }
    world.give(world.site, { type: 'leaving', tunnel: 'a', on: true, avoid: true })
    world.run(0)
    expect(routes(world.site)).toEqual(avoided)
    world.give(world.site, { type: 'reset', neighbour: 'a' })
    world.run(60_000)
    expect(routes(world.site)).toEqual(avoided)
    world.give(world.site, { type: 'leaving', tunnel: 'a', on: false })
    world.run(0)
    expect(routes(world.site)).toEqual(BOTH)
  })

  it('a reset ends the session and begins anew', () => {
    const world = new World()
    world.run(5_000)
    world.give(world.site, { type: 'reset', neighbour: 'a' })
    world.run(60_000)
    expect(world.texts(world.hubs.a)).toContain('Cease, Administrative Reset')
    expect(routes(world.site)).toEqual(BOTH)
  })

  it('a route that covers the outer end of its own tunnel is not taken', () => {
    const world = new World()
    world.give(world.site, { type: 'tunnel', name: 'a', up: true, ends: [address('10.3.0.7')] })
    world.run(5_000)
    expect(routes(world.site)).toEqual({ '10.2.0.0/16': ['a', 'b'], '10.4.0.0/16': ['b'] })
    expect(world.texts()).toContain('10.3.0.0/16 not taken: recursive')
    // Its end is known later, or moves: what was learned is judged anew.
    world.give(world.site, { type: 'tunnel', name: 'b', up: true, ends: [address('10.4.0.7')] })
    world.run(0)
    expect(routes(world.site)).toEqual({ '10.2.0.0/16': ['a', 'b'] })
  })
})
