/** Documents while a rollout is under way: whatever changes, and whoever has it, both ends of each tunnel agree. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Intent, Site, Tunnel } from '../../../protocol/control/intent.ts'
import { type DocumentContent, documentContent } from '../document.ts'
import { IntentIndex } from '../intent-index.ts'
import { overlaps } from '../prefix-index.ts'
import { MixedView } from './mixed.ts'

const SITES = ['a', 'b', 'c', 'd', 'e'] as const
type Name = (typeof SITES)[number]
const PAIRS = SITES.flatMap((left, at) => SITES.slice(at + 1).map((right) => [left, right] as const))
/** More than there are sites, so that some are free, and halves of one, so that some overlap. */
const PREFIXES = [
  '10.0.0.0/16',
  '10.1.0.0/16',
  '10.2.0.0/16',
  '10.3.0.0/16',
  '10.4.0.0/16',
  '10.5.0.0/17',
  '10.5.128.0/17',
  '2001:db8:1::/48',
]

type TopologyView = Pick<IntentIndex, 'site' | 'tunnelsOf' | 'routingOf'>

const idOf = (name: Name) => `site_${name}`

/** One version: who has which prefixes and endpoint, which tunnels there are, and what they are called. */
const version = (routed: fc.Arbitrary<boolean>): fc.Arbitrary<Intent> =>
  fc
    .record({
      prefixes: fc.shuffledSubarray(PREFIXES, { minLength: SITES.length, maxLength: PREFIXES.length }),
      joined: fc.boolean(),
      reachable: fc.subarray([...SITES]),
      pairs: fc.subarray(PAIRS),
      flipped: fc.array(fc.boolean(), { minLength: PAIRS.length, maxLength: PAIRS.length }),
      mtu: fc.constantFrom(undefined, 1400, 1280),
      names: fc.shuffledSubarray(
        PAIRS.map((_, at) => `wan${at}`),
        { minLength: PAIRS.length, maxLength: PAIRS.length },
      ),
      routed,
    })
    .map(({ prefixes, joined, reachable, pairs, flipped, mtu, names, routed: hasRouting }) => {
      const sites = SITES.map((name, at): Site => {
        // What is left goes to the last one.
        const rest = at === SITES.length - 1 ? prefixes.slice(at) : [prefixes[at]!]
        const whole = joined ? rest.map((prefix) => prefix.replace('10.5.0.0/17', '10.5.0.0/18')) : rest
        const endpoint = { address: `192.0.2.${at + 1}`, port: 500, natPort: 4500 }
        return { id: idOf(name), name, prefixes: whole, ...(reachable.includes(name) ? { endpoint } : {}) }
      })
      const tunnels = pairs.map(([left, right], at): Tunnel => {
        const ends: [string, string] = flipped[at] ? [idOf(right), idOf(left)] : [idOf(left), idOf(right)]
        return {
          id: `tun_${left}${right}`,
          name: names[at]!,
          sites: ends,
          ...(mtu === undefined ? {} : { pathMtu: mtu }),
        }
      })
      return {
        version: 1,
        preferences: { topology: 'none' },
        sites,
        tunnels,
        ...(hasRouting ? { routing: routingOf(sites, tunnels) } : {}),
      }
    })

function routingOf(sites: readonly Site[], tunnels: readonly Tunnel[]): NonNullable<Intent['routing']> {
  return {
    maxPrefixes: 1000,
    bfd: 'off',
    sites: sites.map(({ id }, number) => ({ site: id, hub: id === 'site_a', number })),
    tunnels: tunnels.map(({ id }) => ({
      tunnel: id,
      number: PAIRS.findIndex((pair) => id === `tun_${pair.join('')}`),
    })),
  }
}

const world = fc.record({
  base: version(fc.boolean()),
  target: version(fc.boolean()),
  order: fc.shuffledSubarray([...SITES], { minLength: SITES.length }),
})

function documents(view: TopologyView) {
  const peer = (id: string) => {
    const site = view.site(id)!
    const able = view.routingOf(id) !== undefined
    const connector = { id: `con_${id}`, identityKey: 'k', addresses: [], seenAddress: '198.51.100.1' }
    return { site, connector: able ? { ...connector, canRoute: true } : connector }
  }
  return new Map(
    SITES.map((name) => {
      const id = idOf(name)
      const { site, connector } = peer(id)
      const tunnels = view.tunnelsOf(id).map((tunnel) => {
        const other = tunnel.sites[0] === id ? tunnel.sites[1] : tunnel.sites[0]
        return { tunnel, peer: peer(other), keys: undefined }
      })
      const routing = tunnels.length > 0 ? view.routingOf(id) : undefined
      const given = { network: 'net_1', connector, site, tunnels }
      return [name, documentContent(routing === undefined ? given : { ...given, routing })]
    }),
  )
}

