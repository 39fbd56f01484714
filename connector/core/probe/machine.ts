/** The probes of one tunnel, ours and the answers to the peer's: reachability, round trip, loss each way, path MTU. */
import type { Instant, Machine, RandomBytes } from '../../../protocol/machine.ts'
import { Arrivals, LossWindow } from './arrivals.ts'
import { Bucket } from './bucket.ts'
import { LargeProbes } from './large.ts'
import { Liveness, type LivenessSettings } from './liveness.ts'
import type { MtuSettings } from './mtu.ts'
import type { PathReport } from './report.ts'
import { Teller } from './teller.ts'
import { decodeProbe, encodeProbe, MESSAGE_BYTES, type ProbeMessage, REORDERING } from './wire.ts'

export interface ProbeSettings extends LivenessSettings {
  /** Absent: the path MTU is not measured. */
  readonly mtu?: MtuSettings
}

export type ProbeInput =
  | { readonly type: 'time' }
  /** The content of an authentic packet of this tunnel, without padding perhaps; and its length with it. Not kept. */
  | { readonly type: 'message'; readonly bytes: Uint8Array; readonly length?: number }
  /** Undefined: nothing is asked any more, and the peer's probes are answered as ever. */
  | { readonly type: 'settings'; readonly settings: ProbeSettings | undefined }
  /** Whether more probes than are set are sent, so that loss is told sooner. */
  | { readonly type: 'examine'; readonly on: boolean }
  /** What `send` of this token asked for has not left: there is no SA, it is too long for our interface, or the kernel refused. */
  | { readonly type: 'unsent'; readonly token: number; readonly why: 'no-sa' | 'too-large' | 'refused' }

export type ProbeEffect =
  /**
   * One probe or answer. With `outer`, the payload is to be padded so that the outer packet has as many bytes, or up to 3
   * less, and may not be fragmented; the size of its inner packet then goes into it with `setSize` (wire.ts).
   */
  | { readonly type: 'send'; readonly token: number; readonly payload: Uint8Array; readonly outer?: number }
  | { readonly type: 'report'; readonly report: PathReport }

/** What came and was of no use. */
export interface ProbeFaults {
  malformed: number
  /** Says what cannot be: numbers that were never sent. */
  contradictory: number
  /** Of a session that is over, or in answer to one that was never ours. */
  stranger: number
  /** Requests beyond the rate that answers have. */
  unanswered: number
}

/** How often is asked where it is likely that nobody understands, and after how many attempts. */
const SLOW_MS = 5000
const ATTEMPTS = 10
/** Answers at once, and the least time between two in the long run. */
const ANSWER_BURST = 24
const ANSWER_LEAST_MS = 10
const ANSWER_MOST_MS = 100
/** The share of an interval at which a path that seems to be lost is looked at more closely, and the least of it. */
const CLOSER = 1 / 4
const CLOSER_LEAST_MS = 10
/** The same where loss is examined, and the most of it. */
const EXAMINED = 1 / 5
const EXAMINED_MOST_MS = 50
/** A session ends long before its numbers do. */
const LAST_NUMBER = 0x7fff_ffff
/** Of who asks nothing itself. */
const PASSIVE: LivenessSettings = { intervalMs: 1000, multiplier: 4, patient: true }
const MICROSECONDS = 2 ** 32
/** No round trip is longer; what claims to be is a clock that was set anew. */
const LONGEST_MS = 60_000

export class ProbeMachine implements Machine<ProbeInput, ProbeEffect> {
  readonly faults: ProbeFaults = { malformed: 0, contradictory: 0, stranger: 0, unanswered: 0 }
  readonly #random: RandomBytes
  readonly #effects: ProbeEffect[] = []
  readonly #answers = new Bucket(ANSWER_BURST)
  #settings: ProbeSettings | undefined
  #liveness = new Liveness(PASSIVE)
  #large: LargeProbes | undefined
  /** When the next probe is due, and while the path is suspect the next one in between. */
  #sendAt: Instant = Number.POSITIVE_INFINITY
  #closerAt: Instant = Number.NEGATIVE_INFINITY
  #isExamined = false
  /** Probes sent while nothing is known. */
  #attempts = 0
  #session: bigint
  /** Messages sent in this session that were not large, and requests. */
  #number = 0
  #sequence = 0
  #peer = new Peer(0n)
  #endedSession = 0n
  #lossOut = new LossWindow()
  #now: Instant = 0
  readonly #teller = new Teller()

  constructor(random: RandomBytes) {
    this.#random = random
    this.#session = freshSession(random)
  }

