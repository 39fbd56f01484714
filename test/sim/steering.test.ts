/** A class of traffic over two tunnels whose paths lose, delay and jitter by chance, on a virtual clock, from seeds. */
import { describe, expect, test } from 'vitest'
import { PathSelector } from '../../connector/core/paths/selector.ts'
import type { PathClass, PathEffect } from '../../connector/core/paths/types.ts'
import type { ProbeCount } from '../../connector/core/probe/report.ts'
import { SeededRandom } from './random.ts'

const SEEDS = Array.from({ length: 1_000 }, (_, i) => i + 1)
const VOICE: PathClass = {
  name: 'voice',
  prefer: ['first', 'second'],
  limits: { loss: 0.01, rttMs: 100, jitterMs: 25 },
  holdMs: 10_000,
}

interface Weather {
  readonly loss: number
  readonly rttMs: number
  /** Milliseconds by which the round trip spreads. */
  readonly spreadMs: number
  /** Bursts of loss a minute, and how long one is. */
  readonly bursts?: number
  readonly burstMs?: number
}

const FAIR: Weather = { loss: 0, rttMs: 30, spreadMs: 2 }

interface Watching {
  readonly probeMs: number
  readonly reportMs: number
  /** Messages each way in an interval on a closer look. */
  readonly examined: number
}

/** Both ends probe, and each probe is answered: two messages each way in an interval. */
const MESSAGES = 2
const FAST: Watching = { probeMs: 50, reportMs: 250, examined: 6 }
const SLOW: Watching = { probeMs: 1_000, reportMs: 1_000, examined: 21 }

class Path {
  weather: Weather = FAIR
  isExamined = false
  readonly #random: SeededRandom
  readonly #watching: Watching
  #out: ProbeCount = { sent: 0, lost: 0 }
  #in: ProbeCount = { sent: 0, lost: 0 }
  #burstUntil = 0
  #rttMs = 0
  #jitterMs = 0

  constructor(random: SeededRandom, watching: Watching) {
    this.#random = random
    this.#watching = watching
  }

