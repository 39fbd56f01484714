/**
 * Runs an `InitiatorSession` on a WebSocket: the loop that carries effects out, its one timer, pings, and the streams
 * of the session.
 */
import { toBase64url } from '../../protocol/control/base64url.ts'
import type { Machine } from '../../protocol/machine.ts'
import type { MuxView } from '../../protocol/stream-mux-types.ts'
import type { StreamProblem } from '../../protocol/stream-problem.ts'
import { streamProblem } from '../../protocol/stream-problem.ts'
import type { ResumptionTicket, SessionEffect, SessionInput } from '../../protocol/stream-session-types.ts'
import { closeReason, endOf } from './close-codes.ts'
import { IsthmusError } from './error.ts'
import type { DialCall, Platform, SessionSocket, SocketEnd, Timing } from './platform.ts'
import { SOCKET_HIGH } from './platform.ts'
import { Pulse } from './pulse.ts'
import { SessionStream, type StreamHost } from './stream.ts'
import { unref } from './timers.ts'
import type { Way } from './ways.ts'

export interface SessionOptions {
  readonly machine: Machine<SessionInput, SessionEffect> & MuxView
  readonly way: Way
  readonly call: Omit<DialCall, 'protocols'>
  /** Subprotocols besides those that are always offered. */
  readonly protocols: readonly string[]
  readonly platform: Platform
  readonly timing: Timing
  /** It begins with a ticket. */
  readonly resuming: boolean
  /** Milliseconds since 1970: no new streams after it. */
  readonly usableUntil: number
  readonly events: SessionEvents
}

export interface SessionEvents {
  established(session: Session): void
  ticket(session: Session, ticket: ResumptionTicket): void
  /** `undone`: nothing that went with the first flight was acted on. */
  ended(session: Session, error: IsthmusError, undone: boolean): void
}

/** More than this many streams go to another session. */
const MAX_STREAMS = 1000
/** Before the end of its token, in which the next session is opened; milliseconds. */
const RENEW_MS = 60_000

export class Session implements StreamHost {
  readonly way: Way
  readonly startedAt = performance.now()
  readonly #options: SessionOptions
  readonly #machine: SessionOptions['machine']
  readonly #streams = new Map<number, SessionStream>()
  readonly #pulse: Pulse
  #socket: SessionSocket | undefined
  #state: 'new' | 'connecting' | 'open' | 'ended' = 'new'
  #draining = false
  #flushing = false
  #ready = true
  #timer: ReturnType<typeof setTimeout> | undefined
  /** Runs out when the handshake takes too long. */
  #patience: ReturnType<typeof setTimeout> | undefined
  #timerAt = Number.POSITIVE_INFINITY