  handle(input: ProbeInput, now: Instant): void {
    this.#now = now
    const before = this.#liveness.state
    switch (input.type) {
      case 'time':
        break
      case 'message':
        this.#receive(input.bytes, input.length, now)
        break
      case 'settings':
        this.#configure(input.settings, now)
        break
      case 'examine':
        this.#isExamined = input.on
        break
      case 'unsent':
        this.#unsent(input.token, input.why, now)
        break
    }
    this.#liveness.expire(now)
    if (this.#liveness.state === 'up' && before === 'down') this.#large?.search.restart(now)
    this.#sendDue(now)
    if (this.#settings === undefined) return
    const report = this.#teller.news(() => this.#report(now), this.#settings.intervalMs, now)
    if (report !== undefined) this.#effects.push({ type: 'report', report })
  }

  poll(): ProbeEffect | undefined {
    return this.#effects.shift()
  }

  deadline(): Instant | undefined {
    if (this.#settings === undefined) return undefined
    const { state, isSuspect } = this.#liveness
    const times = [this.#sendAt, this.#liveness.deadline(this.#now), this.#teller.deadline(this.#settings.intervalMs)]
    if (isSuspect || this.#isExamined) times.push(this.#closerAt)
    if (state === 'up') times.push(this.#large?.deadline(this.#liveness))
    return Math.min(...times.filter((time) => time !== undefined))
  }

  /** What is known so far. */
  #report(now: Instant): PathReport {
    const { state, roundTrip, answeredAt } = this.#liveness
    const lossIn = this.#peer.loss
    return {
      state,
      ...defined('silentMs', answeredAt === undefined ? undefined : now - answeredAt),
      ...defined('rttMs', roundTrip.smoothedMs),
      ...defined('jitterMs', roundTrip.smoothedMs === undefined ? undefined : roundTrip.deviationMs),
      ...defined('lossOut', this.#lossOut.share),
      ...defined('lossIn', lossIn.share),
      counts: { out: this.#lossOut.counts, in: lossIn.counts },
      ...defined('mtu', this.#large?.search.measured),
    }
  }

  #configure(settings: ProbeSettings | undefined, now: Instant): void {
    this.#settings = settings
    this.#liveness = new Liveness(settings ?? PASSIVE)
    if (this.#peer.session !== 0n) this.#liveness.hasPeer()
    this.#large = settings?.mtu === undefined ? undefined : new LargeProbes(settings.mtu)
    this.#attempts = 0
    this.#renew()
    this.#sendAt = now
    this.#teller.forget()
  }

  /** Another session: what was sent in the one before counts no more. */
  #renew(): void {
    this.#session = freshSession(this.#random)
    this.#number = 0
    this.#sequence = 0
    this.#lossOut = new LossWindow()
    this.#liveness.renumber()
    this.#large?.renumber()
  }

  #receive(bytes: Uint8Array, length: number | undefined, now: Instant): void {
    const message = decodeProbe(bytes, length)
    if (message === undefined) this.faults.malformed++
    else if (this.#isOfSession(message, now)) {
      this.#peer.take(message, now)
      this.#takeAnswer(message, now)
      this.#teller.note()
      if (message.type === 'request') this.#answer(message, now)
    }
  }

  /** A session that is new replaces the one before, for good. */
  #isOfSession({ session, type, peerSession }: ProbeMessage, now: Instant): boolean {
    if (session === this.#endedSession || (type === 'answer' && peerSession !== this.#session)) {
      this.faults.stranger++
      return false
    }
    // It understands: from here on silence tells, and it is asked as often as is configured.
    this.#liveness.hasPeer()
    if (session === this.#peer.session) return true
    this.#endedSession = this.#peer.session
    this.#peer = new Peer(session)
    this.#attempts = 0
    if (this.#settings !== undefined) this.#sendAt = Math.min(this.#sendAt, now + this.#settings.intervalMs)
    return true
  }

  /** What a message of either type says of what we sent. */
  #takeAnswer({ type, peerSession, heard, lost, echo, sequence }: ProbeMessage, now: Instant): void {
    if (peerSession !== this.#session) return
    if (heard > this.#number || (type === 'answer' && sequence > this.#sequence)) {
      this.faults.contradictory++
      return
    }
    if (echo !== undefined) {
      const ms = wrapped(microseconds(now) - echo.clock - echo.held) / 1000
      if (ms < LONGEST_MS) this.#liveness.roundTrip.sample(ms, now)
    }
    if (heard > 0) this.#liveness.answered(heard, now)
    this.#lossOut.update(judged(heard), lost)
    if (type === 'answer') this.#large?.answered(sequence, now)
  }

  #answer({ interval, sequence }: ProbeMessage, now: Instant): void {
    const everyMs = Math.min(ANSWER_MOST_MS, Math.max(ANSWER_LEAST_MS, interval * CLOSER))
    if (this.#answers.take(now, everyMs)) this.#send('answer', sequence, now)
    else this.faults.unanswered++
  }

  #unsent(token: number, why: 'no-sa' | 'too-large' | 'refused', now: Instant): void {
    if (why === 'no-sa') {
      // Nothing of what was numbered has left.
      this.#renew()
      this.#liveness.forget()
      this.#attempts = 0
      this.#teller.note()
    } else if (token < 0) {
      this.#large?.unsent(-token, why === 'too-large', this.#settings?.intervalMs ?? SLOW_MS, now)
    }
  }

  #sendDue(now: Instant): void {
    const settings = this.#settings
    if (settings === undefined) return
    if (this.#number >= LAST_NUMBER) this.#renew()
    const closerMs = this.#closerMs(settings)
    if (now >= this.#sendAt) {
      this.#request(now)
      this.#liveness.sent(this.#number, now)
      if (this.#liveness.state === 'unknown') this.#attempts++
      const isSlow = settings.patient && this.#attempts >= ATTEMPTS
      this.#sendAt = now + (isSlow ? Math.max(SLOW_MS, settings.intervalMs) : settings.intervalMs)
      this.#closerAt = now + closerMs
    } else if ((this.#liveness.isSuspect || this.#isExamined) && now >= this.#closerAt) {
      this.#request(now)
      this.#closerAt = now + closerMs
    }
    if (this.#liveness.state === 'up') this.#sendLarge(now)
  }

  #closerMs({ intervalMs }: ProbeSettings): number {
    const share = this.#isExamined ? EXAMINED : CLOSER
    const ms = Math.max(CLOSER_LEAST_MS, intervalMs * share)
    return this.#isExamined ? Math.min(EXAMINED_MOST_MS, ms) : ms
  }

  /** By it the other end answers as often as it is asked, on a closer look too. */
  #intervalToTell(): number {
    if (this.#settings === undefined) return 0
    const { intervalMs } = this.#settings
    return Math.ceil(this.#isExamined ? this.#closerMs(this.#settings) / CLOSER : intervalMs)
  }

  /** Sizes to ask for, and right behind them a small one, whose arrival tells what became of them. */
  #sendLarge(now: Instant): void {
    const sizes = this.#large?.due(now, this.#liveness) ?? []
    for (const outer of sizes) {
      this.#send('request', ++this.#sequence, now, outer)
      this.#large!.sent(this.#sequence, outer, this.#number, now)
    }
    if (sizes.length > 0) this.#request(now)
  }

  #request(now: Instant): void {
    this.#send('request', ++this.#sequence, now)
  }

  #send(type: 'request' | 'answer', sequence: number, now: Instant, outer?: number): void {
    const large = outer !== undefined
    if (!large) this.#number++
    const payload = encodeProbe({
      type,
      size: MESSAGE_BYTES,
      large,
      session: this.#session,
      peerSession: this.#peer.session,
      number: this.#number,
      sequence,
      clock: microseconds(now),
      ...this.#peer.seen(now),
      interval: this.#intervalToTell(),
    })
    const token = large ? -sequence : this.#number
    this.#effects.push({ type: 'send', token, payload, ...(large ? { outer } : {}) })
  }
}

/** What has come of one session of the peer. */
class Peer {
  readonly session: bigint
  readonly loss = new LossWindow()
  readonly #arrivals = new Arrivals()
  #clock: { readonly clock: number; readonly at: Instant } | undefined

  constructor(session: bigint) {
    this.session = session
  }

  take({ large, number, clock }: ProbeMessage, now: Instant): void {
    if (large) return
    this.#arrivals.take(number)
    this.loss.update(judged(this.#arrivals.highest), this.#arrivals.lost)
    this.#clock = { clock, at: now }
  }

  /** As our messages tell it. */
  seen(now: Instant): Pick<ProbeMessage, 'echo' | 'heard' | 'lost'> {
    const { highest: heard, lost } = this.#arrivals
    if (this.#clock === undefined) return { heard, lost }
    const { clock, at } = this.#clock
    return { heard, lost, echo: { clock, held: wrapped(Math.round((now - at) * 1000)) } }
  }
}

/** Of messages up to this one it is known whether they are lost. */
function judged(highest: number): number {
  return Math.max(0, highest - REORDERING)
}

function microseconds(now: Instant): number {
  return wrapped(Math.round(now * 1000))
}

function wrapped(value: number): number {
  return ((value % MICROSECONDS) + MICROSECONDS) % MICROSECONDS
}

/** Not 0, but for one in 2^64. */
function freshSession(random: RandomBytes): bigint {
  const bytes = random(8)
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0) || 1n
}

function defined<Key extends string, Value>(key: Key, value: Value | undefined): { [K in Key]?: Value } {
  return (value === undefined ? {} : { [key]: value }) as { [K in Key]?: Value }
}
