/**
 * What answers behind a peer that does not understand our probes: ICMP echo, or a TCP connection, to one address. The
 * same state, round trip and loss as of a tunnel's own probes; loss is of both ways together.
 */
import type { Instant, Machine } from '../../../protocol/machine.ts'
import { LossWindow } from './arrivals.ts'
import { Liveness } from './liveness.ts'
import type { PathReport } from './report.ts'
import { Teller } from './teller.ts'

export interface TargetSettings {
  readonly intervalMs: number
  readonly multiplier: number
}

export type TargetInput =
  | { readonly type: 'time' }
  /** To the probe of that number, with the round trip in milliseconds. */
  | { readonly type: 'answered'; readonly number: number; readonly rttMs: number }

export type TargetEffect =
  | { readonly type: 'ask'; readonly number: number }
  /** Nothing is to wait for an answer to probes up to this number any more. */
  | { readonly type: 'give-up'; readonly number: number }
  | { readonly type: 'report'; readonly report: PathReport }

/** Probes that are waited for at most, whatever the interval. */
const MOST_OPEN = 16

export class TargetMachine implements Machine<TargetInput, TargetEffect> {
  readonly #settings: TargetSettings
  readonly #effects: TargetEffect[] = []
  readonly #liveness: Liveness
  readonly #loss = new LossWindow()
  readonly #teller = new Teller()
  /** Numbers without an answer, oldest first. */
  readonly #open = new Set<number>()
  #number = 0
  #judged = 0
  #lost = 0
  #sendAt: Instant = 0
  #now: Instant = 0

  constructor(settings: TargetSettings) {
    this.#settings = settings
    this.#liveness = new Liveness({ ...settings, patient: true })
  }

  handle(input: TargetInput, now: Instant): void {
    this.#now = now
    if (input.type === 'answered' && this.#open.delete(input.number)) {
      this.#liveness.hasPeer()
      this.#liveness.roundTrip.sample(input.rttMs, now)
      this.#liveness.answered(input.number, now)
      this.#judge(1, 0)
    }
    this.#liveness.expire(now)
    if (now >= this.#sendAt) this.#ask(now)
    const report = this.#teller.news(() => this.#report(now), this.#settings.intervalMs, now)
    if (report !== undefined) this.#effects.push({ type: 'report', report })
  }

  poll(): TargetEffect | undefined {
    return this.#effects.shift()
  }

  deadline(): Instant | undefined {
    const { intervalMs } = this.#settings
    const times = [this.#sendAt, this.#liveness.deadline(this.#now), this.#teller.deadline(intervalMs)]
    return Math.min(...times.filter((time) => time !== undefined))
  }

  #ask(now: Instant): void {
    const number = ++this.#number
    this.#open.add(number)
    const most = Math.min(MOST_OPEN, 2 * this.#settings.multiplier + 2)
    for (const oldest of this.#open) {
      if (this.#open.size <= most) break
      this.#open.delete(oldest)
      this.#effects.push({ type: 'give-up', number: oldest })
      this.#judge(1, 1)
    }
    this.#liveness.sent(number, now)
    this.#sendAt = now + this.#settings.intervalMs
    this.#effects.push({ type: 'ask', number })
  }

  #judge(count: number, lost: number): void {
    this.#judged += count
    this.#lost += lost
    this.#loss.update(this.#judged, this.#lost)
    this.#teller.note()
  }

  #report(now: Instant): PathReport {
    const { state, roundTrip, answeredAt } = this.#liveness
    const { smoothedMs, deviationMs } = roundTrip
    const { share, counts } = this.#loss
    return {
      state,
      ...(answeredAt === undefined ? {} : { silentMs: now - answeredAt }),
      ...(smoothedMs === undefined ? {} : { rttMs: smoothedMs, jitterMs: deviationMs }),
      ...(share === undefined ? {} : { lossOut: share }),
      counts: { out: counts, in: { sent: 0, lost: 0 } },
    }
  }
}
