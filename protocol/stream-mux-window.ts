/**
 * Receive windows (hashicorp/yamux, spec.md, "Flow Control"). A window opens again when half of it was consumed. It
 * doubles where it was used up within two round trips, because then it may be what holds the peer up: so a window ends
 * between two and four times the bandwidth-delay product. It does not shrink before its stream ends.
 */
import type { Instant } from './machine.ts'
import { INITIAL_WINDOW } from './stream-mux-frame.ts'
import type { MuxStream } from './stream-mux-stream.ts'
import type { MuxLimits } from './stream-mux-types.ts'

/** A round trip takes no less: on short paths it is the turns of busy processes that a window has to bridge. */
const MIN_TRIP_MS = 5

export class ReceiveWindows {
  readonly #limits: MuxLimits
  /** Bytes of all windows beyond the first 256 KiB of each. */
  #grown = 0
  /** Bytes that the peer may have on their way to streams that we reset. */
  #residue = 0

  constructor(limits: MuxLimits) {
    this.#limits = limits
  }

  get grown(): number {
    return this.#grown
  }

  /** Accounts for a data frame. False where the peer overruns the window. */
  take(stream: MuxStream, length: number): boolean {
    if (length > stream.receiveWindow) return false
    stream.receiveWindow -= length
    stream.unconsumed += length
    return true
  }

  /** As `take`, for a data frame to a stream that was forgotten. */
  takeResidue(length: number): boolean {
    if (length > this.#residue) return false
    this.#residue -= length
    return true
  }

  /** The peer has not heard yet that its stream is gone, and may use up this much. */
  leaveResidue(length: number): void {
    this.#residue += length
  }

  /** Takes note of consumed bytes. True where a window update is due: `grant` tells by how much. */
  consume(stream: MuxStream, length: number, now: Instant, rttMs: number | undefined): boolean {
    stream.unconsumed -= Math.min(length, stream.unconsumed)
    if (stream.peerFinished) return false
    const open = stream.receiveWindow + stream.grant + stream.unconsumed
    const used = stream.windowSize - open
    if (used * 2 < stream.windowSize) return false
    if (rttMs !== undefined) {
      const tripMs = Math.max(rttMs, MIN_TRIP_MS)
      if (now - stream.grantedAt <= (2 * tripMs * used) / stream.windowSize) this.#grow(stream)
    }
    stream.grant += stream.windowSize - open
    stream.grantedAt = now
    return true
  }

  /** The window update has gone out. */
  granted(stream: MuxStream): void {
    stream.receiveWindow += stream.grant
    stream.grant = 0
  }

  /** Nothing more comes on this stream. */
  release(stream: MuxStream): void {
    this.#grown -= stream.windowSize - INITIAL_WINDOW
    stream.windowSize = INITIAL_WINDOW
    stream.grant = 0
  }

  #grow(stream: MuxStream): void {
    const size = Math.min(
      stream.windowSize * 2,
      this.#limits.maxWindow,
      stream.windowSize + this.#limits.maxWindowTotal - this.#grown,
    )
    if (size <= stream.windowSize) return
    this.#grown += size - stream.windowSize
    stream.windowSize = size
  }
}
