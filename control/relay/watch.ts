/** Where several processes share one store: who was revoked by another one, for the relay that is here. */
import type { Repo } from '../store/repo.ts'
import type { Revocations } from './hub.ts'
import type { Present } from './types.ts'

export interface Watched extends Revocations {
  /** Who is there, by network. */
  present(): ReadonlyMap<string, Present>
}

type Seen = ReadonlyMap<string, number>

export class RelayWatch {
  readonly #repo: Pick<Repo, 'get' | 'revisions'>
  readonly #relay: Watched
  /** Revisions when last looked at, by network and kind. */
  #seen = new Map<string, Seen>()

  constructor(repo: Pick<Repo, 'get' | 'revisions'>, relay: Watched) {
    this.#repo = repo
    this.#relay = relay
  }

  /** Ends what the relay holds of those whose records have changed since the last time and who are revoked. */
  async look(): Promise<void> {
    const seen = new Map<string, Seen>()
    for (const [network, { connectors, functions }] of this.#relay.present()) {
      for (const id of await this.#revoked(network, 'connector', connectors, seen)) this.#relay.revoked(network, id)
      // A function that is revoked gets no other token: none is good.
      for (const id of await this.#revoked(network, 'function', functions, seen))
        this.#relay.functionRevoked(network, id, Number.POSITIVE_INFINITY)
    }
    this.#seen = seen
  }

  async #revoked(
    network: string,
    kind: 'connector' | 'function',
    ids: ReadonlySet<string>,
    seen: Map<string, Seen>,
  ): Promise<string[]> {
    if (ids.size === 0) return []
    const key = `${kind} ${network}`
    const now = await this.#repo.revisions(network, kind)
    const before = this.#seen.get(key)
    seen.set(key, new Map([...ids].flatMap((id) => (now.has(id) ? [[id, now.get(id)!]] : []))))
    const revoked: string[] = []
    for (const id of ids) {
      if (now.get(id) === undefined || before?.get(id) === now.get(id)) continue
      const entry = await this.#repo.get(network, kind, id)
      if (entry?.value.revokedAt !== undefined) revoked.push(id)
    }
    return revoked
  }
}
