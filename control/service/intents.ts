/** The intents of networks in memory, loaded when first needed and kept current by the changes made here. */
import type { Intent } from '../../protocol/control/intent.ts'
import { IntentIndex, type IntentPlan, type IntentView } from '../domain/intent-index.ts'
import { MixedView } from '../domain/intents/mixed.ts'
import { isOver, type RolloutRecord } from '../domain/intents/rollout.ts'
import type { NetworkRecord } from '../store/repo.ts'
import type { Topology } from './planned-view.ts'
import { refusal } from './refusals.ts'
import type { Context } from './types.ts'

const MAX_KEPT = 64

/** A topology of which all tunnels can be listed. */
export type Whole = Topology & Pick<IntentView, 'version' | 'tunnels'>

export interface Situation {
  /** The newest intent. */
  readonly view: IntentView
  readonly topology: Whole
  readonly rollout?: RolloutRecord
}

export class Intents {
  readonly #context: Context
  readonly #kept = new Map<string, IntentIndex>()
  readonly #bases = new Map<string, IntentIndex>()

  constructor(context: Context) {
    this.#context = context
  }

  /** The newest intent that is committed. Never changed by those who get it. */
  async view(network: string): Promise<IntentView> {
    const { intentVersion: version } = await this.#record(network)
    const kept = this.#kept.get(network)
    if (kept?.version === version) return kept
    const fresh = new IntentIndex(await this.at(network, version))
    this.#keep(network, fresh)
    return fresh
  }

  /** What documents are made from: the newest intent, or what the sites have of it while a rollout is under way. */
  async topology(network: string): Promise<Whole> {
    return (await this.situation(network)).topology
  }

  /** The same with the rollout that is under way. */
  async situation(network: string): Promise<Situation> {
    const { rollout: id } = await this.#record(network)
    const view = await this.view(network)
    const entry = id === undefined ? undefined : await this.#context.repo.get(network, 'rollout', id)
    if (entry === undefined || isOver(entry.value.state)) return { view, topology: view }
    const rollout = entry.value
    // Going back, the newest intent is the base again, for all of them.
    if (rollout.state === 'rolling-back') return { view, topology: view, rollout }
    return { view, topology: this.mixed(view, await this.base(network, rollout.base), rollout), rollout }
  }

  mixed(target: IntentView, base: IntentView, { order, counts }: RolloutRecord): MixedView {
    return new MixedView(base, target, new Set(order.slice(0, counts.in).map(({ site }) => site)))
  }

  /** An old version, kept while it is the base of a rollout. Never changed. */
  async base(network: string, version: number): Promise<IntentView> {
    const kept = this.#bases.get(network)
    if (kept?.version === version) return kept
    const fresh = new IntentIndex(await this.at(network, version))
    if (this.#bases.size >= MAX_KEPT) this.#bases.delete(this.#bases.keys().next().value!)
    this.#bases.set(network, fresh)
    return fresh
  }

  async at(network: string, version: number): Promise<Intent> {
    const intent = await this.#context.repo.intentAt(network, version)
    if (intent === undefined) throw refusal('not-found', `there is no version ${version} of the intent`)
    return intent
  }

  /** Takes over a plan once it is committed. */
  apply(network: string, plan: IntentPlan): void {
    const kept = this.#kept.get(network)
    if (kept === undefined) return
    if (kept.version === plan.version - 1) kept.apply(plan)
    else if (kept.version < plan.version) this.#kept.delete(network)
  }

  async #record(network: string): Promise<NetworkRecord> {
    const entry = await this.#context.repo.get(network, 'network', network)
    if (entry === undefined) throw refusal('not-found', `there is no network ${network}`)
    return entry.value
  }

  #keep(network: string, index: IntentIndex): void {
    this.#kept.delete(network)
    if (this.#kept.size >= MAX_KEPT) this.#kept.delete(this.#kept.keys().next().value!)
    this.#kept.set(network, index)
  }
}
