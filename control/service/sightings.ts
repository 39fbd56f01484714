/** When each connector was last heard of by this process. Too often to be stored, and not needed by any decision. */
const MAX_KEPT = 100_000

interface Sighting {
  readonly at: number
  readonly startedAt: number
}

export class Sightings {
  readonly #seen = new Map<string, Sighting>()

  /** Whether the report is of an earlier start of the connector than the one before: then there are two of it. */
  note(network: string, connector: string, at: number, startedAt: number): boolean {
    const key = `${network}/${connector}`
    const before = this.#seen.get(key)
    if (before === undefined && this.#seen.size >= MAX_KEPT) this.#seen.clear()
    this.#seen.set(key, { at, startedAt })
    return before !== undefined && startedAt < before.startedAt
  }

  lastSeen(network: string, connector: string): number | undefined {
    return this.#seen.get(`${network}/${connector}`)?.at
  }
}
