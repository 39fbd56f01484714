/** Neighbours and policies as they are configured, while routes are there that other settings have judged. */
import type { AdjIn } from './adj-in.ts'
import type { Advertiser } from './advertiser.ts'
import type { Chores } from './chores.ts'
import type { RibContext } from './context.ts'
import { FAMILIES, LOCAL, Neighbour } from './neighbour.ts'
import type { Policies } from './policy.ts'
import type { NeighbourConfig, RibSettings } from './types.ts'

export class Settings {
  readonly #context: RibContext
  readonly #byId: Map<string, Neighbour>
  readonly #adjIn: AdjIn
  readonly #advertiser: Advertiser
  readonly #chores: Chores

  constructor(context: RibContext, byId: Map<string, Neighbour>, adjIn: AdjIn, advertiser: Advertiser, chores: Chores) {
    this.#context = context
    this.#byId = byId
    this.#adjIn = adjIn
    this.#advertiser = advertiser
    this.#chores = chores
  }

  /** Adds the neighbour, or judges anew what it told and was told. */
  configure(config: NeighbourConfig): void {
    const { neighbours, config: rib } = this.#context
    if (config.id === neighbours[LOCAL]!.config.id) return
    const known = neighbours.find((candidate) => candidate.index !== LOCAL && candidate.config.id === config.id)
    if (known === undefined) {
      const added = new Neighbour(this.#freeIndex(), config, rib.localAs)
      neighbours[added.index] = added
      this.#byId.set(config.id, added)
      return
    }
    known.configure(config, rib.localAs)
    this.#byId.set(config.id, known)
    this.#chores.rejudge(known.index)
    this.tellAnew(known)
    this.#adjIn.checkLimit(known)
  }

  take({ policies, changed, ownAddresses, neighbours }: RibSettings): void {
    const { importer } = this.#context
    importer.policies = policies
    this.#advertiser.setPolicies(policies)
    if (ownAddresses !== undefined) importer.setOwnAddresses(ownAddresses)
    for (const config of neighbours) this.configure(config)
    for (const neighbour of this.#byId.values()) {
      const { importPolicy = '', exportPolicy = '' } = neighbour.config
      if (ownAddresses !== undefined || changed.has(importPolicy)) this.#chores.rejudge(neighbour.index)
      if (changed.has(exportPolicy)) this.tellAnew(neighbour)
    }
  }

  takeAll(policies: Policies): void {
    const names = [...this.#context.importer.policies.keys(), ...policies.keys()]
    this.take({ kind: 'settings', policies, changed: new Set(names), neighbours: [] })
  }

  /** Whether what it announces is used last. */
  avoid(neighbour: Neighbour, on: boolean): void {
    if (neighbour.isAvoided === on) return
    neighbour.isAvoided = on
    this.#chores.rejudge(neighbour.index)
  }

  /** What it has from us is compared with what it should have, when its session has room. */
  tellAnew(neighbour: Neighbour): void {
    for (const family of FAMILIES) {
      if (neighbour.sends(family)) neighbour.of[family].out.startWalk({ cursor: 0, force: false, ends: 'nothing' })
    }
  }

  /** The place of a neighbour that was removed, and of which nothing is left; else a new one. */
  #freeIndex(): number {
    const { neighbours, ribs } = this.#context
    const isDecided = FAMILIES.every((family) => ribs[family].undecided === 0)
    const free = neighbours.findIndex(({ isRemoved, config, of }) => {
      if (!isRemoved || !isDecided || config.damping === true) return false
      return FAMILIES.every((family) => of[family].generations.isEmpty)
    })
    return free < 0 ? neighbours.length : free
  }
}
