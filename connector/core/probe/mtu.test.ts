import { describe, expect, it } from 'vitest'
import type { ProbeSettings } from './machine.ts'
import { MAX_PROBES, MtuSearch, type MtuSettings, RAISE_MS } from './mtu.ts'
import { ProbeWorld } from './testing.ts'

const MTU: MtuSettings = { start: 1500, floor: 576, ceiling: 9000 }

/** A search on a path that takes `mtu`, where nothing is lost by chance. Returns how many probes there were. */
function settle(search: MtuSearch, mtu: number, interfaceMtu: number, now: number): number {
  let asked = 0
  for (let sizes = search.due(now); sizes.length > 0; sizes = search.due(now)) {
    asked += sizes.length
    for (const size of sizes) {
      if (size > interfaceMtu) search.tooLarge(size, now)
      else if (size > mtu) search.lost(size, now)
      else search.answered(size, now)
    }
  }
  return asked
}

describe('the search for the path MTU', () => {
  it('finds every path MTU to within 8 bytes, in few probes', () => {
    for (let mtu = 576; mtu <= 1500; mtu += 4) {
      const search = new MtuSearch(MTU)
      const asked = settle(search, mtu, 1500, 0)
      expect(search.pathMtu, `${mtu}`).toBeLessThanOrEqual(mtu)
      expect(search.pathMtu, `${mtu}`).toBeGreaterThan(mtu - 8)
      expect(asked).toBeLessThan(60)
    }
  })

  it.each([1500, 1492, 1480, 1460, 1440, 1420, 1400, 1380, 1280])('finds the usual size %i exactly', (mtu) => {
    const search = new MtuSearch(MTU)
    settle(search, mtu, 1500, 0)
    expect(search.measured).toEqual({ pathMtu: mtu, searching: false, why: 'largest probe that was answered' })
  })

  it('finds large packets, up to the ceiling', () => {
    const all = new MtuSearch(MTU)
    expect(settle(all, 9000, 9000, 0)).toBeLessThan(15)
    expect(all.measured).toMatchObject({ pathMtu: 9000, why: 'the largest that is looked for' })
    const some = new MtuSearch(MTU)
    settle(some, 4352, 9000, 0)
    expect(some.pathMtu).toBeGreaterThan(4344)
  })

  it('asks for no more than the interface takes, and tells nothing before there is an answer', () => {
    const search = new MtuSearch({ ...MTU, ceiling: 1500 })
    expect(search.measured).toBeUndefined()
    expect(search.due(0)).toEqual([1500])
    expect(search.due(0)).toEqual([])
    search.answered(1500, 0)
    expect(search.measured).toMatchObject({ pathMtu: 1500, searching: false })
  })

  it('takes a size for too large when as many probes of it as MAX_PROBES are lost, and not before', () => {
    const search = new MtuSearch(MTU)
    for (let i = 0; i < MAX_PROBES; i++) {
      expect(search.pathMtu).toBe(1500)
      expect(search.due(0)).toContain(1500)
      // What is in doubt counts as nothing.
      search.unclear(1500)
      expect(search.due(0)).toEqual([1500])
      search.lost(1500, 0)
    }
    expect(search.pathMtu).toBe(1280)
  })

  it('goes down to what has passed as soon as a black hole is certain', () => {
    const search = new MtuSearch(MTU)
    settle(search, 1500, 1500, 0)
    expect(search.due(5000)).toEqual([1500])
    search.lost(1500, 5000)
    const sizes = search.due(5000)
    expect(sizes).toEqual([1500, 1492, 1480, 1460, 1440, 1420, 1400, 1380, 1280, 1024, 768, 576])
    for (const size of sizes.filter((each) => each <= 1400)) search.answered(size, 5000)
    expect(search.pathMtu).toBe(1500)
    search.lost(1500, 5100)
    search.due(5100)
    search.lost(1500, 5200)
    expect(search.pathMtu).toBe(1400)
    for (const size of sizes.filter((each) => each > 1400)) search.lost(size, 5200)
    settle(search, 1400, 1500, 5200)
    expect(search.measured).toMatchObject({ pathMtu: 1400, searching: false })
  })

  it('falls back to the floor where no size passes, says so, and goes on trying', () => {
    const search = new MtuSearch(MTU)
    settle(search, 0, 1500, 0)
    expect(search.phase).toBe('error')
    expect(search.measured).toMatchObject({ pathMtu: 576, why: expect.stringContaining('576') })
    settle(search, 1500, 1500, search.deadline()!)
    expect(search.measured).toMatchObject({ pathMtu: 1500, searching: false })
  })

  it('confirms what it has, and tries for more ever less often, down to once in 600 s', () => {
    const search = new MtuSearch(MTU)
    settle(search, 1400, 1500, 0)
    const raises: number[] = []
    for (let now = 0; now < 4 * RAISE_MS; ) {
      const deadline = search.deadline()!
      expect(deadline - now).toBeLessThanOrEqual(5000)
      now = deadline
      const sizes = search.due(now)
      if (sizes.some((size) => size > 1400)) raises.push(now)
      for (const size of sizes) if (size <= 1400) search.answered(size, now)
      for (let i = 0; i < MAX_PROBES; i++) {
        for (const size of sizes) if (size > 1400) search.lost(size, now)
        search.due(now)
      }
    }
    expect(raises.slice(0, 4)).toEqual([10_000, 30_000, 70_000, 150_000])
    expect(raises.at(-1)! - raises.at(-2)!).toBe(RAISE_MS)
    expect(search.pathMtu).toBe(1400)
    settle(search, 1480, 1500, search.deadline()! + RAISE_MS)
    expect(search.pathMtu).toBe(1480)
  })

  it('looks again at once where the path may be another one', () => {
    const search = new MtuSearch(MTU)
    settle(search, 1400, 1500, 0)
    search.restart(100)
    settle(search, 1500, 1500, 100)
    expect(search.pathMtu).toBe(1500)
  })
})

