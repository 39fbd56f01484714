/**
 * The connector's end of the link to the control plane. One WebSocket; where there is none to be had, conditional GET
 * and POST of the same documents. The tunnels do not depend on it: while it is away, the last document holds.
 *
 *     waiting ── connecting ── open        the WebSocket
 *        └────── polling                   plain HTTP; the WebSocket is tried again now and then
 */

import type { ConnectorDocument } from '../../../protocol/control/document.ts'
import {
  type ConnectorReport,
  type FromConnector,
  fromControlSchema,
  LINK_PROTOCOL,
  type LinkEvent,
} from '../../../protocol/control/link.ts'
import type { Instant, Machine, RandomBytes } from '../../../protocol/machine.ts'
import { Outbox } from './outbox.ts'

export type LinkInput =
  /** After the first `report`: a link begins with one. */
  | { readonly type: 'start' }
  | { readonly type: 'opened' }
  | { readonly type: 'message'; readonly text: string }
  /** A pong, which shows that the other end lives. */
  | { readonly type: 'alive' }
  /** `status`: the HTTP status by which an upgrade was refused. */
  | { readonly type: 'closed'; readonly reason: string; readonly status?: number }
  | { readonly type: 'report'; readonly report: ConnectorReport }
  | { readonly type: 'event'; readonly event: LinkEvent }
  /**
   * Answer to `poll`: the document, or that nothing changed, or why not. `refused`: the control plane does not take
   * what it was given, and would not the next time.
   */
  | {
      readonly type: 'polled'
      readonly document?: ConnectorDocument
      readonly failure?: string
      readonly refused?: boolean
    }
  | { readonly type: 'time' }

export type LinkEffect =
  | { readonly type: 'connect' }
  | { readonly type: 'disconnect' }
  | { readonly type: 'send'; readonly text: string }
  | { readonly type: 'ping' }
  /** POST the report and the events, then GET the document unless it is at `version`. */
  | {
      readonly type: 'poll'
      readonly report: ConnectorReport | undefined
      readonly events: readonly LinkEvent[]
      readonly version: number
    }
  | { readonly type: 'document'; readonly document: ConnectorDocument }
  /** The link stands. `now`: by the other end's clock; `spare`: sockets that its relay wants, where it has one for us. */
  | { readonly type: 'welcomed'; readonly now: number; readonly spare?: number }
  /** Functions wait at the relay for so many sockets. */
  | { readonly type: 'call'; readonly count: number }
  /** A report is wanted now. */
  | { readonly type: 'ask' }
  | { readonly type: 'changed'; readonly state: LinkState; readonly detail: string }

export type LinkState = 'waiting' | 'connecting' | 'open' | 'polling' | 'revoked'

export const LINK_TIMING = {
  retryMs: 1000,
  retryMaxMs: 60_000,
  /** After this long a link counts as good, and the next failure begins with the shortest wait. */
  settledMs: 10_000,
  connectMs: 15_000,
  pingMs: 25_000,
  silentMs: 60_000,
  pollMs: 10_000,
  /** While the key of a tunnel is being changed: each of its steps waits for both ends to ask. */
  changingMs: 1000,
  /** A change of which nothing new was heard for so long waits for somebody who is away, perhaps for days. */
  changingQuietMs: 120_000,
  /** Between two questions at the least, where there is something to tell before the next is due. */
  hurryMs: 250,
  /** Between tries of the WebSocket while plain HTTP works. */
  upgradeMs: 600_000,
  /** Revoked, or pushed out by another with the same identity: asking again is for the case of a mistake. */
  revokedMs: 300_000,
} as const

/** Refusals that tell that there is no WebSocket here, not that something is out of order. */
const NO_WEBSOCKET = new Set([404, 405, 426, 501])

export class LinkClient implements Machine<LinkInput, LinkEffect> {
  readonly #random: RandomBytes
  readonly #held: () => ConnectorDocument | undefined
  #state: LinkState = 'waiting'
  #effects: LinkEffect[] = []
  #wakeAt: Instant | undefined
  #pingAt: Instant | undefined
  #heardAt: Instant = 0
  #openedAt: Instant = 0
  #upgradeAt: Instant = 0
  /** When the last new document came by plain HTTP, or asking by it began. */
  #newsAt: Instant = 0
  /** Of the report that was last given to plain HTTP: what is carried out, as far as the control plane knows. */
  #toldVersion = 0
  #askedAt: Instant = 0
  /** Given to plain HTTP, which has not answered yet. */
  #asking: readonly LinkEvent[] = []
  /** As of the last answer; never after a failure. */
  #changing = false
  #pause: number = LINK_TIMING.retryMs
  readonly #outbox = new Outbox()
  #welcomed = false

