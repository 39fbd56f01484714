/** One stream of a mux: a few numbers, and what waits to be sent. */
import type { Instant } from './machine.ts'
import { INITIAL_WINDOW } from './stream-mux-frame.ts'
import { Fifo, Turn } from './stream-mux-lines.ts'

export class MuxStream {
  readonly id: number
  /** Bytes that the peer lets us send. */
  sendWindow = INITIAL_WINDOW
  /** Bytes that the peer may still send. */
  receiveWindow = INITIAL_WINDOW
  /** What the receive window is filled up to. */
  windowSize = INITIAL_WINDOW
  /** Bytes that came and were not consumed. */
  unconsumed = 0
  /** Bytes by which the receive window opens with the next window update. */
  grant = 0
  /** When the receive window was last opened. */
  grantedAt: Instant
  /** SYN or ACK, until it has gone out with a window update. */
  flags = 0
  finish: 'no' | 'wanted' | 'sent' = 'no'
  peerFinished = false
  /** Bytes that wait to be sent. */
  waiting = 0
  /** As much waited as may, and it has not fallen below half of that since. */
  full = false
  /** Forgotten by the mux. */
  gone = false
  readonly controlTurn = new Turn<MuxStream>(this)
  readonly dataTurn = new Turn<MuxStream>(this)
  /** Not there while nothing waits: most streams are idle most of the time. */
  #chunks: Fifo<Uint8Array> | undefined
  /** Bytes of the first chunk that were taken. */
  #taken = 0

  constructor(id: number, flags: number, now: Instant) {
    this.id = id
    this.flags = flags
    this.grantedAt = now
  }

  append(bytes: Uint8Array): void {
    this.#chunks ??= new Fifo()
    this.#chunks.push(bytes)
    this.waiting += bytes.length
  }

  /** Takes `length` bytes, at most `waiting`, off what waits; adds them to `parts` as parts of what was appended. */
  take(length: number, parts: Uint8Array[]): void {
    let left = length
    while (left > 0) {
      const chunk = this.#chunks!.first!
      const end = Math.min(chunk.length, this.#taken + left)
      parts.push(this.#taken === 0 && end === chunk.length ? chunk : chunk.subarray(this.#taken, end))
      left -= end - this.#taken
      this.#taken = end
      if (end === chunk.length) {
        this.#chunks!.shift()
        this.#taken = 0
      }
    }
    this.waiting -= length
    if (this.waiting === 0) this.#chunks = undefined
  }

  /** Drops what waits. */
  drop(): void {
    this.#chunks = undefined
    this.#taken = 0
    this.waiting = 0
  }
}
