import { describe, expect, test } from 'vitest'
import type { DocumentRouting } from '../../../protocol/control/routing.ts'
import { fabricOf } from './fabric.ts'
import { MixedView } from './mixed.ts'
import { simulate } from './simulate.ts'
import { type NetworkWords, RoutedNetwork } from './testing/routed.ts'

const SITES = ['hub', 'a', 'b']

function words(prefix: string): NetworkWords {
  return {
    sites: { hub: { hub: true }, a: { advertises: [{ prefixes: [prefix, '10.2.200.0/24'] }] }, b: {} },
    tunnels: ['hub-a', 'hub-b'],
  }
}

const base = new RoutedNetwork(words('10.2.0.0/24')).index
const target = new RoutedNetwork(words('10.2.0.0/24')).become(words('10.2.0.0/23')).index

/** The documents of all sites while those named have the target. */
function mixed(...names: string[]): Record<string, DocumentRouting> {
  const view = new MixedView(base, target, new Set(names.map((name) => base.siteByName(name)!.id)))
  return Object.fromEntries(SITES.map((name) => [name, view.routingOf(base.siteByName(name)!.id)!]))
}

/** What b has of a, as routes get there. */
function reached(documents: Record<string, DocumentRouting>): string[] {
  const sites = SITES.map((name) => ({ id: name, name, routing: documents[name]! }))
  const outcome = simulate(fabricOf(sites))
  return outcome.fabric.classes.all
    .flatMap(({ id, owner, prefixes }) => (owner === 1 && outcome.next(2, id).length > 0 ? prefixes : []))
    .sort()
}

const BEFORE = ['10.2.0.0/24', '10.2.200.0/24']
const AFTER = ['10.2.0.0/23', '10.2.200.0/24']

describe('a site announces another prefix', () => {
  test.each([
    [[], BEFORE],
    [['a'], AFTER],
    [['hub'], BEFORE],
    [['b'], BEFORE],
    [['a', 'hub'], AFTER],
    [['a', 'b'], AFTER],
    [['hub', 'b'], BEFORE],
    [['hub', 'a', 'b'], AFTER],
  ])('and whoever has the target, %j, all reach what it announces', (names, prefixes) => {
    expect(reached(mixed(...names))).toEqual(prefixes)
  })

  test('with none and with all of them documents are those of the base and of the target', () => {
    for (const name of SITES) {
      const { id } = base.siteByName(name)!
      expect(mixed()[name]).toEqual(base.routingOf(id))
      expect(mixed(...SITES)[name]).toEqual(target.routingOf(id))
    }
  })

  test('only what differs is added, once for all neighbours', () => {
    const { hub, b } = mixed('a')
    const more = { name: 'mixed-0', origins: [{ as: 4_200_000_001, ranges: [{ prefix: '10.2.0.0/23' }] }] }
    expect(hub!.groups.filter(({ name }) => name.startsWith('mixed'))).toEqual([more])
    expect(b!.groups.filter(({ name }) => name.startsWith('mixed'))).toEqual([more])
    expect(hub!.neighbours.map(({ site, receive, send }) => [site, receive.length, send.length])).toEqual([
      ['a', 2, 2],
      ['b', 1, 2],
    ])
  })
})
