/**
 * Whether early data of an IK flight may be taken: only where it is certain that this flight was not taken before. All
 * times are milliseconds since 1970 by the control plane's clock, as near as it is known.
 */

export interface ReplayOptions {
  /** When this memory began. */
  readonly start: number
  /** Ephemeral keys that it holds; while it is full no early data is taken. */
  readonly capacity: number
  /** How old a flight may be. Default: 60,000. */
  readonly behindMs?: number
  /**
   * How far its clock may be ahead of ours. Default: 2,000. An earlier process may have taken flights from so far ahead,
   * and its memory is gone: for so long after the start none is taken.
   */
  readonly aheadMs?: number
}

export class ReplayMemory {
  readonly #capacity: number
  readonly #behindMs: number
  readonly #aheadMs: number
  readonly #start: number
  /** Keys seen, in two halves: each for the times of flights between two moments `behindMs + aheadMs` apart. */
  readonly #seen = new Map<number, Set<string>>()
  #latest = 0

  constructor({ start, capacity, behindMs = 60_000, aheadMs = 2_000 }: ReplayOptions) {
    this.#start = start
    this.#capacity = capacity
    this.#behindMs = behindMs
    this.#aheadMs = aheadMs
  }

  /** Keys that it holds. */
  get size(): number {
    let size = 0
    for (const keys of this.#seen.values()) size += keys.size
    return size
  }

  /** Whether early data may be taken; then the ephemeral key (32 bytes) is remembered, and the answer is yes once. */
  admit(ephemeral: Uint8Array, time: number, now: number): boolean {
    // A clock that was set back must not bring back times whose keys are forgotten.
    this.#latest = Math.max(this.#latest, now)
    const oldest = Math.max(this.#latest - this.#behindMs, this.#start + this.#aheadMs)
    if (!(time >= oldest && time <= now + this.#aheadMs)) return false
    const width = this.#behindMs + this.#aheadMs
    for (const slot of this.#seen.keys()) if ((slot + 1) * width <= oldest) this.#seen.delete(slot)
    const slot = Math.floor(time / width)
    const keys = this.#seen.get(slot) ?? new Set<string>()
    const key = String.fromCharCode(...ephemeral)
    if (keys.has(key) || this.size >= this.#capacity) return false
    keys.add(key)
    this.#seen.set(slot, keys)
    return true
  }
}
