/** A short soak: what `npm run bench:soak` does with 100 GB, with two, and whether it would notice a leak. */
import { describe, expect, it } from 'vitest'
import { isFlat, type Sample, trendOf } from '../bench/soak-report.ts'
import { soak } from '../bench/soak-run.ts'
import { skipWithoutPeers } from '../interop/peers.ts'
import { skipWithoutNamespaces } from './netns.ts'

const GB = 1e9
const MB = 1e6
/** Of resident memory. In a run this short much of it is still the compiler; one packet in 30 kept would make 60 MB. */
const LIMIT_MB = 48
/** What only a rekey that goes wrong makes packets be dropped for. */
const REKEY_DROPS = ['no_sa', 'hard_limit', 'unknown_spi', 'auth_failed']

/** 400 samples of 100 GB with memory as `rss` says, in bytes after so many GB. */
function samples(rss: (gigabytes: number) => number): Sample[] {
  return Array.from({ length: 400 }, (_, i) => {
    const gigabytes = (i + 1) / 4
    return { carried: gigabytes * GB, rss: rss(gigabytes), heap: 0, external: 0 }
  })
}

describe('what is called flat', () => {
  const breath = (gigabytes: number): number => 12 * MB * ((gigabytes * 7) % 1)

  it('is a collector that breathes, and warm-up', () => {
    const trend = trendOf(
      samples((gigabytes) => 230 * MB + breath(gigabytes) + (gigabytes < 10 ? 5 * MB * gigabytes : 50 * MB)),
      'rss',
    )
    expect(trend.growth).toBeCloseTo(0, -1)
    expect(isFlat(trend, 16)).toBe(true)
  })

  it('is no leak, and no single step upwards', () => {
    const leak = trendOf(
      samples((gigabytes) => 230 * MB + breath(gigabytes) + 0.3 * MB * gigabytes),
      'rss',
    )
    expect(leak.slope).toBeCloseTo(30, -1)
    expect(isFlat(leak, 16)).toBe(false)
    const step = trendOf(
      samples((gigabytes) => (gigabytes < 80 ? 230 : 280) * MB),
      'rss',
    )
    expect(isFlat(step, 16)).toBe(false)
    expect(
      trendOf(
        samples((gigabytes) => (300 - gigabytes) * MB),
        'rss',
      ),
    ).toMatchObject({ slope: -100 })
  })

  it('is told also of a run that was fast between two looks', () => {
    const few = samples((gigabytes) => (200 + gigabytes) * MB).filter((_, i) => i % 120 === 119)
    expect(trendOf(few, 'rss')).toMatchObject({ atTenth: 230, atEnd: 290, slope: 100 })
  })

  it('is not said of what was hardly looked at', () => {
    expect(() => trendOf([], 'rss')).toThrow('0 samples')
    expect(() => trendOf(samples(() => 1).slice(0, 1), 'rss')).toThrow('1 samples')
  })
})

describe.skipIf(skipWithoutNamespaces('the soak') || skipWithoutPeers('the soak', 'iperf3'))('a short soak', () => {
  it('carries 2 GB with rekeys under load, keeps its memory, and loses nothing at a rekey', async () => {
    const options = { bytes: 2 * GB, suite: 'chacha20poly1305', rekeySeconds: 1, flowSeconds: 5, sampleMs: 250 }
    const { carried, samples, childRekeys, drops, flow } = await soak(options)
    expect(carried).toBeGreaterThanOrEqual(2 * GB)
    expect(childRekeys).toBeGreaterThanOrEqual(1)
    for (const reason of REKEY_DROPS) expect(drops).not.toHaveProperty(reason)
    expect(flow).toMatchObject({ sent: 10_000, lost: 0, duplicates: 0 })
    expect(flow.rekeys).toBeGreaterThanOrEqual(2)
    for (const own of samples) {
      const trend = trendOf(own, 'rss')
      expect(isFlat(trend, LIMIT_MB), JSON.stringify(trend)).toBe(true)
    }
  }, 180_000)
})
