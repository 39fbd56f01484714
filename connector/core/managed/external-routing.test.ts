import { describe, expect, it } from 'vitest'
import { address, type Prefix, prefix } from '../../../protocol/net.ts'
import { DEFAULT_DECISION, Decision, type DecisionOptions } from '../bgp/rib/decision.ts'
import { SESSION_DEFAULTS } from '../bgp/session-types.ts'
import { speakerChanges } from '../bgp/speaker-changes.ts'
import type { SpeakerConfig } from '../bgp/speaker-types.ts'
import { type SpeakerEnd, SpeakerWorld } from '../bgp/testing/speaker-world.ts'
import type { PathAttributes } from '../bgp/wire/types.ts'
import { withExternals } from './external-routing.ts'
import type { ExternalPlan } from './externals.ts'
import { bgpExternal, ONE, sampleExternal, TWO } from './testing/externals.ts'

const OWNS = [prefix('10.1.0.0/16')]
const PARTS = { owns: OWNS, routerId: address('169.254.20.2'), ends: [address('203.0.113.1'), address('203.0.113.2')] }
const NAMES = ['aws-1', 'aws-2'] as const
const ACCEPT = { rules: [], otherwise: 'accept' as const }

interface Wish {
  readonly drained?: readonly (typeof NAMES)[number][]
  readonly routing?: Parameters<typeof bgpExternal>[1]
}

function plansOf({ drained = [], routing = {} }: Wish = {}): ExternalPlan[] {
  return [ONE, TWO].map((which) => {
    const external = bgpExternal(which, routing, { drained: drained.includes(which.name as 'aws-1') })
    return { external, routing: external.routing, keys: [] }
  })
}

function siteOf(wish: Wish = {}, base?: SpeakerConfig): SpeakerConfig {
  return withExternals(base, plansOf(wish), PARTS)!
}

/** One of the two endpoints: AS 64512, which originates these. */
function endpoint(side: number, networks: readonly string[]): SpeakerConfig {
  const [us, them] = [address(`169.254.20.${4 * side + 1}`), address(`169.254.20.${4 * side + 2}`)]
  const name = NAMES[side]!
  return {
    localAs: 64_512,
    routerId: 100 + side,
    ownAddresses: [us],
    networks: networks.map(prefix),
    tunnels: [{ name, prefixes: [prefix(`${them}/30`)] }],
    neighbours: [
      {
        name,
        tunnel: name,
        local: us,
        session: { ...SESSION_DEFAULTS, families: [4] },
        transport: { port: 179 },
        rib: { peerAs: 65_010, address: them, importPolicy: 'all', exportPolicy: 'all', acceptDefault: true },
        nextHops: { 4: { address: us } },
      },
    ],
    policies: { policies: { all: ACCEPT } },
  }
}

/** A neighbour more, which is no external: another site of ours. */
function withSite(config: SpeakerConfig | undefined): SpeakerConfig {
  const us = address('169.254.9.2')
  const empty = { localAs: 65_010, routerId: 9, ownAddresses: [], networks: [], tunnels: [], neighbours: [] }
  const base: SpeakerConfig = config ?? { ...empty, policies: { policies: {} } }
  return {
    ...base,
    tunnels: [...base.tunnels, { name: 'branch', prefixes: [prefix('169.254.9.0/30')] }],
    neighbours: [
      ...base.neighbours,
      {
        name: 'branch',
        tunnel: 'branch',
        local: us,
        session: { ...SESSION_DEFAULTS, families: [4] },
        transport: { port: 179 },
        rib: { peerAs: 4_200_000_002, address: address('169.254.9.1'), importPolicy: 'all', exportPolicy: 'all' },
        nextHops: { 4: { address: us } },
      },
    ],
    policies: { ...base.policies, policies: { ...base.policies.policies, all: ACCEPT } },
  }
}

function branch(networks: readonly string[]): SpeakerConfig {
  const [hub] = endpoint(0, networks).neighbours
  const us = address('169.254.9.1')
  const rib = { ...hub!.rib, address: address('169.254.9.2') }
  const neighbour = { ...hub!, name: 'branch', tunnel: 'branch', local: us, rib, nextHops: { 4: { address: us } } }
  return {
    ...endpoint(0, networks),
    localAs: 4_200_000_002,
    routerId: 200,
    ownAddresses: [us],
    tunnels: [{ name: 'branch', prefixes: [prefix('169.254.9.0/30')] }],
    neighbours: [neighbour],
  }
}

