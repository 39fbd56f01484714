import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { address, prefix } from '../../../protocol/net.ts'
import { DEFAULT_TIMERS } from '../bfd/config.ts'
import type { PolicyDocument } from './rib/policy-types.ts'
import { SESSION_DEFAULTS } from './session-types.ts'
import type { SpeakerConfig, SpeakerNeighbour } from './speaker-types.ts'
import { type SpeakerEnd, SpeakerWorld } from './testing/speaker-world.ts'

type Name = 'a' | 'b' | 'c'
const NAMES: readonly Name[] = ['a', 'b', 'c']
const NETWORKS = {
  a: ['10.2.0.0/16', '10.3.0.0/16'],
  b: ['10.2.0.0/16', '10.4.0.0/16'],
  c: ['10.2.0.0/16', 'fd02::/48'],
}
const PREFIXES = ['10.1.0.0/16', '10.1.8.0/24', '10.9.0.0/16']
/** Cheap to simulate for minutes. */
const SLOW = { desiredMinTxMs: 2_000, requiredMinRxMs: 2_000, detectMult: 3, adaptMaxMs: 4_000 }
const FAST = { desiredMinTxMs: 100, requiredMinRxMs: 100, detectMult: 4, adaptMaxMs: 100 }

interface Peer {
  readonly importPolicy?: string
  readonly exportPolicy?: string
  readonly holdTimeS: number
  readonly families: readonly (4 | 6)[]
  readonly limit?: number
  readonly bfd?: typeof FAST
}

interface Wish {
  readonly localAs: number
  readonly networks: readonly string[]
  readonly peers: Readonly<Partial<Record<Name, Peer>>>
  readonly preferred: Name
  readonly refused: string
  /** Tunnels that carry packets. */
  readonly up: readonly Name[]
}

const PEER: Peer = { importPolicy: 'all', exportPolicy: 'ours', holdTimeS: 90, families: [4] }
const WISH: Wish = {
  localAs: 64_512,
  networks: ['10.1.0.0/16'],
  peers: { a: PEER, b: PEER },
  preferred: 'a',
  refused: '10.9.0.0/16',
  up: NAMES,
}

function policiesOf({ preferred, refused }: Pick<Wish, 'preferred' | 'refused'>): PolicyDocument {
  const origin = 65_001 + NAMES.indexOf(preferred)
  return {
    prefixLists: { refused: [{ prefix: refused, le: 32 }] },
    policies: {
      all: { rules: [{ if: { asPath: `${origin}` }, set: { localPref: 200 }, do: 'continue' }], otherwise: 'accept' },
      some: { rules: [{ if: { prefixes: 'refused' }, do: 'reject' }], otherwise: 'accept' },
      ours: { rules: [{ if: { from: ['local'] }, do: 'accept' }] },
    },
  }
}

function neighbourOf(name: Name, us: 1 | 2, peerAs: number, peer: Peer): SpeakerNeighbour {
  const net = `169.254.${NAMES.indexOf(name)}`
  return {
    name,
    tunnel: name,
    local: address(`${net}.${us}`),
    session: { ...SESSION_DEFAULTS, families: peer.families, holdTimeS: peer.holdTimeS },
    transport: { port: 179 },
    rib: {
      peerAs,
      address: address(`${net}.${3 - us}`),
      ...(peer.importPolicy === undefined ? {} : { importPolicy: peer.importPolicy }),
      ...(peer.exportPolicy === undefined ? {} : { exportPolicy: peer.exportPolicy }),
      ...(peer.limit === undefined ? {} : { maxPrefixes: { limit: peer.limit } }),
    },
    nextHops: {
      4: { address: address(`${net}.${us}`) },
      6: { address: address(`fd00::${NAMES.indexOf(name)}:${us}`) },
    },
    ...(peer.bfd === undefined ? {} : { bfd: peer.bfd }),
  }
}

function tunnelOf(name: Name) {
  const i = NAMES.indexOf(name)
  return { name, prefixes: [prefix(`169.254.${i}.0/30`), prefix(`fd00::${i}:0/126`)] }
}

function configOf(wish: Wish): SpeakerConfig {
  const neighbours = NAMES.flatMap((name) => {
    const peer = wish.peers[name]
    return peer === undefined ? [] : [neighbourOf(name, 2, 65_001 + NAMES.indexOf(name), peer)]
  })
  return {
    localAs: wish.localAs,
    routerId: 1,
    ownAddresses: neighbours.map(({ local }) => local),
    networks: wish.networks.map(prefix),
    tunnels: neighbours.map(({ tunnel }) => tunnelOf(tunnel as Name)),
    neighbours,
    policies: policiesOf(wish),
    decision: { maxPaths: 4, multipathRelax: true },
  }
}

