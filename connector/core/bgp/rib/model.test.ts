/** The RIB against a model that computes everything from scratch, over random histories. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { address, type Prefix, prefix } from '../../../../protocol/net.ts'
import type { PathAttributes } from '../wire/types.ts'
import type { PolicyDocument } from './policy-types.ts'
import { Model, type ModelNeighbour, type ModelPolicy, prepend } from './testing/model.ts'
import { LOCAL_AS, OWN_HOP, policiesOf, RibWorld, ROUTER_ID } from './testing/world.ts'

const PREFIXES = ['10.1.0.0/16', '10.2.0.0/16', '10.2.3.0/24', '10.2.3.0/25', '10.4.0.0/14', '0.0.0.0/0']
const HOPS = ['192.0.2.1', '192.0.2.2', '192.0.2.3']
const GOLD = 0xfde90001
const HIDDEN = 0xfde90009

const NEIGHBOURS: readonly Omit<ModelNeighbour, 'up' | 'routes'>[] = [
  { id: 'a', peerAs: 65001, routerId: 5, address: 1 },
  { id: 'b', peerAs: 65001, routerId: 5, address: 2 },
  { id: 'c', peerAs: 65002, routerId: 3, address: 3, isProvider: true },
  { id: 'i', peerAs: LOCAL_AS, routerId: 2, address: 4 },
  { id: 'j', peerAs: LOCAL_AS, routerId: 9, address: 5, nextHopSelf: true },
]

/** Twice the same policies: as data, and as functions. */
const POLICIES: readonly { document: PolicyDocument; model: { in: ModelPolicy; out: ModelPolicy } }[] = [
  {
    document: {
      policies: {
        in: {
          rules: [
            { if: { prefixes: [{ prefix: '0.0.0.0/0', ge: 25 }] }, do: 'reject' },
            { if: { anyCommunity: ['65001:1'] }, set: { localPref: 200 }, do: 'accept' },
          ],
          otherwise: 'accept',
        },
        out: {
          rules: [
            { if: { anyCommunity: ['65001:9'] }, do: 'reject' },
            { if: { from: ['local'] }, set: { med: 50 }, do: 'accept' },
          ],
          otherwise: 'accept',
        },
      },
    },
    model: {
      in: (text, attributes) => {
        if (Number(text.split('/')[1]) >= 25) return undefined
        return attributes.communities?.includes(GOLD) ? { ...attributes, localPref: 200 } : attributes
      },
      out: (_, attributes, local) => {
        if (attributes.communities?.includes(HIDDEN)) return undefined
        return local ? { ...attributes, med: 50 } : attributes
      },
    },
  },
  {
    document: {
      policies: {
        in: {
          rules: [
            { if: { asPath: '* 65099' }, do: 'reject' },
            { if: { origin: 'incomplete' }, set: { prepend: { times: 1 } }, do: 'continue' },
            { if: { prefixes: 'tens' }, do: 'accept' },
          ],
        },
        out: { rules: [{ set: { prepend: { times: 2 } }, do: 'accept' }] },
      },
      prefixLists: { tens: [{ prefix: '10.0.0.0/8', le: 24 }] },
    },
    model: {
      in: (text, attributes) => {
        if (attributes.asPath.at(-1)?.asns.at(-1) === 65099) return undefined
        if (!text.startsWith('10.') || Number(text.split('/')[1]) > 24) return undefined
        return attributes.origin === 2 ? { ...attributes, asPath: prepend(attributes, 1) } : attributes
      },
      out: (_, attributes) => ({ ...attributes, asPath: prepend(attributes, 2) }),
    },
  },
]

type Command =
  | { kind: 'announce'; who: number; prefixes: string[]; attributes: PathAttributes; hop: string }
  | { kind: 'withdraw'; who: number; prefixes: string[] }
  | { kind: 'down' | 'restart' | 'up' | 'end' | 'refresh'; who: number }
  | { kind: 'cost'; hop: string; cost: number | undefined }
  | { kind: 'policies'; which: number }
  | { kind: 'originate' | 'unoriginate'; prefixes: string[] }
  | { kind: 'time' | 'check' }
  | { kind: 'drain'; who: number; limit: number }

describe('the RIB and the model', () => {
  test.each([1, 3])('agree, with up to %i paths at once', (maxPaths) => {
    fc.assert(
      fc.property(fc.array(command(), { minLength: 1, maxLength: 120 }), (commands) => {
        const pair = new Pair(maxPaths)
        for (const one of commands) pair.give(one)
        pair.check()
        pair.end()
      }),
      { numRuns: 400 },
    )
  })

  test('a history is no empty one: most end with routes in use, and told', () => {
    let used = 0
    let told = 0
    for (const commands of fc.sample(fc.array(command(), { minLength: 60, maxLength: 120 }), {
      numRuns: 60,
      seed: 7,
    })) {
      const pair = new Pair(1)
      for (const one of commands) pair.give(one)
      pair.check()
      if (pair.world.forwarding.size > 0) used++
      if ([...pair.world.told.values()].some((table) => table.size > 0)) told++
    }
    expect(used).toBeGreaterThan(40)
    expect(told).toBeGreaterThan(30)
  })
})

