/** Whether, and where, something that failed may be tried again. */
import { IsthmusError } from './error.ts'
import type { Session } from './session.ts'
import type { SiteState } from './site-state.ts'
import { pause } from './timers.ts'

const MOST = 4
/** The session is good for nothing new; a new one may be. */
const SESSION_OVER = new Set(['token-expired', 'key-changed', 'draining'])

export class Tries {
  /** Connectors that are not to be asked again. */
  readonly avoid = new Set<string>()
  readonly #site: SiteState
  readonly #signal: AbortSignal | null
  #count = 1
  #first: unknown

  constructor(site: SiteState, signal: AbortSignal | null) {
    this.#site = site
    this.#signal = signal
  }

  /**
   * Resolves when it may be tried again, rejects with the error to be told. `session`: where it failed, undefined
   * where there was none. `complete`: all that is needed for another try is there. `harmless`: also where something
   * may have been done.
   */
  async next(error: unknown, session: Session | undefined, complete: boolean, harmless: boolean): Promise<void> {
    this.#first ??= error
    if (!(error instanceof IsthmusError)) throw error
    // Without a session all ways have been tried; what the first one said tells more.
    if (session === undefined) throw this.avoid.size > 0 ? this.#first : error
    if (this.#count >= MOST || !complete) throw error
    const undone = error.retry !== 'never'
    if (!undone && !(harmless && error.code === 'session-lost')) throw error
    this.#count++
    if (SESSION_OVER.has(error.code)) session.retire()
    if (!undone) return
    if (error.code === 'token-expired' || error.code === 'key-changed') {
      this.#site.dropGrants()
      return
    }
    await this.#elsewhere(error, session.way.connector.id)
  }

  async #elsewhere(error: IsthmusError, connector: string): Promise<void> {
    this.avoid.add(connector)
    if (this.#site.hasOther(this.avoid)) return
    // Only this one is left: it may have room again, but a service that was not there is not there now.
    if (error.retry === 'later') throw error
    this.avoid.clear()
    await pause(this.#site.shared.timing.backoff * 2 ** (this.#count - 2) * (0.75 + jitter() / 2), this.#signal)
  }
}

function jitter(): number {
  return crypto.getRandomValues(new Uint8Array(1))[0]! / 256
}
