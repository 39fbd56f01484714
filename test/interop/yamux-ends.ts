/** Our mux and one of yamux-js, joined in memory. */
import type { Duplex } from 'node:stream'
import { Client, Server } from 'yamux-js'
import { Mux } from '../../protocol/stream-mux.ts'
import type { MuxEffect, MuxInput } from '../../protocol/stream-mux-types.ts'
import { random } from '../fuzz/ike-mutate.ts'
import { joined, LIMITS } from '../fuzz/stream-mux-pair.ts'

const CONFIG = { enableKeepAlive: false, logger: () => {} }

export class YamuxEnds {
  readonly mux: Mux
  readonly theirs: Client | Server
  /** Streams that our mux opened, as yamux-js has them. */
  readonly accepted: Duplex[] = []
  /** Every effect but `send`; data is consumed at once. */
  readonly events: MuxEffect[] = []
  readonly #next = random(20_240_517)
  readonly #inbox: Uint8Array[] = []
  readonly #waiting = new Set<() => void>()

  /** `role`: of our mux. */
  constructor(role: 'initiator' | 'responder') {
    this.mux = new Mux({ side: role, limits: { ...LIMITS, maxPeerStreams: 200 }, now: 0 })
    this.theirs =
      role === 'responder' ? new Client(CONFIG) : new Server((stream: Duplex) => this.accepted.push(stream), CONFIG)
    this.theirs.on('data', (bytes: Uint8Array) => this.#receive(bytes))
    this.theirs.on('error', () => {})
  }

  handle(input: MuxInput): void {
    this.mux.handle(input, performance.now())
    for (let effect = this.mux.poll(); effect !== undefined; effect = this.mux.poll()) this.#carryOut(effect)
    for (const wake of this.#waiting) wake()
  }

  open(): number {
    const stream = this.mux.nextStream
    this.handle({ type: 'open', stream })
    return stream
  }

  /** Opens a stream at the other end. */
  openTheirs(): Duplex {
    return (this.theirs as Client).open()
  }

  received(stream: number): Uint8Array {
    return joined(
      this.events.flatMap((event) => (event.type === 'data' && event.stream === stream ? [event.bytes] : [])),
    )
  }

  has(type: MuxEffect['type'], stream?: number): boolean {
    return this.events.some(
      (event) => event.type === type && (stream === undefined || ('stream' in event && event.stream === stream)),
    )
  }

  /** Resolves when `condition` holds, which is looked at after each event of either end. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!condition()) return
        this.#waiting.delete(look)
        resolve()
      }
      this.#waiting.add(look)
      look()
    })
  }

  /** To be called by what listens to streams of yamux-js. */
  look(): void {
    for (const wake of this.#waiting) wake()
  }

  /** In pieces, as a transport may cut them. What comes in answer to one waits until all are through. */
  #receive(bytes: Uint8Array): void {
    this.#inbox.push(bytes)
    if (this.#inbox.length > 1) return
    for (let first = this.#inbox[0]; first !== undefined; first = this.#inbox[0]) {
      for (let at = 0; at < first.length; ) {
        const end = Math.min(first.length, at + 1 + this.#next(this.#next(4) === 0 ? 20 : 40_000))
        this.handle({ type: 'received', bytes: first.slice(at, end) })
        at = end
      }
      this.#inbox.shift()
    }
  }

  #carryOut(effect: MuxEffect): void {
    if (effect.type === 'send') {
      // yamux-js loses a header that comes in two pieces: each of ours goes in one.
      this.theirs.write(Buffer.from(joined(effect.parts)))
      return
    }
    this.events.push(effect)
    if (effect.type === 'data') this.handle({ type: 'consumed', stream: effect.stream, length: effect.bytes.length })
  }
}
