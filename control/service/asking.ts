/** When connectors were asked last how they are. Their reports come by themselves too, but late. */

/** Between two times that one is asked. */
const ASK_MS = 900
/** More than that, and those that may be asked again anyway are forgotten. */
const MOST = 4096

export class Asking {
  readonly #askedAt = new Map<string, number>()

  isDue(key: string, now: number): boolean {
    return now - (this.#askedAt.get(key) ?? 0) >= ASK_MS
  }

  note(key: string, now: number): void {
    if (this.#askedAt.size >= MOST) this.#forget(now)
    this.#askedAt.set(key, now)
  }

  #forget(now: number): void {
    for (const key of this.#askedAt.keys()) if (this.isDue(key, now)) this.#askedAt.delete(key)
  }
}
