/**
 * Brings what BGP has learned into the engines and the kernel, in batches, and never two of a kind at once.
 *
 * The engine of a prefix knows it before the kernel sends packets, and forgets it after: nothing falls between. What is
 * new comes before what is gone goes. A change
 * of tunnels is the engines' affair alone and waits for no kernel. Of many changes of a prefix the last one counts.
 */
import { type Address, familyOf, type Prefix } from '../../../protocol/net.ts'
import type { RouteChange } from '../../core/bgp/speaker-types.ts'
import type { ConnectorEvent } from '../../handle.ts'
import type { Children } from '../children.ts'
import type { KernelRoutes } from '../kernel-routes.ts'

const BATCH = 8_192

export interface LearnedRoutesParts {
  readonly children: Pick<Children, 'learn'>
  readonly kernel: Pick<KernelRoutes, 'learn' | 'unlearn'>
  /** Outer ends of tunnels that a default route through a tunnel would cut off. */
  readonly cutOff?: () => Promise<readonly Address[]>
  /**
   * Waited for before the first of several prefixes goes: a neighbour that tells of others in its place withdraws it first
   * (RFC 4271 section 4.3 has withdrawals at the beginning of an UPDATE).
   */
  readonly grace?: () => Promise<void>
  readonly emit: (event: ConnectorEvent) => void
}

export class LearnedRoutes {
  readonly #parts: LearnedRoutesParts
  /** What waits: for the engines, with tunnels; for the kernel; to be taken from the kernel, then from the engines. */
  readonly #forEngines = new Map<Prefix, readonly string[]>()
  readonly #forKernel = new Set<Prefix>()
  readonly #gone = new Set<Prefix>()
  readonly #forgotten = new Set<Prefix>()
  /** What the engines, and the kernel, are just taking in or giving up, as far as nothing newer has come. */
  readonly #raising = new Set<Prefix>()
  readonly #leaving = new Set<Prefix>()
  #engines: Promise<void> | undefined
  #kernel: Promise<void> | undefined
  #isStopped = false

  constructor(parts: LearnedRoutesParts) {
    this.#parts = parts
  }

  take(changes: readonly RouteChange[]): void {
    if (this.#isStopped) return
    for (const { prefix, tunnels } of changes) {
      if (tunnels.length > 0) {
        for (const set of [this.#gone, this.#forgotten, this.#leaving]) set.delete(prefix)
        this.#forEngines.set(prefix, tunnels)
      } else {
        this.#forEngines.delete(prefix)
        for (const set of [this.#forKernel, this.#raising]) set.delete(prefix)
        this.#gone.add(prefix)
      }
    }
    this.#go()
  }

  /** Changes that are not carried out yet. */
  get pending(): number {
    return this.#forEngines.size + this.#forKernel.size + this.#gone.size + this.#forgotten.size
  }

  get isBusy(): boolean {
    return this.pending > 0 || this.#engines !== undefined || this.#kernel !== undefined
  }

  /** What has been learned stays where it is until the tunnels are gone, so that nothing leaves in the clear. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#forEngines.clear()
    this.#forKernel.clear()
    this.#gone.clear()
    this.#forgotten.clear()
    await Promise.all([this.#engines, this.#kernel])
  }

  #go(): void {
    this.#engines ??= this.#runEngines().finally(() => {
      this.#engines = undefined
      if (this.#forEngines.size + this.#forgotten.size > 0) this.#go()
    })
    this.#kernel ??= this.#runKernel().finally(() => {
      this.#kernel = undefined
      if (this.#forKernel.size + this.#gone.size > 0) this.#go()
    })
  }

  async #runEngines(): Promise<void> {
    while (this.#forEngines.size + this.#forgotten.size > 0) {
      await this.#learn(take(this.#forgotten).map((prefix) => ({ prefix, tunnels: [] })))
      const changes: RouteChange[] = []
      for (const [prefix, tunnels] of this.#forEngines) {
        if (changes.push({ prefix, tunnels }) >= BATCH) break
      }
      for (const { prefix } of changes) {
        this.#forEngines.delete(prefix)
        this.#raising.add(prefix)
      }
      const isLearned = await this.#learn(changes)
      if (isLearned && !this.#isStopped) for (const prefix of this.#raising) this.#forKernel.add(prefix)
      this.#raising.clear()
      this.#go()
    }
  }

  async #runKernel(): Promise<void> {
    let hasRested = false
    while (this.#gone.size + this.#forKernel.size > 0) {
      await this.#addToKernel(await this.#withoutLoops(take(this.#forKernel)))
      if (this.#gone.size === 0) hasRested = false
      else if (hasRested) await this.#takeFromKernel(take(this.#gone))
      else {
        hasRested = true
        await this.#parts.grace?.()
      }
    }
  }

  async #takeFromKernel(gone: readonly Prefix[]): Promise<void> {
    for (const prefix of gone) this.#leaving.add(prefix)
    await this.#parts.kernel.unlearn(gone)
    for (const prefix of this.#leaving) this.#forgotten.add(prefix)
    this.#leaving.clear()
    this.#go()
  }

  async #addToKernel(added: readonly Prefix[]): Promise<void> {
    if (added.length === 0) return
    const failures = await this.#parts.kernel.learn(added)
    const first = failures[0]
    if (first === undefined) return
    const more = failures.length === 1 ? '' : ` (and ${failures.length - 1} more)`
    const { code, message, remedy } = first.failure
    this.#parts.emit({ type: 'warning', code, message: `${message}${more}`, remedy })
  }

  /** A default route must not take the tunnels' own packets: the engine has it, the kernel does not. */
  async #withoutLoops(routes: readonly Prefix[]): Promise<readonly Prefix[]> {
    const defaults = routes.filter((prefix) => prefix.endsWith('/0'))
    if (defaults.length === 0 || this.#parts.cutOff === undefined) return routes
    const families = new Set((await this.#parts.cutOff()).map(familyOf))
    const looping = defaults.filter((prefix) => families.has(familyOf(prefix)))
    for (const prefix of looping) {
      const message = `the default route ${prefix} is not used: the tunnel's own packets would follow it into the tunnel`
      const remedy = 'Give the outer address of each peer a route of its own: ip route add <address> via <gateway>.'
      this.#parts.emit({ type: 'warning', code: 'route-loop', message, remedy })
    }
    return routes.filter((prefix) => !looping.includes(prefix))
  }

  async #learn(changes: readonly RouteChange[]): Promise<boolean> {
    if (changes.length === 0) return true
    try {
      await this.#parts.children.learn(changes)
      return true
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error)
      const message = `the engine refuses ${changes.length} learned routes, from ${changes[0]!.prefix} on: ${text}`
      const remedy = 'Take fewer: set max_prefixes, or an import policy that is narrower.'
      this.#parts.emit({ type: 'warning', code: 'bgp-routes', message, remedy })
      return false
    }
  }
}

function take(set: Set<Prefix>): Prefix[] {
  const taken: Prefix[] = []
  for (const prefix of set) {
    taken.push(prefix)
    set.delete(prefix)
    if (taken.length >= BATCH) break
  }
  return taken
}
