/**
 * Brings what BGP has learned into the engines and the kernel, in batches, and never two of a kind at once.
 *
 * The engine of a prefix knows it before the kernel sends packets, and forgets it after: nothing falls between. What is
 * new comes before what is gone goes. A change of tunnels is the engines' affair alone and waits for no kernel. Of many
 * changes of a prefix the last one counts.
 */
import { type Address, familyOf } from '../../../protocol/net.ts'
import { type PrefixBlock, pickOf, prefixAt } from '../../../protocol/prefix-block.ts'
import type { RouteChanges } from '../../core/bgp/speaker-types.ts'
import type { ConnectorEvent } from '../../handle.ts'
import type { Children } from '../children.ts'
import type { KernelRoutes } from '../kernel-routes.ts'
import type { RouteFailure } from '../routes-linux.ts'
import { MARK, PendingRoutes, type Taken } from './pending-routes.ts'

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
  /** For the engines, with tunnels; for the kernel; to be taken from the kernel, then from the engines. */
  readonly #waiting = new PendingRoutes()
  #engines: Promise<void> | undefined
  #kernel: Promise<void> | undefined
  #isStopped = false

  constructor(parts: LearnedRoutesParts) {
    this.#parts = parts
  }

  take({ prefixes, tunnels }: RouteChanges): void {
    if (this.#isStopped) return
    for (let index = 0; index < tunnels.length; index++) {
      if (tunnels[index]!.length > 0) {
        this.#waiting.forget(MARK.gone | MARK.forgotten | MARK.leaving, prefixes, index)
        this.#waiting.wait(MARK.engines, prefixes, index, tunnels[index])
      } else {
        this.#waiting.forget(MARK.engines | MARK.kernel | MARK.raising, prefixes, index)
        this.#waiting.wait(MARK.gone, prefixes, index)
      }
    }
    this.#go()
  }

  /** Changes that are not carried out yet. */
  get pending(): number {
    return this.#pendingOf(MARK.engines, MARK.forgotten) + this.#pendingOf(MARK.kernel, MARK.gone)
  }

  #pendingOf(...marks: (typeof MARK)[keyof typeof MARK][]): number {
    return marks.reduce((sum, mark) => sum + this.#waiting.count(mark), 0)
  }

  get isBusy(): boolean {
    return this.pending > 0 || this.#engines !== undefined || this.#kernel !== undefined
  }

  /** What has been learned stays where it is until the tunnels are gone, so that nothing leaves in the clear. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#waiting.clear()
    await Promise.all([this.#engines, this.#kernel])
  }

  #go(): void {
    this.#engines ??= this.#runEngines().finally(() => {
      this.#engines = undefined
      if (this.#pendingOf(MARK.engines, MARK.forgotten) > 0) this.#go()
    })
    this.#kernel ??= this.#runKernel().finally(() => {
      this.#kernel = undefined
      if (this.#pendingOf(MARK.kernel, MARK.gone) > 0) this.#go()
    })
  }

  async #runEngines(): Promise<void> {
    const waiting = this.#waiting
    while (this.#pendingOf(MARK.engines, MARK.forgotten) > 0) {
      const forgotten = waiting.take(MARK.forgotten, 0, BATCH)
      await Promise.all(
        forgotten.map(({ prefixes }) => this.#learn({ prefixes, tunnels: Array(prefixes.lengths.length).fill([]) })),
      )
      const changes = waiting.take(MARK.engines, MARK.raising, BATCH)
      await Promise.all(
        changes.map(async (each) => {
          const isLearned = await this.#learn(each)
          waiting.pass(MARK.raising, isLearned && !this.#isStopped ? MARK.kernel : 0, each)
        }),
      )
      this.#go()
    }
  }

  async #runKernel(): Promise<void> {
    let hasRested = false
    while (this.#pendingOf(MARK.kernel, MARK.gone) > 0) {
      await this.#addToKernel(this.#waiting.take(MARK.kernel, 0, BATCH))
      if (this.#waiting.count(MARK.gone) === 0) hasRested = false
      else if (hasRested) await this.#takeFromKernel(this.#waiting.take(MARK.gone, MARK.leaving, BATCH))
      else {
        hasRested = true
        await this.#parts.grace?.()
      }
    }
  }

  async #takeFromKernel(gone: readonly Taken[]): Promise<void> {
    for (const each of gone) {
      await this.#parts.kernel.unlearn(each.prefixes)
      this.#waiting.pass(MARK.leaving, this.#isStopped ? 0 : MARK.forgotten, each)
    }
    this.#go()
  }

  async #addToKernel(added: readonly Taken[]): Promise<void> {
    const failures: RouteFailure[] = []
    for (const { prefixes } of added) {
      failures.push(...(await this.#parts.kernel.learn(await this.#withoutLoops(prefixes))))
    }
    const first = failures[0]
    if (first === undefined) return
    const more = failures.length === 1 ? '' : ` (and ${failures.length - 1} more)`
    const { code, message, remedy } = first.failure
    this.#parts.emit({ type: 'warning', code, message: `${message}${more}`, remedy })
  }

  /** A default route must not take the tunnels' own packets: the engine has it, the kernel does not. */
  async #withoutLoops(routes: PrefixBlock): Promise<PrefixBlock> {
    const { family, lengths } = routes
    const found = lengths.indexOf(0)
    if (found < 0 || this.#parts.cutOff === undefined) return routes
    const cutOff = await this.#parts.cutOff()
    if (!cutOff.some((each) => familyOf(each) === family)) return routes
    const message = `the default route ${prefixAt(routes, found)} is not used: the tunnel's own packets would follow it into the tunnel`
    const remedy = 'Give the outer address of each peer a route of its own: ip route add <address> via <gateway>.'
    this.#parts.emit({ type: 'warning', code: 'route-loop', message, remedy })
    const others = Array.from(lengths.keys()).filter((index) => index !== found)
    return pickOf(routes, others)
  }

  async #learn(changes: RouteChanges): Promise<boolean> {
    try {
      await this.#parts.children.learn(changes)
      return true
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error)
      const { prefixes, tunnels } = changes
      const message = `the engine refuses ${tunnels.length} learned routes, from ${prefixAt(prefixes, 0)} on: ${text}`
      const remedy = 'Take fewer: set max_prefixes, or an import policy that is narrower.'
      this.#parts.emit({ type: 'warning', code: 'bgp-routes', message, remedy })
      return false
    }
  }
}
