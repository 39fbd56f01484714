/** One tunnel as every worker knows it: told step by step, and never two changes at once. */
import type { Answer, Command, TunnelSetting } from '../data/commands.ts'
import type { PlannedConnection } from '../plan.ts'
import { changesOf, type Promoted, sharesOf, type TunnelShares } from './tunnel-shares.ts'

/** What it follows from; may change between two calls of `tell`. */
export interface TunnelFacts {
  readonly planned: PlannedConnection
  /** The Child SAs that may be sent on, newest last. */
  readonly promoted: readonly Promoted[]
  /** Whether packets get through as far as is known. */
  readonly passing: boolean
  /** Instead of what is planned. */
  readonly measuredMtu?: number | undefined
}

export class TunnelTeller {
  readonly #handle: number
  readonly #workers: number
  readonly #call: (worker: number, command: Command) => Promise<Answer>
  /** What the workers were told last. */
  #shares: TunnelShares | undefined
  #settings: string | undefined
  #turn: Promise<void> = Promise.resolve()

  constructor(handle: number, workers: number, call: (worker: number, command: Command) => Promise<Answer>) {
    this.#handle = handle
    this.#workers = workers
    this.#call = call
  }

  /** Resolves when the workers know what `facts` say by then. Rejects with the first failure. */
  tell(facts: TunnelFacts): Promise<void> {
    const done = this.#turn.then(() => this.#tell(facts))
    this.#turn = done.catch(() => {})
    return done
  }

  /** Resolves when nothing is under way. */
  settled(): Promise<void> {
    return this.#turn
  }

  async #tell(facts: TunnelFacts): Promise<void> {
    const { ike } = facts.planned
    const names = ike.children.map(({ name }) => name)
    const wanted = sharesOf(names, facts.promoted, this.#workers, ike.resource ?? 0)
    const settings = settingsOf(facts)
    const text = JSON.stringify(settings)
    for (const step of changesOf(text === this.#settings ? this.#shares : undefined, wanted)) {
      const told = step.map(({ worker, share }) =>
        this.#call(worker, { type: 'tunnel', tunnel: { handle: this.#handle, ...settings, ...share } }),
      )
      await Promise.all(told)
    }
    this.#shares = wanted
    this.#settings = text
  }
}

/** What every worker is told alike. */
function settingsOf({
  planned,
  passing,
  measuredMtu,
}: TunnelFacts): Omit<TunnelSetting, 'handle' | 'children' | 'handOver'> {
  const { pathMtu, clampMss, copyDscp, transit = false, reversePath = 'off' } = planned
  return {
    pathMtu: measuredMtu ?? pathMtu,
    clampMss,
    copyDscp,
    ...(passing ? {} : { down: true }),
    ...(transit ? { transit } : {}),
    ...(reversePath === 'off' ? {} : { reversePath }),
  }
}
