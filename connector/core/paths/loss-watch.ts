/**
 * Whether loss is beyond a limit, told from few packets and without flapping: two sequential tests (CUSUM, Page 1954).
 *
 * `beyond` is reached by evidence that more than the limit is lost (2.5 times it rather than the limit itself), and left
 * by evidence that clearly less is lost (0.45 of it rather than 0.95), so between about 0.7 of the limit and the limit
 * nothing changes whatever the length of the run. A short burst cannot reach it alone: what one slot of time says is
 * bounded.
 */
import type { Instant } from '../../../protocol/machine.ts'
import type { ProbeCount } from '../probe/report.ts'

/** Milliseconds that count as one observation. */
const SLOT_MS = 240
/** Evidence, in nats, of at least, and of at most: more packets in the same time afford more of it. */
const ENTER = { least: 5, most: 9 }
const LEAVE = { least: 6, most: 9 }
/** Milliseconds in which a loss of 2.5 times the limit should be found. */
const WANTED_MS = 1_000
/** Of the evidence that is needed, what one slot may bring, at least and at most: as much more as it is longer. */
const SLOT_SHARE = { least: 0.3, most: 0.4, ofMs: 2_000 }
/** Share of the evidence from which on it is worth a closer look. */
const SUSPICION = 0.18
/** Weight of a slot in the rates that are shown and compared, by its length. */
const SMOOTH_MS = 10_000

export class LossWatch {
  readonly #limit: number
  readonly #enter: Evidence
  readonly #leave: Evidence
  #isBeyond = false
  #before: ProbeCount | undefined
  #slot = { sent: 0, lost: 0, since: Number.NEGATIVE_INFINITY }
  #rate = 0
  #perMs = 0
  #seen = 0

  /** @param limit share of packets, more than 0 and less than 1 */
  constructor(limit: number) {
    this.#limit = limit
    this.#enter = new Evidence(limit, Math.min(2.5 * limit, (1 + limit) / 2))
    this.#leave = new Evidence(0.95 * limit, 0.45 * limit)
  }

  get isBeyond(): boolean {
    return this.#isBeyond
  }

  /** There are signs of too much loss, and too few packets to tell. */
  get isSuspect(): boolean {
    return !this.#isBeyond && this.#enter.sum >= SUSPICION * this.#needed(ENTER)
  }

  /** Smoothed loss as a multiple of the limit. */
  get ratio(): number {
    return this.#rate / this.#limit
  }

  /** Since when all that came speaks for less loss than the limit; only while `isBeyond`. */
  wellSince: Instant | undefined

  /** @param count so far; less than before is a new count */
  take(count: ProbeCount, now: Instant): void {
    const before = this.#before
    this.#before = count
    if (before === undefined || count.sent < before.sent || count.lost < before.lost) {
      this.#slot = { sent: 0, lost: 0, since: now }
      return
    }
    this.#slot.sent += count.sent - before.sent
    this.#slot.lost += count.lost - before.lost
    if (now - this.#slot.since < SLOT_MS || this.#slot.sent === 0) return
    this.#observe(now)
    this.#slot = { sent: 0, lost: 0, since: now }
  }

  /** Enough has been seen, over `wellSince` and the caller's hold, to say that the loss is over. */
  get hasRecovered(): boolean {
    return this.#leave.sum >= this.#needed(LEAVE)
  }

  /** To be told when the caller takes it to be well. */
  recover(): void {
    this.#isBeyond = false
    this.wellSince = undefined
    this.#enter.reset()
  }

  #observe(now: Instant): void {
    const { sent, lost, since } = this.#slot
    const ms = Math.max(1, now - since)
    this.#seen += ms
    // Longer than it is known at all, a smoothed rate cannot look back.
    const weight = Math.min(1, ms / Math.min(SMOOTH_MS, this.#seen))
    this.#rate += weight * (Math.min(1, lost / sent) - this.#rate)
    this.#perMs += weight * (sent / ms - this.#perMs)
    if (this.#isBeyond) {
      this.#leave.add(sent, lost, Number.POSITIVE_INFINITY)
      if (this.#leave.sum === 0) this.wellSince = undefined
      else this.wellSince ??= since
      return
    }
    const needed = this.#needed(ENTER)
    const { least, most, ofMs } = SLOT_SHARE
    this.#enter.add(sent, lost, needed * Math.min(most, Math.max(least, ms / ofMs)))
    if (this.#enter.sum < needed) return
    this.#isBeyond = true
    this.#leave.reset()
    this.wellSince = undefined
  }

  #needed({ least, most }: { readonly least: number; readonly most: number }): number {
    return Math.min(most, Math.max(least, this.#enter.gain * this.#perMs * WANTED_MS))
  }
}

/** Evidence for one rate of loss against another, in nats, never below 0. */
class Evidence {
  readonly #perLoss: number
  readonly #perPassed: number
  /** What a packet brings on average where the other rate is the true one. */
  readonly gain: number
  sum = 0

  constructor(against: number, towards: number) {
    this.#perLoss = Math.log(towards / against)
    this.#perPassed = Math.log((1 - towards) / (1 - against))
    this.gain = towards * this.#perLoss + (1 - towards) * this.#perPassed
  }

  add(sent: number, lost: number, most: number): void {
    const said = lost * this.#perLoss + Math.max(0, sent - lost) * this.#perPassed
    this.sum = Math.max(0, this.sum + Math.min(most, said))
  }

  reset(): void {
    this.sum = 0
  }
}
