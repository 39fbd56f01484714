/** One BFD session in asynchronous mode (RFC 5880 section 6.8). */
import type { Instant, Machine, RandomBytes } from '../../../protocol/machine.ts'
import { type BfdSessionConfig, type BfdTimers, timerFaults } from './config.ts'
import { FlapMemory } from './dampening.ts'
import { LatenessGauge } from './lateness.ts'
import { type BfdEvent, TRANSITIONS } from './states.ts'
import { Timing } from './timing.ts'
import { type BfdPacket, type BfdState, diagnostic } from './wire.ts'

/** The lateness of our own loop is measured only where a packet was due: the next may be later. */
const OWN_MARGIN = 1.5
/** In intervals: a gap like this is what a lost packet leaves behind, and no reason to be slower. */
const LOST_PACKET = 1.25

export type BfdInput =
  /** Valid by the rules that need no session, and meant for this one: see `endpoint.ts`. */
  | { readonly kind: 'packet'; readonly packet: BfdPacket }
  | { readonly kind: 'time' }
  | { readonly kind: 'admin-up' }
  | { readonly kind: 'admin-down' }
  /** Says goodbye for a detection time, then is `ended`. */
  | { readonly kind: 'remove' }
  | { readonly kind: 'timers'; readonly timers: BfdTimers }

export type BfdEffect =
  | { readonly kind: 'send'; readonly packet: BfdPacket }
  | BfdStateChange
  /** After `remove`: nothing comes out of it any more. */
  | { readonly kind: 'ended' }

export interface BfdStateChange {
  readonly kind: 'state'
  readonly from: BfdState
  readonly to: BfdState
  /** bfd.LocalDiag: why. */
  readonly diagnostic: number
  /** What the peer's last packet said. */
  readonly remote: BfdState
  /** Its C bit: its BFD does not share fate with its control plane. */
  readonly remoteControlPlaneIndependent: boolean
  /** Milliseconds since the peer was heard; of sessions that were up. */
  readonly silentMs?: number
}

export interface BfdStatus {
  readonly state: BfdState
  readonly diagnostic: number
  readonly localDiscriminator: number
  /** Zero while unknown. */
  readonly remoteDiscriminator: number
  readonly remoteState: BfdState
  readonly remoteDiagnostic: number
  readonly upSince?: Instant
  /** Times that an established session was lost. */
  readonly flaps: number
  /** Undefined while the peer wants no packets. */
  readonly txIntervalMs: number | undefined
  readonly rxIntervalMs: number
  readonly detectionMs: number
  readonly polling: boolean
  /** The greatest lateness seen: of our own loop, and of the peer's packets. */
  readonly latenessMs: { readonly own: number; readonly peer: number }
  /** Held down after flaps until then. */
  readonly heldUntil?: Instant
}

export class BfdSession implements Machine<BfdInput, BfdEffect> {
  readonly localDiscriminator: number
  readonly #random: RandomBytes
  readonly #config: BfdSessionConfig
  readonly #timing: Timing
  readonly #flapMemory: FlapMemory | undefined
  readonly #ownGauge: LatenessGauge
  readonly #peerGauge: LatenessGauge
  readonly #effects: BfdEffect[] = []
  #timers: BfdTimers
  #state: BfdState = 'down'
  #diagnostic: number = diagnostic.none
  /** The last packet that was taken; undefined when the peer was silent for a detection time. */
  #heard: BfdPacket | undefined
  #heardAt: Instant = 0
  /** Our own stall may have left packets unread: detection waits until then, once (see `#detect`). */
  #graceUntil: Instant | undefined
  #sentAt: Instant | undefined
  /** Of the interval, for the packet that is next (6.8.7). */
  #jitter = 1
  /** When the next periodic packet was to leave, as the last `handle` left it. */
  #armedAt: Instant | undefined
  #upSince: Instant | undefined
  #flaps = 0
  #endAt: Instant | undefined
  #isEnded = false

  /** `discriminator`: not zero, unique among the sessions of this system. Throws a RangeError for impossible timers. */
  constructor(discriminator: number, config: BfdSessionConfig, random: RandomBytes) {
    const faults = timerFaults(config.timers)
    if (faults.length > 0) throw new RangeError(faults.join(' '))
    const { desiredMinTxMs, requiredMinRxMs, adaptMaxMs } = config.timers
    this.localDiscriminator = discriminator
    this.#config = config
    this.#timers = config.timers
    this.#random = random
    this.#timing = new Timing(desiredMinTxMs, requiredMinRxMs)
    this.#ownGauge = new LatenessGauge(desiredMinTxMs, adaptMaxMs, OWN_MARGIN)
    this.#peerGauge = new LatenessGauge(requiredMinRxMs, adaptMaxMs, 1)
    this.#flapMemory = config.dampening === undefined ? undefined : new FlapMemory(config.dampening)
  }

