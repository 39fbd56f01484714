/**
 * Many streams over one ordered, reliable sequence of bytes: yamux, version 0 (hashicorp/yamux, spec.md).
 *
 * What the specification leaves open, and how it is here:
 * - A stream is opened by a window update with SYN, and finished and reset by window updates: some readers lose the
 *   data of a frame with flags. All of them are understood on data frames too.
 * - The peer opens its streams in the order of their ids. Only so can an id that is used again be told from a new one
 *   without remembering every stream that ever was.
 * - A frame for a stream that is forgotten is dropped: it was on its way. Data that it may carry is what was left of
 *   the windows of streams that we reset. A frame for a stream that never was ends the session.
 * - An ACK has no meaning here, as data may follow the SYN at once. Unknown flags are ignored.
 * - After a Go Away with an error the session is over.
 */
import { type Instant, type Machine, unreachable } from './machine.ts'
import { FLAG, FRAME, GO_AWAY, HeaderReader, INITIAL_WINDOW, MAX_UINT32, VERSION } from './stream-mux-frame.ts'
import { Fifo } from './stream-mux-lines.ts'
import { RoundTrips } from './stream-mux-rtt.ts'
import { control, MuxSender } from './stream-mux-sender.ts'
import { MuxStream } from './stream-mux-stream.ts'
import type { MuxEffect, MuxInput, MuxLimits, MuxOptions, MuxView } from './stream-mux-types.ts'
import { ReceiveWindows } from './stream-mux-window.ts'

/** RST frames that may wait, beyond as many as the peer may have streams. */
const MAX_RESETS = 1024

export class Mux implements Machine<MuxInput, MuxEffect>, MuxView {
  readonly #limits: MuxLimits
  /** 1 where our ids are odd, 0 where they are even. */
  readonly #parity: number
  readonly #streams = new Map<number, MuxStream>()
  readonly #effects = new Fifo<MuxEffect>()
  readonly #windows: ReceiveWindows
  readonly #sender: MuxSender
  readonly #header = new HeaderReader()
  readonly #trips = new RoundTrips()
  /** Bytes of the data frame at hand that have not come, its stream unless they are to be dropped, and its FIN. */
  #bodyLeft = 0
  #bodyStream: MuxStream | undefined
  #bodyFin = false
  #nextStream: number
  #lastPeerStream = 0
  #peerStreams = 0
  #ready = true
  #leaving = false
  #peerLeaving = false
  #failed = false

