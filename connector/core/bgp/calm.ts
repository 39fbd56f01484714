/** Keeps a neighbour from filling the log: of each kind of news some a minute are told, and how many were not. */
import type { Instant } from '../../../protocol/machine.ts'

const WINDOW_MS = 60_000
const TOLD = 20

interface Window {
  since: Instant
  told: number
  held: number
}

export class Calm {
  readonly #windows = new Map<string, Window>()

  /** Undefined: it is not to be told. Otherwise how many of the kind were held back before. */
  ask(kind: string, now: Instant): number | undefined {
    const window = this.#windows.get(kind)
    if (window !== undefined && now - window.since < WINDOW_MS) {
      if (window.told >= TOLD) {
        window.held++
        return undefined
      }
      window.told++
      return 0
    }
    this.#windows.set(kind, { since: now, told: 1, held: 0 })
    return window?.held ?? 0
  }
}
