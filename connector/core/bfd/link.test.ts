/** Two endpoints over a link that loses and jitters, on hosts that stall, from seeds. */
import { describe, expect, test } from 'vitest'
import { address } from '../../../protocol/net.ts'
import { SeededRandom } from '../../../test/sim/random.ts'
import { Timeline } from '../../../test/sim/timeline.ts'
import { type BfdTimers, DEFAULT_TIMERS } from './config.ts'
import { BfdEndpoint, type BfdEndpointInput } from './endpoint.ts'
import { CONFIG } from './testing.ts'

interface Noise {
  /** Of a datagram, milliseconds; the delay itself is 20. */
  readonly jitterMs: number
  /** Every ten seconds or so a host does nothing for up to this long; what arrives lies in its socket. */
  readonly stallMs: number
  /** Probability of loss; never two in a row in one direction. */
  readonly loss: number
}

const QUIET: Noise = { jitterMs: 0, stallMs: 0, loss: 0 }
const FIXED: BfdTimers = { ...DEFAULT_TIMERS, adaptMaxMs: 300 }
const SEEDS = Array.from({ length: 60 }, (_, index) => index + 1)

describe('over a bad link between noisy hosts', () => {
  test('noise below two intervals takes no session down (300 ms x 3, no loss)', () => {
    for (const seed of SEEDS) {
      const pair = new Pair(seed, { jitterMs: 80, stallMs: 480, loss: 0 }, FIXED)
      pair.run(120_000)
      expect([seed, pair.flaps]).toEqual([seed, 0])
    }
  })

  test('where noise meets loss, adapting keeps up nearly all that fixed timers lose', () => {
    const noise: Noise = { jitterMs: 60, stallMs: 500, loss: 0.05 }
    let fixedFlaps = 0
    let adaptingFlaps = 0
    for (const seed of SEEDS.slice(0, 30)) {
      const fixed = new Pair(seed, noise, FIXED)
      fixed.run(600_000)
      fixedFlaps += fixed.flaps
      const adapting = new Pair(seed, { ...noise, loss: 0 }, DEFAULT_TIMERS)
      // It has to have seen the noise before it can bear a loss on top.
      adapting.run(300_000)
      adapting.noise = noise
      adapting.run(600_000)
      adaptingFlaps += adapting.flaps
    }
    // In two minutes of luck it may have gone back a step too far.
    expect(fixedFlaps).toBeGreaterThan(40)
    expect(adaptingFlaps).toBeLessThan(fixedFlaps / 10)
  })

  test('loss alone is no reason to be slower: the detection time stays', () => {
    for (const seed of SEEDS) {
      const pair = new Pair(seed, { jitterMs: 40, stallMs: 0, loss: 0.05 }, DEFAULT_TIMERS)
      pair.run(120_000)
      expect([seed, pair.status(0).detectionMs, pair.status(1).detectionMs, pair.flaps]).toEqual([seed, 900, 900, 0])
    }
  })

  test('when the noise ends the intervals come back', () => {
    const pair = new Pair(5, { jitterMs: 60, stallMs: 500, loss: 0 }, DEFAULT_TIMERS)
    pair.run(120_000)
    expect(pair.status(0).detectionMs).toBeGreaterThan(900)
    pair.noise = QUIET
    pair.run(900_000)
    expect(pair.status(0)).toMatchObject({ detectionMs: 900, txIntervalMs: 300, rxIntervalMs: 300 })
    expect(pair.flaps).toBe(0)
  })

  test('a cut is found within the detection time and what a stall adds, twice', () => {
    for (const seed of SEEDS) {
      const stallMs = seed % 2 === 0 ? 0 : 200
      const pair = new Pair(seed, { jitterMs: 10, stallMs, loss: 0.02 }, FIXED)
      pair.run(30_000 + 37 * seed)
      expect([pair.status(0).state, pair.status(1).state]).toEqual(['up', 'up'])
      const cutAt = pair.now
      pair.cut = true
      pair.run(5_000)
      for (const downAt of pair.downAt) {
        // One packet may have been lost, and the next one not have left.
        expect(downAt! - cutAt).toBeGreaterThan(900 - 600 - 30 - stallMs)
        // What was on its way at the cut is 30 ms young at most.
        expect(downAt! - cutAt).toBeLessThanOrEqual(900 + 30 + 2 * stallMs)
      }
    }
  })

  test('a cut in one direction takes down both ends', () => {
    const pair = new Pair(3, QUIET, FIXED)
    pair.run(10_000)
    pair.cutFrom = 0
    pair.run(2_000)
    expect([pair.status(0).diagnostic, pair.status(1).diagnostic]).toEqual([3, 1])
    pair.cutFrom = undefined
    pair.run(5_000)
    expect([pair.status(0).state, pair.status(1).state]).toEqual(['up', 'up'])
  })

  test('the same seed replays exactly', () => {
    const runs = [1, 2].map(() => {
      const pair = new Pair(11, { jitterMs: 60, stallMs: 700, loss: 0.1 }, DEFAULT_TIMERS)
      pair.run(300_000)
      return [pair.carried, pair.flaps, pair.status(0), pair.status(1)]
    })
    expect(runs[0]).toEqual(runs[1])
  })
})