  constructor(options: MuxOptions) {
    this.#limits = options.limits
    this.#parity = options.side === 'initiator' ? 1 : 0
    this.#nextStream = options.side === 'initiator' ? 1 : 2
    this.#windows = new ReceiveWindows(options.limits)
    this.#sender = new MuxSender(this.#windows, options.limits.sendBuffer, {
      writable: (stream) => this.#effects.push({ type: 'writable', stream: stream.id }),
      finished: (stream) => this.#closeIfDone(stream),
    })
  }

  get nextStream(): number {
    return this.#nextStream
  }

  get streams(): number {
    return this.#streams.size
  }

  get backlog(): number {
    return this.#sender.backlog
  }

  get rttMs(): number | undefined {
    return this.#trips.lastMs
  }

  writable(stream: number): boolean {
    const found = this.#streams.get(stream)
    return found !== undefined && found.finish === 'no' && !found.full
  }

  handle(input: MuxInput, now: Instant): void {
    if (this.#failed) return
    switch (input.type) {
      case 'received':
        this.#received(input.bytes, now)
        break
      case 'open':
        this.#open(input.stream, now)
        break
      case 'write':
        this.#write(input.stream, input.bytes)
        break
      case 'finish':
        this.#finish(input.stream)
        break
      case 'reset':
        this.#reset(input.stream)
        break
      case 'consumed':
        this.#consumed(input.stream, input.length, now)
        break
      case 'ping':
        this.#ping(now)
        break
      case 'go-away':
        this.#leaving = true
        this.#sender.goAway(GO_AWAY[input.code])
        break
      case 'transport':
        this.#ready = input.ready
        break
      case 'time':
        break
      default:
        unreachable(input)
    }
  }

  poll(): MuxEffect | undefined {
    if (this.#effects.length > 0) return this.#effects.shift()
    return this.#ready && !this.#failed ? this.#sender.next() : undefined
  }

  /** A mux waits for nothing but its peer and its user. */
  deadline(): Instant | undefined {
    return undefined
  }

  #open(id: number, now: Instant): void {
    if (id !== this.#nextStream) throw new RangeError(`the next stream is ${this.#nextStream}, not ${id}`)
    this.#nextStream += 2
    if (this.#peerLeaving || id > MAX_UINT32) {
      this.#effects.push({ type: 'reset', stream: id })
      return
    }
    const stream = new MuxStream(id, FLAG.SYN, now)
    this.#streams.set(id, stream)
    this.#sender.control(stream)
  }

  #write(id: number, bytes: Uint8Array): void {
    const stream = this.#streams.get(id)
    if (stream === undefined || stream.finish !== 'no' || bytes.length === 0) return
    this.#sender.write(stream, bytes)
  }

  #finish(id: number): void {
    const stream = this.#streams.get(id)
    if (stream === undefined || stream.finish !== 'no') return
    stream.finish = 'wanted'
    this.#sender.arm(stream)
  }

  #reset(id: number): void {
    const stream = this.#streams.get(id)
    if (stream === undefined) return
    // The peer has never heard of a stream whose SYN has not gone out.
    const unknown = (stream.flags & FLAG.SYN) !== 0
    if (!stream.peerFinished && !unknown) this.#windows.leaveResidue(stream.receiveWindow)
    this.#forget(stream)
    const fault = unknown ? undefined : this.#sendReset(id)
    if (fault !== undefined) this.#fail(fault)
  }

  #consumed(id: number, length: number, now: Instant): void {
    const stream = this.#streams.get(id)
    if (stream === undefined) return
    if (this.#windows.consume(stream, length, now, this.#trips.bestMs)) this.#sender.control(stream)
  }

  #ping(now: Instant): void {
    this.#sender.ping(this.#trips.begin(now))
  }

  #received(bytes: Uint8Array, now: Instant): void {
    let at = 0
    while (at < bytes.length) {
      if (this.#bodyLeft > 0) {
        at = this.#body(bytes, at)
        continue
      }
      at = this.#header.fill(bytes, at)
      const fault = this.#header.complete ? this.#frame(now) : undefined
      if (fault !== undefined) {
        this.#fail(fault)
        return
      }
    }
  }

  /** This one and those below return how the peer broke the protocol, if it did. */
  #frame(now: Instant): string | undefined {
    const { version, type, flags, stream: id, length } = this.#header
    if (version !== VERSION) return `version ${version} of yamux`
    if (type === FRAME.data || type === FRAME.windowUpdate) return this.#streamFrame(type, flags, id, length, now)
    if (type !== FRAME.ping && type !== FRAME.goAway) return `a frame of the unknown type ${type}`
    if (id !== 0) return `a frame of type ${type} for stream ${id}`
    return type === FRAME.ping ? this.#pinged(flags, length, now) : this.#goneAway(length)
  }

  #streamFrame(type: number, flags: number, id: number, length: number, now: Instant): string | undefined {
    if ((flags & FLAG.SYN) !== 0) {
      const fault = this.#accept(id, now)
      if (fault !== undefined) return fault
    }
    const stream = this.#streams.get(id)
    if (stream === undefined) return this.#frameForNobody(type, id, length)
    const data = type === FRAME.data
    const fin = (flags & FLAG.FIN) !== 0
    if (stream.peerFinished && (fin || (data && length > 0))) return `more on stream ${id} behind its FIN`
    if (data && !this.#windows.take(stream, length)) return `stream ${id} overran its window`
    if (!data && !this.#widen(stream, length)) return `the window of stream ${id} is too large`
    if (data) this.#expectBody(stream, length, fin)
    if ((flags & FLAG.RST) !== 0) {
      this.#forget(stream)
      this.#effects.push({ type: 'reset', stream: id })
    } else if (fin && this.#bodyLeft === 0) {
      this.#peerFinish(stream)
    } else if (data && this.#trips.due(now) && stream.receiveWindow * 4 < stream.windowSize * 3) {
      this.#ping(now)
    }
    return undefined
  }

  /** A SYN. A stream that is refused is none, and gets a RST. */
  #accept(id: number, now: Instant): string | undefined {
    if (id === 0 || id % 2 === this.#parity) return `the peer opened stream ${id}, which is not one of its own`
    if (id <= this.#lastPeerStream) return `the peer opened stream ${id} behind stream ${this.#lastPeerStream}`
    this.#lastPeerStream = id
    if (this.#leaving || this.#peerStreams >= this.#limits.maxPeerStreams) {
      this.#windows.leaveResidue(INITIAL_WINDOW)
      return this.#sendReset(id)
    }
    this.#peerStreams++
    const stream = new MuxStream(id, FLAG.ACK, now)
    this.#streams.set(id, stream)
    this.#sender.control(stream)
    this.#effects.push({ type: 'opened', stream: id })
    return undefined
  }

  #frameForNobody(type: number, id: number, length: number): string | undefined {
    const ours = id % 2 === this.#parity
    if (id === 0 || (ours ? id >= this.#nextStream : id > this.#lastPeerStream)) {
      return `a frame for stream ${id}, which nobody opened`
    }
    if (type !== FRAME.data) return undefined
    if (!this.#windows.takeResidue(length)) return `data for stream ${id}, which is over`
    this.#expectBody(undefined, length, false)
    return undefined
  }

  #widen(stream: MuxStream, by: number): boolean {
    stream.sendWindow += by
    this.#sender.arm(stream)
    return stream.sendWindow <= MAX_UINT32
  }

  #expectBody(stream: MuxStream | undefined, length: number, fin: boolean): void {
    this.#bodyLeft = length
    this.#bodyStream = stream
    this.#bodyFin = fin
  }

  #body(bytes: Uint8Array, at: number): number {
    const end = Math.min(bytes.length, at + this.#bodyLeft)
    this.#bodyLeft -= end - at
    const stream = this.#bodyStream
    if (stream === undefined || stream.gone) return end
    this.#effects.push({ type: 'data', stream: stream.id, bytes: bytes.subarray(at, end) })
    if (this.#bodyLeft === 0 && this.#bodyFin) this.#peerFinish(stream)
    return end
  }

  #peerFinish(stream: MuxStream): void {
    stream.peerFinished = true
    this.#windows.release(stream)
    this.#effects.push({ type: 'finished', stream: stream.id })
    this.#closeIfDone(stream)
  }

  #closeIfDone(stream: MuxStream): void {
    if (!stream.peerFinished || stream.finish !== 'sent') return
    this.#forget(stream)
    this.#effects.push({ type: 'closed', stream: stream.id })
  }

  #forget(stream: MuxStream): void {
    stream.gone = true
    this.#streams.delete(stream.id)
    if (stream.id % 2 !== this.#parity) this.#peerStreams--
    this.#windows.release(stream)
    this.#sender.forget(stream)
  }

  #sendReset(id: number): string | undefined {
    if (this.#sender.resets >= MAX_RESETS + this.#limits.maxPeerStreams) {
      return 'more streams were given up than RST frames could be sent'
    }
    this.#sender.reset(id)
    return undefined
  }

  #pinged(flags: number, value: number, now: Instant): undefined {
    if ((flags & FLAG.SYN) !== 0) {
      this.#sender.pong(value)
    } else if ((flags & FLAG.ACK) !== 0) {
      const rttMs = this.#trips.end(value, now)
      if (rttMs !== undefined) this.#effects.push({ type: 'pong', rttMs })
    }
  }

  #goneAway(code: number): string | undefined {
    if (!this.#peerLeaving) this.#effects.push({ type: 'gone-away', code })
    this.#peerLeaving = true
    return code === GO_AWAY.normal ? undefined : `the peer ended the session with code ${code}`
  }

  #fail(cause: string): void {
    this.#failed = true
    for (const stream of this.#streams.values()) this.#forget(stream)
    this.#effects.push(control(FRAME.goAway, 0, 0, GO_AWAY['protocol-error']))
    this.#effects.push({ type: 'failed', cause })
  }
}
