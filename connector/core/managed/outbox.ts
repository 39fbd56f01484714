/**
 * What a connector has to say on its link, at the pace that the control plane takes: it ends links that say more. Of
 * reports only the newest counts, so that none waits behind older ones; events keep their order, the oldest give way.
 */
import type { ConnectorReport, FromConnector, LinkEvent } from '../../../protocol/control/link.ts'
import type { Instant } from '../../../protocol/machine.ts'

/** Less than the control plane allows, for messages may bunch on the way. */
export const OUTBOX_PACE = { perSecond: 8, burst: 40 } as const
/** Events that wait. */
const MAX_EVENTS = 100

export class Outbox {
  #report: ConnectorReport | undefined
  #reportWaits = false
  #events: LinkEvent[] = []
  #tokens: number = OUTBOX_PACE.burst
  #refilledAt: Instant = 0

  /** The newest, sent or not. */
  get report(): ConnectorReport | undefined {
    return this.#report
  }

  addReport(report: ConnectorReport): void {
    this.#report = report
    this.#reportWaits = true
  }

  addEvent(event: LinkEvent): void {
    this.#events.push(event)
    if (this.#events.length > MAX_EVENTS) this.#events.shift()
  }

  /** A new link counts anew; the hello is its first message. */
  restart(now: Instant): void {
    this.#tokens = OUTBOX_PACE.burst - 1
    this.#refilledAt = now
    this.#reportWaits = this.#report !== undefined
  }

  /** The next message that may go now. */
  next(now: Instant): FromConnector | undefined {
    if (!this.#waits || !this.#mayGo(now)) return undefined
    this.#tokens--
    if (!this.#reportWaits) return { type: 'event', event: this.#events.shift()! }
    this.#reportWaits = false
    return { type: 'report', report: this.#report! }
  }

  /** When `next` has something again; undefined when nothing waits. */
  get readyAt(): Instant | undefined {
    if (!this.#waits) return undefined
    return this.#refilledAt + (Math.max(0, 1 - this.#tokens) * 1000) / OUTBOX_PACE.perSecond
  }

  /** For plain HTTP, which takes them all at once. */
  takeEvents(): LinkEvent[] {
    return this.#events.splice(0)
  }

  /** They did not arrive, as far as is known; told twice is better than never. */
  giveBack(events: readonly LinkEvent[]): void {
    this.#events = [...events, ...this.#events].slice(-MAX_EVENTS)
  }

  get #waits(): boolean {
    return this.#reportWaits || this.#events.length > 0
  }

  #mayGo(now: Instant): boolean {
    const { perSecond, burst } = OUTBOX_PACE
    // A hair's breadth: at `readyAt` the sum may come out just below one.
    const refill = ((now - this.#refilledAt) * perSecond) / 1000 + 1e-9
    this.#tokens = Math.min(burst, this.#tokens + Math.max(0, refill))
    this.#refilledAt = now
    return this.#tokens >= 1
  }
}