function start(site: SpeakerConfig, hubs: Readonly<Record<string, SpeakerConfig>>): SpeakerWorld {
  const world = new SpeakerWorld(site, new Map(Object.entries(hubs)))
  for (const name of Object.keys(hubs)) {
    world.give(world.hubs.get(name)!, { type: 'tunnel', name, up: true, ends: [] })
    world.give(world.site, { type: 'tunnel', name, up: true, ends: [] })
  }
  for (const end of [world.site, ...world.hubs.values()]) world.give(end, { type: 'start' })
  world.run(10_000)
  return world
}

function cloud(networks: readonly string[] = ['10.9.0.0/16'], wish: Wish = {}): SpeakerWorld {
  return start(siteOf(wish), { 'aws-1': endpoint(0, networks), 'aws-2': endpoint(1, networks) })
}

function received(end: SpeakerEnd, text: string): PathAttributes | undefined {
  return end.speaker.explain(prefix(text))?.candidates[0]?.attributes
}

/** Which endpoint the provider's side takes for the prefix: our own decision on what both were told. */
function chosenByPeer(world: SpeakerWorld, text: string, options: Partial<DecisionOptions> = {}): string {
  const told = NAMES.map((name) => received(world.hubs.get(name)!, text)!)
  const decision = new Decision(
    {
      isLocal: () => false,
      localPref: () => 100,
      asPathLength: (route) => told[route]!.asPath.reduce((sum, { asns }) => sum + asns.length, 0),
      origin: (route) => told[route]!.origin,
      med: (route) => told[route]!.med ?? 0,
      neighbourAs: () => 65_010,
      isExternal: () => true,
      igpMetric: () => 0,
      routerId: (route) => route,
      clusterLength: () => 0,
      peerAddress: (route) => Uint8Array.of(route),
    },
    { ...DEFAULT_DECISION, ...options },
  )
  const routes = [0, 1]
  decision.run(routes, 2)
  return NAMES[routes[0]!]!
}

const sessions = (world: SpeakerWorld) => world.site.speaker.status(world.now).map(({ state, flaps }) => [state, flaps])
const UP = ['established', 0]
const used = (world: SpeakerWorld, text: string) => [...(world.site.routes.get(text) ?? [])].sort()

