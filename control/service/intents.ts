/** The intents of networks in memory, loaded when first needed and kept current by the changes made here. */
import type { Intent } from '../../protocol/control/intent.ts'
import { IntentIndex, type IntentPlan, type IntentView } from '../domain/intent-index.ts'
import { refusal } from './refusals.ts'
import type { Context } from './types.ts'

const MAX_KEPT = 64

export class Intents {
  readonly #context: Context
  readonly #kept = new Map<string, IntentIndex>()

  constructor(context: Context) {
    this.#context = context
  }

  /** The newest intent that is committed. Never changed by those who get it. */
  async view(network: string): Promise<IntentView> {
    const entry = await this.#context.repo.get(network, 'network', network)
    if (entry === undefined) throw refusal('not-found', `there is no network ${network}`)
    const version = entry.value.intentVersion
    const kept = this.#kept.get(network)
    if (kept?.version === version) return kept
    const fresh = new IntentIndex(await this.at(network, version))
    this.#keep(network, fresh)
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

  #keep(network: string, index: IntentIndex): void {
    this.#kept.delete(network)
    if (this.#kept.size >= MAX_KEPT) this.#kept.delete(this.#kept.keys().next().value!)
    this.#kept.set(network, index)
  }
}
