/** For tests of routing only: intents in a few words, and what one RIB at each site comes to. */

import { compilePolicies, type Policies } from '../../../../connector/core/bgp/rib/policy.ts'
import { Rib } from '../../../../connector/core/bgp/rib/rib.ts'
import { prefixesOf } from '../../../../connector/core/bgp/wire/prefixes.ts'
import { ribOf } from '../../../../connector/core/managed/routing.ts'
import type { IntentDraft } from '../../../../protocol/control/intent.ts'
import { intentDraftSchema } from '../../../../protocol/control/intent.ts'
import type { RoutingDraft } from '../../../../protocol/control/intent-routing.ts'
import type { DocumentRouting } from '../../../../protocol/control/routing.ts'
import type { Address, Prefix } from '../../../../protocol/net.ts'
import { planEdit } from '../../intent.ts'
import { IntentIndex } from '../../intent-index.ts'
import { ownedBy } from '../ownership.ts'

type SiteWords = Omit<RoutingDraft['sites'][number], 'site' | 'advertises'> & {
  readonly prefixes?: readonly string[]
  readonly advertises?: readonly { readonly prefixes: readonly string[]; readonly to?: 'all' | readonly string[] }[]
}
type TunnelWords = Omit<RoutingDraft['tunnels'][number], 'tunnel'>

export interface NetworkWords {
  /** By name; without prefixes the n-th has 10.n.0.0/16. */
  readonly sites: Readonly<Record<string, SiteWords>>
  /** `a-b`, whose ends are sites without a dash in their names. */
  readonly tunnels: Readonly<Record<string, TunnelWords>> | readonly string[]
  readonly general?: Partial<Pick<RoutingDraft, 'maxPrefixes' | 'bfd'>>
  /** Without a section for it. */
  readonly isStatic?: boolean
}

export function draftOf({ sites, tunnels, general = {}, isStatic = false }: NetworkWords): IntentDraft {
  const links = Array.isArray(tunnels) ? Object.fromEntries(tunnels.map((name: string) => [name, {}])) : tunnels
  const names = Object.keys(sites)
  return intentDraftSchema.parse({
    preferences: { topology: 'none' },
    sites: names.map((name, index) => ({ name, prefixes: sites[name]!.prefixes ?? [`10.${index + 1}.0.0/16`] })),
    tunnels: Object.keys(links).map((name) => ({ name, sites: name.split('-') })),
    ...(isStatic
      ? {}
      : {
          routing: {
            ...general,
            sites: names.map((site) => {
              const { prefixes: _, ...rest } = sites[site]!
              return { site, ...rest }
            }),
            tunnels: Object.entries(links).map(([tunnel, words]) => ({ tunnel, ...(words as object) })),
          },
        }),
  })
}

/** An intent under edit; its identifiers count up. */
export class RoutedNetwork {
  readonly index = new IntentIndex({ version: 0, preferences: { topology: 'none' }, sites: [], tunnels: [] })
  #ids = 0

  constructor(words?: NetworkWords) {
    if (words !== undefined) this.become(words)
  }

  plan(draft: IntentDraft) {
    return planEdit(
      this.index,
      { type: 'replace', intent: draft },
      {
        hasConnector: () => false,
        makeId: (kind) => `${kind === 'site' ? 'site' : 'tun'}_${String(this.#ids++).padStart(20, '0')}`,
      },
    )
  }

  become(words: NetworkWords): this {
    const plan = this.plan(draftOf(words))
    if (plan !== undefined) this.index.apply(plan)
    return this
  }

  routing(name: string): DocumentRouting {
    return this.index.routingOf(this.index.siteByName(name)!.id)!
  }
}

/** By site and prefix, the sites to the next of which packets go, sorted; as RIBs have it that told one another all. */
export function ribTables(index: IntentIndex): ReadonlyMap<string, ReadonlyMap<string, readonly string[]>> {
  const world = new Map<string, RibSite>()
  for (const { id, name } of index.sites()) world.set(name, new RibSite(index, id))
  for (let busy = true, rounds = 0; busy; rounds++) {
    if (rounds > 1_000) throw new Error('the RIBs do not settle')
    busy = false
    for (const site of world.values()) busy = site.step(world) || busy
  }
  return new Map([...world].map(([name, site]) => [name, site.table]))
}

class RibSite {
  readonly table = new Map<string, readonly string[]>()
  readonly #rib: Rib
  readonly #routing: DocumentRouting
  /** Site at the other end, by tunnel. */
  readonly #far: ReadonlyMap<string, string>

  constructor(index: IntentIndex, id: string) {
    this.#routing = index.routingOf(id)!
    const { policies, neighbours, networks, ...config } = ribOf(this.#routing, owned(index, id))
    this.#rib = new Rib({ ...config, policies: compilePolicies(policies) as Policies, resolve: () => 0, hashSeed: 7 })
    this.#far = new Map(this.#routing.neighbours.map(({ tunnel, site }) => [tunnel, site]))
    const { neighbours: documents } = this.#routing
    neighbours.forEach((neighbour, i) => {
      this.#rib.handle({ kind: 'neighbour', config: neighbour }, 0)
      const { local, site } = documents[i]!
      const far = index.routingOf(index.siteByName(site)!.id)!
      const routerId = far.routerId.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
      const nextHops = { 4: { address: local as Address }, 6: { address: `::ffff:${local}` as Address } }
      this.#rib.handle({ kind: 'neighbour-up', neighbour: neighbour.id, routerId, families: [4, 6], nextHops }, 0)
    })
    this.#rib.handle({ kind: 'originate', prefixes: networks }, 0)
  }

  /** Decides, and tells neighbours; whether there was anything to do. */
  step(world: ReadonlyMap<string, RibSite>): boolean {
    let busy = false
    for (let i = 0; this.#rib.hasWork && i < 1_000; i++) this.#rib.handle({ kind: 'time' }, 0)
    for (const tunnel of this.#far.keys()) {
      for (let i = 0; this.#rib.hasNews(tunnel) && i < 1_000; i++) {
        this.#rib.handle({ kind: 'drain', neighbour: tunnel, limit: 100 }, 0)
      }
    }
    for (let effect = this.#rib.poll(); effect !== undefined; effect = this.#rib.poll()) {
      if (effect.kind === 'routes') {
        for (const [i, prefix] of prefixesOf(effect.prefixes).entries()) {
          const next = effect.nextHops[i]!.map(({ neighbour }) => this.#far.get(neighbour) ?? '').filter(Boolean)
          if (next.length === 0) this.table.delete(prefix)
          else this.table.set(prefix, next.sort())
        }
      } else if (effect.kind === 'advertise' || effect.kind === 'withdraw') {
        busy = true
        const update =
          effect.kind === 'withdraw'
            ? { withdrawn: [effect.prefixes], reach: [] }
            : {
                withdrawn: [],
                reach: [{ nextHop: effect.nextHop, prefixes: effect.prefixes }],
                attributes: effect.attributes,
              }
        const far = world.get(this.#far.get(effect.neighbour)!)!
        far.#rib.handle(
          { kind: 'update', neighbour: effect.neighbour, update: { type: 'UPDATE', faults: [], ...update } },
          0,
        )
      }
    }
    return busy || this.#rib.hasWork
  }
}

function owned(index: IntentIndex, id: string): Prefix[] {
  return ownedBy(index.site(id)!, index.routing!.site(id)) as Prefix[]
}
