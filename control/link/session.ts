/**
 * One end of a link, the control plane's: what comes from one connector, and what goes to it. Pure; whoever holds the
 * socket carries out the effects in order, and gives back what came of them.
 *
 *     new ── hello ── open ── closed
 */

import type { ConnectorDocument } from '../../protocol/control/document.ts'
import {
  type ConnectorReport,
  type FromControl,
  fromConnectorSchema,
  LINK_PROTOCOL,
  type LinkEvent,
  MAX_LINK_MESSAGE,
} from '../../protocol/control/link.ts'

export type SessionInput =
  | { readonly type: 'message'; readonly text: string }
  /** The report was taken; `version` is of the connector's document now. */
  | { readonly type: 'taken'; readonly version: number }
  /** It was not taken. `lasting`: it never will be. */
  | { readonly type: 'refused'; readonly detail: string; readonly lasting: boolean }
  /** There may be a new document. */
  | { readonly type: 'changed' }
  | { readonly type: 'document'; readonly document: ConnectorDocument }
  /** The document could not be read. */
  | { readonly type: 'no-document' }
  /** So many functions wait at the relay for sockets of this connector. */
  | { readonly type: 'call'; readonly count: number }
  /** How the connector is, somebody wants to know now. */
  | { readonly type: 'ask' }
  | { readonly type: 'end'; readonly code: 'revoked' | 'replaced' | 'restart'; readonly detail: string }

export type SessionEffect =
  | { readonly type: 'take'; readonly report: ConnectorReport }
  | { readonly type: 'note'; readonly event: LinkEvent }
  | { readonly type: 'load' }
  | { readonly type: 'send'; readonly text: string }
  | { readonly type: 'close' }

/** What outlives the process that held the session, where the platform keeps the socket. */
export interface SavedSession {
  readonly state: 'new' | 'open'
  readonly sent: number
  /** The connector serves functions. */
  readonly serves?: true
  /** It knows `ask`. */
  readonly routes?: true
}

/** Messages that a connector may send in one second, and at once. */
const MESSAGES_PER_SECOND = 10
const BURST = 50
/** As many as one `call` may name. */
const MAX_CALL = 1024

export class LinkSession {
  #state: 'new' | 'open' | 'closed'
  /** Version of the document that the connector has, as far as we know. */
  #sent: number
  #taking = false
  #waiting: ConnectorReport | undefined
  #loading = false
  /** Something has changed since the load began, or before the link was open. */
  #stale = false
  #tokens = BURST
  #refilledAt: number
  /** What the newest report says; a connector that serves no functions does not know `call`. */
  #serves: boolean
  #routes: boolean
  /** Calls that came before the link was open. */
  #called = 0
  readonly #spare: number | undefined
  #effects: SessionEffect[] = []

  /** `spare`: relay sockets that a connector is to keep open unused; absent where there is no relay. */
  constructor(now: number, saved?: SavedSession, spare?: number) {
    this.#state = saved?.state ?? 'new'
    this.#sent = saved?.sent ?? 0
    this.#serves = saved?.serves ?? false
    this.#routes = saved?.routes ?? false
    this.#spare = spare
    this.#refilledAt = now
  }

