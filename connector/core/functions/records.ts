/** What became of streams: the last ones one by one, all of them as counts by service and outcome. */
import type { StreamProblemCode } from '../../../protocol/stream-problem.ts'

/** `ok`: both sides finished. `reset`: the function gave it up. */
export type StreamOutcome = 'ok' | 'reset' | StreamProblemCode

export interface FlowRecord {
  /** When it began and was over, in milliseconds since 1970. */
  readonly startedAt: number
  readonly endedAt: number
  /** Of the session, for telling streams of one apart from those of another; made here, no secret. */
  readonly session: string
  /** Its number in the session. */
  readonly stream: number
  readonly via: 'direct' | 'relay'
  readonly function: string
  readonly functionName: string
  readonly kind: 'tcp' | 'http' | 'start-tls'
  /** As asked. */
  readonly host: string
  readonly port: number
  /** Absent where nothing of that name is served. */
  readonly service?: string
  /** Of HTTP: what was asked for, without the query, which may hold secrets. */
  readonly request?: string
  readonly status?: number
  /** From the function, and to it. */
  readonly bytesIn: number
  readonly bytesOut: number
  readonly outcome: StreamOutcome
  /** What was wrong, in words. */
  readonly cause?: string
}

export interface ServiceCounts {
  readonly open: number
  readonly bytesIn: number
  readonly bytesOut: number
  readonly outcomes: Readonly<Partial<Record<StreamOutcome, number>>>
  readonly lastProblem?: { readonly at: number; readonly code: StreamProblemCode; readonly cause: string }
}

/** Where no service has the stream. */
export const NO_SERVICE = '-'
export const MAX_RECORDS = 1000

interface Counts {
  open: number
  bytesIn: number
  bytesOut: number
  readonly outcomes: Partial<Record<StreamOutcome, number>>
  lastProblem?: NonNullable<ServiceCounts['lastProblem']>
}

export class FlowRecords {
  readonly #ring: FlowRecord[] = []
  #next = 0
  /** By name of the service: as many as the files that were read have named. */
  readonly #counts = new Map<string, Counts>()

  /** Newest last. */
  get records(): readonly FlowRecord[] {
    return [...this.#ring.slice(this.#next), ...this.#ring.slice(0, this.#next)]
  }

  /** The newest. */
  get last(): FlowRecord | undefined {
    return this.#ring.at(this.#next - 1)
  }

  get counts(): ReadonlyMap<string, ServiceCounts> {
    return this.#counts
  }

  opened(service: string): void {
    this.#of(service).open++
  }

  /** It turned out to be a stream of another service. */
  reopened(before: string, after: string): void {
    this.#of(before).open--
    this.#of(after).open++
  }

  /** As they pass; the record has the sums once more. */
  moved(service: string, bytesIn: number, bytesOut: number): void {
    const counts = this.#of(service)
    counts.bytesIn += bytesIn
    counts.bytesOut += bytesOut
  }

  /** `wasOpen`: that `opened` was called for it. */
  closed(record: FlowRecord, wasOpen: boolean): void {
    const counts = this.#of(record.service ?? NO_SERVICE)
    if (wasOpen) counts.open--
    counts.outcomes[record.outcome] = (counts.outcomes[record.outcome] ?? 0) + 1
    if (record.outcome !== 'ok' && record.outcome !== 'reset') {
      counts.lastProblem = { at: record.endedAt, code: record.outcome, cause: record.cause ?? '' }
    }
    if (this.#ring.length < MAX_RECORDS) this.#ring.push(record)
    else {
      this.#ring[this.#next] = record
      this.#next = (this.#next + 1) % MAX_RECORDS
    }
  }

  #of(service: string): Counts {
    const known = this.#counts.get(service)
    if (known !== undefined) return known
    const fresh: Counts = { open: 0, bytesIn: 0, bytesOut: 0, outcomes: {} }
    this.#counts.set(service, fresh)
    return fresh
  }
}
