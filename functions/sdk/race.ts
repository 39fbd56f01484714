/**
 * One search for a session with a site: the ways to its connectors in turn, the next one beside those that have not
 * answered in time or after those that failed. The first one that is established wins, the others are dropped.
 */
import type { IsthmusError } from './error.ts'
import type { Timing } from './platform.ts'
import type { Session, SessionEvents } from './session.ts'
import type { Attempt, Ways } from './ways.ts'

export interface RaceOptions {
  readonly attempts: readonly Attempt[]
  readonly timing: Timing
  readonly ways: Ways
  /** Makes a session that has not started. `resumable`: whether a ticket may be used. */
  session(attempt: Attempt, events: SessionEvents, resumable: boolean): Session
  /**
   * Puts into a session what is to go with its first flight; `sole`: there is no other way. Returns whether that must
   * not be done twice: then no other is tried beside it.
   */
  fill(session: Session, attempt: Attempt, sole: boolean): boolean
  /** What was put in certainly was not acted on, or, where `undone` is false, may have been. */
  emptied(session: Session, error: IsthmusError, undone: boolean): void
  ticket: SessionEvents['ticket']
  won(session: Session): void
  /** None is left; with the most telling failure. */
  lost(error: IsthmusError): void
}

/** The one that says most about what is wrong comes first. */
const TELLING = ['token-refused', 'protocol-error', 'key-changed', 'token-expired', 'overloaded', 'draining']

export class Race {
  readonly #options: RaceOptions
  readonly #running = new Map<Session, Attempt>()
  readonly #errors: IsthmusError[] = []
  #next = 0
  #timer: ReturnType<typeof setTimeout> | undefined
  #over = false

  constructor(options: RaceOptions) {
    this.#options = options
  }

  start(): void {
    this.#startNext()
  }

  /** Ends all attempts. Nothing is told any more. */
  stop(): void {
    this.#over = true
    clearTimeout(this.#timer)
    for (const session of this.#running.keys()) session.close()
    this.#running.clear()
  }

  #startNext(): void {
    clearTimeout(this.#timer)
    const attempt = this.#options.attempts[this.#next]
    if (attempt === undefined || this.#over) return
    this.#next++
    const committed = this.#begin(attempt, true)
    const following = this.#options.attempts[this.#next]
    if (following === undefined || committed || this.#over) return
    this.#timer = setTimeout(() => this.#startNext(), following.after)
  }

  #begin(attempt: Attempt, resumable: boolean): boolean {
    const events: SessionEvents = {
      established: (session) => this.#established(session),
      ticket: (session, ticket) => this.#options.ticket(session, ticket),
      ended: (session, error, undone) => this.#ended(session, attempt, error, undone),
    }
    const session = this.#options.session(attempt, events, resumable)
    this.#running.set(session, attempt)
    const committed = this.#options.fill(session, attempt, this.#options.attempts.length === 1)
    session.start()
    return committed
  }

  #established(session: Session): void {
    if (this.#over) return
    const { ways } = this.#options
    const now = performance.now()
    ways.good(session.way, now - session.startedAt, now)
    this.#running.delete(session)
    for (const other of this.#running.keys()) {
      if (other.way.connector.id !== session.way.connector.id) ways.slower(other.way, now - other.startedAt, now)
    }
    this.stop()
    this.#options.won(session)
  }

  #ended(session: Session, attempt: Attempt, error: IsthmusError, undone: boolean): void {
    if (this.#over || !this.#running.delete(session)) return
    this.#options.emptied(session, error, undone)
    if (session.resuming && error.code === 'key-changed') {
      // The ticket was no good; the way may be.
      this.#begin(attempt, false)
      return
    }
    if (error.code === 'site-offline') this.#options.ways.failed(attempt, performance.now())
    this.#errors.push(error)
    if (this.#next < this.#options.attempts.length) this.#startNext()
    else if (this.#running.size === 0) {
      this.#over = true
      this.#options.lost(mostTelling(this.#errors))
    }
  }
}

function mostTelling(errors: readonly IsthmusError[]): IsthmusError {
  const rank = ({ code }: IsthmusError) => (TELLING.includes(code) ? TELLING.indexOf(code) : TELLING.length)
  return errors.reduce((best, error) => (rank(error) < rank(best) ? error : best))
}
