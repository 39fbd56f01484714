import { describe, expect, it } from 'vitest'
import { type Address, address } from '../../../protocol/net.ts'
import { SeededRandom } from '../../../test/sim/random.ts'
import { BFD_TTL } from './endpoint.ts'
import type { WantedBfd } from './links.ts'
import { StaticBfd, type StaticBfdEffect } from './static.ts'

const TIMERS = { desiredMinTxMs: 300, requiredMinRxMs: 300, detectMult: 3, adaptMaxMs: 300 }
const [OURS, THEIRS] = ['169.254.10.2', '169.254.10.1'].map(address) as [Address, Address]
const here: WantedBfd = { name: 'hub', local: OURS, remote: THEIRS, timers: TIMERS }
const there: WantedBfd = { name: 'site', local: THEIRS, remote: OURS, timers: TIMERS }

/** Two ends and the tunnel between them, which may be cut. */
class World {
  readonly ends: readonly [StaticBfd, StaticBfd]
  now = 1_000
  isCut = false
  readonly news: [number, StaticBfdEffect][] = []

  constructor() {
    const random = new SeededRandom(7)
    const bytes = (length: number) => random.bytes(length)
    this.ends = [new StaticBfd(bytes), new StaticBfd(bytes)]
  }

  want(end: 0 | 1, sessions: readonly WantedBfd[]): void {
    this.ends[end].handle({ type: 'want', sessions }, this.now)
    this.#drain()
  }

  stop(end: 0 | 1): void {
    this.ends[end].handle({ type: 'stop' }, this.now)
    this.#drain()
  }

  run(ms: number): void {
    const end = this.now + ms
    for (let steps = 0; steps < 10_000; steps++) {
      const next = Math.min(...this.ends.map((each) => each.deadline() ?? Number.POSITIVE_INFINITY))
      if (next > end) break
      this.now = Math.max(this.now, next)
      for (const each of this.ends) each.handle({ type: 'time' }, this.now)
      this.#drain()
    }
    this.now = end
  }

  /** Opinions of our end since the last call, `up`, `down` or `none`. */
  opinions(): string[] {
    const paths = this.news
      .splice(0)
      .flatMap(([end, effect]) => (end === 0 && effect.type === 'path' ? [effect.up] : []))
    return paths.map((up) => (up === undefined ? 'none' : up ? 'up' : 'down'))
  }

  #drain(): void {
    for (let moved = true; moved; ) {
      moved = false
      for (const [index, end] of this.ends.entries()) {
        for (let effect = end.poll(); effect !== undefined; effect = end.poll()) {
          moved = true
          if (effect.type !== 'send') this.news.push([index, effect])
          else if (!this.isCut) {
            const { from, to, bytes } = effect.packet
            const datagram = { kind: 'datagram' as const, bytes, from, to: to.address, ttl: BFD_TTL }
            this.ends[1 - index]!.handle({ type: 'datagram', datagram }, this.now)
          }
        }
      }
    }
  }
}

describe('BFD of static routes', () => {
  it('has no opinion of a peer that was never heard', () => {
    const world = new World()
    world.want(0, [here])
    world.run(60_000)
    expect(world.opinions()).toEqual([])
    expect(world.ends[0].status('hub')).toMatchObject({ state: 'down', flaps: 0 })
  })

  it('tells that the path is there, that it was lost within the detection time, and that it is back', () => {
    const world = new World()
    world.want(0, [here])
    world.want(1, [there])
    world.run(5_000)
    expect(world.opinions()).toEqual(['up'])
    world.isCut = true
    const cutAt = world.now
    while (world.news.length === 0 && world.now < cutAt + 10_000) world.run(10)
    expect(world.now - cutAt).toBeLessThanOrEqual(910)
    expect(world.news.find(([end, { type }]) => end === 0 && type === 'path')![1]).toMatchObject({ silentMs: 900 })
    expect(world.news.map(([, effect]) => effect)).toContainEqual({
      type: 'news',
      connection: 'hub',
      level: 'warn',
      text: 'BFD lost it: control detection time expired',
    })
    expect(world.opinions()).toEqual(['down'])
    world.run(60_000)
    expect(world.opinions()).toEqual([])
    world.isCut = false
    world.run(5_000)
    expect(world.opinions()).toEqual(['up'])
  })

  it('has no opinion while an operator at the other end has ended it', () => {
    const world = new World()
    world.want(0, [here])
    world.want(1, [there])
    world.run(5_000)
    world.opinions()
    world.stop(1)
    expect(world.opinions()).toEqual(['none'])
    world.isCut = true
    world.run(60_000)
    expect(world.opinions()).toEqual([])
  })

  it('forgets what it thought of a session that is no longer wanted', () => {
    const world = new World()
    world.want(0, [here])
    world.want(1, [there])
    world.run(5_000)
    world.isCut = true
    world.run(2_000)
    expect(world.opinions()).toEqual(['up', 'down'])
    world.want(0, [])
    expect(world.opinions()).toEqual(['none'])
    world.run(5_000)
    expect(world.ends[0].status('hub')).toBeUndefined()
    world.isCut = false
    world.want(0, [here])
    world.run(5_000)
    expect(world.opinions()).toEqual(['up'])
  })

  it('concludes nothing from what follows its own end', () => {
    const world = new World()
    world.want(0, [here])
    world.want(1, [there])
    world.run(5_000)
    world.opinions()
    expect(world.ends[0].isBelieved).toBe(true)
    world.stop(0)
    // The other end has answered at once.
    expect(world.ends[0].isBelieved).toBe(false)
    world.run(5_000)
    expect(world.opinions()).toEqual([])
  })
})