  handle(input: BfdInput, now: Instant): void {
    if (this.#isEnded) return
    switch (input.kind) {
      case 'packet':
        this.#receive(input.packet, now)
        break
      case 'time':
        break
      case 'admin-up':
        if (this.#state === 'admin-down' && this.#endAt === undefined) this.#become('down', diagnostic.none, now)
        break
      case 'admin-down':
        this.#disable(now)
        break
      case 'remove':
        this.#remove(now)
        break
      case 'timers':
        this.#setTimers(input.timers)
        break
    }
    this.#detect(now)
    this.#sendDue(now)
    this.#end(now)
    this.#armedAt = this.#dueAt()
  }

  poll(): BfdEffect | undefined {
    return this.#effects.shift()
  }

  deadline(): Instant | undefined {
    if (this.#isEnded) return undefined
    const times = [this.#armedAt, this.#expiresAt(), this.#endAt].filter((time) => time !== undefined)
    return times.length === 0 ? undefined : Math.min(...times)
  }

  status(): BfdStatus {
    const held = this.#flapMemory?.heldUntil ?? Number.NEGATIVE_INFINITY
    return {
      state: this.#state,
      diagnostic: this.#diagnostic,
      localDiscriminator: this.localDiscriminator,
      remoteDiscriminator: this.#heard?.myDiscriminator ?? 0,
      remoteState: this.#remoteState,
      remoteDiagnostic: this.#heard?.diagnostic ?? diagnostic.none,
      ...(this.#upSince === undefined ? {} : { upSince: this.#upSince }),
      flaps: this.#flaps,
      txIntervalMs: this.#timing.txIntervalMs,
      rxIntervalMs: this.#timing.rxIntervalMs,
      detectionMs: this.#timing.detectionMs,
      polling: this.#timing.isPolling,
      latenessMs: { own: this.#ownGauge.peakMs, peer: this.#peerGauge.peakMs },
      ...(Number.isFinite(held) ? { heldUntil: held } : {}),
    }
  }

  get #remoteState(): BfdState {
    return this.#heard?.state ?? 'down'
  }

  /** Section 6.8.6, from where the session has been found. */
  #receive(packet: BfdPacket, now: Instant): void {
    if (this.#state === 'up' && this.#heard !== undefined) this.#measurePeer(packet, now)
    this.#heard = packet
    this.#heardAt = now
    this.#graceUntil = undefined
    this.#timing.received(packet)
    // Whoever is administratively down discards what is left of the packet, a Poll included.
    if (this.#state === 'admin-down') return
    const before = this.#state
    this.#apply(packet.state, now)
    this.#adapt()
    if (packet.poll) this.#send(false, true)
    else if (this.#state !== before) this.#announce(now)
  }

  #measurePeer(packet: BfdPacket, now: Instant): void {
    const interval = this.#timing.rxIntervalMs
    const late = now - this.#heardAt - interval
    this.#peerGauge.sample(late > LOST_PACKET * interval ? late : 0, packet.detectMult, now)
  }

  #apply(event: BfdEvent, now: Instant): void {
    const transition = TRANSITIONS[this.#state][event]
    if (transition === undefined) return
    // RFC 5882 section 3.1: to stay down is what hysteresis looks like to the peer.
    if (this.#state === 'down' && this.#flapMemory?.isHeld(now) === true) return
    this.#become(transition.to, transition.diagnostic ?? this.#diagnostic, now)
  }

  #become(to: BfdState, code: number, now: Instant): void {
    const from = this.#state
    if (from === to) return
    this.#state = to
    this.#diagnostic = code
    this.#effects.push({
      kind: 'state',
      from,
      to,
      diagnostic: code,
      remote: this.#remoteState,
      remoteControlPlaneIndependent: this.#heard?.controlPlaneIndependent ?? false,
      ...(from === 'up' ? { silentMs: now - this.#heardAt } : {}),
    })
    if (to === 'up') this.#cameUp(now)
    if (from === 'up') this.#wentDown(now)
  }

  #cameUp(now: Instant): void {
    this.#upSince = now
    this.#flapMemory?.up(now)
    this.#timing.setUp(true)
  }

  #wentDown(now: Instant): void {
    this.#upSince = undefined
    this.#timing.setUp(false)
    const isWish = this.#state === 'admin-down' || this.#remoteState === 'admin-down'
    if (isWish) return
    this.#flaps++
    this.#flapMemory?.lost(now)
  }

  /** Section 6.8.16. */
  #disable(now: Instant): void {
    if (this.#state === 'admin-down') return
    this.#flapMemory?.forgive()
    this.#become('admin-down', diagnostic.administrativelyDown, now)
    this.#announce(now)
  }

  #remove(now: Instant): void {
    if (this.#endAt !== undefined) return
    this.#disable(now)
    // The peer's detection time, so that it surely learns of it (6.8.16). Who was never heard needs none.
    const interval = this.#heard === undefined ? 0 : (this.#timing.txIntervalMs ?? 0)
    this.#endAt = now + this.#timers.detectMult * interval
  }

  #end(now: Instant): void {
    if (this.#endAt === undefined || now < this.#endAt) return
    this.#isEnded = true
    this.#effects.push({ kind: 'ended' })
  }

  /** Impossible timers are refused before they come here; ours stay then. */
  #setTimers(timers: BfdTimers): void {
    if (timerFaults(timers).length > 0) return
    this.#timers = timers
    this.#ownGauge.setBounds(timers.desiredMinTxMs, timers.adaptMaxMs)
    this.#peerGauge.setBounds(timers.requiredMinRxMs, timers.adaptMaxMs)
    this.#adapt()
  }

  #adapt(): void {
    this.#timing.want(this.#ownGauge.intervalMs, this.#peerGauge.intervalMs)
  }

  #expiresAt(): Instant | undefined {
    if (this.#heard === undefined) return undefined
    return this.#graceUntil ?? this.#heardAt + this.#timing.detectionMs
  }

  /**
   * Section 6.8.4. When we come to look only long after the time was over, the peer's packets may well lie in the
   * socket: they get as long as we were late, at most an interval, once.
   */
  #detect(now: Instant): void {
    const expiresAt = this.#expiresAt()
    if (expiresAt === undefined || now < expiresAt) return
    const late = Math.min(now - expiresAt, this.#timing.rxIntervalMs)
    if (this.#graceUntil === undefined && late > 0) {
      this.#graceUntil = now + late
      return
    }
    this.#graceUntil = undefined
    const before = this.#state
    this.#apply('detection-time-expired', now)
    this.#heard = undefined
    this.#timing.forget()
    if (this.#state !== before) this.#announce(now)
  }

  /** When the next periodic packet leaves; undefined while there may be none (6.8.7). */
  #dueAt(): Instant | undefined {
    const interval = this.#timing.txIntervalMs
    if (interval === undefined) return undefined
    if (this.#config.role === 'passive' && this.#heard === undefined) return undefined
    const isDemand = this.#heard?.demand === true && this.#state === 'up' && this.#remoteState === 'up'
    if (isDemand && !this.#timing.isPolling) return undefined
    return this.#sentAt === undefined ? Number.NEGATIVE_INFINITY : this.#sentAt + interval * this.#jitter
  }

  #sendDue(now: Instant): void {
    const dueAt = this.#dueAt()
    if (dueAt === undefined || now < dueAt) return
    if (this.#state === 'up' && this.#armedAt !== undefined) {
      this.#ownGauge.sample(Math.max(0, now - this.#armedAt), this.#timers.detectMult, now)
      this.#adapt()
    }
    const polls = this.#timing.isPolling
    this.#send(polls, false)
    if (polls) this.#timing.pollSent()
    this.#startInterval(now)
  }

  /** A change of state is told at once, outside of the interval (6.8.7). */
  #announce(now: Instant): void {
    if (this.#dueAt() === undefined) return
    this.#send(false, false)
    this.#startInterval(now)
  }

  /** Section 6.8.7: 75 to 100 % of the interval, and at most 90 % where one lost packet is one too many. */
  #startInterval(now: Instant): void {
    const [high, low] = this.#random(2)
    const fraction = ((high! << 8) | low!) / 0x10000
    this.#jitter = 0.75 + fraction * (this.#timers.detectMult === 1 ? 0.15 : 0.25)
    this.#sentAt = now
  }

  #send(poll: boolean, final: boolean): void {
    this.#effects.push({
      kind: 'send',
      packet: {
        diagnostic: this.#diagnostic,
        state: this.#state,
        poll,
        final,
        controlPlaneIndependent: this.#config.controlPlaneIndependent,
        demand: false,
        detectMult: this.#timers.detectMult,
        myDiscriminator: this.localDiscriminator,
        yourDiscriminator: this.#heard?.myDiscriminator ?? 0,
        desiredMinTxUs: Math.round(this.#timing.desiredMinTxMs * 1000),
        requiredMinRxUs: Math.round(this.#timing.requiredMinRxMs * 1000),
        requiredMinEchoRxUs: 0,
      },
    })
  }
}
