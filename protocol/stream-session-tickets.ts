/** The connector's store of resumption secrets: each is given out once. */
import type { Instant } from './machine.ts'
import type { SessionIdentity, TakenTicket } from './stream-session-types.ts'

export interface TicketLimits {
  /** Tickets in all; beyond it the oldest gives way. */
  readonly capacity: number
  /** Tickets of one function; beyond it the oldest of this function gives way. */
  readonly perFunction: number
}

interface Kept extends TakenTicket {
  readonly until: Instant
}

export class TicketStore {
  readonly #limits: TicketLimits
  /** Oldest first, by id in hexadecimal. */
  readonly #tickets = new Map<string, Kept>()
  /** Ids of each function, oldest first. */
  readonly #byFunction = new Map<string, Set<string>>()

  constructor(limits: TicketLimits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#tickets.size
  }

  /** The secret is the store's from here on; it wipes what it drops. */
  keep(id: Uint8Array, secret: Uint8Array, identity: SessionIdentity, goodMs: number, now: Instant): void {
    this.#expire(now)
    const key = hex(id)
    this.#drop(key)
    const own = this.#byFunction.get(identity.function) ?? new Set()
    if (own.size >= this.#limits.perFunction) this.#drop(first(own))
    if (this.#tickets.size >= this.#limits.capacity) this.#drop(first(this.#tickets.keys()))
    this.#tickets.set(key, { secret, identity, until: now + goodMs })
    own.add(key)
    this.#byFunction.set(identity.function, own)
  }

  /** Takes a ticket out; the secret is the caller's to wipe. Undefined where it is unknown, spent or expired. */
  take(id: Uint8Array, now: Instant): TakenTicket | undefined {
    this.#expire(now)
    const key = hex(id)
    const kept = this.#tickets.get(key)
    if (kept === undefined) return undefined
    if (kept.until <= now) this.#drop(key)
    else this.#remove(key, kept)
    return kept.until <= now ? undefined : { secret: kept.secret, identity: kept.identity }
  }

  /** Drops the tickets of a function. */
  forget(functionId: string): void {
    for (const key of [...(this.#byFunction.get(functionId) ?? [])]) this.#drop(key)
  }

  /** Drops all tickets. */
  clear(): void {
    for (const key of [...this.#tickets.keys()]) this.#drop(key)
  }

  /** Those at the front: as all are good for about as long, few expired ones lie behind others, and those `take` finds. */
  #expire(now: Instant): void {
    for (const [key, kept] of this.#tickets) {
      if (kept.until > now) return
      this.#drop(key)
    }
  }

  #drop(key: string | undefined): void {
    const kept = key === undefined ? undefined : this.#tickets.get(key)
    if (key === undefined || kept === undefined) return
    this.#remove(key, kept)
    kept.secret.fill(0)
  }

  #remove(key: string, kept: Kept): void {
    this.#tickets.delete(key)
    const own = this.#byFunction.get(kept.identity.function)
    own?.delete(key)
    if (own?.size === 0) this.#byFunction.delete(kept.identity.function)
  }
}

function first(keys: Iterable<string>): string | undefined {
  for (const key of keys) return key
  return undefined
}

function hex(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0')
  return text
}