/** What the hub is to be, so that both ends agree. */
function hubOf(name: Name, { localAs, peers }: Wish): SpeakerConfig {
  const i = NAMES.indexOf(name)
  const { bfd } = peers[name] ?? {}
  const peer: Peer = { importPolicy: 'some', exportPolicy: 'ours', holdTimeS: 90, families: [4, 6] }
  const neighbour = neighbourOf(name, 1, localAs, bfd === undefined ? peer : { ...peer, bfd })
  return {
    localAs: 65_001 + i,
    routerId: 10 + i,
    ownAddresses: [neighbour.local],
    networks: NETWORKS[name].map(prefix),
    tunnels: [tunnelOf(name)],
    neighbours: [neighbour],
    policies: policiesOf({ preferred: 'a', refused: '10.9.0.0/16' }),
  }
}

function start(wish: Wish): SpeakerWorld {
  const world = new SpeakerWorld(configOf(wish), new Map(NAMES.map((name) => [name, hubOf(name, wish)])))
  for (const [name, hub] of world.hubs) world.give(hub, { type: 'tunnel', name, up: true, ends: [] })
  tellTunnels(world, wish)
  for (const end of [world.site, ...world.hubs.values()]) world.give(end, { type: 'start' })
  return world
}

function tellTunnels(world: SpeakerWorld, { up, peers }: Wish): void {
  for (const name of NAMES) {
    if (peers[name] === undefined) continue
    world.give(world.site, { type: 'tunnel', name, up: up.includes(name), ends: [] })
  }
}

function change(world: SpeakerWorld, wish: Wish): void {
  world.give(world.site, { type: 'configure', config: configOf(wish) })
  tellTunnels(world, wish)
  for (const name of NAMES) world.give(world.hubs.get(name)!, { type: 'configure', config: hubOf(name, wish) })
}

function routesOf({ routes }: SpeakerEnd): Record<string, readonly string[]> {
  return Object.fromEntries([...routes].map(([name, tunnels]) => [name, [...tunnels].sort()] as const).sort())
}

/** All that matters in the end. */
function stateOf(world: SpeakerWorld) {
  const ends = { site: world.site, ...Object.fromEntries(world.hubs) }
  return Object.fromEntries(
    Object.entries(ends).map(([name, end]) => [
      name,
      {
        routes: routesOf(end),
        neighbours: end.speaker.status(world.now).map(({ name: neighbour, state, prefixes, bfd }) => {
          return { neighbour, isUp: state === 'established', prefixes, bfd: bfd?.state }
        }),
      },
    ]),
  )
}

function reports({ effects }: SpeakerEnd): string[] {
  return effects.flatMap((effect) => (effect.type === 'report' ? [`${effect.neighbour} ${effect.event.code}`] : []))
}

function texts({ effects }: SpeakerEnd): string {
  return effects.flatMap((effect) => (effect.type === 'report' ? [effect.event.text] : [])).join('\n')
}

/** The site's reports of sessions that were lost. */
function losses(world: SpeakerWorld): string[] {
  return reports(world.site).filter((report) => report.endsWith(' down'))
}

const peer: fc.Arbitrary<Peer> = fc.record(
  {
    importPolicy: fc.constantFrom('all', 'some', 'missing'),
    exportPolicy: fc.constantFrom('ours', 'all'),
    holdTimeS: fc.constantFrom(90, 90, 90, 30),
    families: fc.constantFrom([4] as const, [4] as const, [4, 6] as const),
    limit: fc.constantFrom(1, 5),
    bfd: fc.constantFrom(SLOW, { ...SLOW, detectMult: 5 }),
  },
  { requiredKeys: ['holdTimeS', 'families'] },
)
const wish: fc.Arbitrary<Wish> = fc.record({
  localAs: fc.constantFrom(64_512, 64_512, 64_512, 64_513),
  networks: fc.subarray(PREFIXES),
  peers: fc.record({ a: peer, b: peer, c: peer }, { requiredKeys: [] }),
  preferred: fc.constantFrom(...NAMES),
  refused: fc.constantFrom('10.9.0.0/16', '10.2.0.0/16', '10.3.0.0/16'),
  up: fc.subarray([...NAMES], { minLength: 1 }),
})

