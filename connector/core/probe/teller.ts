/** When a report is due: at once where something turned, else now and then while there is news. */
import type { Instant } from '../../../protocol/machine.ts'
import type { PathReport } from './report.ts'

const LEAST_MS = 250
const MOST_MS = 1000

export class Teller {
  #told = ''
  #toldAt: Instant = Number.NEGATIVE_INFINITY
  #hasNews = false

  /** Numbers have changed. */
  note(): void {
    this.#hasNews = true
  }

  /** Whatever comes next is told. */
  forget(): void {
    this.#told = ''
  }

  /** The report, if it is time for one. */
  news(report: () => PathReport, intervalMs: number, now: Instant): PathReport | undefined {
    const made = report()
    const { state, mtu } = made
    const key = `${state} ${mtu?.pathMtu} ${mtu?.searching} ${mtu?.why}`
    if (key === this.#told && !(this.#hasNews && now >= this.#toldAt + periodOf(intervalMs))) return undefined
    this.#told = key
    this.#toldAt = now
    this.#hasNews = false
    return made
  }

  deadline(intervalMs: number): Instant | undefined {
    return this.#hasNews ? this.#toldAt + periodOf(intervalMs) : undefined
  }
}

function periodOf(intervalMs: number): number {
  return Math.min(MOST_MS, Math.max(LEAST_MS, intervalMs))
}
