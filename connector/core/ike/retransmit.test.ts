import { expect, test } from 'vitest'
import { DEFAULT_LIMITS, Ladder } from './retransmit.ts'

test('the waits grow by the factor up to the cap, then the ladder ends', () => {
  const limits = { ...DEFAULT_LIMITS, retransmitMs: 10_000, retransmitFactor: 3, retransmitTries: 3 }
  const ladder = new Ladder(limits, 1000)
  const deadlines = [ladder.deadline]
  while (ladder.step(deadlines.at(-1)!) === 'again') deadlines.push(ladder.deadline)
  expect(deadlines).toEqual([11_000, 41_000, 101_000, 161_000])
  expect(ladder.resent).toBe(3)
})

test('with the defaults a silent peer is given up after about a minute', () => {
  const ladder = new Ladder(DEFAULT_LIMITS, 0)
  while (ladder.step(ladder.deadline) === 'again');
  expect(ladder.deadline).toBeGreaterThan(50_000)
  expect(ladder.deadline).toBeLessThan(65_000)
})
