/**
 * Whether a path lives, by probes that are answered or not. Any answer to a newer probe ends a run of missed ones, however
 * late it is: only silence takes a path down.
 */
import type { Instant } from '../../../protocol/machine.ts'
import { RoundTrip } from './rtt.ts'

export interface LivenessSettings {
  /** Milliseconds from probe to probe, 10 or more. */
  readonly intervalMs: number
  /** So many missed in a row take the path down, so many answered in a row bring it up again: 1 or more. */
  readonly multiplier: number
  /** The other end may not know probes at all: silence means nothing before its first answer. */
  readonly patient: boolean
}

export class Liveness {
  readonly roundTrip = new RoundTrip()
  readonly #settings: LivenessSettings
  #state: 'unknown' | 'up' | 'down' = 'unknown'
  /** Probes without an answer, oldest first: those not yet counted as missed. */
  readonly #waiting: { readonly number: number; readonly sentAt: Instant }[] = []
  /** Missed in a row, and answered in a row while down. */
  #missed = 0
  #answered = 0
  /** Highest number that an answer has covered. */
  #covered = 0
  #answeredAt: Instant | undefined
  /** Our own lateness may have left answers unread: the decision waits until then, once. */
  #graceUntil: Instant | undefined
  #isPatient: boolean

  constructor(settings: LivenessSettings) {
    this.#settings = settings
    this.#isPatient = settings.patient
  }

  get state(): 'unknown' | 'up' | 'down' {
    return this.#state
  }

  /** Highest number that an answer has covered. */
  get covered(): number {
    return this.#covered
  }

  /** When that answer came. */
  get answeredAt(): Instant | undefined {
    return this.#answeredAt
  }

  /** Missed in a row, the last ones. */
  get missed(): number {
    return this.#missed
  }

  /** Enough is missing for a closer look, before the path is taken down. */
  get isSuspect(): boolean {
    return this.#state === 'up' && this.#missed >= Math.max(1, this.#settings.multiplier / 2)
  }

  /** A probe with a number higher than all before has left. */
  sent(number: number, now: Instant): void {
    this.#waiting.push({ number, sentAt: now })
  }

  /** The other end has what was sent up to `number`. */
  answered(number: number, now: Instant): void {
    if (number <= this.#covered) return
    this.#covered = number
    this.#answeredAt = now
    const before = this.#waiting.length
    while (this.#waiting.length > 0 && this.#waiting[0]!.number <= number) this.#waiting.shift()
    const isOfProbe = before > this.#waiting.length || this.#missed > 0
    this.#missed = 0
    this.#graceUntil = undefined
    if (this.#state === 'unknown') this.#state = 'up'
    else if (this.#state === 'down' && isOfProbe && ++this.#answered >= this.#settings.multiplier) this.#state = 'up'
  }

  /** The other end is known to understand probes: from here on its silence tells. */
  hasPeer(): void {
    this.#isPatient = false
  }

  /** Numbers begin anew: what has not been answered never will be. */
  renumber(): void {
    this.#covered = 0
    this.#waiting.length = 0
  }

  /** There is nothing to send on: nothing is known. */
  forget(): void {
    this.#state = 'unknown'
    this.#isPatient = this.#settings.patient
    this.#waiting.length = 0
    this.#missed = 0
    this.#answered = 0
    this.#graceUntil = undefined
  }

  /** Counts what is overdue. */
  expire(now: Instant): void {
    const { multiplier, intervalMs } = this.#settings
    const waitMs = this.roundTrip.waitMs(intervalMs, now)
    for (let oldest = this.#waiting[0]; oldest !== undefined; oldest = this.#waiting[0]) {
      const overdue = now - (oldest.sentAt + waitMs)
      if (overdue < 0 || now < (this.#graceUntil ?? now)) return
      if (this.#missed + 1 >= multiplier && this.#graceUntil === undefined && overdue > 0 && this.#state === 'up') {
        this.#graceUntil = now + Math.min(overdue, intervalMs)
        return
      }
      this.#waiting.shift()
      this.#missed++
      this.#answered = 0
      if (this.#missed >= multiplier && !(this.#state === 'unknown' && this.#isPatient)) this.#state = 'down'
    }
  }

  /** When `expire` has something to count. */
  deadline(now: Instant): Instant | undefined {
    const oldest = this.#waiting[0]
    if (oldest === undefined) return undefined
    return Math.max(oldest.sentAt + this.roundTrip.waitMs(this.#settings.intervalMs, now), this.#graceUntil ?? 0)
  }
}