const mixed = (base: Intent, target: Intent, sitesIn: readonly Name[]) =>
  new MixedView(new IntentIndex(base), new IntentIndex(target), new Set(sitesIn.map(idOf)))

test('both ends of each tunnel agree: that it is there, what goes through it, who initiates, and whether it has BGP', () => {
  fc.assert(
    fc.property(world, ({ base, target, order }) => {
      for (let count = 0; count <= order.length; count++) {
        const all = documents(mixed(base, target, order.slice(0, count)))
        for (const [name, document] of all) {
          const names = document.tunnels.map((tunnel) => tunnel.name)
          expect(new Set(names).size).toBe(names.length)
          for (const tunnel of document.tunnels) {
            const other = all.get(tunnel.peer.site as Name)!
            const same = other.tunnels.find(({ id }) => id === tunnel.id)
            expect(same, `${tunnel.id} at ${other.site.name}`).toBeDefined()
            expect(tunnel.peer.prefixes).toEqual(other.site.prefixes)
            const reachable = tunnel.peer.endpoint !== undefined || same!.peer.endpoint !== undefined
            expect(Number(tunnel.initiate) + Number(same!.initiate)).toBe(reachable ? 1 : 0)
            const neighbour = document.routing?.neighbours.find((one) => one.tunnel === tunnel.id)
            const back = other.routing?.neighbours.find((one) => one.tunnel === tunnel.id)
            expect([neighbour?.local, neighbour?.address, neighbour?.as]).toEqual([
              back?.address,
              back?.local,
              back && other.routing!.as,
            ])
          }
          const known = new Set(document.tunnels.map(({ id }) => id))
          for (const { tunnel } of document.routing?.neighbours ?? []) expect(known.has(tunnel), name).toBe(true)
        }
      }
    }),
    { numRuns: 300 },
  )
})

test('no address belongs to two sites at any time', () => {
  fc.assert(
    fc.property(world, ({ base, target, order }) => {
      for (let count = 0; count <= order.length; count++) {
        const view = mixed(base, target, order.slice(0, count))
        const placed = SITES.flatMap((name) => {
          const { prefixes } = view.site(idOf(name))!
          expect(prefixes.length).toBeGreaterThan(0)
          return prefixes.map((prefix) => ({ prefix, site: name as string }))
        })
        expect(overlaps(placed)).toEqual([])
      }
    }),
    { numRuns: 300 },
  )
})

test('with nobody in it is the base, with all the target; and who has nothing to do with those in has the base', () => {
  fc.assert(
    fc.property(world, fc.nat(SITES.length), ({ base, target, order }, count) => {
      const before = documents(new IntentIndex(base))
      expect(documents(mixed(base, target, []))).toEqual(before)
      expect(documents(mixed(base, target, SITES))).toEqual(documents(new IntentIndex(target)))
      const sitesIn = new Set<string>(order.slice(0, count))
      const now = documents(mixed(base, target, order.slice(0, count)))
      for (const [name, document] of now) {
        const met = [document, before.get(name)!].flatMap(({ tunnels }) => tunnels.map(({ peer }) => peer.site))
        if (!sitesIn.has(name) && !met.some((peer) => sitesIn.has(peer)))
          expect(asIn(document)).toEqual(before.get(name))
      }
    }),
    { numRuns: 300 },
  )
})

/** Without what routes of sites that have the target bring along: see `mixed-routing.ts`. */
function asIn(document: DocumentContent): DocumentContent {
  const { routing } = document
  if (routing === undefined) return document
  const own = <T extends { group: string }>(rules: readonly T[]) => rules.filter(({ group }) => !isMixed(group))
  const neighbours = routing.neighbours.map((neighbour) => {
    return { ...neighbour, receive: own(neighbour.receive), send: own(neighbour.send) }
  })
  return {
    ...document,
    routing: { ...routing, groups: routing.groups.filter(({ name }) => !isMixed(name)), neighbours },
  }
}

function isMixed(group: string): boolean {
  return group.startsWith('mixed-')
}
