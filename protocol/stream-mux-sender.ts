/**
 * What a mux has to send, made into frames when there is room for them: control frames first, then data, each stream
 * in its turn.
 */
import { encodeHeader, FLAG, FRAME, HEADER_LENGTH } from './stream-mux-frame.ts'
import { Fifo, TurnLine } from './stream-mux-lines.ts'
import type { MuxStream } from './stream-mux-stream.ts'
import type { MuxEffect } from './stream-mux-types.ts'
import type { ReceiveWindows } from './stream-mux-window.ts'

/** Bytes of one stream in one turn, and of one for which no other stream waits. */
const TURN = 16 * 1024
const LONE_TURN = 64_000
/** Where so many send buffers of bytes wait on all streams together, a stream has a buffer of one turn. */
const CROWD = 64
/** Answers to pings that wait; beyond it the oldest is not given. An honest peer has one or two on their way. */
const MAX_PONGS = 32

export interface SenderEvents {
  /** What waits fell below half of the send buffer. */
  writable(stream: MuxStream): void
  /** The FIN has gone out. */
  finished(stream: MuxStream): void
}

type SendEffect = Extract<MuxEffect, { type: 'send' }>

export class MuxSender {
  readonly #windows: ReceiveWindows
  readonly #sendBuffer: number
  readonly #events: SenderEvents
  readonly #pings = new Fifo<number>()
  readonly #pongs = new Fifo<number>()
  readonly #resets = new Fifo<number>()
  #goAway: number | undefined
  readonly #control = new TurnLine<MuxStream>()
  readonly #data = new TurnLine<MuxStream>()
  #backlog = 0

  constructor(windows: ReceiveWindows, sendBuffer: number, events: SenderEvents) {
    this.#windows = windows
    this.#sendBuffer = sendBuffer
    this.#events = events
  }

  /** Bytes that were written and not sent. */
  get backlog(): number {
    return this.#backlog
  }

  /** RST frames that wait. */
  get resets(): number {
    return this.#resets.length
  }

  ping(value: number): void {
    this.#pings.push(value)
  }

  pong(value: number): void {
    if (this.#pongs.length === MAX_PONGS) this.#pongs.shift()
    this.#pongs.push(value)
  }

  reset(id: number): void {
    this.#resets.push(id)
  }

  goAway(code: number): void {
    this.#goAway = code
  }

  /** The stream's flags or its grant wait for a window update. */
  control(stream: MuxStream): void {
    this.#control.join(stream.controlTurn)
  }

  write(stream: MuxStream, bytes: Uint8Array): void {
    stream.append(bytes)
    this.#backlog += bytes.length
    if (stream.waiting >= this.#roomOfOne) stream.full = true
    this.arm(stream)
  }

  /** Joins the line for data if the stream has something that it may send. */
  arm(stream: MuxStream): void {
    if (stream.waiting > 0 ? stream.sendWindow > 0 : stream.finish === 'wanted') this.#data.join(stream.dataTurn)
  }

  /** Nothing of this stream is sent any more. */
  forget(stream: MuxStream): void {
    this.#backlog -= stream.waiting
    stream.drop()
    this.#control.leave(stream.controlTurn)
    this.#data.leave(stream.dataTurn)
  }

  /** The next frame. */
  next(): SendEffect | undefined {
    return this.#session() ?? this.#streamControl() ?? this.#streamData()
  }

  get #roomOfOne(): number {
    return this.#backlog < CROWD * this.#sendBuffer ? this.#sendBuffer : Math.min(TURN, this.#sendBuffer)
  }

  #session(): SendEffect | undefined {
    const pong = this.#pongs.shift()
    if (pong !== undefined) return control(FRAME.ping, FLAG.ACK, 0, pong)
    const ping = this.#pings.shift()
    if (ping !== undefined) return control(FRAME.ping, FLAG.SYN, 0, ping)
    const id = this.#resets.shift()
    if (id !== undefined) return control(FRAME.windowUpdate, FLAG.RST, id, 0)
    if (this.#goAway === undefined) return undefined
    const code = this.#goAway
    this.#goAway = undefined
    return control(FRAME.goAway, 0, 0, code)
  }

  #streamControl(): SendEffect | undefined {
    const stream = this.#control.shift()
    if (stream === undefined) return undefined
    const effect = control(FRAME.windowUpdate, stream.flags, stream.id, stream.grant)
    stream.flags = 0
    this.#windows.granted(stream)
    return effect
  }

  #streamData(): SendEffect | undefined {
    const stream = this.#data.shift()
    if (stream === undefined) return undefined
    if (stream.waiting === 0) {
      stream.finish = 'sent'
      this.#events.finished(stream)
      return control(FRAME.windowUpdate, FLAG.FIN, stream.id, 0)
    }
    const length = Math.min(stream.waiting, stream.sendWindow, this.#data.isEmpty ? LONE_TURN : TURN)
    const parts = [encodeHeader(FRAME.data, 0, stream.id, length)]
    stream.take(length, parts)
    stream.sendWindow -= length
    this.#backlog -= length
    if (stream.full && stream.waiting * 2 < this.#roomOfOne) {
      stream.full = false
      this.#events.writable(stream)
    }
    this.arm(stream)
    return { type: 'send', parts, length: HEADER_LENGTH + length }
  }
}

export function control(type: number, flags: number, stream: number, length: number): SendEffect {
  return { type: 'send', parts: [encodeHeader(type, flags, stream, length)], length: HEADER_LENGTH }
}
