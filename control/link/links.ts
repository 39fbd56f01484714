/** The links that one process holds. */
import type { HeldLink } from './held-link.ts'
import type { Hub } from './hub.ts'

/** Documents made anew in one turn when all change at once. */
const AT_ONCE = 64

export class Links implements Hub {
  /** By network, then by connector. */
  readonly #links = new Map<string, Map<string, HeldLink>>()
  /** Those that wait for their turn to be told of a change. */
  readonly #changed = new Set<HeldLink>()
  #working = 0

  get size(): number {
    let count = 0
    for (const links of this.#links.values()) count += links.size
    return count
  }

  /** Another one of the same connector ends: there are two with one identity, or it came back. */
  add(link: HeldLink): void {
    const { network, connector } = link.names
    const links = this.#links.get(network) ?? new Map<string, HeldLink>()
    this.#links.set(network, links)
    const before = links.get(connector)
    links.set(connector, link)
    void before?.giveWayTo(link.names)
  }

  /** Nothing happens where another one has taken its place. */
  remove(link: HeldLink): void {
    const { network, connector } = link.names
    const links = this.#links.get(network)
    if (links?.get(connector) !== link) return
    links.delete(connector)
    if (links.size === 0) this.#links.delete(network)
    this.#changed.delete(link)
  }

  /** Networks of which there are links here. */
  networks(): string[] {
    return [...this.#links.keys()]
  }

  changed(network: string, connectors: readonly string[] | 'all'): void {
    const links = this.#links.get(network)
    if (links === undefined) return
    if (connectors === 'all') for (const link of links.values()) this.#changed.add(link)
    else {
      for (const connector of connectors) {
        const link = links.get(connector)
        if (link !== undefined) this.#changed.add(link)
      }
    }
    this.#tell()
  }

  revoked(network: string, connector: string): void {
    const link = this.#links.get(network)?.get(connector)
    void link?.handle({ type: 'end', code: 'revoked', detail: 'this connector was revoked' })
  }

  /** Links are of connectors. */
  functionRevoked(): void {}

  asked(network: string, connectors: readonly string[]): void {
    const links = this.#links.get(network)
    for (const connector of connectors) void links?.get(connector)?.handle({ type: 'ask' })
  }

  /** Has the connector open so many sockets to the relay. False where it has no link here. */
  call(network: string, connector: string, count: number): boolean {
    const link = this.#links.get(network)?.get(connector)
    void link?.handle({ type: 'call', count })
    return link !== undefined
  }

  linked(network: string, connector: string): boolean {
    return this.#links.get(network)?.has(connector) ?? false
  }

  /** Ends them all; they come back elsewhere, or later. */
  async close(): Promise<void> {
    const all = [...this.#links.values()].flatMap((links) => [...links.values()])
    await Promise.all(
      all.map((link) => link.handle({ type: 'end', code: 'restart', detail: 'the control plane restarts' })),
    )
  }

  #tell(): void {
    for (const link of this.#changed) {
      if (this.#working >= AT_ONCE) return
      this.#changed.delete(link)
      this.#working++
      void link.handle({ type: 'changed' }).finally(() => {
        this.#working--
        this.#tell()
      })
    }
  }
}
