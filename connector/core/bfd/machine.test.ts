import { describe, expect, test } from 'vitest'
import { DEFAULT_TIMERS } from './config.ts'
import { Bench, CONFIG } from './testing.ts'
import { BFD_STATES, type BfdState } from './wire.ts'

describe('coming up (RFC 5880 section 6.2)', () => {
  test('an active end speaks first: down, once a second, discriminator unknown', () => {
    const bench = new Bench()
    bench.runTo(3_500)
    // All ones of 16 bits is just under 100 %.
    expect(bench.times.map((time) => Math.round(time))).toEqual([0, 1000, 2000, 3000])
    expect(bench.sent[0]).toMatchObject({ state: 'down', myDiscriminator: 7, yourDiscriminator: 0 })
    expect(bench.sent[0]).toMatchObject({ desiredMinTxUs: 1_000_000, requiredMinRxUs: 300_000, detectMult: 3 })
  })

  test('a passive end waits for the peer', () => {
    const bench = new Bench({ ...CONFIG, role: 'passive' })
    bench.runTo(10_000)
    expect(bench.sent).toEqual([])
    bench.packet({ state: 'down', yourDiscriminator: 0 })
    expect(bench.sent).toMatchObject([{ state: 'init', yourDiscriminator: 99 }])
  })

  test('down, init, up: three packets, each told at once', () => {
    const bench = new Bench()
    bench.take()
    bench.packet({ state: 'down', yourDiscriminator: 0 })
    expect(bench.take()).toMatchObject([{ state: 'init', yourDiscriminator: 99 }])
    bench.packet({ state: 'init' })
    expect(bench.take()).toMatchObject([{ state: 'up' }])
    expect(bench.changes).toMatchObject([
      { from: 'down', to: 'init' },
      { from: 'init', to: 'up', diagnostic: 0 },
    ])
  })

  test('up in a packet does not bring up who is down: the three ways are needed', () => {
    const bench = new Bench()
    bench.packet({ state: 'up' })
    expect(bench.session.status().state).toBe('down')
  })

  test('once up, the short interval is asked for by a Poll, and used at once since it is shorter', () => {
    const bench = new Bench()
    bench.packet({ state: 'init' })
    expect(bench.take().at(-1)).toMatchObject({ state: 'up', poll: false, desiredMinTxUs: 300_000 })
    bench.runTo(310)
    expect(bench.take()).toMatchObject([{ poll: true }])
    bench.runTo(610)
    expect(bench.take()).toMatchObject([{ poll: true }])
    bench.packet({ final: true })
    bench.runTo(910)
    expect(bench.take()).toMatchObject([{ poll: false }])
  })
})

describe('what is received (section 6.8.6)', () => {
  test('a Poll is answered at once by a Final, whatever the state but admin-down', () => {
    for (const state of BFD_STATES) {
      const bench = new Bench()
      bringTo(bench, state)
      bench.take()
      bench.packet({ state: state === 'up' ? 'up' : 'admin-down', poll: true })
      const finals = bench.take().filter((packet) => packet.final)
      expect([state, finals.length]).toEqual([state, state === 'admin-down' ? 0 : 1])
      expect(finals.every((packet) => !packet.poll)).toBe(true)
    }
  })

  test('a Final is sent even to a peer that wants no packets', () => {
    const bench = new Bench()
    bench.bringUp({ requiredMinRxUs: 0 })
    bench.runTo(800)
    expect(bench.take()).toEqual([])
    bench.packet({ requiredMinRxUs: 0, poll: true })
    expect(bench.take()).toMatchObject([{ final: true }])
  })

  test('what the peer signals becomes our diagnostic', () => {
    for (const state of ['down', 'admin-down'] as const) {
      const bench = new Bench()
      bench.bringUp()
      bench.packet({ state })
      expect(bench.changes).toMatchObject([{ from: 'up', to: 'down', diagnostic: 3, remote: state }])
      expect(bench.take()).toMatchObject([{ state: 'down', diagnostic: 3, desiredMinTxUs: 1_000_000 }])
    }
  })

  test('a peer in Demand mode gets no periodic packets once both are up, but Polls', () => {
    const bench = new Bench()
    bench.bringUp({ demand: true })
    bench.runTo(bench.now + 600)
    expect(bench.take()).toEqual([])
    bench.give({ kind: 'timers', timers: { ...CONFIG.timers, desiredMinTxMs: 200, adaptMaxMs: 200 } })
    bench.runTo(bench.now + 10)
    expect(bench.take()).toMatchObject([{ poll: true, demand: false, desiredMinTxUs: 200_000 }])
  })
})

