import { expect, it } from 'vitest'
import { IdleWatch } from './idle-watch.ts'

const NEEDS = { probeMs: 250, holdTimeS: 30 }

/** Looks once a second; `rate`: packets of that second, out and in. */
function idleAfter(seconds: number, rate: (second: number) => readonly [number, number], needs = NEEDS) {
  const watch = new IdleWatch(needs)
  const passed = { out: 1_000, in: 2_000 }
  watch.look(passed, 500)
  for (let second = 1; second <= seconds; second++) {
    const [out, back] = rate(second)
    passed.out += out
    passed.in += back
    watch.look({ ...passed }, 500 + 1_000 * second)
  }
  return watch.idleMs
}

it('knows nothing before it has looked', () => {
  expect(new IdleWatch(NEEDS).idleMs).toBeUndefined()
  expect(idleAfter(0, () => [0, 0])).toBe(0)
})

it('probes, their answers and keepalives are not traffic, for hours', () => {
  expect(idleAfter(3_600, (second) => (second % 10 === 0 ? [6, 6] : [4, 4]))).toBe(3_600_000)
})

it('a second with a probe and an UPDATE more is none either', () => {
  expect(idleAfter(10, (second) => (second === 5 ? [8, 7] : [4, 4]))).toBe(10_000)
})

it.each([
  ['out', [40, 4]],
  ['in', [4, 40]],
] as const)('packets %s begin it anew, at the last of them', (_, busy) => {
  expect(idleAfter(8, (second) => (second <= 5 ? busy : [4, 4]))).toBe(3_000)
})

it('three packets a second beside are found out within three seconds', () => {
  expect(idleAfter(12, () => [7, 4])).toBeLessThan(3_000)
  for (let seconds = 1; seconds <= 12; seconds++) expect(idleAfter(seconds, () => [4, 7])).toBeLessThan(3_000)
})

it('what was not needed for long is no credit', () => {
  expect(idleAfter(101, (second) => (second === 101 ? [30, 4] : [0, 0]))).toBe(0)
})

it('a clock that stands still gives no room', () => {
  const watch = new IdleWatch(NEEDS)
  watch.look({ out: 0, in: 0 }, 100)
  watch.look({ out: 5, in: 0 }, 100)
  expect(watch.idleMs).toBe(0)
})
