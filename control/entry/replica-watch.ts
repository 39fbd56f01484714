/** Where several processes share one store: what another one has changed, for the links that are held here. */
import type { Links } from '../link/links.ts'
import type { Repo } from '../store/repo.ts'

export class ReplicaWatch {
  readonly #repo: Repo
  readonly #links: Links
  /** Revisions of connectors when last looked at, by network. */
  readonly #seen = new Map<string, ReadonlyMap<string, number>>()

  constructor(repo: Repo, links: Links) {
    this.#repo = repo
    this.#links = links
  }

  /** Tells the links of connectors whose records have changed since the last time; of those seen first, too. */
  async look(): Promise<void> {
    const networks = new Set(this.#links.networks())
    for (const network of this.#seen.keys()) if (!networks.has(network)) this.#seen.delete(network)
    for (const network of networks) {
      const now = await this.#repo.revisions(network, 'connector')
      const before = this.#seen.get(network)
      this.#seen.set(network, now)
      const changed = [...now].filter(([id, revision]) => before?.get(id) !== revision).map(([id]) => id)
      if (changed.length > 0) this.#links.changed(network, changed)
    }
  }
}
