/** Looks at one region. What is asked for while one is under way is looked at together, by the next one. */
import type { Seen, Subject } from '../domain/cloud/provider.ts'

interface Asked {
  readonly subjects: readonly Subject[]
  readonly resolve: (seen: readonly Seen[]) => void
  readonly reject: (error: unknown) => void
}

export class Looks {
  readonly #look: (subjects: readonly Subject[]) => Promise<readonly Seen[]>
  #waiting: Asked[] = []
  #busy = false

  /** `look`: each subject's own view, in their order. */
  constructor(look: (subjects: readonly Subject[]) => Promise<readonly Seen[]>) {
    this.#look = look
  }

  /** Never what was there before the call. Rejects as `look` does. */
  at(subjects: readonly Subject[]): Promise<readonly Seen[]> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ subjects, resolve, reject })
      if (!this.#busy) void this.#work()
    })
  }

  async #work(): Promise<void> {
    this.#busy = true
    // Whoever asks at the same time comes along.
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const together = this.#waiting
      this.#waiting = []
      await this.#serve(together)
    }
    this.#busy = false
  }

  async #serve(together: readonly Asked[]): Promise<void> {
    try {
      const seen = await this.#look(together.flatMap(({ subjects }) => subjects))
      let at = 0
      for (const { subjects, resolve } of together) {
        resolve(seen.slice(at, at + subjects.length))
        at += subjects.length
      }
    } catch (error) {
      for (const { reject } of together) reject(error)
    }
  }
}
