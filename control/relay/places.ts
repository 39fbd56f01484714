/** Connectors at which anybody is, and who waits for whom there. */
import { SESSION_TOKEN_MS } from '../../protocol/control/grant.ts'
import type { Instant } from '../../protocol/machine.ts'
import type { ConnectorNames, Socket } from './types.ts'

/** One connector. */
export interface Place extends ConnectorNames {
  readonly key: string
  readonly waiting: Set<Socket>
  readonly spares: Set<Socket>
  readonly pairs: Set<Pair>
  /** Sockets by function, joined or waiting. */
  readonly functions: Map<string, number>
}

export interface Waiting {
  readonly place: Place
  readonly function: string
  readonly until: Instant
  first: Uint8Array | undefined
}

export interface Spare {
  readonly place: Place
  readonly until: Instant
}

export interface Pair {
  readonly place: Place
  readonly function: string
  readonly caller: Socket
  readonly server: Socket
  readonly joinedAt: Instant
}

export class Places {
  readonly #places = new Map<string, Place>()

  get size(): number {
    return this.#places.size
  }

  all(): Iterable<Place> {
    return this.#places.values()
  }

  get(names: ConnectorNames): Place | undefined {
    return this.#places.get(keyOf(names))
  }

  /** The connector's; made when there is none. */
  of(names: ConnectorNames): Place {
    const key = keyOf(names)
    const known = this.#places.get(key)
    if (known !== undefined) return known
    const { network, connector } = names
    const sets = { waiting: new Set<Socket>(), spares: new Set<Socket>(), pairs: new Set<Pair>() }
    const fresh: Place = { network, connector, key, ...sets, functions: new Map() }
    this.#places.set(key, fresh)
    return fresh
  }

  /** Nothing is kept of a connector at which nobody is. */
  tidy(place: Place): void {
    if (place.waiting.size + place.spares.size + place.pairs.size === 0) this.#places.delete(place.key)
  }
}

export function keyOf({ network, connector }: ConnectorNames): string {
  return `${network}/${connector}`
}

export function count(place: Place, id: string, by: 1 | -1): void {
  const next = (place.functions.get(id) ?? 0) + by
  if (next === 0) place.functions.delete(id)
  else place.functions.set(id, next)
}

/**
 * What was withdrawn of late. Whoever was admitted before may still be on the way here, and session tokens of before
 * are good for some minutes.
 */
export class Withdrawn {
  /** In the order of time. */
  readonly #marks = new Map<string, { readonly forgetAt: Instant; readonly issuedUntil: number }>()

  /** `issuedUntil`: tokens of later are good, milliseconds since 1970. */
  note(key: string, issuedUntil: number, now: Instant): void {
    this.#marks.delete(key)
    this.#marks.set(key, { forgetAt: now + SESSION_TOKEN_MS, issuedUntil })
    for (const [old, { forgetAt }] of this.#marks) {
      if (forgetAt > now && this.#marks.size <= MAX_MARKS) break
      this.#marks.delete(old)
    }
  }

  has(key: string, issuedAt: number, now: Instant): boolean {
    const mark = this.#marks.get(key)
    return mark !== undefined && mark.forgetAt > now && issuedAt <= mark.issuedUntil
  }
}

const MAX_MARKS = 10_000
