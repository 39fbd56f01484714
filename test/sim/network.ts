/** The simulated internet: datagrams between socket addresses, over links that lose, delay, reorder and repeat. */
import { formatSocketAddress, type SocketAddress } from '../../protocol/net.ts'
import type { SeededRandom } from './random.ts'
import type { Timeline } from './timeline.ts'

export interface LinkQuality {
  /** Probabilities, 0 to 1. */
  readonly loss: number
  readonly duplicate: number
  /** Milliseconds; each datagram takes `delay` plus a uniform part of `jitter`, which is what reorders. */
  readonly delay: number
  readonly jitter: number
}

export interface Datagram {
  readonly from: SocketAddress
  readonly to: SocketAddress
  readonly payload: Payload
}

export type Payload =
  | { readonly kind: 'ike'; readonly bytes: Uint8Array }
  | { readonly kind: 'keepalive' }
  /** ESP, as far as the world cares: which SA, and which packet of the flow. */
  | { readonly kind: 'esp'; readonly spi: number; readonly packet: number }

export interface Receiver {
  receive(datagram: Datagram): void
}

/** Rewrites the source of what leaves one address, as a NAT does, and the destination of what comes back. */
export interface Nat {
  readonly inside: string
  readonly outside: string
  /** Outside port by inside port; forgotten at a rebinding. */
  ports: Map<number, number>
}

export class Network {
  lost = 0
  carried = 0
  /** While true, nothing passes. */
  down = false
  readonly #receivers = new Map<string, Receiver>()
  readonly #timeline: Timeline
  readonly #random: SeededRandom
  readonly #trace: (line: string) => void
  #quality: LinkQuality
  #nat: Nat | undefined
  #nextPort = 20_000

  constructor(timeline: Timeline, random: SeededRandom, quality: LinkQuality, trace: (line: string) => void) {
    this.#timeline = timeline
    this.#random = random
    this.#quality = quality
    this.#trace = trace
  }

  attach(address: string, receiver: Receiver): void {
    this.#receivers.set(address, receiver)
  }

  setQuality(quality: LinkQuality): void {
    this.#quality = quality
  }

  putNat(inside: string, outside: string): void {
    this.#nat = { inside, outside, ports: new Map() }
  }

  /** The NAT forgets; the next datagram out gets another port. */
  rebind(): void {
    this.#nat?.ports.clear()
  }

  /** Returns false when the datagram is lost on the way; the sender of course does not know. */
  send(datagram: Datagram): boolean {
    const copies =
      this.down || this.#random.chance(this.#quality.loss) ? 0 : this.#random.chance(this.#quality.duplicate) ? 2 : 1
    const outward = this.#translateOut(datagram)
    if (datagram.payload.kind === 'ike') this.#traceIke(outward, copies)
    if (copies === 0) {
      this.lost++
      return false
    }
    for (let i = 0; i < copies; i++) {
      const delay = this.#quality.delay + this.#random.fraction() * this.#quality.jitter
      this.#timeline.after(delay, () => this.#deliver(outward))
    }
    return true
  }

  #deliver(datagram: Datagram): void {
    const inward = this.#translateIn(datagram)
    const receiver = inward === undefined ? undefined : this.#receivers.get(inward.to.address)
    if (inward === undefined || receiver === undefined) {
      this.lost++
      return
    }
    this.carried++
    receiver.receive(inward)
  }

  #translateOut(datagram: Datagram): Datagram {
    const nat = this.#nat
    if (nat === undefined || datagram.from.address !== nat.inside) return datagram
    let port = nat.ports.get(datagram.from.port)
    if (port === undefined) {
      port = this.#nextPort++
      nat.ports.set(datagram.from.port, port)
    }
    return { ...datagram, from: { address: nat.outside as SocketAddress['address'], port } }
  }

  #translateIn(datagram: Datagram): Datagram | undefined {
    const nat = this.#nat
    if (nat === undefined || datagram.to.address !== nat.outside) return datagram
    for (const [inside, outside] of nat.ports) {
      if (outside === datagram.to.port) {
        return { ...datagram, to: { address: nat.inside as SocketAddress['address'], port: inside } }
      }
    }
    return undefined
  }

  #traceIke(datagram: Datagram, copies: number): void {
    if (datagram.payload.kind !== 'ike') return
    const hex = Buffer.from(datagram.payload.bytes).toString('hex')
    const path = `${formatSocketAddress(datagram.from)} > ${formatSocketAddress(datagram.to)}`
    this.#trace(`${this.#timeline.now} ${path} x${copies} ${hex}`)
  }
}