describe('intervals (sections 6.8.2, 6.8.3, 6.8.7)', () => {
  test('the slower of both ends counts', () => {
    const bench = new Bench()
    bench.bringUp({ requiredMinRxUs: 500_000, desiredMinTxUs: 700_000 })
    expect(bench.session.status()).toMatchObject({ txIntervalMs: 500, rxIntervalMs: 700, detectionMs: 2100 })
  })

  test('a slower rate of ours waits for the Final', () => {
    const bench = new Bench()
    bench.bringUp()
    bench.give({ kind: 'timers', timers: { ...CONFIG.timers, desiredMinTxMs: 900 } })
    expect(bench.session.status().txIntervalMs).toBe(300)
    bench.runTo(bench.now + 310)
    expect(bench.take()).toMatchObject([{ poll: true, desiredMinTxUs: 900_000 }])
    bench.packet({ final: true })
    expect(bench.session.status().txIntervalMs).toBe(900)
  })

  test('earlier detection waits for the Final, later detection holds at once', () => {
    const bench = new Bench()
    bench.bringUp({ desiredMinTxUs: 50_000 })
    bench.give({ kind: 'timers', timers: { ...CONFIG.timers, requiredMinRxMs: 100 } })
    expect(bench.session.status().detectionMs).toBe(900)
    bench.runTo(bench.now + 310)
    bench.packet({ final: true, desiredMinTxUs: 50_000 })
    expect(bench.session.status().detectionMs).toBe(300)
    bench.packet({ desiredMinTxUs: 50_000 })
    bench.give({ kind: 'timers', timers: { ...CONFIG.timers, requiredMinRxMs: 400 } })
    expect(bench.session.status().detectionMs).toBe(1200)
  })

  test('a second change waits until the first Poll is over and its Finals are surely gone', () => {
    const bench = new Bench()
    bench.bringUp()
    bench.give({ kind: 'timers', timers: { ...CONFIG.timers, desiredMinTxMs: 500 } })
    bench.give({ kind: 'timers', timers: { ...CONFIG.timers, desiredMinTxMs: 900 } })
    bench.runTo(bench.now + 310)
    expect(bench.take()).toMatchObject([{ poll: true, desiredMinTxUs: 500_000 }])
    bench.packet({ final: true })
    bench.packet({ final: true })
    bench.runTo(bench.now + 510)
    expect(bench.take()).toMatchObject([{ poll: false, desiredMinTxUs: 500_000 }])
    bench.packet({})
    bench.runTo(bench.now + 510)
    expect(bench.take()).toMatchObject([{ poll: true, desiredMinTxUs: 900_000 }])
  })

  test('a Final that nobody asked for ends nothing', () => {
    const bench = new Bench()
    bench.bringUp()
    bench.give({ kind: 'timers', timers: { ...CONFIG.timers, desiredMinTxMs: 900 } })
    bench.packet({ final: true })
    expect(bench.session.status()).toMatchObject({ polling: true, txIntervalMs: 300 })
  })

  test('when the peer wants packets sooner, the next leaves sooner', () => {
    const bench = new Bench()
    bench.bringUp({ requiredMinRxUs: 2_000_000 })
    bench.runTo(2_000)
    bench.take()
    bench.packet({ requiredMinRxUs: 300_000 })
    bench.runTo(bench.now + 300)
    expect(bench.take().length).toBe(1)
  })

  test.each([
    [3, 225, 300],
    [1, 225, 270],
  ])('jitter with a multiplier of %i: %i to %i of 300 ms', (detectMult, least, most) => {
    let value = 0
    const gaps = new Set<number>()
    const sweep = (length: number) => {
      value = (value + 5) & 0xff
      return new Uint8Array(length).fill(value)
    }
    const bench = new Bench({ ...CONFIG, timers: { ...CONFIG.timers, detectMult } }, sweep)
    bench.bringUp()
    let last = 0
    for (let i = 0; i < 200; i++) {
      bench.packet({})
      bench.runTo(bench.session.deadline()!)
      if (bench.times.length === 0) continue
      if (last > 0) gaps.add(bench.times.at(-1)! - last)
      last = bench.times.at(-1)!
      bench.take()
    }
    expect(gaps.size).toBeGreaterThan(40)
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(least)
    expect(Math.min(...gaps)).toBeLessThan(least + 5)
    expect(Math.max(...gaps)).toBeLessThanOrEqual(most)
    expect(Math.max(...gaps)).toBeGreaterThan(most - 5)
  })
})

