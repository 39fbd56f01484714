import { describe, expect, it } from 'vitest'
import { ProbeMachine, type ProbeSettings } from './machine.ts'
import { type End, ProbeWorld } from './testing.ts'
import { decodeProbe, encodeProbe, MESSAGE_BYTES, type ProbeMessage } from './wire.ts'

const FAST: ProbeSettings = { intervalMs: 50, multiplier: 4, patient: true }
const DEFAULT: ProbeSettings = { intervalMs: 1000, multiplier: 4, patient: true }
const MTU = { start: 1500, floor: 576, ceiling: 9000 }

function started(world: ProbeWorld, settings: ProbeSettings): ProbeWorld {
  world.configure(world.a, settings)
  world.configure(world.b, settings)
  return world
}

const statesOf = ({ a, b }: ProbeWorld): string[][] => [a.states, b.states]

describe('the probes of a tunnel', () => {
  it('are up with the first answer, and measure the round trip', () => {
    const world = started(new ProbeWorld(1, { delayMs: 20 }), FAST)
    world.run(39)
    expect(world.a.last?.state).toBe('unknown')
    world.run(2)
    expect(world.a.last?.state).toBe('up')
    world.run(3000)
    expect(world.a.last).toMatchObject({ state: 'up', lossIn: 0, lossOut: 0 })
    expect(world.a.last!.rttMs).toBeCloseTo(40, 1)
    expect(world.a.last!.jitterMs).toBeLessThan(1)
  })

  it('tell a silent cut within 300 ms with 50 ms x 4, whenever it comes', () => {
    for (let seed = 0; seed < 200; seed++) {
      const world = started(new ProbeWorld(seed, { delayMs: 10, jitterMs: 5 }), FAST)
      world.run(2000 + ((seed * 7) % 50))
      const cutAt = world.now
      world.both({ cut: true })
      world.run(1000)
      for (const end of [world.a, world.b]) {
        const noticed = end.firstAt('down', cutAt)! - cutAt
        // Four intervals, a round trip, and most of an interval.
        expect(noticed).toBeLessThan(4 * 50 + 30 + 0.9 * 50)
        expect(noticed).toBeGreaterThan(4 * 50 - 40)
      }
    }
  })

  it.each([
    [FAST, 10],
    [DEFAULT, 50],
  ])('are sent more often while loss is examined, and answered as often', (settings, everyMs) => {
    const world = started(new ProbeWorld(5), settings)
    const counted = (ms: number): number => {
      const before = world.a.last!.counts!.out.sent
      world.run(ms)
      return world.a.last!.counts!.out.sent - before
    }
    world.run(10_000)
    const usual = counted(10_000)
    world.examine(world.a, true)
    world.run(2_000)
    // The answers to the other end's probes count, too.
    expect(counted(10_000) / (10_000 / everyMs + usual / 2)).toBeCloseTo(1, 1)
    expect([world.a.machine.faults.unanswered, world.b.machine.faults.unanswered]).toEqual([0, 0])
    world.examine(world.a, false)
    world.run(2_000)
    expect(counted(10_000)).toBeLessThan(usual * 1.1)
    expect(statesOf(world)).toEqual([
      ['unknown', 'up'],
      ['unknown', 'up'],
    ])
  })

  it('tell a cut of one way at both ends', () => {
    const world = started(new ProbeWorld(2), FAST)
    world.run(2000)
    world.forth.cut = true
    world.run(300)
    expect([world.a.last?.state, world.b.last?.state]).toEqual(['down', 'down'])
    expect(world.a.last!.silentMs).toBeGreaterThan(150)
  })

  it('are up again after as many answers in a row', () => {
    const world = started(new ProbeWorld(3), FAST)
    world.run(1000)
    world.both({ cut: true })
    world.run(2000)
    const mendedAt = world.now
    world.both({ cut: false })
    world.run(1000)
    expect(statesOf(world)).toEqual([
      ['unknown', 'up', 'down', 'up'],
      ['unknown', 'up', 'down', 'up'],
    ])
    const back = world.a.firstAt('up', mendedAt)! - mendedAt
    expect(back).toBeGreaterThan(2 * 50)
    expect(back).toBeLessThan(6 * 50)
  })

  it('go on slowly for good where nobody answers, and then silence means nothing', () => {
    const world = new ProbeWorld(4)
    world.configure(world.a, FAST)
    world.back.cut = true
    world.run(60_000)
    expect(world.a.states).toEqual(['unknown'])
    expect(world.a.sent).toBeLessThan(30)
    // A peer that comes to understand is found within one slow interval.
    world.back.cut = false
    world.run(5100)
    expect(world.a.last?.state).toBe('up')
  })

  it('take a path down that was never up where the peer is known to understand', () => {
    const world = new ProbeWorld(5, { cut: true })
    world.configure(world.a, { ...FAST, patient: false })
    world.run(400)
    expect(world.a.states).toEqual(['unknown', 'down'])
  })

  it('answer a peer that is not asked itself', () => {
    const world = new ProbeWorld(6)
    world.configure(world.a, FAST)
    world.run(2000)
    expect(world.a.last?.state).toBe('up')
    expect(world.b.reports).toEqual([])
    expect(world.b.sent).toBeLessThanOrEqual(world.a.sent)
  })

  it('know nothing while there is no SA, and count nothing of it', () => {
    const world = started(new ProbeWorld(7), FAST)
    world.run(4000)
    world.a.interfaceMtu = undefined
    world.run(1000)
    expect(world.a.states).toEqual(['unknown', 'up', 'unknown'])
    world.a.interfaceMtu = 1500
    world.run(4000)
    expect(world.a.states).toEqual(['unknown', 'up', 'unknown', 'up'])
    expect(world.a.last).toMatchObject({ lossOut: 0, lossIn: 0 })
  })

  it('begin anew with a peer that has restarted', () => {
    const world = started(new ProbeWorld(8), FAST)
    world.run(5000)
    world.configure(world.b, FAST)
    world.run(5000)
    expect(world.a.states).toEqual(['unknown', 'up'])
    expect(world.a.last).toMatchObject({ lossIn: 0, lossOut: 0 })
    expect(world.a.last!.counts!.in.sent).toBeLessThan(250)
  })

  it('measure loss each way', () => {
    let forth = 0
    let back = 0
    for (let seed = 0; seed < 20; seed++) {
      const world = started(new ProbeWorld(seed), FAST)
      world.forth.loss = 0.1
      world.back.loss = 0.02
      world.run(20_000)
      const { out, in: into } = world.a.last!.counts!
      forth += out.lost / out.sent / 20
      back += into.lost / into.sent / 20
      expect(world.b.last!.counts!.in.lost).toBeGreaterThanOrEqual(out.lost)
    }
    expect(forth).toBeGreaterThan(0.085)
    expect(forth).toBeLessThan(0.115)
    expect(back).toBeGreaterThan(0.012)
    expect(back).toBeLessThan(0.028)
  })

  it('tell at least four times a second where they are fast, and once a second by default', () => {
    const fast = started(new ProbeWorld(9), FAST)
    fast.run(10_000)
    expect(fast.a.reports.length).toBeGreaterThan(35)
    expect(fast.a.reports.length).toBeLessThan(50)
    const slow = started(new ProbeWorld(9), DEFAULT)
    slow.run(30_000)
    expect(slow.a.reports.length).toBeGreaterThan(25)
    expect(slow.a.reports.length).toBeLessThan(35)
  })

  it('wait once when they come to look late themselves', () => {
    const world = started(new ProbeWorld(10), FAST)
    world.run(2000)
    // Both were paused, and both find what the other sent before only after they have looked at the clock.
    for (let i = 0; i < 20; i++) {
      world.a.asleepUntil = world.now + 170
      world.run(1000)
    }
    expect(statesOf(world)).toEqual([
      ['unknown', 'up'],
      ['unknown', 'up'],
    ])
  })
})