  get saved(): SavedSession {
    const state = this.#state === 'open' ? 'open' : 'new'
    const knows = {
      ...(this.#serves ? { serves: true as const } : {}),
      ...(this.#routes ? { routes: true as const } : {}),
    }
    return { state, sent: this.#sent, ...knows }
  }

  get closed(): boolean {
    return this.#state === 'closed'
  }

  handle(input: SessionInput, now: number): void {
    if (this.#state === 'closed') return
    switch (input.type) {
      case 'message':
        this.#message(input.text, now)
        return
      case 'taken':
        this.#taken(input.version, now)
        return
      case 'refused':
        // Whoever comes back says everything anew: nothing of what could not be stored is lost.
        this.#end(input.lasting ? 'protocol' : 'restart', input.detail)
        return
      case 'changed':
        this.#load()
        return
      case 'document':
        this.#loaded(input.document)
        return
      case 'no-document':
        this.#end('restart', 'the document could not be read')
        return
      case 'call':
        this.#call(input.count)
        return
      case 'ask':
        // One that is not open yet begins with a report.
        if (this.#state === 'open' && this.#routes) this.#send({ type: 'ask' })
        return
      case 'end':
        this.#end(input.code, input.detail)
        return
    }
  }

  poll(): SessionEffect | undefined {
    return this.#effects.shift()
  }

  #message(text: string, now: number): void {
    if (!this.#admit(now)) {
      this.#end('protocol', 'too many messages')
      return
    }
    const message = text.length > MAX_LINK_MESSAGE ? undefined : parse(text)
    if (message === undefined) {
      this.#end('protocol', 'a message that does not fit')
      return
    }
    if (message.type === 'hello') {
      if (this.#greeted) this.#end('protocol', 'a second hello')
      else if (message.protocol > LINK_PROTOCOL) this.#end('protocol', `this end speaks protocol ${LINK_PROTOCOL}`)
      else {
        this.#sent = message.report.version
        this.#take(message.report)
      }
    } else if (!this.#greeted) this.#end('protocol', 'the first message is hello')
    else if (message.type === 'event') this.#effects.push({ type: 'note', event: message.event })
    else this.#take(message.report)
  }

  /** Whether there was a hello; what came of it may be open yet. */
  get #greeted(): boolean {
    return this.#state === 'open' || this.#taking
  }

  /** One after the other; of those that come meanwhile the newest says it all. */
  #take(report: ConnectorReport): void {
    this.#serves = report.functions !== undefined
    this.#routes = report.routing !== undefined || report.externals !== undefined
    if (this.#taking) {
      this.#waiting = report
      return
    }
    this.#taking = true
    this.#effects.push({ type: 'take', report })
  }

  #taken(version: number, now: number): void {
    this.#taking = false
    if (this.#state === 'new') {
      this.#state = 'open'
      const relay = this.#serves && this.#spare !== undefined ? { relay: { spare: this.#spare } } : {}
      this.#send({ type: 'welcome', protocol: LINK_PROTOCOL, now, version, ...relay })
      if (this.#called > 0) this.#call(this.#called)
    }
    if (version !== this.#sent || (this.#stale && !this.#loading)) this.#load()
    const next = this.#waiting
    this.#waiting = undefined
    if (next !== undefined) this.#take(next)
  }

  #call(count: number): void {
    if (this.#state !== 'open') this.#called = Math.min(MAX_CALL, this.#called + count)
    else if (this.#serves) this.#send({ type: 'call', count: Math.min(MAX_CALL, count) })
  }

  #load(): void {
    this.#stale = this.#loading || this.#state !== 'open'
    if (this.#stale) return
    this.#loading = true
    this.#effects.push({ type: 'load' })
  }

  #loaded(document: ConnectorDocument): void {
    this.#loading = false
    if (document.version !== this.#sent) {
      this.#sent = document.version
      this.#send({ type: 'document', document })
    }
    if (this.#stale) this.#load()
  }

  #admit(now: number): boolean {
    this.#tokens = Math.min(BURST, this.#tokens + ((now - this.#refilledAt) / 1000) * MESSAGES_PER_SECOND)
    this.#refilledAt = now
    if (this.#tokens < 1) return false
    this.#tokens--
    return true
  }

  #end(code: 'revoked' | 'replaced' | 'restart' | 'protocol', detail: string): void {
    this.#send({ type: 'bye', code, detail })
    this.#effects.push({ type: 'close' })
    this.#state = 'closed'
  }

  #send(message: FromControl): void {
    this.#effects.push({ type: 'send', text: JSON.stringify(message) })
  }
}

function parse(text: string) {
  try {
    return fromConnectorSchema.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}