  /** One interval of probes. */
  pass(now: number): void {
    const { probeMs, examined } = this.#watching
    const { bursts = 0, burstMs = 0, rttMs, spreadMs } = this.weather
    if (this.#random.chance((bursts * probeMs) / 60_000)) this.#burstUntil = now + burstMs
    for (let left = this.isExamined ? examined : MESSAGES; left > 0; left--) {
      this.#out = this.#sent(this.#out, now)
      this.#in = this.#sent(this.#in, now)
    }
    // Skewed, as queues are.
    const rtt = rttMs - spreadMs * Math.log(1 - this.#random.fraction())
    this.#jitterMs += (Math.abs(this.#rttMs - rtt) - this.#jitterMs) / 4
    this.#rttMs += (rtt - this.#rttMs) / (this.#rttMs === 0 ? 1 : 8)
  }

  report() {
    const counts = { out: this.#out, in: this.#in }
    return { state: 'up', counts, rttMs: this.#rttMs, jitterMs: this.#jitterMs } as const
  }

  #sent({ sent, lost }: ProbeCount, now: number): ProbeCount {
    const isLost = now < this.#burstUntil || this.#random.chance(this.weather.loss)
    return { sent: sent + 1, lost: lost + (isLost ? 1 : 0) }
  }
}

class World {
  readonly paths: Readonly<Record<string, Path>>
  moves: { readonly at: number; readonly to: string; readonly because: string }[] = []
  now = 0
  readonly #selector = new PathSelector({
    groups: () => [{ tunnels: VOICE.prefer, isSpread: false, prefixes: 1 }],
  })
  readonly #watching: Watching
  readonly #phases: Readonly<Record<string, number>>

  constructor(seed: number, watching: Watching) {
    const random = new SeededRandom(seed)
    this.#watching = watching
    this.paths = { first: new Path(random, watching), second: new Path(random, watching) }
    const { probeMs, reportMs } = watching
    const steps = reportMs / probeMs
    this.#phases = { first: random.u32() % steps, second: random.u32() % steps }
    const connections = VOICE.prefer.map((name) => ({ name, isRouted: false }))
    this.#selector.handle({ type: 'plan', connections, classes: [VOICE] }, 0)
    for (const connection of VOICE.prefer) this.#selector.handle({ type: 'tunnel', connection, sendable: true }, 0)
    this.run(10_000)
  }

  run(ms: number): void {
    const { probeMs, reportMs } = this.#watching
    const end = this.now + ms
    for (; this.now < end; this.now += probeMs) {
      for (const [connection, path] of Object.entries(this.paths)) {
        path.pass(this.now)
        if ((this.now / probeMs + this.#phases[connection]!) % (reportMs / probeMs) >= 1) continue
        this.#selector.handle({ type: 'path', connection, report: path.report() }, this.now)
      }
      const deadline = this.#selector.deadline()
      if (deadline !== undefined && deadline <= this.now) this.#selector.handle({ type: 'time' }, this.now)
      for (let effect = this.#selector.poll(); effect !== undefined; effect = this.#selector.poll()) this.#carry(effect)
    }
  }

  /** Milliseconds until the class left the first tunnel, when its path becomes like that. */
  leaves(weather: Weather, patienceMs: number): number | undefined {
    const from = this.now
    this.moves = []
    this.paths.first!.weather = weather
    this.run(patienceMs)
    const move = this.moves[0]
    return move === undefined ? undefined : move.at - from
  }

  #carry(effect: PathEffect): void {
    if (effect.type === 'examine') this.paths[effect.connection]!.isExamined = effect.on
    if (effect.type !== 'event' || effect.event.code !== 'steered') return
    this.moves.push({ at: this.now, to: effect.event.to, because: effect.event.because })
  }
}

/** How many runs needed how long at most; a run that never moved counts as endless. */
function within(times: readonly (number | undefined)[], ms: number): number {
  return times.filter((time) => time !== undefined && time <= ms).length
}

describe('a class whose first tunnel gets worse', () => {
  test('leaves it within 3 s when 5 % are lost, with fast probes', () => {
    const times = SEEDS.map((seed) => new World(seed, FAST).leaves({ ...FAIR, loss: 0.05 }, 6_000))
    expect(within(times, 6_000)).toBe(SEEDS.length)
    expect(within(times, 3_000)).toBeGreaterThanOrEqual(990)
    expect(within(times, 1_500)).toBeGreaterThanOrEqual(500)
  })

  test('leaves it within half a minute or so with a probe a second', () => {
    const times = SEEDS.map((seed) => new World(seed, SLOW).leaves({ ...FAIR, loss: 0.05 }, 120_000))
    expect(within(times, 120_000)).toBeGreaterThanOrEqual(999)
    expect(within(times, 30_000)).toBeGreaterThanOrEqual(800)
  })

  test.each([
    ['a round trip of twice the limit', { rttMs: 200 }, 'rtt'],
    ['jitter of twice the limit', { spreadMs: 100 }, 'jitter'],
  ])('leaves it within 5 s with %s', (_, weather, because) => {
    for (const seed of SEEDS.slice(0, 100)) {
      const world = new World(seed, FAST)
      expect([seed, world.leaves({ ...FAIR, ...weather }, 5_000)]).not.toEqual([seed, undefined])
      expect([seed, because === 'rtt' || world.moves[0]!.because !== 'loss']).toEqual([seed, true])
    }
  })
})

describe('noise', () => {
  const NOISE: readonly (readonly [string, Weather, Watching])[] = [
    ['loss just below the limit', { ...FAIR, loss: 0.0095 }, FAST],
    ['loss of half the limit', { ...FAIR, loss: 0.005 }, FAST],
    ['loss where it neither enters nor leaves', { ...FAIR, loss: 0.0085 }, FAST],
    ['short bursts', { ...FAIR, loss: 0.001, bursts: 1, burstMs: 100 }, FAST],
    ['a round trip near the limit that spreads', { ...FAIR, rttMs: 78, spreadMs: 15 }, FAST],
    ['loss just below the limit, slow probes', { ...FAIR, loss: 0.0095 }, SLOW],
    ['jitter', { ...FAIR, spreadMs: 15 }, SLOW],
  ]

  test('moves the class once at most when it begins, and once at most when it ends: 1,000 runs', () => {
    const flaps: unknown[] = []
    for (const seed of SEEDS) {
      const [name, weather, watching] = NOISE[seed % NOISE.length]!
      const world = new World(seed, watching)
      world.leaves(weather, 120_000)
      const during = world.moves.length
      world.leaves(FAIR, 120_000)
      if (during > 1 || world.moves.length > 1) flaps.push([seed, name, during, world.moves])
    }
    expect(flaps).toEqual([])
  }, 60_000)

  test('that comes and goes moves it ever more rarely', () => {
    for (const seed of SEEDS.slice(0, 20)) {
      const world = new World(seed, FAST)
      let moves = 0
      for (let round = 0; round < 40; round++) {
        world.leaves(round % 2 === 0 ? { ...FAIR, loss: 0.1 } : FAIR, 15_000)
        moves += world.moves.length
      }
      expect([seed, moves <= 10]).toEqual([seed, true])
    }
  })

  test('of all tunnels leaves the class with the one that is clearly better', () => {
    for (const seed of SEEDS.slice(0, 50)) {
      const world = new World(seed, FAST)
      world.paths.second!.weather = { ...FAIR, loss: 0.03 }
      world.leaves({ ...FAIR, loss: 0.15 }, 120_000)
      expect([seed, world.moves.map(({ to }) => to)]).toEqual([seed, ['second']])
      world.leaves({ ...FAIR, loss: 0.04 }, 120_000)
      expect([seed, world.moves]).toEqual([seed, []])
    }
  })
})