  constructor(options: SessionOptions) {
    this.#options = options
    this.#machine = options.machine
    this.way = options.way
    this.#pulse = new Pulse(options.timing, {
      ping: () => this.#give({ type: 'ping' }),
      busy: () => this.#streams.size > 0,
      idle: () => this.close(),
      dead: () => this.#lose(unanswered()),
    })
  }

  /** Established, and takes new streams. */
  get usable(): boolean {
    return (
      this.#state === 'open' &&
      !this.#draining &&
      this.#streams.size < MAX_STREAMS &&
      this.#machine.nextStream < 0x7fff_0000 &&
      Date.now() < this.#options.usableUntil
    )
  }

  get resuming(): boolean {
    return this.#options.resuming
  }

  get usableUntil(): number {
    return this.#options.usableUntil
  }

  /** Another one should take over. */
  get endsSoon(): boolean {
    return Date.now() > this.#options.usableUntil - RENEW_MS
  }

  /** Whether the peer was heard a short while ago. */
  get fresh(): boolean {
    return Date.now() - this.heardAt < this.#options.timing.stale
  }

  /** When it last heard of its peer; milliseconds since 1970. */
  get heardAt(): number {
    return this.#pulse.heardAt
  }

  /** Whether the peer is there. Asks it if it was not heard for long, which costs a round trip. */
  alive(): Promise<boolean> {
    return this.#pulse.alive(this.#machine.rttMs)
  }

  /** Opens a stream and writes to it. Before `start`, what fits goes with the first flight. */
  open(parts: readonly Uint8Array[], finish: boolean): SessionStream {
    const id = this.#machine.nextStream
    const stream = new SessionStream(id, this)
    this.#streams.set(id, stream)
    if (this.#streams.size === 1) this.#socket?.hold?.(true)
    this.#give({ type: 'open', stream: id })
    for (const part of parts) stream.write(part)
    if (finish) stream.finish()
    return stream
  }

  /** Sends the first flight. */
  start(): void {
    this.#state = 'connecting'
    this.#machine.handle({ type: 'start' }, performance.now())
    this.#drain()
  }

  /** No new streams. */
  retire(): void {
    this.#draining = true
  }

  #giveUp(): void {
    const seconds = this.#options.timing.handshake / 1000
    const cause = `Connector ${this.way.connector.id} did not answer within ${seconds} s.`
    this.#lose(streamProblem('site-offline', cause, 'See isthmus connector list; check the way to the connector.'))
  }

  /** Ends it; open streams are lost. */
  close(): void {
    const cause = 'The session with the site was closed while this was under way.'
    this.#lose(streamProblem('session-lost', cause, 'Do not call close() before everything has ended.'), 1000)
  }

  /** Wipes keys and touches nothing else: for sessions whose invocation is over. */
  abandon(): void {
    this.#state = 'ended'
    this.#machine.handle({ type: 'close' }, performance.now())
    this.#streams.clear()
  }

  write(stream: number, bytes: Uint8Array): void {
    this.#give({ type: 'write', stream, bytes })
  }

  finish(stream: number): void {
    this.#give({ type: 'finish', stream })
  }

  reset(stream: number, problem: StreamProblem | undefined): void {
    this.#give(problem === undefined ? { type: 'reset', stream } : { type: 'refuse', stream, problem })
    this.#forget(stream)
  }

  consumed(stream: number, length: number): void {
    this.#give({ type: 'consumed', stream, length })
  }

  writable(stream: number): boolean {
    return this.#state !== 'ended' && this.#machine.writable(stream)
  }

  /** Hands over an input; its effects are carried out together with those of the same turn. */
  #give(input: SessionInput): void {
    if (this.#state === 'ended') return
    this.#machine.handle(input, performance.now())
    if (this.#flushing || this.#state === 'new') return
    this.#flushing = true
    queueMicrotask(() => {
      this.#flushing = false
      this.#drain()
    })
  }

  #drain(): void {
    if (this.#state === 'ended') return
    for (let effect = this.#machine.poll(); effect !== undefined; effect = this.#machine.poll()) this.#perform(effect)
    this.#arm()
  }

  #perform(effect: SessionEffect): void {
    switch (effect.type) {
      case 'send':
        if (effect.first === true) this.#dial(effect.message)
        else this.#send(effect.message)
        return
      case 'data':
        this.#dataOf(effect.stream, effect.bytes)
        return
      case 'finished':
        this.#streams.get(effect.stream)?.takeEnd()
        return
      case 'reset':
        this.#streams.get(effect.stream)?.takeReset(effect.problem)
        this.#forget(effect.stream)
        return
      case 'writable':
        this.#streams.get(effect.stream)?.takeRoom()
        return
      case 'closed':
        this.#forget(effect.stream)
        return
      case 'established':
        this.#state = 'open'
        clearTimeout(this.#patience)
        this.#pulse.start()
        this.#options.events.established(this)
        if (this.#streams.size === 0) this.#socket?.hold?.(false)
        return
      case 'ticket':
        this.#options.events.ticket(this, effect.ticket)
        return
      case 'draining':
      case 'gone-away':
        this.#draining = true
        return
      case 'ended':
        this.#end(effect.problem, effect.problem.retry !== 'never', effect.closeCode)
        return
      case 'opened':
      case 'pong':
        return
    }
  }

  #dial(flight: Uint8Array): void {
    const { call, platform, protocols } = this.#options
    this.#socket = platform.dial(
      { ...call, protocols: ['isthmus.stream.1', `f.${toBase64url(flight)}`, ...protocols] },
      {
        opened: () => this.#pulse.heard(),
        message: (bytes) => this.#messageOf(bytes),
        closed: (end) => this.#closed(end),
        drained: () => this.#transport(true),
      },
    )
    this.#socket.hold?.(true)
    this.#patience = setTimeout(() => this.#giveUp(), this.#options.timing.handshake)
  }

  #send(message: Uint8Array): void {
    const socket = this.#socket!
    socket.send(message)
    if (this.#ready && socket.buffered > SOCKET_HIGH) this.#transport(false)
  }

  #transport(ready: boolean): void {
    if (this.#state === 'ended' || this.#ready === ready) return
    this.#ready = ready
    this.#give({ type: 'transport', ready })
  }

  #messageOf(bytes: Uint8Array): void {
    if (this.#state === 'ended') return
    this.#pulse.heard()
    this.#machine.handle({ type: 'message', bytes }, performance.now())
    this.#drain()
  }

  #dataOf(id: number, bytes: Uint8Array): void {
    const stream = this.#streams.get(id)
    if (stream === undefined) this.#give({ type: 'consumed', stream: id, length: bytes.length })
    else stream.takeData(bytes)
  }

  #closed(end: SocketEnd): void {
    if (this.#state === 'ended') return
    const { problem, undone } = endOf(end, this.#state === 'open', this.way)
    this.#end(problem, undone, undefined)
  }

  #lose(problem: StreamProblem, closeCode = 1001): void {
    if (this.#state !== 'ended') this.#end(problem, false, closeCode)
  }

  #end(problem: StreamProblem, undone: boolean, closeCode: number | undefined): void {
    const wasOpen = this.#state === 'open'
    this.#state = 'ended'
    this.#pulse.stop()
    clearTimeout(this.#timer)
    clearTimeout(this.#patience)
    this.#machine.handle({ type: 'close' }, performance.now())
    this.#socket?.hold?.(false)
    this.#socket?.close(closeCode ?? 1000, closeReason(problem))
    const error = new IsthmusError(problem)
    const lost = wasOpen && problem.code !== 'session-lost' ? lostBy(problem) : error
    for (const stream of this.#streams.values()) stream.takeLoss(lost)
    this.#streams.clear()
    this.#options.events.ended(this, error, undone && !wasOpen)
  }

  #forget(id: number): void {
    this.#streams.delete(id)
    if (this.#streams.size === 0 && this.#state === 'open') {
      this.#pulse.touch()
      this.#socket?.hold?.(false)
    }
  }

  #arm(): void {
    if (this.#state === 'ended') return
    const at = this.#machine.deadline() ?? Number.POSITIVE_INFINITY
    if (at === this.#timerAt) return
    clearTimeout(this.#timer)
    this.#timerAt = at
    if (at === Number.POSITIVE_INFINITY) return
    const wait = Math.min(Math.max(Math.ceil(at - performance.now()), 0), 0x7fff_ffff)
    this.#timer = setTimeout(() => {
      this.#timerAt = Number.POSITIVE_INFINITY
      this.#machine.handle({ type: 'time' }, performance.now())
      this.#drain()
    }, wait)
    unref(this.#timer)
  }
}

function unanswered(): StreamProblem {
  const cause = 'The connector, or the way to it, stopped answering.'
  return streamProblem('session-lost', cause, 'Ask again if that does no harm; the next request opens a new session.')
}

/** Of streams that were open: something may have been done. */
function lostBy({ cause }: StreamProblem): IsthmusError {
  return new IsthmusError(streamProblem('session-lost', cause, 'Ask again if that does no harm.'))
}
