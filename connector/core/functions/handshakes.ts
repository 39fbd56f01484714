/** What became of handshakes, as counts; of those that failed, some words now and then. */
import type { Instant } from '../../../protocol/machine.ts'

/**
 * `established`, `resumed`: good. `refused`: a token that is not. `other-key`: for a key or a ticket that is not ours.
 * `malformed`: makes no sense. `timeout`: nobody was there in time. `lost`: gone before. `shed`: no room.
 */
export const HANDSHAKE_RESULTS = [
  'established',
  'resumed',
  'refused',
  'other-key',
  'malformed',
  'timeout',
  'lost',
  'shed',
] as const
export type HandshakeResult = (typeof HANDSHAKE_RESULTS)[number]

/** Between two lines about failures of one kind. */
export const HANDSHAKE_NOTE_MS = 10_000

export class Handshakes {
  readonly #counts: Partial<Record<HandshakeResult, number>> = {}
  readonly #notes = new Map<HandshakeResult, { at: Instant; unsaid: number }>()

  get counts(): Readonly<Partial<Record<HandshakeResult, number>>> {
    return this.#counts
  }

  /** Counts one. How many failures of its kind to tell of now, this one among them; 0 for nothing. */
  count(result: HandshakeResult, now: Instant): number {
    this.#counts[result] = (this.#counts[result] ?? 0) + 1
    if (result === 'established' || result === 'resumed') return 0
    const note = this.#notes.get(result)
    if (note !== undefined && now - note.at < HANDSHAKE_NOTE_MS) {
      note.unsaid++
      return 0
    }
    this.#notes.set(result, { at: now, unsaid: 0 })
    return 1 + (note?.unsaid ?? 0)
  }
}