describe('noise', () => {
  const flapped = (end: End): boolean => end.states.includes('down')

  it('takes no path down in 1,000 runs with 5 or 10 % loss each way, by default nor with fast probes', {
    timeout: 120_000,
  }, () => {
    for (let seed = 0; seed < 1000; seed++) {
      const isFast = seed % 2 === 1
      const world = started(
        new ProbeWorld(seed, { loss: seed % 3 === 0 ? 0.1 : 0.05, delayMs: 1 + (seed % 40), jitterMs: seed % 30 }),
        isFast ? FAST : DEFAULT,
      )
      for (const end of [world.a, world.b]) end.lateMs = seed % 20
      world.run(isFast ? 10_000 : 120_000)
      expect([seed, flapped(world.a), flapped(world.b)]).toEqual([seed, false, false])
      const cutAt = world.now
      world.both({ cut: true })
      const { intervalMs } = isFast ? FAST : DEFAULT
      const bound = 4 * intervalMs + 160 + 0.9 * intervalMs + 2 * 20
      world.run(bound)
      expect([seed, world.a.firstAt('down', cutAt), world.b.firstAt('down', cutAt)]).not.toContain(undefined)
    }
  })

  it('of a host that is paused again and again is no cut', () => {
    const world = started(new ProbeWorld(77, { delayMs: 2 }), FAST)
    for (let i = 0; i < 100; i++) {
      world.b.asleepUntil = world.now + 150
      world.run(700)
    }
    expect(statesOf(world)).toEqual([
      ['unknown', 'up'],
      ['unknown', 'up'],
    ])
  })
})