describe('a speaker that is configured anew while it runs', () => {
  it('ends as one that was started with the last configuration', () => {
    const step = fc.record({
      wish,
      waitMs: fc.constantFrom(0, 40, 5_000, 60_000),
      // Mostly one thing changes at a time: else sessions begin anew, and hide what was not told to those that stay.
      same: fc.subarray(['localAs', 'networks', 'peers', 'preferred', 'refused', 'up'] as const, { minLength: 3 }),
    })
    const run = fc.property(wish, fc.array(step, { minLength: 1, maxLength: 5 }), (first, steps) => {
      const world = start(first)
      let last = first
      for (const { wish: next, waitMs, same } of steps) {
        world.run(waitMs)
        last = { ...next, ...Object.fromEntries(same.map((key) => [key, last[key]])) }
        change(world, last)
      }
      world.run(200_000)
      const fresh = start(last)
      fresh.run(200_000)
      expect(stateOf(world)).toEqual(stateOf(fresh))
    })
    fc.assert(run, { numRuns: 50 })
  })

  it('a neighbour more, one less: the others hear only of routes', () => {
    const world = start({ ...WISH, peers: { a: PEER } })
    world.run(5_000)
    change(world, WISH)
    world.run(5_000)
    expect(routesOf(world.site)).toEqual({ '10.2.0.0/16': ['a'], '10.3.0.0/16': ['a'], '10.4.0.0/16': ['b'] })
    change(world, { ...WISH, peers: { b: PEER } })
    world.run(1_000)
    expect(routesOf(world.site)).toEqual({ '10.2.0.0/16': ['b'], '10.4.0.0/16': ['b'] })
    expect(losses(world)).toEqual(['a down'])
    expect(texts(world.hubs.get('a')!)).toContain('the neighbour told us: Cease, Peer De-configured')
  })

  it('policies, preferences, limits and networks change without the end of a session', () => {
    const world = start({ ...WISH, preferred: 'b' })
    world.run(5_000)
    expect(routesOf(world.site)['10.2.0.0/16']).toEqual(['b'])
    change(world, { ...WISH, preferred: 'a', networks: ['10.9.0.0/16'] })
    world.run(1_000)
    expect(routesOf(world.site)['10.2.0.0/16']).toEqual(['a'])
    expect(routesOf(world.hubs.get('b')!)).toEqual({})
    const some: Peer = { ...PEER, importPolicy: 'some', limit: 50 }
    change(world, { ...WISH, refused: '10.2.0.0/16', peers: { a: some, b: some } })
    world.run(1_000)
    expect(routesOf(world.site)).toEqual({ '10.3.0.0/16': ['a'], '10.4.0.0/16': ['b'] })
    expect(routesOf(world.hubs.get('b')!)).toEqual({ '10.1.0.0/16': ['b'] })
    expect(losses(world)).toEqual([])
  })

  it('what both ends agreed on ends the session, which begins anew at once, and is no flap', () => {
    const world = start(WISH)
    world.run(5_000)
    change(world, { ...WISH, peers: { a: { ...PEER, holdTimeS: 30 }, b: PEER } })
    world.run(20_000)
    expect(losses(world)).toEqual(['a down'])
    expect(texts(world.hubs.get('a')!)).toContain('Cease, Other Configuration Change')
    const [a] = world.site.speaker.status(world.now)
    expect(a).toMatchObject({ state: 'established', flaps: 0, holdTimeS: 30 })
    expect(routesOf(world.site)['10.3.0.0/16']).toEqual(['a'])
  })

  it('a lower limit shuts out who is beyond it, a higher one lets it back in', () => {
    const world = start(WISH)
    world.run(5_000)
    const limited = { ...WISH, peers: { a: { ...PEER, limit: 1 }, b: PEER } }
    change(world, limited)
    world.run(60_000)
    expect(reports(world.site)).toContain('a prefix-limit')
    expect(routesOf(world.site)).toEqual({ '10.2.0.0/16': ['b'], '10.4.0.0/16': ['b'] })
    change(world, { ...limited, peers: { a: { ...PEER, limit: 2 }, b: PEER } })
    world.run(20_000)
    expect(routesOf(world.site)['10.3.0.0/16']).toEqual(['a'])
  })

  it('BFD comes, goes and comes back with other timers while the session stays', () => {
    const withBfd = (bfd: typeof FAST): Wish => ({ ...WISH, peers: { a: { ...PEER, bfd }, b: PEER } })
    const world = start(WISH)
    world.run(5_000)
    change(world, withBfd(DEFAULT_TIMERS))
    world.run(5_000)
    expect(world.site.speaker.status(world.now)[0]?.bfd?.state).toBe('up')
    change(world, WISH)
    change(world, withBfd(FAST))
    world.run(20_000)
    expect(world.site.speaker.status(world.now)[0]?.bfd?.state).toBe('up')
    expect(losses(world)).toEqual([])
  })

  it('of a speaker that is stopped nothing begins', () => {
    const world = start(WISH)
    world.run(5_000)
    world.give(world.site, { type: 'stop', communication: '' })
    change(world, { ...WISH, peers: { a: PEER, b: PEER, c: PEER } })
    world.run(300_000)
    expect(world.site.speaker.status(world.now).map(({ state }) => state)).toEqual(['idle', 'idle', 'idle'])
  })
})