class Pair {
  noise: Noise
  cut = false
  cutFrom: number | undefined
  flaps = 0
  carried = 0
  downAt: (number | undefined)[] = [undefined, undefined]
  readonly #timeline = new Timeline()
  readonly #random: SeededRandom
  readonly #hosts: Host[] = []
  readonly #addresses = [address('169.254.1.1'), address('169.254.1.2')] as const
  #lostLast = [false, false]

  constructor(seed: number, noise: Noise, timers: BfdTimers) {
    this.#random = new SeededRandom(seed)
    this.noise = noise
    for (const index of [0, 1]) {
      const host = new Host(this.#timeline, this.#random, (effect) => this.#carry(index, effect))
      this.#hosts.push(host)
      const path = { local: this.#addresses[index]!, remote: this.#addresses[1 - index]! }
      host.give({ kind: 'add', id: 'x', path, config: { ...CONFIG, timers } })
      this.#stallLater(host)
    }
    // Packets of the handshake that overtake one another take down a session that just came up; that is no noise.
    this.run(4_000)
    this.flaps = 0
    this.downAt = [undefined, undefined]
  }

  get now(): number {
    return this.#timeline.now
  }

  run(ms: number): void {
    this.#timeline.runUntil(this.#timeline.now + ms)
  }

  status(index: number) {
    return this.#hosts[index]!.endpoint.status('x')!
  }

  #carry(from: number, effect: ReturnType<BfdEndpoint['poll']>): void {
    if (effect?.kind === 'state' && effect.from === 'up') {
      this.flaps++
      this.downAt[from] ??= this.now
    }
    if (effect?.kind !== 'send' || this.cut || this.cutFrom === from) return
    this.#lostLast[from] = !this.#lostLast[from] && this.#random.chance(this.noise.loss)
    if (this.#lostLast[from]) return
    this.carried++
    const input: BfdEndpointInput = {
      kind: 'datagram',
      bytes: effect.bytes,
      from: effect.from,
      to: effect.to.address,
      ttl: 255,
    }
    this.#timeline.after(20 + this.#random.fraction() * this.noise.jitterMs, () => this.#hosts[1 - from]!.arrive(input))
  }

  #stallLater(host: Host): void {
    this.#timeline.after(5_000 + this.#random.fraction() * 10_000, () => {
      host.stall(this.#random.fraction() * this.noise.stallMs)
      this.#stallLater(host)
    })
  }
}

/** A loop with one timer and one socket: after a stall the timer is served first, as an event loop does. */
class Host {
  readonly endpoint: BfdEndpoint
  readonly #timeline: Timeline
  readonly #out: (effect: ReturnType<BfdEndpoint['poll']>) => void
  readonly #socket: BfdEndpointInput[] = []
  #stalledUntil = 0
  #timer = 0

  constructor(timeline: Timeline, random: SeededRandom, out: (effect: ReturnType<BfdEndpoint['poll']>) => void) {
    this.endpoint = new BfdEndpoint((length) => random.bytes(length))
    this.#timeline = timeline
    this.#out = out
  }

  stall(ms: number): void {
    this.#stalledUntil = this.#timeline.now + ms
    this.#timeline.at(this.#stalledUntil, () => {
      this.give({ kind: 'time' })
      for (const input of this.#socket.splice(0)) this.give(input)
    })
  }

  arrive(input: BfdEndpointInput): void {
    if (this.#timeline.now < this.#stalledUntil) this.#socket.push(input)
    else this.give(input)
  }

  give(input: BfdEndpointInput): void {
    this.endpoint.handle(input, this.#timeline.now)
    for (let effect = this.endpoint.poll(); effect !== undefined; effect = this.endpoint.poll()) this.#out(effect)
    const deadline = this.endpoint.deadline()
    if (deadline === undefined) return
    const timer = ++this.#timer
    this.#timeline.at(deadline, () => {
      if (timer === this.#timer && this.#timeline.now >= this.#stalledUntil) this.give({ kind: 'time' })
    })
  }
}
