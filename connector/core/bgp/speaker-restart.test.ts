/** Graceful restart between speakers, one of which is away for a while (RFC 4724). */
import { describe, expect, it } from 'vitest'
import { address, prefix } from '../../../protocol/net.ts'
import { SESSION_DEFAULTS } from './session-types.ts'
import type { SpeakerConfig } from './speaker-types.ts'
import { type SpeakerEnd, SpeakerWorld } from './testing/speaker-world.ts'
import { prefixesOf } from './wire/codec.ts'

const RESTART = { restartTimeS: 60, notification: true, forwarding: true }
const SITE = '169.254.1.2'
const HUB = '169.254.1.1'
const BOTH = { '10.1.0.0/16': ['hub'] }

describe('graceful restart of speakers (RFC 4724)', () => {
  it('the restarting one decides when its neighbour has told all, and the other keeps its routes (sections 4.1, 4.2)', () => {
    const world = start()
    expect(Object.fromEntries(world.hubs.get('hub')!.routes)).toEqual(BOTH)
    const hub = world.hubs.get('hub')!
    vanish(world, hub)
    expect(Object.fromEntries(hub.routes)).toEqual(BOTH)
    const site = world.restart(configOf(64_512, 1, '10.1.0.0/16', SITE, HUB))
    world.give(site, { type: 'tunnel', name: 'hub', up: true, ends: [] })
    world.give(site, { type: 'start', restarting: { deferMs: 30_000 } })
    expect([...site.routes]).toEqual([])
    world.run(5_000)
    expect(Object.fromEntries(site.routes)).toEqual({ '10.2.0.0/16': ['hub'] })
    expect(Object.fromEntries(hub.routes)).toEqual(BOTH)
    // Not one of its routes was taken back meanwhile.
    expect(takenBack(hub)).toEqual([])
  })

  it('what is not told again after the restart goes at End-of-RIB', () => {
    const world = start()
    const hub = world.hubs.get('hub')!
    vanish(world, hub)
    const site = world.restart(configOf(64_512, 1, '10.9.0.0/16', SITE, HUB))
    world.give(site, { type: 'tunnel', name: 'hub', up: true, ends: [] })
    world.give(site, { type: 'start', restarting: { deferMs: 30_000 } })
    world.run(5_000)
    expect(Object.fromEntries(hub.routes)).toEqual({ '10.9.0.0/16': ['hub'] })
  })

  it('a start that is no restart has kept nothing: stale routes go as soon as the session is there', () => {
    const world = start()
    const hub = world.hubs.get('hub')!
    vanish(world, hub)
    const site = world.restart(configOf(64_512, 1, '10.1.0.0/16', SITE, HUB))
    world.give(site, { type: 'tunnel', name: 'hub', up: true, ends: [] })
    world.give(site, { type: 'start' })
    world.run(5_000)
    expect(takenBack(hub)).toEqual(['10.1.0.0/16'])
    expect(Object.fromEntries(hub.routes)).toEqual(BOTH)
  })
})

/** What was taken out of forwarding; its own network never led into a tunnel. */
function takenBack({ effects }: SpeakerEnd): string[] {
  const routes = effects.filter((effect) => effect.type === 'routes')
  const gone = routes.flatMap(({ prefixes, tunnels }) =>
    prefixesOf(prefixes).filter((_, index) => tunnels[index]!.length === 0),
  )
  return gone.filter((each) => each !== '10.2.0.0/16')
}

function start(): SpeakerWorld {
  const hub = configOf(65_001, 2, '10.2.0.0/16', HUB, SITE)
  const world = new SpeakerWorld(configOf(64_512, 1, '10.1.0.0/16', SITE, HUB), new Map([['hub', hub]]))
  for (const end of [world.site, ...world.hubs.values()]) {
    world.give(end, { type: 'tunnel', name: 'hub', up: true, ends: [] })
    world.give(end, { type: 'start' })
  }
  world.run(5_000)
  return world
}

/** The site is gone without a word: its kernel ends the connection. */
function vanish(world: SpeakerWorld, hub: SpeakerEnd): void {
  world.cut.add('hub')
  for (const connection of ['out-1', 'in-hub-out-1', 'in-site-out-1']) {
    world.give(hub, { type: 'closed', neighbour: 'hub', connection })
  }
  world.cut.delete('hub')
}

function configOf(localAs: number, routerId: number, network: string, us: string, them: string): SpeakerConfig {
  const peerAs = localAs === 65_001 ? 64_512 : 65_001
  return {
    localAs,
    routerId,
    ownAddresses: [address(us)],
    networks: [prefix(network)],
    tunnels: [{ name: 'hub', prefixes: [prefix(`${them}/30`)] }],
    neighbours: [
      {
        name: 'hub',
        tunnel: 'hub',
        local: address(us),
        session: { ...SESSION_DEFAULTS, families: [4], gracefulRestart: RESTART },
        transport: { port: 179 },
        rib: { peerAs, address: address(them), importPolicy: 'all', exportPolicy: 'all' },
        nextHops: { 4: { address: address(us) } },
      },
    ],
    policies: { policies: { all: { rules: [], otherwise: 'accept' } } },
  }
}