class Pair {
  readonly world: RibWorld
  readonly model: Model
  readonly #costs = new Map<string, number | undefined>(HOPS.map((hop, i) => [hop, i]))

  constructor(maxPaths: number) {
    const { document, model } = POLICIES[0]!
    this.world = new RibWorld({
      resolve: (hop) => this.#costs.get(hop),
      policies: policiesOf(document),
      decision: { maxPaths },
      slice: 3,
    })
    const neighbours = NEIGHBOURS.map((fields) => ({ ...fields, up: true, routes: new Map() }))
    this.model = new Model(neighbours, this.#costs, model, maxPaths)
    for (const { id, peerAs, routerId, address: last, nextHopSelf, isProvider } of NEIGHBOURS) {
      const fields = {
        address: address(`10.8.0.${last}`),
        importPolicy: 'in',
        exportPolicy: 'out',
        ...(nextHopSelf === undefined ? {} : { nextHopSelf }),
        ...(isProvider === undefined ? {} : { role: 'customer' as const }),
      }
      this.world.add(id, peerAs, fields, { routerId })
    }
  }

  give(command: Command): void {
    switch (command.kind) {
      case 'announce':
        this.#announce(command)
        break
      case 'withdraw': {
        const neighbour = this.model.neighbours[command.who]!
        if (!neighbour.up) break
        for (const text of command.prefixes) neighbour.routes.delete(text)
        this.world.withdraw(neighbour.id, command.prefixes)
        break
      }
      case 'cost':
        this.#costs.set(command.hop, command.cost)
        this.world.give({ kind: 'next-hops-changed' })
        break
      case 'policies':
        this.model.importPolicy = POLICIES[command.which]!.model.in
        this.model.exportPolicy = POLICIES[command.which]!.model.out
        this.world.give({ kind: 'policies', policies: policiesOf(POLICIES[command.which]!.document) })
        break
      case 'originate':
        for (const text of command.prefixes) this.model.local.set(text, { origin: 0, asPath: [] })
        this.world.give({ kind: 'originate', prefixes: command.prefixes as Prefix[] })
        break
      case 'unoriginate':
        for (const text of command.prefixes) this.model.local.delete(text)
        this.world.give({ kind: 'withdraw', prefixes: command.prefixes as Prefix[] })
        break
      case 'time':
        this.world.give({ kind: 'time' })
        break
      case 'drain':
        this.world.give({ kind: 'drain', neighbour: NEIGHBOURS[command.who]!.id, limit: command.limit })
        break
      case 'check':
        this.check()
        break
      default:
        this.#session(command.kind, this.model.neighbours[command.who]!)
    }
  }

  check(): void {
    this.world.settle()
    const expected = this.model.prefixes.flatMap((text): [string, string[]][] => {
      const chosen = this.model.chosen(text).map(({ from, hop }) => `${from?.id ?? 'local'} ${hop}`)
      return chosen.length === 0 ? [] : [[text, chosen]]
    })
    const actual = [...this.world.forwarding.keys()].map((text) => [text, this.world.hops(text)])
    expect(Object.fromEntries(actual)).toEqual(Object.fromEntries(expected))
    expect(this.world.rib.size(4)).toBe(expected.length)
    for (const neighbour of this.model.neighbours) this.#checkNeighbour(neighbour)
    for (const text of this.model.prefixes) {
      const { candidates } = this.world.rib.explain(prefix(text))!
      const used = candidates.filter(({ state }) => state === 'best' || state === 'multipath')
      expect(used.map((one) => `${one.neighbour} ${one.nextHop.address}`)).toEqual(this.world.hops(text))
      expect(
        candidates.filter(({ state, why }) => (state === 'lost' || state === 'ineligible') !== (why !== undefined)),
      ).toEqual([])
    }
  }

  /** All neighbours go, and nothing may be left. */
  end(): void {
    for (const { id } of NEIGHBOURS) {
      this.world.up(id)
      this.world.down(id)
    }
    this.world.give({ kind: 'withdraw', prefixes: PREFIXES.map((text) => prefix(text)) })
    this.world.settle()
    expect(this.world.rib.totals).toEqual({ prefixes: 0, routes: 0, paths: 0 })
  }

  #checkNeighbour(neighbour: ModelNeighbour): void {
    const { id, routes, up } = neighbour
    const stale = [...routes.values()].filter((route) => route.stale).length
    expect(this.world.rib.status(id, 4)).toMatchObject({ received: routes.size, stale, pending: false })
    if (!up) return
    const expected = this.model.prefixes.flatMap((text) => {
      const told = this.model.told(neighbour, text)
      if (told === undefined) return []
      const nextHop = told.hop === 'self' ? OWN_HOP[4] : { address: told.hop }
      return [[text, { attributes: told.attributes, nextHop }]] as const
    })
    expect(Object.fromEntries(this.world.told.get(id)!)).toEqual(Object.fromEntries(expected))
    expect(this.world.rib.status(id, 4)!.advertised).toBe(expected.length)
  }

