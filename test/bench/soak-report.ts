/** From samples of memory to what is called flat. */
import { median } from './growth-measure.ts'

export interface Memory {
  /** Resident memory of the process, all threads and the engine's tables included. */
  readonly rss: number
  /** Of the main thread's V8: what is in use, and what buffers and modules take outside of it. */
  readonly heap: number
  readonly external: number
}

export interface Sample extends Memory {
  /** Bytes of inner packets in both directions so far. */
  readonly carried: number
}

export type Quantity = keyof Memory
export const QUANTITIES: readonly Quantity[] = ['rss', 'heap', 'external']

/** In megabytes of 10^6 bytes. */
export interface Trend {
  /** Median while 10 to 20 % of the bytes were carried, or the first look after that, and of the last 10 %. */
  readonly atTenth: number
  readonly atEnd: number
  /** Per 100 GB: the median of the slopes between samples that lie at least half of the measured part apart. */
  readonly slope: number
  /** What that slope makes of the part after the first 10 %, which is warm-up. */
  readonly growth: number
}

const MB = 1e6
const HUNDRED_GB = 1e11

/** Throws where there are too few samples to tell. */
export function trendOf(samples: readonly Sample[], quantity: Quantity): Trend {
  const last = samples.at(-1)?.carried ?? 0
  const between = (from: number, to: number): Sample[] =>
    samples.filter(({ carried }) => carried >= from * last && carried <= to * last)
  const measured = between(0.1, 1)
  // A fast run may pass that part between two looks.
  const tenth = between(0.1, 0.2)
  const first = tenth.length > 0 ? tenth : measured.slice(0, 1)
  const span = last - (measured[0]?.carried ?? last)
  const slopes = measured.flatMap((early) =>
    measured
      .filter((late) => late.carried - early.carried >= span / 2)
      .map((late) => (late[quantity] - early[quantity]) / (late.carried - early.carried)),
  )
  if (span <= 0) throw new Error(`${samples.length} samples tell no trend`)
  const slope = median(slopes)
  return {
    atTenth: median(first.map((sample) => sample[quantity])) / MB,
    atEnd: median(between(0.9, 1).map((sample) => sample[quantity])) / MB,
    slope: (slope * HUNDRED_GB) / MB,
    growth: (slope * span) / MB,
  }
}

/** Flat is what grows by no more than `limit` megabytes while the last 90 % are carried, by its slope and in its ends. */
export function isFlat({ growth, atTenth, atEnd }: Trend, limit: number): boolean {
  return growth <= limit && atEnd - atTenth <= limit
}
