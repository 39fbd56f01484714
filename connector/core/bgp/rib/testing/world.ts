/** What only tests use: a RIB with everything that came out of it gathered as neighbours and forwarding would. */
import { type Address, address, type Family, familyOf, type Prefix, prefix } from '../../../../../protocol/net.ts'
import { blockOf, prefixesOf } from '../../wire/prefixes.ts'
import type { NextHop, PathAttributes, UpdateMessage } from '../../wire/types.ts'
import type { NextHopSet } from '../next-hop-sets.ts'
import { compilePolicies, isPolicies, type Policies } from '../policy.ts'
import type { PolicyDocument } from '../policy-types.ts'
import { Rib } from '../rib.ts'
import type { NeighbourConfig, NeighbourDown, NeighbourUp, RibConfig, RibEffect, RibInput } from '../types.ts'

export const LOCAL_AS = 64500
export const ROUTER_ID = 0x0a000001
export const OWN_HOP = { 4: { address: address('10.9.9.9') }, 6: { address: address('fd00::9') } }

/** `all` accepts everything. */
export const ALL: PolicyDocument = { policies: { all: { rules: [], otherwise: 'accept' } } }

export interface Advertised {
  readonly attributes: PathAttributes
  readonly nextHop: NextHop
}

export class RibWorld {
  readonly rib: Rib
  now = 0
  /** As forwarding has it: nothing of withdrawn prefixes. */
  readonly forwarding = new Map<Prefix, NextHopSet>()
  /** What each neighbour has from us. */
  readonly told = new Map<string, Map<Prefix, Advertised>>()
  /** All other effects, and batches of advertisements as they came. */
  effects: RibEffect[] = []

  constructor(config: Partial<RibConfig> = {}) {
    this.rib = new Rib({
      localAs: LOCAL_AS,
      routerId: ROUTER_ID,
      ownAddresses: [address('10.9.9.9'), address('fd00::9')],
      resolve: () => 10,
      policies: policiesOf(ALL),
      hashSeed: 1,
      ...config,
    })
  }

  give(input: RibInput): void {
    this.rib.handle(input, this.now)
    this.#collect()
  }

  /** Adds a neighbour that imports and exports everything, unless `config` says otherwise, and brings it up. */
  add(id: string, peerAs: number, config: Partial<NeighbourConfig> = {}, up: Partial<NeighbourUp> = {}): void {
    const number = [...id].reduce((sum, character) => (sum * 31 + character.charCodeAt(0)) & 0xff, 0)
    const all = { importPolicy: 'all', exportPolicy: 'all', acceptDefault: true }
    this.give({ kind: 'neighbour', config: { id, peerAs, address: address(`10.8.0.${number}`), ...all, ...config } })
    this.up(id, { routerId: number, ...up })
  }

  up(id: string, fields: Partial<NeighbourUp> = {}): void {
    this.told.set(id, new Map())
    const up = { kind: 'neighbour-up' as const, neighbour: id, routerId: 1, families: [4, 6] as Family[] }
    this.give({ ...up, nextHops: OWN_HOP, ...fields })
  }

  down(id: string, stale?: NeighbourDown['stale']): void {
    this.give({ kind: 'neighbour-down', neighbour: id, ...(stale === undefined ? {} : { stale }) })
    this.told.delete(id)
  }

  announce(id: string, prefixes: readonly string[], attributes: Partial<PathAttributes> = {}, hop = '192.0.2.1'): void {
    const all: PathAttributes = { origin: 0, asPath: sequence(65001), ...attributes }
    for (const family of [4, 6] as const) {
      const block = blockOf(family, of(prefixes, family))
      if (block.lengths.length === 0) continue
      const reach = [{ nextHop: { address: hop as Address }, prefixes: block }]
      this.give({ kind: 'update', neighbour: id, update: { ...EMPTY, reach, attributes: all } })
    }
  }

  withdraw(id: string, prefixes: readonly string[]): void {
    const withdrawn = ([4, 6] as const).map((family) => blockOf(family, of(prefixes, family)))
    this.give({ kind: 'update', neighbour: id, update: { ...EMPTY, withdrawn } })
  }

  endOfRib(id: string, family: Family = 4): void {
    const endOfRib = { afi: family === 4 ? 1 : 2, safi: 1 }
    this.give({ kind: 'update', neighbour: id, update: { ...EMPTY, endOfRib } })
  }

  /** Until nothing is left to do, and every neighbour was told of everything. */
  settle(): void {
    for (let i = 0; i < 100_000 && this.rib.hasWork; i++) this.give({ kind: 'time' })
    for (const id of this.told.keys()) {
      for (let i = 0; i < 100_000 && this.rib.hasNews(id); i++) this.give({ kind: 'drain', neighbour: id, limit: 50 })
    }
  }

  /** `neighbour address` of each next hop in use. */
  hops(text: string): string[] {
    return (this.forwarding.get(prefix(text)) ?? []).map((hop) => `${hop.neighbour} ${hop.address}`)
  }

  toldOf(id: string, text: string): PathAttributes | undefined {
    return this.told.get(id)?.get(prefix(text))?.attributes
  }

  /** The effects of one kind since the last call of it. */
  take<Kind extends RibEffect['kind']>(kind: Kind): Extract<RibEffect, { kind: Kind }>[] {
    const taken = this.effects.filter((effect) => effect.kind === kind)
    this.effects = this.effects.filter((effect) => effect.kind !== kind)
    return taken as Extract<RibEffect, { kind: Kind }>[]
  }

  #collect(): void {
    for (let effect = this.rib.poll(); effect !== undefined; effect = this.rib.poll()) {
      this.effects.push(effect)
      if (effect.kind === 'routes') {
        const prefixes = prefixesOf(effect.prefixes)
        if (new Set(prefixes).size !== prefixes.length) throw new Error('a prefix stands twice in one batch')
        for (const [i, changed] of prefixes.entries()) {
          if (effect.nextHops[i]!.length === 0) this.forwarding.delete(changed)
          else this.forwarding.set(changed, effect.nextHops[i]!)
        }
      }
      if (effect.kind === 'advertise') {
        const { attributes, nextHop } = effect
        for (const told of prefixesOf(effect.prefixes))
          this.told.get(effect.neighbour)?.set(told, { attributes, nextHop })
      }
      if (effect.kind === 'withdraw') {
        for (const told of prefixesOf(effect.prefixes)) {
          if (this.told.get(effect.neighbour)?.delete(told) === false) throw new Error(`${told} was not there`)
        }
      }
    }
  }
}

export function policiesOf(document: PolicyDocument): Policies {
  const policies = compilePolicies(document)
  if (!isPolicies(policies)) throw new Error(JSON.stringify(policies))
  return policies
}

export function sequence(...asns: number[]): PathAttributes['asPath'] {
  return asns.length === 0 ? [] : [{ type: 'sequence', asns }]
}

const EMPTY: UpdateMessage = { type: 'UPDATE', withdrawn: [], reach: [], faults: [] }

function of(prefixes: readonly string[], family: Family): Prefix[] {
  return prefixes.map((text) => prefix(text)).filter((parsed) => familyOf(parsed) === family)
}
