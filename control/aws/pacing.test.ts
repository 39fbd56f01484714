import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Pacing, RATES } from './pacing.ts'

/** Sleepers wake when the clock gets there. */
function clock() {
  let now = 0
  const pauses: number[] = []
  return {
    pauses,
    at: () => now,
    advance: (ms: number) => {
      now += ms
    },
    parts: {
      now: () => now,
      sleep: async (ms: number) => {
        pauses.push(ms)
      },
      random: (length: number) => new Uint8Array(length).fill(255),
    },
  }
}

describe('turns', () => {
  test('as many at once as the bucket holds, then one after the other', async () => {
    const { parts, pauses } = clock()
    const pacing = new Pacing(parts, { ...RATES, read: { perSecond: 10, burst: 3 } })
    for (let call = 0; call < 6; call++) expect(await pacing.turn('read', 1_000)).toBe(true)
    expect(pauses).toEqual([100, 200, 300])
  })

  test('what would have to wait for too long takes no turn', async () => {
    const { parts, pauses, advance } = clock()
    const pacing = new Pacing(parts, { ...RATES, write: { perSecond: 1, burst: 1 } })
    expect(await pacing.turn('write', 1_500)).toBe(true)
    expect(await pacing.turn('write', 1_500)).toBe(true)
    for (let call = 0; call < 5; call++) expect(await pacing.turn('write', 1_500)).toBe(false)
    advance(1_000)
    expect(await pacing.turn('write', 1_500)).toBe(true)
    expect(pauses).toEqual([1_000, 1_000])
  })

  test('reads and changes have a bucket each', async () => {
    const { parts, pauses } = clock()
    const pacing = new Pacing(parts, { read: { perSecond: 1, burst: 1 }, write: { perSecond: 1, burst: 1 } })
    await pacing.turn('read', 0)
    expect(await pacing.turn('write', 0)).toBe(true)
    expect(pauses).toEqual([])
  })

  test('in no second there are more calls than the rate and the bucket allow', async () => {
    const waits = fc.array(fc.nat(400), { minLength: 20, maxLength: 200 })
    await fc.assert(
      fc.asyncProperty(
        waits,
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 20 }),
        async (gaps, perSecond, burst) => {
          const { parts, pauses, advance, at } = clock()
          const pacing = new Pacing(parts, { ...RATES, read: { perSecond, burst } })
          const times: number[] = []
          for (const gap of gaps) {
            advance(gap)
            const before = pauses.length
            if (await pacing.turn('read', 5_000)) times.push(at() + (pauses.length > before ? pauses.at(-1)! : 0))
          }
          for (const [index, time] of times.entries()) {
            const within = times.slice(index).filter((each) => each < time + 1_000 - 1e-6).length
            expect(within).toBeLessThanOrEqual(burst + perSecond)
          }
        },
      ),
    )
  })
})

describe('pauses', () => {
  test('double up to a limit, and are refused beyond the time that is left', async () => {
    const { parts, pauses } = clock()
    const pacing = new Pacing(parts)
    for (let attempt = 1; attempt <= 8; attempt++) expect(await pacing.backOff('read', attempt, 60_000)).toBe(true)
    expect(pauses).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 20_000, 20_000])
    expect(await pacing.backOff('read', 8, 19_000)).toBe(false)
    expect(pauses).toHaveLength(8)
  })

  test('are at least half of it, by chance', async () => {
    const { parts, pauses } = clock()
    const pacing = new Pacing({ ...parts, random: (length) => new Uint8Array(length) })
    await pacing.backOff('write', 1, 60_000)
    expect(pauses).toEqual([250])
  })

  test('after one, nobody finds a full bucket', async () => {
    const { parts, pauses } = clock()
    const pacing = new Pacing(parts, { ...RATES, read: { perSecond: 10, burst: 40 } })
    await pacing.backOff('read', 1, 60_000)
    await pacing.turn('read', 60_000)
    expect(pauses).toEqual([500, 100])
  })
})
