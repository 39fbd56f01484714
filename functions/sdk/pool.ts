/** The sessions of one invocation (or process) with one site, and who waits for one. */

import type { MuxLimits } from '../../protocol/stream-mux-types.ts'
import { InitiatorSession } from '../../protocol/stream-session.ts'
import type { InitiatorMode, ResumptionTicket } from '../../protocol/stream-session-types.ts'
import { failure, type IsthmusError } from './error.ts'
import type { ReadyGrant } from './grants.ts'
import { Race } from './race.ts'
import { Session, type SessionEvents } from './session.ts'
import type { SiteState } from './site-state.ts'
import type { SessionStream } from './stream.ts'
import type { Attempt } from './ways.ts'

/** Of a function: 128 MB have to do for all of it on some platforms. */
const LIMITS: MuxLimits = { maxPeerStreams: 0, maxWindow: 4 << 20, maxWindowTotal: 16 << 20, sendBuffer: 256 << 10 }
/** Bytes of a first flight: what a header of every server takes after encoding. */
const MAX_FIRST_FLIGHT = 6000
const FULL_GRANT_ROUNDS = 2
/** A grant by which nobody could be reached is not asked for anew before; milliseconds. */
const KEEP_MS = 5_000
/** A session is not begun with a ticket that is not good for so much longer; milliseconds. */
const MIN_LIFE_MS = 60_000

/** What is wanted of a stream. */
export interface StreamStart {
  /** The opening, and what is known of the rest by now. */
  parts(): readonly Uint8Array[]
  /** Whether that is all. */
  readonly finish: boolean
  /** Those of `parts` that do no harm when they are done twice, from the first one on. */
  harmless(): readonly Uint8Array[]
  /** Ids of connectors that are not to be asked. */
  readonly avoid: ReadonlySet<string>
  readonly signal: AbortSignal | null
  /** Milliseconds. */
  readonly connectMs: number
}

/** A stream, and the session that it is on. */
export interface Opened {
  readonly stream: SessionStream
  readonly session: Session
}

interface Waiting {
  readonly start: StreamStart
  /** Where it went with the first flight. */
  readonly early: Map<Session, SessionStream>
  /** It went with a first flight, although it must not be done twice. */
  committed: boolean
  settle(opened: Opened | undefined, error?: unknown): void
}

export class Pool {
  readonly #site: SiteState
  readonly #sessions = new Set<Session>()
  readonly #waiting = new Set<Waiting>()
  #race: Race | undefined
  #searching = false

  constructor(site: SiteState) {
    this.#site = site
  }