  /** `held`: the document that is held. */
  constructor(random: RandomBytes, held: () => ConnectorDocument | undefined) {
    this.#random = random
    this.#held = held
  }

  get state(): LinkState {
    return this.#state
  }

  handle(input: LinkInput, now: Instant): void {
    switch (input.type) {
      case 'start':
        this.#connect(now)
        break
      case 'opened':
        this.#opened(now)
        break
      case 'message':
        this.#heardAt = now
        this.#take(input.text, now)
        break
      case 'alive':
        this.#heardAt = now
        break
      case 'closed':
        this.#closed(input.reason, input.status, now)
        break
      case 'report':
        this.#outbox.addReport(input.report)
        this.#flush(now)
        this.#hurry()
        break
      case 'event':
        this.#outbox.addEvent(input.event)
        this.#flush(now)
        break
      case 'polled':
        this.#polled(input, now)
        break
      case 'time':
        this.#time(now)
        break
    }
  }

  poll(): LinkEffect | undefined {
    return this.#effects.shift()
  }

  deadline(): Instant | undefined {
    const sendAt = this.#welcomed ? this.#outbox.readyAt : undefined
    const times = [this.#wakeAt, this.#pingAt, sendAt].filter((time) => time !== undefined)
    return times.length === 0 ? undefined : Math.min(...times)
  }

  #connect(now: Instant): void {
    this.#become('connecting', 'connecting')
    this.#wakeAt = now + LINK_TIMING.connectMs
    this.#effects.push({ type: 'connect' })
  }

  #opened(now: Instant): void {
    if (this.#state !== 'connecting') return
    this.#openedAt = now
    this.#heardAt = now
    this.#wakeAt = now + LINK_TIMING.connectMs
    this.#pingAt = now + LINK_TIMING.pingMs
    const { report } = this.#outbox
    if (report === undefined) return
    this.#outbox.restart(now)
    this.#send({ type: 'hello', protocol: LINK_PROTOCOL, report })
  }