describe('the path MTU beside reachability', () => {
  it('is measured, told, and followed when the path becomes narrower', () => {
    const world = started(new ProbeWorld(20, { mtu: 1500 }), { ...FAST, mtu: MTU })
    world.run(2000)
    expect(world.a.last?.mtu).toEqual({ pathMtu: 1500, searching: false, why: 'largest probe that was answered' })
    world.both({ mtu: 1400 })
    world.run(8000)
    expect(world.a.last?.mtu).toEqual({ pathMtu: 1400, searching: false, why: 'largest probe that was answered' })
    expect(world.a.states).toEqual(['unknown', 'up'])
    expect(world.a.last).toMatchObject({ lossOut: 0, lossIn: 0 })
  })

  it('stays what it was while the path is cut', () => {
    const world = started(new ProbeWorld(21), { ...DEFAULT, mtu: MTU })
    world.run(20_000)
    world.both({ cut: true })
    world.run(60_000)
    expect(world.a.last).toMatchObject({ state: 'down', mtu: { pathMtu: 1500 } })
    world.both({ cut: false })
    world.run(20_000)
    expect(world.a.last).toMatchObject({ state: 'up', mtu: { pathMtu: 1500, searching: false } })
  })
})

describe('what a peer cannot do', () => {
  const message = (changes: Partial<ProbeMessage>): Uint8Array =>
    encodeProbe({
      ...{ type: 'request', size: MESSAGE_BYTES, large: false, session: 7n, peerSession: 0n, number: 1, sequence: 1 },
      ...{ clock: 0, heard: 0, lost: 0, interval: 0 },
      ...changes,
    })
  const machine = (): ProbeMachine => {
    const made = new ProbeMachine((length) => new Uint8Array(length).fill(3))
    made.handle({ type: 'settings', settings: FAST }, 1000)
    return made
  }
  const drain = (from: ProbeMachine): ProbeMessage[] => {
    const sent: ProbeMessage[] = []
    for (let effect = from.poll(); effect !== undefined; effect = from.poll()) {
      if (effect.type === 'send') sent.push(decodeProbe(effect.payload)!)
    }
    return sent
  }

  it('make us answer without end', () => {
    const made = machine()
    drain(made)
    let answers = 0
    for (let i = 0; i < 100_000; i++) {
      made.handle({ type: 'message', bytes: message({ number: i + 1, sequence: i }) }, 1000 + i / 100)
      answers += drain(made).filter(({ type }) => type === 'answer').length
    }
    // A second: some at once, and then one in ten milliseconds.
    expect(answers).toBeLessThan(130)
    expect(made.faults.unanswered).toBe(100_000 - answers)
  })

  it('say that it has what was never sent, or that it answers another session', () => {
    const made = machine()
    const session = drain(made)[0]!.session
    made.handle({ type: 'message', bytes: message({ peerSession: session, heard: 5000 }) }, 1010)
    expect(made.faults.contradictory).toBe(1)
    made.handle({ type: 'message', bytes: message({ type: 'answer', peerSession: 99n, number: 2 }) }, 1010)
    expect(made.faults.stranger).toBe(1)
    made.handle({ type: 'message', bytes: message({ session: 8n }) }, 1010)
    made.handle({ type: 'message', bytes: message({ session: 7n, number: 3 }) }, 1010)
    expect(made.faults.stranger).toBe(2)
    made.handle({ type: 'message', bytes: message({}).subarray(1) }, 1010)
    expect(made.faults.malformed).toBe(1)
    expect(made.poll()).toBeDefined()
  })
})
