/** With a control plane that does not answer, while a verb watches what goes on without it. */
import { EXIT } from '../../handle.ts'
import { ApiFailure } from './transport.ts'

/** After this a person should look. */
const PATIENCE_MS = 10 * 60_000

export class Patience {
  #since: number | undefined

  answered(): void {
    this.#since = undefined
  }

  /** Whether it is news that it does not answer. Throws `error` where it says something else, or when this takes too long. */
  bear(error: unknown, now: number): boolean {
    if (!(error instanceof ApiFailure) || error.exitCode !== EXIT.noControl) throw error
    const isNews = this.#since === undefined
    this.#since ??= now
    if (now - this.#since > PATIENCE_MS) throw error
    return isNews
  }
}