describe('the path MTU in a world of loss', () => {
  const settings: ProbeSettings = { intervalMs: 50, multiplier: 8, patient: true, mtu: MTU }
  const world = (seed: number, mtu: number, loss: number): ProbeWorld => {
    const made = new ProbeWorld(seed, { mtu, loss, delayMs: 10, jitterMs: 10 })
    made.configure(made.a, settings)
    made.configure(made.b, settings)
    return made
  }
  const mtuOf = ({ a }: ProbeWorld): number => a.last?.mtu?.pathMtu ?? 0

  it('is found within a few seconds, whatever it is', () => {
    for (let seed = 0; seed < 100; seed++) {
      const mtu = 600 + 4 * ((seed * 37) % 225)
      const made = world(seed, mtu, 0)
      made.run(8000)
      expect(mtuOf(made), `${seed}`).toBeGreaterThan(mtu - 8)
      expect(mtuOf(made), `${seed}`).toBeLessThanOrEqual(mtu)
    }
  })

  it('does not stay too low for long with 20 % loss each way, and is never too high for long', () => {
    let low = 0
    let high = 0
    let samples = 0
    for (let seed = 0; seed < 40; seed++) {
      const made = world(seed, 1500, 0.2)
      made.run(30_000)
      for (let i = 0; i < 60; i++) {
        made.run(500)
        samples++
        if (mtuOf(made) < 1492) low++
      }
      made.both({ mtu: 1400 })
      made.run(12_000)
      for (let i = 0; i < 20; i++) {
        made.run(500)
        if (mtuOf(made) > 1400) high++
      }
    }
    expect(low / samples).toBeLessThan(0.05)
    expect(high).toBe(0)
  })

  it('follows a path that changes, and loses no reachability over it', () => {
    const made = world(5, 1500, 0.02)
    made.run(5000)
    for (const mtu of [1400, 1280, 1440, 600, 1500]) {
      made.both({ mtu })
      // Narrower: found by the next confirmation. Wider: by the next raise, ten seconds after the last search at first.
      let waited = 0
      for (; waited < 120_000 && !(mtuOf(made) <= mtu && mtuOf(made) > mtu - 8); waited += 500) made.run(500)
      expect(waited, `${mtu}`).toBeLessThan(120_000)
    }
    expect(made.a.states).toEqual(['unknown', 'up'])
  })
})
