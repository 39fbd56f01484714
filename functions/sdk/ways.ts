/**
 * What is known of the ways to connectors, and the order in which they are tried. Numbers only, shared by all
 * invocations of a process.
 */
import type { GrantedConnector } from './grant-reader.ts'
import type { Timing } from './platform.ts'

export type Via = 'direct' | 'relay'

export interface Way {
  readonly connector: GrantedConnector
  readonly via: Via
}

/** One that is tried, so many milliseconds after the one before it, or when that has failed. */
export interface Attempt extends Way {
  readonly after: number
  /** Sessions went well over it a short while ago. */
  readonly proven: boolean
}

interface Known {
  /** From dialling to an answered handshake; smoothed, or a lower bound where it lost a race. Milliseconds. */
  handshakeMs: number | undefined
  measuredAt: number
  goodAt: number | undefined
  failedAt: number | undefined
}

/** How long something known counts; milliseconds. */
const GOOD_MS = 600_000
const BAD_MS = 300_000
const MOST = 512

export class Ways {
  readonly #known = new Map<string, Known>()

  /** A handshake was answered after `ms`. */
  good(way: Way, ms: number, now: number): void {
    const known = this.#of(way)
    const before = known.goodAt !== undefined && now - known.goodAt < GOOD_MS ? known.handshakeMs : undefined
    known.handshakeMs = before === undefined ? ms : before * 0.7 + ms * 0.3
    known.measuredAt = now
    known.goodAt = now
    known.failedAt = undefined
  }

  /** It had no answer when another way had one, after `ms`: it is farther than that. */
  slower(way: Way, ms: number, now: number): void {
    const known = this.#of(way)
    if (known.goodAt !== undefined && now - known.goodAt < GOOD_MS) return
    known.handshakeMs = ms * 1.5
    known.measuredAt = now
    known.goodAt = undefined
  }

  failed(way: Way, now: number): void {
    const known = this.#of(way)
    known.failedAt = now
    known.goodAt = undefined
  }

  /** Every way, the best first. A connector of which nothing is known is tried together with the first. */
  order(connectors: readonly GrantedConnector[], now: number, timing: Timing): Attempt[] {
    const each = connectors
      .map((connector) => ({ connector, vias: this.#viasOf(connector, now) }))
      .filter(({ vias }) => vias.length > 0)
      .map(({ connector, vias }) => ({ connector, vias, ms: this.#score({ connector, via: vias[0]! }, now) }))
      .sort((a, b) => (a.ms ?? Number.MAX_VALUE) - (b.ms ?? Number.MAX_VALUE))
    const attempts: Attempt[] = []
    for (const turn of [0, 1]) {
      for (const { connector, vias, ms } of each) {
        const via = vias[turn]
        if (via === undefined) continue
        const first = attempts[0]
        const after = turn === 0 && ms === undefined ? 0 : first?.proven === true ? timing.patience : timing.stagger
        attempts.push({
          connector,
          via,
          after: first === undefined ? 0 : after,
          proven: this.#proven({ connector, via }, now),
        })
      }
    }
    return attempts
  }

  /** Straight before relayed, unless it failed lately. */
  #viasOf(connector: GrantedConnector, now: number): Via[] {
    const vias: Via[] = []
    if (connector.direct !== undefined) vias.push('direct')
    if (connector.relay !== undefined) vias.push('relay')
    const failedLately = (via: Via) => now - (this.#known.get(keyOf({ connector, via }))?.failedAt ?? -BAD_MS) < BAD_MS
    return [...vias.filter((via) => !failedLately(via)), ...vias.filter(failedLately)]
  }

  #score(way: Way, now: number): number | undefined {
    const known = this.#known.get(keyOf(way))
    return known !== undefined && now - known.measuredAt < GOOD_MS ? known.handshakeMs : undefined
  }

  #proven(way: Way, now: number): boolean {
    const goodAt = this.#known.get(keyOf(way))?.goodAt
    return goodAt !== undefined && now - goodAt < GOOD_MS
  }

  #of(way: Way): Known {
    const key = keyOf(way)
    let known = this.#known.get(key)
    if (known === undefined) {
      known = { handshakeMs: undefined, measuredAt: 0, goodAt: undefined, failedAt: undefined }
      this.#known.set(key, known)
      if (this.#known.size > MOST) this.#known.delete(this.#known.keys().next().value!)
    }
    return known
  }
}

function keyOf({ connector, via }: Way): string {
  return `${via} ${connector.id}`
}