  #announce({ who, prefixes, attributes, hop }: Extract<Command, { kind: 'announce' }>): void {
    const neighbour = this.model.neighbours[who]!
    if (!neighbour.up) return
    const isInternal = neighbour.peerAs === LOCAL_AS
    const { localPref, originatorId, ...outside } = attributes
    const asPath = isInternal
      ? attributes.asPath
      : [{ type: 'sequence' as const, asns: [neighbour.peerAs, ...(attributes.asPath[0]?.asns ?? [])] }]
    const given = { ...(isInternal ? attributes : outside), asPath }
    const accepted = prefixes.filter((text) => text !== '0.0.0.0/0')
    for (const text of accepted) neighbour.routes.set(text, { attributes: given, hop, stale: false })
    this.world.announce(neighbour.id, accepted, given, hop)
  }

  #session(kind: 'down' | 'restart' | 'up' | 'end' | 'refresh', neighbour: ModelNeighbour): void {
    const { id, routes } = neighbour
    const isUp = kind === 'down' || kind === 'restart' ? neighbour.up : neighbour.up === (kind !== 'up')
    if (!isUp) return
    const dropStale = () => {
      for (const [text, route] of routes) if (route.stale) routes.delete(text)
    }
    if (kind === 'down') {
      neighbour.up = false
      routes.clear()
      this.world.down(id)
    } else if (kind === 'restart') {
      neighbour.up = false
      dropStale()
      for (const route of routes.values()) route.stale = true
      this.world.down(id, { families: [4], ms: 1_000 })
    } else if (kind === 'up') {
      neighbour.up = true
      this.world.up(id, { routerId: neighbour.routerId, keptForwarding: [4] })
    } else if (kind === 'end') {
      dropStale()
      this.world.endOfRib(id)
    } else {
      this.world.give({ kind: 'refresh-asked', neighbour: id, family: 4 })
    }
  }
}

function command(): fc.Arbitrary<Command> {
  const who = fc.nat(NEIGHBOURS.length - 1)
  const prefixes = fc.uniqueArray(fc.constantFrom(...PREFIXES), { minLength: 1, maxLength: 4 })
  const hop = fc.constantFrom(...HOPS)
  return fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({ kind: fc.constant('announce' as const), who, prefixes, attributes: attributes(), hop }),
    },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('withdraw' as const), who, prefixes }) },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constantFrom('down' as const, 'restart' as const, 'end' as const, 'refresh' as const),
        who,
      }),
    },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('up' as const), who }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('cost' as const), hop, cost: fc.constantFrom(undefined, 0, 1, 2) }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('policies' as const), which: fc.nat(1) }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constantFrom('originate' as const, 'unoriginate' as const), prefixes }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('time' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('check' as const) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('drain' as const), who, limit: fc.nat(4) }) },
  )
}

function attributes(): fc.Arbitrary<PathAttributes> {
  const tail = fc.constantFrom<readonly number[]>([], [7], [7, 7], [65099], [7, 65099], [LOCAL_AS])
  const communities = fc.constantFrom([GOLD], [HIDDEN], [0xffff0000], [0xffffff01])
  // Often the same, so that neighbours announce what others announce.
  const plain: PathAttributes = { origin: 0, asPath: [] }
  const any = fc
    .record(
      {
        origin: fc.nat(2),
        asns: tail,
        med: fc.nat(2),
        communities,
        localPref: fc.constantFrom(50, 100, 150),
        originatorId: fc.constantFrom(1, 7, ROUTER_ID),
        onlyToCustomer: fc.constant(65_009),
      },
      { requiredKeys: ['origin', 'asns'] },
    )
    .map(({ asns, ...rest }): PathAttributes => {
      return { ...rest, asPath: asns.length === 0 ? [] : [{ type: 'sequence', asns }] }
    })
  return fc.oneof({ weight: 1, arbitrary: fc.constant(plain) }, { weight: 2, arbitrary: any })
}
