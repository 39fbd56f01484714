/** What only tests use: a session under a hand-driven clock, and packets for it. */
import type { Instant } from '../../../protocol/machine.ts'
import { type BfdSessionConfig, DEFAULT_TIMERS } from './config.ts'
import { type BfdEffect, type BfdInput, BfdSession, type BfdStateChange } from './machine.ts'
import type { BfdPacket } from './wire.ts'

export const CONFIG: BfdSessionConfig = {
  // Does not adapt, unless a test wants it.
  timers: { ...DEFAULT_TIMERS, adaptMaxMs: 300 },
  role: 'active',
  controlPlaneIndependent: true,
}

/** What a peer with our defaults says that is up and knows discriminator 7. */
export const PEER_UP: BfdPacket = {
  diagnostic: 0,
  state: 'up',
  poll: false,
  final: false,
  controlPlaneIndependent: false,
  demand: false,
  detectMult: 3,
  myDiscriminator: 99,
  yourDiscriminator: 7,
  desiredMinTxUs: 300_000,
  requiredMinRxUs: 300_000,
  requiredMinEchoRxUs: 0,
}

/** A session with discriminator 7 and without jitter, unless `random` is given: the greatest value is 100 %. */
export class Bench {
  readonly session: BfdSession
  now: Instant = 0
  sent: BfdPacket[] = []
  /** Times at which `sent` left. */
  times: Instant[] = []
  changes: BfdStateChange[] = []
  ended = false

  constructor(config: BfdSessionConfig = CONFIG, random = (length: number) => new Uint8Array(length).fill(0xff)) {
    this.session = new BfdSession(7, config, random)
    this.give({ kind: 'time' })
  }

  give(input: BfdInput): void {
    this.session.handle(input, this.now)
    for (let effect = this.session.poll(); effect !== undefined; effect = this.session.poll()) this.#take(effect)
  }

  packet(fields: Partial<BfdPacket>): void {
    this.give({ kind: 'packet', packet: { ...PEER_UP, ...fields } })
  }

  /** Runs the clock to `end`, waking the session whenever it asks. */
  runTo(end: Instant): void {
    for (let steps = 0; steps < 10_000; steps++) {
      const next = this.session.deadline()
      if (next === undefined || next > end) break
      this.now = Math.max(this.now, next)
      this.give({ kind: 'time' })
    }
    this.now = end
  }

  /** What was sent since the last call. */
  take(): BfdPacket[] {
    const sent = this.sent
    this.sent = []
    this.times = []
    return sent
  }

  /** Up at once, with a peer that then says `fields`, and its Poll answered. */
  bringUp(fields: Partial<BfdPacket> = {}): void {
    this.packet({ ...fields, state: 'init' })
    this.runTo(this.now + 300)
    this.packet({ ...fields, final: true })
    this.packet(fields)
    this.take()
    this.changes = []
  }

  #take(effect: BfdEffect): void {
    if (effect.kind === 'send') {
      this.sent.push(effect.packet)
      this.times.push(this.now)
    } else if (effect.kind === 'state') this.changes.push(effect)
    else this.ended = true
  }
}
