/** We restarted: decisions wait until our neighbours have told us what they have (RFC 4724 section 4.1). */
import type { Instant } from '../../../../protocol/machine.ts'
import type { Family } from '../../../../protocol/net.ts'

export class Restart {
  #until: Instant | undefined
  /** Families whose end is awaited; undefined: the neighbour has not come up yet. */
  readonly #awaited = new Map<string, Set<Family> | undefined>()

  get isDeferring(): boolean {
    return this.#until !== undefined
  }

  deadline(): Instant | undefined {
    return this.#until
  }

  defer(neighbours: readonly string[], until: Instant): void {
    for (const neighbour of neighbours) this.#awaited.set(neighbour, undefined)
    this.#until = until
    this.#check()
  }

  /** `families`: whose end it is going to tell; none: it is not waited for. */
  up(neighbour: string, families: readonly Family[]): void {
    if (families.length === 0) this.down(neighbour)
    else if (this.#awaited.has(neighbour)) this.#awaited.set(neighbour, new Set(families))
  }

  /** One that was up and is not any more is not waited for; one that never came has until the end. */
  down(neighbour: string): void {
    this.#awaited.delete(neighbour)
    this.#check()
  }

  ended(neighbour: string, family: Family): void {
    const families = this.#awaited.get(neighbour)
    if (families === undefined) return
    families.delete(family)
    if (families.size === 0) this.down(neighbour)
  }

  tick(now: Instant): void {
    if (this.#until === undefined || now < this.#until) return
    this.#awaited.clear()
    this.#check()
  }

  #check(): void {
    if (this.#awaited.size === 0) this.#until = undefined
  }
}
