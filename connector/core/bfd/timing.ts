/**
 * The two intervals of a session: what each end says, what holds, and the Poll Sequence that lies between when ours
 * change (RFC 5880 sections 6.5, 6.8.2 to 6.8.4). All in milliseconds; the wire has microseconds.
 */
import type { BfdPacket } from './wire.ts'

/** Until a session is up nothing is sent more often (section 6.8.3). */
export const SLOW_MS = 1_000
/** Of section 6.8.1: bfd.RemoteMinRxInterval before the peer has said anything. */
const UNKNOWN_MIN_RX_MS = 0.001

/** What we ask of the peer in each packet. */
interface Intervals {
  /** bfd.DesiredMinTxInterval. */
  readonly tx: number
  /** bfd.RequiredMinRxInterval. */
  readonly rx: number
}

/**
 * Where a Poll Sequence is. `settling`: the Final came, but another one that is still on its way could be taken for
 * the answer to the next Poll; a packet without Final ends that (6.8.3, the third choice).
 */
type Poll = 'none' | 'due' | 'sent' | 'settling'

export class Timing {
  /** What packets say. */
  #said: Intervals
  /** What holds: differs from `#said` only while up and polling. */
  #holds: Intervals
  #wanted: Intervals
  #isUp = false
  #poll: Poll = 'none'
  #remoteMinTx = 0
  #remoteMinRx = UNKNOWN_MIN_RX_MS
  #remoteMult = 0

  constructor(txMs: number, rxMs: number) {
    this.#wanted = { tx: txMs, rx: rxMs }
    this.#said = this.#holds = this.#allowed()
  }

  /** bfd.DesiredMinTxInterval, as packets say it. */
  get desiredMinTxMs(): number {
    return this.#said.tx
  }

  /** bfd.RequiredMinRxInterval, as packets say it. */
  get requiredMinRxMs(): number {
    return this.#said.rx
  }

  /** Between two packets of ours, before jitter. Undefined while the peer wants none (6.8.7). */
  get txIntervalMs(): number | undefined {
    return this.#remoteMinRx === 0 ? undefined : Math.max(this.#holds.tx, this.#remoteMinRx)
  }

  /** Between two packets of the peer, before jitter. */
  get rxIntervalMs(): number {
    return Math.max(this.#holds.rx, this.#remoteMinTx)
  }

  /** Section 6.8.4. Zero before the first packet of the peer. */
  get detectionMs(): number {
    return this.#remoteMult * this.rxIntervalMs
  }

  get remoteMult(): number {
    return this.#remoteMult
  }

  get isPolling(): boolean {
    return this.#poll === 'due' || this.#poll === 'sent'
  }

  /** Periodic packets carry the Poll bit while a Poll Sequence runs; call when one leaves. */
  pollSent(): void {
    if (this.#poll === 'due') this.#poll = 'sent'
  }

  /** Other intervals are wanted. They are said when the Poll Sequence in course, if any, is over. */
  want(txMs: number, rxMs: number): void {
    this.#wanted = { tx: txMs, rx: rxMs }
    this.#advance()
  }

  /** The session came up or is no longer up. What was held back for a Poll Sequence holds at once. */
  setUp(isUp: boolean): void {
    this.#isUp = isUp
    this.#poll = 'none'
    this.#holds = this.#said
    this.#advance()
  }

  /** A valid packet of the peer's. */
  received(packet: BfdPacket): void {
    this.#remoteMinTx = packet.desiredMinTxUs / 1000
    this.#remoteMinRx = packet.requiredMinRxUs / 1000
    this.#remoteMult = packet.detectMult
    if (packet.final && this.#poll === 'sent') {
      this.#poll = 'settling'
      this.#holds = this.#said
    } else if (!packet.final && this.#poll === 'settling') this.#poll = 'none'
    this.#advance()
  }

  /** The peer was silent for a detection time: nothing is known of it (6.8.1). */
  forget(): void {
    this.#remoteMinTx = 0
    this.#remoteMinRx = UNKNOWN_MIN_RX_MS
    this.#remoteMult = 0
    this.#poll = 'none'
    this.#holds = this.#said
    this.#advance()
  }

  #allowed(): Intervals {
    return { tx: this.#isUp ? this.#wanted.tx : Math.max(SLOW_MS, this.#wanted.tx), rx: this.#wanted.rx }
  }

  /** Says what is wanted, if that differs and no Poll Sequence of an established session is in the way. */
  #advance(): void {
    if (this.#isUp && this.#poll !== 'none') return
    const next = this.#allowed()
    if (next.tx === this.#said.tx && next.rx === this.#said.rx) return
    const before = this.#holds
    this.#said = next
    this.#poll = 'due'
    // Section 6.8.3: of an established session, slower sending and earlier detection wait for the Final.
    this.#holds = this.#isUp ? { tx: Math.min(before.tx, next.tx), rx: Math.max(before.rx, next.rx) } : next
  }
}