  /** When a session last heard something; milliseconds since 1970, 0 where there is none. */
  get heardAt(): number {
    let last = 0
    for (const { heardAt } of this.#sessions) last = Math.max(last, heardAt)
    return last
  }

  /** Opens a stream on a session that there is, or on the next one. Rejects with an IsthmusError or the abort's reason. */
  async open(start: StreamStart): Promise<Opened> {
    start.signal?.throwIfAborted()
    for (const session of this.#sessions) {
      if (!session.usable || start.avoid.has(session.way.connector.id)) continue
      if (session.fresh || (await session.alive())) {
        start.signal?.throwIfAborted()
        if (!session.usable) continue
        if (session.endsSoon) void this.#renew()
        return { session, stream: session.open(start.parts(), start.finish) }
      }
      session.close()
    }
    return this.#wait(start)
  }

  /** Ends all sessions, and what is under way on them. */
  close(): void {
    this.#race?.stop()
    for (const session of this.#sessions) session.close()
    const cause = `The way to site ${this.#site.name} was closed while this was under way.`
    this.#failAll(failure('session-lost', cause, 'Do not call close() before everything has ended.'))
  }

  /** Wipes keys; touches no socket. */
  abandon(): void {
    for (const session of this.#sessions) session.abandon()
    this.#sessions.clear()
  }

  #wait(start: StreamStart): Promise<Opened> {
    return new Promise((resolve, reject) => {
      const end = (): void => waiting.settle(undefined, start.signal!.reason)
      const timer = setTimeout(() => waiting.settle(undefined, this.#tooLate(waiting)), start.connectMs)
      const waiting: Waiting = {
        start,
        early: new Map(),
        committed: false,
        settle: (opened, error) => {
          if (!this.#waiting.delete(waiting)) return
          clearTimeout(timer)
          start.signal?.removeEventListener('abort', end)
          for (const [session, stream] of waiting.early) if (session !== opened?.session) stream.abort(error)
          if (opened === undefined) reject(error)
          else resolve(opened)
        },
      }
      this.#waiting.add(waiting)
      start.signal?.addEventListener('abort', end, { once: true })
      void this.#search()
    })
  }

  /** Looks for sessions until nobody waits. */
  async #search(): Promise<void> {
    if (this.#searching) return
    this.#searching = true
    try {
      for (let round = 1; this.#waiting.size > 0; round++) {
        const [first] = this.#waiting
        const grant = await this.#site.grant()
        if (this.#waiting.size === 0) break
        const error = await this.#run(grant, first!.start.avoid)
        if (error === undefined) {
          round = 0
          continue
        }
        if (Date.now() - grant.askedAt > KEEP_MS || error.code !== 'site-offline') this.#site.dropGrant(grant)
        const again = error.code === 'key-changed' || error.code === 'token-expired'
        if (!again || round >= FULL_GRANT_ROUNDS) this.#failAll(error)
      }
    } catch (error) {
      this.#failAll(error)
    } finally {
      this.#searching = false
    }
  }

  /** Opens the session that takes over from one whose token expires soon. Nobody waits for it. */
  async #renew(): Promise<void> {
    if (this.#searching) return
    this.#searching = true
    this.#site.dropGrants()
    try {
      // No ticket: it would be good for as long as the token that it came of.
      await this.#run(await this.#site.grant(), new Set(), false)
    } catch {
      // Whoever needs a session meets the same, and is told.
    } finally {
      this.#searching = false
      void this.#search()
    }
  }

  /** One race. Resolves with the error when it is lost. */
  #run(grant: ReadyGrant, avoid: ReadonlySet<string>, resumable = true): Promise<IsthmusError | undefined> {
    const { ways, timing } = this.#site.shared
    const connectors = grant.connectors.filter(({ id }) => !avoid.has(id))
    const attempts = ways.order(connectors, performance.now(), timing)
    if (attempts.length === 0) return Promise.resolve(this.#offline())
    return new Promise((resolve) => {
      const race = new Race({
        attempts,
        timing,
        ways,
        session: (attempt, events, again) => this.#session(grant, attempt, events, resumable && again),
        fill: (session, attempt, sole) => this.#fill(session, attempt, sole),
        emptied: (session, error, undone) => this.#emptied(session, error, undone),
        ticket: (session, ticket) => this.#ticket(session, ticket),
        won: (session) => {
          this.#won(session)
          resolve(undefined)
        },
        lost: resolve,
      })
      this.#race = race
      race.start()
    })
  }

  #session(grant: ReadyGrant, attempt: Attempt, events: SessionEvents, resumable: boolean): Session {
    const { shared, account } = this.#site
    const { connector, via } = attempt
    const kept = resumable
      ? shared.tickets.take(this.#site.ticketKey(connector.id), Date.now(), MIN_LIFE_MS)
      : undefined
    const mode: InitiatorMode =
      kept === undefined
        ? { type: 'ik', staticKeys: this.#site.keys(), responderKey: connector.streamKey, token: grant.token }
        : { type: 'resume', ticket: kept.ticket }
    const machine = new InitiatorSession({
      crypto: shared.platform.crypto(),
      connector: connector.id,
      mode,
      time: Date.now() + grant.offsetMs,
      maxFirstFlight: MAX_FIRST_FLIGHT,
      limits: LIMITS,
      now: performance.now(),
    })
    const session: Session = new Session({
      machine,
      way: attempt,
      // The caller's `fetch` is for the control plane.
      call:
        via === 'direct'
          ? { url: connector.direct! }
          : { url: relayUrl(account.url, connector.relay!), fetch: this.#site.fetch },
      protocols: via === 'direct' ? [] : [`t.${grant.token}`],
      platform: shared.platform,
      timing: shared.timing,
      resuming: kept !== undefined,
      usableUntil: kept?.usableUntil ?? grant.usableUntil,
      events: {
        ...events,
        ended: (ended, error, undone) => {
          this.#sessions.delete(ended)
          events.ended(ended, error, undone)
        },
      },
    })
    return session
  }

  /**
   * What may go with a first flight. What must not be done twice only where no other attempt is made before this one
   * has failed. Returns whether there was such.
   */
  #fill(session: Session, attempt: Attempt, sole: boolean): boolean {
    let committed = false
    for (const waiting of this.#waiting) {
      const { start } = waiting
      if (waiting.committed || start.avoid.has(attempt.connector.id)) continue
      const [all, harmless] = [start.parts(), start.harmless()]
      const whole = harmless.length === all.length || sole || attempt.proven
      if (!whole && harmless.length === 0) continue
      waiting.committed = whole && harmless.length < all.length
      committed ||= waiting.committed
      waiting.early.set(session, session.open(whole ? all : harmless, whole && start.finish))
    }
    return committed
  }

  #emptied(session: Session, error: IsthmusError, undone: boolean): void {
    for (const waiting of this.#waiting) {
      if (!waiting.early.delete(session) || !waiting.committed) continue
      if (undone) waiting.committed = false
      else waiting.settle(undefined, unsure(error))
    }
  }

  #won(session: Session): void {
    this.#sessions.add(session)
    for (const waiting of this.#waiting) {
      const { start } = waiting
      const early = waiting.early.get(session)
      if (early !== undefined) waiting.settle({ session, stream: early })
      else if (!start.avoid.has(session.way.connector.id) && !waiting.committed)
        waiting.settle({ session, stream: session.open(start.parts(), start.finish) })
      else if (waiting.committed) waiting.settle(undefined, unsure(undefined))
    }
  }

  #ticket(session: Session, ticket: ResumptionTicket): void {
    const { usableUntil } = session
    const goodUntil = Date.now() + ticket.goodMs
    this.#site.shared.tickets.put(this.#site.ticketKey(session.way.connector.id), { ticket, goodUntil, usableUntil })
  }

  #failAll(error: unknown): void {
    for (const waiting of this.#waiting) waiting.settle(undefined, error)
  }

  #offline(): IsthmusError {
    const cause = `Site ${this.#site.name} has no connector that can be reached now.`
    return failure('site-offline', cause, 'See isthmus connector list; start the connector at the site.')
  }

  #tooLate(waiting: Waiting): IsthmusError {
    const seconds = waiting.start.connectMs / 1000
    const cause = `No connector of site ${this.#site.name} answered within ${seconds} s.`
    const code = waiting.early.size > 0 ? 'timed-out' : 'site-offline'
    return failure(code, cause, 'See isthmus connector list; check the way to the connector.')
  }
}

function relayUrl(control: string, path: string): string {
  return control.replace(/^http/, 'ws') + path
}

function unsure(error: IsthmusError | undefined): IsthmusError {
  const cause = `The way broke off before the connector had answered${error === undefined ? '.' : `: ${error.cause}`}`
  return failure('session-lost', cause, 'It may have been done or not: ask again if that does no harm.')
}