describe('BGP with the two ends of a cloud', () => {
  it('tells both the same, and uses what both tell', () => {
    const world = cloud()
    expect(sessions(world)).toEqual([UP, UP])
    expect(used(world, '10.9.0.0/16')).toEqual(['aws-1', 'aws-2'])
    for (const name of NAMES) {
      expect(received(world.hubs.get(name)!, '10.1.0.0/16')).toMatchObject({
        med: 100,
        asPath: [{ type: 'sequence', asns: [65_010] }],
      })
    }
  })

  it.each([
    [['aws-1'], 'aws-2'],
    [['aws-2'], 'aws-1'],
  ] as const)('draining %s moves both directions, and no session ends', (drained, other) => {
    const world = cloud()
    world.give(world.site, { type: 'configure', config: siteOf({ drained }) })
    world.run(2_000)
    expect(used(world, '10.9.0.0/16')).toEqual([other])
    expect(chosenByPeer(world, '10.1.0.0/16')).toBe(other)
    expect(chosenByPeer(world, '10.1.0.0/16', { deterministicMed: false })).toBe(other)
    const [name] = drained
    expect(received(world.hubs.get(name!)!, '10.1.0.0/16')).toMatchObject({
      med: 200,
      asPath: [{ asns: [65_010, 65_010, 65_010, 65_010] }],
    })
    expect(sessions(world)).toEqual([UP, UP])
    world.give(world.site, { type: 'configure', config: siteOf() })
    world.run(2_000)
    expect(used(world, '10.9.0.0/16')).toEqual(['aws-1', 'aws-2'])
    expect(sessions(world)).toEqual([UP, UP])
  })

  it('a drained one still carries what only it can', () => {
    const world = cloud(undefined, { drained: ['aws-1'] })
    world.give(world.site, { type: 'tunnel', name: 'aws-2', up: false, ends: [] })
    world.run(2_000)
    expect(used(world, '10.9.0.0/16')).toEqual(['aws-1'])
  })

  it('takes nothing but what the document accepts: neither ours, nor more, nor what nobody may have', () => {
    const told = [
      '10.9.0.0/16',
      '10.9.4.0/24',
      '10.10.0.0/16',
      '10.1.0.0/16',
      '10.1.2.0/24',
      '0.0.0.0/0',
      '169.254.9.0/24',
    ]
    const world = start(siteOf({ routing: { accept: ['10.9.0.0/16', '10.1.2.0/24'] } }), {
      'aws-1': endpoint(0, told),
      'aws-2': endpoint(1, []),
    })
    expect([...world.site.routes.keys()].sort()).toEqual(['10.9.0.0/16', '10.9.4.0/24'])
  })

  it('never takes what leads to an end of a tunnel', () => {
    const world = cloud(['203.0.113.0/24', '10.9.0.0/16'], { routing: { accept: ['203.0.113.0/24', '10.9.0.0/16'] } })
    expect([...world.site.routes.keys()]).toEqual(['10.9.0.0/16'])
  })

  it('tells neither of the other, and nothing of a site that it does not speak for', () => {
    const networks = ['10.2.0.0/16', '10.3.0.0/16']
    const advertise = ['10.1.0.0/16', '10.2.0.0/16', '10.9.0.0/16']
    const world = start(siteOf({ routing: { advertise } }, withSite(undefined)), {
      'aws-1': endpoint(0, ['10.9.0.0/16']),
      'aws-2': endpoint(1, []),
      branch: branch(networks),
    })
    const knows = (name: string) => [...world.hubs.get(name)!.routes.keys()].sort()
    expect(knows('aws-2')).toEqual(['10.1.0.0/16', '10.2.0.0/16'])
    expect(knows('aws-1')).toEqual(['10.1.0.0/16', '10.2.0.0/16'])
  })

  it('ends at more prefixes than it may have', () => {
    const many = Array.from({ length: 5 }, (_, i) => `10.9.${i}.0/24`)
    const world = cloud(many, { routing: { maxPrefixes: 4 } })
    expect(world.site.routes.size).toBe(0)
    expect(sessions(world).map(([state]) => state)).not.toContain('established')
  })
})

describe('the speaker of externals', () => {
  it('is of its own where sites do not route, and none where nobody speaks BGP', () => {
    expect(siteOf()).toMatchObject({ localAs: 65_010, routerId: 0xa9fe1402, networks: ['10.1.0.0/16'] })
    const external = sampleExternal(ONE)
    expect(withExternals(undefined, [{ external, routing: external.routing, keys: [] }], PARTS)).toBeUndefined()
    expect(withExternals(undefined, [{ external, routing: undefined, keys: [] }], PARTS)).toBeUndefined()
  })

  it('is that of the routing between sites, whose policies stay as they are', () => {
    const base = withSite(undefined)
    const both = siteOf({}, base)
    expect(both.neighbours.map(({ name }) => name)).toEqual(['branch', 'aws-1', 'aws-2'])
    expect(both.policies.policies.all).toBe(base.policies.policies.all)
    expect(speakerChanges(base, both)).toMatchObject({ isAnother: false, removed: [], replaced: [], adjusted: [] })
  })

  it('drain changes policies alone', () => {
    const changes = speakerChanges(siteOf(), siteOf({ drained: ['aws-1'] }))
    expect(changes).toMatchObject({
      isAnother: false,
      removed: [],
      added: [],
      replaced: [],
      adjusted: [],
      originated: [],
    })
    expect([...changes.policies].sort()).toEqual(['external: from aws-1', 'external: to aws-1'])
  })

  it('originates what the site owns, and not what it only speaks for', () => {
    const { networks } = siteOf({ routing: { advertise: ['10.1.0.0/16', '10.2.0.0/16' as Prefix] } })
    expect(networks).toEqual(['10.1.0.0/16'])
  })
})