describe('detection (section 6.8.4)', () => {
  test('a silent peer is down after three intervals, with diagnostic 1, and its discriminator forgotten', () => {
    const bench = new Bench()
    bench.bringUp()
    const heard = bench.now
    bench.runTo(heard + 899)
    expect(bench.session.status().state).toBe('up')
    bench.runTo(heard + 900)
    expect(bench.changes).toMatchObject([{ from: 'up', to: 'down', diagnostic: 1 }])
    expect(bench.sent.at(-1)).toMatchObject({ state: 'down', diagnostic: 1, yourDiscriminator: 0 })
  })

  test('who stalls itself looks at what lies in the socket before it blames the peer', () => {
    const bench = new Bench()
    bench.bringUp()
    bench.now += 1_500
    bench.give({ kind: 'time' })
    expect(bench.session.status().state).toBe('up')
    bench.packet({})
    bench.runTo(bench.now + 100)
    expect(bench.changes).toEqual([])
  })

  test('that patience is granted once, and for an interval at most', () => {
    const bench = new Bench()
    bench.bringUp()
    bench.now += 5_000
    bench.give({ kind: 'time' })
    expect(bench.session.deadline()! - bench.now).toBeLessThanOrEqual(300)
    bench.now += 5_000
    bench.give({ kind: 'time' })
    expect(bench.changes).toMatchObject([{ to: 'down', diagnostic: 1 }])
  })

  test('in init, too', () => {
    const bench = new Bench()
    bench.packet({ state: 'down' })
    bench.runTo(900)
    expect(bench.changes.at(-1)).toMatchObject({ from: 'init', to: 'down', diagnostic: 1 })
  })
})

describe('an operator (section 6.8.16)', () => {
  test('takes the session down and brings it back', () => {
    const bench = new Bench()
    bench.bringUp()
    bench.give({ kind: 'admin-down' })
    expect(bench.take()).toMatchObject([{ state: 'admin-down', diagnostic: 7 }])
    bench.packet({ state: 'down' })
    bench.runTo(bench.now + 1_000)
    expect(bench.take()).toMatchObject([{ state: 'admin-down' }])
    bench.give({ kind: 'admin-up' })
    bench.packet({ state: 'down' })
    expect(bench.session.status().state).toBe('init')
  })

  test('removes it: a detection time of goodbyes, then nothing', () => {
    const bench = new Bench()
    bench.bringUp()
    bench.give({ kind: 'remove' })
    bench.runTo(bench.now + 2_900)
    expect(bench.take().map(({ state }) => state)).toEqual(['admin-down', 'admin-down', 'admin-down'])
    expect(bench.ended).toBe(false)
    bench.runTo(bench.now + 100)
    expect(bench.ended).toBe(true)
    expect(bench.session.deadline()).toBeUndefined()
    bench.packet({})
    bench.give({ kind: 'admin-up' })
    expect(bench.session.poll()).toBeUndefined()
  })

  test('removes at once what nobody answers', () => {
    const bench = new Bench()
    bench.give({ kind: 'remove' })
    expect(bench.ended).toBe(true)
  })

  test('cannot give impossible timers', () => {
    expect(() => new Bench({ ...CONFIG, timers: { ...DEFAULT_TIMERS, detectMult: 0 } })).toThrow(RangeError)
    const bench = new Bench()
    bench.bringUp()
    bench.give({ kind: 'timers', timers: { ...DEFAULT_TIMERS, desiredMinTxMs: Number.NaN } })
    expect(bench.session.status().txIntervalMs).toBe(300)
  })
})

describe('hysteresis (RFC 5882 section 3.1)', () => {
  const dampening = { holdMs: 2_000, holdMaxMs: 5_000, forgetMs: 60_000 }

  test('the first loss is forgiven, the second held, later ones longer, none for ever', () => {
    const bench = new Bench({ ...CONFIG, dampening })
    const holds: number[] = []
    for (let i = 0; i < 5; i++) {
      bench.bringUp()
      bench.packet({ state: 'down' })
      const from = bench.now
      holds.push((bench.session.status().heldUntil ?? from) - from)
      bench.packet({ state: 'down' })
      if (holds.at(-1)! > 0) expect(bench.session.status().state).toBe('down')
      else bench.packet({ state: 'admin-down' })
      bench.now += holds.at(-1)!
    }
    expect(holds).toEqual([0, 2_000, 4_000, 5_000, 5_000])
    expect(bench.session.status().flaps).toBe(5)
  })

  test('a long time up is forgotten about; an operator’s wish is no flap', () => {
    const bench = new Bench({ ...CONFIG, dampening })
    for (let i = 0; i < 3; i++) {
      bench.bringUp()
      for (let time = 0; time < 61_000; time += 250) {
        bench.runTo(bench.now + 250)
        bench.packet({})
      }
      bench.packet({ state: 'down' })
      bench.packet({ state: 'admin-down' })
    }
    expect(bench.session.status().heldUntil).toBeUndefined()
    for (let i = 0; i < 3; i++) {
      bench.bringUp()
      bench.packet({ state: 'admin-down' })
    }
    expect(bench.session.status()).toMatchObject({ flaps: 3 })
    expect(bench.session.status().heldUntil).toBeUndefined()
  })
})

function bringTo(bench: Bench, state: BfdState): void {
  if (state === 'init') bench.packet({ state: 'down' })
  if (state === 'up') bench.bringUp()
  if (state === 'admin-down') bench.give({ kind: 'admin-down' })
}