  #take(text: string, now: Instant): void {
    if (this.#state !== 'connecting' && this.#state !== 'open') return
    const message = parse(text)
    if (message === undefined) {
      this.#drop('the control plane sent what this version does not understand', now)
      return
    }
    switch (message.type) {
      case 'welcome':
        this.#welcomed = true
        this.#wakeAt = undefined
        this.#become('open', 'linked')
        this.#effects.push({
          type: 'welcomed',
          now: message.now,
          ...(message.relay === undefined ? {} : { spare: message.relay.spare }),
        })
        this.#flush(now)
        return
      case 'call':
        this.#effects.push({ type: 'call', count: message.count })
        return
      case 'document':
        this.#effects.push({ type: 'document', document: message.document })
        return
      case 'ask':
        this.#effects.push({ type: 'ask' })
        return
      case 'bye':
        this.#bye(message.code, message.detail, now)
        return
    }
  }

  #bye(code: 'revoked' | 'replaced' | 'restart' | 'protocol', detail: string, now: Instant): void {
    if (code === 'restart') {
      this.#drop(detail, now)
      return
    }
    this.#leave()
    this.#become(code === 'revoked' ? 'revoked' : 'waiting', detail)
    this.#wakeAt = now + LINK_TIMING.revokedMs
  }

  #closed(reason: string, status: number | undefined, now: Instant): void {
    if (this.#state !== 'connecting' && this.#state !== 'open') return
    const connecting = this.#state === 'connecting'
    this.#leave()
    if (status === 401 || status === 403) {
      this.#become('waiting', reason)
      this.#pause = LINK_TIMING.retryMaxMs
      this.#retry(now)
    } else if (connecting && status !== undefined && NO_WEBSOCKET.has(status)) {
      this.#become('polling', 'no WebSocket here: asking by plain HTTP')
      this.#upgradeAt = now + LINK_TIMING.upgradeMs
      this.#newsAt = now
      this.#ask(now)
    } else {
      this.#become('waiting', reason)
      this.#retry(now)
    }
  }

  #polled({ document, failure, refused }: Extract<LinkInput, { type: 'polled' }>, now: Instant): void {
    if (this.#state !== 'polling') return
    if (failure !== undefined) {
      if (refused !== true) this.#outbox.giveBack(this.#asking)
      this.#effects.push({ type: 'changed', state: 'polling', detail: failure })
      this.#retry(now)
      return
    }
    this.#pause = LINK_TIMING.retryMs
    if (document !== undefined) {
      this.#newsAt = now
      this.#effects.push({ type: 'document', document })
    }
    const quiet = now - this.#newsAt >= LINK_TIMING.changingQuietMs
    this.#changing = !quiet && this.#isChanging(document ?? this.#held())
    this.#wakeAt = now + this.#jittered(this.#changing ? LINK_TIMING.changingMs : LINK_TIMING.pollMs)
  }

  #time(now: Instant): void {
    this.#flush(now)
    if (this.#pingAt !== undefined && now >= this.#pingAt) {
      this.#pingAt = now + LINK_TIMING.pingMs
      if (now - this.#heardAt >= LINK_TIMING.silentMs) {
        this.#drop('the control plane has gone silent', now)
        return
      }
      this.#effects.push({ type: 'ping' })
    }
    if (this.#wakeAt === undefined || now < this.#wakeAt) return
    this.#wakeAt = undefined
    if (this.#state === 'connecting') this.#drop('no answer from the control plane', now)
    else if (this.#state === 'polling' && now < this.#upgradeAt) this.#ask(now)
    else this.#connect(now)
  }

  #ask(now: Instant): void {
    const { report } = this.#outbox
    const version = this.#held()?.version ?? 0
    this.#toldVersion = report?.version ?? 0
    this.#askedAt = now
    this.#changing = false
    this.#asking = this.#outbox.takeEvents()
    this.#effects.push({ type: 'poll', report, events: this.#asking, version })
  }

  /** What is told of a change of keys is what the other end waits for. */
  #hurry(): void {
    if (this.#state !== 'polling' || !this.#changing || this.#wakeAt === undefined) return
    this.#wakeAt = Math.min(this.#wakeAt, this.#askedAt + LINK_TIMING.hurryMs)
  }

  /** A tunnel has something else than the one key that it uses, or nobody was told yet that it has only that. */
  #isChanging(document: ConnectorDocument | undefined): boolean {
    if (document === undefined) return false
    const settled = document.tunnels.every(({ epochs }) => epochs.length === 1 && epochs[0]!.phase === 'use')
    return !settled || this.#toldVersion < document.version
  }

  #drop(reason: string, now: Instant): void {
    if (now - this.#openedAt >= LINK_TIMING.settledMs && this.#welcomed) this.#pause = LINK_TIMING.retryMs
    this.#leave()
    this.#become('waiting', reason)
    this.#retry(now)
  }

  #leave(): void {
    this.#welcomed = false
    this.#pingAt = undefined
    this.#wakeAt = undefined
    this.#effects.push({ type: 'disconnect' })
  }

  #retry(now: Instant): void {
    this.#wakeAt = now + this.#jittered(this.#pause)
    this.#pause = Math.min(this.#pause * 2, LINK_TIMING.retryMaxMs)
  }

  /** Between half and all of it, so that ten thousand connectors do not come back in the same moment. */
  #jittered(ms: number): number {
    const [byte] = this.#random(1)
    return ms * (0.5 + byte! / 510)
  }

  #become(state: LinkState, detail: string): void {
    if (this.#state === state && state !== 'waiting') return
    this.#state = state
    this.#effects.push({ type: 'changed', state, detail })
  }

  #flush(now: Instant): void {
    if (!this.#welcomed) return
    for (let next = this.#outbox.next(now); next !== undefined; next = this.#outbox.next(now)) this.#send(next)
  }

  #send(message: FromConnector): void {
    this.#effects.push({ type: 'send', text: JSON.stringify(message) })
  }
}

function parse(text: string) {
  try {
    return fromControlSchema.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}
