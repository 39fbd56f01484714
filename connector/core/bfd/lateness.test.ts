import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CALM_MS, LatenessGauge } from './lateness.ts'

describe('the interval that lateness asks for', () => {
  test('stays where what comes late leaves room for a lost packet', () => {
    const gauge = new LatenessGauge(300, 2_000, 1.5)
    gauge.sample(199, 3, 0)
    expect(gauge.intervalMs).toBe(300)
  })

  test('goes up by steps until it does', () => {
    const gauge = new LatenessGauge(300, 2_000, 1.5)
    gauge.sample(210, 3, 0)
    expect(gauge.intervalMs).toBe(450)
    gauge.sample(600, 3, 1)
    expect(gauge.intervalMs).toBeCloseTo(1012.5)
  })

  test('a greater multiplier bears more', () => {
    const gauge = new LatenessGauge(300, 2_000, 1.5)
    gauge.sample(399, 5, 0)
    expect(gauge.intervalMs).toBe(300)
  })

  test('comes back one step at a time, each after two minutes of calm', () => {
    const gauge = new LatenessGauge(300, 2_000, 1.5)
    gauge.sample(400, 3, 0)
    expect(gauge.intervalMs).toBe(675)
    const steps: [number, number][] = []
    for (let now = 0; now < 5 * CALM_MS; now += 500) {
      const before = gauge.intervalMs
      gauge.sample(0, 3, now)
      if (gauge.intervalMs !== before) steps.push([now, gauge.intervalMs])
    }
    expect(steps).toEqual([
      [CALM_MS, 450],
      [2 * CALM_MS, 300],
    ])
  })

  test('does not come back while the shorter one would be too short', () => {
    const gauge = new LatenessGauge(300, 2_000, 1.5)
    for (let now = 0; now < 10 * CALM_MS; now += 500) gauge.sample(250, 3, now)
    expect(gauge.intervalMs).toBe(450)
  })

  test('does not change at all where the bounds are one', () => {
    const gauge = new LatenessGauge(300, 100, 1.5)
    gauge.sample(100_000, 3, 0)
    expect(gauge.intervalMs).toBe(300)
  })

  test('stays within the bounds, whatever comes, and under new ones', () => {
    const step = fc.record({ late: fc.nat(100_000), mult: fc.integer({ min: 1, max: 255 }), after: fc.nat(100_000) })
    const bounds = fc.tuple(fc.integer({ min: 10, max: 5_000 }), fc.integer({ min: 10, max: 5_000 }))
    fc.assert(
      fc.property(fc.array(step), bounds, bounds, (steps, [least, most], [least2, most2]) => {
        const gauge = new LatenessGauge(least, most, 1)
        let now = 0
        for (const { late, mult, after } of steps) {
          now += after
          gauge.sample(late, mult, now)
          expect(gauge.intervalMs).toBeGreaterThanOrEqual(least)
          expect(gauge.intervalMs).toBeLessThanOrEqual(Math.max(least, most))
        }
        gauge.setBounds(least2, most2)
        expect(gauge.intervalMs).toBeGreaterThanOrEqual(least2)
        expect(gauge.intervalMs).toBeLessThanOrEqual(Math.max(least2, most2))
      }),
    )
  })
})
