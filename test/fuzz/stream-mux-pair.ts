/** Two muxes and the bytes between them, on a clock that the test moves. */

import { Mux } from '../../protocol/stream-mux.ts'
import { encodeHeader, FRAME, HEADER_LENGTH, HeaderReader, INITIAL_WINDOW } from '../../protocol/stream-mux-frame.ts'
import type { MuxEffect, MuxLimits } from '../../protocol/stream-mux-types.ts'

export const LIMITS: MuxLimits = {
  maxPeerStreams: 1000,
  maxWindow: 16 * 1024 * 1024,
  maxWindowTotal: 64 * 1024 * 1024,
  sendBuffer: 256 * 1024,
}

export type SideName = 'initiator' | 'responder'

/** A frame with `body`, whose length is the frame's unless another is given. */
export function frame(type: number, flags: number, stream: number, length: number, body?: Uint8Array): Uint8Array {
  const header = encodeHeader(type, flags, stream, length)
  return body === undefined ? header : joined([header, body])
}

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts))
}

/** All effects that wait. */
export function drain(mux: Mux): MuxEffect[] {
  const effects: MuxEffect[] = []
  for (let effect = mux.poll(); effect !== undefined; effect = mux.poll()) effects.push(effect)
  return effects
}

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly length: number
}

/** The frames of `send` effects, each of which is one. */
export function framesOf(effects: readonly MuxEffect[]): Frame[] {
  return effects.flatMap((effect) => {
    if (effect.type !== 'send') return []
    const reader = new HeaderReader()
    const rest = effect.parts[0]!.length - reader.fill(effect.parts[0]!, 0)
    const body = effect.parts.slice(1).reduce((sum, part) => sum + part.length, rest)
    const { type, flags, stream, length } = reader
    if (body !== (type === FRAME.data ? length : 0) || effect.length !== HEADER_LENGTH + body) {
      throw new Error('a send effect that is not one frame')
    }
    return [{ type, flags, stream, length }]
  })
}

export function newMux(side: SideName, limits: Partial<MuxLimits> = {}): Mux {
  return new Mux({ side, limits: { ...LIMITS, ...limits }, now: 0 })
}

/** What one end sent that has not arrived. It holds the sender to the windows that the receiver has announced. */
class Wire {
  #chunks: Uint8Array[] = []
  #length = 0
  /** Bytes of data, without headers, that were ever sent. */
  data = 0
  readonly #credit = new Map<number, number>()

  get length(): number {
    return this.#length
  }

  /** `back`: the wire in the other direction, whose credit window updates on this one extend. */
  send(effect: MuxEffect & { type: 'send' }, back: Wire): void {
    const [sent] = framesOf([effect])
    if (sent!.type === FRAME.data) {
      const credit = (this.#credit.get(sent!.stream) ?? INITIAL_WINDOW) - sent!.length
      if (credit < 0) throw new Error(`stream ${sent!.stream} overran its window by ${-credit}`)
      this.#credit.set(sent!.stream, credit)
      this.data += sent!.length
    } else if (sent!.type === FRAME.windowUpdate) {
      back.#credit.set(sent!.stream, (back.#credit.get(sent!.stream) ?? INITIAL_WINDOW) + sent!.length)
    }
    for (const part of effect.parts) this.#chunks.push(part)
    this.#length += effect.length
  }

  take(most: number): Uint8Array {
    const taken: Uint8Array[] = []
    let left = Math.min(most, this.#length)
    this.#length -= left
    while (left > 0) {
      const chunk = this.#chunks.shift()!
      if (chunk.length > left) this.#chunks.unshift(chunk.subarray(left))
      taken.push(chunk.subarray(0, left))
      left -= taken.at(-1)!.length
    }
    return joined(taken)
  }
}

export class End {
  readonly name: SideName
  readonly mux: Mux
  readonly out = new Wire()
  /** Every effect but `send`. */
  readonly events: MuxEffect[] = []

  constructor(name: SideName, limits: Partial<MuxLimits>) {
    this.name = name
    this.mux = newMux(name, limits)
  }

  eventsOf(stream: number): string[] {
    return this.events
      .filter((event) => 'stream' in event && event.stream === stream)
      .map((event) => event.type)
      .filter((type, index, all) => type !== 'data' || all[index - 1] !== 'data')
  }

  received(stream: number): Uint8Array {
    return joined(
      this.events.flatMap((event) => (event.type === 'data' && event.stream === stream ? [event.bytes] : [])),
    )
  }

  get failure(): string | undefined {
    return this.events.find((event) => event.type === 'failed')?.cause
  }
}

export class Pair {
  readonly initiator: End
  readonly responder: End
  now = 0
  /** Called for every effect but `send`. */
  onEvent: (end: End, event: MuxEffect) => void = () => {}

  constructor(limits: Partial<MuxLimits> = {}) {
    this.initiator = new End('initiator', limits)
    this.responder = new End('responder', limits)
  }

  other(end: End): End {
    return end === this.initiator ? this.responder : this.initiator
  }

  handle(end: End, input: Parameters<Mux['handle']>[0]): void {
    end.mux.handle(input, this.now)
    this.settle(end)
  }

  /** Opens a stream of the next id. */
  open(end: End): number {
    const stream = end.mux.nextStream
    this.handle(end, { type: 'open', stream })
    return stream
  }

  settle(end: End): void {
    for (let effect = end.mux.poll(); effect !== undefined; effect = end.mux.poll()) {
      if (effect.type === 'send') {
        end.out.send(effect, this.other(end).out)
      } else {
        end.events.push(effect)
        this.onEvent(end, effect)
      }
    }
  }

  /** Brings up to `most` bytes that `from` sent to the other end. */
  deliver(from: End, most = Number.MAX_SAFE_INTEGER): void {
    if (from.out.length > 0) this.handle(this.other(from), { type: 'received', bytes: from.out.take(most) })
  }

  /** Until nothing is on its way. */
  run(): void {
    for (let rounds = 0; this.initiator.out.length + this.responder.out.length > 0; rounds++) {
      if (rounds > 100_000) throw new Error('it does not come to rest')
      this.deliver(this.initiator)
      this.deliver(this.responder)
    }
  }
}
